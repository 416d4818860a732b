"""What departments push to a synthetic county: bills, diagnoses, lost jobs, disasters, posts that end."""

from __future__ import annotations

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.people import DISEASES, People
from relapse_risk.panel.synthetic.population import HOUSING, INSURANCE, OUTCOMES, SCHOOLING, WATER
from relapse_risk.panel.synthetic.scene import NO_DAY, Ints, Ledger, Scene, draw_delays, first_day, last_day
from relapse_risk.panel.synthetic.state import Happening
from relapse_risk.panel.synthetic.step import CLAIM_FLOOR_YUAN, CLAIM_SHARE

# Median delay of a department against the county's median, and the share of cases it pushes at all.
_DELAY_FACTOR = {"医保": 1.4, "卫健": 1.0, "人社": 2.2, "教育": 1.0, "住建": 1.3, "水利": 0.5, "应急": 0.6}
_PUSHED = {"失业": 0.75, "失学": 0.85, "灾害": 0.9, "意外": 0.85, "停水": 0.9, "住房鉴定": 0.9}
_STAY_FLOOR_YUAN = 900.0
_WATER_DAYS = (7, 40)
_SHORT_OUTAGE_RATE, _INSPECTION_RATE, _OUTPATIENT_RATE, _HOTLINE_RATE = 0.002, 0.004, 0.02, 0.0008


class Events:
    """Collects the rows of table ``event`` month by month."""

    def __init__(self, scene: Scene, people: People) -> None:
        self.scene, self.people = scene, people
        self._rng = scene.rng(8)
        self._ledger = Ledger("event")
        self._lives = scene.population.is_founded

    def record(self, month: int) -> None:
        """Add a month's events; ``people`` has just lived through it."""
        self._lives = self.scene.history.lives(month)
        self._health(month)
        self._work(month)
        self._guarantees(month)
        self._village(month)
        self._noise(month)

    def frame(self, overdue: dict[int, int]) -> pl.DataFrame:
        """Return table ``event``, with the loans that fell due unpaid."""
        rows = np.array(sorted(overdue), np.int64)
        days = np.array([overdue[row] for row in rows.tolist()], np.int64)
        self._push("贷款逾期", "金融", rows, days + 30, days=30)
        frame = self._ledger.frame().sort("event_date", "household_id", "event_type", "recorded_on")
        number = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(8)
        return frame.with_columns((pl.lit("E") + number).alias("event_id"))

    def _push(
        self,
        kind: str,
        dept: str,
        households: Ints,
        days_on: Ints,
        members: Ints | None = None,
        **cells: object,
    ) -> None:
        """Add rows of one type, each received after the department's delay; some never are."""
        n, rng = len(households), self._rng
        keep = np.flatnonzero(rng.random(n) < _PUSHED.get(kind, 1.0))
        median = self.scene.scenario.reporting.event_delay_days * _DELAY_FACTOR.get(dept, 0.8)
        values: dict[str, object] = {
            "household_id": self.scene.household_ids.gather(households[keep]),
            "event_type": kind,
            "event_date": days_on[keep],
            "recorded_on": days_on[keep] + draw_delays(median, len(keep), rng),
            "source_dept": dept,
        }
        if members is not None:
            known = pl.Series(members[keep])
            ids = self.scene.member_ids.gather(np.maximum(members[keep], 0))
            values["member_id"] = pl.select(pl.when(known >= 0).then(ids)).to_series()
        for name, cell in cells.items():
            values[name] = cell[keep] if isinstance(cell, np.ndarray | pl.Series) else cell
        self._ledger.add(len(keep), values)

    def _days(self, month: int, n: int) -> Ints:
        return self._rng.integers(first_day(month), last_day(month) + 1, n)

    def _health(self, month: int) -> None:
        rng, scene = self._rng, self.scene
        ill, hurt = scene.happened(month, "illness"), scene.happened(month, "accident")
        rows = ill.member
        disease = self.people.now["disease"][rows]
        self._push(
            "大病确诊",
            "卫健",
            ill.household,
            self._days(month, len(rows)),
            rows,
            disease_code=pl.Series(DISEASES).gather(disease),
            severity=pl.Series(("轻", "中", "重")).gather(rng.choice(3, size=len(rows), p=[0.2, 0.5, 0.3])),
        )
        days_on = self._days(month, len(hurt.member))
        severity = pl.Series(("轻", "中", "重")).gather(rng.choice(3, size=len(days_on), p=[0.4, 0.4, 0.2]))
        self._push("意外", "应急", hurt.household, days_on, hurt.member, severity=severity)
        disabled = scene.happened(month, "disabled")
        known_on = self._days(month, len(disabled.member)) + 30
        grades = pl.Series(disabled.code).cast(pl.String)
        self._push("新增残疾", "残联", disabled.household, known_on, disabled.member, grade=grades)
        self._bills(month)

    def _bills(self, month: int) -> None:
        """Own-pay for treatments arrives as bills, split as insurance splits them."""
        scene, p, rng = self.scene, self.scene.population, self._rng
        paid = scene.history.care[month].astype(np.float64)
        rows = np.flatnonzero(paid > 0)
        own_pay = np.round(paid[rows])
        uninsured = self._lacks_insurance(month, rows)
        share = np.where(uninsured, 1.0, np.clip(p.own_pay_share[rows], 0.1, 0.9))
        total = np.round(own_pay / share)
        covered = total - own_pay
        critical = np.round(covered * np.where(total > 15000, 0.2, 0.0))
        aid = np.round(covered * np.where(p.is_lifted[rows], 0.12, 0.0))
        is_stay = total >= _STAY_FLOOR_YUAN
        days_on, patients = self._days(month, len(rows)), self.people.patient[rows]
        stay = np.clip(np.round(total / 600 * rng.uniform(0.5, 1.5, len(rows))), 1, 60)
        for kind, chosen in (("住院", is_stay), ("门诊", ~is_stay)):
            self._push(
                kind,
                "医保",
                rows[chosen],
                days_on[chosen],
                patients[chosen],
                amount_yuan=total[chosen],
                basic_paid_yuan=(covered - critical - aid)[chosen],
                critical_paid_yuan=critical[chosen],
                aid_paid_yuan=aid[chosen],
                oop_yuan=own_pay[chosen],
                days=stay[chosen] if kind == "住院" else None,
            )
        claim = np.round(CLAIM_SHARE * np.maximum(paid[rows] - CLAIM_FLOOR_YUAN, 0))
        some = claim > 0
        later = days_on[some] + 5
        self._push("防贫保理赔", "金融", rows[some], later, patients[some], amount_yuan=claim[some])

    def _lacks_insurance(self, month: int, rows: Ints) -> np.ndarray:
        """Return whose guarantee of medical insurance failed at the end of the period before."""
        ends = np.array(self.scene.history.period_ends)
        place = int(np.searchsorted(ends, month)) - 1
        failed = self.scene.history.initial.failed[:, 0] if place < 0 else self.scene.history.failed[place]
        return np.asarray(failed[INSURANCE, rows])

    def _work(self, month: int) -> None:
        scene = self.scene
        lost = scene.happened(month, "job_loss")
        left_on = self.people.now["job_end_on"][lost.member]
        days_on = np.where(left_on == NO_DAY, first_day(month) + 14, left_on)
        self._push("失业", "人社", lost.household, days_on, lost.member)
        notice = scene.happened(month, "post_notice")
        due = np.array([last_day(int(m)) for m in notice.value.tolist()], np.int64)
        days_on = first_day(month) + self._rng.integers(0, 10, len(due))
        self._push("公益岗到期", "人社", notice.household, days_on, notice.member, due_date=due)

    def _guarantees(self, month: int) -> None:
        rng = self._rng
        failed = self.scene.happened(month, "guarantee_failed")
        for which in range(len(OUTCOMES)):
            chosen = failed.code == which
            homes, n = failed.household[chosen], int(chosen.sum())
            days_on = self._days(month, n)
            if which == SCHOOLING:
                self._push("失学", "教育", homes, days_on, failed.member[chosen])
            elif which == HOUSING:
                grade = pl.Series(("C", "D")).gather((rng.random(n) < 0.3).astype(np.int64))
                self._push("住房鉴定", "住建", homes, days_on, grade=grade)
            elif which == WATER:
                self._push("停水", "水利", homes, days_on, days=rng.integers(*_WATER_DAYS, n))

    def _village(self, month: int) -> None:
        p, rng = self.scene.population, self._rng
        struck: Happening = self.scene.happened(month, "disaster")
        rows = struck.household
        loss = struck.value * p.farm_yuan[rows] * self.scene.scenario.price_level(month)
        known = loss > 500
        kinds = ("洪涝", "冰雹", "干旱")
        self._push(
            "灾害",
            "应急",
            rows[known],
            self._days(month, int(known.sum())),
            amount_yuan=np.round(loss[known] * rng.uniform(0.7, 1.2, int(known.sum())), -2),
            hazard_type=kinds[month % len(kinds)],
            house_damaged=rng.random(int(known.sum())) < 0.05,
        )

    def _noise(self, month: int) -> None:
        """Small things that mean little: short outages, sound houses inspected, out-patient bills, calls."""
        p, rng = self.scene.population, self._rng
        rows = np.flatnonzero(
            self._lives & (rng.random(p.n) < _SHORT_OUTAGE_RATE * (0.5 + self._water_risk()))
        )
        self._push("停水", "水利", rows, self._days(month, len(rows)), days=rng.integers(1, 5, len(rows)))
        rows = np.flatnonzero(self._lives & (rng.random(p.n) < _INSPECTION_RATE))
        grade = pl.Series(("A", "B")).gather(p.is_house_worn[rows].astype(np.int64))
        self._push("住房鉴定", "住建", rows, self._days(month, len(rows)), grade=grade)
        chronic = p.members.has_chronic & self.people.now["is_present"]
        chronic &= rng.random(len(p.members.household)) < _OUTPATIENT_RATE
        members = np.flatnonzero(chronic)
        homes, amount = p.members.household[members], rng.gamma(2.0, 180.0, len(members)).round() + 20
        self._push(
            "门诊",
            "医保",
            homes,
            self._days(month, len(members)),
            members,
            amount_yuan=amount,
            basic_paid_yuan=amount - np.round(amount * 0.45),
            oop_yuan=np.round(amount * 0.45),
        )
        asks = np.where(self._in_trouble(month), 12.0, 1.0) * _HOTLINE_RATE
        rows = np.flatnonzero(self._lives & (rng.random(p.n) < asks))
        self._push("热线", "热线", rows, self._days(month, len(rows)))

    def _water_risk(self) -> np.ndarray:
        p = self.scene.population
        return np.asarray(p.villages.water_risk[p.village])

    def _in_trouble(self, month: int) -> np.ndarray:
        """Return who was below the line at the end of the period before."""
        place = int(np.searchsorted(np.array(self.scene.history.period_ends), month)) - 1
        if place < 0:
            return np.zeros(self.scene.population.n, bool)
        return np.asarray(self.scene.history.ratio[place] < 1)
