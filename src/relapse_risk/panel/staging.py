"""From accepted rows to the files of a commit, with the memory of a few thousand households at a time.

Rows come in table by table, households first. They wait on disk by the place of their household, and are
written in the order of places, so that a file is sorted although no more than a part of it was ever held.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.commit import StoredFile
from relapse_risk.panel.copies import (
    copies_of_new,
    copies_of_shared_keys,
    copies_of_stored,
    not_there_yet,
    numbered,
)
from relapse_risk.panel.disk import flush, sha256_of
from relapse_risk.panel.mapping import table_with_extras
from relapse_risk.panel.place import BUCKET, COUNTY, PLACE, PLACE_NUMBER, PLACED, Places, find_places
from relapse_risk.panel.schema import Table
from relapse_risk.panel.spill import PART, Spill
from relapse_risk.panel.stored import SEQUENCE, StoredRows, has_households, has_own_key
from relapse_risk.panel.tombstones import Tombstones

_KEY_PARTS = 32
_HOUSEHOLDS_PER_PART = 25_000
_ROW_GROUP = 1 << 16
_NAMED = {
    "household_id": pl.String,
    "recorded_on": pl.Date,
    "county_code": pl.String,
    "village_code": pl.String,
}
_NAMED_WITH_KIN = {**_NAMED, "predecessor_id": pl.String}


class StagedRows:
    """The rows of a commit on their way to the disk.

    Parameters
    ----------
    folder : Path
        Where files are made; the caller moves or removes them.
    stored : StoredRows
        What is stored already.
    sequence : int
        Number of the commit.
    on_finish : callable, optional
        Called when a table is done.
    """

    def __init__(
        self, folder: Path, stored: StoredRows, sequence: int, on_finish: Callable[[], None] | None = None
    ) -> None:
        self._folder, self._before, self._sequence = folder, stored, sequence
        self._on_finish = on_finish or (lambda: None)
        self.files: list[tuple[Path, StoredFile]] = []
        self.rows: dict[str, int] = {}
        self._stored_tables = {table.name: table for table in stored.tables}
        self._named: list[pl.DataFrame] = []
        self._waiting: Spill | None = None
        self._copies: Spill | None = None
        self._places: Places | None = None
        self._homes = self._at = pl.DataFrame()
        self._tombstones = Tombstones.read(stored.root)

    def knows(self, name: str) -> bool:
        """Return whether a table was handed in before."""
        return name in self._stored_tables

    def purged(self, household_ids: pl.Series) -> pl.Series:
        """Return for each household whether it asked to be forgotten."""
        return self._tombstones.hold(household_ids)

    def homes(self) -> pl.DataFrame:
        """Return every household with the number of its place: household_id, _place."""
        self._known_places()
        return self._homes

    def spill(self, table: Table) -> Spill:
        """Return where rows of a table wait until all of a part are there."""
        return Spill(self._folder / "waiting" / table.name)

    def part_of(self, table: Table, rows: pl.DataFrame) -> pl.Series:
        """Return a number for every row, the same for all rows of a key."""
        if not has_households(table):
            return pl.Series([0], dtype=pl.UInt32).new_from_index(0, rows.height)
        if has_own_key(table) or table.name == "household":
            return rows.select((pl.col(table.key[0]).hash() % _KEY_PARTS).cast(pl.UInt32)).to_series()
        return self._at[PART].gather(rows[PLACE_NUMBER])

    def stored(self, table: Table, rows: pl.DataFrame | None = None) -> pl.LazyFrame | None:
        """Return stored rows, among them all with a key of ``rows``; None where there are none."""
        if table.name not in self._stored_tables:
            return None
        table = self._wide(table)
        if rows is None or PLACE_NUMBER not in rows.columns or has_own_key(table):
            return self._before.scan(table)
        places = self._at[rows[PLACE_NUMBER].unique()]
        near = [
            self._before.scan(table, str(county), (int(first), int(last)))
            for county, first, last in places.group_by(COUNTY)
            .agg(pl.col(BUCKET).min().alias("first"), pl.col(BUCKET).max().alias("last"))
            .sort(COUNTY)
            .iter_rows()
        ]
        return pl.concat(near)

    def take(self, table: Table, rows: pl.DataFrame) -> None:
        """Keep accepted rows: of a key, or of a place where the key is the household's, all at once."""
        self.rows[table.name] = self.rows.get(table.name, 0) + rows.height
        if rows.is_empty():
            return
        if not has_households(table):
            self._write(rows.select(list(table.dtypes)).sort(*table.key, "recorded_on"), table, "")
        elif table.name == "household":
            self._named.append(_named(rows))
            self._wait(table, rows.select(list(table.dtypes)).with_columns(pl.lit(0, pl.UInt32).alias(PART)))
        else:
            self._take_of_households(table, rows)

    def _take_of_households(self, table: Table, rows: pl.DataFrame) -> None:
        rows = rows.select([*table.dtypes, PLACE_NUMBER])
        self._copy_new(table, rows)
        if has_own_key(table):
            self._wait(table, rows.with_columns(self._at[PART].gather(rows[PLACE_NUMBER]).alias(PART)))
        else:
            self._write_by_county(table, rows)

    def place(self, table: Table, rows: pl.DataFrame) -> pl.DataFrame:
        """Return rows with the place of their household.

        Raises
        ------
        DataError
            RR193 where a row belongs to no household.
        """
        if not has_households(table) or table.name == "household":
            return rows
        placed = rows.join(self.homes(), on="household_id", how="left", maintain_order="left")
        if strays := placed[PLACE_NUMBER].null_count():
            raise DataError(
                "RR193",
                table.name,
                f"{strays} rows belong to no household of the household table",
                "rows of known households",
                "Validate the panel first, or add the households to it",
            )
        return placed

    def finish(self, table: Table) -> None:
        """Write what had to wait until all rows of a table were taken."""
        if table.name == "household":
            self._known_places()
            self._place_households(table)
        if has_households(table):
            if self._waiting is not None:
                for rows in self._waiting.parts():
                    self._write_by_county(table, rows)
                self._waiting = None
            self._copy_stored(table)
            self._write_copies(table)
        self._on_finish()

    def finish_others(self) -> None:
        """Copy what is stored in tables that were not handed in, for households that moved."""
        self._on_finish = lambda: None
        for table in self._stored_tables.values():
            if table.name not in self.rows and has_households(table):
                self.finish(table)

    def _known_places(self) -> Places:
        if self._places is None:
            new = pl.concat([pl.DataFrame(schema=_NAMED_WITH_KIN), *self._named])
            self._named = []
            before = self._before
            self._places = find_places(before.homes(), before.elsewhere(), before.kin(), new)
            every = pl.concat([self._places.homes, self._places.elsewhere])
            counted = every.group_by(PLACE).agg(pl.len().cast(pl.Int64).alias("n")).sort(PLACE)
            part = ((pl.col("n").cum_sum() - pl.col("n")) // _HOUSEHOLDS_PER_PART).cast(pl.UInt32).alias(PART)
            self._at = counted.with_row_index(PLACE_NUMBER).with_columns(part).drop("n")
            self._homes = self._places.homes.join(
                self._at, on=list(PLACE), how="left", maintain_order="left"
            ).select("household_id", PLACE_NUMBER)
        return self._places

    def _place_households(self, table: Table) -> None:
        """Give the household rows that wait the places of their homes, now that these are known."""
        waiting, self._waiting = self._waiting, None
        for rows in waiting.parts() if waiting is not None else ():
            placed = rows.drop(PART).join(self._homes, on="household_id", how="left", maintain_order="left")
            self._copy_new(table, placed)
            part = self._at[PART].gather(placed[PLACE_NUMBER]).alias(PART)
            self._wait(table, placed.with_columns(part), "placed")

    def _wait(self, table: Table, rows: pl.DataFrame, stage: str = "settled") -> None:
        if self._waiting is None:
            self._waiting = Spill(self._folder / stage / table.name)
        self._waiting.add(rows)

    def _copy_new(self, table: Table, rows: pl.DataFrame) -> None:
        places = self._known_places()
        new = numbered(rows.drop(PLACE_NUMBER), self._sequence)
        self._wait_as_copies(table, copies_of_new(new, places.elsewhere))
        if has_own_key(table):
            stored = self.stored(table, rows)
            everywhere = pl.concat([places.homes, places.elsewhere])
            self._wait_as_copies(table, copies_of_shared_keys(table, new, stored, everywhere))

    def _copy_stored(self, table: Table) -> None:
        places = self._known_places()
        if places.added.is_empty() or table.name not in self._stored_tables:
            return
        moved = places.homes.join(places.added, on="household_id", how="semi")
        moved = moved.join(self._at, on=list(PLACE), how="left").sort(PART)
        for of_part in moved.partition_by(PART, maintain_order=True):
            added = places.added.join(of_part, on="household_id", how="semi")
            copies = copies_of_stored(self._wide(table), self._before, of_part.select(*PLACED), added)
            self._wait_as_copies(table, copies)

    def _wait_as_copies(self, table: Table, copies: pl.DataFrame) -> None:
        if copies.is_empty():
            return
        columns = [*self._wide(table).dtypes, *PLACE, SEQUENCE]
        absent = [
            pl.lit(None, self._wide(table).dtypes[n]).alias(n) for n in columns if n not in copies.columns
        ]
        placed = copies.with_columns(absent).join(
            self._at.drop(PLACE_NUMBER), on=list(PLACE), how="left", maintain_order="left"
        )
        if self._copies is None:
            self._copies = Spill(self._folder / "copies" / table.name)
        self._copies.add(placed.select(*columns, PART))

    def _write_copies(self, table: Table) -> None:
        copies, self._copies = self._copies, None
        homes = self._known_places().homes
        for rows in copies.parts() if copies is not None else ():
            fresh = not_there_yet(self._wide(table), rows.drop(PART), self._before, homes)
            ordered = fresh.sort(*PLACE, SEQUENCE, *table.key, "recorded_on")
            for part in ordered.partition_by(COUNTY, maintain_order=True):
                self._write(part.drop(COUNTY), table, part[COUNTY][0], is_copy=True)

    def _write_by_county(self, table: Table, rows: pl.DataFrame) -> None:
        ordered = rows.drop(PART, strict=False).sort(PLACE_NUMBER, *table.key, "recorded_on")
        placed = ordered.join(self._at.drop(PART), on=PLACE_NUMBER, how="left", maintain_order="left")
        for part in placed.drop(PLACE_NUMBER).partition_by(COUNTY, maintain_order=True):
            self._write(part.drop(COUNTY), table, part[COUNTY][0])

    def _write(self, rows: pl.DataFrame, table: Table, partition: str, *, is_copy: bool = False) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{len(self.files)}.parquet"
        rows.write_parquet(path, compression="zstd", row_group_size=_ROW_GROUP)
        flush(path)
        size, digest = path.stat().st_size, sha256_of(path)
        self.files.append((path, StoredFile("", table.name, partition, rows.height, size, digest, is_copy)))

    def _wide(self, table: Table) -> Table:
        """Return the table with the extra columns that stored rows of it have."""
        extras = [extra for extra in self._before.extra_columns if extra.name not in table.by_name]
        return table_with_extras(table, extras)


def _named(households: pl.DataFrame) -> pl.DataFrame:
    """Return the places that household rows name, each from its first day on, and their predecessors."""
    kin = pl.lit(None, pl.String).alias("predecessor_id")
    if "predecessor_id" in households.columns:
        kin = pl.col("predecessor_id")
    rows = households.select(*_NAMED, kin).sort("recorded_on", maintain_order=True)
    columns = [name for name in _NAMED_WITH_KIN if name != "recorded_on"]
    return rows.unique(columns, keep="first", maintain_order=True)
