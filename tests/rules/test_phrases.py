"""Phrases: every one renders in both languages, with the figures of the record."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.phrases import hit_phrases, render, render_rows
from relapse_risk.rules.spec import parameter_unit, placeholders_in
from relapse_risk.vocabulary import Bilingual, Unit

MakeMatrix = Callable[..., FeatureMatrix]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_both_languages_give_the_same_figures(rule) -> None:
    for wording in rule.wordings:
        zh, en = (
            sorted((*p.names, p.unit.name if p.unit else "") for p in placeholders_in(text))
            for text in (wording.text.zh, wording.text.en)
        )
        assert zh == en


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_percent_sign_follows_shares_only(rule, make_matrix: MakeMatrix) -> None:
    """'0.6%' for a ratio of 0.6 would be a hundred times too little."""
    matrix = make_matrix([{}])
    for wording in rule.wordings:
        for text in (wording.text.zh, wording.text.en):
            for p in placeholders_in(text):
                is_percent = text[text.index(p.written) + len(p.written) :].startswith("%")
                name = p.first
                own = matrix.features[name].unit if name in matrix.features else parameter_unit(name)
                assert is_percent == ((p.unit or own) is Unit.SHARE)


def test_figures_are_those_of_the_record(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([{"is_lifted": 1, "ref_income_pc_12m": 6543.4}])
    hits = apply_rules(matrix)
    rows = np.array([0])
    assert hit_phrases(matrix, hits, rows, "zh")[0]["R01"] == (
        "近12个月人均监测参考收入6543元，低于监测线7300元，差757元"
    )
    assert hit_phrases(matrix, hits, rows, "en")[0]["R01"].endswith("below the line of 7300 yuan by 757 yuan")


def test_every_branch_that_holds_is_said(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([{"water_safe": 0, "outage_days": 9}, {"water_safe": 1, "outage_days": 9}])
    hits = apply_rules(matrix)
    both, one = (said["R14"] for said in hit_phrases(matrix, hits, np.array([0, 1]), "zh"))
    assert both == "监测记录显示饮水不安全；近60天上报停水9天（预警7天）"
    assert one == "近60天上报停水9天（预警7天）"


def test_rows_come_in_the_order_asked_for(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([{"house_grade": 1}, {"house_grade": 3}, {"house_grade": 4}])
    hits = apply_rules(matrix)
    said = hit_phrases(matrix, hits, np.array([2, 0, 1]), "en")
    assert [sorted(phrases) for phrases in said] == [["R13"], [], ["R13"]]
    assert "graded D" in said[0]["R13"]
    assert "graded C" in said[2]["R13"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{house_grade}", "3"),
        ("{-income_yoy_change_share}%", "30.5%"),
        ("{line-ref_income_pc_12m}", "1300"),
        ("{rigid_12m_yuan/net_income_12m_yuan:share}%", "75%"),
        ("{R05.ratio:share}%", "60%"),
        ("{R05.ratio}", "0.6"),
        ("{value}/{value}", "6000/6000"),
        ("{rigid_12m_yuan/food_clothing_ok}", "未知"),
        ("{visit_n}", "未知"),
        ("plain", "plain"),
    ],
)
def test_figures(make_matrix: MakeMatrix, text: str, expected: str) -> None:
    matrix = make_matrix(
        [
            {
                "house_grade": 3,
                "income_yoy_change_share": -0.305,
                "ref_income_pc_12m": 6000,
                "rigid_12m_yuan": 30000,
                "net_income_12m_yuan": 40000,
                "food_clothing_ok": 0,
            }
        ]
    )
    assert render(Bilingual(text, text), matrix, 0, "zh", value_of="ref_income_pc_12m") == expected


def test_a_figure_that_is_not_known_is_said_in_the_reader_s_language(make_matrix: MakeMatrix) -> None:
    matrix = make_matrix([{}, {"visit_n": 2}])
    template = Bilingual("{visit_n}次", "{visit_n} visits")
    assert render_rows(template, matrix, np.array([1, 0]), "en") == ["2 visits", "not known visits"]


@pytest.mark.parametrize("text", ["{no_such_feature}", "{}", "{a b}", "{value}", "{house_grade:furlong}"])
def test_a_phrase_that_names_nothing_is_refused(make_matrix: MakeMatrix, text: str) -> None:
    with pytest.raises(ContractError, match="RR332"):
        render(Bilingual(text, text), make_matrix([{}]), 0, "zh")


# What each branch of a wording says, and that it stays silent where it does not hold.
SAID: list[tuple[str, dict[str, float], str]] = [
    (
        "R09",
        {"is_registered": 1, "max_stay_oop_yuan": 7000},
        "近12个月单次住院自付7000元（监测户预警6000元）",
    ),
    ("R09", {"is_registered": 0, "max_stay_oop_yuan": 12000}, "近12个月单次住院自付12000元（预警10000元）"),
    ("R11", {"uninsured_member_n": 1, "uninsured_n": 0}, "1名家庭成员未参加基本医保"),
    ("R11", {"uninsured_member_n": 2, "uninsured_n": 3}, "2名家庭成员未参加基本医保"),
    ("R11", {"uninsured_member_n": 0, "uninsured_n": 1}, "监测记录中1名家庭成员未参加基本医保"),
    ("R11", {"uninsured_n": 3}, "监测记录中3名家庭成员未参加基本医保"),
    ("R12", {"school_age_absent_n": 1, "dropout_n": 0}, "1名适龄学生不在校，原因待核"),
    ("R12", {"school_age_absent_n": 2, "dropout_n": 2}, "2名适龄学生不在校，原因待核"),
    ("R12", {"school_age_absent_n": 0, "dropout_n": 1}, "监测记录中1名学生失学辍学"),
    ("R12", {"dropout_n": 2}, "监测记录中2名学生失学辍学"),
    ("R13", {"house_grade": 3}, "住房鉴定为C级，需核实是否仍居住"),
    ("R13", {"house_grade": 4}, "住房鉴定为D级，需核实是否仍居住"),
    ("R14", {"water_safe": 0, "outage_days": 6}, "监测记录显示饮水不安全"),
    ("R14", {"water_safe": 0, "outage_days": 7}, "监测记录显示饮水不安全；近60天上报停水7天（预警7天）"),
    (
        "R15",
        {
            "disaster_n": 1,
            "disaster_loss_12m_yuan": 9000,
            "disaster_unvalued_n": 0,
            "net_income_12m_yuan": 45000,
        }
        | {"disaster_house_damage_n": 0},
        "近12个月受灾损失9000元，占年收入20%",
    ),
    (
        "R15",
        {
            "disaster_n": 1,
            "disaster_loss_12m_yuan": 8999,
            "disaster_unvalued_n": 0,
            "net_income_12m_yuan": 45000,
        }
        | {"disaster_house_damage_n": 1},
        "近12个月因灾房屋受损",
    ),
    (
        "R16",
        {"accident_12m": 1, "accident_earner_n": 1, "accident_loss_12m_yuan": 0, "accident_unvalued_n": 0}
        | {"net_income_12m_yuan": 45000},
        "近12个月意外事故致劳动力伤亡1人次",
    ),
    (
        "R16",
        {"accident_12m": 1, "accident_earner_n": 0, "accident_loss_12m_yuan": 9000, "accident_unvalued_n": 0}
        | {"net_income_12m_yuan": 45000},
        "近12个月意外损失9000元，占年收入20%",
    ),
    ("R18", {"main_earner_is_idle": 1, "idle_days": 60, "fewer_work_months": 2}, "主要务工人员已离岗60天"),
    (
        "R18",
        {"main_earner_is_idle": 1, "idle_days": 59, "fewer_work_months": 3},
        "近12个月务工较上年减少3个月",
    ),
    (
        "R18",
        {"main_earner_is_idle": 0, "idle_days": 99, "fewer_work_months": 4},
        "近12个月务工较上年减少4个月",
    ),
    (
        "R20",
        {"severe_disabled_uncovered_n": 1, "major_ill_uncovered_n": 0, "net_income_pc_12m": 8000},
        "1名一、二级残疾人未享受低保、特困；人均纯收入8000元，低于低保标准6000元的1.5倍，可核查单人保",
    ),
    (
        "R20",
        {"severe_disabled_uncovered_n": 0, "major_ill_uncovered_n": 1, "net_income_pc_12m": 8000},
        "1名大病患者未享受低保、特困；人均纯收入8000元，低于低保标准6000元的1.5倍，可核查单人保",
    ),
    ("R22", {"adl_dependent_n": 1, "orphan_n": 0, "elder_alone_n": 0}, "1人生活不能自理"),
    ("R22", {"adl_dependent_n": 0, "orphan_n": 1, "elder_alone_n": 0}, "1名孤儿或事实无人抚养儿童"),
    (
        "R22",
        {"adl_dependent_n": 0, "orphan_n": 0, "elder_alone_n": 1, "elder_alone_max_age": 70},
        "独居老人70岁",
    ),
    ("R23", {"credit_overdue_days": 31, "loan_owed_yuan": 0}, "小额信贷逾期31天，余额0元"),
    (
        "R23",
        {"credit_overdue_days": 30, "loan_owed_yuan": 5000, "net_income_12m_yuan": 10000},
        "小额信贷余额5000元，占年收入50%",
    ),
    (
        "R26",
        {"business_net_12m_yuan": -1, "business_net_prior_12m_yuan": 900},
        "近12个月经营净收入-1元，入不敷出",
    ),
    ("R26", {"business_net_12m_yuan": 0, "business_net_prior_12m_yuan": 900}, "经营净收入由上年900元降至0元"),
    ("R28", {"open_case_n": 1, "open_case_days": 15}, "发现后15天尚未完成县级确定，剩余0天"),
    ("R28", {"open_case_n": 1, "open_case_days": 16}, "发现后16天尚未完成县级确定，超过15天时限1天"),
    ("R31", {"is_lifted": 1, "visit_n": 1, "days_since_visit": 40}, "距上次走访40天，超过31天要求"),
    ("R31", {"is_lifted": 1, "visit_n": 0}, "尚无走访记录"),
    (
        "R34",
        {"is_registered": 1, "premium_unsubsidised_n": 1, "pension_unpaid_n": 0},
        "参保资助：1名成员应享未享",
    ),
    (
        "R34",
        {"is_registered": 1, "premium_unsubsidised_n": 0, "pension_unpaid_n": 2},
        "养老保险代缴：2名成员应享未享",
    ),
    (
        "R34",
        {"is_registered": 0, "is_allowance_household": 1, "premium_unsubsidised_n": 1, "pension_unpaid_n": 1},
        "参保资助：1名成员应享未享；养老保险代缴：1名成员应享未享",
    ),
    (
        "R34",
        {"is_registered": 0, "is_allowance_household": 0, "premium_unsubsidised_n": 3, "pension_unpaid_n": 3}
        | {"premium_unsubsidised_allowance_n": 1, "pension_unpaid_allowance_n": 0},
        "参保资助：1名低保、特困成员应享未享",
    ),
    (
        "R34",
        {"is_registered": 0, "is_allowance_household": 0, "premium_unsubsidised_n": 3, "pension_unpaid_n": 3}
        | {"premium_unsubsidised_allowance_n": 0, "pension_unpaid_allowance_n": 1},
        "养老保险代缴：1名低保、特困成员应享未享",
    ),
    (
        "R35",
        {"is_registered": 0, "is_cleared": 1, "months_since_identified": 9, "months_since_cleared": 4},
        "消除早于规定时间：识别后5个月即消除（原则上满6个月）",
    ),
    (
        "R35",
        {"is_registered": 1, "is_risk_water": 1, "measure_started_n": 2, "water_measure_n": 0},
        "饮水措施不符：已落实2项措施，无饮水保障",
    ),
    (
        "R35",
        {"is_registered": 1, "is_risk_labour": 1, "labour_share": 0.5},
        "缺劳动力不符：风险为缺劳动力，劳动力占50%（核查比例25%）",
    ),
]


@pytest.mark.parametrize(("code", "values", "sentence"), SAID, ids=[f"{row[0]}-{row[2]}" for row in SAID])
def test_each_branch_says_its_own_sentence_and_no_other(
    make_matrix: MakeMatrix, code: str, values: dict[str, float], sentence: str
) -> None:
    matrix = make_matrix([values])
    hits = apply_rules(matrix)
    assert hit_phrases(matrix, hits, np.array([0]), "zh")[0][code] == sentence
