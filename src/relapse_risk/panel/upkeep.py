"""What is done to a store beside ingests: verify it, roll it back, forget households, bring it up to date."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from relapse_risk.errors import ConfigurationError, DataError
from relapse_risk.panel.commit import Commit, StoredFile
from relapse_risk.panel.disk import flush, flush_folder, sha256_of, write_atomically
from relapse_risk.panel.lineage import PREDECESSOR, split_identifiers
from relapse_risk.panel.store import Store
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.panel.tombstones import Tombstones

_REJECTS = "rejects"
_KIN = TABLE_BY_NAME["household"].by_name[PREDECESSOR]
_PREDECESSOR_HEADERS = (_KIN.name, _KIN.zh)


@dataclass(frozen=True)
class Verification:
    """What was looked at, and what is wrong; nothing is where ``problems`` is empty."""

    commits: int
    files: int
    rows: int
    problems: tuple[str, ...]


def verify(store: Store) -> Verification:
    """Compare every file with its record: that it is there, its checksum, its rows, and the account of rows.

    Rows of a table that a commit accepted are the rows of its files, without copies and with those since
    purged. No row may be of a purged household.
    """
    commits = store.log()
    tombstones = Tombstones.read(store.path)
    problems: list[str] = []
    files = rows = 0
    for commit in commits:
        held: Counter[str] = Counter(commit.purged)
        for file in commit.files:
            files += 1
            problems += _problems_of(store, file, tombstones)
            held[file.table] += 0 if file.is_copy else file.rows
        rows += held.total() - sum(commit.purged.values())
        for name in sorted({*held, *commit.counts}):
            accepted = commit.counts[name].accepted if name in commit.counts else 0
            if accepted != held[name]:
                problems.append(f"{commit.id}: {name} has {held[name]} rows, {accepted} were accepted")
            elif name in commit.counts and not commit.counts[name].is_complete:
                problems.append(f"{commit.id}: the account of {name} does not add up")
    sequences = [commit.sequence for commit in commits]
    if sequences != list(range(1, len(commits) + 1)):
        problems.append(f"commits are numbered {sequences}")
    return Verification(len(commits), files, rows, tuple(problems))


def _problems_of(store: Store, file: StoredFile, tombstones: Tombstones) -> Iterator[str]:
    path = store.path / file.path
    if not path.is_file():
        yield f"{file.path} is missing"
        return
    if path.stat().st_size != file.size_bytes or sha256_of(path) != file.sha256:
        yield f"{file.path} is altered"
        return
    frame = pl.scan_parquet(path, glob=False)
    height = frame.select(pl.len()).collect().item()
    if height != file.rows:
        yield f"{file.path} has {height} rows, its record says {file.rows}"
    if tombstones.hashes and file.partition:
        ids = frame.select(pl.col("household_id").unique()).collect().to_series()
        if tombstones.among(ids.to_list()):
            yield f"{file.path} has rows of a purged household: purge again"


def roll_back(store: Store, commit_id: str) -> list[Commit]:
    """Take a commit and all later ones back, and return them, newest first.

    Later rows were compared with those of the commit, and later numbers follow its own: so none of them
    stays alone. Each is taken back in one step, the newest first; what is left is a store at every moment.

    Raises
    ------
    ConfigurationError
        RR271 where there is no such commit.
    MachineError
        RR651 where another process is writing, RR652 where the disk refuses.
    """
    with store.lock():
        commits = store.log()
        if commit_id not in {commit.id for commit in commits}:
            raise ConfigurationError(
                "RR271",
                f"commit {commit_id}",
                "the store has no such commit",
                f"one of {', '.join(commit.id for commit in commits) or 'none'}",
                "See relapse-risk store log",
                zh=f"没有批次 {commit_id}，请用 relapse-risk store log 查看。",
            )
        first = next(commit.sequence for commit in commits if commit.id == commit_id)
        undone = [commit for commit in reversed(commits) if commit.sequence >= first]
        try:
            for commit in undone:
                path = store.record_of(commit)
                path.unlink()
                flush_folder(path.parent)
            store.clear_leftovers()
        except OSError as error:
            raise store.unwritable(error) from error
        return undone


def purge(store: Store, household_ids: Sequence[str]) -> dict[str, int]:
    """Forget households: no row and no returned row of theirs is left, and they can't be ingested again.

    A salted hash of each identifier is written first; then every file that has rows of theirs is written
    anew without them, as is every row of others that names one of them as its predecessor. Records keep
    counts. Where it was cut off, the same call completes it.

    Returns
    -------
    dict of str to int
        Rows removed by table, copies not counted.

    Raises
    ------
    ConfigurationError
        RR272 where the store as it was before a migration still lies beside this one.
    MachineError
        RR651 where another process is writing, RR652 where the disk refuses.
    """
    if (old := _kept_by_migration(store.path)).exists():
        raise ConfigurationError(
            "RR272",
            f"store {store.path}",
            f"{old.name} beside it still holds the households to be forgotten",
            "one store",
            f"Check the migrated store (relapse-risk store verify), remove {old.name}, and purge again",
            zh=f"旧库 {old.name} 仍保存着待删除的家庭：请先核对新库（store verify），删除旧库后重新执行。",
        )
    with store.lock():
        tombstones = Tombstones.read(store.path).with_households(household_ids)
        removed: Counter[str] = Counter()
        try:
            tombstones.write(store.path)
            store.clear_leftovers()
            for commit in store.log():
                changed = _without_purged(store, commit, tombstones)
                if changed != commit:
                    write_atomically(store.record_of(commit), changed.to_json())
                    removed.update(changed.purged)
                    removed.subtract(commit.purged)
            store.clear_leftovers()
            for path in sorted(store.path.joinpath(_REJECTS).rglob("*.csv")):
                _purge_returned(path, tombstones)
        except OSError as error:
            raise store.unwritable(error) from error
        return {name: rows for name, rows in removed.items() if rows}


def _without_purged(store: Store, commit: Commit, tombstones: Tombstones) -> Commit:
    files: list[StoredFile] = []
    purged = Counter(commit.purged)
    for file in commit.files:
        kept = _rewritten(store, file, tombstones) if file.partition else file
        if kept is None or kept.rows < file.rows:
            lost = file.rows - (kept.rows if kept is not None else 0)
            purged[file.table] += 0 if file.is_copy else lost
        if kept is not None:
            files.append(kept)
    return replace(commit, files=tuple(files), purged=dict(purged))


def _rewritten(store: Store, file: StoredFile, tombstones: Tombstones) -> StoredFile | None:
    """Return the file as it stands without purged households; None where nothing is left of it."""
    path = store.path / file.path
    scan = pl.scan_parquet(path, glob=False)
    naming = [name for name in ("household_id", "predecessor_id") if name in scan.collect_schema()]
    ids = {
        each for name in naming for each in scan.select(pl.col(name).unique()).collect().to_series().to_list()
    }
    found = pl.Series(list(tombstones.among(ids)), dtype=pl.String).implode()
    if not len(found[0]):
        return file
    rows = pl.read_parquet(path, glob=False).filter(~pl.col("household_id").is_in(found))
    if "predecessor_id" in naming:
        kept = pl.when(~pl.col("predecessor_id").is_in(found)).then(pl.col("predecessor_id"))
        rows = rows.with_columns(kept.alias("predecessor_id"))
    if rows.is_empty():
        return None
    version = 2
    while (new := path.with_name(f"{path.stem}.v{version}.parquet")).exists():
        version += 1
    rows.write_parquet(new, compression="zstd", row_group_size=1 << 16)
    flush(new)
    flush_folder(new.parent)
    place = new.relative_to(store.path).as_posix()
    return replace(file, path=place, rows=rows.height, size_bytes=new.stat().st_size, sha256=sha256_of(new))


def _purge_returned(path: Path, tombstones: Tombstones) -> None:
    """Write a returned file anew: without rows of a purged household, and no other row naming it."""
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as stream:
        header, *rows = list(csv.reader(stream)) or [[]]
    of_kin = {i for i, name in enumerate(header) if name.strip() in _PREDECESSOR_HEADERS}
    named = [[_without_names(c, tombstones) if i in of_kin else c for i, c in enumerate(row)] for row in rows]
    kept = [row for row in named if not tombstones.among(cell.strip() for cell in row)]
    if kept == rows:
        return
    if not kept:
        path.unlink()
        return
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("w", encoding="utf-8-sig", newline="") as stream:
        csv.writer(stream, lineterminator="\r\n").writerows([header, *kept])
    flush(draft)
    draft.replace(path)


def _without_names(cell: str, tombstones: Tombstones) -> str:
    """Return the identifiers of a cell but for those of purged households."""
    found = set(tombstones.among(names := split_identifiers(cell)))
    return "、".join(name for name in names if name not in found) if found else cell


def _kept_by_migration(path: Path) -> Path:
    return path.with_name(f"{path.name}.format1")


def migrate(path: Path) -> list[Commit]:
    """Bring a store of an older version up to date, commit by commit, and return its commits.

    The new store is made beside the old one and takes its place in the end; the old one stays as
    ``NAME.format1``, for the caller to remove. Where it was cut off, the same call begins anew, or does
    the last step.

    Raises
    ------
    DataError
        RR191 where there is no store, RR195 where it is up to date already.
    MachineError
        RR651 where another process is writing, RR652 where the disk refuses.
    """
    fresh, kept = path.with_name(f"{path.name}.migrating"), _kept_by_migration(path)
    old = Store(path)
    if not path.exists() and kept.exists() and fresh.exists():
        fresh.rename(path)
        return old.log()
    if not Store.exists(path):
        raise DataError(
            "RR191", str(path), "there is no store", "a store of an older version", "Check the path",
            zh=f"{path} 没有数据库，请检查路径。",
        )  # fmt: skip
    if old.format() != 1 or kept.exists():
        raise DataError(
            "RR195",
            str(path),
            "the store is up to date" if old.format() != 1 else f"{kept.name} is in the way",
            "a store of an older version, and no earlier migration beside it",
            "Nothing is to be done, or remove what an earlier migration left",
        )
    with old.lock():
        try:
            _write_migrated(old, fresh)
            path.replace(kept)
            fresh.replace(path)
        except OSError as error:
            raise old.unwritable(error) from error
    return old.log()


def _write_migrated(old: Store, fresh: Path) -> None:
    import shutil

    from relapse_risk.panel.panel import Panel

    shutil.rmtree(fresh, ignore_errors=True)
    new = Store(fresh)
    for commit in old.log(of_format=1):
        frames: dict[str, list[pl.DataFrame]] = {}
        for file in commit.files:
            frames.setdefault(file.table, []).append(pl.read_parquet(old.path / file.path, glob=False))
        tables = {name: pl.concat(parts, how="diagonal") for name, parts in frames.items()}
        new.commit(
            Panel(tables, commit.extra_columns, {"assumed": commit.assumed}),
            sources=commit.sources,
            counts=commit.counts,
            mapping_name=commit.mapping_name,
            same_as=commit,
        )
    for name in ("manifest.json", _REJECTS):
        source = old.path / name
        if source.is_dir():
            shutil.copytree(source, fresh / name)
        elif source.exists():
            shutil.copy2(source, fresh / name)
