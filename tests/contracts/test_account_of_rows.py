"""Nothing is lost between an export and the store: rows read are accepted, rejected or exact duplicates."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date
from pathlib import Path

import pytest
from openpyxl import load_workbook

from relapse_risk.panel.ingest import IngestReport, ingest
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import simulate, write_exports
from relapse_risk.panel.tables import TABLES

BAD_ROWS = 37
ENCODINGS = {"成员.csv": "gb18030", "监测记录.csv": "gb18030"}
ZH = {table.zh: table.name for table in TABLES if table.is_stored}


def rows_in(path: Path) -> list[tuple[str, ...]]:
    """The rows of a file below its header, counted without the toolkit."""
    if path.suffix == ".xlsx":
        (sheet,) = load_workbook(path).worksheets
        rows = [tuple(str(cell or "") for cell in row) for row in sheet.iter_rows(values_only=True)]
    else:
        with path.open(encoding=ENCODINGS.get(path.name, "utf-8-sig"), newline="") as stream:
            rows = [tuple(row) for row in csv.reader(stream)]
    return rows[1:]


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, IngestReport]:
    root = tmp_path_factory.mktemp("account")
    county = simulate(200, 24, seed=6, oracle_dates=(), hazard_paths=0)
    write_exports(county, root / "exports", n_bad_rows=BAD_ROWS)
    report = ingest(root / "exports", root / "store", today=date(2025, 6, 30))
    return root / "exports", root / "store", report


def test_every_row_of_every_file_is_in_the_account(handed_in: tuple[Path, Path, IngestReport]) -> None:
    exports, store, _ = handed_in
    told = json.loads((store / "manifest.json").read_text(encoding="utf-8"))["tables"]
    in_files = {ZH[path.stem]: len(rows_in(path)) for path in exports.iterdir() if path.stem in ZH}
    assert {name: counts["read"] for name, counts in told.items()} == in_files
    for counts in told.values():
        assert counts["read"] == counts["accepted"] + counts["rejected"] + counts["duplicate"]
    assert sum(counts["duplicate"] for counts in told.values()) > 0


def test_accepted_rows_are_in_the_store_and_the_others_are_not(
    handed_in: tuple[Path, Path, IngestReport],
) -> None:
    _, store, report = handed_in
    stored = {name: frame.height for name, frame in Store(store).open().tables.items()}
    assert stored == {name: counts.accepted for name, counts in report.counts.items()}


def test_rejected_rows_come_back_word_for_word(handed_in: tuple[Path, Path, IngestReport]) -> None:
    """Each broken row once, in a file of its table, as it stood in the export, with a reason."""
    exports, _, report = handed_in
    assert sum(counts.rejected for counts in report.counts.values()) >= BAD_ROWS
    for path in report.reject_files:
        table = path.name.split("_")[0]
        source = next(p for p in exports.iterdir() if p.stem == table)
        with path.open(encoding="utf-8-sig", newline="") as stream:
            header, *returned = csv.reader(stream)
        assert header[-5:] == ["文件", "行号", "原因代码", "原因", "reason"]
        assert all(all(row[-5:]) for row in returned)
        kept = Counter(tuple(cell.removeprefix("\t") for cell in row[:-5]) for row in returned)
        assert kept <= Counter(rows_in(source))
        assert len(returned) == report.counts[ZH[table]].rejected


def test_ingesting_the_same_files_again_accepts_nothing(handed_in: tuple[Path, Path, IngestReport]) -> None:
    """Sent-back rows are sent back again; all others are duplicates of what is stored."""
    exports, store, report = handed_in
    again = ingest(exports, store, today=date(2025, 6, 30))
    assert again.commit is None
    for name, counts in again.counts.items():
        assert counts.accepted == 0
        assert counts.rejected == report.counts[name].rejected
        assert counts.read == counts.rejected + counts.duplicate
