"""The engine: however a store is cut, the same rows with the same bytes, and what whole counties give."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.engine import FeatureWork, over_partitions
from relapse_risk.features.build import build_features
from relapse_risk.features.expression import feature
from relapse_risk.features.operators import has_item, members, peer_mean, peer_rank
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.files import ParquetStream
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate
from relapse_risk.runs import write_features
from relapse_risk.vocabulary import Unit

DAYS = (date(2020, 9, 30), date(2021, 6, 30))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two counties; one leaves a column out, the other but for one village. Households move between them."""
    panel = simulate(260, 30, Scenario(n_counties=2), seed=5, oracle_dates=(), hazard_paths=0).panel()
    households = panel.tables["household"]
    first, second = households["county_code"].unique().sort().to_list()
    last = households.sort("recorded_on").unique("household_id", keep="last").sort("household_id")
    movers = last.filter(pl.col("county_code") == first).head(12)
    homes = last.filter(pl.col("county_code") == second).head(12).select("township_code", "village_code")
    moved = movers.with_columns(
        homes["township_code"],
        homes["village_code"],
        recorded_on=pl.lit(date(2021, 2, 1)),
        county_code=pl.lit(second),
    )
    of_first = last.filter(pl.col("county_code") == first)
    village = of_first["village_code"].mode().sort()[0]
    reporting = of_first.filter(pl.col("village_code") == village)["household_id"]
    members = panel.tables["member"].with_columns(
        chronic4=pl.when(pl.col("household_id").is_in(reporting.implode())).then("chronic4")
    )
    tables = {**panel.tables, "household": pl.concat([households, moved]), "member": members}
    path = tmp_path_factory.mktemp("engine") / "store"
    Store(path).commit(Panel(tables))
    return path


def in_memory(store: Path) -> pl.DataFrame:
    matrix = build_features(Store(store).open(), DAYS)
    return matrix.to_polars().sort("household_id", "as_of_date")


def written(store: Path, path: Path, households: int | None) -> bytes:
    write_features(store, DAYS, path, partition_households=households)
    return path.read_bytes()


def test_the_file_does_not_depend_on_how_the_store_is_cut(store: Path, tmp_path: Path) -> None:
    whole = written(store, tmp_path / "whole.parquet", None)
    for households in (1, 40, 100):
        assert written(store, tmp_path / f"{households}.parquet", households) == whole, households
    assert max(map(len, FeatureWork.of(store, DAYS).partitions(1))) >= 3, "a county in several partitions"


def test_partitions_together_are_the_matrix_of_the_whole_panel(store: Path, tmp_path: Path) -> None:
    """County ranks and means, and what a county left out, come from the first pass."""
    parts = over_partitions(FeatureWork.of(store, DAYS), 1)
    joined = pl.concat([part.to_polars() for part in parts]).sort("household_id", "as_of_date")
    expected = in_memory(store)
    assert joined.columns == expected.columns
    differing = [name for name in expected.columns if not joined[name].equals(expected[name])]
    assert differing == []
    assert not np.isnan(expected["period_income_county_rank"].to_numpy()).all()


def test_a_comparison_with_the_county_inside_another_is_made_of_the_whole_county(store: Path) -> None:
    """Also where what is compared depends on whether the whole county left a column out."""
    above = feature("period_income_to_line") - peer_mean(feature("period_income_to_line"), "county_code")
    chronic = members(has_item("chronic4", "高血压", "糖尿病")) / members()
    formulas = {
        "rank_above_mean": peer_rank(above, "county_code"),
        "rank_of_rank": peer_rank(peer_rank(above, "township_code"), "county_code"),
        "chronic_rank": peer_rank(chronic, "county_code"),
    }
    features = FeatureSet(Feature(name, "某", "some", Unit.SHARE, "own", f) for name, f in formulas.items())
    work = FeatureWork.of(store, DAYS, features=features)
    joined = pl.concat([part.to_polars() for part in over_partitions(work, 1)])
    expected = build_features(Store(store).open(), DAYS, features).to_polars()
    joined, expected = (each.sort("household_id", "as_of_date") for each in (joined, expected))
    assert max(map(len, work.partitions(1))) >= 3, "a county in several partitions"
    assert [name for name in formulas if not joined[name].equals(expected[name])] == []
    assert [name for name in formulas if expected[name].n_unique() < 5] == []


def test_a_stream_writes_the_same_bytes_whatever_the_parts(tmp_path: Path) -> None:
    frame = pl.DataFrame({"a": np.arange(1000.0), "b": [f"{i % 7}" for i in range(1000)]})
    found = set()
    for size in (1, 33, 1000):
        with ParquetStream(tmp_path / "a.parquet", rows_per_group=64) as stream:
            for first in range(0, 1000, size):
                stream.write(frame[first : first + size])
        found.add((tmp_path / "a.parquet").read_bytes())
        assert pl.read_parquet(tmp_path / "a.parquet").equals(frame)
    assert len(found) == 1
    assert stream.rows == 1000


def test_a_stream_that_fails_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(b"earlier")

    def fail() -> None:
        with ParquetStream(path, rows_per_group=1) as stream:
            stream.write(pl.DataFrame({"a": [1, 2]}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"earlier"
    assert list(tmp_path.iterdir()) == [path]
