"""How much of the mean comes from household risks at each level, learned where both could be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.forecast.choose import LEVELS, Cases, Choice, forecast_levels, sum_level

Array = NDArray[np.float64]
EVEN = 0.5
_PRIOR_ORIGINS = 2
_LEAST_MONTHS, _LEAST_HISTORY = 6, 12
_LEAST = 1e-9


@dataclass(frozen=True)
class Judged:
    """Household risks as a forecast at an earlier origin.

    Attributes
    ----------
    origin : int
        Month index of the as-of date.
    mean : ndarray, shape (n_villages, steps)
        Expected new relapses in the months after it; NaN rows where risks are not known.
    """

    origin: int
    mean: Array


@dataclass(frozen=True)
class Combination:
    """What share of the mean is that of the household risks.

    Attributes
    ----------
    weights : mapping of str to float
        By level; 0.5 where nothing could be judged.
    errors : polars.DataFrame
        level, model (``household_risks``, ``combined``), origins, wape at earlier origins.
    """

    weights: dict[str, float]
    errors: pl.DataFrame


def combine(cases: Cases, choice: Choice, earlier: Sequence[Judged], skip: int, steps: int) -> Combination:
    """Return the weights that would have served best at earlier origins, drawn towards a half.

    Parameters
    ----------
    cases : Cases
    choice : Choice
        The time-series models.
    earlier : sequence of Judged
        By models that knew nothing after their origins; at least six months must have come since.
    skip, steps : int
        As in :func:`~relapse_risk.forecast.choose.choose_models`.

    Notes
    -----
    The weight has the least squared error of ``w * household risks + (1 - w) * time series`` over places,
    months and origins; a weight of a half counts as two further origins. Origins overlap and share their
    luck, so few of them should not decide alone. What level an earlier model's risks should have had
    (:func:`~relapse_risk.forecast.bottom_up.risk_level`) is no longer known: they are judged at the level of
    the time series, by where in the county they expected cases. Of the county's own sum that says nothing, so
    its weight stays a half.
    """
    parts = [part for one in earlier if (part := _levels_then(cases, choice, one, skip, steps)) is not None]
    weights, rows = {}, []
    for level in LEVELS:
        seen = [part[level] for part in parts]
        square = sum(float(((risks - series) ** 2).sum()) for risks, series, _ in seen)
        product = sum(float(((risks - series) * (came - series)).sum()) for risks, series, came in seen)
        prior = _PRIOR_ORIGINS * square / len(seen) if seen else 0.0
        is_judged = square > 0 and level != "county"
        weight = (product + EVEN * prior) / (square + prior) if is_judged else EVEN
        weights[level] = w = float(np.clip(weight, 0.0, 1.0))
        total = max(sum(float(came.sum()) for *_, came in seen), 1.0)
        for name, share in (("household_risks", 1.0), ("combined", w)):
            misses = [
                np.abs(share * risks + (1 - share) * series - came).sum() for risks, series, came in seen
            ]
            if seen:
                rows.append((level, name, len(seen), float(sum(misses)) / total))
    schema = {"level": pl.String, "model": pl.String, "origins": pl.Int64, "wape": pl.Float64}
    return Combination(weights, pl.DataFrame(rows, schema=schema, orient="row"))


def _levels_then(
    cases: Cases, choice: Choice, one: Judged, skip: int, steps: int
) -> dict[str, tuple[Array, Array, Array]] | None:
    """Return both forecasts and what came, by level; None where too little came or went before."""
    n_months = cases.counts.shape[1]
    end = one.origin + 1 - skip - cases.first_month
    months = min(steps, n_months - end - skip)
    if end < _LEAST_HISTORY or months < min(steps, _LEAST_MONTHS):
        return None
    is_known = np.isfinite(one.mean[:, 0])
    past = cases.until(end)
    series = forecast_levels(past.only(is_known), choice.models, skip, months)
    risks = np.where(is_known[:, None], one.mean[:, :months], 0.0)
    risks *= series["county"].sum() / max(risks.sum(), _LEAST)
    came = np.where(is_known[:, None], cases.counts[:, end + skip : end + skip + months], 0.0)
    return {
        level: (
            sum_level(risks, cases.township_of, level),
            series[level],
            sum_level(came, cases.township_of, level),
        )
        for level in LEVELS
    }
