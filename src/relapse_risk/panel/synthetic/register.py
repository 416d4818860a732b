"""The register of a synthetic county: cases with their procedure, spells, and households' snapshots."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.members import PLAIN, SKILLED
from relapse_risk.panel.synthetic.scene import (
    NO_DAY,
    Ints,
    Ledger,
    Scene,
    decode,
    draw_delays,
    first_day,
    last_day,
)
from relapse_risk.panel.synthetic.state import NEVER
from relapse_risk.panel.tables import RISK_TYPES

LACKS_GUARANTEE, POOR, SEVERE = range(3)
CHANNELS = ("自主申报", "部门比对", "干部排查")
_LABOUR_SHORT = RISK_TYPES.index("缺劳动力")
_OTHER = RISK_TYPES.index("其他")
_DISABLED = RISK_TYPES.index("因残")
# Kinds of happenings, and the risk type each of them becomes when the household is identified.
_CAUSES = {
    "illness": "因病",
    "accident": "因意外事故",
    "job_loss": "因务工就业不稳",
    "post_end": "因务工就业不稳",
    "disaster": "因自然灾害",
    "farm_failure": "因产业项目失败",
    "disabled": "因残",
}
_GUARANTEE_CAUSES = ("因学", "因病", "因安全住房", "因安全饮水")
_CAUSE_MONTHS = 9
_BURDENING_GRADES = (1, 2, 3)
_DEPENDANTS_OF_ONE, _COMPULSORY_UNTIL = 3, 16
_ENROLLED_SHARE = 0.95


@dataclass(frozen=True)
class Spell:
    """One stay on the register; days since 1970-01-01, ``NO_DAY`` where still on it.

    Attributes
    ----------
    kind : int
        ``LACKS_GUARANTEE``, ``POOR`` or ``SEVERE``: what the household was included for.
    """

    household: int
    kind: int
    month: int
    included_on: int
    causes: str
    cleared_on: int = NO_DAY
    is_natural: bool = False


@dataclass(frozen=True)
class Register:
    """Cases as a table, and spells sorted by inclusion."""

    workflow: pl.DataFrame
    spells: tuple[Spell, ...]

    def on_register(self, scene: Scene, kinds: tuple[int, ...]) -> NDArray[np.bool_]:
        """Return who is on the register for one of ``kinds`` at each period end, ``(n_periods, n)``."""
        ends = np.array([last_day(month) for month in scene.history.period_ends])
        result = np.zeros((len(ends), scene.population.n), bool)
        for spell in self.spells:
            if spell.kind in kinds:
                until = np.inf if spell.cleared_on == NO_DAY else spell.cleared_on
                result[:, spell.household] |= (ends >= spell.included_on) & (ends < until)
        return result


def late_enrolments(scene: Scene) -> dict[int, int]:
    """Return the day on which households that lost their last labour were granted an allowance, by row.

    Nearly all are, after some months; the allowance takes the place of help from kin, so that income stays.
    """
    rng, history, p = scene.rng(15), scene.history, scene.population
    granted: dict[int, int] = {}
    before = history.initial.labour_n[0] <= 0
    for month, persons, labour_n in zip(history.period_ends, history.n_person, history.labour_n, strict=True):
        now = (persons > 0) & (labour_n <= 0)
        lost = np.flatnonzero(now & ~before & (p.dibao_yuan <= 0) & ~p.is_tekun)
        days = last_day(month) + rng.integers(20, 120, len(lost))
        granting = rng.random(len(lost)) < _ENROLLED_SHARE
        for row, day in zip(lost[granting].tolist(), days[granting].tolist(), strict=True):
            granted.setdefault(row, day)
        before = now | (before & (persons <= 0))
    return granted


def keep_register(scene: Scene) -> Register:
    """Return the cases and spells that follow from what happened."""
    rng = scene.rng(2)
    ledger = Ledger("workflow")
    recent: dict[int, list[tuple[int, str]]] = {}
    open_spells = _initial_spells(scene)
    closed: list[Spell] = []
    discovered = np.full(scene.population.n, NO_DAY, np.int64)
    for month in range(scene.start, scene.start + scene.months):
        _remember(recent, scene, month)
        decided = scene.happened(month, "decided")
        rows = decided.household
        found = np.where(discovered[rows] == NO_DAY, first_day(month - 1) + 14, discovered[rows])
        took = np.clip(rng.gamma(6.0, 2.2, len(rows)), 6, 30).round().astype(np.int64)
        county_on = np.minimum(found + took, last_day(month))
        included = decided.value > 0
        _record_decisions(ledger, scene, rows, found, county_on, included, rng)
        discovered[rows] = NO_DAY
        for place in np.flatnonzero(included):
            household = int(rows[place])
            causes = _causes(recent.get(household, []), scene, household, month)
            open_spells[household] = Spell(
                household, int(decided.code[place]), month, int(county_on[place]), causes
            )
        cleared = scene.happened(month, "cleared").household
        closed += _clear(ledger, scene, open_spells, cleared, month, rng)
        discovered[scene.happened(month, "dissolved").household] = NO_DAY
        noticed = scene.happened(month, "noticed").household
        discovered[noticed] = first_day(month) + rng.integers(0, 28, len(noticed))
    _record_open_cases(ledger, scene, discovered, rng)
    frame = ledger.frame().sort("discovered_on", "household_id", "recorded_on")
    spells = sorted((*closed, *open_spells.values()), key=lambda spell: (spell.included_on, spell.household))
    return Register(_numbered(frame), tuple(spells))


def _numbered(frame: pl.DataFrame) -> pl.DataFrame:
    """Give each case one identifier that all its versions share."""
    key = ["household_id", "discovered_on"]
    cases = frame.select(key).unique(maintain_order=True).with_row_index("number", offset=1)
    number = pl.col("number").cast(pl.String).str.zfill(7)
    numbered = frame.join(cases, on=key, how="left", maintain_order="left")
    return numbered.with_columns((pl.lit("R") + number).alias("case_id")).drop("number")


def _initial_spells(scene: Scene) -> dict[int, Spell]:
    since = scene.history.initial.monitored_since[0].astype(np.int64)
    return {
        int(row): Spell(
            int(row),
            POOR,
            int(since[row]),
            first_day(int(since[row])) + 14,
            _causes([], scene, int(row), int(since[row])),
        )
        for row in np.flatnonzero(since != NEVER)
    }


def _remember(recent: dict[int, list[tuple[int, str]]], scene: Scene, month: int) -> None:
    """Note causes by household, so that an inclusion can name them."""
    for kind, cause in _CAUSES.items():
        for household in scene.happened(month, kind).household.tolist():
            recent.setdefault(household, []).append((month, cause))
    failed = scene.happened(month, "guarantee_failed")
    for household, which in zip(failed.household.tolist(), failed.code.tolist(), strict=True):
        recent.setdefault(household, []).append((month, _GUARANTEE_CAUSES[which]))


def _causes(noted: list[tuple[int, str]], scene: Scene, household: int, month: int) -> str:
    """Return the risk types an inclusion names: what happened lately, and what has burdened it for long."""
    members = scene.population.members
    causes = {cause for when, cause in noted if month - when <= _CAUSE_MONTHS}
    rows = np.arange(*np.searchsorted(members.household, [household, household + 1]))
    rows = rows[members.is_core[rows]]
    if np.isin(members.disability[rows], _BURDENING_GRADES).any():
        causes.add(RISK_TYPES[_DISABLED])
    able = int(np.isin(members.labour[rows], (SKILLED, PLAIN)).sum())
    if able == 0 or len(rows) - able >= _DEPENDANTS_OF_ONE * able:
        causes.add(RISK_TYPES[_LABOUR_SHORT])
    age = members.age(month)[rows]
    if not causes and ((age >= _COMPULSORY_UNTIL) & (age < members.ends_school[rows])).any():
        causes.add(_GUARANTEE_CAUSES[0])
    if not causes and members.has_chronic[rows].any():
        causes.add(RISK_TYPES[0])
    return "、".join(name for name in RISK_TYPES if name in (causes or {RISK_TYPES[_OTHER]}))


def _record_decisions(
    ledger: Ledger,
    scene: Scene,
    rows: Ints,
    found: Ints,
    county_on: Ints,
    included: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    """Add the open case as first recorded, and the case as decided."""
    n = len(rows)
    span = county_on - found
    known: dict[str, object] = {
        "household_id": scene.household_ids.gather(rows),
        "channel": decode(CHANNELS, rng.choice(3, size=n, p=[0.2, 0.35, 0.45])),
        "discovered_on": found,
    }
    opened = np.maximum(found + rng.integers(0, 3, n), first_day(scene.start))
    ledger.add(n, {**known, "recorded_on": opened})
    steps = {
        "verified_on": 0.2,
        "review_on": 0.35,
        "publicity_start": 0.4,
        "publicity_end": 0.75,
        "township_on": 0.85,
    }
    dated = {name: found + np.floor(share * span).astype(np.int64) for name, share in steps.items()}
    decision = np.where(included, 0, np.where(rng.random(n) < 0.1, 2, 1))
    delay = draw_delays(2, n, rng)
    ledger.add(
        n,
        {
            **known,
            **dated,
            "county_on": county_on,
            "decision": decode(("纳入", "不纳入", "退回"), decision),
            "recorded_on": np.maximum(county_on + delay, opened + 1),
        },
    )


def _record_open_cases(ledger: Ledger, scene: Scene, discovered: Ints, rng: np.random.Generator) -> None:
    """Add the cases that nobody has decided by the end of the simulation."""
    rows = np.flatnonzero(discovered != NO_DAY)
    ledger.add(
        len(rows),
        {
            "household_id": scene.household_ids.gather(rows),
            "channel": decode(CHANNELS, rng.choice(3, size=len(rows), p=[0.2, 0.35, 0.45])),
            "discovered_on": discovered[rows],
            "recorded_on": discovered[rows] + rng.integers(0, 3, len(rows)),
        },
    )


def _clear(
    ledger: Ledger,
    scene: Scene,
    open_spells: dict[int, Spell],
    rows: Ints,
    month: int,
    rng: np.random.Generator,
) -> list[Spell]:
    n = len(rows)
    started, county_on = first_day(month) + rng.integers(0, 6, n), first_day(month) + rng.integers(15, 28, n)
    natural = rng.random(n) < 0.2
    ledger.add(
        n,
        {
            "household_id": scene.household_ids.gather(rows),
            "channel": "干部排查",
            "discovered_on": started,
            "verified_on": started + 2,
            "review_on": started + 4,
            "publicity_start": started + 5,
            "publicity_end": county_on - 3,
            "township_on": county_on - 1,
            "county_on": county_on,
            "decision": "消除",
            "recorded_on": county_on + draw_delays(2, n, rng),
        },
    )
    closed: list[Spell] = []
    for row, day, is_natural in zip(rows.tolist(), county_on.tolist(), natural.tolist(), strict=True):
        spell = open_spells.pop(row)
        closed.append(Spell(row, spell.kind, spell.month, spell.included_on, spell.causes, day, is_natural))
    return closed
