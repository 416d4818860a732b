"""What follows from the rules: limits that run, candidates, check lists, and the sheet of one household."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.candidates import candidates
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.catalog.clearance import CLEARANCE_CHECKS
from relapse_risk.rules.catalog.records import RECORD_CHECKS
from relapse_risk.rules.items import clearance_list, record_checks
from relapse_risk.rules.sheet import NOT_IN_FORCE, explain_rules
from relapse_risk.rules.sheet_text import sheet_lines
from relapse_risk.rules.timers import TIMER_COLUMNS, timers
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT
from relapse_risk.vocabulary import Language

Values = dict[str, float]
MakeMatrix = Callable[..., FeatureMatrix]
AS_OF = date(2022, 10, 31)

WAITING = {"is_registered": 1, "active_measure_n": 0, "measure_started_n": 0, "days_since_inclusion": 12}
VISITED = {"is_lifted": 1, "is_registered": 0, "visit_n": 1, "days_since_visit": 40}
CLEARED = {"is_cleared": 1, "is_registered": 0, "is_lifted": 0, "days_since_clearance": 60}
TIMED: list[tuple[str, Values, int | None]] = [
    ("R19", {"post_end_n": 1, "days_until_post_end": 20}, 20),
    ("R25", {"allowance_end_n": 1, "days_until_allowance_end": 0}, 0),
    ("R28", {"open_case_n": 1, "open_case_days": 10}, 5),
    ("R28", {"open_case_n": 1, "open_case_days": 15}, 0),
    ("R28", {"open_case_n": 1, "open_case_days": 16}, -1),
    ("R28", {"open_case_n": 0}, None),
    ("R29", WAITING, 18),
    ("R29", WAITING | {"days_since_inclusion": 45}, -15),
    ("R29", WAITING | {"active_measure_n": 1}, None),
    ("R29", WAITING | {"is_registered": 0}, None),
    ("R31", VISITED, -9),
    ("R31", VISITED | {"is_lifted": 0}, None),
    ("R32", {"is_registered": 1, "months_since_identified": 0}, 182),
    ("R32", {"is_registered": 1, "months_since_identified": 4}, 60),
    ("R32", {"is_registered": 1, "months_since_identified": 6}, 0),
    ("R32", {"is_registered": 1, "months_since_identified": 30}, 0),
    ("R32", {"is_registered": 0, "months_since_identified": 2}, None),
    ("R33", CLEARED, 30),
    ("R33", CLEARED | {"days_since_clearance": 91}, -1),
    ("R33", CLEARED | {"days_since_visit": 10}, 80),
    ("R33", CLEARED | {"days_since_visit": 400}, 30),
    ("R33", CLEARED | {"days_since_clearance": np.nan, "months_since_cleared": 2}, 29),
    ("R33", CLEARED | {"days_since_clearance": np.nan, "days_since_visit": 100}, -10),
    ("R33", CLEARED | {"is_cleared": 0}, None),
]


@pytest.mark.parametrize(("code", "values", "left"), TIMED)
def test_a_limit_runs_to_its_day(
    make_matrix: MakeMatrix, code: str, values: Values, left: int | None
) -> None:
    frame = timers(make_matrix([values])).filter(pl.col("code") == code)
    assert frame["days_left"].to_list() == ([] if left is None else [left])
    if left is not None:
        assert frame["due_on"].to_list() == [AS_OF + timedelta(days=left)]
        assert frame["is_overdue"].to_list() == [left < 0]


def test_every_procedure_rule_with_a_limit_has_a_timer(make_matrix: MakeMatrix) -> None:
    timed = {rule.code for rule in RULES if rule.days_left is not None}
    assert timed == {"R19", "R25", "R28", "R29", "R31", "R32", "R33"} == {code for code, *_ in TIMED}
    frame = timers(make_matrix([{}]))
    assert frame.is_empty()
    assert frame.columns == list(TIMER_COLUMNS)


def test_an_overdue_limit_and_its_hit_agree(make_matrix: MakeMatrix) -> None:
    """The last day on which a limit is kept is no hit, the day after is one."""
    for code, values, at in (
        ("R29", WAITING, {"days_since_inclusion": 30}),
        ("R31", VISITED, {"days_since_visit": 31}),
    ):
        for step, state in ((0, NO_HIT), (1, HIT)):
            matrix = make_matrix([values | {name: days + step for name, days in at.items()}])
            (overdue,) = timers(matrix).filter(pl.col("code") == code)["is_overdue"]
            assert overdue == (state == HIT)
            assert apply_rules(matrix).state(code)[0] == state


BELOW = {"ref_income_pc_12m": 7000, "ref_income_to_line": 7000 / 7300}


def test_a_candidate_is_told_with_its_rules_and_numbers(make_matrix: MakeMatrix) -> None:
    """The rules that give the category come first, whatever their codes."""
    own = {"is_lifted": 1, "is_registered": 0}
    rows = [
        own | {"ref_income_pc_12m": 9000, "ref_income_to_line": 9000 / 7300, "house_grade": 4},
        own | BELOW | {"net_income_pc_12m": 8000, "rigid_12m_yuan": 9000, "net_income_prior_12m_yuan": 9000},
        own | {"ref_income_pc_12m": 9000, "ref_income_to_line": 9000 / 7300, "income_yoy_change_share": -0.5},
        {"is_registered": 1, "is_lifted": 1} | BELOW,
    ]
    matrix = make_matrix(rows)
    hits = apply_rules(matrix)
    frame = candidates(matrix, hits, "zh")
    assert frame["household_id"].to_list() == ["H0001", "H0002"]
    assert frame["category"].to_list() == ["脱贫不稳定户", "突发严重困难户"]
    assert frame["rules"].to_list() == ["R01、R04、R06", "R03"]
    assert frame["facts"][0].startswith(
        "近12个月人均监测参考收入7000元，低于监测线7300元，差300元；近12个月刚性支出"
    )
    assert "fell by 50%" in candidates(matrix, hits, "en", rows=np.array([2]))["facts"][0]


CLEARABLE: Values = {
    "is_registered": 1,
    "months_since_identified": 8,
    "ref_income_pc_12m": 9000,
    "ref_income_pc_12m_3m_ago": 8500,
    "rigid_12m_yuan": 2000,
    "loss_12m_yuan": 0,
    "net_income_12m_yuan": 40000,
    "oop_rise_6m_yuan": 0,
    "uninsured_n": 0,
    "school_age_absent_n": 0,
    "house_grade": 1,
    "water_safe": 1,
    "outage_days": 0,
    "food_clothing_ok": 1,
    "all_no_labour": 0,
}
FAILING: dict[str, Values] = {
    "months": {"months_since_identified": 5},
    "income": {"ref_income_pc_12m_3m_ago": 7299},
    "rigid": {"rigid_12m_yuan": 30000},
    "own_pay": {"oop_rise_6m_yuan": 5000},
    "insurance": {"uninsured_n": 1},
    "schooling": {"school_age_absent_n": 1},
    "housing": {"house_grade": 4},
    "water": {"water_safe": 0},
    "food_clothing": {"food_clothing_ok": 0},
    "labour": {"all_no_labour": 1},
}
UNKNOWN: dict[str, Values] = {item: dict.fromkeys(values, np.nan) for item, values in FAILING.items()}


@pytest.mark.parametrize("item", [check.key for check in CLEARANCE_CHECKS])
@pytest.mark.parametrize(("change", "state"), [({}, 1), (FAILING, 0), (UNKNOWN, CANNOT_JUDGE)])
def test_each_item_of_the_check_list_stands_for_itself(
    make_matrix: MakeMatrix, item: str, change: dict[str, Values], state: int
) -> None:
    matrix = make_matrix([CLEARABLE | change.get(item, {})])
    hits = apply_rules(matrix)
    frame = clearance_list(matrix, hits)
    states = dict(frame.select("item", "state").rows())
    assert states == {check.key: state if check.key == item else 1 for check in CLEARANCE_CHECKS}
    assert hits.state("R32")[0] == state


def test_only_the_register_has_a_check_list(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([CLEARABLE | {"is_registered": 0}, CLEARABLE])
    frame = clearance_list(matrix, apply_rules(matrix), "en")
    assert frame["household_id"].unique().to_list() == ["H0001"]
    assert frame.height == len(CLEARANCE_CHECKS)
    assert "8500 and 9000 yuan, today's line 7300 yuan" in frame["facts"][1]


def test_checks_of_the_record_are_counted_by_name(make_matrix: MakeMatrix) -> None:
    ill = {
        "is_registered": 1,
        "is_cleared": 0,
        "is_risk_ill": 1,
        "oop_12m_yuan": 0,
        "major_ill_n": 2,
        "chronic_n": 0,
    }
    matrix = make_matrix([ill, {"is_registered": 0, "is_cleared": 0}, {}])
    counts = {row["check"]: row for row in record_checks(matrix, apply_rules(matrix)).iter_rows(named=True)}
    assert list(counts) == [check.key for check in RECORD_CHECKS]
    found = {name: (row["hit"], row["no_hit"], row["cannot_judge"]) for name, row in counts.items()}
    assert found["ill_without_cost"] == (1, 1, 1)
    assert found["ill_without_patient"] == (0, 2, 1)
    assert found["water_measures"] == (0, 1, 2)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_sheet_tells_every_rule_hits_first_and_gaps_before_no_hits(
    make_matrix: MakeMatrix, language: Language
) -> None:
    values = CLEARABLE | {
        "is_lifted": 1,
        "house_grade": 4,
        "visit_n": 1,
        "days_since_visit": 40,
        "able_labour_n": 1,
    }
    matrix = make_matrix([{}, values], params={"R09.registered_yuan": None})
    sheet = explain_rules(matrix, apply_rules(matrix), 1, language)
    states = [line.state for line in sheet.lines]
    order = [HIT, CANNOT_JUDGE, NO_HIT, NOT_IN_FORCE]
    assert sorted(line.code for line in sheet.lines) == [rule.code for rule in RULES]
    assert states == sorted(states, key=order.index)
    assert set(states) == set(order)
    by_code = {line.code: line for line in sheet.lines}
    assert by_code["R09"].state == NOT_IN_FORCE
    assert (
        by_code["R02"].says
        == {"zh": "本规则不适用于本户", "en": "the rule is not about this household"}[language]
    )
    assert by_code["R10"].says == {"zh": "缺少大病确诊次数，请入户核实"}.get(language, by_code["R10"].says)
    assert (by_code["R31"].days_left, by_code["R31"].due_on) == (-9, date(2022, 10, 22))
    (line,) = by_code["R01"].parameters
    assert (line.name, line.source, line.verified) == ("line", "test", False)
    assert line.value == {"zh": "7300元", "en": "7300 yuan"}[language]
    (grade,) = by_code["R13"].inputs
    assert grade.value == "4"
    assert (
        grade.label == {"zh": "住房安全等级（A=1…D=4）", "en": "housing safety grade (A=1 to D=4)"}[language]
    )
    assert by_code["R32"].state == NO_HIT
    assert ("R13", {"zh": "命中", "en": "hit"}[language]) in [
        (q.name, q.value) for q in by_code["R32"].inputs
    ]
    assert len(sheet.to_pandas()) == len(RULES)


def test_the_sheet_reads_as_text(make_matrix: MakeMatrix) -> None:
    inside = CLEARABLE | {
        "is_lifted": 1,
        "house_grade": 4,
        "visit_n": 1,
        "days_since_visit": 40,
        "able_labour_n": 1,
    }
    outside = {"is_lifted": 1, "is_registered": 0, "open_case_n": 1, "open_case_days": 3} | BELOW
    matrix = make_matrix([inside, outside])
    hits = apply_rules(matrix)
    text = "\n".join(sheet_lines(explain_rules(matrix, hits, 0, "zh")))
    assert "拟核实类别：无" in text
    assert "✗ 住房安全有保障" in text
    assert "✓ 收入稳定高于监测线" in text
    assert "建议措施：危房改造（三）（九）" in text
    assert "R13 住房安全 [G]  住房鉴定为D级" in text
    assert "超期9天，应于2022-10-22前完成" in text
    assert text.index("== 命中") < text.index("== 无法判断") < text.index("== 未触发")
    english = "\n".join(sheet_lines(explain_rules(matrix, hits, 1, "en")))
    assert "Candidate for 脱贫不稳定户 (by R01)" in english
    assert "monitoring line = 7300 yuan (test; not verified)" in english
    assert "12 days left, due on 2022-11-12" in english
    assert "Check list" not in english
    assert "{" not in text + english
