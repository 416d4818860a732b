"""Calibration: hazards come right on the later window, order and coherence stay."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relapse_risk.modeling.calibrate import IntervalCalibration, reliability_table
from relapse_risk.modeling.intervals import log_odds, person_intervals, risk_from_margins, sigmoid

ENDS = (3, 6, 12)


@pytest.fixture(scope="module")
def margins(hazard_data) -> np.ndarray:
    """Margins that are too steep and far too low: true log-odds, doubled and shifted."""
    risk = hazard_data.risk
    free = np.column_stack([np.ones(len(risk)), 1 - risk[:, :-1]])
    hazard = np.diff(np.column_stack([np.zeros(len(risk)), risk]), axis=1) / free
    return 2.0 * log_odds(hazard) - 1.5


@pytest.mark.parametrize("method", ["level", "sigmoid", "beta", "isotonic"])
def test_expected_events_equal_those_seen_in_every_interval(hazard_data, margins, method: str) -> None:
    months = hazard_data.event_month, hazard_data.observed_months
    calibration = IntervalCalibration.learn(margins, *months, ENDS, method)
    at_risk, event = person_intervals(*months, ENDS)
    hazard = sigmoid(calibration.apply(margins))
    for k in range(3):
        assert at_risk[:, k] @ hazard[:, k] == pytest.approx(event[:, k].sum(), rel=1e-3)
    risk = risk_from_margins(calibration.apply(margins))
    assert np.abs(risk - hazard_data.risk).mean() < (0.06 if method == "level" else 0.01)
    assert (np.diff(risk, axis=1) >= 0).all()


def test_the_sigmoid_finds_the_slope_and_order_is_kept(hazard_data, margins) -> None:
    months = hazard_data.event_month, hazard_data.observed_months
    calibration = IntervalCalibration.learn(margins, *months, ENDS, "sigmoid")
    for each in calibration.maps:
        assert each.slope == pytest.approx(0.5, abs=0.06)
        assert each.intercept == pytest.approx(0.75, abs=0.3)
    grid = np.tile(np.linspace(-20, 5, 500)[:, None], 3)
    assert (np.diff(calibration.apply(grid), axis=0) > 0).all()


def test_few_events_move_the_slope_little_and_many_all_the_way() -> None:
    rng = np.random.default_rng(5)
    slopes = []
    for n in (300, 30_000):
        margin = rng.normal(-2.5, 1.0, size=(n, 1))
        event = np.where(rng.random(n) < sigmoid(0.5 * margin[:, 0] - 1.0), 12.0, np.nan)
        learnt = IntervalCalibration.learn(margin, event, np.full(n, 12.0), (12,), "sigmoid")
        slopes.append(learnt.maps[0].slope)
    assert slopes[1] == pytest.approx(0.5, abs=0.1)
    assert slopes[1] + 0.1 < slopes[0] < 1.0


def test_an_inverted_score_gets_its_level_only(hazard_data, margins) -> None:
    months = hazard_data.event_month, hazard_data.observed_months
    calibration = IntervalCalibration.learn(-margins, *months, ENDS, "sigmoid")
    assert [each.slope for each in calibration.maps] == [1.0] * 3


@pytest.mark.parametrize("method", ["sigmoid", "beta", "isotonic"])
@pytest.mark.parametrize(("n_events", "expected"), [(0, 0.5), (4, 4.0)])
def test_few_events_shift_the_level_only(method: str, n_events: int, expected: float) -> None:
    margin = np.random.default_rng(0).normal(-3, 1, size=(400, 1))
    event = np.full(400, np.nan)
    event[:n_events] = 12.0
    calibration = IntervalCalibration.learn(margin, event, np.full(400, 12.0), (12,), method)
    assert calibration.maps[0].slope == 1.0
    assert sigmoid(calibration.apply(margin)).sum() == pytest.approx(expected, rel=1e-6)


def test_nothing_to_learn_from_changes_nothing() -> None:
    margins = np.zeros((3, 1))
    unseen = IntervalCalibration.learn(margins, np.full(3, np.nan), np.zeros(3), (12,), "sigmoid")
    assert np.array_equal(unseen.apply(margins), margins)
    assert np.array_equal(IntervalCalibration.identity(1).apply(margins), margins)


@pytest.mark.parametrize("method", ["none", "level", "sigmoid", "beta", "isotonic"])
def test_it_survives_json_to_the_bit(hazard_data, margins, method: str) -> None:
    months = hazard_data.event_month, hazard_data.observed_months
    calibration = IntervalCalibration.learn(margins, *months, ENDS, method)
    restored = IntervalCalibration.from_json(json.loads(json.dumps(calibration.as_json())))
    assert np.array_equal(restored.apply(margins), calibration.apply(margins))


def test_reliability_groups_by_risk_and_leaves_out_censored_rows() -> None:
    risk = np.linspace(0.01, 0.5, 1000)
    outcome = (np.random.default_rng(0).random(1000) < risk).astype(float)
    outcome[::10] = np.nan
    table = reliability_table(risk, outcome)
    assert table["n"].to_list() == [90] * 10
    assert table["predicted_mean"].is_sorted()
    inside = (table["observed_low"] <= table["predicted_mean"]) & (
        table["predicted_mean"] <= table["observed_high"]
    )
    assert inside.sum() >= 8
    assert reliability_table(risk, np.full(1000, np.nan)).height == 0


def test_the_wilson_interval_is_the_published_one() -> None:
    """2 of 10: (0.0567, 0.5098), as in Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<857."""
    table = reliability_table(np.full(10, 0.2), np.array([1.0] * 2 + [0.0] * 8), n_bins=1)
    assert table["observed_low"][0] == pytest.approx(0.0567, abs=1e-4)
    assert table["observed_high"][0] == pytest.approx(0.5098, abs=1e-4)
