"""The history that forecasts stand on, read from a simulated county; and warnings when things change."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.caseloads import ForecastRequest, write_forecast
from relapse_risk.config import Experiment
from relapse_risk.errors import ContractError
from relapse_risk.forecast.area import gather
from relapse_risk.forecast.caseload import CountyForecast, ForecastSettings, forecast_caseload
from relapse_risk.forecast.history import CaseHistory, read_history
from relapse_risk.outputs.write_forecast import forecast_tables
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.simulation import simulate
from relapse_risk.welfare import welfare_states
from relapse_risk.windows import month_end, month_index

EXPERIMENT = Experiment(name="forecast")
SETTINGS = ForecastSettings(draws=200)
DAY = date(2022, 12, 31)


@pytest.fixture(scope="module")
def panel() -> Panel:
    """Forty-eight months of 300 households, from January 2019."""
    return simulate(300, 48, Scenario(), seed=3).panel()


def read(panel: Panel, day: date) -> CaseHistory:
    return read_history(panel.known_at(day), EXPERIMENT.label, EXPERIMENT.cohort)


def only(panel: Panel, **kept: pl.Expr) -> Panel:
    """Return the panel with the rows of some tables that an expression keeps."""
    return replace(panel, tables={**panel.tables, **{k: panel.tables[k].filter(v) for k, v in kept.items()}})


def assert_sensible(made: CountyForecast) -> None:
    for table in forecast_tables(gather([made]), "en", {})[:-1]:
        numbers = table.frame.select(pl.col(pl.Float64, pl.Int64))
        assert numbers.null_count().sum_horizontal().item() == 0
        assert numbers.cast(pl.Float64).select(pl.all().is_finite().all()).row(0) == (True,) * numbers.width
        assert (numbers.min_horizontal() >= 0).all()


def test_relapses_are_fine_periods_followed_by_failing_ones_of_all_households_ever_known(
    panel: Panel,
) -> None:
    known = panel.known_at(DAY)
    assert known.table("household").height > known.households.height
    grid = welfare_states(known, EXPERIMENT.label, known.thresholds())
    wanted = 0
    for states, lengths in zip(grid.state.tolist(), grid.period_months.tolist(), strict=True):
        at = [i for i, length in enumerate(lengths) if length]
        for before, now in pairwise(at):
            wanted += states[before] == 0 and states[now] == 1 and now - lengths[now] <= before
    found = read(panel, DAY)
    assert found.relapses.sum() == wanted > 0
    assert (found.relapses <= found.exposed).all()
    assert found.exposed.sum(axis=0)[: round(found.period_months)].sum() > 0
    assert not found.gaps.any()


@pytest.mark.parametrize("day", [date(2020, 12, 31), date(2021, 1, 15)])
def test_two_years_of_data_give_a_forecast_that_says_it_knows_little(panel: Panel, day: date) -> None:
    made = forecast_caseload(read(panel, day), SETTINGS)
    assert_sensible(made)
    assert any("24" in note.en for note in made.notes)


def test_less_than_two_reported_years_is_refused_in_plain_words(panel: Panel) -> None:
    with pytest.raises(ContractError, match=r"RR371[\s\S]*监测记录"):
        read(panel, date(2019, 9, 30))


def test_a_gap_in_the_reports_is_noticed_and_filled(panel: Panel) -> None:
    early = only(panel, observation=pl.col("period_end") != date(2020, 9, 30))
    made = forecast_caseload(read(early, DAY), SETTINGS)
    assert_sensible(made)
    # A year's income can't be summed over the gap, so states are missing for a year longer.
    assert made.history.gaps.sum() == 15
    assert any("补齐" in note.zh for note in made.notes)
    late = only(panel, observation=pl.col("period_end") != date(2021, 9, 30))
    made = forecast_caseload(read(late, DAY), SETTINGS)
    assert_sensible(made)
    assert any("2021-08" in note.zh for note in made.notes)


def test_a_single_township_and_a_village_that_never_had_a_case(panel: Panel) -> None:
    history = read(panel, DAY)
    towns = panel.tables["household"]["township_code"]
    assert towns.n_unique() == 1
    quiet = history.relapses.copy()
    quiet[0] = 0
    made = forecast_caseload(replace(history, relapses=quiet), SETTINGS)
    assert_sensible(made)
    assert 0 < made.paths["relapses"][:, 0].mean() < made.paths["relapses"].mean()


def test_a_county_created_last_year_is_forecast_or_refused(panel: Panel) -> None:
    since = date(2021, 7, 1)
    young = only(panel, observation=pl.col("period_end") > since, event=pl.col("event_date") > since)
    made = forecast_caseload(read(young, DAY), SETTINGS)
    assert made.history.relapses.shape[1] <= 12
    assert_sensible(made)
    with pytest.raises(ContractError, match="RR371"):
        read(young, date(2022, 3, 31))


def test_a_new_county_is_named_in_the_notes_and_the_others_are_forecast(panel: Panel, tmp_path: Path) -> None:
    own = {"household_id", "member_id", "event_id"}
    levels = ("county_code", "township_code", "village_code")
    young = {
        name: panel.tables[name].with_columns(
            (pl.lit("n") + pl.col(column)).alias(column) for column in own & set(panel.tables[name].columns)
        )
        for name in ("household", "member", "observation", "event")
    }
    young["household"] = young["household"].with_columns(
        pl.col(levels).str.replace("139901", "139902"), predecessor_id=pl.lit(None, pl.String)
    )
    young["observation"] = young["observation"].filter(pl.col("period_end") > date(2022, 7, 1))
    joined = {name: pl.concat([panel.tables[name], frame]) for name, frame in young.items()}
    Store(tmp_path / "store").commit(replace(panel, tables={**panel.tables, **joined}))
    request = ForecastRequest(DAY, SETTINGS, EXPERIMENT)
    early = replace(request, as_of_date=date(2019, 9, 30))
    made = write_forecast(tmp_path / "store", request, tmp_path / "out", "zh")
    assert made.places["county_code"].unique().to_list() == ["139901"]
    assert "无法预测" in made.notes_of["139902"][0].zh
    assert (tmp_path / "out" / "forecast_139901.html").is_file()
    with pytest.raises(ContractError, match="RR371"):
        write_forecast(tmp_path / "store", early, tmp_path / "no", "zh")


def test_events_that_become_many_are_warned_of_and_late_reports_are_not(panel: Panel) -> None:
    usual = read(panel, DAY)
    kind, counts = "失业", usual.setbacks["失业"].copy()
    assert not forecast_caseload(usual, SETTINGS).surprises
    counts[-2:] += 30
    made = forecast_caseload(replace(usual, setbacks={kind: counts}), SETTINGS)
    (warned,) = made.surprises
    assert warned.text.zh.startswith("预警：2022-11 – 2022-12 失业")
    old = panel.tables["event"].head(200).with_columns(
        event_id=pl.lit("late") + pl.col("event_id"), event_type=pl.lit(kind),
        event_date=pl.lit(date(2021, 1, 1)), recorded_on=pl.lit(date(2022, 12, 5)),
    )  # fmt: skip
    backlog = replace(panel, tables={**panel.tables, "event": pl.concat([panel.tables["event"], old])})
    np.testing.assert_array_equal(read(backlog, DAY).setbacks[kind], usual.setbacks[kind])


@pytest.mark.slow
def test_the_shock_year_is_warned_of_within_two_months_of_its_first_quarter() -> None:
    # The bad year begins in January 2023; incomes of its first quarter are known in April.
    panel = simulate(2000, 54, Scenario.load("shock_year"), seed=3).panel()
    first = month_index(date(2022, 10, 31))
    warned = [
        day
        for day in map(month_end, range(first, first + 8))
        if forecast_caseload(read(panel, day), SETTINGS).surprises
    ]
    assert warned
    assert date(2023, 1, 1) < warned[0] <= date(2023, 5, 31)
