"""Venn-Abers intervals: equal to the definition, as wide as the window is poor, and kept in the model."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from relapse_risk.modeling.card import render_card
from relapse_risk.modeling.store import load_model, save_model
from relapse_risk.modeling.venn_abers import VennAbers


def drawn(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.random(n)
    return score, (rng.random(n) < 0.3 * score**2).astype(float)


def test_both_probabilities_are_those_of_the_definition() -> None:
    score, event = drawn(150, 2)
    found = VennAbers.learn(score, event)
    assert found is not None
    for at in (3, 70, 149):
        for side, supposed in enumerate((0.0, 1.0)):
            model = IsotonicRegression().fit(np.append(score, score[at]), np.append(event, supposed))
            assert found.interval(score[[at]])[0, side] == pytest.approx(model.predict(score[[at]])[0])


def test_intervals_hold_the_truth_rise_with_the_score_and_shrink_with_the_window() -> None:
    wide, narrow = (VennAbers.learn(*drawn(n, 3)) for n in (400, 20_000))
    assert wide is not None
    assert narrow is not None
    score = np.linspace(0.05, 0.95, 50)
    few, many = wide.interval(score), narrow.interval(score)
    assert (few[:, 0] <= few[:, 1]).all()
    assert (np.diff(many, axis=0) >= 0).all()
    assert np.diff(many).mean() < 0.3 * np.diff(few).mean()
    assert np.abs(many.mean(axis=1) - 0.3 * score**2).mean() < 0.02


def test_too_few_events_tell_nothing() -> None:
    assert VennAbers.learn(np.linspace(0, 1, 50), np.r_[np.ones(9), np.zeros(41)]) is None


def test_a_saved_model_keeps_its_intervals_and_the_card_shows_them(model, training_data, tmp_path) -> None:
    matrix, _ = training_data
    interval = model.risk_interval(matrix)
    assert interval.shape == (len(matrix), 2)
    assert ((interval >= 0) & (interval <= 1)).all()
    save_model(model, tmp_path / "small" / "1")
    again = load_model(tmp_path / "small" / "1", matrix.features)
    assert np.array_equal(again.risk_interval(matrix), interval)
    assert "lower to upper risk" in render_card(model)
