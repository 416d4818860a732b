"""Rules only, as a model: it ranks as the rules do, and its risk is logistic in the place they give."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from relapse_risk.modeling.intervals import Array, person_intervals, risk_from_margins
from relapse_risk.modeling.ranked import RankedHazard

RULES_FILE = "rules.json"
READS = ("rule_grave_n", "rule_watch_n", "self_applied", "ref_income_to_line", "period_income_to_line")
_GRAVE, _WATCH, _APPLIED, _OF_YEAR, _OF_PERIOD = range(len(READS))
# Hits count as in the severity of a list; classes lie farther apart than any household has hits.
_GRAVE_WEIGHT, _GAP_WEIGHT, _CLASS_STEP = 3.0, 3.0, 1000.0


class RulesHazard(BaseEstimator):  # type: ignore[misc]
    """The order of the rules alone, and a monotone risk of it.

    First households with a grave hit, then with two or more watch hits, with one, with a self-application,
    and the rest; within each by the severity of the hits, then by income over line, the lowest first and the
    unknown last. What a list knows beyond that of 红, deadlines and which hits are new, is no part of it.

    Nothing of the order is learnt. Learnt is how often an event follows at each place of it: the risk is
    logistic in the log-odds of the rank among training rows, so that it keeps the order even where training
    rows contradict it. Look at the reliability table for where it is wrong.

    Parameters
    ----------
    intervals_months : sequence of int

    Notes
    -----
    The columns of ``X`` are those of ``READS``. The order of households that are not in 红 is that of the
    policy ``rules`` of the backtest.
    """

    kind = "rules"

    def __init__(self, intervals_months: Sequence[int] = (3, 6, 12)) -> None:
        self.intervals_months = intervals_months

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit on rows with their time to the event and how far they were observed."""
        at_risk, event = person_intervals(event_month, observed_months, self.intervals_months, sample_weight)
        self.ranked_ = RankedHazard.learn(place_by_rules(X), at_risk, event)
        income = _income(X)
        self.usual_income_ = 1.0 if np.isnan(income).all() else float(np.nanmedian(income))
        size = np.abs(self._shares(X)).mean(axis=0)
        self.importances_ = size / size.sum() if size.sum() > 0 else size
        self.n_features_in_ = len(READS)
        return self

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        check_is_fitted(self)
        return self.ranked_.margins(place_by_rules(X))

    def predict_risk(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event by the end of each interval; rising from left to right."""
        return risk_from_margins(self.hazard_margins(X))

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return what hits, application and income add, in this order, to a household without hits.

        Returns
        -------
        ndarray, shape (n, n_intervals, n_features + 1)
            Against a household of usual income that no rule names, which is the base in the last column.
        """
        check_is_fitted(self)
        found = np.zeros((len(X), len(self.intervals_months), len(READS) + 1))
        found[:, :, :-1] = self._shares(X)[:, None, :]
        found[:, :, -1] = self.ranked_.margins(place_by_rules(self._unnamed(1)))[0]
        return found

    def _shares(self, X: Array) -> Array:  # noqa: N803
        """Return the steps from an unnamed household to each row, a feature at a time, shape ``(n, 5)``."""
        shares = np.zeros((len(X), len(READS)))
        steps = self._unnamed(len(X))
        before = self.ranked_.effect(place_by_rules(steps))
        for column in (_GRAVE, _WATCH, _APPLIED):
            steps[:, column] = X[:, column]
            after = self.ranked_.effect(place_by_rules(steps))
            shares[:, column], before = after - before, after
        rest = self.ranked_.effect(place_by_rules(X)) - before
        is_of_period = np.isnan(X[:, _OF_YEAR]) & ~np.isnan(X[:, _OF_PERIOD])
        shares[:, _OF_YEAR], shares[:, _OF_PERIOD] = (
            np.where(is_of_period, 0.0, rest),
            np.where(is_of_period, rest, 0.0),
        )
        return shares

    def _unnamed(self, n: int) -> Array:
        """Return rows of usual income that no rule names."""
        rows = np.zeros((n, len(READS)))
        rows[:, _OF_YEAR] = rows[:, _OF_PERIOD] = self.usual_income_
        return rows

    def feature_importances(self) -> Array:
        """Return each feature's share of the mean size of contributions in training, shape ``(5,)``."""
        check_is_fitted(self)
        importances: Array = self.importances_
        return importances

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""
        check_is_fitted(self)
        learnt = {
            **self.ranked_.as_json(),
            "usual_income_to_line": self.usual_income_,
            "importances": self.importances_.tolist(),
        }
        return {RULES_FILE: json.dumps(learnt, indent=1, sort_keys=True, allow_nan=False) + "\n"}

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""
        learnt = json.loads(files[RULES_FILE])
        self.ranked_ = RankedHazard.from_json(learnt)
        self.usual_income_ = float(learnt["usual_income_to_line"])
        self.importances_ = np.asarray(learnt["importances"], dtype=np.float64)
        self.n_features_in_ = len(READS)
        return self


def place_by_rules(X: Array) -> Array:  # noqa: N803
    """Return a figure that orders rows as the rules do, shape ``(n,)``; higher comes first.

    >>> nobody, watched, grave = [0, 0, 0, 1.4, 1.4], [0, 1, 0, 3.0, 3.0], [1, 0, 0, 2.0, 2.0]
    >>> poorer, unknown = [0, 0, 0, 1.2, 1.2], [0, 0, 0, np.nan, np.nan]
    >>> np.argsort(-place_by_rules(np.array([nobody, watched, grave, poorer, unknown]))).tolist()
    [2, 1, 3, 0, 4]
    """
    grave, watch = np.nan_to_num(X[:, _GRAVE]), np.nan_to_num(X[:, _WATCH])
    classes = np.select([grave > 0, watch >= 2, watch == 1, X[:, _APPLIED] >= 1], [4.0, 3.0, 2.0, 1.0], 0.0)
    gap = np.clip(1.0 - np.nan_to_num(X[:, _OF_YEAR], nan=1.0), 0.0, 1.0)
    severity = np.where(classes > 0, _GRAVE_WEIGHT * grave + watch + _GAP_WEIGHT * gap, 0.0)
    income = _income(X)
    # Between 0 and 1, falling with income, and 0 where it is not known: it moves nothing but ties.
    poverty = np.nan_to_num(0.5 - 0.5 * income / (1.0 + np.abs(income)))
    place: Array = _CLASS_STEP * classes + severity + poverty
    return place


def _income(X: Array) -> Array:  # noqa: N803
    """Return income over line: of the last twelve months, else period; NaN where neither is known."""
    income: Array = np.where(np.isnan(X[:, _OF_YEAR]), X[:, _OF_PERIOD], X[:, _OF_YEAR])
    return income
