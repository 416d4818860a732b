"""Reported periods of households as dense arrays, and statistics of them over windows of time.

Periods are kept from the latest backwards: ``slot`` 0 is the household's latest known period, slot 1 the one
before it, whatever lies between. Each slot knows its age and its length in months, so a window is a mask over
slots and time is never counted in rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.expression import Array, Evaluator, Expression, ParameterRef, walk
from relapse_risk.features.nodes import Latest, PeriodTest, PeriodValue, Window
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end

PeriodNode = Window | Latest
_BLOCK_HOUSEHOLDS = 16_384
_NEAR_MONTHS = 36  # most windows end here; the few longer ones run apart, on more periods
_DECIMALS = 6  # sums of yuan carry noise far below this; a line met exactly must not look missed


def as_number(table: str, column: str, dtype: pl.DataType) -> pl.Expr:
    """Return the expression that turns a column into float64: yes/no to 1/0, coded values to 1, 2, ….

    Coded values are numbered in their declared order; other text that is no number becomes null.
    """
    declared = TABLE_BY_NAME[table].by_name.get(column)
    if declared is not None and declared.type is ColumnType.CATEGORY:
        codes = {value: float(place) for place, value in enumerate(declared.values, start=1)}
        return pl.col(column).replace_strict(codes, default=None, return_dtype=pl.Float64)
    return pl.col(column).cast(pl.Float64, strict=dtype != pl.String)


def float_array(values: pl.Series) -> Array:
    """Return a series as float64, null as NaN."""
    return values.cast(pl.Float64).fill_null(np.nan).to_numpy()


def joined_to_rows(frame: pl.DataFrame, household_ids: pl.Series) -> pl.DataFrame:
    """Return the rows of the households, with their position in ``household_ids`` as column ``row``."""
    positions = pl.DataFrame({"household_id": household_ids}).with_row_index("row")
    return frame.join(positions, on="household_id", how="inner", maintain_order="left")


def _columns_of(nodes: Sequence[PeriodNode]) -> list[str]:
    leaves = (leaf for node in nodes for leaf in walk(node))
    return list(dict.fromkeys(leaf.column for leaf in leaves if isinstance(leaf, PeriodValue | PeriodTest)))


@dataclass(frozen=True)
class PeriodRows:
    """Known periods, latest first within each household; no two of a household overlap.

    Attributes
    ----------
    row, slot : ndarray of int64, shape (n_periods,)
        Position of the household, and of the period counted from the latest.
    month, length : ndarray of int64, shape (n_periods,)
        Index of the last month of the period, and its months.
    frame : polars.DataFrame
        The columns asked for, in the same order.
    """

    row: NDArray[np.int64]
    slot: NDArray[np.int64]
    month: NDArray[np.int64]
    length: NDArray[np.int64]
    frame: pl.DataFrame

    def keep(self, mask: NDArray[np.bool_]) -> PeriodRows:
        """Return the periods of a mask, with slots counted anew."""
        row = self.row[mask]
        return PeriodRows(
            row, _slots(row), self.month[mask], self.length[mask], self.frame.filter(pl.Series(mask))
        )

    @cached_property
    def age(self) -> NDArray[np.int64]:
        """Months from the end of the period to the end of the household's latest."""
        if not len(self.row):
            return self.month
        first = np.flatnonzero(self.slot == 0)
        anchors = np.repeat(self.month[first], np.diff(np.append(first, len(self.row))))
        return anchors - self.month


def _slots(row: NDArray[np.int64]) -> NDArray[np.int64]:
    position = np.arange(len(row))
    is_first = np.append(True, row[1:] != row[:-1]) if len(row) else np.zeros(0, dtype=bool)
    return position - np.maximum.accumulate(np.where(is_first, position, 0))


def read_periods(known: KnownPanel, columns: Sequence[str], lookback_months: int, back: int) -> PeriodRows:
    """Return the known periods that end less than ``lookback_months`` before each household's latest.

    The latest ``back + 1`` periods are kept whatever their age. Where two periods of a household overlap,
    the one that ends later stands.
    """
    frame = known.table("observation")
    held = [name for name in columns if name in frame.columns]
    end = pl.col("period_end")
    is_whole = (end == end.dt.month_end()).cast(pl.Int64)
    month = end.dt.year().cast(pl.Int64) * 12 + end.dt.month().cast(pl.Int64) - 2 + is_whole
    frame = joined_to_rows(
        frame.select("household_id", "period_end", "period_months", *held), known.households["household_id"]
    )
    frame = frame.sort(["row", "period_end"], descending=[False, True]).select(
        pl.col("row").cast(pl.Int64),
        month.alias("month_index"),
        pl.col("period_months").cast(pl.Int64),
        *held,
    )
    row = frame["row"].to_numpy()
    periods = PeriodRows(
        row, _slots(row), frame["month_index"].to_numpy(), frame["period_months"].to_numpy(), frame
    )
    periods = _without_overlaps(periods)
    return periods.keep((periods.age < lookback_months) | (periods.slot <= back))


def _without_overlaps(periods: PeriodRows) -> PeriodRows:
    """Drop periods that reach into a later one of the same household."""
    start = periods.month - periods.length
    if not ((periods.slot[1:] > 0) & (periods.month[1:] > start[:-1])).any():
        return periods
    frontier = np.full(int(periods.row.max()) + 1, np.iinfo(np.int64).max)
    stands = np.zeros(len(periods.row), dtype=np.bool_)
    by_slot = np.argsort(periods.slot, kind="stable")
    bounds = np.searchsorted(periods.slot[by_slot], np.arange(int(periods.slot.max()) + 2))
    for begin, stop in pairwise(bounds.tolist()):
        at = by_slot[begin:stop]
        fits = at[periods.month[at] <= frontier[periods.row[at]]]
        stands[fits] = True
        frontier[periods.row[fits]] = start[fits]
    return periods.keep(stands)


class PeriodBlock:
    """Periods of some households as arrays of shape ``(n_slots, n_households)``.

    Attributes
    ----------
    age, length : ndarray of int64
        Months before the household's latest period end, and months covered; length 0 where there is none.
    part : slice
        The block's periods among all.
    """

    def __init__(self, periods: PeriodRows, first: int, stop: int) -> None:
        begin, end = np.searchsorted(periods.row, [first, stop])
        self.part = slice(int(begin), int(end))
        self.slot = periods.slot[self.part]
        self.column = periods.row[self.part] - first
        self._frame = periods.frame[self.part]
        self._months = periods.length[self.part]
        self.shape = (int(self.slot.max()) + 1 if len(self.slot) else 1, stop - first)
        self.age = self._whole(periods.age[self.part])
        self.length = self._whole(self._months)
        self._windows: dict[tuple[int, int], tuple[slice, NDArray[np.bool_]]] = {}

    def _whole(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        grid = np.zeros(self.shape, dtype=np.int64)
        grid[self.slot, self.column] = values
        return grid

    def dense(self, values: Array) -> Array:
        """Return one value per known period as a grid, NaN where there is no period."""
        grid = np.full(self.shape, np.nan)
        grid[self.slot, self.column] = values
        return grid

    def source(self, leaf: PeriodValue | PeriodTest) -> Array:
        """Return the values of a column, shape ``(n_periods,)``."""
        frame = self._frame
        if leaf.column not in frame.columns:
            return np.full(len(self.slot), np.nan)
        if isinstance(leaf, PeriodTest):
            test = pl.col(leaf.column).is_in(list(leaf.values))
            return float_array(frame.select(test.alias("value"))["value"])
        number = as_number("observation", leaf.column, frame.schema[leaf.column])
        values = float_array(frame.select(number.alias("value"))["value"])
        return values * 12.0 / self._months if leaf.is_annual else values

    def window(self, months: int, ago: int) -> tuple[slice, NDArray[np.bool_]]:
        """Return the slots that a window touches, and which of their periods lie wholly inside it."""
        if (months, ago) not in self._windows:
            is_inside = (self.length > 0) & (self.age >= ago) & (self.age + self.length <= ago + months)
            touched = np.flatnonzero(is_inside.any(axis=1))
            slots = slice(int(touched[0]), int(touched[-1]) + 1) if len(touched) else slice(0, 0)
            self._windows[months, ago] = slots, is_inside[slots]
        return self._windows[months, ago]

    def reduce(self, node: PeriodNode, values: Array) -> Array:
        """Return one number per household, shape ``(n_households,)``."""
        values = np.broadcast_to(values, self.shape)
        return self._latest(node, values) if isinstance(node, Latest) else self._windowed(node, values)

    def _latest(self, node: Latest, values: Array) -> Array:
        is_known = (self.length > 0) & ~np.isnan(values)
        if node.within_months is None:
            if node.back >= self.shape[0]:
                return np.full(self.shape[1], np.nan)
            return np.where(is_known[node.back], values[node.back], np.nan)
        is_known &= self.age <= node.within_months
        first = np.argmax(is_known, axis=0)
        across = np.arange(self.shape[1])
        return np.where(is_known[first, across], values[first, across], np.nan)

    def _windowed(self, node: Window, values: Array) -> Array:
        slots, is_inside = self.window(node.months, node.ago)
        if slots.stop == 0:
            return np.full(self.shape[1], 0.0 if node.statistic == "count" else np.nan)
        values = values[slots]
        is_known = is_inside & ~np.isnan(values)
        if node.statistic == "count":
            counted: Array = is_known.sum(axis=0).astype(np.float64)
            return counted
        weight = np.where(is_known, self.length[slots], 0).astype(np.float64)
        covered = weight.sum(axis=0)
        result = _reduce(node.statistic, values, is_known, weight, self.age[slots])
        is_covered = (covered > 0) & (covered >= node.coverage * node.months)
        return np.where(is_covered, result, np.nan)


def _reduce(
    statistic: str, values: Array, is_known: NDArray[np.bool_], weight: Array, age: NDArray[np.int64]
) -> Array:
    """Return the statistic over axis 0; what too few periods give is NaN or masked by the caller."""
    if statistic == "min":
        lowest: Array = np.min(values, axis=0, initial=np.inf, where=is_known)
        return lowest
    if statistic == "max":
        highest: Array = np.max(values, axis=0, initial=-np.inf, where=is_known)
        return highest
    filled = np.where(is_known, values, 0.0)
    if statistic == "sum":
        summed: Array = np.round(np.sum(filled, axis=0), _DECIMALS)
        return summed
    total: Array = np.sum(weight, axis=0)
    total[total == 0] = np.nan
    mean: Array = np.sum(weight * filled, axis=0) / total
    if statistic == "mean":
        return mean
    away = np.where(is_known, values - mean, 0.0)
    periods = is_known.sum(axis=0)
    if statistic == "std":
        return np.where(periods >= 2, np.sqrt((weight * away**2).sum(axis=0) / total), np.nan)
    middle = -(age + weight / 2) / 12.0
    apart = np.where(is_known, middle - (weight * middle).sum(axis=0) / total, 0.0)
    spread = (weight * apart**2).sum(axis=0)
    slope = (weight * apart * away).sum(axis=0) / np.where(spread == 0, np.nan, spread)
    return np.where(periods >= 3, slope, np.nan)


class PeriodReader:
    """Computes windows and latest values for all households of a known panel, a block at a time.

    Parameters
    ----------
    known : KnownPanel
    thresholds : ThresholdTable
        Parameters inside a window are those in force at the end of each period.
    """

    def __init__(self, known: KnownPanel, thresholds: ThresholdTable) -> None:
        self._known, self._thresholds = known, thresholds

    def compute(self, nodes: Sequence[PeriodNode]) -> tuple[dict[Expression, Array], Array]:
        """Return the values of each node, and the month index of each household's latest period end.

        Arrays have shape ``(n_households,)`` in the order of ``known.households``; NaN where not known.
        """
        lookback = max((_reach(node) for node in nodes), default=0)
        back = max((node.back for node in nodes if isinstance(node, Latest)), default=0)
        columns = _columns_of(nodes)
        periods = read_periods(self._known, columns, lookback, back)
        n_rows = self._known.households.height
        anchors = np.full(n_rows, np.nan)
        anchors[periods.row[periods.slot == 0]] = periods.month[periods.slot == 0]
        out: dict[Expression, Array] = {node: np.full(n_rows, np.nan) for node in nodes}
        near = [node for node in nodes if _reach(node) <= _NEAR_MONTHS]
        self._fill(out, near, periods.keep((periods.age < _NEAR_MONTHS) | (periods.slot <= back)))
        self._fill(out, [node for node in nodes if _reach(node) > _NEAR_MONTHS], periods)
        return out, anchors

    def _fill(self, out: dict[Expression, Array], nodes: Sequence[PeriodNode], periods: PeriodRows) -> None:
        """Put the values of ``nodes`` into ``out``."""
        if not nodes:
            return
        parameters = self._parameters(nodes, periods)
        n_rows = self._known.households.height
        for first in range(0, n_rows, _BLOCK_HOUSEHOLDS):
            stop = min(first + _BLOCK_HOUSEHOLDS, n_rows)
            for node, values in _block_values(PeriodBlock(periods, first, stop), nodes, parameters):
                out[node][first:stop] = values

    def _parameters(self, nodes: Sequence[PeriodNode], periods: PeriodRows) -> dict[Expression, Array]:
        """Return each parameter in force at the end of every period, shape ``(n_periods,)``."""
        found = {leaf for node in nodes for leaf in walk(node) if isinstance(leaf, ParameterRef)}
        if not found or not len(periods.row):
            return {node: np.zeros(0) for node in found}
        counties = self._known.households["county_code"]
        codes = counties.unique().sort()
        county = (counties.rank("dense").cast(pl.Int64) - 1).to_numpy()[periods.row]
        first, last = int(periods.month.min()), int(periods.month.max())
        days = [month_end(index) for index in range(first, last + 1)]
        return {
            node: self._thresholds.values(node.name, codes.to_list(), days)[county, periods.month - first]
            for node in sorted(found, key=lambda node: node.name)
        }


def _reach(node: PeriodNode) -> int:
    return node.months + node.ago if isinstance(node, Window) else (node.within_months or 0) + 1


def _block_values(
    block: PeriodBlock, nodes: Sequence[PeriodNode], parameters: dict[Expression, Array]
) -> Iterator[tuple[PeriodNode, Array]]:
    def leaf(node: Expression) -> Array:
        if isinstance(node, PeriodValue | PeriodTest):
            return block.dense(block.source(node))
        if node in parameters:
            return block.dense(parameters[node][block.part])
        raise ContractError(
            "RR317",
            f"formula, {type(node).__name__} inside a window",
            "not a value of one period",
            "in_period, annual, period_is, param and arithmetic inside windows",
            "Take it out of the window",
        )

    evaluator = Evaluator(leaf, block.shape[1])
    for node in nodes:
        yield node, block.reduce(node, evaluator(node.inner))
