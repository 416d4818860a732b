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
    event_month: Array,
    observed_months: Array,
    interval_ends: Sequence[int],
    sample_weight: Array | None = None,
) -> tuple[Array, Array]:
    """Return how much each row counts as at risk, and as an event, in each interval.

    Parameters
    ----------
    event_month : ndarray, shape (n,)
        Months to the end of the period that showed the first event; NaN where none was seen.
    observed_months : ndarray, shape (n,)
        Months known to be free of the event, without a break. The event lies between them and
        ``event_month``; where they reach ``event_month`` it happened in that month.
    interval_ends : sequence of int
        Rising ends in months; the first interval starts at 0.
    sample_weight : ndarray, shape (n,), optional
        How many rows each stands for; both results are multiplied by it.

    Returns
    -------
    at_risk, event : ndarray, shape (n, n_intervals)
        Weights between 0 and 1; whole wherever reports end where intervals do. An event is spread evenly
        over the months in which it may have happened, and the row is at risk as far as it may still have
        been free. A row without event counts in an interval for the share of it that was observed.

    Notes
    -----
    With these weights the binary likelihood fits the probability of the union of the intervals that an
    event may lie in, exactly, whatever the spread (``docs/decisions/0016-partly-observed-windows.md``).
    An event counts whole in an interval that the window cuts, since all its rows count for the part seen.

    Examples
    --------
    >>> at_risk, event = person_intervals(np.array([5.0, 6.0, np.nan]), np.array([4.0, 0.0, 9.0]), (3, 6, 12))
    >>> at_risk.tolist()
    [[1.0, 1.0, 0.0], [1.0, 0.5, 0.0], [1.0, 1.0, 0.5]]
    >>> event.tolist()
    [[0.0, 1.0, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 0.0]]
    """
    ends = np.asarray(interval_ends, dtype=np.float64)
    starts = np.concatenate([[0.0], ends[:-1]])
    month, free = event_month[:, None].astype(np.float64), observed_months[:, None].astype(np.float64)
    has_span = free < month
    span = np.where(has_span, month - free, 1.0)
    # What is left of the months the event may lie in, at the start and at the end of each interval.
    at_start = np.where(has_span, np.clip((month - starts) / span, 0.0, 1.0), month > starts)
    at_end = np.where(has_span, np.clip((month - ends) / span, 0.0, 1.0), month > ends)
    observed = np.clip((free - starts) / (ends - starts), 0.0, 1.0)
    is_event = ~np.isnan(month)
    at_risk = np.where(is_event, at_start, observed)
    event = np.where(is_event, at_start - at_end, 0.0)
    if sample_weight is None:
        return at_risk, event
    return at_risk * sample_weight[:, None], event * sample_weight[:, None]


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
