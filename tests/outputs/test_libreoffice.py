"""What LibreOffice opens is the list as it was written; what it saves comes back to the right household."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import openpyxl
import polars as pl
import pytest

from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.contacts import locked
from relapse_risk.outputs.feedback import record_visits
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.store import Store

SOFFICE = shutil.which("soffice")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(SOFFICE is None, reason="needs LibreOffice (Debian's libreoffice-calc)"),
]
# Field and text delimiters, UTF-8, from line 1; -1 at the end writes every sheet to a file of its own.
TO_CSV = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
AS_TEXT = "/".join(f"{place}/2" for place in range(1, len(LIST_COLUMNS) + 1))
PASSWORD = "correct horse"
# A program of one's own is the only way to hand LibreOffice a password without a window.
MACRO = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE script:module PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "module.dtd">
<script:module xmlns:script="http://openoffice.org/2000/script"
 script:name="Module1" script:language="StarBasic">
Sub Unlock(source As String, password As String, target As String)
  Dim given(1) As New com.sun.star.beans.PropertyValue
  given(0).Name = "Hidden"
  given(0).Value = True
  given(1).Name = "Password"
  given(1).Value = password
  Dim book As Object
  book = StarDesktop.loadComponentFromURL(source, "_blank", 0, given())
  Dim kind(0) As New com.sun.star.beans.PropertyValue
  kind(0).Name = "FilterName"
  kind(0).Value = "Calc MS Excel 2007 XML"
  book.storeToURL(target, kind())
  book.close(True)
End Sub
</script:module>
"""
LIBRARY = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE library:library PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "library.dtd">
<library:library xmlns:library="http://openoffice.org/2000/library" library:name="Standard">
 <library:element library:name="Module1"/>
</library:library>
"""


LIBRARIES = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE library:libraries PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "libraries.dtd">
<library:libraries xmlns:library="http://openoffice.org/2000/library"
 xmlns:xlink="http://www.w3.org/1999/xlink">
 <library:library library:name="Standard" xlink:href="$(USER)/basic/Standard/script.xlb/"
  xlink:type="simple" library:link="false"/>
</library:libraries>
"""


@pytest.fixture(scope="module")
def made(make_list):
    return make_list(8)


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("office")
    write_visit_list(made, out / "lists")
    basic = out / "profile" / "user" / "basic" / "Standard"
    office(out, "--terminate_after_init")  # the first start would write over the macro
    basic.mkdir(parents=True, exist_ok=True)
    (basic / "script.xlb").write_text(LIBRARY, encoding="utf-8")
    (basic.parent / "script.xlc").write_text(LIBRARIES, encoding="utf-8")
    (basic / "Module1.xba").write_text(MACRO, encoding="utf-8")
    return out


def office(folder: Path, *arguments: str) -> None:
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    command = [str(SOFFICE), profile, "--headless", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def listed_file(folder: Path, ending: str) -> Path:
    return next((folder / "lists").glob(f"走访清单_示范县_*.{ending}"))


def assert_equal(rows: Iterable[Sequence[Any]], frame: pl.DataFrame) -> None:
    """Every cell says what the list says; identifiers to the last digit."""
    shown = list(rows)
    assert len(shown) == frame.height > 0
    for row, written in zip(shown, frame.rows(), strict=True):
        for cell, value, column in zip(row, written, LIST_COLUMNS, strict=True):
            read = str(cell.date()) if hasattr(cell, "date") else str("" if cell is None else cell)
            if isinstance(value, float):
                assert float(read) == value, column.name
            else:
                assert read == ("" if value is None else str(value)), column.name


def test_every_cell_of_the_workbook_reads_as_it_was_written(folder: Path, made) -> None:
    """Eighteen digits stay text; scores, days and dates read the same."""
    office(
        folder, "--convert-to", TO_CSV, "--outdir", str(folder / "sheets"), str(listed_file(folder, "xlsx"))
    )
    for sheet, frame in (("走访清单", made.counties[0].listed), ("候补", made.counties[0].waiting)):
        (path,) = (folder / "sheets").glob(f"*-{sheet}.csv")
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header, *rows = csv.reader(stream)
        assert header == [column.zh for column in LIST_COLUMNS]
        assert_equal(rows, frame)


def test_the_csv_opened_with_text_columns_is_the_list(folder: Path, made) -> None:
    source = listed_file(folder, "csv")
    office(
        folder,
        f"--infilter=CSV:44,34,76,1,{AS_TEXT}",
        "--convert-to",
        "xlsx",
        "--outdir",
        str(folder / "text"),
        str(source),
    )
    book = openpyxl.load_workbook(folder / "text" / f"{source.stem}.xlsx")
    header, *rows = book.active.iter_rows(values_only=True)
    assert list(header) == [column.zh for column in LIST_COLUMNS]
    assert_equal(rows, made.counties[0].listed)


def test_a_csv_that_was_saved_anew_comes_back_to_the_right_households(folder: Path, made, panel) -> None:
    """Opened as a click opens it, the identifier becomes a number that has lost its last digits."""
    listed, source = made.counties[0].listed, listed_file(folder, "csv")
    office(
        folder,
        "--infilter=CSV:44,34,76,1",
        "--convert-to",
        "xlsx",
        "--outdir",
        str(folder / "anew"),
        str(source),
    )
    path = folder / "anew" / f"{source.stem}.xlsx"
    book = openpyxl.load_workbook(path)
    names = [column.name for column in LIST_COLUMNS]
    for row in range(2, listed.height + 2):
        book.active.cell(row, names.index("outcome") + 1, "属实")
        book.active.cell(row, names.index("visited_on") + 1, date(2024, 7, 15))
    book.save(path)
    Store(folder / "store").commit(panel)
    report = record_visits(path, folder / "store", [folder / "lists"], today=date(2024, 7, 20))
    assert report.recorded == listed.height
    assert report.files[0][1].repaired == listed.height
    assert report.files[0][1].changed.rows() == []
    found = report.results.filter(pl.col("outcome") == "属实").sort("rank")
    assert found["household_id"].to_list() == listed["household_id"].to_list()


def test_a_locked_workbook_opens_with_its_password(folder: Path, made) -> None:
    source, target = folder / "locked.xlsx", folder / "open.xlsx"
    source.write_bytes(locked(listed_file(folder, "xlsx").read_bytes(), PASSWORD))
    call = f'macro:///Standard.Module1.Unlock("{source.as_uri()}","{PASSWORD}","{target.as_uri()}")'
    office(folder, call)
    rows = openpyxl.load_workbook(target)["走访清单"].iter_rows(min_row=2, values_only=True)
    assert_equal(rows, made.counties[0].listed)
