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
