"""Expected new relapses by village and month from household risks, with households that come back at risk."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relapse_risk.forecast.history import CaseHistory

Array = NDArray[np.float64]


def expected_cases(
    risk: Array,
    horizons_months: tuple[int, ...],
    village: NDArray[np.int64],
    history: CaseHistory,
    month_shares: Array,
) -> Array:
    """Return the expected new relapses of each village in each month.

    Parameters
    ----------
    risk : ndarray, shape (n, n_horizons)
        Of households at risk: probability of the first event by each horizon.
    horizons_months : tuple of int
        Rising ends, in months after the as-of date.
    village : ndarray of int64, shape (n,)
        Row of ``history.villages``.
    history : CaseHistory
        Gives who fails now, how many recover, and how often these relapse again.
    month_shares : ndarray, shape (steps,)
        Season of each month of the forecast, mean 1 over a year.

    Returns
    -------
    ndarray, shape (n_villages, steps)

    Notes
    -----
    The risk of an interval falls on its months by their season. Whoever fails recovers, is at risk again
    and relapses at the rates of the history (a renewal of the risk set); first events join those who fail.
    Months after the last horizon keep the hazard of the last interval.
    """
    n, steps = history.villages.height, len(month_shares)
    first = np.zeros((n, steps))
    start, before = 0, np.zeros(len(risk))
    for column, end in enumerate(horizons_months):
        stop = min(end, steps)
        shares = month_shares[start:end] if end <= steps else np.resize(month_shares[start:], end - start)
        total = shares.sum()
        weights = shares / total if total > 0 else np.full(end - start, 1 / (end - start))
        mass = np.bincount(village, risk[:, column] - before, n)
        first[:, start:stop] = mass[:, None] * weights[: stop - start]
        start, before = end, risk[:, column]
        if start >= steps:
            break
    return first + _repeated(first, history, month_shares)


def _repeated(first: Array, history: CaseHistory, month_shares: Array) -> Array:
    """Return relapses of those who failed before, or fail within the forecast, and recovered."""
    failing = history.failing.astype(np.float64)
    recovered = np.zeros(len(failing))
    found = np.zeros_like(first)
    for month, share in enumerate(month_shares):
        reports = min(share / history.period_months, 1.0)
        again = recovered * history.repeat * reports
        better = failing * history.recovery * reports
        found[:, month] = again
        recovered = recovered - again + better
        failing = failing - better + again + first[:, month]
    return found
