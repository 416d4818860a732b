"""Which calibration to use, told by villages held out of its window, and how right it is on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.labels import Labels
from relapse_risk.modeling.calibrate import (
    FEWEST_EVENTS,
    METHODS,
    CalibrationMethod,
    IntervalCalibration,
    learn_level,
    learn_line,
)
from relapse_risk.modeling.intervals import Array, log_odds, person_intervals, risk_from_margins

GROUPS = ("county_code", "household_type")
_MOST_FOLDS = 5
_FEWEST_TO_CHOOSE = 50
_CLOSEST_TO_CERTAIN = 1e-9


def choose_method(
    margins: Array, labels: Labels, interval_ends: Sequence[int]
) -> tuple[CalibrationMethod, dict[str, float]]:
    """Return the method with the best log-likelihood on villages held out, and that of each.

    Parameters
    ----------
    margins : ndarray, shape (n, n_intervals)
        Uncalibrated log-odds of the hazards, of rows the model was not fitted on.
    labels : Labels
        Of the same rows.
    interval_ends : sequence of int

    Returns
    -------
    method : str
        Of equal ones the simplest; ``sigmoid``, whose slope a prior holds, where there are fewer than two
        villages or fewer than 50 events: a choice among methods would then follow chance.
    likelihood : dict
        Mean log-likelihood of a person-interval by method; higher is better.
    """
    at_risk, event = person_intervals(
        labels.event_month, labels.observed_months, interval_ends, labels.weight
    )
    if labels.index["village_code"].n_unique() < 2 or event.sum() < _FEWEST_TO_CHOOSE:
        return "sigmoid", {}
    found: dict[str, float] = {}
    for method in METHODS:
        apart = held_out_margins(margins, labels, interval_ends, method)
        loss = at_risk * np.logaddexp(0.0, apart) - event * apart
        found[method] = -float(loss.sum() / at_risk.sum())
    return max(METHODS, key=lambda method: found[method]), found


def held_out_margins(
    margins: Array, labels: Labels, interval_ends: Sequence[int], method: CalibrationMethod
) -> Array:
    """Return margins calibrated on the other villages, in up to five folds, shape ``(n, n_intervals)``."""
    fold = _village_folds(labels.index["village_code"])
    found = np.empty_like(margins)
    for k in range(int(fold.max(initial=-1)) + 1):
        others, own = labels.rows(fold != k), fold == k
        months = others.event_month, others.observed_months
        learnt = IntervalCalibration.learn(margins[fold != k], *months, interval_ends, method, others.weight)
        found[own] = learnt.apply(margins[own])
    return found


def _village_folds(villages: pl.Series) -> NDArray[np.int64]:
    """Return the fold of each row; a village is whole in one."""
    rank = villages.rank("dense").cast(pl.Int64).to_numpy() - 1
    return np.asarray(rank % _MOST_FOLDS, dtype=np.int64)


def calibration_facts(
    margins: Array,
    labels: Labels,
    interval_ends: Sequence[int],
    method: CalibrationMethod,
    index: pl.DataFrame,
) -> dict[str, Any]:
    """Return calibration-in-the-large and slope at the last horizon, overall and by group.

    Parameters
    ----------
    margins, labels, interval_ends, method
        As in :func:`held_out_margins`; each village is judged by a calibration learnt on the others.
    index : polars.DataFrame
        Of the same rows, with the columns ``GROUPS``.

    Returns
    -------
    dict
        ``overall`` and ``groups``, a list with ``column`` and ``value``; each with ``rows``, ``events``,
        ``in_the_large`` (shift of the log-odds; above 0 where risk is too low) and ``slope`` (below 1 where
        risks are too extreme). Both are None below 10 events or event-free rows: too few to judge.

    Notes
    -----
    Cox 1958 (doi:10.1093/biomet/45.3-4.562).
    """
    if labels.index["village_code"].n_unique() < 2:
        return {"overall": None, "groups": []}
    risk = risk_from_margins(held_out_margins(margins, labels, interval_ends, method))[:, -1]
    outcome, weight = labels.outcome_within(interval_ends[-1]), labels.weight
    groups = [
        {"column": column, "value": value, **_figures(risk[is_own], outcome[is_own], weight[is_own])}
        for column in GROUPS
        for value in sorted(index[column].drop_nulls().unique().to_list())
        for is_own in [(index[column] == value).fill_null(False).to_numpy()]
    ]
    return {"overall": _figures(risk, outcome, weight), "groups": groups}


def _figures(risk: Array, outcome: Array, weight: Array) -> dict[str, Any]:
    known = ~np.isnan(outcome)
    event = outcome[known]
    n_events, n_free = int(event.sum()), int((1.0 - event).sum())
    counts = {"rows": len(event), "events": n_events}
    if min(n_events, n_free) < FEWEST_EVENTS:
        return {**counts, "in_the_large": None, "slope": None}
    odds = log_odds(np.clip(risk[known], _CLOSEST_TO_CERTAIN, 1.0 - _CLOSEST_TO_CERTAIN))
    rows = odds, weight[known], event * weight[known]
    slope = learn_line(*rows, 0.0)[1]
    return {**counts, "in_the_large": learn_level(*rows).intercept, "slope": slope}
