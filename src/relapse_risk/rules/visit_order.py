"""The order to visit: which of two rows comes first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relapse_risk.features.expression import Array
from relapse_risk.rules.tiers import RED, YELLOW

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class OrderedRows:
    """What the order of rows is made of; ``keys`` come weightiest first, for 红 and for the others."""

    tiers: NDArray[np.int8]
    has_rule_hit: Mask
    self_applied: Mask
    is_settled: Mask
    keys: tuple[Array, ...]

    def sorted(self, rows: Positions) -> Positions:
        """Return ``rows`` in the order to visit."""
        is_mere_application = ~self.has_rule_hit & (self.tiers == YELLOW)
        is_new, days, red_severity, *others = self.keys
        is_red = self.tiers == RED
        keys = (
            self.tiers,
            is_mere_application,
            self.is_settled,
            np.where(is_red, is_new, 0),
            np.where(is_red, days, 0),
            np.where(is_red, red_severity, 0),
            *others,
        )
        return rows[np.lexsort([key[rows] for key in reversed(keys)])]


def sort_keys(
    severity: Array,
    days_left: Array,
    is_new_hit: Mask,
    ranking: Array | None,
    fallback_ranking: Array | None,
    stable_key: ArrayLike,
) -> tuple[Array, ...]:
    """Return the keys of the order, as :func:`~relapse_risk.rules.priority.rank_for_visits` tells it.

    The first three are of 红 alone; the last one is unique and settles what ties are left.
    """
    graver_first = -np.nan_to_num(severity, nan=0.0)
    _, stable = np.unique(np.asarray(stable_key), return_inverse=True)
    return (
        (~is_new_hit).astype(np.float64),
        np.where(np.isnan(days_left), np.inf, days_left),
        graver_first,
        _descending(ranking, len(severity)),
        graver_first,
        _descending(fallback_ranking, len(severity)),
        stable.astype(np.float64),
    )


def _descending(ranking: Array | None, n_rows: int) -> Array:
    """Return a key that puts the highest first and what is not known last."""
    if ranking is None:
        return np.zeros(n_rows)
    return np.where(np.isnan(ranking), np.inf, -ranking)
