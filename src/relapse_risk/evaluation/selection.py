"""Which policy to use, chosen by stated rules from earlier dates, and what a choice costs: its regret.

Regret on a date is the precision of the best policy there less that of the policy chosen. A rule is judged
forward: it chooses on all dates before, and pays on the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.evaluation.records import ALL_ORIGINS, Record

Array = NDArray[np.float64]

RULES = ("best_average", "best_worst_origin", "recency_weighted")
NOT_TO_CHOOSE = ("random", "oracle")
HALF_LIFE_DAYS = 365.25


def choose_policies(records: Sequence[Record]) -> pl.DataFrame:
    """Return what each rule chooses at each capacity, and its regret.

    Parameters
    ----------
    records : sequence of dict
        Of a backtest, by origin; precision at capacity is read.

    Returns
    -------
    polars.DataFrame
        ``capacity``, ``rule``, ``policy`` chosen on all dates, its ``mean_regret`` and ``worst_regret`` over
        them, and ``forward_regret``, the mean over dates after the first of what the rule's choice from the
        dates before then lost; null with one date.

    Notes
    -----
    ``best_average`` has the highest mean precision, ``best_worst_origin`` the highest precision on its worst
    date, ``recency_weighted`` the highest mean with weights that halve every year back. Ties go to the policy
    that stands first in the backtest, simpler ones before the model.
    """
    by_origin = [r for r in records if r["origin"] != ALL_ORIGINS and r["policy"] not in NOT_TO_CHOOSE]
    rows = []
    for capacity in dict.fromkeys(r["capacity"] for r in by_origin):
        days, precision = _precision([r for r in by_origin if r["capacity"] == capacity])
        names = list(precision)
        values = np.array([precision[name] for name in names])
        best = values.max(axis=0)
        for rule in RULES:
            chosen = _choice(rule, values, days)
            regret = best - values[chosen]
            forward = [
                best[k] - values[_choice(rule, values[:, :k], days[:k])][k] for k in range(1, len(days))
            ]
            rows.append(
                {
                    "capacity": capacity,
                    "rule": rule,
                    "policy": names[chosen],
                    "mean_regret": float(regret.mean()),
                    "worst_regret": float(regret.max()),
                    "forward_regret": float(np.mean(forward)) if forward else None,
                }
            )
    return pl.DataFrame(rows, schema_overrides={"forward_regret": pl.Float64})


def _precision(records: Sequence[Record]) -> tuple[list[date], Mapping[str, list[float]]]:
    days = sorted({str(r["origin"]) for r in records})
    at = {(r["policy"], r["origin"]): r["precision_at_capacity"] for r in records}
    names = dict.fromkeys(r["policy"] for r in records)
    known = {
        name: [float(at[name, day] or 0.0) for day in days]
        for name in names
        if all((name, day) in at for day in days)
    }
    return [date.fromisoformat(day) for day in days], known


def _choice(rule: str, values: Array, days: Sequence[date]) -> int:
    """Return the row of ``values``, shape ``(n_policies, n_dates)``, that a rule chooses."""
    if rule == "best_worst_origin":
        return int(values.min(axis=1).argmax())
    weights = np.ones(len(days))
    if rule == "recency_weighted":
        weights = np.array([0.5 ** ((days[-1] - day).days / HALF_LIFE_DAYS) for day in days])
    return int((values @ weights / weights.sum()).argmax())
