"""The store: append-only Parquet, one atomic commit per ingest.

``STORE/commits/ID.json`` lists the files of one ingest, and only listed files are ever read. So a commit is
there when its record is, and an ingest that ends anywhere before leaves nothing that can be seen; what it
left behind is cleared away by the next one. Within a commit there is one file per table and county, sorted
by the hash of the village, so that a few villages can be read without the rest; see
:mod:`relapse_risk.panel.place`.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError, MachineError
from relapse_risk.panel.commit import Commit, StoredFile
from relapse_risk.panel.copies import copies_of
from relapse_risk.panel.disk import flush, flush_folder, sha256_of, write_atomically
from relapse_risk.panel.lock import exclusive_lock
from relapse_risk.panel.mapping import table_with_extras
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.partition import Partition, cut_partitions
from relapse_risk.panel.place import BUCKET, COUNTY, Places, find_places
from relapse_risk.panel.raw import OnProgress, Progress, SourceFile
from relapse_risk.panel.rejects import TableCounts
from relapse_risk.panel.schema import Table
from relapse_risk.panel.stored import SEQUENCE, StoredRows, has_households
from relapse_risk.panel.tables import TABLES

_COMMITS, _TABLES, _STAGING, _LOCK = "commits", "tables", "staging", "lock"
_ROW_GROUP = 1 << 16


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

    def log(self) -> list[Commit]:
        """Return all commits, oldest first.

        Raises
        ------
        DataError
            RR192 where a record can't be read.
        """
        commits = []
        for path in self.path.joinpath(_COMMITS).glob("*.json"):
            try:
                commits.append(Commit.from_json(path.read_text(encoding="utf-8")))
            except (ValueError, KeyError, TypeError) as error:
                raise DataError(
                    "RR192",
                    str(path),
                    f"the record of a commit can't be read ({error})",
                    "a record as this version writes it",
                    "Restore the file from a backup, or ingest anew into an empty store",
                ) from error
        return sorted(commits, key=lambda commit: commit.sequence)

    def open(self) -> Panel:
        """Return the panel of all commits.

        Rows come in the order of commits and, within one, of county, village and key.

        Raises
        ------
        DataError
            RR191 where there is no store, RR192 where a listed file is missing or altered in length.
        """
        stored = self._stored()
        tables = {
            table.name: stored.scan(table).select(list(table.dtypes)).collect() for table in stored.tables
        }
        return Panel(tables, stored.extra_columns, self._provenance(stored))

    def partitions(
        self, as_of_dates: Sequence[date], target_households: int | None = 20_000
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

    def open_partition(self, partition: Partition) -> Panel:
        """Return everything on the households that live in a partition on one of its dates.

        Their whole history is there, also of the time before they moved in. ``known_at`` of such a panel
        returns the households that live in the partition on that day.

        Raises
        ------
        DataError
            RR191 where there is no store, RR192 where a listed file is missing or altered in length.
        """
        stored = self._stored()
        tables = stored.of_partition(partition)
        return Panel(tables, stored.extra_columns, self._provenance(stored), partition=partition)

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
        on_progress : callable, optional
            Called with ``("store", tables done, tables in all)``.

        Raises
        ------
        MachineError
            RR651 where another process is writing, RR652 where the disk refuses.
        """
        with self.lock():
            earlier = self.log()
            given = counts or {n: TableCounts(f.height, f.height) for n, f in panel.tables.items()}
            if not self._has_news(panel, earlier, given):
                return None
            self._clear_leftovers(earlier)
            staging = self.path / _STAGING
            try:
                staged = self._stage(panel, earlier, staging, on_progress)
                commit = self._record(panel, earlier, staged, sources, given, mapping_name)
                self._publish(commit, [path for path, _ in staged])
            except OSError as error:
                raise self.unwritable(error) from error
            finally:
                shutil.rmtree(staging, ignore_errors=True)
            return commit

    @staticmethod
    def _has_news(panel: Panel, earlier: Sequence[Commit], counts: Mapping[str, TableCounts]) -> bool:
        known_tables = {name for commit in earlier for name in commit.counts}
        known_extras = {extra for commit in earlier for extra in commit.extra_columns}
        return (
            any(not frame.is_empty() for frame in panel.tables.values())
            or not known_tables.issuperset(counts)
            or not known_extras.issuperset(panel.extra_columns)
        )

    def _clear_leftovers(self, earlier: Sequence[Commit]) -> None:
        """Remove what an ingest that ended before its commit left behind."""
        shutil.rmtree(self.path / _STAGING, ignore_errors=True)
        listed = {self.path / file.path for commit in earlier for file in commit.files}
        for path in self.path.joinpath(_TABLES).rglob("*.parquet"):
            if path not in listed:
                path.unlink()

    def _stage(
        self, panel: Panel, earlier: Sequence[Commit], staging: Path, on_progress: OnProgress | None
    ) -> list[tuple[Path, StoredFile]]:
        """Write every partition to the staging folder; the records still lack their place."""
        staging.mkdir(parents=True)
        stored = StoredRows(self.path, earlier)
        places = find_places(stored.homes(), stored.elsewhere(), stored.kin(), panel.tables.get("household"))
        sequence = earlier[-1].sequence + 1 if earlier else 1
        known = {table.name for table in stored.tables}
        tables = [
            table_with_extras(table, (*stored.extra_columns, *panel.extra_columns))
            for table in TABLES
            if table.name in panel.tables or (table.name in known and not places.added.is_empty())
        ]
        progress = Progress("store", len(tables), on_progress)
        staged: list[tuple[Path, StoredFile]] = []
        for table in tables:
            new = panel.tables.get(table.name, pl.DataFrame(schema=table.dtypes))
            for part, is_copy in _parts(table, new, stored, places, sequence):
                path = staging / f"{len(staged)}.parquet"
                partition = part[COUNTY][0] if COUNTY in part.columns else ""
                part.drop(COUNTY, strict=False).write_parquet(
                    path, compression="zstd", row_group_size=_ROW_GROUP
                )
                flush(path)
                size, digest = path.stat().st_size, sha256_of(path)
                staged.append(
                    (path, StoredFile("", table.name, partition, part.height, size, digest, is_copy))
                )
            progress.step()
        return staged

    def _record(
        self,
        panel: Panel,
        earlier: Sequence[Commit],
        staged: Sequence[tuple[Path, StoredFile]],
        sources: Sequence[SourceFile],
        counts: Mapping[str, TableCounts],
        mapping_name: str,
    ) -> Commit:
        commit_id = self.next_id(sources)
        files = tuple(
            StoredFile(
                f"{_TABLES}/{file.table}/"
                + (f"county_code={file.partition}/" if file.partition else "")
                + f"{commit_id}{'.copies' if file.is_copy else ''}.parquet",
                *(file.table, file.partition, file.rows, file.size_bytes, file.sha256, file.is_copy),
            )
            for _, file in staged
        )
        assumed = panel.provenance.get("assumed")
        return Commit(
            id=commit_id,
            sequence=earlier[-1].sequence + 1 if earlier else 1,
            committed_at=datetime.now().astimezone().isoformat(timespec="seconds"),
            sources=tuple(sources),
            counts=dict(counts),
            files=files,
            assumed=dict(assumed) if isinstance(assumed, Mapping) else {},
            extra_columns=panel.extra_columns,
            mapping_name=mapping_name,
        )

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


def _parts(
    table: Table, new: pl.DataFrame, stored: StoredRows, places: Places, sequence: int
) -> Iterator[tuple[pl.DataFrame, bool]]:
    """Yield a table's rows by county, sorted by bucket, key and day, and then its copies likewise."""
    order = [*table.key, "recorded_on"]
    if not has_households(table):
        if not new.is_empty():
            yield new.sort(order, maintain_order=True), False
        return
    placed = new.join(places.homes, on="household_id", how="left", maintain_order="left")
    if strays := placed[BUCKET].null_count():
        raise DataError(
            "RR193",
            table.name,
            f"{strays} rows belong to no household of the household table",
            "rows of known households",
            "Validate the panel first, or add the households to it",
        )
    copies = copies_of(table, placed, stored, places, sequence)
    for rows, is_copy in ((placed, False), (copies, True)):
        if not rows.is_empty():
            by = [COUNTY, BUCKET, *([SEQUENCE] if is_copy else []), *order]
            for part in rows.sort(by, maintain_order=True).partition_by(COUNTY, maintain_order=True):
                yield part, is_copy
