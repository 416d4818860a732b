"""The outcome in the label window of each household and as-of date, with censoring.

A label reads the panel as known on one stated day, ``known_on``; a window that was not wholly observed by
then, and in which no event was seen, is censored, never a negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.cohort import find_at_risk
from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.course import LASTING_MONTHS, Course, causes_of, lasting, shortfalls
from relapse_risk.errors import ContractError
from relapse_risk.exits import Exits
from relapse_risk.lottery import LotteryDraws, lottery_draws, require_lotteries
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.verified import VerifiedNeeds, verified_needs, with_needs
from relapse_risk.welfare import FAILING, FINE, NOT_KNOWN, WelfareGrid, last_complete_month, welfare_states
from relapse_risk.windows import add_months, month_end

LABEL_INDEX_COLUMNS = ("household_id", "as_of_date", "county_code", "township_code", "village_code")


@dataclass(frozen=True)
class Labels:
    """Time to the first event, and how far the window was observed.

    Attributes
    ----------
    index : polars.DataFrame
        ``LABEL_INDEX_COLUMNS``; sorted by as-of date, then household, as the feature matrix is.
    is_at_risk : ndarray of bool, shape (n_rows,)
        Rows that models are trained and judged on.
    event_month : ndarray of float64, shape (n_rows,)
        Months from the as-of date to the end of the first period that shows the event; NaN where none
        was seen. A period's end is when the event was first seen, not when it happened.
    observed_months : ndarray of float64, shape (n_rows,)
        Months after the as-of date that known periods without the event cover without a break, at most the
        horizon. The first event happened after them, and by the end of ``event_month``.
    horizon_months : int
    known_on : date or None
        The day as of which the outcome was read.
    course : Course or None
        What became of each row beyond its first event: cause, depth, persistence, exit. Models learn
        without it.
    needs : VerifiedNeeds or None
        What visits in the window found; None unless the label counts it.
    draws : LotteryDraws or None
        What lotteries in the window did; None unless the label is corrected for them.
    """

    index: pl.DataFrame
    is_at_risk: NDArray[np.bool_]
    event_month: NDArray[np.float64]
    observed_months: NDArray[np.float64]
    horizon_months: int
    known_on: date | None = None
    course: Course | None = None
    needs: VerifiedNeeds | None = None
    draws: LotteryDraws | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.is_at_risk), len(self.event_month), len(self.observed_months)}
        if lengths != {self.index.height}:
            raise ContractError(
                "RR351",
                "labels",
                f"arrays of {sorted(lengths)} values for {self.index.height} rows",
                "one value per row of the index",
                "Make labels with make_labels",
            )

    def __len__(self) -> int:
        return self.index.height

    @property
    def outcome(self) -> NDArray[np.float64]:
        """1.0 event within the horizon, 0.0 none in a wholly observed window, NaN censored."""
        return self.outcome_within(self.horizon_months)

    @property
    def weight(self) -> NDArray[np.float64]:
        """How many rows each stands for, shape ``(n_rows,)``: 1 unless corrected by lotteries."""
        return np.ones(len(self)) if self.draws is None else self.draws.weight

    def outcome_within(self, months: int) -> NDArray[np.float64]:
        """Return the outcome within ``months`` of the as-of date, shape ``(n_rows,)``, as ``outcome``."""
        free = np.where(self.observed_months >= months, 0.0, np.nan)
        return np.where(self.event_month <= months, 1.0, free)

    def outcome_after(self, months: int) -> NDArray[np.float64]:
        """Return the outcome in the rest of the window among those free of the event for ``months``.

        1.0 event after ``months`` and within the horizon, 0.0 none in a wholly observed window; NaN where an
        event came before, or it is not known that none did.
        """
        return np.where(self.outcome_within(months) == 0.0, self.outcome, np.nan)

    @property
    def censoring(self) -> pl.DataFrame:
        """Counts among rows at risk, by as-of date: rows, events, event-free and censored windows."""
        counted = self.index.select("as_of_date").with_columns(
            at_risk=pl.Series(self.is_at_risk), outcome=pl.Series(self.outcome).fill_nan(None)
        )
        at_risk = pl.col("at_risk")
        return counted.group_by("as_of_date", maintain_order=True).agg(
            rows=pl.len(),
            at_risk=at_risk.sum(),
            events=(at_risk & (pl.col("outcome") == 1)).sum(),
            event_free=(at_risk & (pl.col("outcome") == 0)).sum(),
            censored=(at_risk & pl.col("outcome").is_null()).sum(),
        )

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Labels:
        """Return the rows of a mask or of positions, in that order."""
        positions = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep.astype(np.int64)
        return Labels(
            self.index[positions],
            self.is_at_risk[positions],
            self.event_month[positions],
            self.observed_months[positions],
            self.horizon_months,
            self.known_on,
            None if self.course is None else self.course.rows(positions),
            None if self.needs is None else self.needs.rows(positions),
            None if self.draws is None else self.draws.rows(positions),
        )

    def at(self, as_of_date: date) -> Labels:
        """Return the rows of one as-of date."""
        return self.rows((self.index["as_of_date"] == as_of_date).to_numpy())

    def to_polars(self) -> pl.DataFrame:
        """Return the index with at-risk flag, event month, observed months, outcome and course beside it."""
        frame = self.index.with_columns(
            is_at_risk=pl.Series(self.is_at_risk),
            event_month=pl.Series(self.event_month),
            observed_months=pl.Series(self.observed_months),
            outcome=pl.Series(self.outcome),
        )
        return frame if self.course is None else frame.hstack(self.course.to_polars())

    def to_pandas(self) -> pd.DataFrame:
        """Return household_id, as_of_date and the label columns; NaN outcomes are censored."""
        frame = self.to_polars()
        return pd.DataFrame({name: frame[name].to_list() for name in frame.columns})


def make_labels(
    panel: Panel,
    as_of_dates: Sequence[date],
    label: LabelConfig,
    cohort: CohortConfig,
    known_on: date,
    thresholds: ThresholdTable | None = None,
    households: Sequence[str] | None = None,
) -> Labels:
    """Return the outcomes of all households known at each as-of date.

    Parameters
    ----------
    panel : Panel
    as_of_dates : sequence of date
    label : LabelConfig
    cohort : CohortConfig
        Who is at risk, by what was known on the as-of date itself.
    known_on : date
        Outcomes are read from ``panel.known_at(known_on)``; nothing recorded later is used.
    thresholds : ThresholdTable, optional
        The layers under the panel's own rows; those of the panel where not given.
    households : sequence of str, optional
        Only these households.

    Returns
    -------
    Labels
        Sorted by as-of date, then household.

    Raises
    ------
    ContractError
        RR302 where no household was known on one of the dates; RR353 where labels are to be corrected by
        lotteries and none is known.
    """
    if label.lottery_corrected:
        require_lotteries(panel)
    wanted = None if households is None else pl.Series("household_id", sorted(set(households)), pl.String)
    known = panel.known_at(known_on, residents_only=False)
    dates = sorted(set(as_of_dates))
    grid = welfare_states(
        known,
        label,
        known.thresholds(thresholds),
        household_ids=None if wanted is None else known.followed(wanted)["heir_id"].unique(),
        ending_after=min(dates, default=None),
    )
    outcomes = _Outcomes(known, grid, label, known.thresholds(thresholds), Exits.of(known))
    parts = [_label_one_date(panel, day, label, cohort, thresholds, outcomes, wanted) for day in dates]
    return Labels(
        pl.concat([part.index for part in parts]),
        np.concatenate([part.is_at_risk for part in parts]),
        np.concatenate([part.event_month for part in parts]),
        np.concatenate([part.observed_months for part in parts]),
        label.horizon_months,
        known_on,
        Course.joined([part.course for part in parts if part.course is not None]),
        VerifiedNeeds.joined([part.needs for part in parts if part.needs is not None]),
        LotteryDraws.joined([part.draws for part in parts if part.draws is not None]),
    )


def require_line(
    panel: Panel,
    as_of_dates: Sequence[date],
    label: LabelConfig,
    cohort: CohortConfig,
    known_on: date,
    thresholds: ThresholdTable | None = None,
) -> None:
    """Refuse to train where a county has no monitoring line in force: who is below it can't be told there.

    Every reported period that decides who is at risk, or what became of them, is looked at; nothing is asked
    where income is no outcome.

    Parameters
    ----------
    panel, as_of_dates, label, cohort, known_on, thresholds
        As in :func:`make_labels`.

    Raises
    ------
    ContractError
        RR352 where a county has reported periods on whose last day no line has a value.
    """
    if "income" not in label.outcomes or not as_of_dates:
        return
    known = panel.known_at(known_on)
    in_force = known.thresholds(thresholds)
    first = add_months(min(as_of_dates), -cohort.max_report_age_months)
    last = add_months(max(as_of_dates), label.horizon_months)
    reported = known.table("observation").filter(pl.col("period_end").is_between(first, last))
    counties = known.households.select("household_id", "county_code")
    pairs = reported.select("household_id", "period_end").join(counties, on="household_id", how="inner")
    gaps: dict[str, list[date]] = {}
    for county, day in pairs.select("county_code", "period_end").unique().sort(pl.all()).iter_rows():
        row = in_force.in_force("line", county, day)
        if row is None or row.value is None:
            gaps.setdefault(county, []).append(day)
    if gaps:
        told = "; ".join(f"county {county} from {days[0]} to {days[-1]}" for county, days in gaps.items())
        raise ContractError(
            "RR352",
            "threshold line",
            f"no monitoring line has a value for {told}",
            "a line in force wherever and whenever a model is trained",
            "Give the line and its source, in the county's thresholds file or in table threshold",
            zh=f"以下县缺少现行监测线，不能训练：{'、'.join(gaps)}。请在阈值文件或阈值表中填写监测线及其依据。",
        )


def _label_one_date(
    panel: Panel,
    as_of_date: date,
    label: LabelConfig,
    cohort: CohortConfig,
    thresholds: ThresholdTable | None,
    outcomes: _Outcomes,
    wanted: pl.Series | None,
) -> Labels:
    known = panel.known_at(as_of_date)
    index = known.households
    if wanted is not None:
        index = index.filter(pl.col("household_id").is_in(wanted.implode()))
    index = index.with_columns(pl.lit(as_of_date).alias("as_of_date")).select(LABEL_INDEX_COLUMNS)
    event, observed, course = outcomes.after(index, as_of_date)
    needs = None
    if label.verified_need:
        needs = verified_needs(outcomes.known, index["household_id"], as_of_date, label.horizon_months)
        event, observed = with_needs(event, observed, needs)
    draws = None
    if label.lottery_corrected:
        draws = lottery_draws(outcomes.known, index["household_id"], as_of_date, event, observed)
    is_at_risk = find_at_risk(known, label, cohort, thresholds, wanted)
    return Labels(
        index, is_at_risk, event, observed, label.horizon_months, course=course, needs=needs, draws=draws
    )


@dataclass(frozen=True)
class _Outcomes:
    """What became of households, as known on one day."""

    known: KnownPanel
    grid: WelfareGrid
    label: LabelConfig
    thresholds: ThresholdTable
    exits: Exits

    def after(
        self, index: pl.DataFrame, as_of_date: date
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Course]:
        """Return event months, months observed, and the course after a date, one value a row of ``index``.

        A household that ended since is followed through its heirs: the first event of any of them is its
        own, and it is known to be free of it as long as all of them are.
        """
        followed = self.known.followed(index["household_id"])
        joined = followed.join(index, on="household_id", how="left", maintain_order="left")
        rows, start = self.grid.positions(followed["heir_id"]), last_complete_month(as_of_date)
        state, length = self.grid.after(rows, start, self.label.horizon_months)
        if self.label.kind == "first_event":
            event, observed = _first_events(state, length)
        else:
            event, observed = _states_at_horizon(state)
        course = Course(
            np.where(state[:, -1] == NOT_KNOWN, np.nan, state[:, -1]),
            causes_of(self.grid, rows, start, event, self._line_at(start, joined["county_code"])),
            self._lasting(rows, start, event),
            shortfalls(self.grid, rows, start, state, length, observed >= self.label.horizon_months),
            *self.exits.after(followed["heir_id"], self.grid, as_of_date, self.label.horizon_months),
        )
        if followed.height == index.height:
            return event, observed, course
        first = np.flatnonzero(
            (followed["household_id"] != followed["household_id"].shift(1)).fill_null(True)
        )
        of_all = course.of_all_heirs(first, event)
        return np.fmin.reduceat(event, first), np.minimum.reduceat(observed, first), of_all

    def _line_at(self, month: int, counties: pl.Series) -> NDArray[np.float64]:
        codes = counties.unique().sort().to_list()
        lines = self.thresholds.values("line", codes, [month_end(month)])[:, 0]
        return lines[np.searchsorted(codes, counties.to_numpy())]

    def _lasting(
        self, rows: NDArray[np.int64], start: int, event: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return whether events last, looking beyond the window as far as is known."""
        result = np.full(len(rows), np.nan)
        at = np.flatnonzero(~np.isnan(event))
        months = self.label.horizon_months + LASTING_MONTHS
        result[at] = lasting(*self.grid.after(rows[at], start, months), event[at])
        return result


def _first_events(
    state: NDArray[np.int8], length: NDArray[np.int8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the month of the first failing period, and the months free of it without a break."""
    event = np.full(len(state), np.nan)
    observed = np.zeros(len(state))
    for column in range(state.shape[1]):
        month = column + 1
        now = state[:, column]
        is_free = (now == FINE) & np.isnan(event)
        observed[is_free & (month - length[:, column] <= observed)] = month
        event[(now == FAILING) & np.isnan(event)] = month
    return event, observed


def _states_at_horizon(state: NDArray[np.int8]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the horizon as event month where the period that ends there fails, observed where known."""
    horizon = float(state.shape[1])
    last = state[:, -1]
    return np.where(last == FAILING, horizon, np.nan), np.where(last >= 0, horizon, 0.0)
