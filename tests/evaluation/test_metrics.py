from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.evaluation.gain import ScoreOrder, visits_at
from relapse_risk.evaluation.metrics import (
    brier,
    calibration_in_the_large,
    calibration_slope,
    pr_auc,
    precision_at_capacity,
    recall_at_capacity,
    reliability_table,
    roc_auc,
)


def sample(n=3000, levels=40, seed=1):
    """Outcomes, risks with many ties, and weights that include zeros."""
    rng = np.random.default_rng(seed)
    risk = np.round(rng.beta(1.2, 6.0, n) * levels) / levels
    outcome = (rng.random(n) < np.clip(risk, 0.02, 0.98)).astype(float)
    return outcome, risk, rng.integers(0, 4, n).astype(float)


def test_ranking_metrics_equal_scikit_learn_with_ties_and_weights():
    outcome, risk, weights = sample()
    for share in (None, weights):
        assert roc_auc(outcome, risk, share) == pytest.approx(
            reference.roc_auc_score(outcome, risk, sample_weight=share), abs=1e-12
        )
        assert pr_auc(outcome, risk, share) == pytest.approx(
            reference.average_precision_score(outcome, risk, sample_weight=share), abs=1e-12
        )
        assert brier(outcome, risk, share) == pytest.approx(
            reference.brier_score_loss(outcome, risk, sample_weight=share), abs=1e-12
        )


def test_calibration_equals_an_unpenalised_logistic_regression():
    outcome, risk, weights = sample()
    risk = np.clip(risk, 0.01, 0.99)
    odds = np.log(risk / (1 - risk))
    fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=500).fit(
        odds[:, None], outcome, sample_weight=weights
    )
    assert calibration_slope(outcome, risk, weights) == pytest.approx(fitted.coef_[0, 0], abs=1e-5)
    shift = calibration_in_the_large(outcome, risk, weights)
    shifted = 1 / (1 + np.exp(-(odds + shift)))
    assert weights @ shifted == pytest.approx(weights @ outcome, abs=1e-6)


def test_calibration_tells_too_low_and_too_extreme_risks():
    rng = np.random.default_rng(3)
    odds = rng.normal(-2.0, 1.0, 40_000)
    outcome = (rng.random(odds.size) < 1 / (1 + np.exp(-odds))).astype(float)
    assert calibration_in_the_large(outcome, 1 / (1 + np.exp(-(odds - 1.0)))) == pytest.approx(1.0, abs=0.05)
    assert calibration_slope(outcome, 1 / (1 + np.exp(-2.0 * odds))) == pytest.approx(0.5, abs=0.02)


def test_calibration_is_not_a_number_where_it_has_no_meaning():
    assert np.isnan(calibration_slope([0.0, 1.0], [0.2, 0.2]))
    assert np.isnan(calibration_slope([0.0, 0.0], [0.2, 0.3]))
    assert np.isnan(calibration_in_the_large([1.0, 1.0], [0.2, 0.3]))


def test_ties_are_judged_by_the_mean_over_random_orders():
    outcome, risk, _ = sample(n=300, levels=8)
    visits = 30
    rng = np.random.default_rng(9)
    found = []
    for _ in range(20_000):
        order = np.lexsort([rng.random(300), -risk])
        found.append(outcome[order[:visits]].sum())
    expected = ScoreOrder.of(risk).gain(outcome).found_at(visits)[0]
    assert expected == pytest.approx(np.mean(found), abs=4 * np.std(found) / np.sqrt(len(found)))
    assert precision_at_capacity(outcome, risk, 0.1) == pytest.approx(expected / visits)
    assert recall_at_capacity(outcome, risk, 30) == pytest.approx(expected / outcome.sum())


def test_the_order_of_rows_in_the_file_does_not_help():
    """All scores equal: precision is the share of events, wherever the events stand."""
    outcome = np.r_[np.ones(10), np.zeros(90)]
    assert precision_at_capacity(outcome, np.zeros(100), 5) == pytest.approx(0.1)
    assert roc_auc(outcome, np.zeros(100)) == 0.5
    assert pr_auc(outcome, np.zeros(100)) == pytest.approx(0.1)


def test_weights_count_as_repeated_rows():
    outcome, risk, weights = sample(n=400)
    times = weights.astype(int)
    again, risks = np.repeat(outcome, times), np.repeat(risk, times)
    assert pr_auc(outcome, risk, weights) == pytest.approx(pr_auc(again, risks), abs=1e-12)
    gain = ScoreOrder.of(risk).gain(outcome, np.stack([weights, np.ones(400)]))
    assert gain.found_at([50.0, 50.0])[0] == pytest.approx(ScoreOrder.of(risks).gain(again).found_at(50.0)[0])
    assert gain.found_at([50.0, 50.0])[1] == pytest.approx(
        ScoreOrder.of(risk).gain(outcome).found_at(50.0)[0]
    )


def test_missing_scores_come_last_as_a_tie():
    outcome = np.array([1.0, 0.0, 1.0, 0.0])
    score = np.array([np.nan, -5.0, np.nan, -6.0])
    assert roc_auc(outcome, score) == 0.0
    assert precision_at_capacity(outcome, score, 3) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("capacity", "n", "visits"),
    [
        (0.1, 20_294, 2029),
        (0.05, 10, 1),
        (0.05, 30, 2),
        (1, 10, 1),
        (50, 10, 10),
        (0.001, 10, 1),
        (0.1, 0, 0),
    ],
)
def test_capacity_is_a_share_below_one_else_a_number(capacity, n, visits):
    assert visits_at(capacity, n) == visits


@pytest.mark.parametrize("capacity", [0, -1, float("nan")])
def test_a_capacity_of_nothing_is_refused(capacity):
    with pytest.raises(ConfigurationError, match="RR451"):
        visits_at(capacity, 10)


def test_censored_outcomes_are_refused_rather_than_counted():
    with pytest.raises(ContractError, match="RR452"):
        roc_auc([1.0, np.nan], [0.1, 0.2])
    with pytest.raises(ContractError, match="RR452"):
        brier([1.0, 0.0], [0.1, 0.2, 0.3])


def test_metrics_of_nothing_are_not_numbers():
    nothing = np.zeros(0)
    for value in (
        roc_auc(nothing, nothing),
        pr_auc(nothing, nothing),
        brier(nothing, nothing),
        precision_at_capacity(nothing, nothing, 0.1),
        roc_auc([1.0], [0.3]),
    ):
        assert np.isnan(value)
    assert reliability_table(nothing, nothing).height == 0


def test_reliability_table_holds_every_row_once_and_keeps_ties_together():
    outcome, risk, _ = sample(levels=12)
    table = reliability_table(outcome, risk, bins=10)
    assert table["n"].sum() == len(outcome)
    assert table["events"].sum() == outcome.sum()
    assert (table["risk_low"][1:].to_numpy() > table["risk_high"][:-1].to_numpy()).all()
    assert table["predicted"].is_between(table["risk_low"], table["risk_high"]).all()
    even = reliability_table(np.zeros(1000), np.linspace(0, 1, 1000), bins=10)
    assert even["n"].to_list() == [100] * 10
    assert even.schema["n"] == pl.Int64
