"""What leaves the county gives no small count away, over all of its tables together."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from scipy.optimize import linprog

from relapse_risk.outputs.protect import _counts_of, _sums, withheld_counts
from relapse_risk.outputs.suppress import Cell
from relapse_risk.outputs.write_roll_up import roll_up_files, roll_up_note, roll_up_tables
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import simulate
from relapse_risk.rules.roll_up import RollUp, roll_up

DAY = date(2022, 6, 30)


@pytest.fixture(scope="module")
def result() -> RollUp:
    """A county small enough that many counts are under five."""
    county: Panel = simulate(450, 48, seed=3, oracle_dates=(), hazard_paths=0).panel()
    return roll_up(county, DAY)


@pytest.fixture(scope="module")
def withheld(result: RollUp) -> frozenset[Cell]:
    return withheld_counts(result)


def test_no_reader_of_all_tables_narrows_a_withheld_count_below_five_values(
    result: RollUp, withheld: frozenset[Cell]
) -> None:
    code = result.counties["county_code"][0]
    counts, places = _counts_of(result, code)
    sums = list(_sums(counts, places, code))
    cells = list(counts.values)
    place = {cell: i for i, cell in enumerate(cells)}
    matrix = np.zeros((len(sums), len(cells)))
    for row, one in enumerate(sums):
        matrix[row, place[one.total]] = -1
        for part in one.parts:
            matrix[row, place[part]] += 1
    assert not (matrix @ np.array([counts.values[cell] for cell in cells])).any(), "every sum holds"
    ends = {**dict.fromkeys(counts.unprinted, (0, None)), **dict.fromkeys(withheld, (1, None))}
    bounds = [ends.get(cell, (counts.values[cell], counts.values[cell])) for cell in cells]
    assert withheld
    rng = np.random.default_rng(1)
    targets = sorted(withheld, key=str)
    for i in rng.permutation(len(targets))[:40]:
        aim = np.zeros(len(cells))
        aim[place[targets[i]]] = 1
        low, high = (
            linprog(
                sign * aim,
                A_eq=matrix,
                b_eq=np.zeros(len(sums)),
                bounds=bounds,
                integrality=np.ones(len(cells)),
            )
            for sign in (1, -1)
        )
        assert low.status == 0
        assert high.status != 0 or -high.fun - low.fun >= 4 - 1e-6, targets[i]


def test_no_small_count_and_nothing_computed_from_one_is_printed(result: RollUp) -> None:
    tables = roll_up_tables(result, "zh", leaves_county=True)
    for table in tables:
        for name in ("met", "known", "unmet", "unknown", "households", "people"):
            if name in table.frame.columns:
                shown = table.frame[name].cast(pl.Int64, strict=False).drop_nulls()
                assert not shown.is_between(1, 4).any(), (table.name.en, name)
    coverage = tables[1].frame
    is_hidden = (coverage["met"].cast(pl.String) == "*") | (coverage["known"].cast(pl.String) == "*")
    assert is_hidden.any()
    assert (coverage["percent"].cast(pl.String).filter(is_hidden) == "*").all()
    assert "data_gaps" not in {table.name.en for table in tables}


def test_inside_the_county_everything_is_whole(result: RollUp) -> None:
    tables = roll_up_tables(result, "zh")
    assert not any(table.frame.select(pl.col(pl.String) == "*").to_numpy().any() for table in tables)
    population = tables[2].frame
    county = population.filter(pl.col("township_code") == "")
    assert county["people"].sum() == population["people"].sum() / 2


def test_a_hundred_per_cent_is_said_of_all_only() -> None:
    row = {
        "county_code": "1",
        "county_name": "a",
        "township_code": "11",
        "township_name": "b",
        "group": "all",
    }
    coverage = pl.DataFrame([{**row, "indicator": "water", "met": 99_999, "unmet": 1, "unknown": 0}])
    population = pl.DataFrame([{**row, "households": 100_000, "people": 100_000}])
    factors = dict.fromkeys(("lifted_villages", "lifted_people", "low_income_people", "monitored_people"), 1)
    counties = pl.DataFrame([{"county_code": "1", "county_name": "a", "villages": 1, **factors}])
    table = roll_up_tables(RollUp(DAY, population, coverage, counties, pl.DataFrame()), "en")[0].frame
    assert table["percent"].to_list() == [99.99]
    assert table["state"].to_list() == ["not reached"]


def test_the_same_roll_up_is_the_same_files_in_either_language(result: RollUp) -> None:
    for language, name in (("zh", "各县覆盖情况.csv"), ("en", "coverage_by_county.csv")):
        note = roll_up_note(result, language, leaves_county=True)
        made = [
            dict(roll_up_files(roll_up_tables(result, language, leaves_county=True), note, language))
            for _ in range(2)
        ]
        assert made[0] == made[1]
        assert name in made[0]
