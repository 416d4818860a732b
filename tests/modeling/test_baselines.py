"""Baselines: the logistic recovers the truth, the best indicator ranks by one feature, the blend averages."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from relapse_risk.modeling.baselines import BestIndicator, Blend, LogisticHazard
from relapse_risk.modeling.hazard import HazardClassifier

ENDS = (3, 6, 12)


@pytest.fixture(scope="module")
def fitted(hazard_data) -> dict[str, LogisticHazard | BestIndicator | Blend]:
    blend = Blend(
        HazardClassifier(ENDS, categorical_features=(3,), n_estimators=20),
        LogisticHazard(ENDS, categorical_features=(3,)),
        weight=0.25,
    )
    estimators = {
        "logistic": LogisticHazard(ENDS, categorical_features=(3,)),
        "best_indicator": BestIndicator(ENDS, categorical_features=(3,)),
        "blend": blend,
    }
    data = hazard_data.values, hazard_data.event_month, hazard_data.observed_months
    return {kind: estimator.fit(*data) for kind, estimator in estimators.items()}


def test_the_logistic_recovers_risks_where_it_is_the_truth(fitted, hazard_data) -> None:
    risk = fitted["logistic"].predict_risk(hazard_data.values)
    np.testing.assert_allclose(risk.mean(axis=0), hazard_data.risk.mean(axis=0), rtol=0.04)
    assert np.abs(risk - hazard_data.risk).mean() < 0.012
    assert np.corrcoef(risk[:, -1], hazard_data.risk[:, -1])[0, 1] > 0.98


@pytest.mark.parametrize("kind", ["logistic", "best_indicator", "blend"])
def test_a_risk_does_not_hang_on_the_rows_beside_it(fitted, hazard_data, kind: str) -> None:
    """Partitions bring rows in another order and number: each keeps its risk to the last bit."""
    values, order = hazard_data.values, np.random.default_rng(3).permutation(len(hazard_data.values))
    whole = fitted[kind].predict_risk(values)
    assert np.array_equal(fitted[kind].predict_risk(values[order]), whole[order])
    for start, stop in ((0, 1), (5, 12), (17, 118)):
        assert np.array_equal(fitted[kind].predict_risk(values[start:stop]), whole[start:stop])


def test_features_missing_together_share_one_column_for_it() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(600, 3))
    values[:100, :2] = np.nan
    values[50:80, 2] = np.nan
    event = np.where(rng.random(600) < 0.3, 3.0, np.nan)
    logistic = LogisticHazard((12,)).fit(values, event, np.full(600, 12.0))
    assert [each.has_missing for each in logistic.encodings_] == [True, False, True]


def test_the_best_indicator_is_the_strongest_feature_and_keeps_its_order(fitted, hazard_data) -> None:
    best = fitted["best_indicator"]
    assert (best.position_, best.sign_) == (0, 1)
    assert 0.6 < best.training_auc_ < 0.8
    margins = best.hazard_margins(hazard_data.values)[:, -1]
    order = np.argsort(hazard_data.values[:, 0], kind="stable")
    assert (np.diff(margins[order]) > 0).all()


def test_the_best_indicator_learns_its_direction_and_fills_the_missing_with_the_median() -> None:
    rng = np.random.default_rng(4)
    income = rng.normal(size=2000)
    event = np.where(income + rng.normal(size=2000) < -1, 3.0, np.nan)
    best = BestIndicator((12,)).fit(
        np.column_stack([rng.normal(size=2000), income]), event, np.full(2000, 12.0)
    )
    assert (best.position_, best.sign_) == (1, -1)
    asked = np.array([[0.0, -50.0], [0.0, -3.0], [0.0, np.nan], [0.0, 3.0], [0.0, 50.0]])
    margins = best.hazard_margins(asked)[:, 0]
    assert (np.diff(margins) < 0).all()
    assert margins[2] == best.hazard_margins(np.array([[0.0, np.median(income)]]))[0, 0]


def test_codes_are_never_the_best_indicator() -> None:
    code = np.repeat([0.0, 1.0], 500)
    event = np.where(code == 1, 3.0, np.nan)
    other = np.random.default_rng(0).normal(size=1000)
    best = BestIndicator((12,), categorical_features=(0,))
    assert best.fit(np.column_stack([code, other]), event, np.full(1000, 12.0)).position_ == 1


def test_the_blend_averages_log_odds(fitted, hazard_data) -> None:
    blend, part = fitted["blend"], hazard_data.values[:100]
    expected = 0.25 * blend.hazard.hazard_margins(part) + 0.75 * blend.logistic.hazard_margins(part)
    np.testing.assert_allclose(blend.hazard_margins(part), expected)


@pytest.mark.parametrize("kind", ["logistic", "best_indicator", "blend"])
def test_contributions_add_up_and_importances_are_shares(fitted, hazard_data, kind: str) -> None:
    part = hazard_data.values[:200]
    shares = fitted[kind].hazard_contributions(part)
    assert shares.shape == (200, 3, 7)
    np.testing.assert_allclose(shares.sum(axis=2), fitted[kind].hazard_margins(part), atol=1e-9)
    assert fitted[kind].feature_importances().sum() == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["logistic", "best_indicator", "blend"])
def test_restored_from_text_they_predict_the_same_bits(fitted, hazard_data, kind: str) -> None:
    restored = clone(fitted[kind]).restore(fitted[kind].fitted_files())
    part = hazard_data.values[:1000]
    assert np.array_equal(restored.hazard_margins(part), fitted[kind].hazard_margins(part))
