"""What a table and a column are; ``panel/tables.py`` declares them with these words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import polars as pl

ITEM_SEPARATOR = "、"


class ColumnType(StrEnum):
    """How the values of a column are typed in, and kept."""

    CODE = "code"
    TEXT = "text"
    DATE = "date"
    MONTH = "month"
    YEAR = "year"
    INT = "int"
    NUMBER = "number"
    BOOL = "bool"
    CATEGORY = "category"
    LIST = "list"

    @property
    def dtype(self) -> type[pl.DataType]:
        """Polars type the column is stored as; a month is its first day, a list is joined by 、."""
        return _DTYPES.get(self, pl.String)


_DTYPES: dict[ColumnType, type[pl.DataType]] = {
    ColumnType.DATE: pl.Date,
    ColumnType.MONTH: pl.Date,
    ColumnType.YEAR: pl.Int64,
    ColumnType.INT: pl.Int64,
    ColumnType.NUMBER: pl.Float64,
    ColumnType.BOOL: pl.Boolean,
}


class Need(StrEnum):
    """Whether a value must be there: never, always, or as part of the table's key."""

    OPTIONAL = "optional"
    REQUIRED = "required"
    KEY = "key"


OPTIONAL, REQUIRED, KEY = Need.OPTIONAL, Need.REQUIRED, Need.KEY


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table.

    Attributes
    ----------
    name, zh : str
        Canonical name and the Chinese header.
    type : ColumnType
    values : tuple of str
        Coded values; empty where any value of the type is allowed.
    minimum, maximum : float or None
        Inclusive range of numbers.
    unit, source, note : str
        Unit as people write it, department that owns the value, and a remark for the dictionary.
    """

    name: str
    zh: str
    type: ColumnType
    need: Need = OPTIONAL
    values: tuple[str, ...] = ()
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class Table:
    """One table of the panel.

    Attributes
    ----------
    is_snapshot : bool
        A later row for the same key replaces the earlier from its ``recorded_on`` on.
    is_stored : bool
        False for contacts, which never enter the store.
    happened : str or None
        The column that says when a row happened; it can't be later than ``recorded_on``.
    """

    name: str
    zh: str
    columns: tuple[Column, ...]
    is_snapshot: bool = False
    is_stored: bool = True
    happened: str | None = None

    @cached_property
    def by_name(self) -> dict[str, Column]:
        """Columns by canonical name."""
        return {column.name: column for column in self.columns}

    @cached_property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in order."""
        return tuple(column.name for column in self.columns if column.need is KEY)

    @cached_property
    def dtypes(self) -> dict[str, type[pl.DataType]]:
        """Polars schema of the table as stored."""
        return {column.name: column.type.dtype for column in self.columns}

    def with_columns(self, extra: tuple[Column, ...]) -> Table:
        """Return the table with a mapping's further columns behind its own."""
        return Table(
            self.name, self.zh, self.columns + extra, self.is_snapshot, self.is_stored, self.happened
        )


def listed(text: str) -> tuple[str, ...]:
    """Return the coded values that ``text`` joins by 、."""
    return tuple(text.split(ITEM_SEPARATOR))


def code(name: str, zh: str, need: Need = OPTIONAL, source: str = "", note: str = "") -> Column:
    """Declare an identifier: digits stay text."""
    return Column(name, zh, ColumnType.CODE, need, source=source, note=note)


def text(name: str, zh: str, need: Need = OPTIONAL, source: str = "", note: str = "") -> Column:
    """Declare free text."""
    return Column(name, zh, ColumnType.TEXT, need, source=source, note=note)


def day(name: str, zh: str, need: Need = OPTIONAL, source: str = "", note: str = "") -> Column:
    """Declare a date."""
    return Column(name, zh, ColumnType.DATE, need, source=source, note=note)


def month(name: str, zh: str, need: Need = OPTIONAL, source: str = "", note: str = "") -> Column:
    """Declare a month, kept as its first day."""
    return Column(name, zh, ColumnType.MONTH, need, source=source, note=note)


def year(name: str, zh: str, need: Need = OPTIONAL, source: str = "", note: str = "") -> Column:
    """Declare a calendar year."""
    return Column(name, zh, ColumnType.YEAR, need, minimum=1900, maximum=2100, source=source, note=note)


def flag(name: str, zh: str, need: Need = OPTIONAL, source: str = "", note: str = "") -> Column:
    """Declare a yes/no column."""
    return Column(name, zh, ColumnType.BOOL, need, source=source, note=note)


def category(
    name: str, zh: str, values: tuple[str, ...], need: Need = OPTIONAL, source: str = "", note: str = ""
) -> Column:
    """Declare a column with one of ``values``."""
    return Column(name, zh, ColumnType.CATEGORY, need, values, source=source, note=note)


def items(
    name: str, zh: str, values: tuple[str, ...], need: Need = OPTIONAL, source: str = "", note: str = ""
) -> Column:
    """Declare a column with any number of ``values``, joined by 、."""
    return Column(name, zh, ColumnType.LIST, need, values, source=source, note=note)


def integer(
    name: str,
    zh: str,
    need: Need = OPTIONAL,
    values: tuple[int, ...] = (),
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    source: str = "",
    note: str = "",
) -> Column:
    """Declare a whole number."""
    texts = tuple(str(value) for value in values)
    return Column(name, zh, ColumnType.INT, need, texts, unit, minimum, maximum, source, note)


def number(
    name: str,
    zh: str,
    need: Need = OPTIONAL,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    source: str = "",
    note: str = "",
) -> Column:
    """Declare a number."""
    return Column(name, zh, ColumnType.NUMBER, need, (), unit, minimum, maximum, source, note)
