"""Which version of a row stands on which day."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from relapse_risk.panel.history import History
from relapse_risk.panel.tables import TABLE_BY_NAME

FIRST = date(2023, 1, 1)


def random_frame(seed: int, n: int = 300) -> pl.DataFrame:
    """Rows of the observation table's key, with many versions, some recorded on one day."""
    rng = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "household_id": [f"H{i}" for i in rng.integers(0, 12, n)],
            "period_end": [date(2023, int(month), 28) for month in rng.integers(1, 6, n)],
            "recorded_on": [FIRST + timedelta(days=int(day)) for day in rng.integers(0, 40, n)],
            "n_person": np.arange(n, dtype=np.float64),
        }
    )


@pytest.mark.parametrize("seed", range(5))
def test_on_every_day_the_version_recorded_last_by_then_stands(seed: int) -> None:
    frame = random_frame(seed)
    history = History(frame, TABLE_BY_NAME["observation"])
    for days in range(-1, 42):
        day = FIRST + timedelta(days=days)
        latest: dict[tuple[str, date], dict[str, object]] = {}
        for row in frame.iter_rows(named=True):
            key = row["household_id"], row["period_end"]
            if row["recorded_on"] <= day and (
                key not in latest or row["recorded_on"] >= latest[key]["recorded_on"]
            ):
                latest[key] = row
        known = history.rows(history.stands(day))
        assert sorted(known["n_person"].to_list()) == sorted(row["n_person"] for row in latest.values())
        assert known["recorded_on"].is_sorted()
        assert int(history.stands(day).sum()) == known.height


def test_rows_that_never_change_stand_from_their_record_on() -> None:
    frame = random_frame(0).unique(["household_id", "period_end"], maintain_order=True)
    history = History(frame, TABLE_BY_NAME["observation"])
    late = FIRST + timedelta(days=400)
    assert history.stands(late).all()
    assert history.rows(history.stands(late)).height == frame.height
