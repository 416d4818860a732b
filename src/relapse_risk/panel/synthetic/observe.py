"""The monitoring records of a synthetic county: true flows with error, gaps, delay and corrections."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.members import school_of
from relapse_risk.panel.synthetic.population import HOUSING, INSURANCE, SCHOOLING, WATER
from relapse_risk.panel.synthetic.scene import (
    SCHEME_VERSION,
    Floats,
    Ints,
    Ledger,
    Scene,
    decode,
    draw_delays,
    last_day,
)

Bools = NDArray[np.bool_]
_NET_INCOME_PARTS = (
    "wage_income_yuan",
    "public_post_income_yuan",
    "business_income_yuan",
    "business_cost_yuan",
    "net_income_yuan",
)
_NEEDY_RATIO = 1.2
_MISSED_CHANGES = 0.15
_SCHOOL_FEES_YUAN = (0.0, 3600.0, 500.0, 700.0, 8500.0, 15500.0)
_FIRST_FEE_BEYOND_DUTY = 4
_TERM_MONTHS = (1, 8)
_GRADES = ("A", "B", "C", "D", None)


def observe(scene: Scene, gets_dibao: Bools) -> pl.DataFrame:
    """Return table ``observation`` with all its versions.

    Parameters
    ----------
    gets_dibao : ndarray of bool, shape (n_periods, n_households)
        Whose cash assistance is booked as subsistence allowance.
    """
    rng = scene.rng(1)
    cells = _amounts(scene, gets_dibao, rng)
    cells.update(_living(scene, rng))
    n_periods, n = cells["wage_income_yuan"].shape
    ends = np.array([last_day(month) for month in scene.history.period_ends])
    ratio = np.array(scene.history.ratio)
    need = np.where(ratio < _NEEDY_RATIO, 1 + scene.scenario.reporting.need_factor, 1.0)
    delay = draw_delays(scene.scenario.reporting.report_delay_days, n_periods * n, rng, 0.4)
    recorded = ends[:, None] + delay.reshape(n_periods, n)
    ids = scene.household_ids
    persons = np.array(scene.history.n_person, dtype=np.float64)
    constant = {
        "household_id": ids.gather(np.tile(np.arange(n), n_periods)),
        "period_end": np.repeat(ends, n),
        "period_months": scene.scenario.observation_months,
        "scheme_version": SCHEME_VERSION,
        "n_person": _persons_as_reported(persons, rng).ravel(),
        "work_place": _work_place(scene, cells.pop("works_away"), rng),
        "house_grade": decode(_GRADES, _grades(cells.pop("grade"), need, scene, rng)),
    }
    flat = {name: values.ravel().astype(np.float64) for name, values in cells.items()}
    final = _with_gaps(flat, need.ravel(), scene, rng)
    first, is_corrected = _first_versions(final, flat, scene, rng)
    wait = 20 + draw_delays(40, n_periods * n, rng)
    arrives = rng.random(n_periods * n) >= scene.scenario.reporting.missing_share / 2 * need.ravel()
    arrives &= _is_whole(scene).ravel()
    ledger = Ledger("observation")
    for values, day, keep in (
        (first, recorded.ravel(), arrives),
        (final, recorded.ravel() + wait, arrives & is_corrected),
    ):
        rows = np.flatnonzero(keep)
        ledger.add(len(rows), _rows({**constant, **values, "recorded_on": day}, rows))
    return ledger.frame().sort("period_end", "household_id", "recorded_on")


def _persons_as_reported(persons: Floats, rng: np.random.Generator) -> Floats:
    """Return persons per report: a change is missed by some of the reports of its own period."""
    before = np.vstack([persons[:1], persons[:-1]])
    missed = (before != persons) & (before > 0) & (rng.random(persons.shape) < _MISSED_CHANGES)
    return np.where(missed, before, persons)


def _is_whole(scene: Scene) -> Bools:
    """Return which households live through each whole period, shape ``(n_periods, n_households)``."""
    every = scene.scenario.observation_months
    return np.array([scene.history.lives(end - every + 1, end) for end in scene.history.period_ends])


def _rows(cells: dict[str, object], rows: Ints) -> dict[str, object]:
    chosen: dict[str, object] = {}
    for name, values in cells.items():
        if isinstance(values, pl.Series):
            chosen[name] = values.gather(rows)
        elif isinstance(values, np.ndarray):
            chosen[name] = values[rows]
        else:
            chosen[name] = values
    return chosen


def _reporting_error(scene: Scene, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return factors on self-reported amounts, shape ``(n_periods, n_households)``."""
    config = scene.scenario.reporting
    memory = config.income_error_memory
    error = rng.standard_normal(shape)
    for period in range(1, shape[0]):
        error[period] = memory * error[period - 1] + (1 - memory**2) ** 0.5 * error[period]
    factor: Floats = np.exp(config.income_error_sd * error)
    return factor


def _amounts(scene: Scene, gets_dibao: Bools, rng: np.random.Generator) -> dict[str, Floats]:
    """Return reported flows in whole yuan; net income is exactly the sum of its parts."""
    p, history, scenario = scene.population, scene.history, scene.scenario
    flows = {name: np.array(parts, dtype=np.float64) for name, parts in history.flows.items()}
    shape = flows["wage"].shape
    every = scenario.observation_months
    level = np.array(
        [sum(scenario.price_level(m - i) for i in range(every)) / 12 for m in history.period_ends]
    )[:, None]
    post = np.round(flows["post"])
    wage = np.round((flows["wage"] - flows["post"]) * _reporting_error(scene, shape, rng)) + post
    error = _reporting_error(scene, shape, rng)
    business = np.round(flows["farm"] * error)
    cost = np.round(flows["farm_cost"] * np.sqrt(error))
    dividend = np.round(p.dividend_yuan * level)
    property_income = dividend + np.round(p.property_yuan * level)
    allowance = flows["support"] * (p.dibao_yuan / np.maximum(p.family_yuan + p.dibao_yuan, 1.0))
    dibao = np.round(allowance + np.where(gets_dibao, flows["aid"], 0))
    relief = np.round(np.where(gets_dibao, 0, flows["aid"]))
    pension, subsidy = np.round(flows["pension"]), np.round(p.subsidy_yuan * level)
    transfer = dibao + relief + pension + subsidy + np.round(flows["support"] - allowance)
    return {
        "wage_income_yuan": wage,
        "public_post_income_yuan": post,
        "business_income_yuan": business,
        "business_cost_yuan": cost,
        "property_income_yuan": property_income,
        "asset_dividend_yuan": np.broadcast_to(dividend, shape),
        "transfer_income_yuan": transfer,
        "dibao_amount_yuan": dibao,
        "pension_amount_yuan": pension,
        "subsidy_amount_yuan": np.broadcast_to(subsidy, shape),
        "claim_income_yuan": np.round(flows["claim"]),
        "oop_compliant_yuan": np.round(flows["own_pay"] + flows["minor_own_pay"]),
        "net_income_yuan": wage + business - cost + property_income + transfer,
        "work_months": flows["work_months_0"] + flows["work_months_1"],
        "workers_n": (flows["work_months_0"] > 0).astype(float) + (flows["work_months_1"] > 0),
        "works_away": _works_away(flows),
        **_costs(scene, level, rng),
    }


def _works_away(flows: dict[str, Floats]) -> Floats:
    """Return 0 where nobody works, 2 where most of the work is outside the county, else 1."""
    months = flows["work_months_0"] + flows["work_months_1"]
    return np.select([months == 0, 2 * flows["away_months"] >= months], [0.0, 2.0], 1.0)


def _work_place(scene: Scene, works_away: Floats, rng: np.random.Generator) -> pl.Series:
    places = ("无", "县内", "省内", "京津", "省外")
    outside = rng.choice([2, 3, 4], size=scene.population.n, p=[0.3, 0.45, 0.25])
    code = np.where(works_away == 2, np.broadcast_to(outside, works_away.shape), works_away)
    return pl.Series(places).gather(code.ravel().astype(np.int64))


def _costs(scene: Scene, level: Floats, rng: np.random.Generator) -> dict[str, Floats]:
    """Return spending on school, rehabilitation and the house: rigid, but no part of reference income."""
    p, history = scene.population, scene.history
    members, every = p.members, scene.scenario.observation_months
    shape = (len(history.period_ends), p.n)
    fees, beyond = np.zeros(shape), np.zeros(shape)
    fee_yuan = np.array(_SCHOOL_FEES_YUAN)
    for place, month in enumerate(history.period_ends):
        terms = sum((month - i) % 12 in _TERM_MONTHS for i in range(every))
        school = school_of(members.age(month), members.ends_school)
        fee = fee_yuan[school] * terms / 2 * history.present[place]
        fees[place] = np.bincount(members.household, weights=fee, minlength=p.n)
        past_duty = np.where(school >= _FIRST_FEE_BEYOND_DUTY, fee, 0.0)
        beyond[place] = np.bincount(members.household, weights=past_duty, minlength=p.n)
    price = level * 12 / every
    habit = np.exp(rng.normal(0, 0.25, p.n)) * price
    severe_members = np.isin(members.disability, (1, 2))
    severe = np.array(
        [np.bincount(members.household[severe_members & here], minlength=p.n) for here in history.present]
    )
    repairs = np.where(rng.random(shape) < 0.004 * every / 3, rng.uniform(5e3, 3e4, shape), 0.0)
    past = np.round(beyond * habit)
    return {
        "education_cost_yuan": past + np.round((fees - beyond) * habit),
        "noncompulsory_education_cost_yuan": past,
        "rehab_cost_yuan": np.round(severe * level * 1300 * np.exp(rng.normal(0, 0.3, p.n))),
        "housing_cost_yuan": np.round(repairs * price + 240 * level),
    }


def _living(scene: Scene, rng: np.random.Generator) -> dict[str, Floats]:
    """Return what is reported of the guarantees, and who applied on their own."""
    p = scene.population
    failed, ratio = np.array(scene.history.failed), np.array(scene.history.ratio)
    ruin = np.where(rng.random(p.n) < 0.3, 3.0, 2.0)
    grade = np.where(failed[:, HOUSING], ruin, np.where(p.is_house_worn, 1.0, 0.0))
    asks = np.where((ratio < 1) | failed.any(axis=1), 0.08, 0.0008)
    return {
        "grade": grade,
        "water_safe": ~failed[:, WATER],
        "dropout_n": failed[:, SCHOOLING],
        "uninsured_n": failed[:, INSURANCE],
        "food_clothing_ok": ratio > 0.4,
        "self_reported": rng.random(ratio.shape) < asks,
    }


def _grades(grade: Floats, need: Floats, scene: Scene, rng: np.random.Generator) -> Ints:
    empty = rng.random(grade.shape) < 2 * scene.scenario.reporting.missing_share * need
    return np.where(empty, len(_GRADES) - 1, grade).ravel().astype(np.int64)


def _with_gaps(
    cells: dict[str, Floats], need: Floats, scene: Scene, rng: np.random.Generator
) -> dict[str, Floats]:
    """Return the cells with some empty; where a part of net income is, net income is empty too."""
    share = scene.scenario.reporting.missing_share * need
    groups = {
        1.0: (
            ("wage_income_yuan", "public_post_income_yuan"),
            ("business_income_yuan", "business_cost_yuan"),
        ),
        0.5: (("oop_compliant_yuan",), ("work_months", "workers_n"), ("dropout_n",), ("uninsured_n",)),
        3.0: (
            ("education_cost_yuan", "noncompulsory_education_cost_yuan"),
            ("rehab_cost_yuan",),
            ("housing_cost_yuan",),
            ("food_clothing_ok",),
            ("water_safe",),
        ),
    }
    gaps = dict(cells)
    for factor, columns in groups.items():
        for names in columns:
            empty = rng.random(len(share)) < factor * share
            for name in names:
                gaps[name] = np.where(empty, np.nan, gaps[name])
    lacks = np.isnan(gaps["wage_income_yuan"]) | np.isnan(gaps["business_income_yuan"])
    gaps["net_income_yuan"] = np.where(lacks, np.nan, gaps["net_income_yuan"])
    return gaps


def _first_versions(
    final: dict[str, Floats], full: dict[str, Floats], scene: Scene, rng: np.random.Generator
) -> tuple[dict[str, Floats], Bools]:
    """Return the cells as first handed in, and which rows are corrected later.

    Half of the gaps in income are filled by the correction, so the corrected row becomes the final one;
    other corrections replace a wrong wage.
    """
    n = len(full["net_income_yuan"])
    first = dict(final)
    filled = np.isnan(final["net_income_yuan"]) & (rng.random(n) < 0.5)
    for name in _NET_INCOME_PARTS:
        final[name] = np.where(filled, full[name], final[name])
    wrong = (rng.random(n) < scene.scenario.reporting.correction_share) & ~np.isnan(first["net_income_yuan"])
    post = np.nan_to_num(first["public_post_income_yuan"])
    slip = np.round((first["wage_income_yuan"] - post) * rng.uniform(-0.35, 0.35, n))
    for name in ("wage_income_yuan", "net_income_yuan"):
        first[name] = np.where(wrong, first[name] + slip, first[name])
    return first, filled | (wrong & (slip != 0))
