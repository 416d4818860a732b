"""Rows that wait on disk in small parts come to the same store as rows that fit into memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from relapse_risk.panel import csv_source, read, staging
from relapse_risk.panel.ingest import IngestReport, ingest
from relapse_risk.panel.spill import Spill
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import simulate, write_exports
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.panel.upkeep import verify

TODAY = date(2025, 6, 30)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Households and members first; then everything, with rows that are broken or stand there twice."""
    root = tmp_path_factory.mktemp("exports")
    write_exports(simulate(150, 24, seed=4, oracle_dates=(), hazard_paths=0), root / "more", n_bad_rows=20)
    (root / "first").mkdir()
    for name in ("家庭.xlsx", "成员.csv"):
        shutil.copy2(root / "more" / name, root / "first")
    return root / "first", root / "more"


@pytest.fixture
def in_small_parts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def switch() -> None:
        monkeypatch.setattr(Spill.__init__, "__defaults__", (None, 100))
        monkeypatch.setattr(staging, "_HOUSEHOLDS_PER_PART", 40)
        monkeypatch.setattr(staging, "_KEY_PARTS", 5)
        monkeypatch.setattr(csv_source, "_BLOCK_BYTES", 20_000)
        monkeypatch.setattr(read, "_HELD_BYTES", 0)

    return switch


def both(exports: tuple[Path, Path], store: Path) -> list[IngestReport]:
    return [ingest(export, store, today=TODAY) for export in exports]


def test_small_parts_come_to_the_same(exports, tmp_path, in_small_parts) -> None:
    expected = both(exports, tmp_path / "expected")
    in_small_parts()
    found = both(exports, tmp_path / "found")
    for one, other in zip(expected, found, strict=True):
        assert other.counts == one.counts
        assert other.commit is not None
        assert one.commit is not None
        assert other.commit.id == one.commit.id
        assert_frame_equal(other.failures, one.failures)
        assert_frame_equal(other.warnings, one.warnings)
        if one.remarks_file is not None and other.remarks_file is not None:
            assert other.remarks_file.read_bytes() == one.remarks_file.read_bytes()
        assert (other.remarks_file is None) == (one.remarks_file is None)
        assert [path.read_bytes() for path in other.reject_files] == [
            p.read_bytes() for p in one.reject_files
        ]
    assert any(".2.parquet" in file.path for file in found[1].commit.files if found[1].commit)
    whole, parts = Store(tmp_path / "expected"), Store(tmp_path / "found")
    assert verify(parts).problems == ()
    for name, frame in whole.open().tables.items():
        order = [*TABLE_BY_NAME[name].key, "recorded_on"]
        assert_frame_equal(parts.open().tables[name].sort(order), frame.sort(order))
    again = ingest(exports[1], parts.path, today=TODAY)
    assert again.commit is None
    assert not (parts.path / "staging").exists()
