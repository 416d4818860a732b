"""What a model's backtest let expect by village at earlier dates.

From it the weight of household risks is learned. The file stands in the model directory. Each row's model
knew nothing after the row's date.
"""

from __future__ import annotations

import io
from datetime import date

import polars as pl

from relapse_risk.forecast.bottom_up import RiskSums
from relapse_risk.forecast.history import PLACE_COLUMNS

EXPECTED_FILE = "expected_cases.csv"
# A sum over fewer households is nearly the risk of one of them.
LEAST_HOUSEHOLDS = 5


def expected_file(scores: pl.DataFrame, horizon_months: int) -> str:
    """Return the sums of risks by village and date as CSV text.

    Parameters
    ----------
    scores : polars.DataFrame
        Of a backtest: one row per household at risk and origin, with ``risk_model`` by the horizon.
    horizon_months : int
    """
    sums = (
        scores.group_by("as_of_date", *PLACE_COLUMNS)
        .agg(households=pl.len(), expected=pl.col("risk_model").cast(pl.Float64).sum().round(4))
        .filter(pl.col("households") >= LEAST_HOUSEHOLDS)
        .sort("as_of_date", *PLACE_COLUMNS)
    )
    return sums.with_columns(horizon_months=pl.lit(horizon_months)).write_csv()


def read_expected(content: bytes, villages: pl.DataFrame, before: date) -> tuple[RiskSums, ...]:
    """Return the sums of each date before a day, with the rows of ``villages``."""
    text = dict.fromkeys(PLACE_COLUMNS, pl.String)
    table = pl.read_csv(io.BytesIO(content), schema_overrides={**text, "as_of_date": pl.Date})
    dated = table.filter(pl.col("as_of_date") < before).sort("as_of_date")
    found = []
    for (day, horizon), rows in dated.group_by("as_of_date", "horizon_months", maintain_order=True):
        known = villages.join(rows, on=PLACE_COLUMNS, how="left", maintain_order="left")["expected"]
        if isinstance(day, date) and known.count():
            found.append(
                RiskSums(day, int(str(horizon)), known.cast(pl.Float64).fill_null(float("nan")).to_numpy())
            )
    return tuple(found)
