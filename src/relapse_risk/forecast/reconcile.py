"""Makes forecasts of villages, townships and county agree: MinT with a diagonal of error variances.

For a tree, the generalised least squares of MinT is two sweeps, up and down, so that no matrix is built.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LEAST = 1e-12


def reconcile_tree(
    villages: Array,
    townships: Array,
    county: Array,
    variances: tuple[Array, Array, Array],
    township_of: NDArray[np.int64],
) -> Array:
    """Return village forecasts whose sums come closest to the forecasts of all levels.

    Parameters
    ----------
    villages, townships, county : ndarray, shapes (n_villages, steps), (n_townships, steps), (steps,)
        Forecasts made for each level by itself.
    variances : tuple of ndarray
        Of their errors, one value a series: shapes (n_villages,), (n_townships,), (1,).
    township_of : ndarray of int64, shape (n_villages,)

    Returns
    -------
    ndarray, shape (n_villages, steps)
        Never negative; townships and county are its sums. Higher means more cases.

    Notes
    -----
    Minimum trace reconciliation (Wickramasuriya, Athanasopoulos and Hyndman 2019,
    doi:10.1080/01621459.2018.1448825) with the variances as the diagonal of W (WLS). What would fall below
    0 is set to 0 and the others of the county scaled to keep its total.

    Examples
    --------
    >>> one = np.ones(2)
    >>> found = reconcile_tree(
    ...     np.array([[1.0], [2.0]]), np.array([[3.0]]), np.array([6.0]), (one, one[:1], one[:1]),
    ...     np.array([0, 0]),
    ... )
    >>> float(found.sum().round(4))
    4.2
    """
    var_village, var_township, var_county = (np.maximum(values, _LEAST) for values in variances)
    n = len(townships)
    sums = np.zeros_like(townships)
    np.add.at(sums, township_of, villages)
    var_sums = np.bincount(township_of, var_village, n)
    gain = (var_sums / (var_sums + var_township))[:, None]
    fused, var_fused = sums + gain * (townships - sums), var_sums * (1 - gain[:, 0])
    total, var_total = fused.sum(axis=0), var_fused.sum()
    final = total + var_total / (var_total + var_county[0]) * (county - total)
    township = fused + (var_fused / var_total)[:, None] * (final - total)
    share = (var_village / var_sums[township_of])[:, None]
    found = villages + share * (township - sums)[township_of]
    positive = np.maximum(found, 0.0)
    scale = np.maximum(final, 0.0) / np.maximum(positive.sum(axis=0), _LEAST)
    result: Array = positive * scale
    return result
