"""Reading workbooks and Parquet files into the same form as delimited text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import polars as pl

from relapse_risk.panel.csv_source import find_header, no_header, no_table, number_rows

_HEADER_WITHIN_ROWS = 30
_SLICE_ROWS = 500_000
# A spreadsheet keeps 15 digits of a number; the 16th on is lost.
_LOSES_DIGITS = r"^\d{16,}$"


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets.

    Raises
    ------
    DataError
        RR103 where the file is no workbook.
    """
    import fastexcel

    try:
        return list(fastexcel.read_excel(str(path)).sheet_names)
    except fastexcel.FastExcelError as error:
        raise no_table(path.name, "it is not a workbook, or is damaged", "不是有效的工作簿") from error


def read_sheet(path: Path, sheet: str, wanted: Collection[str]) -> tuple[tuple[str, ...], pl.DataFrame]:
    """Return the headers and the rows of one sheet, every value as text.

    Numbers come without ``.0``, dates as ``2024-03-05 00:00:00``. A column of numbers with more than 15
    digits comes as 1.30123456789012E+17, which is what a spreadsheet kept of such codes.

    Raises
    ------
    DataError
        RR103 where the sheet can't be read or has no header that is known.
    """
    import fastexcel

    name = f"{path.name}[{sheet}]"
    try:
        reader = fastexcel.read_excel(str(path))
        loaded = reader.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string")
        frame: pl.DataFrame = loaded.to_polars()
    except fastexcel.FastExcelError as error:
        raise no_table(name, "the sheet can't be read", "工作表无法读取") from error
    index = find_header(frame.head(_HEADER_WITHIN_ROWS).rows(), wanted)
    if index is None:
        raise no_header(name)
    headers = tuple((cell or "").strip() for cell in frame.row(index))
    body = frame.slice(index + 1)
    body.columns = [str(i) for i in range(len(headers))]
    for i in range(len(headers)):
        if body[str(i)].str.contains(_LOSES_DIGITS).any():
            typed = reader.load_sheet(sheet, header_row=None, skip_rows=index + 1, use_columns=[i])
            body = body.with_columns(_as_shown(body[str(i)], typed.to_polars().to_series()))
    return headers, number_rows(body, first=index + 2)


def _as_shown(texts: pl.Series, typed: pl.Series) -> pl.Series:
    """Return long numbers the way a spreadsheet shows them; text that was typed as text stays."""
    if not typed.dtype.is_numeric():
        return texts
    shown = [
        f"{float(text):.14E}" if text is not None and len(text) > 15 and text.isdigit() else text
        for text in texts.to_list()
    ]
    return pl.Series(texts.name, shown, dtype=pl.String)


def read_parquet(path: Path) -> tuple[tuple[str, ...], Callable[[], Iterator[pl.DataFrame]]]:
    """Return a Parquet file's column names, and what reads its rows, 500,000 at a time, in their own types.

    Raises
    ------
    DataError
        RR103 where the file is no Parquet.
    """
    refusal = no_table(path.name, "it is not a Parquet file, or is damaged", "不是有效的 Parquet 文件")
    try:
        rows = pl.scan_parquet(path, glob=False)
        headers = tuple(rows.collect_schema().names())
        height = rows.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, OSError) as error:
        raise refusal from error

    def slices() -> Iterator[pl.DataFrame]:
        for first in range(0, max(height, 1), _SLICE_ROWS):
            try:
                frame = rows.slice(first, _SLICE_ROWS).collect()
            except (pl.exceptions.PolarsError, OSError) as error:
                raise refusal from error
            frame.columns = [str(i) for i in range(len(headers))]
            yield number_rows(frame, first=first + 1)

    return headers, slices
