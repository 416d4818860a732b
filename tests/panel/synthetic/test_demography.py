"""People of the synthetic county come and go: in the latent state, on every path, and in the tables."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.panel.synthetic import Scenario, SyntheticCounty, simulate
from relapse_risk.panel.synthetic.members import NOBODY
from relapse_risk.panel.synthetic.population import PENSION_AGE, draw_population
from relapse_risk.panel.synthetic.state import Happening, State, first_state
from relapse_risk.panel.synthetic.step import step
from relapse_risk.panel.synthetic.world import World

YEARS = 4


@pytest.fixture(scope="module")
def county() -> SyntheticCounty:
    return simulate(3000, 60, seed=6, oracle_dates=[], hazard_paths=0)


@pytest.fixture(scope="module")
def lived() -> tuple[World, State, list[Happening]]:
    """A county after four years, on one path, with what happened."""
    scenario = Scenario()
    world = World(draw_population(4000, scenario, np.random.default_rng(1)), scenario)
    rng = np.random.default_rng(2)
    state, log = first_state(world, world.start - 1, rng), list[Happening]()
    for month in range(world.start, world.start + 12 * YEARS):
        step(state, world, month, rng, log)
    return world, state, log


def happened(log: list[Happening], kind: str) -> int:
    return sum(len(happening.household) for happening in log if happening.kind == kind)


def persons(state: State, world: World) -> np.ndarray:
    return np.bincount(
        world.population.members.household, weights=state.present[0], minlength=world.population.n
    )


def test_counters_agree_with_who_is_present(lived: tuple[World, State, list[Happening]]) -> None:
    world, state, _ = lived
    assert np.array_equal(persons(state, world), state.n_person[0])
    able = world.is_grown(np.arange(state.present.shape[1]), world.start + 12 * YEARS - 1)
    able = able & state.present[0] & ~state.unfit[0]
    counted = np.bincount(world.population.members.household, weights=able, minlength=world.population.n)
    lives = state.n_person[0] > 0
    assert np.array_equal(counted[lives], state.labour_n[0, lives])


def test_nobody_absent_or_unfit_has_work_and_nobody_works_twice(
    lived: tuple[World, State, list[Happening]],
) -> None:
    _, state, _ = lived
    worker = state.worker[:, 0]
    rows = worker[worker != NOBODY]
    assert state.present[0, rows].all()
    assert not state.unfit[0, rows].any()
    assert len(np.unique(rows)) == len(rows)
    assert not state.employed[:, 0][worker == NOBODY].any()


def test_empty_households_have_nothing_and_fail_nothing(lived: tuple[World, State, list[Happening]]) -> None:
    _, state, log = lived
    empty = state.n_person[0] == 0
    assert happened(log, "dissolved") > 20
    for values in (state.fixed, state.farm_yuan, state.trailing, state.pension):
        assert np.abs(values[0, empty]).max() < 1e-3
    assert not state.failed[:, 0, empty].any()
    assert not state.monitored_since[0, empty].any()


def test_events_of_life_are_about_as_common_as_in_a_village(
    lived: tuple[World, State, list[Happening]],
) -> None:
    """Per thousand people and year: 8 to 13 deaths, 3 to 9 births; a few splits and marriages."""
    world, state, log = lived
    per_thousand = 1000 / YEARS / state.n_person[0].sum()
    assert 8 < happened(log, "died") * per_thousand < 13
    assert 3 < happened(log, "born") * per_thousand < 9
    for kind in ("left", "joined", "founded", "disabled", "retired"):
        assert happened(log, kind) * per_thousand > 0.3, kind
    died = [p for h in log if h.kind == "died" for p in h.member]
    age = world.population.members.age(world.start)
    assert np.median(age[died]) > 70


def test_school_leavers_take_up_work_and_the_old_draw_pensions(
    lived: tuple[World, State, list[Happening]],
) -> None:
    world, state, _ = lived
    leavers = np.flatnonzero((world.entry_month > 0) & (world.entry_month < world.start + 12 * YEARS))
    assert np.isin(leavers, state.worker[:, 0]).mean() > 0.2
    members = world.population.members
    turned = (members.age(world.start) < PENSION_AGE) & (
        members.age(world.start + 12 * YEARS - 1) >= PENSION_AGE
    )
    homes = members.household[turned & state.present[0]]
    stayed = homes[persons(state, world)[homes] == world.population.n_person[homes]]
    assert (state.pension[0, stayed] > world.population.pension_yuan[stayed]).mean() > 0.9


def test_futures_change_households_as_often_as_history_does() -> None:
    """The oracle's paths hold the same demographic processes: sizes spread as on the realised path."""
    scenario = Scenario()
    world = World(draw_population(1500, scenario, np.random.default_rng(4)), scenario)
    one = first_state(world, world.start - 1, np.random.default_rng(5))
    begun = one.n_person.copy()
    changed = {}
    for paths, seed in ((1, 6), (40, 7)):
        state, rng = one.repeat(paths), np.random.default_rng(seed)
        for month in range(world.start, world.start + 12):
            step(state, world, month, rng)
        changed[paths] = (state.n_person != begun).mean()
    assert changed[40] == pytest.approx(changed[1], rel=0.25)


# --- the tables ---------------------------------------------------------------------------------------


def test_births_and_deaths_reach_the_members_table_late(county: SyntheticCounty) -> None:
    start = county.scenario.start
    member = county.tables["member"].sort("member_id", "recorded_on")
    born = member.filter(pl.col("birth_month") > start).unique("member_id", keep="first")
    delay = (born["recorded_on"] - born["birth_month"]).dt.total_days()
    assert born.height > 80
    assert delay.min() > 0
    assert 15 < delay.median() < 60
    last = member.unique("member_id", keep="last")
    gone = last.filter(~pl.col("is_present"))
    assert gone.height > 200
    assert last.filter(pl.col("is_present"))["member_id"].n_unique() > 7000
    assert set(gone["leave_reason"]) == {"死亡", "迁出"}
    assert last.filter(pl.col("is_present"))["leave_reason"].null_count() == last.height - gone.height


def test_reported_persons_follow_the_members_of_the_system(county: SyntheticCounty) -> None:
    observation, member = county.tables["observation"], county.tables["member"]
    assert (
        observation.group_by("household_id").agg(pl.col("n_person").n_unique() > 1)["n_person"].mean() > 0.1
    )
    reporting = observation.filter(pl.col("period_end") == observation["period_end"].max())
    last = member.sort("recorded_on").unique("member_id", keep="last").filter(pl.col("is_present"))
    both = reporting.join(last.group_by("household_id").len(), on="household_id")
    differ = (both["n_person"] - both["len"]).abs()
    assert (differ >= 1).mean() < 0.05
    assert (differ >= 2).mean() < 0.01


def test_a_household_that_dissolves_reports_no_more(county: SyntheticCounty) -> None:
    last = county.tables["member"].sort("recorded_on").unique("member_id", keep="last")
    empty = last.group_by("household_id").agg(pl.col("is_present").any()).filter(~pl.col("is_present"))
    ended = county.tables["observation"].group_by("household_id").agg(pl.col("period_end").max())
    both = empty.join(ended, on="household_id")
    assert both.height > 20
    assert (both["period_end"] < date(2023, 12, 31)).mean() > 0.9


def test_a_split_off_household_names_where_it_came_from_and_its_head_keeps_the_code(
    county: SyntheticCounty,
) -> None:
    household, member = county.tables["household"], county.tables["member"]
    split = household.filter(
        pl.col("predecessor_id").is_not_null()
        & (pl.col("recorded_on").min().over("household_id") > date(2019, 1, 1))
    ).unique("household_id")
    known = household["household_id"].implode()
    assert split.height > 10
    assert split["predecessor_id"].is_in(known).all()
    codes = member.select("member_id", "household_id").unique()
    heads = codes.join(split, on="household_id").join(
        codes, left_on=["member_id", "predecessor_id"], right_on=["member_id", "household_id"]
    )
    assert heads["household_id"].n_unique() == split.height


def test_migrants_come_home_and_others_leave_for_work(county: SyntheticCounty) -> None:
    member = county.tables["member"].sort("member_id", "recorded_on")
    works = member.filter(pl.col("work_status") == "在岗").with_columns(
        is_away=pl.col("work_place") != "县内"
    )
    turns = works.with_columns(before=pl.col("is_away").shift(1).over("member_id"))
    assert turns.filter(pl.col("before") & ~pl.col("is_away")).height > 20
    assert turns.filter(~pl.col("before") & pl.col("is_away")).height > 20


def test_whether_anybody_can_work_is_kept_up_to_date(county: SyntheticCounty) -> None:
    household = county.tables["household"].sort("household_id", "recorded_on")
    turns = household.group_by("household_id").agg(pl.col("all_no_labour").n_unique())
    assert (turns["all_no_labour"] > 1).sum() > 30
