"""Reading workbooks and Parquet files into the same form as delimited text."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.csv_source import find_header, no_header, no_table, number_rows
from relapse_risk.panel.raw import Rows
from relapse_risk.panel.sheet_xml import SheetMarks, marks_of, unpacked_bytes

if TYPE_CHECKING:
    import fastexcel

_HEADER_WITHIN_ROWS = 30
_SLICE_ROWS = 500_000
_MOST_UNPACKED_BYTES = 4 << 30
_ZIP, _COMPOUND = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MERGED_AT_MOST = 1000
# A spreadsheet keeps 15 digits of a number; the 16th on is lost.
_LOSES_DIGITS = r"^\d{16,}$"


def is_workbook(path: Path) -> bool:
    """Return whether a file's first bytes are those of a workbook, whatever its suffix says."""
    with path.open("rb") as stream:
        head = stream.read(8)
    return head.startswith(_ZIP) or head == _COMPOUND


def is_parquet(path: Path) -> bool:
    """Return whether a file's first bytes are those of Parquet, whatever its suffix says."""
    with path.open("rb") as stream:
        return stream.read(4) == b"PAR1"


def sheet_names(path: Path) -> list[str]:
    """Return the names of a workbook's sheets.

    Raises
    ------
    DataError
        RR103 where the file is no workbook.
    """
    return list(_opened(path).sheet_names)


def _opened(path: Path) -> fastexcel.ExcelReader:
    import fastexcel

    if unpacked_bytes(path) > _MOST_UNPACKED_BYTES:
        raise no_table(path.name, "it unpacks to more than 4 GB", "解压后超过 4 GB")
    try:
        # From bytes the kind is told by content: an .xlsx may be an .xls that somebody renamed.
        return fastexcel.read_excel(path.read_bytes())
    except Exception as error:
        if "assword" in str(error):
            raise no_table(
                path.name, "it is protected by a password: remove it first", "设有密码，请先取消密码"
            ) from error
        raise _damaged(path.name, error) from error


def _damaged(name: str, error: Exception) -> DataError:
    """Return the refusal for whatever the reader of workbooks raises: it names no kinds of damage."""
    return no_table(
        name, f"it is not a workbook, or is damaged ({type(error).__name__})", "不是有效的工作簿，或已损坏"
    )


def read_sheet(path: Path, sheet: str, wanted: Collection[str]) -> Rows:
    """Return the headers and the rows of one sheet, every value as text.

    Numbers come without ``.0``, dates as ``2024-03-05 00:00:00``. A number of more than 15 digits comes as
    1.30123456789012E+17, which is what a spreadsheet kept of such a code. Cells merged downwards say the
    same in each of their rows, unless it is an amount, which would be counted again in each. A formula gives
    the value it was saved with, an error its name.

    Raises
    ------
    DataError
        RR103 where the sheet can't be read, has no header that is known, or holds formulas without values.
    """
    name = f"{path.name}[{sheet}]"
    try:
        reader = _opened(path)
        loaded = reader.load_sheet(sheet, header_row=None, skip_rows=0, dtypes="string")
        frame: pl.DataFrame = loaded.to_polars()
    except DataError:
        raise
    except Exception as error:
        raise _damaged(name, error) from error
    frame.columns = [str(i) for i in range(frame.width)]
    marks = marks_of(path, sheet)
    if marks is not None:
        if marks.unvalued:
            raise no_table(
                name,
                f"{len(marks.unvalued)} formulas have no value, the first in row {marks.unvalued[0][1] + 1}: "
                "open the file in a spreadsheet and save it",
                f"第{marks.unvalued[0][1] + 1}行等处的公式没有计算结果，请用表格软件打开并保存",
            )
        frame = _marked(frame, marks)
    found = find_header(frame.head(_HEADER_WITHIN_ROWS).rows(), wanted)
    if found is None:
        raise no_header(name)
    index, headers, above = found
    body = frame.slice(index + 1)
    if marks is None:
        body = _without_lost_digits(body, reader, sheet, index + 1)
    numbered = number_rows(body, first=index + 2)
    return Rows(headers, lambda: iter([numbered]), above)


def _marked(frame: pl.DataFrame, marks: SheetMarks) -> pl.DataFrame:
    """Return the cells with errors, long numbers as a spreadsheet shows them, and merged cells filled."""
    changes: dict[tuple[int, int], str | None] = {}

    def text_at(place: tuple[int, int]) -> str | None:
        at, row = place[0] - marks.first_column, place[1]
        is_inside = 0 <= at < frame.width and 0 <= row < frame.height
        text: str | None = changes.get(place, frame[row, at]) if is_inside else None
        return text

    changes.update(marks.errors)
    for place in marks.long_numbers:
        text = text_at(place)
        if text is not None and text.isdigit() and len(text) > 15:
            changes[place] = f"{float(text):.14E}"
    for left, top, right, bottom in marks.merged:
        text = text_at((left, top))
        is_amount = text is None or (len(text) < 9 and re.fullmatch(r"[-\d.,]*", text))
        if left == right and top < bottom < top + _MERGED_AT_MOST and not is_amount:
            changes.update({(left, row): text for row in range(top + 1, bottom + 1)})
    by_column: dict[int, dict[int, str | None]] = {}
    for (column, row), text in changes.items():
        at = column - marks.first_column
        if 0 <= at < frame.width and 0 <= row < frame.height:
            by_column.setdefault(at, {})[row] = text
    return frame.with_columns(
        frame[str(at)].scatter(list(rows), pl.Series(list(rows.values()), dtype=pl.String))
        for at, rows in by_column.items()
    )


def _without_lost_digits(
    body: pl.DataFrame, reader: fastexcel.ExcelReader, sheet: str, first_row: int
) -> pl.DataFrame:
    """Return long numbers the way a spreadsheet shows them, in a workbook whose cells have no XML."""
    for i in range(body.width):
        if body[str(i)].str.contains(_LOSES_DIGITS).any():
            typed = reader.load_sheet(sheet, header_row=None, skip_rows=first_row, use_columns=[i])
            body = body.with_columns(_as_shown(body[str(i)], typed.to_polars().to_series()))
    return body


def _as_shown(texts: pl.Series, typed: pl.Series) -> pl.Series:
    """Return long numbers the way a spreadsheet shows them; text that was typed as text stays."""
    if not typed.dtype.is_numeric():
        return texts
    shown = [
        f"{float(text):.14E}" if text is not None and len(text) > 15 and text.isdigit() else text
        for text in texts.to_list()
    ]
    return pl.Series(texts.name, shown, dtype=pl.String)


def read_parquet(path: Path) -> Rows:
    """Return a Parquet file's column names, and what reads its rows, 500,000 at a time, in their own types.

    Raises
    ------
    DataError
        RR103 where the file is no Parquet, or a column holds no single values.
    """
    refusal = no_table(path.name, "it is not a Parquet file, or is damaged", "不是有效的 Parquet 文件")
    try:
        rows = pl.scan_parquet(path, glob=False)
        schema = rows.collect_schema()
        height = rows.select(pl.len()).collect().item()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise refusal from error
    _refuse_nested(path.name, schema)
    headers = tuple(schema.names())

    def slices() -> Iterator[pl.DataFrame]:
        for first in range(0, max(height, 1), _SLICE_ROWS):
            try:
                frame = rows.slice(first, _SLICE_ROWS).collect()
            except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
                raise refusal from error
            frame.columns = [str(i) for i in range(len(headers))]
            yield number_rows(frame, first=first + 1)

    return Rows(headers, slices)


def _refuse_nested(name: str, schema: pl.Schema) -> None:
    for column, dtype in schema.items():
        inner = dtype.inner if isinstance(dtype, pl.List) else dtype
        if inner.is_nested() or inner in (pl.Binary, pl.Object):
            raise no_table(
                name, f"its column {column} holds no single values ({dtype})", f"列“{column}”不是单个值"
            )
