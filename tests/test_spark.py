"""The same work on Spark gives the same matrix, value by value."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from relapse_risk.cli import app
from relapse_risk.engine import FeatureWork
from relapse_risk.features.own import use_feature_modules
from relapse_risk.panel.panel import Panel
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


OWN = """
from relapse_risk.features.expression import feature
from relapse_risk.features.operators import events, members
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Unit

FEATURES = (
    Feature("own_members", "人口", "members", Unit.COUNT, "own", members()),
    Feature("own_twice", "两倍人口", "twice", Unit.COUNT, "own", feature("own_members") * 2),
    Feature("own_events", "事件", "events", Unit.COUNT, "own", members() + 0 * events()),
)
"""


@pytest.fixture
def no_modules_afterwards() -> Iterator[None]:
    yield
    use_feature_modules([])


def assert_equal(local_file: Path, spark_folder: Path) -> pl.DataFrame:
    """Compare both matrices value by value and return the local one."""
    keys = ["household_id", "as_of_date"]
    local = pl.read_parquet(local_file).sort(keys)
    spark = pl.read_parquet(spark_folder / "features" / "*.parquet").sort(keys)
    assert spark.columns == local.columns
    assert [name for name in local.columns if not spark[name].equals(local[name])] == []
    return local


def test_the_matrix_of_spark_is_the_local_one(tmp_path: Path) -> None:
    panel = simulate(200, 24, Scenario(n_counties=2), seed=3, oracle_dates=(), hazard_paths=0).panel()
    store = tmp_path / "store"
    Store(store).commit(panel)
    assert sum(map(len, FeatureWork.of(store, DAYS).partitions(50))) > 3
    write_features(store, DAYS, tmp_path / "local.parquet", partition_households=50)
    write_features_on_spark(store, DAYS, tmp_path / "spark", "local[2]", partition_households=50)
    assert_equal(tmp_path / "local.parquet", tmp_path / "spark")
    assert (tmp_path / "spark" / "manifest.json").is_file()


@pytest.mark.usefixtures("no_modules_afterwards")
def test_workers_know_own_features_and_absent_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The module lies beside relapse.toml, where no worker looks; two tables were never handed in."""
    panel = simulate(60, 14, Scenario(), seed=3, oracle_dates=(), hazard_paths=0).panel()
    tables = {name: frame for name, frame in panel.tables.items() if name not in ("event", "visit")}
    Store(tmp_path / "store").commit(Panel(tables))
    (tmp_path / "county_extra.py").write_text(OWN, encoding="utf-8")
    (tmp_path / "relapse.toml").write_text('features = ["county_extra"]\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    day = str(panel.last_recorded_on)
    asked = ["features", "--store", "store", "--as-of", day, "--partition", "20", "--out"]
    for way in (["local.parquet"], ["spark", "--engine", "spark", "--master", "local[2]"]):
        shown = CliRunner().invoke(app, [*asked, *way])
        assert shown.exit_code == 0, shown.output
    local = assert_equal(tmp_path / "local.parquet", tmp_path / "spark")
    assert local["own_members"].max() > 1
    assert local["own_twice"].equals((2 * local["own_members"]).alias("own_twice"))
    assert local["own_events"].is_null().all() or local["own_events"].is_nan().all(), "the table is absent"
