"""Files as counties hand them in become tables of text, each row with its place; others are refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import polars as pl
import pytest
import xlsxwriter

from relapse_risk.errors import DataError
from relapse_risk.panel.raw import EXCESS_CELLS, RawTables
from relapse_risk.panel.read import read_exports


def only(raw: RawTables) -> tuple[pl.DataFrame, list[int]]:
    """Return the one table of an export and its row numbers."""
    (table,) = raw.tables
    return table.frame, table.sheet.frame["row_number"].to_list()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_every_encoding_and_delimiter_reads_alike(tmp_path, export, write_table, encoding, delimiter) -> None:
    rows = export.tables["家庭"]
    write_table(tmp_path / "家庭.csv", rows, encoding=encoding, delimiter=delimiter)
    frame, numbers = only(read_exports(tmp_path))
    assert frame["household_id"].to_list() == [row["户编号"] for row in rows]
    assert frame["county_name"].to_list() == ["甲县"] * 3
    assert numbers == [2, 3, 4]


@pytest.mark.parametrize("header", ["english", "chinese with units", "english with capitals"])
def test_headers_in_both_languages(tmp_path, export, write_table, header) -> None:
    names = {
        "english": {"户编号": "household_id", "耕地面积": "arable_mu"},
        "chinese with units": {"户编号": " 户编号 ", "耕地面积": "耕地面积（亩）"},
        "english with capitals": {"户编号": "Household ID", "耕地面积": "Arable_Mu"},
    }[header]
    rows = [{names.get(k, k): v for k, v in row.items()} for row in export.tables["家庭"]]
    write_table(tmp_path / "household.csv", rows)
    raw = read_exports(tmp_path)
    assert raw.tables[0].frame["arable_mu"].to_list() == ["3.5"] * 3
    assert not raw.unknown_columns


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("家庭", "household"),
        ("家庭表", "household"),
        ("01_家庭", "household"),
        ("家庭_退回", "household"),
        ("家庭(2)", "household"),
        ("Household 2024", "household"),
        ("households", "household"),
        ("县月度", "county_month"),
        ("county-month", "county_month"),
    ],
)
def test_table_names(tmp_path, export, write_table, name, table) -> None:
    month = {"县代码": "130101", "年月": "202401", "录入日期": "2024-02-01"}
    write_table(tmp_path / f"{name}.csv", [month] if table == "county_month" else export.tables["家庭"])
    assert [raw.table.name for raw in read_exports(tmp_path).tables] == [table]


def test_a_name_that_only_begins_like_a_table_is_no_table(tmp_path, export, write_table) -> None:
    write_table(tmp_path / "家庭成员说明.csv", export.tables["家庭"])
    write_table(tmp_path / "家庭.csv", export.tables["家庭"])
    (tmp_path / "说明.docx").write_bytes(b"x")
    raw = read_exports(tmp_path)
    assert [table.sheet.name for table in raw.tables] == ["家庭.csv"]
    assert [item.name for item in raw.ignored] == ["家庭成员说明.csv", "说明.docx"]


def test_row_numbers_are_those_of_the_spreadsheet(tmp_path, export, write_table) -> None:
    """Title rows, blank rows and line breaks within a cell do not shift them."""
    first, second, third = export.tables["家庭"]
    blank = dict.fromkeys(first, "") | {"县": "  "}
    rows = [first | {"县": "甲\n县"}, blank, second, third]
    write_table(tmp_path / "家庭.csv", rows, before="甲县家庭信息表\n,,,\n")
    frame, numbers = only(read_exports(tmp_path))
    assert numbers == [4, 6, 7]
    assert frame["household_id"].to_list() == [row["户编号"] for row in (first, second, third)]


def test_old_line_ends_lose_no_row(tmp_path, export, write_table) -> None:
    path = write_table(tmp_path / "家庭.csv", export.tables["家庭"], encoding="utf-8")
    path.write_bytes(path.read_bytes().replace(b"\r\n", b"\r"))
    assert only(read_exports(path))[1] == [2, 3, 4]


def test_a_stray_quotation_mark_swallows_no_row(tmp_path, export, write_table) -> None:
    rows = [row | {"县": "空", "乡镇": f'{i}" 管'} for i, row in enumerate(export.tables["家庭"])]
    path = write_table(tmp_path / "家庭.csv", rows, encoding="utf-8")
    plain = path.read_text(encoding="utf-8").replace('""', '"')
    path.write_text(
        plain.replace(',"0"', ',0"').replace(',"1"', ',1"').replace(',"2"', ',2"').replace('管"', "管")
    )
    assert only(read_exports(path))[1] == [2, 3, 4]


def test_cells_beyond_the_header_are_kept_apart(tmp_path, export, write_table) -> None:
    path = write_table(tmp_path / "家庭.csv", export.tables["家庭"], encoding="utf-8")
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[2] += ",多,"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    frame, numbers = only(read_exports(path))
    assert frame[EXCESS_CELLS].to_list() == [None, "多", None]
    assert numbers == [2, 3, 4]


def test_workbooks_keep_codes_dates_and_numbers(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "台账.xlsx")
    as_date = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet("家庭")
    sheet.write_row(0, 0, ["甲县2024年台账"])
    headers = [
        "户编号",
        "录入日期",
        "县代码",
        "乡镇代码",
        "村代码",
        "户类型",
        "监测对象类别",
        "风险是否已消除",
    ]
    sheet.write_row(1, 0, [*headers, "耕地面积"])
    for row, code in ((3, "130101000000000001"), (4, "0130")):
        sheet.write_string(row, 0, code)
        sheet.write_datetime(row, 1, date(2024, 3, 5), as_date)
        sheet.write_row(row, 2, [130101, 130101001, 130101001001, "脱贫户", "非监测", True, 1234.5])
    book.add_worksheet("说明").write(0, 0, "填表说明")
    book.close()
    raw = read_exports(tmp_path / "台账.xlsx")
    frame, numbers = only(raw)
    assert raw.tables[0].sheet.name == "台账.xlsx[家庭]"
    assert numbers == [4, 5]
    assert frame["household_id"].to_list() == ["130101000000000001", "0130"]
    assert frame["recorded_on"][0].startswith("2024-03-05")
    assert frame.row(0)[2:] == ("130101", "130101001", "130101001001", "脱贫户", "非监测", "true", "1234.5")
    assert [item.name for item in raw.ignored] == ["台账.xlsx[说明]"]


def test_long_codes_typed_as_numbers_come_as_the_spreadsheet_shows_them(tmp_path: Path) -> None:
    """A spreadsheet keeps 15 digits: the code is lost, and must not pass for another household's."""
    book = xlsxwriter.Workbook(tmp_path / "county_month.xlsx")
    sheet = book.add_worksheet()
    sheet.write_row(0, 0, ["县代码", "年月", "录入日期"])
    sheet.write_row(1, 0, [130101000000000001, 202401, "2024-02-01"])
    book.close()
    frame, _ = only(read_exports(tmp_path))
    assert frame["county_code"].to_list() == ["1.30101000000000E+17"]
    assert frame["month"].to_list() == ["202401"]


def test_a_header_without_rows_is_an_empty_table(tmp_path, export, write_table) -> None:
    path = write_table(tmp_path / "家庭.csv", export.tables["家庭"], encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").splitlines()[0], encoding="utf-8")
    frame, numbers = only(read_exports(path))
    assert frame.is_empty()
    assert "household_id" in frame.columns
    assert numbers == []


def test_parquet_in_its_own_types(tmp_path: Path) -> None:
    pl.DataFrame(
        {
            "county_code": [130101.0, 130102.0],
            "month": pl.Series([date(2024, 1, 1), date(2024, 2, 1)]).cast(pl.Datetime("ms")),
            "recorded_on": ["2024-03-01", "2024-03-01"],
            "is_key_county": [True, None],
            "cpi": [100.5, float("nan")],
        }
    ).write_parquet(tmp_path / "county_month.parquet")
    frame, numbers = only(read_exports(tmp_path))
    assert frame["county_code"].to_list() == ["130101", "130102"]
    assert frame["month"][0].startswith("2024-01-01")
    assert frame["is_key_county"].to_list() == ["true", None]
    assert frame["cpi"].to_list() == ["100.5", None]
    assert numbers == [1, 2]


def test_several_files_of_one_table_and_a_list_of_files(tmp_path, export, write_table) -> None:
    rows = export.tables["监测记录"]
    paths = [
        write_table(tmp_path / "监测记录_2023.csv", rows[:4]),
        write_table(tmp_path / "监测记录_2024.csv", rows[4:], encoding="gb18030"),
    ]
    raw = read_exports(paths)
    assert [part.sheet.frame.height for part in raw.of("observation")] == [4, 5]
    assert len(raw.files) == 2


def test_risks_may_stand_in_columns_of_their_own(tmp_path, export, write_table) -> None:
    rows = [
        {k: v for k, v in row.items() if k != "致贫返贫风险"} | {"致贫返贫风险1": a, "致贫返贫风险2": b}
        for row, (a, b) in zip(
            export.tables["家庭"], [("因病", "因残"), ("", "因学"), ("无", "")], strict=True
        )
    ]
    write_table(tmp_path / "家庭.csv", rows)
    frame, _ = only(read_exports(tmp_path))
    assert frame["risk_types"].to_list() == ["因病、因残", "因学", ""]


def test_unknown_columns_are_reported_and_contacts_not_kept(tmp_path, export, write_table) -> None:
    write_table(tmp_path / "家庭.csv", [row | {"备用列": "x"} for row in export.tables["家庭"]])
    write_table(
        tmp_path / "联系方式.csv",
        [{"户编号": "1301010000000001", "户主姓名": "张三", "联系电话": "13800000000"}],
    )
    raw = read_exports(tmp_path)
    assert raw.unknown_columns == {"家庭.csv": ("备用列",)}
    assert [table.table.name for table in raw.tables] == ["household"]
    assert raw.ignored[0].name == "联系方式.csv"
    assert "never stored" in raw.ignored[0].reason.en


def refused(source: object, code: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read_exports(source)  # type: ignore[arg-type]
    error = caught.value
    assert error.code == code
    assert error.where
    assert error.expected
    assert error.remedy
    return error


def test_no_such_path(tmp_path: Path) -> None:
    assert refused(tmp_path / "nothing", "RR101").zh


def test_empty_folder(tmp_path: Path) -> None:
    assert "empty" in refused(tmp_path, "RR102").found


def test_folder_without_a_table(tmp_path: Path) -> None:
    (tmp_path / "readme.txt").write_text("x")
    (tmp_path / "panel.csv").write_text("a,b\n1,2\n")
    error = refused(tmp_path, "RR102")
    assert "panel.csv" in error.found
    assert refused(tmp_path / "panel.csv", "RR102").zh


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("家庭.csv", b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x00\x00" + bytes(range(256)) * 4),
        ("家庭.csv", b""),
        ("家庭.csv", b"\xef\xbb\xbf\r\n"),
        ("家庭.csv", "这只是一段文字，没有表头。\n".encode()),
        ("家庭.csv", b"<html><body>session expired</body></html>"),
        ("家庭.xlsx", b"not a workbook"),
        ("家庭.parquet", b"PAR1 not parquet"),
        ("家庭.csv", '户编号,录入日期,县代码\n"1,2024-01-01,130101\n'.encode()),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    error = refused(tmp_path, "RR103")
    assert error.where.startswith(name)
    assert error.zh


def test_bytes_of_no_known_encoding(tmp_path: Path) -> None:
    (tmp_path / "家庭.csv").write_bytes("户编号,县\n1,".encode() + b"\xff\xfe\xfd\n")
    assert "GB18030" in refused(tmp_path, "RR104").expected


def test_missing_required_columns_are_all_named(tmp_path, export, write_table) -> None:
    rows = [
        {k: v for k, v in row.items() if k not in ("录入日期", "户类型")} for row in export.tables["家庭"]
    ]
    write_table(tmp_path / "家庭.csv", rows)
    error = refused(tmp_path, "RR105")
    assert "recorded_on" in error.found
    assert "household_type" in error.found
    assert "户类型" in error.zh


def test_two_columns_for_one(tmp_path, export, write_table) -> None:
    write_table(tmp_path / "家庭.csv", [row | {"arable_mu": "4"} for row in export.tables["家庭"]])
    assert "耕地面积" in refused(tmp_path, "RR106").found


def test_several_refused_files_are_told_at_once(tmp_path, export) -> None:
    folder: Callable[..., Path] = export.write
    path = folder(tmp_path)
    (path / "成员.csv").write_bytes(b"")
    (path / "走访记录.csv").write_text("a,b\n1,2\n")
    error = refused(path, "RR100")
    assert "成员.csv" in error.found
    assert "走访记录.csv" in error.found
