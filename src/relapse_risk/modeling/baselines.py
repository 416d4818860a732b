"""Baselines that could win: spline logistic hazards, the best single indicator, and a blend."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from relapse_risk.modeling.encoding import ColumnEncoding, encode
from relapse_risk.modeling.hazard import HazardClassifier
from relapse_risk.modeling.intervals import Array, Mask, person_intervals, risk_from_margins
from relapse_risk.modeling.newton import fit_logistic_hazard
from relapse_risk.modeling.ranked import RankedHazard

LOGISTIC_FILE = "coefficients.json"
INDICATOR_FILE = "indicator.json"
_BLOCK_ROWS = 50_000


class LogisticHazard(BaseEstimator):  # type: ignore[misc]
    """Discrete-time logistic hazard with restricted cubic splines and a ridge penalty.

    Missing values take the median and a column of their own; effects are the same in all intervals.

    Parameters
    ----------
    intervals_months : sequence of int
    categorical_features : sequence of int, optional
    c : float
        Inverse of the penalty, as scikit-learn's ``C``.
    """

    kind = "logistic"

    def __init__(
        self,
        intervals_months: Sequence[int] = (3, 6, 12),
        *,
        categorical_features: Sequence[int] | None = None,
        c: float = 0.05,
    ) -> None:
        self.intervals_months = intervals_months
        self.categorical_features = categorical_features
        self.c = c

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit on rows with their time to the event and how far they were observed."""
        at_risk, event = person_intervals(event_month, observed_months, self.intervals_months, sample_weight)
        used = (at_risk > 0.0).any(axis=1)
        values, at_risk, event = X[used], at_risk[used], event[used]
        categorical = set(self.categorical_features or ())
        self.encodings_ = []
        gaps: set[bytes] = set()
        for i in range(values.shape[1]):
            # Features of one source are missing together; one column says so for all of them.
            gap = np.isnan(values[:, i]).tobytes()
            self.encodings_.append(
                ColumnEncoding.learn(
                    values[:, i], is_categorical=i in categorical, marks_missing=gap not in gaps
                )
            )
            gaps.add(gap)
        design = np.empty((len(values), sum(e.width for e in self.encodings_)), dtype=np.float32)
        for start in range(0, len(values), _BLOCK_ROWS):
            design[start : start + _BLOCK_ROWS] = encode(self.encodings_, values[start : start + _BLOCK_ROWS])
        self.intercepts_, self.slopes_ = fit_logistic_hazard(design, at_risk, event, 1.0 / self.c)
        self.n_features_in_ = X.shape[1]
        return self

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        check_is_fitted(self)
        effect = np.empty(len(X))
        for start in range(0, len(X), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            # A matrix product rounds a row by its place among the others; a risk must not hang on that.
            effect[part] = np.einsum("ij,j->i", encode(self.encodings_, X[part]), self.slopes_)
        return effect[:, None] + self.intercepts_

    def predict_risk(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event by the end of each interval; rising from left to right."""
        return risk_from_margins(self.hazard_margins(X))

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return what each feature adds to the log-odds of every interval's hazard.

        Returns
        -------
        ndarray, shape (n, n_intervals, n_features + 1)
            Against the mean of the training rows, which is the base in the last column. The last axis adds
            up to ``hazard_margins(X)``.
        """
        check_is_fitted(self)
        found = np.zeros((len(X), len(self.intervals_months), self.n_features_in_ + 1))
        position = 0
        for i, encoding in enumerate(self.encodings_):
            slopes = self.slopes_[position : position + encoding.width]
            found[:, :, i] = (encoding.columns(X[:, i]) @ slopes)[:, None]
            position += encoding.width
        found[:, :, -1] = self.intercepts_
        return found

    def feature_importances(self) -> Array:
        """Return each feature's share of the squared standardised slopes, shape ``(n_features,)``."""
        check_is_fitted(self)
        owner = np.repeat(np.arange(self.n_features_in_), [e.width for e in self.encodings_])
        weight: Array = np.zeros(self.n_features_in_)
        np.add.at(weight, owner, self.slopes_**2)
        return weight / total if (total := weight.sum()) > 0 else weight

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""
        check_is_fitted(self)
        learnt = {
            "intercepts": self.intercepts_.tolist(),
            "slopes": self.slopes_.tolist(),
            "encodings": [encoding.as_json() for encoding in self.encodings_],
        }
        return {LOGISTIC_FILE: _as_text(learnt)}

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""
        learnt = json.loads(files[LOGISTIC_FILE])
        self.intercepts_ = np.asarray(learnt["intercepts"], dtype=np.float64)
        self.slopes_ = np.asarray(learnt["slopes"], dtype=np.float64)
        self.encodings_ = [ColumnEncoding.from_json(plain) for plain in learnt["encodings"]]
        self.n_features_in_ = len(self.encodings_)
        return self


class BestIndicator(BaseEstimator):  # type: ignore[misc]
    """The one feature that ranks the training rows best, and a monotone risk of it.

    The risk is logistic in the feature's rank among training rows, so it keeps the feature's order without
    ties. A missing value counts as the median: absence of data neither raises nor lowers a row much.

    Parameters
    ----------
    intervals_months : sequence of int
    categorical_features : sequence of int, optional
        Never chosen: their codes have no order.

    Attributes
    ----------
    position_ : int
        The feature chosen.
    sign_ : int
        1 where a higher value means more at risk, else -1.
    training_auc_ : float
    """

    kind = "best_indicator"

    def __init__(
        self,
        intervals_months: Sequence[int] = (3, 6, 12),
        *,
        categorical_features: Sequence[int] | None = None,
    ) -> None:
        self.intervals_months = intervals_months
        self.categorical_features = categorical_features

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit on rows with their time to the event and how far they were observed."""
        at_risk, event = person_intervals(event_month, observed_months, self.intervals_months)
        has_event: Mask = np.asarray((event > 0.0).any(axis=1))
        is_judged: Mask = has_event | (at_risk == 1.0).all(axis=1)
        if sample_weight is not None:
            at_risk, event = at_risk * sample_weight[:, None], event * sample_weight[:, None]
        outcome = has_event[is_judged]
        skipped = set(self.categorical_features or ())
        auc = np.array(
            [0.5 if i in skipped else _rank_auc(_filled(X[is_judged, i]), outcome) for i in range(X.shape[1])]
        )
        self.position_ = int(np.argmax(np.abs(auc - 0.5)))
        self.sign_ = 1 if auc[self.position_] >= 0.5 else -1
        self.training_auc_ = float(max(auc[self.position_], 1.0 - auc[self.position_]))
        self.n_features_in_ = X.shape[1]
        self.fill_ = _median(X[:, self.position_])
        self.ranked_ = RankedHazard.learn(self._order(X), at_risk, event)
        return self

    def _order(self, X: Array) -> Array:  # noqa: N803
        """Return the feature, what is missing filled, higher where more is at risk."""
        values = X[:, self.position_]
        order: Array = np.where(np.isnan(values), self.fill_, values) * self.sign_
        return order

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        check_is_fitted(self)
        return self.ranked_.margins(self._order(X))

    def predict_risk(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event by the end of each interval; rising from left to right."""
        return risk_from_margins(self.hazard_margins(X))

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return the share of the one feature, and the base in the last column."""
        check_is_fitted(self)
        found = np.zeros((len(X), len(self.intervals_months), self.n_features_in_ + 1))
        found[:, :, self.position_] = self.ranked_.effect(self._order(X))[:, None]
        found[:, :, -1] = self.ranked_.intercepts
        return found

    def feature_importances(self) -> Array:
        """Return 1 for the feature chosen and 0 for the rest, shape ``(n_features,)``."""
        check_is_fitted(self)
        is_chosen: Mask = np.arange(self.n_features_in_) == self.position_
        return is_chosen.astype(np.float64)

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""
        check_is_fitted(self)
        learnt = {
            "position": self.position_,
            "sign": self.sign_,
            "training_auc": self.training_auc_,
            "fill": self.fill_,
            **self.ranked_.as_json(),
            "n_features": self.n_features_in_,
        }
        return {INDICATOR_FILE: _as_text(learnt)}

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""
        learnt = json.loads(files[INDICATOR_FILE])
        self.position_, self.sign_ = int(learnt["position"]), int(learnt["sign"])
        self.training_auc_, self.fill_ = float(learnt["training_auc"]), float(learnt["fill"])
        self.ranked_ = RankedHazard.from_json(learnt)
        self.n_features_in_ = int(learnt["n_features"])
        return self


class Blend(BaseEstimator):  # type: ignore[misc]
    """Average of the log-odds of boosted and logistic hazards.

    Parameters
    ----------
    hazard : HazardClassifier
    logistic : LogisticHazard
    weight : float
        Share of the boosted hazards.
    """

    kind = "blend"

    def __init__(self, hazard: HazardClassifier, logistic: LogisticHazard, *, weight: float = 0.5) -> None:
        self.hazard = hazard
        self.logistic = logistic
        self.weight = weight

    @property
    def intervals_months(self) -> Sequence[int]:
        """Rising ends of the intervals."""
        return self.hazard.intervals_months

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit both on rows with their time to the event and how far they were observed."""
        self.hazard.fit(X, event_month, observed_months, sample_weight)
        self.logistic.fit(X, event_month, observed_months, sample_weight)
        return self

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        return self.blend(self.hazard.hazard_margins(X), self.logistic.hazard_margins(X))

    def predict_risk(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event by the end of each interval; rising from left to right."""
        return risk_from_margins(self.hazard_margins(X))

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return what each feature adds to the log-odds, and the base in the last column."""
        return self.blend(self.hazard.hazard_contributions(X), self.logistic.hazard_contributions(X))

    def blend(self, boosted: Array, logistic: Array) -> Array:
        """Return the weighted average of what both say of the log-odds, of any shape."""
        return self.weight * boosted + (1.0 - self.weight) * logistic

    def feature_importances(self) -> Array:
        """Return the weighted importances of both, shape ``(n_features,)``."""
        logistic = self.logistic.feature_importances()
        return self.weight * self.hazard.feature_importances() + (1.0 - self.weight) * logistic

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""
        return {**self.hazard.fitted_files(), **self.logistic.fitted_files()}

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""
        self.hazard.restore(files)
        self.logistic.restore(files)
        return self


def _filled(values: Array) -> Array:
    """Return the values with the median for what is missing; zeros where nothing is known."""
    return np.where(np.isnan(values), _median(values), values)


def _median(values: Array) -> float:
    return 0.0 if np.isnan(values).all() else float(np.nanmedian(values))


def _rank_auc(values: Array, outcome: Mask) -> float:
    """Return the probability that a row with the event has the higher value; ties count half."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    n_events = int(outcome.sum())
    n_free = len(outcome) - n_events
    if not n_events or not n_free:
        return 0.5
    return float((rank[outcome].sum() - n_events * (n_events + 1) / 2.0) / (n_events * n_free))


def _as_text(learnt: Mapping[str, object]) -> str:
    return json.dumps(learnt, indent=1, sort_keys=True, allow_nan=False) + "\n"
