"""An ingest as a clerk lives it: hand in, look at what comes back, correct it, hand it in again."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import pandas as pd
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from relapse_risk.errors import DataError, MachineError
from relapse_risk.panel import ingest as module
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.store import Store


def numbers(report, table: str) -> tuple[int, int, int, int]:
    counts = report.counts[table]
    return counts.read, counts.accepted, counts.rejected, counts.duplicate


def files_below(path: Path) -> dict[str, bytes]:
    skip = "manifest.json"
    return {
        str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != skip
    }


def test_manifest_and_report(tmp_path, export, today) -> None:
    export.tables["家庭"][0]["备用"] = "x"
    for row in export.tables["家庭"][1:]:
        row["备用"] = ""
    export.tables["监测记录"][0]["家庭人口"] = "三"
    stages: list[tuple[str, int, int]] = []
    folder = export.write(tmp_path / "export")
    (folder / "说明.txt").write_text("x")
    report = ingest(folder, tmp_path / "store", today=today, on_progress=lambda *step: stages.append(step))
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["tables"] == {
        "household": {"read": 3, "accepted": 3, "rejected": 0, "duplicate": 0},
        "observation": {"read": 9, "accepted": 8, "rejected": 1, "duplicate": 0},
        "event": {"read": 2, "accepted": 2, "rejected": 0, "duplicate": 0},
    }
    assert manifest["commit"] == report.commit.id
    assert manifest["unknown_columns"] == {"家庭.csv": ["备用"]}
    assert [item["name"] for item in manifest["ignored"]] == ["说明.txt"]
    assert [source["name"] for source in manifest["sources"]] == ["家庭.csv", "监测记录.csv", "部门事件.csv"]
    assert manifest["reject_files"] == [f"rejects/{report.commit.id}/监测记录_退回.csv"]
    assert {stage for stage, _, _ in stages} == {"read", "validate", "store"}
    assert all(1 <= done <= total for _, done, total in stages)
    frame = report.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    assert (frame["read"] == frame["accepted"] + frame["rejected"] + frame["duplicate"]).all()
    zh, en = "\n".join(report.summary_lines("zh")), "\n".join(report.summary_lines("en"))
    assert "监测记录：读取 9 行，入库 8，退回 1，重复 0" in zh
    assert "observation: 9 rows read, 8 accepted, 1 rejected, 0 duplicate" in en
    assert "[RR112]" in zh
    assert "备用" in zh


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_reject_correct_ingest(tmp_path, export, today, household_row, encoding) -> None:
    """The returned file, corrected and saved as a spreadsheet would, is accepted as it is."""
    sound = ingest(export.write(tmp_path / "sound"), tmp_path / "expected", today=today)
    assert not sound.reject_files
    export.tables["家庭"][0] = household_row(1, 户类型="贫困户", 耕地面积="1,23")
    export.tables["监测记录"][8]["饮水安全"] = "？"
    store = tmp_path / "store"
    first = ingest(export.write(tmp_path / "export"), store, today=today)
    assert numbers(first, "household") == (3, 2, 1, 0)
    assert numbers(first, "observation") == (9, 5, 4, 0)
    assert numbers(first, "event") == (2, 1, 1, 0)
    assert {path.name for path in first.reject_files} == {
        "家庭_退回.csv",
        "监测记录_退回.csv",
        "部门事件_退回.csv",
    }
    for path in first.reject_files:
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        text = path.read_text(encoding="utf-8-sig")
        text = text.replace("贫困户", "脱贫户").replace('"1,23"', "3.5").replace("？", "是")
        path.write_text(text, encoding=encoding, newline="")
    second = ingest(first.reject_files, store, today=today)
    assert not second.reject_files
    assert not second.unknown_columns
    assert numbers(second, "household") == (1, 1, 0, 0)
    assert numbers(second, "observation") == (4, 4, 0, 0)
    expected, found = Store(tmp_path / "expected").open(), Store(store).open()
    for name, frame in expected.tables.items():
        assert_frame_equal(found.tables[name], frame, check_row_order=False)


def test_a_returned_file_that_is_still_wrong_comes_back_again(tmp_path, export, today) -> None:
    export.tables["监测记录"][0]["饮水安全"] = "？"
    store = tmp_path / "store"
    first = ingest(export.write(tmp_path / "export"), store, today=today)
    again = ingest(first.reject_files, store, today=today)
    assert again.commit is None
    (path,) = again.reject_files
    with path.open(encoding="utf-8-sig", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["文件"] == "监测记录_退回.csv"
    assert row["行号"] == "2"
    assert list(row).count("原因") == 1


def test_the_same_files_twice_change_nothing(tmp_path, export, today) -> None:
    export.tables["监测记录"][0]["饮水安全"] = "？"
    folder, store = export.write(tmp_path / "export"), tmp_path / "store"
    first = ingest(folder, store, today=today)
    tables = Store(store).open().tables
    kept: list[dict[str, bytes]] = []
    for _ in range(2):
        report = ingest(folder, store, today=today)
        assert report.commit is None
        assert numbers(report, "household") == (3, 0, 0, 3)
        assert numbers(report, "observation") == (9, 0, 1, 8)
        kept.append(files_below(store))
    assert kept[0] == kept[1]
    assert [commit.id for commit in Store(store).log()] == [first.commit.id]
    for name, frame in tables.items():
        assert_frame_equal(Store(store).open().tables[name], frame)
    assert json.loads((store / "manifest.json").read_text(encoding="utf-8"))["commit"] is None
    assert "没有新数据" in report.summary_lines("zh")[-1]


def test_a_returned_file_somebody_works_on_is_not_overwritten(tmp_path, export, today) -> None:
    folder, store = export.write(tmp_path / "export"), tmp_path / "store"
    ingest(folder, store, today=today)
    export.tables["监测记录"] = [row | {"饮水安全": "？"} for row in export.tables["监测记录"]]
    export.write(folder)
    (path,) = ingest(folder, store, today=today).reject_files
    path.write_text("half corrected", encoding="utf-8")
    (other,) = ingest(folder, store, today=today).reject_files
    assert path.read_text(encoding="utf-8") == "half corrected"
    assert other != path


def test_corrections_are_seen_from_the_day_they_were_recorded(
    tmp_path, export, today, observation_row
) -> None:
    store = tmp_path / "store"
    ingest(export.write(tmp_path / "export"), store, today=today)
    correction = observation_row(1, 1, 家庭人口="5", 录入日期="2024-05-01")
    export.tables = {"监测记录": [correction]}
    assert numbers(ingest(export.write(tmp_path / "later"), store, today=today), "observation") == (
        1,
        1,
        0,
        0,
    )
    panel = Store(store).open()
    mine = (pl.col("household_id") == "1301010000000001") & (pl.col("period_end") == date(2024, 1, 31))
    known = {
        day: panel.known_at(day).table("observation").filter(mine)["n_person"].to_list()
        for day in (date(2024, 4, 30), date(2024, 5, 1))
    }
    assert list(known.values()) == [[3.0], [5.0]]


def test_contacts_never_enter_the_store(tmp_path, export, today, write_table) -> None:
    folder = export.write(tmp_path / "export")
    contact = {"户主姓名": "张三丰", "联系电话": "13812345678", "住址": "东街九号"}
    row = {"户编号": "1301010000000001", **contact}
    write_table(folder / "联系方式.csv", [row])
    report = ingest(folder, tmp_path / "store", today=today)
    assert [item.name for item in report.ignored] == ["联系方式.csv"]
    stored = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert not any(word.encode() in stored for word in contact.values())


def test_numbers_typed_into_a_remark_are_masked_and_counted(tmp_path, export, today) -> None:
    """Neither the store, nor the manifest, nor the report holds one; the row is kept."""
    identity, phone = "130101198001010019", "138 1234 5678"
    visit = {"户编号": "1301010000000001", "录入日期": "2024-05-01"}
    export.tables["走访记录"] = [
        {"走访编号": "V1", **visit, "备注": f"户主{identity}，已外出，电话{phone}"},
        {"走访编号": "V2", **visit, "备注": "情况属实，收入12000元"},
    ]
    export.tables["家庭"][0]["帮扶责任人"] = "王建国"
    for row in export.tables["家庭"][1:]:
        row["帮扶责任人"] = "W007"
    report = ingest(export.write(tmp_path / "export"), tmp_path / "store", today=today)
    assert numbers(report, "visit") == (2, 2, 0, 0)
    panel = Store(tmp_path / "store").open()
    assert panel.tables["visit"].sort("visit_id")["remark"].to_list() == [
        "户主〔身份证号已隐去〕，已外出，电话〔电话已隐去〕",
        "情况属实，收入12000元",
    ]
    assert sorted(panel.tables["household"]["helper_id"]) == ["W007", "W007", "〔姓名已隐去〕"]
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text(encoding="utf-8"))
    masked = [warning for warning in manifest["warnings"] if warning["code"] == "RR146"]
    assert [(w["table"], w["column"], w["rows"]) for w in masked] == [
        ("household", "helper_id", 1),
        ("visit", "remark", 1),
    ]
    said = "\n".join(report.summary_lines("zh"))
    assert "[RR146]" in said
    written = b"".join(path.read_bytes() for path in (tmp_path / "store").rglob("*") if path.is_file())
    for word in (identity, phone, "王建国"):
        assert word.encode() not in written
        assert word not in said


def test_rows_kept_with_a_remark_are_named_in_a_file(tmp_path, export, household_row, today) -> None:
    """By file and row number alone; the rows are stored, and none goes back."""
    export.tables["家庭"][1] = household_row(2, 村代码="130199001001")
    folder = export.write(tmp_path / "export")
    report = ingest(folder, tmp_path / "store", today=today)
    assert (report.reject_files, report.counts["household"].rejected) == ((), 0)
    assert report.commit is not None
    assert report.remarks_file == tmp_path / "store" / "rejects" / report.commit.id / "提示.csv"
    said = "「村代码」不以「乡镇代码」开头,village_code does not begin with township_code"
    header, row = report.remarks_file.read_text(encoding="utf-8-sig").splitlines()
    assert header == "文件,行号,表,代码,提示,remark"
    assert row == f"家庭.csv,3,家庭,RR143,{said}"
    manifest = json.loads((tmp_path / "store" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["remarks_file"] == f"rejects/{report.commit.id}/提示.csv"
    assert any("提示.csv" in line for line in report.summary_lines("zh"))
    again = ingest(folder, tmp_path / "store", today=today)
    assert (again.commit, again.remarks_file) == (None, None)
    assert report.remarks_file.exists()


def test_the_file_of_remarks_is_no_export(tmp_path, export, household_row, observation_row, today) -> None:
    """The folder of returned rows is handed in as it is: remarks are passed over and said to be."""
    export.tables["家庭"][1] = household_row(2, 村代码="130199001001")
    export.tables["监测记录"][2] = observation_row(1, 3, 家庭人口="三")
    report = ingest(export.write(tmp_path / "export"), tmp_path / "store", today=today)
    (returned,) = report.reject_files
    returned.write_text(returned.read_text(encoding="utf-8-sig").replace("三", "3"), encoding="utf-8-sig")
    again = ingest(returned.parent, tmp_path / "store", today=today)
    assert [item.name for item in again.ignored] == ["提示.csv"]
    assert numbers(again, "observation") == (1, 1, 0, 0)


def test_an_empty_table_is_ingested_and_known(tmp_path, export, today) -> None:
    folder = export.write(tmp_path / "export")
    headers = "走访编号,户编号,录入日期,走访日期"
    (folder / "走访记录.csv").write_text(headers, encoding="utf-8")
    report = ingest(folder, tmp_path / "store", today=today)
    assert numbers(report, "visit") == (0, 0, 0, 0)
    assert Store(tmp_path / "store").open().known_at(today).has("visit")
    assert ingest(folder, tmp_path / "store", today=today).commit is None


def test_a_refused_file_stores_nothing(tmp_path, export, today) -> None:
    folder = export.write(tmp_path / "export")
    (folder / "成员.csv").write_bytes("成员编号,户编号\n1,2\n".encode())
    with pytest.raises(DataError) as caught:
        ingest(folder, tmp_path / "store", today=today)
    assert caught.value.code == "RR105"
    assert not (tmp_path / "store").exists()


def test_a_failure_in_the_middle_leaves_the_store_as_it_was(tmp_path, export, today, monkeypatch) -> None:
    folder, store = export.write(tmp_path / "export"), tmp_path / "store"
    ingest(folder, store, today=today)
    before = files_below(store)
    export.tables["监测记录"] = [row | {"录入日期": "2024-06-01"} for row in export.tables["监测记录"]]
    export.write(folder)

    def fail(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_record", fail)
    with pytest.raises(MachineError) as caught:
        ingest(folder, store, today=today)
    assert caught.value.code == "RR652"
    assert files_below(store) == before


def test_a_manifest_that_cannot_be_written_says_the_rows_are_in(tmp_path, export, today, monkeypatch) -> None:
    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", fail)
    with pytest.raises(MachineError) as caught:
        ingest(export.write(tmp_path / "export"), tmp_path / "store", today=today)
    assert caught.value.code == "RR653"
    assert Store(tmp_path / "store").open().tables["observation"].height == 9


def test_no_error_names_a_place_outside_the_call(tmp_path, today) -> None:
    with pytest.raises(DataError) as caught:
        ingest(tmp_path / "missing", tmp_path / "store", today=today)
    assert str(tmp_path) not in str(caught.value)
