"""The interpreter: computes formulas from what was known on one as-of date.

Leaves are computed for all households at once (windows a block at a time, child rows by counting), then
arithmetic and logic run over blocks of households, so that memory does not grow with the number of nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.child_rows import ChildTable, truth_of
from relapse_risk.features.expression import Array, Evaluator, Expression, FeatureRef, ParameterRef
from relapse_risk.features.grid import PeriodReader, as_number, float_array
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
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

_BLOCK_ROWS = 65_536
_LEAVES = (
    ParameterRef,
    HouseholdValue,
    HouseholdTest,
    HouseholdMonthsSince,
    Window,
    Latest,
    MonthsSinceReport,
    RowStatistic,
    PeerStatistic,
    CountyValue,
    AsOfMonth,
)


class Evaluation:
    """Values of formulas for all households known on one date.

    Parameters
    ----------
    known : KnownPanel
    thresholds : ThresholdTable
        As in force for ``known``, the county's own rows included.
    formula_of : callable
        Gives the formula of a feature that another formula names.
    """

    def __init__(
        self, known: KnownPanel, thresholds: ThresholdTable, formula_of: Callable[[str], Expression]
    ) -> None:
        self._known, self._thresholds, self._formula_of = known, thresholds, formula_of
        self._n_rows = known.households.height
        self._leaf_values: dict[Expression, Array] = {}
        self._tables: dict[str, ChildTable] = {}

    def compute(
        self, formulas: Sequence[Expression], rows: NDArray[np.int64] | None = None, out: Array | None = None
    ) -> Array:
        """Return the values of ``formulas``, shape ``(n_rows, len(formulas))``; NaN where not known.

        Parameters
        ----------
        formulas : sequence of Expression
        rows : ndarray of int64, optional
            Positions in ``known.households``; all of them where not given.
        out : ndarray of float64, optional
            Array to fill and return.
        """
        needed = list(dict.fromkeys(leaf for formula in formulas for leaf in self._leaves(formula, ())))
        self._read_periods([node for node in needed if isinstance(node, Window | Latest | MonthsSinceReport)])
        for node in needed:
            if node not in self._leaf_values and not isinstance(node, PeerStatistic):
                self._leaf_values[node] = self._read(node)
        for node in needed:
            if isinstance(node, PeerStatistic) and node not in self._leaf_values:
                self._leaf_values[node] = self._compare_peers(node)
        return self._arithmetic(formulas, np.arange(self._n_rows) if rows is None else rows, out)

    def _leaves(self, node: Expression, path: tuple[str, ...]) -> Iterator[Expression]:
        """Yield what has to be read from the tables, the inside of a peer comparison before itself."""
        if isinstance(node, FeatureRef):
            if node.name in path:
                raise ContractError(
                    "RR318",
                    f"feature {node.name}",
                    f"needs itself ({' → '.join((*path, node.name))})",
                    "formulas without a circle",
                    "Break the circle",
                )
            yield from self._leaves(self._formula_of(node.name), (*path, node.name))
        elif isinstance(node, PeerStatistic):
            yield from self._leaves(node.inner, path)
            yield node
        elif isinstance(node, _LEAVES):
            yield node
        elif isinstance(node, PeriodValue | PeriodTest):
            raise ContractError(
                "RR319",
                f"formula, {type(node).__name__} of {node.column}",
                "stands outside a window",
                "sum_over, mean_over, last or another window around it",
                "Say over which periods",
            )
        else:
            for item in fields(node):
                value = getattr(node, item.name)
                if isinstance(value, Expression):
                    yield from self._leaves(value, path)

    def _arithmetic(
        self, formulas: Sequence[Expression], rows: NDArray[np.int64], out: Array | None = None
    ) -> Array:
        values = np.empty((len(rows), len(formulas))) if out is None else out
        for first in range(0, len(rows), _BLOCK_ROWS):
            block = rows[first : first + _BLOCK_ROWS]
            evaluate = self._evaluator(block)
            for column, formula in enumerate(formulas):
                values[first : first + len(block), column] = evaluate(formula)
        return values

    def _evaluator(self, block: NDArray[np.int64]) -> Evaluator:
        def leaf(node: Expression) -> Array:
            if isinstance(node, FeatureRef):
                return evaluator(self._formula_of(node.name))
            return self._leaf_values[node][block]

        evaluator = Evaluator(leaf, len(block))
        return evaluator

    # --- leaves --------------------------------------------------------------------------------------

    def _read_periods(self, nodes: Sequence[Expression]) -> None:
        new = [node for node in nodes if node not in self._leaf_values]
        if not new:
            return
        reader = PeriodReader(self._known, self._thresholds)
        values, anchors = reader.compute([node for node in new if isinstance(node, Window | Latest)])
        self._leaf_values |= values
        self._leaf_values[MonthsSinceReport()] = _last_complete_month(self._known) - anchors

    def _read(self, node: Expression) -> Array:
        match node:
            case ParameterRef(name):
                return self._parameter(name)
            case HouseholdValue(column):
                return self._household(column)
            case HouseholdTest(condition):
                truth = truth_of(condition, "household", self._known.as_of_date)
                return float_array(self._known.households.select(truth.alias("value"))["value"])
            case HouseholdMonthsSince(column):
                return self._months_since(column)
            case RowStatistic(table=table):
                if table not in self._tables:
                    self._tables[table] = ChildTable(self._known, table)
                return self._tables[table].compute(node)
            case CountyValue(column, ago):
                return self._county_value(column, ago)
        return np.full(self._n_rows, float(self._known.as_of_date.month))

    def _parameter(self, name: str) -> Array:
        counties = self._known.households["county_code"]
        codes = counties.unique().sort()
        values = self._thresholds.values(name, codes.to_list(), [self._known.as_of_date])[:, 0]
        in_force: Array = values[(counties.rank("dense").cast(pl.Int64) - 1).to_numpy()]
        return in_force

    def _household(self, column: str) -> Array:
        frame = self._known.households
        if column not in frame.columns:
            return np.full(self._n_rows, np.nan)
        number = as_number("household", column, frame.schema[column])
        return float_array(frame.select(number.alias("value"))["value"])

    def _months_since(self, column: str) -> Array:
        frame, as_of = self._known.households, self._known.as_of_date
        if column not in frame.columns:
            return np.full(self._n_rows, np.nan)
        then = pl.col(column)
        kind = TABLE_BY_NAME["household"].by_name[column].type
        if kind is ColumnType.YEAR:
            months = 12 * (as_of.year - then)
        else:
            months = month_index(as_of) + 1 - 12 * then.dt.year().cast(pl.Int64) - then.dt.month()
        if kind is ColumnType.DATE:
            is_cut = (then.dt.day() > as_of.day) & pl.lit(as_of != month_end(month_index(as_of)))
            months = months - is_cut.cast(pl.Int64)
        return float_array(frame.select(months.alias("value"))["value"])

    def _county_value(self, column: str, ago: int) -> Array:
        latest = month_end(month_index(self._known.as_of_date) - ago)
        frame = self._known.table("county_month")
        if column not in frame.columns:
            return np.full(self._n_rows, np.nan)
        values = (
            frame.filter((pl.col("month") <= latest) & pl.col(column).is_not_null())
            .sort("county_code", "month")
            .group_by("county_code", maintain_order=True)
            .agg(pl.col(column).last().cast(pl.Float64).alias("value"))
        )
        counties = self._known.households.select("county_code")
        return float_array(
            counties.join(values, on="county_code", how="left", maintain_order="left")["value"]
        )

    # --- peers ---------------------------------------------------------------------------------------

    def _compare_peers(self, node: PeerStatistic) -> Array:
        inner = self._arithmetic([node.inner], np.arange(self._n_rows))[:, 0]
        frame = pl.DataFrame({"area": self._known.households[node.level], "value": inner}).with_columns(
            pl.col("value").fill_nan(None)
        )
        value = pl.col("value")
        known = value.count().over("area")
        if node.statistic == "mean":
            compared = value.mean().over("area")
        else:
            rank = value.rank("average").over("area")
            compared = pl.when(known > 1).then((rank - 1) / (known - 1)).otherwise(rank * 0.5)
        return float_array(frame.select(compared.alias("value"))["value"])


def _last_complete_month(known: KnownPanel) -> int:
    """Return the index of the last month that has ended on the as-of date."""
    index = month_index(known.as_of_date)
    return index if known.as_of_date == month_end(index) else index - 1
