"""A matrix over the whole catalogue, made by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.explain.attribute import Attributions
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Role

AS_OF = date(2024, 6, 30)
COUNTY = "130127"
MODEL_FEATURES = CATALOG.with_role(Role.MODEL)

MakeMatrix = Callable[..., FeatureMatrix]
MakeAttributions = Callable[..., Attributions]


def parameters() -> pl.DataFrame:
    given = {"line": 8000.0, "rural_dpi_prev": 20000.0, "dibao_standard": 6500.0}
    shipped = ThresholdTable.shipped()
    rows = []
    for param in shipped.params:
        row = shipped.in_force(param, COUNTY, AS_OF)
        rows.append((COUNTY, AS_OF, param, given.get(param, row.value if row else None), "", "test", False))
    names = ["county_code", "as_of_date", "param", "value", "unit", "source", "verified"]
    return pl.DataFrame(rows, schema=names, orient="row").with_columns(pl.col("value").cast(pl.Float64))


@pytest.fixture
def make_matrix() -> MakeMatrix:
    def make(rows: Sequence[Mapping[str, float]]) -> FeatureMatrix:
        values = np.array([[row.get(name, np.nan) for name in CATALOG.names] for row in rows])
        ids = [f"H{i:05d}" for i in range(len(rows))]
        index = pl.DataFrame({c: ids if c == "household_id" else ["x"] * len(ids) for c in INDEX_COLUMNS})
        index = index.with_columns(pl.lit(AS_OF).alias("as_of_date"), pl.lit(COUNTY).alias("county_code"))
        return FeatureMatrix(index, CATALOG, values, parameters())

    return make


@pytest.fixture
def make_attributions() -> MakeAttributions:
    def make(matrix: FeatureMatrix, rows: Sequence[Mapping[str, float]]) -> Attributions:
        values = np.array([[row.get(name, 0.0) for name in MODEL_FEATURES.names] for row in rows])
        return Attributions(matrix.index, MODEL_FEATURES, values, np.zeros(len(rows)))

    return make
