"""Expected new relapses by village and month from household risks, with households that come back at risk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from relapse_risk.forecast.history import CaseHistory
from relapse_risk.welfare import last_complete_month

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RiskSums:
    """Risks of the households at risk, summed by village.

    Attributes
    ----------
    as_of_date : date
        The day the risks are of; the model that gave them knew nothing later.
    horizon_months : int
    expected : ndarray, shape (n_villages,)
        Households with a first event within the horizon; NaN for a village whose risks are not known. Rows
        as in the history's villages.
    """

    as_of_date: date
    horizon_months: int
    expected: Array


def expected_cases(sums: RiskSums, history: CaseHistory, season: Array, steps: int) -> Array:
    """Return the expected new relapses of each village in each month.

    Parameters
    ----------
    sums : RiskSums
    history : CaseHistory
        Gives who fails on the date, how many recover, and how often these relapse again.
    season : ndarray, shape (12,)
        Of the county's cases by calendar month, mean 1 over a year.
    steps : int
        Months after ``sums.as_of_date``; those after the horizon keep its hazard.

    Returns
    -------
    ndarray, shape (n_villages, steps)
        NaN rows where the risks are not known.

    Notes
    -----
    The risk of the whole horizon falls on its months by their season. Risks by shorter horizons are not used:
    they carry the season of the dates on which they were calibrated. Whoever fails recovers, is at risk again
    and relapses at the rates of the history (a renewal of the risk set); first events join those who fail.
    """
    origin = last_complete_month(sums.as_of_date)
    shares = season[(origin + 1 + np.arange(max(steps, sums.horizon_months))) % len(season)]
    total = shares[: sums.horizon_months].sum()
    weights = shares / total if total > 0 else np.full(len(shares), 1 / sums.horizon_months)
    first = sums.expected[:, None] * weights
    column = min(max(origin - history.first_month, 0), history.failing.shape[1] - 1)
    failing = history.failing[:, column].astype(np.float64)
    found: Array = (first + _repeated(first, failing, history, shares))[:, :steps]
    return found


def _repeated(first: Array, failing: Array, history: CaseHistory, month_shares: Array) -> Array:
    """Return relapses of those who failed before, or fail within the forecast, and recovered."""
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
