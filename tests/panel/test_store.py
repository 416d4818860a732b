"""A commit is there whole or not at all, and what was stored comes back."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from relapse_risk.errors import DataError, MachineError
from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel import staging as staging_module
from relapse_risk.panel import store as store_module
from relapse_risk.panel.commit import Commit
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.store import Store
from relapse_risk.panel.validate import validate
from relapse_risk.vocabulary import Direction, Unit


@pytest.fixture
def panel(tmp_path, export, today) -> Panel:
    return validate(read_exports(export.write(tmp_path / "export")), today=today)[0]


def later(panel: Panel, **tables: pl.DataFrame) -> Panel:
    return Panel(tables, panel.extra_columns)


def one_more(panel: Panel) -> Panel:
    """Return a panel with one observation the first does not have."""
    row = panel.tables["observation"].head(1)
    return later(panel, observation=row.with_columns(period_end=pl.lit(date(2024, 4, 30))))


def snapshot(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


def test_what_was_stored_comes_back(tmp_path, panel) -> None:
    store = Store(tmp_path / "store")
    commit = store.commit(panel)
    opened = store.open()
    assert set(opened.tables) == {"household", "observation", "event"}
    for name, frame in panel.tables.items():
        assert_frame_equal(opened.tables[name], frame, check_row_order=False)
    assert [c.id for c in store.log()] == [commit.id]
    assert opened.provenance["commits"] == [commit.id]
    assert Store.exists(store.path)
    assert not Store.exists(tmp_path / "elsewhere")


def test_rows_lie_by_county_and_are_never_rewritten(tmp_path, panel) -> None:
    store = Store(tmp_path / "store")
    store.commit(panel)
    before = snapshot(store.path)
    assert {Path(name).parent.name for name in before if "observation" in name} == {
        "county_code=130101",
        "county_code=130102",
    }
    store.commit(one_more(panel))
    after = snapshot(store.path)
    assert {name: after[name] for name in before} == before
    assert store.open().tables["observation"].height == 10


def test_a_panel_without_news_is_no_commit(tmp_path, panel) -> None:
    store = Store(tmp_path / "store")
    store.commit(panel)
    before = snapshot(store.path)
    nothing = later(panel, **{name: frame.clear() for name, frame in panel.tables.items()})
    assert store.commit(nothing) is None
    assert snapshot(store.path) == before


def test_an_empty_table_that_was_handed_in_is_known(tmp_path, panel) -> None:
    store = Store(tmp_path / "store")
    empty = pl.DataFrame(schema={"visit_id": pl.String, "household_id": pl.String, "recorded_on": pl.Date})
    store.commit(Panel({**panel.tables, "visit": empty}))
    known = store.open().known_at(date(2024, 6, 30))
    assert known.has("visit")
    assert not known.has("measure")
    assert known.table("visit").width > 3


def test_same_panels_same_bytes(tmp_path, panel) -> None:
    for name in ("one", "two"):
        Store(tmp_path / name).commit(panel)
    one, two = (
        {name: content for name, content in snapshot(tmp_path / store).items() if name.endswith(".parquet")}
        for store in ("one", "two")
    )
    assert one == two


def test_extra_columns_travel_with_the_store(tmp_path, panel) -> None:
    extra = ExtraColumn(
        column="R", name="rooms", zh="房间", en="rooms", unit=Unit.COUNT, direction=Direction.LOWERS_RISK
    )
    store = Store(tmp_path / "store")
    store.commit(panel)
    wide = one_more(panel).tables["observation"].with_columns(rooms=pl.lit(3.0))
    store.commit(Panel({"observation": wide}, (extra,), {"assumed": {"observation": "period_end + 0 days"}}))
    opened = store.open()
    assert opened.extra_columns == (extra,)
    assert opened.tables["observation"]["rooms"].null_count() == 9
    assert opened.provenance["assumed"] == {"observation": "period_end + 0 days"}
    assert Commit.from_json(store.log()[1].to_json()) == store.log()[1]


def test_rows_without_a_household_are_refused(tmp_path, panel) -> None:
    with pytest.raises(DataError) as caught:
        Store(tmp_path / "store").commit(Panel({"observation": panel.tables["observation"]}))
    assert caught.value.code == "RR193"
    assert not Store.exists(tmp_path / "store")


def test_no_store(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        Store(tmp_path / "nothing").open()
    assert caught.value.code == "RR191"


def test_damage_is_noticed(tmp_path, panel) -> None:
    store = Store(tmp_path / "store")
    commit = store.commit(panel)
    path = store.path / commit.files[0].path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match="missing or altered") as caught:
        store.open()
    assert caught.value.code == "RR192"
    next(store.path.joinpath("commits").glob("*.json")).write_text("{}")
    with pytest.raises(DataError) as caught:
        store.log()
    assert caught.value.code == "RR192"


def test_two_writers(tmp_path, panel) -> None:
    store, other = Store(tmp_path / "store"), Store(tmp_path / "store")
    with store.lock():
        with pytest.raises(MachineError) as caught:
            other.commit(panel)
        store.commit(panel)
    assert caught.value.code == "RR651"
    assert other.commit(one_more(panel)).sequence == 2


FAILING = [
    *(("flush", at) for at in (1, 3, 6)),
    *(("sha256_of", at) for at in (1, 6)),
    *(("flush_folder", at) for at in (1, 6)),
    ("write_atomically", 1),
]


@pytest.mark.parametrize(("step", "at"), FAILING)
def test_a_disk_that_fails_at_any_step_leaves_the_store_as_it_was(
    tmp_path, panel, monkeypatch, step, at
) -> None:
    store = Store(tmp_path / "store")
    store.commit(panel)
    before = store.open()
    module = staging_module if step in ("flush", "sha256_of") else store_module
    kept = getattr(module, step)
    calls = {"n": 0}

    def failing(*args: object) -> object:
        calls["n"] += 1
        if calls["n"] == at:
            raise OSError(28, "No space left on device")
        return kept(*args)

    more = Panel(
        {
            name: frame.with_columns(recorded_on=pl.lit(date(2024, 6, 1)))
            for name, frame in panel.tables.items()
        }
    )
    monkeypatch.setattr(module, step, failing)
    with pytest.raises(MachineError) as caught:
        store.commit(more)
    monkeypatch.undo()
    assert caught.value.code == "RR652"
    assert caught.value.exit_code == 3
    for name, frame in before.tables.items():
        assert_frame_equal(Store(store.path).open().tables[name], frame)
    assert store.commit(more).sequence == 2, "and the next commit clears what was left and goes through"
    listed = {file.path for commit in store.log() for file in commit.files}
    assert {name for name in snapshot(store.path) if name.endswith(".parquet")} == listed


KILLED = """
import os, sys
from datetime import date
from pathlib import Path
from relapse_risk.panel import staging, store
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
import polars as pl
step, at, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
module = staging if step == "flush" else store
kept, calls = getattr(module, step), [0]
def dying(*args):
    calls[0] += 1
    if calls[0] == at:
        os._exit(9)
    return kept(*args)
setattr(module, step, dying)
store = Store(path)
tables = {n: f.with_columns(recorded_on=pl.lit(date(2024, 6, 1))) for n, f in store.open().tables.items()}
store.commit(Panel(tables))
"""


@pytest.mark.parametrize(("step", "at"), [("flush", 2), ("flush_folder", 3), ("write_atomically", 1)])
def test_a_process_that_dies_leaves_the_store_as_it_was(tmp_path, panel, step, at) -> None:
    store = Store(tmp_path / "store")
    store.commit(panel)
    before = store.open()
    command = [sys.executable, "-c", KILLED, step, str(at), str(store.path)]
    assert subprocess.run(command, check=False).returncode == 9
    for name, frame in before.tables.items():
        assert_frame_equal(store.open().tables[name], frame)
    assert store.commit(one_more(panel)).sequence == 2, "the lock died with its holder"
