"""What a formula reads, itself and through the features it names: tables, columns, and how far back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relapse_risk.features.expression import Expression, FeatureRef, walk
from relapse_risk.features.nodes import (
    AnyCondition,
    ColumnCondition,
    Condition,
    CountyValue,
    HouseholdMonthsSince,
    HouseholdTest,
    HouseholdValue,
    Latest,
    MonthsSinceReport,
    NotCondition,
    PeriodTest,
    PeriodValue,
    RowStatistic,
    Window,
)
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME

# The register, and the help and the procedure that follow it, are what the rules did: a model that reads them
# learns the rules. Sex and ethnicity serve audits only; names, numbers and free text say who somebody is.
FORBIDDEN_TABLES = frozenset({"measure", "visit", "workflow", "contact"})
FORBIDDEN_COLUMNS = frozenset(
    {
        ("member", "sex"),
        ("household", "monitor_category"),
        ("household", "identified_on"),
        ("household", "risk_types"),
        ("household", "risk_cleared"),
        ("household", "cleared_on"),
        ("household", "clear_mode"),
        ("household", "lowincome_class"),
        ("county_month", "monitored_n"),
        ("county_month", "new_n"),
        ("county_month", "cleared_n"),
    }
)
_IDENTIFYING = (ColumnType.CODE, ColumnType.TEXT)

Column = tuple[str, str]


@dataclass(frozen=True)
class Reads:
    """What a formula reads.

    Attributes
    ----------
    columns : tuple of (table, column)
        In the order of first use; the column is empty where only rows are counted.
    months : int
        How far back its windows over observations reach from the latest period; 0 without windows.
    periods : int
        Reported periods it needs for a value of its own, such as 2 for the one before the latest.
    """

    columns: tuple[Column, ...]
    months: int
    periods: int

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables, in the order of first use."""
        return tuple(dict.fromkeys(table for table, _ in self.columns))


def reads_of(formula: Expression, formula_of: Callable[[str], Expression]) -> Reads:
    """Return what a formula reads; ``formula_of`` gives the formula of a feature it names."""
    nodes = list(_nodes(formula, formula_of, ()))
    months = max((node.months + node.ago for node in nodes if isinstance(node, Window)), default=0)
    periods = max((node.back + 1 for node in nodes if isinstance(node, Latest)), default=0)
    columns = dict.fromkeys(column for node in nodes for column in _columns(node))
    return Reads(tuple(columns), months, periods)


def forbidden_in(reads: Reads) -> tuple[Column, ...]:
    """Return the columns a model must not read."""
    return tuple(column for column in reads.columns if _is_forbidden(*column))


def _nodes(
    formula: Expression, formula_of: Callable[[str], Expression], path: tuple[str, ...]
) -> Iterator[Expression]:
    for node in walk(formula):
        yield node
        if isinstance(node, FeatureRef) and node.name not in path:
            yield from _nodes(formula_of(node.name), formula_of, (*path, node.name))


def _columns(node: Expression) -> Iterator[Column]:
    match node:
        case HouseholdValue(column=column) | HouseholdMonthsSince(column=column):
            yield "household", column
        case HouseholdTest(condition=condition):
            yield from (("household", column) for column in _tested(condition))
        case PeriodValue(column=column) | PeriodTest(column=column):
            yield "observation", column
        case MonthsSinceReport():
            yield "observation", "period_end"
        case CountyValue(column=column):
            yield "county_month", column
        case RowStatistic(table=table):
            yield table, node.column or ""
            for condition in node.conditions:
                yield from ((table, column) for column in _tested(condition))


def _tested(condition: Condition) -> Iterator[str]:
    match condition:
        case ColumnCondition(column=column):
            yield column
        case NotCondition(inner=inner):
            yield from _tested(inner)
        case AnyCondition(options=options):
            for option in options:
                yield from _tested(option)


def _is_forbidden(table: str, column: str) -> bool:
    if table in FORBIDDEN_TABLES or (table, column) in FORBIDDEN_COLUMNS:
        return True
    declared = TABLE_BY_NAME[table].by_name.get(column)
    return declared is not None and declared.type in _IDENTIFYING
