"""A result of several tables as files: a CSV each, one workbook of all, and a note to read first."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from relapse_risk.outputs.files import csv_bytes
from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

NOTE = Bilingual("说明", "READ_ME")
WITHHELD_MARK = "*"
_SHEET_LETTERS = 31
_WIDEST, _NARROWEST = 60, 9
# A workbook notes when it was made; the same inputs give the same bytes only if that is always the same.
_MADE_ON = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ResultTable:
    """One table of a result.

    Attributes
    ----------
    name : Bilingual
        Name of its file and sheet.
    frame : polars.DataFrame
        Under the names of ``headers``; a column without a header keeps its name.
    headers : mapping of str to Bilingual
    values : mapping of str to mapping
        Coded values of a column, and what they read on English tables.
    """

    name: Bilingual
    frame: pl.DataFrame
    headers: Mapping[str, Bilingual] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def labelled(self, language: Language) -> pl.DataFrame:
        """Return the table as it is read in ``language``."""
        frame = self.frame
        if language == "en":
            frame = frame.with_columns(
                pl.col(name).replace(dict(codes))
                for name, codes in self.values.items()
                if name in frame.columns
            )
        labels = {name: self.headers[name].text(language) for name in frame.columns if name in self.headers}
        return frame.rename(labels)


def table_files(
    title: Bilingual, tables: Sequence[ResultTable], note: Sequence[str], language: Language
) -> list[tuple[str, bytes]]:
    """Return the files of a result: the note, a CSV for each table, and a workbook of all.

    Parameters
    ----------
    title : Bilingual
        Name of the workbook.
    tables : sequence of ResultTable
        Empty ones are left out.
    note : sequence of str
        Lines that stand in the note and on the workbook's first sheet.
    language : {"zh", "en"}
    """
    shown = [(table.name.text(language), table.labelled(language)) for table in tables if table.frame.height]
    text = ("\ufeff" + "".join(f"{line}\r\n" for line in note)).encode()
    return [
        (f"{NOTE.text(language)}.txt", text),
        *((f"{name}.csv", csv_bytes(frame)) for name, frame in shown),
        (f"{title.text(language)}.xlsx", sheets_bytes(dict(shown), note, language)),
    ]


def sheets_bytes(
    sheets: Mapping[str, pl.DataFrame], note: Sequence[str] = (), language: Language = "zh"
) -> bytes:
    """Return frames as the sheets of an XLSX workbook, the note on the first; equal frames, equal bytes.

    Text is text, whatever it begins with: no cell is run as a formula or turned into a number or a link.
    Headers stay in view and are printed on every page.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    options = {
        "in_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties({"created": _MADE_ON})
        head = book.add_format({"bold": True, "bg_color": "#dde6ef", "text_wrap": True, "valign": "top"})
        wrapped = book.add_format({"text_wrap": True, "valign": "top"})
        number = book.add_format({"num_format": "#,##0", "valign": "top", "align": "right"})
        share = book.add_format({"num_format": "#,##0.00", "valign": "top", "align": "right"})
        if note:
            sheet = book.add_worksheet(NOTE.text(language))
            sheet.set_column(0, 0, 110, wrapped)
            sheet.write_column(0, 0, list(note), wrapped)
        for name, frame in sheets.items():
            sheet = book.add_worksheet(name[:_SHEET_LETTERS])
            for column, (header, series) in enumerate(zip(frame.columns, frame.iter_columns(), strict=True)):
                is_count = series.dtype.is_numeric() or is_partly_withheld(series)
                numbers = series.cast(pl.Float64, strict=False).drop_nulls()
                has_decimals = is_count and bool((numbers != numbers.floor()).any())
                texts = series.cast(pl.String, strict=False).fill_null("").to_list()
                width = max(map(_letters, [*texts[:500], header[:24]]))
                sheet.set_column(column, column, min(max(width + 2, _NARROWEST), _WIDEST))
                sheet.write(0, column, header, head)
                _write_column(
                    sheet, column, series, share if has_decimals else number if is_count else wrapped
                )
            sheet.freeze_panes(1, 0)
            sheet.repeat_rows(0)
            sheet.set_landscape()
            sheet.set_paper(9)
            sheet.fit_to_pages(1, 0)
    return buffer.getvalue()


def is_partly_withheld(series: pl.Series) -> bool:
    """Return whether a column is of counts some of which are withheld; the others are still numbers."""
    return series.dtype == pl.String and bool((series == WITHHELD_MARK).any())


def _write_column(sheet: Worksheet, column: int, series: pl.Series, style: Format) -> None:
    is_count = is_partly_withheld(series)
    for row, value in enumerate(series.to_list(), 1):
        if value is None:
            continue
        if is_count and value != WITHHELD_MARK:
            sheet.write_number(row, column, float(value), style)
            continue
        if isinstance(value, bool):
            sheet.write_boolean(row, column, value, style)
        elif isinstance(value, int | float):
            sheet.write_number(row, column, value, style)
        else:
            sheet.write_string(row, column, str(value), style)


def _letters(text: str) -> int:
    """Return how many Latin letters wide a text is; a Chinese character takes two."""
    return sum(2 if letter > "\u2e7f" else 1 for letter in text)
