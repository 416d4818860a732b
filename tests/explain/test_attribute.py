"""Contributions add up to the log-odds, interval by interval, for every kind of model."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from relapse_risk.config import ModelConfig
from relapse_risk.errors import ContractError
from relapse_risk.explain import attribute as module
from relapse_risk.explain.attribute import (
    Attributions,
    attribute,
    household_contributions,
    interval_contributions,
    interval_weights,
    strongest,
)
from relapse_risk.features.expression import param
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.modeling.estimator import RiskEstimator, make_estimator
from relapse_risk.vocabulary import Direction, Unit

Array = NDArray[np.float64]
NAMES = ("a", "b", "c", "code")
FEATURES = FeatureSet(
    Feature(name, name, name, Unit.RATIO, "test", param(name), is_categorical=name == "code")
    for name in NAMES
)


def matrix_of(values: Array) -> FeatureMatrix:
    ids = [f"H{i:05d}" for i in range(len(values))]
    index = pl.DataFrame({c: ids if c == "household_id" else ["x"] * len(ids) for c in INDEX_COLUMNS})
    return FeatureMatrix(index.with_columns(pl.lit(date(2024, 6, 30)).alias("as_of_date")), FEATURES, values)


@dataclass
class Model:
    estimator: RiskEstimator
    features: FeatureSet = FEATURES

    def values(self, matrix: FeatureMatrix) -> Array:
        return matrix.values


@pytest.fixture(scope="module")
def data() -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(5)
    values = rng.normal(size=(3000, 4))
    values[:, 3] = rng.integers(0, 4, 3000)
    margin = -2.0 + values[:, 0] - 0.7 * values[:, 1] * (values[:, 2] > 0) + (values[:, 3] == 2)
    event = np.where(rng.random(3000) < 1 / (1 + np.exp(-margin)), rng.choice([2.0, 5.0, 9.0], 3000), np.nan)
    values[rng.random(values.shape) < 0.05] = np.nan
    return values, event, np.full(3000, 12.0)


@pytest.fixture(scope="module", params=["hazard", "logistic", "blend", "best_indicator"])
def model(request: pytest.FixtureRequest, data: tuple[Array, Array, Array]) -> Model:
    config = ModelConfig(kind=request.param, n_estimators=30, min_child_samples=20)
    directions = [int(Direction.EITHER)] * 4
    return Model(make_estimator(config, directions, [f.is_categorical for f in FEATURES]).fit(*data))


def test_contributions_and_base_are_the_log_odds_of_every_interval(model: Model, data):
    """Exact to 1e-9 in float64, missing values and codes included."""
    values = data[0][:500]
    found = interval_contributions(model, matrix_of(values))  # type: ignore[arg-type]
    assert found.shape == (500, 3, 5)
    np.testing.assert_allclose(found.sum(axis=2), model.estimator.hazard_margins(values), rtol=0, atol=1e-9)


def test_attributions_add_up_to_the_weighted_log_odds(model: Model, data, monkeypatch: pytest.MonkeyPatch):
    """Whatever the size of the blocks it is worked out in."""
    matrix = matrix_of(data[0][:100])
    whole = attribute(model, matrix)  # type: ignore[arg-type]
    margins = model.estimator.hazard_margins(matrix.values)
    expected = (interval_weights(margins) * margins).sum(axis=1)
    np.testing.assert_allclose(whole.values.sum(axis=1) + whole.base, expected, rtol=0, atol=1e-9)
    monkeypatch.setattr(module, "CHUNK_ROWS", 7)
    np.testing.assert_array_equal(attribute(model, matrix).values, whole.values)  # type: ignore[arg-type]


def test_weights_are_the_shares_of_the_risk_in_each_interval():
    log_odds = np.random.default_rng(1).normal(-2, 2, (50, 3))
    hazard = 1 / (1 + np.exp(-log_odds))
    survival = np.cumprod(1 - hazard, axis=1)
    falls_into = hazard * np.column_stack([np.ones(50), survival[:, :-1]])
    expected = falls_into / (1 - survival[:, -1:])
    np.testing.assert_allclose(interval_weights(log_odds), expected, rtol=1e-12)


def test_weights_hold_for_risks_next_to_nought_and_one():
    weights = interval_weights(np.array([[-800.0, -800.0], [800.0, 0.0]]))
    np.testing.assert_allclose(weights, [[0.5, 0.5], [1.0, 0.0]], atol=1e-12)


def test_no_rows_give_no_attributions():
    class Silent:
        features = FEATURES

        def values(self, matrix: FeatureMatrix) -> Array:
            raise AssertionError("nothing to explain")

    assert len(attribute(Silent(), matrix_of(np.empty((0, 4))))) == 0  # type: ignore[arg-type]


def test_strongest_names_the_largest_movers_with_their_values():
    matrix = matrix_of(np.array([[1.0, np.nan, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]))
    found = module.Attributions(
        matrix.index, FEATURES, np.array([[0.1, -0.9, 0.5, 0.0], [0.0, 0.2, 0.2, -0.3]]), np.zeros(2)
    )
    frame = strongest(found, matrix, k=2)
    assert frame.columns[2:] == [
        f"{part}_{i}" for i in (1, 2) for part in ("feature", "value", "contribution")
    ]
    assert frame.row(0)[2:] == ("b", None, -0.9, "c", 3.0, 0.5)
    assert frame.row(1)[2:] == ("code", 8.0, -0.3, "b", 6.0, 0.2)


def test_strongest_refuses_another_matrix():
    matrix = matrix_of(np.zeros((2, 4)))
    found = module.Attributions(matrix.index, FEATURES, np.zeros((2, 4)), np.zeros(2))
    with pytest.raises(ContractError, match="RR471"):
        strongest(found, matrix.rows(np.array([1, 0])))


def test_a_household_is_explained_largest_first_with_values_and_units() -> None:
    """The frame is drawn as it is: a wrong order or a value of another row would mislead whoever reads it."""
    values = np.array([[9.0, 9.0, 9.0, 9.0], [1.5, np.nan, 0.25, 2.0]])
    matrix = matrix_of(values)
    contributions = np.array([[7.0, 7.0, 7.0, 7.0], [1.0, 0.5, -2.0, 0.0]])
    frame = household_contributions(
        Attributions(matrix.index, FEATURES, contributions, np.zeros(2)), matrix, "H00001"
    )
    assert list(frame["feature"]) == ["c", "a", "b", "code"]
    assert list(frame["contribution"]) == [-2.0, 1.0, 0.5, 0.0]
    assert list(frame["value"]) == ["0.25倍", "1.5倍", "未知", "2倍"]


@pytest.mark.parametrize("household", ["H00009", "H00000"])
def test_only_a_household_with_one_row_is_explained(household: str) -> None:
    """An unknown household, or one on two dates, must not be shown as something it is not."""
    matrix = matrix_of(np.zeros((2, 4)))
    index = matrix.index.with_columns(pl.lit("H00000").alias("household_id"))
    twice = FeatureMatrix(index, FEATURES, matrix.values)
    with pytest.raises(ContractError, match="RR472"):
        household_contributions(
            Attributions(index, FEATURES, np.zeros((2, 4)), np.zeros(2)), twice, household
        )


@pytest.mark.filterwarnings("ignore")  # shap's own plots use what matplotlib will drop
def test_shap_plots_take_the_contributions_as_they_are(model: Model, data) -> None:
    """Values, base and names reach shap's own Explanation; other rows are refused."""
    matrix = matrix_of(data[0][:20])
    attributions = attribute(model, matrix)
    explanation = attributions.to_shap(matrix, "en")
    np.testing.assert_array_equal(explanation.values, attributions.values)
    np.testing.assert_array_equal(explanation.base_values, attributions.base)
    assert explanation.feature_names == [f.en for f in FEATURES]
    with pytest.raises(ContractError, match="RR471"):
        attributions.to_shap(matrix.rows(np.arange(5)))
