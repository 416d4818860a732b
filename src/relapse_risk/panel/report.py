"""What one ingest did, for people, for analysts and for ``STORE/manifest.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from relapse_risk.panel.commit import Commit
from relapse_risk.panel.raw import Ignored, RowKind, SourceFile
from relapse_risk.panel.rejects import TableCounts
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class IngestReport:
    """What one ingest did.

    Attributes
    ----------
    commit : Commit or None
        None where the store had everything already.
    counts : mapping of str to TableCounts
        By table: read = accepted + rejected + duplicate.
    reject_files : tuple of Path
        Rejected rows, to be corrected and ingested again.
    remarks_file : Path or None
        Names the rows that ``warnings`` counts, at most 100,000 of a kind; None where there are none.
    failures, warnings : polars.DataFrame
        Reasons by row, and remarks by table, as in :class:`~relapse_risk.panel.rejects.Rejects`.
    unknown_columns : mapping of str to tuple of str
        Headers nothing reads, by file.
    ignored : tuple of Ignored
        Files and sheets passed over.
    passed_over : mapping of str to mapping of int to RowKind
        Rows that are no records (titles, totals, notes), by sheet and row number.
    assumed : mapping of str to str
        By table, how ``recorded_on`` was derived where the source does not say it.
    """

    store: Path
    commit: Commit | None
    counts: Mapping[str, TableCounts]
    reject_files: tuple[Path, ...]
    failures: pl.DataFrame
    warnings: pl.DataFrame
    sources: tuple[SourceFile, ...]
    unknown_columns: Mapping[str, tuple[str, ...]]
    ignored: tuple[Ignored, ...]
    assumed: Mapping[str, str]
    mapping_name: str = ""
    passed_over: Mapping[str, Mapping[int, RowKind]] = field(default_factory=dict)
    remarks_file: Path | None = None

    def to_pandas(self) -> pd.DataFrame:
        """Return one row per table: table, zh, read, accepted, rejected, duplicate."""
        rows = [
            {"table": name, "zh": TABLE_BY_NAME[name].zh, **counts.as_dict()}
            for name, counts in self.counts.items()
        ]
        return pl.DataFrame(rows).to_pandas()

    def summary_lines(self, language: Language = "zh") -> list[str]:
        """Return what was done, line by line, for a terminal."""
        lines = [_count_line(name, counts).text(language) for name, counts in self.counts.items()]
        failures = self.failures.group_by("code", "table", "zh", "en").agg(pl.len().alias("rows"))
        for frame, kind in (
            (failures, Bilingual("退回", "rejected")),
            (self.warnings, Bilingual("提示", "warning:")),
        ):
            for row in frame.sort("code", "table", "en").iter_rows(named=True):
                said = _reason_line(row["table"], row["rows"], row["code"], row["zh"], row["en"], kind)
                lines.append(said.text(language))
        lines += [line.text(language) for line in self._remarks()]
        return lines

    def _remarks(self) -> list[Bilingual]:
        remarks = [
            Bilingual(
                f"未识别的列（{file}）：{'、'.join(columns)}",
                f"columns nothing reads ({file}): {', '.join(columns)}",
            )
            for file, columns in self.unknown_columns.items()
        ]
        remarks += [
            Bilingual(f"未读取 {item.name}：{item.reason.zh}", f"passed over {item.name}: {item.reason.en}")
            for item in self.ignored
        ]
        remarks += [_passed_line(name, rows) for name, rows in self.passed_over.items()]
        remarks += [
            Bilingual(
                f"{TABLE_BY_NAME[table].zh}的录入日期为推定：{how}",
                f"recorded_on of {table} is assumed: {how}",
            )
            for table, how in self.assumed.items()
        ]
        remarks += [
            Bilingual(
                f"退回的行见 {path}，更正后可再次导入", f"rejected rows are in {path}: correct and ingest it"
            )
            for path in self.reject_files
        ]
        if (path := self.remarks_file) is not None:
            remarks.append(
                Bilingual(f"提示涉及的行见 {path}", f"the rows that warnings are about are in {path}")
            )
        if self.commit is None:
            remarks.append(Bilingual("没有新数据，数据库未变动", "nothing new, the store is unchanged"))
        else:
            remarks.append(Bilingual(f"已入库，批次 {self.commit.id}", f"stored as commit {self.commit.id}"))
        return remarks

    def manifest(self) -> dict[str, Any]:
        """Return the content of ``STORE/manifest.json``."""
        return {
            "verb": "ingest",
            "commit": self.commit.id if self.commit else None,
            "committed_at": self.commit.committed_at if self.commit else None,
            "mapping": self.mapping_name,
            "sources": [
                {"name": file.name, "sha256": file.sha256, "size_bytes": file.size_bytes}
                for file in self.sources
            ],
            "tables": {name: counts.as_dict() for name, counts in self.counts.items()},
            "assumed": dict(self.assumed),
            "warnings": self.warnings.select("table", "code", "column", "rows").to_dicts(),
            "unknown_columns": {file: list(columns) for file, columns in self.unknown_columns.items()},
            "ignored": [
                {"name": item.name, "zh": item.reason.zh, "en": item.reason.en} for item in self.ignored
            ],
            "passed_over": [
                {"name": name, "rows": len(rows), "kinds": _kinds(rows)}
                for name, rows in self.passed_over.items()
            ],
            "reject_files": [path.relative_to(self.store).as_posix() for path in self.reject_files],
            "remarks_file": (
                self.remarks_file.relative_to(self.store).as_posix() if self.remarks_file else None
            ),
        }


def _kinds(rows: Mapping[int, RowKind]) -> dict[str, int]:
    return {kind.value.en: count for kind in RowKind if (count := list(rows.values()).count(kind))}


def _passed_line(name: str, rows: Mapping[int, RowKind]) -> Bilingual:
    """Say which rows are no records, by kind and row number."""
    zh, en = [], []
    for kind in RowKind:
        numbers = [str(number) for number, found in rows.items() if found is kind]
        if numbers:
            shown = ", ".join(numbers[:5]) + (", …" if len(numbers) > 5 else "")
            zh.append(f"{kind.value.zh} {len(numbers)} 行（第 {shown} 行）")
            en.append(f"{len(numbers)} {kind.value.en} (row {shown})")
    return Bilingual(f"未作为记录读取 {name}：{'、'.join(zh)}", f"no records in {name}: {', '.join(en)}")


def _count_line(name: str, counts: TableCounts) -> Bilingual:
    return Bilingual(
        f"{TABLE_BY_NAME[name].zh}：读取 {counts.read} 行，入库 {counts.accepted}，退回 {counts.rejected}，"
        f"重复 {counts.duplicate}",
        f"{name}: {counts.read} rows read, {counts.accepted} accepted, {counts.rejected} rejected, "
        f"{counts.duplicate} duplicate",
    )


def _reason_line(table: str, rows: int, code: str, zh: str, en: str, kind: Bilingual) -> Bilingual:
    return Bilingual(
        f"  {kind.zh} {rows} 行（{TABLE_BY_NAME[table].zh}）[{code}] {zh}",
        f"  {kind.en} {rows} rows ({table}) [{code}] {en}",
    )
