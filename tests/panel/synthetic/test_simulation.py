"""The synthetic county: tables that keep the contract, and a truth that is as hard to guess as life."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.panel.schema import ITEM_SEPARATOR, ColumnType, Need
from relapse_risk.panel.synthetic import Scenario, SyntheticCounty, simulate
from relapse_risk.panel.synthetic.scenario import DrawnEvents
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import add_months, month_end, month_index

MONTHS = 72
ORIGINS = (date(2021, 12, 31), date(2022, 12, 31))


@pytest.fixture(scope="module")
def county() -> SyntheticCounty:
    return simulate(3000, MONTHS, seed=3, oracle_dates=ORIGINS, n_paths=100, hazard_paths=10)


def roc_auc(is_event: np.ndarray, score: np.ndarray) -> float:
    ranks = pl.Series(score).rank("average").to_numpy()
    n1 = int(is_event.sum())
    return float((ranks[is_event].sum() - n1 * (n1 + 1) / 2) / (n1 * (len(score) - n1)))


def at_origin(county: SyntheticCounty, origin: date) -> pl.DataFrame:
    """Households truly at risk at an origin, with their ratio, oracle risk, and event within 12 months."""
    month, end = origin.replace(day=1), add_months(origin, 12)
    truth = county.truth
    struck = truth.events.filter((pl.col("month") > month) & (pl.col("month") <= end))
    risk = truth.oracle.filter((pl.col("as_of_date") == origin) & (pl.col("horizon_months") == 12))
    kinds = county.tables["household"].unique("household_id", keep="first")
    return (
        truth.status.filter((pl.col("month") == month) & ~pl.col("is_failing"))
        .join(risk, on="household_id")
        .join(kinds.select("household_id", "household_type"), on="household_id")
        .with_columns(is_event=pl.col("household_id").is_in(struck["household_id"].unique().implode()))
    )


# --- the tables ---------------------------------------------------------------------------------------


def test_tables_have_exactly_the_declared_columns_and_types(county: SyntheticCounty) -> None:
    for name, frame in {**county.tables, "contact": county.contacts}.items():
        assert dict(frame.schema) == TABLE_BY_NAME[name].dtypes, name


def test_every_cell_keeps_its_columns_contract(county: SyntheticCounty) -> None:
    """Coded values, ranges and required cells, so that an ingest rejects nothing."""
    for name, frame in county.tables.items():
        for column in TABLE_BY_NAME[name].columns:
            cells = frame[column.name].drop_nulls()
            if column.need is not Need.OPTIONAL:
                assert len(cells) == frame.height, (name, column.name)
            if column.type is ColumnType.LIST and column.values:
                cells = cells.str.split(ITEM_SEPARATOR).explode(empty_as_null=True)
            if column.values:
                assert set(cells.cast(pl.String).unique()) <= set(column.values), (name, column.name)
            if column.minimum is not None and len(cells):
                assert cells.min() >= column.minimum, (name, column.name)
            if column.maximum is not None and len(cells):
                assert cells.max() <= column.maximum, (name, column.name)


def test_a_key_has_one_version_a_day(county: SyntheticCounty) -> None:
    for name, frame in county.tables.items():
        key = [*TABLE_BY_NAME[name].key, "recorded_on"]
        assert frame.select(key).is_duplicated().sum() == 0, name


def test_rows_refer_to_households_and_members_that_exist(county: SyntheticCounty) -> None:
    households = county.tables["household"]["household_id"].unique().implode()
    members = county.tables["member"].select("member_id", "household_id").unique()
    for name, frame in {**county.tables, "contact": county.contacts}.items():
        if "household_id" in frame.columns:
            assert frame["household_id"].is_in(households).all(), name
        if "member_id" in frame.columns:
            named = frame.filter(pl.col("member_id").is_not_null()).select("member_id", "household_id")
            assert named.join(members, on=["member_id", "household_id"], how="anti").is_empty(), name


def test_codes_are_text_of_the_agreed_length(county: SyntheticCounty) -> None:
    lengths = {"household_id": 18, "county_code": 6, "township_code": 9, "village_code": 12}
    for name, length in lengths.items():
        assert set(county.tables["household"][name].str.len_chars()) == {length}


def test_net_income_is_exactly_the_sum_of_its_parts(county: SyntheticCounty) -> None:
    known = county.tables["observation"].drop_nulls("net_income_yuan")
    parts = (
        pl.col("wage_income_yuan")
        + pl.col("business_income_yuan")
        - pl.col("business_cost_yuan")
        + pl.col("property_income_yuan")
        + pl.col("transfer_income_yuan")
    )
    assert known.select((pl.col("net_income_yuan") == parts).all()).item()


def test_parts_never_exceed_their_wholes(county: SyntheticCounty) -> None:
    observation = county.tables["observation"]
    wholes = {
        "wage_income_yuan": ["public_post_income_yuan"],
        "property_income_yuan": ["asset_dividend_yuan"],
        "transfer_income_yuan": ["dibao_amount_yuan", "pension_amount_yuan", "subsidy_amount_yuan"],
        "education_cost_yuan": ["noncompulsory_education_cost_yuan"],
    }
    for whole, parts in wholes.items():
        known = observation.drop_nulls([whole, *parts])
        assert known.select((pl.sum_horizontal(parts) <= pl.col(whole)).all()).item(), whole


def test_nothing_is_recorded_before_it_happened(county: SyntheticCounty) -> None:
    for name, frame in county.tables.items():
        happened = TABLE_BY_NAME[name].happened
        if happened is not None and name != "threshold":
            assert frame.filter(pl.col(happened) > pl.col("recorded_on")).is_empty(), name
    member = county.tables["member"]
    for column in ("birth_month", "job_start_on", "job_end_on"):
        assert member.filter(pl.col(column) > pl.col("recorded_on")).is_empty(), column
    household = county.tables["household"]
    for column in ("identified_on", "cleared_on"):
        assert household.filter(pl.col(column) > pl.col("recorded_on")).is_empty(), column


def test_all_but_those_who_came_later_are_known_from_the_first_day(county: SyntheticCounty) -> None:
    """Of households those founded by a split, of members those born or married in come later."""
    start = county.scenario.start
    household, member = county.tables["household"], county.tables["member"]
    assert county.panel().known_at(start).households.height == 3000
    late = household.filter(pl.col("recorded_on").min().over("household_id") > start)
    assert late["predecessor_id"].is_not_null().all()
    newcomers = member.filter(pl.col("recorded_on").min().over("member_id") > start)
    was_born = newcomers["birth_month"] >= start
    married_in = newcomers["relation"].is_in(["儿媳女婿", "配偶", "户主"])
    assert (was_born | married_in).all()
    assert was_born.sum() > 50
    assert married_in.sum() > 30


def test_the_line_covers_every_month_and_rises(county: SyntheticCounty) -> None:
    rows = county.tables["threshold"].sort("effective_from")
    first = month_index(county.scenario.start)
    for day in (month_end(first + number) for number in range(MONTHS)):
        covering = rows.filter(
            (pl.col("effective_from") <= day) & (pl.col("effective_to").fill_null(date.max) >= day)
        )
        assert covering.height == 1, day
    assert rows["value"].is_sorted()
    assert rows.filter(pl.col("effective_from") == date(2022, 1, 1))["value"].item() == 7300.0


def test_reports_are_late_corrected_and_have_gaps_where_need_is(county: SyntheticCounty) -> None:
    observation = county.tables["observation"]
    delay = (observation["recorded_on"] - observation["period_end"]).dt.total_days()
    assert 10 <= delay.median() <= 25
    versions = observation.group_by("household_id", "period_end").len()["len"]
    assert 0.005 < (versions > 1).mean() < 0.05
    needy = observation.join(
        county.truth.status.with_columns(period_end=pl.col("month").dt.month_end()),
        on=["household_id", "period_end"],
    )
    gaps = needy.group_by(pl.col("ref_income_to_line") < 1.2).agg(pl.col("net_income_yuan").is_null().mean())
    by_need = dict(gaps.iter_rows())
    assert 0 < by_need[False] < by_need[True] < 0.1


def test_reported_income_stays_near_the_truth(county: SyntheticCounty) -> None:
    """A trailing year of reports differs from the true one by a few percent, not more."""
    latest = county.tables["observation"].unique(["household_id", "period_end"], keep="last")
    flow = pl.col("net_income_yuan") + pl.col("claim_income_yuan") - pl.col("oop_compliant_yuan")
    reported = (
        latest.filter(pl.col("period_end").dt.year() == 2022)
        .group_by("household_id")
        .agg(reported=flow.sum() / pl.col("n_person").first() / 7300.0, quarters=flow.count())
        .filter(pl.col("quarters") == 4)
    )
    true = county.truth.status.filter(pl.col("month") == date(2022, 12, 1))
    both = true.join(reported, on="household_id")
    error = (both["reported"] / both["ref_income_to_line"]).log()
    spread = error.quantile(0.84, "linear") - error.quantile(0.16, "linear")  # two standard deviations
    assert 0.02 < spread / 2 < 0.08
    assert abs(error.median()) < 0.01


def test_composition_is_near_published_figures(county: SyntheticCounty) -> None:
    """Household size 2.4 to 2.75; wages, business, property and transfers near 42, 35, 2.5 and 20 %."""
    observation = county.tables["observation"]
    assert 2.4 < observation["n_person"].mean() < 2.75
    totals = {name: observation[name].sum() for name in observation.columns if name.endswith("_yuan")}
    net = totals["net_income_yuan"]
    assert 0.38 < totals["wage_income_yuan"] / net < 0.52
    assert 0.27 < (totals["business_income_yuan"] - totals["business_cost_yuan"]) / net < 0.40
    assert 0.01 < totals["property_income_yuan"] / net < 0.04
    assert 0.17 < totals["transfer_income_yuan"] / net < 0.25
    first = observation.filter(pl.col("period_end").dt.month() == 3)["net_income_yuan"].sum()
    assert 0.25 < first / net < 0.30, "much is paid before the Spring Festival"


def test_the_register_includes_and_clears_with_delay(county: SyntheticCounty) -> None:
    workflow = county.tables["workflow"]
    decided = workflow.filter(pl.col("decision").is_in(["纳入", "不纳入"]))
    assert (decided["county_on"] > decided["discovered_on"]).all()
    cleared = county.tables["household"].filter(pl.col("risk_cleared"))
    months = (cleared["cleared_on"] - cleared["identified_on"]).dt.total_days() / 30.4
    assert cleared.height > 10
    assert months.min() >= 5.5


def test_contacts_are_placeholders_and_stay_out_of_the_panel(county: SyntheticCounty) -> None:
    assert "contact" not in county.panel().tables
    assert county.contacts["head_name"].str.contains(r"^户主[甲-龟]\d{4}$").all()
    assert county.contacts["phone"].str.starts_with("000").all()


# --- the truth ----------------------------------------------------------------------------------------


def test_event_rates_are_those_of_the_scenario(county: SyntheticCounty) -> None:
    """About 3 to 6 % of lifted households at risk a year, about 1 % of ordinary ones; most by income."""
    frame = pl.concat([at_origin(county, origin) for origin in ORIGINS])
    rates = dict(frame.group_by("household_type").agg(pl.col("is_event").mean()).iter_rows())
    assert 0.03 < rates["脱贫户"] < 0.065
    assert 0.004 < rates["一般农户"] < 0.02
    by_income = (county.truth.events["outcome"] == "income").mean()
    assert 0.65 < by_income < 0.9


def test_oracle_risk_is_a_probability_that_never_falls_with_the_horizon(county: SyntheticCounty) -> None:
    oracle = county.truth.oracle
    assert oracle["risk"].is_between(0, 1).all()
    wide = oracle.pivot("horizon_months", index=["household_id", "as_of_date"], values="risk")
    assert (wide["3"] <= wide["6"]).all()
    assert (wide["6"] <= wide["12"]).all()
    begun = county.tables["household"]["household_id"].n_unique()
    assert 3000 * len(ORIGINS) < wide.height <= begun * len(ORIGINS)


def test_oracle_is_calibrated(county: SyntheticCounty) -> None:
    """As many events as it expects, over all and among the riskiest tenth, within sampling error."""
    frame = pl.concat([at_origin(county, origin) for origin in ORIGINS]).sort("risk", descending=True)
    for part in (frame, frame.head(frame.height // 10)):
        expected = part["risk"].sum()
        # Shocks strike villages at once, which doubles the spread of independent events.
        spread = 2 * float((part["risk"] * (1 - part["risk"])).sum()) ** 0.5
        assert abs(part["is_event"].sum() - expected) < 3 * spread


def test_one_indicator_is_as_good_as_in_life_and_the_oracle_clearly_better(county: SyntheticCounty) -> None:
    indicators, oracles = [], []
    for origin in ORIGINS:
        frame = at_origin(county, origin)
        event = frame["is_event"].to_numpy()
        indicators.append(roc_auc(event, -frame["ref_income_to_line"].to_numpy()))
        oracles.append(roc_auc(event, frame["risk"].to_numpy()))
    assert 0.70 < np.mean(indicators) < 0.87
    assert np.mean(indicators) + 0.03 < np.mean(oracles) < 0.95


def test_hazard_is_given_for_each_period_and_agrees_with_what_came(county: SyntheticCounty) -> None:
    """P(failing at the next period end | state), so that its mean is the share that fails then."""
    hazard, status = county.truth.hazard, county.truth.status
    assert hazard["hazard"].is_between(0, 1).all()
    following = status.with_columns(month=pl.col("month").dt.offset_by("-3mo"))
    both = hazard.join(following, on=["household_id", "month"])
    assert 0.98 * 3000 * 20 < both.height < 1.02 * 3000 * 20
    assert both["hazard"].mean() == pytest.approx(both["is_failing"].mean(), rel=0.1)


def test_events_are_the_first_failing_period_ends(county: SyntheticCounty) -> None:
    status = county.truth.status.sort("household_id", "month")
    turned = status.filter(
        pl.col("is_failing") & ~pl.col("is_failing").shift(1).over("household_id").fill_null(value=True)
    )
    events = county.truth.events.select("household_id", "month").unique()
    assert (
        turned.select("household_id", "month")
        .sort("household_id", "month")
        .equals(events.sort("household_id", "month"))
    )


def test_oracle_knows_nothing_of_what_comes_after() -> None:
    """The same origin has the same oracle however long the realised history goes on."""
    origin = date(2020, 6, 30)
    short = simulate(200, 18, seed=5, oracle_dates=[origin], n_paths=10, hazard_paths=0)
    long = simulate(200, 30, seed=5, oracle_dates=[origin], n_paths=10, hazard_paths=0)
    assert short.truth.oracle.equals(long.truth.oracle)


def test_asking_for_the_oracle_does_not_change_the_county() -> None:
    one = simulate(150, 18, seed=5, oracle_dates=[], hazard_paths=0)
    other = simulate(150, 18, seed=5, oracle_dates=[date(2020, 3, 31)], n_paths=7, hazard_paths=3)
    for name, frame in one.tables.items():
        assert frame.equals(other.tables[name]), name


# --- the call -----------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_county_and_another_seed_another() -> None:
    first, again, other = (simulate(150, 24, seed=s, n_paths=5, hazard_paths=2) for s in (1, 1, 2))
    for name, frame in first.tables.items():
        assert frame.equals(again.tables[name]), name
    for name in ("oracle", "hazard", "events", "status"):
        assert getattr(first.truth, name).equals(getattr(again.truth, name)), name
    assert not first.tables["observation"].equals(other.tables["observation"])


@pytest.mark.parametrize("every", [1, 12])
def test_other_reporting_periods(every: int) -> None:
    scenario = Scenario(observation_months=every)
    county = simulate(200, 36, scenario, seed=1, oracle_dates=[date(2020, 12, 31)], n_paths=5)
    observation = county.tables["observation"]
    assert set(observation["period_months"]) == {every}
    assert observation["period_end"].n_unique() == 36 // every
    assert county.truth.hazard["month"].n_unique() == (36 - 12) // every + 1


def test_several_counties_have_their_own_codes_lines_and_months() -> None:
    county = simulate(300, 12, Scenario(n_counties=3), seed=1, oracle_dates=[], hazard_paths=0)
    codes = sorted(county.tables["household"]["county_code"].unique())
    assert codes == ["139901", "139902", "139903"]
    assert sorted(county.tables["threshold"]["area_code"].unique()) == codes
    assert county.tables["county_month"].height == 3 * 12


def test_progress_is_told() -> None:
    told: list[tuple[str, int, int]] = []
    simulate(
        50,
        6,
        oracle_dates=[],
        hazard_paths=0,
        on_progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert told[-1] == ("simulate", 6, 6)


def test_nothing_to_simulate_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RR223"):
        simulate(0)
    with pytest.raises(ConfigurationError, match="RR223"):
        simulate(10, months=2)


def test_without_a_signal_income_tells_nothing_and_everybody_has_the_same_risk() -> None:
    scenario = Scenario.load("no_signal")
    origins = [date(2020, 12, 31), date(2022, 12, 31)]
    county = simulate(4000, 60, scenario, seed=2, oracle_dates=origins, n_paths=40, hazard_paths=0)
    frame = pl.concat([at_origin(county, origin) for origin in origins])
    event = frame["is_event"].to_numpy()
    assert event.mean() == pytest.approx(scenario.drawn.annual_rate, abs=0.01)
    spread = 3 * (1 / (12 * event.sum())) ** 0.5
    assert abs(roc_auc(event, -frame["ref_income_to_line"].to_numpy()) - 0.5) < spread
    sampling = (scenario.drawn.annual_rate * (1 - scenario.drawn.annual_rate) / 40) ** 0.5
    assert frame["risk"].std() < 1.2 * sampling


def test_drawn_events_come_on_top_where_a_scenario_mixes_them() -> None:
    """Drawing events raises the rate; the default scenario draws none."""
    assert Scenario().drawn == DrawnEvents(annual_rate=0.0)
    quiet = Scenario.load("no_signal").model_copy(update={"drawn": DrawnEvents(annual_rate=0.0)})
    county = simulate(500, 36, quiet, seed=1, oracle_dates=[], hazard_paths=0)
    assert county.truth.events.is_empty()
