"""Ten rows broken by hand, ingested, corrected in what came back, ingested again; the README shows it."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from polars.testing import assert_frame_equal

from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import simulate, write_exports

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    path = ROOT / "docs" / "make_clerk_walk.py"
    spec = importlib.util.spec_from_file_location("make_clerk_walk", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


WALK = script()


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object]:
    folder = tmp_path_factory.mktemp("walk")
    return folder, WALK.walk(folder)


def test_every_slip_comes_back_with_its_reason(walked) -> None:
    _, walk = walked
    own = walk.first.failures.filter(~walk.first.failures["code"].is_in(["RR124", "RR125"]))
    assert own.select("row", "code").height == len(WALK.SLIPS) == 10
    assert sorted(own["row"]) == sorted(slip.row + 1 for slip in WALK.SLIPS)


def test_corrected_files_go_in_whole_and_the_store_is_as_if_nothing_had_been_wrong(walked, tmp_path) -> None:
    folder, walk = walked
    assert not walk.second.reject_files
    for name, counts in walk.second.counts.items():
        assert counts.accepted == counts.read == walk.first.counts[name].rejected
    county = simulate(120, 24, seed=3, oracle_dates=(), hazard_paths=0)
    write_exports(county, tmp_path / "sound")
    ingest(tmp_path / "sound", tmp_path / "store", today=WALK.TODAY)
    expected, found = Store(tmp_path / "store").open(), Store(folder / "store").open()
    for name, frame in expected.tables.items():
        assert_frame_equal(found.tables[name], frame, check_row_order=False)


def test_the_readme_shows_what_was_printed(walked) -> None:
    """Else run ``python docs/make_clerk_walk.py``."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert WALK.block(walked[1].printed) in readme
