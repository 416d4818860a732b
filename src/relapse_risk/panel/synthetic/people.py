"""Members over time: who loses and finds work, falls ill, leaves school, is insured; and their snapshots."""

from __future__ import annotations

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.members import (
    EDUCATIONS,
    LOST,
    NO_LABOUR,
    RELATIONS,
    SCHOOLS,
    WEAK,
    school_of,
)
from relapse_risk.panel.synthetic.population import INSURANCE, MIGRANT, NO_JOB, SCHOOLING, SLOTS
from relapse_risk.panel.synthetic.register import POOR, Register
from relapse_risk.panel.synthetic.scene import (
    NO_DAY,
    SCHEME_VERSION,
    Ints,
    Ledger,
    Scene,
    canonical,
    decode,
    draw_delays,
    first_day,
)
from relapse_risk.panel.synthetic.state import Happening
from relapse_risk.panel.tables import LABOUR_SKILLS, WORK_PLACES

AT_WORK, OUT_OF_WORK, NEVER_WORKED = range(3)
WORK_STATUSES = ("在岗", "离岗", "未务工")
NOT_SCHOOL_REASONS = (None, "厌学", "务工", "已毕业")
DISEASES = (None, *(f"D{number:02d}" for number in range(1, 31)))
CHRONIC_KINDS = (None, "高血压", "糖尿病", "肺结核", "严重精神障碍")
_NO_PLACE = WORK_PLACES.index("无")
_WORK_DELAY_FACTOR = 1.5
_SCHOOL_MONTH = 8
_DATES = ("job_start_on", "job_end_on")


class People:
    """The members of every household as they stand, and the rows that record each change.

    Attributes
    ----------
    now : dict of str to ndarray, shape (n_members,)
        Codes, days and amounts that change.
    patient : ndarray of int, shape (n_households,)
        Member row of whoever was last treated; -1 for nobody.
    """

    def __init__(self, scene: Scene, register: Register) -> None:
        self.scene, self.register = scene, register
        self._rng = scene.rng(6)
        self._changed: dict[int, int] = {}
        self._versions: list[tuple[Ints, Ints, dict[str, np.ndarray]]] = []
        self._recovers: dict[int, list[int]] = {}
        self.now = self._first()
        self.patient = self._first_patients()
        count = len(scene.population.members.household)
        self._recorded = np.full(count, first_day(scene.start), np.int64)
        self._versions.append((np.arange(count), self._recorded.copy(), self._copy(np.arange(count))))
        self._dibao_on, self._dibao_off = self._dibao_changes()

    def _first(self) -> dict[str, np.ndarray]:
        """Return members as they stand when the first month begins."""
        scene, p = self.scene, self.scene.population
        members, start, rng = p.members, scene.start, self._rng
        count = len(members.household)
        now: dict[str, np.ndarray] = {
            "work_status": np.full(count, NEVER_WORKED),
            "work_place": np.full(count, _NO_PLACE),
            "job_start_on": np.full(count, NO_DAY, np.int64),
            "job_end_on": np.full(count, NO_DAY, np.int64),
            "monthly_wage_yuan": np.full(count, np.nan),
            "is_ill": np.zeros(count, bool),
            "disease": np.zeros(count, np.int64),
            "disability": members.disability.copy(),
            "labour": members.labour.copy(),
            "med_insured": np.ones(count, bool),
            "school": school_of(members.age(start), members.education),
            "reason": np.zeros(count, np.int64),
            "on_dibao": ((p.dibao_yuan > 0) & ~p.is_tekun)[members.household],
        }
        initial = scene.history.initial
        for slot in range(SLOTS):
            rows = np.flatnonzero(p.job[slot] != NO_JOB)
            worker = p.worker[slot, rows]
            works = initial.employed[slot, 0, rows] > 0
            since = np.array([first_day(m) for m in initial.since[slot, 0, rows].tolist()], np.int64)
            since += rng.integers(0, 28, len(rows))
            now["work_status"][worker] = np.where(works, AT_WORK, OUT_OF_WORK)
            now["work_place"][worker] = np.where(works, self._place(slot, rows), _NO_PLACE)
            now["job_start_on"][worker] = np.where(works, since, since - rng.integers(90, 900, len(rows)))
            now["job_end_on"][worker] = np.where(works, NO_DAY, since)
            now["monthly_wage_yuan"][worker] = np.where(works, self._wage(slot, rows, start), np.nan)
        return now

    def _first_patients(self) -> Ints:
        scene = self.scene
        patient = np.full(scene.population.n, -1, np.int64)
        rows = np.flatnonzero(scene.history.initial.care_end[0] >= scene.start)
        patient[rows] = self._choose_other(rows)
        self.now["is_ill"][patient[rows]] = True
        self.now["disease"][patient[rows]] = self._rng.integers(1, len(DISEASES), len(rows))
        return patient

    def _wage(self, slot: int, rows: Ints, month: int) -> np.ndarray:
        p = self.scene.population
        level = self.scene.scenario.price_level(month)
        wage: np.ndarray = np.round(p.wage_yuan[slot, rows] * level, -1)
        return wage

    def _place(self, slot: int, rows: Ints) -> Ints:
        """Return where earners work: migrants outside the county, the others inside."""
        outside = 1 + rows % 3
        return np.where(self.scene.population.job[slot, rows] == MIGRANT, outside, 0)

    def _choose_other(self, rows: Ints) -> Ints:
        """Return a member of each household who is no earner, the oldest; the head where all earn."""
        p = self.scene.population
        chosen = np.empty(len(rows), np.int64)
        for place, row in enumerate(rows.tolist()):
            first, last = np.searchsorted(p.members.household, [row, row + 1])
            others = [m for m in range(first, last) if m not in p.worker[:, row]] or [int(first)]
            chosen[place] = min(others, key=lambda m: int(p.members.birth_month[m]))
        return chosen

    def _dibao_changes(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """Return households whose allowance begins and ends, by month."""
        begins: dict[int, list[int]] = {}
        ends: dict[int, list[int]] = {}
        for spell in self.register.spells:
            if spell.kind == POOR and not self.scene.population.dibao_yuan[spell.household] > 0:
                begins.setdefault(max(spell.month, self.scene.start), []).append(spell.household)
                if spell.cleared_on != NO_DAY:
                    month = np.datetime64(spell.cleared_on, "D").astype("datetime64[M]").astype(int)
                    ends.setdefault(int(month) + 1970 * 12, []).append(spell.household)
        return begins, ends

    def live(self, month: int) -> dict[str, Ints]:
        """Let a month pass, and return which member each happening of it concerned, by kind."""
        self._changed = {}
        concerned = {
            "illness": self._fall_ill(self.scene.happened(month, "illness")),
            "accident": self._fall_ill(self.scene.happened(month, "accident")),
            "job_loss": self._stop_working(self.scene.happened(month, "job_loss")),
            "post_end": self._stop_working(self.scene.happened(month, "post_end")),
            "guarantee_failed": self._lose_guarantee(self.scene.happened(month, "guarantee_failed")),
        }
        self._start_working(self.scene.happened(month, "hired"))
        self._regain_guarantee(self.scene.happened(month, "guarantee_repaired"))
        self._get_well(month)
        self._stop_looking(month)
        if month % 12 == _SCHOOL_MONTH:
            self._change_school(month)
        for households, gets in ((self._dibao_on, True), (self._dibao_off, False)):
            self._set_dibao(households.get(month, []), gets, month)
        self._close_month()
        return concerned

    def _days(self, month: int, n: int) -> Ints:
        return first_day(month) + self._rng.integers(0, 28, n)

    def _touch(self, rows: Ints, days: Ints) -> None:
        for row, day in zip(rows.tolist(), days.tolist(), strict=True):
            self._changed[row] = max(day, self._changed.get(row, day))

    def _workers(self, happening: Happening) -> Ints:
        return self.scene.population.worker[happening.slot, happening.household]

    def _stop_working(self, happening: Happening) -> Ints:
        rows = self._workers(happening)
        days = self._days(happening.month, len(rows))
        days = np.maximum(days, self.now["job_start_on"][rows] + 1)
        self.now["work_status"][rows] = OUT_OF_WORK
        self.now["work_place"][rows] = _NO_PLACE
        self.now["job_end_on"][rows] = days
        self.now["monthly_wage_yuan"][rows] = np.nan
        self._touch(rows, days)
        return rows

    def _start_working(self, happening: Happening) -> None:
        rows = self._workers(happening)
        days = np.maximum(self._days(happening.month, len(rows)), self.now["job_end_on"][rows] + 1)
        for slot in range(SLOTS):
            here = happening.slot == slot
            homes = happening.household[here]
            wage = self._wage(slot, homes, happening.month) * happening.value[here]
            self.now["monthly_wage_yuan"][rows[here]] = np.round(wage, -1)
            self.now["work_place"][rows[here]] = self._place(slot, homes)
        self.now["work_status"][rows] = AT_WORK
        self.now["job_start_on"][rows] = days
        self.now["job_end_on"][rows] = NO_DAY
        self._touch(rows, days)

    def _stop_looking(self, month: int) -> None:
        """Enter whoever has been out of work for a year as not working."""
        out = (self.now["work_status"] == OUT_OF_WORK) & (self.now["job_end_on"] < first_day(month - 12))
        rows = np.flatnonzero(out)
        self.now["work_status"][rows] = NEVER_WORKED
        self._touch(rows, np.full(len(rows), first_day(month)))

    def _fall_ill(self, happening: Happening) -> Ints:
        rng, households = self._rng, happening.household
        rows = np.where(happening.slot >= 0, self.scene.population.worker[happening.slot, households], -1)
        nobody = rows < 0
        rows[nobody] = self._choose_other(households[nobody])
        self.patient[households] = rows
        days = self._days(happening.month, len(rows))
        if happening.kind == "illness":
            self.now["is_ill"][rows] = True
            self.now["disease"][rows] = rng.integers(1, len(DISEASES), len(rows))
            for row, end in zip(rows.tolist(), happening.value.tolist(), strict=True):
                self._recovers.setdefault(int(end) + 6, []).append(row)
        else:
            disabled = (rng.random(len(rows)) < 0.3) & (self.now["disability"][rows] == 0)
            self.now["disability"][rows[disabled]] = rng.integers(2, 5, int(disabled.sum()))
        able = self.now["labour"][rows] < WEAK
        self.now["labour"][rows[able]] = WEAK
        self._touch(rows, days)
        return rows

    def _get_well(self, month: int) -> None:
        rows = np.array(sorted(set(self._recovers.get(month, []))), np.int64)
        rows = rows[self.now["is_ill"][rows]]
        self.now["is_ill"][rows] = False
        self.now["disease"][rows] = 0
        self._touch(rows, self._days(month, len(rows)))

    def _lose_guarantee(self, happening: Happening) -> Ints:
        """Return the pupil who leaves school or the member without insurance; -1 for house and water."""
        month, rng = happening.month, self._rng
        members = self.scene.population.members
        age = members.age(month)
        rows = np.full(len(happening.household), -1, np.int64)
        for place, row in enumerate(happening.household.tolist()):
            first, last = np.searchsorted(members.household, [row, row + 1])
            if happening.slot[place] == SCHOOLING:
                pupils = [m for m in range(first, last) if 6 <= age[m] < 16]
                if pupils:
                    rows[place] = max(pupils, key=lambda m: int(age[m]))
                    self.now["school"][rows[place]] = 0
                    self.now["reason"][rows[place]] = rng.integers(1, 3)
            elif happening.slot[place] == INSURANCE:
                rows[place] = first + int(rng.integers(0, last - first))
                self.now["med_insured"][rows[place]] = False
        known = rows >= 0
        self._touch(rows[known], self._days(month, int(known.sum())))
        return rows

    def _regain_guarantee(self, happening: Happening) -> None:
        members = self.scene.population.members
        for place, row in enumerate(happening.household.tolist()):
            inside = np.arange(*np.searchsorted(members.household, [row, row + 1]))
            if happening.slot[place] == SCHOOLING:
                rows = inside[np.isin(self.now["reason"][inside], (1, 2))]
                school = school_of(members.age(happening.month)[rows], members.education[rows])
                self.now["school"][rows] = school
                self.now["reason"][rows] = np.where(school == 0, NOT_SCHOOL_REASONS.index("已毕业"), 0)
            elif happening.slot[place] == INSURANCE:
                rows = inside[~self.now["med_insured"][inside]]
                self.now["med_insured"][rows] = True
            else:
                continue
            self._touch(rows, self._days(happening.month, len(rows)))

    def _change_school(self, month: int) -> None:
        members = self.scene.population.members
        school = school_of(members.age(month), members.education)
        dropped = np.isin(self.now["reason"], (1, 2))
        rows = np.flatnonzero((school != self.now["school"]) & ~dropped)
        self.now["school"][rows] = school[rows]
        young = members.age(month)[rows] < 25
        done = (school[rows] == 0) & young
        self.now["reason"][rows] = np.where(done, NOT_SCHOOL_REASONS.index("已毕业"), 0)
        grown = rows[(school[rows] == 0) & (self.now["labour"][rows] == NO_LABOUR)]
        self.now["labour"][grown[self.now["disability"][grown] == 0]] = LABOUR_SKILLS.index("普通劳动力")
        self._touch(rows, np.full(len(rows), first_day(month)))

    def _set_dibao(self, households: list[int], gets: bool, month: int) -> None:
        rows = np.flatnonzero(np.isin(self.scene.population.members.household, households))
        self.now["on_dibao"][rows] = gets
        self._touch(rows, np.full(len(rows), first_day(month) + 27))

    def _copy(self, rows: Ints) -> dict[str, np.ndarray]:
        return {name: values[rows] for name, values in self.now.items()}

    def _close_month(self) -> None:
        """Record what changed, after a delay, each row later than the one before it."""
        rows = np.array(sorted(self._changed), np.int64)
        days = np.array([self._changed[row] for row in rows.tolist()], np.int64)
        median = self.scene.scenario.reporting.event_delay_days * _WORK_DELAY_FACTOR
        recorded = np.maximum(days + draw_delays(median, len(rows), self._rng), self._recorded[rows] + 1)
        self._recorded[rows] = recorded
        self._versions.append((rows, recorded, self._copy(rows)))

    def frame(self) -> pl.DataFrame:
        """Return table ``member`` with all its versions."""
        rows = np.concatenate([version[0] for version in self._versions])
        recorded = np.concatenate([version[1] for version in self._versions])
        now = {name: np.concatenate([version[2][name] for version in self._versions]) for name in self.now}
        ledger = Ledger("member")
        ledger.add(len(rows), {**self._fixed(rows), **_decoded(now), "recorded_on": recorded})
        frame = ledger.frame().with_columns(_health(now, self.scene.population.members.has_chronic[rows]))
        return canonical("member", frame.sort("member_id", "recorded_on"))

    def _fixed(self, rows: Ints) -> dict[str, object]:
        """Return what never changes, for the members of ``rows``."""
        scene, p = self.scene, self.scene.population
        members, rng, n = p.members, scene.rng(7), len(p.members.household)
        age, home = members.age(scene.start), members.household
        alone = (p.n_person == 1)[home] & (age >= 65)
        away = (p.job == MIGRANT).any(axis=0)[home] & (age < 16)
        chronic = np.where(members.has_chronic, rng.choice(5, size=n, p=[0.35, 0.4, 0.17, 0.02, 0.06]), 0)
        insured_old = rng.random(n) < np.interp(age, [16, 18, 35, 60], [0, 0.55, 0.8, 0.97])
        frame: dict[str, object] = {
            "member_id": scene.member_ids,
            "household_id": scene.household_ids.gather(home),
            "scheme_version": SCHEME_VERSION,
            "birth_month": np.array([first_day(m) for m in members.birth_month.tolist()], np.int64),
            "sex": decode(("女", "男"), members.is_male.astype(np.int64)),
            "relation": decode(RELATIONS, members.relation),
            "is_present": True,
            "education": decode(EDUCATIONS, members.education),
            "chronic4": decode(CHRONIC_KINDS, chronic),
            "family_doctor": (rng.random(n) < np.where(members.has_chronic, 0.85, 0.6)),
            "adl_dependent": (members.labour == LOST) & (rng.random(n) < np.where(age >= 75, 0.25, 0.12)),
            "left_behind_child": away & (rng.random(n) < 0.35),
            "child_difficulty": (age < 16) & (rng.random(n) < 0.02),
            "orphan_defacto": (age < 16) & (rng.random(n) < 0.004),
            "elder_alone": alone,
            "liang_hou_sheng": False,
            "premium_subsidised": p.is_lifted[home],
            "critical_insured": True,
            "pension_insured": insured_old,
            "pension_proxy_paid": p.is_lifted[home] & (members.disability > 0) & insured_old,
            "on_tekun": p.is_tekun[home],
            "chronic_managed": pl.Series(np.where(chronic > 0, rng.random(n) < 0.85, -1)).replace(-1, None),
        }
        return {
            name: values.gather(rows) if isinstance(values, pl.Series) else _taken(values, rows)
            for name, values in frame.items()
        }


def _taken(values: object, rows: Ints) -> object:
    return values[rows] if isinstance(values, np.ndarray) else values


def _decoded(now: dict[str, np.ndarray]) -> dict[str, object]:
    return {
        "school_status": decode(SCHOOLS, now["school"]),
        "not_school_reason": decode(NOT_SCHOOL_REASONS, now["reason"]),
        "disease30_code": decode(DISEASES, now["disease"]),
        "disability_grade": pl.Series(now["disability"]).replace(0, None),
        "labour_skill": decode(LABOUR_SKILLS, now["labour"]),
        "med_insured": now["med_insured"],
        "on_dibao": now["on_dibao"],
        "work_status": decode(WORK_STATUSES, now["work_status"]),
        "work_place": decode(WORK_PLACES, now["work_place"]),
        "monthly_wage_yuan": now["monthly_wage_yuan"],
        **{name: now[name] for name in _DATES},
    }


def _health(now: dict[str, np.ndarray], has_chronic: np.ndarray) -> pl.Series:
    """Return health status as a list of coded values; ``健康`` where nothing else is said."""
    code = has_chronic * 1 + now["is_ill"] * 2 + (now["disability"] > 0) * 4
    texts = []
    for number in range(8):
        parts = [text for bit, text in enumerate(("长期慢性病", "患有大病", "残疾")) if number >> bit & 1]
        texts.append("、".join(parts) or "健康")
    return decode(tuple(texts), code.astype(np.int64)).rename("health_status")
