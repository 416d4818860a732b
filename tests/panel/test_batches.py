"""A file that is read in blocks comes to the same as one read whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from relapse_risk.errors import DataError
from relapse_risk.panel import csv_source, read, workbook
from relapse_risk.panel.raw import RawTable
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.rejects import Rejects
from relapse_risk.panel.spill import PART, Spill
from relapse_risk.panel.validate import validate

BLOCK = 300


@pytest.fixture
def in_blocks(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    def switch() -> None:
        monkeypatch.setattr(csv_source, "_BLOCK_BYTES", BLOCK)
        monkeypatch.setattr(csv_source, "_CHUNK_BYTES", BLOCK // 3)
        monkeypatch.setattr(workbook, "_SLICE_ROWS", 2)
        monkeypatch.setattr(read, "_HELD_BYTES", 0)

    return switch


def write_text(path: Path, rows: list[dict[str, str]], encoding: str, end: str, delimiter: str) -> Path:
    lines = [delimiter.join(rows[0]), *(delimiter.join(row.values()) for row in rows)]
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def whole(table: RawTable) -> pl.DataFrame:
    frames = [batch.frame.with_columns(batch.sheet.frame["row_number"]) for batch in table.batches()]
    frame = pl.concat(frames, how="diagonal")
    return frame.select(sorted(frame.columns))


def same_outcome(one: Rejects, other: Rejects) -> None:
    assert one.counts == other.counts
    assert_frame_equal(one.failures, other.failures)
    assert_frame_equal(one.warnings, other.warnings)
    assert_frame_equal(one.remarked, other.remarked)
    for mine, theirs in zip(one.returned, other.returned, strict=True):
        assert (mine.name, mine.headers) == (theirs.name, theirs.headers)
        assert_frame_equal(mine.frame, theirs.frame)


def with_faults(export, observation_row) -> list[dict[str, str]]:
    rows = [row | {"工资性收入": "1500"} for row in export.tables["监测记录"]]
    rows[2]["饮水安全"] = "？"
    rows[7] |= {"家庭人口": "三", "户编号": "9999999999999999"}
    repeated = [
        observation_row(1, 1, 工资性收入="1500"),
        observation_row(2, 1, 工资性收入="1501", 家庭纯收入="2001"),
    ]
    export.tables["监测记录"] = [*rows, *repeated]
    return export.tables["监测记录"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_in_blocks(tmp_path, export, observation_row, in_blocks, today, encoding, end) -> None:
    rows = with_faults(export, observation_row)
    export.write(tmp_path)
    write_text(tmp_path / "监测记录.csv", rows, encoding, end, ";")
    panel, rejects = validate(read_exports(tmp_path), today=today)
    assert {row["code"] for row in rejects.failures.iter_rows(named=True)} >= {"RR113", "RR112", "RR126"}
    in_blocks()
    raw = read_exports(tmp_path)
    (table,) = raw.of("observation")
    assert table.frame.is_empty()
    assert len(list(table.batches())) > 2
    found, found_rejects = validate(raw, today=today)
    same_outcome(found_rejects, rejects)
    for name, frame in panel.tables.items():
        assert_frame_equal(found.tables[name], frame)


def test_breaks_and_marks_within_quotes_and_ragged_rows(tmp_path, export, in_blocks, today) -> None:
    """Blocks end between records, never within one; blank rows keep their numbers."""
    rows = [
        row | {"备注": f'第一行\n{"长" * (40 * i)}"引"，\n\n末行'}
        for i, row in enumerate(export.tables["监测记录"])
    ]
    export.tables["监测记录"] = rows
    path = export.write(tmp_path) / "监测记录.csv"
    text = path.read_bytes().decode("utf-8-sig").rstrip("\r\n")
    path.write_text(
        text + "\r\n\r\n" + text.rsplit("\r\n", 1)[1][:30] + ",x" * 40 + "\r\n", encoding="utf-8", newline=""
    )
    expected, (_, rejects) = (
        whole(read_exports(tmp_path).of("observation")[0]),
        validate(read_exports(tmp_path), today=today),
    )
    in_blocks()
    raw = read_exports(tmp_path)
    assert len(list(raw.of("observation")[0].batches())) > 2
    assert_frame_equal(whole(raw.of("observation")[0]), expected)
    same_outcome(validate(raw, today=today)[1], rejects)


def test_parquet_in_slices(tmp_path, export, in_blocks, today) -> None:
    frame = pl.DataFrame(export.tables["监测记录"]).with_columns(家庭人口=pl.lit(3.0))
    export.write(tmp_path)
    (tmp_path / "监测记录.csv").unlink()
    frame.write_parquet(tmp_path / "监测记录.parquet")
    expected = whole(read_exports(tmp_path).of("observation")[0])
    in_blocks()
    (table,) = read_exports(tmp_path).of("observation")
    assert [batch.frame.height for batch in table.batches()] == [2, 2, 2, 2, 1]
    assert_frame_equal(whole(table), expected)


def test_a_mark_that_is_never_closed_is_refused_with_its_line(tmp_path, export, in_blocks) -> None:
    path = export.write(tmp_path) / "监测记录.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    lines[8] = lines[8].replace("A", '"A')
    path.write_text("\n".join(lines), encoding="utf-8")
    in_blocks()
    with pytest.raises(DataError) as caught:
        list(read_exports(tmp_path).of("observation")[0].batches())
    assert caught.value.code == "RR103"


def test_rows_that_wait_on_disk_come_back_part_by_part(tmp_path) -> None:
    rows = pl.DataFrame({"x": range(40), PART: [i % 4 for i in range(40)]})
    held, spilt = Spill(), Spill(tmp_path / "spill", held_rows=12)
    for spill in (held, spilt):
        for first in range(0, 40, 5):
            spill.add(rows[first : first + 5])
    (together,) = held.parts()
    assert_frame_equal(together, rows)
    parts = list(spilt.parts())
    assert [part[PART].unique().to_list() for part in parts] == [[0], [1], [2], [3]]
    assert [part["x"].to_list() for part in parts] == [list(range(i, 40, 4)) for i in range(4)]
    assert not list((tmp_path / "spill").iterdir())
