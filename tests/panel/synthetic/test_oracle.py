"""The oracle: calibrated decile by decile, and better than whatever else ranks households."""

from __future__ import annotations

import numpy as np
import pytest

from relapse_risk.evaluation.metrics import brier, roc_auc
from relapse_risk.panel.synthetic import Scenario
from relapse_risk.panel.synthetic.parameters import FarmConfig, WorkConfig
from relapse_risk.panel.synthetic.population import draw_population
from relapse_risk.panel.synthetic.state import first_state, is_failing
from relapse_risk.panel.synthetic.step import step
from relapse_risk.panel.synthetic.truth import simulate_risk
from relapse_risk.panel.synthetic.world import World

N, PATHS, YEARS_AHEAD = 4000, 200, 12


@pytest.fixture(scope="module")
def judged() -> dict[str, np.ndarray]:
    """Risks drawn twice, what came of it, and income over the line, for households that do not fail.

    Without shocks that strike many households at once, so that households are independent.
    """
    scenario = Scenario(
        farm=FarmConfig(price_sd=0.0, collapse_rate=0.0, disaster_rate=0.0), work=WorkConfig(factory_rate=0.0)
    )
    world = World(draw_population(N, scenario, np.random.default_rng(3)), scenario)
    rng = np.random.default_rng(4)
    origin = world.start + 11
    state = first_state(world, world.start - 49, rng)
    for month in range(world.start - 48, origin + 1):
        step(state, world, month, rng)
    risk, again = (simulate_risk(state, world, origin, (12,), PATHS, (seed,))[0] for seed in (5, 6))
    at_risk = (state.n_person[0] > 0) & ~is_failing(state, world, origin)[0]
    ratio = state.trailing[0] / np.maximum(state.n_person[0], 1)
    fails = np.zeros(world.population.n, bool)
    for month in range(origin + 1, origin + 13):
        step(state, world, month, rng)
        if (month + 1) % 3 == 0:
            fails |= is_failing(state, world, month)[0]
    columns = {"risk": risk, "again": again, "event": fails, "ratio": ratio}
    columns |= {"frailty": world.population.frailty, "labour": world.population.labour_n}
    return {name: values[at_risk] for name, values in columns.items()}


def test_mean_risk_is_the_event_rate_in_every_decile(judged: dict[str, np.ndarray]) -> None:
    """Deciles are formed by one draw of the risks and judged by another, or chance would sort them."""
    order = np.argsort(judged["again"], kind="stable")
    for rows in np.array_split(order, 10):
        risk, event = judged["risk"][rows], judged["event"][rows]
        spread = np.sqrt((risk * (1 - risk)).sum() * (1 + 1 / PATHS) + 1)
        assert abs(event.sum() - risk.sum()) < 3.5 * spread
    total, expected = judged["event"].sum(), judged["risk"].sum()
    assert abs(total - expected) < 3 * np.sqrt(expected)


def test_nothing_else_ranks_or_predicts_as_well(judged: dict[str, np.ndarray]) -> None:
    event = judged["event"].astype(float)
    oracle = roc_auc(event, judged["risk"])
    for other in (-judged["ratio"], judged["frailty"], -judged["labour"].astype(float)):
        assert roc_auc(event, other) + 0.02 < oracle
    assert oracle < 0.95
    base = np.full(len(event), event.mean())
    assert brier(event, judged["risk"]) < brier(event, base)


def test_hidden_frailty_tells_who_is_struck(judged: dict[str, np.ndarray]) -> None:
    assert roc_auc(judged["event"].astype(float), judged["frailty"]) > 0.55
