"""Sample paths of counts by village and month; every other level is a sum of them, so all levels agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Paths = NDArray[np.int32]
# A year later, about a third of a county's departure from its mean is left.
_PERSISTENCE = 0.92
# One county alone cannot tell an error of the model from one of its own: half the variance each.
_SHARED = 0.5


@dataclass(frozen=True)
class Spread:
    """How far counts may be from their mean.

    Attributes
    ----------
    county : float
        Standard deviation of the logarithm of a county's level, which lasts.
    time : float
        Standard deviation of the logarithm of a county's month, which does not.
    village_shape : float
        Shape of the gamma that a village's level is drawn from: its variance is 1 over this.
    month_shape : float
        Shape of the negative binomial of a village's month; infinite means Poisson.
    """

    county: float
    time: float
    village_shape: float
    month_shape: float


def sample_paths(mean: Array, spread: Spread, county_code: str, draws: int, seed: int) -> Paths:
    """Return draws of counts by village and month, shape ``(draws, n_villages, steps)``.

    Parameters
    ----------
    mean : ndarray, shape (n_villages, steps)
        Expected counts; 0 or more.
    spread : Spread
    county_code : str
        A county has its own stream, so its paths do not depend on which other counties are forecast.
    draws : int
    seed : int

    Notes
    -----
    A count is Poisson around the mean times five effects of mean 1: of the parameters (lognormal, the same
    for all counties in a draw), of the county over time (lognormal, first-order autoregressive), of the
    county's single month (lognormal), of the village (gamma) and of the village's month (gamma, which makes
    the count negative binomial).
    """
    common = np.random.default_rng([seed, 0])
    own = np.random.default_rng([seed, 1, crc32(county_code.encode())])
    steps = mean.shape[1]
    variance = spread.county**2
    shared = common.standard_normal(draws)[:, None] * np.sqrt(_SHARED * variance)
    walk = np.empty((draws, steps))
    state = own.standard_normal(draws)
    for month in range(steps):
        walk[:, month] = state
        state = _PERSISTENCE * state + np.sqrt(1 - _PERSISTENCE**2) * own.standard_normal(draws)
    single = spread.time * own.standard_normal((draws, steps)) - spread.time**2 / 2
    effect = np.exp(shared + np.sqrt((1 - _SHARED) * variance) * walk - variance / 2 + single)
    villages = own.gamma(spread.village_shape, 1 / spread.village_shape, (draws, len(mean), 1))
    rate = mean[None] * effect[:, None, :] * villages
    if np.isfinite(spread.month_shape):
        rate *= own.gamma(spread.month_shape, 1 / spread.month_shape, rate.shape)
    paths: Paths = own.poisson(rate).astype(np.int32)
    return paths


def sum_groups(paths: NDArray[Any], group: NDArray[np.int64], n_groups: int) -> NDArray[Any]:
    """Return paths summed over villages of each group, shape ``(draws, n_groups, steps)``."""
    if np.array_equal(group, np.arange(n_groups)):
        return paths
    found = np.zeros((paths.shape[0], n_groups, paths.shape[2]), dtype=np.int64)
    order = np.argsort(group, kind="stable")
    used, starts = np.unique(group[order], return_index=True)
    found[:, used] = np.add.reduceat(paths[:, order].astype(np.int64), starts, axis=1)
    return found
