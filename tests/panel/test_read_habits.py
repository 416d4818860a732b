"""What counties add to a table: titles, units, totals, notes, merged and broken cells, other suffixes."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from relapse_risk.errors import DataError
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.raw import RowKind
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.validate import validate

XLS = Path(__file__).parent / "files" / "household.xls"  # one household, written with xlwt 1.3


def with_lines(path: Path, lines: list[str], *, before: list[str] | None = None) -> Path:
    text = path.read_text(encoding="utf-8")
    path.write_text("".join(f"{line}\n" for line in before or []) + text + "\n".join(lines), encoding="utf-8")
    return path


def refused(path: Path, code: str) -> DataError:
    with pytest.raises(DataError) as caught:
        read_exports(path)
    assert caught.value.code == code
    assert caught.value.zh
    return caught.value


def test_utf_16_without_a_mark_is_read_where_a_character_has_a_zero_byte(
    tmp_path, export, write_table
) -> None:
    """一 (4E 00), as in 一般农户."""
    rows = [row | {"户类型": "一般农户", "脱贫年度": ""} for row in export.tables["家庭"]]
    for encoding in ("utf-16-le", "utf-16-be"):
        write_table(tmp_path / "家庭.csv", rows, encoding=encoding)
        (raw,) = read_exports(tmp_path).tables
        assert raw.frame["household_type"].to_list() == ["一般农户"] * 3


FOOTING = [
    ("合计", RowKind.TOTAL),
    (" 合　计 ", RowKind.TOTAL),
    ("总计：3户", RowKind.TOTAL),
    ("甲县小计", RowKind.TOTAL),
    ("共3户", RowKind.TOTAL),
    ("制表人：王某", RowKind.NOTE),
    ("单位负责人（签字）:", RowKind.NOTE),
    ("注：本表按月填报", RowKind.NOTE),
    ("第1页 共2页", RowKind.NOTE),
]


@pytest.mark.parametrize(("words", "kind"), FOOTING)
def test_totals_and_notes_are_no_records_and_are_accounted_for(tmp_path, export, today, words, kind) -> None:
    folder = export.write(tmp_path / "export")
    path = folder / "监测记录.csv"
    with_lines(path, [f"{words},,,,,4500,,,,,6000", ",,,,,,,,,,"])
    report = ingest(folder, tmp_path / "store", today=today)
    assert report.counts["observation"].as_dict() == {"read": 9, "accepted": 9, "rejected": 0, "duplicate": 0}
    assert report.passed_over == {"监测记录.csv": {11: kind}}
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["passed_over"] == [{"name": "监测记录.csv", "rows": 1, "kinds": {kind.value.en: 1}}]
    assert "第 11 行" in "\n".join(report.summary_lines("zh"))
    assert "row 11" in "\n".join(report.summary_lines("en"))
    assert "王某" not in "\n".join(report.summary_lines("zh"))


@pytest.mark.parametrize(
    "line",
    [
        "1301010000000001,合计,1,2024-05-05,3",
        "合计,2024-04-30,1,2024-05-05,3",
        ",2024-04-30,1,2024-05-05,合计",
        ",2024-04-30,1,2024-05-05,3",
    ],
)
def test_a_broken_record_is_never_taken_for_a_total(tmp_path, export, today, line) -> None:
    folder = export.write(tmp_path)
    with_lines(folder / "监测记录.csv", [line])
    raw = read_exports(folder)
    _, rejects = validate(raw, today=today)
    assert not raw.passed_over
    assert rejects.counts["observation"].rejected == 1


def test_headers_repeated_on_every_page(tmp_path, export, today) -> None:
    path = export.write(tmp_path) / "家庭.csv"
    with_lines(path, [path.read_text(encoding="utf-8-sig").splitlines()[0]])
    raw = read_exports(path)
    assert raw.passed_over == {"家庭.csv": {5: RowKind.HEADER}}
    assert raw.tables[0].frame.height == 3


def test_titles_are_counted(tmp_path, export, write_table) -> None:
    write_table(
        tmp_path / "家庭.csv", export.tables["家庭"], before="甲县家庭信息表,,\n,,\n填报单位：乡村振兴局\n"
    )
    raw = read_exports(tmp_path)
    assert raw.passed_over == {"家庭.csv": {1: RowKind.TITLE, 3: RowKind.TITLE}}
    assert raw.tables[0].sheet.frame["row_number"].to_list() == [5, 6, 7]


def test_a_unit_in_a_header_scales_its_column(tmp_path, export, today, write_table) -> None:
    """Also in the returned file, which keeps the header; a value's own unit goes before the header's."""
    rows = [
        {
            {"工资性收入": "工资性收入（万元）", "转移性收入": "转移性收入(单位：千元)"}.get(k, k): v
            for k, v in row.items()
        }
        | {"工资性收入（万元）": "0.15", "转移性收入(单位：千元)": "0.4"}
        for row in export.tables["监测记录"]
    ]
    rows[0]["工资性收入（万元）"] = "1500元"
    rows[1]["家庭人口"] = "三"
    export.tables["监测记录"] = rows
    store = tmp_path / "store"
    first = ingest(export.write(tmp_path / "export"), store, today=today)
    assert (first.counts["observation"].accepted, first.counts["observation"].rejected) == (8, 1)
    (path,) = first.reject_files
    path.write_text(path.read_text(encoding="utf-8-sig").replace("三", "3"), encoding="utf-8")
    ingest(path, store, today=today)
    from relapse_risk.panel.store import Store

    stored = Store(store).open().tables["observation"]
    assert stored["wage_income_yuan"].to_list() == pytest.approx([1500.0] * 9)
    assert stored["transfer_income_yuan"].to_list() == pytest.approx([400.0] * 9)


def test_a_unit_above_the_table_holds_for_its_money_and_goes_with_what_is_returned(
    tmp_path, export, today, write_table
) -> None:
    money = ("工资性收入", "生产经营性收入", "生产经营性支出", "财产性收入", "转移性收入", "家庭纯收入")
    rows = [
        row | {name: f"{float(row[name].replace(',', '')) / 10_000:.4f}" for name in money}
        for row in export.tables["监测记录"]
    ]
    rows[1]["家庭人口"] = "三"
    folder = export.write(tmp_path)
    write_table(folder / "监测记录.csv", rows, before="监测记录,,\n,,单位：万元、人\n")
    panel, rejects = validate(read_exports(folder), today=today)
    assert rejects.counts["observation"].rejected == 1
    assert panel.tables["observation"]["wage_income_yuan"].to_list() == pytest.approx([1500.0] * 8)
    assert panel.tables["observation"]["n_person"].to_list() == [3.0] * 8
    assert "工资性收入（万元）" in rejects.returned[0].headers


@pytest.mark.parametrize("header", ["工资性收入（美元）", "工资性收入（元/月）", "工资性收入（%）"])
def test_a_unit_that_is_not_the_columns_refuses_the_file(tmp_path, export, write_table, header) -> None:
    rows = [{header if k == "工资性收入" else k: v for k, v in r.items()} for r in export.tables["监测记录"]]
    path = write_table(tmp_path / "监测记录.csv", rows)
    assert "wage_income_yuan" in refused(path, "RR107").found


@pytest.mark.parametrize("name", ["家庭.csv", "家庭.txt", "家庭.tsv", "家庭.xls"])
def test_text_under_any_suffix(tmp_path, export, write_table, name) -> None:
    """Many systems write text and call it .xls."""
    write_table(tmp_path / name, export.tables["家庭"], delimiter="\t", encoding="gb18030")
    assert read_exports(tmp_path).tables[0].frame.height == 3


@pytest.mark.parametrize("name", ["家庭.xls", "家庭.xlsx", "家庭.csv"])
def test_old_workbooks_are_read_under_any_suffix(tmp_path, name) -> None:
    shutil.copy(XLS, tmp_path / name)
    (raw,) = read_exports(tmp_path).tables
    assert raw.frame.select("household_id", "risk_cleared", "arable_mu").rows() == [
        ("1301010000000001", "true", "3.5")
    ]
    assert raw.frame["recorded_on"][0].startswith("2024-01-31")


def book(path: Path, rows: list[list[object]], *, title: str = "家庭") -> openpyxl.Workbook:
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    made.save(path)
    return made


HEADERS = ["户编号", "录入日期", "县代码", "乡镇代码", "村代码", "户类型", "监测对象类别", "耕地面积"]


def household(number: int, arable: object = 3.5) -> list[object]:
    code = f"13010100000000{number:02d}"
    return [code, dt.date(2024, 1, 31), "130101", "130101001", "130101001001", "脱贫户", "非监测", arable]


def test_cells_with_errors_are_told_and_not_lost(tmp_path, today) -> None:
    rows = [["甲县家庭信息表"], HEADERS, household(1, "=1/0"), household(2)]
    made = book(tmp_path / "家庭.xlsx", rows)
    cell = made.active["H3"]
    cell.value, cell.data_type = "#DIV/0!", "e"
    made.active.merge_cells("A1:H1")
    made.save(tmp_path / "家庭.xlsx")
    raw = read_exports(tmp_path)
    _, rejects = validate(raw, today=today)
    assert rejects.failures.select("row", "code", "column").rows() == [(3, "RR112", "arable_mu")]
    assert "#DIV/0!" in rejects.returned[0].frame.row(0)
    assert raw.passed_over == {"家庭.xlsx[家庭]": {1: RowKind.TITLE}}


def test_a_formula_without_its_value_refuses_the_sheet(tmp_path) -> None:
    book(tmp_path / "家庭.xlsx", [HEADERS, household(1, "=1+1")])
    assert "formulas" in refused(tmp_path / "家庭.xlsx", "RR103").found


def test_codes_merged_over_several_rows_count_for_each_and_amounts_do_not(tmp_path) -> None:
    """The first column is empty, as often; places are counted from the first filled one."""
    headers = ["户编号", "成员编号", "录入日期", "出生年月", "性别", "与户主关系", "劳动技能", "务工月收入"]
    member = ["1980-05", "女", "户主", "普通劳动力", 3000]
    rows = [
        [None, *headers],
        [None, "1301010000000001", "P1", dt.date(2024, 1, 31), *member],
        [None, None, "P2", dt.date(2024, 1, 31), *member[:-1], None],
    ]
    made = book(tmp_path / "成员.xlsx", rows, title="成员")
    made.active.merge_cells("B2:B3")
    made.active.merge_cells("I2:I3")
    made.save(tmp_path / "成员.xlsx")
    (raw,) = read_exports(tmp_path).tables
    assert raw.frame["household_id"].to_list() == ["1301010000000001"] * 2
    assert raw.frame["monthly_wage_yuan"].to_list() == ["3000", None]


def test_a_long_code_typed_as_a_number_among_texts_is_seen(tmp_path, today) -> None:
    rows = [HEADERS, household(1), [130101000000000002, *household(2)[1:]]]
    book(tmp_path / "家庭.xlsx", rows)
    _, rejects = validate(read_exports(tmp_path), today=today)
    assert rejects.failures.select("row", "code", "column").rows() == [(3, "RR115", "household_id")]


def test_headers_in_two_rows(tmp_path) -> None:
    """A group over its parts, and headers merged downwards beside them."""
    made = book(
        tmp_path / "监测记录.xlsx",
        [
            ["户编号", "期末日期", "统计月数", "录入日期", "家庭人口", "收入情况", None],
            [None, None, None, None, None, "工资性收入（万元）", "家庭纯收入"],
            ["1301010000000001", dt.date(2024, 1, 31), 1, dt.date(2024, 2, 5), 3, 0.15, 2000],
        ],
        title="监测记录",
    )
    for column in "ABCDE":
        made.active.merge_cells(f"{column}1:{column}2")
    made.active.merge_cells("F1:G1")
    made.save(tmp_path / "监测记录.xlsx")
    (raw,) = read_exports(tmp_path).tables
    assert raw.frame.select("household_id", "wage_income_yuan", "net_income_yuan").rows() == [
        ("1301010000000001", "0.15万元", "2000")
    ]
    assert raw.sheet.frame["row_number"].to_list() == [3]


def test_columns_without_single_values_are_refused(tmp_path) -> None:
    pl.DataFrame(
        {"county_code": [{"a": 1}], "month": ["2024-01"], "recorded_on": ["2024-02-01"]}
    ).write_parquet(tmp_path / "县月度.parquet")
    refused(tmp_path / "县月度.parquet", "RR103")
