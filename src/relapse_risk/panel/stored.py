"""What the commits of a store hold, for reading: by table, county and bucket; and who lives where."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path

import polars as pl

from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.commit import Commit, StoredFile
from relapse_risk.panel.lineage import ID, PREDECESSOR, ended_on, kin_of
from relapse_risk.panel.mapping import table_with_extras
from relapse_risk.panel.partition import Partition
from relapse_risk.panel.place import BUCKET, COUNTY, PLACE, PLACED, with_places
from relapse_risk.panel.schema import Table
from relapse_risk.panel.tables import TABLE_BY_NAME, TABLES

SEQUENCE = "_sequence"


def has_households(table: Table) -> bool:
    """Return whether the rows of a table belong to households."""
    return "household_id" in table.by_name


def has_own_key(table: Table) -> bool:
    """Return whether a key of the table can be given to one household after another."""
    return has_households(table) and "household_id" not in table.key


@dataclass(frozen=True)
class StoredRows:
    """The rows of some commits.

    Attributes
    ----------
    root : Path
        Folder of the store.
    commits : sequence of Commit
        Oldest first.
    """

    root: Path
    commits: Sequence[Commit]

    @property
    def files(self) -> Iterator[tuple[int, StoredFile]]:
        """Every file with the number of its commit, oldest first."""
        return ((commit.sequence, file) for commit in self.commits for file in commit.files)

    @cached_property
    def extra_columns(self) -> tuple[ExtraColumn, ...]:
        """Columns that mappings declared beyond the canonical ones."""
        return tuple(
            {extra.name: extra for commit in self.commits for extra in commit.extra_columns}.values()
        )

    @cached_property
    def tables(self) -> tuple[Table, ...]:
        """Tables that were ever handed in, also empty ones, with all their columns."""
        names = {name for commit in self.commits for name in commit.counts}
        return tuple(table_with_extras(table, self.extra_columns) for table in TABLES if table.name in names)

    def counties(self) -> list[str]:
        """Return the counties in which rows of households lie, sorted."""
        return sorted({file.partition for _, file in self.files if file.table == "household"})

    def scan(
        self,
        table: Table,
        county: str | None = None,
        buckets: tuple[int, int] | None = None,
        *,
        copies: bool = False,
    ) -> pl.LazyFrame:
        """Return rows, with ``_county``, ``_bucket`` and ``_sequence``, in the order of commits.

        Parameters
        ----------
        county : str, optional
            Only what lies there.
        buckets : tuple of int, optional
            First and last bucket.
        copies : bool
            The copies instead of the rows themselves.
        """
        schema: dict[str, type[pl.DataType]] = {**table.dtypes, COUNTY: pl.String, BUCKET: pl.UInt16}
        schema[SEQUENCE] = pl.UInt32
        frames = [_no_rows(tuple(schema.items()))]
        for sequence, file in self.files:
            if file.table != table.name or file.is_copy != copies or county not in (None, file.partition):
                continue
            frame = pl.scan_parquet(self.root / file.path, glob=False)
            if buckets is not None:
                frame = frame.filter(pl.col(BUCKET).is_between(*buckets))
            frame = frame.with_columns(pl.lit(file.partition).alias(COUNTY))
            frames.append(
                frame if copies else frame.with_columns(pl.lit(sequence, pl.UInt32).alias(SEQUENCE))
            )
        return pl.concat(frames, how="diagonal").select(list(schema))

    def homes(self) -> pl.DataFrame:
        """Return the home of every household: household_id, _county, _bucket."""
        frame = self.scan(TABLE_BY_NAME["household"]).select(*PLACED)
        return frame.unique("household_id", keep="first", maintain_order=True).collect()

    def elsewhere(self) -> pl.DataFrame:
        """Return the other places of households, in the same columns."""
        frame = self.scan(TABLE_BY_NAME["household"], copies=True).select(*PLACED)
        return frame.unique(maintain_order=True).collect()

    def kin(self) -> pl.DataFrame:
        """Return the pairs of household_id and predecessor_id."""
        return kin_of(self._found("household", (ID, PREDECESSOR), pl.col(PREDECESSOR).is_not_null()))

    def ended(self, as_of_dates: Sequence[date]) -> dict[date, pl.Series]:
        """Return the households that have ended by each date, for their record goes on under others."""
        kin = self.kin()
        if kin.is_empty():
            return {day: pl.Series(ID, [], pl.String) for day in as_of_dates}
        is_concerned = pl.col(ID).is_in(pl.concat([kin[ID], kin[PREDECESSOR]]).unique().implode())
        theirs = self._found("member", ("member_id",), is_concerned)["member_id"].unique()
        is_theirs = pl.col("member_id").is_in(theirs.implode())
        versions = self._found("household", (ID, PREDECESSOR, "recorded_on"), is_concerned)
        people = ("member_id", ID, "recorded_on", "is_present", "relation")
        people_versions = self._found("member", people, is_theirs)
        return {day: ended_on(versions, people_versions, day) for day in as_of_dates}

    def _found(self, name: str, columns: Sequence[str], predicate: pl.Expr) -> pl.DataFrame:
        """Return the few rows that fulfil a condition, by day and commit; a county is read at a time."""
        read = list(dict.fromkeys((*columns, "recorded_on", SEQUENCE)))
        found = []
        for county in self.counties() or [""]:
            rows = self.scan(TABLE_BY_NAME[name], county).filter(predicate)
            found.append(rows.select(read).collect())
        return pl.concat(found).sort("recorded_on", SEQUENCE, maintain_order=True).select(columns)

    def residents(self, as_of_dates: Sequence[date]) -> pl.DataFrame:
        """Return how many households live in each place on each date, where any do.

        Returns
        -------
        polars.DataFrame
            _county, _bucket, as_of_date, households.
        """
        schema = {COUNTY: pl.String, BUCKET: pl.UInt16, "as_of_date": pl.Date, "households": pl.Int64}
        ended = self.ended(as_of_dates)
        counts = [self._residents_first_seen_in(county, ended) for county in self.counties()]
        every = pl.concat([pl.DataFrame(schema=schema), *(count.select(*schema) for count in counts)])
        return every.group_by(COUNTY, BUCKET, "as_of_date").agg(pl.col("households").sum())

    def _residents_first_seen_in(self, county: str, ended: Mapping[date, pl.Series]) -> pl.DataFrame:
        rows = self.scan(TABLE_BY_NAME["household"], county).filter(pl.col("recorded_on") <= max(ended))
        stays = rows.select("household_id", "recorded_on", "county_code", "village_code").collect()
        stays = with_places(stays).select(pl.col("household_id").hash().alias("who"), "recorded_on", *PLACE)
        stays = stays.sort("who", "recorded_on", maintain_order=True)
        until = pl.when(pl.col("who") == pl.col("who").shift(-1)).then(pl.col("recorded_on").shift(-1))
        stays = stays.with_columns(until.alias("until"))
        lives_here = {
            str(day): (pl.col("recorded_on") <= day)
            & (pl.col("until") > day).fill_null(value=True)
            & ~pl.col("who").is_in(gone.hash().implode())
            for day, gone in ended.items()
        }
        counted = stays.group_by(PLACE).agg(
            is_there.sum().cast(pl.Int64).alias(day) for day, is_there in lives_here.items()
        )
        long = counted.unpivot(index=PLACE, variable_name="as_of_date", value_name="households")
        return long.with_columns(pl.col("as_of_date").str.to_date()).filter(pl.col("households") > 0)

    def of_partition(
        self, partition: Partition, only: Mapping[str, Collection[str]] | None = None
    ) -> dict[str, pl.DataFrame]:
        """Return all tables, with the rows of every household that lives there on one of the dates.

        ``only`` names the tables of households that are wanted, each with the columns beside its keys; no
        columns means all of them.
        """
        wanted = self._wanted(partition)
        tables = {}
        for table in self.tables:
            if not has_households(table):
                tables[table.name] = self.scan(table).select(list(table.dtypes)).collect()
            elif only is None or table.name in only:
                tables[table.name] = self._lying_in(table, partition, _columns(table, only), wanted)
        return tables

    def _lying_in(
        self, table: Table, partition: Partition, columns: Sequence[str], wanted: pl.Series | None = None
    ) -> pl.DataFrame:
        """Return what lies there, the versions of every row in the order they have in the store.

        Where households are ``wanted``, the rows are theirs, and those of others that had the key of one of
        theirs. Tables are wide and copies few, so only what the copies concern is sorted; it stands last.
        Which rows are taken is told by their keys, before the rest of them is read: to leave rows out
        afterwards would hold the table twice.
        """
        where = partition.county_code, (partition.first_bucket, partition.last_bucket)
        order = (SEQUENCE, *table.key, "recorded_on")
        stored, copies = (self.scan(table, *where, copies=copies) for copies in (False, True))
        names = (ID, *table.key) if has_own_key(table) else (ID,)
        copied = copies.select(*names).collect()
        keys = pl.concat([stored.select(*names).collect(), copied], rechunk=False)
        if wanted is not None:
            is_kept = _has_key_of(keys, wanted, table)
            stored, copies = stored.filter(is_kept), copies.filter(is_kept)
        last = [copies]
        if has_own_key(table):  # any other row has no version under another household
            is_tied = pl.col(ID).is_in(_tied(keys, copied[ID].unique(), table).implode())
            last, stored = [stored.filter(is_tied), copies], stored.filter(~is_tied)
        plain = stored.select(columns).collect()
        read = list(dict.fromkeys((*order, ID, *columns)))
        ordered = pl.concat([frame.select(read).collect() for frame in last])
        ordered = ordered.sort(*order, maintain_order=True).select(columns)
        return pl.concat([plain, ordered], rechunk=False)

    def _wanted(self, partition: Partition) -> pl.Series:
        """Return the households that live there on one of the dates.

        Their predecessors and successors are wanted as they are.
        """
        table = TABLE_BY_NAME["household"]
        columns = ("household_id", "recorded_on", "county_code", "village_code", "predecessor_id")
        rows = self._lying_in(table, partition, columns).sort("recorded_on", maintain_order=True)
        latest = [
            partition.of_residents(
                rows.filter(pl.col("recorded_on") <= day).unique(
                    "household_id", keep="last", maintain_order=True
                )
            ).select("household_id")
            for day in partition.as_of_dates
        ]
        wanted = pl.concat([rows.select("household_id").clear(), *latest]).unique()
        kin = kin_of(rows)
        kin = pl.concat([kin, kin.select(pl.col(PREDECESSOR).alias(ID), pl.col(ID).alias(PREDECESSOR))])
        while True:
            named = kin.join(wanted, on="household_id", how="semi").select(household_id="predecessor_id")
            more = named.unique().join(wanted, on="household_id", how="anti")
            if more.is_empty():
                return wanted["household_id"]
            wanted = pl.concat([wanted, more])


@lru_cache(maxsize=64)
def _no_rows(schema: tuple[tuple[str, type[pl.DataType]], ...]) -> pl.LazyFrame:
    return pl.LazyFrame(schema=dict(schema))


def _columns(table: Table, only: Mapping[str, Collection[str]] | None) -> list[str]:
    """Return the columns wanted of a table, with those that say whose row it is and since when."""
    some = set() if only is None else set(only[table.name])
    if not some:
        return list(table.dtypes)
    return [name for name in table.dtypes if name in some | {*table.key, "household_id", "recorded_on"}]


def _has_key_of(keys: pl.DataFrame, wanted: pl.Series, table: Table) -> pl.Expr:
    """Return which rows are of some households, or have the key that one of their rows has."""
    is_theirs = keys[ID].is_in(wanted.implode())
    foreign = keys[ID].filter(~is_theirs).unique()
    is_kept = ~pl.col(ID).is_in(foreign.implode())
    if foreign.is_empty() or not has_own_key(table):
        return is_kept
    [key] = table.key
    shared = keys[key].filter(~is_theirs).unique()
    shared = shared.filter(shared.is_in(keys[key].filter(is_theirs).implode()))
    return is_kept | pl.col(key).is_in(shared.implode())


def _tied(keys: pl.DataFrame, households: pl.Series, table: Table) -> pl.Series:
    """Return some households, and any that shares a key of its own with one of them."""
    [key] = table.key
    while not households.is_empty():
        theirs = keys[key].filter(keys[ID].is_in(households.implode())).unique()
        sharing = keys[ID].filter(keys[key].is_in(theirs.implode())).unique()
        if len(sharing) <= len(households):
            break
        households = sharing
    return households
