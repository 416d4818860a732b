"""What every operator means, said plainly: one household at a time, in rows and loops.

Slow on purpose, and written from the operators' descriptions alone. Nothing here looks at how the library
computes; the tests compare the two on random panels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import date
from functools import cached_property
from typing import Any

from relapse_risk.features.expression import (
    Arithmetic,
    Both,
    Comparison,
    Constant,
    Either,
    Expression,
    FeatureRef,
    IfMissing,
    Not,
    ParameterRef,
    When,
)
from relapse_risk.features.nodes import (
    AGE,
    EARNER,
    AnyCondition,
    AsOfMonth,
    ColumnCondition,
    Condition,
    CountyValue,
    HouseholdMonthsSince,
    HouseholdTest,
    HouseholdValue,
    Latest,
    MonthsSinceReport,
    NotCondition,
    PeerStatistic,
    PeriodTest,
    PeriodValue,
    RowStatistic,
    Window,
)
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

NAN = math.nan
Row = dict[str, Any]
Truth = bool | None

# Cells that are left empty because there is nothing to say, unless a whole county left the column out.
EMPTY_MEANS_NONE = {
    ("member", "not_school_reason"),
    ("member", "disease30_code"),
    ("member", "chronic4"),
    ("member", "disability_grade"),
    ("event", "disease_code"),
}


def last_month(day: date) -> int:
    """Index of the last month that has ended on the day."""
    return month_index(day) if day == month_end(month_index(day)) else month_index(day) - 1


def known_rows(panel: Panel, table: str, day: date) -> list[Row]:
    """Latest version of every row known on the day."""
    versions: dict[tuple[Any, ...], Row] = {}
    if table in panel.tables:
        for row in sorted(panel.tables[table].iter_rows(named=True), key=lambda row: row["recorded_on"]):
            if row["recorded_on"] <= day:
                versions[tuple(row[name] for name in TABLE_BY_NAME[table].key)] = row
    return list(versions.values())


def both(truths: Sequence[Truth]) -> Truth:
    """Kleene *and*."""
    return False if False in truths else None if None in truths else True


def either(truths: Sequence[Truth]) -> Truth:
    """Kleene *or*."""
    return True if True in truths else None if None in truths else False


def negated(truth: Truth) -> Truth:
    """Kleene *not*."""
    return None if truth is None else not truth


def as_truth(value: float) -> Truth:
    return None if math.isnan(value) else value == 1.0


def as_float(truth: Truth) -> float:
    return NAN if truth is None else float(truth)


def combined(node: Expression, leaf: Callable[[Expression], float]) -> float:
    """Arithmetic and three-valued logic over what ``leaf`` gives."""

    def value(inner: Expression) -> float:
        return combined(inner, leaf)

    match node:
        case Constant(number):
            return number
        case Arithmetic(operation, left, right):
            return _arithmetic(operation, value(left), value(right))
        case Comparison(operation, left, right):
            return _comparison(operation, value(left), value(right))
        case Both(left, right):
            return as_float(both([as_truth(value(left)), as_truth(value(right))]))
        case Either(left, right):
            return as_float(either([as_truth(value(left)), as_truth(value(right))]))
        case Not(inner):
            return as_float(negated(as_truth(value(inner))))
        case IfMissing(inner, fallback):
            return value(fallback) if math.isnan(value(inner)) else value(inner)
        case When(condition, inner):
            return value(inner) if value(condition) == 1.0 else NAN
    return leaf(node)


def _arithmetic(operation: str, a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return NAN
    match operation:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            return NAN if b == 0 else a / b
        case "min":
            return min(a, b)
    return max(a, b)


def _comparison(operation: str, a: float, b: float) -> float:
    if math.isnan(a) or math.isnan(b):
        return NAN
    return float({"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operation])


class Reference:
    """Values of formulas for single households, from what was known on one day."""

    def __init__(
        self,
        panel: Panel,
        day: date,
        thresholds: ThresholdTable,
        formula_of: Callable[[str], Expression] | None = None,
    ) -> None:
        self.panel, self.day, self.formula_of = panel, day, formula_of
        self.thresholds = panel.known_at(day).thresholds(thresholds)
        self.rows = {table: known_rows(panel, table, day) for table in TABLE_BY_NAME}
        self.households = {
            row["household_id"]: row for row in self.rows["household"] if not self._has_dissolved(row)
        }

    def _has_dissolved(self, household: Row) -> bool:
        """All of its members, of whom there is at least one, are known to have left."""
        members = [row for row in self.rows["member"] if row["household_id"] == household["household_id"]]
        return bool(members) and all(row["is_present"] is False for row in members)

    def value(self, node: Expression, household_id: str) -> float:
        """The value of a formula for a household, NaN where not known."""
        return combined(node, lambda leaf: self._leaf(leaf, household_id))

    def _leaf(self, node: Expression, household_id: str) -> float:
        match node:
            case FeatureRef(name):
                assert self.formula_of is not None
                return self.value(self.formula_of(name), household_id)
            case Window():
                return self._window(node, household_id)
            case Latest():
                return self._latest(node, household_id)
            case MonthsSinceReport():
                periods = self.periods.get(household_id)
                return float(last_month(self.day) - periods[0]["month"]) if periods else NAN
            case RowStatistic():
                return self._row_statistic(node, household_id)
            case PeerStatistic():
                return self._peers(node, household_id)
        return self._of_home(node, self.households[household_id])

    def _of_home(self, node: Expression, home: Row) -> float:
        match node:
            case ParameterRef(name):
                return self._parameter(name, home["county_code"], self.day)
            case HouseholdValue(column):
                return number_of("household", column, home)
            case HouseholdTest(condition):
                return as_float(self.truth(condition, "household", home))
            case HouseholdMonthsSince(column):
                return self._months_since(column, home)
            case CountyValue(column, ago):
                return self._county_value(column, ago, home["county_code"])
            case AsOfMonth():
                return float(self.day.month)
        raise AssertionError(f"no plain meaning of {node!r}")

    def _parameter(self, name: str, county: str, day: date) -> float:
        row = self.thresholds.in_force(name, county, day)
        return NAN if row is None or row.value is None else row.value

    def _months_since(self, column: str, home: Row) -> float:
        then = home.get(column)
        if then is None:
            return NAN
        if TABLE_BY_NAME["household"].by_name[column].type is ColumnType.YEAR:
            return float(12 * (self.day.year - then))
        months = month_index(self.day) - month_index(then)
        if TABLE_BY_NAME["household"].by_name[column].type is ColumnType.DATE:
            is_last_day = self.day == month_end(month_index(self.day))
            months -= then.day > self.day.day and not is_last_day
        return float(months)

    def _county_value(self, column: str, ago: int, county: str) -> float:
        rows = [
            row
            for row in self.rows["county_month"]
            if row["county_code"] == county
            and month_index(row["month"]) <= month_index(self.day) - ago
            and row.get(column) is not None
        ]
        return float(max(rows, key=lambda row: row["month"])[column]) if rows else NAN

    # --- observations ----------------------------------------------------------------------------

    @cached_property
    def periods(self) -> dict[str, list[Row]]:
        """Known periods of each household, latest first; where two overlap, the later stands."""
        periods: dict[str, list[Row]] = {}
        for row in sorted(self.rows["observation"], key=lambda row: row["period_end"], reverse=True):
            mine = periods.setdefault(row["household_id"], [])
            row["month"] = last_month(row["period_end"])
            if not mine or row["month"] <= mine[-1]["month"] - mine[-1]["period_months"]:
                mine.append(row)
        return periods

    def _in_period(self, node: Expression, period: Row) -> float:
        def leaf(inner: Expression) -> float:
            match inner:
                case PeriodValue(column, is_annual):
                    value = number_of("observation", column, period)
                    return value * 12 / period["period_months"] if is_annual else value
                case PeriodTest(column, values):
                    cell = period.get(column)
                    return NAN if cell is None else float(cell in values)
                case ParameterRef(name):
                    county = self.households[period["household_id"]]["county_code"]
                    return self._parameter(name, county, month_end(period["month"]))
            raise AssertionError(f"{inner!r} is not a value of one period")

        return combined(node, leaf)

    def _latest(self, node: Latest, household_id: str) -> float:
        periods = self.periods.get(household_id, [])
        if node.within_months is None:
            return self._in_period(node.inner, periods[node.back]) if node.back < len(periods) else NAN
        for period in periods:
            value = self._in_period(node.inner, period)
            if periods[0]["month"] - period["month"] <= node.within_months and not math.isnan(value):
                return value
        return NAN

    def _window(self, node: Window, household_id: str) -> float:
        periods = self.periods.get(household_id, [])
        inside: list[tuple[float, int, float]] = []  # value, months, middle of the period in years
        for period in periods:
            end, length = period["month"], period["period_months"]
            window_end = periods[0]["month"] - node.ago
            value = self._in_period(node.inner, period)
            if end <= window_end and end - length >= window_end - node.months and not math.isnan(value):
                inside.append((value, length, (end - length / 2) / 12))
        covered = sum(length for _, length, _ in inside)
        if node.statistic == "count":
            return float(len(inside))
        if not inside or covered < node.coverage * node.months:
            return NAN
        return _statistic(node.statistic, inside)

    # --- members, events, measures, visits, cases ---------------------------------------------------

    def truth(self, condition: Condition, table: str, row: Row) -> Truth:
        """Whether a row fulfils a condition; None where that is not known."""
        match condition:
            case NotCondition(inner):
                return negated(self.truth(inner, table, row))
            case AnyCondition(options):
                return either([self.truth(option, table, row) for option in options])
            case ColumnCondition(test, column, values):
                cell = self._cell(column, row)
                if cell is None and (table, column) in EMPTY_MEANS_NONE and test != "missing":
                    return False
                return self._test(test, cell, values)
        raise AssertionError(f"no plain meaning of {condition!r}")

    def _test(self, test: str, cell: Any, values: tuple[Any, ...]) -> Truth:
        if test == "missing":
            return cell is None
        if test == "days_ago":
            return cell is not None and _is_between((self.day - cell).days, *values)
        if cell is None:
            return None
        match test:
            case "in":
                return cell in values
            case "has":
                return bool(set(cell.split("、")) & set(values))
            case "true":
                return bool(cell)
            case "false":
                return not cell
            case "at_least":
                return bool(cell >= values[0])
        return bool(cell < values[0])

    def _cell(self, column: str, row: Row) -> Any:
        if column == AGE:
            return self._age(row)
        return self._is_earner(row) if column == EARNER else row.get(column)

    def _is_earner(self, event: Row) -> Truth:
        """Whether the event's member works, has left a job, or is able to work and no student."""
        for member in self.rows["member"]:
            if event["member_id"] is not None and member["member_id"] == event["member_id"]:
                status, skill = member.get("work_status"), member.get("labour_skill")
                has_worked = None if status is None else status in ("在岗", "离岗")
                is_able = None if skill is None else skill in ("技能劳动力", "普通劳动力")
                is_student = member.get("school_status") not in (None, "非在校")
                return either([has_worked, both([is_able, not is_student])])
        return None

    def _age(self, row: Row) -> int | None:
        born = row["birth_month"]
        return None if born is None else (month_index(self.day) - month_index(born)) // 12

    def _present(self, table: str) -> list[Row]:
        """Rows of a table that belong to a known household; of members only those not gone."""
        return [
            row
            for row in self.rows[table]
            if row["household_id"] in self.households
            and not (table == "member" and row.get("is_present") is False)
        ]

    def _is_withheld(self, table: str, column: str, county: str) -> bool:
        """Whether the county has rows of the table and left the column empty in all of them."""
        rows = [
            row
            for row in self._present(table)
            if self.households[row["household_id"]]["county_code"] == county
        ]
        return bool(rows) and all(row.get(column) is None for row in rows)

    def _row_statistic(self, node: RowStatistic, household_id: str) -> float:
        table = node.table
        if table not in self.panel.tables:
            return NAN
        mine = [row for row in self._present(table) if row["household_id"] == household_id]
        if table == "member" and not mine:
            return NAN
        county = self.households[household_id]["county_code"]
        for column in {*_columns(node.conditions), node.column}:
            if (table, column) in EMPTY_MEANS_NONE and self._is_withheld(table, column or "", county):
                return NAN
        mine = [row for row in mine if self._is_in_time(node, row)]
        truths = [both([self.truth(condition, table, row) for condition in node.conditions]) for row in mine]
        fulfilling = [row for row, truth in zip(mine, truths, strict=True) if truth]
        return self._statistic_of_rows(node, fulfilling, truths.count(None))

    def _is_in_time(self, node: RowStatistic, row: Row) -> bool:
        happened = row.get(TABLE_BY_NAME[node.table].happened or "recorded_on")
        if node.within_days is not None:
            return happened is not None and 0 <= (self.day - happened).days < node.within_days
        if node.is_year_to_date:
            return happened is not None and date(self.day.year, 1, 1) <= happened <= self.day
        return True

    def _statistic_of_rows(self, node: RowStatistic, rows: list[Row], n_unsure: int) -> float:
        column = node.column or ""
        match node.statistic:
            case "count":
                return NAN if not rows and n_unsure else float(len(rows))
            case "any_unknown":
                found = any(row.get(column) is None for row in rows)
                return 1.0 if found else NAN if n_unsure else 0.0
            case "distinct":
                return float(len({row[column] for row in rows if row.get(column) is not None}))
            case "days_since" | "days_since_first" | "days_until":
                return self._days(
                    node.statistic, [row[column] for row in rows if row.get(column) is not None]
                )
        values = [(row, self._number(node.table, column, row)) for row in rows]
        known = [(row, value) for row, value in values if not math.isnan(value)]
        if not known:
            is_none = not rows and not n_unsure and (node.table, node.statistic) != ("member", "max")
            return 0.0 if is_none else NAN
        if node.statistic == "sum":
            return math.fsum(value for _, value in known)
        if node.statistic == "max":
            return max(value for _, value in known)
        members = {row["member_id"] for row, _ in known}
        return max(math.fsum(value for row, value in known if row["member_id"] == who) for who in members)

    def _number(self, table: str, column: str, row: Row) -> float:
        if column == AGE:
            age = self._age(row)
            return NAN if age is None else float(age)
        return number_of(table, column, row)

    def _days(self, statistic: str, dates: list[date]) -> float:
        days = [(self.day - then).days for then in dates]
        if statistic == "days_until":
            return float(min((-n for n in days if n <= 0), default=NAN))
        past = [n for n in days if n >= 0]
        return float((min if statistic == "days_since" else max)(past, default=NAN))

    # --- neighbours ---------------------------------------------------------------------------------

    def _peers(self, node: PeerStatistic, household_id: str) -> float:
        area = self.households[household_id][node.level]
        same = [other for other, row in self.households.items() if row[node.level] == area]
        values = [self.value(node.inner, other) for other in same]
        known = [value for value in values if not math.isnan(value)]
        if node.statistic == "mean":
            return math.fsum(known) / len(known) if known else NAN
        own = self.value(node.inner, household_id)
        if math.isnan(own):
            return NAN
        if len(known) == 1:
            return 0.5
        lower, equal = sum(value < own for value in known), sum(value == own for value in known)
        return (lower + (equal - 1) / 2) / (len(known) - 1)


def number_of(table: str, column: str, row: Row) -> float:
    """A cell as a number: yes/no as 1/0, a coded value as its position from 1, NaN where empty."""
    cell, declared = row.get(column), TABLE_BY_NAME[table].by_name[column]
    if cell is None:
        return NAN
    return float(declared.values.index(cell) + 1 if declared.type is ColumnType.CATEGORY else cell)


def _is_between(days: int, fewest: int | None, most: int | None) -> bool:
    return (fewest is None or days >= fewest) and (most is None or days <= most)


def _columns(conditions: Sequence[Condition]) -> set[str]:
    found: set[str] = set()
    for condition in conditions:
        match condition:
            case NotCondition(inner):
                found |= _columns([inner])
            case AnyCondition(options):
                found |= _columns(options)
            case ColumnCondition(column=column):
                found.add(column)
    return found


def _statistic(statistic: str, inside: list[tuple[float, int, float]]) -> float:
    """The statistic of (value, months, middle in years); means weigh a period by its months."""
    values = [value for value, _, _ in inside]
    months = math.fsum(length for _, length, _ in inside)
    mean = math.fsum(value * length for value, length, _ in inside) / months
    match statistic:
        case "sum":
            return math.fsum(values)
        case "mean":
            return mean
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "std":
            squares = math.fsum(length * (value - mean) ** 2 for value, length, _ in inside)
            return math.sqrt(squares / months) if len(inside) >= 2 else NAN
    if len(inside) < 3:
        return NAN
    centre = math.fsum(length * middle for _, length, middle in inside) / months
    spread = math.fsum(length * (middle - centre) ** 2 for _, length, middle in inside)
    together = math.fsum(length * (middle - centre) * (value - mean) for value, length, middle in inside)
    return together / spread
