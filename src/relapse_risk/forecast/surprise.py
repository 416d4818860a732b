"""Tells when the last months were unlike what was forecast before them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from relapse_risk.forecast.choose import Cases, choose_models, reconciled
from relapse_risk.forecast.paths import sample_paths
from relapse_risk.vocabulary import Bilingual
from relapse_risk.windows import month_end

RECENT_MONTHS = 2
TAIL = 0.025
_LEAST_MONTHS = 12


@dataclass(frozen=True)
class Surprise:
    """New relapses of a county in its last months, and what was forecast of them.

    Attributes
    ----------
    first_month, last_month : date
        Last days of the months compared.
    observed : int
    low95, high95 : int
        The 95% interval of the forecast from the history before ``first_month``.
    is_warning : bool
        Whether the count is in a tail of 2.5%, above or below.
    """

    first_month: date
    last_month: date
    observed: int
    low95: int
    high95: int
    is_warning: bool

    @property
    def text(self) -> Bilingual:
        """Return the warning as a sentence."""
        months = f"{self.first_month:%Y-%m} – {self.last_month:%Y-%m}"
        seen, low, high = self.observed, self.low95, self.high95
        return Bilingual(
            f"预警：{months} 实际新增返贫 {seen} 户，超出此前预测的95%区间（{low}–{high} 户）；"
            "情况可能已变，请核实原因，谨慎使用本预测。",
            f"Warning: {seen} new relapses in {months}, outside the 95% interval of before ({low}–{high}). "
            "Things may have changed: find out why, and take this forecast with care.",
        )


def recent_surprise(cases: Cases, county_code: str, draws: int, seed: int) -> Surprise | None:
    """Return how the last two months compare with a forecast made before them; None without a year before.

    Parameters
    ----------
    cases : Cases
    county_code : str
    draws, seed : int
        As in :func:`sample_paths`.

    Notes
    -----
    Where nobody had to report in the two months, the span goes back to the last month with a report. The
    interval is that of the time series, with its spread measured before the months as well.
    """
    n_months = cases.counts.shape[1]
    reported = np.flatnonzero(cases.exposed > 0)
    if not len(reported):
        return None
    end = min(n_months - RECENT_MONTHS, int(reported[-1]))
    if end < _LEAST_MONTHS:
        return None
    past, steps = cases.until(end), n_months - end
    choice = choose_models(past, 0, steps)
    paths = sample_paths(reconciled(past, choice, 0, steps), choice.spread, county_code, draws, seed)
    totals = np.sort(paths.sum(axis=(1, 2)))
    observed = int(cases.counts[:, end:].sum())
    above, below = (totals >= observed).mean(), (totals <= observed).mean()
    low, high = np.quantile(totals, [TAIL, 1 - TAIL], method="inverted_cdf")
    first = cases.first_month + end
    return Surprise(
        month_end(first),
        month_end(cases.first_month + n_months - 1),
        observed,
        int(low),
        int(high),
        bool(min(above, below) < TAIL),
    )
