"""Statistics of the rows that belong to a household: members, events, measures, visits, cases.

A count is NaN where no row is known to fulfil the conditions while some row might.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.areas import WholeAreas
from relapse_risk.features.conditions import EMPTY_MEANS_NONE, FALSE, TRUE, Cells, Truth, columns_in
from relapse_risk.features.decode import Sorted, positions_in
from relapse_risk.features.expression import Array
from relapse_risk.features.nodes import AGE, EARNER, ColumnCondition, RowStatistic
from relapse_risk.panel.history import History, day_number
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import month_index

_DECIMALS = 6
_HAS_WORKED = ColumnCondition("in", "work_status", ("在岗", "离岗"))
_IS_ABLE = ColumnCondition("in", "labour_skill", ("技能劳动力", "普通劳动力"))
_IS_NO_STUDENT = ColumnCondition("in", "school_status", ("非在校",))

Mask = NDArray[np.bool_]


class ChildTable:
    """One table of a panel, all versions of its rows, by household.

    Parameters
    ----------
    history : History
    name : str
    ids : polars.Series
        Identifiers of the households that are counted.
    """

    def __init__(self, history: History, name: str, ids: pl.Series) -> None:
        self.name = name
        self.rows = Sorted(history.frame, ids)
        self.cells = Cells(self.rows, name)

    def at(self, known: KnownPanel, places: Places, members: ChildTable | None) -> KnownRows:
        """Return the rows that were known on a date, of members only those present.

        Parameters
        ----------
        known : KnownPanel
        places : Places
            Where the households lived on the date.
        members : ChildTable or None
            The members that rows of this table may name.
        """
        return KnownRows(self, known, places, members)

    def earners(self) -> Truth:
        """Return whether each member works, has left a job, or is able to work: 2 yes, 1 not known, 0 no."""
        anyone = date.min
        has_worked = self.cells.truth((_HAS_WORKED,), anyone, {})
        is_able = self.cells.truth((_IS_ABLE,), anyone, {})
        is_no_student = self.cells.truth((_IS_NO_STUDENT,), anyone, {})
        return np.maximum(has_worked, np.minimum(is_able, np.where(is_no_student == FALSE, FALSE, TRUE)))


@dataclass(frozen=True)
class Places:
    """Where households lived on a date.

    Attributes
    ----------
    county : ndarray of int64, shape (n_households,)
        Place of each household's county in ``counties``; -1 where the household was not known.
    counties : tuple of str
    areas : WholeAreas or None
        What is known of the counties beyond these households; None where all of them are here.
    """

    county: NDArray[np.int64]
    counties: tuple[str, ...]
    areas: WholeAreas | None = None


class KnownRows:
    """The rows of a table that were known on a date."""

    def __init__(
        self, table: ChildTable, known: KnownPanel, places: Places, members: ChildTable | None
    ) -> None:
        from relapse_risk.features import loops

        self._loops = loops
        self._table, self._known, self._places, self._members = table, known, places, members
        self._begin, self._cells = table.rows.begin, table.cells
        self._lives = table.rows.sorted(known.stands(table.name)) & (places.county >= 0)[table.rows.row]
        if table.name == "member":
            self._lives &= table.cells.number("is_present") != 0.0
        self._virtual: dict[str, Array] = {}

    @property
    def _n_households(self) -> int:
        return len(self._begin) - 1

    def compute(self, node: RowStatistic) -> Array:
        """Return the statistic for every household, shape ``(n_households,)``; NaN where not known."""
        columns = columns_in(node.conditions) | {node.column}
        self._add_virtual(columns)
        result = _STATISTICS[node.statistic](self, node)
        for table, column in sorted(EMPTY_MEANS_NONE):
            if table == self._table.name and column in columns:
                result[self._is_withheld(column)] = np.nan
        if self._table.name == "member":
            result[self._count_living() == 0] = np.nan
        return result

    def _add_virtual(self, columns: frozenset[str | None]) -> None:
        day = self._known.as_of_date
        if AGE in columns and AGE not in self._virtual:
            self._virtual[AGE] = np.floor((month_index(day) + 1 - self._cells.month("birth_month")) / 12)
        if EARNER in columns and EARNER not in self._virtual:
            self._virtual[EARNER] = self._earners()

    def _earners(self) -> Array:
        """Return whether the member that each row names is an earner; NaN where not known or nobody."""
        members = self._members
        if members is None:
            return np.full(len(self._lives), np.nan)
        stands = members.rows.sorted(self._known.stands("member"))
        ids = members.rows.take(("member_id",), np.flatnonzero(stands))["member_id"]
        truth = np.append(np.array([0.0, np.nan, 1.0])[members.earners()[stands]], np.nan)
        distinct = ids.to_frame().with_row_index("at").unique("member_id", keep="last", maintain_order=True)
        rows = self._table.rows
        place = rows.sorted(positions_in(rows.frame["member_id"], distinct["member_id"]))
        known: Array = truth[np.append(distinct["at"].to_numpy(), len(truth) - 1)[place]]
        return known

    # --- what counts -------------------------------------------------------------------------------

    def lives(self, node: RowStatistic) -> Mask:
        """Return the rows that happened in the days the node looks at."""
        if node.within_days is None and not node.is_year_to_date:
            return self._lives
        day = self._known.as_of_date
        happened = self._cells.day(TABLE_BY_NAME[self._table.name].happened or "recorded_on")
        lives: Mask = self._lives & (happened <= day_number(day))
        if node.within_days is not None:
            lives &= happened > day_number(day) - node.within_days
        if node.is_year_to_date:
            lives &= happened >= day_number(date(day.year, 1, 1))
        return lives

    def truth(self, node: RowStatistic) -> Truth:
        """Return whether each row fulfils all conditions."""
        return self._cells.truth(node.conditions, self._known.as_of_date, self._virtual)

    def number(self, column: str) -> Array:
        """Return a column of all rows as float64."""
        return self._virtual[column] if column in self._virtual else self._cells.number(column)

    def days_ago(self, column: str) -> Array:
        """Return the days from a date column to the as-of date, NaN where empty."""
        return day_number(self._known.as_of_date) - self._cells.day(column)

    def count(
        self, node: RowStatistic, lives: Mask | None = None, truth: Truth | None = None
    ) -> tuple[Array, Array]:
        """Return how many rows fulfil the conditions, and how many might, by household."""
        hits, unsure = np.empty(self._n_households), np.empty(self._n_households)
        lives = self.lives(node) if lives is None else lives
        self._loops.count_rows(self._begin, lives, self.truth(node) if truth is None else truth, hits, unsure)
        return hits, unsure

    def add_up(self, node: RowStatistic, values: Array) -> tuple[Array, Array, Array]:
        """Return number, sum and largest of the known values of the rows that fulfil the conditions."""
        valued, totals, largest = (np.empty(self._n_households) for _ in range(3))
        self._loops.add_up(self._begin, self.lives(node), self.truth(node), values, valued, totals, largest)
        return valued, totals, largest

    def by_code(self, node: RowStatistic, column: str, values: Array) -> tuple[Array, Array]:
        """Return how many different codes of a column are there, and the largest sum of one code's values."""
        n_codes, largest = np.empty(self._n_households), np.empty(self._n_households)
        codes, _ = self._cells.codes(column)
        self._loops.add_up_by_code(
            self._begin, self.lives(node), self.truth(node), codes, values, n_codes, largest
        )
        return n_codes, largest

    def is_empty(self, column: str) -> Mask:
        """Return whether each row's cell is empty."""
        return ~self._cells.is_filled(column)

    # --- what is withheld --------------------------------------------------------------------------

    def _count_living(self) -> Array:
        counts: Array = np.diff(np.concatenate([[0], np.cumsum(self._lives)])[self._begin]).astype(np.float64)
        return counts

    def _is_withheld(self, column: str) -> Mask:
        """Return, by household, whether its county has rows but none with this column filled."""
        places = self._places
        if places.areas is None:
            held, filled = self.count_by_county(), self.count_by_county(column)
            withheld = (held > 0) & (filled == 0)
        else:
            day = self._known.as_of_date
            withheld = places.areas.is_withheld(self._table.name, column, day, places.counties)
        by_household: Mask = np.append(withheld, False)[places.county]
        return by_household

    def count_by_county(self, column: str = "") -> NDArray[np.int64]:
        """Return the number of known rows of each county, or of those with a column filled."""
        lives = self._lives & self._cells.is_filled(column) if column else self._lives
        county = self._places.county[self._table.rows.row[lives]]
        return np.bincount(county, minlength=len(self._places.counties))


def _count(rows: KnownRows, node: RowStatistic) -> Array:
    hits, unsure = rows.count(node)
    hits[(hits == 0) & (unsure > 0)] = np.nan
    return hits


def _sum(rows: KnownRows, node: RowStatistic) -> Array:
    valued, totals, _ = rows.add_up(node, rows.number(node.column or ""))
    return _unless_unknown(rows, node, valued, np.round(totals, _DECIMALS))


def _max(rows: KnownRows, node: RowStatistic) -> Array:
    valued, _, largest = rows.add_up(node, rows.number(node.column or ""))
    if node.table == "member":
        return largest
    return _unless_unknown(rows, node, valued, np.where(np.isnan(largest), 0.0, largest))


def _sum_max_by_member(rows: KnownRows, node: RowStatistic) -> Array:
    values = rows.number(node.column or "")
    _, largest = rows.by_code(node, "member_id", values)
    filled = np.where(np.isnan(largest), 0.0, np.round(largest, _DECIMALS))
    valued, _, _ = rows.add_up(node, values)
    return _unless_unknown(rows, node, valued, filled)


def _unless_unknown(rows: KnownRows, node: RowStatistic, valued: Array, result: Array) -> Array:
    """Put NaN where rows match, or might, but none of them has a value."""
    hits, unsure = rows.count(node)
    return np.where((hits + unsure > 0) & (valued == 0), np.nan, result)


def _distinct(rows: KnownRows, node: RowStatistic) -> Array:
    n_codes, _ = rows.by_code(node, node.column or "", np.full(len(rows.truth(node)), np.nan))
    return n_codes


def _any_unknown(rows: KnownRows, node: RowStatistic) -> Array:
    _, unsure = rows.count(node)
    empty, _ = rows.count(node, rows.lives(node) & rows.is_empty(node.column or ""))
    result = (empty > 0).astype(np.float64)
    result[(result == 0) & (unsure > 0)] = np.nan
    return result


def _days_since(rows: KnownRows, node: RowStatistic) -> Array:
    days = rows.days_ago(node.column or "")
    return 0.0 - rows.add_up(node, np.where(days >= 0, -days, np.nan))[2]


def _days_since_first(rows: KnownRows, node: RowStatistic) -> Array:
    days = rows.days_ago(node.column or "")
    return rows.add_up(node, np.where(days >= 0, days, np.nan))[2]


def _days_until(rows: KnownRows, node: RowStatistic) -> Array:
    days = rows.days_ago(node.column or "")
    return 0.0 - rows.add_up(node, np.where(days <= 0, days, np.nan))[2]


_STATISTICS: dict[str, Callable[[KnownRows, RowStatistic], Array]] = {
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
