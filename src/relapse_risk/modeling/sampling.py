"""Training on many rows: all events and a sample of the rest, each counted for those it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from relapse_risk.labels import Labels
from relapse_risk.modeling.intervals import Array

Positions = NDArray[np.int64]


def sample_rows(
    labels: Labels, origins: Sequence[date], most_rows: int, seed: int
) -> tuple[Positions, Array]:
    """Return the rows to train on, and how many rows each stands for.

    Parameters
    ----------
    labels : Labels
    origins : sequence of date
        As-of dates that are fitted on; rows at risk on them are sampled, all others kept.
    most_rows : int
        Where no more are at risk on these dates, every row is kept and counts once.
    seed : int

    Returns
    -------
    positions : ndarray of int64
        Rising. Every row at risk in whose window an event was seen is among them; of the others, the
        same share on each date, at random.
    weight : ndarray of float64, of the same shape
        Rows at risk without an event on that date by those of them kept; 1 for all other rows. On each
        date the weights add up to the rows they stand for, exactly.

    Notes
    -----
    Events are few, and what a row without an event adds to the likelihood is estimated without bias by a
    weighted sample of such rows (King and Zeng 2001, doi:10.1093/oxfordjournals.pan.a004868).
    """
    day = labels.index["as_of_date"]
    is_fitted = day.is_in(list(origins)).to_numpy() & labels.is_at_risk
    is_event = ~np.isnan(labels.event_month)
    is_kept, weight = np.ones(len(labels), dtype=np.bool_), np.ones(len(labels))
    rest = is_fitted & ~is_event
    n_events = int((is_fitted & is_event).sum())
    if int(rest.sum()) + n_events > most_rows:
        share = max(most_rows - n_events, n_events) / int(rest.sum())
        draw = np.random.default_rng(seed)
        for origin in sorted(set(origins)):
            of_date = np.flatnonzero(rest & (day == origin).to_numpy())
            n_kept = min(max(round(share * len(of_date)), 1), len(of_date))
            is_kept[of_date] = False
            kept = draw.choice(of_date, n_kept, replace=False)
            is_kept[kept], weight[kept] = True, len(of_date) / max(n_kept, 1)
    positions = np.flatnonzero(is_kept)
    return positions, weight[positions]
