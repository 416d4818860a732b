"""Another system's columns become the canonical ones, as a mapping file says.

Everything stays text here, so that values are read, checked and refused in one place for every source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import PurePath

import polars as pl

from relapse_risk.errors import ConfigurationError, DataError
from relapse_risk.mapping_config import ColumnSource, ExtraColumn, Mapping, TableMapping
from relapse_risk.panel.database_errors import credentials_given
from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.raw import EXCESS_CELLS, REASON_COLUMNS, RawTable, Sheet, normalise_header
from relapse_risk.panel.schema import Column, ColumnType, Need, Table
from relapse_risk.panel.tables import TABLE_BY_NAME

_QUARTER_ENDS = {"1": "03-31", "2": "06-30", "3": "09-30", "4": "12-31"}
_QUARTER_STARTS = {"1": "01-01", "2": "04-01", "3": "07-01", "4": "10-01"}
_DATES = (ColumnType.DATE, ColumnType.MONTH)
_CREDENTIALS = re.compile(r"://[^\s'\"]*@|passw(?:or)?d\s*=", re.IGNORECASE)


def check_mapping(mapping: Mapping) -> None:
    """Refuse a mapping that names what does not exist, or leaves a required column out.

    Raises
    ------
    ConfigurationError
        RR214, with all that is wrong; RR215 where a text of the mapping holds a password.
    """
    texts = [mapping.source, *(t.query or t.view or "" for t in mapping.tables.values())]
    if any(_CREDENTIALS.search(text) for text in texts):
        raise credentials_given(f"mapping {mapping.name}")
    problems = [problem for name, table in mapping.tables.items() for problem in _table_problems(name, table)]
    problems += _extra_problems(mapping)
    if problems:
        raise ConfigurationError(
            "RR214",
            f"mapping {mapping.name}",
            "; ".join(problems),
            "canonical tables and columns, every required one with a source",
            "Correct the mapping",
        )


def _table_problems(name: str, mapped: TableMapping) -> Iterator[str]:
    table = TABLE_BY_NAME.get(name)
    if table is None or not table.is_stored:
        yield f"there is no table {name} to fill"
        return
    for column, source in mapped.columns.items():
        if column not in table.by_name:
            yield f"{name} has no column {column}"
        if source.after is not None:
            after = mapped.columns.get(source.after)
            if after is None or after.after is not None or table.by_name[source.after].type not in _DATES:
                yield f"{name}.{column}: after must name a date column of the same table with a source"
    for needed in table.columns:
        if needed.need is not Need.OPTIONAL and needed.name not in mapped.columns:
            yield f"{name}.{needed.name} is required and has no source"


def _extra_problems(mapping: Mapping) -> Iterator[str]:
    seen: set[str] = set()
    for extra in mapping.extra:
        if extra.table not in mapping.tables:
            yield f"extra column {extra.name}: the mapping does not fill the table {extra.table}"
        elif extra.name in TABLE_BY_NAME[extra.table].by_name:
            yield f"extra column {extra.name}: {extra.table} has a column of that name"
        if extra.name in seen:
            yield f"extra column {extra.name} is declared twice"
        seen.add(extra.name)


def origin_of(mapping: Mapping, name: str) -> str:
    """Return what the source of a table is called: its file or view, or the first table of its query."""
    mapped = mapping.tables[name]
    if mapped.query is None:
        return mapped.file or mapped.view or name
    return next(other for other, table in mapping.tables.items() if table.query == mapped.query)


def origins_of(mapping: Mapping) -> frozenset[str]:
    """Return the names of files, sheets, views and queries the mapping reads."""
    return frozenset(origin_of(mapping, name) for name in mapping.tables)


def table_with_extras(table: Table, extras: Iterable[ExtraColumn]) -> Table:
    """Return the table with the extra columns that belong to it, as numbers."""
    own = tuple(
        Column(extra.name, extra.zh, ColumnType.NUMBER) for extra in extras if extra.table == table.name
    )
    return table.with_columns(own) if own else table


def source_columns(mapping: Mapping, origin: str) -> frozenset[str]:
    """Return every column the mapping reads from one file, view or query."""
    tables = {name: mapped for name, mapped in mapping.tables.items() if origin_of(mapping, name) == origin}
    read = {
        c for mapped in tables.values() for source in mapped.columns.values() for c in _columns_of(source)
    }
    return frozenset(read | {extra.column for extra in mapping.extra if extra.table in tables})


def _columns_of(source: ColumnSource) -> Iterator[str]:
    if source.column is not None:
        yield source.column
    for dated in (source.month_end, source.quarter_end, source.quarter_start, source.year_end):
        yield from dated or ()
    for part in source.parts or ():
        yield from _columns_of(part)


def map_sheet(sheet: Sheet, mapping: Mapping, origin: str) -> list[RawTable]:
    """Return the canonical tables that a mapping makes from one sheet.

    Raises
    ------
    DataError
        RR108 where the sheet lacks a column the mapping reads.
    """
    read = source_columns(mapping, origin)
    absent = sorted(column for column in read if sheet.position(column) is None)
    if absent:
        raise DataError(
            "RR108",
            sheet.name,
            f"it has no column {', '.join(absent)}, which the mapping {mapping.name} reads",
            f"{len(read)} columns as named in the mapping",
            "Export them too, or take them out of the mapping",
            zh=f"{sheet.name}：缺少映射 {mapping.name} 所需的列 {'、'.join(absent)}。",
        )
    known = {normalise_header(column) for column in read} | {normalise_header(c) for c in REASON_COLUMNS}
    unknown = tuple(header for header in sheet.headers if header and normalise_header(header) not in known)
    return [
        _map_table(sheet, mapping, name, mapped, unknown)
        for name, mapped in mapping.tables.items()
        if origin_of(mapping, name) == origin
    ]


def _map_table(
    sheet: Sheet, mapping: Mapping, name: str, mapped: TableMapping, unknown: tuple[str, ...]
) -> RawTable:
    table = table_with_extras(TABLE_BY_NAME[name], mapping.extra)
    direct = {column: source for column, source in mapped.columns.items() if source.after is None}
    texts = [_text(sheet, source).alias(column) for column, source in direct.items()]
    texts += [_read(sheet, extra.column).alias(extra.name) for extra in mapping.extra if extra.table == name]
    if EXCESS_CELLS in sheet.frame.columns:
        texts.append(pl.col(EXCESS_CELLS))
    frame = sheet.frame.select(texts)
    for column, source in direct.items():
        if source.scale is not None:
            frame = frame.with_columns(_scaled(frame[column], source.scale))
    for column, source in mapped.columns.items():
        if source.after is not None:
            frame = frame.with_columns(_delayed(frame, table.by_name[source.after], source).alias(column))
    assumed = _assumption(mapped.columns["recorded_on"])
    stem = PurePath(origin_of(mapping, name)).name
    return RawTable(table, sheet, frame, stem, unknown, mapped.first_of_each, assumed)


def _assumption(recorded_on: ColumnSource) -> str:
    """Return how ``recorded_on`` is derived; empty where the source itself says when it knew a row."""
    if recorded_on.column is not None:
        return ""
    if recorded_on.after is not None:
        return f"{recorded_on.after} + {recorded_on.delay_days} days"
    if recorded_on.constant is not None:
        return f"always {recorded_on.constant}"
    return f"built of {', '.join(_columns_of(recorded_on))}"


def _text(sheet: Sheet, source: ColumnSource) -> pl.Expr:
    """Return the text of a canonical column, before scaling and delays."""
    if source.parts is not None:
        return pl.concat_str([_text(sheet, part) for part in source.parts])
    if source.constant is not None:
        return pl.lit(_constant(source.constant))
    dated = _dated(sheet, source)
    if dated is not None:
        return dated
    text = _read(sheet, source.column or "")
    if source.recode:
        text = text.replace(source.recode)
    return text if source.width is None else text.str.pad_start(source.width, "0")


def _read(sheet: Sheet, column: str) -> pl.Expr:
    position = sheet.position(column)
    return sheet.text(position if position is not None else 0).str.strip_chars()


def _constant(value: str | int | float | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dated(sheet: Sheet, source: ColumnSource) -> pl.Expr | None:
    """Return the ISO text of a day built of a year and a quarter or month; None for other sources."""
    for names, days in ((source.quarter_end, _QUARTER_ENDS), (source.quarter_start, _QUARTER_STARTS)):
        if names is not None:
            year, quarter = (_read(sheet, name).str.strip_suffix(".0") for name in names)
            # A fifth quarter must stay unreadable: 2020-5 would pass for a month.
            day = quarter.replace_strict(days, default=pl.lit("Q") + quarter)
            return pl.concat_str([year, day], separator="-")
    if source.month_end is not None:
        year, month = (_read(sheet, name).str.strip_suffix(".0") for name in source.month_end)
        text = pl.concat_str([year, month.str.zfill(2)], separator="-")
        last = (text + "-01").str.to_date("%Y-%m-%d", strict=False).dt.month_end()
        return pl.coalesce(last.cast(pl.String), text)
    if source.year_end is not None:
        return _read(sheet, source.year_end[0]).str.strip_suffix(".0") + "-12-31"
    return None


def _scaled(texts: pl.Series, scale: float) -> pl.Series:
    """Return the texts of numbers times a factor; a text that is no number stays, to be refused later."""
    number = parse_columns(texts.to_frame(), [Column(texts.name, texts.name, ColumnType.NUMBER)]).frame
    scaled = number.to_series() * scale
    return pl.select(pl.coalesce(scaled.cast(pl.String), texts).alias(texts.name)).to_series()


def _delayed(frame: pl.DataFrame, after: Column, source: ColumnSource) -> pl.Series:
    day = parse_columns(frame.select(after.name), [after]).frame.to_series()
    return day.dt.offset_by(f"{source.delay_days}d").cast(pl.String)
