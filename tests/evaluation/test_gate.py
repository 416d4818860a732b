"""The gate to champion: what it compares, and when it says no."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.evaluation.gate import MARGIN, compare_precision

CAPACITY = 0.1


def scores(seed: int = 0, villages: int = 40, size: int = 50) -> pl.DataFrame:
    """Two dates of households by village, with a score that knows something and one that knows nothing."""
    rng = np.random.default_rng(seed)
    n = villages * size
    days = [date(2022, 6, 30), date(2022, 12, 31)]
    return pl.concat(
        pl.DataFrame(
            {
                "household_id": [f"h{i}" for i in range(n)],
                "as_of_date": [day] * n,
                "village_code": [f"v{i % villages}" for i in range(n)],
                "is_red": np.arange(n) % 19 == 0,
                "outcome": (rng.random(n) < 0.1).astype(float),
                "score_blind": rng.random(n),
            }
        )
        for day in days
    ).with_columns(score_model=pl.col("outcome") + pl.Series(rng.normal(size=2 * n)))


def compared(mine: pl.DataFrame, other: pl.DataFrame, columns: tuple[str, str]):
    return compare_precision(
        mine, other, columns, CAPACITY, against="x", cluster="village_code", replicates=200, seed=1
    )


def test_a_model_is_not_inferior_to_itself_and_a_blind_one_is_to_it() -> None:
    frame = scores()
    same = compared(frame, frame, ("score_model", "score_model"))
    assert (same.difference, same.low, same.high) == (0.0, 0.0, 0.0)
    assert same.is_not_inferior
    assert same.n_clusters == 40

    worse = compared(frame, frame, ("score_blind", "score_model"))
    assert worse.high < -MARGIN
    assert not worse.is_not_inferior
    better = compared(frame, frame, ("score_model", "score_blind"))
    assert better.low > 0
    assert better.difference == pytest.approx(-worse.difference)


def test_precision_is_that_of_the_rows_shared_and_not_red() -> None:
    frame = scores()
    fewer = frame.filter(pl.col("household_id").hash(seed=1) % 3 > 0)
    found = compared(frame, fewer, ("score_model", "score_blind"))
    rows = fewer.filter(~pl.col("is_red"))
    assert found.n_rows == rows.height
    hit = visits = 0
    for _, part in rows.group_by("as_of_date"):
        k = int(np.floor(CAPACITY * part.height + 0.5))
        hit += part.sort("score_model", descending=True)["outcome"].head(k).sum()
        visits += k
    assert found.precision == pytest.approx(hit / visits)


def test_an_unknown_interval_is_no_pass() -> None:
    frame = scores(villages=1, size=300)
    found = compared(frame, frame, ("score_model", "score_blind"))
    assert np.isnan(found.low)
    assert not found.is_not_inferior


@pytest.mark.parametrize(
    "other",
    [
        scores().with_columns(pl.col("household_id") + "x"),
        scores().with_columns(outcome=1 - pl.col("outcome")),
    ],
    ids=["no row in common", "another label"],
)
def test_models_of_other_rows_or_labels_are_not_compared(other: pl.DataFrame) -> None:
    with pytest.raises(ConfigurationError, match="RR457"):
        compared(scores(), other, ("score_model", "score_blind"))
