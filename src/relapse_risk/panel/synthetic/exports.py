"""A synthetic county's tables as a county hands them in: Chinese headers, mixed formats, typed by people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import xlsxwriter

from relapse_risk.panel.schema import Column, ColumnType, Table
from relapse_risk.panel.tables import TABLE_BY_NAME

if TYPE_CHECKING:
    from relapse_risk.panel.synthetic import SyntheticCounty

WORKBOOK, GB18030, UTF8 = "xlsx", "gb18030", "utf-8-sig"
_FORMS: dict[str, str] = {
    "household": WORKBOOK,
    "member": GB18030,
    "observation": GB18030,
    "event": UTF8,
    "measure": UTF8,
    "visit": UTF8,
    "workflow": WORKBOOK,
    "threshold": WORKBOOK,
    "county_month": UTF8,
    "contact": UTF8,
}
# How people type dates and months, by table; where none is named, 2024-03-05 and 2024-03.
_DAY_FORMS = {
    "household": "%Y/%-m/%-d",
    "workflow": "%Y年%-m月%-d日",
    "event": "%Y/%-m/%-d",
    "visit": "%Y%m%d",
}
_MONTH_FORMS = {"household": "%Y年%-m月", "member": "%Y%m", "county_month": "%Y年%-m月"}
_YES_NO = {"member": ("是", "否"), "household": ("是", "否"), "observation": ("1", "0"), "visit": ("√", "×")}
_CREATED = datetime(2025, 1, 1, tzinfo=UTC)

# What a broken row looks like, and in which table: column, and the text put there.
BREAKAGES: tuple[tuple[str, str, str], ...] = (
    ("observation", "wage_income_yuan", "-500"),
    ("observation", "n_person", ""),
    ("observation", "house_grade", "E"),
    ("observation", "recorded_on", "2024-13-45"),
    ("observation", "net_income_yuan", "三万"),
    ("member", "sex", "未知"),
    ("member", "household_id", "130000000000999999"),
    ("event", "event_type", "地震"),
    ("event", "recorded_on", "2050/1/1"),
    ("visit", "household_id", ""),
)


def write_exports(county: SyntheticCounty, out: Path, n_bad_rows: int = 0) -> list[Path]:
    """Write one file per table into ``out`` and return their paths.

    Households, cases and thresholds are workbooks with codes as text; members and monitoring records are
    GB18030 text; the rest is UTF-8 with a byte-order mark. A few rows stand there twice, as the scenario's
    ``reporting.duplicate_share`` says.

    Parameters
    ----------
    n_bad_rows : int
        Rows to break, in the ways of ``BREAKAGES`` in turn; never the same row twice.
    """
    out.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.SFC64([county.seed, 200]))
    paths: list[Path] = []
    broken = [BREAKAGES[number % len(BREAKAGES)] for number in range(n_bad_rows)]
    for name, frame in {**county.tables, "contact": county.contacts}.items():
        table = TABLE_BY_NAME[name]
        typed = _typed(table, frame)
        if table.is_stored:
            typed = _with_duplicates(typed, county.scenario.reporting.duplicate_share, rng)
        faults = [(column, text) for where, column, text in broken if where == name]
        typed = _with_faults(typed, faults, rng)
        headed = typed.rename({column.name: column.zh for column in table.columns})
        paths.append(_write(headed, out / table.zh, _FORMS[name]))
    return paths


def _write(frame: pl.DataFrame, stem: Path, form: str) -> Path:
    if form == WORKBOOK:
        return _write_workbook(frame, stem.with_suffix(".xlsx"))
    path = stem.with_suffix(".csv")
    text = frame.write_csv(null_value="")
    path.write_bytes(text.encode(form))
    return path


def _write_workbook(frame: pl.DataFrame, path: Path) -> Path:
    """Write a workbook of text cells, with a date of creation that never changes."""
    options = {"constant_memory": True, "strings_to_numbers": False, "in_memory": False}
    with xlsxwriter.Workbook(str(path), options) as book:
        book.set_properties({"created": _CREATED})
        sheet = book.add_worksheet(path.stem)
        sheet.write_row(0, 0, frame.columns)
        for number, row in enumerate(frame.iter_rows(), start=1):
            for place, value in enumerate(row):
                if value is not None and value != "":
                    sheet.write_string(number, place, value)
    return path


def _typed(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return all cells as the text people would type."""
    return frame.select(_as_typed(table, column) for column in table.columns)


def _as_typed(table: Table, column: Column) -> pl.Expr:
    return _TYPISTS.get(column.type, _type_plain)(table, column)


def _type_plain(table: Table, column: Column) -> pl.Expr:
    del table
    return pl.col(column.name).cast(pl.String)


def _type_day(table: Table, column: Column) -> pl.Expr:
    return pl.col(column.name).dt.strftime(_DAY_FORMS.get(table.name, "%Y-%m-%d"))


def _type_month(table: Table, column: Column) -> pl.Expr:
    return pl.col(column.name).dt.strftime(_MONTH_FORMS.get(table.name, "%Y-%m"))


def _type_flag(table: Table, column: Column) -> pl.Expr:
    yes, no = _YES_NO.get(table.name, ("是", "否"))
    value = pl.col(column.name)
    return pl.when(value).then(pl.lit(yes)).when(~value).then(pl.lit(no)).alias(column.name)


def _type_number(table: Table, column: Column) -> pl.Expr:
    """Whole amounts without decimals; large ones of events with a thousands separator."""
    value = pl.col(column.name)
    whole = value.round(0).cast(pl.Int64).cast(pl.String)
    text = pl.when(value == value.round(0)).then(whole).otherwise(value.cast(pl.String))
    if table.name == "event" and column.unit == "元":
        text = text.str.replace(r"^(\d+)(\d{3})$", "$1,$2")
    return text.alias(column.name)


_TYPISTS: dict[ColumnType, Callable[[Table, Column], pl.Expr]] = {
    ColumnType.DATE: _type_day,
    ColumnType.MONTH: _type_month,
    ColumnType.BOOL: _type_flag,
    ColumnType.NUMBER: _type_number,
}


def _with_duplicates(typed: pl.DataFrame, share: float, rng: np.random.Generator) -> pl.DataFrame:
    again = np.flatnonzero(rng.random(typed.height) < share)
    return pl.concat([typed, typed[again]]) if len(again) else typed


def _with_faults(
    typed: pl.DataFrame, faults: list[tuple[str, str]], rng: np.random.Generator
) -> pl.DataFrame:
    if not faults:
        return typed
    rows = rng.choice(typed.height, size=min(len(faults), typed.height), replace=False).tolist()
    place = pl.int_range(pl.len())
    for row, (column, text) in zip(rows, faults, strict=False):
        typed = typed.with_columns(
            pl.when(place == row).then(pl.lit(text)).otherwise(pl.col(column)).alias(column)
        )
    return typed
