"""Features only rules read, from the tables up: who counts as absent, covered, idle, included or settled."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import polars as pl
import pytest

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT
from relapse_risk.vocabulary import Role

DAY = date(2022, 10, 31)
Row = dict[str, Any]
HOUSEHOLD: Row = {
    "household_id": "H1",
    "county_code": "130727",
    "township_code": "130727001",
    "village_code": "130727001001",
    "household_type": "脱贫户",
    "monitor_category": "非监测",
}
ADULT: Row = {"birth_month": date(1980, 1, 1), "labour_skill": "普通劳动力", "school_status": "非在校"}
RULE_FEATURES = [
    *dict.fromkeys(n for rule in RULES for n in rule.all_features),
    "self_applied",
    "weak_labour_n",
    "days_since_confirming_visit",
]


def _frame(table: str, rows: list[Row]) -> pl.DataFrame:
    filled = []
    for i, row in enumerate(rows):
        keys = dict.fromkeys(TABLE_BY_NAME[table].key, f"{table}-{i}")
        filled.append({**keys, "household_id": "H1", "recorded_on": date(2022, 6, 30), **row})
    frame = pl.DataFrame(filled, schema_overrides=TABLE_BY_NAME[table].dtypes)
    dtypes = TABLE_BY_NAME[table].dtypes
    lacking = [pl.lit(None, dtype=dtypes[name]).alias(name) for name in dtypes if name not in frame.columns]
    return frame.with_columns(lacking).select(list(dtypes))


def features_of(household: Row | None = None, **tables: list[Row]) -> FeatureMatrix:
    panel = Panel(
        {
            "household": _frame("household", [HOUSEHOLD | (household or {})]),
            **{name: _frame(name, rows) for name, rows in tables.items()},
        }
    )
    return build_features(panel, [DAY], CATALOG.select(RULE_FEATURES))


def value(name: str, household: Row | None = None, **tables: list[Row]) -> float:
    return float(features_of(household, **tables).column(name)[0])


def state(code: str, household: Row | None = None, **tables: list[Row]) -> int:
    return int(apply_rules(features_of(household, **tables)).state(code)[0])


def _child(years: int, status: str | None, reason: str | None = None) -> Row:
    return {
        "birth_month": date(2022 - years, 10, 1),
        "labour_skill": "无劳动力",
        "school_status": status,
        "not_school_reason": reason,
    }


@pytest.mark.parametrize(
    ("child", "expected"),
    [
        (_child(10, "小学"), NO_HIT),
        (_child(10, "非在校"), HIT),
        (_child(10, "非在校", "厌学"), HIT),
        (_child(10, "非在校", "身体原因"), NO_HIT),
        (_child(15, "非在校", "已毕业"), NO_HIT),
        (_child(6, "学前"), NO_HIT),
        (_child(7, "学前"), HIT),
        (_child(6, "非在校"), HIT),
        (_child(5, "非在校"), NO_HIT),
        (_child(15, "非在校"), HIT),
        (_child(16, "非在校"), NO_HIT),
        (_child(10, None), CANNOT_JUDGE),
        (_child(20, None), NO_HIT),
    ],
)
def test_schooling(child: Row, expected: int) -> None:
    assert state("R12", member=[ADULT, child]) == expected


def test_schooling_without_members_is_judged_by_the_report() -> None:
    period = {"period_end": date(2022, 9, 30), "period_months": 3, "n_person": 3.0}
    assert state("R12") == CANNOT_JUDGE
    assert state("R12", observation=[period | {"dropout_n": 0}]) == NO_HIT
    assert state("R12", observation=[period | {"dropout_n": 1}]) == HIT
    excused = _child(10, "非在校", "身体原因")
    assert state("R12", observation=[period | {"dropout_n": 1}], member=[excused]) == NO_HIT


def test_insurance_of_members() -> None:
    insured, not_insured = ADULT | {"med_insured": True}, ADULT | {"med_insured": False}
    assert state("R11", member=[insured, not_insured]) == HIT
    assert state("R11", member=[insured, insured]) == NO_HIT
    assert state("R11", member=[insured, ADULT]) == CANNOT_JUDGE
    assert state("R11", member=[insured, not_insured | {"is_present": False}]) == NO_HIT


@pytest.mark.parametrize(
    ("household", "member", "expected"),
    [
        ({"all_no_labour": True, "lowincome_class": "无"}, {}, HIT),
        ({"all_no_labour": True, "lowincome_class": "低保边缘"}, {}, HIT),
        ({"all_no_labour": True, "lowincome_class": "特困"}, {}, NO_HIT),
        ({"all_no_labour": True, "lowincome_class": "无"}, {"on_dibao": True}, NO_HIT),
        ({"all_no_labour": True}, {"on_dibao": False, "on_tekun": False}, HIT),
        ({"all_no_labour": True}, {"on_dibao": False}, CANNOT_JUDGE),
        ({"all_no_labour": False}, {}, NO_HIT),
    ],
)
def test_safety_net(household: Row, member: Row, expected: int) -> None:
    assert state("R21", household, member=[ADULT | member]) == expected


def test_own_pay_is_of_one_member_and_of_this_year() -> None:
    bill = {"event_type": "住院", "source_dept": "医保", "member_id": "A", "event_date": date(2022, 3, 1)}
    events = [
        bill | {"oop_yuan": 3000.0},
        bill | {"oop_yuan": 4000.0, "event_type": "门诊"},
        bill | {"oop_yuan": 6500.0, "member_id": "B"},
        bill | {"oop_yuan": 90000.0, "event_date": date(2021, 12, 31)},
    ]
    assert value("member_oop_ytd_max_yuan", event=events) == 7000
    assert value("member_oop_ytd_max_yuan", event=[events[3]]) == 0
    assert np.isnan(value("member_oop_ytd_max_yuan"))


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({"discovered_on": date(2022, 10, 10)}, HIT),
        ({"discovered_on": date(2022, 10, 19)}, HIT),
        ({"discovered_on": date(2022, 10, 20)}, NO_HIT),
        ({"discovered_on": date(2022, 10, 1), "county_on": date(2022, 10, 30), "decision": "纳入"}, NO_HIT),
        ({"discovered_on": date(2022, 10, 1), "decision": "不纳入"}, NO_HIT),
    ],
)
def test_case_limit(case: Row, expected: int) -> None:
    case = {"channel": "部门比对", "recorded_on": DAY} | case
    assert state("R28", workflow=[case]) == expected


def test_the_oldest_open_case_counts() -> None:
    case = {"channel": "部门比对", "recorded_on": DAY}
    both = [case | {"discovered_on": date(2022, 10, 1)}, case | {"discovered_on": date(2022, 10, 30)}]
    assert value("open_case_days", workflow=both) == 30
    assert state("R28") == CANNOT_JUDGE


REGISTERED: Row = {"monitor_category": "脱贫不稳定户", "risk_cleared": False}
INCLUSION: Row = {
    "channel": "部门比对",
    "discovered_on": date(2022, 8, 20),
    "county_on": date(2022, 9, 1),
    "decision": "纳入",
    "recorded_on": DAY,
}


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ([], HIT),
        ([{"status": "拟定", "start_on": date(2022, 9, 10)}], HIT),
        ([{"status": "实施中", "start_on": date(2022, 9, 10)}], NO_HIT),
        ([{"status": "完成", "start_on": date(2022, 9, 10), "end_on": date(2022, 9, 20)}], NO_HIT),
        ([{"status": None, "start_on": date(2022, 9, 10)}], NO_HIT),
        ([{"status": "完成", "start_on": date(2022, 2, 1), "end_on": date(2022, 3, 1)}], HIT),
        ([{"status": "实施中", "start_on": date(2022, 2, 1)}], NO_HIT),
        ([{"status": "实施中", "start_on": date(2022, 2, 1), "end_on": date(2022, 3, 1)}], HIT),
    ],
)
def test_measures_after_inclusion(measures: list[Row], expected: int) -> None:
    rows = [{"measure_type": "产业", "recorded_on": DAY} | measure for measure in measures]
    other = {"household_id": "H2", "measure_type": "产业", "start_on": DAY, "recorded_on": DAY}
    assert state("R29", REGISTERED, workflow=[INCLUSION], measure=[*rows, other]) == expected


def test_who_is_registered() -> None:
    assert value("is_registered") == 0
    assert value("is_registered", REGISTERED) == 1
    assert value("is_registered", REGISTERED | {"risk_cleared": None}) == 1
    assert value("is_registered", REGISTERED | {"risk_cleared": True}) == 0


def test_self_applications_come_from_open_cases_and_reports() -> None:
    case = INCLUSION | {"channel": "自主申报"}
    pending = case | {"county_on": None, "decision": None}
    assert value("self_applied", workflow=[pending]) == 1
    assert value("self_applied", workflow=[case]) == 0
    period = {"period_end": date(2022, 9, 30), "period_months": 3, "n_person": 3.0}
    assert value("self_applied", observation=[period | {"self_reported": True}]) == 1
    assert np.isnan(value("self_applied"))


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([("离岗", date(2022, 8, 1), 4000.0)], 1),
        ([("离岗", date(2022, 8, 1), 4000.0), ("在岗", None, 3000.0)], 1),
        ([("离岗", date(2022, 8, 1), 2000.0), ("在岗", None, 3000.0)], 0),
        ([("在岗", None, 3000.0)], 0),
        ([("离岗", date(2022, 8, 1), None), ("在岗", None, 3000.0)], np.nan),
    ],
)
def test_main_earner(workers: list[tuple[str, date | None, float | None]], expected: float) -> None:
    members = [
        ADULT | {"work_status": status, "job_end_on": end, "monthly_wage_yuan": wage}
        for status, end, wage in workers
    ]
    matrix = features_of(member=members)
    assert np.array_equal(matrix.column("main_earner_is_idle"), [expected], equal_nan=True)
    if workers[0][0] == "离岗":
        assert matrix.column("idle_days")[0] == 91


def test_labour_capacity_leaves_out_students_and_children() -> None:
    student = ADULT | {"birth_month": date(2004, 1, 1), "school_status": "高中或中职"}
    child = ADULT | {"birth_month": date(2010, 1, 1), "school_status": "初中"}
    weak = ADULT | {"labour_skill": "弱劳动力或半劳动力"}
    members = [student, child, weak, ADULT | {"school_status": None}]
    assert value("able_labour_n", member=members) == 1
    assert value("weak_labour_n", member=members) == 1


def test_grave_illness_and_disability_without_allowance() -> None:
    none = {"on_dibao": False, "on_tekun": False, "health_status": "健康"}
    disabled = ADULT | none | {"health_status": "残疾", "disability_grade": 2}
    assert value("severe_disabled_uncovered_n", member=[disabled, ADULT | none]) == 1
    assert value("severe_disabled_uncovered_n", member=[disabled | {"on_dibao": True}]) == 0
    assert value("severe_disabled_uncovered_n", member=[disabled | {"disability_grade": 3}]) == 0
    assert value("severe_disabled_uncovered_n", member=[ADULT | none]) == 0
    assert (
        value("major_ill_uncovered_n", member=[ADULT | none | {"health_status": "长期慢性病、患有大病"}]) == 1
    )


def test_posts_allowances_and_outages() -> None:
    event = {"source_dept": "人社", "event_date": date(2022, 9, 15)}
    post = event | {"event_type": "公益岗到期"}
    due, past = post | {"due_date": date(2022, 11, 30)}, post | {"due_date": date(2022, 9, 30)}
    matrix = features_of(event=[due, past])
    assert matrix.column("post_end_n")[0] == 1
    assert matrix.column("days_until_post_end")[0] == 30
    assert value("post_end_n", event=[past]) == 0
    outage = event | {"event_type": "停水", "source_dept": "水利"}
    assert value("outage_days", event=[outage | {"days": 9}]) == 9
    assert np.isnan(value("outage_days", event=[outage]))
    assert value("outage_days", event=[outage | {"days": 9, "event_date": date(2022, 8, 1)}]) == 0


def test_nothing_of_the_treatment_reaches_a_model() -> None:
    """Rules cause entry to the register, measures and visits: a model that reads them predicts itself."""
    for name in ("is_registered", "active_measure_n", "visit_n", "has_dibao_or_tekun", "self_applied"):
        assert CATALOG[name].role is Role.RULE


HURT: Row = {"event_type": "意外", "source_dept": "应急", "event_date": date(2022, 5, 1), "member_id": "A"}
EARNER: Row = ADULT | {"member_id": "A", "work_status": "离岗", "is_present": False}


@pytest.mark.parametrize(
    ("accident", "member", "expected"),
    [
        ({"severity": "死亡"}, EARNER, 1),
        ({"severity": "中"}, EARNER, 1),
        ({"severity": "轻"}, EARNER, 0),
        ({"severity": "重"}, EARNER | {"work_status": "未务工"}, 1),
        ({"severity": "重"}, EARNER | {"work_status": "未务工", "school_status": "高中或中职"}, 0),
        ({"severity": "重"}, EARNER | {"work_status": "未务工", "labour_skill": "无劳动力"}, 0),
        ({"severity": "重"}, EARNER | {"work_status": None, "labour_skill": "无劳动力"}, np.nan),
        ({"severity": "重", "member_id": None}, EARNER, np.nan),
        ({"severity": None}, EARNER, np.nan),
        ({"severity": "重", "event_date": date(2021, 10, 1)}, EARNER, 0),
    ],
)
def test_an_earner_s_accident_is_told_from_anybody_else_s(
    accident: Row, member: Row, expected: float
) -> None:
    """Also where the earner is no longer in the household, and never where nobody knows who was hurt."""
    matrix = features_of(event=[HURT | accident], member=[ADULT | {"member_id": "B"}, member])
    assert np.array_equal(matrix.column("accident_earner_n"), [expected], equal_nan=True)


def test_losses_count_as_rigid_spending() -> None:
    period = {"period_end": DAY, "period_months": 12, "n_person": 2.0, "oop_compliant_yuan": 3000.0}
    loss = HURT | {"amount_yuan": 500.0}
    flood = loss | {"event_type": "灾害", "amount_yuan": 1500.0}
    assert value("rigid_12m_yuan", observation=[period], event=[loss, flood]) == 5000
    assert value("rigid_12m_yuan", observation=[period]) == 3000
    assert np.isnan(value("loss_12m_yuan", observation=[period]))


def _quarters(incomes: list[float], line: float = 7300.0) -> dict[str, list[Row]]:
    ends = [date(2022, 9, 30), date(2022, 6, 30), date(2022, 3, 31), date(2021, 12, 31)]
    ends += [date(2021, 9, 30), date(2021, 6, 30), date(2021, 3, 31)]
    periods = [
        {"period_end": end, "period_months": 3, "n_person": 1.0, "net_income_yuan": income}
        for end, income in zip(ends, incomes, strict=False)
    ]
    own_line = {"param": "line", "area_code": "13", "effective_from": date(2020, 1, 1), "value": line}
    return {
        "observation": periods,
        "threshold": [own_line | {"source": "test", "verified": True, "unit": "元"}],
    }


@pytest.mark.parametrize(
    ("cleared_on", "expected"),
    [
        (date(2022, 9, 1), (4000 + 1000 + 1000 + 1000) / 7000),
        (date(2022, 6, 1), (1000 + 1000 + 1000 + 2000) / 7000),
        (date(2022, 7, 1), (1000 + 1000 + 1000 + 2000) / 7000),
        (date(2022, 3, 1), (1000 + 1000 + 2000 + 3000) / 7000),
        (date(2022, 2, 1), np.nan),
        (None, np.nan),
    ],
)
def test_income_at_clearance_is_that_of_the_quarter_before_it(
    cleared_on: date | None, expected: float
) -> None:
    tables = _quarters([4000, 1000, 1000, 1000, 2000, 3000], line=7000)
    household = {"risk_cleared": True, "cleared_on": cleared_on}
    found = value("income_to_line_at_clearance", household, **tables)
    assert np.array_equal([found], [expected], equal_nan=True)
    assert value("is_cleared", household) == 1
    assert value("is_cleared") == 0


def test_income_a_quarter_ago_is_of_the_twelve_months_then() -> None:
    assert value("ref_income_pc_12m_3m_ago", **_quarters([4000, 1000, 1000, 1000, 2000])) == 5000


@pytest.mark.parametrize(
    ("member", "premium", "pension"),
    [
        ({"premium_subsidised": False, "pension_proxy_paid": False}, 1, 1),
        ({"premium_subsidised": True, "pension_proxy_paid": True}, 0, 0),
        ({"premium_subsidised": None, "pension_proxy_paid": None}, np.nan, np.nan),
        ({"pension_proxy_paid": False, "birth_month": date(1962, 10, 1)}, np.nan, 0),
        ({"pension_proxy_paid": False, "birth_month": date(1962, 11, 1)}, np.nan, 1),
        ({"pension_proxy_paid": False, "birth_month": date(2006, 10, 1)}, np.nan, 1),
        ({"pension_proxy_paid": False, "birth_month": date(2006, 11, 1)}, np.nan, 0),
        ({"pension_proxy_paid": False, "school_status": "高中或中职"}, np.nan, 0),
    ],
)
def test_who_goes_without_premium_or_pension(member: Row, premium: float, pension: float) -> None:
    matrix = features_of(member=[ADULT | member])
    found = [matrix.column(name)[0] for name in ("premium_unsubsidised_n", "pension_unpaid_n")]
    assert np.array_equal(found, [premium, pension], equal_nan=True)
    own = features_of(member=[ADULT | {"on_dibao": True, "on_tekun": False} | member])
    names = ("premium_unsubsidised_allowance_n", "pension_unpaid_allowance_n")
    assert np.array_equal([own.column(name)[0] for name in names], [premium, pension], equal_nan=True)
    none = features_of(member=[ADULT | {"on_dibao": False, "on_tekun": False} | member])
    assert [none.column(name)[0] for name in names] == [0, 0]


def test_risks_and_measures_of_the_record() -> None:
    household = {"risk_types": "因病、缺劳动力"}
    assert [value(f"is_risk_{risk}", household) for risk in ("ill", "labour", "school")] == [1, 1, 0]
    assert np.isnan(value("is_risk_ill"))
    started = {"start_on": date(2022, 1, 1), "recorded_on": DAY}
    measures = [
        started | {"measure_type": "健康", "status": "完成"},
        started | {"measure_type": "教育", "status": "拟定"},
        started | {"measure_type": "社会帮扶", "status": None},
    ]
    names = ("health", "care", "school", "house", "water")
    matrix = features_of(measure=measures)
    assert [matrix.column(f"{name}_measure_n")[0] for name in names] == [2, 1, 1, 0, 0]
