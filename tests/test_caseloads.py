"""Risks by village on dates before: what was known then, and nothing of households recorded later."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.caseloads import village_risks
from relapse_risk.config import Experiment, ModelConfig
from relapse_risk.forecast.bottom_up import RiskSums
from relapse_risk.forecast.history import read_history
from relapse_risk.modeling.training import TrainedModel
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.simulation import simulate
from relapse_risk.pipeline import train

DAY = date(2022, 12, 31)
EXPERIMENT = Experiment(name="forecast", model=ModelConfig(kind="best_indicator"))


@pytest.fixture(scope="module")
def panel() -> Panel:
    return simulate(400, 48, Scenario(), seed=3).panel()


@pytest.fixture(scope="module")
def model(panel: Panel) -> TrainedModel:
    return train(panel, EXPERIMENT, DAY)


def risks(panel: Panel, model: TrainedModel) -> list[RiskSums]:
    history = read_history(panel.known_at(DAY), EXPERIMENT.label, EXPERIMENT.cohort)
    return village_risks(panel, history, model)


def test_each_date_reads_what_was_known_on_it(panel: Panel, model: TrainedModel) -> None:
    found = risks(panel, model)
    assert [one.as_of_date for one in found] == [
        date(2021, 12, 31), date(2022, 3, 31), date(2022, 6, 30), DAY,
    ]  # fmt: skip
    assert found[-1].expected.sum() > 0
    # What was recorded after the first of the dates changes nothing of it but where households live now.
    first = found[0].as_of_date
    later = {
        name: frame if name == "household" else frame.filter(pl.col("recorded_on") <= first)
        for name, frame in panel.tables.items()
    }
    history = read_history(panel.known_at(DAY), EXPERIMENT.label, EXPERIMENT.cohort)
    again = village_risks(replace(panel, tables=later), history, model)
    np.testing.assert_array_equal(found[0].expected, again[0].expected)


def test_dates_before_the_first_household_was_recorded_are_left_out(
    panel: Panel, model: TrainedModel
) -> None:
    day = pl.lit(date(2022, 5, 1))
    late = panel.tables["household"].with_columns(recorded_on=pl.max_horizontal("recorded_on", day))
    found = risks(replace(panel, tables={**panel.tables, "household": late}), model)
    assert [one.as_of_date for one in found] == [date(2022, 6, 30), DAY]


def test_villages_whose_reports_came_later_say_nothing_of_the_level(
    panel: Panel, model: TrainedModel
) -> None:
    day = pl.lit(date(2022, 9, 1))
    late = panel.tables["observation"].with_columns(recorded_on=pl.max_horizontal("recorded_on", day))
    *before, now = risks(replace(panel, tables={**panel.tables, "observation": late}), model)
    assert now.expected.sum() > 0
    assert all(np.isnan(one.expected[now.expected > 0]).all() for one in before)
