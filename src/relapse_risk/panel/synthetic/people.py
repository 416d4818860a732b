"""Members over time, as the county's systems come to know them: snapshots of whoever changed, with delay."""

from __future__ import annotations

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.members import (
    HEAD,
    LOST,
    NO_LABOUR,
    NOBODY,
    SCHOOLS,
    WEAK,
    education_of,
    school_of,
)
from relapse_risk.panel.synthetic.person_rows import fixed_cells, member_frame
from relapse_risk.panel.synthetic.population import INSURANCE, MIGRANT, NO_JOB, SCHOOLING, SLOTS
from relapse_risk.panel.synthetic.register import POOR, Register, late_enrolments
from relapse_risk.panel.synthetic.scene import NO_DAY, Ints, Scene, draw_delays, first_day
from relapse_risk.panel.synthetic.state import Happening
from relapse_risk.panel.tables import LABOUR_SKILLS, WORK_PLACES

AT_WORK, OUT_OF_WORK, NEVER_WORKED = range(3)
LEAVE_REASONS = (None, "死亡", "迁出")
NOT_SCHOOL_REASONS = (None, "厌学", "务工", "已毕业")
DISEASES = (None, *(f"D{number:02d}" for number in range(1, 31)))
_NO_PLACE, _AT_HOME = WORK_PLACES.index("无"), WORK_PLACES.index("县内")
_GRADUATED, _PLAIN = NOT_SCHOOL_REASONS.index("已毕业"), LABOUR_SKILLS.index("普通劳动力")
_GRAVE_GRADE = 2
_WORK_DELAY_FACTOR = 1.5
_SCHOOL_MONTH = 8
_ALONE_FROM_AGE = 65


class People:
    """The members of every household as they stand, and the rows that record each change.

    Attributes
    ----------
    now : dict of str to ndarray, shape (n_members,)
        Codes, days and amounts that change.
    patient : ndarray of int, shape (n_households,)
        Member row of whoever was last treated; ``NOBODY`` for none.
    """

    def __init__(self, scene: Scene, register: Register) -> None:
        self.scene, self.register = scene, register
        self._members = scene.population.members
        self._rng = scene.rng(6)
        self._changed: dict[int, int] = {}
        self._versions: list[tuple[Ints, Ints, dict[str, np.ndarray]]] = []
        self._recovers: dict[int, list[int]] = {}
        self.now = self._first()
        self.patient = scene.history.initial.patient[0].astype(np.int64)
        treated = self.patient[scene.history.initial.care_end[0] >= scene.start]
        treated = treated[treated != NOBODY]
        self.now["is_ill"][treated] = True
        self.now["disease"][treated] = self._rng.integers(1, len(DISEASES), len(treated))
        count = len(self._members.household)
        # Somebody who founds a household is entered there under the code of before.
        self._recorded = np.full(count, first_day(scene.start), np.int64)
        present = np.flatnonzero(self.now["is_present"])
        self._versions.append((present, self._recorded[present], self._copy(present)))
        self._dibao_on, self._dibao_off = self._dibao_changes()

    def _first(self) -> dict[str, np.ndarray]:
        """Return members as they stand when the first month begins."""
        scene, p = self.scene, self.scene.population
        members, start = p.members, scene.start
        count = len(members.household)
        initial = scene.history.initial
        present = initial.present[0].copy()
        alone = (initial.n_person[0] == 1)[members.household]
        now: dict[str, np.ndarray] = {
            "is_present": present,
            "relation": members.relation.copy(),
            "birth_month": members.birth_month.copy(),
            "elder_alone": present & alone & (members.age(start) >= _ALONE_FROM_AGE),
            "education": members.education.copy(),
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
            "school": school_of(members.age(start), members.ends_school),
            "reason": np.zeros(count, np.int64),
            "left": np.zeros(count, np.int64),
            "on_dibao": ((p.dibao_yuan > 0) & ~p.is_tekun)[members.household],
        }
        self._enter_jobs(now)
        return now

    def _enter_jobs(self, now: dict[str, np.ndarray]) -> None:
        initial, rng = self.scene.history.initial, self._rng
        for slot in range(SLOTS):
            rows = np.flatnonzero(initial.job[slot, 0] != NO_JOB)
            worker = initial.worker[slot, 0, rows]
            works = initial.employed[slot, 0, rows] > 0
            since = np.array([first_day(m) for m in initial.since[slot, 0, rows].tolist()], np.int64)
            since += rng.integers(0, 28, len(rows))
            place = self._place(rows, initial.job[slot, 0, rows])
            wage = self._wage(initial.wage[slot, 0, rows], self.scene.start)
            now["work_status"][worker] = np.where(works, AT_WORK, OUT_OF_WORK)
            now["work_place"][worker] = np.where(works, place, _NO_PLACE)
            now["job_start_on"][worker] = np.where(works, since, since - rng.integers(90, 900, len(rows)))
            now["job_end_on"][worker] = np.where(works, NO_DAY, since)
            now["monthly_wage_yuan"][worker] = np.where(works, wage, np.nan)

    def _wage(self, yuan: np.ndarray, month: int) -> np.ndarray:
        level = self.scene.scenario.price_level(month)
        wage: np.ndarray = np.round(yuan * level, -1)
        return wage

    def _place(self, households: Ints, job: np.ndarray) -> Ints:
        """Return where earners work: migrants outside the county, the others inside."""
        return np.where(job == MIGRANT, 1 + households % 3, _AT_HOME)

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
        for row, day in late_enrolments(self.scene).items():
            granted = np.datetime64(day, "D").astype("datetime64[M]").astype(int)
            begins.setdefault(int(granted) + 1970 * 12, []).append(row)
        return begins, ends

    def live(self, month: int) -> None:
        """Let a month pass: everybody as they stand at its end, and a row for whoever changed."""
        self._changed = {}
        happened = self.scene.happened
        self._come(happened(month, "born"))
        self._come(happened(month, "joined"))
        self._found(happened(month, "founded"))
        self._start_working(happened(month, "hired"))
        for kind in ("illness", "accident"):
            self._fall_ill(happened(month, kind))
        for kind in ("job_loss", "post_end", "retired"):
            self._stop_working(happened(month, kind))
        self._become_disabled(happened(month, "disabled"))
        self._lose_guarantee(happened(month, "guarantee_failed"))
        self._regain_guarantee(happened(month, "guarantee_repaired"))
        self._get_well(month)
        self._stop_looking(month)
        if month % 12 == _SCHOOL_MONTH:
            self._change_school(month)
        for households, gets in ((self._dibao_on, True), (self._dibao_off, False)):
            self._set_dibao(households.get(month, []), gets, month)
        for kind in ("died", "left"):
            self._go(happened(month, kind))
        self._close_month()

    def _days(self, month: int, n: int) -> Ints:
        return first_day(month) + self._rng.integers(0, 28, n)

    def _touch(self, rows: Ints, days: Ints) -> None:
        for row, day in zip(rows.tolist(), days.tolist(), strict=True):
            self._changed[row] = max(day, self._changed.get(row, day))

    def _age(self, month: int) -> Ints:
        return (month - self.now["birth_month"]) // 12

    def _at_home(self, household: int) -> Ints:
        """Return the rows of a household's members who are present."""
        rows = np.arange(*np.searchsorted(self._members.household, [household, household + 1]))
        present: Ints = rows[self.now["is_present"][rows]]
        return present

    def _come(self, happening: Happening) -> None:
        rows, month = happening.member, happening.month
        self.now["is_present"][rows] = True
        if happening.kind == "born":
            self.now["birth_month"][rows] = month
        self._touch(rows, self._days(month, len(rows)))
        self._look_round(happening.household, month)

    def _found(self, happening: Happening) -> None:
        """Enter the members of new households; the head is known already, in the parents' one."""
        month = happening.month
        for household, heir in zip(happening.household.tolist(), happening.member.tolist(), strict=True):
            first = int(np.searchsorted(self._members.household, household))
            rows = np.array([first, first + 1])
            self.now["is_present"][rows] = True
            self.now["is_present"][heir] = False
            self.now["left"][heir] = LEAVE_REASONS.index("迁出")
            self.now["disability"][first] = self.now["disability"][heir]
            for slot in range(SLOTS):
                worker, job = (
                    self.scene.population.worker[slot, household],
                    self.scene.population.job[slot, household],
                )
                if worker == NOBODY:
                    continue
                wage = self.scene.population.wage_yuan[slot, [household]]
                self.now["work_status"][worker] = AT_WORK
                self.now["work_place"][worker] = int(self._place(np.array(household), job))
                self.now["job_start_on"][worker] = first_day(month)
                self.now["monthly_wage_yuan"][worker] = self._wage(wage, month)[0]
            self._touch(rows, self._days(month, 2))
        self._look_round(happening.code, month)

    def _go(self, happening: Happening) -> None:
        rows, month = happening.member, happening.month
        self.now["is_present"][rows] = False
        self.now["left"][rows] = LEAVE_REASONS.index("死亡" if happening.kind == "died" else "迁出")
        self.now["elder_alone"][rows] = False
        self._touch(rows, self._days(month, len(rows)))
        self._look_round(happening.household, month)

    def _look_round(self, households: Ints, month: int) -> None:
        """See to it that a household has a head, and note who is old and alone."""
        for household in sorted(set(households.tolist())):
            rows = self._at_home(household)
            if not len(rows):
                continue
            age = (month - self.now["birth_month"][rows]) // 12
            before = self.now["elder_alone"][rows].copy()
            self.now["elder_alone"][rows] = (len(rows) == 1) & (age >= _ALONE_FROM_AGE)
            changed = rows[before != self.now["elder_alone"][rows]]
            if not (self.now["relation"][rows] == HEAD).any():
                head = rows[[int(np.argmax(np.where(age < 70, age, 140 - age)))]]
                self.now["relation"][head] = HEAD
                changed = np.union1d(changed, head)
            self._touch(changed, self._days(month, len(changed)))

    def _stop_working(self, happening: Happening) -> None:
        rows = happening.member
        days = self._days(happening.month, len(rows))
        days = np.maximum(days, self.now["job_start_on"][rows] + 1)
        was_out = self.now["work_status"][rows] != AT_WORK
        retires = happening.kind == "retired"
        self.now["work_status"][rows] = NEVER_WORKED if retires else OUT_OF_WORK
        self.now["work_place"][rows] = _NO_PLACE
        self.now["job_end_on"][rows] = np.where(was_out, self.now["job_end_on"][rows], days)
        self.now["monthly_wage_yuan"][rows] = np.nan
        if retires:
            self.now["labour"][rows] = np.maximum(self.now["labour"][rows], WEAK)
        self._touch(rows, days)

    def _start_working(self, happening: Happening) -> None:
        rows = happening.member
        days = np.maximum(self._days(happening.month, len(rows)), self.now["job_end_on"][rows] + 1)
        self.now["monthly_wage_yuan"][rows] = self._wage(happening.value, happening.month)
        self.now["work_place"][rows] = self._place(happening.household, happening.code)
        self.now["work_status"][rows] = AT_WORK
        self.now["job_start_on"][rows] = days
        self.now["job_end_on"][rows] = NO_DAY
        self._touch(rows, days)

    def _stop_looking(self, month: int) -> None:
        """Enter whoever has been out of work for a year as not working."""
        out = (self.now["work_status"] == OUT_OF_WORK) & (self.now["job_end_on"] < first_day(month - 12))
        rows = np.flatnonzero(out & self.now["is_present"])
        self.now["work_status"][rows] = NEVER_WORKED
        self._touch(rows, np.full(len(rows), first_day(month)))

    def _fall_ill(self, happening: Happening) -> None:
        rows, rng = happening.member, self._rng
        self.patient[happening.household] = rows
        if happening.kind == "illness":
            self.now["is_ill"][rows] = True
            self.now["disease"][rows] = rng.integers(1, len(DISEASES), len(rows))
        for row, end in zip(rows.tolist(), happening.value.tolist(), strict=True):
            self._recovers.setdefault(int(end) + 6, []).append(row)
        able = self.now["labour"][rows] < WEAK
        self.now["labour"][rows[able]] = WEAK
        self._touch(rows, self._days(happening.month, len(rows)))

    def _get_well(self, month: int) -> None:
        """Whoever was ill or hurt is as able as before, unless a disability stays."""
        rows = np.array(sorted(set(self._recovers.get(month, []))), np.int64)
        rows = rows[self.now["is_present"][rows]]
        self.now["is_ill"][rows] = False
        self.now["disease"][rows] = 0
        able = rows[(self.now["disability"][rows] == 0) & (self.now["labour"][rows] == WEAK)]
        self.now["labour"][able] = np.where(
            self._members.labour[able] == NO_LABOUR, _PLAIN, self._members.labour[able]
        )
        self._touch(rows, self._days(month, len(rows)))

    def _become_disabled(self, happening: Happening) -> None:
        grade = self.now["disability"][happening.member]
        graver = (grade == 0) | (happening.code < grade)
        rows, code = happening.member[graver], happening.code[graver]
        self.now["disability"][rows] = code
        labour = self.now["labour"][rows]
        lasting = np.where(code <= _GRAVE_GRADE, LOST, WEAK)
        self.now["labour"][rows] = np.where(labour == NO_LABOUR, labour, np.maximum(labour, lasting))
        stops = rows[(self.now["work_status"][rows] == AT_WORK) & (code <= _GRAVE_GRADE)]
        day = first_day(happening.month) + 14
        self.now["job_end_on"][stops] = np.maximum(day, self.now["job_start_on"][stops] + 1)
        self.now["work_status"][stops], self.now["work_place"][stops] = OUT_OF_WORK, _NO_PLACE
        self.now["monthly_wage_yuan"][stops] = np.nan
        self._touch(rows, first_day(happening.month) + self._rng.integers(15, 28, len(rows)))

    def _lose_guarantee(self, happening: Happening) -> None:
        """Enter the pupil as out of school, or somebody of the household as without insurance."""
        rng = self._rng
        school = happening.member[happening.code == SCHOOLING]
        self.now["school"][school] = 0
        self.now["reason"][school] = rng.integers(1, 3, len(school))
        homes = happening.household[happening.code == INSURANCE].tolist()
        uninsured = [int(rng.choice(rows)) for rows in map(self._at_home, homes) if len(rows)]
        self.now["med_insured"][uninsured] = False
        rows = np.concatenate([school, np.array(uninsured, np.int64)])
        self._touch(rows, self._days(happening.month, len(rows)))

    def _regain_guarantee(self, happening: Happening) -> None:
        month = happening.month
        for household, which in zip(happening.household.tolist(), happening.code.tolist(), strict=True):
            inside = self._at_home(household)
            if which == SCHOOLING:
                rows = inside[np.isin(self.now["reason"][inside], (1, 2))]
                age = (month - self.now["birth_month"][rows]) // 12
                school = school_of(age, self._members.ends_school[rows])
                self.now["school"][rows] = school
                self.now["reason"][rows] = np.where(school == 0, _GRADUATED, 0)
            elif which == INSURANCE:
                rows = inside[~self.now["med_insured"][inside]]
                self.now["med_insured"][rows] = True
            else:
                continue
            self._touch(rows, self._days(month, len(rows)))

    def _change_school(self, month: int) -> None:
        """In September pupils move up, and whoever leaves school is entered as able to work."""
        age = self._age(month)
        school = school_of(age, self._members.ends_school)
        dropped = np.isin(self.now["reason"], (1, 2))
        rows = np.flatnonzero((school != self.now["school"]) & ~dropped & self.now["is_present"])
        reached = education_of(self.now["school"][rows], self.now["education"][rows])
        self.now["education"][rows] = reached
        self.now["school"][rows] = school[rows]
        over = (school[rows] == 0) & (age[rows] < 25)
        self.now["reason"][rows] = np.where(over, _GRADUATED, 0)
        grown = rows[over & (self.now["labour"][rows] == NO_LABOUR) & (self.now["disability"][rows] == 0)]
        self.now["labour"][grown] = _PLAIN
        alone = self.now["is_present"] & (age == _ALONE_FROM_AGE)
        self._touch(rows, np.full(len(rows), first_day(month)))
        self._look_round(self._members.household[alone], month)

    def _set_dibao(self, households: list[int], gets: bool, month: int) -> None:
        rows = np.flatnonzero(np.isin(self._members.household, households) & self.now["is_present"])
        self.now["on_dibao"][rows] = gets
        self._touch(rows, np.full(len(rows), first_day(month) + 27))

    def _copy(self, rows: Ints) -> dict[str, np.ndarray]:
        return {name: values[rows] for name, values in self.now.items()}

    def _close_month(self) -> None:
        """Record what changed, after a delay, each row later than the one before it."""
        rows = np.array(sorted(self._changed), np.int64)
        days = np.array([self._changed[row] for row in rows.tolist()], np.int64)
        median = self.scene.scenario.reporting.event_delay_days * _WORK_DELAY_FACTOR
        code = self._members.identity[rows]
        recorded = np.maximum(days + draw_delays(median, len(rows), self._rng), self._recorded[code] + 1)
        self._recorded[code] = recorded
        self._versions.append((rows, recorded, self._copy(rows)))

    def frame(self) -> pl.DataFrame:
        """Return table ``member`` with all its versions."""
        rows = np.concatenate([version[0] for version in self._versions])
        recorded = np.concatenate([version[1] for version in self._versions])
        now = {name: np.concatenate([version[2][name] for version in self._versions]) for name in self.now}
        texts = {
            "school_status": (SCHOOLS, now["school"]),
            "not_school_reason": (NOT_SCHOOL_REASONS, now["reason"]),
            "leave_reason": (LEAVE_REASONS, now["left"]),
        }
        texts["disease30_code"] = (DISEASES, now["disease"])
        return member_frame(
            rows, recorded, now, texts, fixed_cells(self.scene, rows), self._members.has_chronic
        )
