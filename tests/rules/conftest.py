"""A matrix made by hand: what a test does not say is not known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache

import numpy as np
import polars as pl
import pytest

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.rules.catalog import RULES
from relapse_risk.thresholds import ThresholdTable

COUNTY = "130727"
AS_OF = date(2022, 10, 31)
GIVEN = {
    "line": 7300.0,
    "rural_dpi_prev": 18000.0,
    "dibao_standard": 6000.0,
    "R09.registered_yuan": 6000.0,
    "R09.other_yuan": 10000.0,
}
READ_BY_LISTS = (
    "self_applied",
    "ref_income_to_line",
    "days_since_confirming_visit",
    "weak_labour_n",
    "able_labour_n",
)

MakeMatrix = Callable[..., FeatureMatrix]


@cache
def _in_force(day: date) -> dict[str, tuple[float | None, str]]:
    shipped = ThresholdTable.shipped()
    rows = {param: shipped.in_force(param, COUNTY, day) for param in shipped.params}
    return {param: (row.value, row.unit) for param, row in rows.items() if row is not None}


def _parameters(given: Mapping[str, float | None], day: date) -> pl.DataFrame:
    rows = [
        (COUNTY, day, param, given.get(param, value), unit, "test", False)
        for param, (value, unit) in _in_force(day).items()
    ]
    schema = dict.fromkeys(("county_code", "as_of_date", "param", "value", "unit", "source", "verified"))
    frame = pl.DataFrame(rows, schema=list(schema), orient="row")
    return frame.with_columns(pl.col("value").cast(pl.Float64))


def build(
    rows: Sequence[Mapping[str, float]], params: Mapping[str, float | None] | None = None, day: date = AS_OF
) -> FeatureMatrix:
    names = dict.fromkeys([name for rule in RULES for name in rule.all_features] + list(READ_BY_LISTS))
    features = CATALOG.select(names)
    values = np.array([[row.get(name, np.nan) for name in names] for row in rows], dtype=np.float64)
    unknown = {name for row in rows for name in row} - set(names)
    assert not unknown, f"no rule reads {unknown}"
    index = pl.DataFrame(
        {
            column: [f"H{i:04d}" for i in range(len(rows))] if column == "household_id" else ["x"] * len(rows)
            for column in INDEX_COLUMNS
        }
    ).with_columns(pl.lit(day).alias("as_of_date"), pl.lit(COUNTY).alias("county_code"))
    given = GIVEN if params is None else {**GIVEN, **params}
    return FeatureMatrix(index, features, values.reshape(len(rows), len(features)), _parameters(given, day))


@pytest.fixture(scope="session")
def make_matrix() -> MakeMatrix:
    return build
