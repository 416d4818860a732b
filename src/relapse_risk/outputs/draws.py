"""What a list drew by lot, as its manifest keeps it: the random audit sample and the lottery at the edge."""

from __future__ import annotations

import numpy as np
import polars as pl

from relapse_risk.outputs.capacity import UnitsOfCounty
from relapse_risk.rules.priority import VisitSelection


def audit_rows(households: pl.Series, selection: VisitSelection, of_unit: UnitsOfCounty) -> pl.DataFrame:
    """Return rank, household_id, unit, inclusion_probability and audit_pool_n of the random audit sample."""
    drawn = selection.order[selection.is_audit]
    return pl.DataFrame(
        {
            "rank": np.flatnonzero(selection.is_audit) + 1,
            "household_id": households[drawn],
            "unit": of_unit.name_of(drawn),
            "inclusion_probability": selection.inclusion_probability[selection.is_audit],
            "audit_pool_n": selection.audit_pool_n[selection.is_audit],
        }
    )


def lottery_rows(households: pl.Series, selection: VisitSelection, of_unit: UnitsOfCounty) -> pl.DataFrame:
    """Return household_id, unit, is_listed and probability of all who took part, sorted by household."""
    return pl.DataFrame(
        {
            "household_id": households[selection.lottery],
            "unit": of_unit.name_of(selection.lottery),
            "is_listed": np.isin(selection.lottery, selection.order),
            "probability": selection.lottery_probability,
        }
    ).sort("household_id")
