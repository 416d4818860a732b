"""Every row says why, in sentences with figures, in Chinese and English."""

from __future__ import annotations

import re

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.explain.groups import KEY_GROUPS
from relapse_risk.explain.reasons import make_reasons
from relapse_risk.features.catalog import CATALOG
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.phrases import hit_phrases, render_rows
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.vocabulary import Basis

BARE_NAME = re.compile(r"[a-z]+_[a-z0-9_]+")
SAFE = {
    "ref_income_pc_12m": 20000.0,
    "ref_income_to_line": 2.5,
    "net_income_pc_12m": 20000.0,
    "net_income_12m_yuan": 60000.0,
    "is_lifted": 0.0,
    "is_registered": 0.0,
    "self_applied": 0.0,
    "able_labour_n": 1.0,
    "house_grade": 1.0,
    "water_safe": 1.0,
    "food_clothing_ok": 1.0,
    "dropout_n": 0.0,
    "school_age_absent_n": 0.0,
    "uninsured_n": 0.0,
    "uninsured_member_n": 0.0,
    "outage_days": 0.0,
}


def test_every_feature_with_a_sentence_renders_in_both_languages(make_matrix):
    matrix = make_matrix([dict.fromkeys(CATALOG.names, 3.0), {}])
    for feature in CATALOG:
        if feature.reason is None:
            continue
        for language in ("zh", "en"):
            known, unknown = render_rows(feature.reason, matrix, np.arange(2), language, feature.name)
            for text in (known, unknown):
                assert text
                assert not BARE_NAME.search(text), f"{feature.name} says {text}"
                assert "{" not in text
                assert "nan" not in text
            assert "未知" not in known
            assert "not known" not in known


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_rule_says_something_about_a_hit(make_matrix, language):
    matrix = make_matrix([dict.fromkeys(CATALOG.names, 3.0)])
    hits = RuleHits(matrix.index, tuple(rule.code for rule in RULES), np.full((1, len(RULES)), HIT, np.int8))
    said = hit_phrases(matrix, hits, np.array([0]), language)[0]
    assert set(said) == set(hits.codes)
    assert all(text and not BARE_NAME.search(text) for text in said.values())


def test_rules_speak_before_facts_and_the_gravest_first(make_matrix, make_attributions):
    row = {**SAFE, "house_grade": 4.0, "major_ill_n": 1.0, "adl_dependent_n": 1.0}
    matrix = make_matrix([row, SAFE, SAFE])
    attributions = make_attributions(matrix, [{"major_ill_n": 9.0}] * 3)
    reasons = make_reasons(matrix, attributions, apply_rules(matrix)).frame.row(0, named=True)
    assert reasons["reason_1"] == "住房鉴定为D级，需核实是否仍居住"
    assert reasons["reason_2"] == "1人生活不能自理"
    assert reasons["reason_3"] == "家中1人患大病"
    assert reasons["to_verify"].startswith("核实是否仍居住、有无其他安全住房；")
    assert "危房改造" in reasons["suggested_measures"]
    assert reasons["key_groups"] == "大病重病患者、失能人员"


def test_rules_that_repeat_a_figure_come_after_those_with_something_new(make_matrix):
    """R01 and R06 quote one income; the rule about the house is heard before the second of them."""
    row = {
        **SAFE,
        "is_lifted": 1.0,
        "ref_income_pc_12m": 7000.0,
        "net_income_pc_12m": 9000.0,
        "house_grade": 3.0,
    }
    matrix = make_matrix([row])
    reasons = make_reasons(matrix, None, apply_rules(matrix)).frame.row(0, named=True)
    assert [reasons[f"reason_{i}"][:6] for i in (1, 2, 3)] == ["近12个月人", "住房鉴定为C", "人均纯收入9"]


def test_what_to_verify_is_about_what_is_said(make_matrix, make_attributions):
    """A fact that found no place among the reasons asks for nothing."""
    row = {**SAFE, "house_grade": 4.0, "water_safe": 0.0, "food_clothing_ok": 0.0, "major_ill_n": 1.0}
    matrix = make_matrix([row])
    attributions = make_attributions(matrix, [{"major_ill_n": 1.0}])
    frame = make_reasons(matrix, attributions, apply_rules(matrix)).frame
    assert "大病" not in "".join(text for text in frame.row(0)[2:5])
    assert "核实病情" not in frame["to_verify"][0]


def test_a_row_only_the_model_names_says_so_first(make_matrix, make_attributions):
    matrix = make_matrix([{**SAFE, "major_ill_n": 1.0}, SAFE, SAFE])
    attributions = make_attributions(matrix, [{"major_ill_n": 1.0}, {}, {}])
    frame = make_reasons(matrix, attributions, apply_rules(matrix)).frame
    assert frame["reason_1"].to_list() == [
        "未触发规则，模型提示关注：家中1人患大病",
        "未触发规则，模型提示关注",
        "未触发规则，模型提示关注",
    ]
    english = make_reasons(matrix, attributions, apply_rules(matrix), language="en").frame["reason_1"][0]
    assert english == "No rule hit; flagged by the model: 1 of the household have a major illness"


def test_a_routine_visit_has_no_facts_of_the_model(make_matrix, make_attributions):
    """It was not chosen for them, and saying them would tell the random sample from the rest."""
    matrix = make_matrix([{**SAFE, "major_ill_n": 1.0}])
    attributions = make_attributions(matrix, [{"major_ill_n": 1.0}])
    frame = make_reasons(matrix, attributions, apply_rules(matrix), bases=[(Basis.ROUTINE,)]).frame
    assert frame["reason_1"][0] == "例行走访"
    assert "患大病" not in str(frame.row(0))


def test_without_a_model_routine_visits_say_where_income_is_low(make_matrix):
    low = {**SAFE, "ref_income_pc_12m": 10000.0, "ref_income_to_line": 1.25}
    matrix = make_matrix([low, SAFE, {**SAFE, "below_line_share": 0.5}, {**low, "house_grade": 3.0}])
    frame = make_reasons(matrix, None, apply_rules(matrix)).frame
    assert frame["reason_1"].to_list() == ["例行走访"] * 3 + ["住房鉴定为C级，需核实是否仍居住"]
    assert "10000元" in frame["reason_2"][0]
    assert frame["reason_2"][1] is None or "50%" not in frame["reason_2"][1]
    assert "50%" in frame["reason_2"][2]
    assert "10000元" not in str(frame.row(3))


def test_a_gap_that_a_visit_can_not_fill_is_no_reason(make_matrix):
    """What nobody's record has is named as a gap, but no visitor is sent for it."""
    known, unknown = {**SAFE, "arable_mu_pc": 1.0}, {n: v for n, v in SAFE.items() if n != "water_safe"}
    matrix = make_matrix([known, unknown])
    frame = make_reasons(matrix, None, apply_rules(matrix), k=9).frame
    assert "大病确诊次数" not in str(frame.row(1)[2:11])
    said = [text for text in frame.row(1)[2:11] if text and text.startswith("数据缺口：")]
    assert said == ["数据缺口：饮水安全缺失，请入户核实"]
    assert frame["data_gaps"][0]


def test_a_self_application_is_said(make_matrix):
    matrix = make_matrix([{**SAFE, "self_applied": 1.0}])
    assert make_reasons(matrix, None, apply_rules(matrix)).frame["reason_1"][0] == "本户自主申报，待核实"


def test_missing_data_are_said_and_named(make_matrix):
    row = {name: value for name, value in SAFE.items() if name not in ("ref_income_pc_12m", "house_grade")}
    matrix = make_matrix([row, SAFE])
    frame = make_reasons(matrix, None, apply_rules(matrix), k=9).frame
    assert frame["data_gaps"][0].startswith("近12个月人均监测参考收入、")
    said = [text for text in frame.row(0) if isinstance(text, str) and text.startswith("数据缺口：")]
    assert said == ["数据缺口：近12个月人均监测参考收入、住房安全等级（A=1…D=4）缺失，请入户核实"]


def test_rows_asked_for_come_in_their_order(make_matrix, make_attributions):
    matrix = make_matrix([SAFE, {**SAFE, "house_grade": 3.0}, {**SAFE, "self_applied": 1.0}])
    rows = np.array([2, 1])
    attributions = make_attributions(matrix, [{}] * 3).rows(rows)
    frame = make_reasons(matrix, attributions, apply_rules(matrix), rows=rows).frame
    assert frame["household_id"].to_list() == ["H00002", "H00001"]
    assert frame["reason_1"].to_list() == ["本户自主申报，待核实", "住房鉴定为C级，需核实是否仍居住"]


def test_attributions_of_other_rows_are_refused(make_matrix, make_attributions):
    matrix = make_matrix([SAFE, SAFE])
    attributions = make_attributions(matrix, [{}] * 2)
    with pytest.raises(ContractError, match="RR471"):
        make_reasons(matrix, attributions, apply_rules(matrix), rows=np.array([1]))


def test_no_rows_give_no_reasons(make_matrix):
    matrix = make_matrix([SAFE])
    reasons = make_reasons(matrix, None, apply_rules(matrix), rows=np.empty(0, dtype=np.int64))
    assert len(reasons) == 0
    assert reasons.to_pandas().columns[-1] == "data_gaps"


def test_key_groups_are_features_of_the_catalogue():
    assert [name for name, _ in KEY_GROUPS if name not in CATALOG] == []
