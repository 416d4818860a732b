"""Facts are true, raise the risk, and are said once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from relapse_risk.explain.facts import NO_FACT, choose_facts
from relapse_risk.features.catalog import CATALOG
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES

# What most households look like, so that the median is known.
TYPICAL = {"oop_to_income_share": 0.05, "wage_yoy_change_share": 0.0, "major_ill_n": 0.0, "labour_share": 0.5}


@pytest.fixture
def facts_of(make_matrix, make_attributions):
    def choose(row: Mapping[str, float], contributions: Mapping[str, float], k: int = 3) -> Sequence[str]:
        matrix = make_matrix([row, TYPICAL, TYPICAL, TYPICAL])
        listed = np.array([0])
        attributions = make_attributions(matrix, [contributions] + [{}] * 3).rows(listed)
        spoken, chosen = choose_facts(matrix, attributions, apply_rules(matrix), listed, RULES, k)
        return [spoken[number].name for number in chosen[0] if number != NO_FACT]

    return choose


def test_the_strongest_family_speaks_first(facts_of):
    row = {"oop_to_income_share": 0.3, "major_ill_n": 1.0, "wage_yoy_change_share": -0.4}
    contributions = {"oop_to_income_share": 0.2, "major_ill_n": 0.5, "wage_yoy_change_share": 0.3}
    assert facts_of(row, contributions) == ["major_ill_n", "wage_yoy_change_share", "oop_to_income_share"]
    assert facts_of(row, contributions, k=1) == ["major_ill_n"]


def test_correlated_features_count_together_and_speak_once(facts_of):
    """Three features share the effect of illness; it still goes before a single, larger contribution."""
    row = {"major_ill_n": 1.0, "chronic_n": 1.0, "inpatient_days_12m": 20.0, "oop_to_income_share": 0.3}
    contributions = {
        "major_ill_n": 0.2,
        "chronic_n": 0.3,
        "inpatient_days_12m": 0.2,
        "oop_to_income_share": 0.5,
    }
    assert facts_of(row, contributions) == ["chronic_n", "oop_to_income_share"]


def test_a_feature_without_a_sentence_lends_its_weight_to_its_family(facts_of):
    assert facts_of(
        {"ref_income_to_line": 1.3, "ref_income_pc_12m": 10400.0}, {"ref_income_to_dpi": 0.4}
    ) == ["ref_income_to_line"]


@pytest.mark.parametrize(
    ("row", "contributions"),
    [
        ({"oop_to_income_share": 0.3}, {"oop_to_income_share": -0.1}),
        ({"oop_to_income_share": 0.3}, {"oop_to_income_share": 0.1, "oop_12m_yuan": -0.2}),
        ({"oop_to_income_share": 0.3}, {"oop_to_income_share": -0.1, "oop_12m_yuan": 0.2}),
        ({"oop_to_income_share": 0.3}, {}),
        ({"major_ill_n": 0.0}, {"major_ill_n": 0.5}),
        ({}, {"major_ill_n": 0.5}),
    ],
    ids=["lowers", "family lowers", "itself lowers", "nothing", "condition fails", "not known"],
)
def test_what_lowers_the_risk_or_is_not_so_is_never_said(facts_of, row, contributions):
    assert facts_of(row, contributions) == []


def test_a_value_on_the_safe_side_of_the_median_is_no_risk(make_matrix, make_attributions):
    """An income above most others is not said as a risk, even where an interaction raises it."""
    matrix = make_matrix(
        [{"ref_income_to_line": 1.4, "ref_income_pc_12m": 11200.0}] + [{"ref_income_to_line": 1.2}] * 3
    )
    attributions = make_attributions(matrix, [{"ref_income_to_line": 0.5}] * 4)
    spoken, chosen = choose_facts(matrix, attributions, apply_rules(matrix), np.arange(4), RULES, 1)
    assert chosen[0, 0] == NO_FACT
    assert spoken[chosen[1, 0]].name == "ref_income_to_line"


def test_what_a_rule_hit_said_is_not_said_again(facts_of):
    """R13 has spoken of the house, so neither it nor another guarantee is a further reason."""
    contributions = {"house_grade": 0.5, "uninsured_n": 0.4, "major_ill_n": 0.1}
    row = {"house_grade": 1.0, "uninsured_n": 0.0, "house_age_years": 50.0, "major_ill_n": 1.0}
    contributions["house_age_years"] = 0.1
    assert facts_of(row, contributions) == ["house_age_years", "major_ill_n"]
    assert facts_of({**row, "house_grade": 3.0}, contributions) == ["major_ill_n"]


def test_a_fact_without_any_weight_of_its_own_is_not_said(facts_of):
    """The house is old, but what weighs in its family is another figure."""
    row = {"house_grade": 1.0, "house_age_years": 50.0}
    assert facts_of(row, {"house_grade": 0.5}) == []


def test_random_contributions_never_bring_up_a_protective_or_false_fact(make_matrix, make_attributions):
    rng = np.random.default_rng(8)
    names = CATALOG.names
    rows = [dict(zip(names, rng.normal(0.5, 1.0, len(names)).round(1), strict=True)) for _ in range(200)]
    for row in rows:
        for name in rng.choice(names, 40, replace=False):
            del row[name]
    matrix = make_matrix(rows)
    attributions = make_attributions(
        matrix, [dict(zip(names, rng.normal(size=len(names)), strict=True)) for _ in rows]
    )
    spoken, chosen = choose_facts(matrix, attributions, apply_rules(matrix), np.arange(200), RULES, 3)
    assert (chosen != NO_FACT).sum() > 100
    for position, numbers in enumerate(chosen):
        said = [spoken[number] for number in numbers if number != NO_FACT]
        assert len({feature.family for feature in said}) == len(said)
        for feature in said:
            assert attributions.column(feature.name)[position] >= 0
            assert np.isfinite(matrix.column(feature.name)[position])
            if feature.reason_when is not None:
                assert matrix.evaluate(feature.reason_when)[0][position] == 1.0


def test_a_model_without_sentences_says_nothing(make_matrix, make_attributions):
    matrix = make_matrix([TYPICAL])
    silent = make_attributions(matrix, [{"labour_n": 1.0}])
    features = silent.features.select(["labour_n"])
    bare = type(silent)(silent.index, features, np.ones((1, 1)), silent.base)
    spoken, chosen = choose_facts(matrix, bare, apply_rules(matrix), np.array([0]), RULES, 3)
    assert spoken == []
    assert (chosen == NO_FACT).all()
