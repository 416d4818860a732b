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
    assert _suggested(make_matrix, {"able_labour_n": 2}).startswith("产业、就业帮扶（二）")
