"""What real data has: delays that differ by source, common shocks, help for those in need, changed codes."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.panel.synthetic import Scenario, SyntheticCounty, simulate
from relapse_risk.panel.synthetic.parameters import (
    AdministrationConfig,
    AssistanceConfig,
    FarmConfig,
    WorkConfig,
)
from relapse_risk.panel.synthetic.population import LOCAL, draw_population
from relapse_risk.panel.synthetic.state import first_state
from relapse_risk.panel.synthetic.step import step
from relapse_risk.panel.synthetic.truth import simulate_risk
from relapse_risk.panel.synthetic.world import World


@pytest.fixture(scope="module")
def county() -> SyntheticCounty:
    often = AdministrationConfig(recode_rate=0.02, move_rate=0.02, village_recode_rate=0.15)
    scenario = Scenario(administration=often)
    return simulate(2500, 48, scenario, seed=8, oracle_dates=[date(2021, 12, 31)], n_paths=3, hazard_paths=0)


def test_each_source_has_a_delay_of_its_own(county: SyntheticCounty) -> None:
    event = county.tables["event"].with_columns(
        delay=(pl.col("recorded_on") - pl.col("event_date")).dt.total_days()
    )
    median = dict(event.group_by("source_dept").agg(pl.col("delay").median()).iter_rows())
    assert median["水利"] < median["卫健"] < median["医保"] < median["人社"]
    visit = county.tables["visit"]
    assert (visit["recorded_on"] - visit["visited_on"]).dt.total_days().median() < median["水利"] + 3


def test_visits_are_paid_where_need_is(county: SyntheticCounty) -> None:
    kinds = (
        county.tables["household"]
        .unique("household_id", keep="first")
        .select("household_id", "household_type")
    )
    paid = county.tables["visit"].join(kinds, on="household_id").group_by("household_type").len()
    share = dict(paid.iter_rows())
    assert share["脱贫户"] > 2 * share["一般农户"]


@pytest.mark.parametrize(
    ("name", "scenario"),
    [
        ("disaster", Scenario(farm=FarmConfig(disaster_rate=0.3))),
        ("job_loss", Scenario(work=WorkConfig(factory_rate=0.3, local_loss_rate=0.0, migrant_loss_rate=0.0))),
    ],
)
def test_floods_and_closings_strike_a_village_at_once(name: str, scenario: Scenario) -> None:
    world = World(draw_population(1200, scenario, np.random.default_rng(1)), scenario)
    state, log = first_state(world, world.start + 4, np.random.default_rng(2)), []
    step(state, world, world.start + 5, np.random.default_rng(3), log)
    struck = np.concatenate([h.household for h in log if h.kind == name])
    villages = world.population.village
    exposed = world.population.is_founded & (
        (world.population.job == LOCAL).any(axis=0) | (name == "disaster")
    )
    share = np.bincount(villages[np.unique(struck)], minlength=20) / np.bincount(
        villages[exposed], minlength=20
    )
    assert (share > 0.3).sum() >= 3
    assert (share < 0.15).sum() >= 3


def test_a_collapse_of_prices_takes_from_all_who_sell_the_produce() -> None:
    scenario = Scenario(farm=FarmConfig(collapse_rate=1.0, price_sd=0.0))
    world = World(draw_population(300, scenario, np.random.default_rng(1)), scenario)
    state = first_state(world, world.start - 1, np.random.default_rng(2))
    step(state, world, world.start, np.random.default_rng(3))
    assert np.allclose(state.price, -scenario.farm.collapse_size)


def test_assistance_goes_to_those_in_need_and_lowers_their_hazard(county: SyntheticCounty) -> None:
    """Assisted households fare worse than others, and would fare worse still without."""
    included = (
        county.tables["household"].filter(pl.col("monitor_category") != "非监测")["household_id"].unique()
    )
    events = county.truth.events["household_id"].unique()
    rate_assisted = included.is_in(events.implode()).mean()
    assert rate_assisted > 3 * len(events) / county.truth.status["household_id"].n_unique()
    risks = []
    for factor in (0.5, 1.0):
        scenario = Scenario(assistance=AssistanceConfig(hazard_factor=factor))
        world = World(draw_population(1500, scenario, np.random.default_rng(1)), scenario)
        state = first_state(world, world.start - 1, np.random.default_rng(2))
        state.monitored_since[:] = world.start - 1
        risks.append(simulate_risk(state, world, world.start - 1, (12,), 20, (9,))[0].mean())
    assert risks[0] < 0.85 * risks[1]


# --- codes --------------------------------------------------------------------------------------------


def test_a_recoded_household_goes_on_under_its_new_code(county: SyntheticCounty) -> None:
    household, member = county.tables["household"], county.tables["member"]
    new = household.filter(pl.col("household_id").str.slice(12, 1) == "9").unique(
        "household_id", keep="first"
    )
    assert new.height > 80
    old = new["predecessor_id"].implode()
    assert new["predecessor_id"].is_in(household["household_id"].implode()).all()
    day = new.select(household_id="predecessor_id", day="recorded_on")
    for name in ("event", "visit", "measure"):
        late = county.tables[name].join(day, on="household_id").filter(pl.col("recorded_on") >= pl.col("day"))
        assert late.is_empty(), name
    assert (
        county.tables["observation"]
        .filter(pl.col("household_id").is_in(new["household_id"].implode()))
        .height
        > 80
    )
    last = member.sort("recorded_on").unique("member_id", keep="last").filter(pl.col("is_present"))
    assert (
        last.filter(pl.col("household_id").is_in(old)).height
        < 0.02 * last.filter(pl.col("household_id").is_in(new["household_id"].implode())).height + 1
    )
    key = ["household_id", "period_end", "recorded_on"]
    assert county.tables["observation"].select(key).is_duplicated().sum() == 0


def test_the_oracle_names_households_as_the_system_did_on_the_day(county: SyntheticCounty) -> None:
    known = county.panel().known_at(date(2021, 12, 31)).table("household")["household_id"]
    assert (~county.truth.oracle["household_id"].unique().is_in(known.implode())).mean() < 0.01


def test_villages_are_renumbered_and_households_move_between_them(county: SyntheticCounty) -> None:
    household = county.tables["household"].sort("household_id", "recorded_on")
    changed = household.with_columns(before=pl.col("village_code").shift(1).over("household_id")).filter(
        pl.col("before") != pl.col("village_code")
    )
    renumbered = changed.filter(pl.col("village_code").str.slice(9, 1) == "7")
    assert renumbered["before"].n_unique() >= 3
    assert renumbered.height > 40 * renumbered["before"].n_unique()
    moved = changed.filter(pl.col("village_code").str.slice(9, 1) != "7")
    assert moved.height > 50
    assert (moved["village_code"].str.slice(0, 9) == moved["township_code"]).all()
