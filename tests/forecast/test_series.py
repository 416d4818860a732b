"""Time-series models: equal to those of statsforecast, and sensible on little data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.forecast.series import (
    MODELS,
    at_present,
    season_of,
    seasonal_naive,
    smoothed_level,
    tsb_level,
)

# Written by statsforecast 2.0.3 (scipy 1.15.3, pandas 3.1.1) on Poisson draws of np.random.default_rng(7):
# TSB(0.1, 0.1), SimpleExponentialSmoothing(0.1) and SeasonalNaive(12), the forecast one month ahead.
REFERENCE = pl.read_csv(Path(__file__).with_name("statsforecast_2.0.3.csv"))
COUNTS = REFERENCE.select(pl.col("^y\\d+$")).to_numpy().astype(float)


def test_models_give_what_statsforecast_gives() -> None:
    np.testing.assert_allclose(tsb_level(COUNTS, 0.1, 0.1), REFERENCE["tsb_0.1_0.1"], rtol=1e-9)
    np.testing.assert_allclose(smoothed_level(COUNTS, 0.1)[0], REFERENCE["ses_0.1"], rtol=1e-9)
    naive = seasonal_naive(COUNTS, np.ones(12), 0, 1)[:, 0]
    np.testing.assert_allclose(naive, REFERENCE["seasonal_naive_12_h1"])


@pytest.mark.parametrize("months", [1, 5, 12, 40])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_is_finite_and_never_negative_on_any_history(model: str, months: int) -> None:
    counts = np.vstack([np.zeros(months), np.random.default_rng(1).poisson(2.0, (3, months))])
    season = season_of(counts.sum(axis=0), np.ones(months), 3)
    found = MODELS[model](counts, season, 3, 14)
    assert found.shape == (4, 14)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_a_village_without_a_case_is_not_given_a_risk_of_zero() -> None:
    counts = np.vstack([np.zeros(36), np.full(36, 1.0)])
    never = MODELS["poisson"](counts, np.ones(12), 0, 12)[0].sum()
    assert 0.5 < never < 8


def test_quarterly_reports_give_a_season_of_quarters() -> None:
    exposed = np.tile([0.0, 0.0, 100.0], 12)
    season = season_of(np.tile([0.0, 0.0, 6.0], 12), exposed, 0)
    np.testing.assert_allclose(season, np.tile([0.0, 0.0, 3.0], 4))


def test_a_panel_that_doubles_is_scaled_and_a_gap_is_filled_from_the_same_months() -> None:
    exposed = np.repeat([100.0, 100.0, 200.0], 4)[None]
    counts = exposed * np.tile([0.1, 0.2, 0.1, 0.3], 3)
    gaps = np.zeros(12, dtype=bool)
    gaps[5] = True
    counts[:, 5] = 0
    found, present = at_present(counts, exposed, gaps, 4)
    np.testing.assert_allclose(found[0], np.tile([20.0, 40.0, 20.0, 60.0], 3))
    np.testing.assert_allclose(present, 200.0)
