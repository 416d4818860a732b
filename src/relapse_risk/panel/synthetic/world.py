"""What the latent simulation runs on: a population under a scenario, with each month's facts and rates.

Setbacks are drawn as Poisson points: for each kind a rate is held for everyone who could be struck on any
path, whether present or not; a drawn point that meets nobody is dropped. The cost is then that of the
events, not of the people, and composition may differ from path to path.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.members import CHILD, NO_LABOUR, NOBODY, PARENT, WEAK, Ints
from relapse_risk.panel.synthetic.population import HOUSING, INSURANCE, SCHOOLING, WATER, Population, Singles
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.windows import month_index

# Share of a year's produce sold in each month: grain, fruit, livestock and small trade.
_PRODUCE_SEASON = np.array(
    [
        [8, 8, 7, 3, 3, 19, 6, 3, 12, 17, 7, 7],
        [11, 9, 7, 3, 3, 4, 7, 12, 14, 15, 8, 7],
        [14, 8, 7, 7, 7, 7, 7, 8, 8, 8, 8, 11],
    ],
    dtype=np.float32,
) / np.float32(100)
# Much of a year's pay is settled before the Spring Festival.
_WAGE_SEASON = (1.75, 0.95, 0.9, 0.9, 0.9, 0.85, 0.9, 0.9, 0.9, 0.9, 0.9, 1.05)
# Schooling fails when a term starts, insurance when premiums fall due, water in frost and drought.
_GUARANTEE_SEASON = {
    SCHOOLING: (0, 0, 3, 1, 0, 0, 0, 0, 6, 2, 0, 0),
    INSURANCE: (5, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0),
    HOUSING: (0.7, 0.7, 1, 1, 1, 1.2, 1.5, 1.5, 1.2, 0.8, 0.7, 0.7),
    WATER: (1.8, 1.5, 1, 1, 1.5, 1.2, 0.6, 0.5, 0.5, 0.6, 0.8, 1),
}
_MORTALITY = (
    (0, 1, 5, 15, 30, 45, 60, 70, 80, 90),
    (0.006, 0.0006, 0.0003, 0.0004, 0.001, 0.0025, 0.009, 0.024, 0.065, 0.17),
)
ILL_MORTALITY_FACTOR = 5.0
_SCHOOL_MONTH = 8
_MONTHS_KEPT, _YEARS_KEPT = 16, 3

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class MonthFacts:
    """What is the same on every path in a month.

    Attributes
    ----------
    line_yuan : float
        Per person and year.
    produce_season : ndarray, shape (n,)
        Share of a year's produce that each household sells in the month.
    factors : dict of str to float
        Of the scenario's shifts.
    """

    month: int
    price_level: float
    line_yuan: np.float32
    produce_season: Singles
    wage_season: float
    factors: dict[str, float]


class World:
    """A population under a scenario.

    Parameters
    ----------
    known_at : int, optional
        Month at which shifts are frozen: what comes after it is thought to be as it was then. The oracle
        sees the world so, or it would foresee a year of shocks.
    """

    def __init__(self, population: Population, scenario: Scenario, known_at: int | None = None) -> None:
        self.population, self.scenario, self.known_at = population, scenario, known_at
        self.start = month_index(scenario.start)
        self._facts: OrderedDict[int, MonthFacts] = OrderedDict()
        self._rates: dict[int, dict[str, NDArray[np.float64]]] = {}

    def as_known_at(self, month: int) -> World:
        """Return this world as it looks at the end of ``month``."""
        if not self.scenario.shifts:
            return self
        known = World(self.population, self.scenario, month)
        known._rates = self._rates
        return known

    def facts(self, month: int) -> MonthFacts:
        """Return what is the same on every path in ``month``."""
        if month not in self._facts:
            self._facts[month] = self._draw_up(month)
            if len(self._facts) > _MONTHS_KEPT:
                self._facts.popitem(last=False)
        return self._facts[month]

    def _draw_up(self, month: int) -> MonthFacts:
        seen = month if self.known_at is None else min(month, self.known_at)
        return MonthFacts(
            month=month,
            price_level=self.scenario.price_level(month),
            line_yuan=np.float32(self.scenario.line_yuan(month // 12)),
            produce_season=_PRODUCE_SEASON[self.population.produce, month % 12],
            wage_season=_WAGE_SEASON[month % 12],
            factors=self.scenario.factors(seen),
        )

    @cached_property
    def price_index(self) -> Ints:
        """Column of ``State.price`` that each household sells at, shape ``(n,)``."""
        p = self.population
        return p.villages.county[p.village] * 3 + p.produce

    @cached_property
    def entry_month(self) -> Ints:
        """Month in which each member leaves school to work, shape ``(n_members,)``; ``NOBODY`` for adults."""
        members = self.population.members
        over = members.birth_month + 12 * members.ends_school
        entry = over + (_SCHOOL_MONTH - over) % 12
        is_young = (members.labour == NO_LABOUR) & (members.mother == NOBODY)
        is_young &= (entry >= self.start) & (members.age(self.start) < members.ends_school)
        return np.where(is_young, entry, NOBODY)

    @cached_property
    def founded_by(self) -> Ints:
        """Household that each member may found, shape ``(n_members,)``; ``NOBODY`` for most."""
        heir = self.population.heir
        founded = np.full(len(self.population.members.household), NOBODY)
        founded[heir[heir != NOBODY]] = np.flatnonzero(heir != NOBODY)
        return founded

    def turning(self, age: int, month: int) -> Rows:
        """Return the members who reach an age in ``month``."""
        return np.flatnonzero(self.population.members.birth_month + 12 * age == month)

    def is_grown(self, member: Rows, month: int) -> NDArray[np.bool_]:
        """Return which members are of an age to work, whatever their health."""
        entry = self.entry_month[member]
        entered: NDArray[np.bool_] = (entry != NOBODY) & (entry <= month)
        return (self.population.members.labour[member] <= WEAK) | entered

    def draw(
        self, kind: str, month: int, paths: int, rng: np.random.Generator, factor: float = 1.0
    ) -> tuple[Rows, Rows]:
        """Return paths and rows that a kind of event may strike in a month, each pair once, sorted."""
        year = month // 12
        if year not in self._rates:
            self._rates[year] = self._yearly(year)
            if len(self._rates) > _YEARS_KEPT:
                del self._rates[min(self._rates)]
        cumulative = self._rates[year][kind]
        size, total = len(cumulative), float(cumulative[-1]) if len(cumulative) else 0.0
        if total <= 0 or factor <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        count = int(rng.poisson(total * factor * paths))
        row = np.searchsorted(cumulative, rng.random(count) * total, side="right")
        pair = np.unique(rng.integers(0, paths, count) * size + np.minimum(row, size - 1))
        return pair // size, pair % size

    def guarantee_season(self, which: int, month: int) -> float:
        """Return how much likelier a guarantee fails in a month of the year than on average."""
        return _GUARANTEE_SEASON[which][month % 12]

    def _yearly(self, year: int) -> dict[str, NDArray[np.float64]]:
        """Return running sums of monthly rates by kind: of members, households or places of work."""
        p, scenario = self.population, self.scenario
        rates = {**self._of_members(year), **self._of_kin(year)}
        rates["job_loss"] = (p.loss_rate * (1 + scenario.work.instability)).ravel()
        rates["accident"] = np.tile(scenario.health.accident_rate * p.frailty, 2)
        rates["failure"] = p.failure_rate
        for name, which in (("insurance", INSURANCE), ("housing", HOUSING), ("water", WATER)):
            rates[name] = p.guarantee_rate[which]
        return {kind: np.cumsum(values, dtype=np.float64) for kind, values in rates.items()}

    def _of_members(self, year: int) -> dict[str, NDArray[np.floating]]:
        p, scenario = self.population, self.scenario
        members, demography = p.members, scenario.demography
        age = members.age(year * 12 + 6)
        frailty = p.frailty[members.household]
        dying = demography.mortality * np.interp(age, *_MORTALITY) * np.where(members.is_male, 1.25, 0.8)
        weight = np.interp(age, [5, 40, 60, 75], [0.3, 1.0, 1.8, 2.4]) * np.where(
            members.has_chronic, 2.2, 1.0
        )
        disabling = np.interp(age, [15, 16, 40, 60, 75], [0.2, 0.5, 1.0, 2.5, 7.0])
        retiring = np.interp(age, [59, 62, 67, 74], [0.0, 0.05, 0.15, 0.5])
        pupil = np.select([(age >= 6) & (age < 12), (age >= 12) & (age < 16)], [0.3, 1.6], 0.0)
        pupil = np.where(members.relation >= CHILD, pupil, 0.0) * (members.relation != PARENT)
        born = members.mother != NOBODY
        return {
            "death": dying / 12 * ILL_MORTALITY_FACTOR,
            "illness": scenario.health.major_rate * weight * frailty,
            "disability": demography.disability_rate / 12 * disabling * frailty**0.5,
            "retirement": demography.retirement * retiring / 12 * (members.is_core | ~born),
            "schooling": np.where(born, 0.0, pupil * p.guarantee_rate[SCHOOLING][members.household]),
        }

    def _of_kin(self, year: int) -> dict[str, NDArray[np.floating]]:
        p = self.population
        members, config = p.members, self.scenario.demography
        age = members.age(year * 12 + 6)
        is_heir = np.zeros(len(age), bool)
        is_heir[p.heir[p.heir != NOBODY]] = True
        stays = is_heir.copy()
        stays[members.partner[members.partner != NOBODY]] = True
        grown = (members.relation == CHILD) & (age >= 20) & (age <= 34) & (members.mother == NOBODY)
        leaving = np.where(members.is_male, config.leave_rate / 3, config.leave_rate)
        partner_age = np.where(members.partner != NOBODY, age[members.partner], 0)
        mother_age = np.where(members.mother != NOBODY, age[members.mother], 0)
        fertile = np.interp(mother_age, [17, 20, 25, 30, 36, 43], [0.0, 0.5, 1.0, 0.9, 0.35, 0.0])
        return {
            "leaving": leaving / 12 * (grown & ~stays),
            "founding": config.founding_rate / 12 * (is_heir & (age >= 20) & (age <= 35)),
            "joining": config.join_rate / 12 * ((partner_age >= 21) & (partner_age <= 36)),
            "birth": config.birth_rate / 12 * fertile * (members.mother != NOBODY),
        }
