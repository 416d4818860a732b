"""A hazard that keeps an order: logistic in the place of a row among the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from relapse_risk.modeling.intervals import Array, log_odds
from relapse_risk.modeling.newton import fit_logistic_hazard

_SMALLEST_SLOPE = 1e-3
_N_KNOTS = 101


@dataclass(frozen=True, eq=False)
class RankedHazard:
    """Hazards by interval from one figure that orders rows, rising strictly with it and without ties.

    Attributes
    ----------
    knots, scores : ndarray of float64
        Quantiles of the figure among training rows, and the log-odds of the share of rows at or below each.
    intercepts : ndarray of float64, shape (n_intervals,)
    slope : float
        More than zero, so that the order stands whatever was learnt.
    """

    knots: Array
    scores: Array
    intercepts: Array
    slope: float

    @classmethod
    def learn(cls, order: Array, at_risk: Array, event: Array) -> Self:
        """Return the hazards learnt from rows with their figure and, by interval, exposure and events.

        Parameters
        ----------
        order : ndarray of float64, shape (n,)
            Never NaN; higher means more at risk.
        at_risk, event : ndarray of float64, shape (n, n_intervals)
            As :func:`~relapse_risk.modeling.intervals.person_intervals` gives them.
        """
        knots, scores = _rank_scores(order)
        used = (at_risk > 0.0).any(axis=1)
        score = _place(order[used], knots, scores)[:, None]
        intercepts, slopes = fit_logistic_hazard(score, at_risk[used], event[used], 1e-6)
        return cls(knots, scores, intercepts, max(float(slopes[0]), _SMALLEST_SLOPE))

    def margins(self, order: Array) -> Array:
        """Return the log-odds of the hazard, shape ``(n, n_intervals)``; higher means more at risk."""
        return self.effect(order)[:, None] + self.intercepts

    def effect(self, order: Array) -> Array:
        """Return the part of the log-odds that hangs on the figure, shape ``(n,)``."""
        return self.slope * _place(order, self.knots, self.scores)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "knots": self.knots.tolist(),
            "scores": self.scores.tolist(),
            "intercepts": self.intercepts.tolist(),
            "slope": self.slope,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        """Return what ``as_json`` gave."""
        knots, scores, intercepts = (
            np.asarray(plain[name], dtype=np.float64) for name in ("knots", "scores", "intercepts")
        )
        return cls(knots, scores, intercepts, float(plain["slope"]))


def _place(order: Array, knots: Array, scores: Array) -> Array:
    """Return the log-odds of the rank among training rows; strictly rising in the figure."""
    inside = np.interp(order, knots, scores)
    span = max(float(knots[-1] - knots[0]), 1e-12)
    beyond = (order - np.clip(order, knots[0], knots[-1])) / span
    # Squeezed, so that a value far out ranks first without a risk of one.
    place: Array = inside + beyond / (1.0 + np.abs(beyond))
    return place


def _rank_scores(values: Array) -> tuple[Array, Array]:
    """Return rising knots and the log-odds of the share of rows at or below each."""
    knots = np.unique(np.quantile(values, np.linspace(0.0, 1.0, _N_KNOTS), method="inverted_cdf"))
    ordered = np.sort(values)
    below = np.searchsorted(ordered, knots, "left") + np.searchsorted(ordered, knots, "right")
    return knots, log_odds((below / 2.0 + 0.5) / (len(values) + 1.0))
