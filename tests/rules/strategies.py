"""Random rows to be ranked for visits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from relapse_risk.rules.priority import ORANGE, RED, ROUTINE, YELLOW, VisitSelection, rank_for_visits


@dataclass(frozen=True)
class Case:
    arrays: dict[str, NDArray[Any]]
    options: dict[str, Any]

    def rank(self, **changes: Any) -> VisitSelection:
        return rank_for_visits(**(self.arrays | self.options | changes))

    @property
    def rests(self) -> NDArray[np.bool_]:
        return self.arrays["is_resting"] & ~self.arrays["self_applied"] & (self.arrays["tiers"] != RED)

    @property
    def uses_capacity(self) -> NDArray[np.bool_]:
        settled = self.arrays["is_settled"] & (self.arrays["tiers"] <= YELLOW)
        return ~settled & ~(self.rests & (self.arrays["tiers"] == ORANGE))

    @property
    def is_certain(self) -> NDArray[np.bool_]:
        return (self.arrays["tiers"] <= ORANGE) | self.arrays["self_applied"] | ~self.uses_capacity


def _number(low: float, high: float) -> st.SearchStrategy[float]:
    return st.one_of(st.just(float("nan")), st.sampled_from([low, (low + high) / 2, high]))


@st.composite
def cases(draw: st.DrawFn) -> Case:
    n, n_units = draw(st.integers(0, 40)), draw(st.integers(1, 3))

    def column(values: st.SearchStrategy[Any], dtype: type) -> NDArray[Any]:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=dtype)

    tiers = column(st.sampled_from([RED, ORANGE, YELLOW, ROUTINE, ROUTINE]), np.int8)
    applied = column(st.booleans(), bool)
    has_hit = (tiers <= ORANGE) | ((tiers == YELLOW) & (~applied | column(st.booleans(), bool)))
    arrays = {
        "tiers": tiers,
        "severity": column(_number(0, 9), float),
        "days_left": column(_number(-5, 15), float),
        "is_new_hit": column(st.booleans(), bool),
        "has_rule_hit": has_hit,
        "self_applied": applied & (tiers <= YELLOW),
        "is_settled": column(st.booleans(), bool),
        "is_resting": column(st.booleans(), bool),
        "comes_back": column(st.booleans(), bool),
        "unit": column(st.integers(0, n_units - 1), np.int64),
        "stable_key": np.array([f"H{i:03d}" for i in draw(st.permutations(range(n)))], dtype=str),
        "strata": column(st.integers(0, 3), np.int64),
    }
    has_model, has_fallback = draw(st.booleans()), draw(st.booleans())
    options = {
        "ranking": column(_number(0, 1), float) if has_model else None,
        "fallback_ranking": column(_number(0, 1), float) if has_fallback else None,
        "capacity": draw(st.lists(st.integers(0, 30), min_size=n_units, max_size=n_units)),
        "model_share": draw(st.sampled_from([0.0, 0.2, 0.5, 1.0])),
        "audit_share": draw(st.sampled_from([0.0, 0.05, 0.3, 1.0])),
        "rng_seed": draw(st.integers(0, 5)),
    }
    return Case(arrays, options)


def rank(tiers: list[int], **changes: Any) -> VisitSelection:
    """Return the visits of rows of these tiers, with nothing else to tell them apart."""
    n = len(tiers)
    defaults: dict[str, Any] = {
        "tiers": np.array(tiers, dtype=np.int8),
        "severity": np.zeros(n),
        "days_left": np.full(n, np.nan),
        "is_new_hit": np.ones(n, dtype=bool),
        "has_rule_hit": np.array(tiers) <= YELLOW,
        "self_applied": np.zeros(n, dtype=bool),
        "ranking": None,
        "capacity": n,
        "audit_share": 0.0,
        "stable_key": np.arange(n),
    }
    return rank_for_visits(**(defaults | changes))
