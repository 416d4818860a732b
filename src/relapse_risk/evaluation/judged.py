"""The households judged on one date, with every policy's plan for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.evaluation.plans import VisitPlan

Array = NDArray[np.float64]


@dataclass(frozen=True)
class JudgedOrigin:
    """The households at risk on one date whose outcome is known, and every policy's plan for them.

    Households in tier 红 are not among the rows: every policy visits them, so they say nothing about any.

    Attributes
    ----------
    origin : date
    index : polars.DataFrame
        At least ``household_id`` and the columns of clusters, one row per household judged.
    outcome : ndarray of float64, shape (n_rows,)
        1 event, 0 none.
    event_starts : ndarray of float64, shape (n_rows,)
        Proleptic ordinal of the first day of the period that first shows the event; NaN without one. The
        event happened on that day or later.
    n_censored : int
        Households at risk left out, because their window was not wholly observed.
    plans : mapping of str to VisitPlan
    oracle : ndarray of float64, shape (n_rows,), or None
        True risk at the horizon, where it is known.
    rule_hits : frozenset of str
        Households with a hit that gives them a tier, those in 红 included.
    red_counts : mapping of str to int
        ``n_red`` and ``events_red``: households in 红 that were taken out, and events among them.
    kinds : mapping of str to ndarray
        Outcomes of other kinds on the same rows; see
        :func:`~relapse_risk.evaluation.kinds.outcomes_by_kind`.
    later_risk : mapping of str to ndarray
        By policy, the risk of an event in the second half of the window among those free in the first.
    """

    origin: date
    index: pl.DataFrame
    outcome: Array
    event_starts: Array
    n_censored: int
    plans: Mapping[str, VisitPlan]
    oracle: Array | None = None
    rule_hits: frozenset[str] = frozenset()
    red_counts: Mapping[str, int] = field(default_factory=lambda: {"n_red": 0, "events_red": 0})
    kinds: Mapping[str, Array] = field(default_factory=dict)
    later_risk: Mapping[str, Array] = field(default_factory=dict)
