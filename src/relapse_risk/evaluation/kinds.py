"""What lists find of each kind of relapse: late, passing or lasting, by a fall of income or a new line.

The lists are those of the headline; nothing is ranked again. One visit that meets a relapse meets one of a
kind, so what is found of the causes adds up to what is found in all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.course import CAUSES
from relapse_risk.evaluation.gain import ScoreOrder, ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.records import ranking_over
from relapse_risk.labels import Labels
from relapse_risk.vocabulary import Bilingual

Array = NDArray[np.float64]

POLICIES = ("rules", "logistic", "model", "rules+model")
KINDS = {
    "first_event": Bilingual("窗口内首次返贫", "first event in the window"),
    "later_event": Bilingual(
        "前半段未返贫者在后半段返贫", "event in the second half among those free in the first"
    ),
    "state_at_end": Bilingual("窗口期末的状态", "state at the end of the window"),
    "lasting": Bilingual("持续至少6个月", "lasting six months or more"),
    "passing": Bilingual("不足6个月即恢复", "over within six months"),
    "income_fell": Bilingual("收入下降所致", "because income fell"),
    "line_rose": Bilingual("仅因监测线提高", "only because the line rose"),
    "guarantee": Bilingual("仅因保障缺失", "only because a guarantee failed"),
    "status": Bilingual("上报状态（原因不详）", "status handed in, cause not told"),
    "shortfall": Bilingual("收入缺口（占监测线）", "shortfall, in lines"),
}
_RANKED = ("first_event", "later_event", "state_at_end", "lasting")
_FIGURES = ("precision", "recall", "roc_auc", "pr_auc")


def outcomes_by_kind(labels: Labels) -> dict[str, Array]:
    """Return the outcome of every kind, arrays of shape ``(n_rows,)``.

    Parameters
    ----------
    labels : Labels
        Made by :func:`~relapse_risk.labels.make_labels`, so that they have a course.

    Returns
    -------
    dict of str to ndarray
        1 an event of the kind, 0 none, NaN not judged; ``shortfall`` is a share of the line.
    """
    outcome, course = labels.outcome, labels.course
    if course is None:
        return {"first_event": outcome}
    of_event = np.where(outcome == 1.0, course.is_lasting, outcome)
    found = {
        "first_event": outcome,
        "later_event": labels.outcome_after(labels.horizon_months // 2),
        "state_at_end": course.state_at_end,
        "lasting": of_event,
        "passing": np.where(outcome == 1.0, 1.0 - course.is_lasting, outcome),
    }
    for code, cause in enumerate(CAUSES):
        is_one = (outcome == 1.0) & (course.cause == code)
        found[cause] = np.where(np.isnan(outcome), np.nan, is_one)
    return found | {"shortfall": course.shortfall}


def found_by_kind(
    origins: Sequence[JudgedOrigin],
    capacities: Sequence[float],
    cluster: str,
    replicates: int,
    seed: int,
    *,
    is_one_model: bool,
) -> pl.DataFrame:
    """Return what each policy's list finds of every kind of relapse over all origins, with 95% intervals.

    Parameters
    ----------
    origins, capacities, cluster, replicates, seed, is_one_model
        As for :func:`~relapse_risk.evaluation.records.pooled_records`.

    Returns
    -------
    polars.DataFrame
        ``kind``, ``zh``, ``en``, ``policy``, ``capacity``, ``predicted`` number of events where the policy
        gives that risk, ``n`` households judged by the kind, ``events`` of it, ``found`` on the list, and
        with ``_low`` and ``_high`` ``precision`` (of visits to those judged), ``recall``, and, for kinds
        that are a forecast of their own, ``roc_auc`` and ``pr_auc`` of the headline's score. Of ``shortfall``
        the events are a sum of shares of the line, and precision is its mean in a visit. Kinds of which
        nothing happened are left out.
    """
    bootstrap = ClusterBootstrap.of(pl.concat([o.index[cluster] for o in origins]), replicates, seed)
    sizes = np.cumsum([0, *(len(origin.outcome) for origin in origins)])
    ends = [0, int(sizes[-1])] if is_one_model else sizes.tolist()
    policies = [name for name in POLICIES if all(name in origin.plans for origin in origins)]
    every = {kind: np.concatenate([o.kinds[kind] for o in origins]) for kind in origins[0].kinds}
    # Where the label is the state at the horizon, these two are the headline itself.
    same = {
        kind
        for kind in ("later_event", "state_at_end")
        if kind in every and np.array_equal(every[kind], every["first_event"], equal_nan=True)
    }
    outcomes = {kind: y for kind, y in every.items() if np.nansum(y) > 0 and kind not in same}
    rows = []
    for policy in policies:
        scores = [origin.plans[policy].score for origin in origins]
        known = [score for score in scores if score is not None]
        score = np.concatenate(known) if len(known) == len(scores) else None
        ranking = {
            kind: {} if score is None else _ranking(score, outcomes[kind], ends, bootstrap)
            for kind in outcomes
            if kind in _RANKED
        }
        predicted = _predicted(policy, origins)
        for capacity in capacities:
            chance = np.concatenate([_chance(origin, policy, capacity) for origin in origins])
            for kind in outcomes:
                counts, figures = _found(chance, outcomes[kind], bootstrap)
                row = {
                    **{"kind": kind, "zh": KINDS[kind].zh, "en": KINDS[kind].en},
                    **{"policy": policy, "capacity": capacity, "predicted": predicted.get(kind)},
                    **counts,
                    **_with_intervals(figures | ranking.get(kind, {}), bootstrap),
                }
                rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def _chance(origin: JudgedOrigin, policy: str, capacity: float) -> Array:
    return origin.plans[policy].selection(visits_at(capacity, len(origin.outcome)))


def _predicted(policy: str, origins: Sequence[JudgedOrigin]) -> dict[str, float]:
    """Return the sum of a policy's risks over the households judged, for the kinds it gives a risk of."""
    sums = {}
    risks = [risk for origin in origins if (risk := origin.plans[policy].risk) is not None]
    if len(risks) == len(origins):
        sums["first_event"] = float(np.concatenate(risks).sum())
    if all(policy in origin.later_risk and "later_event" in origin.kinds for origin in origins):
        judged = np.concatenate([~np.isnan(origin.kinds["later_event"]) for origin in origins])
        sums["later_event"] = float(np.concatenate([o.later_risk[policy] for o in origins])[judged].sum())
    return sums


@dataclass(frozen=True)
class _Figure:
    """A figure of all rows, and of each replicate."""

    point: float
    drawn: Array


def _found(
    chance: Array, outcome: Array, bootstrap: ClusterBootstrap
) -> tuple[dict[str, float], dict[str, _Figure]]:
    judged = (~np.isnan(outcome)).astype(np.float64)
    events = np.nan_to_num(outcome)
    parts = (judged, events, judged * chance, events * chance)
    sums = np.stack(
        [np.bincount(bootstrap.cluster_of_row, part, minlength=bootstrap.n_clusters) for part in parts]
    )
    n, total, visits, found = sums.sum(axis=1)
    drawn = sums @ bootstrap.draws.T
    figures = {
        "precision": _Figure(float(found / visits) if visits else np.nan, ratio(drawn[3], drawn[2])),
        "recall": _Figure(float(found / total) if total else np.nan, ratio(drawn[3], drawn[1])),
    }
    return {"n": n, "events": total, "found": found}, figures


def _ranking(
    score: Array, outcome: Array, ends: Sequence[int], bootstrap: ClusterBootstrap
) -> dict[str, _Figure]:
    """Return ROC-AUC and PR-AUC among the rows judged, as for the headline."""
    judged = [start + np.flatnonzero(~np.isnan(outcome[start:stop])) for start, stop in pairwise(ends)]
    orders = [(rows, ScoreOrder.of(score[rows])) for rows in judged]
    points = ranking_over(orders, outcome, np.ones((1, len(outcome))))
    drawn = [ranking_over(orders, outcome, weights) for weights in bootstrap.row_weights()]
    return {
        name: _Figure(float(value[0]), np.concatenate([part[name] for part in drawn] or [np.zeros(0)]))
        for name, value in points.items()
    }


def _with_intervals(figures: Mapping[str, _Figure], bootstrap: ClusterBootstrap) -> dict[str, float | None]:
    """Return every figure with its ends, so that all rows are alike; None for what is not a number."""
    row: dict[str, float | None] = {}
    for name in _FIGURES:
        values = (np.nan, np.nan, np.nan)
        if name in figures:
            interval = bootstrap.interval(figures[name].drawn, figures[name].point)
            values = (figures[name].point, interval.low, interval.high)
        for suffix, value in zip(("", "_low", "_high"), values, strict=True):
            row[f"{name}{suffix}"] = None if np.isnan(value) else value
    return row
