"""What came back says how good a list was, and the audit sample how many it missed, with honest intervals."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from relapse_risk.outputs.list_quality import estimate_missed, exact_interval, precision_of_lists


def results(outcomes: list[str | None], **given: object) -> pl.DataFrame:
    n = len(outcomes)
    columns = {
        "list_id": "L1",
        "rank": list(range(1, n + 1)),
        "household_id": [f"H{i}" for i in range(n)],
        "as_of_date": date(2024, 6, 30),
        "county_code": "130127",
        "tier": "红",
        "basis": "规则触发",
        "risk_score": 99.0,
        "is_listed": True,
        "is_audit": False,
        "unit": "130127",
        "inclusion_probability": None,
        "audit_pool_n": 100,
        **given,
    }
    cells = {name: v if isinstance(v, list) else [v] * n for name, v in columns.items()}
    return pl.DataFrame({**cells, "outcome": outcomes}, schema_overrides={"outcome": pl.String})


def test_found_over_verified_by_tier_origin_and_band() -> None:
    """Not met and not returned are in neither; partly confirmed is found; waiting rows are not the list."""
    frame = pl.concat(
        [
            results(["属实", "部分属实", "不属实", "外出", None]),
            results(["不属实", "属实"], tier="蓝", basis="模型预警", risk_score=[85.0, 20.0]),
            results(["属实"], is_listed=False),
        ]
    )
    table = precision_of_lists(frame)
    rows = {(row["by"], row["group"]): row for row in table.to_dicts()}
    red = rows["tier", "红"]
    assert (red["listed"], red["verified"], red["found"], red["not_met"]) == (5, 3, 2, 1)
    assert red["precision"] == pytest.approx(2 / 3)
    assert rows["origin", "模型预警"]["verified"] == 2
    assert rows["score_band", "80-90"]["found"] == 0
    assert rows["score_band", "0-50"]["found"] == 1


def test_the_audit_sample_is_an_origin_of_its_own() -> None:
    frame = results(["不属实"], is_audit=True, basis="例行走访", inclusion_probability=0.1)
    assert precision_of_lists(frame).filter(pl.col("by") == "origin")["group"].to_list() == ["audit"]


def test_groups_without_a_verified_visit_have_no_precision() -> None:
    row = precision_of_lists(results([None, "未见到户"])).row(0, named=True)
    assert (row["precision"], row["low"], row["high"]) == (None, None, None)


@pytest.mark.parametrize("share", [0.0, 0.03, 0.4, 0.97, 1.0])
def test_exact_intervals_cover_at_least_as_often_as_they_say(share: float) -> None:
    n = 25
    counts = np.arange(n + 1)
    low, high = exact_interval(counts, np.full(n + 1, n), 0.9)
    covers = (low <= share) & (share <= high)
    assert binom.pmf(counts[covers], n, share).sum() >= 0.9


def audit(
    found: int, verified: int, away: int = 0, pool: int = 400, drawn: int | None = None
) -> pl.DataFrame:
    n = drawn or verified + away
    outcomes = ["属实"] * found + ["不属实"] * (verified - found) + ["外出"] * away
    given = {"is_audit": True, "inclusion_probability": n / pool, "audit_pool_n": pool, "basis": "例行走访"}
    return results([*outcomes], **given)


def test_missed_is_the_share_found_times_the_pool() -> None:
    row = estimate_missed(audit(found=4, verified=40, away=10)).row(0, named=True)
    assert (row["pool"], row["drawn"], row["verified"], row["found"]) == (400, 50, 40, 4)
    assert row["missed"] == pytest.approx(40)
    assert 4 <= row["low"] < 40 < row["high"] < 400


def test_a_sample_without_a_case_bounds_what_was_missed() -> None:
    """Exactly: one case more in the pool would have been seen by more than 95 samples in a hundred."""
    row = estimate_missed(audit(found=0, verified=30)).row(0, named=True)
    assert (row["missed"], row["low"]) == (0.0, 0.0)
    bound = int(row["high"])

    def unseen(cases: int) -> float:
        left = [(400 - cases - i) / (400 - i) for i in range(30)]
        return float(np.prod(left))

    assert unseen(bound) >= 0.05 > unseen(bound + 1)


def test_units_drawn_with_other_probabilities_weigh_by_their_pools() -> None:
    """Worked by hand: 1 in 10 of 100 and 4 in 8 of 40 are 10 and 20 households."""
    small, large = audit(found=4, verified=8, pool=40), audit(found=1, verified=10, pool=100)
    both = pl.concat([small, large.with_columns(unit=pl.lit("team"))])
    row = estimate_missed(both).row(0, named=True)
    assert (row["pool"], row["drawn"], row["found"]) == (140, 18, 5)
    assert row["missed"] == pytest.approx(30)
    assert 5 <= row["low"] < 30 < row["high"] < 140


def test_the_bound_without_a_case_holds_wherever_the_cases_lie() -> None:
    """The worst place is the unit that was looked at least: one visit in a pool of 200 bounds little."""
    both = pl.concat([audit(found=0, verified=30, pool=60), audit(found=0, verified=1, pool=200)])
    units = ["a"] * 30 + ["b"]
    row = estimate_missed(both.with_columns(unit=pl.Series(units))).row(0, named=True)
    cases = np.arange(200)
    alone = cases[(1 - cases / 200) >= 0.05].max()
    assert row["high"] == alone


def test_a_unit_where_nobody_was_met_is_taken_to_be_like_the_others() -> None:
    away = audit(found=0, verified=0, away=3, pool=100).with_columns(unit=pl.lit("far"))
    row = estimate_missed(pl.concat([audit(found=4, verified=40), away])).row(0, named=True)
    assert row["pool"] == 500
    assert row["missed"] == pytest.approx(50)


def test_a_sample_of_which_nothing_came_back_says_nothing() -> None:
    row = estimate_missed(audit(found=0, verified=0, away=3)).row(0, named=True)
    assert (row["missed"], row["low"], row["high"]) == (None, None, None)


def test_the_interval_covers_the_truth_in_repeated_samples() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros(400, dtype=int)
    truth[:60] = 1
    covered = 0
    for _ in range(300):
        found = int(truth[rng.choice(400, 80, replace=False)].sum())
        row = estimate_missed(audit(found=found, verified=80)).row(0, named=True)
        covered += row["low"] <= 60 <= row["high"]
    assert covered >= 0.91 * 300
