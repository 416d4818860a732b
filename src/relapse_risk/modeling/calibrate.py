"""Calibration of hazards on a later window than the model was fitted on, and the reliability table.

Hazards are calibrated, not cumulative risks, so that risk still rises with the horizon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from relapse_risk.modeling.intervals import Array, Mask, log_odds, person_intervals, sigmoid

FEWEST_EVENTS = 10
_SMALLEST_SLOPE = 0.05
_SLOPE_DEVIATION = 0.25  # of the prior around 1: a few dozen events move the slope half of the way
_Z95 = 1.959963984540054


@dataclass(frozen=True)
class MarginMap:
    """A rising map from the margin of one interval to its calibrated margin.

    Attributes
    ----------
    kind : {"identity", "sigmoid", "isotonic"}
        ``sigmoid`` is ``intercept + slope * margin``; ``isotonic`` interpolates between knots.
    n_rows, n_events : int
        What it was learnt on.
    """

    kind: Literal["identity", "sigmoid", "isotonic"]
    intercept: float = 0.0
    slope: float = 1.0
    knots: tuple[float, ...] = ()
    margins: tuple[float, ...] = ()
    n_rows: int = 0
    n_events: int = 0

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> MarginMap:
        """Take over the plain values of a map."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        return cls(**values)

    def apply(self, margin: Array) -> Array:
        """Return the calibrated margins, shape as given."""
        if self.kind == "isotonic":
            return np.interp(margin, self.knots, self.margins)
        return self.intercept + self.slope * margin


@dataclass(frozen=True)
class IntervalCalibration:
    """One rising map an interval."""

    method: Literal["sigmoid", "isotonic", "none"]
    maps: tuple[MarginMap, ...]

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
        method: Literal["sigmoid", "isotonic", "none"],
    ) -> IntervalCalibration:
        """Return the calibration learnt on rows the model was not fitted on.

        Parameters
        ----------
        margins : ndarray, shape (n, n_intervals)
            Uncalibrated log-odds of the hazards.
        event_month, observed_months : ndarray, shape (n,)
        interval_ends : sequence of int
        method : {"sigmoid", "isotonic", "none"}
            An interval with fewer than 10 events or event-free rows only has its level shifted.

        Notes
        -----
        Sigmoid: Platt 1999, with a slope above zero and a normal prior around 1; isotonic: Zadrozny and
        Elkan 2002 (doi:10.1145/775047.775151).
        """
        if method == "none":
            return cls.identity(len(interval_ends))
        is_at_risk, is_event = person_intervals(event_month, observed_months, interval_ends)
        learn = _learn_isotonic if method == "isotonic" else _learn_sigmoid
        maps = []
        for k in range(len(interval_ends)):
            used = is_at_risk[:, k]
            margin, event = margins[used, k], is_event[used, k]
            enough = min(int(event.sum()), int((~event).sum())) >= FEWEST_EVENTS
            maps.append(learn(margin, event) if enough else _learn_level(margin, event))
        return cls(method, tuple(maps))

    def apply(self, margins: Array) -> Array:
        """Return calibrated margins, shape ``(n, n_intervals)``."""
        return np.column_stack([each.apply(margins[:, k]) for k, each in enumerate(self.maps)])

    def as_json(self) -> dict[str, Any]:
        """Return the calibration as plain values."""
        return {"method": self.method, "maps": [dict(each.__dict__) for each in self.maps]}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> IntervalCalibration:
        """Take over what ``as_json`` gave."""
        return cls(plain["method"], tuple(MarginMap.from_json(each) for each in plain["maps"]))


def _learn_level(margin: Array, event: Mask) -> MarginMap:
    """Return a shift under which as many events are expected as were seen, and at least half a one."""
    n_rows, n_events = len(margin), int(event.sum())
    if not n_rows:
        return MarginMap("identity")
    expected = min(max(float(n_events), 0.5), n_rows - 0.5)
    low, high = -40.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2.0
        if float(sigmoid(margin + middle).sum()) < expected:
            low = middle
        else:
            high = middle
    return MarginMap("sigmoid", (low + high) / 2.0, 1.0, (), (), n_rows, n_events)


def _learn_sigmoid(margin: Array, event: Mask) -> MarginMap:
    """Return intercept and slope, the slope drawn towards 1 where events are few."""
    weights = np.array([_learn_level(margin, event).intercept, 1.0])
    design = np.column_stack([np.ones(len(margin)), margin])
    pull = np.array([0.0, 1.0 / _SLOPE_DEVIATION**2])
    for _ in range(50):
        hazard = sigmoid(design @ weights)
        gradient = design.T @ (hazard - event) + pull * (weights - 1.0)
        curvature = (design * (hazard * (1.0 - hazard))[:, None]).T @ design + np.diag(pull)
        # Steps of at most 1 keep a level far off from overshooting.
        step = np.clip(np.linalg.solve(curvature, gradient), -1.0, 1.0)
        weights = weights - step
        if np.abs(step).max() < 1e-10:
            break
    if weights[1] < _SMALLEST_SLOPE:
        return _learn_level(margin, event)
    counts = len(margin), int(event.sum())
    return MarginMap("sigmoid", float(weights[0]), float(weights[1]), (), (), *counts)


def _learn_isotonic(margin: Array, event: Mask) -> MarginMap:
    from sklearn.isotonic import IsotonicRegression

    # A hazard of exactly 0 or 1 has no log-odds.
    edge = 1.0 / (2.0 * len(margin))
    fitted = IsotonicRegression(y_min=edge, y_max=1.0 - edge).fit(margin, event.astype(np.float64))
    return MarginMap(
        "isotonic",
        knots=tuple(fitted.X_thresholds_.tolist()),
        margins=tuple(log_odds(fitted.y_thresholds_).tolist()),
        n_rows=len(margin),
        n_events=int(event.sum()),
    )


def reliability_table(risk: Array, outcome: Array, n_bins: int = 10) -> pl.DataFrame:
    """Return predicted against observed risk in groups of equal size.

    Parameters
    ----------
    risk : ndarray, shape (n,)
    outcome : ndarray, shape (n,)
        1, 0 or NaN; censored rows are left out.
    n_bins : int

    Returns
    -------
    polars.DataFrame
        ``bin`` (1 is the lowest risk), ``n``, ``predicted_mean``, ``observed_share``, and the bounds
        ``observed_low`` and ``observed_high`` of its 95% Wilson interval.
    """
    known = ~np.isnan(outcome)
    order = np.argsort(risk[known], kind="stable")
    groups = [part for part in np.array_split(order, n_bins) if len(part)]
    rows = []
    for i, part in enumerate(groups):
        events, n = float(outcome[known][part].sum()), len(part)
        low, high = _wilson(events, n)
        rows.append(
            {
                "bin": i + 1,
                "n": n,
                "predicted_mean": float(risk[known][part].mean()),
                "observed_share": events / n,
                "observed_low": low,
                "observed_high": high,
            }
        )
    schema = ["predicted_mean", "observed_share", "observed_low", "observed_high"]
    return pl.DataFrame(rows, schema={"bin": pl.Int64, "n": pl.Int64, **dict.fromkeys(schema, pl.Float64)})


def _wilson(events: float, n: int) -> tuple[float, float]:
    """Return the 95% interval of a share (Wilson 1927, doi:10.1080/01621459.1927.10502953)."""
    share, z2 = events / n, _Z95**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
