"""Partitions together are the whole panel, on every date, whoever moved, split off or was recoded."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from relapse_risk.errors import DataError
from relapse_risk.features.build import build_features
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.panel.partition import Partition, cut_partitions
from relapse_risk.panel.place import BUCKETS, bucket_of
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate
from relapse_risk.panel.tables import TABLE_BY_NAME

DATES = (date(2019, 12, 31), date(2020, 7, 31), date(2020, 12, 31))
COMMITTED_ON = (date(2020, 2, 15), date(2020, 5, 31), date(2020, 9, 30), date(2021, 12, 31))
TARGET = 40
# What looks at a whole county; a run over its parts counts these beforehand.
OF_COUNTIES = {"period_income_county_rank", "county_below_line_share", "school_age_excused_n"}


def move(rows: pl.DataFrame, on: date, **to: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(on).alias("recorded_on"), *(pl.lit(v).alias(c) for c, v in to.items()))


def with_life(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Households that move, there and back and to another county; recoded villages; a split; a merger of
    two villages' households into one of a third; households that get another identifier; a marriage.
    """
    latest = tables["household"].sort("recorded_on").unique("household_id", keep="last").sort("household_id")
    villages = latest["village_code"].unique().sort().to_list()
    one, back, far, parent, groom = (latest[i : i + 1] for i in (0, 7, 50, 90, 120))
    recoded = latest.filter(pl.col("village_code") == villages[5])
    child = parent.with_columns(
        household_id=pl.lit("NEW1"), predecessor_id=parent["household_id"], village_code=pl.lit(villages[1])
    )
    grandchild = child.with_columns(
        household_id=pl.lit("NEW2"), predecessor_id=pl.lit("NEW1"), village_code=pl.lit(villages[2])
    )
    merged = latest[30:31].with_columns(
        household_id=pl.lit("NEW3"), predecessor_id=pl.lit("、".join(latest["household_id"].gather([40, 60])))
    )
    renamed = latest.filter(pl.col("village_code") == villages[6]).with_columns(
        household_id=pl.lit("R") + pl.col("household_id"), predecessor_id="household_id"
    )
    household = [
        tables["household"],
        move(merged, date(2020, 3, 10)),
        move(renamed, date(2020, 5, 10), village_code="130100888888"),
        move(one, date(2020, 2, 1), village_code=villages[3]),
        move(back, date(2020, 2, 1), village_code=villages[4]),
        move(back, date(2020, 8, 1)),
        move(far, date(2020, 3, 1), county_code="139999", village_code="139999001001"),
        move(recoded, date(2020, 7, 15), village_code="130100999999"),
        move(child, date(2020, 4, 1)),
        move(grandchild, date(2020, 11, 1)),
    ]
    bride = tables["member"].filter(pl.col("household_id") == one["household_id"].item())[0:1]
    bride = move(bride, date(2020, 8, 20), household_id=groom["household_id"].item())
    return {**tables, "household": pl.concat(household), "member": pl.concat([tables["member"], bride])}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store filled in four commits, as the rows became known, and one late correction."""
    scenario = Scenario.load("hebei_like")
    villages = scenario.population.model_copy(update={"households_per_village": 15})
    scenario = scenario.model_copy(update={"population": villages})
    county = simulate(300, 30, scenario, seed=5, oracle_dates=(), hazard_paths=0)
    tables = with_life(dict(county.tables))
    store = Store(tmp_path_factory.mktemp("partition") / "store")
    earlier = date(1900, 1, 1)
    for until in COMMITTED_ON:
        news = {
            name: frame.filter(pl.col("recorded_on").is_between(earlier, until, closed="right"))
            for name, frame in tables.items()
        }
        store.commit(Panel({name: frame for name, frame in news.items() if not frame.is_empty()}))
        earlier = until
    late = tables["observation"].filter(pl.col("recorded_on") < COMMITTED_ON[1]).gather_every(7)
    store.commit(
        Panel({"observation": late.with_columns(n_person=pl.lit(9.0), recorded_on=date(2020, 6, 1))})
    )
    return store


def same_rows(one: pl.DataFrame, other: pl.DataFrame, name: str) -> None:
    # A row of one key may stand under several households that inherit it.
    order = [*TABLE_BY_NAME[name].key, "recorded_on", *({"household_id"} & set(one.columns))]
    assert_frame_equal(one.sort(order), other.sort(order), check_exact=True)


def known_in(store: Store, partitions: list[Partition], day: date) -> list[KnownPanel]:
    return [store.open_partition(p).known_at(day) for p in partitions if day in p.as_of_dates]


def test_the_panel_holds_lives_worth_testing(store: Store) -> None:
    """Else the tests below would hold for want of movers."""
    copies = [file for commit in store.log() for file in commit.files if file.is_copy]
    assert {file.table for file in copies} >= {"household", "member", "observation", "event", "visit"}
    assert len({file.path.rsplit("/", 1)[1] for file in copies}) >= 3


@pytest.mark.parametrize("target", [TARGET, None], ids=["small", "counties"])
def test_partitions_together_are_the_whole(store: Store, target: int | None) -> None:
    whole = store.open()
    partitions = store.partitions(DATES, target)
    for day in DATES:
        known, parts = whole.known_at(day), known_in(store, partitions, day)
        living = [part.households.height for part in parts]
        assert sum(living) == known.households.height
        ids = known.table("household").select("household_id")
        for name in whole.tables:
            frame = known.table(name)
            if "household_id" in frame.columns:
                frame = frame.join(ids, on="household_id", how="semi")
                same_rows(pl.concat([part.table(name) for part in parts]), frame, name)
            else:
                assert all(part.table(name).equals(frame) for part in parts)


def test_every_history_is_whole(store: Store) -> None:
    """Labels look beyond the date: rows recorded later are there too, also of those who moved out."""
    whole = store.open()
    partitions = store.partitions(DATES, TARGET)
    later = date(2021, 12, 31)
    known = whole.known_at(later)
    for partition in partitions:
        panel = store.open_partition(partition)
        found = panel.known_at(later, residents_only=False)
        for day in partition.as_of_dates:
            ids = panel.known_at(day).households.select("household_id")
            for name in ("household", "observation", "event", "visit"):
                own = known.table(name).join(ids, on="household_id", how="semi")
                same_rows(found.table(name).join(ids, on="household_id", how="semi"), own, name)


@pytest.mark.parametrize("target", [TARGET, None], ids=["small", "counties"])
def test_features_are_the_same_bits(store: Store, target: int | None) -> None:
    """Village ranks and shares included; sums add up in the same order."""
    whole = build_features(store.open(), DATES[1:])
    found = []
    for partition in store.partitions(DATES[1:], target):
        panel = store.open_partition(partition)
        found += [build_features(panel, [day], whole.features) for day in partition.as_of_dates]
    order = pl.concat([part.index for part in found]).with_row_index("at").sort("as_of_date", "household_id")
    values = np.concatenate([part.values for part in found])[order["at"].to_numpy()]
    differing = {
        name
        for i, name in enumerate(whole.features.names)
        if not np.array_equal(values[:, i], whole.values[:, i], equal_nan=True)
    }
    assert differing == (set() if target is None else OF_COUNTIES)


def test_small_counties_are_one_partition_and_large_ones_are_cut(store: Store) -> None:
    cut = store.partitions(DATES, TARGET)
    counties = store.partitions(DATES, None)
    assert [p.county_code for p in counties] == sorted({p.county_code for p in cut})
    assert len(cut) > 5
    assert all(p.households <= TARGET * 2 for p in cut), "a village stays whole"
    for county in {p.county_code for p in cut}:
        own = [p for p in cut if p.county_code == county]
        ends = [-1, *(p.last_bucket for p in own)]
        assert [p.first_bucket for p in own] == [end + 1 for end in ends[:-1]]
        assert ends[-1] == BUCKETS - 1
    assert {p.county_code: p.as_of_dates for p in counties}["139999"] == DATES[1:]
    assert pickle.loads(pickle.dumps(cut)) == cut


def test_nobody_known_is_no_partition(store: Store) -> None:
    assert store.partitions([date(1990, 1, 1)]) == []
    with pytest.raises(DataError) as caught:
        Store(store.path / "nothing").partitions(DATES)
    assert caught.value.code == "RR191"


def test_only_what_lies_in_the_partition_is_read(store: Store) -> None:
    partition = store.partitions(DATES, TARGET)[2]
    panel = store.open_partition(partition)
    assert panel.tables["household"]["household_id"].n_unique() < 3 * TARGET
    assert replace(panel, partition=None).known_at(DATES[1]).households.height > 0


def test_the_bucket_of_a_village_never_changes() -> None:
    """It is on disk in every store."""
    codes = pl.Series(["130101001001", "", None, "130101001002"])
    assert bucket_of(codes).to_list() == [54713, 45566, 45566, 62157]


def test_cutting() -> None:
    day = date(2024, 1, 1)
    rows = [("1", 5, day, 10), ("1", 9, day, 10), ("1", 30, day, 50), ("2", 7, day, 1)]
    counts = pl.DataFrame(rows, schema=["_county", "_bucket", "as_of_date", "households"], orient="row")
    found = cut_partitions(counts.with_columns(pl.col("_bucket").cast(pl.UInt16)), 25)
    assert found == [
        Partition("1", 0, 29, (day,), 20),
        Partition("1", 30, BUCKETS - 1, (day,), 50),
        Partition("2", 0, BUCKETS - 1, (day,), 1),
    ]


def test_parts_of_a_county_are_of_about_the_same_size() -> None:
    day = date(2024, 1, 1)

    def sizes(villages: int, target: int) -> list[int]:
        rows = [("1", bucket, day, 10) for bucket in range(villages)]
        counts = pl.DataFrame(rows, schema=["_county", "_bucket", "as_of_date", "households"], orient="row")
        found = cut_partitions(counts.with_columns(pl.col("_bucket").cast(pl.UInt16)), target)
        return [part.households for part in found]

    assert sizes(62, 500) == [620], "a county a little larger than asked for stays whole"
    assert sizes(63, 500) == [310, 320]
    assert sizes(101, 300) == [340, 330, 340]
    assert sizes(3, 1) == [10, 10, 10], "villages are never cut"


def test_row_groups_follow_the_buckets(tmp_path: Path, store: Store) -> None:
    import pyarrow.parquet as pq

    for commit in store.log():
        for file in commit.files:
            if file.partition:
                buckets = pq.read_table(store.path / file.path, columns=["_bucket"])["_bucket"].to_pylist()
                assert buckets == sorted(buckets)
