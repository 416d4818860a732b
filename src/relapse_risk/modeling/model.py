"""A trained model: it scores every row of a matrix, once the matrix is seen to be built from its features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl

from relapse_risk.config import Experiment
from relapse_risk.errors import ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.calibrate import IntervalCalibration
from relapse_risk.modeling.estimator import RiskEstimator
from relapse_risk.modeling.intervals import Array, risk_from_margins
from relapse_risk.modeling.venn_abers import VennAbers
from relapse_risk.scores import RiskScores


@dataclass(frozen=True)
class TrainedModel:
    """A fitted and calibrated model, with what it reads and how it came to be.

    Attributes
    ----------
    experiment : Experiment
    estimator : RiskEstimator
        Gives uncalibrated hazards by interval.
    calibration : IntervalCalibration
    features : FeatureSet
        The columns the estimator reads, in order.
    reliability : polars.DataFrame
        Predicted against observed risk at the last horizon; see ``metadata["reliability_on"]``.
    metadata : mapping
        Origins, counts, dropped features, fingerprints, seed, versions and assumptions, as plain values.
    uncertainty : VennAbers or None
        How uncertain a single risk at the last horizon is; None without a calibration window that tells.
    """

    experiment: Experiment
    estimator: RiskEstimator
    calibration: IntervalCalibration
    features: FeatureSet
    reliability: pl.DataFrame
    metadata: Mapping[str, Any]
    uncertainty: VennAbers | None = None

    def __repr__(self) -> str:
        return (
            f"TrainedModel({self.name!r}, {self.experiment.model.kind}, {len(self.features)} features, "
            f"horizons {', '.join(map(str, self.horizons_months))} months)"
        )

    @property
    def name(self) -> str:
        """Name of the experiment: the model's directory."""
        return self.experiment.name

    @property
    def horizons_months(self) -> tuple[int, ...]:
        """Rising ends of the intervals; the last is the headline horizon."""
        return tuple(self.experiment.model.intervals_months)

    def hazard_margins(self, matrix: FeatureMatrix) -> Array:
        """Return the uncalibrated log-odds of the hazard, shape ``(n_rows, n_intervals)``.

        Raises
        ------
        ContractError
            RR361 or RR362 where the matrix was built from other features.
        """
        return self.estimator.hazard_margins(self.values(matrix))

    def predict_risk(self, matrix: FeatureMatrix) -> RiskScores:
        """Return the risk of every row by each horizon; higher means more at risk.

        Raises
        ------
        ContractError
            RR361 or RR362 where the matrix was built from other features.
        """
        margins = self.hazard_margins(matrix)
        risk = risk_from_margins(self.calibration.apply(margins))
        ranking = risk_from_margins(margins)[:, -1]
        return RiskScores(matrix.index, self.horizons_months, risk, ranking, matrix.provenance)

    def risk_interval(self, matrix: FeatureMatrix) -> Array:
        """Return lower and upper risk at the last horizon, shape ``(n_rows, 2)``; NaN where nothing tells.

        For modelers: where the two lie far apart, the calibration window says little about such households.
        The risk of :meth:`predict_risk` may lie outside, since it was calibrated another way.

        Raises
        ------
        ContractError
            RR361 or RR362 where the matrix was built from other features.
        """
        score = risk_from_margins(self.calibration.shifted(self.hazard_margins(matrix)))[:, -1]
        if self.uncertainty is None:
            return np.full((len(score), 2), np.nan)
        return self.uncertainty.interval(score)

    def values(self, matrix: FeatureMatrix) -> Array:
        """Return the model's columns of a matrix, shape ``(n_rows, n_features)``, after checking them."""
        match_features(self.features.names, fingerprints(self.features), matrix.features)
        return matrix.values[:, [matrix.features.position(name) for name in self.features.names]]


@lru_cache(maxsize=16)
def fingerprints(features: FeatureSet) -> tuple[str, ...]:
    """Return one hash a feature, over its name, formula, unit, direction and kind."""
    return tuple(FeatureSet([feature]).fingerprint for feature in features)


@lru_cache(maxsize=16)
def match_features(names: tuple[str, ...], expected: tuple[str, ...], available: FeatureSet) -> FeatureSet:
    """Return the features a model needs, out of those at hand.

    Raises
    ------
    ContractError
        RR361 where some are missing, RR362 where some are computed otherwise than in training.
    """
    missing = [name for name in names if name not in available]
    if missing:
        raise ContractError(
            "RR361",
            "model and features",
            f"{len(missing)} of the model's {len(names)} features are missing ({', '.join(missing[:5])})",
            "all features the model was trained on",
            "Give all_features(panel) with catalogue and mapping of the training, or train the model anew",
            zh="模型所需的指标缺失，请用训练时的指标目录重新计算，或重新训练模型。",
        )
    found = available.select(names)
    changed = [
        name for name, before, now in zip(names, expected, fingerprints(found), strict=True) if before != now
    ]
    if changed:
        raise ContractError(
            "RR362",
            "model and features",
            f"{len(changed)} features are defined otherwise than in training ({', '.join(changed[:5])})",
            "the definitions the model was trained on",
            "Train the model anew with the present catalogue",
            zh="指标定义与训练时不同，请重新训练模型。",
        )
    return found
