"""The latent state of every household: all that its future depends on.

The same step makes the realised history (one path) and the oracle (many paths from the same state, each
with shocks of its own). Arrays have shape ``(paths, households)`` or ``(paths, members)``; those of the two
earners or the four guarantees have that axis first, traits have no path axis and broadcast. Nothing here
knows what a county's systems see.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.members import NOBODY
from relapse_risk.panel.synthetic.population import NO_JOB, POST, SLOTS, Population, Singles
from relapse_risk.panel.synthetic.world import World

Months = NDArray[np.int16]
Bools = NDArray[np.bool_]
NEVER = 0
POST_TERM_MONTHS = 12
NOTICE_MONTHS = 2


@dataclass
class State:
    """Everything a household's future depends on, at the end of a month.

    Months are kept as ``windows.month_index``; ``NEVER`` where they do not apply.

    Attributes
    ----------
    present : ndarray of bool, shape (paths, n_members)
        Who lives in the household; of one that is not founded or has dissolved, nobody.
    unfit : ndarray of bool, shape (paths, n_members)
        Who became unable to work during the simulation.
    n_person, labour_n : ndarray, shape (paths, n)
        Members present, and those of them able to work.
    pension, support : ndarray, shape (paths, n)
        Yearly pensions, and allowances with help from kin, in yuan of the base year.
    fixed : ndarray, shape (paths, n)
        Yearly income that is not earned: these two with property, dividends and subsidies.
    farm_yuan : ndarray, shape (paths, n)
        Yearly produce with the hands there are.
    persistent : ndarray, shape (paths, n)
        Slow part of log earnings.
    price : ndarray, shape (paths, counties * 3)
        Log price of each kind of produce in each county.
    village_loss, own_loss : ndarray
        Share of produce lost to a disaster (by village) and to a failed business (by household).
    worker, job, wage : ndarray, shape (2, paths, n)
        Member row of each earner (``NOBODY`` for none), kind of job, and monthly wage in yuan of the base
        year, kept while out of work.
    employed, since, instability, post_end : ndarray, shape (2, paths, n)
        Whether the earner has work (1 or 0), since when, the extra hazard of a new job, and when a public
        post ends.
    care_end, care_bill, patient : ndarray, shape (paths, n)
        Last month of treatment, its monthly bill, and the member row of the patient.
    failed : ndarray of bool, shape (4, paths, n)
        Guarantees that do not hold.
    case_month, monitored_since : ndarray, shape (paths, n)
        Month of discovery while the procedure runs; month of inclusion while on the register.
    recent, trailing : ndarray, shape (12, paths, n) and (paths, n)
        Reference income of the last twelve months, and its sum, in yuan.
    """

    present: Bools
    unfit: Bools
    n_person: Singles
    labour_n: NDArray[np.int8]
    pension: Singles
    support: Singles
    fixed: Singles
    farm_yuan: Singles
    persistent: Singles
    price: Singles
    village_loss: Singles
    own_loss: Singles
    worker: NDArray[np.int32]
    job: NDArray[np.int8]
    wage: Singles
    employed: Singles
    since: Months
    instability: Singles
    post_end: Months
    care_end: Months
    care_bill: Singles
    patient: NDArray[np.int32]
    failed: Bools
    case_month: Months
    monitored_since: Months
    recent: Singles
    trailing: Singles

    def repeat(self, paths: int) -> State:
        """Return ``paths`` copies of a state of one path."""
        return State(**{f.name: np.repeat(getattr(self, f.name), paths, axis=-2) for f in fields(self)})

    @property
    def paths(self) -> int:
        """Number of paths."""
        return len(self.n_person)


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
    """Households that something happened to in a month.

    Attributes
    ----------
    member : ndarray of int
        Row of the member concerned; ``NOBODY`` for the whole household.
    code, value : ndarray
        What exactly, by ``kind``.
    """

    kind: str
    month: int
    household: NDArray[np.int64]
    member: NDArray[np.int64]
    code: NDArray[np.int64]
    value: NDArray[np.float64]


Log = list[Happening] | None


def note(
    log: Log,
    kind: str,
    month: int,
    household: NDArray[np.int64],
    member: object = NOBODY,
    code: object = -1,
    value: object = 0.0,
) -> None:
    """Add what happened to the log, if one is kept."""
    if log is not None and len(household):
        shape = household.shape
        log.append(
            Happening(
                kind,
                month,
                household,
                np.broadcast_to(np.asarray(member, np.int64), shape),
                np.broadcast_to(np.asarray(code, np.int64), shape),
                np.broadcast_to(np.asarray(value, np.float64), shape),
            )
        )


def first_state(world: World, month: int, rng: np.random.Generator) -> State:
    """Return a plausible state at the end of ``month``, shape ``(1, n)``; a burn-in makes it typical."""
    p, scenario = world.population, world.scenario
    n, here = p.n, p.is_founded.astype(np.float32)
    members = p.members
    monthly = (typical_year(p) / 12 * scenario.price_level(month)).astype(np.float32) * here
    has_job = (p.job != NO_JOB) & p.is_founded
    post_end = month + rng.integers(1, POST_TERM_MONTHS + 1, (SLOTS, 1, n))
    return State(
        present=(members.is_core & p.is_founded[members.household])[None, :],
        unfit=np.zeros((1, len(members.household)), np.bool_),
        n_person=(p.n_person * here).astype(np.float32)[None, :],
        labour_n=(p.labour_n * here).astype(np.int8)[None, :],
        pension=(p.pension_yuan * here)[None, :],
        support=((p.family_yuan + p.dibao_yuan) * here)[None, :],
        fixed=(unearned_year(p) * here)[None, :],
        farm_yuan=(p.farm_yuan * here)[None, :],
        persistent=(scenario.income.persistent_sd * rng.standard_normal((1, n))).astype(np.float32),
        price=(scenario.farm.price_sd * rng.standard_normal((1, scenario.n_counties * 3))).astype(np.float32),
        village_loss=np.zeros((1, len(p.villages.county)), np.float32),
        own_loss=np.zeros((1, n), np.float32),
        worker=np.where(p.is_founded, p.worker, NOBODY).astype(np.int32)[:, None, :],
        job=np.where(has_job, p.job, NO_JOB).astype(np.int8)[:, None, :],
        wage=(p.wage_yuan * here)[:, None, :],
        employed=has_job.astype(np.float32)[:, None, :],
        since=(month - rng.integers(1, 60, (SLOTS, 1, n))).astype(np.int16),
        instability=np.zeros((SLOTS, 1, n), np.float32),
        post_end=np.where(((p.job == POST) & has_job)[:, None, :], post_end, NEVER).astype(np.int16),
        care_end=np.zeros((1, n), np.int16),
        care_bill=np.zeros((1, n), np.float32),
        patient=np.full((1, n), NOBODY, np.int32),
        failed=np.zeros((4, 1, n), np.bool_),
        case_month=np.zeros((1, n), np.int16),
        monitored_since=np.zeros((1, n), np.int16),
        recent=np.repeat(monthly[None, None, :], 12, axis=0),
        trailing=monthly[None, :] * np.float32(12),
    )


def unearned_year(p: Population) -> Singles:
    """Return what each household has in a year without earning it, in yuan of the base year."""
    return p.property_yuan + p.dividend_yuan + p.subsidy_yuan + p.pension_yuan + p.family_yuan + p.dibao_yuan


def typical_year(p: Population) -> Singles:
    """Return each household's income in a year without setbacks, in yuan of the base year."""
    wages = np.where(p.job == POST, 12, 11) * p.wage_yuan
    earned: Singles = wages.sum(axis=0) + p.farm_yuan * (1 - p.farm_cost_share)
    return (earned + unearned_year(p) - p.minor_own_pay_yuan * p.n_person).astype(np.float32)


def is_failing(state: State, world: World, month: int) -> Bools:
    """Return who is below the line or lacks a guarantee at the end of ``month``, shape ``(paths, n)``."""
    failing: Bools = state.trailing < world.facts(month).line_yuan * state.n_person
    return failing | state.failed.any(axis=0)
