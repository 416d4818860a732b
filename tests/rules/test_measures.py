"""Measures: the table is whole, and what is suggested fits labour capacity and risk."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.tables import RISK_TYPES
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.measures import (
    ANY_RISK,
    LabourClass,
    labour_classes,
    measures_table,
    suggest_measures,
)

MakeMatrix = Callable[..., FeatureMatrix]


def test_every_risk_has_measures_for_every_labour_class() -> None:
    risks = {*RISK_TYPES, ANY_RISK}
    assert set(measures_table()) == {(risk, labour.value) for risk in risks for labour in LabourClass}
    for measures in measures_table().values():
        assert measures
        for measure in measures:
            assert measure.name.zh
            assert measure.name.en
            assert measure.articles


@pytest.mark.parametrize(
    ("values", "labour"),
    [
        ({"able_labour_n": 1, "weak_labour_n": 1}, LabourClass.ABLE),
        ({"able_labour_n": 0, "weak_labour_n": 2}, LabourClass.WEAK),
        ({"able_labour_n": 0, "weak_labour_n": 1}, LabourClass.WEAK),
        ({"able_labour_n": 0, "weak_labour_n": 0}, LabourClass.NONE),
        ({"all_no_labour": 1}, LabourClass.NONE),
        ({"all_no_labour": 0}, None),
        ({}, None),
    ],
)
def test_labour_class(make_matrix: MakeMatrix, values: dict[str, float], labour: LabourClass | None) -> None:
    assert labour_classes(make_matrix([values]), np.array([0])) == [labour]


def _suggested(make_matrix: MakeMatrix, values: dict[str, float], **options: object) -> str:
    matrix = make_matrix([{}, values])
    return suggest_measures(matrix, apply_rules(matrix), np.array([1]), "zh", **options)[0]


def test_measures_follow_risk_and_labour(make_matrix: MakeMatrix) -> None:
    unsafe = {"house_grade": 4}
    assert _suggested(make_matrix, unsafe | {"able_labour_n": 1}) == "危房改造（三）（九）"
    assert "兜底" in _suggested(make_matrix, unsafe | {"able_labour_n": 0, "weak_labour_n": 0})
    assert _suggested(make_matrix, unsafe) == ""


def test_a_named_risk_goes_before_other(make_matrix: MakeMatrix) -> None:
    able = {"able_labour_n": 1, "is_lifted": 1, "ref_income_pc_12m": 5000}
    assert _suggested(make_matrix, able) == "就业帮扶（七）；小额信贷（十八）"
    assert "小额信贷" not in _suggested(make_matrix, able | {"house_grade": 4})


def test_measures_are_named_once_and_limited(make_matrix: MakeMatrix) -> None:
    many = {
        "able_labour_n": 1,
        "uninsured_n": 1,
        "rigid_12m_yuan": 9,
        "net_income_12m_yuan": 9,
        "house_grade": 4,
    }
    parts = _suggested(make_matrix, many, limit=3).split("；")
    assert len(parts) == len(set(parts)) == 3


def test_a_household_without_hits_gets_the_measures_of_its_class(make_matrix: MakeMatrix) -> None:
    assert _suggested(make_matrix, {"able_labour_n": 2}).startswith("产业帮扶（二）；就业帮扶（二）")


# The matrix of risk and labour capacity, cell by cell (有, 弱, 无): each measure begins so, and rests on the
# article behind the stroke where the matrix names one.
_ILL = "三重医保报销核查/十二 大病专项救治/九 家庭医生/九 防贫保"
_SHOCK = (
    "临时救助 信贷和产业恢复 农业保险/十八 以工代赈/七",
    "临时救助 公益岗位",
    "临时救助 社会救助基金 低保",
)
MATRIX: dict[str, tuple[str, str, str]] = {
    "因病": (
        f"{_ILL} 就近就业/七",
        f"{_ILL} 公益岗位/七 单人保核查/十一 就近就业/七",
        "低保或特困/十四 医疗救助 临时救助 照料/十一",
    ),
    "因残": ("技能培训 扶贫车间/七", "公益岗位 康复救助/十一", "单人保 托养康复/十三 养老保险代缴/十三"),
    "因学": ("学生资助/九 两后生职业教育/二十 劳务输出", "学生资助 公益岗位", "学生资助 低保 临时救助"),
    "因自然灾害": _SHOCK,
    "因疫": _SHOCK,
    "因意外事故": ("防贫保 临时救助 转岗培训", "防贫保 临时救助 转岗培训 单人保核查", "低保或特困 访视照料"),
    "因产业项目失败": (
        "技术指导和利益联结/六 信贷展期和保险/十八 消费帮扶",
        "合作社带动 扶贫车间",
        "资产收益分红核查/五 低保",
    ),
    "因务工就业不稳": (
        "劳务输出（京津冀劳务协作）/七 就业信息/七 技能培训/七",
        "就近就业 公益岗位",
        "按缺劳动力核查兜底保障",
    ),
    "缺劳动力": ("托管或土地流转/四 合作社带动", "公益岗位 土地流转", "应保尽保、应兜尽兜/十四 养老保险代缴"),
    "因安全住房": ("危房改造/三 ", "危房改造/九", "危房改造或兜底建设/三"),
    "因安全饮水": ("应急供水/三 维修管护/三",) * 3,
    "其他": ("就业帮扶 小额信贷", "公益岗位 临时救助", "临时救助 低保 社会帮扶/十六"),
    ANY_RISK: (
        "产业/二 就业/二 扶志扶智/二 小额信贷/二 技能培训/二 公益岗位/二 社会救助基金/二 防贫保/二",
        "公益岗位 技能培训 临时救助 社会救助基金 防贫保",
        "低保/二 医疗保险/二 养老保险/二 特困供养/二 临时救助/二 社会救助基金/二 防贫保/二",
    ),
}


@pytest.mark.parametrize("risk", MATRIX)
def test_each_cell_holds_what_the_matrix_says_and_no_more(risk: str) -> None:
    for labour, cell in zip(LabourClass, MATRIX[risk], strict=True):
        wanted = [item.partition("/") for item in cell.split()]
        found = measures_table()[risk, labour.value]
        assert len(found) == len(wanted)
        for measure, (name, _, article) in zip(found, wanted, strict=True):
            assert measure.name.zh.startswith(name)
            assert not article or article in measure.articles


def test_the_matrix_is_whole() -> None:
    assert {(risk, labour.value) for risk in MATRIX for labour in LabourClass} == set(measures_table())


def test_a_public_post_is_offered_within_its_ages_only() -> None:
    """公益岗位 is for members of 16 to 69 years, and is said so wherever it is suggested."""
    named = [m.name.zh for cell in measures_table().values() for m in cell if "公益岗位" in m.name.zh]
    assert named
    assert all("16–69岁" in name for name in named)


def test_suggestions_are_few_enough_to_read(make_matrix: MakeMatrix) -> None:
    """A cell may hold more than a row of a list can take: six are told where nothing else is said."""
    assert len(measures_table()[ANY_RISK, "有"]) > 6
    assert len(_suggested(make_matrix, {"able_labour_n": 2}).split("；")) == 6
    assert len(_suggested(make_matrix, {"able_labour_n": 2}, limit=2).split("；")) == 2
