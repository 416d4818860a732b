"""Statistics of the rows that belong to a household: members, events, measures, visits, cases.

A condition on an empty cell is not known, and follows Kleene: a count is NaN where no row is known to fulfil
the conditions while some row might. A few columns are left empty because there is nothing to say, such as
the grade of a disability; there an empty cell fulfils nothing, unless the county left the column out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.expression import Array
from relapse_risk.features.grid import as_number, float_array, joined_to_rows
from relapse_risk.features.nodes import (
    AGE,
    EARNER,
    AnyCondition,
    ColumnCondition,
    Condition,
    NotCondition,
    RowStatistic,
)
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.panel.schema import ITEM_SEPARATOR
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import month_index

EMPTY_MEANS_NONE = frozenset(
    {
        ("member", "not_school_reason"),
        ("member", "disease30_code"),
        ("member", "chronic4"),
        ("member", "disability_grade"),
        ("event", "disease_code"),
    }
)
_DECIMALS = 6


def truth_of(condition: Condition, table: str, as_of_date: date) -> pl.Expr:
    """Return a boolean Polars expression, null where not known."""
    if isinstance(condition, NotCondition):
        return ~truth_of(condition.inner, table, as_of_date)
    if isinstance(condition, AnyCondition):
        return pl.any_horizontal(*(truth_of(option, table, as_of_date) for option in condition.options))
    if not isinstance(condition, ColumnCondition):
        raise TypeError(f"no such condition: {condition!r}")
    truth = _column_truth(condition, as_of_date)
    if (table, condition.column) in EMPTY_MEANS_NONE and condition.test != "missing":
        return truth.fill_null(value=False)
    return truth


def _column_truth(condition: ColumnCondition, as_of_date: date) -> pl.Expr:
    column, values = pl.col(condition.column), condition.values
    match condition.test:
        case "in":
            return column.is_in(list(values))
        case "has":
            listed = pl.lit(ITEM_SEPARATOR) + column + pl.lit(ITEM_SEPARATOR)
            wanted = [f"{ITEM_SEPARATOR}{item}{ITEM_SEPARATOR}" for item in values]
            return pl.any_horizontal(*(listed.str.contains(item, literal=True) for item in wanted))
        case "true":
            return column
        case "false":
            return ~column
        case "at_least":
            return column >= pl.lit(values[0])
        case "below":
            return column < pl.lit(values[0])
        case "missing":
            return column.is_null()
        case "days_ago":
            return _days_truth(column, values, as_of_date)


def _days_truth(column: pl.Expr, values: tuple[object, ...], as_of_date: date) -> pl.Expr:
    days = (pl.lit(as_of_date) - column).dt.total_days()
    truth = column.is_not_null()
    fewest, most = values
    if fewest is not None:
        truth &= days >= pl.lit(fewest)
    if most is not None:
        truth &= days <= pl.lit(most)
    return truth.fill_null(value=False)


def columns_in(conditions: tuple[Condition, ...]) -> frozenset[str]:
    """Return the columns the conditions test."""
    found: set[str] = set()
    for condition in conditions:
        if isinstance(condition, NotCondition):
            found |= columns_in((condition.inner,))
        elif isinstance(condition, AnyCondition):
            found |= columns_in(condition.options)
        elif isinstance(condition, ColumnCondition):
            found.add(condition.column)
    return frozenset(found)


@dataclass(frozen=True)
class _Matches:
    """Rows that fulfil the conditions, and rows that might.

    Attributes
    ----------
    household, unsure : ndarray of int64
        Position of the household of each row that does, and of each row that might.
    rows : polars.DataFrame
        The rows that do.
    """

    household: NDArray[np.int64]
    unsure: NDArray[np.int64]
    rows: pl.DataFrame


class ChildTable:
    """One table's known rows, each with the position of its household.

    Parameters
    ----------
    known : KnownPanel
    name : str
        Table; of members only those present are kept.
    """

    def __init__(self, known: KnownPanel, name: str) -> None:
        self.name, self._as_of = name, known.as_of_date
        self._n_rows = known.households.height
        self.is_absent = not known.has(name)
        frame = _with_all_columns(known.table(name), name)
        if name == "member":
            frame = frame.filter(pl.col("is_present").ne_missing(other=False))
            months = pl.col("birth_month").dt.year().cast(pl.Int64) * 12 + pl.col("birth_month").dt.month()
            frame = frame.with_columns(((month_index(self._as_of) + 1 - months) // 12).alias(AGE))
        self._known = known
        self._frame = joined_to_rows(frame, known.households["household_id"])
        self._county = (known.households["county_code"].rank("dense").cast(pl.Int64) - 1).to_numpy()

    def compute(self, node: RowStatistic) -> Array:
        """Return the statistic for every household, shape ``(n_households,)``; NaN where not known."""
        columns = columns_in(node.conditions) | {node.column}
        if self.is_absent:
            return np.full(self._n_rows, np.nan)
        if EARNER in columns and EARNER not in self._frame.columns:
            earners = _earners(self._known)
            self._frame = self._frame.join(earners, on="member_id", how="left", maintain_order="left")
        matches = self._matches(node)
        result = _STATISTICS[node.statistic](self, node, matches)
        for table, column in sorted(EMPTY_MEANS_NONE):
            if table == self.name and column in columns:
                result[self._is_withheld(column)] = np.nan
        if self.name == "member":
            result[self._rows_per_household == 0] = np.nan
        return result

    @cached_property
    def _rows_per_household(self) -> Array:
        return self.tally(self._frame["row"].to_numpy())

    def _is_withheld(self, column: str) -> NDArray[np.bool_]:
        """Return, by household, whether its county has rows but none with this column filled."""
        county = self._county[_positions(self._frame)]
        is_filled = self._frame[column].is_not_null().to_numpy()
        counties = int(self._county.max(initial=-1)) + 1
        filled = np.bincount(county[is_filled], minlength=counties)
        withheld = (np.bincount(county, minlength=counties) > 0) & (filled == 0)
        by_household: NDArray[np.bool_] = withheld[self._county]
        return by_household

    def tally(self, household: NDArray[np.int64], weights: Array | None = None) -> Array:
        """Return the number of rows, or the sum of weights, by household."""
        return np.bincount(household, weights, minlength=self._n_rows).astype(np.float64)

    def _matches(self, node: RowStatistic) -> _Matches:
        frame = self._frame
        happened = pl.col(TABLE_BY_NAME[self.name].happened or "recorded_on")
        if node.within_days is not None:
            days = (pl.lit(self._as_of) - happened).dt.total_days()
            frame = frame.filter((days >= 0) & (days < node.within_days))
        if node.is_year_to_date:
            frame = frame.filter(happened.is_between(date(self._as_of.year, 1, 1), self._as_of))
        if not node.conditions:
            return _Matches(_positions(frame), np.zeros(0, dtype=np.int64), frame)
        truths = [truth_of(condition, self.name, self._as_of) for condition in node.conditions]
        truth = frame.select(pl.all_horizontal(*truths).alias("truth"))["truth"]
        fulfilling = frame.filter(truth.fill_null(value=False))
        return _Matches(_positions(fulfilling), _positions(frame.filter(truth.is_null())), fulfilling)

    def number(self, rows: pl.DataFrame, column: str | None) -> Array:
        """Return a column of ``rows`` as float64, NaN where empty."""
        name = column or ""
        values = as_number(self.name, name, rows.schema[name])
        return float_array(rows.select(values.alias("value"))["value"])

    def days(self, rows: pl.DataFrame, column: str | None) -> Array:
        """Return the days from a date column to the as-of date, NaN where empty."""
        days = (pl.lit(self._as_of) - pl.col(column or "")).dt.total_days()
        return float_array(rows.select(days.alias("value"))["value"])

    def largest(self, household: NDArray[np.int64], values: Array) -> Array:
        """Return the largest known value by household, NaN where there is none."""
        is_known = ~np.isnan(values)
        result = np.full(self._n_rows, -np.inf)
        np.maximum.at(result, household[is_known], values[is_known])
        return np.where(np.isinf(result), np.nan, result)


def _earners(known: KnownPanel) -> pl.DataFrame:
    """Return whether each known member, present or not, works, has left a job, or is able to work."""
    members = _with_all_columns(known.table("member"), "member")
    has_worked = pl.col("work_status").is_in(["在岗", "离岗"])
    is_able = pl.col("labour_skill").is_in(["技能劳动力", "普通劳动力"])
    is_student = (pl.col("school_status") != "非在校").fill_null(value=False)
    is_earner = (has_worked | (is_able & ~is_student)).alias(EARNER)
    return members.select("member_id", is_earner).unique("member_id", keep="last", maintain_order=True)


def _with_all_columns(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    missing = [name for name in TABLE_BY_NAME[table].dtypes if name not in frame.columns]
    dtypes = TABLE_BY_NAME[table].dtypes
    return frame.with_columns(pl.lit(None, dtype=dtypes[name]).alias(name) for name in missing)


def _positions(rows: pl.DataFrame) -> NDArray[np.int64]:
    return rows["row"].cast(pl.Int64).to_numpy()


def _count(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    counts = table.tally(matches.household)
    counts[(counts == 0) & (table.tally(matches.unsure) > 0)] = np.nan
    return counts


def _sum(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    values = table.number(matches.rows, node.column)
    is_known = ~np.isnan(values)
    total = np.round(table.tally(matches.household[is_known], values[is_known]), _DECIMALS)
    return _unless_unknown(table, matches, matches.household[is_known], total)


def _max(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    values = table.number(matches.rows, node.column)
    largest = table.largest(matches.household, values)
    if table.name == "member":
        return largest
    filled = np.where(np.isnan(largest), 0.0, largest)
    return _unless_unknown(table, matches, matches.household[~np.isnan(values)], filled)


def _sum_max_by_member(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    values = table.number(matches.rows, node.column)
    is_known = ~np.isnan(values)
    sums = (
        matches.rows.select("row", "member_id")
        .with_columns(value=values)
        .filter(pl.Series(is_known))
        .group_by("row", "member_id", maintain_order=True)
        .agg(pl.col("value").sum())
    )
    largest = table.largest(_positions(sums), np.round(sums["value"].to_numpy(), _DECIMALS))
    filled = np.where(np.isnan(largest), 0.0, largest)
    return _unless_unknown(table, matches, matches.household[is_known], filled)


def _unless_unknown(table: ChildTable, matches: _Matches, valued: NDArray[np.int64], result: Array) -> Array:
    """Put NaN where rows match, or might, but none of them has a value."""
    candidates = table.tally(matches.household) + table.tally(matches.unsure)
    return np.where((candidates > 0) & (table.tally(valued) == 0), np.nan, result)


def _distinct(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    different = matches.rows.select("row", node.column or "").drop_nulls().unique()
    return table.tally(_positions(different))


def _any_unknown(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    empty = matches.rows[node.column or ""].is_null().to_numpy()
    result = (table.tally(matches.household[empty]) > 0).astype(np.float64)
    result[(result == 0) & (table.tally(matches.unsure) > 0)] = np.nan
    return result


def _days_since(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    days = table.days(matches.rows, node.column)
    return 0.0 - table.largest(matches.household, np.where(days >= 0, -days, np.nan))


def _days_since_first(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    days = table.days(matches.rows, node.column)
    return table.largest(matches.household, np.where(days >= 0, days, np.nan))


def _days_until(table: ChildTable, node: RowStatistic, matches: _Matches) -> Array:
    days = table.days(matches.rows, node.column)
    return 0.0 - table.largest(matches.household, np.where(days <= 0, days, np.nan))


_STATISTICS: dict[str, Callable[[ChildTable, RowStatistic, _Matches], Array]] = {
    "count": _count,
    "sum": _sum,
    "max": _max,
    "sum_max_by_member": _sum_max_by_member,
    "distinct": _distinct,
    "any_unknown": _any_unknown,
    "days_since": _days_since,
    "days_since_first": _days_since_first,
    "days_until": _days_until,
}
