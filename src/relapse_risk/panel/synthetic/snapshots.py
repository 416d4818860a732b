"""Households as the county's system holds them: a first snapshot of all, later rows where one changed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.history import FAR
from relapse_risk.panel.synthetic.members import NOBODY
from relapse_risk.panel.synthetic.population import GRAIN, NO_JOB, POST
from relapse_risk.panel.synthetic.register import POOR, SEVERE, Register, Spell, late_enrolments
from relapse_risk.panel.synthetic.scene import (
    NO_DAY,
    SCHEME_VERSION,
    Ints,
    Ledger,
    Scene,
    canonical,
    county_codes,
    decode,
    draw_delays,
    first_day,
    last_day,
    place_within_township,
    township_codes,
    village_codes,
)

_CLEARED_BY_HELP, _CLEARED_BY_ITSELF = "帮扶消除", "自然消除"
_LOAN_SHARE, _OVERDUE_SHARE = 0.12, 0.35
_SITE_PEOPLE = 820
_OVERDUE_DAYS = 120
_STANDING_AID = ("无", "低保", "特困")
_DATES = ("recorded_on", "identified_on", "cleared_on")
_CHANGING: dict[str, type[pl.DataType]] = {
    "row": pl.Int64,
    "recorded_on": pl.Int32,
    "monitor_category": pl.String,
    "identified_on": pl.Int32,
    "risk_types": pl.String,
    "risk_cleared": pl.Boolean,
    "cleared_on": pl.Int32,
    "clear_mode": pl.String,
    "lowincome_class": pl.String,
    "loan_overdue_days": pl.Int64,
    "all_no_labour": pl.Boolean,
}


def snapshot_households(scene: Scene, register: Register, overdue: Mapping[int, int]) -> pl.DataFrame:
    """Return table ``household`` with all its versions.

    Parameters
    ----------
    overdue : mapping of int to int
        Household row to the day its loan fell due unpaid.
    """
    rng = scene.rng(3)
    base, standing = _base(scene, rng), _standing_aid(scene)
    changes: list[dict[str, object]] = []
    lasting: dict[int, dict[str, object]] = {}
    dated: list[tuple[int, str, Spell | int]]
    dated = [(spell.included_on, "in", spell) for spell in register.spells]
    dated += [(spell.cleared_on, "out", spell) for spell in register.spells if spell.cleared_on != NO_DAY]
    dated += [(day + 30, "overdue", row) for row, day in overdue.items()]
    dated += [(day + 30 + _OVERDUE_DAYS, "repaid", row) for row, day in overdue.items()]
    dated += _changes_of_labour(scene)
    dated += [(day, "enrolled", row) for row, day in late_enrolments(scene).items()]
    begun = _first_recorded(scene)
    base = base.with_columns(_days("recorded_on", begun), _predecessors(scene))
    last_recorded: dict[int, int] = {}
    delays = draw_delays(scene.scenario.reporting.register_delay_days, len(dated), rng)
    dated.sort(key=lambda change: (change[0], change[1]))
    for (day, what, subject), delay in zip(dated, delays.tolist(), strict=True):
        row = subject.household if isinstance(subject, Spell) else subject
        now = lasting.setdefault(row, {})
        standing[row] = max(standing[row], what == "enrolled")
        now.update(_change(scene, what, subject, _STANDING_AID[standing[row]]))
        recorded = max(day + delay, last_recorded.get(row, int(begun[row])) + 1)
        if day < first_day(scene.start):
            recorded = first_day(scene.start)
        last_recorded[row] = recorded
        changes.append({"row": row, "recorded_on": recorded, **now})
    versions = _overlay(base, changes)
    ever = scene.household_ids.filter(pl.Series(begun != NO_DAY)).implode()
    versions = versions.filter(pl.col("household_id").is_in(ever))
    return canonical("household", versions.sort("household_id", "recorded_on"))


def _days(name: str, days: Ints) -> pl.Series:
    return pl.Series(name, days).cast(pl.Int32).replace(NO_DAY, None).cast(pl.Date)


def _first_recorded(scene: Scene) -> Ints:
    """Return the day each household is first recorded; ``NO_DAY`` for those never founded."""
    begins, recorded = scene.history.begins, np.full(scene.population.n, NO_DAY, np.int64)
    recorded[scene.population.is_founded] = first_day(scene.start)
    rows = np.flatnonzero((begins != FAR) & ~scene.population.is_founded)
    delays = draw_delays(2 * scene.scenario.reporting.register_delay_days, len(rows), scene.rng(12))
    recorded[rows] = [first_day(month) + 28 for month in begins[rows].tolist()]
    recorded[rows] += delays
    return recorded


def _predecessors(scene: Scene) -> pl.Series:
    """Return the household that each one split off from; nothing for most."""
    p = scene.population
    parents = np.where(p.heir == NOBODY, NOBODY, p.members.household[p.heir])
    codes = scene.household_ids.gather(np.maximum(parents, 0))
    split = pl.Series(parents != NOBODY)
    return pl.select(pl.when(split).then(codes)).to_series().rename("predecessor_id")


def _changes_of_labour(scene: Scene) -> list[tuple[int, str, int]]:
    """Return when households came to be without anybody able to work, or ceased to be."""
    history = scene.history
    changes: list[tuple[int, str, int]] = []
    before = history.initial.labour_n[0] == 0
    for month, persons, labour_n in zip(history.period_ends, history.n_person, history.labour_n, strict=True):
        now = np.where(persons > 0, labour_n <= 0, before)
        rows = np.flatnonzero((now != before) & history.lives(month)).tolist()
        changes += [(last_day(month), "no_labour" if now[row] else "labour", row) for row in rows]
        before = now
    return changes


def has_loan(scene: Scene) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which households have a small loan, shape ``(n_households,)``."""
    p = scene.population
    chance = _LOAN_SHARE * np.where(p.produce == GRAIN, 0.6, 1.8) * (p.labour_n > 0)
    return (scene.rng(4).random(p.n) < chance) & p.is_founded


def overdue_loans(scene: Scene) -> dict[int, int]:
    """Return the day on which each loan that was not paid fell due, by household row."""
    rng, borrowed = scene.rng(5), has_loan(scene)
    overdue: dict[int, int] = {}
    for month in range(scene.start, scene.start + scene.months):
        rows = scene.happened(month, "farm_failure").household
        for row in rows[borrowed[rows] & (rng.random(len(rows)) < _OVERDUE_SHARE)].tolist():
            overdue.setdefault(row, first_day(month) + int(rng.integers(0, 28)))
    return overdue


def _base(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    """Return the first snapshot of every household, in the order of the population."""
    p, villages = scene.population, scene.population.villages
    n, village = p.n, p.village
    place = village_codes(villages).gather(village)
    relocated = p.is_lifted & (rng.random(n) < 0.06)
    orchard = pl.Series(p.orchard_mu)
    loan = np.where(has_loan(scene), rng.integers(5, 21, n) * 1000.0, 0.0)
    linked = rng.choice(5, size=n, p=[0.62, 0.22, 0.08, 0.05, 0.03])
    in_post = (p.job == POST).any(axis=0)
    works = (p.job != NO_JOB).any(axis=0)
    linked = np.where(works & ~in_post & (linked == 3), 3, np.where(linked == 3, 0, linked))
    lifted = pl.Series(p.is_lifted)
    counties = county_codes(villages.county).gather(village)
    ledger = Ledger("household")
    ledger.add(
        n,
        {
            "household_id": scene.household_ids,
            "recorded_on": first_day(scene.start),
            "scheme_version": SCHEME_VERSION,
            "county_code": counties,
            "county_name": _named("示例", villages.county[village] + 1, "县"),
            "township_code": township_codes(villages).gather(village),
            "township_name": _named("示例", villages.township[village] + 1, "乡"),
            "village_code": place,
            "village_name": _named("示例", place_within_township(villages)[village] + 1, "村"),
            "household_type": lifted.replace_strict({True: "脱贫户", False: "一般农户"}),
            "lifted_year": pl.Series(np.where(p.is_lifted, rng.integers(2015, 2019, n), -1)).replace(
                -1, None
            ),
            "monitor_category": "非监测",
            "lowincome_class": decode(_STANDING_AID, _standing_aid(scene)),
            "relocation_type": pl.Series(relocated).replace_strict({True: "易地搬迁", False: "无"}),
            "site_size": pl.Series(np.where(relocated, _SITE_PEOPLE, -1)).replace(-1, None),
            "title_registered": pl.Series(rng.random(n) < 0.9),
            "all_no_labour": pl.Series(p.labour_n == 0),
            "arable_mu": p.arable_mu,
            "orchard_mu": orchard,
            "road_km": rng.gamma(1.2, 0.8, n).round(1),
            "coop_linkage": pl.Series(("无", "合作社", "龙头企业", "车间", "其他")).gather(linked),
            "loan_balance_yuan": loan,
            "loan_overdue_days": 0,
            "agri_insured": pl.Series(p.is_farm_insured),
            "helper_id": _person("B", place, lifted),
            "monitor_id": _person("J", place, pl.Series(np.ones(n, bool))),
            "census_baseline_id": pl.Series(["P"]).new_from_index(0, n) + scene.household_ids.str.slice(2),
            "house_built_year": p.house_built_year,
            "village_is_lifted": pl.Series(villages.is_lifted[village]),
        },
    )
    return ledger.frame()


def _standing_aid(scene: Scene) -> Ints:
    """Return the place in ``_STANDING_AID`` of what each household gets in any case."""
    p = scene.population
    return np.where(p.is_tekun, 2, np.where(p.dibao_yuan > 0, 1, 0))


def _named(before: str, number: Ints, after: str) -> pl.Series:
    digits = pl.Series(number).cast(pl.String)
    return pl.select(pl.lit(before) + digits + pl.lit(after)).to_series()


def _person(letter: str, place: pl.Series, has: pl.Series) -> pl.Series:
    """Return the code of a village's helper or monitor where the household has one."""
    return pl.select(pl.when(has).then(pl.lit(letter) + place)).to_series()


def _change(scene: Scene, what: str, subject: Spell | int, standing: str) -> dict[str, object]:
    if not isinstance(subject, Spell):
        if what == "enrolled":
            return {"lowincome_class": standing}
        if what in ("labour", "no_labour"):
            return {"all_no_labour": what == "no_labour"}
        return {"loan_overdue_days": 30 if what == "overdue" else 0}
    if what == "out":
        return {
            "risk_cleared": True,
            "cleared_on": first_day_of(subject.cleared_on),
            "clear_mode": _CLEARED_BY_ITSELF if subject.is_natural else _CLEARED_BY_HELP,
            "lowincome_class": standing,
        }
    lifted = bool(scene.population.is_lifted[subject.household])
    category = "突发严重困难户" if subject.kind == SEVERE else ("脱贫不稳定户" if lifted else "边缘易致贫户")
    granted = "低保" if subject.kind == POOR else "刚性支出困难"
    return {
        "monitor_category": category,
        "identified_on": first_day_of(subject.included_on),
        "risk_types": subject.causes,
        "risk_cleared": False,
        "cleared_on": NO_DAY,
        "clear_mode": None,
        "lowincome_class": granted if standing == _STANDING_AID[0] else standing,
    }


def first_day_of(day: int) -> int:
    """Return the first day of the month that ``day`` lies in, both as days since 1970-01-01."""
    return int(np.datetime64(day, "D").astype("datetime64[M]").astype("datetime64[D]").astype(np.int64))


def _overlay(base: pl.DataFrame, changes: list[dict[str, object]]) -> pl.DataFrame:
    """Return the base rows and, for every change, the base row with what had changed by then."""
    if not changes:
        return base
    changed = pl.DataFrame(changes, schema=_CHANGING)
    dates = [pl.col(name).replace(NO_DAY, None).cast(pl.Date) for name in _DATES]
    changed = changed.with_columns(dates).with_columns(
        pl.col("monitor_category").fill_null("非监测"), pl.col("loan_overdue_days").fill_null(0)
    )
    standing = ("lowincome_class", "all_no_labour")
    kept = [name for name in base.columns if name not in _CHANGING or name in standing]
    rows = base.select(kept)[changed["row"].to_list()].rename({name: f"_{name}" for name in standing})
    later = pl.concat([rows, changed.drop("row")], how="horizontal").with_columns(
        pl.col(name).fill_null(pl.col(f"_{name}")) for name in standing
    )
    both = pl.concat([base, later.select(base.columns)])
    return both.unique(["household_id", "recorded_on"], keep="last", maintain_order=True)
