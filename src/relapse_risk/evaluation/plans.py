"""How a policy spends a number of visits among the households of one origin.

A plan is an order, or several orders (streams) that share the visits as a visit list does: what comes first
whatever the score, then a part kept for model alerts, then the rest; and a random audit sample, charged to
the visits like any other. Every plan spends exactly the visits it is given, so policies are compared at equal
visits; tied households share a visit as expected over all orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from relapse_risk.evaluation.gain import GainCurve, ScoreOrder, ratio

Array = NDArray[np.float64]

FIRST, MIDDLE, ALERTS = 0, 1, 2


@dataclass(frozen=True)
class VisitPlan:
    """One policy on the judged households of one origin.

    Attributes
    ----------
    policy : str
    order_score : ndarray of float64, shape (n_rows,)
        Orders the households of one stream; higher is visited first, ties share.
    stream : ndarray of int8, shape (n_rows,)
        ``FIRST`` is visited before anything else; of what is left, ``ALERTS`` has ``alert_share`` of all
        visits kept for it, ``MIDDLE`` takes the rest, and either takes what the other leaves.
    alert_share : float
    audit_share : float
        Part of all visits that goes to ``ALERTS`` households which are not visited otherwise, at random.
    score : ndarray of float64, shape (n_rows,), or None
        Full order for ROC-AUC and PR-AUC; None where the order depends on the number of visits.
    risk : ndarray of float64, shape (n_rows,), or None
        Probability of the event, where the policy gives one.
    """

    policy: str
    order_score: Array
    stream: NDArray[np.int8]
    alert_share: float = 0.0
    audit_share: float = 0.0
    score: Array | None = None
    risk: Array | None = None

    @classmethod
    def by_score(cls, policy: str, score: Array, risk: Array | None = None) -> VisitPlan:
        """Return the plan that visits the highest scores first."""
        return cls(policy, score, np.zeros(len(score), dtype=np.int8), score=score, risk=risk)

    def __len__(self) -> int:
        return len(self.order_score)

    @cached_property
    def _streams(self) -> tuple[tuple[NDArray[np.int64], ScoreOrder], ...]:
        rows = [np.flatnonzero(self.stream == stream) for stream in (FIRST, MIDDLE, ALERTS)]
        return tuple((part, ScoreOrder.of(self.order_score[part])) for part in rows)

    def gains(self, outcome: Array, weights: Array | None = None) -> tuple[GainCurve, ...]:
        """Return the gain curve of each stream; see :meth:`ScoreOrder.gain`."""
        return tuple(
            order.gain(outcome[rows], None if weights is None else np.atleast_2d(weights)[:, rows])
            for rows, order in self._streams
        )

    def found(self, gains: tuple[GainCurve, ...], visits: int) -> Array:
        """Return the expected number of events met by ``visits`` visits, shape ``(n_replicates,)``.

        In a replicate the cohort has another size, and the visits are the same share of it.
        """
        totals = np.column_stack([gain.n for gain in gains])
        scale = totals.sum(axis=1) / max(len(self), 1)
        quotas, audit = self._quotas(totals, visits, scale)
        met = [gain.found_at(quotas[:, i]) for i, gain in enumerate(gains)]
        pool = totals[:, ALERTS] - quotas[:, ALERTS]
        by_chance = audit * np.nan_to_num(ratio(gains[ALERTS].events - met[ALERTS], pool))
        return sum(met, start=by_chance)

    def selection(self, visits: int) -> Array:
        """Return each household's chance of a visit, shape ``(n_rows,)``; they add up to ``visits``."""
        chance = np.zeros(len(self))
        totals = np.array([[float(len(rows)) for rows, _ in self._streams]])
        quotas, audit = self._quotas(totals, visits, np.ones(1))
        for (rows, order), quota in zip(self._streams, quotas[0], strict=True):
            sizes = np.diff(np.append(order.starts, len(rows)))
            share = np.clip((quota - order.starts) / np.maximum(sizes, 1), 0.0, 1.0)
            chance[rows[order.order]] = np.repeat(share, sizes)
        left, pool = self._streams[ALERTS][0], totals[0, ALERTS] - quotas[0, ALERTS]
        if pool > 0:
            chance[left] += (1.0 - chance[left]) * audit[0] / pool
        return chance

    def _quotas(self, totals: Array, visits: int, scale: Array) -> tuple[Array, Array]:
        """Return the visits of each stream, shape ``(n_replicates, 3)``, and those of the audit sample."""
        all_visits = np.minimum(visits * scale, totals.sum(axis=1))
        audit = np.minimum(np.floor(self.audit_share * visits + 0.5) * scale, totals[:, ALERTS])
        audit = np.minimum(audit, all_visits)
        first = np.minimum(all_visits - audit, totals[:, FIRST])
        left = all_visits - audit - first
        kept = np.floor(self.alert_share * visits + 0.5) * scale
        kept = np.minimum(kept, totals[:, ALERTS] - audit)
        middle = np.minimum(totals[:, MIDDLE], left - np.minimum(kept, left))
        return np.column_stack([first, middle, left - middle]), audit
