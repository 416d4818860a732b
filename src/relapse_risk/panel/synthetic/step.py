"""One month of the latent micro-simulation: people, shocks, recoveries, income and the register."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.demography import come_and_go
from relapse_risk.panel.synthetic.population import HOME_WAGE, INSURANCE, LOCAL, MIGRANT, POST, Singles
from relapse_risk.panel.synthetic.shocks import strike_households, strike_villages
from relapse_risk.panel.synthetic.state import NEVER, NOTICE_MONTHS, POST_TERM_MONTHS, Flows, Log, State, note
from relapse_risk.panel.synthetic.world import MonthFacts, World

_INSTABILITY_FADES = np.float32(0.92)
_OWN_LOSS_FADES = np.float32(0.9)
_SEVERE_RATIO = np.float32(1.3)
# A drawn event takes trailing income so far down that growth alone does not bring it back within a year.
_DRAWN_RATIO = np.float32(0.3)
CLAIM_FLOOR_YUAN, CLAIM_SHARE = 4000.0, 0.25
_DISASTER_CLAIM_SHARE = 0.35

Rows = NDArray[np.int64]


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
    _drift(state, world, facts, rng)
    come_and_go(state, world, month, rng, log)
    strike_villages(state, world, facts, rng, log)
    strike_households(state, world, facts, rng, log)
    _recover(state, world, facts, rng, log)
    _end_posts(state, world, month, rng, log)
    flows = _earn(state, world, facts, rng)
    _add_up(state, facts, flows)
    if world.scenario.drawn.annual_rate:
        flows = _strike_at_random(state, world, facts, flows, rng)
    _run_register(state, world, facts, rng, log)
    return flows


def _normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Singles:
    return rng.standard_normal(shape, dtype=np.float32)


def _drift(state: State, world: World, facts: MonthFacts, rng: np.random.Generator) -> None:
    """Let the slow parts of income and prices move, and old setbacks fade."""
    income, farm = world.scenario.income, world.scenario.farm
    memory = income.persistent_memory
    state.persistent *= np.float32(memory)
    innovation = income.persistent_sd * (1 - memory**2) ** 0.5
    state.persistent += np.float32(innovation) * _normal(rng, state.persistent.shape)
    innovation = farm.price_sd * (1 - farm.price_memory**2) ** 0.5
    state.price *= np.float32(farm.price_memory)
    state.price += np.float32(innovation) * _normal(rng, state.price.shape)
    state.price -= np.float32(farm.collapse_size) * (
        rng.random(state.price.shape) < farm.collapse_rate * facts.factors["collapse"]
    )
    state.own_loss *= _OWN_LOSS_FADES
    state.instability *= _INSTABILITY_FADES


def _recover(state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log) -> None:
    """Let people find work again, near home or away, and what failed be put right."""
    p, scenario, month = world.population, world.scenario, facts.month
    slot, path, home = np.nonzero((state.employed == 0) & (state.worker >= 0))
    idle = month - state.since[slot, path, home]
    chance = p.rehire_rate[slot, home] * np.maximum(np.float32(0.965) ** idle, np.float32(0.35))
    chance *= np.float32(facts.factors["rehire"])
    assisted = state.monitored_since[path, home] != NEVER
    chance *= np.where(assisted, np.float32(scenario.assistance.rehire_factor), np.float32(1))
    chance *= np.where(state.care_end[path, home] >= month, np.float32(0.3), np.float32(1))
    hired = (rng.random(len(idle), dtype=np.float32) < chance) & (idle > 0)
    slot, path, home = slot[hired], path[hired], home[hired]
    at = slot, path, home
    worker = state.worker[at]
    change = np.exp(scenario.work.scar_sd * rng.standard_normal(len(slot)) - 0.02)
    job = state.job[at]
    place, turning = rng.random(len(slot)), scenario.demography.return_rate
    comes_home = (job == MIGRANT) & (place < turning)
    goes_away = (job == LOCAL) & p.goes_away[worker] & (place >= turning)
    change *= np.select([comes_home, goes_away], [HOME_WAGE, 1 / HOME_WAGE], 1.0)
    job = np.select([comes_home, goes_away], [LOCAL, MIGRANT], job)
    usual = p.member_wage_yuan[worker]
    state.wage[at] = np.clip(state.wage[at] * change, 0.55 * usual, 1.4 * usual)
    state.job[at] = job
    state.employed[at] = 1
    state.since[at] = month
    state.instability[at] = scenario.work.instability
    state.post_end[at] = np.where(job == POST, month + POST_TERM_MONTHS, NEVER)
    note(log, "hired", month, home, worker, job, state.wage[at])
    which, path, home = np.nonzero(state.failed)
    assisted = state.monitored_since[path, home] != NEVER
    repair = scenario.guarantees.repair_rate * np.where(assisted, 1.4, 1.0)
    fixed = rng.random(len(which)) < repair
    state.failed[which[fixed], path[fixed], home[fixed]] = False
    note(log, "guarantee_repaired", month, home[fixed], code=which[fixed])


def _end_posts(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Public-welfare posts are announced to end, and end or are renewed."""
    due = month + NOTICE_MONTHS
    at = np.nonzero((state.post_end == due) & (state.employed > 0))
    note(log, "post_notice", month, at[2], state.worker[at], value=due)
    at = np.nonzero((state.post_end == month) & (state.employed > 0))
    renewed = rng.random(len(at[0])) < world.scenario.work.post_renewal
    term = np.where(renewed, month + POST_TERM_MONTHS, NEVER)
    state.post_end[at] = term
    note(log, "post_renewed", month, at[2][renewed], state.worker[at][renewed], value=term[renewed])
    ended = tuple(axis[~renewed] for axis in at)
    note(log, "post_end", month, ended[2], state.worker[ended])
    state.employed[ended] = 0
    state.since[ended] = month


def _earn(state: State, world: World, facts: MonthFacts, rng: np.random.Generator) -> Flows:
    """Return the month's income and own-pay in yuan of the month."""
    p, scenario, level = world.population, world.scenario, np.float32(facts.price_level)
    shape, factors = state.persistent.shape, facts.factors
    effort = np.exp(state.persistent + np.float32(scenario.income.passing_wage_sd) * _normal(rng, shape))
    effort *= np.float32(level * factors["wages"])
    wage = state.wage * state.employed
    if facts.wage_season != 1:
        wage *= np.where(state.job == POST, np.float32(1), np.float32(facts.wage_season))
    wage *= effort
    luck = np.float32(scenario.income.passing_farm_sd) * _normal(rng, shape)
    luck += np.float32(0.6) * state.persistent
    luck += state.price[:, world.price_index]
    farm = np.exp(luck)
    farm *= facts.produce_season * np.float32(level * factors["produce"])
    farm *= state.farm_yuan
    farm *= 1 - state.own_loss
    claim = np.zeros(shape, np.float32)
    if state.village_loss.any():
        loss = np.minimum(state.village_loss[:, p.village] * p.exposure, np.float32(1))
        farm *= 1 - loss
        if facts.month % 12 == 9:
            claim += np.float32(_DISASTER_CLAIM_SHARE) * level * p.is_farm_insured * state.farm_yuan * loss
    cost = state.farm_yuan * (p.farm_cost_share * (level / np.float32(12)))
    aid = np.zeros(shape, np.float32)
    path, home = np.nonzero(state.monitored_since)
    share = np.float32(scenario.assistance.transfer_share / 12)
    aid[path, home] = share * facts.line_yuan * state.n_person[path, home]
    own_pay = _pay_for_care(state, world, facts, claim, rng)
    minor = state.n_person * (p.minor_own_pay_yuan * (level / np.float32(12)))
    return Flows(wage, farm, cost, aid, claim, own_pay, minor)


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
    paid *= facts.factors["own_pay"]
    own_pay[path, household] = paid
    claim[path, household] += CLAIM_SHARE * np.maximum(paid - CLAIM_FLOOR_YUAN, 0)
    return own_pay


def _add_up(state: State, facts: MonthFacts, flows: Flows) -> None:
    """Add the month's reference income to the trailing twelve months."""
    reference = flows.wage[0] + flows.wage[1]
    reference += flows.farm
    reference -= flows.farm_cost
    reference += state.fixed * np.float32(facts.price_level / 12)
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
    line = facts.line_yuan * state.n_person
    hit = (rng.random(state.trailing.shape) < chance) & (state.trailing >= line)
    fall = np.where(hit, state.trailing - line * _DRAWN_RATIO, np.float32(0))
    state.trailing -= fall
    state.recent[facts.month % 12] -= fall
    return replace(flows, farm_cost=flows.farm_cost + fall)


def _run_register(state: State, world: World, facts: MonthFacts, rng: np.random.Generator, log: Log) -> None:
    """Notice households in difficulty, decide a month later, and clear those that hold up."""
    config, month = world.scenario.assistance, facts.month
    line = facts.line_yuan * state.n_person
    below = state.trailing < line
    lacks: NDArray[np.bool_] = np.asarray(state.failed.any(axis=0))
    severe: NDArray[np.bool_] = state.trailing < _SEVERE_RATIO * line
    severe &= state.care_end >= month
    path, household = np.nonzero((state.case_month != NEVER) & (state.case_month < month))
    poor, hard = below[path, household], severe[path, household]
    chance = config.inclusion_share * np.select([poor, hard], [1.0, 0.7], 0.15)
    included = rng.random(len(path)) < chance
    state.case_month[path, household] = NEVER
    state.monitored_since[path[included], household[included]] = month
    note(log, "decided", month, household, code=poor + 2 * (hard & ~poor), value=included)
    path, household = np.nonzero(
        (below | lacks | severe) & (state.monitored_since == NEVER) & (state.case_month == NEVER)
    )
    chance = config.discovery_rate * np.where(world.population.is_lifted[household], 1.5, 1.0)
    noticed = rng.random(len(path)) < chance
    state.case_month[path[noticed], household[noticed]] = month
    note(log, "noticed", month, household[noticed])
    path, household = np.nonzero(state.monitored_since)
    held = month - state.monitored_since[path, household] >= 6
    held &= state.trailing[path, household] >= np.float32(1.05) * line[path, household]
    held &= ~lacks[path, household]
    chance = config.clear_rate * np.where(state.labour_n[path, household] > 0, 1.0, 0.1)
    cleared = held & (rng.random(len(path)) < chance)
    state.monitored_since[path[cleared], household[cleared]] = NEVER
    note(log, "cleared", month, household[cleared])
