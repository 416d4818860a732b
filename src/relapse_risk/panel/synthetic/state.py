"""The latent micro-simulation: a state of every household, and one month's step of it.

The same step makes the realised history (one path) and the oracle (many paths from the same state, each
with shocks of its own). Arrays have shape ``(paths, households)``; those of the two earners or the four
guarantees have that axis first, traits have no path axis and broadcast. Nothing here knows what a county's
systems see.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.members import CHILD
from relapse_risk.panel.synthetic.population import NO_JOB, POST, SCHOOLING, SLOTS, Population, Singles
from relapse_risk.panel.synthetic.scenario import Scenario

Months = NDArray[np.int16]
NEVER = 0
POST_TERM_MONTHS = 12
NOTICE_MONTHS = 2

# Share of a year's produce sold in each month: grain, fruit, livestock and small trade.
_PRODUCE_SEASON = np.array(
    [
        [2, 1, 2, 2, 3, 30, 6, 3, 18, 25, 6, 2],
        [4, 3, 2, 2, 3, 5, 9, 15, 20, 20, 11, 6],
        [12, 6, 6, 7, 7, 8, 8, 8, 9, 9, 9, 11],
    ],
    dtype=np.float32,
) / np.float32(100)
_WAGE_SEASON = np.array([0.9, 0.55, 1, 1, 1, 0.95, 1, 1, 1, 1, 1, 1], dtype=np.float32)
# Schooling fails when a term starts, insurance when premiums fall due, water in frost and drought.
_GUARANTEE_SEASON = np.array(
    [
        [0, 0, 3, 1, 0, 0, 0, 0, 6, 2, 0, 0],
        [5, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        [0.7, 0.7, 1, 1, 1, 1.2, 1.5, 1.5, 1.2, 0.8, 0.7, 0.7],
        [1.8, 1.5, 1, 1, 1.5, 1.2, 0.6, 0.5, 0.5, 0.6, 0.8, 1],
    ]
)


@dataclass
class State:
    """Everything a household's future depends on, at the end of a month.

    Months are kept as ``windows.month_index``; ``NEVER`` where they do not apply.

    Attributes
    ----------
    persistent : ndarray, shape (paths, n)
        Slow part of log earnings.
    price : ndarray, shape (paths, counties * 3)
        Log price of each kind of produce in each county.
    village_loss, own_loss : ndarray
        Share of produce lost to a disaster (by village) and to a failed business (by household).
    employed, since, wage_factor, instability, post_end : ndarray, shape (2, paths, n)
        Whether the earner has work (1 or 0), since when, at which wage against the first, the extra
        hazard of a new job, and when a public post ends.
    care_end, care_bill : ndarray, shape (paths, n)
        Last month of treatment, and its monthly bill.
    failed : ndarray of bool, shape (4, paths, n)
        Guarantees that do not hold.
    case_month, monitored_since : ndarray, shape (paths, n)
        Month of discovery while the procedure runs; month of inclusion while on the register.
    recent, trailing : ndarray, shape (12, paths, n) and (paths, n)
        Reference income of the last twelve months, and its sum, in yuan.
    """

    persistent: Singles
    price: Singles
    village_loss: Singles
    own_loss: Singles
    employed: Singles
    since: Months
    wage_factor: Singles
    instability: Singles
    post_end: Months
    care_end: Months
    care_bill: Singles
    failed: NDArray[np.bool_]
    case_month: Months
    monitored_since: Months
    recent: Singles
    trailing: Singles

    def repeat(self, paths: int) -> State:
        """Return ``paths`` copies of a state of one path."""
        return State(**{f.name: np.repeat(getattr(self, f.name), paths, axis=-2) for f in fields(self)})


@dataclass(frozen=True)
class Flows:
    """What one month brought in and cost, in yuan: shape ``(paths, n)``, wages ``(2, paths, n)``."""

    wage: Singles
    farm: Singles
    farm_cost: Singles
    aid: Singles
    claim: Singles
    own_pay: Singles
    minor_own_pay: Singles


@dataclass(frozen=True)
class Happening:
    """Households that something happened to in a month; ``slot`` and ``value`` say what, by ``kind``."""

    kind: str
    month: int
    household: NDArray[np.int64]
    slot: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True)
class MonthFacts:
    """What is the same on every path in a month."""

    month: int
    price_level: float
    line_yuan: Singles
    farm_yuan: Singles
    wage_yuan: Singles
    fixed_yuan: Singles
    base_hazard: Singles
    hazard_parts: Singles


class World:
    """A population under a scenario, with the facts of each month kept once computed."""

    def __init__(self, population: Population, scenario: Scenario) -> None:
        self.population, self.scenario = population, scenario
        self._facts: dict[int, MonthFacts] = {}

    def facts(self, month: int) -> MonthFacts:
        """Return what is the same on every path in ``month``."""
        if month not in self._facts:
            self._facts[month] = self._draw_up(month)
        return self._facts[month]

    @cached_property
    def price_index(self) -> NDArray[np.int64]:
        """Column of ``State.price`` that each household sells at, shape ``(n,)``."""
        p = self.population
        return p.villages.county[p.village] * 3 + p.produce

    def _draw_up(self, month: int) -> MonthFacts:
        p, scenario, season = self.population, self.scenario, month % 12
        level = scenario.price_level(month)
        age = p.members.age(month)
        pupil = 0.3 * p.members.count((age >= 6) & (age < 12) & (p.members.relation >= CHILD), p.n)
        pupil += 1.6 * p.members.count((age >= 12) & (age < 16) & (p.members.relation >= CHILD), p.n)
        guarantee = p.guarantee_rate * _GUARANTEE_SEASON[:, season, None]
        guarantee[SCHOOLING] *= pupil
        parts = np.concatenate([np.stack([p.illness_rate, p.accident_rate, p.failure_rate]), guarantee])
        fixed = p.property_yuan + p.dividend_yuan + p.pension_yuan + p.subsidy_yuan + p.family_yuan
        return MonthFacts(
            month=month,
            price_level=level,
            line_yuan=(scenario.line_yuan(month // 12) * p.n_person).astype(np.float32),
            farm_yuan=p.farm_yuan * _PRODUCE_SEASON[p.produce, season],
            wage_yuan=np.where(p.job == POST, p.wage_yuan, p.wage_yuan * _WAGE_SEASON[season])[:, None, :],
            fixed_yuan=(fixed + p.dibao_yuan) / np.float32(12),
            base_hazard=parts.sum(axis=0).astype(np.float32),
            hazard_parts=np.cumsum(parts, axis=0).astype(np.float32),
        )


def first_state(world: World, month: int, rng: np.random.Generator) -> State:
    """Return a plausible state at the end of ``month``, shape ``(1, n)``; a burn-in makes it typical."""
    p, scenario = world.population, world.scenario
    n, counties = p.n, scenario.n_counties
    has_job = (p.job != NO_JOB)[:, None, :]
    post_end = month + rng.integers(1, POST_TERM_MONTHS + 1, (SLOTS, 1, n))
    ratio = np.where(p.is_lifted, scenario.income.lifted_ratio, scenario.income.ordinary_ratio)
    monthly = (ratio * p.n_person * scenario.line.yuan / 12 * scenario.price_level(month)).astype(np.float32)
    return State(
        persistent=(scenario.income.persistent_sd * rng.standard_normal((1, n))).astype(np.float32),
        price=(scenario.farm.price_sd * rng.standard_normal((1, counties * 3))).astype(np.float32),
        village_loss=np.zeros((1, len(p.villages.county)), np.float32),
        own_loss=np.zeros((1, n), np.float32),
        employed=has_job.astype(np.float32),
        since=(month - rng.integers(1, 60, (SLOTS, 1, n))).astype(np.int16),
        wage_factor=np.ones((SLOTS, 1, n), np.float32),
        instability=np.zeros((SLOTS, 1, n), np.float32),
        post_end=np.where(p.job[:, None, :] == POST, post_end, NEVER).astype(np.int16),
        care_end=np.zeros((1, n), np.int16),
        care_bill=np.zeros((1, n), np.float32),
        failed=np.zeros((4, 1, n), np.bool_),
        case_month=np.zeros((1, n), np.int16),
        monitored_since=np.zeros((1, n), np.int16),
        recent=np.repeat(monthly[None, None, :], 12, axis=0),
        trailing=monthly[None, :] * np.float32(12),
    )


def is_failing(state: State, world: World, month: int) -> NDArray[np.bool_]:
    """Return who is below the line or lacks a guarantee at the end of ``month``, shape ``(paths, n)``."""
    failing: NDArray[np.bool_] = state.trailing < world.facts(month).line_yuan
    return failing | state.failed.any(axis=0)
