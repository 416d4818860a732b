"""Reported periods of households, all versions at once, and statistics of them over windows of time.

What a formula asks of one period is computed once for all dates; each date then picks the rows that were
known. Windows count back from the latest known period in months, whatever lies between, so time is never
counted in rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.decode import Sorted, as_number
from relapse_risk.features.expression import Array, Expression, ParameterRef
from relapse_risk.features.nodes import Latest, PeriodTest, PeriodValue, Window
from relapse_risk.features.program import Program
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end

PeriodNode = Window | Latest
_BLOCK_ROWS = 32_768
_DECIMALS = 6  # sums of yuan carry noise far below this; a line met exactly must not look missed


@dataclass(frozen=True)
class Moment:
    """What periods need to know of one date.

    Attributes
    ----------
    stands : ndarray of bool
        Which rows of the table are known.
    county : ndarray of int64, shape (n_households,)
        Position of each household's county in ``counties``.
    counties : tuple of str
    thresholds : ThresholdTable
        Parameters inside a window are those in force at the end of each period.
    """

    stands: NDArray[np.bool_]
    county: NDArray[np.int64]
    counties: tuple[str, ...]
    thresholds: ThresholdTable


@dataclass(frozen=True)
class PeriodResults:
    """Values of the nodes on one date, by household, and the month index of each one's latest period end."""

    values: Mapping[PeriodNode, Array]
    latest: Array


class Periods:
    """The observation table of a panel.

    Parameters
    ----------
    rows : Sorted
        By household and ``period_end``.
    """

    def __init__(self, rows: Sorted) -> None:
        self._rows = rows
        frame = rows.frame
        self.month = rows.sorted(_last_whole_month(frame["period_end"].to_physical().to_numpy()))
        self.length = rows.sorted(frame["period_months"].cast(pl.Int32).to_numpy())

    @property
    def first_month(self) -> int:
        """Index of the first month in which a period ends; an empty range where there is none."""
        return int(self.month.min()) if len(self.month) else 1

    @property
    def last_month(self) -> int:
        """Index of the last month in which a period ends."""
        return int(self.month.max()) if len(self.month) else 0

    def compute(self, nodes: Sequence[PeriodNode], moments: Sequence[Moment]) -> list[PeriodResults]:
        """Return the values of the nodes on each date, arrays of shape ``(n_households,)``.

        Raises
        ------
        ContractError
            RR317 where a formula inside a window reads something else than one period.
        """
        program = Program(list(dict.fromkeys(node.inner for node in nodes)))
        run = _Run(self, self._rows, program, nodes, moments)
        for first, stop in self._blocks():
            run.block(first, stop)
        return run.results()

    def _blocks(self) -> Iterator[tuple[int, int]]:
        """Yield ranges of whole households with about as many rows as a processor's cache holds."""
        begin, first = self._rows.begin, 0
        while first < len(begin) - 1:
            stop = int(np.searchsorted(begin, begin[first] + _BLOCK_ROWS, side="right")) - 1
            stop = min(max(stop, first + 1), len(begin) - 1)
            yield first, stop
            first = stop


class _Run:
    """One computation over all blocks: what is asked, on which dates, and where results go."""

    def __init__(
        self,
        periods: Periods,
        rows: Sorted,
        program: Program,
        nodes: Sequence[PeriodNode],
        moments: Sequence[Moment],
    ) -> None:
        from relapse_risk.features import loops

        self._loops = loops
        self._periods, self._rows, self._program, self._moments = periods, rows, program, moments
        n_households = len(rows.begin) - 1
        self._kept = [self._keep(moment) for moment in moments]
        self._by_inner: list[tuple[list[Window], list[Latest]]] = [
            (
                [node for node in nodes if isinstance(node, Window) and node.inner == inner],
                [node for node in nodes if isinstance(node, Latest) and node.inner == inner],
            )
            for inner in dict.fromkeys(node.inner for node in nodes)
        ]
        self._order: list[PeriodNode] = []
        for windows, latest in self._by_inner:
            self._order += [*windows, *latest]
        self._out = np.full((len(moments), len(self._order), n_households), np.nan)
        self._specs = [_specs(windows) for windows, _ in self._by_inner]
        self._parameters = [self._in_force(moment) for moment in moments]
        self._cells = _cells(program.leaves, rows.frame)
        roots = (root for cells in self._cells.values() for root in cells.meta.root_names())
        self._columns = list(dict.fromkeys(("period_months", *roots)))

    def _keep(self, moment: Moment) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the known rows, latest first, of which no two of a household overlap; by household."""
        begin = self._rows.begin
        kept, kept_begin = np.empty(begin[-1], dtype=np.int64), np.empty(len(begin), dtype=np.int64)
        stands = self._rows.sorted(moment.stands)
        n = self._loops.keep_apart(begin, stands, self._periods.month, self._periods.length, kept, kept_begin)
        return kept[:n], kept_begin

    def _in_force(self, moment: Moment) -> dict[str, Array]:
        """Return each parameter by county and month, from the first month of any row on."""
        names = [leaf.name for leaf in self._program.leaves if isinstance(leaf, ParameterRef)]
        first, last = self._periods.first_month, self._periods.last_month
        days = [month_end(index) for index in range(first, last + 1)]
        return {name: moment.thresholds.values(name, moment.counties, days) for name in names}

    def block(self, first: int, stop: int) -> None:
        """Compute all nodes on all dates for households ``first`` to ``stop``."""
        begin = self._rows.begin
        rows = slice(int(begin[first]), int(begin[stop]))
        n_rows = rows.stop - rows.start
        sources = self._sources(rows)
        values: list[Array] = []
        told: dict[str, Array] | None = None
        for at, moment in enumerate(self._moments):
            parameters = self._parameters_of(at, moment, first, stop, rows)
            if told is None or not _are_equal(told, parameters):
                told = parameters
                leaves = [
                    parameters[leaf.name] if isinstance(leaf, ParameterRef) else sources[place]
                    for place, leaf in enumerate(self._program.leaves)
                ]
                values = self._program.run(leaves, n_rows)
            self._reduce(at, first, stop, rows.start, values)

    def _sources(self, rows: slice) -> list[Array]:
        """Return what each leaf that is no parameter says of every row; nothing for a parameter.

        Cells become numbers block by block, so that the table is not there twice.
        """
        months = self._periods.length[rows]
        block = self._rows.take(self._columns, np.arange(rows.start, rows.stop)).select(**self._cells)
        sources = []
        for leaf in self._program.leaves:
            if not isinstance(leaf, PeriodValue | PeriodTest):
                sources.append(np.empty(0))
                continue
            values = block[_name(leaf)].to_numpy(writable=True)  # read-only ones make numba compile anew
            is_annual = isinstance(leaf, PeriodValue) and leaf.is_annual
            sources.append(values * 12.0 / months if is_annual else values)
        return sources

    def _parameters_of(self, at: int, moment: Moment, first: int, stop: int, rows: slice) -> dict[str, Array]:
        grids = self._parameters[at]
        if not grids:
            return {}
        per_household = np.diff(self._rows.begin[first : stop + 1])
        county = np.repeat(moment.county[first:stop], per_household)
        month = self._periods.month[rows] - self._periods.first_month
        return {name: grid[county, month] for name, grid in grids.items()}

    def _reduce(self, at: int, first: int, stop: int, offset: int, values: Sequence[Array]) -> None:
        kept, begin = self._kept[at]
        begin, month, length = begin[first : stop + 1], self._periods.month, self._periods.length
        place = 0
        for (windows, latest), specs, inner in zip(self._by_inner, self._specs, values, strict=True):
            if windows:
                out = self._out[at, place : place + len(windows), first:stop]
                self._loops.windows(inner, offset, kept, begin, month, length, *specs, out)
            place += len(windows)
            for node in latest:
                within = -1 if node.within_months is None else node.within_months
                out = self._out[at, place, first:stop]
                self._loops.latest_values(inner, offset, kept, begin, month, node.back, within, out)
                place += 1

    def results(self) -> list[PeriodResults]:
        """Return what was computed, by date."""
        found = []
        for at in range(len(self._moments)):
            values: dict[PeriodNode, Array] = {}
            for node, result in zip(self._order, self._out[at], strict=True):
                is_sum = isinstance(node, Window) and node.statistic == "sum"
                values[node] = np.round(result, _DECIMALS, out=result) if is_sum else result
            kept, begin = self._kept[at]
            latest = np.full(len(begin) - 1, np.nan)
            has_any = begin[1:] > begin[:-1]
            latest[has_any] = self._periods.month[kept[begin[:-1][has_any]]]
            found.append(PeriodResults(values, latest))
        return found


def _cells(leaves: Sequence[Expression], frame: pl.DataFrame) -> dict[str, pl.Expr]:
    """Return, by :func:`_name`, what the leaves read of every period, as reported; NaN where empty."""
    found = {}
    for leaf in leaves:
        if isinstance(leaf, ParameterRef):
            continue
        if not isinstance(leaf, PeriodValue | PeriodTest):
            raise ContractError(
                "RR317",
                f"formula, {type(leaf).__name__} inside a window",
                "not a value of one period",
                "in_period, annual, period_is, param and arithmetic inside windows",
                "Take it out of the window",
            )
        if leaf.column not in frame.columns:
            cells = pl.repeat(np.nan, pl.len())
        elif isinstance(leaf, PeriodTest):
            cells = pl.col(leaf.column).is_in(list(leaf.values)).cast(pl.Float64)
        else:
            cells = as_number("observation", leaf.column, frame.schema[leaf.column])
        found[_name(leaf)] = cells.fill_null(np.nan)
    return found


def _name(leaf: PeriodValue | PeriodTest) -> str:
    """Return the name of what a leaf reads of a period; a flow is read once, as reported and per year."""
    return f"{leaf.column} {leaf.values}" if isinstance(leaf, PeriodTest) else leaf.column


def _last_whole_month(days: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the index of the last month that has ended on each day."""
    if not len(days):
        return days
    first = int(days.min())
    next_day = np.arange(first + 1, int(days.max()) + 2).astype("datetime64[D]")
    month = next_day.astype("datetime64[M]").astype(np.int32) + np.int32(12 * 1970 - 1)
    return np.asarray(month[days - first], dtype=np.int32)


def _specs(windows: Sequence[Window]) -> tuple[NDArray[np.int64], ...]:
    """Return the statistic, length, distance and needed months of windows, as the loop takes them."""
    from relapse_risk.features import loops

    kinds = {
        name: getattr(loops, name.upper()) for name in ("sum", "mean", "min", "max", "std", "slope", "count")
    }
    return (
        np.array([kinds[node.statistic] for node in windows], dtype=np.int64),
        np.array([node.months for node in windows], dtype=np.int64),
        np.array([node.ago for node in windows], dtype=np.int64),
        np.array([node.coverage * node.months for node in windows], dtype=np.float64),
    )


def _are_equal(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in other)
