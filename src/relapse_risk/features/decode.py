"""Tables of a panel as arrays, sorted by household: decoded once, read for any number of dates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.expression import Array
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME

Codes = NDArray[np.int32]
_Kind = TypeVar("_Kind", bound=np.generic)


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
    numbers, first = np.empty(len(values)), 0
    for chunk in values.get_chunks():  # one by one, so that no second column is made on the way
        stop, cells = first + len(chunk), chunk.cast(pl.Float64)
        numbers[first:stop] = (cells.fill_null(np.nan) if cells.null_count() else cells).to_numpy()
        first = stop
    return numbers


def positions_in(values: pl.Series, known: pl.Series) -> NDArray[np.int64]:
    """Return the place of each value in ``known``, which holds each once; -1 where it is not there.

    Equal values that follow each other are looked up once.
    """
    runs = values.rle().struct.unnest()
    places = pl.DataFrame({"value": known}).with_row_index("place")
    found = runs.join(places, on="value", how="left", maintain_order="left")["place"]
    return np.repeat(found.cast(pl.Int64).fill_null(-1).to_numpy(), runs["len"].to_numpy())


def codes_of(values: pl.Series) -> tuple[Codes, list[str]]:
    """Return text as codes into its distinct values, sorted; -1 where it is null."""
    distinct = values.drop_nulls().unique().sort()
    codes = values.cast(pl.Enum(distinct)).to_physical().cast(pl.Int32).fill_null(-1)
    return codes.to_numpy(), distinct.to_list()


class Sorted:
    """Rows of a table sorted by household; rows of households that are not among ``ids`` are left out.

    Parameters
    ----------
    frame : polars.DataFrame
    ids : polars.Series
        Identifiers of households, each once; their places number the households.
    by : str, optional
        A date column that sorts the rows of each household; they stay as they come where not given.

    Attributes
    ----------
    row : ndarray of int64, shape (n_rows,)
        Place of each row's household.
    begin : ndarray of int64, shape (n_households + 1,)
        ``begin[h]:begin[h + 1]`` are the rows of household ``h``.
    """

    def __init__(self, frame: pl.DataFrame, ids: pl.Series, by: str | None = None) -> None:
        self.frame = frame
        place = positions_in(frame["household_id"], ids)
        key = place
        if by is not None:
            day = frame[by].to_physical().cast(pl.Int64).fill_null(0).to_numpy()
            key = (place << 32) + day
        is_foreign = place < 0
        is_sorted = not is_foreign.any() and bool((key[1:] >= key[:-1]).all())
        self._order: NDArray[np.int64] | None = None
        if not is_sorted:
            # The merge sort finds the runs that a store's order leaves, and is done in few passes.
            order = np.argsort(key, kind="stable")
            self._order = order[np.count_nonzero(is_foreign) :]
            place = place[self._order]
        self.row = place
        self.begin = np.searchsorted(place, np.arange(len(ids) + 1))

    def __len__(self) -> int:
        return len(self.row)

    def sorted(self, values: NDArray[_Kind]) -> NDArray[_Kind]:
        """Return one value per row of the frame in the order of the sorted rows.

        Columns are decoded first and put in order then: numbers move faster than cells.
        """
        return values if self._order is None else values[self._order]

    def take(self, columns: Sequence[str], at: NDArray[np.int64]) -> pl.DataFrame:
        """Return columns of some of the sorted rows, by their places."""
        rows = at if self._order is None else self._order[at]
        if not len(rows):
            return self.frame.select(columns).clear()
        # Where the rows lie near each other, few of the pieces that a table is read in are looked at.
        first, last = int(rows.min()), int(rows.max())
        return self.frame.select(columns).slice(first, last - first + 1)[rows - first]
