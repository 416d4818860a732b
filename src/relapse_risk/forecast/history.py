"""What happened so far, by village and month: new relapses, and the register's entries and clearances.

Everything is read from one :class:`KnownPanel`, so a history is what the system knew on its as-of date.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.errors import ContractError
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.thresholds import EVERYWHERE, Threshold, ThresholdTable
from relapse_risk.vocabulary import Bilingual, MonitorCategory
from relapse_risk.welfare import FAILING, FINE, WelfareGrid, last_complete_month, welfare_states
from relapse_risk.windows import month_index

Counts = NDArray[np.int64]
PLACE_COLUMNS = ("county_code", "township_code", "village_code")
# A month counts as reported once this share of the reports of the same month a year before is there.
_REPORTED_SHARE = 0.9
_COVERED_SHARE = 0.5
NO_HISTORY = "RR371"
_RECENT_MONTHS = 12
_LATE_DAYS = 92
# Kinds of events that bring relapses within the year, and are known months before incomes are.
SETBACKS = {
    "失业": Bilingual("失业", "jobs lost"),
    "灾害": Bilingual("受灾", "households struck by disaster"),
    "意外": Bilingual("意外", "accidents"),
    "大病确诊": Bilingual("大病确诊", "major illnesses diagnosed"),
}


@dataclass(frozen=True)
class CaseHistory:
    """Counts by village and month, up to the last month that was reported on the as-of date.

    Attributes
    ----------
    as_of_date : date
    villages : polars.DataFrame
        ``PLACE_COLUMNS``, sorted; the rows of every array.
    first_month : int
        Month index of the first column: that of the first report with one before it.
    relapses : ndarray of int64, shape (n_villages, n_months)
        Households seen to fail in a period that ends in the month, and fine in the one before.
    exposed : ndarray of int64, shape (n_villages, n_months)
        Households with a period that ends in the month, and fine in the one before.
    entries, clearances : ndarray of int64, shape (n_villages, n_register_months)
        Households that came on and left the register; no columns where no register is given.
    stock : ndarray of int64, shape (n_villages,)
        Households on the register on the as-of date.
    failing : ndarray of int64, shape (n_villages, n_months)
        Households whose last known state fails, by month.
    recovery : float
        Probability that a failing household is fine in its next period.
    repeat : float
        Probability that a household that failed within the last 12 months, and is fine, fails in its next
        period.
    period_months : float
        Mean months between the reports of a household.
    gaps : ndarray of bool, shape (n_months,)
        Months of which less than half as many households as usual were reported.
    setbacks : mapping of str to ndarray of int64, shape (n_setback_months,)
        Events that departments reported, by kind and month of the report, up to the last complete month.
    """

    as_of_date: date
    villages: pl.DataFrame
    first_month: int
    relapses: Counts
    exposed: Counts
    entries: Counts
    clearances: Counts
    stock: Counts
    failing: Counts
    recovery: float
    repeat: float
    period_months: float
    gaps: NDArray[np.bool_]
    setbacks: Mapping[str, Counts] = field(default_factory=dict)

    @property
    def last_month(self) -> int:
        """Month index of the last column; the forecast starts the month after the as-of date."""
        return self.first_month + int(self.relapses.shape[1]) - 1

    def village_rows(self, households: pl.DataFrame) -> NDArray[np.int64]:
        """Return the row of each household's village, shape ``(n_households,)``."""
        return _village_rows(self.villages, households)

    @property
    def has_register(self) -> bool:
        """Whether the household table holds a register of monitored households."""
        return bool(self.entries.shape[1])


def read_history(
    known: KnownPanel,
    label: LabelConfig,
    cohort: CohortConfig,
    thresholds: ThresholdTable | None = None,
    line: float | None = None,
) -> CaseHistory:
    """Return the counts of every village as known on ``known.as_of_date``.

    Parameters
    ----------
    known : KnownPanel
    label : LabelConfig
        What a relapse is.
    cohort : CohortConfig
        Types of households that are counted.
    thresholds : ThresholdTable, optional
    line : float, optional
        A what-if line in yuan per person and year, for all counties and all time; those in force where not
        given.

    Raises
    ------
    ContractError
        RR371 where no month has a household whose state is known twice in a row.
    """
    in_force = known.thresholds(thresholds)
    if line is not None:
        what_if = Threshold("line", EVERYWHERE, line, "元", date.min, date.max, "what-if", verified=False)
        in_force = in_force.laid_over([what_if])
    grid = welfare_states(known, label, in_force)
    # Cases of households that have dissolved since were cases all the same.
    households = known.table("household").sort("household_id")
    lives = households["household_id"].is_in(known.households["household_id"].implode()).to_numpy()
    villages = households.select(PLACE_COLUMNS).unique().sort(PLACE_COLUMNS)
    village = _village_rows(villages, households)
    kinds = [str(kind) for kind in cohort.household_types]
    counts = households["household_type"].is_in(kinds).fill_null(value=False).to_numpy()
    onset, exposed, failing, from_failing, recovered, is_recent = _transitions(grid)
    n_months = _reported_months(exposed, grid.first_month, last_complete_month(known.as_of_date))
    if not n_months:
        raise ContractError(
            NO_HISTORY,
            f"history on {known.as_of_date}",
            "no household's state is known in two periods in a row",
            "two reported years, of which the first gives the yearly income",
            "Ingest earlier observations, or choose a later date",
            zh=f"截至 {known.as_of_date} 没有连续两期可判断的监测记录，无法预测；请补充历史记录。",
        )
    periods = max(float(grid.period_months[grid.state >= 0].mean()), 1.0)
    # Before the first report that has one before it, no case could be seen: those months are no zeros.
    start = max(int(exposed.any(axis=0).argmax()) + 1 - round(periods), 0)
    span, keep = slice(start, n_months), counts[:, None]
    entries, clearances, stock = _register(households, lives, village, villages.height, known.as_of_date)
    return CaseHistory(
        known.as_of_date,
        villages,
        grid.first_month + start,
        _by_village((onset & keep)[:, span], village, villages.height),
        _by_village((exposed & keep)[:, span], village, villages.height),
        entries,
        clearances,
        stock,
        _by_village((failing & keep & lives[:, None])[:, span], village, villages.height),
        _share(recovered & keep, from_failing & keep),
        _share(onset & is_recent & keep, exposed & is_recent & keep),
        periods,
        _gaps(exposed[:, span], grid.period_months[:, span]),
        _setbacks(known),
    )


def _village_rows(villages: pl.DataFrame, households: pl.DataFrame) -> NDArray[np.int64]:
    rows = villages.with_row_index("row")
    joined = households.select(PLACE_COLUMNS).join(rows, on=PLACE_COLUMNS, how="left", maintain_order="left")
    return joined["row"].cast(pl.Int64).to_numpy()


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / max(whole.sum(), 1))


def _transitions(grid: WelfareGrid) -> tuple[NDArray[np.bool_], ...]:
    """Return, by household and month: onset, exposed, failing, failing before, recovered, failed lately."""
    shape = grid.state.shape
    onset, exposed, failing = (np.zeros(shape, dtype=bool) for _ in range(3))
    from_failing, recovered = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=bool)
    is_recent = np.zeros(shape, dtype=bool)
    failed = np.full(shape[0], -_RECENT_MONTHS - 1, dtype=np.int64)
    before = np.full(shape[0], -1, dtype=np.int8)
    since = np.full(shape[0], -1, dtype=np.int64)
    for month in range(shape[1]):
        now = grid.state[:, month]
        is_next = (now >= 0) & (month - grid.period_months[:, month] <= since)
        exposed[:, month] = is_next & (before == FINE)
        onset[:, month] = exposed[:, month] & (now == FAILING)
        from_failing[:, month] = is_next & (before == FAILING)
        recovered[:, month] = from_failing[:, month] & (now == FINE)
        is_recent[:, month] = month - failed <= _RECENT_MONTHS
        failed = np.where(now == FAILING, month, failed)
        before = np.where(now >= 0, now, before)
        failing[:, month] = before == FAILING
        since = np.where(now >= 0, month, since)
    return onset, exposed, failing, from_failing, recovered, is_recent


def _reported_months(exposed: NDArray[np.bool_], first_month: int, last_month: int) -> int:
    """Return how many columns to keep: up to the last month that is reported nearly in full."""
    n = exposed.sum(axis=0)
    reported = np.flatnonzero(n)
    if not len(reported):
        return 0
    for month in reported[::-1]:
        usual = n[month - _RECENT_MONTHS] if month >= _RECENT_MONTHS else 0
        if n[month] >= _REPORTED_SHARE * usual:
            # Months after a report in which nobody has to report are known to be empty.
            following = np.flatnonzero(n[month + 1 - _RECENT_MONTHS : month] if month >= 12 else n[:0])
            quiet = int(following[0]) if len(following) else 0
            return min(int(month) + 1 + quiet, last_month - first_month + 1)
    return int(reported[-1]) + 1


def _gaps(exposed: NDArray[np.bool_], period_months: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return the months that too few reports cover; a report covers all months of its period."""
    row, month = np.nonzero(exposed)
    n_months = exposed.shape[1]
    begins = np.clip(month + 1 - period_months[row, month], 0, n_months)
    steps = np.bincount(begins, minlength=n_months + 1) - np.bincount(month + 1, minlength=n_months + 1)
    covered = np.cumsum(steps)[:n_months]
    gaps: NDArray[np.bool_] = covered < _COVERED_SHARE * np.median(covered[covered > 0])
    # The months after the last report wait for the next one.
    gaps[int(month.max()) + 1 :] = False
    return gaps


def _by_village(flags: NDArray[np.bool_], village: NDArray[np.int64], n: int) -> Counts:
    row, month = np.nonzero(flags)
    flat = np.bincount(village[row] * flags.shape[1] + month, minlength=n * flags.shape[1])
    return flat.reshape(n, flags.shape[1]).astype(np.int64)


def _setbacks(known: KnownPanel) -> dict[str, Counts]:
    """Return the events of each kind by month of their report; those reported late tell of no change now."""
    if not known.has("event"):
        return {}
    events = known.table("event").filter(
        pl.col("event_type").is_in(list(SETBACKS)),
        pl.col("recorded_on") - pl.col("event_date") <= pl.duration(days=_LATE_DAYS),
    )
    if events.is_empty():
        return {}
    month = pl.col("recorded_on").dt.year().cast(pl.Int64) * 12 + pl.col("recorded_on").dt.month() - 1
    counted = events.select("event_type", month.alias("month"))
    first, last = int(str(counted["month"].min())), last_complete_month(known.as_of_date)
    found = {}
    for kind in SETBACKS:
        at = counted.filter(pl.col("event_type") == kind)["month"].to_numpy() - first
        found[kind] = np.bincount(at[at <= last - first], minlength=max(last - first + 1, 0)).astype(np.int64)
    return found


def _register(
    households: pl.DataFrame, lives: NDArray[np.bool_], village: NDArray[np.int64], n: int, as_of_date: date
) -> tuple[Counts, Counts, Counts]:
    """Return entries and clearances by village and month, and the stock; no months without a register."""
    empty = np.zeros((n, 0), dtype=np.int64)
    dated = households["identified_on"].drop_nulls()
    if dated.is_empty():
        return empty, empty, np.zeros(n, dtype=np.int64)
    last = last_complete_month(as_of_date)
    first = min(month_index(min(dated.to_list())), last)
    months = last - first + 1
    is_on = (
        households["identified_on"].is_not_null()
        & (households["monitor_category"] != str(MonitorCategory.NONE)).fill_null(value=False)
        & ~households["risk_cleared"].fill_null(value=False)
    ).to_numpy()
    return (
        _monthly(households["identified_on"], village, n, first, months),
        _monthly(households["cleared_on"], village, n, first, months),
        np.bincount(village[is_on & lives], minlength=n).astype(np.int64),
    )


def _monthly(days: pl.Series, village: NDArray[np.int64], n: int, first: int, months: int) -> Counts:
    index = (days.dt.year().cast(pl.Int64) * 12 + days.dt.month() - 1).fill_null(-1).to_numpy() - first
    is_in = (index >= 0) & (index < months)
    flat = np.bincount(village[is_in] * months + index[is_in], minlength=n * months)
    return flat.reshape(n, months).astype(np.int64)
