"""One month of the latent micro-simulation: shocks, recoveries, the register, and what they do to income."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.population import INSURANCE, LOCAL, OUTCOMES, POST, SLOTS, Singles
from relapse_risk.panel.synthetic.state import (
    NEVER,
    NOTICE_MONTHS,
    POST_TERM_MONTHS,
    Flows,
    Happening,
    MonthFacts,
    State,
    World,
)

_ILLNESS, _ACCIDENT, _FAILURE, _GUARANTEE = 0, 1, 2, 3
_DISASTER_MONTHS = (5, 6, 7, 8)
_INSTABILITY_FADES = np.float32(0.92)
_OWN_LOSS_FADES = np.float32(0.9)
_SEVERE_RATIO = np.float32(1.3)
# A drawn event takes trailing income so far down that growth alone does not bring it back within a year.
_DRAWN_RATIO = np.float32(0.3)
CLAIM_FLOOR_YUAN, CLAIM_SHARE = 4000.0, 0.25
_DISASTER_CLAIM_SHARE = 0.35

Rows = NDArray[np.int64]
Log = list[Happening] | None


def step(state: State, world: World, month: int, rng: np.random.Generator, log: Log = None) -> Flows:
    """Move ``state`` on by one month, in place, and return the month's flows.

    Parameters
    ----------
    state : State
        As at the end of the month before; any number of paths.
    month : int
        The month to live through, as ``windows.month_index``.
    log : list of Happening, optional
        Collects what happened to whom; only for a state of one path.
    """
    facts = world.facts(month)
    _drift(state, world, rng)
    _strike_villages(state, world, month, rng, log)
    _strike_households(state, world, facts, rng, log)
    _recover(state, world, month, rng, log)
    _end_posts(state, world, month, rng, log)
    flows = _earn(state, world, facts, rng)
    _add_up(state, facts, flows)
    if world.scenario.drawn.annual_rate:
        flows = _strike_at_random(state, world, facts, flows, rng)
    _run_register(state, world, facts, rng, log)
    return flows


def _note(log: Log, kind: str, month: int, household: Rows, slot: object = -1, value: object = 0.0) -> None:
    if log is not None and len(household):
        log.append(
            Happening(
                kind,
                month,
                household,
                np.broadcast_to(np.asarray(slot, np.int64), household.shape),
                np.broadcast_to(np.asarray(value, np.float64), household.shape),
            )
        )


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Singles:
    return rng.standard_normal(shape, dtype=np.float32)


def _drift(state: State, world: World, rng: np.random.Generator) -> None:
    """Let the slow parts of income and prices move, and old setbacks fade."""
    income, farm = world.scenario.income, world.scenario.farm
    memory = income.persistent_memory
    state.persistent *= np.float32(memory)
    innovation = income.persistent_sd * (1 - memory**2) ** 0.5
    state.persistent += np.float32(innovation) * _normal(rng, state.persistent.shape)
    innovation = farm.price_sd * (1 - farm.price_memory**2) ** 0.5
    state.price *= np.float32(farm.price_memory)
    state.price += np.float32(innovation) * _normal(rng, state.price.shape)
    state.price -= np.float32(farm.collapse_size) * (rng.random(state.price.shape) < farm.collapse_rate)
    state.own_loss *= _OWN_LOSS_FADES
    state.instability *= _INSTABILITY_FADES


def _strike_villages(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Floods and hail take produce and roofs; a factory that closes takes its village's jobs."""
    p, farm = world.population, world.scenario.farm
    if month % 12 == 2:
        state.village_loss[:] = 0
    if month % 12 in _DISASTER_MONTHS:
        struck = rng.random(state.village_loss.shape) < farm.disaster_rate * p.villages.flood_risk
        if struck.any():
            loss = np.clip(farm.disaster_loss * rng.uniform(0.4, 1.6, struck.shape), 0, 0.95)
            state.village_loss[:] = np.where(struck, loss, state.village_loss)
            path, household = np.nonzero(struck[:, p.village])
            falls = p.is_house_worn[household] & (rng.random(len(household)) < 0.06)
            _fail_guarantee(state, month, np.full(falls.sum(), 2), path[falls], household[falls], log)
            _note(log, "disaster", month, household, value=loss[path, p.village[household]])
    closed = rng.random(state.village_loss.shape) < world.scenario.work.factory_rate
    if closed.any():
        path, household = np.nonzero(closed[:, p.village])
        for slot in range(SLOTS):
            hit = (p.job[slot, household] == LOCAL) & (rng.random(len(household)) < 0.5)
            _lose_job(state, month, np.full(hit.sum(), slot), path[hit], household[hit], log)


def _strike_households(
    state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log
) -> None:
    """Draw at most one setback per household: a lost job, an illness, an accident, a failure."""
    p, month = world.population, facts.month
    loss = p.loss_rate[:, None, :] * state.employed
    loss += loss * state.instability
    hazard = loss[0] + loss[1]
    lost_any = hazard.copy()
    hazard += facts.base_hazard
    assisted = state.monitored_since != NEVER
    factor = np.float32(world.scenario.assistance.hazard_factor)
    draw = rng.random(hazard.shape, dtype=np.float32)
    path, household = np.nonzero(draw < hazard)
    scale = np.where(assisted[path, household], factor, np.float32(1))
    place = draw[path, household] / np.maximum(scale, np.float32(1e-6))
    keep = place < hazard[path, household]
    path, household, place = path[keep], household[keep], place[keep]
    of_job = place < lost_any[path, household]
    slot = (place >= loss[0, path, household]).astype(np.int64)[of_job]
    _lose_job(state, month, slot, path[of_job], household[of_job], log)
    path, household = path[~of_job], household[~of_job]
    place = place[~of_job] - lost_any[path, household]
    kind = (place >= facts.hazard_parts[:, household]).sum(axis=0)
    ill = (kind == _ILLNESS) | (kind == _ACCIDENT)
    _fall_ill(state, world, month, path[ill], household[ill], kind[ill] == _ACCIDENT, rng, log)
    broke = kind == _FAILURE
    state.own_loss[path[broke], household[broke]] = rng.uniform(0.5, 1.0, int(broke.sum()))
    _note(log, "farm_failure", month, household[broke])
    fails = (kind >= _GUARANTEE) & (kind < _GUARANTEE + len(OUTCOMES))
    _fail_guarantee(state, month, kind[fails] - _GUARANTEE, path[fails], household[fails], log)


def _lose_job(state: State, month: int, slot: Rows, path: Rows, household: Rows, log: Log) -> None:
    had = state.employed[slot, path, household] > 0
    slot, path, household = slot[had], path[had], household[had]
    state.employed[slot, path, household] = 0
    state.since[slot, path, household] = month
    _note(log, "job_loss", month, household, slot)


def _fail_guarantee(state: State, month: int, which: Rows, path: Rows, household: Rows, log: Log) -> None:
    held = ~state.failed[which, path, household]
    which, path, household = which[held], path[held], household[held]
    state.failed[which, path, household] = True
    _note(log, "guarantee_failed", month, household, which)


def _fall_ill(
    state: State,
    world: World,
    month: int,
    path: Rows,
    household: Rows,
    is_accident: NDArray[np.bool_],
    rng: np.random.Generator,
    log: Log,
) -> None:
    """Start a treatment; an earner who is the patient, or who nurses one, stops working."""
    p, health = world.population, world.scenario.health
    n = len(household)
    place = rng.random(n)
    first, second = p.patient_share[:, household]
    slot = np.where(place < first, 0, np.where(place < first + second, 1, -1))
    slot = np.where(is_accident & (slot < 0), 0, slot)
    bill = health.monthly_bill_yuan * np.exp(health.bill_sd * rng.standard_normal(n))
    length = 2 + rng.exponential(np.where(is_accident, 0.3, 1.0) * health.care_months, n)
    end = month + np.minimum(length, 36).astype(np.int64)
    state.care_end[path, household] = np.maximum(state.care_end[path, household], end)
    state.care_bill[path, household] = bill
    _note(log, "accident", month, household[is_accident], slot[is_accident], end[is_accident])
    _note(log, "illness", month, household[~is_accident], slot[~is_accident], end[~is_accident])
    nurses = (slot < 0) & (rng.random(n) < 0.2)
    stops = (slot >= 0) | nurses
    _lose_job(state, month, np.maximum(slot, 0)[stops], path[stops], household[stops], log)


def _recover(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Let people find work again, and what failed be put right."""
    p, scenario = world.population, world.scenario
    slot, path, household = np.nonzero((state.employed == 0) & (p.rehire_rate > 0)[:, None, :])
    idle = month - state.since[slot, path, household]
    chance = p.rehire_rate[slot, household] * np.maximum(np.float32(0.965) ** idle, np.float32(0.35))
    assisted = state.monitored_since[path, household] != NEVER
    chance *= np.where(assisted, np.float32(scenario.assistance.rehire_factor), np.float32(1))
    chance *= np.where(state.care_end[path, household] >= month, np.float32(0.3), np.float32(1))
    hired = (rng.random(len(idle), dtype=np.float32) < chance) & (idle > 0)
    slot, path, household = slot[hired], path[hired], household[hired]
    change = np.exp(scenario.work.scar_sd * rng.standard_normal(len(slot)) - 0.02)
    state.wage_factor[slot, path, household] = np.clip(
        state.wage_factor[slot, path, household] * change, 0.6, 1.4
    )
    state.employed[slot, path, household] = 1
    state.since[slot, path, household] = month
    state.instability[slot, path, household] = scenario.work.instability
    is_post = p.job[slot, household] == POST
    state.post_end[slot, path, household] = np.where(is_post, month + POST_TERM_MONTHS, NEVER)
    _note(log, "hired", month, household, slot, state.wage_factor[slot, path, household])
    which, path, household = np.nonzero(state.failed)
    assisted = state.monitored_since[path, household] != NEVER
    repair = scenario.guarantees.repair_rate * np.where(assisted, 1.4, 1.0)
    fixed = rng.random(len(which)) < repair
    state.failed[which[fixed], path[fixed], household[fixed]] = False
    _note(log, "guarantee_repaired", month, household[fixed], which[fixed])


def _end_posts(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Public-welfare posts are announced to end, and end or are renewed."""
    due = month + NOTICE_MONTHS
    slot, path, household = np.nonzero((state.post_end == due) & (state.employed > 0))
    _note(log, "post_notice", month, household, slot, due)
    slot, path, household = np.nonzero((state.post_end == month) & (state.employed > 0))
    renewed = rng.random(len(slot)) < world.scenario.work.post_renewal
    term = np.where(renewed, month + POST_TERM_MONTHS, NEVER)
    state.post_end[slot, path, household] = term
    ended = ~renewed
    _note(log, "post_end", month, household[ended], slot[ended])
    _note(log, "post_renewed", month, household[renewed], slot[renewed], term[renewed])
    state.employed[slot[ended], path[ended], household[ended]] = 0
    state.since[slot[ended], path[ended], household[ended]] = month


def _earn(state: State, world: World, facts: MonthFacts, rng: np.random.Generator) -> Flows:
    """Return the month's income and own-pay in yuan of the month."""
    p, scenario, level = world.population, world.scenario, np.float32(facts.price_level)
    shape = state.persistent.shape
    effort = np.exp(state.persistent + np.float32(scenario.income.passing_wage_sd) * _normal(rng, shape))
    effort *= level
    wage = facts.wage_yuan * state.employed
    wage *= state.wage_factor
    wage *= effort
    luck = np.float32(scenario.income.passing_farm_sd) * _normal(rng, shape)
    luck += np.float32(0.6) * state.persistent
    luck += state.price[:, world.price_index]
    farm = np.exp(luck)
    farm *= facts.farm_yuan * level
    farm *= 1 - state.own_loss
    claim = np.zeros(shape, np.float32)
    if state.village_loss.any():
        loss = state.village_loss[:, p.village]
        farm *= 1 - loss
        if facts.month % 12 == 9:
            claim += np.float32(_DISASTER_CLAIM_SHARE) * level * p.is_farm_insured * p.farm_yuan * loss
    cost = p.farm_yuan * p.farm_cost_share * (level / np.float32(12))
    aid = np.zeros(shape, np.float32)
    path, household = np.nonzero(state.monitored_since)
    share = scenario.assistance.transfer_share / 12
    aid[path, household] = share * facts.line_yuan[household]
    own_pay = _pay_for_care(state, world, facts, claim, rng)
    minor = p.minor_own_pay_yuan * (level / np.float32(12))
    return Flows(wage, farm, np.broadcast_to(cost, shape), aid, claim, own_pay, np.broadcast_to(minor, shape))


def _pay_for_care(
    state: State, world: World, facts: MonthFacts, claim: Singles, rng: np.random.Generator
) -> Singles:
    """Return own-pay for treatments, and add what supplementary insurance gives back to ``claim``."""
    p, assistance = world.population, world.scenario.assistance
    own_pay = np.zeros(state.persistent.shape, np.float32)
    path, household = np.nonzero(state.care_end >= facts.month)
    spread = np.exp(0.5 * rng.standard_normal(len(path)))
    share = p.own_pay_share[household].astype(np.float64)
    share *= np.where(state.monitored_since[path, household] != NEVER, assistance.own_pay_factor, 1.0)
    share = np.where(state.failed[INSURANCE, path, household], 1.0, share)
    paid = state.care_bill[path, household] * spread * share * facts.price_level
    own_pay[path, household] = paid
    claim[path, household] += CLAIM_SHARE * np.maximum(paid - CLAIM_FLOOR_YUAN, 0)
    return own_pay


def _add_up(state: State, facts: MonthFacts, flows: Flows) -> None:
    """Add the month's reference income to the trailing twelve months."""
    reference = flows.wage[0] + flows.wage[1]
    reference += flows.farm
    reference -= flows.farm_cost
    reference += facts.fixed_yuan * np.float32(facts.price_level)
    reference += flows.aid
    reference += flows.claim
    reference -= flows.own_pay
    reference -= flows.minor_own_pay
    place = facts.month % 12
    state.trailing += reference - state.recent[place]
    state.recent[place] = reference


def _strike_at_random(
    state: State, world: World, facts: MonthFacts, flows: Flows, rng: np.random.Generator
) -> Flows:
    """In the last month of a period, take households drawn without regard to anything below the line."""
    every = world.scenario.observation_months
    if (facts.month + 1) % every:
        return flows
    chance = 1 - (1 - world.scenario.drawn.annual_rate) ** (every / 12)
    hit = (rng.random(state.trailing.shape) < chance) & (state.trailing >= facts.line_yuan)
    fall = np.where(hit, state.trailing - facts.line_yuan * _DRAWN_RATIO, np.float32(0))
    state.trailing -= fall
    state.recent[facts.month % 12] -= fall
    return replace(flows, farm_cost=flows.farm_cost + fall)


def _run_register(state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log) -> None:
    """Notice households in difficulty, decide a month later, and clear those that hold up."""
    config, month = world.scenario.assistance, facts.month
    below = state.trailing < facts.line_yuan
    lacks: NDArray[np.bool_] = np.asarray(state.failed.any(axis=0))
    severe: NDArray[np.bool_] = state.trailing < _SEVERE_RATIO * facts.line_yuan
    severe &= state.care_end >= month
    path, household = np.nonzero((state.case_month != NEVER) & (state.case_month < month))
    poor, hard = below[path, household], severe[path, household]
    chance = config.inclusion_share * np.select([poor, hard], [1.0, 0.7], 0.15)
    included = rng.random(len(path)) < chance
    state.case_month[path, household] = NEVER
    state.monitored_since[path[included], household[included]] = month
    _note(log, "decided", month, household, poor.astype(np.int64) + 2 * (hard & ~poor), included)
    path, household = np.nonzero(
        (below | lacks | severe) & (state.monitored_since == NEVER) & (state.case_month == NEVER)
    )
    chance = config.discovery_rate * np.where(world.population.is_lifted[household], 1.5, 1.0)
    noticed = rng.random(len(path)) < chance
    state.case_month[path[noticed], household[noticed]] = month
    _note(log, "noticed", month, household[noticed])
    path, household = np.nonzero(state.monitored_since)
    held = month - state.monitored_since[path, household] >= 6
    held &= state.trailing[path, household] >= np.float32(1.05) * facts.line_yuan[household]
    held &= ~lacks[path, household]
    chance = config.clear_rate * np.where(world.population.labour_n[household] > 0, 1.0, 0.1)
    cleared = held & (rng.random(len(path)) < chance)
    state.monitored_since[path[cleared], household[cleared]] = NEVER
    _note(log, "cleared", month, household[cleared])
