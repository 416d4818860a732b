"""Outcomes without the visits that a lottery gave: who was not drawn stands for those who were.

A household that a list sends staff to is helped, so its outcome is of a world with the visit. Where a lottery
decided, the households that were not drawn, each counted by the inverse of the probability of it, show what
would have become of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.welfare import last_complete_month
from relapse_risk.windows import month_end

GREATEST_WEIGHT = 10.0
FEWEST_EFFECTIVE, FEWEST_EVENTS = 100.0, 20

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LotteryDraws:
    """What lotteries in the label window did to each row.

    Attributes
    ----------
    n : ndarray of int64, shape (n_rows,)
        Lotteries that the household took part in while it was followed.
    is_drawn : ndarray of bool, shape (n_rows,)
        Whether any of them put it on a list.
    not_drawn_probability : ndarray of float64, shape (n_rows,)
        Of being drawn in none of them; 1 where there was none.
    """

    n: NDArray[np.int64]
    is_drawn: NDArray[np.bool_]
    not_drawn_probability: Array

    @property
    def weight(self) -> Array:
        """How many rows each stands for: 0 if drawn, else at most 10; 1 without a lottery."""
        stands_for = np.minimum(1.0 / self.not_drawn_probability, GREATEST_WEIGHT)
        return np.where(self.is_drawn, 0.0, stands_for)

    def rows(self, positions: NDArray[np.int64]) -> LotteryDraws:
        """Return the rows of positions, in that order."""
        return LotteryDraws(
            self.n[positions], self.is_drawn[positions], self.not_drawn_probability[positions]
        )

    @classmethod
    def joined(cls, parts: Sequence[LotteryDraws]) -> LotteryDraws | None:
        """Return all rows in one; None where there is nothing to join."""
        if not parts:
            return None
        return cls(
            np.concatenate([part.n for part in parts]),
            np.concatenate([part.is_drawn for part in parts]),
            np.concatenate([part.not_drawn_probability for part in parts]),
        )

    def facts(self, outcome: Array) -> dict[str, Any]:
        """Return how many rows a lottery touched, and what is left of them to learn from.

        Parameters
        ----------
        outcome : ndarray, shape (n_rows,)
            1, 0 or NaN.

        Returns
        -------
        dict
            ``rows`` with a lottery, ``drawn`` of them, which count for nothing, ``not_drawn`` and the
            ``events`` among these; ``effective``, the number of rows with equal weights that would tell as
            much as those not drawn (Kish 1965); ``largest_weight`` before it was bounded and how many were
            ``bounded``; ``is_too_few`` below 100 effective rows or 20 events.
        """
        took_part = self.n > 0
        stays = took_part & ~self.is_drawn
        weight = self.weight[stays]
        effective = float(weight.sum() ** 2 / (weight**2).sum()) if len(weight) else 0.0
        raw = 1.0 / self.not_drawn_probability[stays]
        events = int((outcome[stays] == 1).sum())
        return {
            "rows": int(took_part.sum()),
            "drawn": int((took_part & self.is_drawn).sum()),
            "not_drawn": int(stays.sum()),
            "events": events,
            "effective": round(effective, 1),
            "largest_weight": round(float(raw.max(initial=1.0)), 2),
            "bounded": int((raw > GREATEST_WEIGHT).sum()),
            "is_too_few": effective < FEWEST_EFFECTIVE or events < FEWEST_EVENTS,
        }


def require_lotteries(panel: Panel) -> None:
    """Refuse to correct labels where no lottery is known.

    Raises
    ------
    ContractError
        RR353.
    """
    if panel.lotteries is None or panel.lotteries.is_empty():
        raise no_lottery("no lottery is known")


def no_lottery(found: str) -> ContractError:
    """Return the error of an experiment that corrects labels and has no lottery to correct them by."""
    return ContractError(
        "RR353",
        "label.lottery_corrected",
        found,
        "lists made with --lottery, valid within the label windows of training",
        "Name the folders of such lists with --lists, or set label.lottery_corrected = false",
        zh="没有可用的抽签记录，无法按抽签校正标签；请用 --lists 指明用 --lottery 生成的清单所在文件夹，"
        "或将 label.lottery_corrected 设为 false。",
    )


def lottery_draws(
    known: KnownPanel, households: pl.Series, as_of_date: date, event_month: Array, observed_months: Array
) -> LotteryDraws:
    """Return the lotteries that households took part in after a date and before their event.

    Parameters
    ----------
    known : KnownPanel
        As known on the day that labels are read; gives the lotteries.
    households : polars.Series of String, shape (n_rows,)
    as_of_date : date
    event_month, observed_months : ndarray of float64, shape (n_rows,)
        As in :class:`~relapse_risk.labels.Labels`.

    Notes
    -----
    A lottery counts where its list was valid after ``as_of_date`` and made before the end of the period that
    shows the event, or, without one, of the last month observed: what comes later can't have changed the
    outcome. Whether it counts is settled before the draw, so the weights of a row are 1 on average, whatever
    the outcome (Robins and Finkelstein 2000, doi:10.1111/j.0006-341X.2000.00779.x). A household that was
    certain to be drawn has nobody to stand for it, and counts as if there had been no lottery. Weights above
    10 count as 10, which leans towards those drawn less.
    """
    start = last_complete_month(as_of_date)
    last = np.where(np.isnan(event_month), observed_months, event_month)
    ends = {month: month_end(start + month) for month in range(int(np.ceil(last).max(initial=0.0)) + 1)}
    rows = (
        known.followed(households)
        .join(
            pl.DataFrame(
                {
                    "household_id": households,
                    "row": np.arange(len(households)),
                    "end": [ends[int(month)] for month in np.ceil(last)],
                },
                schema_overrides={"end": pl.Date},
            ),
            on="household_id",
        )
        .drop("household_id")
    )
    took_part = known.lotteries.filter(pl.col("expires_on") > as_of_date, pl.col("probability") < 1.0)
    heirs = known.followed(took_part["household_id"].unique())
    found = (
        took_part.join(heirs, on="household_id")
        .join(rows, on="heir_id")
        .filter(pl.col("as_of_date") < pl.col("end"))
        .unique(["row", "list_id", "household_id"])
        .group_by("row")
        .agg(n=pl.len(), is_drawn=pl.col("is_listed").any(), stays=(1.0 - pl.col("probability")).product())
    )
    at = found["row"].to_numpy()
    n, is_drawn = np.zeros(len(households), dtype=np.int64), np.zeros(len(households), dtype=np.bool_)
    stays = np.ones(len(households))
    n[at], is_drawn[at], stays[at] = found["n"], found["is_drawn"], found["stays"]
    return LotteryDraws(n, is_drawn, stays)
