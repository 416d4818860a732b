"""From plans and outcomes to records: one per origin, policy and capacity, and one for all origins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.evaluation.gain import ScoreOrder, ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.lead_time import LEAD_FIGURES, LeadTimes
from relapse_risk.evaluation.metrics import brier, pr_auc, roc_auc

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
    "true_risk_over_rules",
    *LEAD_FIGURES,
    "lead_90_days_share_over_rules",
)


def records_of(origin: JudgedOrigin, capacities: Sequence[float]) -> list[Record]:
    """Return one record per policy and capacity; what has no meaning is None."""
    n, events = len(origin.outcome), float(origin.outcome.sum())
    visits = {capacity: visits_at(capacity, n) for capacity in capacities}
    found = {
        (policy, capacity): _expected(origin, policy, visits[capacity])
        for policy in origin.plans
        for capacity in capacities
    }
    records = []
    for policy, plan in origin.plans.items():
        ranking = _ranking_metrics(origin.outcome, plan.score, plan.risk)
        for capacity in capacities:
            record = _record(policy, str(origin.origin), capacity, visits[capacity], n, events)
            record |= {"n_censored": origin.n_censored, **origin.red_counts, **ranking}
            of_events, of_risk = found[policy, capacity]
            _fill_in_visits(record, of_events, of_risk)
            for other in COMPARED_WITH:
                record[f"found_over_{other}"] = of_events - found[other, capacity][0]
            if of_risk is not None:
                record["true_risk_over_rules"] = of_risk - (found["rules", capacity][1] or 0.0)
            records.append(_plain(record))
    return records


def _expected(origin: JudgedOrigin, policy: str, visits: int) -> tuple[float, float | None]:
    """Return the events, and the sum of true risk, that a policy's visits meet."""
    chance = origin.plans[policy].selection(visits)
    risk = None if origin.oracle is None else float((chance * origin.oracle).sum())
    return float((chance * origin.outcome).sum()), risk


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
    scaled to the visits really spent; so is ``true_risk_over_rules``, which compares the summed true risk of
    those visited instead of one realised draw. Lead times are those of
    :mod:`relapse_risk.evaluation.lead_time`.
    """
    policies = [name for name in origins[0].plans if all(name in origin.plans for origin in origins)]
    bootstrap = ClusterBootstrap.of(pl.concat([o.index[cluster] for o in origins]), replicates, seed)
    pooled = {policy: _Pooled.of(policy, origins, capacities, bootstrap, is_one_model) for policy in policies}
    lead = {
        (policy, capacity): LeadTimes.of(policy, capacity, origins)
        for policy in policies
        for capacity in capacities
    }
    records = []
    for policy in policies:
        for k, capacity in enumerate(capacities):
            record = _pooled_record(policy, capacity, origins, bootstrap) | pooled[policy].point
            _fill_in_visits(record, pooled[policy].found[k], pooled[policy].true_risk[k])
            draws = pooled[policy].draws(k)
            for other in (name for name in COMPARED_WITH if name in pooled):
                record[f"found_over_{other}"] = pooled[policy].found[k] - pooled[other].found[k]
                difference = pooled[policy].precision[k] - pooled[other].precision[k]
                draws[f"found_over_{other}"] = record["visits"] * difference
            mine, rules = pooled[policy].true_risk[k], pooled["rules"].true_risk[k]
            if mine is not None and rules is not None:
                record["true_risk_over_rules"] = mine - rules
                risk_of = pooled[policy].risk_share[k] - pooled["rules"].risk_share[k]
                draws["true_risk_over_rules"] = record["visits"] * risk_of
            for name, (point, values) in _lead_figures(lead, policy, capacity, bootstrap).items():
                record[name], draws[name] = point, values
            for name, values in draws.items():
                interval = bootstrap.interval(values, record[name])
                record[f"{name}_low"], record[f"{name}_high"] = interval.low, interval.high
            records.append(_plain(record))
    return records


def _pooled_record(
    policy: str, capacity: float, origins: Sequence[JudgedOrigin], bootstrap: ClusterBootstrap
) -> Record:
    visits = sum(visits_at(capacity, len(origin.outcome)) for origin in origins)
    events = float(sum(origin.outcome.sum() for origin in origins))
    n = sum(len(origin.outcome) for origin in origins)
    return _record(policy, ALL_ORIGINS, capacity, visits, n, events) | {
        "n_censored": sum(origin.n_censored for origin in origins),
        "n_red": sum(origin.red_counts["n_red"] for origin in origins),
        "events_red": sum(origin.red_counts["events_red"] for origin in origins),
        "n_clusters": bootstrap.n_clusters,
        "is_too_few_clusters": bootstrap.is_too_few,
    }


def _lead_figures(
    lead: dict[tuple[str, float], LeadTimes], policy: str, capacity: float, bootstrap: ClusterBootstrap
) -> dict[str, tuple[float, Array]]:
    figures = lead[policy, capacity].figures(bootstrap)
    share, draws = figures["lead_90_days_share"]
    rules_share, rules_draws = lead["rules", capacity].figures(bootstrap)["lead_90_days_share"]
    return {**figures, "lead_90_days_share_over_rules": (share - rules_share, draws - rules_draws)}


@dataclass(frozen=True)
class _Pooled:
    """One policy over all origins: figures, and their replicates."""

    point: Record
    found: list[float]
    ranking: dict[str, Array]
    precision: list[Array]
    recall: list[Array]
    true_risk: list[float | None]
    risk_share: list[Array]

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
        has_truth = all(origin.oracle is not None for origin in origins)
        orders = None if score is None else [(block, ScoreOrder.of(score[block])) for block in blocks]
        squared = None if risk is None else (risk - outcome) ** 2

        def figures(weights: Array) -> tuple[dict[str, Array], list[Array], list[Array], list[Array]]:
            ranking = {} if orders is None else ranking_over(orders, outcome, weights)
            if squared is not None:
                ranking["brier"] = ratio(weights @ squared, weights.sum(axis=1))
            return ranking, *found_at_capacities(policy, origins, capacities, weights)

        once, found, _, true_risk = figures(np.ones((1, len(outcome))))
        draws = [(weights @ outcome, *figures(weights)) for weights in bootstrap.row_weights()]
        each = range(len(capacities))
        return cls(
            point={name: float(values[0]) for name, values in once.items()},
            found=[float(values[0]) for values in found],
            ranking={name: np.concatenate([part[1][name] for part in draws]) for name in once if draws},
            precision=[_joined([ratio(part[2][k], part[3][k]) for part in draws]) for k in each],
            recall=[_joined([ratio(part[2][k], part[0]) for part in draws]) for k in each],
            true_risk=[float(values[0]) if has_truth else None for values in true_risk],
            risk_share=[_joined([ratio(part[4][k], part[3][k]) for part in draws]) for k in each],
        )

    def draws(self, k: int) -> dict[str, Array]:
        """Return the replicates of every metric at one capacity."""
        return {
            **self.ranking,
            "precision_at_capacity": self.precision[k],
            "recall_at_capacity": self.recall[k],
        }


def ranking_over(
    orders: Sequence[tuple[slice | NDArray[np.int64], ScoreOrder]], outcome: Array, weights: Array
) -> dict[str, Array]:
    """Return weighted means of ROC-AUC and PR-AUC over blocks of rows, by replicate.

    Parameters
    ----------
    orders : sequence of (rows, ScoreOrder)
        Rows that one model scored, and their order.
    outcome : ndarray of float64, shape (n_rows,)
    weights : ndarray of float64, shape (n_replicates, n_rows)
    """
    area, pairs, precision, events = (np.zeros(len(weights)) for _ in range(4))
    for block, order in orders:
        gain = order.gain(outcome[block], weights[:, block])
        of_block = gain.events * (gain.n - gain.events)
        area += np.nan_to_num(gain.roc_auc()) * of_block
        pairs += of_block
        precision += np.nan_to_num(gain.pr_auc()) * gain.events
        events += gain.events
    return {"roc_auc": ratio(area, pairs), "pr_auc": ratio(precision, events)}


def found_at_capacities(
    policy: str, origins: Sequence[JudgedOrigin], capacities: Sequence[float], weights: Array
) -> tuple[list[Array], list[Array], list[Array]]:
    """Return events found, visits spent and true risk met over all origins, by capacity and replicate."""
    found, spent, risk = ([np.zeros(len(weights)) for _ in capacities] for _ in range(3))
    start = 0
    for origin in origins:
        n = len(origin.outcome)
        part = weights[:, start : start + n]
        plan = origin.plans[policy]
        gains = plan.gains(origin.outcome, part)
        risk_gains = None if origin.oracle is None else plan.gains(origin.oracle, part)
        scale = part.sum(axis=1) / max(n, 1)
        for k, capacity in enumerate(capacities):
            visits = visits_at(capacity, n)
            found[k] += plan.found(gains, visits)
            spent[k] += visits * scale
            if risk_gains is not None:
                risk[k] += plan.found(risk_gains, visits)
        start += n
    return found, spent, risk


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
        "n_red": None,
        "events_red": None,
        "found": None,
        "lift": None,
        "true_risk_found": None,
    }
    for name in _WITH_INTERVAL:
        record |= {name: None, f"{name}_low": None, f"{name}_high": None}
    return {**record, "n_clusters": None, "is_too_few_clusters": None}


def _fill_in_visits(record: Record, found: float, true_risk: float | None) -> None:
    record["found"] = found
    record["precision_at_capacity"] = found / record["visits"] if record["visits"] else None
    record["recall_at_capacity"] = found / record["events"] if record["events"] else None
    if record["visits"] and record["events"]:
        record["lift"] = record["precision_at_capacity"] / (record["events"] / record["n"])
    record["true_risk_found"] = true_risk


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
