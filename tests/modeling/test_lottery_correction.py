"""A world in which a visit halves the hazard: labels corrected by the lottery give the risk without it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from tests.modeling.conftest import CALIBRATION, FIT, SPLIT, HazardData, make_matrix

from relapse_risk.config import CalibrationConfig, LabelConfig
from relapse_risk.lottery import LotteryDraws
from relapse_risk.modeling.card import render_card
from relapse_risk.modeling.training import train_model

N = 40_000


@pytest.fixture(scope="module")
def world():
    """Rows in the middle of the order take part; the chance of being drawn rises with the risk."""
    rng = np.random.default_rng(8)
    values = rng.normal(size=(N, 6))
    values[:, 3] = rng.integers(0, 5, N)
    hazard = 1 / (1 + np.exp(-(1.2 * values[:, :1] - 0.6 * values[:, 1:2] + np.array([-3.0, -2.7, -2.2]))))
    risk = 1 - np.prod(1 - hazard, axis=1)
    low, middle, high = np.quantile(risk, [0.5, 0.75, 0.97])
    is_edge = (risk > low) & (risk < high)
    chance = np.where(is_edge, np.where(risk < middle, 0.4, 0.7), 0.0)
    is_drawn = rng.random(N) < chance
    happens = rng.random((N, 3)) < hazard * np.where(is_drawn, 0.5, 1.0)[:, None]
    months = np.array([3.0, 6.0, 12.0])
    event = np.where(happens.any(axis=1), months[happens.argmax(axis=1)], np.nan)
    observed = np.where(np.isnan(event), 12.0, event - 1.0)
    data = HazardData(values, event, observed, risk[:, None])
    matrix, labels = make_matrix(data, (FIT, CALIBRATION))
    return (
        matrix,
        replace(labels, draws=LotteryDraws(is_edge.astype(np.int64), is_drawn, 1 - chance)),
        risk,
        is_edge,
    )


@pytest.fixture(scope="module")
def trained(world, experiment):
    matrix, labels, _, _ = world
    changed = experiment.model_copy(
        update={
            "model": experiment.model.model_copy(update={"kind": "logistic"}),
            "calibration": CalibrationConfig(method="auto", window_months=12, is_refitted=False),
            "label": LabelConfig(lottery_corrected=True),
        }
    )
    plain = train_model(matrix, replace(labels, draws=None), SPLIT, changed)
    return plain, train_model(matrix, labels, SPLIT, changed), changed


def test_the_corrected_model_gives_the_risk_without_the_visit_and_the_plain_one_does_not(
    world, trained
) -> None:
    matrix, _, risk, is_edge = world
    plain, corrected = (model.predict_risk(matrix).headline for model in trained[:2])
    bias = {
        name: found[is_edge].mean() / risk[is_edge].mean() - 1
        for name, found in (("plain", plain), ("corrected", corrected))
    }
    assert bias["plain"] < -0.15
    assert abs(bias["corrected"]) < 0.03
    assert np.abs(corrected - risk)[is_edge].mean() < 0.3 * np.abs(plain - risk)[is_edge].mean()
    assert abs(corrected[~is_edge].mean() / risk[~is_edge].mean() - 1) < 0.05


def test_calibration_and_reliability_see_the_weights_too(world, trained) -> None:
    plain, corrected, _ = trained
    assert corrected.metadata["calibration"]["overall"]["in_the_large"] == pytest.approx(0.0, abs=0.05)
    edge = corrected.reliability.filter(pl.col("bin").is_between(6, 9))
    assert edge["predicted_mean"].mean() == pytest.approx(edge["observed_share"].mean(), rel=0.06)
    assert (edge["predicted_mean"] < edge["observed_high"]).all(), "drawn rows would pull the share down"
    assert corrected.reliability["n"].sum() < plain.reliability["n"].sum()
    matrix, _, risk, is_edge = world
    middle = [
        model.risk_interval(matrix)[is_edge].mean() / risk[is_edge].mean() for model in (plain, corrected)
    ]
    assert middle[0] < 0.85
    assert middle[1] == pytest.approx(1.0, abs=0.06)


def test_the_card_says_that_labels_were_corrected_and_warns_where_that_rests_on_few(world, trained) -> None:
    matrix, labels, _, _ = world
    plain, corrected, experiment = trained
    card = render_card(corrected)
    assert "标签按抽签作了校正" in card
    assert "Labels were corrected by lotteries" in card
    assert "⚠ Too few" not in card
    assert "corrected by lotteries" not in render_card(plain)
    facts = corrected.metadata["lottery"]["fit"]
    assert facts["rows"] == facts["drawn"] + facts["not_drawn"]
    few = np.arange(N) % 400 > 0
    draws = LotteryDraws(
        np.where(few, 0, labels.draws.n),
        labels.draws.is_drawn & ~few,
        np.where(few, 1.0, labels.draws.not_drawn_probability),
    )
    assert "⚠ Too few" in render_card(train_model(matrix, replace(labels, draws=draws), SPLIT, experiment))


def test_the_same_draws_give_the_same_model(world, trained) -> None:
    matrix, labels, _, _ = world
    _, corrected, experiment = trained
    again = train_model(matrix, labels, SPLIT, experiment)
    assert np.array_equal(again.predict_risk(matrix).risk, corrected.predict_risk(matrix).risk)
    assert again.metadata["data"] == corrected.metadata["data"]
