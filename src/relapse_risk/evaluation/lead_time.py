"""How long before a relapse a policy first lists the household.

An event lies in the period that first shows it; days are counted from the as-of date of the first list to the
first day of that period, the shortest lead the record allows. Events never listed count as zero days.
Only the dates of the backtest have lists, so with a list every quarter the lead is known to within a quarter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse_risk.evaluation.gain import ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.judged import JudgedOrigin

Array = NDArray[np.float64]

LONG_LEAD_DAYS = 90
LEAD_FIGURES = ("lead_days_mean", "lead_90_days_share", "listed_share", "listed_before_rule_hit_share")


@dataclass(frozen=True)
class LeadTimes:
    """What one policy at one capacity would have known of each event beforehand.

    Attributes
    ----------
    first_row : ndarray of int64, shape (n_events,)
        A row of the event among the rows of all origins, one after the other.
    days : ndarray of float64, shape (n_events,)
        Expected days between the first list with the household and the event.
    is_long, is_listed, is_before_rules : ndarray of float64, shape (n_events,)
        Chance of a list ``LONG_LEAD_DAYS`` ahead, of any list ahead, and of a list before any rule hit on the
        dates judged.
    """

    first_row: NDArray[np.int64]
    days: Array
    is_long: Array
    is_listed: Array
    is_before_rules: Array

    @classmethod
    def of(cls, policy: str, capacity: float, origins: Sequence[JudgedOrigin]) -> LeadTimes:
        """Follow every event through the lists of the origins before it.

        One event is judged on all origins whose window holds it; it is counted once. Where ties leave the
        list to chance, the draws of different dates are independent.
        """
        keys: dict[tuple[str, float], int] = {}
        first_rows: list[int] = []
        seen: dict[str, set[int]] = {}
        steps = []
        start = 0
        for origin in sorted(origins, key=lambda one: one.origin):
            rows = np.flatnonzero(~np.isnan(origin.event_starts))
            chance = origin.plans[policy].selection(visits_at(capacity, len(origin.outcome)))[rows]
            ids = origin.index["household_id"].gather(rows).to_list()
            events = []
            for row, name in zip(rows, ids, strict=True):
                key = (name, float(origin.event_starts[row]))
                if key not in keys:
                    keys[key] = len(keys)
                    first_rows.append(start + int(row))
                    seen.setdefault(name, set()).add(keys[key])
                events.append(keys[key])
            ahead = origin.event_starts[rows] - origin.origin.toordinal()
            steps.append((np.array(events, dtype=np.int64), chance, ahead, origin.rule_hits))
            start += len(origin.outcome)
        return cls(np.array(first_rows, dtype=np.int64), *_followed(steps, len(keys), seen))

    def figures(self, bootstrap: ClusterBootstrap) -> dict[str, tuple[float, Array]]:
        """Return every figure of ``LEAD_FIGURES`` with its replicates: means over events.

        Parameters
        ----------
        bootstrap : ClusterBootstrap
            Of the rows of all origins.
        """
        weights = bootstrap.draws[:, bootstrap.cluster_of_row[self.first_row]]
        ones = np.ones((1, len(self.first_row)))
        values = (self.days, self.is_long, self.is_listed, self.is_before_rules)
        return {
            name: (
                float(ratio((ones * value).sum(axis=1), ones.sum(axis=1))[0]),
                ratio((weights * value).sum(axis=1), weights.sum(axis=1)),
            )
            for name, value in zip(LEAD_FIGURES, values, strict=True)
        }


def _followed(
    steps: Sequence[tuple[NDArray[np.int64], Array, Array, frozenset[str]]],
    n_events: int,
    events_of: dict[str, set[int]],
) -> tuple[Array, Array, Array, Array]:
    """Return days, long leads, listings and listings before a rule hit of every event, as expected."""
    unlisted = np.ones(n_events)
    days, long, before = np.zeros(n_events), np.zeros(n_events), np.zeros(n_events)
    has_hit = np.zeros(n_events, dtype=bool)
    for events, chance, ahead, hits in steps:
        for name in hits & events_of.keys():
            has_hit[list(events_of[name])] = True
        first = unlisted[events] * chance
        days[events] += first * ahead
        long[events] += first * (ahead >= LONG_LEAD_DAYS)
        before[events] += first * ~has_hit[events]
        unlisted[events] -= first
    return days, long, 1.0 - unlisted, before
