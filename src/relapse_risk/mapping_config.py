"""Mapping files (``data/mappings/*.toml``): how another system's columns become the canonical ones."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from relapse_risk.toml_file import Strict
from relapse_risk.vocabulary import Direction, Unit


class ColumnSource(Strict):
    """Where a canonical column's values come from, in one source file.

    Exactly one of ``column``, ``constant``, ``parts``, ``month_end``, ``quarter_end``, ``year_end`` and
    ``after`` is given; ``recode``, ``scale`` and ``width`` refine a ``column``.

    Attributes
    ----------
    column : str
        Source column, taken as it is.
    recode : dict
        Source value to canonical value; a value that is not listed is kept.
    scale : float
        Factor for numbers, such as 3 for a monthly amount that stands for a quarter.
    width : int
        Left-pad with zeros to this many characters.
    parts : list of ColumnSource
        Texts to join, for codes built of several columns.
    month_end, quarter_end, year_end : list of str
        Source columns ``[year, month]``, ``[year, quarter]`` or ``[year]``; gives the last day.
    quarter_start : list of str
        ``[year, quarter]``; gives the first day.
    after : str, delay_days : int
        A canonical date column of the same table plus a delay: for exports that do not say when a row
        was recorded. Flagged ``assumed`` in the manifest and on the model card.
    """

    column: str | None = None
    constant: str | int | float | bool | None = None
    parts: list[ColumnSource] | None = None
    month_end: list[str] | None = None
    quarter_end: list[str] | None = None
    quarter_start: list[str] | None = None
    year_end: list[str] | None = None
    after: str | None = None
    delay_days: int = 0
    recode: dict[str, str] = Field(default_factory=dict)
    scale: float | None = None
    width: int | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        names = (
            "column",
            "constant",
            "parts",
            "month_end",
            "quarter_end",
            "quarter_start",
            "year_end",
            "after",
        )
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of {', '.join(names)} is needed, found {given or 'none'}")
        return self


class TableMapping(Strict):
    """How one canonical table is made from a source: exactly one of ``file``, ``view`` and ``query``.

    Attributes
    ----------
    file : str
        Name of the source file or sheet without its ending.
    view : str
        Name of a database's table or view, with its schema before a dot where it needs one.
    query : str
        A SELECT of a database. Tables that are made from the same query share one reading of it.
    columns : dict of str to ColumnSource or str
        Canonical column to its source; a bare text is the name of a source column.
    first_of_each : bool
        Keep only the first row of every key (by ``recorded_on``) and count the rest as duplicates: for
        households or thresholds that a long file repeats on every row.
    """

    file: str | None = None
    view: str | None = None
    query: str | None = None
    columns: dict[str, ColumnSource]
    first_of_each: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [name for name in ("file", "view", "query") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(f"exactly one of file, view and query is needed, found {given or 'none'}")
        return self

    @field_validator("columns", mode="before")
    @classmethod
    def _bare_names(cls, value: object) -> object:
        if isinstance(value, dict):
            return {k: {"column": v} if isinstance(v, str) else v for k, v in value.items()}
        return value


class ExtraColumn(Strict):
    """A column beyond the canonical ones that becomes a feature of its own.

    Attributes
    ----------
    table : {"observation", "household"}
    column : str
        Source column.
    name : str
        Name of the canonical column and, with ``x_`` before it, of the feature.
    statistic : {"last", "mean", "max", "sum"}
        What is taken of the values known; ``lookback_months`` back for all but ``last``.
    is_categorical : bool
        The values are codes without an order.
    reason_zh, reason_en : str
        Sentence with ``{value}`` in it, for lists; empty where the feature never serves as a reason.
    """

    table: Literal["observation", "household"] = "observation"
    column: str
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    zh: str
    en: str
    unit: Unit = Unit.COUNT
    direction: Direction = Direction.EITHER
    statistic: Literal["last", "mean", "max", "sum"] = "last"
    lookback_months: int = 24
    is_categorical: bool = False
    reason_zh: str = ""
    reason_en: str = ""

    @field_validator("unit", mode="before")
    @classmethod
    def _unit_by_name(cls, value: object) -> object:
        if isinstance(value, str) and value.upper() in Unit.__members__:
            return Unit[value.upper()]
        return value

    @field_validator("direction", mode="before")
    @classmethod
    def _direction_by_name(cls, value: object) -> object:
        if isinstance(value, str) and value.upper() in Direction.__members__:
            return Direction[value.upper()]
        return value


class Mapping(Strict):
    """A mapping file: tables, extra columns, and where the data comes from."""

    name: str
    source: str
    tables: dict[str, TableMapping]
    extra: tuple[ExtraColumn, ...] = ()
