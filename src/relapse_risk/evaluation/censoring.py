"""What those who were not wholly seen may change: weighted for, and at best and at worst.

The headline is judged on households whose outcome is known. Here the same policies list everybody at risk,
as they would have on the day, and three answers are given. *Complete cases* leave out who was not seen.
*Weighted* lets those seen stand also for those of their cell who were not. The *bounds* assume nothing:
whatever became of the unseen lies between them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.course import EXITS, NONE
from relapse_risk.evaluation.gain import ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.plans import VisitPlan
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels

Array = NDArray[np.float64]

POLICIES = ("rules", "model", "rules+model")
GREATEST_WEIGHT = 5.0
FEWEST_IN_CELL = 50


@dataclass(frozen=True)
class SeenOrigin:
    """Everybody at risk on one date and not in 红, seen or not, with what was listed.

    Attributes
    ----------
    index : polars.DataFrame
        Columns of clusters.
    labels : Labels
    cells : ndarray of str, shape (n_rows,)
        Known facts of the as-of date by which households are alike in being seen; see :func:`cells_of`.
    plans : mapping of str to VisitPlan
    """

    index: pl.DataFrame
    labels: Labels
    cells: NDArray[np.str_]
    plans: Mapping[str, VisitPlan]


def cells_of(matrix: FeatureMatrix) -> NDArray[np.str_]:
    """Return the cell of each row: household type, one, two or more persons, and whether all are elders."""
    size, elders = (
        matrix.column(name) if name in matrix.features else np.full(len(matrix), np.nan)
        for name in ("household_size", "elder_n")
    )
    band = np.select([size <= 1, size <= 2, size > 2], ["1", "2", "3+"], "?")
    all_old = np.where(elders >= size, "elders", "")
    kinds = matrix.index["household_type"].fill_null("").to_numpy()
    return np.array(["|".join(parts) for parts in zip(kinds, band, all_old, strict=True)], dtype=np.str_)


def censoring_weights(labels: Labels, cells: NDArray[np.str_]) -> Array:
    """Return the inverse probability of having been seen; 0 where the outcome is not known.

    Parameters
    ----------
    labels : Labels
    cells : ndarray of str, shape (n_rows,)
        Cells of fewer than ``FEWEST_IN_CELL`` rows are taken together.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Before they are bounded.

    Notes
    -----
    ``1 / G``, ``G`` the Kaplan–Meier estimate, by cell, of being seen up to the month before the event, or
    through the whole window (Robins and Finkelstein 2000, doi:10.1111/j.0006-341X.2000.00779.x). It holds if
    within a cell those who are not seen fare like those who are.
    """
    outcome, horizon = labels.outcome, labels.horizon_months
    is_censored = np.isnan(outcome)
    end = np.where(outcome == 1.0, labels.event_month, horizon)
    end = np.where(is_censored, labels.observed_months, end)
    names, cell, sizes = np.unique(cells, return_inverse=True, return_counts=True)
    cell = np.where(sizes[cell] < FEWEST_IN_CELL, len(names), cell)
    seen = np.ones((len(names) + 1, horizon + 1))
    for month in range(horizon):
        lost = is_censored & (np.floor(end) == month)
        # Who has the event in a month is not lost at the end of it.
        at_risk = (end > month) | lost
        n, n_lost = (np.bincount(cell[rows], minlength=len(seen)) for rows in (at_risk, lost))
        hazard = np.divide(n_lost, n, out=np.zeros(len(seen)), where=n > 0)
        seen[:, month + 1] = seen[:, month] * (1.0 - hazard)
    survival = seen[cell, np.minimum(np.ceil(np.maximum(end, 0.0)).astype(np.int64), horizon)]
    weights = np.zeros(len(outcome))
    np.divide(1.0, survival, out=weights, where=~is_censored & (survival > 0))
    return weights


def censoring_table(
    origins: Sequence[SeenOrigin], capacities: Sequence[float], cluster: str, replicates: int, seed: int
) -> pl.DataFrame:
    """Return share of events, precision and recall over all origins: complete cases, weighted, and bounds.

    Returns
    -------
    polars.DataFrame
        ``figure`` (``event_share``, ``precision``, ``recall``), ``policy`` and ``capacity`` (None for the
        share of events), ``n``, ``n_censored``, ``complete``, ``weighted`` with ``_low`` and ``_high``
        (by clusters; the weights are taken as known), ``bound_low``, ``bound_high``; and of the weights
        ``largest_weight`` before they were bounded and ``n_bounded``.
    """
    bootstrap = ClusterBootstrap.of(pl.concat([o.index[cluster] for o in origins]), replicates, seed)
    outcome = np.concatenate([origin.labels.outcome for origin in origins])
    raw = np.concatenate([censoring_weights(origin.labels, origin.cells) for origin in origins])
    weights = np.minimum(raw, GREATEST_WEIGHT)
    common = {
        "n": len(outcome),
        "n_censored": int(np.isnan(outcome).sum()),
        "largest_weight": float(raw.max(initial=0.0)),
        "n_bounded": int((raw > GREATEST_WEIGHT).sum()),
    }
    everyone = np.ones(len(outcome))
    share = _figure(everyone, outcome, weights, bootstrap)
    rows: list[dict[str, object]] = [{"figure": "event_share", "policy": None, "capacity": None} | share]
    for policy in POLICIES:
        for capacity in capacities:
            chances = [o.plans[policy].selection(visits_at(capacity, len(o.index))) for o in origins]
            chance = np.concatenate(chances)
            at = {"policy": policy, "capacity": capacity}
            rows.append({"figure": "precision", **at} | _figure(chance, outcome, weights, bootstrap))
            rows.append({"figure": "recall", **at} | _recall(chance, outcome, weights, bootstrap))
    return pl.DataFrame(
        [row | common for row in rows],
        schema_overrides={"policy": pl.String, "capacity": pl.Float64, "weighted_low": pl.Float64},
        infer_schema_length=None,
    )


def exits_table(origins: Sequence[SeenOrigin]) -> pl.DataFrame:
    """Return how many at risk ceased to be seen and why, and what was known of them by then.

    Returns
    -------
    polars.DataFrame
        ``exit``, ``n``, and of these ``events``, ``free`` and ``censored``.
    """
    outcome = np.concatenate([origin.labels.outcome for origin in origins])
    codes = [o.labels.course.exit for o in origins if o.labels.course is not None]
    code = np.concatenate(codes) if len(codes) == len(origins) else np.full(len(outcome), NONE)
    rows = []
    for number, name in ((NONE, "none"), *enumerate(EXITS)):
        of_exit = outcome[code == number]
        counts = ((of_exit == 1).sum(), (of_exit == 0).sum(), np.isnan(of_exit).sum())
        events, free, censored = (int(count) for count in counts)
        rows.append({"exit": name, "n": len(of_exit), "events": events, "free": free, "censored": censored})
    return pl.DataFrame(rows)


def _figure(part: Array, outcome: Array, weights: Array, bootstrap: ClusterBootstrap) -> dict[str, object]:
    """Return the mean outcome of a part of the households."""
    seen, event = ~np.isnan(outcome), np.nan_to_num(outcome)
    found, unseen = float(part @ event), float(part @ ~seen)
    return {
        "complete": _over(found, float(part @ seen)),
        **_weighted(part * weights * event, part * weights, bootstrap),
        "bound_low": _over(found, float(part.sum())),
        "bound_high": _over(found + unseen, float(part.sum())),
    }


def _recall(part: Array, outcome: Array, weights: Array, bootstrap: ClusterBootstrap) -> dict[str, object]:
    """Return the share of events in a part; at worst all unseen outside of it relapse, at best all inside."""
    seen, event = ~np.isnan(outcome), np.nan_to_num(outcome)
    found, events = float(part @ event), float(event.sum())
    inside, outside = float(part @ ~seen), float((1.0 - part) @ ~seen)
    return {
        "complete": _over(found, events),
        **_weighted(part * weights * event, weights * event, bootstrap),
        "bound_low": _over(found, events + outside),
        "bound_high": _over(found + inside, events + inside),
    }


def _weighted(top: Array, bottom: Array, bootstrap: ClusterBootstrap) -> dict[str, object]:
    sums = np.stack(
        [
            np.bincount(bootstrap.cluster_of_row, part, minlength=bootstrap.n_clusters)
            for part in (top, bottom)
        ]
    )
    point = _over(float(top.sum()), float(bottom.sum()))
    drawn = sums @ bootstrap.draws.T
    interval = bootstrap.interval(ratio(drawn[0], drawn[1]), point)
    low, high = (None if np.isnan(end) else end for end in (interval.low, interval.high))
    return {"weighted": point, "weighted_low": low, "weighted_high": high}


def _over(top: float, bottom: float) -> float | None:
    return top / bottom if bottom > 0 else None
