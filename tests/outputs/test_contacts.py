"""Names and telephone numbers stand in the county's own workbook and nowhere else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.contacts import (
    CONTACT_COLUMNS,
    columns_with_contacts,
    is_locked,
    locked,
    read_contacts,
    read_password,
    unlocked,
)
from relapse_risk.outputs.feedback import record_visits
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.store import Store
from relapse_risk.panel.tables import CONTACT

BOOK = "走访清单_示范县_2024-06-30.xlsx"
PASSWORD = "correct horse"
HEADERS = "户编号,户主姓名,联系电话,住址,录入日期,帮扶责任人姓名,帮扶责任人电话"


@pytest.fixture(scope="module")
def made(make_list):
    return make_list(8)


@pytest.fixture(scope="module")
def contacts(made, tmp_path_factory) -> pl.DataFrame:
    """Of every household of the first county, and one that no list has."""
    ids = pl.concat([made.counties[0].listed, made.counties[0].waiting])["household_id"]
    rows = [
        f"{home},张三{n},1380000{n:04d},一组{n}号,2024-01-0{1 + n % 9},李四{n},1390000{n:04d}"
        for n, home in enumerate(ids)
    ]
    path = tmp_path_factory.mktemp("contacts") / "contacts.csv"
    path.write_text("\n".join([HEADERS, *rows, "999,王五,13900009999,二组,2024-01-01,,"]), encoding="gb18030")
    return read_contacts(path)


@pytest.fixture(scope="module")
def folder(made, contacts, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("with") / "list"
    write_visit_list(made, out, contacts=contacts)
    return out


def test_the_declared_table_is_what_is_joined() -> None:
    assert {column.name for column in CONTACT_COLUMNS} == {c.name for c in CONTACT.columns} - {
        "household_id",
        "recorded_on",
    }
    assert [c for c in columns_with_contacts() if c not in CONTACT_COLUMNS] == list(LIST_COLUMNS)


def test_the_latest_contact_of_a_household_counts_and_numbers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "c.csv"
    path.write_text(
        "household_id,phone,recorded_on\n01,013800000001,2024-02-01\n01,013800000002,2023-02-01\n"
        "02,013800000003,\n",
        encoding="utf-8",
    )
    found = read_contacts(path)
    assert found.select("household_id", "phone").rows() == [("02", "013800000003"), ("01", "013800000001")]
    assert found["head_name"].is_null().all()


def test_a_workbook_of_contacts_is_read_by_its_sheet(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["说明"])
    sheet = book.create_sheet("联系方式")
    for row in (HEADERS.split(",")[:3], ["130127100000000001", "张三", 13800000001]):
        sheet.append(row)
    book.save(tmp_path / "c.xlsx")
    (row,) = read_contacts(tmp_path / "c.xlsx").rows(named=True)
    assert (row["household_id"], row["head_name"], row["phone"]) == (
        "130127100000000001",
        "张三",
        "13800000001",
    )


@pytest.mark.parametrize("text", ["户编号,备注\n1,x\n", "户主姓名,联系电话\n张三,1\n"])
def test_a_file_without_households_or_contacts_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match="RR489") as refused:
        read_contacts(tmp_path / "c.csv")
    assert "张三" not in str(refused.value)


def test_each_household_has_its_own_contact_on_the_sheets_to_fill_in_and_to_print(
    folder: Path, made, contacts
) -> None:
    county, of_household = made.counties[0], {row[0]: row[1:] for row in contacts.rows()}
    book = openpyxl.load_workbook(folder / BOOK)
    names = [column.zh for column in columns_with_contacts()]
    for name, frame in (("走访清单", county.listed), ("候补", county.waiting)):
        header, *rows = book[name].iter_rows(values_only=True)
        assert list(header) == names
        assert [row[names.index("户编号")] for row in rows] == frame["household_id"].to_list()
        for row in rows:
            shown = tuple(row[names.index(c.zh)] for c in CONTACT_COLUMNS)
            assert shown == of_household[row[names.index("户编号")]]
    printed = [str(row[2]) for row in book["打印"].iter_rows(min_row=2, values_only=True)]
    assert all("张三" in cell and "1380000" in cell for cell in printed)


def test_nothing_else_has_a_name_or_a_number(folder: Path, made, contacts) -> None:
    """Neither page, CSV, note, manifest and ledger, nor the workbook of another county."""
    secrets = [
        text.encode()
        for name in ("head_name", "phone", "helper_phone")
        for text in contacts[name].drop_nulls()
    ]
    for path in folder.iterdir():
        if path.suffix == ".xlsx":
            cells = {
                str(cell.value) for sheet in openpyxl.load_workbook(path) for row in sheet for cell in row
            }
            assert (path.name == BOOK) == any("张三" in cell for cell in cells)
            assert not any("王五" in cell for cell in cells)
        else:
            assert not any(secret in path.read_bytes() for secret in secrets), path.name
    assert BOOK not in (folder / "manifest.json").read_text(encoding="utf-8").split('"private_files"')[0]


def test_only_the_owner_may_read_a_workbook_with_contacts(folder: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert {mode for name, mode in modes.items() if name.endswith(".xlsx")} == {0o600}
    assert all(mode & 0o044 for name, mode in modes.items() if not name.endswith(".xlsx"))


def test_an_earlier_workbook_with_contacts_is_kept_aside_and_stays_closed(
    made, contacts, tmp_path: Path
) -> None:
    write_visit_list(made, tmp_path / "list", contacts=contacts)
    before = (tmp_path / "list" / BOOK).read_bytes()
    with pytest.raises(ConfigurationError, match="RR481"):
        write_visit_list(made, tmp_path / "list")
    write_visit_list(made, tmp_path / "list", is_forced=True)
    aside = tmp_path / "list.old1" / BOOK
    assert aside.read_bytes() == before
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600


def test_a_locked_workbook_opens_with_its_password_alone_and_comes_back_filled_in(
    made, contacts, panel, tmp_path: Path
) -> None:
    write_visit_list(made, tmp_path / "lists", contacts=contacts, password=PASSWORD)
    path = tmp_path / "lists" / BOOK
    assert is_locked(path)
    assert not any("张三".encode(code) in path.read_bytes() for code in ("utf-8", "utf-16-le"))
    with pytest.raises(ConfigurationError, match="RR488"):
        unlocked(path, "another one", tmp_path)
    open_copy = unlocked(path, PASSWORD, tmp_path)
    book = openpyxl.load_workbook(open_copy)
    names = [column.name for column in columns_with_contacts()]
    book["走访清单"].cell(2, names.index("outcome") + 1, "属实")
    book["走访清单"].cell(2, names.index("visited_on") + 1, "2024-07-15")
    book.save(open_copy)
    back = tmp_path / "back.xlsx"
    back.write_bytes(locked(open_copy.read_bytes(), PASSWORD))
    Store(tmp_path / "store").commit(panel)
    with pytest.raises(ConfigurationError, match="RR488"):
        record_visits(back, tmp_path / "store", [tmp_path / "lists"])
    report = record_visits(back, tmp_path / "store", [tmp_path / "lists"], password=PASSWORD)
    assert report.recorded == 1
    assert report.files[0][1].changed.is_empty()
    stored = b"".join(p.read_bytes() for p in (tmp_path / "store").rglob("*") if p.is_file())
    assert "张三".encode() not in stored


def test_a_list_without_contacts_can_be_locked_too_and_its_manifest_names_the_file_without_a_hash(
    made, tmp_path: Path
) -> None:
    write_visit_list(made, tmp_path / "list", password=PASSWORD)
    manifest = json.loads((tmp_path / "list" / "manifest.json").read_text(encoding="utf-8"))
    assert BOOK in manifest["private_files"]
    assert not set(manifest["private_files"]) & set(manifest["files"])
    assert all(is_locked(tmp_path / "list" / name) for name in manifest["private_files"])
    assert not is_locked(tmp_path / "list" / "manifest.json")


def test_a_password_is_the_first_line_of_its_file_and_not_too_short(tmp_path: Path) -> None:
    path = tmp_path / "pass.txt"
    path.write_text("\ufeffcorrect horse\nsecond line\n", encoding="utf-8")
    assert read_password(path) == PASSWORD
    path.write_text("short\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="RR487") as refused:
        read_password(path)
    assert "short" not in str(refused.value)
    with pytest.raises(ConfigurationError, match="RR487"):
        read_password(tmp_path / "none.txt")
