"""Early and late years: the same in hebei_like, not in shock_year and drift; the oracle foresees neither."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.panel.synthetic import Scenario
from relapse_risk.panel.synthetic.history import History, live_through
from relapse_risk.panel.synthetic.population import draw_population
from relapse_risk.panel.synthetic.scenario import Shift
from relapse_risk.panel.synthetic.truth import Truth
from relapse_risk.panel.synthetic.world import World

N = 5000
START = 2019 * 12


def lived(name: str, oracle_dates: list[date] | None = None) -> tuple[History, Truth]:
    scenario = Scenario.load(name)
    population = draw_population(N, scenario, np.random.default_rng(1))
    ids = pl.Series([f"{row:06d}" for row in range(population.n)])
    world = World(population, scenario)
    return live_through(world, 72, 3, ids, oracle_dates=oracle_dates or [], n_paths=10, hazard_paths=0)


def events_of(truth: Truth, year: int) -> int:
    return truth.events.filter(pl.col("month").dt.year() == year)["household_id"].n_unique()


def happened(history: History, kind: str, years: tuple[int, ...]) -> int:
    return sum(len(h.household) for h in history.happenings if h.kind == kind and h.month // 12 in years)


@pytest.fixture(scope="module")
def counties() -> dict[str, tuple[History, Truth]]:
    return {name: lived(name) for name in ("hebei_like", "shock_year", "drift")}


def test_early_and_late_years_are_alike_in_hebei_like(counties: dict[str, tuple[History, Truth]]) -> None:
    history, truth = counties["hebei_like"]
    early, late = (events_of(truth, a) + events_of(truth, b) for a, b in ((2020, 2021), (2023, 2024)))
    assert late == pytest.approx(early, rel=0.35)
    for kind in ("job_loss", "illness", "farm_failure", "guarantee_failed"):
        early, late = happened(history, kind, (2019, 2020)), happened(history, kind, (2023, 2024))
        assert late == pytest.approx(early, rel=0.25), kind
    # The county ages a little, as life does.
    early, late = happened(history, "died", (2019, 2020)), happened(history, "died", (2023, 2024))
    assert late == pytest.approx(early, rel=0.4)


def test_the_shock_year_strikes_in_its_year_and_passes(counties: dict[str, tuple[History, Truth]]) -> None:
    history, truth = counties["shock_year"]
    before = (2020, 2021, 2022)
    assert events_of(truth, 2023) > 1.4 * np.mean([events_of(truth, year) for year in before])
    usual = np.mean([happened(history, "job_loss", (year,)) for year in before])
    assert happened(history, "job_loss", (2023,)) > 1.8 * usual
    assert happened(history, "job_loss", (2024,)) < 1.3 * usual


def test_drift_changes_what_brings_households_down(counties: dict[str, tuple[History, Truth]]) -> None:
    history, _ = counties["drift"]
    late, early = (2023, 2024), (2019, 2020)
    ratio = {
        kind: happened(history, kind, late) / happened(history, kind, early)
        for kind in ("job_loss", "farm_failure")
    }
    assert ratio["job_loss"] > 1.7
    assert ratio["farm_failure"] < 0.75


def test_until_a_shift_begins_the_county_is_the_same(counties: dict[str, tuple[History, Truth]]) -> None:
    before = pl.col("month") < date(2023, 1, 1)
    shocked, plain = counties["shock_year"][1], counties["hebei_like"][1]
    assert shocked.status.filter(before).equals(plain.status.filter(before))


def test_the_oracle_does_not_foresee_a_shift() -> None:
    """Before the bad year it gives the risks of a county that will have none."""
    eve = date(2022, 12, 31)
    shocked, plain = (lived(name, [eve])[1].oracle for name in ("shock_year", "hebei_like"))
    assert shocked.equals(plain)


def test_a_shift_grows_over_its_ramp_and_ends() -> None:
    shift = Shift(since=date(2019, 3, 1), until=date(2020, 2, 1), ramp_months=4, job_loss=3.0)
    scenario = Scenario(shifts=(shift,))
    factors = [scenario.factors(START + month)["job_loss"] for month in (1, 2, 3, 5, 13, 14)]
    assert factors == [1.0, 1.5, 2.0, 3.0, 3.0, 1.0]
    assert scenario.factors(START + 5)["illness"] == 1.0
