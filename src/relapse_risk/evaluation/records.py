"""From plans and outcomes to records: one per origin, policy and capacity, and one for all origins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.evaluation.gain import ScoreOrder, ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.metrics import brier, pr_auc, roc_auc
from relapse_risk.evaluation.plans import VisitPlan

Array = NDArray[np.float64]
Record = dict[str, Any]

ALL_ORIGINS = "all"
COMPARED_WITH = ("rules", "logistic")
_WITH_INTERVAL = (
    "roc_auc",
    "pr_auc",
    "brier",
    "precision_at_capacity",
    "recall_at_capacity",
    *(f"found_over_{other}" for other in COMPARED_WITH),
)


@dataclass(frozen=True)
class JudgedOrigin:
    """The households at risk on one date whose outcome is known, and every policy's plan for them.

    Attributes
    ----------
    origin : date
    index : polars.DataFrame
        At least ``household_id`` and the column of clusters, one row per household judged.
    outcome : ndarray of float64, shape (n_rows,)
        1 event, 0 none.
    n_censored : int
        Households at risk left out, because their window was not wholly observed.
    plans : mapping of str to VisitPlan
    """

    origin: date
    index: pl.DataFrame
    outcome: Array
    n_censored: int
    plans: Mapping[str, VisitPlan]


def records_of(origin: JudgedOrigin, capacities: Sequence[float]) -> list[Record]:
    """Return one record per policy and capacity; what has no meaning is None."""
    found: dict[tuple[str, float], float] = {}
    n, events = len(origin.outcome), float(origin.outcome.sum())
    for policy, plan in origin.plans.items():
        gains = plan.gains(origin.outcome)
        for capacity in capacities:
            found[policy, capacity] = float(plan.found(gains, visits_at(capacity, n))[0])
    records = []
    for policy, plan in origin.plans.items():
        ranking = _ranking_metrics(origin.outcome, plan.score, plan.risk)
        for capacity in capacities:
            record = _record(policy, str(origin.origin), capacity, visits_at(capacity, n), n, events)
            record |= {"n_censored": origin.n_censored, **ranking}
            _fill_in_visits(record, found[policy, capacity])
            for other in COMPARED_WITH:
                record[f"found_over_{other}"] = found[policy, capacity] - found[other, capacity]
            records.append(_plain(record))
    return records


def pooled_records(
    origins: Sequence[JudgedOrigin],
    capacities: Sequence[float],
    cluster: str,
    replicates: int,
    seed: int,
    *,
    is_one_model: bool,
) -> list[Record]:
    """Return one record per policy and capacity over all origins, with 95% intervals.

    Every origin spends its own visits; what they find is added up. Policies that are not planned at every
    origin are left out.

    Parameters
    ----------
    origins : sequence of JudgedOrigin
    capacities : sequence of float
    cluster : str
        Column of the index whose groups are resampled.
    replicates, seed : int
    is_one_model : bool
        One model scored all origins: ROC-AUC and PR-AUC are those of all rows together. Else the scores of
        different origins are on different scales, and the figures are means over origins, weighted by pairs
        of an event and a non-event (ROC-AUC) or by events (PR-AUC).

    Notes
    -----
    ``found_over_rules`` and ``found_over_logistic`` are differences of two policies in the same replicates,
    scaled to the visits really spent.
    """
    policies = [name for name in origins[0].plans if all(name in origin.plans for origin in origins)]
    bootstrap = ClusterBootstrap.of(pl.concat([o.index[cluster] for o in origins]), replicates, seed)
    n = sum(len(origin.outcome) for origin in origins)
    events = float(sum(origin.outcome.sum() for origin in origins))
    pooled = {policy: _Pooled.of(policy, origins, capacities, bootstrap, is_one_model) for policy in policies}
    records = []
    for policy in policies:
        for k, capacity in enumerate(capacities):
            visits = sum(visits_at(capacity, len(origin.outcome)) for origin in origins)
            record = _record(policy, ALL_ORIGINS, capacity, visits, n, events)
            record |= {
                "n_censored": sum(origin.n_censored for origin in origins),
                "n_clusters": bootstrap.n_clusters,
                "is_too_few_clusters": bootstrap.is_too_few,
                **pooled[policy].point,
            }
            _fill_in_visits(record, pooled[policy].found[k])
            draws = pooled[policy].draws(k)
            for other in (name for name in COMPARED_WITH if name in pooled):
                record[f"found_over_{other}"] = pooled[policy].found[k] - pooled[other].found[k]
                difference = pooled[policy].precision[k] - pooled[other].precision[k]
                draws[f"found_over_{other}"] = visits * difference
            for name, values in draws.items():
                interval = bootstrap.interval(values)
                record[f"{name}_low"], record[f"{name}_high"] = interval.low, interval.high
            records.append(_plain(record))
    return records


@dataclass(frozen=True)
class _Pooled:
    """One policy over all origins: figures, and their replicates."""

    point: Record
    found: list[float]
    ranking: dict[str, Array]
    precision: list[Array]
    recall: list[Array]

    @classmethod
    def of(
        cls,
        policy: str,
        origins: Sequence[JudgedOrigin],
        capacities: Sequence[float],
        bootstrap: ClusterBootstrap,
        is_one_model: bool,
    ) -> _Pooled:
        outcome = np.concatenate([origin.outcome for origin in origins])
        score = _stacked([origin.plans[policy].score for origin in origins])
        risk = _stacked([origin.plans[policy].risk for origin in origins])
        ends = np.cumsum([0, *(len(origin.outcome) for origin in origins)])
        blocks = [slice(0, len(outcome))] if is_one_model else [slice(a, b) for a, b in pairwise(ends)]
        orders = None if score is None else [(block, ScoreOrder.of(score[block])) for block in blocks]
        squared = None if risk is None else (risk - outcome) ** 2

        def figures(weights: Array) -> tuple[dict[str, Array], list[Array], list[Array]]:
            ranking = {} if orders is None else _ranking_over(orders, outcome, weights)
            if squared is not None:
                ranking["brier"] = ratio(weights @ squared, weights.sum(axis=1))
            return ranking, *_found(policy, origins, capacities, weights)

        once, found, _ = figures(np.ones((1, len(outcome))))
        draws = [(weights @ outcome, *figures(weights)) for weights in bootstrap.row_weights()]
        return cls(
            point={name: float(values[0]) for name, values in once.items()},
            found=[float(values[0]) for values in found],
            ranking={name: np.concatenate([part[1][name] for part in draws]) for name in once if draws},
            precision=[
                _joined([ratio(part[2][k], part[3][k]) for part in draws]) for k in range(len(capacities))
            ],
            recall=[_joined([ratio(part[2][k], part[0]) for part in draws]) for k in range(len(capacities))],
        )

    def draws(self, k: int) -> dict[str, Array]:
        """Return the replicates of every metric at one capacity."""
        return {
            **self.ranking,
            "precision_at_capacity": self.precision[k],
            "recall_at_capacity": self.recall[k],
        }


def _ranking_over(
    orders: Sequence[tuple[slice, ScoreOrder]], outcome: Array, weights: Array
) -> dict[str, Array]:
    """Return weighted means of ROC-AUC and PR-AUC over blocks of rows, by replicate."""
    area, pairs, precision, events = (np.zeros(len(weights)) for _ in range(4))
    for block, order in orders:
        gain = order.gain(outcome[block], weights[:, block])
        of_block = gain.events * (gain.n - gain.events)
        area += np.nan_to_num(gain.roc_auc()) * of_block
        pairs += of_block
        precision += np.nan_to_num(gain.pr_auc()) * gain.events
        events += gain.events
    return {"roc_auc": ratio(area, pairs), "pr_auc": ratio(precision, events)}


def _found(
    policy: str, origins: Sequence[JudgedOrigin], capacities: Sequence[float], weights: Array
) -> tuple[list[Array], list[Array]]:
    """Return events found and visits spent over all origins, by capacity and replicate."""
    found = [np.zeros(len(weights)) for _ in capacities]
    spent = [np.zeros(len(weights)) for _ in capacities]
    start = 0
    for origin in origins:
        n = len(origin.outcome)
        part = weights[:, start : start + n]
        gains = origin.plans[policy].gains(origin.outcome, part)
        scale = part.sum(axis=1) / max(n, 1)
        for k, capacity in enumerate(capacities):
            visits = visits_at(capacity, n)
            found[k] += origin.plans[policy].found(gains, visits)
            spent[k] += visits * scale
        start += n
    return found, spent


def _ranking_metrics(outcome: Array, score: Array | None, risk: Array | None) -> Record:
    return {
        "roc_auc": None if score is None else roc_auc(outcome, score),
        "pr_auc": None if score is None else pr_auc(outcome, score),
        "brier": None if risk is None else brier(outcome, risk),
    }


def _record(policy: str, origin: str, capacity: float, visits: int, n: int, events: float) -> Record:
    """Return a record with every key, so that all records are alike."""
    record: Record = {
        "policy": policy,
        "origin": origin,
        "capacity": capacity,
        "visits": visits,
        "n": n,
        "events": int(events),
        "n_censored": None,
        "found": None,
    }
    for name in _WITH_INTERVAL:
        record |= {name: None, f"{name}_low": None, f"{name}_high": None}
    return {**record, "n_clusters": None, "is_too_few_clusters": None}


def _fill_in_visits(record: Record, found: float) -> None:
    record["found"] = found
    record["precision_at_capacity"] = found / record["visits"] if record["visits"] else None
    record["recall_at_capacity"] = found / record["events"] if record["events"] else None


def _plain(record: Record) -> Record:
    """Return the record with None for what is not a number, as JSON has no NaN."""
    return {
        name: None if isinstance(value, float) and np.isnan(value) else value
        for name, value in record.items()
    }


def _joined(parts: Sequence[Array]) -> Array:
    return np.concatenate(parts) if parts else np.zeros(0)


def _stacked(parts: Sequence[Array | None]) -> Array | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None
