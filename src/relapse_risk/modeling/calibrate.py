"""Calibration of hazards on a later window than the model was fitted on, and the reliability table.

Hazards are calibrated, not cumulative risks, so that risk still rises with the horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
import polars as pl

from relapse_risk.modeling.intervals import Array, log_odds, person_intervals, sigmoid

CalibrationMethod = Literal["none", "level", "sigmoid", "beta", "isotonic"]
METHODS: tuple[CalibrationMethod, ...] = get_args(CalibrationMethod)  # the simplest first
FEWEST_EVENTS = 10
_SMALLEST_SLOPE = 0.05
_SLOPE_DEVIATION = 0.25  # of the prior around 1: a few dozen events move the slope half of the way
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class MarginMap:
    """A rising map from the margin of one interval to its calibrated margin.

    Attributes
    ----------
    kind : {"identity", "sigmoid", "beta", "isotonic"}
        ``sigmoid`` is ``intercept + slope * margin``; ``beta`` is ``intercept + slope * log(p) -
        upper_slope * log(1 - p)`` of the hazard ``p``; ``isotonic`` interpolates between knots.
    n_rows, n_events : int
        What it was learnt on.
    """

    kind: Literal["identity", "sigmoid", "beta", "isotonic"]
    intercept: float = 0.0
    slope: float = 1.0
    knots: tuple[float, ...] = ()
    margins: tuple[float, ...] = ()
    n_rows: int = 0
    n_events: int = 0
    upper_slope: float = 1.0

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> MarginMap:
        """Take over the plain values of a map."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        return cls(**values)

    def apply(self, margin: Array) -> Array:
        """Return the calibrated margins, shape as given."""
        if self.kind == "isotonic":
            return np.interp(margin, self.knots, self.margins)
        if self.kind == "beta":
            low, high = _beta_columns(margin)
            return self.intercept + self.slope * low + self.upper_slope * high
        return self.intercept + self.slope * margin


@dataclass(frozen=True)
class IntervalCalibration:
    """One rising map an interval.

    Attributes
    ----------
    method : {"none", "level", "sigmoid", "beta", "isotonic"}
    maps : tuple of MarginMap
    shifts : tuple of float
        What is added to each interval's margins first; empty for nothing. See :meth:`carried_over`.
    """

    method: CalibrationMethod
    maps: tuple[MarginMap, ...]
    shifts: tuple[float, ...] = ()

    @classmethod
    def identity(cls, n_intervals: int) -> IntervalCalibration:
        """Return the calibration that changes nothing."""
        return cls("none", (MarginMap("identity"),) * n_intervals)

    @classmethod
    def learn(
        cls,
        margins: Array,
        event_month: Array,
        observed_months: Array,
        interval_ends: Sequence[int],
        method: CalibrationMethod,
        sample_weight: Array | None = None,
    ) -> IntervalCalibration:
        """Return the calibration learnt on rows the model was not fitted on.

        Parameters
        ----------
        margins : ndarray, shape (n, n_intervals)
            Uncalibrated log-odds of the hazards.
        event_month, observed_months : ndarray, shape (n,)
        interval_ends : sequence of int
        method : {"none", "level", "sigmoid", "beta", "isotonic"}
            ``level`` moves the intercept alone, for a prevalence that has shifted. An interval with fewer
            than 10 events or event-free rows only has its level moved, whatever the method.
        sample_weight : ndarray, shape (n,), optional
            How many rows each stands for.

        Notes
        -----
        Sigmoid: Platt 1999, with a slope above zero and a normal prior around 1; beta: Kull, Silva Filho and
        Flach 2017 (doi:10.1214/17-EJS1338SI), with such a prior on both slopes; isotonic: Zadrozny and Elkan
        2002 (doi:10.1145/775047.775151).
        """
        at_risk, event = person_intervals(event_month, observed_months, interval_ends, sample_weight)
        if method == "none":
            return cls.identity(len(interval_ends))
        maps = []
        for k in range(len(interval_ends)):
            used = at_risk[:, k] > 0.0
            part = margins[used, k], at_risk[used, k], event[used, k]
            enough = min(part[2].sum(), (part[1] - part[2]).sum()) >= FEWEST_EVENTS
            maps.append(_LEARN[method](*part) if enough else learn_level(*part))
        return cls(method, tuple(maps))

    def carried_over(self, learnt_on: Array, margins: Array, at_risk: Array) -> IntervalCalibration:
        """Return the calibration for a model fitted once more, also on the rows this one was learnt on.

        Parameters
        ----------
        learnt_on, margins : ndarray, shape (n, n_intervals)
            Margins of the same rows by the model before and by the model after.
        at_risk : ndarray, shape (n, n_intervals)
            Weights, as ``person_intervals`` gives them.

        Notes
        -----
        The maps move the level of the model before to that of the later rows. The model after has seen these
        rows and has gone part of the way itself: with the maps alone it would go there twice. So its margins
        are first shifted until it expects as many events as the model before.
        """
        if self.method == "none":
            return self
        shifts = [
            learn_level(margins[:, k], at_risk[:, k], at_risk[:, k] * sigmoid(learnt_on[:, k])).intercept
            for k in range(len(self.maps))
        ]
        return replace(self, shifts=tuple(shifts))

    def shifted(self, margins: Array) -> Array:
        """Return margins at the level of the model that the maps were learnt on, shape as given."""
        return margins + np.array(self.shifts) if self.shifts else margins

    def apply(self, margins: Array) -> Array:
        """Return calibrated margins, shape ``(n, n_intervals)``."""
        at_level = self.shifted(margins)
        return np.column_stack([each.apply(at_level[:, k]) for k, each in enumerate(self.maps)])

    def as_json(self) -> dict[str, Any]:
        """Return the calibration as plain values."""
        maps = [dict(each.__dict__) for each in self.maps]
        return {"method": self.method, "maps": maps, "shifts": list(self.shifts)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> IntervalCalibration:
        """Take over what ``as_json`` gave."""
        maps = tuple(MarginMap.from_json(each) for each in plain["maps"])
        return cls(plain["method"], maps, tuple(plain.get("shifts", ())))


def learn_level(margin: Array, at_risk: Array, event: Array) -> MarginMap:
    """Return a shift under which as many events are expected as were seen, and at least half a one."""
    n_rows, n_events = float(at_risk.sum()), float(event.sum())
    if n_rows <= 0.0:
        return MarginMap("identity")
    expected = min(max(n_events, min(0.5, n_rows / 2.0)), n_rows - min(0.5, n_rows / 2.0))
    low, high = -40.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2.0
        if float((at_risk * sigmoid(margin + middle)).sum()) < expected:
            low = middle
        else:
            high = middle
    return MarginMap("sigmoid", (low + high) / 2.0, 1.0, (), (), round(n_rows), round(n_events))


def learn_line(margin: Array, at_risk: Array, event: Array, pull: float) -> tuple[float, float]:
    """Return intercept and slope of the log-odds, the slope drawn towards 1 with precision ``pull``."""
    start = learn_level(margin, at_risk, event).intercept
    found = _newton(margin[:, None], at_risk, event, start, pull)
    return float(found[0]), float(found[1])


def _learn_sigmoid(margin: Array, at_risk: Array, event: Array) -> MarginMap:
    """Return intercept and slope, the slope drawn towards 1 where events are few."""
    intercept, slope = learn_line(margin, at_risk, event, 1.0 / _SLOPE_DEVIATION**2)
    if slope < _SMALLEST_SLOPE:
        return learn_level(margin, at_risk, event)
    counts = round(float(at_risk.sum())), round(float(event.sum()))
    return MarginMap("sigmoid", intercept, slope, (), (), *counts)


def _learn_beta(margin: Array, at_risk: Array, event: Array) -> MarginMap:
    """Return intercept and a slope for either tail; a sigmoid where one of them would fall."""
    start = learn_level(margin, at_risk, event).intercept
    columns = np.column_stack(_beta_columns(margin))
    found = _newton(columns, at_risk, event, start, 1.0 / _SLOPE_DEVIATION**2)
    if found[1:].min() < _SMALLEST_SLOPE:
        return _learn_sigmoid(margin, at_risk, event)
    counts = round(float(at_risk.sum())), round(float(event.sum()))
    return MarginMap("beta", float(found[0]), float(found[1]), (), (), *counts, float(found[2]))


def _beta_columns(margin: Array) -> tuple[Array, Array]:
    """Return ``log(p)`` and ``-log(1 - p)`` of the probability with these log-odds; they add up to them."""
    return -np.logaddexp(0.0, -margin), np.logaddexp(0.0, margin)


def _newton(columns: Array, at_risk: Array, event: Array, start: float, pull: float) -> Array:
    """Return intercept and slopes of a weighted logistic fit, slopes drawn towards 1."""
    weights = np.concatenate([[start], np.ones(columns.shape[1])])
    design = np.column_stack([np.ones(len(columns)), columns])
    ridge = np.concatenate([[0.0], np.full(columns.shape[1], pull)])
    for _ in range(100):
        hazard = sigmoid(design @ weights)
        gradient = design.T @ (at_risk * hazard - event) + ridge * (weights - 1.0)
        curvature = (design * (at_risk * hazard * (1.0 - hazard))[:, None]).T @ design + np.diag(ridge)
        # Columns that say the same leave the curvature singular without a prior.
        curvature += np.eye(len(weights)) * 1e-9
        # Steps of at most 1 keep a level far off from overshooting.
        step = np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    return weights


def _learn_isotonic(margin: Array, at_risk: Array, event: Array) -> MarginMap:
    from sklearn.isotonic import IsotonicRegression

    # A hazard of exactly 0 or 1 has no log-odds.
    edge = 1.0 / (2.0 * len(margin))
    fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge).fit(margin, event / at_risk, at_risk)
    return MarginMap(
        "isotonic",
        knots=tuple(fitted.X_thresholds_.tolist()),
        margins=tuple(log_odds(fitted.y_thresholds_).tolist()),
        n_rows=round(float(at_risk.sum())),
        n_events=round(float(event.sum())),
    )


_LEARN: dict[str, Callable[[Array, Array, Array], MarginMap]] = {
    "level": learn_level,
    "sigmoid": _learn_sigmoid,
    "beta": _learn_beta,
    "isotonic": _learn_isotonic,
}


def reliability_table(
    risk: Array, outcome: Array, n_bins: int = 10, sample_weight: Array | None = None
) -> pl.DataFrame:
    """Return predicted against observed risk in groups of equal size.

    Parameters
    ----------
    risk : ndarray, shape (n,)
    outcome : ndarray, shape (n,)
        1, 0 or NaN; censored rows are left out.
    n_bins : int
    sample_weight : ndarray, shape (n,), optional
        How many rows each stands for; intervals go by the number of equal ones that would tell as much.

    Returns
    -------
    polars.DataFrame
        ``bin`` (1 is the lowest risk), ``n``, ``predicted_mean``, ``observed_share``, and the bounds
        ``observed_low`` and ``observed_high`` of its 95% Wilson interval.
    """
    known = ~np.isnan(outcome)
    weight = np.ones(int(known.sum())) if sample_weight is None else sample_weight[known]
    order = np.argsort(risk[known], kind="stable")
    groups = [part for part in np.array_split(order, n_bins) if len(part)]
    rows = []
    for i, part in enumerate(groups):
        counts = weight[part]
        share = float(np.average(outcome[known][part], weights=counts))
        low, high = _wilson(share, float(counts.sum() ** 2 / (counts**2).sum()))
        rows.append(
            {
                "bin": i + 1,
                "n": len(part),
                "predicted_mean": float(np.average(risk[known][part], weights=counts)),
                "observed_share": share,
                "observed_low": low,
                "observed_high": high,
            }
        )
    schema = ["predicted_mean", "observed_share", "observed_low", "observed_high"]
    return pl.DataFrame(rows, schema={"bin": pl.Int64, "n": pl.Int64, **dict.fromkeys(schema, pl.Float64)})


def _wilson(share: float, n: float) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    z2 = _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
