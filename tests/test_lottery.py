"""Labels corrected by lotteries: who was drawn counts for nothing, who was not stands for him."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.errors import ContractError
from relapse_risk.labels import Labels, make_labels
from relapse_risk.lottery import LotteryDraws
from relapse_risk.panel.panel import LOTTERY_SCHEMA, Panel
from relapse_risk.panel.synthetic import Scenario, simulate

AS_OF, KNOWN_ON = date(2020, 12, 31), date(2022, 3, 31)
MAY, JULY = date(2021, 4, 30), date(2021, 6, 30)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return simulate(200, 40, Scenario.load("hebei_like"), seed=6).panel()


def lottery(
    day: date, expires: date, drawn: dict[str, tuple[bool, float]], county: str = "1"
) -> pl.DataFrame:
    rows = [
        (f"{county}-{day}", day, expires, county, home, county, is_listed, probability)
        for home, (is_listed, probability) in drawn.items()
    ]
    return pl.DataFrame(rows, schema=LOTTERY_SCHEMA, orient="row")


def labels(panel: Panel, *lotteries: pl.DataFrame, known_on: date = KNOWN_ON) -> Labels:
    known = replace(panel, lotteries=pl.concat(lotteries))
    return make_labels(known, [AS_OF], LabelConfig(lottery_corrected=True), CohortConfig(), known_on)


@pytest.fixture(scope="module")
def free(panel: Panel) -> list[str]:
    plain = make_labels(panel, [AS_OF], LabelConfig(), CohortConfig(), KNOWN_ON)
    is_free = np.isnan(plain.event_month) & (plain.observed_months >= 12)
    return plain.index["household_id"].filter(pl.Series(is_free)).to_list()


def test_drawn_rows_count_for_nothing_and_the_others_for_those_drawn(panel: Panel, free: list[str]) -> None:
    first = {free[0]: (True, 0.6), free[1]: (False, 0.6), free[2]: (False, 0.2), free[3]: (False, 0.5)}
    second = {free[2]: (False, 0.5), free[3]: (True, 0.5), free[4]: (False, 0.96)}
    made = labels(panel, lottery(MAY, date(2021, 5, 31), first), lottery(JULY, date(2021, 7, 31), second))
    weight = dict(zip(made.index["household_id"], made.weight, strict=True))
    expected = {free[0]: 0.0, free[1]: 2.5, free[2]: 2.5, free[3]: 0.0, free[4]: 10.0}
    assert {home: weight[home] for home in expected} == pytest.approx(expected)
    assert all(weight[home] == 1.0 for home in set(weight) - set(expected))
    facts = made.draws.facts(made.outcome)
    assert (facts["rows"], facts["drawn"], facts["not_drawn"], facts["bounded"]) == (5, 2, 3, 1)
    assert facts["effective"] == pytest.approx(15.0**2 / (2.5**2 * 2 + 10.0**2), abs=0.1)
    assert facts["largest_weight"] == pytest.approx(25.0)
    assert facts["is_too_few"]


def test_only_lotteries_that_could_change_the_outcome_count(panel: Panel, free: list[str]) -> None:
    drawn = dict.fromkeys(free, (True, 0.5))
    for day, expires in ((date(2020, 11, 30), AS_OF), (date(2021, 12, 31), date(2022, 1, 31))):
        assert (labels(panel, lottery(day, expires, drawn)).weight == 1.0).all(), day
    still_valid = labels(panel, lottery(date(2020, 12, 15), date(2021, 1, 15), drawn))
    assert (still_valid.weight == 0.0).sum() == len(free)
    certain = labels(panel, lottery(MAY, date(2021, 5, 31), dict.fromkeys(free, (True, 1.0))))
    assert (certain.weight == 1.0).all(), "nobody stands for who was certain to be drawn"
    later = lottery(MAY, date(2021, 5, 31), drawn)
    assert (labels(panel, later, known_on=date(2021, 4, 29)).weight == 1.0).all(), "not known by then"


def test_an_event_before_the_lottery_stays(panel: Panel) -> None:
    plain = make_labels(panel, [AS_OF], LabelConfig(), CohortConfig(), KNOWN_ON)
    homes = plain.index["household_id"].filter(pl.Series(plain.event_month <= 4)).to_list()
    later = plain.index["household_id"].filter(pl.Series(plain.event_month > 4)).to_list()
    assert homes
    assert later
    made = labels(panel, lottery(MAY, date(2021, 5, 31), dict.fromkeys([*homes, *later], (True, 0.5))))
    weight = dict(zip(made.index["household_id"], made.weight, strict=True))
    assert all(weight[home] == 1.0 for home in homes)
    assert all(weight[home] == 0.0 for home in later)


def test_weights_are_one_on_average_over_the_draws() -> None:
    rng = np.random.default_rng(2)
    probability = rng.uniform(0.1, 0.8, size=(200_000, 2))
    is_drawn = (rng.random(probability.shape) < probability).any(axis=1)
    draws = LotteryDraws(np.full(len(is_drawn), 2), is_drawn, (1 - probability).prod(axis=1))
    assert draws.weight.mean() == pytest.approx(1.0, abs=0.03)


def test_without_a_lottery_the_correction_is_refused(panel: Panel) -> None:
    for given in (panel, replace(panel, lotteries=pl.DataFrame(schema=LOTTERY_SCHEMA))):
        with pytest.raises(ContractError, match="RR353"):
            make_labels(given, [AS_OF], LabelConfig(lottery_corrected=True), CohortConfig(), KNOWN_ON)


def test_a_need_that_only_visits_find_has_no_risk_without_them() -> None:
    with pytest.raises(ValidationError, match="lottery_corrected"):
        LabelConfig(lottery_corrected=True, verified_need=True)
