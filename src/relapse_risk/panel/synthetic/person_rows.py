"""What is written about members: the cells that never change, and the frame of all versions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.members import EDUCATIONS, LOST, RELATIONS
from relapse_risk.panel.synthetic.population import MIGRANT
from relapse_risk.panel.synthetic.scene import (
    SCHEME_VERSION,
    Ints,
    Ledger,
    Scene,
    canonical,
    decode,
    first_day,
)
from relapse_risk.panel.tables import LABOUR_SKILLS, WORK_PLACES

WORK_STATUSES = ("在岗", "离岗", "未务工")
CHRONIC_KINDS = (None, "高血压", "糖尿病", "肺结核", "严重精神障碍")
_DATES = ("job_start_on", "job_end_on")


def fixed_cells(scene: Scene, rows: Ints) -> dict[str, object]:
    """Return what never changes, for the members of ``rows``."""
    p = scene.population
    members, rng, n = p.members, scene.rng(7), len(p.members.household)
    age, home = members.age(scene.start), members.household
    away = (p.job == MIGRANT).any(axis=0)[home] & (age < 16)
    chronic = np.where(members.has_chronic, rng.choice(5, size=n, p=[0.35, 0.4, 0.17, 0.02, 0.06]), 0)
    insured_old = rng.random(n) < np.interp(age, [16, 18, 35, 60], [0, 0.55, 0.8, 0.97])
    frame: dict[str, object] = {
        "member_id": scene.member_ids,
        "household_id": scene.household_ids.gather(home),
        "scheme_version": SCHEME_VERSION,
        "sex": decode(("女", "男"), members.is_male.astype(np.int64)),
        "chronic4": decode(CHRONIC_KINDS, chronic),
        "family_doctor": (rng.random(n) < np.where(members.has_chronic, 0.85, 0.6)),
        "adl_dependent": (members.labour == LOST) & (rng.random(n) < np.where(age >= 75, 0.25, 0.12)),
        "left_behind_child": away & (rng.random(n) < 0.35),
        "child_difficulty": (age < 16) & (rng.random(n) < 0.02),
        "orphan_defacto": (age < 16) & (rng.random(n) < 0.004),
        "liang_hou_sheng": False,
        "premium_subsidised": p.is_lifted[home],
        "critical_insured": True,
        "pension_insured": insured_old,
        "pension_proxy_paid": p.is_lifted[home] & (members.disability > 0) & insured_old,
        "on_tekun": p.is_tekun[home],
        "chronic_managed": pl.Series(np.where(chronic > 0, rng.random(n) < 0.85, -1)).replace(-1, None),
    }
    return {name: _taken(values, rows) for name, values in frame.items()}


def _taken(values: object, rows: Ints) -> object:
    if isinstance(values, pl.Series):
        return values.gather(rows)
    return values[rows] if isinstance(values, np.ndarray) else values


def member_frame(
    rows: Ints,
    recorded: Ints,
    now: Mapping[str, np.ndarray],
    texts: Mapping[str, tuple[tuple[str | None, ...], np.ndarray]],
    fixed: Mapping[str, object],
    has_chronic: np.ndarray,
) -> pl.DataFrame:
    """Return table ``member``: one row per version, with what was so when it was recorded.

    Parameters
    ----------
    rows, recorded : ndarray, shape (n_versions,)
        Member row and day of record.
    now : mapping of str to ndarray, shape (n_versions,)
        Codes, days and amounts of each version.
    texts : mapping of str to (texts, codes)
        More coded columns.
    """
    births = {month: first_day(month) for month in np.unique(now["birth_month"]).tolist()}
    changing: dict[str, object] = {
        "birth_month": pl.Series(now["birth_month"]).replace_strict(births).to_numpy(),
        "relation": decode(RELATIONS, now["relation"]),
        "education": decode(EDUCATIONS, now["education"]),
        "disability_grade": pl.Series(now["disability"]).replace(0, None),
        "labour_skill": decode(LABOUR_SKILLS, now["labour"]),
        "work_status": decode(WORK_STATUSES, now["work_status"]),
        "work_place": decode(WORK_PLACES, now["work_place"]),
    }
    changing |= {name: decode(values, codes) for name, (values, codes) in texts.items()}
    plain = ("is_present", "elder_alone", "med_insured", "on_dibao", "monthly_wage_yuan", *_DATES)
    changing |= {name: now[name] for name in plain}
    ledger = Ledger("member")
    ledger.add(len(rows), {**fixed, **changing, "recorded_on": recorded})
    frame = ledger.frame().with_columns(_health(now, has_chronic[rows]))
    return canonical("member", frame.sort("member_id", "recorded_on"))


def _health(now: Mapping[str, np.ndarray], has_chronic: np.ndarray) -> pl.Series:
    """Return health status as a list of coded values; ``健康`` where nothing else is said."""
    code = has_chronic * 1 + now["is_ill"] * 2 + (now["disability"] > 0) * 4
    texts = []
    for number in range(8):
        parts = [text for bit, text in enumerate(("长期慢性病", "患有大病", "残疾")) if number >> bit & 1]
        texts.append("、".join(parts) or "健康")
    return decode(tuple(texts), code.astype(np.int64)).rename("health_status")
