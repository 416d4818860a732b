"""Expected new relapses by village and month from household risks, with households that come back at risk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from relapse_risk.forecast.history import CaseHistory
from relapse_risk.welfare import last_complete_month
from relapse_risk.windows import month_end

Array = NDArray[np.float64]
# A window that was not yet observed when the model learned cannot be one that it was fitted to.
_JUDGED_MONTHS = (3, 6, 9)
_LEVEL_PRIOR_CASES = 10.0


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


def level_dates(history: CaseHistory) -> tuple[date, ...]:
    """Return the dates 3, 6 and 9 months before the last month reported, as far as the history goes back.

    Less than the year that a model's labels look ahead: no model has learned what came after them.
    """
    months = (history.last_month - back for back in sorted(_JUDGED_MONTHS, reverse=True))
    return tuple(month_end(month) for month in months if month >= history.first_month)


@dataclass(frozen=True)
class RiskLevel:
    """How many new relapses came for each that the model's risks would have let expect.

    Attributes
    ----------
    months : int
        Of which what came is known; 0 where nothing could be compared.
    came, expected : float
        Cases in these months.
    """

    months: int
    came: float
    expected: float

    @property
    def ratio(self) -> float:
        """What came over what was expected, drawn towards 1 by the weight of ten cases."""
        return (self.came + _LEVEL_PRIOR_CASES) / (self.expected + _LEVEL_PRIOR_CASES)


def risk_level(before: Sequence[RiskSums], history: CaseHistory, season: Array) -> RiskLevel:
    """Return what came in the last months beside what the same model expects of them on dates before.

    Parameters
    ----------
    before : sequence of RiskSums
        The present model's risks on :func:`level_dates`.
    history : CaseHistory
    season : ndarray, shape (12,)

    Notes
    -----
    A month that several dates look ahead to counts once, with the mean of what they expect, so that its luck
    does not count as often. The prior is a gamma of mean 1 on the rate of Poisson counts.
    """
    n = history.relapses.shape[1]
    total, dates = np.zeros(n), np.zeros(n)
    came = np.zeros(n)
    for one in before:
        start = last_complete_month(one.as_of_date) + 1 - history.first_month
        is_known = np.isfinite(one.expected)
        if not 0 < start < n or not is_known.any():
            continue
        sums = replace(one, expected=np.where(is_known, one.expected, 0.0))
        total[start:] += expected_cases(sums, history, season, n - start)[is_known].sum(axis=0)
        came[start:] += history.relapses[is_known, start:].sum(axis=0)
        dates[start:] += 1
    judged = dates > 0
    return RiskLevel(
        int(judged.sum()),
        float((came[judged] / dates[judged]).sum()),
        float((total[judged] / dates[judged]).sum()),
    )
