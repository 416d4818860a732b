"""The traits of a synthetic county: villages, households as they begin, earning capacity, hazards.

Some are seen by the county (house, land, composition), some are not (frailty, permanent income). What
changes over the months is kept in ``state``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.kinship import foresee
from relapse_risk.panel.synthetic.members import (
    NO_LABOUR,
    NOBODY,
    PLAIN,
    SKILLED,
    SPOUSE,
    WEAK,
    Bools,
    Floats,
    Ints,
    Members,
    draw_members,
)
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.villages import Villages, draw_villages
from relapse_risk.windows import month_index

NO_JOB, LOCAL, MIGRANT, POST = range(4)
GRAIN, ORCHARD, LIVESTOCK = range(3)
SCHOOLING, INSURANCE, HOUSING, WATER = range(4)
OUTCOMES = ("schooling", "medical_insurance", "housing", "water")
SLOTS = 2
POST_MONTHLY_YUAN = 900.0
PENSION_AGE, PENSION_YUAN = 60, 2400.0
# Wages near home against those away, and who works near home though used to going away.
HOME_WAGE, _BACK_SHARE = 0.72, 0.3
_GROWN_AGE = 22

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Population:
    """Households and what they are able to earn and exposed to.

    Arrays have shape ``(n,)``, or ``(2, n)`` for the two earners who may have a job, or ``(4, n)`` for the
    four guarantees, or ``(n_members,)``. Amounts are yuan a year at the price level of the line's base year
    (wages: a month). Counts and amounts are those of a household as it begins.

    Attributes
    ----------
    is_founded, heir : ndarray
        Which households exist from the start, and who may found the others; see ``kinship.Kin``.
    worker, job, wage_yuan : ndarray, shape (2, n)
        Member rows of the earners (``NOBODY`` where there is none), their kinds of job and wages.
    member_wage_yuan, goes_away : ndarray, shape (n_members,)
        Wage that each member could earn, and whether away from home.
    exposure : ndarray
        How much of its village's loss in a disaster reaches the household.
    loss_rate, rehire_rate : ndarray, shape (2, n)
        Monthly chances of losing and finding work in either place.
    """

    villages: Villages
    members: Members
    village: Ints
    is_lifted: Bools
    is_founded: Bools
    heir: Ints
    n_person: Ints
    frailty: Floats
    produce: Ints
    worker: Ints
    job: Ints
    wage_yuan: Singles
    member_wage_yuan: Singles
    goes_away: Bools
    loss_rate: Singles
    rehire_rate: Singles
    farm_yuan: Singles
    farm_cost_share: Singles
    is_farm_insured: Bools
    exposure: Singles
    property_yuan: Singles
    dividend_yuan: Singles
    pension_yuan: Singles
    subsidy_yuan: Singles
    family_yuan: Singles
    dibao_yuan: Singles
    is_tekun: Bools
    own_pay_share: Singles
    minor_own_pay_yuan: Singles
    failure_rate: Singles
    guarantee_rate: Singles
    labour_n: Ints
    house_built_year: Ints
    is_house_worn: Bools
    arable_mu: Floats
    orchard_mu: Floats

    @property
    def n(self) -> int:
        """Number of households."""
        return len(self.village)


def draw_population(n: int, scenario: Scenario, rng: np.random.Generator) -> Population:
    """Return ``n`` households, sorted by village, as they stand when the simulation starts."""
    start = month_index(scenario.start)
    villages = draw_villages(n, scenario, rng)
    native = np.sort(rng.integers(0, len(villages.county), n))
    lift_odds = np.where(villages.is_lifted, 1.45, 0.63)[native] * scenario.population.lifted_share
    native_lifted = rng.random(n) < lift_odds
    natives = draw_members(native_lifted, start, rng)
    kin = foresee(natives, native, native_lifted, start, scenario.demography, rng)
    members, village, is_lifted, n = kin.members, kin.village, kin.is_lifted, len(kin.village)
    frailty_sd = scenario.population.frailty_sd
    frailty = np.exp(frailty_sd * rng.standard_normal(n) - frailty_sd**2 / 2)
    factor = scenario.population.lifted_hazard_factor
    frailty *= np.where(is_lifted, factor**0.5, factor**-0.5)
    n_person = members.count(members.is_core, n)
    labour_n = members.count(members.labour <= WEAK, n)
    worker, job, wage, earns, goes_away = _draw_workers(
        members, is_lifted, kin.is_founded, scenario, start, rng
    )
    land = _draw_farm(labour_n, rng)
    other = _draw_other_income(members, n_person, is_lifted, labour_n, land["arable_mu"], start, rng)
    level = villages.level[village]
    scale, lacking = _permanent_level(wage, job, land, other, n_person, is_lifted, level, scenario, rng)
    support = _enrol(lacking, other["family"] * scale, n_person, labour_n, is_lifted, scenario, rng)
    wage = np.where(job == POST, wage, wage * scale)
    is_earner = np.zeros(len(earns), bool)
    is_earner[worker[worker >= 0]] = True
    earns = earns * np.where(is_earner, scale[members.household], np.clip(scale, 0.5, 1.5)[members.household])
    health = _draw_health(members, n, is_lifted, scenario, rng)
    house_built_year = np.clip(rng.normal(1999, 11, n), 1965, 2018).round().astype(np.int64)
    is_house_worn = rng.random(n) < np.interp(house_built_year, [1970, 1990, 2010], [0.75, 0.4, 0.03])
    return Population(
        villages=villages,
        members=members,
        village=village,
        is_lifted=is_lifted,
        is_founded=kin.is_founded,
        heir=kin.heir,
        n_person=n_person,
        frailty=frailty,
        produce=land["produce"].astype(np.int64),
        worker=worker,
        job=job,
        wage_yuan=wage.astype(np.float32),
        member_wage_yuan=earns.astype(np.float32),
        goes_away=goes_away,
        loss_rate=_loss_rate(members, worker, job, frailty, scenario, start).astype(np.float32),
        rehire_rate=_rehire_rate(members, worker, scenario, start).astype(np.float32),
        farm_yuan=(land["farm"] * scale).astype(np.float32),
        farm_cost_share=land["cost_share"].astype(np.float32),
        is_farm_insured=rng.random(n) < scenario.farm.insured_share,
        exposure=rng.uniform(0.0, 1.2, n).astype(np.float32),
        property_yuan=other["property"].astype(np.float32),
        dividend_yuan=other["dividend"].astype(np.float32),
        pension_yuan=other["pension"].astype(np.float32),
        subsidy_yuan=other["subsidy"].astype(np.float32),
        family_yuan=support["family"].astype(np.float32),
        dibao_yuan=support["dibao"].astype(np.float32),
        is_tekun=support["tekun"] > 0,
        failure_rate=(
            scenario.farm.failure_rate * frailty * np.where(land["produce"] == GRAIN, 0.4, 1.8)
        ).astype(np.float32),
        guarantee_rate=_guarantee_rate(
            members, villages, village, job, frailty, house_built_year, is_house_worn, scenario, start
        ).astype(np.float32),
        labour_n=labour_n,
        house_built_year=house_built_year,
        is_house_worn=is_house_worn,
        arable_mu=land["arable_mu"],
        orchard_mu=land["orchard_mu"],
        **health,
    )


def _draw_workers(
    members: Members,
    is_lifted: Bools,
    is_founded: Bools,
    scenario: Scenario,
    start: int,
    rng: np.random.Generator,
) -> tuple[Ints, Ints, Floats, Floats, Bools]:
    """Return member rows, kinds of job and monthly wages of each household's two best earners.

    And for every member the wage to be earned once grown, and whether the work would be away from home.
    """
    n = len(is_lifted)
    founds = ~is_founded[members.household]
    age = members.age(start)
    grown = np.maximum(age, _GROWN_AGE)
    able = np.isin(members.labour, (SKILLED, PLAIN)) & (age < 70)
    weak = (members.labour == WEAK) & (age < 70)
    works_away = np.where(founds, 0.85, np.interp(age, [20, 45, 55, 65], [0.85, 0.68, 0.42, 0.12]))
    works = (able & (rng.random(len(age)) < works_away)) | (weak & (rng.random(len(age)) < 0.12))
    goes_away = ~weak & (rng.random(len(age)) < np.interp(grown, [22, 45, 58], [0.7, 0.45, 0.1]))
    wage = np.where(goes_away, 3900.0, 2600.0) * np.interp(grown, [18, 30, 45, 60], [0.8, 1.05, 1.0, 0.75])
    wage *= np.select([members.labour == SKILLED, weak], [1.25, 0.6], 1.0)
    wage *= np.exp(0.15 * rng.standard_normal(len(age)))
    is_back = goes_away & (rng.random(len(age)) < _BACK_SHARE)
    kind = np.where(works & members.is_core, np.where(goes_away & ~is_back, MIGRANT, LOCAL), NO_JOB)
    in_post = ~works & (weak | able) & is_lifted[members.household] & (age >= 45)
    in_post &= rng.random(len(age)) < scenario.work.post_share
    kind = np.where(in_post, POST, kind)
    earned = np.where(kind != NO_JOB, wage * np.where(is_back, HOME_WAGE, 1), 0.0)
    paid = np.where(in_post, POST_MONTHLY_YUAN, earned)
    order = np.lexsort((-paid, members.household))
    first = np.searchsorted(members.household[order], np.arange(n))
    rank = np.arange(len(age)) - first[members.household[order]]
    worker = np.full((SLOTS, n), NOBODY)
    for slot in range(SLOTS):
        rows = order[(rank == slot) & (kind[order] != NO_JOB)]
        worker[slot, members.household[rows]] = rows
    job = np.where(worker >= 0, kind[worker], NO_JOB)
    return worker, job, np.where(worker >= 0, paid[worker], 0.0), wage, goes_away


def hands_of(labour_n: NDArray[np.integer]) -> Floats:
    """Return what a farm yields with so many people able to work, over that with two; shape as given."""
    hands: Floats = np.interp(labour_n, [0, 1, 2, 3], [0.25, 0.75, 1.0, 1.15])
    return hands


def _draw_farm(labour_n: Ints, rng: np.random.Generator) -> dict[str, Floats]:
    n = len(labour_n)
    produce = rng.choice(3, size=n, p=[0.62, 0.2, 0.18])
    arable = np.exp(rng.normal(np.log(5.5), 0.5, n)) * np.where(labour_n == 0, 0.5, 1.0)
    orchard = np.where(produce == ORCHARD, np.exp(rng.normal(np.log(3.0), 0.5, n)), 0.0)
    herd = np.where(produce == LIVESTOCK, np.exp(rng.normal(np.log(36000.0), 0.6, n)), 0.0)
    gross = (2900 * arable + 10500 * orchard + herd * (labour_n > 0)) * hands_of(labour_n)
    return {
        "produce": produce.astype(np.float64),
        "arable_mu": arable.round(1),
        "orchard_mu": orchard.round(1),
        "farm": gross,
        "cost_share": np.clip(rng.normal(0.36, 0.07, n), 0.15, 0.6),
    }


def _draw_other_income(
    members: Members,
    n_person: Ints,
    is_lifted: Bools,
    labour_n: Ints,
    arable_mu: Floats,
    start: int,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return yearly property income, dividends, pensions, subsidies and support from kin, in yuan."""
    n = len(n_person)
    elders = members.count(members.age(start) >= PENSION_AGE, n)
    support = np.exp(rng.normal(0, 0.5, n))
    return {
        "property": np.exp(rng.normal(np.log(550.0), 0.8, n)) + 250 * (labour_n == 0),
        "dividend": is_lifted * np.exp(rng.normal(np.log(450.0), 0.5, n)),
        "pension": elders * PENSION_YUAN + (rng.random(n) < 0.02) * (elders > 0) * 16000.0,
        "subsidy": 180 * arable_mu + is_lifted * 800,
        "family": support * (1700 * n_person + elders * np.where(labour_n == 0, 5200, 2200)),
    }


def _permanent_level(
    wage: Floats,
    job: Ints,
    land: dict[str, Floats],
    other: dict[str, Floats],
    n_person: Ints,
    is_lifted: Bools,
    village_level: Floats,
    scenario: Scenario,
    rng: np.random.Generator,
) -> tuple[Floats, Floats]:
    """Return the factor on earned income that meets each household's level, and what it lacks of the floor.

    Composition explains part of a household's level; the rest is its permanent draw.
    """
    config = scenario.income
    paid = np.where(job == POST, wage, 0.0).sum(axis=0) * 12
    line = scenario.line.yuan
    fixed = other["property"] + other["dividend"] + other["pension"] + other["subsidy"] + paid
    earned = 11 * np.where(job == POST, 0.0, wage).sum(axis=0) + land["farm"] * (1 - land["cost_share"])
    earned = earned + other["family"]
    composed = np.log((earned + fixed) / n_person / line)
    median = np.log(np.where(is_lifted, config.lifted_ratio, config.ordinary_ratio))
    centre = np.zeros(len(composed))
    for group in (is_lifted, ~is_lifted):
        if group.any():
            centre[group] = np.median(composed[group])
    level = median + config.structure_share * (composed - centre)
    level += config.permanent_sd * rng.standard_normal(len(n_person)) + np.log(village_level)
    target = np.exp(level) * line * n_person
    scale = np.clip((target - fixed) / earned, 0.15, 6.0)
    lacking = config.floor_ratio * line * n_person - (fixed + scale * earned)
    return scale, np.maximum(lacking, 0.0)


def _enrol(
    lacking: Floats,
    family: Floats,
    n_person: Ints,
    labour_n: Ints,
    is_lifted: Bools,
    scenario: Scenario,
    rng: np.random.Generator,
) -> dict[str, Floats]:
    """Return yearly allowances, the support from kin that is left beside them, and who gets 特困 support.

    What low earners lack of ``income.floor_ratio`` comes as allowance. Households without labour are nearly
    all enrolled; their allowance takes the place of support from kin, so that income stays what it was.
    """
    n = len(lacking)
    enrolled = (labour_n == 0) & (rng.random(n) < np.where(is_lifted, 0.99, 0.97))
    moved = np.where(enrolled, np.minimum(0.6 * family, scenario.line.dibao_standard_yuan * n_person), 0.0)
    tekun = enrolled & (n_person == 1) & (rng.random(n) < 0.25)
    return {"dibao": lacking + moved, "family": family - moved, "tekun": tekun.astype(np.float64)}


def _draw_health(
    members: Members, n: int, is_lifted: Bools, scenario: Scenario, rng: np.random.Generator
) -> dict[str, Singles]:
    """Return the share of bills that is left to pay, and yearly own-pay for small things per person."""
    chronic, n_person = members.count(members.has_chronic, n), members.count(members.is_core, n)
    share = scenario.health.own_pay_share * np.where(is_lifted, 0.85, 1.0)
    own_pay_share = share * np.exp(0.2 * rng.standard_normal(n))
    minor = np.exp(rng.normal(np.log(160.0), 0.4, n)) + 480 * chronic / n_person
    return {"own_pay_share": own_pay_share.astype(np.float32), "minor_own_pay_yuan": minor.astype(np.float32)}


def _loss_rate(
    members: Members, worker: Ints, job: Ints, frailty: Floats, scenario: Scenario, start: int
) -> Floats:
    """Return monthly chances of losing work; a place without an earner has that of a plain worker of 40."""
    config = scenario.work
    base = np.where(job == MIGRANT, config.migrant_loss_rate, config.local_loss_rate)
    age = np.where(worker >= 0, members.age(start)[worker], 40)
    labour = np.where(worker >= 0, members.labour[worker], PLAIN)
    factor = np.interp(age, [20, 45, 60], [1.1, 0.9, 1.6])
    factor *= np.select([labour == SKILLED, labour == WEAK], [0.55, 1.8], 1.0)
    return base * factor * frailty


def _rehire_rate(members: Members, worker: Ints, scenario: Scenario, start: int) -> Floats:
    age = np.where(worker >= 0, members.age(start)[worker], 40)
    labour = np.where(worker >= 0, members.labour[worker], PLAIN)
    factor = np.interp(age, [25, 45, 60], [1.4, 1.0, 0.35])
    factor *= np.select([labour == SKILLED, labour == WEAK], [1.3, 0.6], 1.0)
    rates: Floats = scenario.work.rehire_rate * factor
    return rates


def _guarantee_rate(
    members: Members,
    villages: Villages,
    village: Ints,
    job: Ints,
    frailty: Floats,
    house_built_year: Ints,
    is_house_worn: Bools,
    scenario: Scenario,
    start: int,
) -> Floats:
    """Return monthly chances that each guarantee fails, shape ``(4, n)``, before the season.

    That of schooling is per pupil; pupils grow up, see ``world``.
    """
    config = scenario.guarantees
    n = len(village)
    age = members.age(start)
    parents = members.count(members.relation == SPOUSE, n)
    adults = members.count((age >= 18) & (members.labour != NO_LABOUR), n)
    exposure = np.stack(
        [
            np.where(parents == 0, 2.5, 1.0),
            (0.3 + adults) * np.where((job == MIGRANT).any(axis=0), 2.2, 0.5),
            np.interp(2018 - house_built_year, [0, 20, 50], [0.1, 0.6, 4.0])
            * np.where(is_house_worn, 4, 0.4),
            villages.water_risk[village],
        ]
    )
    yearly = np.array([config.schooling, config.medical_insurance, config.housing, config.water])
    rates: Floats = yearly[:, None] / 12 * exposure * frailty
    return rates
