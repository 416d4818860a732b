"""From an export to the store in one step: read, validate, return what is wrong, commit the rest."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import date
from itertools import count
from pathlib import Path

from relapse_risk.errors import MachineError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.commit import Commit
from relapse_risk.panel.disk import write_atomically
from relapse_risk.panel.raw import OnProgress, Progress, RawTables
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.rejects import REMARKS_FILE, Rejects
from relapse_risk.panel.report import IngestReport
from relapse_risk.panel.store import Store
from relapse_risk.panel.validate import validate_into

__all__ = ["IngestReport", "ingest"]

_MANIFEST, _REJECTS = "manifest.json", "rejects"


def ingest(
    sources: str | Path | Sequence[str | Path],
    store: str | Path,
    mapping: Mapping | None = None,
    *,
    today: date | None = None,
    on_progress: OnProgress | None = None,
) -> IngestReport:
    """Read an export into a store and return what became of its rows.

    Parameters
    ----------
    sources : path, URI, or sequence of them
        A folder, a workbook, files, or the URI of a database.
    store : path
        Folder of the store; made where it is not there.
    mapping : Mapping, optional
        How another system's columns become the canonical ones.
    today : date, optional
        Nothing can have been recorded later; the day of the call where not given.
    on_progress : callable, optional
        Called with ``(stage, done, total)``; stages are ``query``, ``read``, ``validate`` and ``store``.

    Returns
    -------
    IngestReport
        Rejected rows lie in ``STORE/rejects/``, beside them ``提示.csv``, which names the rows that were
        kept with a remark; the counts are in ``STORE/manifest.json``. Ingesting the same rows again accepts
        none of them and leaves the store as it is.

    Raises
    ------
    DataError
        Where a source can't be read as a table (RR100 to RR109, a database RR160 to RR164); nothing was
        stored.
    ConfigurationError
        RR214 where the mapping is wrong, RR215 where a database's URI holds credentials.
    MachineError
        RR651 where another ingest is writing, RR652 where the disk refuses.
    """
    raw = read_exports(sources, mapping, on_progress=on_progress)
    target = Store(store)
    progress = Progress("store", len({part.table.name for part in raw.tables}), on_progress)
    with target.staging(progress.step) as staged:
        rejects = validate_into(raw, staged, today=today, on_progress=on_progress)
        returned, remarks_file = _write_rejects(target, raw, rejects)
        commit = target.commit_staged(
            staged,
            sources=raw.files,
            counts=rejects.counts,
            assumed=raw.assumed,
            extra_columns=raw.extra_columns,
            mapping_name=raw.mapping_name,
        )
        report = _report(target.path, commit, raw, rejects, returned, remarks_file)
        _write_manifest(report)
    return report


def _report(
    store: Path,
    commit: Commit | None,
    raw: RawTables,
    rejects: Rejects,
    returned: tuple[Path, ...],
    remarks_file: Path | None,
) -> IngestReport:
    return IngestReport(
        store=store,
        commit=commit,
        counts=rejects.counts,
        reject_files=returned,
        remarks_file=remarks_file,
        failures=rejects.failures,
        warnings=rejects.warnings,
        sources=raw.files,
        unknown_columns=raw.unknown_columns,
        ignored=raw.ignored,
        assumed=raw.assumed,
        mapping_name=raw.mapping_name,
        passed_over=raw.passed_over,
    )


def _write_rejects(store: Store, raw: RawTables, rejects: Rejects) -> tuple[tuple[Path, ...], Path | None]:
    """Write returned files and remarks into a folder named as the commit; one that was edited stays."""
    if not rejects.returned and rejects.remarked.is_empty():
        return (), None
    root = store.path / _REJECTS
    draft = root / ".draft"
    try:
        root.mkdir(exist_ok=True)
        root.chmod(0o700)  # rows as they came, in which anything may be written
        shutil.rmtree(draft, ignore_errors=True)
        written = rejects.write(draft)
        name = store.next_id(raw.files)
        for number in count(1):
            folder = root / (name if number == 1 else f"{name}-{number}")
            if not folder.exists():
                draft.replace(folder)
                break
            if _is_same(draft, folder):
                shutil.rmtree(draft)
                break
    except OSError as error:
        raise store.unwritable(error) from error
    remarks_file = None if rejects.remarked.is_empty() else folder / REMARKS_FILE
    return tuple(folder / path.name for path in written), remarks_file


def _is_same(one: Path, other: Path) -> bool:
    files = [{path.name: path.read_bytes() for path in folder.iterdir()} for folder in (one, other)]
    return files[0] == files[1]


def _write_manifest(report: IngestReport) -> None:
    text = json.dumps(report.manifest(), ensure_ascii=False, indent=1) + "\n"
    path = report.store / _MANIFEST
    try:
        write_atomically(path, text)
    except OSError as error:
        raise MachineError(
            "RR653",
            str(path),
            f"the rows are stored, but this file can't be written ({error.strerror or error})",
            "a folder one may write to, with room on the disk",
            "Free space or correct the permission; the rows need not be ingested again",
            zh="数据已入库，但导入清单无法写入，请检查磁盘空间和权限。",
        ) from error
