"""What a matrix holds: the figures an analyst reads before a model is trained."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.evaluation.feature_report import auc_interval, correlation_groups, describe_features, psi
from relapse_risk.features.build import build_features
from relapse_risk.labels import make_labels
from relapse_risk.panel.synthetic import simulate

DAYS = (date(2021, 6, 30), date(2021, 12, 31))


@pytest.fixture(scope="module")
def panel():
    return simulate(300, 48, seed=4, oracle_dates=(), hazard_paths=0).panel()


def test_auc_is_that_of_scikit_learn_and_its_interval_counts_clusters() -> None:
    rng = np.random.default_rng(0)
    score, outcome = rng.integers(0, 9, 600).astype(float), (rng.random(600) < 0.2).astype(float)
    rows = np.arange(600)
    auc, low, high = auc_interval(outcome, score, rows)
    assert auc == pytest.approx(roc_auc_score(outcome, score))
    assert low < auc < high
    # The same rows twice over are no new evidence where a cluster holds both copies.
    twice = [np.tile(values, 2) for values in (outcome, score, rows)]
    np.testing.assert_allclose(auc_interval(*twice), (auc, low, high), rtol=1e-9)
    narrower = auc_interval(twice[0], twice[1], np.arange(1200))
    assert narrower[2] - narrower[1] < 0.8 * (high - low)
    assert np.isnan(auc_interval(np.ones(5), score[:5], rows[:5])).all()


def test_auc_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    truth, held = 0.7602499389, 0  # of normals one apart
    for _ in range(200):
        outcome = (rng.random(300) < 0.3).astype(float)
        _, low, high = auc_interval(outcome, rng.normal(size=300) + outcome, np.arange(300))
        held += low <= truth <= high
    assert 0.9 <= held / 200 <= 0.99


def test_kin_share_a_group_and_strangers_do_not() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 500))
    columns = np.column_stack([one, other, -np.exp(one), np.ones(500)])
    groups = correlation_groups(columns).tolist()
    assert groups[0] == groups[2]
    assert len(set(groups)) == 3


def test_drift_is_none_of_the_same_and_large_of_another_distribution() -> None:
    values = np.random.default_rng(3).normal(size=2000)
    assert psi(values, values) == 0.0
    assert psi(values, values + 2) > 0.25
    assert psi(values, np.where(np.arange(2000) < 1000, np.nan, values)) > 0.25
    assert np.isnan(psi(np.full(3, np.nan), values))


def test_every_feature_is_described_with_and_without_labels(panel) -> None:
    matrix = build_features(panel, DAYS)
    labels = make_labels(panel, DAYS, LabelConfig(), CohortConfig(), panel.last_recorded_on)
    report = describe_features(matrix, labels)
    assert report.features["name"].to_list() == list(matrix.features.names)
    meanings = ["known", "not_applicable", "not_due", "not_reported", "table_absent"]
    np.testing.assert_allclose(report.features.select(meanings).sum_horizontal(), 1.0)
    known = report.to_pandas()["known"]
    assert known["household_size"] > 0.95
    income = report.to_pandas().loc["ref_income_to_line"]
    assert income["auc_low"] < income["auc"] < income["auc_high"]
    assert income["auc"] > 0.5
    assert report.dates.height == 2 * len(matrix.features)
    first = report.dates.filter(as_of_date=DAYS[0])["psi"].drop_nans()
    assert (first == 0).all()
    assert describe_features(matrix).features["auc"].is_nan().all()
    assert "FeatureReport" in repr(report)
    assert "ref_income_pc_12m" in report._repr_html_()
