"""Measures taken and visits paid in a synthetic county."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.population import POST, SLOTS
from relapse_risk.panel.synthetic.register import LACKS_GUARANTEE, POOR, Register, Spell
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
from relapse_risk.panel.synthetic.snapshots import has_loan
from relapse_risk.panel.synthetic.state import NEVER, POST_TERM_MONTHS
from relapse_risk.panel.tables import RISK_TYPES

_CLASS_AND_DEPT = {
    "产业": ("发展", "农业农村"),
    "就业": ("发展", "人社"),
    "公益岗位": ("发展", "人社"),
    "金融": ("金融土地人才", "金融"),
    "健康": ("普惠民生", "卫健"),
    "教育": ("普惠民生", "教育"),
    "住房": ("普惠民生", "住建"),
    "饮水": ("普惠民生", "水利"),
    "综合保障": ("兜底救助", "民政"),
    "社会帮扶": ("普惠民生", "民政"),
}
_BY_CAUSE = {
    "因病": "健康",
    "因学": "教育",
    "因安全住房": "住房",
    "因安全饮水": "饮水",
    "因务工就业不稳": "就业",
    "因产业项目失败": "产业",
    "因自然灾害": "产业",
}
_STANDING_SHARE, _LATE_SHARE = 0.35, 0.06
_VISIT_CHANCE = {"monitored": 0.85, "lifted": 0.3, "ordinary": 0.04}
_OUTCOMES = ("属实", "部分属实", "不属实", "未见到户", "外出")
_ROLES = ("村干部", "驻村队员", "第一书记", "帮扶责任人", "网格员")


def record_measures(scene: Scene, register: Register) -> pl.DataFrame:
    """Return table ``measure``: standing help, public posts, loans, and what inclusion brings."""
    rng = scene.rng(9)
    ledger = Ledger("measure")
    start = first_day(scene.start)
    p = scene.population
    rows = np.flatnonzero(p.is_founded & p.is_lifted & (p.labour_n > 0) & (rng.random(p.n) < _STANDING_SHARE))
    _add(ledger, scene, "产业", rows, start - rng.integers(30, 900, len(rows)), start, "实施中", 2000.0)
    rows = np.flatnonzero(has_loan(scene))
    _add(ledger, scene, "金融", rows, start - rng.integers(30, 700, len(rows)), start, "实施中", None)
    _add_posts(ledger, scene, rng)
    _add_spells(ledger, scene, register, rng)
    frame = ledger.frame().sort("start_on", "household_id", "measure_type", "recorded_on")
    key = ["household_id", "start_on", "measure_type", "member_id"]
    numbers = frame.select(key).unique(maintain_order=True).with_row_index("number", offset=1)
    numbered = frame.join(numbers, on=key, how="left", nulls_equal=True, maintain_order="left")
    number = pl.col("number").cast(pl.String).str.zfill(7)
    return (
        numbered.with_columns((pl.lit("M") + number).alias("measure_id"))
        .drop("number")
        .unique(["measure_id", "recorded_on"], keep="last", maintain_order=True)
    )


def _add(
    ledger: Ledger,
    scene: Scene,
    kind: str,
    rows: Ints,
    start_on: Ints,
    recorded_on: Ints | int,
    status: str,
    amount: NDArray[np.float64] | float | None,
    **cells: object,
) -> None:
    policy, dept = _CLASS_AND_DEPT[kind]
    ledger.add(
        len(rows),
        {
            "household_id": scene.household_ids.gather(rows),
            "measure_type": kind,
            "measure_class": policy,
            "start_on": start_on,
            "recorded_on": recorded_on,
            "amount_yuan": amount,
            "dept": dept,
            "status": status,
            **cells,
        },
    )


def _add_posts(ledger: Ledger, scene: Scene, rng: np.random.Generator) -> None:
    """Public-welfare posts are measures of one term each."""
    initial, start = scene.history.initial, scene.start
    for slot in range(SLOTS):
        rows = np.flatnonzero((initial.job[slot, 0] == POST) & (initial.employed[slot, 0] > 0))
        ends = initial.post_end[slot, 0, rows].astype(np.int64)
        rows, ends = rows[ends != NEVER], ends[ends != NEVER]
        _add_terms(ledger, scene, rows, initial.worker[slot, 0, rows], ends, first_day(start))
    for month in range(start, start + scene.months):
        for kind in ("post_renewed", "hired"):
            happening = scene.happened(month, kind)
            here = (happening.code == POST) | (kind == "post_renewed")
            rows = happening.household[here]
            ends = np.full(len(rows), month + POST_TERM_MONTHS)
            recorded = first_day(month + 1) + draw_delays(8, len(rows), rng)
            _add_terms(ledger, scene, rows, happening.member[here], ends, recorded)


def _add_terms(
    ledger: Ledger, scene: Scene, rows: Ints, workers: Ints, ends: Ints, recorded: Ints | int
) -> None:
    begins = np.array([first_day(int(m) - POST_TERM_MONTHS + 1) for m in ends.tolist()], np.int64)
    until = np.array([last_day(int(m)) for m in ends.tolist()], np.int64)
    members = scene.member_ids.gather(workers)
    if not isinstance(recorded, int):
        recorded = np.maximum(recorded, begins)
    _add(ledger, scene, "公益岗位", rows, begins, recorded, "实施中", None, end_on=until, member_id=members)


def _add_spells(ledger: Ledger, scene: Scene, register: Register, rng: np.random.Generator) -> None:
    """Add what each inclusion brings, and its completion when the spell is cleared."""
    begun: dict[str, list[tuple[int, int, int, int]]] = {}
    earliest = first_day(scene.start)
    for spell in register.spells:
        late = rng.random() < _LATE_SHARE
        for kind in _kinds_for(spell, scene, rng):
            begins = spell.included_on + int(rng.integers(32, 60) if late else rng.integers(2, 27))
            recorded = max(begins + int(rng.integers(2, 15)), earliest)
            if spell.cleared_on == NO_DAY or begins < spell.cleared_on:
                begun.setdefault(kind, []).append((spell.household, begins, recorded, spell.cleared_on))
    for kind in sorted(begun):
        rows, begins, recorded, cleared = np.array(begun[kind], np.int64).T
        amount = (rng.integers(5, 40, len(rows)) * 100).astype(np.float64)
        _add(ledger, scene, kind, rows, begins, recorded, "实施中", amount)
        done = cleared != NO_DAY
        ended = np.maximum(cleared + 5, recorded + 1)[done]
        cells = {"end_on": cleared[done]}
        _add(ledger, scene, kind, rows[done], begins[done], ended, "完成", amount[done], **cells)


def _kinds_for(spell: Spell, scene: Scene, rng: np.random.Generator) -> list[str]:
    has_labour = scene.population.labour_n[spell.household] > 0
    kinds = {_BY_CAUSE[cause] for cause in spell.causes.split("、") if cause in _BY_CAUSE}
    kinds |= {"综合保障"} if spell.kind == POOR else {"社会帮扶"}
    if spell.kind != LACKS_GUARANTEE and has_labour and not kinds & {"就业", "产业"}:
        kinds |= {"就业" if rng.random() < 0.6 else "产业"}
    return sorted(kinds)


def record_visits(scene: Scene) -> pl.DataFrame:
    """Return table ``visit``: the round that teams make, monitored and lifted households more often."""
    rng = scene.rng(10)
    p, history = scene.population, scene.history
    ledger = Ledger("visit")
    ends = np.array(history.period_ends)
    for month in range(scene.start, scene.start + scene.months):
        place = int(np.searchsorted(ends, month)) - 1
        monitored = history.monitored[place] if place >= 0 else history.initial.monitored_since[0] != NEVER
        failing = history.ratio[place] < 1 if place >= 0 else np.zeros(p.n, bool)
        chance = np.where(p.is_lifted, _VISIT_CHANCE["lifted"], _VISIT_CHANCE["ordinary"])
        chance = np.where(monitored, _VISIT_CHANCE["monitored"], chance)
        rows = np.flatnonzero(history.lives(month) & (rng.random(p.n) < chance))
        n = len(rows)
        planned = first_day(month) + rng.integers(0, 22, n)
        visited = np.minimum(planned + rng.integers(0, 9, n), last_day(month))
        met = rng.random(n) < 0.9
        poor = failing[rows]
        found = np.where(poor, rng.choice(3, size=n, p=[0.6, 0.25, 0.15]), 2)
        outcome = np.where(met, found, rng.choice([3, 4], size=n))
        confirms = outcome < 2
        ledger.add(
            n,
            {
                "household_id": scene.household_ids.gather(rows),
                "planned_on": planned,
                "visited_on": visited,
                "recorded_on": visited + draw_delays(3, n, rng),
                "visitor_role": decode(_ROLES, rng.choice(5, size=n, p=[0.4, 0.2, 0.1, 0.2, 0.1])),
                "outcome": decode(_OUTCOMES, outcome),
                "verified_risk_types": pl.Series(np.where(confirms, 0, 1)).replace_strict(
                    {0: RISK_TYPES[-1], 1: None}, return_dtype=pl.String
                ),
                "need_inclusion": confirms & ~monitored[rows] & (rng.random(n) < 0.3),
                "emergency_aid": confirms & (rng.random(n) < 0.08),
            },
        )
    frame = ledger.frame().sort("visited_on", "household_id")
    number = pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(8)
    return frame.with_columns((pl.lit("V") + number).alias("visit_id"))
