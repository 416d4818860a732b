"""Who comes and goes in a month: births, deaths, marriages, new households; disability, school, pensions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.members import NOBODY
from relapse_risk.panel.synthetic.population import (
    LOCAL,
    MIGRANT,
    NO_JOB,
    PENSION_AGE,
    PENSION_YUAN,
    POST,
    SLOTS,
    hands_of,
)
from relapse_risk.panel.synthetic.state import (
    NEVER,
    POST_TERM_MONTHS,
    Log,
    State,
    note,
    typical_year,
    unearned_year,
)
from relapse_risk.panel.synthetic.world import ILL_MORTALITY_FACTOR, World

Rows = NDArray[np.int64]
_GRAVE_GRADE = 2
_WORKS_AT_ONCE = 0.75
_GRADES = np.array([1, 2, 3, 4])
_GRADE_SHARES = (0.15, 0.3, 0.3, 0.25)


def come_and_go(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Let a month's demographic events happen, in place; none before the simulation's first month."""
    if month < world.start:
        return
    _die(state, world, month, rng, log)
    _marry_out(state, world, month, rng, log)
    _found_households(state, world, month, rng, log)
    _marry_in(state, world, month, rng, log)
    _bear(state, world, month, rng, log)
    _retire(state, world, month, rng, log)
    _become_disabled(state, world, month, rng, log)
    _draw_pensions(state, world, month)
    _leave_school(state, world, month, rng, log)


def _present(state: State, path: Rows, member: Rows) -> tuple[Rows, Rows]:
    here = state.present[path, member]
    return path[here], member[here]


def _die(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Let members die, the sick more often: rates are drawn for all as if they were ill, and thinned."""
    path, member = _present(state, *world.draw("death", month, state.paths, rng))
    home = world.population.members.household[member]
    is_ill = (state.patient[path, home] == member) & (state.care_end[path, home] >= month)
    dies = is_ill | (rng.random(len(path)) * ILL_MORTALITY_FACTOR < 1)
    path, member, home = path[dies], member[dies], home[dies]
    note(log, "died", month, home, member)
    ends = state.patient[path, home] == member
    state.care_end[path[ends], home[ends]] = 0
    _leave(state, world, month, path, member, log)


def _marry_out(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    path, member = _present(state, *world.draw("leaving", month, state.paths, rng))
    note(log, "left", month, world.population.members.household[member], member)
    _leave(state, world, month, path, member, log)


def _leave(state: State, world: World, month: int, path: Rows, member: Rows, log: Log) -> None:
    """Take members out of their households; whoever is the last dissolves it."""
    p = world.population
    home = p.members.household[member]
    able = world.is_grown(member, month) & ~state.unfit[path, member]
    state.present[path, member] = False
    np.subtract.at(state.n_person, (path, home), np.float32(1))
    np.subtract.at(state.labour_n, (path, home), able.astype(np.int8))
    _stop_for_good(state, path, member, home)
    old = p.members.age(month)[member] >= PENSION_AGE
    _pay_pension(state, path[old], home[old], -PENSION_YUAN)
    share = (p.family_yuan + p.dibao_yuan)[home] / p.n_person[home]
    loss = np.minimum(share, state.support[path, home])
    np.subtract.at(state.support, (path, home), loss)
    np.subtract.at(state.fixed, (path, home), loss)
    _tend_farm(state, world, path, home)
    _dissolve(state, month, path, home, log)


def _dissolve(state: State, month: int, path: Rows, home: Rows, log: Log) -> None:
    """Close households that nobody lives in any more, and take them off the register."""
    gone = state.n_person[path, home] < 1
    pairs = np.unique(path[gone] * state.n_person.shape[1] + home[gone])
    path, home = np.divmod(pairs, state.n_person.shape[1])
    on_register = state.monitored_since[path, home] != NEVER
    note(log, "dissolved", month, home)
    note(log, "cleared", month, home[on_register])
    for name in ("pension", "support", "fixed", "farm_yuan", "trailing", "n_person"):
        getattr(state, name)[path, home] = 0
    for months in (state.care_end, state.case_month, state.monitored_since):
        months[path, home] = NEVER
    state.recent[:, path, home] = 0
    state.failed[:, path, home] = False


def _stop_for_good(state: State, path: Rows, member: Rows, home: Rows) -> None:
    """Vacate the place of work that members held."""
    for slot in range(SLOTS):
        held = state.worker[slot, path, home] == member
        at = slot, path[held], home[held]
        state.worker[at] = NOBODY
        state.job[at] = NO_JOB
        state.wage[at] = 0
        state.employed[at] = 0
        state.post_end[at] = NEVER


def _take_job(
    state: State, world: World, month: int, path: Rows, member: Rows, at_once: NDArray[np.bool_], log: Log
) -> None:
    """Give members a free place of work, where there is one: at work, or looking for it."""
    p = world.population
    home = p.members.household[member]
    free = np.where(state.worker[0, path, home] == NOBODY, 0, 1)
    has_place = state.worker[free, path, home] == NOBODY
    # Two members of one household in the same month would share a place; the second goes without.
    _, first = np.unique(path * p.n + home, return_index=True)
    is_first = np.zeros(len(path), bool)
    is_first[first] = True
    chosen = has_place & is_first
    free, path, home, member, at_once = (
        free[chosen],
        path[chosen],
        home[chosen],
        member[chosen],
        at_once[chosen],
    )
    at = free, path, home
    kind = np.where(p.goes_away[member], MIGRANT, LOCAL)
    state.worker[at] = member
    state.job[at] = kind
    state.wage[at] = p.member_wage_yuan[member]
    state.employed[at] = at_once
    state.since[at] = month
    state.instability[at] = world.scenario.work.instability * at_once
    state.post_end[at] = NEVER
    note(log, "hired", month, home[at_once], member[at_once], kind[at_once], state.wage[at][at_once])


def _tend_farm(state: State, world: World, path: Rows, home: Rows) -> None:
    p = world.population
    hands = hands_of(state.labour_n[path, home]) / hands_of(p.labour_n[home])
    state.farm_yuan[path, home] = p.farm_yuan[home] * np.minimum(hands, 1.5)


def _pay_pension(state: State, path: Rows, home: Rows, yuan: float) -> None:
    before = state.pension[path, home].copy()
    np.add.at(state.pension, (path, home), np.float32(yuan))
    state.pension[path, home] = np.maximum(state.pension[path, home], 0)
    pairs, first = np.unique(path * state.pension.shape[1] + home, return_index=True)
    del pairs
    change = (state.pension[path, home] - before)[first]
    state.fixed[path[first], home[first]] += change


def _found_households(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Let grown children leave with a spouse; the new household begins on its typical income."""
    p = world.population
    path, heir = _present(state, *world.draw("founding", month, state.paths, rng))
    if not len(path):
        return
    new = world.founded_by[heir]
    begins = state.n_person[path, new] == 0
    path, heir, new = path[begins], heir[begins], new[begins]
    note(log, "moved_out", month, p.members.household[heir], heir, new)
    note(log, "founded", month, new, heir, p.members.household[heir])
    _leave(state, world, month, path, heir, log)
    at = path, new
    state.n_person[at] = p.n_person[new]
    state.labour_n[at] = p.labour_n[new]
    state.pension[at] = p.pension_yuan[new]
    state.support[at] = (p.family_yuan + p.dibao_yuan)[new]
    state.fixed[at] = unearned_year(p)[new]
    state.farm_yuan[at] = p.farm_yuan[new]
    level = world.facts(month).price_level
    monthly = (typical_year(p)[new] / 12 * level).astype(np.float32)
    state.recent[:, path, new] = monthly
    state.trailing[at] = monthly * np.float32(12)
    first = np.searchsorted(p.members.household, new)
    for position in range(2):  # the head and the spouse
        state.present[path, first + position] = True
    for slot in range(SLOTS):
        at_work = p.job[slot, new] != NO_JOB
        state.worker[slot, path, new] = p.worker[slot, new]
        state.job[slot, path, new] = p.job[slot, new]
        state.wage[slot, path, new] = p.wage_yuan[slot, new]
        state.employed[slot, path, new] = at_work
        state.since[slot, path, new] = month
        is_post = p.job[slot, new] == POST
        state.post_end[slot, path, new] = np.where(is_post, month + POST_TERM_MONTHS, NEVER)


def _marry_in(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    members = world.population.members
    path, member = world.draw("joining", month, state.paths, rng)
    comes = ~state.present[path, member] & state.present[path, members.partner[member]]
    path, member = path[comes], member[comes]
    home = members.household[member]
    note(log, "joined", month, home, member)
    _arrive(state, path, member, home)
    np.add.at(state.labour_n, (path, home), np.int8(1))
    _tend_farm(state, world, path, home)
    works = rng.random(len(path)) < _WORKS_AT_ONCE / 2
    _take_job(state, world, month, path[works], member[works], np.ones(int(works.sum()), bool), log)


def _bear(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    members = world.population.members
    path, member = world.draw("birth", month, state.paths, rng)
    comes = ~state.present[path, member] & state.present[path, members.mother[member]]
    path, member = path[comes], member[comes]
    home = members.household[member]
    note(log, "born", month, home, member)
    _arrive(state, path, member, home)


def _arrive(state: State, path: Rows, member: Rows, home: Rows) -> None:
    state.present[path, member] = True
    np.add.at(state.n_person, (path, home), np.float32(1))


def _retire(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    path, member = _present(state, *world.draw("retirement", month, state.paths, rng))
    home = world.population.members.household[member]
    works = (state.worker[:, path, home] == member).any(axis=0)
    path, member, home = path[works], member[works], home[works]
    note(log, "retired", month, home, member)
    _stop_for_good(state, path, member, home)


def _become_disabled(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    path, member = _present(state, *world.draw("disability", month, state.paths, rng))
    disable(state, world, month, path, member, rng.choice(_GRADES, size=len(path), p=_GRADE_SHARES), log)


def disable(state: State, world: World, month: int, path: Rows, member: Rows, grade: Rows, log: Log) -> None:
    """Enter disabilities; with the two gravest grades a member never works again."""
    healthy = ~state.unfit[path, member]
    path, member, grade = path[healthy], member[healthy], grade[healthy]
    home = world.population.members.household[member]
    note(log, "disabled", month, home, member, grade)
    grave = grade <= _GRAVE_GRADE
    path, member, home = path[grave], member[grave], home[grave]
    able = world.is_grown(member, month)
    state.unfit[path, member] = True
    np.subtract.at(state.labour_n, (path, home), able.astype(np.int8))
    _stop_for_good(state, path, member, home)
    _tend_farm(state, world, path, home)


def _draw_pensions(state: State, world: World, month: int) -> None:
    """Whoever turns sixty draws a pension."""
    rows = world.turning(PENSION_AGE, month)
    path, place = np.nonzero(state.present[:, rows])
    home = world.population.members.household[rows[place]]
    _pay_pension(state, path, home, PENSION_YUAN)


def _leave_school(state: State, world: World, month: int, rng: np.random.Generator, log: Log) -> None:
    """Whoever ends school in this month is able to work, and takes the place of work that is free."""
    rows = np.flatnonzero(world.entry_month == month)
    path, place = np.nonzero(state.present[:, rows] & ~state.unfit[:, rows])
    member = rows[place]
    home = world.population.members.household[member]
    np.add.at(state.labour_n, (path, home), np.int8(1))
    _tend_farm(state, world, path, home)
    at_once = rng.random(len(path)) < _WORKS_AT_ONCE
    _take_job(state, world, month, path, member, at_once, log)
