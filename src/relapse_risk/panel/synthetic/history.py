"""The realised history of a synthetic county: one path of the latent simulation, with what was seen on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.population import MIGRANT, OUTCOMES, POST
from relapse_risk.panel.synthetic.state import NEVER, Flows, Happening, State, first_state
from relapse_risk.panel.synthetic.step import step
from relapse_risk.panel.synthetic.truth import (
    HORIZONS_MONTHS,
    Truth,
    last_month_ended,
    risk_frame,
    simulate_risk,
)
from relapse_risk.panel.synthetic.world import World
from relapse_risk.windows import month_index

Progress = Callable[[str, int, int], None]
_ORACLE, _HAZARD = 1, 2
_YEAR = 12


FAR = np.iinfo(np.int64).max


@dataclass
class History:
    """What happened, by monitoring period; arrays of shape ``(n_periods, n_households)``.

    Attributes
    ----------
    period_ends : list of int
        Last month of each period.
    flows : dict of str to list of ndarray
        True sums over the period, in yuan, and months of work of the two earners, of them away from home.
    ratio, failed, monitored, n_person, labour_n : list of ndarray
        True trailing reference income over the line (NaN where nobody lives), failing guarantees
        ``(4, n)``, who is on the register, persons, and those able to work, at the end of each period.
    present : list of ndarray of bool, shape (n_members,)
        Who lives in the household at the end of each period.
    care : dict of int to ndarray
        Own-pay for treatment by month.
    happenings : list of Happening
    begins, ends : ndarray of int, shape (n,)
        First month of each household, and the month in which its last member left; ``FAR`` for none.
    initial : State
        The state when the first simulated month begins.
    """

    initial: State
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]
    period_ends: list[int] = field(default_factory=list)
    flows: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    ratio: list[NDArray[np.float32]] = field(default_factory=list)
    failed: list[NDArray[np.bool_]] = field(default_factory=list)
    monitored: list[NDArray[np.bool_]] = field(default_factory=list)
    n_person: list[NDArray[np.float32]] = field(default_factory=list)
    labour_n: list[NDArray[np.int8]] = field(default_factory=list)
    present: list[NDArray[np.bool_]] = field(default_factory=list)
    care: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)

    def lives(self, first: int, last: int | None = None) -> NDArray[np.bool_]:
        """Return which households exist throughout the months from ``first`` to ``last``, shape ``(n,)``."""
        exists: NDArray[np.bool_] = (self.begins <= first) & (self.ends > (first if last is None else last))
        return exists


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
    founded = np.where(world.population.is_founded, 0, FAR)
    history = History(state.repeat(1), begins=founded, ends=np.full(world.population.n, FAR))
    asked = sorted(set(oracle_dates))
    oracles: list[pl.DataFrame] = []
    hazards: list[pl.DataFrame] = []
    sums: dict[str, NDArray[np.float32]] = {}
    for month in range(start, start + months):
        flows = step(state, world, month, rng, history.happenings)
        history.care[month] = flows.own_pay[0].copy()
        _add_flows(sums, flows, state, world.facts(month).price_level)
        _note_lives(history, month)
        if (month + 1) % every == 0:
            _close_period(history, sums, state, world, month)
            sums = {}
            if hazard_paths and month - start >= 11:
                hazard = simulate_risk(state, world, month, (every,), hazard_paths, (seed, _HAZARD, month))
                hazards.append(
                    _hazard_frame(household_ids, month, hazard[0], history.lives(month - 11, month))
                )
        for day in asked:
            if last_month_ended(day) == month:
                risks = simulate_risk(state, world, month, HORIZONS_MONTHS, n_paths, (seed, _ORACLE, month))
                oracles.append(risk_frame(household_ids, day, risks, history.begins <= month))
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


def _note_lives(history: History, month: int) -> None:
    """Note which households were founded and dissolved in the month just lived through."""
    for happening in reversed(history.happenings):
        if happening.month != month:
            break
        if happening.kind == "founded":
            history.begins[happening.household] = month
        elif happening.kind == "dissolved":
            history.ends[happening.household] = month


def _add_flows(sums: dict[str, NDArray[np.float32]], flows: Flows, state: State, level: float) -> None:
    in_post, is_away = state.job[:, 0] == POST, state.job[:, 0] == MIGRANT
    monthly = np.float32(level / _YEAR)
    parts = {
        "wage": flows.wage[0, 0] + flows.wage[1, 0],
        "post": (flows.wage[:, 0] * in_post).sum(axis=0),
        "farm": flows.farm[0],
        "farm_cost": flows.farm_cost[0],
        "aid": flows.aid[0],
        "claim": flows.claim[0],
        "own_pay": flows.own_pay[0],
        "minor_own_pay": flows.minor_own_pay[0],
        "pension": state.pension[0] * monthly,
        "support": state.support[0] * monthly,
        "work_months_0": state.employed[0, 0],
        "work_months_1": state.employed[1, 0],
        "away_months": (state.employed[:, 0] * is_away).sum(axis=0),
    }
    for name, part in parts.items():
        sums[name] = sums[name] + part if name in sums else part.astype(np.float32)


def _close_period(
    history: History, sums: dict[str, NDArray[np.float32]], state: State, world: World, month: int
) -> None:
    history.period_ends.append(month)
    for name, values in sums.items():
        history.flows.setdefault(name, []).append(values)
    persons = state.n_person[0]
    line = world.facts(month).line_yuan * persons
    ratio = np.divide(state.trailing[0], line, out=np.full_like(line, np.nan), where=line > 0)
    history.ratio.append(ratio)
    history.failed.append(state.failed[:, 0].copy())
    history.monitored.append(state.monitored_since[0] != NEVER)
    history.n_person.append(persons.copy())
    history.labour_n.append(state.labour_n[0].copy())
    history.present.append(state.present[0].copy())


def _first_day(month: int) -> date:
    return date(month // 12, month % 12 + 1, 1)


def _hazard_frame(
    household_ids: pl.Series, month: int, hazard: NDArray[np.float64], lives: NDArray[np.bool_]
) -> pl.DataFrame:
    return pl.DataFrame(
        {"household_id": household_ids.filter(pl.Series(lives)), "hazard": hazard[lives]}
    ).select("household_id", pl.lit(_first_day(month)).alias("month"), "hazard")


def _judged(history: History) -> list[int]:
    """Return the places of periods whose trailing twelve months lie within the simulated months."""
    if not history.period_ends:
        return []
    every = history.period_ends[1] - history.period_ends[0] if len(history.period_ends) > 1 else 1
    first = history.period_ends[0] - every + 12
    return [place for place, month in enumerate(history.period_ends) if month >= first]


def _status(history: History, household_ids: pl.Series) -> pl.DataFrame:
    frames = []
    for place in _judged(history):
        month = history.period_ends[place]
        rows = np.flatnonzero(history.lives(month - _YEAR + 1, month))
        failing = (history.ratio[place] < 1) | history.failed[place].any(axis=0)
        frame = pl.DataFrame(
            {
                "household_id": household_ids.gather(rows),
                "ref_income_to_line": history.ratio[place][rows].astype(np.float64),
                "is_failing": failing[rows],
            }
        )
        frames.append(frame.insert_column(1, pl.lit(_first_day(month)).alias("month")))
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
        held &= history.lives(history.period_ends[place - 1] - _YEAR + 1, history.period_ends[place])
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
