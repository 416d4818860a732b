"""The same work on Spark gives the same matrix, value by value."""

from __future__ import annotations

import importlib.util
import shutil
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from relapse_risk.engine import FeatureWork
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate
from relapse_risk.runs import write_features, write_features_on_spark

DAYS = (date(2020, 6, 30), date(2020, 12, 31))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("pyspark") is None, reason="pyspark is not installed"),
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, and there is none"),
    pytest.mark.filterwarnings("default"),  # Spark's own, about sockets it closes late
]


def test_the_matrix_of_spark_is_the_local_one(tmp_path: Path) -> None:
    panel = simulate(200, 24, Scenario(n_counties=2), seed=3, oracle_dates=(), hazard_paths=0).panel()
    store = tmp_path / "store"
    Store(store).commit(panel)
    assert sum(map(len, FeatureWork.of(store, DAYS).partitions(50))) > 3
    write_features(store, DAYS, tmp_path / "local.parquet", partition_households=50)
    write_features_on_spark(store, DAYS, tmp_path / "spark", "local[2]", partition_households=50)
    keys = ["household_id", "as_of_date"]
    local = pl.read_parquet(tmp_path / "local.parquet").sort(keys)
    spark = pl.read_parquet(tmp_path / "spark" / "features" / "*.parquet").sort(keys)
    assert spark.columns == local.columns
    assert [name for name in local.columns if not spark[name].equals(local[name])] == []
    assert (tmp_path / "spark" / "manifest.json").is_file()
