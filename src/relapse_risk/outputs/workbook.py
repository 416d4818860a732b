"""The list as a workbook: the same rows as the CSV, made to be filled in, sorted, filtered and printed.

Identifiers are text, so no spreadsheet shortens them; what staff fill in has drop-downs; what the toolkit
filled is grey. Nothing is locked, since a locked sheet can't be sorted: a computed cell that was changed is
noticed when the list comes back.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from relapse_risk.outputs.columns import LIST_COLUMNS, ListColumn, with_headers
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language, Tier

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

LISTED_SHEET = Bilingual("走访清单", "visit list")
WAITING_SHEET = Bilingual("候补", "waiting list")
NOTE_SHEET = Bilingual("说明", "read me")

# The same list gives the same bytes, so the workbook says no time of day.
_CREATED = datetime(2000, 1, 1, tzinfo=UTC)
_FONT = "宋体"
_TIER_COLOURS = {
    Tier.RED: "#F8B4B4",
    Tier.ORANGE: "#FBD38D",
    Tier.YELLOW: "#FAF089",
    Tier.BLUE: "#BEE3F8",
    Tier.ROUTINE: "#E2E8F0",
}
_COMPUTED, _COMPUTED_HEAD, _STAFF_HEAD = "#F7F7F7", "#D9D9D9", "#C6E0B4"
_WIDTHS = {
    **dict.fromkeys(("rank", "tier", "rule_hits_n", "risk_score", "days_left"), 7),
    **dict.fromkeys(("county", "township", "village", "household_type", "responsible"), 10),
    **dict.fromkeys(("hit_since", "last_visit", "expires_on", "visited_on", "visitor_role", "outcome"), 11),
    **dict.fromkeys(("need_inclusion", "emergency_aid"), 9),
    **dict.fromkeys(("household_id", "list_id"), 20),
    **dict.fromkeys(("reason_1", "reason_2", "reason_3", "to_verify", "suggested_measures"), 34),
}
_DEFAULT_WIDTH = 18
_YES_NO = ("是", "否")
_REPEATED = "household_id"  # this column and those before it stand on every printed page
_A4 = 9


@dataclass(frozen=True)
class ListPages:
    """What a workbook of one list shows.

    Attributes
    ----------
    listed, waiting : polars.DataFrame
        ``LIST_COLUMNS`` by name.
    note : sequence of str
        Lines to read first.
    title : str
        Stands at the head of every printed page.
    """

    listed: pl.DataFrame
    waiting: pl.DataFrame
    note: Sequence[str]
    title: str


def workbook_bytes(pages: ListPages, language: Language) -> bytes:
    """Return the list, what waits and the note as sheets of one workbook.

    Returns
    -------
    bytes
        ``.xlsx``. Codes and texts are text cells, dates and numbers are what they are, blank staff cells have
        drop-downs where values are coded; frozen header and place columns, filter, A4 landscape two pages
        wide with the header on each.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties({"created": _CREATED})
        formats = _formats(book)
        for name, frame in ((LISTED_SHEET, pages.listed), (WAITING_SHEET, pages.waiting)):
            if name is LISTED_SHEET or frame.height:
                sheet = book.add_worksheet(name.text(language))
                _fill(sheet, frame, formats, language)
                _set_up(sheet, frame.height, formats, pages.title, language)
        _write_note(book.add_worksheet(NOTE_SHEET.text(language)), pages.note, formats)
    return buffer.getvalue()


def coded_values(column: ListColumn) -> tuple[str, ...]:
    """Return what staff choose from in a column, as the visit table declares it; empty where they type."""
    if column.filled_by != "staff":
        return ()
    declared = TABLE_BY_NAME["visit"].by_name[column.name]
    if declared.type == "bool":
        return _YES_NO
    return declared.values if declared.type == "category" else ()


def _formats(book: Workbook) -> Mapping[str, Format]:
    base = {"font_name": _FONT, "font_size": 10, "valign": "top", "border": 1, "border_color": "#BFBFBF"}
    grey = {**base, "bg_color": _COMPUTED}
    head = {**base, "bold": True, "text_wrap": True, "valign": "vcenter"}
    kinds: dict[str, dict[str, Any]] = {
        "text": {**grey, "text_wrap": True, "num_format": "@"},
        "date": {**grey, "num_format": "yyyy-mm-dd"},
        "number": grey,
        "staff": {**base, "text_wrap": True},
        "staff_date": {**base, "num_format": "yyyy-mm-dd"},
        "head": {**head, "bg_color": _COMPUTED_HEAD},
        "staff_head": {**head, "bg_color": _STAFF_HEAD},
        "note": {"font_name": _FONT, "font_size": 11, "text_wrap": True, "valign": "top"},
        **{
            tier.value: {**base, "bg_color": colour, "align": "center", "bold": True}
            for tier, colour in _TIER_COLOURS.items()
        },
    }
    return {name: book.add_format(options) for name, options in kinds.items()}


def _fill(sheet: Worksheet, frame: pl.DataFrame, formats: Mapping[str, Format], language: Language) -> None:
    """Write the header and every cell, column by column."""
    headers = with_headers(frame, language).columns
    for place, (column, header) in enumerate(zip(LIST_COLUMNS, headers, strict=True)):
        is_staff = column.filled_by == "staff"
        sheet.write_string(0, place, header, formats["staff_head" if is_staff else "head"])
        sheet.set_column(place, place, _WIDTHS.get(column.name, _DEFAULT_WIDTH))
        for row, value in enumerate(frame[column.name].to_list(), start=1):
            _write_cell(sheet, row, place, value, _format_of(column, value, formats))


def _format_of(column: ListColumn, value: object, formats: Mapping[str, Format]) -> Format:
    if column.filled_by == "staff":
        return formats["staff_date" if column.name == "visited_on" else "staff"]
    if column.name == "tier":
        return formats[str(value)]
    if column.dtype == pl.Date:
        return formats["date"]
    return formats["text" if column.dtype == pl.String else "number"]


def _write_cell(sheet: Worksheet, row: int, place: int, value: object, style: Format) -> None:
    if value is None:
        sheet.write_blank(row, place, None, style)
    elif isinstance(value, date):
        sheet.write_datetime(row, place, datetime(value.year, value.month, value.day), style)  # noqa: DTZ001
    elif isinstance(value, int | float):
        sheet.write_number(row, place, value, style)
    else:
        sheet.write_string(row, place, str(value), style)


def _set_up(
    sheet: Worksheet, n_rows: int, formats: Mapping[str, Format], title: str, language: Language
) -> None:
    """Freeze, filter, offer values to choose from, and lay out the printed pages."""
    names = [column.name for column in LIST_COLUMNS]
    last, repeated = len(names) - 1, names.index(_REPEATED)
    sheet.freeze_panes(1, repeated + 1)
    sheet.autofilter(0, 0, max(n_rows, 1), last)
    for place, column in enumerate(LIST_COLUMNS):
        if values := coded_values(column):
            rule = {"validate": "list", "source": list(values), "ignore_blank": True, "error_type": "stop"}
            sheet.data_validation(1, place, max(n_rows, 1), place, rule)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.3, right=0.3, top=0.6, bottom=0.6)
    sheet.fit_to_pages(2, 0)
    sheet.repeat_rows(0)
    sheet.repeat_columns(0, repeated)
    sheet.set_header(f"&L{title.replace('&', '&&')}&R&P / &N")
    sheet.set_footer(f"&L{SCORE_DISCLAIMER.text(language)}")


def _write_note(sheet: Worksheet, lines: Sequence[str], formats: Mapping[str, Format]) -> None:
    sheet.set_column(0, 0, 110)
    for row, line in enumerate(lines):
        sheet.write_string(row, 0, line, formats["note"])
    sheet.set_paper(_A4)
