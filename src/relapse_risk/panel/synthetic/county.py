"""The county's own tables: thresholds, monthly figures, and contacts that never reach a panel."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.history import FAR
from relapse_risk.panel.synthetic.register import Register
from relapse_risk.panel.synthetic.scene import (
    NO_DAY,
    Ints,
    Ledger,
    Scene,
    canonical,
    county_codes,
    first_day,
    last_day,
    village_codes,
)

_HEADS = "甲乙丙丁戊己庚辛壬癸"


def list_thresholds(scene: Scene) -> pl.DataFrame:
    """Return table ``threshold``: the income line by county and year, for every simulated month."""
    first, last = scene.start // 12, (scene.start + scene.months - 1) // 12
    rows = [
        {
            "param": "line",
            "area_code": code,
            "effective_from": date(year, 1, 1),
            "effective_to": date(year, 12, 31) if year < last else None,
            "value": scene.scenario.line_yuan(year),
            "unit": "元/人·年",
            "source": "synthetic",
            "verified": False,
            "recorded_on": date(year, 1, 1),
        }
        for code in county_codes(np.arange(scene.scenario.n_counties))
        for year in range(first, last + 1)
    ]
    return canonical("threshold", pl.DataFrame(rows))


def count_by_month(scene: Scene, register: Register) -> pl.DataFrame:
    """Return table ``county_month``: persons lifted and monitored, households entered and cleared."""
    p, scenario = scene.population, scene.scenario
    n_counties, county = scenario.n_counties, p.villages.county[p.village]
    codes = county_codes(np.arange(n_counties))
    ends_of_periods, persons = np.array(scene.history.period_ends), np.array(scene.history.n_person)
    spells = register.spells
    homes = np.array([spell.household for spell in spells], np.int64)
    included = np.array([spell.included_on for spell in spells], np.int64)
    cleared = np.array([spell.cleared_on for spell in spells], np.int64)
    ledger = Ledger("county_month")
    struck_before = np.zeros(n_counties)
    for month in range(scene.start, scene.start + scene.months):
        begin, end = first_day(month), last_day(month)
        place = min(int(np.searchsorted(ends_of_periods, month)), len(persons) - 1)
        present, lives = persons[place], scene.history.lives(month)
        on = (included <= end) & ((cleared == NO_DAY) | (cleared > end))
        grown = (1 + scenario.line.annual_growth) ** (month // 12 - scenario.line.base_year)
        struck = scene.happened(month, "disaster").household
        share = _count(county[struck], n_counties) / np.maximum(_count(county[lives], n_counties), 1)
        struck_before = 0.8 * struck_before + share
        ledger.add(
            n_counties,
            {
                "county_code": codes,
                "month": begin,
                "recorded_on": end + 8,
                "lifted_n": _count(county, n_counties, p.is_lifted * present),
                "monitored_n": _count(county[homes[on]], n_counties, present[homes[on]]),
                "new_n": _count(county[homes[(included >= begin) & (included <= end)]], n_counties),
                "cleared_n": _count(county[homes[(cleared >= begin) & (cleared <= end)]], n_counties),
                "is_key_county": True,
                "rural_dpi_prev_yuan": float(round(scenario.line.dpi_prev_yuan * grown)),
                "dibao_standard_yuan": float(round(scenario.line.dibao_standard_yuan * grown, -1)),
                "cpi": 102.0,
                "disaster_index": struck_before.round(3),
            },
        )
    return ledger.frame().sort("county_code", "month")


def _count(county: Ints, n_counties: int, weights: Ints | None = None) -> Ints:
    return np.bincount(county, weights=weights, minlength=n_counties).astype(np.int64)


def list_contacts(scene: Scene) -> pl.DataFrame:
    """Return table ``contact`` with placeholders no reader can take for people."""
    p = scene.population
    number = pl.Series(np.arange(p.n) + 1)
    letters = pl.Series(list(_HEADS)).gather(np.arange(p.n) // 10_000 % len(_HEADS))
    serial = number.cast(pl.String)
    place = village_codes(p.villages).gather(p.village)
    frame = pl.DataFrame(
        {"household_id": scene.household_ids, "letter": letters, "serial": serial, "v": place}
    )
    within = pl.col("household_id").str.slice(12).cast(pl.Int64).cast(pl.String)
    return canonical(
        "contact",
        frame.with_columns(
            head_name=pl.lit("户主") + pl.col("letter") + pl.col("serial").str.slice(-4).str.zfill(4),
            phone=pl.lit("000") + pl.col("serial").str.zfill(8),
            address=pl.lit("示例村") + pl.col("v").str.slice(6) + pl.lit("组") + within + pl.lit("号"),
            recorded_on=pl.lit(scene.scenario.start),
            helper_name=pl.lit("帮扶干部") + pl.col("v").str.slice(6),
            helper_phone=pl.lit("001") + pl.col("v").str.slice(4),
        ).filter(pl.Series(scene.history.begins != FAR)),
    )
