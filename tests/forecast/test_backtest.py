"""Scores of forecasts: known values, and uniform where the forecast is right."""

from __future__ import annotations

import numpy as np
import pytest

from relapse_risk.forecast.backtest import crps, randomised_pit, score_paths


def test_crps_is_the_mean_distance_less_half_the_mean_spread() -> None:
    draws = np.random.default_rng(0).poisson(3.0, (50, 2))
    actual = np.array([1.0, 6.0])
    apart = np.abs(draws[:, None] - draws[None]).mean(axis=(0, 1))
    wanted = np.abs(draws - actual).mean(axis=0) - apart / 2
    np.testing.assert_allclose(crps(draws, actual), wanted)


def test_intervals_of_the_true_distribution_cover_what_they_say_even_for_sparse_counts() -> None:
    rng = np.random.default_rng(1)
    actual = rng.poisson(0.2, (60, 12)).astype(float)
    paths = rng.poisson(0.2, (800, 60, 12))
    scores = score_paths(paths, actual, np.ones(60), rng)
    for share in (50, 80, 95):
        assert scores[f"coverage{share}"] == pytest.approx(share / 100, abs=0.05)
    assert randomised_pit(paths, actual, rng).mean() == pytest.approx(0.5, abs=0.04)
