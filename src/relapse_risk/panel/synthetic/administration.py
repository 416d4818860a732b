"""What offices do to codes: villages get new ones, households move on paper or are recoded.

None of it touches a life; it happens to the tables only, from the day it is recorded. The oracle names a
household as the system did on the as-of date; the rest of the truth keeps the code it began with.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic.scene import Scene, first_day, village_codes
from relapse_risk.panel.synthetic.truth import Truth

_EPOCH = date(1970, 1, 1)
_FIRST_NEW_VILLAGE = 701
_PLACE = ("village_code", "village_name")
_FOLLOWING = ("event", "measure", "visit", "workflow")
_CHANGE = {"household_id": pl.String, "day": pl.Date}


def administer(
    scene: Scene, tables: dict[str, pl.DataFrame], contacts: pl.DataFrame, truth: Truth
) -> tuple[dict[str, pl.DataFrame], pl.DataFrame, Truth]:
    """Return tables, contacts and truth with the codes that offices changed."""
    household = tables["household"]
    for moved in (_renumbered_villages(scene, scene.rng(11)), _moved(scene, scene.rng(13))):
        household = _placed(household, moved)
    recoded = _recoded(scene, household, scene.rng(14))
    following = {name: _renamed(tables[name], recoded, pl.col("recorded_on")) for name in _FOLLOWING}
    # A correction of a period reported before stays with the code it was reported under.
    first_report = pl.col("recorded_on").min().over("household_id", "period_end")
    changed = {
        "household": _recoded_households(household, recoded),
        "member": _recoded_members(tables["member"], recoded),
        "observation": _renamed(tables["observation"], recoded, first_report),
        **following,
    }
    oracle = _renamed(truth.oracle, recoded, pl.col("as_of_date"))
    contacts = _renamed(contacts, recoded, pl.lit(date.max))
    return {**tables, **changed}, contacts, replace(truth, oracle=oracle)


def _chosen(scene: Scene, rate: float, rng: np.random.Generator) -> list[tuple[int, date]]:
    """Return households, each at most once, and the day something is recorded of them."""
    found: dict[int, date] = {}
    for month in range(scene.start + 2, scene.start + scene.months):
        struck = scene.history.lives(month - 2, month) & (rng.random(scene.population.n) < rate / 12)
        for row in np.flatnonzero(struck).tolist():
            found.setdefault(row, _EPOCH + timedelta(days=first_day(month) + int(rng.integers(0, 28))))
    return sorted(found.items())


def _renumbered_villages(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    """Return the new place of every household of the villages that got a new code, from a January on."""
    p, rate = scene.population, scene.scenario.administration.village_recode_rate
    codes, rows = village_codes(p.villages), []
    seen: set[int] = set()
    for month in range(scene.start + 12, scene.start + scene.months, 12):
        for village in np.flatnonzero(rng.random(len(codes)) < rate).tolist():
            if village not in seen:
                seen.add(village)
                new = f"{codes[village][:9]}{_FIRST_NEW_VILLAGE + len(seen)}"
                day = _EPOCH + timedelta(days=first_day(month) + 14)
                rows += [(row, day, new) for row in np.flatnonzero(p.village == village).tolist()]
    return pl.DataFrame(
        {
            "household_id": scene.household_ids.gather([row for row, _, _ in rows]),
            "day": pl.Series([day for _, day, _ in rows], dtype=pl.Date),
            "new_village_code": pl.Series([code for _, _, code in rows], dtype=pl.String),
            "new_village_name": pl.Series([None] * len(rows), dtype=pl.String),
        }
    )


def _moved(scene: Scene, rng: np.random.Generator) -> pl.DataFrame:
    """Return the new place of households whose registration moves within their township."""
    p, codes = scene.population, village_codes(scene.population.villages)
    group = p.villages.county * 1000 + p.villages.township
    rows: list[tuple[int, date, int]] = []
    for row, day in _chosen(scene, scene.scenario.administration.move_rate, rng):
        near = np.flatnonzero((group == group[p.village[row]]) & (np.arange(len(group)) != p.village[row]))
        if len(near):
            rows.append((row, day, int(near[row % len(near)])))
    number = [village - int(np.searchsorted(group, group[village])) + 1 for _, _, village in rows]
    return pl.DataFrame(
        {
            "household_id": scene.household_ids.gather([row for row, _, _ in rows]),
            "day": pl.Series([day for _, day, _ in rows], dtype=pl.Date),
            "new_village_code": codes.gather([village for _, _, village in rows]),
            "new_village_name": pl.Series([f"示例{n}村" for n in number], dtype=pl.String),
        }
    )


def _recoded(scene: Scene, household: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    """Return households that get a new code: the old one, with a digit that no first code has."""
    chosen = _chosen(scene, scene.scenario.administration.recode_rate, rng)
    known = household.group_by("household_id").agg(pl.col("recorded_on").min().alias("first"))
    frame = pl.DataFrame(
        {
            "household_id": scene.household_ids.gather([row for row, _ in chosen]),
            "day": pl.Series([day for _, day in chosen], dtype=pl.Date),
        }
    )
    code = pl.col("household_id")
    return (
        frame.join(known, on="household_id", maintain_order="left")
        .filter(pl.col("day") > pl.col("first"))
        .select(*_CHANGE, new_id=code.str.slice(0, 12) + pl.lit("9") + code.str.slice(13))
    )


def _with_copies(frame: pl.DataFrame, latest: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return the versions and, on the day of the change, a copy of the one that stood until then."""
    copies = latest.with_columns(recorded_on=pl.col("day")).select(frame.columns)
    return pl.concat([frame, copies]).unique([key, "recorded_on"], keep="first", maintain_order=True)


def _latest_before(frame: pl.DataFrame, key: str) -> pl.DataFrame:
    before = frame.filter(pl.col("recorded_on") < pl.col("day")).sort("recorded_on", maintain_order=True)
    return before.unique(key, keep="last", maintain_order=True)


def _placed(household: pl.DataFrame, moved: pl.DataFrame) -> pl.DataFrame:
    joined = household.join(moved, on="household_id", how="left", maintain_order="left")
    full = _with_copies(joined, _latest_before(joined, "household_id"), "household_id")
    since = pl.col("recorded_on") >= pl.col("day")
    new = [pl.when(since).then(pl.col(f"new_{name}")).alias(f"new_{name}") for name in _PLACE]
    places = [pl.coalesce(f"new_{name}", name).alias(name) for name in _PLACE]
    placed = full.with_columns(new).with_columns(places)
    return placed.select(household.columns).sort("household_id", "recorded_on")


def _renamed(frame: pl.DataFrame, recoded: pl.DataFrame, known_on: pl.Expr) -> pl.DataFrame:
    """Return a table with the new code on rows known from the day of the change on."""
    since = known_on >= pl.col("day")
    joined = frame.join(recoded, on="household_id", how="left", maintain_order="left")
    code = pl.when(since).then("new_id").otherwise("household_id")
    return joined.with_columns(pl.coalesce(code, "household_id").alias("household_id")).select(frame.columns)


def _recoded_households(household: pl.DataFrame, recoded: pl.DataFrame) -> pl.DataFrame:
    joined = household.join(recoded, on="household_id", how="left", maintain_order="left")
    full = _with_copies(joined, _latest_before(joined, "household_id"), "household_id")
    since = (pl.col("recorded_on") >= pl.col("day")).fill_null(value=False)
    named = full.with_columns(
        predecessor_id=pl.when(since).then("household_id").otherwise("predecessor_id"),
        household_id=pl.when(since).then("new_id").otherwise("household_id"),
    )
    return named.select(household.columns).sort("household_id", "recorded_on")


def _recoded_members(member: pl.DataFrame, recoded: pl.DataFrame) -> pl.DataFrame:
    """Move whoever stands under the old code on the day of the change, and later rows, to the new one."""
    joined = member.join(recoded, on="household_id", how="left", maintain_order="left")
    concerned = joined.filter(pl.col("day").is_not_null()).select("member_id", "day").unique("member_id")
    theirs = member.join(concerned, on="member_id", how="inner", maintain_order="left")
    latest = _latest_before(theirs, "member_id").join(
        recoded.drop("day"), on="household_id", how="inner", maintain_order="left"
    )
    stays = latest.filter(pl.col("is_present"))
    full = _with_copies(joined, stays.select(joined.columns), "member_id")
    since = (pl.col("recorded_on") >= pl.col("day")).fill_null(value=False)
    code = pl.when(since).then("new_id").otherwise("household_id").alias("household_id")
    return full.with_columns(code).select(member.columns).sort("member_id", "recorded_on")
