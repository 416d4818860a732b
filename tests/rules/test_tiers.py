"""Tiers, severity, deadlines and candidate categories."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.candidates import candidate_category
from relapse_risk.rules.tiers import (
    BLUE,
    ORANGE,
    RED,
    ROUTINE,
    YELLOW,
    days_left,
    has_moving_hit,
    is_settled,
    severity,
    tier_of,
)
from relapse_risk.vocabulary import MonitorCategory

MakeMatrix = Callable[..., FeatureMatrix]
SCHOOL = {"noncompulsory_education_12m_yuan": 20000.0}
POST = {"adl_dependent_n": 1.0}


@pytest.mark.parametrize(
    ("values", "tier"),
    [
        ({"house_grade": 3}, RED),
        ({"food_clothing_ok": 0}, RED),
        ({"is_lifted": 1, "ref_income_pc_12m": 5000}, RED),
        ({"is_lifted": 0, "ref_income_pc_12m": 5000}, RED),
        ({"rigid_12m_yuan": 50000, "net_income_12m_yuan": 40000}, RED),
        ({"open_case_n": 1, "open_case_days": 12}, RED),
        ({"open_case_n": 1, "open_case_days": 11}, ROUTINE),
        (SCHOOL | POST, ORANGE),
        (SCHOOL, YELLOW),
        ({"self_applied": 1}, YELLOW),
        (SCHOOL | {"self_applied": 1}, YELLOW),
        (SCHOOL | POST | {"house_grade": 4}, RED),
        ({"is_lifted": 1, "visit_n": 0}, ROUTINE),
        ({}, ROUTINE),
    ],
)
def test_tier(make_matrix: MakeMatrix, values: dict[str, float], tier: int) -> None:
    matrix = make_matrix([values])
    hits = apply_rules(matrix)
    assert tier_of(matrix, hits).tolist() == [tier]
    is_named_by_rule = tier <= YELLOW and values != {"self_applied": 1}
    assert has_moving_hit(hits).tolist() == [is_named_by_rule]


def test_severity_counts_hits_by_kind_and_the_gap(make_matrix: MakeMatrix) -> None:
    poor = {"is_lifted": 1.0, "ref_income_pc_12m": 3650.0, "ref_income_to_line": 0.5}
    matrix = make_matrix([SCHOOL, {"house_grade": 4}, poor, poor | SCHOOL, {"visit_n": 0, "is_lifted": 1}])
    assert severity(matrix, apply_rules(matrix)).tolist() == [1.0, 3.0, 4.5, 5.5, 0.0]


def test_days_left_are_those_of_cases_and_measures(make_matrix: MakeMatrix) -> None:
    waiting = {"is_registered": 1, "active_measure_n": 0, "measure_started_n": 0, "days_since_inclusion": 40}
    visited = {"is_lifted": 1, "is_registered": 0, "days_since_visit": 40, "visit_n": 1}
    rows = [{"open_case_n": 1, "open_case_days": 10}, waiting, visited, {"open_case_n": 0}]
    matrix = make_matrix([*rows, waiting | {"open_case_n": 1, "open_case_days": 40}])
    assert np.array_equal(days_left(matrix), [5, -10, np.nan, np.nan, -25], equal_nan=True)
    assert np.array_equal(days_left(matrix, codes=("R31",))[:3], [np.nan, np.nan, -9], equal_nan=True)


def test_a_hit_is_settled_once_confirmed_with_measures_in_place(make_matrix: MakeMatrix) -> None:
    confirmed = {"days_since_confirming_visit": 31, "active_measure_n": 1}
    late = confirmed | {"days_since_confirming_visit": 32}
    rows = [confirmed, late, confirmed | {"active_measure_n": 0}, confirmed, confirmed, confirmed]
    tiers = np.array([RED, RED, RED, YELLOW, BLUE, ROUTINE], dtype=np.int8)
    assert is_settled(make_matrix(rows), tiers).tolist() == [True, False, False, True, False, False]


OUTSIDE = {"is_registered": 0}
ABOVE = {"ref_income_pc_12m": 9000, "ref_income_to_line": 9000 / 7300}
BELOW = {"ref_income_pc_12m": 7000, "ref_income_to_line": 7000 / 7300}


@pytest.mark.parametrize(
    ("values", "category"),
    [
        (OUTSIDE | BELOW | {"is_lifted": 1}, MonitorCategory.UNSTABLE_LIFTED),
        (OUTSIDE | BELOW | {"is_lifted": 0}, MonitorCategory.MARGINAL),
        (OUTSIDE | BELOW | {"is_lifted": 1, "net_income_pc_12m": 8000}, MonitorCategory.UNSTABLE_LIFTED),
        (OUTSIDE | ABOVE | {"is_lifted": 1, "member_oop_ytd_max_yuan": 9999}, MonitorCategory.SEVERE_SUDDEN),
        (OUTSIDE | {"is_lifted": 1, "member_oop_ytd_max_yuan": 9999}, MonitorCategory.UNSTABLE_LIFTED),
        (OUTSIDE | {"is_lifted": 0, "member_oop_ytd_max_yuan": 19999}, MonitorCategory.MARGINAL),
        (
            OUTSIDE | {"is_lifted": 0, "rigid_12m_yuan": 9, "net_income_12m_yuan": 9},
            MonitorCategory.SEVERE_SUDDEN,
        ),
        (
            OUTSIDE | ABOVE | {"is_lifted": 0, "all_no_labour": 1, "has_dibao_or_tekun": 0},
            MonitorCategory.MARGINAL,
        ),
        (OUTSIDE | {"is_lifted": 1, "house_grade": 4}, None),
        (OUTSIDE | {"is_lifted": 1}, None),
        ({"is_registered": 1, "is_lifted": 1} | BELOW, None),
    ],
)
def test_candidate_category(
    make_matrix: MakeMatrix, values: dict[str, float], category: MonitorCategory | None
) -> None:
    """Below the line, the household's own type goes before 突发严重困难户."""
    matrix = make_matrix([values])
    assert candidate_category(matrix, apply_rules(matrix)) == [category]
