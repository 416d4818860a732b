"""Hazards on LightGBM: they recover known risks, keep constraints, and are the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tests.modeling.conftest import ENDS, draw_hazard_data

from relapse_risk.modeling.baselines import LogisticHazard
from relapse_risk.modeling.hazard import HazardClassifier
from relapse_risk.modeling.intervals import person_intervals

SMALL = {"n_estimators": 25, "num_leaves": 7, "min_child_samples": 20}


@pytest.fixture(scope="module")
def fitted(hazard_data) -> HazardClassifier:
    estimator = HazardClassifier(
        (3, 6, 12), categorical_features=(3,), monotone_constraints=(1, -1, 0, 0, 0, 0), n_estimators=120
    )
    return estimator.fit(hazard_data.values, hazard_data.event_month, hazard_data.observed_months)


def test_known_risks_are_recovered_under_censoring(fitted, hazard_data) -> None:
    risk = fitted.predict_risk(hazard_data.values)
    np.testing.assert_allclose(risk.mean(axis=0), hazard_data.risk.mean(axis=0), rtol=0.04)
    for k in range(3):
        assert np.corrcoef(risk[:, k], hazard_data.risk[:, k])[0, 1] > 0.96
    assert np.abs(risk - hazard_data.risk).mean() < 0.02


def test_risk_rises_with_the_horizon_for_every_row(fitted, hazard_data) -> None:
    assert (np.diff(fitted.predict_risk(hazard_data.values), axis=1) > 0).all()


def test_hazards_follow_the_constraints_everywhere(fitted, hazard_data) -> None:
    base = np.repeat(hazard_data.values[:50], 40, axis=0)
    for feature, sign in ((0, 1), (1, -1)):
        swept = base.copy()
        swept[:, feature] = np.tile(np.linspace(-4, 4, 40), 50)
        margins = fitted.hazard_margins(swept).reshape(50, 40, 3)
        assert (sign * np.diff(margins, axis=1) >= -1e-12).all()
        assert sign * (margins[:, -1] - margins[:, 0]).min() > 0


def test_a_censored_row_is_not_a_negative() -> None:
    """Rows censored at once are those that would have had the event: they must not lower the risk."""
    rng = np.random.default_rng(0)
    n = 4000
    values = rng.integers(0, 2, (n, 1)).astype(float)
    event = np.where(rng.random(n) < 0.3, 6.0, np.nan)
    observed = np.full(n, 12.0)
    hidden = (values[:, 0] == 1) & (rng.random(n) < 0.5)
    observed[hidden], event[hidden] = 0.0, np.nan
    risk = HazardClassifier((12,), **SMALL, subsample=1.0).fit(values, event, observed).predict_risk(values)
    kept = ~hidden & (values[:, 0] == 1)
    assert risk[kept].mean() == pytest.approx(np.isfinite(event[kept]).mean(), abs=0.03)


def test_contributions_add_up_to_the_margins(fitted, hazard_data) -> None:
    part = hazard_data.values[:300]
    shares = fitted.hazard_contributions(part)
    assert shares.shape == (300, 3, 7)
    np.testing.assert_allclose(shares.sum(axis=2), fitted.hazard_margins(part), atol=1e-10)
    assert fitted.feature_importances().sum() == pytest.approx(1.0)
    assert fitted.feature_importances()[5] == 0.0


def test_same_data_and_seed_give_the_same_bytes(hazard_data) -> None:
    rows = slice(0, 3000)
    data = hazard_data.values[rows], hazard_data.event_month[rows], hazard_data.observed_months[rows]
    texts = {HazardClassifier(**SMALL, seed=7).fit(*data).booster_text_ for _ in range(2)}
    assert len(texts) == 1
    assert HazardClassifier(**SMALL, seed=8).fit(*data).booster_text_ not in texts


def test_restored_from_its_text_it_predicts_the_same_bits(fitted, hazard_data) -> None:
    restored = clone(fitted).restore(fitted.fitted_files())
    part = hazard_data.values[:2000]
    assert np.array_equal(restored.hazard_margins(part), fitted.hazard_margins(part))


def test_it_has_scikit_learn_s_manners() -> None:
    estimator = HazardClassifier((6, 12), num_leaves=9, monotone_constraints=(1,))
    copy = clone(estimator)
    assert copy.get_params() == estimator.get_params()
    assert copy.set_params(num_leaves=4).num_leaves == 4
    with pytest.raises(NotFittedError):
        copy.predict_risk(np.zeros((1, 1)))


def test_it_works_in_a_pipeline_and_under_cross_validation(hazard_data) -> None:
    values = hazard_data.values[:4000, :3]
    y = np.column_stack([hazard_data.event_month, hazard_data.observed_months])[:4000]
    steps = make_pipeline(StandardScaler(), HazardClassifier(**SMALL))
    learnt = cross_val_score(steps, values, y, cv=2)
    nothing = cross_val_score(steps, np.random.default_rng(0).permutation(values), y, cv=2)
    assert (learnt > nothing).all()
    probability = steps.fit(values, y).predict_proba(values)
    assert probability.sum(axis=1) == pytest.approx(1.0)
    scaled = StandardScaler().fit_transform(values)
    same = HazardClassifier(**SMALL).fit(scaled, y[:, 0], y[:, 1])
    assert np.array_equal(probability[:, 1], same.predict_risk(scaled)[:, -1])


def test_features_without_any_value_do_no_harm() -> None:
    rng = np.random.default_rng(0)
    event = np.where(rng.random(500) < 0.3, 2.0, np.nan)
    values, observed = np.full((500, 2), np.nan), np.full(500, 3.0)
    risk = HazardClassifier((3,), **SMALL).fit(values, event, observed).predict_risk(values)
    at_risk, events = person_intervals(event, observed, (3,))
    assert risk[:, 0] == pytest.approx(events.sum() / at_risk.sum(), abs=1e-3)


@pytest.mark.parametrize("kind", [HazardClassifier, LogisticHazard])
def test_yearly_reports_give_the_twelve_month_risk_that_finer_ones_give(kind: type) -> None:
    """An event that a report of a year shows counts as the union of all intervals, for any estimator."""
    data = draw_hazard_data(20_000, 8, censored_share=0.0)
    has_event = ~np.isnan(data.event_month)
    yearly = np.where(has_event, 12.0, np.nan), np.where(has_event, 0.0, 12.0)
    fine = kind(ENDS).fit(data.values, data.event_month, data.observed_months).predict_risk(data.values)
    coarse = kind(ENDS).fit(data.values, *yearly).predict_risk(data.values)
    assert coarse[:, 2].mean() == pytest.approx(has_event.mean(), rel=0.02)
    assert np.abs(coarse[:, 2] - fine[:, 2]).mean() < 0.02
    # Spread evenly, the risk lies in all intervals.
    assert (coarse[:, 0] > 0.1 * coarse[:, 2]).all()


def test_no_more_trees_are_counted_than_help_on_later_rows(hazard_data) -> None:
    early, late = np.arange(0, 6_000), np.arange(6_000, 12_000)

    def rows(positions):
        return (
            hazard_data.values[positions],
            hazard_data.event_month[positions],
            hazard_data.observed_months[positions],
            None,
        )

    grown = HazardClassifier(n_estimators=400, learning_rate=0.2, min_child_samples=20)
    found = grown.trees_that_help(*rows(early), later=rows(late))
    assert 1 <= found < 200
    assert grown.trees_that_help(*rows(early), later=rows(late)) == found
    test = np.arange(12_000, 20_000)
    y = np.column_stack([hazard_data.event_month, hazard_data.observed_months])[test]

    def likelihood(n_estimators: int) -> float:
        model = HazardClassifier(n_estimators=n_estimators, learning_rate=0.2, min_child_samples=20)
        return model.fit(*rows(early)[:3]).score(hazard_data.values[test], y)

    assert likelihood(found) > likelihood(400)


def test_a_row_that_stands_for_three_counts_as_three(hazard_data) -> None:
    n = 4_000
    values, event, observed = (
        hazard_data.values[:n],
        hazard_data.event_month[:n],
        hazard_data.observed_months[:n],
    )
    times = np.where(np.isnan(event), 3.0, 1.0)
    rows = np.repeat(np.arange(n), times.astype(int))
    settings = {"n_estimators": 20, "min_child_samples": 1, "subsample": 1.0, "colsample_bytree": 1.0}
    weighted = HazardClassifier(**settings).fit(values, event, observed, times)
    repeated = HazardClassifier(**settings).fit(values[rows], event[rows], observed[rows])
    plain = HazardClassifier(**settings).fit(values, event, observed)
    truth = repeated.predict_risk(values)
    apart = np.abs(weighted.predict_risk(values) - truth).mean()
    # Values are put in bins by rows, whatever they stand for.
    assert apart < 0.1 * np.abs(plain.predict_risk(values) - truth).mean()
