"""Visits spent and events found down a list: one curve that every ranking metric is read off.

A :class:`GainCurve` has households in falling order of their score, with the visits spent and the events
found after each group of equal scores. Between the ends of a group the curve is a straight line, which is the
expected value over all random orders of the tied households; no order that happens to be in the file can
help or harm a policy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relapse_risk.errors import ConfigurationError

Array = NDArray[np.float64]


def visits_at(capacity: float, n: int) -> int:
    """Return the number of visits a capacity allows among ``n`` households.

    Parameters
    ----------
    capacity : float
        A share of the cohort where below 1, else a number of visits.
    n : int
        Households that may be visited.

    Returns
    -------
    int
        Rounded half up; at least 1 where there is anyone to visit, and never more than ``n``.

    Raises
    ------
    ConfigurationError
        RR451 where the capacity is not positive.

    Examples
    --------
    >>> visits_at(0.05, 1510), visits_at(200, 1510), visits_at(200, 80)
    (76, 200, 80)
    """
    if not capacity > 0:
        raise ConfigurationError(
            "RR451",
            "capacity",
            f"found {capacity}",
            "a share between 0 and 1, or a number of visits of 1 or more",
            "Correct the capacity",
            zh=f"走访容量 {capacity} 无效，请填写0到1之间的比例或不小于1的户数。",
        )
    wanted = capacity * n if capacity < 1 else capacity
    return min(n, max(1, int(np.floor(wanted + 0.5))))


@dataclass(frozen=True)
class ScoreOrder:
    """The order a score gives, computed once and used for any number of weightings.

    Attributes
    ----------
    order : ndarray of int64, shape (n_rows,)
        Row positions from the highest score to the lowest.
    starts : ndarray of int64, shape (n_groups,)
        Where in ``order`` each group of equal scores starts.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, score: ArrayLike) -> ScoreOrder:
        """Return the order of ``score``, shape ``(n_rows,)``; rows whose score is NaN come last, tied."""
        values = np.asarray(score, dtype=np.float64)
        values = np.where(np.isnan(values), -np.inf, values)
        order = np.argsort(-values, kind="stable")
        ranked = values[order]
        is_start = np.ones(len(ranked), dtype=bool)
        is_start[1:] = ranked[1:] != ranked[:-1]
        return cls(order, np.flatnonzero(is_start))

    def gain(self, outcome: ArrayLike, weights: Array | None = None) -> GainCurve:
        """Return the gain curve of ``outcome`` in this order.

        Parameters
        ----------
        outcome : array of float, shape (n_rows,)
            1 event, 0 none.
        weights : ndarray of float64, shape (n_rows,) or (n_replicates, n_rows), optional
            How often each row counts; 1 where not given.

        Returns
        -------
        GainCurve
            With one row per replicate.
        """
        events = np.asarray(outcome, dtype=np.float64)[self.order]
        rows = np.ones((1, len(events))) if weights is None else np.atleast_2d(weights)[:, self.order]
        visits = np.zeros((len(rows), len(self.starts) + 1))
        found = np.zeros_like(visits)
        if len(events):
            np.cumsum(np.add.reduceat(rows, self.starts, axis=1), axis=1, out=visits[:, 1:])
            np.cumsum(np.add.reduceat(rows * events, self.starts, axis=1), axis=1, out=found[:, 1:])
        return GainCurve(visits, found)


@dataclass(frozen=True)
class GainCurve:
    """Visits spent and events found down a list, at the end of each group of equal scores.

    Attributes
    ----------
    visits, found : ndarray of float64, shape (n_replicates, n_groups + 1)
        Cumulated weights of rows and of events; both start at 0.
    """

    visits: Array
    found: Array

    @property
    def n(self) -> Array:
        """Weight of all rows, shape ``(n_replicates,)``."""
        return self.visits[:, -1]

    @property
    def events(self) -> Array:
        """Weight of all events, shape ``(n_replicates,)``."""
        return self.found[:, -1]

    def found_at(self, visits: ArrayLike) -> Array:
        """Return the expected number of events among the first ``visits`` rows, shape ``(n_replicates,)``."""
        if self.visits.shape[1] == 1:
            return np.zeros(len(self.visits))
        wanted = np.broadcast_to(np.asarray(visits, dtype=np.float64), (len(self.visits),))
        return np.array(
            [np.interp(w, v, f) for w, v, f in zip(wanted, self.visits, self.found, strict=True)],
            dtype=np.float64,
        )

    def roc_auc(self) -> Array:
        """Return the area under the ROC curve, shape ``(n_replicates,)``; NaN without both outcomes."""
        negatives = self.visits - self.found
        area = (np.diff(negatives, axis=1) * (self.found[:, 1:] + self.found[:, :-1]) / 2).sum(axis=1)
        return ratio(area, self.events * negatives[:, -1])

    def pr_auc(self) -> Array:
        """Return the average precision, shape ``(n_replicates,)``; NaN without an event."""
        precision = np.divide(self.found, self.visits, out=np.zeros_like(self.found), where=self.visits > 0)
        return ratio((np.diff(self.found, axis=1) * precision[:, 1:]).sum(axis=1), self.events)


def ratio(top: Array, bottom: Array) -> Array:
    """Return ``top / bottom``; NaN where ``bottom`` is 0."""
    result = np.full(np.shape(top), np.nan)
    np.divide(top, bottom, out=result, where=bottom > 0)
    return result
