from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from relapse_risk.evaluation.plans import ALERTS, FIRST, MIDDLE, VisitPlan


def make_plan(n=200, seed=0, alert_share=0.2, streams=(FIRST, MIDDLE, ALERTS), p=(0.15, 0.2, 0.65)):
    rng = np.random.default_rng(seed)
    stream = rng.choice(np.array(streams, dtype=np.int8), n, p=p)
    return VisitPlan("some", np.round(rng.random(n), 1), stream, alert_share)


def outcomes(n=200, seed=1):
    return (np.random.default_rng(seed).random(n) < 0.2).astype(float)


@pytest.mark.parametrize("visits", [0, 1, 7, 29, 50, 120, 199, 200])
@pytest.mark.parametrize("alert_share", [0.0, 0.2, 1.0])
def test_a_plan_spends_exactly_its_visits(visits, alert_share):
    plan = make_plan(alert_share=alert_share)
    chance = plan.selection(visits)
    assert chance.sum() == pytest.approx(visits)
    assert chance.min() >= 0
    assert chance.max() <= 1 + 1e-12
    found = plan.found(plan.gains(outcomes()), visits)
    assert found[0] == pytest.approx(chance @ outcomes())


def test_what_comes_first_is_visited_before_any_score():
    plan = make_plan()
    first = plan.stream == FIRST
    few = plan.selection(int(first.sum()) - 5)
    assert few[~first].sum() == 0
    more = plan.selection(int(first.sum()) + 20)
    assert more[first].min() == 1.0


def test_the_share_kept_for_alerts_is_of_all_visits():
    plan = make_plan()
    first, middle = (plan.stream == FIRST).sum(), (plan.stream == MIDDLE).sum()
    visits = int(first + middle)
    chance = plan.selection(visits)
    assert chance[plan.stream == ALERTS].sum() == pytest.approx(np.floor(0.2 * visits + 0.5))
    assert chance[plan.stream == MIDDLE].sum() == pytest.approx(middle - np.floor(0.2 * visits + 0.5))


@pytest.mark.parametrize("visits", [10, 29, 60, 120, 200])
def test_the_audit_sample_is_charged_and_drawn_from_whom_nobody_chose(visits):
    plan = replace(make_plan(), audit_share=0.1)
    chance, without = plan.selection(visits), make_plan().selection(visits)
    assert chance.sum() == pytest.approx(visits)
    assert chance @ outcomes() == pytest.approx(plan.found(plan.gains(outcomes()), visits)[0])
    assert chance.max() <= 1 + 1e-12
    if visits < 200:
        unchosen = (plan.stream == ALERTS) & (without == 0)
        assert len(np.unique(chance[unchosen].round(12))) == 1
        assert (chance[unchosen] > 0).all()
        assert (chance[plan.stream != ALERTS] <= without[plan.stream != ALERTS] + 1e-12).all()


def test_either_stream_takes_what_the_other_leaves():
    no_alerts = make_plan(streams=(FIRST, MIDDLE), p=(0.2, 0.8))
    assert no_alerts.selection(100).sum() == pytest.approx(100)
    no_middle = make_plan(streams=(FIRST, ALERTS), p=(0.2, 0.8))
    assert no_middle.selection(100).sum() == pytest.approx(100)


def test_a_replicate_with_every_row_twice_finds_twice_as_much():
    plan, outcome = make_plan(), outcomes()
    weights = np.stack([np.ones(200), np.full(200, 2.0)])
    once, twice = plan.found(plan.gains(outcome, weights), 60)
    assert twice == pytest.approx(2 * once)


def test_a_score_orders_and_ties_share():
    plan = VisitPlan.by_score("some", np.array([0.3, 0.9, 0.3, 0.1]))
    assert plan.selection(2).tolist() == [0.5, 1.0, 0.5, 0.0]


def test_a_plan_of_nobody_visits_nobody():
    plan = VisitPlan.by_score("some", np.zeros(0))
    assert plan.selection(0).sum() == 0
    assert plan.found(plan.gains(np.zeros(0)), 0)[0] == 0
