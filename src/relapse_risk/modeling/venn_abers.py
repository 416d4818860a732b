"""How uncertain a single risk is: Venn-Abers intervals from the calibration window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.isotonic import isotonic_regression

from relapse_risk.modeling.intervals import Array

_MOST_GROUPS = 200
_FEWEST_EVENTS = 10


@dataclass(frozen=True)
class VennAbers:
    """Two probabilities for every score: calibrated as if its own outcome were none, and were the event.

    Attributes
    ----------
    edges : tuple of float
        Rising; a score belongs to the group of the first edge that is not below it, above all of them to
        the last group.
    low, high : tuple of float
        The two probabilities of each group; both rise with the score.

    Notes
    -----
    Inductive Venn-Abers predictors (Vovk and Petej 2014, arXiv:1211.0025). One of the two is calibrated
    whatever the model, as long as the household is exchangeable with those of the window; where they lie
    far apart, the window says little about such scores. The scores are put in at most 200 groups of equal
    size first, which keeps that property.
    """

    edges: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def learn(cls, score: Array, outcome: Array, sample_weight: Array | None = None) -> VennAbers | None:
        """Return the intervals learnt on rows the model was not fitted on.

        Parameters
        ----------
        score : ndarray, shape (n,)
        outcome : ndarray, shape (n,)
            1, 0 or NaN; censored rows are left out.
        sample_weight : ndarray, shape (n,), optional
            How many rows each stands for.

        Returns
        -------
        VennAbers or None
            None where fewer than 10 rows with or without the event are known.
        """
        known = ~np.isnan(outcome)
        weight = np.ones(len(score)) if sample_weight is None else sample_weight
        score, event, weight = score[known], outcome[known], weight[known]
        if min(event.sum(), (1.0 - event).sum()) < _FEWEST_EVENTS:
            return None
        edges = np.unique(np.quantile(score, np.linspace(0, 1, _MOST_GROUPS + 1)[1:], method="higher"))
        group = np.searchsorted(edges, score)
        counts = np.bincount(group, weight, len(edges)).astype(np.float64)
        events = np.bincount(group, event * weight, len(edges)).astype(np.float64)
        sides = [
            [_fitted(counts, events, at, supposed) for at in range(len(edges))] for supposed in (0.0, 1.0)
        ]
        return cls(tuple(edges.tolist()), tuple(sides[0]), tuple(sides[1]))

    def interval(self, score: Array) -> Array:
        """Return the lower and the upper probability of each score, shape ``(n, 2)``."""
        group = np.minimum(np.searchsorted(self.edges, score), len(self.edges) - 1)
        return np.column_stack([np.asarray(self.low)[group], np.asarray(self.high)[group]])

    def as_json(self) -> dict[str, Any]:
        """Return the intervals as plain values."""
        return {"edges": list(self.edges), "low": list(self.low), "high": list(self.high)}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> VennAbers:
        """Take over what ``as_json`` gave."""
        return cls(tuple(plain["edges"]), tuple(plain["low"]), tuple(plain["high"]))


def _fitted(counts: Array, events: Array, at: int, supposed: float) -> float:
    """Return the isotonic probability of a group after one more row of it with a supposed outcome."""
    n, e = counts.copy(), events.copy()
    n[at] += 1.0
    e[at] += supposed
    return float(isotonic_regression(e / n, sample_weight=n)[at])
