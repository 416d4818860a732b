"""Households whose reports end: why, as far as their members' records tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.course import DIED, DISSOLVED, MOVED, NONE, UNSEEN, Codes
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.welfare import WelfareGrid, last_complete_month

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Exits:
    """The households of which nobody is left, as known on one day.

    Attributes
    ----------
    last_month : int
        Month of the latest period that any household has reported: no report is missing after it.
    departures : polars.DataFrame
        One row for each member who left or died: household_id, recorded_on, is_death, is_move.
    """

    last_month: int
    departures: pl.DataFrame

    @classmethod
    def of(cls, known: KnownPanel) -> Exits:
        """Return the exits known on ``known.as_of_date``."""
        last = known.table("observation")["period_end"].max()
        month = last_complete_month(last if isinstance(last, date) else known.as_of_date)
        return cls(month, _departures(known))

    def after(
        self, household_ids: pl.Series, grid: WelfareGrid, as_of_date: date, months: int
    ) -> tuple[Codes, Array]:
        """Return why and when households cease to be seen in the months after a date.

        Parameters
        ----------
        household_ids : polars.Series, shape (n,)
        grid : WelfareGrid
        as_of_date : date
        months : int

        Returns
        -------
        exit : ndarray of int8, shape (n,)
            As in :attr:`relapse_risk.course.Course.exit`. ``died`` where all who lived there after the date
            have died, ``moved`` where all have moved out, ``dissolved`` where it is either or not known,
            ``unseen`` where members are still recorded there.
        exit_month : ndarray of float64, shape (n,)
        """
        start = last_complete_month(as_of_date)
        last = np.maximum(grid.last_month(grid.positions(household_ids)) - start, 0)
        is_gone = last < min(months, self.last_month - start)
        exits = np.where(is_gone, UNSEEN, NONE).astype(np.int8)
        reasons = self._reasons(as_of_date)
        if reasons.height and is_gone.any():
            wanted = pl.DataFrame({"household_id": household_ids})
            told = wanted.join(reasons, on="household_id", how="left", maintain_order="left")["reason"]
            is_told = is_gone & told.is_not_null().to_numpy()
            exits[is_told] = told.fill_null(NONE).to_numpy()[is_told]
        return exits, np.where(is_gone, last, np.nan)

    def _reasons(self, as_of_date: date) -> pl.DataFrame:
        left = self.departures.filter(pl.col("recorded_on") > as_of_date)
        return left.group_by("household_id").agg(
            reason=pl.when(pl.col("is_death").all())
            .then(DIED)
            .when(pl.col("is_move").all())
            .then(MOVED)
            .otherwise(DISSOLVED)
            .cast(pl.Int8)
        )


def _departures(known: KnownPanel) -> pl.DataFrame:
    gone = known.dissolved
    columns = ("household_id", "recorded_on", "is_death", "is_move")
    if not len(gone):
        return pl.DataFrame(
            schema=dict(zip(columns, (pl.String, pl.Date, pl.Boolean, pl.Boolean), strict=True))
        )
    members = known.table("member").filter(pl.col("household_id").is_in(gone.implode()))
    deaths = known.table("event").filter(pl.col("severity") == "死亡")["member_id"].drop_nulls().unique()
    reason = pl.col("leave_reason")
    is_death = (reason == "死亡").fill_null(value=False) | pl.col("member_id").is_in(deaths.implode())
    is_move = (reason == "迁出").fill_null(value=False) & ~is_death
    return members.with_columns(is_death=is_death, is_move=is_move).select(columns)
