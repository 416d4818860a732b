"""The scorecard: whole points, monotone, few questions; its page says what the computer says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sklearn.base import clone

from relapse_risk.modeling.baselines import LogisticHazard
from relapse_risk.modeling.scorecard import PointsScorecard
from relapse_risk.modeling.scorecard_page import PAGE_FILE, render_page
from relapse_risk.modeling.store import load_model, save_model

DIRECTIONS = (1, -1, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def fitted(hazard_data) -> PointsScorecard:
    card = PointsScorecard((3, 6, 12), directions=DIRECTIONS, categorical_features=(3,))
    return card.fit(hazard_data.values, hazard_data.event_month, hazard_data.observed_months)


def test_the_features_that_raise_the_hazard_are_the_questions(fitted) -> None:
    assert [item.position for item in fitted.items_][:2] == [0, 1]
    assert 3 not in {item.position for item in fitted.items_}, "codes have no order"


def test_points_are_whole_few_and_follow_the_directions(fitted) -> None:
    for item in fitted.items_:
        assert all(isinstance(points, int) and 0 <= points <= 10 for points in item.points)
        assert min(item.points) == 0
        assert len(item.points) == len(item.cuts) + 1 <= 5
        if DIRECTIONS[item.position]:
            assert (DIRECTIONS[item.position] * np.diff(item.points) >= 0).all()


def test_its_mean_risk_is_the_true_one_and_its_order_near_the_logistic_s(fitted, hazard_data) -> None:
    risk = fitted.predict_risk(hazard_data.values)
    np.testing.assert_allclose(risk.mean(axis=0), hazard_data.risk.mean(axis=0), rtol=0.05)
    data = hazard_data.values, hazard_data.event_month, hazard_data.observed_months
    logistic = LogisticHazard((3, 6, 12), categorical_features=(3,)).fit(*data).predict_risk(data[0])[:, -1]
    true = hazard_data.risk[:, -1]
    assert np.corrcoef(risk[:, -1], true)[0, 1] > np.corrcoef(logistic, true)[0, 1] - 0.12


def test_noise_gets_no_question() -> None:
    rng = np.random.default_rng(5)
    event = np.where(rng.random(3000) < 0.1, 2.0, np.nan)
    values = rng.normal(size=(3000, 4))
    card = PointsScorecard((3,)).fit(values, event, np.full(3000, 3.0))
    assert card.items_ == ()
    assert card.predict_risk(values)[:, 0] == pytest.approx(np.isfinite(event).mean(), abs=1e-3)


def test_no_more_questions_than_allowed(hazard_data) -> None:
    data = hazard_data.values[:8000], hazard_data.event_month[:8000], hazard_data.observed_months[:8000]
    assert len(PointsScorecard((3, 6, 12), max_items=1).fit(*data).items_) == 1


def test_a_missing_value_counts_as_the_median(fitted, hazard_data) -> None:
    median, blank = np.median(hazard_data.values[:, 0]), hazard_data.values[:50].copy()
    filled = blank.copy()
    blank[:, 0], filled[:, 0] = np.nan, median
    assert np.array_equal(fitted.total_points(blank), fitted.total_points(filled))


def test_contributions_add_up_and_restored_it_gives_the_same_bits(fitted, hazard_data) -> None:
    part = hazard_data.values[:500]
    margins = fitted.hazard_margins(part)
    np.testing.assert_allclose(fitted.hazard_contributions(part).sum(axis=2), margins, atol=1e-9)
    assert fitted.feature_importances().sum() == pytest.approx(1.0)
    restored = clone(fitted).restore(fitted.fitted_files())
    assert np.array_equal(restored.hazard_margins(part), margins)


def test_its_page_is_in_the_model_directory_and_says_its_points(train, training_data, tmp_path) -> None:
    model = train("scorecard")
    page = (save_model(model, tmp_path / "scorecard" / "1") / PAGE_FILE).read_text(encoding="utf-8")
    assert page == render_page(model)
    said = [int(points) for points in re.findall(r"：<b>(\d+)</b>", page)]
    assert said == [points for item in model.estimator.items_ for points in item.points]
    assert "指标income_gap" in page
    loaded = load_model(tmp_path / "scorecard" / "1", training_data[0].features)
    assert np.array_equal(loaded.hazard_margins(training_data[0]), model.hazard_margins(training_data[0]))
