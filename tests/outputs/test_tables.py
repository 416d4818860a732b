"""Results of several tables open in a spreadsheet as they are meant, and are the same bytes each time."""

from __future__ import annotations

import io

import openpyxl
import polars as pl

from relapse_risk.outputs.tables import ResultTable, sheets_bytes, table_files
from relapse_risk.vocabulary import Bilingual

FRAME = pl.DataFrame(
    {
        "township_code": ["130127101", "=1+1"],
        "labour_class": ["有", None],
        "households": [3, None],
        "share": [0.5, 1.0],
    }
)
TABLE = ResultTable(
    Bilingual("按乡镇", "by_township"),
    FRAME,
    {"labour_class": Bilingual("劳动能力", "labour"), "households": Bilingual("户数", "households")},
    {"labour_class": {"有": "able"}},
)


def test_headers_and_coded_values_are_in_the_language_asked_for() -> None:
    assert TABLE.labelled("zh").columns == ["township_code", "劳动能力", "户数", "share"]
    assert TABLE.labelled("en")["labour"].to_list() == ["able", None]


def test_files_have_a_note_a_csv_each_and_one_workbook() -> None:
    empty = ResultTable(Bilingual("空", "empty"), FRAME.clear())
    files = dict(table_files(Bilingual("测算", "result"), [TABLE, empty], ["第一行"], "zh"))
    assert list(files) == ["说明.txt", "按乡镇.csv", "测算.xlsx"]
    assert all(files[name].startswith(b"\xef\xbb\xbf") for name in ("说明.txt", "按乡镇.csv"))
    assert "'=1+1" in files["按乡镇.csv"].decode("utf-8-sig")


def test_text_is_never_run_and_codes_stay_text() -> None:
    book = openpyxl.load_workbook(io.BytesIO(sheets_bytes({"a": FRAME}, ["note"])))
    assert book.sheetnames == ["说明", "a"]
    sheet = book["a"]
    assert (sheet["A2"].value, sheet["A2"].data_type) == ("130127101", "s")
    assert (sheet["A3"].value, sheet["A3"].data_type) == ("=1+1", "s")
    assert (sheet["C2"].value, sheet["C3"].value) == (3, None)
    assert sheet.freeze_panes == "A2"


def test_equal_tables_are_equal_bytes() -> None:
    assert sheets_bytes({"a": FRAME}, ["note"]) == sheets_bytes({"a": FRAME}, ["note"])
