"""One synthetic county and a small model of it, for what must always hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import pytest

from relapse_risk.config import CalibrationConfig, EvaluationConfig, Experiment, ModelConfig
from relapse_risk.explain.attribute import Attributions, attribute
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.modeling.training import TrainedModel
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import SyntheticCounty, simulate
from relapse_risk.pipeline import train
from relapse_risk.rules.apply import apply_rules
from relapse_risk.scores import RiskScores, RuleHits

KNOWN_ON, AS_OF = date(2023, 9, 30), date(2023, 12, 31)


@dataclass(frozen=True)
class County:
    """What the dataflow makes of the county on ``AS_OF``."""

    panel: Panel
    model: TrainedModel
    matrix: FeatureMatrix
    hits: RuleHits
    scores: RiskScores
    attributions: Attributions


@pytest.fixture(scope="session")
def simulated() -> SyntheticCounty:
    return simulate(500, 72, seed=7, oracle_dates=(), hazard_paths=0)


@pytest.fixture(scope="session")
def panel(simulated: SyntheticCounty) -> Panel:
    return simulated.panel()


@pytest.fixture(scope="session")
def experiment() -> Experiment:
    """Hazard and logistic together, on labels known some months before the list."""
    return Experiment(
        name="small",
        model=ModelConfig(kind="blend", n_estimators=25, num_leaves=7, min_child_samples=20),
        calibration=CalibrationConfig(window_months=3),
        evaluation=EvaluationConfig(labels_known_on=KNOWN_ON, gap_months=2),
    )


@pytest.fixture(scope="session")
def model(panel: Panel, experiment: Experiment) -> TrainedModel:
    return train(panel, experiment)


@pytest.fixture(scope="session")
def county(panel: Panel, model: TrainedModel) -> County:
    matrix = build_features(panel, [AS_OF])
    return County(
        panel, model, matrix, apply_rules(matrix), model.predict_risk(matrix), attribute(model, matrix)
    )


@pytest.fixture(scope="session")
def as_of() -> date:
    return AS_OF


@pytest.fixture(scope="session")
def known_on() -> date:
    return KNOWN_ON
