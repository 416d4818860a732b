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
