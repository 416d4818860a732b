"""A points scorecard: a dozen questions, whole points, a sum; for a village without a computer."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.isotonic import isotonic_regression
from sklearn.utils.validation import check_is_fitted

from relapse_risk.modeling.intervals import (
    Array,
    Mask,
    log_odds,
    person_intervals,
    risk_from_margins,
    sigmoid,
)
from relapse_risk.modeling.newton import fit_logistic_hazard

SCORECARD_FILE = "scorecard.json"
MOST_ITEMS = 12
_FINE_BINS = 20
_MOST_BINS = 5
_SMALLEST_SHARE = 0.03
_DIGITS = 3
_MOST_POINTS = 10
_RIDGE = 1.0


@dataclass(frozen=True)
class ScorecardItem:
    """One question of the page.

    Attributes
    ----------
    position : int
        Of the feature among the model's features.
    cuts : tuple of float
        Rising; a value on a cut belongs to the bin above it.
    points : tuple of int
        One a bin, monotone, the smallest 0.
    missing_bin : int
        The bin a missing value counts in: that of the training median.
    """

    position: int
    cuts: tuple[float, ...]
    points: tuple[int, ...]
    missing_bin: int

    def answer(self, values: Array) -> Array:
        """Return the points of each row, shape ``(n,)``, for the matrix of all features."""
        found: Array = np.asarray(self.points, dtype=np.float64)[
            _bins(values[:, self.position], self.cuts, self.missing_bin)
        ]
        return found


class PointsScorecard(BaseEstimator):  # type: ignore[misc]
    """Whole points for at most twelve monotone items; the hazard is logistic in their sum.

    Each feature is cut into at most five bins whose event rates are monotone; items are taken one after
    the other by the score test; their fitted effects are rounded to points, the largest item giving at
    most ten; and the hazard of each interval is fitted on the sum of the rounded points, so that what the
    page says and what the computer says are the same.

    Parameters
    ----------
    intervals_months : sequence of int
    directions : sequence of int, optional
        One of -1, 0 and 1 a feature: which way points may move when the feature grows; 0 takes the way
        that fits better.
    categorical_features : sequence of int, optional
        Never chosen: their codes have no order.
    max_items : int
        At most 12.

    Attributes
    ----------
    items_ : tuple of ScorecardItem
        In the order in which they were chosen; may be empty where no feature helps.
    intercepts_ : ndarray, shape (n_intervals,)
    slope_ : float
        Log-odds of the hazard that one point adds.
    mean_points_ : ndarray, shape (n_items,)
        Of the training rows.

    Notes
    -----
    Weights of evidence of monotone bins, scaled and rounded: Siddiqi, Credit Risk Scorecards (2006),
    chapter 6. An item enters where its score statistic beats the logarithm of the number of events for
    each of its cuts (BIC).
    """

    kind = "scorecard"

    def __init__(
        self,
        intervals_months: Sequence[int] = (3, 6, 12),
        *,
        directions: Sequence[int] | None = None,
        categorical_features: Sequence[int] | None = None,
        max_items: int = MOST_ITEMS,
    ) -> None:
        self.intervals_months = intervals_months
        self.directions = directions
        self.categorical_features = categorical_features
        self.max_items = max_items

    def fit(
        self,
        X: Array,  # noqa: N803
        event_month: Array,
        observed_months: Array,
        sample_weight: Array | None = None,
    ) -> Self:
        """Fit on rows with their time to the event and how far they were observed."""
        at_risk, event = person_intervals(event_month, observed_months, self.intervals_months)
        used = (at_risk > 0.0).any(axis=1)
        values, at_risk, event = X[used], at_risk[used], event[used]
        weight = np.ones(len(values)) if sample_weight is None else sample_weight[used]
        self.n_features_in_ = X.shape[1]
        candidates = self._candidates(values, at_risk, event, weight)
        at_risk, event = at_risk * weight[:, None], event * weight[:, None]
        chosen, slopes = self._chosen(candidates, at_risk, event)
        self.items_ = _rounded(chosen, slopes)
        total = self.total_points(values)
        intercepts, slope = fit_logistic_hazard(total[:, None], at_risk, event, 1e-6)
        # No item, no slope: a column of zeros leaves it undetermined.
        self.intercepts_, self.slope_ = intercepts, max(float(slope[0]), 0.0) if self.items_ else 0.0
        self.mean_points_ = np.array(
            [np.average(item.answer(values), weights=weight) for item in self.items_]
        )
        return self

    def _candidates(self, values: Array, at_risk: Array, event: Array, weight: Array) -> list[_Binned]:
        has_event: Mask = np.asarray((event > 0.0).any(axis=1))
        is_judged: Mask = has_event | np.asarray((at_risk == 1.0).all(axis=1))
        skipped = set(self.categorical_features or ())
        directions = self.directions or [0] * self.n_features_in_
        found = [
            _Binned.learn(i, values[:, i], is_judged, has_event, int(directions[i]), weight)
            for i in range(self.n_features_in_)
            if i not in skipped
        ]
        return [binned for binned in found if binned is not None]

    def _chosen(self, candidates: list[_Binned], at_risk: Array, event: Array) -> tuple[list[_Binned], Array]:
        """Return the items that enter, one after the other, and their slopes."""
        least = float(np.log(max(float(event.sum()), 2.0)))
        chosen: list[_Binned] = []
        slopes: Array = np.empty(0)
        margins = np.tile(
            fit_logistic_hazard(_design([], len(event)), at_risk, event, 1.0)[0], (len(event), 1)
        )
        left = list(candidates)
        while left and len(chosen) < min(self.max_items, MOST_ITEMS):
            # Every cut was searched for, so every cut is paid for.
            price = least * np.array([len(binned.cuts) for binned in left])
            gains = _score_tests(left, margins, at_risk, event) - price
            best = int(np.argmax(gains))
            if gains[best] <= 0:
                break
            trial = [*chosen, left.pop(best)]
            design = _design(trial, len(event))
            intercepts, fitted = fit_logistic_hazard(design, at_risk, event, _RIDGE)
            if (fitted <= 0).any():
                continue
            chosen, slopes = trial, fitted
            margins = (design @ slopes)[:, None] + intercepts
        return chosen, slopes

    def total_points(self, X: Array) -> Array:  # noqa: N803
        """Return the sum of points of each row, whole numbers, shape ``(n,)``; higher means more at risk."""
        total = np.zeros(len(X))
        for item in self.items_:
            total += item.answer(X)
        return total

    def hazard_margins(self, X: Array) -> Array:  # noqa: N803
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        check_is_fitted(self)
        return self.slope_ * self.total_points(X)[:, None] + self.intercepts_

    def predict_risk(self, X: Array) -> Array:  # noqa: N803
        """Return the probability of the event by the end of each interval; rising from left to right."""
        return risk_from_margins(self.hazard_margins(X))

    def hazard_contributions(self, X: Array) -> Array:  # noqa: N803
        """Return what each item adds to the log-odds of every interval's hazard.

        Returns
        -------
        ndarray, shape (n, n_intervals, n_features + 1)
            Against the mean points of the training rows, which are in the base, the last column. The last
            axis adds up to ``hazard_margins(X)``.
        """
        check_is_fitted(self)
        found = np.zeros((len(X), len(self.intervals_months), self.n_features_in_ + 1))
        for item, mean in zip(self.items_, self.mean_points_, strict=True):
            found[:, :, item.position] = (self.slope_ * (item.answer(X) - mean))[:, None]
        found[:, :, -1] = self.intercepts_ + self.slope_ * self.mean_points_.sum()
        return found

    def feature_importances(self) -> Array:
        """Return each item's share of the points that can be had, shape ``(n_features,)``."""
        check_is_fitted(self)
        found = np.zeros(self.n_features_in_)
        for item in self.items_:
            found[item.position] = max(item.points)
        return found / total if (total := found.sum()) > 0 else found

    def fitted_files(self) -> dict[str, str]:
        """Return what was learnt, as texts by file name."""
        check_is_fitted(self)
        learnt = {
            "items": [asdict(item) for item in self.items_],
            "intercepts": self.intercepts_.tolist(),
            "slope": self.slope_,
            "mean_points": self.mean_points_.tolist(),
            "n_features": self.n_features_in_,
        }
        return {SCORECARD_FILE: json.dumps(learnt, indent=1, sort_keys=True, allow_nan=False) + "\n"}

    def restore(self, files: Mapping[str, str]) -> Self:
        """Take over what ``fitted_files`` gave."""
        learnt: dict[str, Any] = json.loads(files[SCORECARD_FILE])
        self.items_ = tuple(
            ScorecardItem(
                int(plain["position"]),
                tuple(plain["cuts"]),
                tuple(plain["points"]),
                int(plain["missing_bin"]),
            )
            for plain in learnt["items"]
        )
        self.intercepts_ = np.asarray(learnt["intercepts"], dtype=np.float64)
        self.slope_ = float(learnt["slope"])
        self.mean_points_ = np.asarray(learnt["mean_points"], dtype=np.float64)
        self.n_features_in_ = int(learnt["n_features"])
        return self


@dataclass(frozen=True)
class _Binned:
    """A feature in monotone bins, and the log-odds of the event in each."""

    position: int
    cuts: tuple[float, ...]
    evidence: Array
    missing_bin: int
    bins: NDArray[np.intp]

    @classmethod
    def learn(
        cls, position: int, values: Array, is_judged: Mask, has_event: Mask, direction: int, weight: Array
    ) -> _Binned | None:
        """Return the bins of one feature, or None where they would be one."""
        known = values[~np.isnan(values)]
        if not len(known):
            return None
        cuts = np.unique(_shortened(np.quantile(known, np.linspace(0, 1, _FINE_BINS + 1)[1:-1])))
        median = float(np.median(known))
        fine = _bins(values, cuts, int(_bins(np.array([median]), cuts, 0)[0]))
        is_counted = is_judged & ~np.isnan(values)
        judged = weight[is_judged]
        base = float(np.average(has_event[is_judged], weights=judged)) if len(judged) else 0.0
        if not 0.0 < base < 1.0:
            return None
        # One row of the average rate in each bin keeps rates off 0 and 1, and sums of bins monotone.
        is_event, n_bins = is_counted & has_event, len(cuts) + 1
        counts = _summed(fine[is_counted], weight[is_counted], n_bins) + 1.0
        events = _summed(fine[is_event], weight[is_event], n_bins) + base
        kept = _merged(cuts, counts, events, direction)
        if not len(kept):
            return None
        missing_bin = int(_bins(np.array([median]), kept, 0)[0])
        into = np.searchsorted(kept, cuts, side="right")
        groups = np.concatenate([[0], into])
        n, e = _summed(groups, counts), _summed(groups, events)
        evidence = log_odds(e / n)
        return cls(position, tuple(kept.tolist()), evidence, missing_bin, _bins(values, kept, missing_bin))

    @property
    def mean(self) -> float:
        """The mean evidence of the training rows."""
        return float(self.evidence @ np.bincount(self.bins, minlength=len(self.evidence)) / len(self.bins))

    @property
    def column(self) -> Array:
        """The centred evidence of every training row."""
        column: Array = (self.evidence - self.mean)[self.bins]
        return column


def _bins(values: Array, cuts: Sequence[float] | Array, missing_bin: int) -> NDArray[np.intp]:
    """Return the bin of each value; single precision, as features are kept."""
    found = np.searchsorted(np.asarray(cuts, np.float32), values.astype(np.float32), side="right")
    return np.where(np.isnan(values), missing_bin, found)


def _shortened(values: Array) -> Array:
    """Return the values with three significant digits: what a page can show is what is computed with."""
    return np.array([float(f"{value:.{_DIGITS}g}") for value in values.tolist()])


def _merged(cuts: Array, counts: Array, events: Array, direction: int) -> Array:
    """Return the cuts left when bins are joined until they are monotone, few and not too small."""
    rate = events / counts
    ways = [direction > 0] if direction else [True, False]
    fits = [isotonic_regression(rate, sample_weight=counts, increasing=way) for way in ways]
    fit = min(fits, key=lambda found: float((counts * (rate - found) ** 2).sum()))
    is_cut = np.diff(fit) != 0
    kept: Array = cuts[is_cut]
    groups = np.concatenate([[0], np.cumsum(is_cut)])
    n, e = _summed(groups, counts), _summed(groups, events)
    while len(kept):
        loss = np.array([_loss_of_joining(n, e, k) for k in range(len(kept))])
        small = np.minimum(n[:-1], n[1:]) < _SMALLEST_SHARE * n.sum()
        if len(kept) < _MOST_BINS and not small.any():
            break
        joined = int(np.argmin(np.where(small, loss, np.inf) if small.any() else loss))
        kept = np.delete(kept, joined)
        n[joined], e[joined] = n[joined] + n[joined + 1], e[joined] + e[joined + 1]
        n, e = np.delete(n, joined + 1), np.delete(e, joined + 1)
    return kept


def _summed(groups: NDArray[np.intp], values: Array, n_groups: int = 0) -> Array:
    total: Array = np.asarray(np.bincount(groups, values, n_groups), dtype=np.float64)
    return total


def _loss_of_joining(counts: Array, events: Array, k: int) -> float:
    """Return the log-likelihood lost when bins ``k`` and ``k + 1`` are joined."""

    def likelihood(n: float, e: float) -> float:
        rate = e / n
        return float(e * np.log(rate) + (n - e) * np.log1p(-rate))

    n, e = counts[k : k + 2].tolist(), events[k : k + 2].tolist()
    return likelihood(n[0], e[0]) + likelihood(n[1], e[1]) - likelihood(sum(n), sum(e))


def _design(items: Sequence[_Binned], n_rows: int) -> Array:
    return np.column_stack([item.column for item in items]) if items else np.empty((n_rows, 0))


def _score_tests(items: Sequence[_Binned], margins: Array, at_risk: Array, event: Array) -> Array:
    """Return the score statistic of adding each item with a positive slope; 0 where it would be negative."""
    hazard = sigmoid(margins)
    residual = (event - at_risk * hazard).sum(axis=1)
    spread = (at_risk * hazard * (1.0 - hazard)).sum(axis=1)
    found = np.zeros(len(items))
    for k, item in enumerate(items):
        # A column has as many values as bins, so sums by bin say all about it.
        residuals, spreads = (_summed(item.bins, sums, len(item.evidence)) for sums in (residual, spread))
        score = float((item.evidence - item.mean) @ residuals)
        centre = float(item.evidence @ spreads) / spreads.sum()
        information = float((item.evidence - centre) ** 2 @ spreads)
        found[k] = score**2 / information if score > 0 and information > 0 else 0.0
    return found


def _rounded(chosen: Sequence[_Binned], slopes: Array) -> tuple[ScorecardItem, ...]:
    """Return the items with whole points; one whose points are all 0 is left out."""
    effects = [
        slope * (item.evidence - item.evidence.min()) for item, slope in zip(chosen, slopes, strict=True)
    ]
    if not effects:
        return ()
    unit = max(float(effect.max()) for effect in effects) / _MOST_POINTS
    items = []
    for item, effect in zip(chosen, effects, strict=True):
        points = tuple(int(p) for p in np.rint(effect / unit))
        if any(points):
            items.append(ScorecardItem(item.position, item.cuts, points, item.missing_bin))
    return tuple(items)
