"""Scores of forecasts: known values, and uniform where the forecast is right."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from relapse_risk.forecast.backtest import (
    crps,
    interval_coverage,
    paired,
    pooled,
    randomised_pit,
    score_horizons,
    score_paths,
)


def test_crps_is_the_mean_distance_less_half_the_mean_spread() -> None:
    draws = np.random.default_rng(0).poisson(3.0, (50, 2))
    actual = np.array([1.0, 6.0])
    apart = np.abs(draws[:, None] - draws[None]).mean(axis=(0, 1))
    wanted = np.abs(draws - actual).mean(axis=0) - apart / 2
    np.testing.assert_allclose(crps(draws, actual), wanted)


def test_coverage_is_the_mean_of_the_randomised_pit_and_of_reporting_months_alone() -> None:
    rng = np.random.default_rng(2)
    paths, actual = rng.poisson(1.0, (400, 8, 6)), rng.poisson(1.5, (8, 6)).astype(float)
    pits = np.stack([randomised_pit(paths, actual, rng) for _ in range(2_000)])
    wanted = ((pits >= 0.1) & (pits <= 0.9)).mean(axis=0)
    np.testing.assert_allclose(interval_coverage(paths, actual, 80), wanted, atol=0.05)
    reported = np.zeros((8, 6), dtype=bool)
    reported[:, 2] = True
    found = score_paths(paths, actual, np.ones(8), reported)["coverage80"]
    assert found == pytest.approx(interval_coverage(paths, actual, 80)[:, 2].mean())


def test_intervals_of_the_true_distribution_cover_what_they_say_even_for_sparse_counts() -> None:
    rng = np.random.default_rng(1)
    actual = rng.poisson(0.2, (60, 12)).astype(float)
    paths = rng.poisson(0.2, (800, 60, 12))
    scores = score_paths(paths, actual, np.ones(60))
    for share in (50, 80, 95):
        assert scores[f"coverage{share}"] == pytest.approx(share / 100, abs=0.05)
    assert randomised_pit(paths, actual, rng).mean() == pytest.approx(0.5, abs=0.04)


def test_scores_come_by_horizon_and_for_the_sum_and_are_pooled_by_them() -> None:
    rng = np.random.default_rng(3)
    paths, actual = rng.poisson(2.0, (300, 4, 12)), rng.poisson(2.0, (4, 12)).astype(float)
    found = list(score_horizons(paths, actual, np.ones(4), np.ones((4, 12), dtype=bool)))
    assert [record["horizon"] for record in found] == ["1-3", "4-6", "7-12", "1-12", "sum"]
    assert found[1]["crps"] == pytest.approx(crps(paths[:, :, 3:6], actual[:, 3:6]).mean())
    keys = {"series": "s", "level": "county", "forecast": "f", "county": 1, "origin": "2022"}
    table = pooled(pl.DataFrame([{**keys, **record} for record in found]))
    assert table.filter(horizon="sum")["mean_to_came"].item() == pytest.approx(
        paths.mean(axis=0).sum() / actual.sum()
    )


def test_a_forecast_is_worse_only_where_the_interval_over_counties_says_so() -> None:
    rows = [
        {"series": "s", "county": county, "origin": origin, "level": "county", "horizon": horizon,
         "forecast": name, "crps": crps_of}
        for horizon, luck in (("1-3", 0.0), ("4-6", 3.0))
        for county in range(4)
        for origin in ("2022", "2023")
        for name, crps_of in (("ours", 2.0 + luck * (-1) ** county), ("naive", 1.0))
    ]  # fmt: skip
    found = paired(pl.DataFrame(rows), "ours", "naive")
    assert found["difference"].to_list() == [1.0, 1.0]
    assert found["is_worse"].to_list() == [True, False]
    assert found["counties"].to_list() == [4, 4]
