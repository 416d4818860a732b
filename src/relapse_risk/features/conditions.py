"""Three-valued truth of conditions on the rows of a table, as arrays.

A condition on an empty cell is not known, and follows Kleene. A few columns are left empty because there is
nothing to say, such as the grade of a disability; there an empty cell fulfils nothing, unless the county
left the column out.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.decode import Codes, Sorted, as_number, codes_of, float_array
from relapse_risk.features.expression import Array
from relapse_risk.features.nodes import (
    VIRTUAL_COLUMNS,
    AnyCondition,
    ColumnCondition,
    Condition,
    NotCondition,
)
from relapse_risk.panel.history import day_number
from relapse_risk.panel.schema import ITEM_SEPARATOR

EMPTY_MEANS_NONE = frozenset(
    {
        ("member", "not_school_reason"),
        ("member", "disease30_code"),
        ("member", "chronic4"),
        ("member", "disability_grade"),
        ("event", "disease_code"),
    }
)
# In such an order that *and* is the smaller, *or* the larger, and *not* turns them round.
FALSE, UNKNOWN, TRUE = np.int8(0), np.int8(1), np.int8(2)

Truth = NDArray[np.int8]


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


class Cells:
    """The cells of a table's sorted rows, decoded as they are asked for, and what conditions make of them.

    Parameters
    ----------
    rows : Sorted
    table : str
    """

    def __init__(self, rows: Sorted, table: str) -> None:
        self._rows, self._table = rows, table
        self._codes: dict[str, tuple[Codes, list[str]]] = {}
        self._days: dict[str, Array] = {}
        self._months: dict[str, Array] = {}
        self._numbers: dict[str, Array] = {}
        self._truths: dict[tuple[Condition, ...], Truth] = {}

    def _series(self, column: str) -> pl.Series:
        frame = self._rows.frame
        if column not in frame.columns:
            return pl.Series(column, [None], dtype=pl.String).new_from_index(0, frame.height)
        return frame[column]

    def number(self, column: str) -> Array:
        """Return a column as float64, NaN where empty."""
        if column not in self._numbers:
            series = self._series(column)
            values = as_number(self._table, column, series.dtype)
            numbers = float_array(series.to_frame().select(values.alias("value"))["value"])
            self._numbers[column] = self._rows.sorted(numbers)
        return self._numbers[column]

    def codes(self, column: str) -> tuple[Codes, list[str]]:
        """Return a column's cells as codes into its distinct texts; -1 where empty."""
        if column not in self._codes:
            codes, texts = codes_of(self._series(column).cast(pl.String))
            self._codes[column] = self._rows.sorted(codes), texts
        return self._codes[column]

    def day(self, column: str) -> Array:
        """Return a date column as days since 1970-01-01, NaN where empty."""
        if column not in self._days:
            series = self._series(column)
            days = series.to_physical() if series.dtype == pl.Date else series.cast(pl.Float64)
            self._days[column] = self._rows.sorted(float_array(days))
        return self._days[column]

    def month(self, column: str) -> Array:
        """Return the month of a date column, counted from year 0, NaN where empty."""
        if column not in self._months:
            days = self._series(column).dt
            months = float_array(days.year().cast(pl.Int64) * 12 + days.month())
            self._months[column] = self._rows.sorted(months)
        return self._months[column]

    def is_filled(self, column: str) -> NDArray[np.bool_]:
        """Return whether each cell holds something."""
        return self._rows.sorted(self._series(column).is_not_null().to_numpy())

    def truth(self, conditions: tuple[Condition, ...], as_of_date: date, virtual: dict[str, Array]) -> Truth:
        """Return whether each row fulfils all conditions: 2 yes, 1 not known, 0 no.

        ``virtual`` holds the values, on the date, of columns that the table does not hold.
        """
        if conditions in self._truths:
            return self._truths[conditions]
        truth = np.full(len(self._rows), TRUE)
        for condition in conditions:
            truth = np.minimum(truth, self._one(condition, as_of_date, virtual))
        if not any(self._is_dated(condition) for condition in conditions):
            self._truths[conditions] = truth
        return truth

    def _is_dated(self, condition: Condition) -> bool:
        if isinstance(condition, NotCondition):
            return self._is_dated(condition.inner)
        if isinstance(condition, AnyCondition):
            return any(map(self._is_dated, condition.options))
        if not isinstance(condition, ColumnCondition):
            return False
        return condition.test == "days_ago" or (self._table, condition.column) in VIRTUAL_COLUMNS

    def _one(self, condition: Condition, as_of_date: date, virtual: dict[str, Array]) -> Truth:
        if (condition,) in self._truths:
            return self._truths[(condition,)]
        if isinstance(condition, NotCondition):
            truth: Truth = TRUE - self._one(condition.inner, as_of_date, virtual)
        elif isinstance(condition, AnyCondition):
            truths = [self._one(option, as_of_date, virtual) for option in condition.options]
            truth = np.maximum.reduce(truths)
        elif isinstance(condition, ColumnCondition):
            truth = self._of_column(condition, as_of_date, virtual)
            if (self._table, condition.column) in EMPTY_MEANS_NONE and condition.test != "missing":
                truth[truth == UNKNOWN] = FALSE
        else:
            raise TypeError(f"no such condition: {condition!r}")
        if not self._is_dated(condition):
            self._truths[(condition,)] = truth
        return truth

    def _of_column(self, condition: ColumnCondition, as_of_date: date, virtual: dict[str, Array]) -> Truth:
        column, values = condition.column, condition.values
        if condition.test == "missing":
            return np.where(self.is_filled(column), FALSE, TRUE)
        if condition.test == "days_ago":
            fewest, most = values
            days = day_number(as_of_date) - self.day(column)
            is_true = ~np.isnan(days)
            if fewest is not None:
                is_true &= days >= float(fewest)
            if most is not None:
                is_true &= days <= float(most)
            return np.where(is_true, TRUE, FALSE)
        if condition.test in ("in", "has") and self._is_text(column):
            return self._of_text(condition)
        numbers = virtual[column] if column in virtual else self.number(column)
        match condition.test:
            case "in":
                is_true = np.isin(numbers, np.array([float(str(value)) for value in values]))
            case "at_least":
                is_true = numbers >= float(str(values[0]))
            case "below":
                is_true = numbers < float(str(values[0]))
            case _:
                is_true = numbers == (1.0 if condition.test == "true" else 0.0)
        return np.where(np.isnan(numbers), UNKNOWN, np.where(is_true, TRUE, FALSE))

    def _is_text(self, column: str) -> bool:
        frame = self._rows.frame
        return column not in frame.columns or not frame.schema[column].is_numeric()

    def _of_text(self, condition: ColumnCondition) -> Truth:
        codes, texts = self.codes(condition.column)
        wanted = {str(value) for value in condition.values}
        items = [{text} if condition.test == "in" else set(text.split(ITEM_SEPARATOR)) for text in texts]
        # The last entry is where the code -1 of an empty cell points.
        by_code = [TRUE if wanted & each else FALSE for each in items] + [UNKNOWN]
        truth: Truth = np.array(by_code, dtype=np.int8)[codes]
        return truth
