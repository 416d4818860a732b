"""Discrete-time hazards: who is at risk in which interval, and risk from hazards.

``hazard`` is the probability of the event in an interval among those free of it before; ``risk`` is the
probability of the event by the end of an interval. A margin is the log-odds of a hazard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def person_intervals(
    event_month: Array, observed_months: Array, interval_ends: Sequence[int]
) -> tuple[Mask, Mask]:
    """Return which rows count in which interval, and in which they have their event.

    Parameters
    ----------
    event_month : ndarray, shape (n,)
        Months to the first event; NaN where none was seen.
    observed_months : ndarray, shape (n,)
        Months observed without a break, whether or not the event came first.
    interval_ends : sequence of int
        Rising ends in months; the first interval starts at 0.

    Returns
    -------
    is_at_risk, is_event : ndarray of bool, shape (n, n_intervals)
        A row leaves the risk set after its event, or at the first interval that was not wholly observed.

    Notes
    -----
    An interval seen in part counts for nobody: its events would be counted without the rows that stayed
    free of them, and the hazard would come out too high.

    Examples
    --------
    >>> at_risk, event = person_intervals(np.array([5.0, np.nan]), np.array([12.0, 7.0]), (3, 6, 12))
    >>> at_risk.astype(int).tolist(), event.astype(int).tolist()
    ([[1, 1, 0], [1, 1, 0]], [[0, 1, 0], [0, 0, 0]])
    """
    ends = np.asarray(interval_ends, dtype=np.float64)
    starts = np.concatenate([[0.0], ends[:-1]])
    month = np.where(np.isnan(event_month), np.inf, event_month)[:, None]
    is_at_risk = (observed_months[:, None] >= ends) & (month > starts)
    return is_at_risk, is_at_risk & (month <= ends)


def sigmoid(margin: Array) -> Array:
    """Return the probability with these log-odds."""
    # The two halves keep exp() from overflowing.
    small = np.exp(-np.abs(margin))
    upper: Array = np.where(margin >= 0, 1.0, small)
    return upper / (1.0 + small)


def log_odds(probability: Array) -> Array:
    """Return the log-odds of a probability, which must lie strictly between 0 and 1."""
    return np.log(probability) - np.log1p(-probability)


def risk_from_margins(margins: Array) -> Array:
    """Return cumulative risk by the end of each interval, shape ``(n, n_intervals)``.

    The risk never falls from left to right: it is ``1 - prod(1 - hazard)``.

    >>> risk_from_margins(np.zeros((1, 2))).tolist()
    [[0.5, 0.75]]
    """
    survival = np.cumprod(1.0 - sigmoid(margins), axis=1, dtype=np.float64)
    return 1.0 - survival
