"""Setbacks of a month: what strikes villages at once, and what strikes one household."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.demography import disable
from relapse_risk.panel.synthetic.members import NOBODY
from relapse_risk.panel.synthetic.population import HOUSING, INSURANCE, LOCAL, POST, SCHOOLING, SLOTS, WATER
from relapse_risk.panel.synthetic.state import NEVER, Log, State, note
from relapse_risk.panel.synthetic.world import MonthFacts, World

_DISASTER_MONTHS = (5, 6, 7, 8)
_FACTORY_SHARE, _ROOF_SHARE, _NURSING_SHARE = 0.5, 0.06, 0.2
_DISABLING_SHARE = 0.3

Rows = NDArray[np.int64]


def strike_villages(
    state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log
) -> None:
    """Floods and hail take produce and roofs; a factory that closes takes its village's jobs."""
    p, farm, month = world.population, world.scenario.farm, facts.month
    if month % 12 == 2:
        state.village_loss[:] = 0
    if month % 12 in _DISASTER_MONTHS:
        chance = farm.disaster_rate * facts.factors["disaster"] * p.villages.flood_risk
        struck = rng.random(state.village_loss.shape) < chance
        if struck.any():
            loss = np.clip(farm.disaster_loss * rng.uniform(0.4, 1.6, struck.shape), 0, 0.95)
            state.village_loss[:] = np.where(struck, loss, state.village_loss)
            path, home = np.nonzero(struck[:, p.village] & (state.n_person > 0))
            falls = p.is_house_worn[home] & (rng.random(len(home)) < _ROOF_SHARE)
            _fail_guarantee(state, month, HOUSING, path[falls], home[falls], log)
            note(
                log,
                "disaster",
                month,
                home,
                value=np.minimum(loss[path, p.village[home]] * p.exposure[home], 1),
            )
    closes = world.scenario.work.factory_rate * facts.factors["factory"]
    closed = rng.random(state.village_loss.shape) < closes
    if closed.any():
        path, home = np.nonzero(closed[:, p.village])
        for slot in range(SLOTS):
            hit = (state.job[slot, path, home] == LOCAL) & (rng.random(len(home)) < _FACTORY_SHARE)
            _lose_job(state, month, np.full(hit.sum(), slot), path[hit], home[hit], log)


def strike_households(
    state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log
) -> None:
    """Lost jobs, illness, accidents, failed businesses and guarantees."""
    _lose_jobs(state, world, facts, rng, log)
    _fall_ill(state, world, facts, rng, log)
    _have_accidents(state, world, facts, rng, log)
    path, home = world.draw("failure", facts.month, state.paths, rng, facts.factors["failure"])
    path, home = _unless_assisted(state, world, path, home, rng, home)[:2]
    state.own_loss[path, home] = rng.uniform(0.5, 1.0, len(path))
    note(log, "farm_failure", facts.month, home)
    _lose_guarantees(state, world, facts, rng, log)


def _unless_assisted(
    state: State, world: World, path: Rows, home: Rows, rng: np.random.Generator, row: Rows
) -> tuple[Rows, Rows, Rows]:
    """Return the points that strike: of those assisted only a share, of empty households none."""
    factor = world.scenario.assistance.hazard_factor
    chance = np.where(state.monitored_since[path, home] != NEVER, factor, 1.0)
    strikes = (rng.random(len(path)) < chance) & (state.n_person[path, home] > 0)
    return path[strikes], home[strikes], row[strikes]


def _lose_jobs(state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log) -> None:
    """Take jobs away: one just found more easily, a public post not before its end."""
    n, config = world.population.n, world.scenario.work
    path, place = world.draw("job_loss", facts.month, state.paths, rng, facts.factors["job_loss"])
    path, home, slot = _unless_assisted(state, world, path, place % n, rng, place // n)
    extra = (1 + state.instability[slot, path, home]) / (1 + config.instability)
    strikes = (rng.random(len(path)) < extra) & (state.job[slot, path, home] != POST)
    _lose_job(state, facts.month, slot[strikes], path[strikes], home[strikes], log)


def _lose_job(state: State, month: int, slot: Rows, path: Rows, home: Rows, log: Log) -> None:
    had = state.employed[slot, path, home] > 0
    slot, path, home = slot[had], path[had], home[had]
    state.employed[slot, path, home] = 0
    state.since[slot, path, home] = month
    note(log, "job_loss", month, home, state.worker[slot, path, home], state.job[slot, path, home])


def _fall_ill(state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log) -> None:
    path, member = world.draw("illness", facts.month, state.paths, rng, facts.factors["illness"])
    home = world.population.members.household[member]
    path, home, member = _unless_assisted(state, world, path, home, rng, member)
    here = state.present[path, member]
    path, home, member = path[here], home[here], member[here]
    end = _treat(state, world, facts, path, home, member, 1.0, rng)
    note(log, "illness", facts.month, home, member, value=end)
    _stop_work(state, facts.month, path, home, member, rng, log)


def _have_accidents(
    state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log
) -> None:
    """Accidents happen to those who work; some leave a disability."""
    n = world.population.n
    path, place = world.draw("accident", facts.month, state.paths, rng)
    path, home, slot = _unless_assisted(state, world, path, place % n, rng, place // n)
    member = state.worker[slot, path, home].astype(np.int64)
    has = member != NOBODY
    path, home, member = path[has], home[has], member[has]
    end = _treat(state, world, facts, path, home, member, 0.3, rng)
    note(log, "accident", facts.month, home, member, value=end)
    _stop_work(state, facts.month, path, home, member, rng, log)
    lasting = rng.random(len(path)) < _DISABLING_SHARE
    grade = rng.integers(2, 5, int(lasting.sum()))
    disable(state, world, facts.month, path[lasting], member[lasting], grade, log)


def _treat(
    state: State,
    world: World,
    facts: MonthFacts,
    path: Rows,
    home: Rows,
    member: Rows,
    length_factor: float,
    rng: np.random.Generator,
) -> Rows:
    """Start treatments and return their last months."""
    health, n = world.scenario.health, len(path)
    bill = health.monthly_bill_yuan * np.exp(health.bill_sd * rng.standard_normal(n))
    length = 2 + rng.exponential(length_factor * health.care_months, n)
    end: Rows = facts.month + np.minimum(length, 36).astype(np.int64)
    state.care_end[path, home] = np.maximum(state.care_end[path, home], end)
    state.care_bill[path, home] = bill
    state.patient[path, home] = member
    return end


def _stop_work(
    state: State, month: int, path: Rows, home: Rows, member: Rows, rng: np.random.Generator, log: Log
) -> None:
    """Stop the work of an earner who is the patient, or who nurses one."""
    is_worker = state.worker[:, path, home] == member
    nurses = ~is_worker.any(axis=0) & (rng.random(len(path)) < _NURSING_SHARE)
    slot = np.where(is_worker[1], 1, 0)
    stops = is_worker.any(axis=0) | nurses
    _lose_job(state, month, slot[stops], path[stops], home[stops], log)


def _lose_guarantees(
    state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log
) -> None:
    month, members = facts.month, world.population.members
    for name, which in (
        ("schooling", SCHOOLING),
        ("insurance", INSURANCE),
        ("housing", HOUSING),
        ("water", WATER),
    ):
        factor = facts.factors["guarantees"] * world.guarantee_season(which, month)
        path, row = world.draw(name, month, state.paths, rng, factor)
        home = members.household[row] if which == SCHOOLING else row
        path, home, row = _unless_assisted(state, world, path, home, rng, row)
        if which == SCHOOLING:
            here = state.present[path, row]
            _fail_guarantee(state, month, which, path[here], home[here], log, row[here])
        else:
            _fail_guarantee(state, month, which, path, home, log)


def _fail_guarantee(
    state: State, month: int, which: int, path: Rows, home: Rows, log: Log, member: Rows | None = None
) -> None:
    held = ~state.failed[which, path, home]
    path, home = path[held], home[held]
    state.failed[which, path, home] = True
    note(log, "guarantee_failed", month, home, NOBODY if member is None else member[held], which)
