"""The order to visit: what must hold whatever the households, and examples read by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.rules.strategies import Case, cases, rank

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.priority import BLUE, ORANGE, RED, ROUTINE, YELLOW, audit_strata, plan_visits
from relapse_risk.vocabulary import Basis


@given(cases())
@settings(max_examples=300, deadline=None)
def test_what_always_holds(case: Case) -> None:
    """Hits first and none lost; capacity kept but for red, orange and the audit sample; each row once."""
    result = case.rank()
    tiers, hit = case.arrays["tiers"], case.arrays["has_rule_hit"]
    listed, waiting = result.order, result.waiting

    every = np.concatenate([listed, waiting])
    assert len(np.unique(every)) == len(every)
    assert set(np.flatnonzero(tiers <= ORANGE)) <= set(listed.tolist())
    assert set(np.flatnonzero(tiers <= YELLOW)) <= set(every.tolist())
    assert (np.diff(hit[listed].astype(int)) <= 0).all(), "a rule hit stands below a row without one"
    assert (np.diff(result.tiers.astype(int)) >= 0).all()
    named = tiers[listed] <= YELLOW
    assert (result.tiers[named] == tiers[listed][named]).all(), "a tier was changed"
    assert (result.tiers[~named] >= BLUE).all()

    assert (tiers[waiting] == YELLOW).all()
    assert set(np.flatnonzero(case.arrays["self_applied"])) <= set(listed.tolist())
    excess = 0
    for place, (capacity, found) in enumerate(zip(case.options["capacity"], result.units, strict=True)):
        within = case.arrays["unit"] == place
        needed = int((within & case.is_certain & case.uses_capacity).sum())
        used = int((within & case.uses_capacity)[listed].sum())
        assert (found.used, found.capacity) == (used, capacity)
        assert used <= max(capacity, needed + found.audit)
        excess += max(used - capacity, 0)
        if (within & ~case.rests)[waiting].any():
            assert used >= capacity, "somebody waits while visits are free"
    assert result.counts["excess"] == excess


@given(cases())
@settings(max_examples=200, deadline=None)
def test_every_household_that_is_not_listed_could_have_been_drawn(case: Case) -> None:
    """Waiting and resting ones too: the pool of a unit is all it does not list otherwise."""
    result = case.rank()
    audit = result.order[result.is_audit]
    assert not case.is_certain[audit].any()
    assert (result.tiers[result.is_audit] == case.arrays["tiers"][audit]).all(), "a draw changed a tier"
    is_listed = np.isin(np.arange(len(case.arrays["tiers"])), result.order)
    idle = np.isin(case.arrays["unit"], np.flatnonzero(np.array(case.options["capacity"]) == 0))
    for place, (capacity, found) in enumerate(zip(case.options["capacity"], result.units, strict=True)):
        within = case.arrays["unit"] == place
        drawn = result.is_audit & within[result.order]
        assert found.audit == drawn.sum()
        assert found.audit_pool == (within & ~is_listed).sum() + found.audit
        assert np.allclose(result.inclusion_probability[drawn], found.audit_probability)
        if found.audit_pool and case.options["audit_share"]:
            assert found.audit_probability > 0, "a household that is not listed could not have been drawn"
        if capacity and case.options["audit_share"] and found.audit_pool:
            wanted = max(int(capacity * case.options["audit_share"] + 0.5), 1)
            assert found.audit == min(wanted, found.audit_pool)
            assert found.audit_probability == found.audit / found.audit_pool
    of_idle = result.is_audit & idle[result.order]
    n_idle = int((idle & ~is_listed).sum()) + int(of_idle.sum())
    assert of_idle.sum() == (1 if n_idle and case.options["audit_share"] else 0)
    assert (result.audit_pool_n[of_idle] == n_idle).all()
    assert np.isnan(result.inclusion_probability[~result.is_audit]).all()


@given(cases(), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_scores_move_no_row_between_rule_tiers(case: Case, seed: int) -> None:
    scores = np.random.default_rng(seed).random(len(case.arrays["tiers"]))
    one, other = case.rank(), case.rank(ranking=scores)
    for tier in (RED, ORANGE):
        assert set(one.order[one.tiers == tier]) == set(other.order[other.tiers == tier])
    for result in (one, other):
        is_yellow = set(result.order[result.tiers == YELLOW]) | set(result.waiting)
        assert is_yellow == set(np.flatnonzero(case.arrays["tiers"] == YELLOW))


@given(cases(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_input_does_not_matter(case: Case, random: Any) -> None:
    """The same households give the same list, however they are read."""
    shuffle = np.array(random.sample(range(len(case.arrays["tiers"])), len(case.arrays["tiers"])), dtype=int)
    arrays = {name: values[shuffle] for name, values in case.arrays.items()}
    rankings = {
        name: case.options[name][shuffle] if case.options[name] is not None else None
        for name in ("ranking", "fallback_ranking")
    }
    result, again = case.rank(), case.rank(**arrays, **rankings)
    keys = case.arrays["stable_key"]
    assert keys[result.order].tolist() == keys[shuffle][again.order].tolist()
    assert result.basis == again.basis


def test_red_is_ordered_by_new_then_days_then_severity_then_score() -> None:
    result = rank(
        [RED] * 6,
        is_new_hit=np.array([False, True, True, True, True, True]),
        days_left=np.array([-9, np.nan, 5, 2, 5, 5]),
        severity=np.array([9.0, 9, 1, 0, 3, 1]),
        ranking=np.array([0.9, 0.9, 0.1, 0.1, 0.1, 0.8]),
    )
    assert result.order.tolist() == [3, 4, 5, 2, 1, 0]


def test_other_tiers_are_ordered_by_score_and_an_unknown_one_is_last_but_kept() -> None:
    result = rank(
        [YELLOW, ORANGE, ORANGE, ORANGE],
        severity=np.array([9.0, 9, 0, 0]),
        ranking=np.array([1, np.nan, 0.2, 0.7]),
    )
    assert result.order.tolist() == [3, 2, 1, 0]


def test_without_a_model_severity_orders_and_its_share_goes_to_yellow() -> None:
    result = rank([YELLOW] * 5 + [ROUTINE] * 5, severity=np.array([1.0, 3, 2, 5, 4] + [0] * 5), capacity=4)
    assert result.order.tolist() == [3, 4, 1, 2]
    assert result.waiting.tolist() == [0]


def test_model_alerts_keep_their_share_before_yellow() -> None:
    result = rank([YELLOW] * 10 + [ROUTINE] * 10, ranking=np.linspace(0, 1, 20), capacity=10)
    assert result.counts["blue"] == 2
    assert result.order[result.tiers == BLUE].tolist() == [19, 18]
    assert result.basis[-1] == (Basis.MODEL,)
    assert result.counts["yellow"] == 8
    assert result.waiting.tolist() == [1, 0]


def test_red_overflow_takes_the_model_share_but_not_the_audit() -> None:
    result = rank([RED] * 12 + [ROUTINE] * 10, ranking=np.linspace(0, 1, 22), capacity=10, audit_share=0.1)
    assert result.counts["red"] == 12
    assert result.counts["blue"] == 0
    assert result.counts["audit"] == 1
    assert result.counts["excess"] == 3


def test_spare_visits_go_to_further_alerts_and_without_a_model_to_routine_ones() -> None:
    ranking = np.array([0, 0.1, 0.9, np.nan, 0.5])
    alerts = rank([RED] + [ROUTINE] * 4, ranking=ranking, capacity=4)
    assert alerts.order.tolist() == [0, 2, 4, 1]
    assert alerts.tiers.tolist() == [RED, BLUE, BLUE, BLUE]
    routine = rank([RED] + [ROUTINE] * 4, fallback_ranking=ranking, capacity=3)
    assert routine.order.tolist() == [0, 2, 4]
    assert routine.tiers.tolist() == [RED, ROUTINE, ROUTINE]
    assert routine.basis == ((Basis.RULE,), (Basis.ROUTINE,), (Basis.ROUTINE,))
    assert rank([RED] + [ROUTINE] * 4, capacity=4).order.tolist() == [0]


def test_settled_hits_use_no_capacity_and_come_after_new_ones() -> None:
    settled = np.array([True, False, True, False, False])
    result = rank([RED, RED, YELLOW, YELLOW, YELLOW], is_settled=settled, capacity=2)
    assert result.order.tolist() == [1, 0, 3, 2]
    assert result.waiting.tolist() == [4]
    assert result.counts["settled"] == 2
    assert result.counts["excess"] == 0


def test_own_applications_are_listed_beyond_capacity_and_never_rest() -> None:
    applied = np.array([False, True, True])
    result = rank(
        [YELLOW] * 3,
        has_rule_hit=~applied,
        self_applied=applied,
        is_resting=np.array([False, True, False]),
        capacity=1,
    )
    assert result.order.tolist() == [1, 2]
    assert result.waiting.tolist() == [0]
    assert result.counts["excess"] == 1


def test_who_was_visited_lately_rests_unless_red() -> None:
    """Orange stays listed without a visit, yellow waits, an alert is passed over."""
    result = rank(
        [RED, ORANGE, ORANGE, YELLOW, YELLOW, ROUTINE, ROUTINE],
        is_resting=np.array([True, True, False, True, False, True, False]),
        ranking=np.linspace(0.1, 0.7, 7)[::-1],
        capacity=4,
    )
    assert result.order.tolist() == [0, 2, 1, 4, 6]
    assert result.waiting.tolist() == [3]
    assert (result.counts["settled"], result.counts["rested"], result.counts["excess"]) == (1, 1, 0)


def test_each_unit_fills_its_own_visits() -> None:
    """One unit's excess takes nothing from another, and free visits do not move there."""
    unit = np.array([0, 0, 0, 1, 1, 1])
    result = rank([RED, RED, YELLOW, YELLOW, YELLOW, YELLOW], unit=unit, capacity=[1, 2])
    assert result.order.tolist() == [0, 1, 3, 4]
    assert result.waiting.tolist() == [2, 5]
    assert [found.excess for found in result.units] == [1, 0]
    assert result.counts["excess"] == 1


def test_a_small_unit_draws_one_household_all_the_same() -> None:
    result = rank([ROUTINE] * 8, capacity=[2, 3], unit=np.repeat([0, 1], 4), audit_share=0.05)
    assert [(found.audit, found.audit_pool) for found in result.units] == [(1, 4), (1, 4)]
    assert result.inclusion_probability.tolist() == [0.25, 0.25]


def test_units_without_a_visit_are_drawn_from_as_one_so_that_nobody_is_out_of_reach() -> None:
    seeds, drawn = 900, np.zeros(9)
    for seed in range(seeds):
        result = rank(
            [ROUTINE] * 9,
            capacity=[2, 0, 0],
            unit=np.repeat([0, 1, 2], [3, 4, 2]),
            audit_share=0.5,
            rng_seed=seed,
        )
        drawn[result.order] += 1
        assert [found.audit_probability for found in result.units] == [1 / 3, 1 / 6, 1 / 6]
        assert result.counts["audit"] == 2
        assert result.counts["excess"] == 1
        assert sorted(result.audit_pool_n.tolist()) == [3, 6]
    expected = np.repeat([1 / 3, 1 / 6], [3, 6])
    assert np.abs(drawn / seeds - expected).max() < 4 * np.sqrt(0.25 / seeds)


def test_self_applications_stand_after_hits_of_their_tier() -> None:
    result = rank(
        [YELLOW, YELLOW, YELLOW],
        has_rule_hit=np.array([False, True, True]),
        self_applied=np.array([True, True, False]),
        ranking=np.array([0.9, 0.1, 0.2]),
        model_share=0.0,
    )
    assert result.order.tolist() == [2, 1, 0]
    assert result.basis == ((Basis.RULE,), (Basis.RULE, Basis.SELF_APPLICATION), (Basis.SELF_APPLICATION,))


def test_audit_draws_every_row_equally_often_and_spreads_over_strata() -> None:
    """With known and equal probabilities what both rules and model miss is estimated without bias."""
    n, size, seeds = 40, 8, 600
    strata = np.repeat([0, 1, 2, 3], [20, 10, 5, 5])
    drawn = np.zeros(n)
    for seed in range(seeds):
        result = rank([ROUTINE] * n, capacity=size, audit_share=1.0, strata=strata, rng_seed=seed)
        drawn[result.order] += 1
        assert np.bincount(strata[result.order], minlength=4).tolist() == [4, 2, 1, 1]
    assert np.abs(drawn / seeds - size / n).max() < 4 * np.sqrt(0.2 * 0.8 / seeds)
    assert result.inclusion_probability.tolist() == [size / n] * size


def test_the_waiting_list_is_drawn_from_like_the_rest_and_a_drawn_row_keeps_its_tier() -> None:
    n_waiting, n_free, seeds = 20, 20, 600
    drawn = np.zeros(1 + n_waiting + n_free)
    for seed in range(seeds):
        result = rank(
            [RED] + [YELLOW] * n_waiting + [ROUTINE] * n_free, capacity=1, audit_share=1.0, rng_seed=seed
        )
        (row,) = result.order[result.is_audit]
        drawn[row] += 1
        assert result.tiers[result.is_audit] == (YELLOW if row <= n_waiting else ROUTINE)
        assert len(result.waiting) == n_waiting - (row <= n_waiting)
        assert row not in result.waiting
    assert drawn[0] == 0
    assert abs(drawn[1 : n_waiting + 1].sum() / seeds - 0.5) < 4 * np.sqrt(0.25 / seeds)
    assert result.inclusion_probability[result.is_audit] == 1 / (n_waiting + n_free)


def test_strata_are_township_by_score_band() -> None:
    ranking = np.array([0.1, 0.2, 0.3, 0.4, np.nan, 0.9])
    strata = audit_strata(["a", "a", "a", "a", "a", "b"], ranking, bands=5)
    assert strata.tolist() == [1, 2, 3, 4, 0, 11]
    assert audit_strata(["b", "a", "b"], None).tolist() == [6, 0, 6]


@pytest.mark.parametrize("wrong", [{"capacity": -1}, {"model_share": 1.2}, {"audit_share": -0.1}])
def test_impossible_shares_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="RR333"):
        rank([RED], **wrong)


def test_visits_are_planned_from_matrix_and_hits(make_matrix: Callable[..., FeatureMatrix]) -> None:
    matrix = make_matrix(
        [
            {"noncompulsory_education_12m_yuan": 20000},
            {"house_grade": 4, "days_since_confirming_visit": 5, "active_measure_n": 1},
            {"water_safe": 0},
            {"self_applied": 1},
            {},
            {},
        ]
    )
    result = plan_visits(
        matrix, apply_rules(matrix), capacity=4, ranking=np.array([0, 0, 0, 0, 0.2, 0.8]), audit_share=0
    )
    assert result.order.tolist() == [2, 1, 0, 3, 5]
    assert result.tiers.tolist() == [RED, RED, YELLOW, YELLOW, BLUE]
    assert result.counts["settled"] == 1


def test_audit_strata_follow_the_model_and_income_where_there_is_none(
    make_matrix: Callable[..., FeatureMatrix], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[object] = []

    def strata(townships: Any, ranking: object) -> Any:
        seen.append(ranking)
        return np.zeros(len(townships), dtype=np.int64)

    monkeypatch.setattr("relapse_risk.rules.priority.audit_strata", strata)
    matrix = make_matrix([{}, {}])
    hits = apply_rules(matrix)
    model, income = np.array([0.1, 0.2]), np.array([3.0, 4.0])
    plan_visits(matrix, hits, capacity=1, ranking=model, fallback_ranking=income)
    plan_visits(matrix, hits, capacity=1, ranking=None, fallback_ranking=income)
    assert seen[0] is model
    assert seen[1] is income
