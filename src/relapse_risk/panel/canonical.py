"""Which header of a sheet is which column of a table; a header's unit goes with the values."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.raw import EXCESS_CELLS, REASON_COLUMNS, RawTable, Sheet, normalise_header
from relapse_risk.panel.schema import ITEM_SEPARATOR, Column, ColumnType, Need, Table
from relapse_risk.panel.units import scales_of, unit_of_header

_MEASURED = (ColumnType.NUMBER, ColumnType.INT)


def headers_of(table: Table) -> dict[str, str]:
    """Return canonical column names by the normalised headers they may have."""
    headers: dict[str, str] = {}
    for column in table.columns:
        headers[normalise_header(column.zh)] = column.name
        headers[normalise_header(column.name)] = column.name
    headers.setdefault(normalise_header("录入日期"), "recorded_on")
    return headers


def _column_of(header: str, headers: dict[str, str], table: Table) -> str | None:
    """Return the canonical column of a header; ``致贫返贫风险2`` is part of the list without the number."""
    plain = normalise_header(header)
    if plain in headers:
        return headers[plain]
    name = headers.get(re.sub(r"\d{1,2}$", "", plain))
    return name if name and table.by_name[name].type is ColumnType.LIST else None


def canonical_table(sheet: Sheet, table: Table) -> RawTable:
    """Return a sheet as the canonical table of its name.

    Raises
    ------
    DataError
        RR105 a required column is missing, RR106 two columns for one, RR107 a unit that is not the column's.
    """
    headers = headers_of(table)
    passed_over = {normalise_header(header) for header in (*REASON_COLUMNS, EXCESS_CELLS)}
    positions: dict[str, list[int]] = {}
    unknown: list[str] = []
    for i, header in enumerate(sheet.headers):
        name = _column_of(header, headers, table) if header else None
        if name is not None:
            positions.setdefault(name, []).append(i)
        elif header and normalise_header(header) not in passed_over:
            unknown.append(header)
    _refuse_missing(sheet, table, positions)
    _refuse_foreign_units(sheet, table, positions)
    texts = [_column_text(sheet, table.by_name[name], at).alias(name) for name, at in positions.items()]
    if EXCESS_CELLS in sheet.frame.columns:
        texts.append(pl.col(EXCESS_CELLS))
    return RawTable(table, sheet, sheet.frame.select(texts), table.zh, tuple(unknown))


def _column_text(sheet: Sheet, column: Column, positions: Sequence[int]) -> pl.Expr:
    if len(positions) == 1:
        return _with_unit(sheet.text(positions[0]), column, sheet.headers[positions[0]])
    if column.type is not ColumnType.LIST:
        both = "、".join(sheet.headers[i] for i in positions)
        raise DataError(
            "RR106",
            sheet.name,
            f"{len(positions)} columns stand for {column.name} ({both})",
            f"one column {column.zh} or {column.name}",
            "Delete or rename the others",
            zh=f"{sheet.name}：有 {len(positions)} 列都对应“{column.zh}”（{both}），请只保留一列。",
        )
    parts = [sheet.text(i).str.strip_chars() for i in positions]
    return pl.concat_str(
        [pl.when(~p.is_in(["", "无"])).then(p) for p in parts], separator=ITEM_SEPARATOR, ignore_nulls=True
    )


def _refuse_missing(sheet: Sheet, table: Table, positions: dict[str, list[int]]) -> None:
    missing = [c for c in table.columns if c.need is not Need.OPTIONAL and c.name not in positions]
    if missing:
        zh = "、".join(column.zh for column in missing)
        raise DataError(
            "RR105",
            sheet.name,
            f"the table {table.name} lacks the required columns {', '.join(c.name for c in missing)} ({zh})",
            "every required column, under its Chinese or English header",
            "Add them to the file, or give a mapping that says where they come from",
            zh=f"{sheet.name}：“{table.zh}”缺少必填列 {zh}，整个文件未导入。",
        )


def _refuse_foreign_units(sheet: Sheet, table: Table, positions: dict[str, list[int]]) -> None:
    for name, at in positions.items():
        column = table.by_name[name]
        for header in (sheet.headers[i] for i in at):
            unit = unit_of_header(header)
            if column.type in _MEASURED and unit and unit not in scales_of(column):
                raise DataError(
                    "RR107",
                    sheet.name,
                    f"the header {header} gives a unit that {name} is not measured in",
                    f"the unit {column.unit or 'of the data dictionary'}, or one that converts to it",
                    "Convert the column, or correct its header",
                    zh=f"{sheet.name}：表头“{header}”的单位与“{column.zh}”（{column.unit}）不符，"
                    "请换算后再导入。",
                )


def _with_unit(text: pl.Expr, column: Column, header: str) -> pl.Expr:
    """Return the texts with the header's unit behind each bare number: 1.2 under （万元） is 1.2万元."""
    unit = unit_of_header(header)
    if column.type not in _MEASURED or not unit or scales_of(column)[unit] == 1.0:
        return text
    bare = text.str.strip_chars()
    return pl.when(bare.str.contains(r"[0-9０-９.]$")).then(bare + unit).otherwise(text)


def with_unit_above(headers: Sequence[str], table: Table, unit: str) -> tuple[str, ...]:
    """Return the headers with the unit of money that stood above them, where a header has none of its own.

    So a returned file still says it, whose title rows are gone.
    """
    known = headers_of(table)
    named = []
    for header in headers:
        name = _column_of(header, known, table) if header else None
        is_money = name is not None and table.by_name[name].unit.startswith("元")
        named.append(f"{header}（{unit}）" if is_money and not unit_of_header(header) else header)
    return tuple(named)


def key_positions(headers: Sequence[str], table: Table) -> list[int]:
    """Return where the key columns stand; nothing where one of them is missing."""
    known = headers_of(table)
    names = [_column_of(header, known, table) if header else None for header in headers]
    return [names.index(key) for key in table.key] if all(key in names for key in table.key) else []
