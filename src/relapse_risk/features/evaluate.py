"""The interpreter: computes formulas from what was known on each of some as-of dates.

The tables of a panel are decoded once (``decode.py``). Leaves are computed for all households at once:
windows for all dates together (``periods.py``), child rows date by date (``child_rows.py``). Then arithmetic
and logic run over blocks of households, so that memory does not grow with the number of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import chain

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.areas import AREA_SCHEMA, WIDE_LEVELS, WholeAreas, area_frame, held_key, peers_key
from relapse_risk.features.child_rows import ChildTable, KnownRows, Places
from relapse_risk.features.conditions import EMPTY_MEANS_NONE, TRUE, UNKNOWN, Cells, columns_in
from relapse_risk.features.decode import Sorted, float_array
from relapse_risk.features.expression import Array, Expression, ParameterRef
from relapse_risk.features.nodes import (
    AsOfMonth,
    CountyValue,
    HouseholdMonthsSince,
    HouseholdTest,
    HouseholdValue,
    Latest,
    MonthsSinceReport,
    PeerStatistic,
    PeriodTest,
    PeriodValue,
    RowStatistic,
    Window,
)
from relapse_risk.features.peers import Areas, compare, known_by_area, rows_by_area
from relapse_risk.features.periods import Moment, PeriodNode, PeriodResults, Periods
from relapse_risk.features.program import Program
from relapse_risk.features.reads import reads_of
from relapse_risk.panel.history import History
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

_BLOCK_ROWS = 8_192
_RESIDENCE = ("county_code", "township_code", "village_code", "predecessor_id")
FormulaOf = Callable[[str], Expression]


class Decoded:
    """The tables of a panel as arrays, decoded as they are asked for.

    Parameters
    ----------
    histories : mapping of str to History

    Attributes
    ----------
    ids : polars.Series
        Every household of any date; their places number the households. Their order is that of the store, so
        that the rows of neighbours in it lie together; whose rows were made for a day stand last.
    """

    def __init__(self, histories: Mapping[str, History]) -> None:
        self._histories = histories
        households = histories["household"].frame
        named = households.select("household_id")
        self.ids = named.unique(keep="last", maintain_order=True)["household_id"]
        self.households = Sorted(households, self.ids)
        self.cells = Cells(self.households, "household")
        self._children: dict[str, ChildTable] = {}

    @cached_property
    def rank(self) -> NDArray[np.int64]:
        """Place of each household among all of them, sorted by identifier."""
        return np.argsort(self.ids.arg_sort().to_numpy())

    @cached_property
    def periods(self) -> Periods:
        """The reported periods; none where the table is absent."""
        absent = pl.DataFrame(schema=TABLE_BY_NAME["observation"].dtypes)
        history = self._histories.get("observation")
        return Periods(Sorted(absent if history is None else history.frame, self.ids, by="period_end"))

    def child(self, name: str) -> ChildTable | None:
        """Return a table of rows that belong to households; None where nobody handed it in."""
        if name not in self._histories:
            return None
        if name not in self._children:
            self._children[name] = ChildTable(self._histories[name], name, self.ids)
        return self._children[name]


class Plan:
    """What has to be computed for some formulas, in which order.

    Parameters
    ----------
    formulas : sequence of Expression
    formula_of : callable
        Gives the formula of a feature that another formula names.

    Raises
    ------
    ContractError
        RR318 where a feature needs itself, RR319 where a value of one period stands outside a window.
    """

    def __init__(self, formulas: Sequence[Expression], formula_of: FormulaOf) -> None:
        self._formula_of = formula_of
        self.program = Program(formulas, formula_of)
        self.peers: dict[PeerStatistic, Plan] = {}
        for node in self.program.leaves:
            if isinstance(node, PeriodValue | PeriodTest):
                raise ContractError(
                    "RR319",
                    f"formula, {type(node).__name__} of {node.column}",
                    "stands outside a window",
                    "sum_over, mean_over, last or another window around it",
                    "Say over which periods",
                )
            if isinstance(node, PeerStatistic):
                self.peers[node] = Plan([node.inner], formula_of)

    @cached_property
    def leaves(self) -> tuple[Expression, ...]:
        """Everything that is read from the tables, also by the inside of comparisons with peers."""
        inside = (leaf for plan in self.peers.values() for leaf in plan.leaves)
        return tuple(dict.fromkeys((*inside, *self.program.leaves)))

    @cached_property
    def wide_peers(self) -> tuple[PeerStatistic, ...]:
        """Comparisons over areas that a partition may hold a part of only, each inside once."""
        found = {(node.inner, node.level): node for node in self.peers if node.level in WIDE_LEVELS}
        inside = (node for plan in self.peers.values() for node in plan.wide_peers)
        return tuple(dict.fromkeys((*inside, *found.values())))

    @cached_property
    def first_pass_rounds(self) -> tuple[tuple[PeerStatistic, ...], ...]:
        """Comparisons over wide areas by the round in which their inside can be computed.

        The first round needs nothing; it also finds which columns a county left out. A later one needs what
        the rounds before it found of the whole county. Empty where nothing is asked of whole areas.
        """
        rounds: list[list[PeerStatistic]] = [[]] if self.withheld_columns else []
        for node in self.wide_peers:
            at = len(Plan([node.inner], self._formula_of).first_pass_rounds)
            rounds += [[] for _ in range(at + 1 - len(rounds))]
            rounds[at].append(node)
        return tuple(map(tuple, rounds))

    @cached_property
    def withheld_columns(self) -> tuple[tuple[str, str], ...]:
        """Columns of which it matters whether the whole county left them out."""
        read = {
            (leaf.table, column)
            for leaf in self.leaves
            if isinstance(leaf, RowStatistic)
            for column in columns_in(leaf.conditions) | {leaf.column or ""}
        }
        return tuple(sorted(read & EMPTY_MEANS_NONE))

    @cached_property
    def first_pass_reads(self) -> dict[str, tuple[str, ...]]:
        """Tables, and columns beside the keys, that the first pass reads; no columns means all of them."""
        # Whoever goes on under another identifier is told by the members it took along.
        reads = {"household": {*_RESIDENCE}, "member": {"relation", "is_present"}, "observation": set[str]()}
        inside = [node.inner for node in self.wide_peers]
        columns = [reads_of(formula, self._formula_of).columns for formula in inside]
        for table, column in (*self.withheld_columns, ("observation", "period_months"), *chain(*columns)):
            reads.setdefault(table, set()).add(column)
        # Statistics of rows look at further columns, also of the members whom the rows name.
        counted = {
            leaf.table for leaf in Plan(inside, self._formula_of).leaves if isinstance(leaf, RowStatistic)
        }
        whole = counted | {"member"} if counted else counted
        return {table: () if table in whole else tuple(sorted(names)) for table, names in reads.items()}

    @cached_property
    def period_nodes(self) -> tuple[PeriodNode, ...]:
        """What is asked of the reported periods."""
        return tuple(leaf for leaf in self.leaves if isinstance(leaf, Window | Latest))


class Evaluation:
    """Values of formulas for all households known on one date.

    Parameters
    ----------
    known : KnownPanel
    thresholds : ThresholdTable
        As in force for ``known``, the county's own rows included.
    formula_of : callable
        Gives the formula of a feature that another formula names.
    decoded : Decoded, optional
        Of the panel; decoded here where not given.
    areas : WholeAreas, optional
        Counties and townships as a first pass found them, where the panel holds a part of them only.

    Attributes
    ----------
    moment : Moment
        What the reported periods need to know of the date.
    """

    def __init__(
        self,
        known: KnownPanel,
        thresholds: ThresholdTable,
        formula_of: FormulaOf,
        decoded: Decoded | None = None,
        areas: WholeAreas | None = None,
    ) -> None:
        self._known, self._thresholds, self._formula_of = known, thresholds, formula_of
        self._decoded = decoded or Decoded(known.histories)
        at = np.flatnonzero(self._decoded.households.sorted(known.lives()))
        self._at = at[np.argsort(self._decoded.rank[self._decoded.households.row[at]])]
        self._who = self._decoded.households.row[self._at]
        codes, counties = self._decoded.cells.codes("county_code")
        county = np.full(len(self._decoded.ids), -1, dtype=np.int64)
        county[self._who] = codes[self._at]
        absent = np.zeros(0, dtype=np.bool_)
        stands = known.stands("observation") if known.has("observation") else absent
        self.moment = Moment(stands, county, tuple(counties), thresholds)
        self._places = Places(county, tuple(counties), areas)
        self._leaf_values: dict[Expression, Array] = {}
        self._tables: dict[str, KnownRows | None] = {}
        self._rows_of_areas: dict[str, Areas] = {}

    @property
    def n_rows(self) -> int:
        """Number of households that live on the date."""
        return len(self._at)

    @property
    def household_columns(self) -> list[str]:
        """Names of the columns of the household table."""
        return self._decoded.households.frame.columns

    def households(self, columns: Sequence[str]) -> pl.DataFrame:
        """Return columns of the living households, sorted by identifier."""
        return self._decoded.households.take(columns, self._at)

    def compute(
        self,
        formulas: Sequence[Expression] | Plan,
        rows: NDArray[np.int64] | None = None,
        out: Array | None = None,
        periods: PeriodResults | None = None,
    ) -> Array:
        """Return the values of ``formulas``, shape ``(n_rows, len(formulas))``; NaN where not known.

        Parameters
        ----------
        formulas : sequence of Expression, or the plan of them
        rows : ndarray of int64, optional
            Positions in ``known.households``; all of them where not given.
        out : ndarray of float64, optional
            Array to fill and return.
        periods : PeriodResults, optional
            What the plan asks of the periods, on this date; computed here where not given.
        """
        plan = formulas if isinstance(formulas, Plan) else Plan(formulas, self._formula_of)
        if periods is None:
            [periods] = self._decoded.periods.compute(plan.period_nodes, [self.moment])
        self._leaf_values |= {node: values[self._who] for node, values in periods.values.items()}
        months = _last_complete_month(self._known) - periods.latest
        self._leaf_values[MonthsSinceReport()] = months[self._who]
        return self._arithmetic(plan, np.arange(self.n_rows) if rows is None else rows, out)

    def _arithmetic(self, plan: Plan, rows: NDArray[np.int64], out: Array | None = None) -> Array:
        leaves = [self._leaf(node, plan) for node in plan.program.leaves]
        values = np.empty((len(rows), plan.program.n_results), order="F") if out is None else out
        is_whole = len(rows) == self.n_rows
        for first in range(0, len(rows), _BLOCK_ROWS):
            stop = min(first + _BLOCK_ROWS, len(rows))
            block = slice(first, stop) if is_whole else rows[first:stop]
            results = plan.program.run([leaf[block] for leaf in leaves], stop - first)
            for column, result in enumerate(results):
                values[first:stop, column] = result
        return values

    # --- leaves --------------------------------------------------------------------------------------

    def _leaf(self, node: Expression, plan: Plan) -> Array:
        if node not in self._leaf_values:
            self._leaf_values[node] = (
                self._compare_peers(node, plan.peers[node])
                if isinstance(node, PeerStatistic)
                else self._read(node)
            )
        return self._leaf_values[node]

    def _read(self, node: Expression) -> Array:
        match node:
            case ParameterRef(name):
                return self._parameter(name)
            case HouseholdValue(column):
                return self._decoded.cells.number(column)[self._at]
            case HouseholdTest(condition):
                truth = self._decoded.cells.truth((condition,), self._known.as_of_date, {})[self._at]
                return np.where(truth == UNKNOWN, np.nan, truth == TRUE)
            case HouseholdMonthsSince(column):
                return self._months_since(column)
            case RowStatistic(table=table):
                rows = self._rows_of(table)
                return np.full(self.n_rows, np.nan) if rows is None else rows.compute(node)[self._who]
            case CountyValue(column, ago):
                return self._county_value(column, ago)
            case AsOfMonth():
                return np.full(self.n_rows, float(self._known.as_of_date.month))
        raise TypeError(f"no such leaf: {node!r}")

    def _rows_of(self, table: str) -> KnownRows | None:
        if table not in self._tables:
            child, members = self._decoded.child(table), self._decoded.child("member")
            self._tables[table] = None if child is None else child.at(self._known, self._places, members)
        return self._tables[table]

    def _parameter(self, name: str) -> Array:
        values = self._thresholds.values(name, self.moment.counties, [self._known.as_of_date])[:, 0]
        in_force: Array = values[self.moment.county[self._who]]
        return in_force

    def _months_since(self, column: str) -> Array:
        frame, as_of = self._decoded.households.frame, self._known.as_of_date
        if column not in frame.columns:
            return np.full(self.n_rows, np.nan)
        then = pl.col(column)
        kind = TABLE_BY_NAME["household"].by_name[column].type
        if kind is ColumnType.YEAR:
            months = 12 * (as_of.year - then)
        else:
            months = month_index(as_of) + 1 - 12 * then.dt.year().cast(pl.Int64) - then.dt.month()
        if kind is ColumnType.DATE:
            is_cut = (then.dt.day() > as_of.day) & pl.lit(as_of != month_end(month_index(as_of)))
            months = months - is_cut.cast(pl.Int64)
        return float_array(self.households((column,)).select(months.alias("value"))["value"])

    def _county_value(self, column: str, ago: int) -> Array:
        latest = month_end(month_index(self._known.as_of_date) - ago)
        frame = self._known.table("county_month")
        if column not in frame.columns:
            return np.full(self.n_rows, np.nan)
        values = (
            frame.filter((pl.col("month") <= latest) & pl.col(column).is_not_null())
            .sort("county_code", "month")
            .group_by("county_code", maintain_order=True)
            .agg(pl.col(column).last().cast(pl.Float64).alias("value"))
        )
        counties = pl.DataFrame({"county_code": self.moment.counties}, schema={"county_code": pl.String})
        found = counties.join(values, on="county_code", how="left", maintain_order="left")["value"]
        by_household: Array = float_array(found)[self.moment.county[self._who]]
        return by_household

    def _compare_peers(self, node: PeerStatistic, inside: Plan) -> Array:
        inner, areas = self._arithmetic(inside, np.arange(self.n_rows))[:, 0], self._areas(node.level)
        if self._places.areas is None or node.level not in WIDE_LEVELS:
            known: Mapping[str, Array] = known_by_area(inner, areas)
        else:
            known = self._places.areas.peers(node.inner, node.level, self._known.as_of_date)
        return compare(node.statistic, inner, areas, known)

    def _areas(self, level: str) -> Areas:
        """Return the rows of each village, township or county."""
        if level not in self._rows_of_areas:
            self._rows_of_areas[level] = rows_by_area(self.households((level,))[level])
        return self._rows_of_areas[level]

    def first_pass(self, plan: Plan, number: int) -> pl.DataFrame:
        """Return what other partitions of the same counties have to know of this one, a round of a plan."""
        day, frames = self._known.as_of_date, []
        wide = plan.first_pass_rounds[number]
        if wide:
            inside = Plan([node.inner for node in wide], self._formula_of)
            values = self.compute(inside)
            for place, node in enumerate(wide):
                known = known_by_area(values[:, place], self._areas(node.level))
                frames.append(area_frame(peers_key(node.inner, node.level), day, known))
        for table, column in () if number else plan.withheld_columns:
            if (rows := self._rows_of(table)) is None:
                continue
            for name in ("", column):
                counts = zip(self._places.counties, rows.count_by_county(name), strict=True)
                held = {county: np.ones(1) for county, count in counts if count}
                frames.append(area_frame(held_key(table, name), day, held))
        return pl.concat([pl.DataFrame(schema=AREA_SCHEMA), *frames])


def _last_complete_month(known: KnownPanel) -> int:
    """Return the index of the last month that has ended on the as-of date."""
    index = month_index(known.as_of_date)
    return index if known.as_of_date == month_end(index) else index - 1
