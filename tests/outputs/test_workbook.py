"""The workbook holds the list's own cells, ready to be filled in, sorted and printed."""

from __future__ import annotations

import io

import openpyxl
import polars as pl
import pytest
from openpyxl.utils.escape import unescape
from openpyxl.worksheet.worksheet import Worksheet

from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.workbook import ListPages, coded_values, workbook_bytes
from relapse_risk.vocabulary import SCORE_DISCLAIMER

NAMES = [column.name for column in LIST_COLUMNS]


@pytest.fixture(scope="module")
def county(make_list):
    return make_list(8).counties[0]


@pytest.fixture(scope="module")
def book(county) -> openpyxl.Workbook:
    note = ["数据截至2024-06-30", "=1+1"]
    pages = ListPages(county.listed, county.waiting, note, "示范县 & 2024-06-30", county.route)
    return openpyxl.load_workbook(io.BytesIO(workbook_bytes(pages, "zh")))


@pytest.fixture
def sheet(book) -> Worksheet:
    return book["走访清单"]


def test_every_cell_is_that_of_the_list_in_its_own_type(book, county) -> None:
    for name, frame in (("走访清单", county.listed), ("候补", county.waiting)):
        rows = list(book[name].iter_rows(values_only=True))
        assert list(rows[0]) == [column.zh for column in LIST_COLUMNS]
        assert len(rows) == frame.height + 1
        for shown, row in zip(rows[1:], frame.iter_rows(named=True), strict=True):
            for value, column in zip(shown, LIST_COLUMNS, strict=True):
                found = value.date() if hasattr(value, "date") else value
                assert found == row[column.name], column.name


def test_the_route_names_every_listed_household_once_and_a_village_once(book, county) -> None:
    header, *rows = book["路线"].iter_rows(values_only=True)
    shown = [dict(zip(header, row, strict=True)) for row in rows]
    assert sorted(row["序号"] for row in shown) == county.listed["rank"].to_list()
    ids = dict(county.listed.select("rank", "household_id").iter_rows())
    assert all(row["户编号"] == ids[row["序号"]] for row in shown)
    stops = [(row["乡镇"], row["村"]) for row in shown]
    runs = [stop for n, stop in enumerate(stops) if n == 0 or stop != stops[n - 1]]
    assert len(runs) == len(set(runs)) > 1


def test_identifiers_are_text_and_no_cell_is_a_formula(book) -> None:
    """A spreadsheet turns 18 digits into a number and runs what begins with an equals sign."""
    for cells in book["走访清单"].iter_rows(min_row=2):
        for name in ("household_id", "list_id"):
            cell = cells[NAMES.index(name)]
            assert (cell.data_type, cell.number_format) == ("s", "@")
    assert all(cell.data_type != "f" for sheet in book for row in sheet.iter_rows() for cell in row)
    assert book["说明"]["A2"].value == "=1+1"


def test_staff_choose_from_the_values_that_are_read_back(sheet: Worksheet, county) -> None:
    offered = {
        rule.sqref: rule.formula1.strip('"').split(",") for rule in sheet.data_validations.dataValidation
    }
    for place, column in enumerate(LIST_COLUMNS, start=1):
        letter = openpyxl.utils.get_column_letter(place)
        cells = f"{letter}2:{letter}{county.listed.height + 1}"
        found = [values for where, values in offered.items() if str(where) == cells]
        assert found == ([list(coded_values(column))] if coded_values(column) else [])
    assert len(offered) == 4


def test_header_and_place_stay_in_sight_on_screen_and_on_paper(sheet: Worksheet) -> None:
    assert sheet.freeze_panes == "G2"
    assert sheet.auto_filter.ref == f"A1:AF{sheet.max_row}"
    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    assert sheet.print_title_rows == "$1:$1"
    assert sheet.print_title_cols == "$A:$F"
    assert "示范县 && 2024-06-30" in str(sheet.oddHeader.left.text)
    assert sheet.oddFooter.left.text == SCORE_DISCLAIMER.zh


def test_tiers_have_colours_and_computed_cells_look_unlike_those_to_fill(sheet: Worksheet) -> None:
    cells = next(sheet.iter_rows(min_row=2))
    colour = {name: cells[NAMES.index(name)].fill.fgColor.rgb for name in ("tier", "reason_1", "outcome")}
    assert len(set(colour.values())) == 3


def test_a_list_where_nothing_waits_has_no_such_sheet_and_equal_lists_equal_bytes(county) -> None:
    pages = ListPages(county.listed, county.waiting.clear(), [], "示范县", county.route)
    data = workbook_bytes(pages, "en")
    assert openpyxl.load_workbook(io.BytesIO(data)).sheetnames == [
        *("visit list", "for paper", "route", "read me")
    ]
    assert workbook_bytes(pages, "en") == data


def test_the_printed_form_is_one_page_wide_and_says_what_a_visitor_needs(book, county) -> None:
    """Thirty columns on one page can't be read; reasons and what to verify must stand on it whole."""
    paper = book["打印"]
    assert (paper.page_setup.fitToWidth or 1, paper.page_setup.fitToHeight) == (1, 0)
    assert paper.max_row == county.listed.height + 1
    shown = [cell for cell in next(paper.iter_rows(min_row=2, values_only=True)) if cell]
    row = county.listed.row(0, named=True)
    for name in ("reason_1", "reason_2", "to_verify", "household_id", "village"):
        assert any(row[name] in str(cell) for cell in shown if row[name])
    longest = max(len(str(cell)) for cell in shown)
    assert paper.row_dimensions[2].height > 13 * longest / 30


def test_texts_that_xml_reserves_or_cannot_hold_come_back_as_they_were(county) -> None:
    told = [" <b>&\"'> ", "一\n二\r三", "\x07 \ufffe", "_x0041_", "长" * 40_000]
    listed = county.listed.head(len(told)).with_columns(reason_1=pl.Series(told))
    pages = ListPages(listed, county.waiting.clear(), [], "示范县", county.route)
    sheet = openpyxl.load_workbook(io.BytesIO(workbook_bytes(pages, "zh")))["走访清单"]
    shown = [row[NAMES.index("reason_1")] for row in sheet.iter_rows(min_row=2, values_only=True)]
    assert [unescape(str(text)) for text in shown] == [*told[:4], "长" * 32_767]
