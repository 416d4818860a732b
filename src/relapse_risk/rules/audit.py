"""The random audit sample: households that are not listed otherwise, so that what a list misses is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relapse_risk.features.expression import Array

_SCORE_BANDS = 5


def audit_strata(townships: ArrayLike, ranking: Array | None, bands: int = _SCORE_BANDS) -> NDArray[np.int64]:
    """Return the strata of the audit sample, township x score band, as whole numbers, shape ``(n,)``.

    Bands hold equal numbers of rows by ``ranking``; rows without one are a band of their own.
    """
    _, township = np.unique(np.asarray(townships), return_inverse=True)
    band = np.zeros(len(township), dtype=np.int64)
    if ranking is not None and len(ranking):
        is_known = ~np.isnan(ranking)
        places = np.argsort(np.argsort(ranking[is_known], kind="stable"), kind="stable")
        band[is_known] = 1 + places * bands // max(int(is_known.sum()), 1)
    return np.asarray(township, dtype=np.int64) * (bands + 1) + band


def draw_audit(
    pool: NDArray[np.int64],
    strata: ArrayLike | None,
    stable_key: Array,
    size: int,
    seed: int | tuple[int, ...],
) -> NDArray[np.int64]:
    """Return ``size`` rows of the pool, each drawn with the same probability, spread over the strata.

    Parameters
    ----------
    pool : ndarray of int64, shape (n_pool,)
        Positions of the rows that may be drawn.
    strata : array_like or None, shape (n,)
        Stratum of every row, not of the pool only.
    stable_key : ndarray of float64, shape (n,)
        Unique; the sample does not depend on the order of the rows.
    size : int
        At most ``n_pool``.
    seed : int or tuple of int

    Returns
    -------
    ndarray of int64, shape (size,)
        Without repetition. A row's probability is ``size / n_pool``.

    Notes
    -----
    Systematic sampling with a random start from the pool sorted by stratum, in random order within it: each
    stratum gets its share to within one row.
    """
    if size == 0:
        return pool[:0]
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(pool[np.argsort(stable_key[pool], kind="stable")])
    stratum = np.zeros(len(stable_key)) if strata is None else np.asarray(strata)
    by_stratum = shuffled[np.argsort(stratum[shuffled], kind="stable")]
    places = np.floor((np.arange(size) + generator.random()) * (len(pool) / size)).astype(np.int64)
    drawn: NDArray[np.int64] = by_stratum[np.minimum(places, len(pool) - 1)]
    return drawn
