"""Limits that run: days left, the day they fall due, and whether they are overdue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import is_in_force
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import Rule

TIMER_COLUMNS = (
    "household_id",
    "as_of_date",
    "county_code",
    "village_code",
    "code",
    "days_left",
    "due_on",
    "is_overdue",
)


def timers(matrix: FeatureMatrix, rules: Sequence[Rule] = RULES) -> pl.DataFrame:
    """Return every limit that runs for a household, whether or not its rule is a hit.

    Parameters
    ----------
    matrix : FeatureMatrix
    rules : sequence of Rule
        Those with ``days_left`` have a timer.

    Returns
    -------
    polars.DataFrame
        ``TIMER_COLUMNS``, one row for each household and running timer, by rule and then in the order of the
        matrix. ``days_left`` counts whole days, rounded down, and is negative where the limit is overdue;
        ``due_on`` is the last day on which it is kept.
    """
    timed = [rule for rule in rules if rule.days_left is not None]
    values = matrix.evaluate(*(rule.days_left for rule in timed if rule.days_left is not None))
    index = matrix.index.select("household_id", "as_of_date", "county_code", "village_code")
    parts = [pl.DataFrame(schema=_SCHEMA)]
    for rule, days in zip(timed, values, strict=True):
        rows = np.flatnonzero(~np.isnan(days) & is_in_force(rule, matrix))
        left = pl.Series("days_left", np.floor(days[rows])).cast(pl.Int64)
        part = index[rows].with_columns(pl.lit(rule.code).alias("code"), left)
        parts.append(
            part.with_columns(
                (pl.col("as_of_date") + pl.duration(days="days_left")).alias("due_on"),
                (pl.col("days_left") < 0).alias("is_overdue"),
            )
        )
    return pl.concat([part.select(TIMER_COLUMNS) for part in parts])


_SCHEMA: dict[str, type[pl.DataType]] = {
    "household_id": pl.String,
    "as_of_date": pl.Date,
    "county_code": pl.String,
    "village_code": pl.String,
    "code": pl.String,
    "days_left": pl.Int64,
    "due_on": pl.Date,
    "is_overdue": pl.Boolean,
}
