"""What further visits would have found: the curve by which a county chooses how many it makes.

Beside the share of relapses that a list finds in all stands what each step adds: of the visits between one
capacity and the next, how many met a household that relapsed. A county goes on while that is worth a visit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from relapse_risk.evaluation.gain import ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.records import found_at_capacities

STEPS = (0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5)
CURVE_POLICIES = ("rules+model", "rules")


def capacity_curve(
    origins: Sequence[JudgedOrigin],
    cluster: str,
    replicates: int,
    seed: int,
    steps: Sequence[float] = STEPS,
    policies: Sequence[str] = CURVE_POLICIES,
) -> pl.DataFrame:
    """Return what each step of capacity adds, over all origins, judged forward in time.

    Parameters
    ----------
    origins : sequence of JudgedOrigin
        Households in tier 红 are not among them: every capacity visits those beforehand.
    cluster : str
        Column of the index whose groups are resampled.
    replicates, seed : int
    steps : sequence of float
        Rising capacities, as shares of the households judged.
    policies : sequence of str

    Returns
    -------
    polars.DataFrame
        One row per policy and step: ``policy``, ``capacity``, ``visits`` and ``found`` (relapses) up to it,
        ``recall``, ``further_visits`` since the step before, and ``per_100_further``, the relapses found per
        100 of these, with ``_low`` (0 or more) and ``_high`` (95%, clusters resampled; null without
        replicates) and ``is_too_few_clusters``. A step that adds no visit, as in a small county, is left out.
    """
    bootstrap = ClusterBootstrap.of(pl.concat([o.index[cluster] for o in origins]), replicates, seed)
    outcome = np.concatenate([origin.outcome for origin in origins])
    visits = [sum(visits_at(step, len(origin.outcome)) for origin in origins) for step in steps]
    grown = [k for k in range(len(steps)) if visits[k] > (visits[k - 1] if k else 0)]
    kept, spent = [steps[k] for k in grown], [visits[k] for k in grown]
    rows = []
    for policy in (name for name in policies if all(name in origin.plans for origin in origins)):
        once = np.ones((1, len(outcome)))
        found = [float(each[0]) for each in found_at_capacities(policy, origins, kept, once)[0]]
        drawn = [found_at_capacities(policy, origins, kept, part)[:2] for part in bootstrap.row_weights()]
        for k, capacity in enumerate(kept):
            further = spent[k] - (spent[k - 1] if k else 0)
            point = 100.0 * (found[k] - (found[k - 1] if k else 0.0)) / further
            draws = [100.0 * ratio(_step(events, k), _step(used, k)) for events, used in drawn]
            interval = bootstrap.interval(np.concatenate(draws) if draws else np.zeros(0), point)
            rows.append(
                {
                    "policy": policy,
                    "capacity": capacity,
                    "visits": spent[k],
                    "found": found[k],
                    "recall": found[k] / outcome.sum() if outcome.any() else None,
                    "further_visits": further,
                    "per_100_further": point,
                    "per_100_further_low": _known(max(interval.low, 0.0)),
                    "per_100_further_high": _known(interval.high),
                    "is_too_few_clusters": bootstrap.is_too_few,
                }
            )
    return pl.DataFrame(rows, schema=_SCHEMA)


_SCHEMA = {
    "policy": pl.String,
    "capacity": pl.Float64,
    "visits": pl.Int64,
    "found": pl.Float64,
    "recall": pl.Float64,
    "further_visits": pl.Int64,
    "per_100_further": pl.Float64,
    "per_100_further_low": pl.Float64,
    "per_100_further_high": pl.Float64,
    "is_too_few_clusters": pl.Boolean,
}


def _step(values: list[np.ndarray], k: int) -> np.ndarray:
    """Return what the ``k``-th capacity adds to the one before, by replicate."""
    step: np.ndarray = values[k] - (values[k - 1] if k else 0.0)
    return step


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
