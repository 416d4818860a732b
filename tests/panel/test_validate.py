"""Every failure of every row is told at once, and no row is lost."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from relapse_risk.errors import DataError
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.rejects import Rejects
from relapse_risk.panel.validate import validate


@pytest.fixture
def judge(tmp_path, export, today):
    """Write the export, read and validate it."""

    def run(store_panel: Panel | None = None, **options: date) -> tuple[Panel, Rejects]:
        return validate(read_exports(export.write(tmp_path)), store_panel, **({"today": today} | options))

    return run


def counts(rejects: Rejects, table: str) -> tuple[int, int, int, int]:
    """Return the rows read, accepted, rejected and duplicate."""
    found = rejects.counts[table]
    return found.read, found.accepted, found.rejected, found.duplicate


def codes(rejects: Rejects, table: str | None = None) -> dict[tuple[str, int], set[str]]:
    """Return the reason codes by file and row."""
    found: dict[tuple[str, int], set[str]] = {}
    for row in rejects.failures.iter_rows(named=True):
        if table in (None, row["table"]):
            found.setdefault((row["file"], row["row"]), set()).add(row["code"])
    return found


def test_a_sound_export_is_accepted_whole_and_typed(judge) -> None:
    panel, rejects = judge()
    assert {name: counts.as_dict() for name, counts in rejects.counts.items()} == {
        "household": {"read": 3, "accepted": 3, "rejected": 0, "duplicate": 0},
        "observation": {"read": 9, "accepted": 9, "rejected": 0, "duplicate": 0},
        "event": {"read": 2, "accepted": 2, "rejected": 0, "duplicate": 0},
    }
    assert rejects.failures.is_empty()
    assert rejects.warnings.is_empty()
    first = panel.tables["observation"].row(0, named=True)
    assert first["wage_income_yuan"] == 1500.0
    assert first["recorded_on"] == date(2024, 2, 5)
    assert first["water_safe"] is True
    assert panel.tables["household"]["risk_types"].null_count() == 3


BAD_OBSERVATIONS = [
    ({"期末日期": "上月"}, {"RR111"}),
    ({"家庭人口": ""}, {"RR110"}),
    ({"家庭人口": "三"}, {"RR112"}),
    ({"家庭人口": "61"}, {"RR116"}),
    ({"饮水安全": "不清楚"}, {"RR113"}),
    ({"住房安全等级": "E"}, {"RR114"}),
    ({"统计月数": "2"}, {"RR114"}),
    ({"户编号": "1.30101E+15"}, {"RR115"}),
    ({"工资性收入": "-5", "家庭纯收入": ""}, {"RR117"}),
    ({"录入日期": "2030-01-01"}, {"RR121"}),
    ({"录入日期": "2024-01-30"}, {"RR122"}),
    ({"家庭纯收入": "2001.5"}, {"RR124"}),
    ({"户编号": "1301010000000099"}, {"RR125"}),
    (
        {"饮水安全": "?", "家庭人口": "", "住房安全等级": "E", "户编号": "9"},
        {"RR113", "RR110", "RR114", "RR125"},
    ),
]


@pytest.mark.parametrize(("changes", "expected"), BAD_OBSERVATIONS)
def test_every_failure_of_a_row_is_told(judge, export, observation_row, changes, expected) -> None:
    export.tables["监测记录"][4] = observation_row(2, 2, **changes)
    panel, rejects = judge()
    assert codes(rejects) == {("监测记录.csv", 6): expected}
    assert counts(rejects, "observation") == (9, 8, 1, 0)
    assert panel.tables["observation"].height == 8


def test_all_bad_rows_are_told_at_once(judge, export, observation_row) -> None:
    export.tables["监测记录"] += [observation_row(1, 4, **changes) for changes, _ in BAD_OBSERVATIONS]
    _, rejects = judge()
    found = codes(rejects)
    assert [found["监测记录.csv", 11 + i] for i in range(len(BAD_OBSERVATIONS))] == [
        expected for _, expected in BAD_OBSERVATIONS
    ]
    assert rejects.counts["observation"].rejected == len(BAD_OBSERVATIONS)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"县代码": "13010"}, "RR118"),
        ({"县代码": "../../x"}, "RR118"),
        ({"村代码": "130101001"}, "RR118"),
        ({"户类型": "贫困户"}, "RR114"),
        ({"致贫返贫风险": "因病、因懒"}, "RR114"),
        ({"识别监测时间": "2024-05"}, "RR123"),
        ({"耕地面积": "99999"}, "RR116"),
        ({"耕地面积": "-1"}, "RR117"),
        ({"脱贫年度": "218"}, "RR116"),
    ],
)
def test_bad_households_and_what_hangs_on_them(judge, export, household_row, changes, code) -> None:
    """The rows of a household that is sent back go back with it."""
    export.tables["家庭"][0] = household_row(1, **({"识别监测时间": ""} | changes))
    for row in export.tables["家庭"][1:]:
        row["识别监测时间"] = ""
    panel, rejects = judge()
    assert codes(rejects, "household") == {("家庭.csv", 2): {code}}
    assert set().union(*codes(rejects, "observation").values()) == {"RR125"}
    assert rejects.counts["observation"].rejected == 3
    assert rejects.counts["event"].rejected == 1
    assert set(panel.tables["observation"]["household_id"]) == {"1301010000000002", "1301010000000003"}


def test_messages_never_repeat_a_value(judge, export, household_row) -> None:
    export.tables["家庭"][0] = household_row(1, 户类型="张三13800000000")
    _, rejects = judge()
    assert "张三" not in "".join(rejects.failures["zh"]) + "".join(rejects.failures["en"])
    assert "户类型" in rejects.failures["zh"][0]
    assert "household_type" in rejects.failures["en"][0]


def test_exact_duplicates_are_counted_and_contradictions_sent_back(judge, export, observation_row) -> None:
    export.tables["监测记录"] += [
        observation_row(1, 1),
        observation_row(1, 1, 工资性收入="1500"),
        observation_row(2, 1, 家庭人口="4"),
    ]
    panel, rejects = judge()
    assert counts(rejects, "observation") == (12, 8, 2, 2)
    assert codes(rejects) == {("监测记录.csv", 5): {"RR126"}, ("监测记录.csv", 13): {"RR126"}}
    assert panel.tables["observation"].height == 8


def test_the_same_key_on_a_later_day_is_a_correction(judge, export, observation_row) -> None:
    export.tables["监测记录"].append(observation_row(1, 1, 家庭人口="4", 录入日期="2024-05-01"))
    panel, rejects = judge()
    assert rejects.counts["observation"].accepted == 10
    early = panel.known_at(date(2024, 4, 30)).table("observation")
    late = panel.known_at(date(2024, 5, 1)).table("observation")
    mine = (pl.col("household_id") == "1301010000000001") & (pl.col("period_end") == date(2024, 1, 31))
    assert early.filter(mine)["n_person"].to_list() == [3.0]
    assert late.filter(mine)["n_person"].to_list() == [4.0]


def test_what_the_store_has_is_not_accepted_twice(judge, export, observation_row) -> None:
    stored, _ = judge()
    export.tables["监测记录"][0] = observation_row(1, 1, 家庭人口="5")
    export.tables["监测记录"].append(observation_row(1, 4, 期末日期="2024-04-30"))
    panel, rejects = judge(stored)
    assert rejects.counts["household"].duplicate == 3
    assert counts(rejects, "observation") == (10, 1, 1, 8)
    assert codes(rejects) == {("监测记录.csv", 2): {"RR126"}}
    assert panel.tables["observation"]["period_end"].to_list() == [date(2024, 4, 30)]


def test_households_of_the_store_may_be_referred_to(judge, export) -> None:
    stored, _ = judge()
    del export.tables["家庭"]
    export.tables["监测记录"] = [row | {"录入日期": "2024-06-01"} for row in export.tables["监测记录"]]
    _, rejects = judge(stored)
    assert rejects.counts["observation"].accepted == 9


def test_no_household_anywhere(tmp_path, export, today, write_table) -> None:
    write_table(tmp_path / "监测记录.csv", export.tables["监测记录"])
    with pytest.raises(DataError) as caught:
        validate(read_exports(tmp_path), today=today)
    assert caught.value.code == "RR109"
    assert "家庭" in caught.value.zh


def test_cells_beyond_the_header_send_a_row_back(judge, export, tmp_path, today) -> None:
    path = export.write(tmp_path) / "家庭.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines[2] += ",多"
    path.write_text("\n".join(lines), encoding="utf-8")
    _, rejects = validate(read_exports(path), today=today)
    assert codes(rejects) == {("家庭.csv", 3): {"RR127"}}
    assert "多余单元格" in rejects.returned[0].headers


@pytest.mark.parametrize(
    ("status", "rejected"), [("实施中", 1), ("", 1), ("拟定", 0)], ids=["running", "unknown", "planned"]
)
def test_only_a_planned_measure_starts_after_it_was_recorded(judge, export, status, rejected) -> None:
    measure = {
        "措施编号": "M1",
        "户编号": "1301010000000001",
        "措施类型": "就业",
        "开始日期": "2024-05-01",
        "结束日期": "2024-06-01",
        "录入日期": "2024-04-01",
        "状态": status,
    }
    export.tables["帮扶措施"] = [measure]
    assert judge()[1].counts["measure"].rejected == rejected


def test_dates_out_of_order(judge, export) -> None:
    measure = {"措施编号": "M1", "户编号": "1301010000000001", "措施类型": "就业", "录入日期": "2024-05-01"}
    export.tables["帮扶措施"] = [measure | {"开始日期": "2024-03-01", "结束日期": "2024-02-28"}]
    export.tables["阈值"] = [
        {"参数": "line", "适用地区": "13", "生效日期": "2025-01-01", "失效日期": "2024-12-31", "数值": "7300"}
        | {"依据": "测试", "已核实": "否", "录入日期": "2024-06-01"},
        {"参数": "line", "适用地区": "河北", "生效日期": "2025-01-01", "失效日期": "", "数值": "7300"}
        | {"依据": "测试", "已核实": "否", "录入日期": "2024-06-01"},
        {"参数": "line", "适用地区": "*", "生效日期": "2025-01-01", "失效日期": "", "数值": "7300"}
        | {"依据": "测试", "已核实": "否", "录入日期": "2024-06-01"},
    ]
    panel, rejects = judge()
    assert codes(rejects, "measure") == {("帮扶措施.csv", 2): {"RR123"}}
    assert codes(rejects, "threshold") == {("阈值.csv", 2): {"RR123"}, ("阈值.csv", 3): {"RR118"}}
    assert panel.tables["threshold"].height == 1, "a threshold may be recorded before it is in force"


def test_warnings_are_counted_and_the_rows_kept(judge, export, household_row, observation_row) -> None:
    export.tables["家庭"][0] = household_row(1, 脱贫年度="")
    export.tables["家庭"][1] = household_row(2, 村代码="130199001001")
    export.tables["监测记录"][0] = observation_row(1, 1, 期末日期="2024-01-30", 家庭人口="1")
    export.tables["监测记录"][2] = observation_row(1, 3, 家庭人口="1")
    for row in export.tables["监测记录"]:
        row["低保金"] = "0"
    export.tables["监测记录"][3]["低保金"] = "900"
    export.tables["成员"] = [
        {
            "成员编号": f"P{i}",
            "户编号": "1301010000000001",
            "录入日期": "2024-01-31",
            "出生年月": "1980-05",
            "性别": "女",
            "与户主关系": "户主",
            "劳动技能": "普通劳动力",
        }
        for i in range(3)
    ]
    for i, row in enumerate(export.tables["部门事件"]):
        row["成员编号"] = "P1" if i else "P9"
    panel, rejects = judge()
    assert rejects.failures.is_empty()
    found = dict(rejects.warnings.select("code", "rows").iter_rows())
    assert found == {"RR142": 1, "RR143": 1, "RR144": 1, "RR141": 1, "RR140": 1, "RR145": 1}
    named = rejects.remarked.select("code", "table", "file", "row", "column").sort("code").rows()
    assert named == [
        ("RR140", "observation", "监测记录.csv", 4, "n_person"),
        ("RR141", "observation", "监测记录.csv", 5, "dibao_amount_yuan"),
        ("RR142", "household", "家庭.csv", 2, "lifted_year"),
        ("RR143", "household", "家庭.csv", 3, "village_code"),
        ("RR144", "observation", "监测记录.csv", 2, "period_end"),
        ("RR145", "event", "部门事件.csv", 2, "member_id"),
    ]
    assert panel.tables["observation"].height == 9


def test_every_warning_is_counted_and_so_many_rows_are_named(judge, export, monkeypatch) -> None:
    """A file in which every row is odd does not fill the memory with remarks."""
    from relapse_risk.panel import remarks

    monkeypatch.setattr(remarks, "_NAMED_ROWS", 4)
    for row in export.tables["监测记录"]:
        row["期末日期"] = row["期末日期"][:8] + "15"
    _, rejects = judge()
    assert rejects.warnings.select("code", "rows").rows() == [("RR144", 9)]
    assert rejects.remarked["row"].to_list() == [2, 3, 4, 5]


@pytest.mark.parametrize("is_too_many", [True, False], ids=["one too many", "one lost"])
def test_the_account_of_rows_is_checked(judge, monkeypatch, is_too_many) -> None:
    """A row that gets lost on the way, or comes twice, stops the ingest."""
    from relapse_risk.panel import validate as module

    keep = module.settle_rows

    def settle(*args: object) -> tuple[pl.DataFrame, pl.DataFrame]:
        new, conflicting = keep(*args)
        return new.vstack(new) if is_too_many else new, conflicting

    monkeypatch.setattr(module, "settle_rows", settle)
    if not is_too_many:
        parts = module.Spill.parts
        monkeypatch.setattr(module.Spill, "parts", lambda self: (rows[1:] for rows in parts(self)))
    with pytest.raises(DataError) as caught:
        judge()
    assert caught.value.code == "RR190"


def test_returned_rows_are_as_they_came(judge, export, household_row) -> None:
    export.tables["家庭"] = [row | {"备注": "无"} for row in export.tables["家庭"]]
    export.tables["家庭"][1] |= {"耕地面积": " 1,23 ", "户类型": "贫困户", "备注": 'a,"b"'}
    _, rejects = judge()
    (file,) = [file for file in rejects.returned if file.name == "家庭_退回.csv"]
    assert file.headers == (*export.tables["家庭"][0], "文件", "行号", "原因代码", "原因", "reason")
    row = dict(zip(file.headers, file.frame.row(0), strict=True))
    came = export.tables["家庭"][1]
    assert row["户编号"] == "\t" + came["户编号"], "a tab keeps a spreadsheet from rounding a long code"
    assert {k: (row[k] or "").lstrip("\t") for k in came} == came
    assert (row["文件"], row["行号"], row["原因代码"]) == ("家庭.csv", "3", "RR114、RR112")
    assert "耕地面积" in row["原因"]
    assert "arable_mu" in row["reason"]
    assert rejects.to_pandas().shape[0] == rejects.failures.height
