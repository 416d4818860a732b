from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.evaluation.policies import POLICIES, income_over_line, plan_policies, true_risk
from relapse_risk.features.build import build_features
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.priority import plan_visits
from relapse_risk.rules.tiers import ORANGE, RED, ROUTINE, YELLOW, severity, tier_of
from relapse_risk.scores import RiskScores, RuleHits


@pytest.fixture(scope="module")
def judged(panel):
    """A matrix, hits in every tier, and scores without ties."""
    rng = np.random.default_rng(5)
    matrix = build_features(panel, (date(2021, 6, 30),))
    hits = apply_rules(matrix)
    hits = replace(hits, states=(rng.random(hits.states.shape) < 0.02).astype(np.int8))
    assert set(tier_of(matrix, hits)) == {RED, ORANGE, YELLOW, ROUTINE}
    kept = np.flatnonzero(tier_of(matrix, hits) != RED)
    matrix, hits = matrix.rows(kept), RuleHits(hits.index[kept], hits.codes, hits.states[kept])
    scores = {}
    for policy in ("model", "logistic", "best_indicator"):
        risk = rng.random((len(matrix), 1))
        scores[policy] = RiskScores(matrix.index, (12,), risk, risk[:, 0])
    return matrix, hits, scores


@pytest.mark.parametrize("capacity", [1, 20, 60, 150, 400])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.7])
def test_rules_and_model_visit_whom_the_visit_list_names(judged, capacity, share):
    """The first K rows of the list that county staff would get, audit sample apart."""
    matrix, hits, scores = judged
    plans = plan_policies(matrix, hits, scores, model_share=share)
    unsettled = replace(matrix, values=matrix.values.copy())
    unsettled.values[:, matrix.features.position("days_since_confirming_visit")] = np.nan
    listed = plan_visits(
        unsettled,
        hits,
        capacity=capacity,
        ranking=scores["model"].ranking,
        fallback_ranking=-income_over_line(matrix),
        model_share=share,
        audit_share=0.0,
    ).order[:capacity]
    chosen = np.flatnonzero(plans["rules+model"].selection(capacity) > 0.5)
    assert sorted(listed.tolist()) == chosen.tolist()


@pytest.mark.parametrize("capacity", [20, 150])
def test_every_policy_spends_the_same_visits(judged, capacity):
    matrix, hits, scores = judged
    plans = plan_policies(matrix, hits, scores, model_share=0.2, oracle=np.linspace(0, 1, len(matrix)))
    assert tuple(plans) == tuple(policy for policy in POLICIES if policy != "scorecard")
    for plan in plans.values():
        assert plan.selection(capacity).sum() == pytest.approx(capacity)


def test_rules_go_by_tier_and_severity_then_by_income_over_line(judged):
    matrix, hits, scores = judged
    plan = plan_policies(matrix, hits, scores, model_share=0.2)["rules"]
    tiers, grave = tier_of(matrix, hits), severity(matrix, hits)
    order = np.argsort(-plan.score, kind="stable")
    assert (np.diff(tiers[order]) >= 0).all()
    for tier in (ORANGE, YELLOW):
        of_tier = order[tiers[order] == tier]
        hit = hits.is_hit()[of_tier]
        assert (np.diff(grave[of_tier][hit]) <= 0).all()
    rest = order[tiers[order] == ROUTINE]
    assert (np.diff(income_over_line(matrix)[rest]) >= 0).all()
    by_chance = plan_policies(matrix, hits, scores, model_share=0.2)["rules_random_fill"]
    assert len(np.unique(by_chance.score[tiers == ROUTINE])) == 1


def test_rules_do_not_read_the_model(judged):
    matrix, hits, scores = judged
    other = {**scores, "model": scores["logistic"]}
    first = plan_policies(matrix, hits, scores, model_share=0.2)["rules"]
    again = plan_policies(matrix, hits, other, model_share=0.2)["rules"]
    assert np.array_equal(first.score, again.score)


def test_random_is_an_expectation_and_not_a_draw(judged):
    matrix, hits, scores = judged
    plan = plan_policies(matrix, hits, scores, model_share=0.2)["random"]
    assert np.allclose(plan.selection(40), 40 / len(matrix))


def test_tied_scores_share_their_visits_on_the_list(judged):
    """Without hits and with one score for all, nobody is preferred for the household's code."""
    matrix, hits, scores = judged
    flat = RiskScores(matrix.index, (12,), np.full((len(matrix), 1), 0.1), np.full(len(matrix), 0.1))
    none = replace(hits, states=np.zeros_like(hits.states))
    same = [matrix.features.position(name) for name in ("ref_income_to_line", "period_income_to_line")]
    matrix = replace(matrix, values=matrix.values.copy())
    matrix.values[:, same] = np.nan
    plans = plan_policies(matrix, none, dict.fromkeys(scores, flat), model_share=0.2)
    for policy in ("rules", "rules+model"):
        assert np.allclose(plans[policy].selection(40), 40 / len(matrix))


def test_no_full_order_where_it_depends_on_capacity(judged):
    matrix, hits, scores = judged
    plans = plan_policies(matrix, hits, scores, model_share=0.2)
    assert plans["rules+model"].score is None
    assert plans["rules"].risk is None
    assert plans["random"].risk is None


def test_true_risk_is_joined_at_the_horizon_or_left_out():
    day = date(2021, 6, 30)
    index = pl.DataFrame({"household_id": ["b", "a"], "as_of_date": [day, day]})
    oracle = pl.DataFrame(
        {
            "household_id": ["a", "a", "b", "b"],
            "as_of_date": [day] * 4,
            "horizon_months": [6, 12, 6, 12],
            "risk": [0.1, 0.2, 0.3, 0.4],
        }
    )
    assert true_risk(oracle, index, 12).tolist() == [0.4, 0.2]
    assert true_risk(oracle, index, 3) is None
    assert true_risk(oracle.filter(pl.col("household_id") == "a"), index, 12) is None
