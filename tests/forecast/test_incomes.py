"""The verb `income`: it trains once, gives the same again, and a higher line never has fewer households."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from relapse_risk.config import Experiment
from relapse_risk.incomes import INCOME_FILE, IncomeRequest, by_township, write_incomes
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.simulation import simulate

FRAME = pl.DataFrame(
    {
        "county_code": ["13"] * 3,
        "township_code": ["131"] * 3,
        "months": [12] * 3,
        "below_line_in_force": [0.25, 0.5, None],
        "below_9000": [0.5, 0.75, None],
    }
)


def test_expected_numbers_are_sums_of_probabilities_of_known_incomes() -> None:
    rows = {row["line"]: row for row in by_township(FRAME).iter_rows(named=True)}
    assert rows["line_in_force"]["expected_below"] == 0.75
    assert rows["9000"]["share_below"] == 0.625
    assert rows["9000"]["households"] == 2


@pytest.mark.slow
def test_the_verb_trains_where_no_model_is_and_uses_it_where_one_is(tmp_path: Path) -> None:
    Store(tmp_path / "store").commit(simulate(300, 60, Scenario(), seed=3).panel())
    request = IncomeRequest(
        date(2023, 12, 31), Experiment(name="income"), tmp_path / "model", (6000.0, 20000.0)
    )
    first = write_incomes(tmp_path / "store", request, tmp_path / "out", "zh")
    trained = (tmp_path / "model" / "checksums.json").stat().st_mtime_ns
    again = write_incomes(tmp_path / "store", request, tmp_path / "again", "en")
    assert (tmp_path / "model" / "checksums.json").stat().st_mtime_ns == trained
    assert first.equals(again)
    rows = pl.read_parquet(tmp_path / "out" / INCOME_FILE)
    assert rows.select(pl.col("below_6000") <= pl.col("below_20000")).to_series().all()
    assert not rows.select(pl.col(pl.Float64).is_nan().any()).to_numpy().any()
    assert rows["household_id"].n_unique() * 3 == rows.height
