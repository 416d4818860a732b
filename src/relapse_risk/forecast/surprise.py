"""Tells when the last months were unlike what was forecast before them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from relapse_risk.forecast.choose import Cases, choose_models, reconciled
from relapse_risk.forecast.history import SETBACKS
from relapse_risk.forecast.paths import sample_paths
from relapse_risk.vocabulary import Bilingual
from relapse_risk.windows import month_end

RECENT_MONTHS = 2
TAIL = 0.025
# Four kinds of events are looked at every month, and only a rise is a warning.
SETBACK_TAIL = 0.005
_LEAST_MONTHS = 12
# Whether there is a warning does not hang on the draws and the seed of the forecast.
_DRAWS, _SEED = 1000, 0
RELAPSES = Bilingual("新增返贫", "new relapses")


@dataclass(frozen=True)
class Surprise:
    """Cases of a county in its last months, and what was forecast of them.

    Attributes
    ----------
    what : Bilingual
        New relapses, or a kind of event.
    first_month, last_month : date
        Last days of the months compared.
    observed : int
    low, high : int
        What the forecast from the history before ``first_month`` let expect, but for its tails.
    is_above, is_below : bool
        Whether the count is in the tail above, or below.
    """

    what: Bilingual
    first_month: date
    last_month: date
    observed: int
    low: int
    high: int
    is_above: bool
    is_below: bool

    @property
    def text(self) -> Bilingual:
        """Return the warning as a sentence."""
        months = f"{self.first_month:%Y-%m} – {self.last_month:%Y-%m}"
        seen, low, high = self.observed, self.low, self.high
        return Bilingual(
            f"预警：{months} {self.what.zh} {seen}，超出此前预测的范围（{low}–{high}）；"
            "情况可能已变，请核实原因，谨慎使用本预测。",
            f"Warning: {seen} {self.what.en} in {months}, outside what was forecast before ({low}–{high}). "
            "Things may have changed: find out why, and take this forecast with care.",
        )


def warnings_of(
    relapses: Cases, setbacks: Mapping[str, NDArray[np.int64]], last_month: int, county_code: str
) -> tuple[Surprise, ...]:
    """Return what was unlike its forecast: new relapses, either way, and events that became more.

    Parameters
    ----------
    relapses : Cases
    setbacks : mapping of str to ndarray
        Events by kind and month, the last of which is ``last_month``.
    last_month : int
    county_code : str
    """
    seen = recent_surprise(relapses, RELAPSES, county_code, TAIL)
    found = [seen] if seen is not None and (seen.is_above or seen.is_below) else []
    for kind, counts in setbacks.items():
        n = len(counts)
        cases = Cases(
            counts[None].astype(np.float64), np.ones(n), last_month + 1 - n, np.zeros(1, dtype=np.int64)
        )
        risen = recent_surprise(cases, SETBACKS[kind], f"{county_code}/{kind}", SETBACK_TAIL)
        if risen is not None and risen.is_above:
            found.append(risen)
    return tuple(found)


def recent_surprise(cases: Cases, what: Bilingual, county_code: str, tail: float) -> Surprise | None:
    """Return how the last two months compare with a forecast made before them; None without a year before.

    Parameters
    ----------
    cases : Cases
    what : Bilingual
        Whose cases they are.
    county_code : str
        As in :func:`sample_paths`.
    tail : float
        Share of draws beyond which a count is unlike its forecast.

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
    paths = sample_paths(reconciled(past, choice, 0, steps), choice.spread, county_code, _DRAWS, _SEED)
    totals = np.sort(paths.sum(axis=(1, 2)))
    observed = int(cases.counts[:, end:].sum())
    above, below = (totals >= observed).mean(), (totals <= observed).mean()
    low, high = np.quantile(totals, [tail, 1 - tail], method="inverted_cdf")
    first = cases.first_month + end
    return Surprise(
        what,
        month_end(first),
        month_end(cases.first_month + n_months - 1),
        observed,
        int(low),
        int(high),
        bool(above < tail),
        bool(below < tail),
    )
