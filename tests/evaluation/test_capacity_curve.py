"""The capacity curve adds up to what the list finds, and its intervals are of each step."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.evaluation.capacity_curve import STEPS, capacity_curve
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.plans import VisitPlan


def judged(n: int, seed: int, *, is_perfect: bool = False) -> JudgedOrigin:
    rng = np.random.default_rng(seed)
    outcome = (rng.random(n) < 0.1).astype(float)
    score = outcome + (0.0 if is_perfect else 1.0) * rng.random(n)
    index = pl.DataFrame(
        {"household_id": [f"h{i}" for i in range(n)], "village_code": [f"v{i % 40}" for i in range(n)]}
    )
    plans = {
        name: VisitPlan.by_score(name, each) for name, each in (("rules+model", score), ("rules", score))
    }
    return JudgedOrigin(date(2023, 6, 30), index, outcome, np.full(n, np.nan), 0, plans)


def test_the_steps_add_up_to_what_is_found_at_the_largest_capacity():
    origins = [judged(800, 1), judged(700, 2)]
    curve = capacity_curve(origins, "village_code", 200, 3).filter(policy="rules+model")
    assert curve["capacity"].to_list() == list(STEPS)
    assert curve["further_visits"].sum() == curve["visits"][-1]
    added = (curve["per_100_further"] * curve["further_visits"] / 100).sum()
    assert added == pytest.approx(curve["found"][-1])
    gains = origins[0].plans["rules"].found(origins[0].plans["rules"].gains(origins[0].outcome), 8)
    more = origins[1].plans["rules"].found(origins[1].plans["rules"].gains(origins[1].outcome), 7)
    assert curve["found"][0] == pytest.approx(float(gains[0] + more[0]))
    inside = curve.select(
        (pl.col("per_100_further_low") <= pl.col("per_100_further"))
        & (pl.col("per_100_further") <= pl.col("per_100_further_high"))
    ).to_series()
    assert inside.all()


def test_further_visits_of_a_perfect_list_find_everybody_and_then_nobody():
    origin = judged(1000, 5, is_perfect=True)
    curve = capacity_curve([origin], "village_code", 0, 0).filter(policy="rules")
    events = origin.outcome.sum()
    assert (curve.filter(pl.col("visits") <= events)["per_100_further"] == 100.0).all()
    assert curve["per_100_further"][-1] == 0.0
    assert curve["per_100_further_low"].null_count() == curve.height


def test_a_step_that_adds_no_visit_is_left_out():
    curve = capacity_curve([judged(30, 1)], "village_code", 0, 0)
    assert (curve["further_visits"] > 0).all()
    assert curve.height < 2 * len(STEPS)
