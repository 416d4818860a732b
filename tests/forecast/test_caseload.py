"""Caseload forecasts: coherent, whole numbers, repeatable, covering; short histories and plain refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.forecast.area import gather
from relapse_risk.forecast.caseload import ForecastSettings, HouseholdRisks, forecast_caseload
from relapse_risk.forecast.history import CaseHistory
from relapse_risk.forecast.paths import Spread, sample_paths
from relapse_risk.forecast.reconcile import reconcile_tree
from relapse_risk.outputs.write_forecast import leaving_table
from relapse_risk.windows import month_index

DAY = date(2023, 12, 31)


def history(
    months: int, villages: int = 6, per_township: int = 3, rate: float = 0.8, county: str = "13"
) -> CaseHistory:
    """Monthly reports of 50 households a village; the first village never had a case."""
    counts = np.random.default_rng(5).poisson(rate, (villages, months)).astype(np.int64)
    counts[0] = 0
    places = pl.DataFrame(
        {
            "county_code": [county] * villages,
            "township_code": [f"{county}{i // per_township:02}" for i in range(villages)],
            "village_code": [f"{county}{i // per_township:02}{i:03}" for i in range(villages)],
        }
    )
    return CaseHistory(
        DAY,
        places,
        month_index(DAY) - months + 1,
        counts,
        np.full((villages, months), 50),
        counts // 2,
        counts // 3,
        np.full(villages, 4),
        np.full(villages, 2),
        0.2,
        0.03,
        1.0,
    )


def test_paths_and_means_add_up_exactly_at_every_level() -> None:
    made = gather(
        [forecast_caseload(history(60, county=code), ForecastSettings(draws=300)) for code in ("13", "14")]
    )
    keys = ["quantity", "month"]
    table = made.table.filter(pl.col("quantity") != "visits")
    sums = {
        level: table.filter(pl.col("level") == level).group_by(keys).agg(pl.col("mean").sum()).sort(keys)
        for level in ("province", "county", "township", "village")
    }
    for level in ("county", "township", "village"):
        np.testing.assert_allclose(sums[level]["mean"], sums["province"]["mean"], rtol=1e-12)


def test_stock_is_what_it_was_plus_entries_less_clearances_and_never_negative() -> None:
    past = history(60)
    paths = forecast_caseload(past, ForecastSettings(draws=300)).paths
    moved = paths["entries"].cumsum(axis=2) - paths["clearances"].cumsum(axis=2)
    np.testing.assert_array_equal(paths["stock"], past.stock[None, :, None] + moved)
    assert min(int(part.min()) for part in paths.values()) >= 0
    assert all(np.issubdtype(part.dtype, np.integer) for part in paths.values())


def test_same_seed_same_paths_whatever_other_counties_are_forecast() -> None:
    one = forecast_caseload(history(60), ForecastSettings(draws=300, seed=3)).paths["relapses"]
    again = forecast_caseload(history(60), ForecastSettings(draws=300, seed=3)).paths["relapses"]
    other = forecast_caseload(history(60), ForecastSettings(draws=300, seed=4)).paths["relapses"]
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_mean_of_paths_is_the_mean_asked_for_and_its_spread_wider_than_chance() -> None:
    mean = np.full((40, 12), 0.5)
    paths = sample_paths(mean, Spread(0.3, 2.0, 5.0), "13", 4000, 0)
    totals = paths.sum(axis=(1, 2))
    assert totals.mean() == pytest.approx(240, rel=0.03)
    assert totals.std() > 2 * np.sqrt(240)


@pytest.mark.parametrize(("months", "villages"), [(1, 1), (3, 2), (12, 1), (24, 6)])
def test_short_histories_give_finite_tables_and_say_so(months: int, villages: int) -> None:
    made = forecast_caseload(history(months, villages), ForecastSettings(draws=200))
    for level in ("village", "township", "county"):
        table = made.table(level)
        assert table.drop("month").null_count().sum_horizontal().item() == 0
        assert table["mean"].is_finite().all()
    assert bool(made.notes) == (months < 24)


def test_a_sudden_rise_is_warned_of_within_two_months_and_usual_months_are_not() -> None:
    past = history(60)
    assert not any("预警" in note.zh for note in forecast_caseload(past, ForecastSettings(draws=300)).notes)
    counts = past.relapses.copy()
    counts[:, -2:] = 4 * counts[:, -2:] + 1
    made = forecast_caseload(replace(past, relapses=counts), ForecastSettings(draws=300))
    assert any(note.zh.startswith("预警：2023-11") for note in made.notes)


def test_household_risks_move_the_mean() -> None:
    past = history(60)
    village = np.repeat(np.arange(6), 40)
    high = HouseholdRisks(np.tile([0.2, 0.4, 0.6], (240, 1)), (3, 6, 12), village)
    low = HouseholdRisks(high.risk / 20, (3, 6, 12), village)
    sums = [
        forecast_caseload(past, ForecastSettings(draws=400), risks).paths["relapses"].sum()
        for risks in (high, low)
    ]
    assert sums[0] > 1.3 * sums[1]


def test_a_horizon_beyond_a_year_is_refused_in_both_languages() -> None:
    with pytest.raises(ConfigurationError, match=r"RR261[\s\S]*个月"):
        ForecastSettings(months=13)


def test_reconciliation_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(2)
    town = np.array([0, 0, 1, 1, 1])
    base = rng.uniform(5, 9, 5), rng.uniform(10, 30, 2), rng.uniform(30, 40, 1)
    variance = rng.uniform(1, 3, 5), rng.uniform(1, 3, 2), rng.uniform(1, 3, 1)
    sums = np.vstack([np.eye(5), np.eye(2)[:, town], np.ones((1, 5))])
    weight = np.diag(1 / np.concatenate(variance))
    wanted = np.linalg.solve(sums.T @ weight @ sums, sums.T @ weight @ np.concatenate(base))
    found = reconcile_tree(base[0][:, None], base[1][:, None], base[2], variance, town)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-9)


def test_what_leaves_the_county_hides_small_counts_and_what_gives_them_away() -> None:
    ranked = pl.DataFrame(
        {
            "rank": [1, 2, 3],
            "county_code": ["13"] * 3,
            "township_code": ["1301", "1302", "1303"],
            "cases": [30, 20, 2],
            "low80": [20, 10, 0],
            "high80": [40, 30, 4],
            "monitors": [5, 5, 5],
            "cases_per_monitor": [6.0, 4.0, 0.4],
        }
    )
    shown = leaving_table(ranked).filter(pl.col("township_code").is_not_null())
    assert shown.filter(pl.col("township_code") == "1303")["cases"].item() == "*"
    assert (shown["cases"] == "*").sum() == 2
    assert (shown["high80"] == "*").sum() == 2
