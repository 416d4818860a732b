"""Needs that visits found, as events: what staff saw, where lists had sent them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.panel import KnownPanel
from relapse_risk.vocabulary import NEED_FOUND, VERIFIED
from relapse_risk.welfare import last_complete_month
from relapse_risk.windows import month_end


@dataclass(frozen=True)
class VerifiedNeeds:
    """What visits in the label window said.

    Attributes
    ----------
    month : ndarray of float64, shape (n_rows,)
        Months from the as-of date to the end of the month of the first visit that found a need; NaN for none.
    was_verified : ndarray of bool, shape (n_rows,)
        Whether any visit in the window met the household and said what it found.
    """

    month: NDArray[np.float64]
    was_verified: NDArray[np.bool_]

    def rows(self, positions: NDArray[np.int64]) -> VerifiedNeeds:
        """Return the rows of positions, in that order."""
        return VerifiedNeeds(self.month[positions], self.was_verified[positions])

    @classmethod
    def joined(cls, parts: Sequence[VerifiedNeeds]) -> VerifiedNeeds | None:
        """Return all rows in one; None where there is nothing to join."""
        if not parts:
            return None
        return cls(
            np.concatenate([part.month for part in parts]),
            np.concatenate([part.was_verified for part in parts]),
        )


def verified_needs(
    known: KnownPanel, households: pl.Series, as_of_date: date, horizon_months: int
) -> VerifiedNeeds:
    """Return what visits after a date and within the horizon found at households.

    Parameters
    ----------
    known : KnownPanel
        As known on the day that labels are read.
    households : polars.Series of String, shape (n_rows,)
    as_of_date : date
    horizon_months : int
    """
    start = last_complete_month(as_of_date)
    visited = pl.col("visited_on")
    month = (visited.dt.year() * 12 + visited.dt.month() - 1 - start).clip(lower_bound=1)
    found = (
        known.table("visit")
        .filter(
            visited > as_of_date,
            visited <= month_end(start + horizon_months),
            pl.col("outcome").is_in(VERIFIED).fill_null(value=False),
        )
        .group_by("household_id")
        .agg(month=month.filter(pl.col("outcome").is_in(NEED_FOUND)).min().cast(pl.Float64))
    )
    of_row = (
        pl.DataFrame({"household_id": households})
        .join(found.with_columns(was_verified=True), on="household_id", how="left", maintain_order="left")
        .with_columns(pl.col("was_verified").fill_null(value=False), pl.col("month").fill_null(np.nan))
    )
    return VerifiedNeeds(of_row["month"].to_numpy(), of_row["was_verified"].to_numpy())


def with_needs(
    event_month: NDArray[np.float64], observed_months: NDArray[np.float64], needs: VerifiedNeeds
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return event and observed months where a need that a visit found is an event, too.

    A visit that found none says nothing of what comes after it, so it adds no observed month.
    """
    event = np.fmin(event_month, needs.month)
    return event, np.where(np.isnan(needs.month), observed_months, np.fmin(observed_months, event - 1))
