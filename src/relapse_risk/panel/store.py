"""The store: append-only Parquet, one atomic commit per ingest.

``STORE/commits/ID.json`` lists the files of one ingest, and only listed files are ever read. So a commit is
there when its record is, and an ingest that ends anywhere before leaves nothing that can be seen; what it
left behind is cleared away by the next one. A household's rows stay in the partition of the county where
it was first seen, wherever it moves; it is counted to the county of its latest record.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path

import polars as pl

from relapse_risk.config import ExtraColumn
from relapse_risk.errors import DataError, MachineError
from relapse_risk.panel.commit import Commit, StoredFile
from relapse_risk.panel.disk import flush, flush_folder, sha256_of, write_atomically
from relapse_risk.panel.lock import exclusive_lock
from relapse_risk.panel.mapping import table_with_extras
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.raw import OnProgress, Progress, SourceFile
from relapse_risk.panel.rejects import TableCounts
from relapse_risk.panel.tables import TABLE_BY_NAME

_COMMITS, _TABLES, _STAGING, _LOCK = "commits", "tables", "staging", "lock"
_HOME = "_home"


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
        self._placed: tuple[tuple[object, ...], pl.DataFrame] | None = None

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

    def open(self, counties: Sequence[str] | None = None, known_on: date | None = None) -> Panel:
        """Return the panel of all commits, or only of the households of some counties.

        A household belongs to the county of its latest record, or of the latest that was known on
        ``known_on``, and brings all its history, so that every household is in exactly one county.

        Rows come in the order of commits and, within one, of county, key and ``recorded_on``. Tables
        without households are always whole.

        Raises
        ------
        DataError
            RR191 where there is no store, RR192 where a listed file is missing or altered in length.
        """
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
        files = [file for commit in commits for file in commit.files]
        self._refuse_damage(files)
        extras = tuple({extra.name: extra for commit in commits for extra in commit.extra_columns}.values())
        names = {name for commit in commits for name in commit.counts}
        wanted = None
        if counties is not None:
            wanted = self._homes(files, known_on).filter(pl.col("county_code").is_in(list(counties)))
        tables = {
            name: self._read_table(name, files, extras, wanted) for name in TABLE_BY_NAME if name in names
        }
        content = hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()
        provenance = {
            "commits": [commit.id for commit in commits],
            "data_sha256": content,
            "assumed": {table: how for commit in commits for table, how in commit.assumed.items()},
        }
        return Panel(tables, extras, provenance)

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

    def _scan(self, file: StoredFile) -> pl.LazyFrame:
        return pl.scan_parquet(self.path / file.path, glob=False)

    def counties(self, known_on: date | None = None) -> list[str]:
        """Return the codes of all counties that have households, or had on a day, sorted."""
        files = [file for commit in self.log() for file in commit.files]
        return sorted(self._homes(files, known_on)["county_code"].unique().to_list())

    def _homes(self, files: Sequence[StoredFile], known_on: date | None = None) -> pl.DataFrame:
        """Return every household with the county it lives in and the partition that holds its rows."""
        own = [file for file in files if file.table == "household"]
        state = (known_on, *(file.path for file in own))
        if self._placed is None or self._placed[0] != state:
            columns = ("household_id", "recorded_on", "county_code")
            schema = {**dict.fromkeys(columns, pl.String), "recorded_on": pl.Date, _HOME: pl.String}
            frames = [self._scan(file).select(*columns, pl.lit(file.partition).alias(_HOME)) for file in own]
            versions = pl.concat([pl.LazyFrame(schema=schema), *frames]).collect()
            known = versions if known_on is None else versions.filter(pl.col("recorded_on") <= known_on)
            latest = known.sort("recorded_on", maintain_order=True)
            latest = latest.unique("household_id", keep="last", maintain_order=True)
            self._placed = state, latest.select("household_id", "county_code", _HOME)
        return self._placed[1]

    def _read_table(
        self,
        name: str,
        files: Sequence[StoredFile],
        extras: Sequence[ExtraColumn],
        wanted: pl.DataFrame | None,
    ) -> pl.DataFrame:
        table = table_with_extras(TABLE_BY_NAME[name], extras)
        own = [file for file in files if file.table == name]
        has_households = "household_id" in table.by_name
        if wanted is not None and has_households:
            partitions = set(wanted[_HOME].to_list())
            own = [file for file in own if file.partition in partitions]
        schema = pl.Schema(table.dtypes)
        frame = pl.concat([pl.LazyFrame(schema=schema), *map(self._scan, own)], how="diagonal")
        if wanted is not None and has_households:
            ids = wanted.lazy().select("household_id")
            frame = frame.join(ids, on="household_id", how="semi", maintain_order="left")
        return frame.select(schema.names()).collect()

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
        homes = self._home_of_each(panel, earlier)
        progress = Progress("store", len(panel.tables), on_progress)
        staged: list[tuple[Path, StoredFile]] = []
        for name, frame in panel.tables.items():
            for partition, part in _partitioned(name, frame, homes):
                path = staging / f"{len(staged)}.parquet"
                part.write_parquet(path, compression="zstd")
                flush(path)
                digest = sha256_of(path)
                file = StoredFile("", name, partition, part.height, path.stat().st_size, digest)
                staged.append((path, file))
            progress.step()
        return staged

    def _home_of_each(self, panel: Panel, earlier: Sequence[Commit]) -> pl.DataFrame:
        """Return the partition of every household: the county where it was first seen."""
        stored = self._homes([file for commit in earlier for file in commit.files])
        frames = [stored.select("household_id", _HOME)]
        if "household" in panel.tables:
            new = panel.tables["household"].sort("recorded_on", maintain_order=True)
            frames.append(new.select("household_id", pl.col("county_code").alias(_HOME)))
        return pl.concat(frames).unique("household_id", keep="first", maintain_order=True)

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
                + f"{commit_id}.parquet",
                *(file.table, file.partition, file.rows, file.size_bytes, file.sha256),
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


def _partitioned(name: str, frame: pl.DataFrame, homes: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield a table's rows by partition, sorted by key and day."""
    if frame.is_empty():
        return
    ordered = frame.sort(*TABLE_BY_NAME[name].key, "recorded_on", maintain_order=True)
    if "household_id" not in frame.columns:
        yield "", ordered
        return
    placed = ordered.join(homes, on="household_id", how="left", maintain_order="left")
    if strays := placed[_HOME].null_count():
        raise DataError(
            "RR193",
            name,
            f"{strays} rows belong to no household of the household table",
            "rows of known households",
            "Validate the panel first, or add the households to it",
        )
    parts = placed.partition_by(_HOME, as_dict=True, include_key=False)
    for (partition,), part in sorted(parts.items(), key=lambda item: str(item[0][0])):
        yield str(partition), part
