"""Looking after a store: verified, taken back, forgotten, brought up to date; nothing half done."""

from __future__ import annotations

import json
import os
import shutil
import stat
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from relapse_risk.cli import app
from relapse_risk.errors import ConfigurationError, DataError
from relapse_risk.panel import upkeep
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.store import Store
from relapse_risk.panel.upkeep import migrate, purge, roll_back, verify

ONE, TWO = "1301010000000001", "1301010000000002"


@pytest.fixture
def store(tmp_path, export, today, household_row, observation_row) -> Store:
    """Three commits: an export with a row sent back; a household that moved; one that names another."""
    export.tables["监测记录"][0]["饮水安全"] = "？"
    ingest(export.write(tmp_path / "one"), tmp_path / "store", today=today)
    moved = household_row(1, 村代码="130101001009", 录入日期="2024-05-01")
    export.tables = {"家庭": [moved], "监测记录": [observation_row(1, 4, 录入日期="2024-05-05")]}
    ingest(export.write(tmp_path / "two"), tmp_path / "store", today=today)
    heir = household_row(7, 村代码="130101001009", 录入日期="2024-06-01", 原户编号=ONE)
    export.tables = {"家庭": [heir]}
    ingest(export.write(tmp_path / "three"), tmp_path / "store", today=today)
    return Store(tmp_path / "store")


def bytes_below(path: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file())


def cells_below(path: Path) -> set[str]:
    """Every cell of every Parquet file, whether a commit lists it or not."""
    cells: set[str] = set()
    for file in path.rglob("*.parquet"):
        for column in pl.read_parquet(file, glob=False).get_columns():
            cells |= {str(value) for value in column.to_list()}
    return cells


def test_a_sound_store_is_verified(store) -> None:
    found = verify(store)
    assert found.problems == ()
    assert (found.commits, found.rows) == (3, 3 + 8 + 2 + 2 + 1)


def test_every_kind_of_damage_is_found(store, tmp_path) -> None:
    commit = store.log()[0]
    path = store.path / commit.files[0].path
    sound = path.read_bytes()
    path.write_bytes(sound[:-20] + b"x" * 20)
    assert "altered" in verify(store).problems[0]
    path.unlink()
    assert "missing" in verify(store).problems[0]
    path.write_bytes(sound)
    record = store.record_of(commit)
    text = json.loads(record.read_text(encoding="utf-8"))
    text["tables"]["event"]["accepted"] += 1
    record.write_text(json.dumps(text), encoding="utf-8")
    assert any("event has 2 rows, 3 were accepted" in problem for problem in verify(store).problems)
    result = CliRunner().invoke(app, ["store", "verify", "--store", str(store.path)])
    assert result.exit_code == 1


def test_rollback_takes_back_a_commit_and_those_after_it(store, tmp_path, today) -> None:
    ids = [commit.id for commit in store.log()]
    undone = roll_back(store, ids[1])
    assert [commit.id for commit in undone] == [ids[2], ids[1]]
    assert [commit.id for commit in store.log()] == ids[:1]
    assert verify(store).problems == ()
    listed = {file.path for commit in store.log() for file in commit.files}
    assert {p.relative_to(store.path).as_posix() for p in store.path.rglob("*.parquet")} == listed
    again = ingest(tmp_path / "two", store.path, today=today)
    assert again.commit is not None
    assert again.commit.id == ids[1], "and what was taken back can be ingested as before"


def test_rollback_of_an_unknown_commit_is_refused(store) -> None:
    with pytest.raises(ConfigurationError) as caught:
        roll_back(store, "000009-none")
    assert caught.value.code == "RR271"
    assert len(store.log()) == 3


def test_rollback_cut_off_in_the_middle_leaves_a_store(store, monkeypatch) -> None:
    kept, calls = upkeep.flush_folder, []

    def dies(path: Path) -> None:
        calls.append(path)
        raise KeyboardInterrupt

    monkeypatch.setattr(upkeep, "flush_folder", dies)
    with pytest.raises(KeyboardInterrupt):
        roll_back(store, store.log()[0].id)
    monkeypatch.setattr(upkeep, "flush_folder", kept)
    assert len(store.log()) == 2
    assert verify(store).problems == ()


def test_of_a_purged_household_nothing_is_left(store) -> None:
    assert ONE in cells_below(store.path)
    assert ONE.encode() in bytes_below(store.path / "rejects")
    stray = store.path / "tables" / "household" / "stray.parquet"
    pl.DataFrame({"household_id": [ONE]}).write_parquet(stray)
    removed = purge(store, [ONE])
    assert removed == {"household": 2, "observation": 3, "event": 1}
    assert not any(ONE in cell for cell in cells_below(store.path))
    assert ONE.encode() not in bytes_below(store.path)
    assert verify(store).problems == ()
    opened = store.open().tables
    assert set(opened["household"]["household_id"]) == {TWO, "1301010000000003", "1301010000000007"}
    heir = opened["household"].filter(pl.col("household_id") == "1301010000000007")
    assert heir["predecessor_id"].to_list() == [None]
    counts = store.log()[0].counts["observation"]
    assert (counts.accepted, store.log()[0].purged["observation"]) == (8, 2), "records keep counts"
    assert purge(store, [ONE]) == {}


def test_a_purged_household_does_not_come_back(store, tmp_path, today) -> None:
    purge(store, [ONE])
    report = ingest(tmp_path / "one", store.path, today=today)
    assert report.commit is None
    assert report.counts["household"].rejected == 1
    assert report.counts["observation"].rejected == 3
    assert "RR128" in set(report.failures["code"])
    heir = ingest(tmp_path / "three", store.path, today=today)
    assert heir.commit is None, "who names it as predecessor is stored without it, and known again"
    assert heir.counts["household"].duplicate == 1
    assert ONE.encode() not in bytes_below(store.path), "nor is it returned"
    assert not any(ONE in cell for cell in cells_below(store.path))
    assert not any(ONE in text for column in ("zh", "en") for text in report.failures[column])


def test_a_returned_row_of_another_household_stays_without_the_purged_name(
    store, tmp_path, today, export, household_row
) -> None:
    """The neighbour's row is still to be corrected: only the name of the one to be forgotten goes."""
    row = household_row(8, 录入日期="2024-06-01", 原户编号=f"{ONE}、{TWO}", 户类型="？")
    export.tables = {"家庭": [row]}
    ingest(export.write(tmp_path / "four"), store.path, today=today)
    purge(store, [ONE])
    (returned,) = (path for path in (store.path / "rejects").glob("000004*/*.csv"))
    text = returned.read_text(encoding="utf-8-sig")
    assert "1301010000000008" in text
    assert TWO in text
    assert ONE not in text


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_returned_rows_are_for_their_owner_only(store) -> None:
    assert stat.S_IMODE((store.path / "rejects").stat().st_mode) == 0o700


def test_nobody_is_forgotten_while_the_store_of_before_a_migration_holds_them(store, tmp_path) -> None:
    as_format_1(store)
    migrate(store.path)
    with pytest.raises(ConfigurationError) as caught:
        purge(store, [ONE])
    assert caught.value.code == "RR272"
    shutil.rmtree(tmp_path / "store.format1")
    purge(store, [ONE])
    assert ONE.encode() not in bytes_below(tmp_path / "store")


def test_a_purge_that_was_cut_off_is_seen_and_completed(store, monkeypatch) -> None:
    kept, calls = upkeep.write_atomically, []

    def dies(path: Path, text: str) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        kept(path, text)

    monkeypatch.setattr(upkeep, "write_atomically", dies)
    with pytest.raises(KeyboardInterrupt):
        purge(store, [ONE])
    monkeypatch.undo()
    assert any("purged household" in problem for problem in verify(store).problems)
    purge(store, [ONE])
    assert verify(store).problems == ()
    assert ONE not in cells_below(store.path)


def as_format_1(store: Store) -> None:
    """Write the store as the first version laid it: one file per county and commit, no buckets, no copies."""
    for commit in store.log():
        record = json.loads(store.record_of(commit).read_text(encoding="utf-8"))
        record["format"] = 1
        del record["purged"]
        record["files"] = [file for file in record["files"] if not file.pop("is_copy")]
        for file in record["files"]:
            path = store.path / file["path"]
            pl.read_parquet(path, glob=False).drop("_bucket", strict=False).write_parquet(path)
            file["size_bytes"] = path.stat().st_size
            file["sha256"] = upkeep.sha256_of(path)
        store.record_of(commit).write_text(json.dumps(record), encoding="utf-8")


def test_a_store_of_the_first_format_is_brought_up_to_date(store, tmp_path) -> None:
    shutil.copytree(store.path, tmp_path / "expected")
    expected = Store(tmp_path / "expected")
    as_format_1(store)
    with pytest.raises(DataError) as caught:
        store.open()
    assert caught.value.code == "RR196"
    result = CliRunner().invoke(app, ["store", "migrate", "--store", str(store.path)])
    assert result.exit_code == 0, result.output
    assert [(c.id, c.committed_at, c.counts) for c in store.log()] == [
        (c.id, c.committed_at, c.counts) for c in expected.log()
    ]
    assert verify(store).problems == ()
    for name, frame in expected.open().tables.items():
        assert_frame_equal(store.open().tables[name], frame)
    days = [date(2024, 3, 31), date(2024, 6, 30)]
    assert store.partitions(days) == expected.partitions(days)
    assert (tmp_path / "store.format1" / "commits").is_dir(), "the old one is kept"
    with pytest.raises(DataError) as caught:
        migrate(store.path)
    assert caught.value.code == "RR195"


def test_a_migration_cut_off_before_its_last_step_is_completed(store, tmp_path) -> None:
    as_format_1(store)
    kept = tmp_path / "store.format1"
    migrate(store.path)
    store.path.rename(tmp_path / "store.migrating")
    assert kept.exists()
    assert len(migrate(store.path)) == 3
    assert verify(store).problems == ()


def test_the_verbs_say_what_they_did(store, tmp_path) -> None:
    run, at = CliRunner().invoke, ["--store", str(store.path)]
    ids = [commit.id for commit in store.log()]
    assert all(commit_id in run(app, ["store", "log", *at]).output for commit_id in ids)
    assert "all as recorded" in run(app, ["store", "verify", *at]).output
    named = tmp_path / "households.txt"
    named.write_text(f"{TWO}\n", encoding="utf-8")
    assert "observation: 3 rows removed" in run(app, ["store", "purge", "--file", str(named), *at]).output
    assert run(app, ["store", "purge", *at]).exit_code == 2
    assert f"taken back: {ids[2]}" in run(app, ["store", "rollback", ids[2], *at]).output
    assert run(app, ["store", "rollback", ids[2], *at]).exit_code == 2
    assert run(app, ["store", "log", "--store", str(tmp_path / "none")]).exit_code == 0
    for verb in ("log", "verify", "rollback", "purge", "migrate"):
        assert "Example" in run(app, ["store", verb, "--help"]).output
