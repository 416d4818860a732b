"""The realised history of a synthetic county: one path of the latent simulation, with what was seen on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.population import OUTCOMES
from relapse_risk.panel.synthetic.state import NEVER, Flows, Happening, State, World, first_state
from relapse_risk.panel.synthetic.step import step
from relapse_risk.panel.synthetic.truth import (
    HORIZONS_MONTHS,
    Truth,
    last_month_ended,
    risk_frame,
    simulate_risk,
)
from relapse_risk.windows import month_index

Progress = Callable[[str, int, int], None]
_ORACLE, _HAZARD = 1, 2
FLOW_NAMES = ("wage_0", "wage_1", "farm", "farm_cost", "aid", "claim", "own_pay", "minor_own_pay")
MONTHS_OF_WORK = ("work_months_0", "work_months_1")


@dataclass
class History:
    """What happened, by monitoring period; arrays of shape ``(n_periods, n_households)``.

    Attributes
    ----------
    period_ends : list of int
        Last month of each period.
    flows : dict of str to list of ndarray
        True sums over the period, in yuan, and months of work of the two earners.
    ratio, failed, monitored : list of ndarray
        True trailing reference income over the line, failing guarantees ``(4, n)``, and who is on the
        register, at the end of each period.
    care : dict of int to ndarray
        Own-pay for treatment by month.
    happenings : list of Happening
    initial : State
        The state when the first simulated month begins.
    """

    initial: State
    period_ends: list[int] = field(default_factory=list)
    flows: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    ratio: list[NDArray[np.float32]] = field(default_factory=list)
    failed: list[NDArray[np.bool_]] = field(default_factory=list)
    monitored: list[NDArray[np.bool_]] = field(default_factory=list)
    care: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)


def live_through(
    world: World,
    months: int,
    seed: int,
    household_ids: pl.Series,
    *,
    oracle_dates: Sequence[date],
    n_paths: int,
    hazard_paths: int,
    on_progress: Progress | None = None,
) -> tuple[History, Truth]:
    """Simulate ``months`` months after the burn-in and return what happened, and the truth about it."""
    scenario = world.scenario
    start, every = month_index(scenario.start), scenario.observation_months
    rng = np.random.Generator(np.random.SFC64([seed, 0]))
    state = first_state(world, start - scenario.burn_in_months - 1, rng)
    for month in range(start - scenario.burn_in_months, start):
        step(state, world, month, rng)
    history = History(initial=state.repeat(1))
    asked = sorted(set(oracle_dates))
    oracles: list[pl.DataFrame] = []
    hazards: list[pl.DataFrame] = []
    sums: dict[str, NDArray[np.float32]] = {}
    for month in range(start, start + months):
        flows = step(state, world, month, rng, history.happenings)
        history.care[month] = flows.own_pay[0].copy()
        _add_flows(sums, flows, state)
        if (month + 1) % every == 0:
            _close_period(history, sums, state, world, month)
            sums = {}
            if hazard_paths and month - start >= 11:
                hazard = simulate_risk(state, world, month, (every,), hazard_paths, (seed, _HAZARD, month))
                hazards.append(_hazard_frame(household_ids, month, hazard[0]))
        for day in asked:
            if last_month_ended(day) == month:
                risks = simulate_risk(state, world, month, HORIZONS_MONTHS, n_paths, (seed, _ORACLE, month))
                oracles.append(risk_frame(household_ids, day, risks))
        if on_progress is not None:
            on_progress("simulate", month - start + 1, months)
    truth = Truth(
        oracle=pl.concat(oracles) if oracles else _EMPTY_ORACLE,
        hazard=pl.concat(hazards) if hazards else _EMPTY_HAZARD,
        events=_events(history, household_ids),
        status=_status(history, household_ids),
    )
    return history, truth


_EMPTY_ORACLE = pl.DataFrame(
    schema={"household_id": pl.String, "as_of_date": pl.Date, "horizon_months": pl.Int64, "risk": pl.Float64}
)
_EMPTY_HAZARD = pl.DataFrame(schema={"household_id": pl.String, "month": pl.Date, "hazard": pl.Float64})


def _add_flows(sums: dict[str, NDArray[np.float32]], flows: Flows, state: State) -> None:
    parts = (
        flows.wage[0],
        flows.wage[1],
        flows.farm,
        flows.farm_cost,
        flows.aid,
        flows.claim,
        flows.own_pay,
        flows.minor_own_pay,
        state.employed[0],
        state.employed[1],
    )
    for name, part in zip((*FLOW_NAMES, *MONTHS_OF_WORK), parts, strict=True):
        sums[name] = sums[name] + part[0] if name in sums else part[0].copy()


def _close_period(
    history: History, sums: dict[str, NDArray[np.float32]], state: State, world: World, month: int
) -> None:
    history.period_ends.append(month)
    for name, values in sums.items():
        history.flows.setdefault(name, []).append(values)
    history.ratio.append(state.trailing[0] / world.facts(month).line_yuan)
    history.failed.append(state.failed[:, 0].copy())
    history.monitored.append(state.monitored_since[0] != NEVER)


def _first_day(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _hazard_frame(household_ids: pl.Series, month: int, hazard: NDArray[np.float64]) -> pl.DataFrame:
    return pl.DataFrame({"household_id": household_ids, "hazard": hazard}).select(
        "household_id", pl.lit(_first_day(month)).alias("month"), "hazard"
    )


def _judged(history: History) -> list[int]:
    """Return the places of periods whose trailing twelve months lie within the simulated months."""
    if not history.period_ends:
        return []
    every = history.period_ends[1] - history.period_ends[0] if len(history.period_ends) > 1 else 1
    first = history.period_ends[0] - every + 12
    return [place for place, month in enumerate(history.period_ends) if month >= first]


def _status(history: History, household_ids: pl.Series) -> pl.DataFrame:
    frames = [
        pl.DataFrame(
            {
                "household_id": household_ids,
                "ref_income_to_line": history.ratio[place].astype(np.float64),
                "is_failing": (history.ratio[place] < 1) | history.failed[place].any(axis=0),
            }
        ).select(
            "household_id",
            pl.lit(_first_day(history.period_ends[place])).alias("month"),
            "ref_income_to_line",
            "is_failing",
        )
        for place in _judged(history)
    ]
    schema = {
        "household_id": pl.String,
        "month": pl.Date,
        "ref_income_to_line": pl.Float64,
        "is_failing": pl.Boolean,
    }
    return pl.concat(frames) if frames else pl.DataFrame(schema=schema)


def _events(history: History, household_ids: pl.Series) -> pl.DataFrame:
    households: list[NDArray[np.int64]] = []
    months: list[date] = []
    outcomes: list[str] = []
    for place in _judged(history)[1:]:
        held = (history.ratio[place - 1] >= 1) & ~history.failed[place - 1].any(axis=0)
        fails = [history.ratio[place] < 1, *history.failed[place]]
        for outcome, failing in zip(("income", *OUTCOMES), fails, strict=True):
            rows = np.flatnonzero(held & failing)
            households.append(rows)
            months += [_first_day(history.period_ends[place])] * len(rows)
            outcomes += [outcome] * len(rows)
    rows = np.concatenate(households) if households else np.zeros(0, np.int64)
    return pl.DataFrame(
        {
            "household_id": household_ids.gather(rows),
            "month": pl.Series(months, dtype=pl.Date),
            "outcome": pl.Series(outcomes, dtype=pl.String),
        }
    ).sort("month", "household_id", "outcome")
