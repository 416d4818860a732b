"""Rows that were not accepted: why, how many, and the files in which they go back.

A returned file has the rows as they came, under their own headers, and five columns more: 文件, 行号,
原因代码, 原因, reason. Long codes have a tab before them, which keeps a spreadsheet from turning them into
numbers and is passed over when they are read. The file is named after its table (``监测记录_退回.csv``), or
after the source file where a mapping was used, so that it can be corrected and ingested as it is.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from relapse_risk.panel.raw import EXCESS_CELLS, REASON_COLUMNS, ROW_NUMBER, RawTable, Sheet
from relapse_risk.panel.reasons import Reason
from relapse_risk.panel.tables import TABLE_BY_NAME

if TYPE_CHECKING:
    import pandas as pd

FAILURES = {
    "table": pl.String,
    "file": pl.String,
    "row": pl.UInt32,
    "code": pl.String,
    "column": pl.String,
    "zh": pl.String,
    "en": pl.String,
}
WARNINGS = {
    "table": pl.String,
    "code": pl.String,
    "column": pl.String,
    "rows": pl.Int64,
    "zh": pl.String,
    "en": pl.String,
}
REMARKS_FILE = "提示.csv"
_REMARKS_HEADERS = ("文件", "行号", "表", "代码", "提示", "remark")


@dataclass(frozen=True, slots=True)
class TableCounts:
    """What became of the rows of one table; ``read`` is the sum of the others."""

    read: int = 0
    accepted: int = 0
    rejected: int = 0
    duplicate: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether no row was lost."""
        return self.read == self.accepted + self.rejected + self.duplicate

    def as_dict(self) -> dict[str, int]:
        """Return the four counts by name."""
        return {
            "read": self.read,
            "accepted": self.accepted,
            "rejected": self.rejected,
            "duplicate": self.duplicate,
        }


@dataclass(frozen=True)
class ReturnedFile:
    """Rejected rows of one sheet, ready to go back; ``headers`` are those of ``frame``'s columns."""

    name: str
    headers: tuple[str, ...]
    frame: pl.DataFrame


@dataclass(frozen=True)
class Rejects:
    """The other half of a validation.

    Attributes
    ----------
    failures : polars.DataFrame
        One row per rejected row and reason: table, file, row, code, column, zh, en.
    counts : mapping of str to TableCounts
        By table: rows read, accepted, rejected, and exact duplicates.
    warnings : polars.DataFrame
        Rows kept in spite of a remark: table, code, column, rows, zh, en.
    returned : tuple of ReturnedFile
        The rejected rows as they came.
    remarked : polars.DataFrame
        The rows that ``warnings`` counts, one row per row and remark, at most 100,000 of a kind: table,
        file, row, code, column, zh, en.
    """

    failures: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FAILURES))
    counts: Mapping[str, TableCounts] = field(default_factory=dict)
    warnings: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=WARNINGS))
    returned: tuple[ReturnedFile, ...] = ()
    remarked: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=FAILURES))

    def to_pandas(self) -> pd.DataFrame:
        """Return ``failures`` for analysts."""
        return self.failures.to_pandas()

    def write(self, folder: Path) -> tuple[Path, ...]:
        """Write every returned file into ``folder`` (UTF-8 with BOM) and return their paths.

        Rows that were kept with a remark are named in :data:`REMARKS_FILE`, which is not among the paths.
        """
        paths = [_write_csv(folder / file.name, file.headers, file.frame) for file in self.returned]
        if not self.remarked.is_empty():
            tables = {name: table.zh for name, table in TABLE_BY_NAME.items()}
            rows = self.remarked.select(
                "file",
                "row",
                pl.col("table").replace_strict(tables, default=pl.col("table")),
                "code",
                "zh",
                "en",
            )
            _write_csv(folder / REMARKS_FILE, _REMARKS_HEADERS, rows)
        return tuple(paths)


def _write_csv(path: Path, headers: Sequence[str], rows: pl.DataFrame) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, lineterminator="\r\n").writerow(headers)
    with path.open("ab") as stream:
        rows.write_csv(stream, include_header=False, line_terminator="\r\n")
    return path


def return_rows(failures: Sequence[tuple[RawTable, pl.DataFrame]]) -> tuple[ReturnedFile, ...]:
    """Return the rejected rows sheet by sheet, as they came and with their reasons.

    Parameters
    ----------
    failures : sequence of (RawTable, DataFrame)
        For each raw table its failures: row number, code, zh, en. Several tables may have been read from
        one sheet; a row that failed in any of them goes back once. Rows of purged households do not go back.
    """
    by_sheet: dict[str, tuple[RawTable, list[pl.DataFrame]]] = {}
    for raw, every in failures:
        forgotten = every.filter(pl.col("code") == Reason.PURGED.code).select(ROW_NUMBER).unique()
        frame = every.join(forgotten, on=ROW_NUMBER, how="anti", maintain_order="left")
        if not frame.is_empty():
            by_sheet.setdefault(raw.sheet.name, (raw, []))[1].append(frame)
    taken: dict[str, int] = {}
    returned = []
    for raw, frames in by_sheet.values():
        stem = raw.returned_as
        taken[stem] = taken.get(stem, 0) + 1
        suffix = f"_{taken[stem]}" if taken[stem] > 1 else ""
        returned.append(_returned_file(raw, f"{stem}_退回{suffix}.csv", pl.concat(frames)))
    return tuple(returned)


def _returned_file(raw: RawTable, name: str, failures: pl.DataFrame) -> ReturnedFile:
    reasons = failures.group_by(ROW_NUMBER, maintain_order=True).agg(
        pl.col("code").unique(maintain_order=True).str.join("、"),
        pl.col("zh").unique(maintain_order=True).str.join("；"),
        pl.col("en").unique(maintain_order=True).str.join("; "),
    )
    passed_over = (*REASON_COLUMNS, EXCESS_CELLS)
    kept = [i for i, header in enumerate(raw.sheet.headers) if header not in passed_over]
    # A large file is read again for them.
    parts = [_returned_rows(batch.sheet, kept, reasons) for batch in raw.batches()]
    frame = pl.concat(parts, how="diagonal")
    headers = [raw.sheet.headers[i] for i in kept]
    order = [str(i) for i in kept]
    if EXCESS_CELLS in frame.columns:
        headers.append(EXCESS_CELLS)
        order.append(EXCESS_CELLS)
    return ReturnedFile(
        name, (*headers, *REASON_COLUMNS), frame.select(*order, "file", ROW_NUMBER, "code", "zh", "en")
    )


def _returned_rows(sheet: Sheet, kept: Sequence[int], reasons: pl.DataFrame) -> pl.DataFrame:
    columns = [_kept_text(sheet.text(i)).alias(str(i)) for i in kept]
    if EXCESS_CELLS in sheet.frame.columns:
        columns.append(pl.col(EXCESS_CELLS))
    return (
        sheet.frame.with_columns(pl.col(ROW_NUMBER).cast(pl.UInt32))
        .join(reasons, on=ROW_NUMBER, how="inner", maintain_order="left")
        .select(
            *columns, pl.lit(sheet.name).alias("file"), pl.col(ROW_NUMBER).cast(pl.String), "code", "zh", "en"
        )
    )


def _kept_text(text: pl.Expr) -> pl.Expr:
    """Return text that a spreadsheet keeps: it would round long digits, and drop zeros in front."""
    is_at_risk = text.str.contains(r"^(\d{12,}|0\d+)$")
    return pl.when(is_at_risk).then(pl.lit("\t") + text).otherwise(text)
