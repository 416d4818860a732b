"""What every model of risk can do, and how one is made from its configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, Self

from relapse_risk.config import ModelConfig
from relapse_risk.modeling.baselines import BestIndicator, Blend, LogisticHazard
from relapse_risk.modeling.hazard import HazardClassifier
from relapse_risk.modeling.intervals import Array
from relapse_risk.modeling.rules_hazard import RulesHazard
from relapse_risk.modeling.scorecard import PointsScorecard


class RiskEstimator(Protocol):
    """Hazards by interval from a matrix of features.

    ``restore(fitted_files())`` on an estimator of the same configuration gives equal predictions.
    """

    kind: str

    @property
    def intervals_months(self) -> Sequence[int]:
        """Rising ends of the intervals."""

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit on rows with their time to the event, how far they were observed, and what they count."""

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return shape ``(n, n_intervals, n_features + 1)``: shares of the features, then the base."""

    def feature_importances(self) -> Array:
        """Return shares that add up to one, shape ``(n_features,)``."""

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""


def make_estimator(
    config: ModelConfig, directions: Sequence[int], is_categorical: Sequence[bool]
) -> RiskEstimator:
    """Return an unfitted estimator of the configured kind.

    Parameters
    ----------
    config : ModelConfig
    directions : sequence of int
        -1, 0 or 1 a feature, as declared; used where ``config.is_monotone``.
    is_categorical : sequence of bool
        One a feature.
    """
    intervals = config.intervals_months
    if config.kind == "rules":
        return RulesHazard(intervals)
    categorical = tuple(i for i, flag in enumerate(is_categorical) if flag)
    if config.kind == "best_indicator":
        return BestIndicator(intervals, categorical_features=categorical)
    logistic = LogisticHazard(intervals, categorical_features=categorical, c=config.logistic_c)
    if config.kind == "logistic":
        return logistic
    constraints = [0 if flag else int(d) for d, flag in zip(directions, is_categorical, strict=True)]
    if config.kind == "scorecard":
        return PointsScorecard(
            intervals,
            directions=tuple(constraints) if config.is_monotone else None,
            categorical_features=categorical,
            max_items=config.scorecard_items,
        )
    hazard = HazardClassifier(
        intervals,
        monotone_constraints=tuple(constraints) if config.is_monotone else None,
        categorical_features=categorical,
        n_estimators=config.n_estimators,
        learning_rate=config.learning_rate,
        num_leaves=config.num_leaves,
        max_depth=config.max_depth,
        min_child_samples=config.min_child_samples,
        subsample=config.subsample,
        colsample_bytree=config.colsample_bytree,
        reg_lambda=config.reg_lambda,
        seed=config.seed,
    )
    if config.kind == "hazard":
        return hazard
    return Blend(hazard, logistic, weight=config.blend_weight)
