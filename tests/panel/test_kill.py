"""An ingest killed at any moment leaves the store as it was before or as it is after, never between."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import simulate, write_exports
from relapse_risk.panel.upkeep import verify

TODAY = date(2025, 6, 30)
KILLS = 30
# Says when it begins, so that the delays count from there and not from the start of Python.
INGEST = """
import sys
from datetime import date
from relapse_risk.errors import RelapseRiskError
from relapse_risk.panel import ingest
print("ready", flush=True)
try:
    ingest.ingest(sys.argv[1], sys.argv[2], today=date(2025, 6, 30))
except RelapseRiskError as error:
    print(error.code, flush=True)
    sys.exit(error.exit_code)
"""


def start(export: Path, store: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", INGEST, str(export), str(store)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """What was handed in first, households alone; and what comes next, everything, with broken rows."""
    root = tmp_path_factory.mktemp("exports")
    first, more = root / "first", root / "more"
    write_exports(simulate(60, 18, seed=9, oracle_dates=(), hazard_paths=0), more, n_bad_rows=8)
    first.mkdir()
    shutil.copy2(more / "家庭.xlsx", first)
    return first, more


def tables_of(store: Store) -> dict[str, pl.DataFrame]:
    order = {"observation": ["household_id", "period_end", "recorded_on"]}
    return {name: frame.sort(order.get(name, frame.columns)) for name, frame in store.open().tables.items()}


def same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> bool:
    try:
        assert one.keys() == other.keys()
        for name, frame in one.items():
            assert_frame_equal(other[name], frame)
    except AssertionError:
        return False
    return True


@pytest.mark.slow
def test_killed_at_random_moments(exports: tuple[Path, Path], tmp_path: Path) -> None:
    first, more = exports
    kept, path, done = tmp_path / "kept", tmp_path / "store", tmp_path / "done"
    ingest(first, kept, today=TODAY)
    shutil.copytree(kept, done)
    with start(more, done) as process:
        began = time.monotonic()
        assert process.wait() == 0
        life = time.monotonic() - began
    before, after = tables_of(Store(kept)), tables_of(Store(done))
    assert not same(before, after)
    moments = random.Random(20)
    found = {"before": 0, "after": 0, "killed": 0}
    while found["killed"] < KILLS and found["after"] < KILLS:
        delay = life * moments.random()
        shutil.copytree(kept, path)
        with start(more, path) as process:
            time.sleep(delay)
            process.kill()
            found["killed"] += process.wait() == -signal.SIGKILL
        store = Store(path)
        assert verify(store).problems == ()
        is_after = len(store.log()) == 2
        found["after" if is_after else "before"] += 1
        assert same(tables_of(store), after if is_after else before)
        report = ingest(more, path, today=TODAY)
        assert (report.commit is None) == is_after, "the next ingest goes on from there"
        assert same(tables_of(store), after)
        assert verify(store).problems == ()
        listed = {file.path for commit in store.log() for file in commit.files}
        assert {p.relative_to(path).as_posix() for p in path.rglob("*.parquet")} == listed
        assert not (path / "staging").exists()
        shutil.rmtree(path)
    assert found["killed"] == KILLS, f"kills that came too late test nothing: {found}"


@pytest.mark.slow
def test_two_ingests_at_once(exports: tuple[Path, Path], tmp_path: Path) -> None:
    """One writes; the other writes after it or says that the store is taken, and leaves no trace."""
    first, more = exports
    path = tmp_path / "store"
    with start(first, path) as one, start(more, path) as other:
        ended = [process.communicate() for process in (one, other)]
    codes = [one.returncode, other.returncode]
    said = [out.strip() for out, _ in ended]
    assert 0 in codes
    for code, text in zip(codes, said, strict=True):
        assert (code, text) in ((0, ""), (3, "RR651"))
    store = Store(path)
    assert verify(store).problems == ()
    assert len(store.log()) == codes.count(0)
    ingest(first, path, today=TODAY)
    ingest(more, path, today=TODAY)
    assert verify(store).problems == ()
    assert store.open().tables["household"]["household_id"].n_unique() >= 60
