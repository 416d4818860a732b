"""The state of every household at every period end: below the line or a guarantee failing, fine, not known.

Labels and the cohort read states from here, so that both mean the same by "below the line".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import LabelConfig, Outcome
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

FAILING, FINE, NOT_KNOWN = 1, 0, -1
CARRY_MONTHS = 12

_INCOME_PARTS = ("wage_income_yuan", "business_income_yuan", "property_income_yuan", "transfer_income_yuan")
_GUARANTEE_FAILS: dict[Outcome, pl.Expr] = {
    "schooling": pl.col("dropout_n") >= 1,
    "medical_insurance": pl.col("uninsured_n") >= 1,
    "housing": pl.col("house_grade").is_in(["C", "D"]),
    "water": ~pl.col("water_safe"),
}


def last_complete_month(day: date) -> int:
    """Return the index of the last month that has ended on ``day``, that day included.

    >>> last_complete_month(date(2024, 2, 29)) - last_complete_month(date(2024, 2, 28))
    1
    """
    index = month_index(day)
    return index if day == month_end(index) else index - 1


@dataclass(frozen=True)
class PeriodIncomes:
    """Reference income beside the line, of every reported period; arrays of one value a period.

    Attributes
    ----------
    cell : ndarray of int64
        Cell of the grid that the period ends in, row by row; rising.
    income_yuan, line_yuan : ndarray of float64
        Per person and year; NaN where not known, and where income is no outcome.
    has_failing_guarantee : ndarray of bool
    """

    cell: NDArray[np.int64]
    income_yuan: NDArray[np.float64]
    line_yuan: NDArray[np.float64]
    has_failing_guarantee: NDArray[np.bool_]


@dataclass(frozen=True)
class WelfareGrid:
    """States by household and month of a period end, as known on one day.

    Attributes
    ----------
    household_ids : polars.Series
        Sorted; the rows of the grid.
    first_month : int
        Month index of the first column.
    state : ndarray of int8, shape (n_households, n_months)
        1 below the line or a guarantee failing, 0 fine, -1 not known or no period ends in the month.
    period_months : ndarray of int8, shape (n_households, n_months)
        Length of the period that ends in the month; 0 where none does.
    periods : PeriodIncomes
        What the states were judged by.
    """

    household_ids: pl.Series
    first_month: int
    state: NDArray[np.int8]
    period_months: NDArray[np.int8]
    periods: PeriodIncomes

    def positions(self, household_ids: pl.Series) -> NDArray[np.int64]:
        """Return the row of each household, shape ``(len(household_ids),)``; -1 where it has none."""
        known = pl.DataFrame({"household_id": self.household_ids}).with_row_index("row")
        wanted = pl.DataFrame({"household_id": household_ids})
        joined = wanted.join(known, on="household_id", how="left", maintain_order="left")
        return joined["row"].cast(pl.Int64).fill_null(-1).to_numpy()

    def last_month(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the month in which each row's latest reported period ends; -1 where it has none."""
        if not self.state.shape[1]:
            return np.full(len(rows), -1)
        is_reported = self.period_months > 0
        latest = self.state.shape[1] - 1 - np.argmax(is_reported[:, ::-1], axis=1)
        month = np.where(is_reported.any(axis=1), self.first_month + latest, -1)
        return np.where(rows >= 0, month[rows], -1)

    def periods_at(self, rows: NDArray[np.int64], months: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place in ``periods`` of the period that ends in a row's month; -1 where none does."""
        column = months - self.first_month
        is_inside = (rows >= 0) & (column >= 0) & (column < self.state.shape[1])
        wanted = rows * self.state.shape[1] + column
        place = np.searchsorted(self.periods.cell, wanted, side="right") - 1
        is_there = is_inside & (place >= 0)
        is_there[is_there] = self.periods.cell[place[is_there]] == wanted[is_there]
        return np.where(is_there, place, -1)

    def after(
        self, rows: NDArray[np.int64], month: int, months: int
    ) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return states and period lengths in the ``months`` after a month.

        Parameters
        ----------
        rows : ndarray of int64, shape (n,)
            Rows of the grid; -1 gives a household without any period.
        month : int
            Month index; the first column returned is the month after it.
        months : int

        Returns
        -------
        state, period_months : ndarray of int8, shape (n, months)
        """
        state = np.full((len(rows), months), NOT_KNOWN, dtype=np.int8)
        length = np.zeros((len(rows), months), dtype=np.int8)
        start = month + 1 - self.first_month
        left, right = max(start, 0), min(start + months, self.state.shape[1])
        if left < right:
            has_row = rows >= 0
            state[has_row, left - start : right - start] = self.state[rows[has_row], left:right]
            length[has_row, left - start : right - start] = self.period_months[rows[has_row], left:right]
        return state, length


@dataclass(frozen=True)
class _Periods:
    """Reported periods sorted by household and end; arrays of one value a period."""

    frame: pl.DataFrame
    row: NDArray[np.int64]
    month: NDArray[np.int64]
    length: NDArray[np.int64]

    def numbers(self, expression: pl.Expr) -> NDArray[np.float64]:
        values = self.frame.select(expression.cast(pl.Float64).alias("value"))["value"]
        return values.fill_null(np.nan).to_numpy()

    def states(self, fails: pl.Expr) -> NDArray[np.int8]:
        values = self.frame.select(fails.cast(pl.Int8).alias("value"))["value"]
        return values.fill_null(NOT_KNOWN).to_numpy()


def welfare_states(
    known: KnownPanel,
    label: LabelConfig,
    thresholds: ThresholdTable,
    *,
    household_ids: pl.Series | None = None,
    ending_after: date | None = None,
) -> WelfareGrid:
    """Return the state of each household at each period end, as known on ``known.as_of_date``.

    Parameters
    ----------
    known : KnownPanel
    label : LabelConfig
        Which outcomes count, and over how many months income is summed.
    thresholds : ThresholdTable
        In force for ``known`` (``known.thresholds()``); ``line`` is in yuan per person and year.
    household_ids : polars.Series, optional
        Only these households; all known ones where not given, those that have dissolved among them.
    ending_after : date, optional
        Only states of periods that end after this day are wanted; earlier ones may come out as not known.

    Returns
    -------
    WelfareGrid
        1 where any outcome is a failure, 0 where every outcome is known to be none.

    Notes
    -----
    Income is (net income + claims − compliant own-pay), summed over ``income_window_months`` of time up to
    the period's end, scaled to a year, per person of that period. Of periods that overlap the later one
    stands, as in the features; where a window cuts a period its flow is spread evenly over its months. A
    window that is not wholly covered by known periods gives no state.
    A guarantee that a period leaves blank keeps its last known value for at most 12 months.
    """
    ids = (known.table("household")["household_id"] if household_ids is None else household_ids).sort()
    context = max(label.income_window_months, CARRY_MONTHS)
    earliest = None if ending_after is None else month_end(last_complete_month(ending_after) - context)
    periods = _read_periods(known, ids, earliest)
    if not periods.frame.height:
        empty, none = np.zeros((len(ids), 0), dtype=np.int8), np.zeros(0)
        incomes = PeriodIncomes(none.astype(np.int64), none, none, none.astype(bool))
        return WelfareGrid(ids, last_complete_month(known.as_of_date), empty, empty, incomes)
    income = line = np.full(len(periods.row), np.nan)
    if "income" in label.outcomes:
        income = annual_income_per_person(periods, label.income_window_months)
        line = _line_in_force(periods, thresholds)
    states = {outcome: _outcome_states(outcome, periods, income, line) for outcome in label.outcomes}
    stacked = np.stack(list(states.values()))
    overall = np.where((stacked == FINE).all(axis=0), FINE, NOT_KNOWN)
    overall[(stacked == FAILING).any(axis=0)] = FAILING
    failing = [state == FAILING for outcome, state in states.items() if outcome in _GUARANTEE_FAILS]
    has_failing = np.any(failing, axis=0) if failing else np.zeros(len(periods.row), dtype=bool)
    first = int(periods.month.min())
    shape = (len(ids), int(periods.month.max()) - first + 1)
    state = np.full(shape, NOT_KNOWN, dtype=np.int8)
    length = np.zeros(shape, dtype=np.int8)
    state[periods.row, periods.month - first] = overall
    length[periods.row, periods.month - first] = periods.length
    cell = periods.row * shape[1] + periods.month - first
    return WelfareGrid(ids, first, state, length, PeriodIncomes(cell, income, line, has_failing))


def _read_periods(known: KnownPanel, ids: pl.Series, earliest: date | None) -> _Periods:
    frame = known.table("observation")
    if earliest is not None:
        frame = frame.filter(pl.col("period_end") > earliest)
    rows = pl.DataFrame({"household_id": ids}).with_row_index("row")
    end = pl.col("period_end")
    is_whole = (end == end.dt.month_end()).cast(pl.Int64)
    month = end.dt.year().cast(pl.Int64) * 12 + end.dt.month().cast(pl.Int64) - 2 + is_whole
    frame = (
        frame.join(rows, on="household_id", how="inner")
        .with_columns(month=month)
        .sort("row", "period_end", "period_months")
    )
    # A household that has dissolved since has reports, too.
    counties = known.table("household").select("household_id", "county_code")
    frame = frame.join(counties, on="household_id", how="left", maintain_order="left")
    return _Periods(
        frame,
        frame["row"].cast(pl.Int64).to_numpy(),
        frame["month"].to_numpy(),
        frame["period_months"].to_numpy(),
    )


def _outcome_states(
    outcome: Outcome, periods: _Periods, income: NDArray[np.float64], line: NDArray[np.float64]
) -> NDArray[np.int8]:
    if outcome == "status":
        return periods.states(pl.col("below_line"))
    if outcome != "income":
        return _carried(periods.states(_GUARANTEE_FAILS[outcome]), periods)
    below = np.where(income < line, FAILING, FINE)
    return np.where(np.isnan(income) | np.isnan(line), NOT_KNOWN, below).astype(np.int8)


def _carried(states: NDArray[np.int8], periods: _Periods) -> NDArray[np.int8]:
    """Fill what is not known with the household's last known state of the last 12 months."""
    position = np.arange(len(states))
    last = np.maximum.accumulate(np.where(states >= 0, position, -1))
    source = np.maximum(last, 0)
    is_fresh = periods.month - periods.month[source] <= CARRY_MONTHS
    is_own = (last >= 0) & (periods.row[source] == periods.row)
    return np.where(is_own & is_fresh, states[source], NOT_KNOWN).astype(np.int8)


def annual_income_per_person(periods: _Periods, window_months: int) -> NDArray[np.float64]:
    """Return reference income in yuan per person and year at each period's end; NaN where not covered."""
    parts = sum((pl.col(name) for name in _INCOME_PARTS[1:]), pl.col(_INCOME_PARTS[0]))
    net = pl.coalesce("net_income_yuan", parts - pl.col("business_cost_yuan"))
    own = pl.col("claim_income_yuan").fill_null(0.0) - pl.col("oop_compliant_yuan").fill_null(0.0)
    flow, persons = periods.numbers(net + own), periods.numbers(pl.col("n_person"))
    # numba is slow to import
    from relapse_risk.features.loops import sums_at_each_end

    begin = np.append(np.flatnonzero(np.diff(periods.row, prepend=-1)), len(flow))
    total = np.empty(len(flow))
    sums_at_each_end(flow, begin, periods.month, periods.length, window_months, total)
    # Sums carry noise far below a thousandth of a yuan; a line met exactly is not below.
    return np.round(total * (12 / window_months) / persons, 6)


def _line_in_force(periods: _Periods, thresholds: ThresholdTable) -> NDArray[np.float64]:
    """Return the line in yuan per person and year for each period's county and end."""
    pairs = periods.frame.select("county_code", "period_end").unique().sort("county_code", "period_end")
    lines = [
        row.value if (row := thresholds.in_force("line", county, day)) is not None else None
        for county, day in pairs.iter_rows()
    ]
    known = pairs.with_columns(line=pl.Series(lines, dtype=pl.Float64))
    joined = periods.frame.select("county_code", "period_end").join(
        known, on=["county_code", "period_end"], how="left", maintain_order="left"
    )
    return joined["line"].fill_null(np.nan).to_numpy()
