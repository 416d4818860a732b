"""The list as a workbook: the rows of the CSV to be filled in, sorted and filtered, and a printed form.

Identifiers are text, so no spreadsheet shortens them; what staff fill in has drop-downs; what the toolkit
filled is grey. Nothing is locked, since a locked sheet can't be sorted: a computed cell that was changed is
noticed when the list comes back. Thirty columns can't be read on paper, so a sheet of its own holds what a
visitor carries along, with room to write.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl

from relapse_risk.outputs.columns import LIST_COLUMNS, ListColumn
from relapse_risk.outputs.sheet_rows import SheetRows, with_rows
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language, Tier

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

LISTED_SHEET = Bilingual("走访清单", "visit list")
PAPER_SHEET = Bilingual("打印", "for paper")
WAITING_SHEET = Bilingual("候补", "waiting list")
ROUTE_SHEET = Bilingual("路线", "route")
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
    "household_id": 20,
    "list_id": 26,
    **dict.fromkeys(("reason_1", "reason_2", "reason_3", "to_verify", "suggested_measures"), 34),
}
# On paper: columns of the list, as far as it has them, under one header, and the width in characters.
_PAPER: tuple[tuple[Bilingual, tuple[str, ...], float], ...] = (
    (Bilingual("序号", "rank"), ("rank",), 5),
    (Bilingual("乡镇、村", "place"), ("township", "village"), 11),
    (Bilingual("户编号", "household_id"), ("household_id", "head_name", "phone", "address"), 11),
    (Bilingual("优先级", "tier"), ("tier",), 5),
    (Bilingual("主要原因", "reasons"), ("reason_1", "reason_2", "reason_3"), 38),
    (Bilingual("建议核实事项", "to_verify"), ("to_verify",), 26),
    (Bilingual("建议措施", "suggested_measures"), ("suggested_measures",), 18),
    (Bilingual("重点人群、数据缺口", "groups, data gaps"), ("key_groups", "data_gaps"), 13),
    (Bilingual("剩余天数", "days_left"), ("days_left",), 6),
    (Bilingual("走访日期", "visited_on"), ("visited_on",), 9),
    (Bilingual("核实结果", "outcome"), ("outcome",), 9),
    (Bilingual("备注", "remark"), ("remark",), 14),
)
_ROUTE: tuple[tuple[Bilingual, str, float], ...] = (
    (Bilingual("走访单元", "unit"), "unit", 14),
    (Bilingual("走访顺序", "order"), "order", 9),
    (Bilingual("第几站", "stop"), "stop", 7),
    (Bilingual("乡镇", "township"), "township", 12),
    (Bilingual("村", "village"), "village", 12),
    (Bilingual("优先级", "tier"), "tier", 7),
    (Bilingual("序号", "rank"), "rank", 7),
    (Bilingual("户编号", "household_id"), "household_id", 22),
    (Bilingual("剩余时限(天)", "days_left"), "days_left", 10),
    (Bilingual("责任人", "responsible"), "responsible", 12),
)
_LINE_POINTS = 13.5
_HEADER_POINTS = 2 * _LINE_POINTS + 4
_MOST_POINTS = 400.0  # a row of a worksheet can't be higher than 409
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
    route : polars.DataFrame
        Suggested order of driving, as :func:`~relapse_risk.outputs.route.route_of` gives it; rows that are
        not in ``listed`` are left out.
    columns : tuple of ListColumn
        Those of ``listed`` and ``waiting``, in order: more than ``LIST_COLUMNS`` where there are contacts.
    """

    listed: pl.DataFrame
    waiting: pl.DataFrame
    note: Sequence[str]
    title: str
    route: pl.DataFrame
    columns: tuple[ListColumn, ...] = LIST_COLUMNS


def workbook_bytes(pages: ListPages, language: Language) -> bytes:
    """Return the list, its printed form, the route, what waits and the note as sheets of one workbook.

    Returns
    -------
    bytes
        ``.xlsx``. Codes and texts are text cells, dates and numbers are what they are, blank staff cells have
        drop-downs where values are coded; frozen header and place columns, filter. A4 landscape with the
        header on every page: the printed form one page wide, the list itself three.
    """
    import xlsxwriter

    buffer = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(buffer, options) as book:
        book.set_properties({"created": _CREATED})
        formats = _formats(book)
        sheets: list[SheetRows | None] = [
            _list_sheet(book, LISTED_SHEET, pages.listed, pages, formats, language),
            _paper_sheet(book, pages.listed, formats, pages.title, language),
            _route_sheet(book, pages, formats, language),
        ]
        if pages.waiting.height:
            sheets.append(_list_sheet(book, WAITING_SHEET, pages.waiting, pages, formats, language))
        _write_note(book.add_worksheet(NOTE_SHEET.text(language)), pages.note, formats)
    return with_rows(buffer.getvalue(), sheets)


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
        "paper": {**base, "font_size": 9, "text_wrap": True},
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


def _list_sheet(
    book: Workbook,
    name: Bilingual,
    frame: pl.DataFrame,
    pages: ListPages,
    formats: Mapping[str, Format],
    language: Language,
) -> SheetRows:
    """Write the header, freeze, filter, offer values to choose from, and return the rows."""
    sheet = book.add_worksheet(name.text(language))
    names = [column.name for column in pages.columns]
    last, repeated = len(names) - 1, names.index(_REPEATED)
    widths = [_WIDTHS.get(column, _DEFAULT_WIDTH) for column in names]
    for place, column in enumerate(pages.columns):
        is_staff = column.filled_by == "staff"
        header = column.header(language)
        sheet.write_string(0, place, header, formats["staff_head" if is_staff else "head"])
        sheet.set_column(place, place, widths[place])
        if values := coded_values(column):
            rule = {"validate": "list", "source": list(values), "ignore_blank": True, "error_type": "stop"}
            sheet.data_validation(1, place, max(frame.height, 1), place, rule)
    for row, style in enumerate(formats.values(), start=1):  # a style that no cell has gets no number
        sheet.write_blank(row, 0, None, style)
    sheet.set_row(0, _HEADER_POINTS)
    sheet.freeze_panes(1, repeated + 1)
    sheet.autofilter(0, 0, max(frame.height, 1), last)
    _set_up_pages(sheet, 3, pages.title, language)
    sheet.repeat_columns(0, repeated)
    cells = frame.select(names)
    lines = [
        _lines(name, width)
        for name, width in zip(names, widths, strict=True)
        if cells[name].dtype == pl.String
    ]
    return SheetRows(cells, [_style_of(column, formats) for column in pages.columns], _heights(cells, lines))


def _paper_sheet(
    book: Workbook, frame: pl.DataFrame, formats: Mapping[str, Format], title: str, language: Language
) -> SheetRows:
    """Write the header of what a visitor carries along, one A4 page wide, and return its rows."""
    sheet = book.add_worksheet(PAPER_SHEET.text(language))
    texts = frame.with_columns(pl.col("rank", "days_left").cast(pl.String))
    joined, lines = [], []
    for place, (header, of_column, width) in enumerate(_PAPER):
        sheet.write_string(0, place, header.text(language), formats["head"])
        sheet.set_column(place, place, width)
        names = [name for name in of_column if name in frame.columns]
        cell = pl.concat_str(names, separator="\n", ignore_nulls=True)
        joined.append(cell.replace("", None).alias(names[0]))
        lines.append(pl.sum_horizontal(_lines(name, width) for name in names))
    sheet.set_row(0, _HEADER_POINTS)
    sheet.freeze_panes(1, 0)
    _set_up_pages(sheet, 1, title, language)
    cells = texts.select(joined)
    styles = [_tiers(formats) if name == "tier" else formats["paper"] for name in cells.columns]
    return SheetRows(cells, styles, _heights(texts, lines))


def _route_sheet(
    book: Workbook, pages: ListPages, formats: Mapping[str, Format], language: Language
) -> SheetRows:
    """Write the header of the order in which each team drives, village by village, and return its rows."""
    sheet = book.add_worksheet(ROUTE_SHEET.text(language))
    for place, (header, _, width) in enumerate(_ROUTE):
        sheet.write_string(0, place, header.text(language), formats["head"])
        sheet.set_column(place, place, width)
    cells = pages.route.join(pages.listed, on="rank", maintain_order="left").select(
        name for _, name, _ in _ROUTE
    )
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, max(cells.height, 1), len(_ROUTE) - 1)
    _set_up_pages(sheet, 1, pages.title, language)
    return SheetRows(
        cells,
        [
            _tiers(formats) if name == "tier" else formats["text" if dtype == pl.String else "number"]
            for name, dtype in cells.schema.items()
        ],
    )


def _lines(name: str, width: float) -> pl.Expr:
    """Return how many lines a text needs; a Chinese character is as wide as two digits, the unit of width."""
    text = pl.col(name)
    digits = (text.str.len_chars() + text.str.len_bytes()) / 2
    return (digits / width).ceil() + text.str.count_matches("\n", literal=True)


def _heights(frame: pl.DataFrame, lines: Sequence[pl.Expr]) -> pl.Series:
    """Return rows as high as their longest cell needs: not every program makes them so by itself."""
    points = pl.max_horizontal(1, *lines) * _LINE_POINTS + 3
    return frame.select(points.clip(upper_bound=_MOST_POINTS).alias("points")).to_series()


def _style_of(column: ListColumn, formats: Mapping[str, Format]) -> Format | Mapping[str, Format]:
    if column.filled_by == "staff":
        return formats["staff_date" if column.name == "visited_on" else "staff"]
    if column.name == "tier":
        return _tiers(formats)
    if column.dtype == pl.Date:
        return formats["date"]
    return formats["text" if column.dtype == pl.String else "number"]


def _tiers(formats: Mapping[str, Format]) -> Mapping[str, Format]:
    return {tier.value: formats[tier.value] for tier in _TIER_COLOURS}


def _set_up_pages(sheet: Worksheet, pages_wide: int, title: str, language: Language) -> None:
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.3, right=0.3, top=0.6, bottom=0.6)
    sheet.fit_to_pages(pages_wide, 0)
    sheet.repeat_rows(0)
    sheet.set_header(f"&L{title.replace('&', '&&')}&R&P / &N")
    sheet.set_footer(f"&L{SCORE_DISCLAIMER.text(language)}")


def _write_note(sheet: Worksheet, lines: Sequence[str], formats: Mapping[str, Format]) -> None:
    sheet.set_column(0, 0, 110)
    for row, line in enumerate(lines):
        sheet.write_string(row, 0, line, formats["note"])
    sheet.set_paper(_A4)
