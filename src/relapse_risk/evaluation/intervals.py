"""Intervals by clusters: villages, townships or counties, drawn whole and jointly across origins.

Households of one village share weather, employers and those who record them, and one household is judged on
many dates; resampling rows would call such figures surer than they are. With few clusters a bootstrap is too
narrow: each is left out in turn instead, and Student's t, with one degree of freedom less than there are
clusters, makes the interval.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Array = NDArray[np.float64]

TOO_FEW_CLUSTERS = 30
LEVEL = 0.95

# Rows times replicates weighted at once: about 16 MB of float64.
_BLOCK_VALUES = 2_000_000


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval, and whether there are clusters enough to trust it.

    Attributes
    ----------
    low, high : float
        NaN where fewer than half of the replicates have a value.
    n_clusters : int
    is_too_few : bool
        Fewer than ``TOO_FEW_CLUSTERS`` clusters: the interval is shown, but is no ground for a judgement.
    """

    low: float
    high: float
    n_clusters: int
    is_too_few: bool


@dataclass(frozen=True)
class ClusterBootstrap:
    """Replicates of a set of rows, in which whole clusters are drawn with replacement.

    Attributes
    ----------
    cluster_of_row : ndarray of int64, shape (n_rows,)
        Position of each row's cluster.
    draws : ndarray of float64, shape (n_replicates, n_clusters)
        How often each cluster was drawn; every row of the array sums to ``n_clusters``. With fewer than
        ``TOO_FEW_CLUSTERS`` each row leaves one cluster out, and there are as many rows as clusters.
    """

    cluster_of_row: NDArray[np.int64]
    draws: Array

    @classmethod
    def of(cls, clusters: pl.Series, replicates: int, seed: int) -> ClusterBootstrap:
        """Draw the replicates.

        Parameters
        ----------
        clusters : polars.Series, shape (n_rows,)
            Cluster of every row; rows of all origins together, so that a cluster is drawn on all of them.
            Rows without one share a cluster.
        replicates : int
        seed : int
            Equal seeds and equal sets of clusters give equal draws, whatever the order of the rows.
        """
        labels, positions = np.unique(clusters.cast(pl.String).fill_null("").to_numpy(), return_inverse=True)
        n = len(labels)
        if not n:
            return cls(np.zeros(0, dtype=np.int64), np.zeros((replicates, 0)))
        if replicates and n < TOO_FEW_CLUSTERS:
            return cls(positions.astype(np.int64), np.ones((n, n)) - np.eye(n))
        draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1.0 / n), size=replicates)
        return cls(positions.astype(np.int64), draws.astype(np.float64))

    @property
    def n_clusters(self) -> int:
        """Number of different clusters."""
        return int(self.draws.shape[1])

    @property
    def is_too_few(self) -> bool:
        """Whether there are fewer clusters than ``TOO_FEW_CLUSTERS``."""
        return self.n_clusters < TOO_FEW_CLUSTERS

    def row_weights(self) -> Iterator[Array]:
        """Yield the weights of all rows, shape ``(n_in_block, n_rows)``, some replicates at a time."""
        block = max(1, _BLOCK_VALUES // max(1, len(self.cluster_of_row)))
        for start in range(0, len(self.draws), block):
            yield self.draws[start : start + block][:, self.cluster_of_row]

    def interval(self, values: Array, point: float | None = None) -> Interval:
        """Return the 95% interval of a statistic, from its replicates.

        Parameters
        ----------
        values : ndarray of float64, shape (n_replicates,)
            The statistic in each replicate, or the difference of two in the same replicate, which makes
            a paired comparison. NaN where a replicate has no value, such as one without an event.
        point : float, optional
            The statistic of all rows, about which the t-interval of few clusters lies; the replicates' mean
            where not given.

        Notes
        -----
        Percentile method: Efron (1979), doi:10.1214/aos/1176344552; by clusters: Field and Welsh (2007),
        doi:10.1111/j.1467-9868.2007.00593.x. Few clusters: jackknife standard error and t-interval, Cameron
        and Miller (2015), doi:10.3368/jhr.50.2.317.
        """
        known = values[~np.isnan(values)]
        if 2 * len(known) < len(values) or not len(known):
            return Interval(float("nan"), float("nan"), self.n_clusters, self.is_too_few)
        if self.is_too_few:
            low, high = _t_interval(known, float(known.mean()) if point is None else point)
        else:
            low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Interval(float(low), float(high), self.n_clusters, self.is_too_few)


def _t_interval(left_out: Array, point: float) -> tuple[float, float]:
    """Return the interval about ``point`` from values with one cluster left out each; NaN for one alone."""
    from scipy.stats import t

    n = len(left_out)
    if n < 2:
        return float("nan"), float("nan")
    error = np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum())
    half = float(t.ppf((1 + LEVEL) / 2, n - 1) * error)
    return point - half, point + half
