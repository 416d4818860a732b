"""Operators: the leaves of a feature's formula, each naming what is read from the tables.

An operator only says what is wanted; ``features/evaluate.py`` computes it from what was known on the as-of
date. Everything a constructor returns is an expression, so arithmetic, comparisons and ``or_else`` apply.

Windows run over time and never over rows. They are anchored at the end of the household's latest known
period: ``months`` is the length, ``ago`` how many months earlier the window ends. A period counts only if it
lies wholly inside, and a cell that was left empty counts as not covered.

A table nobody handed in gives NaN, never 0; so does a column that the household's county left out.
"""

from __future__ import annotations

from relapse_risk.errors import ContractError
from relapse_risk.features.expression import Expression
from relapse_risk.features.nodes import (
    VIRTUAL_COLUMNS,
    AnyCondition,
    AsOfMonth,
    ColumnCondition,
    Condition,
    CountyValue,
    HouseholdMonthsSince,
    HouseholdTest,
    HouseholdValue,
    Latest,
    Level,
    MonthsSinceReport,
    NotCondition,
    PeerStatistic,
    PeriodTest,
    PeriodValue,
    RowStatistic,
    Value,
    Window,
)
from relapse_risk.panel.schema import Column, ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME

# --- constructors: conditions on the rows of a table --------------------------------------------------


def is_in(column: str, *values: Value) -> Condition:
    """Ask that the cell is one of ``values``."""
    return ColumnCondition("in", column, values)


def has_item(column: str, *items: str) -> Condition:
    """Ask that the list in the cell holds at least one of ``items``."""
    return ColumnCondition("has", column, items)


def is_true(column: str) -> Condition:
    """Ask that the cell says yes."""
    return ColumnCondition("true", column)


def is_false(column: str) -> Condition:
    """Ask that the cell says no."""
    return ColumnCondition("false", column)


def at_least(column: str, limit: float) -> Condition:
    """Ask that the number is ``limit`` or more."""
    return ColumnCondition("at_least", column, (limit,))


def below(column: str, limit: float) -> Condition:
    """Ask that the number is less than ``limit``."""
    return ColumnCondition("below", column, (limit,))


def is_missing(column: str) -> Condition:
    """Ask that the cell is empty."""
    return ColumnCondition("missing", column)


def days_ago(column: str, at_least: int | None = None, at_most: int | None = None) -> Condition:
    """Ask that the date lies between ``at_least`` and ``at_most`` days before the as-of date.

    Both are inclusive; a negative number of days is in the future, and an empty cell fulfils nothing.
    """
    return ColumnCondition("days_ago", column, (at_least, at_most))


# --- constructors: household snapshot ----------------------------------------------------------------


def household(column: str) -> Expression:
    """Take a number or a yes/no (1/0) of the household; a coded value gives its position, from 1."""
    return HouseholdValue(_known("household", column))


def household_is(column: str, *values: Value) -> Expression:
    """1 where the cell is one of ``values``, 0 where it is another, NaN where it is empty."""
    return HouseholdTest(is_in(_known("household", column), *values))


def household_has(column: str, *items: str) -> Expression:
    """1 where the list holds any of ``items``, 0 where not, NaN where the cell is empty."""
    return HouseholdTest(has_item(_known("household", column), *items))


def household_months_since(column: str) -> Expression:
    """Whole months from a date, month or year column to the as-of date."""
    return HouseholdMonthsSince(_known("household", column))


# --- constructors: observations ----------------------------------------------------------------------


def in_period(column: str) -> Expression:
    """Take the value of a column as reported for one period; for use inside windows."""
    return PeriodValue(_known("observation", column))


def annual(column: str) -> Expression:
    """Take the flow of one period scaled to 12 months; for use inside windows."""
    return PeriodValue(_known("observation", column), is_annual=True)


def period_is(column: str, *values: Value) -> Expression:
    """1 where the cell of one period is one of ``values``, 0 where another; for use inside windows."""
    return PeriodTest(_known("observation", column), values)


def sum_over(column: str | Expression, months: int, ago: int = 0, coverage: float = 1.0) -> Expression:
    """Sum a flow over the window; NaN unless known periods cover ``coverage`` of its months.

    Exact for any mix of periods of 1, 3 and 12 months that fill the window. With a ``coverage`` below 1
    the sum is of what is known and is not scaled up; at least one period must be known.
    """
    inner = in_period(column) if isinstance(column, str) else column
    return Window("sum", inner, months, ago, coverage)


def mean_over(column: str | Expression, months: int, ago: int = 0, coverage: float = 0.0) -> Expression:
    """Mean over the known periods of the window, each weighted by its months; flows are per year."""
    return Window("mean", _per_period(column), months, ago, coverage)


def min_over(column: str | Expression, months: int, ago: int = 0, coverage: float = 0.0) -> Expression:
    """Smallest value of the known periods of the window; flows are per year."""
    return Window("min", _per_period(column), months, ago, coverage)


def max_over(column: str | Expression, months: int, ago: int = 0, coverage: float = 0.0) -> Expression:
    """Largest value of the known periods of the window; flows are per year."""
    return Window("max", _per_period(column), months, ago, coverage)


def std_over(column: str | Expression, months: int, ago: int = 0, coverage: float = 0.0) -> Expression:
    """Take the standard deviation over two or more known periods, weighted by months; flows are per year."""
    return Window("std", _per_period(column), months, ago, coverage)


def slope_over(column: str | Expression, months: int, ago: int = 0, coverage: float = 0.0) -> Expression:
    """Change per year on the least-squares line through three or more known periods; flows are per year."""
    return Window("slope", _per_period(column), months, ago, coverage)


def count_over(column: str | Expression, months: int, ago: int = 0) -> Expression:
    """Count the periods of the window in which the value is known; 0 where there is none."""
    return Window("count", _per_period(column), months, ago, 0.0)


def last(column: str | Expression, back: int = 0, within_months: int | None = None) -> Expression:
    """Value in the latest known period, as reported.

    Parameters
    ----------
    column : str or Expression
        Yes/no gives 1/0, house grades A to D give 1 to 4.
    back : int
        1 for the known period before the latest, and so on.
    within_months : int, optional
        Take the latest cell that is not empty among the periods that ended in the last so many months
        before the latest period's end, instead of the latest period's cell only.
    """
    inner = in_period(column) if isinstance(column, str) else column
    return Latest(inner, back, within_months)


def latest_annual(column: str, back: int = 0) -> Expression:
    """Flow of the latest known period scaled to 12 months."""
    return Latest(annual(column), back)


def months_since_report() -> Expression:
    """Whole months from the end of the latest known period to the as-of date."""
    return MonthsSinceReport()


# --- constructors: members ---------------------------------------------------------------------------


def members(*conditions: Condition) -> Expression:
    """Count the present members that fulfil all conditions.

    NaN where the household has no member rows, and where no member is known to fulfil them while some
    member's cell is empty. The virtual column ``age`` is in whole years.
    """
    return RowStatistic("member", "count", None, _checked("member", conditions))


def member_sum(column: str, *conditions: Condition) -> Expression:
    """Sum a column over the present members that fulfil all conditions; empty cells are left out."""
    return RowStatistic("member", "sum", _known("member", column), _checked("member", conditions))


def member_max(column: str, *conditions: Condition) -> Expression:
    """Largest value among the present members that fulfil all conditions; NaN where there is none."""
    return RowStatistic("member", "max", _known("member", column), _checked("member", conditions))


def member_any_unknown(column: str, *conditions: Condition) -> Expression:
    """1 where the column is empty for any present member that fulfils all conditions, else 0."""
    return RowStatistic("member", "any_unknown", _known("member", column), _checked("member", conditions))


# --- constructors: events ----------------------------------------------------------------------------


def events(*types: str, within_days: int | None = None, conditions: tuple[Condition, ...] = ()) -> Expression:
    """Count the events of these types (any where none is named).

    The virtual column ``member_is_earner`` says whether the event's member works, has left a job, or is able
    to work; it is empty where the event names nobody known.
    """
    return RowStatistic("event", "count", None, _typed(types, conditions), within_days)


def event_sum(
    column: str,
    *types: str,
    within_days: int | None = None,
    since_year_start: bool = False,
    conditions: tuple[Condition, ...] = (),
) -> Expression:
    """Sum a column over the events of these types; 0 where there is none."""
    checked = _typed(types, conditions)
    return RowStatistic("event", "sum", _known("event", column), checked, within_days, since_year_start)


def event_max(
    column: str,
    *types: str,
    within_days: int | None = None,
    since_year_start: bool = False,
    conditions: tuple[Condition, ...] = (),
) -> Expression:
    """Largest value among the events of these types; 0 where there is none."""
    checked = _typed(types, conditions)
    return RowStatistic("event", "max", _known("event", column), checked, within_days, since_year_start)


def member_event_sum_max(
    column: str, *types: str, within_days: int | None = None, since_year_start: bool = False
) -> Expression:
    """Largest sum of one member over the events of these types; 0 where there is none.

    Events that name no member count as those of one further member.
    """
    checked = _typed(types, ())
    return RowStatistic(
        "event", "sum_max_by_member", _known("event", column), checked, within_days, since_year_start
    )


def events_distinct(column: str, *types: str, within_days: int | None = None) -> Expression:
    """Count the different values of a column among the events of these types."""
    return RowStatistic("event", "distinct", _known("event", column), _typed(types, ()), within_days)


def days_since_event(*types: str, conditions: tuple[Condition, ...] = ()) -> Expression:
    """Days from the latest event of these types to the as-of date; NaN where there is none."""
    return RowStatistic("event", "days_since", "event_date", _typed(types, conditions))


def days_until_due(*types: str) -> Expression:
    """Days from the as-of date to the next ``due_date`` of events of these types; NaN where none is due."""
    return RowStatistic("event", "days_until", "due_date", _typed(types, ()))


# --- constructors: measures, visits, workflow; peers; context -----------------------------------------


def rows(table: str, *conditions: Condition, within_days: int | None = None) -> Expression:
    """Count the rows of a table that fulfil all conditions."""
    return RowStatistic(table, "count", None, _checked(table, conditions), within_days)


def days_since(table: str, date_column: str, *conditions: Condition) -> Expression:
    """Days from the latest such date to the as-of date; NaN where there is none."""
    return RowStatistic(table, "days_since", _known(table, date_column), _checked(table, conditions))


def days_since_first(table: str, date_column: str, *conditions: Condition) -> Expression:
    """Days from the earliest such date to the as-of date; NaN where there is none."""
    checked = _checked(table, conditions)
    return RowStatistic(table, "days_since_first", _known(table, date_column), checked)


def days_until(table: str, date_column: str, *conditions: Condition) -> Expression:
    """Days from the as-of date to the next such date, that day included; NaN where there is none."""
    return RowStatistic(table, "days_until", _known(table, date_column), _checked(table, conditions))


def peer_rank(expression: Expression, level: Level) -> Expression:
    """Rank among the households of the area with a known value, 0 (lowest) to 1; 0.5 where alone."""
    return PeerStatistic("rank", expression, level)


def peer_mean(expression: Expression, level: Level) -> Expression:
    """Mean of the known values of the households of the area, this one included."""
    return PeerStatistic("mean", expression, level)


def county_value(column: str, ago: int = 0) -> Expression:
    """Latest known monthly value of the county, or the latest one at least ``ago`` months old."""
    return CountyValue(_known("county_month", column), ago)


def as_of_month() -> Expression:
    """Calendar month of the as-of date, 1 to 12."""
    return AsOfMonth()


# --- checks of a declaration --------------------------------------------------------------------------

_FLOW_SUFFIX = "_yuan"


def is_flow(column: str) -> bool:
    """Return whether an observation column is a sum over its period."""
    return column.endswith(_FLOW_SUFFIX) or column == "work_months"


def _per_period(column: str | Expression) -> Expression:
    if isinstance(column, Expression):
        return column
    return annual(column) if is_flow(column) else in_period(column)


def _known(table: str, column: str) -> str:
    """Return ``column`` where ``table`` has it."""
    if column not in _columns_of(table) and (table, column) not in VIRTUAL_COLUMNS:
        raise ContractError(
            "RR315",
            f"formula, {table}.{column}",
            "no such column",
            "a canonical column of a canonical table",
            "Correct the name",
        )
    return column


def _columns_of(table: str) -> dict[str, Column]:
    if table not in TABLE_BY_NAME:
        raise ContractError(
            "RR315", f"formula, {table}", "no such table", "a canonical table", "Correct the name"
        )
    return TABLE_BY_NAME[table].by_name


def _checked(table: str, conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    """Return ``conditions`` where every column they test is one of ``table``, and every code one of its."""
    _columns_of(table)
    for condition in conditions:
        if isinstance(condition, NotCondition):
            _checked(table, (condition.inner,))
        elif isinstance(condition, AnyCondition):
            _checked(table, condition.options)
        elif isinstance(condition, ColumnCondition):
            _known(table, condition.column)
            _check_codes(table, condition)
    return conditions


def _check_codes(table: str, condition: ColumnCondition) -> None:
    column = TABLE_BY_NAME[table].by_name.get(condition.column)
    if column is None or column.type not in (ColumnType.CATEGORY, ColumnType.LIST) or not column.values:
        return
    unknown = [str(value) for value in condition.values if value not in column.values]
    if unknown:
        raise ContractError(
            "RR316",
            f"formula, {table}.{condition.column}",
            f"{'、'.join(unknown)} is no value of it",
            "、".join(column.values),
            "Correct the value",
        )


def _typed(types: tuple[str, ...], conditions: tuple[Condition, ...]) -> tuple[Condition, ...]:
    wanted = (is_in("event_type", *types),) if types else ()
    return _checked("event", wanted + conditions)
