"""Data whose true hazards are known, and small feature matrices with labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from relapse_risk.config import CalibrationConfig, Experiment, ModelConfig
from relapse_risk.features.expression import param
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.labels import LABEL_INDEX_COLUMNS, Labels
from relapse_risk.modeling.training import TrainedModel, train_model
from relapse_risk.vocabulary import Direction, Role, Unit
from relapse_risk.windows import OriginSplit, add_months

Array = NDArray[np.float64]
ENDS = (3, 6, 12)
FIT, CALIBRATION, TEST = date(2021, 12, 31), date(2022, 12, 31), date(2024, 1, 31)


@dataclass(frozen=True)
class HazardData:
    """Rows drawn from a discrete-time logistic hazard; ``risk`` is the true cumulative risk."""

    values: Array
    event_month: Array
    observed_months: Array
    risk: Array


def draw_hazard_data(n: int, seed: int, censored_share: float = 0.2) -> HazardData:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, 6))
    values[:, 3] = rng.integers(0, 5, n)
    margin = 0.9 * values[:, 0] - 0.6 * values[:, 1] + 0.8 * (values[:, 3] == 2)
    hazard = 1 / (1 + np.exp(-(margin[:, None] + np.array([-3.6, -3.3, -2.8]))))
    happens = rng.random((n, 3)) < hazard
    months = np.array([2.0, 5.0, 9.0])
    event = np.where(happens.any(axis=1), months[happens.argmax(axis=1)], np.nan)
    observed = np.where(rng.random(n) < censored_share, rng.integers(0, 12, n), 12.0)
    event = np.where(event <= observed, event, np.nan)
    # What is missing says nothing about the hazard: it is taken away after the outcome was drawn.
    values[rng.random(n) < 0.1, 2] = np.nan
    values[:, 5] = np.nan
    return HazardData(values, event, observed, 1 - np.cumprod(1 - hazard, axis=1))


@pytest.fixture(scope="session")
def hazard_data() -> HazardData:
    return draw_hazard_data(40_000, 11)


def make_feature(name: str, direction: Direction = Direction.EITHER, **given: object) -> Feature:
    values = {"unit": Unit.RATIO, "family": "test", "formula": param(name), "role": Role.MODEL, **given}
    return Feature(name, f"指标{name}", f"feature {name}", direction=direction, **values)  # type: ignore[arg-type]


FEATURES = FeatureSet(
    [
        make_feature("income_gap", Direction.RAISES_RISK),
        make_feature("labour", Direction.LOWERS_RISK),
        make_feature("noise"),
        make_feature("place", is_categorical=True),
        make_feature("constant"),
        make_feature("empty"),
        make_feature("sex", role=Role.AUDIT),
    ]
)


def make_matrix(data: HazardData, origins: tuple[date, ...]) -> tuple[FeatureMatrix, Labels]:
    """Spread the rows evenly over the origins, sorted as build_features sorts them."""
    n = len(data.values)
    origin = np.sort(np.arange(n) % len(origins))
    index = pl.DataFrame(
        {
            "household_id": [f"h{i:06d}" for i in range(n)],
            "as_of_date": [origins[i] for i in origin],
            "village_code": [f"13010200100{i % 10}" for i in range(n)],
        }
    ).with_columns(
        pl.lit("130102").alias("county_code"),
        pl.lit("130102001").alias("township_code"),
        *(pl.lit("x").alias(name) for name in INDEX_COLUMNS if name.endswith(("name", "type", "category"))),
        pl.lit("x").alias("helper_id"),
    )
    values = data.values.copy()
    values[:, 4] = 1.0
    values = np.column_stack([values, np.arange(n) % 2])
    matrix = FeatureMatrix(index.select(INDEX_COLUMNS), FEATURES, values.astype(np.float64))
    at_risk = np.ones(n, dtype=bool)
    labels = Labels(
        index.select(LABEL_INDEX_COLUMNS), at_risk, data.event_month, data.observed_months, 12, TEST
    )
    return matrix, labels


SPLIT = OriginSplit((FIT,), (CALIBRATION,), (TEST,), TEST)


@pytest.fixture(scope="session")
def training_data() -> tuple[FeatureMatrix, Labels]:
    return make_matrix(draw_hazard_data(6_000, 3), (FIT, CALIBRATION, add_months(TEST, 1)))


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    return Experiment(
        name="small",
        model=ModelConfig(kind="hazard", n_estimators=20, num_leaves=7, min_child_samples=30, seed=5),
        calibration=CalibrationConfig(method="sigmoid", window_months=12, is_refitted=False),
    )


@pytest.fixture(scope="session")
def train(training_data: tuple[FeatureMatrix, Labels], experiment: Experiment) -> Callable[..., TrainedModel]:
    """Train with some settings of the model changed."""

    def trained(kind: str = "hazard", **changes: object) -> TrainedModel:
        model = experiment.model.model_copy(update={"kind": kind})
        changed = experiment.model_copy(update={"model": model, **changes})
        return train_model(*training_data, SPLIT, changed)

    return trained


@pytest.fixture(scope="session")
def model(train: Callable[..., TrainedModel]) -> TrainedModel:
    return train()
