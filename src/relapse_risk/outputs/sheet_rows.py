"""The rows of a workbook's sheets, written column by column: cell by cell takes most of a list's time.

XlsxWriter makes the book (styles, headers, drop-downs, filters, page set-up); the rows under its headers are
put in here, as inline strings, numbers and dates.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from xlsxwriter.format import Format

_DAY_0 = date(1899, 12, 30)  # what a spreadsheet counts days from
_MOST = 32_767  # letters of a cell: a spreadsheet calls a file with more broken
_LEVEL = 3  # a sixth larger than the usual 6, in a third of the time
_RESERVED = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
# What XML reserves, and what it can't hold or reads as another; a spreadsheet reads "_x000D_" back.
_SPECIAL = re.compile("[&<>\\x00-\\x08\\x0b-\\x1f\\ufffe\\uffff]|_x[0-9a-fA-F]{4}_")


@dataclass(frozen=True)
class SheetRows:
    """What stands under the header of a sheet.

    Attributes
    ----------
    cells : polars.DataFrame
        A column of text, numbers or dates for each column of the sheet; blank where null.
    styles : sequence of Format, or mapping of str to Format
        Of each column; a mapping goes by the cell's text.
    heights : polars.Series, optional
        Of each row, in points.
    """

    cells: pl.DataFrame
    styles: Sequence[Format | Mapping[str, Format]]
    heights: pl.Series | None = None

    def xml(self) -> str:
        """Return the rows as XML; the workbook that made the styles must be closed."""
        columns = [
            _column(_letters(place), series, style)
            for place, (series, style) in enumerate(zip(self.cells.get_columns(), self.styles, strict=True))
        ]
        starts = [f'<row r="{row}"' for row in range(2, self.cells.height + 2)]
        if self.heights is not None:
            heights = self.heights.to_list()
            starts = [f'{s} ht="{h:g}" customHeight="1"' for s, h in zip(starts, heights, strict=True)]
        return "".join(f"{start}>{''.join(row)}</row>" for start, *row in zip(starts, *columns, strict=True))


def with_rows(book: bytes, sheets: Sequence[SheetRows | None]) -> bytes:
    """Return a workbook with rows under the headers of its sheets, None where a sheet has its rows.

    Parameters
    ----------
    book : bytes
        As XlsxWriter closed it.
    sheets : sequence of SheetRows or None
        Of each sheet, in order.
    """
    rows = {f"xl/worksheets/sheet{n}.xml": each for n, each in enumerate(sheets, start=1) if each is not None}
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(book)) as made, zipfile.ZipFile(buffer, "w") as filled:
        for part in made.infolist():
            contents = made.read(part)
            if part.filename in rows:
                contents = _filled(contents.decode(), rows[part.filename]).encode()
            filled.writestr(part, contents, compresslevel=_LEVEL)
    return buffer.getvalue()


def _filled(sheet: str, rows: SheetRows) -> str:
    """Return a sheet's XML with these rows under its header, and the range of cells it then has."""
    head, end, tail = sheet.partition("</sheetData>")
    header, _, _ = head.partition('<row r="2"')
    header = re.sub(r'(<dimension ref="A1:[A-Z]+)\d+"', rf'\g<1>{rows.cells.height + 1}"', header, count=1)
    return "".join((header, rows.xml(), end, tail))


def _column(letters: str, cells: pl.Series, style: Format | Mapping[str, Format]) -> list[str]:
    """Return the XML of a column's cells."""
    is_text = cells.dtype == pl.String
    before = '" t="inlineStr"><is><t xml:space="preserve">' if is_text else '"><v>'
    after = "</t></is></c>" if is_text else "</v></c>"
    if isinstance(style, Mapping):
        indices = [style[text].xf_index for text in cells]
    else:
        indices = [style.xf_index] * cells.len()
    return [
        f'<c r="{letters}{row}" s="{index}"/>'
        if value is None
        else f'<c r="{letters}{row}" s="{index}{before}{value}{after}'
        for row, (index, value) in enumerate(zip(indices, _values(cells), strict=True), start=2)
    ]


def _values(cells: pl.Series) -> list[str | float | None]:
    """Return numbers, days for dates, and texts as XML takes them."""
    if cells.dtype == pl.Date:
        return (cells - _DAY_0).dt.total_days().to_list()
    values = cells.to_list()
    if cells.dtype == pl.String and _may_need_escapes(values):
        return [text and _SPECIAL.sub(_escape, text[:_MOST]) for text in values]
    return values


def _may_need_escapes(texts: Sequence[str | None]) -> bool:
    """Return whether any text may be special; one look at all is far quicker than one at each."""
    written = [text for text in texts if text]
    joined = " ".join(written).replace("\n", " ")
    is_special = not joined.isprintable() or any(mark in joined for mark in ("_x", *_RESERVED))
    return is_special or max(map(len, written), default=0) > _MOST


def _escape(found: re.Match[str]) -> str:
    text = found[0]
    if text in _RESERVED:
        return _RESERVED[text]
    return f"_x{ord(text):04X}_" if len(text) == 1 else f"_x005F{text}"


def _letters(place: int) -> str:
    """Return how a sheet names a column.

    >>> [_letters(place) for place in (0, 25, 26)]
    ['A', 'Z', 'AA']
    """
    before, own = divmod(place, 26)
    return (_letters(before - 1) if before else "") + chr(ord("A") + own)
