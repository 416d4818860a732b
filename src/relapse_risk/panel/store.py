"""The store: append-only Parquet, one atomic commit per ingest.

``STORE/commits/ID.json`` lists the files of one ingest, and only listed files are ever read. So a commit is
there when its record is, and an ingest that ends anywhere before leaves nothing that can be seen; what it
left behind is cleared away by the next one. Within a commit there is one file per table and county, sorted
by the hash of the village, so that a few villages can be read without the rest; see
:mod:`relapse_risk.panel.place`.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError, MachineError
from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.commit import FORMAT, Commit, StoredFile
from relapse_risk.panel.disk import flush_folder, write_atomically
from relapse_risk.panel.lock import exclusive_lock
from relapse_risk.panel.mapping import table_with_extras
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.partition import PARTITION_HOUSEHOLDS, Partition, cut_partitions
from relapse_risk.panel.raw import OnProgress, Progress, SourceFile
from relapse_risk.panel.rejects import TableCounts
from relapse_risk.panel.staging import StagedRows
from relapse_risk.panel.stored import StoredRows
from relapse_risk.panel.tables import TABLES

_COMMITS, _TABLES, _STAGING, _LOCK = "commits", "tables", "staging", "lock"


class Store:
    """A panel on disk.

    Parameters
    ----------
    path : Path
        Folder of the store; made at the first commit.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._is_locked = False

    def __repr__(self) -> str:
        return f"Store({str(self.path)!r}, {len(self.log())} commits)"

    @staticmethod
    def exists(path: str | Path) -> bool:
        """Return whether there is a store at ``path`` with at least one commit."""
        return any(Path(path, _COMMITS).glob("*.json"))

    def log(self, of_format: int = FORMAT) -> list[Commit]:
        """Return all commits, oldest first.

        Raises
        ------
        DataError
            RR192 where a record can't be read, RR196 where an older version wrote it.
        """
        commits = []
        for path in self.path.joinpath(_COMMITS).glob("*.json"):
            try:
                commits.append(Commit.from_json(path.read_text(encoding="utf-8"), of_format))
            except (ValueError, KeyError, TypeError) as error:
                if self.format() < of_format:
                    raise self._outdated() from error
                raise DataError(
                    "RR192",
                    str(path),
                    f"the record of a commit can't be read ({error})",
                    "a record as this version writes it",
                    "Restore the file from a backup, or ingest anew into an empty store",
                ) from error
        return sorted(commits, key=lambda commit: commit.sequence)

    def format(self) -> int:
        """Return the format of the oldest record; this version's own where there is none to be read."""
        path = min(self.path.joinpath(_COMMITS).glob("*.json"), default=None)
        try:
            record = json.loads(path.read_text(encoding="utf-8")) if path is not None else {}
            return int(record.get("format", FORMAT))
        except (ValueError, AttributeError):
            return FORMAT

    def _outdated(self) -> DataError:
        return DataError(
            "RR196",
            str(self.path),
            "an older version wrote this store",
            f"a store of format {FORMAT}",
            "Run relapse-risk store migrate, which keeps the old one",
            zh=f"{self.path} 由旧版本写入，请先运行 relapse-risk store migrate。",
        )

    def record_of(self, commit: Commit) -> Path:
        """Return where the record of a commit stands."""
        return self.path / _COMMITS / f"{commit.id}.json"

    def open(self) -> Panel:
        """Return the panel of all commits.

        Rows come in the order of commits and, within one, of county, village and key.

        Raises
        ------
        DataError
            RR191 where there is no store, RR192 where a listed file is missing or altered in length.
        """
        stored = self._stored()
        tables = {each.name: stored.scan(each).select(list(each.dtypes)).collect() for each in stored.tables}
        return Panel(tables, stored.extra_columns, self._provenance(stored))

    def partitions(
        self, as_of_dates: Sequence[date], target_households: int | None = PARTITION_HOUSEHOLDS
    ) -> list[Partition]:
        """Return the units of work for some dates: each household, on each date, lives in exactly one.

        Parameters
        ----------
        as_of_dates : sequence of date
        target_households : int or None
            About how many households a partition has; villages stay whole. None keeps counties whole.

        Returns
        -------
        list of Partition
            In the order of county codes and buckets; empty where no household was known on these dates.

        Raises
        ------
        DataError
            RR191 where there is no store, RR192 where a listed file is missing or altered in length.
        """
        return cut_partitions(self._stored().residents(as_of_dates), target_households)

    def open_partition(
        self, partition: Partition, only: Mapping[str, Collection[str]] | None = None
    ) -> Panel:
        """Return everything on the households that live in a partition on one of its dates.

        ``only`` names the tables of households that are wanted, each with the columns beside its keys (none
        means all); other such tables are then as if nobody had handed them in.

        Their whole history is there, also of the time before they moved in. ``known_at`` of such a panel
        returns the households that live in the partition on that day.

        Raises
        ------
        DataError
            RR191 where there is no store, RR192 where a listed file is missing or altered in length.
        """
        stored = self._stored()
        tables = stored.of_partition(partition, only)
        return Panel(tables, stored.extra_columns, self._provenance(stored), partition=partition)

    @property
    def table_names(self) -> frozenset[str]:
        """Names of the tables that were handed in."""
        return frozenset(table.name for table in self._stored().tables)

    @property
    def extra_columns(self) -> tuple[ExtraColumn, ...]:
        """Columns that mappings declared beyond the canonical ones."""
        return self._stored().extra_columns

    def _stored(self) -> StoredRows:
        """Return what the commits list, once it is sure that it is all there."""
        commits = self.log()
        if not commits:
            raise DataError(
                "RR191",
                str(self.path),
                "there is no store",
                "a folder that an ingest has written to",
                "Ingest an export first, or check the path",
                zh=f"{self.path} 没有数据，请先导入。",
            )
        stored = StoredRows(self.path, commits)
        self._refuse_damage([file for _, file in stored.files])
        return stored

    @staticmethod
    def _provenance(stored: StoredRows) -> dict[str, object]:
        hashes = "\n".join(file.sha256 for _, file in stored.files)
        return {
            "commits": [commit.id for commit in stored.commits],
            "data_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
            "assumed": {table: how for commit in stored.commits for table, how in commit.assumed.items()},
        }

    def _refuse_damage(self, files: Sequence[StoredFile]) -> None:
        damaged = [
            file.path
            for file in files
            if not (path := self.path / file.path).is_file() or path.stat().st_size != file.size_bytes
        ]
        if damaged:
            raise DataError(
                "RR192",
                str(self.path),
                f"{len(damaged)} files are missing or altered, the first is {damaged[0]}",
                f"{len(files)} files as the commits list them",
                "Restore them from a backup, or ingest anew into an empty store",
            )

    def next_id(self, sources: Sequence[SourceFile]) -> str:
        """Return the id a commit of these files will have: its number, and a hash over all so far."""
        earlier = self.log()
        sequence = earlier[-1].sequence + 1 if earlier else 1
        content = "|".join([*(commit.id for commit in earlier[-1:]), *(file.sha256 for file in sources)])
        return f"{sequence:06d}-{hashlib.sha256(content.encode()).hexdigest()[:10]}"

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writers out for the length of a block; locks within the block are free.

        Raises
        ------
        MachineError
            RR651 where another process is writing, RR652 where the folder can't be written.
        """
        if self._is_locked:
            yield
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.joinpath(_LOCK).touch()
        except OSError as error:
            raise self.unwritable(error) from error
        with exclusive_lock(self.path / _LOCK):
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False

    def commit(
        self,
        panel: Panel,
        *,
        sources: Sequence[SourceFile] = (),
        counts: Mapping[str, TableCounts] | None = None,
        mapping_name: str = "",
        same_as: Commit | None = None,
        on_progress: OnProgress | None = None,
    ) -> Commit | None:
        """Add the rows of a panel, whole or not at all; returns None where there is nothing to add.

        Parameters
        ----------
        panel : Panel
            Rows the store does not have yet; they are not compared with it.
        sources : sequence of SourceFile
            Files the rows came from.
        counts : mapping, optional
            What became of the rows read; all accepted where not given.
        same_as : Commit, optional
            Keep the id and the time of this one, of an older format.
        on_progress : callable, optional
            Called with ``("store", tables done, tables in all)``.

        Raises
        ------
        MachineError
            RR651 where another process is writing, RR652 where the disk refuses.
        """
        tables = [
            table_with_extras(table, panel.extra_columns) for table in TABLES if table.name in panel.tables
        ]
        progress = Progress("store", len(tables), on_progress)
        with self.staging(progress.step) as staged:
            for table in tables:
                rows = panel.tables[table.name]
                absent = [pl.lit(None, t).alias(n) for n, t in table.dtypes.items() if n not in rows.columns]
                staged.take(table, staged.place(table, rows.with_columns(absent)))
                staged.finish(table)
            assumed = panel.provenance.get("assumed")
            return self.commit_staged(
                staged,
                sources=sources,
                counts=counts or {n: TableCounts(f.height, f.height) for n, f in panel.tables.items()},
                assumed=dict(assumed) if isinstance(assumed, Mapping) else {},
                extra_columns=panel.extra_columns,
                mapping_name=mapping_name,
                same_as=same_as,
            )

    @contextmanager
    def staging(self, on_finish: Callable[[], None] | None = None) -> Iterator[StagedRows]:
        """Take rows for one commit, which :meth:`commit_staged` makes of them within the block.

        What was taken and not committed is gone at the end of the block.

        Raises
        ------
        MachineError
            RR651 where another process is writing, RR652 where the disk refuses.
        """
        with self.lock():
            earlier = self.log()
            self.clear_leftovers()
            sequence = earlier[-1].sequence + 1 if earlier else 1
            folder = self.path / _STAGING
            try:
                yield StagedRows(folder, StoredRows(self.path, earlier), sequence, on_finish)
            except OSError as error:
                raise self.unwritable(error) from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    def commit_staged(
        self,
        staged: StagedRows,
        *,
        sources: Sequence[SourceFile],
        counts: Mapping[str, TableCounts],
        assumed: Mapping[str, str],
        extra_columns: tuple[ExtraColumn, ...],
        mapping_name: str,
        same_as: Commit | None = None,
    ) -> Commit | None:
        """Add the rows taken, whole or not at all; returns None where there is nothing to add."""
        earlier = self.log()
        known_tables = {name for commit in earlier for name in commit.counts}
        known_extras = {extra for commit in earlier for extra in commit.extra_columns}
        has_rows = same_as is not None or any(staged.rows.values())
        if not has_rows and known_tables.issuperset(counts) and known_extras.issuperset(extra_columns):
            return None
        staged.finish_others()
        commit = self._record(
            staged,
            Commit(
                id=same_as.id if same_as else self.next_id(sources),
                sequence=earlier[-1].sequence + 1 if earlier else 1,
                committed_at=same_as.committed_at
                if same_as
                else datetime.now().astimezone().isoformat(timespec="seconds"),
                sources=tuple(sources),
                counts=dict(counts),
                files=(),
                assumed=dict(assumed),
                extra_columns=extra_columns,
                mapping_name=mapping_name,
            ),
        )
        self._publish(commit, [path for path, _ in staged.files])
        return commit

    def clear_leftovers(self) -> None:
        """Remove what an ingest that ended before its commit left behind."""
        shutil.rmtree(self.path / _STAGING, ignore_errors=True)
        listed = {self.path / file.path for commit in self.log() for file in commit.files}
        for path in self.path.joinpath(_TABLES).rglob("*.parquet"):
            if path not in listed:
                path.unlink()

    def _record(self, staged: StagedRows, commit: Commit) -> Commit:
        """Return the commit with the files that were staged, each at its place."""
        numbers: Counter[tuple[str, str, bool]] = Counter()
        files = []
        for _, file in staged.files:
            folder = f"{_TABLES}/{file.table}/"
            folder += f"county_code={file.partition}/" if file.partition else ""
            numbers[of := (file.table, file.partition, file.is_copy)] += 1
            part = f".{numbers[of]}" if numbers[of] > 1 else ""
            kind = ".copies" if file.is_copy else ""
            files.append(replace(file, path=f"{folder}{commit.id}{kind}{part}.parquet"))
        return replace(commit, files=tuple(files))

    def _publish(self, commit: Commit, staged: Sequence[Path]) -> None:
        """Move the files to their places and then, in one step, put the record there."""
        for path, file in zip(staged, commit.files, strict=True):
            target = self.path / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
            flush_folder(target.parent)
        self.path.joinpath(_COMMITS).mkdir(exist_ok=True)
        write_atomically(self.path / _COMMITS / f"{commit.id}.json", commit.to_json())

    def unwritable(self, error: OSError) -> MachineError:
        """Return RR652 for what the system said when something could not be written here."""
        return MachineError(
            "RR652",
            str(self.path),
            f"the store can't be written ({error.strerror or error})",
            "a folder one may write to, with room on the disk",
            "Free space or correct the permission, and call again; the store is as it was",
            zh="数据库无法写入，请检查磁盘空间和权限后重试；原有数据未受影响。",
        )
