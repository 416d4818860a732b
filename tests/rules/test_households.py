"""Households reasoned by hand from the wording of the rules: what each hits, what can't be judged, its tier.

``households.csv`` says of each household what it is, in what it differs from an unremarkable one of its kind,
which rules it hits and which can't be judged, its tier, the category it is a candidate for, and why. The
expectations were written down before the rules were run on them. ``?`` is a value nobody knows. The optional
rule R09 is turned on.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.candidates import candidate_category
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.tiers import TIERS, tier_of
from relapse_risk.scores import CANNOT_JUDGE, HIT, RuleHits

LINE = 7300.0
ROWS = list(
    csv.DictReader((Path(__file__).parent / "households.csv").read_text(encoding="utf-8").splitlines())
)

# An ordinary household outside the register of which everything is known, and nothing is amiss.
ORDINARY: dict[str, float] = {
    **dict.fromkeys(("ref_income_pc_12m", "ref_income_pc_12m_3m_ago", "net_income_pc_12m"), 20000.0),
    **dict.fromkeys(("net_income_12m_yuan", "net_income_prior_12m_yuan"), 60000.0),
    **dict.fromkeys(("business_net_12m_yuan", "business_net_prior_12m_yuan"), 5000.0),
    "rigid_12m_yuan": 3000.0,
    "oop_12m_yuan": 1000.0,
    "member_oop_ytd_max_yuan": 500.0,
    "house_grade": 1.0,
    "water_safe": 1.0,
    "food_clothing_ok": 1.0,
    "able_labour_n": 2.0,
    "labour_share": 2 / 3,
    "visit_n": 5.0,
    "days_since_visit": 10.0,
    **dict.fromkeys(
        (
            "is_lifted",
            "is_registered",
            "is_cleared",
            "income_yoy_change_share",
            "loss_12m_yuan",
            "oop_rise_6m_yuan",
            "max_stay_oop_yuan",
            "major_diagnosis_n",
            "uninsured_n",
            "uninsured_member_n",
            "school_age_absent_n",
            "school_age_excused_n",
            "dropout_n",
            "outage_days",
            "disaster_n",
            "disaster_unvalued_n",
            "disaster_house_damage_n",
            "disaster_loss_12m_yuan",
            "accident_12m",
            "accident_earner_n",
            "accident_unvalued_n",
            "accident_loss_12m_yuan",
            "epidemic_n",
            "main_earner_is_idle",
            "fewer_work_months",
            "post_end_n",
            "public_post_income_12m_yuan",
            "allowance_end_n",
            "severe_disabled_uncovered_n",
            "major_ill_uncovered_n",
            "all_no_labour",
            "has_dibao_or_tekun",
            "is_allowance_household",
            "adl_dependent_n",
            "orphan_n",
            "elder_alone_n",
            "credit_overdue_days",
            "loan_owed_yuan",
            "noncompulsory_education_12m_yuan",
            "open_case_n",
            "measure_started_n",
            "active_measure_n",
            "active_safety_net_measure_n",
            "active_other_measure_n",
            "premium_unsubsidised_n",
            "premium_unsubsidised_allowance_n",
            "pension_unpaid_n",
            "pension_unpaid_allowance_n",
            "is_risk_ill",
            "is_risk_disabled",
            "is_risk_school",
            "is_risk_house",
            "is_risk_water",
            "is_risk_labour",
            "health_measure_n",
            "care_measure_n",
            "school_measure_n",
            "house_measure_n",
            "water_measure_n",
            "major_ill_n",
            "chronic_n",
            "self_applied",
        ),
        0.0,
    ),
}
LIFTED = {"is_lifted": 1.0}
# Put on the register three months ago, with measures under way.
REGISTERED = {
    "is_registered": 1.0,
    "months_since_identified": 3.0,
    "days_since_inclusion": 80.0,
    "measure_started_n": 2.0,
    "active_measure_n": 1.0,
    "active_other_measure_n": 1.0,
    "days_since_measure_start": 60.0,
}
# Put on the register 20 months ago, and cleared four months ago with an income well above the line.
CLEARED = {
    "is_cleared": 1.0,
    "months_since_identified": 20.0,
    "months_since_cleared": 4.0,
    "income_to_line_at_clearance": 1.5,
}
KINDS = {
    "ordinary": ORDINARY,
    "lifted": ORDINARY | LIFTED,
    "ordinary registered": ORDINARY | REGISTERED,
    "lifted registered": ORDINARY | LIFTED | REGISTERED,
    "lifted cleared": ORDINARY | LIFTED | CLEARED,
}

MakeMatrix = Callable[..., FeatureMatrix]


def values_of(row: dict[str, str]) -> dict[str, float]:
    pairs = (item.split("=") for item in row["differs_in"].split("; ") if item)
    changes = {name: np.nan if value == "?" else float(value) for name, value in pairs}
    values = KINDS[row["household"]] | changes
    return values | {"ref_income_to_line": values["ref_income_pc_12m"] / LINE}


@pytest.fixture(scope="module")
def judged(make_matrix: MakeMatrix) -> tuple[FeatureMatrix, RuleHits]:
    matrix = make_matrix([values_of(row) for row in ROWS])
    return matrix, apply_rules(matrix)


def codes(hits: RuleHits, row: int, state: int) -> str:
    return " ".join(code for code, each in zip(hits.codes, hits.states[row], strict=True) if each == state)


@pytest.mark.parametrize("row", range(len(ROWS)), ids=[row["reason"] for row in ROWS])
def test_household(judged: tuple[FeatureMatrix, RuleHits], row: int) -> None:
    matrix, hits = judged
    expected = ROWS[row]
    one, own = matrix.rows(np.array([row])), RuleHits(matrix.index[[row]], hits.codes, hits.states[[row]])
    (category,) = candidate_category(one, own)
    found = {
        "hits": codes(hits, row, HIT),
        "cannot_judge": codes(hits, row, CANNOT_JUDGE),
        "tier": TIERS[tier_of(one, own)[0]].value,
        "candidate": category or "",
    }
    assert found == {name: expected[name] for name in found}


def test_the_table_covers_every_rule_hit_and_not_known() -> None:
    for rule in RULES:
        for column in ("hits", "cannot_judge"):
            assert any(rule.code in row[column].split() for row in ROWS), f"{rule.code} in {column}"
    assert len(ROWS) >= 200
    assert {row["tier"] for row in ROWS} == {"红", "橙", "黄", "常"}
