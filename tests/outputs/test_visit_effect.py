"""What being listed changed, where who was listed was a matter of chance."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.outputs.issued import lottery_ledger
from relapse_risk.outputs.visit_effect import estimate_visit_effect, lottery_outcomes
from relapse_risk.panel.panel import Panel


def drawn(rng: np.random.Generator, n: int, effect: float) -> pl.DataFrame:
    """Households of high and low risk, the first drawn more often, as over lists with other shares."""
    is_high = rng.random(n) < 0.5
    probability = np.where(is_high, 0.7, 0.4)
    is_listed = rng.random(n) < probability
    risk = np.where(is_high, 0.4, 0.15) + effect * is_listed
    return pl.DataFrame(
        {
            "household_id": [f"H{i}" for i in range(n)],
            "is_listed": is_listed,
            "probability": probability,
            "was_visited": is_listed & (rng.random(n) < 0.8),
            "relapse_12m": (rng.random(n) < risk).astype(float),
        }
    )


@pytest.mark.parametrize("effect", [0.0, -0.1])
def test_the_difference_is_found_without_bias_and_the_interval_holds_it(effect: float) -> None:
    rng = np.random.default_rng(4)
    found = pl.concat(estimate_visit_effect(drawn(rng, 300, effect), [12]) for _ in range(400))
    spread = float(found["difference"].std()) / 20
    assert abs(float(found["difference"].mean()) - effect) < 4 * spread
    covered = (found["low"] <= effect) & (effect <= found["high"])
    assert 0.92 <= covered.mean() <= 0.99


def test_a_plain_comparison_would_have_been_wrong() -> None:
    """Those at higher risk are listed more often; without weights listing would seem to do harm."""
    many = drawn(np.random.default_rng(1), 20000, 0.0)
    share = {is_listed: part["relapse_12m"].mean() for (is_listed,), part in many.group_by("is_listed")}
    assert share[True] - share[False] > 0.05
    assert abs(estimate_visit_effect(many, [12])["difference"][0]) < 0.02


def test_no_relapse_in_either_group_still_leaves_doubt() -> None:
    few = drawn(np.random.default_rng(1), 40, 0.0).with_columns(relapse_12m=pl.lit(0.0))
    row = estimate_visit_effect(few, [12]).row(0, named=True)
    assert row["difference"] == 0
    assert row["low"] < -0.1 < 0.1 < row["high"]


def test_a_household_that_took_part_twice_tells_no_more_than_once() -> None:
    once = drawn(np.random.default_rng(1), 200, 0.0)
    one, two = (estimate_visit_effect(rows, [12]) for rows in (once, pl.concat([once, once])))
    assert one.select("difference", "low", "high").rows()[0] == pytest.approx(
        two.select("difference", "low", "high").rows()[0]
    )


def test_what_is_not_observed_yet_is_left_out_and_an_empty_group_gives_nothing() -> None:
    rows = drawn(np.random.default_rng(1), 40, 0.0)
    unseen = rows.with_columns(relapse_12m=pl.when("is_listed").then(float("nan")).otherwise("relapse_12m"))
    row = estimate_visit_effect(unseen, [12]).row(0, named=True)
    assert (row["households"], row["listed"]) == (40, 0)
    assert row["difference"] is None


def test_outcomes_are_read_after_the_list_and_of_households_at_risk(make_list, panel) -> None:
    found_need = panel.tables["visit"].with_columns(outcome=pl.lit("属实"))
    panel = Panel({**panel.tables, "visit": found_need})
    made = make_list(40, lottery_share=0.3)
    ledger = lottery_ledger(made).with_columns(
        as_of_date=pl.lit(date(2023, 12, 31)), expires_on=pl.lit(date(2024, 3, 31))
    )
    known_on = date(2024, 6, 30)
    found = lottery_outcomes(ledger, panel, LabelConfig(), CohortConfig(), known_on, (3, 12))
    assert 0 < found.height <= ledger.height
    assert set(found["household_id"]) <= set(ledger["household_id"])
    assert found["relapse_3m"].is_not_nan().any()
    assert (found["relapse_12m"].is_nan() | (found["relapse_12m"] == 1)).all(), (
        "a window counts before its end"
    )
    visits = panel.tables["visit"].filter(pl.col("visited_on") == date(2024, 3, 4))["household_id"]
    visited = set(found.filter("was_visited")["household_id"])
    assert visited == set(found["household_id"]) & set(visits)
    assert visited
    asked = LabelConfig(verified_need=True)
    assert found.equals(lottery_outcomes(ledger, panel, asked, CohortConfig(), known_on, (3, 12)))
    assert lottery_outcomes(ledger.clear(), panel, LabelConfig(), CohortConfig(), known_on, (3,)).is_empty()
