"""Reading exports: which file is which table, which header is which column. Values stay text.

An export is a folder, a workbook, or files, one per table, named by the table's Chinese or English name
(``监测记录.csv``, ``observation_2024.xlsx``). A suffix behind the name that does not begin with a letter
is allowed, so that a returned file (``监测记录_退回.csv``) is read as the table it came from.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import unicodedata
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel import workbook
from relapse_risk.panel.canonical import canonical_table, headers_of, key_positions, with_unit_above
from relapse_risk.panel.csv_source import read_csv
from relapse_risk.panel.database import Spooled, is_database, spool_database
from relapse_risk.panel.disk import sha256_of
from relapse_risk.panel.footing import without_footing
from relapse_risk.panel.mapping import check_mapping, map_sheet, origins_of, source_columns
from relapse_risk.panel.raw import (
    EXCESS_CELLS,
    Ignored,
    OnProgress,
    Progress,
    RawTable,
    RawTables,
    RowKind,
    Rows,
    Sheet,
    SourceFile,
    normalise_header,
)
from relapse_risk.panel.schema import Table
from relapse_risk.panel.tables import TABLES
from relapse_risk.panel.units import unit_above
from relapse_risk.vocabulary import Bilingual

_HELD_BYTES = 512 << 20
WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
SUFFIXES = (".csv", ".txt", ".tsv", ".parquet", *WORKBOOKS)

_NOT_A_TABLE = Bilingual("文件名不是任何一张表的名称", "its name is not that of a table")
_NOT_READ = Bilingual("不是 csv、xlsx、xls 或 parquet 文件", "neither csv, xlsx, xls nor parquet")
_CONTACT = Bilingual(
    "联系方式不入库，仅在输出名单时使用", "contacts are never stored; they are joined when a list is written"
)


@dataclass(frozen=True)
class _Target:
    """What a file or sheet of a certain name becomes."""

    name: str
    wanted: frozenset[str]
    table: Table | None = None


def read_exports(
    source: str | Path | Sequence[str | Path],
    mapping: Mapping | None = None,
    *,
    on_progress: OnProgress | None = None,
) -> RawTables:
    """Return the tables of an export as text, each row with its file and row number.

    Parameters
    ----------
    source : path, URI, or sequence of them
        A folder (its own files, not those of folders within), a workbook, files, or the URI of a database.
    mapping : Mapping, optional
        How another system's files become canonical tables; files it does not name are read by their own
        names.
    on_progress : callable, optional
        Called with ``("read", files done, files in all)``.

    Returns
    -------
    RawTables
        Also says what was passed over and which columns nothing reads.

    Raises
    ------
    DataError
        RR101 no such path, RR102 nothing in it is a table, RR103 a file is no table, RR104 encoding,
        RR105 a required column is missing, RR106 two columns for one, RR108 a column of the mapping is
        missing; RR160 to RR164 a database; RR100 where several files are refused.
    ConfigurationError
        RR214 where the mapping does not fit the canonical tables; RR215, RR216 for a database's URI.
    """
    if mapping is not None:
        check_mapping(mapping)
    sources = [source] if isinstance(source, str | Path) else list(source)
    targets = _targets(mapping)
    reading = _Reading(targets, mapping)
    files: list[Path | Spooled] = []
    for number, each in enumerate(sources):
        if is_database(each):
            folder = reading.spool() / str(number)
            folder.mkdir()
            files += spool_database(str(each), mapping, _is_stored_table, folder, on_progress)
        else:
            files += _list_files(Path(each))
    return _read_files(files, reading, on_progress)


def _is_stored_table(name: str) -> bool:
    """Return whether a database's table of exactly this name is read; contacts stay where they are."""
    target = _targets(None).get(_normalise_name(name))
    return target is not None and target.table is not None and target.table.is_stored


def _read_files(
    files: Sequence[Path | Spooled], reading: _Reading, on_progress: OnProgress | None
) -> RawTables:
    progress = Progress("read", len(files), on_progress)
    tables: list[RawTable] = []
    ignored: list[Ignored] = []
    problems: list[DataError] = []
    for file in files:
        try:
            for found in reading.tables_in(file):
                if isinstance(found, Ignored):
                    ignored.append(found)
                else:
                    tables.append(found)
        except DataError as problem:
            problems.append(problem)
        progress.step()
    if problems:
        raise _joined(problems)
    if not tables:
        raise _nothing_read(len(files), ignored)
    mapping = reading.mapping
    return RawTables(
        tuple(tables), tuple(ignored), mapping.extra if mapping else (), mapping.name if mapping else ""
    )


def _list_files(source: Path) -> list[Path]:
    if source.is_dir():
        return sorted(p for p in source.iterdir() if p.is_file() and not p.name.startswith((".", "~$")))
    if source.is_file():
        return [source]
    raise DataError(
        "RR101",
        source.name,
        "there is no such file or folder",
        "a folder or a file of an export",
        "Check the path",
        zh=f"找不到 {source.name}，请检查路径。",
    )


def _nothing_read(n_files: int, ignored: Sequence[Ignored]) -> DataError:
    names = "、".join(table.zh for table in TABLES)
    found = (
        "it is empty, or no table in it has such a name"
        if not n_files
        else f"none of {n_files} files is a table"
    )
    if ignored:
        found += " (" + "; ".join(f"{item.name}: {item.reason.en}" for item in ignored[:5]) + ")"
    return DataError(
        "RR102",
        "the export",
        found,
        f"at least one .csv, .xlsx or .parquet named as a table ({names}, or household, member, …)",
        "Rename the files by their tables, or give a mapping",
        zh=f"没有找到任何数据表。文件名应为：{names}。",
    )


def _joined(problems: Sequence[DataError]) -> DataError:
    if len(problems) == 1:
        return problems[0]
    return DataError(
        "RR100",
        f"{len(problems)} files",
        "\n".join(str(problem) for problem in problems),
        "files that can be read as tables",
        "Correct each of them; nothing was stored",
    )


def _targets(mapping: Mapping | None) -> dict[str, _Target]:
    """Return targets by the normalised name of a file; those of the mapping go first."""
    targets: dict[str, _Target] = {}
    if mapping is not None:
        for origin in sorted(origins_of(mapping)):
            wanted = frozenset(normalise_header(column) for column in source_columns(mapping, origin))
            targets[_normalise_name(origin)] = _Target(origin, wanted)
    for table in TABLES:
        headers = frozenset(headers_of(table))
        for name in (table.zh, f"{table.zh}表", table.name, f"{table.name}s"):
            targets.setdefault(_normalise_name(name), _Target(table.zh, headers, table))
    return targets


def _normalise_name(name: str) -> str:
    plain = unicodedata.normalize("NFKC", name).strip().lower()
    return re.sub(r"[\s_\-]+", "_", re.sub(r"^\d+[\s._\-、]*(?=\D)", "", plain))


def _recognise(name: str, targets: dict[str, _Target]) -> _Target | None:
    """Return what a file or sheet of this name becomes; the longest fitting name wins."""
    plain = _normalise_name(name)
    for known in sorted(targets, key=len, reverse=True):
        if plain == known or (plain.startswith(known) and not plain[len(known)].isalpha()):
            return targets[known]
    return None


@dataclass
class _Reading:
    """One call of :func:`read_exports`: what is looked for, and how much is still held in memory.

    What is not held is read again when it is needed; so what a database gave stays on disk as long as some
    table refers to it.
    """

    targets: dict[str, _Target]
    mapping: Mapping | None
    left_bytes: float = field(default_factory=lambda: _HELD_BYTES)
    spooled: Path | None = None

    def spool(self) -> Path:
        """Return a folder that lives as long as this object."""
        if self.spooled is None:
            self.spooled = Path(tempfile.mkdtemp(prefix="relapse-risk-"))
            weakref.finalize(self, shutil.rmtree, self.spooled, ignore_errors=True)
        return self.spooled

    def tables_in(self, file: Path | Spooled) -> Iterator[RawTable | Ignored]:
        """Yield the tables of a file, and what of it was passed over."""
        if isinstance(file, Spooled):
            source, rows = _source_file(file.path, file.name), workbook.read_parquet(file.path)
            yield from self._tables_of(file.name, source, rows, self.targets[_normalise_name(file.stem)])
            return
        if file.suffix.lower() not in SUFFIXES:
            yield Ignored(file.name, _NOT_READ)
            return
        for sheet_name, target in _parts(file, self.targets):
            name = f"{file.name}[{sheet_name}]" if sheet_name else file.name
            if target is None or (target.table is not None and not target.table.is_stored):
                yield Ignored(name, _CONTACT if target else _NOT_A_TABLE)
                continue
            source, rows = _source_file(file, file.name), _rows_of(file, sheet_name, target)
            yield from self._tables_of(name, source, rows, target)

    def _tables_of(self, name: str, source: SourceFile, rows: Rows, target: _Target) -> Iterator[RawTable]:
        headers, keys = rows.headers, []
        if target.table is not None:
            unit = unit_above(cell for row in rows.above for cell in row)
            headers = with_unit_above(headers, target.table, unit) if unit else headers
            keys = key_positions(headers, target.table)
        is_title = (any((cell or "").strip() for cell in row) for row in rows.above)
        passed = {number: RowKind.TITLE for number, is_one in enumerate(is_title, start=1) if is_one}

        def batches() -> Iterator[list[RawTable]]:
            for block in rows.blocks():
                frame, others = without_footing(block, keys, rows.headers)
                passed.update(others)
                sheet = Sheet(name, source, *_without_returned_excess(headers, frame), passed)
                yield self._canonical(sheet, target)

        def reread(number: int) -> Iterator[RawTable]:
            return (tables[number] for tables in batches())

        every = batches()
        first = next(every)
        size = sum(raw.frame.estimated_size() for raw in first)
        if next(every, None) is None and size <= self.left_bytes:
            self.left_bytes -= size
            yield from first
            return
        for number, raw in enumerate(first):
            sheet = replace(raw.sheet, frame=raw.sheet.frame.clear())
            yield replace(raw, sheet=sheet, frame=raw.frame.clear(), reread=partial(reread, number))

    def _canonical(self, sheet: Sheet, target: _Target) -> list[RawTable]:
        if target.table is not None:
            return [canonical_table(sheet, target.table)]
        return map_sheet(sheet, self.mapping, target.name) if self.mapping is not None else []


def _rows_of(path: Path, sheet_name: str, target: _Target) -> Rows:
    """Return the headers of a sheet, and what reads its rows from the first on, block by block."""
    if sheet_name:
        return workbook.read_sheet(path, sheet_name, target.wanted)
    if path.suffix.lower() == ".parquet" or workbook.is_parquet(path):
        return workbook.read_parquet(path)
    return read_csv(path, target.wanted)


def _parts(path: Path, targets: dict[str, _Target]) -> list[tuple[str, _Target | None]]:
    """Return the sheets of a workbook (or one part without a name), each with what it becomes."""
    by_file = _recognise(path.stem, targets)
    is_workbook = workbook.is_workbook(path)
    if not is_workbook and path.suffix.lower() not in WORKBOOKS:
        return [("", by_file)]
    if not is_workbook and by_file is None:
        return [("", None)]
    if not is_workbook and not workbook.is_parquet(path):
        return [("", by_file)]  # text that was given the suffix of a workbook
    names = workbook.sheet_names(path)
    parts = [(name, _recognise(name, targets)) for name in names]
    if by_file is not None and all(target is None for _, target in parts):
        return [(names[0], by_file), *((name, None) for name in names[1:])] if names else []
    return parts


def _source_file(path: Path, name: str) -> SourceFile:
    return SourceFile(name, sha256_of(path), path.stat().st_size)


def _without_returned_excess(
    headers: tuple[str, ...], frame: pl.DataFrame
) -> tuple[tuple[str, ...], pl.DataFrame]:
    """Join what a returned file lists as left-over cells to the left-over cells of this file."""
    if EXCESS_CELLS not in headers:
        return headers, frame
    listed = pl.col(str(headers.index(EXCESS_CELLS))).str.strip_chars()
    cells: list[pl.Expr] = [pl.when(listed != "").then(listed)]
    if EXCESS_CELLS in frame.columns:
        cells.append(pl.col(EXCESS_CELLS))
    return headers, frame.with_columns(pl.coalesce(cells).alias(EXCESS_CELLS))
