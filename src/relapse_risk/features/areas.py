"""What a partition has to know of a whole county or township: its households may lie in several partitions.

A first pass gives one small frame a partition; joined, they say for every date and area which values are
known there, and which columns the county left out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.expression import Array, Expression

AREA_SCHEMA: dict[str, pl.DataType] = {
    "what": pl.String(),
    "as_of_date": pl.Date(),
    "area": pl.String(),
    "values": pl.List(pl.Float64()),
}
WIDE_LEVELS = ("township_code", "county_code")  # areas of which a partition may hold a part only


def peers_key(inner: Expression, level: str) -> str:
    """Return the name of a comparison's values, the same in every process."""
    return f"{level} {hashlib.blake2b(repr(inner).encode(), digest_size=12).hexdigest()}"


def held_key(table: str, column: str = "") -> str:
    """Return the name of the counties with a known row of a table, or with a column of it filled."""
    return f"{table}.{column}" if column else table


def area_frame(what: str, as_of_date: date, values: Mapping[str, Array]) -> pl.DataFrame:
    """Return the values of some areas as rows of the first pass."""
    columns = {
        "what": [what] * len(values),
        "as_of_date": [as_of_date] * len(values),
        "area": list(values),
        "values": [each.tolist() for each in values.values()],
    }
    return pl.DataFrame(columns, schema=AREA_SCHEMA)


class WholeAreas:
    """The first pass over all partitions of some counties.

    Parameters
    ----------
    parts : iterable of polars.DataFrame
        As :func:`area_frame` gives them, of every partition.
    """

    def __init__(self, parts: Iterable[pl.DataFrame]) -> None:
        frame = pl.concat([pl.DataFrame(schema=AREA_SCHEMA), *parts])
        joined = frame.explode("values", keep_nulls=False, empty_as_null=False)
        joined = joined.group_by("what", "as_of_date", "area").agg(pl.col("values").sort())
        self._values: dict[tuple[str, date], dict[str, Array]] = {}
        for what, day, area, values in joined.iter_rows():
            self._values.setdefault((what, day), {})[area] = np.array(values)

    def peers(self, inner: Expression, level: str, as_of_date: date) -> Mapping[str, Array]:
        """Return the known values of a comparison's inside, sorted, by area."""
        return self._values.get((peers_key(inner, level), as_of_date), {})

    def is_withheld(
        self, table: str, column: str, as_of_date: date, counties: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Return whether each county has rows of a table, but none with the column filled."""
        held = self._values.get((held_key(table), as_of_date), {})
        filled = self._values.get((held_key(table, column), as_of_date), {})
        return np.array([county in held and county not in filled for county in counties], dtype=np.bool_)
