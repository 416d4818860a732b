"""Nodes of a formula that read the tables; ``operators.py`` builds them, ``evaluate.py`` computes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from relapse_risk.features.expression import Expression

Value = str | int | float
Level = Literal["village_code", "township_code", "county_code"]

# Columns that the tables do not hold.
AGE = "age"  # whole years of a member on the as-of date
EARNER = "member_is_earner"  # whether an event's member works, has left a job, or is able to work
VIRTUAL_COLUMNS = frozenset({("member", AGE), ("event", EARNER)})


# --- conditions on the rows of a table ---------------------------------------------------------------


@dataclass(frozen=True)
class Condition:
    """Base of the conditions a row can be tested for; ``~`` negates, ``|`` joins, a tuple means *and*."""

    def __invert__(self) -> Condition:
        return NotCondition(self)

    def __or__(self, other: Condition) -> Condition:
        return AnyCondition((self, other))


@dataclass(frozen=True)
class ColumnCondition(Condition):
    """A test of one column; an empty cell is not known, except for ``missing`` and ``days_ago``."""

    test: Literal["in", "has", "true", "false", "at_least", "below", "missing", "days_ago"]
    column: str
    values: tuple[Value | None, ...] = ()


@dataclass(frozen=True)
class NotCondition(Condition):
    """Kleene *not*."""

    inner: Condition


@dataclass(frozen=True)
class AnyCondition(Condition):
    """Kleene *or*."""

    options: tuple[Condition, ...]


# --- nodes -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HouseholdValue(Expression):
    """A number, a yes/no (1/0) or the position of a coded value (from 1) in the household snapshot."""

    column: str


@dataclass(frozen=True)
class HouseholdTest(Expression):
    """1 or 0 whether the household's cell fulfils a condition; NaN where the cell is empty."""

    condition: Condition


@dataclass(frozen=True)
class HouseholdMonthsSince(Expression):
    """Whole months from a date of the household snapshot to the as-of date."""

    column: str


@dataclass(frozen=True)
class PeriodValue(Expression):
    """The value of a column in one period; times 12 / months of the period where ``is_annual``."""

    column: str
    is_annual: bool = False


@dataclass(frozen=True)
class PeriodTest(Expression):
    """1 or 0 whether a column of one period is one of ``values``; NaN where the cell is empty."""

    column: str
    values: tuple[Value, ...]


WindowStatistic = Literal["sum", "mean", "min", "max", "std", "slope", "count"]


@dataclass(frozen=True)
class Window(Expression):
    """A statistic of a per-period expression over the months ``(anchor - ago - months, anchor - ago]``."""

    statistic: WindowStatistic
    inner: Expression
    months: int
    ago: int
    coverage: float


@dataclass(frozen=True)
class Latest(Expression):
    """A per-period expression at the latest known period, or ``back`` known periods before it.

    Where ``within_months`` is given: the latest known value in so many months before the anchor.
    """

    inner: Expression
    back: int = 0
    within_months: int | None = None


@dataclass(frozen=True)
class MonthsSinceReport(Expression):
    """Whole months from the end of the latest known period to the as-of date."""


RowStatisticName = Literal[
    "count",
    "sum",
    "max",
    "sum_max_by_member",
    "distinct",
    "any_unknown",
    "days_since",
    "days_since_first",
    "days_until",
]


@dataclass(frozen=True)
class RowStatistic(Expression):
    """A statistic of the household's rows in a table that fulfil all conditions.

    Attributes
    ----------
    within_days : int or None
        Only rows that happened in the last so many days, the as-of date included.
    is_year_to_date : bool
        Only rows that happened in the calendar year of the as-of date.
    """

    table: str
    statistic: RowStatisticName
    column: str | None = None
    conditions: tuple[Condition, ...] = ()
    within_days: int | None = None
    is_year_to_date: bool = False


@dataclass(frozen=True)
class PeerStatistic(Expression):
    """Rank or mean of an expression among the households of the same area."""

    statistic: Literal["rank", "mean"]
    inner: Expression
    level: Level


@dataclass(frozen=True)
class CountyValue(Expression):
    """Latest known value of a column of ``county_month``, so many months before the as-of date."""

    column: str
    ago: int = 0


@dataclass(frozen=True)
class AsOfMonth(Expression):
    """Calendar month of the as-of date, 1 to 12."""
