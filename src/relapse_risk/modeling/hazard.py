"""Discrete-time hazards on LightGBM: one booster over person-intervals."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from relapse_risk.modeling.intervals import Array, person_intervals, risk_from_margins, sigmoid

if TYPE_CHECKING:
    from lightgbm import Booster

BOOSTER_FILE = "booster.txt"
FIT_THREADS = 2
_BLOCK_ROWS = 100_000


def lightgbm_module() -> ModuleType:
    """Return LightGBM, imported late."""
    # Threads that spin while they wait make a fit five times as slow where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import lightgbm

    return lightgbm


class HazardClassifier(BaseEstimator):  # type: ignore[misc]
    """Probability of the first event in each interval, by gradient-boosted trees.

    Every row is repeated for each interval in which it is at risk; the number of the interval is the last
    column of what the trees see. Risk never falls with the horizon, by construction, and a censored row
    simply leaves the risk set.

    Parameters
    ----------
    intervals_months : sequence of int
        Rising ends of the intervals.
    monotone_constraints : sequence of int, optional
        One of -1, 0 and 1 a feature: which way the hazard may move when the feature grows.
    categorical_features : sequence of int, optional
        Positions of features that are codes (whole numbers, 0 and above).
    n_estimators, learning_rate, num_leaves, max_depth, min_child_samples, subsample, colsample_bytree, \
reg_lambda
        As in LightGBM.
    seed : int
    num_threads : int
        Of the fit. Fixed, because it is written into the booster's text; predictions use every core.

    Attributes
    ----------
    booster_text_ : str
        The trees as LightGBM writes them.
    n_features_in_ : int

    Notes
    -----
    The data likelihood of discrete-time hazards is that of a binary regression on person-intervals
    (Singer and Willett 1993, doi:10.3102/10769986018002155).
    """

    kind = "hazard"

    def __init__(
        self,
        intervals_months: Sequence[int] = (3, 6, 12),
        *,
        monotone_constraints: Sequence[int] | None = None,
        categorical_features: Sequence[int] | None = None,
        n_estimators: int = 150,
        learning_rate: float = 0.05,
        num_leaves: int = 15,
        max_depth: int = 8,
        min_child_samples: int = 60,
        subsample: float = 0.8,
        colsample_bytree: float = 0.5,
        reg_lambda: float = 5.0,
        seed: int = 0,
        num_threads: int = FIT_THREADS,
    ) -> None:
        self.intervals_months = intervals_months
        self.monotone_constraints = monotone_constraints
        self.categorical_features = categorical_features
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.max_depth = max_depth
        self.min_child_samples = min_child_samples
        self.subsample = subsample
        self.colsample_bytree = colsample_bytree
        self.reg_lambda = reg_lambda
        self.seed = seed
        self.num_threads = num_threads

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array | None = None,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit on rows with their time to the event and how far they were observed.

        Parameters
        ----------
        X : ndarray, shape (n, n_features)
            NaN where not known.
        event_month, observed_months : ndarray, shape (n,)
            As in ``Labels``. Where scikit-learn splits the rows, both come as the two columns of ``y``,
            ``event_month`` first.
        sample_weight : ndarray, shape (n,), optional
            How many rows each stands for.
        """
        lightgbm = lightgbm_module()
        if observed_months is None:
            event_month, observed_months = np.asarray(event_month, dtype=np.float64).T
        data, n_columns = self._dataset(X, event_month, observed_months, sample_weight)
        booster = lightgbm.train(self._parameters(n_columns), data, self.n_estimators)
        return self._adopt(booster.model_to_string())

    def trees_that_help(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None,
        later: tuple[Array, Array, Array, Array | None],
        patience: int = 20,
    ) -> int:
        """Return how many trees fitted on some rows predict later rows best, at most ``n_estimators``.

        Parameters
        ----------
        X, event_month, observed_months, sample_weight
            As for :meth:`fit`.
        later : tuple
            The same four of the rows to be predicted.
        patience : int
            Growing ends when so many trees brought nothing.
        """
        lightgbm = lightgbm_module()
        data, n_columns = self._dataset(X, event_month, observed_months, sample_weight)
        judge, _ = self._dataset(*later, reference=data)
        booster = lightgbm.train(
            self._parameters(n_columns),
            data,
            self.n_estimators,
            valid_sets=[judge],
            callbacks=[lightgbm.early_stopping(patience, verbose=False)],
        )
        return max(int(booster.best_iteration), 1)

    def _dataset(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None,
        reference: Any = None,
    ) -> tuple[Any, int]:
        """Return the person-intervals as LightGBM takes them, and their number of columns."""
        at_risk, event = person_intervals(event_month, observed_months, self.intervals_months, sample_weight)
        interval, row = np.nonzero(at_risk.T)
        label, weight = event[row, interval], at_risk[row, interval]
        # A row that is in part an event stands twice, once with either outcome.
        is_both = (label > 0.0) & (label < weight)
        row, interval = np.concatenate([row, row[is_both]]), np.concatenate([interval, interval[is_both]])
        weight = np.concatenate([np.where(label > 0.0, label, weight), (weight - label)[is_both]])
        is_event = np.concatenate([label > 0.0, np.zeros(int(is_both.sum()), dtype=np.bool_)])
        expanded = np.column_stack([np.asarray(X, dtype=np.float32)[row], interval.astype(np.float32)])
        data = lightgbm_module().Dataset(
            expanded,
            label=is_event.astype(np.float32),
            weight=None if (weight == 1.0).all() else weight,
            categorical_feature=list(self.categorical_features or ()),
            params=self._parameters(expanded.shape[1]),
            reference=reference,
        )
        return data, expanded.shape[1]

    def _parameters(self, n_columns: int) -> dict[str, Any]:
        parameters: dict[str, Any] = {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "max_depth": self.max_depth,
            "min_data_in_leaf": self.min_child_samples,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1 if self.subsample < 1 else 0,
            "feature_fraction": self.colsample_bytree,
            "lambda_l2": self.reg_lambda,
            "seed": self.seed,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": self.num_threads,
            "verbosity": -1,
        }
        constraints = [*(self.monotone_constraints or [0] * (n_columns - 1)), 0]
        if any(constraints):
            parameters["monotone_constraints"] = constraints
        return parameters

    def _adopt(self, text: str) -> Self:
        """Take the booster from its text, so that a saved and a fitted model are the same object."""
        lightgbm = lightgbm_module()
        self.booster_text_ = text
        self.booster_: Booster = lightgbm.Booster(model_str=text)
        self.n_features_in_ = self.booster_.num_feature() - 1
        return self

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        check_is_fitted(self)
        margins = np.empty((len(X), len(self.intervals_months)))
        for part, interval, expanded in self._expanded(X):
            margins[part, interval] = self.booster_.predict(expanded, raw_score=True, num_threads=0)
        return margins

    def predict_hazard(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event in each interval among those free of it before."""
        return sigmoid(self.hazard_margins(X))

    def predict_risk(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event by the end of each interval; rising from left to right."""
        return risk_from_margins(self.hazard_margins(X))

    def predict_proba(self, X: Array) -> Array:  # noqa: N803
        """Return the probabilities of no event and of the event by the last horizon, shape ``(n, 2)``."""
        risk = self.predict_risk(X)[:, -1]
        return np.column_stack([1.0 - risk, risk])

    def score(self, X: Array, y: Array) -> float:  # noqa: N803
        """Return the mean log-likelihood of the person-intervals observed; higher is better.

        Parameters
        ----------
        X : ndarray, shape (n, n_features)
        y : ndarray, shape (n, 2)
            ``event_month`` and ``observed_months``.
        """
        event_month, observed_months = np.asarray(y, dtype=np.float64).T
        at_risk, event = person_intervals(event_month, observed_months, self.intervals_months)
        margins = self.hazard_margins(X)
        likelihood = event * margins - at_risk * np.logaddexp(0.0, margins)
        return float(likelihood.sum() / at_risk.sum())

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return what each feature adds to the log-odds of every interval's hazard.

        Returns
        -------
        ndarray, shape (n, n_intervals, n_features + 1)
            Exact path-dependent TreeSHAP; the last column is the base, with the interval's own share in
            it. The last axis adds up to ``hazard_margins(X)``; higher means more at risk.
        """
        check_is_fitted(self)
        found = np.empty((len(X), len(self.intervals_months), self.n_features_in_ + 1))
        for part, interval, expanded in self._expanded(X):
            shares = np.asarray(self.booster_.predict(expanded, pred_contrib=True, num_threads=0))
            found[part, interval, :-1] = shares[:, :-2]
            found[part, interval, -1] = shares[:, -2] + shares[:, -1]
        return found

    def _expanded(self, X: Array) -> Iterator[tuple[slice, int, NDArray[np.float32]]]:  # noqa: N803
        """Yield blocks of rows, once an interval, with the interval's number as a last column."""
        for start in range(0, len(X), _BLOCK_ROWS):
            part = slice(start, start + _BLOCK_ROWS)
            block = np.asarray(X[part], dtype=np.float32)
            expanded = np.column_stack([block, np.zeros(len(block), dtype=np.float32)])
            for interval in range(len(self.intervals_months)):
                expanded[:, -1] = interval
                yield part, interval, expanded

    def feature_importances(self) -> Array:
        """Return the share of the total gain that each feature brought, shape ``(n_features,)``."""
        check_is_fitted(self)
        gain = np.asarray(self.booster_.feature_importance("gain"), dtype=np.float64)[:-1]
        return gain / total if (total := gain.sum()) > 0 else gain

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""
        check_is_fitted(self)
        return {BOOSTER_FILE: self.booster_text_}

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""
        return self._adopt(files[BOOSTER_FILE])
