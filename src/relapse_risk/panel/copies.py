"""Rows that a commit has to lay in further places; :mod:`relapse_risk.panel.place` says why.

Every function returns the columns of the table, the place of the copy (``_county``, ``_bucket``) and
``_sequence``, the number of the commit of the original.
"""

from __future__ import annotations

import polars as pl

from relapse_risk.panel.place import BUCKET, COUNTY, PLACE, PLACED
from relapse_risk.panel.schema import Table
from relapse_risk.panel.stored import SEQUENCE, StoredRows, has_own_key


def copies_of_new(rows: pl.DataFrame, elsewhere: pl.DataFrame) -> pl.DataFrame:
    """Return new rows at every further place of their households."""
    return rows.join(elsewhere, on="household_id", maintain_order="left")


def copies_of_stored(
    table: Table, stored: StoredRows, homes: pl.DataFrame, added: pl.DataFrame
) -> pl.DataFrame:
    """Return the stored rows of households that get a further place, at that place.

    With them come the rows of others that have the key of one of theirs; these lie at the same home.

    Parameters
    ----------
    table : Table
    stored : StoredRows
    homes, added : polars.DataFrame
        Home, and further places, of these households: household_id, _county, _bucket.
    """
    lying = [
        stored_in(table, stored, homes.select(PLACE).unique(), copies=copies) for copies in (False, True)
    ]
    rows = pl.concat(lying)
    own = rows.join(homes, on=list(PLACED), how="semi")
    if has_own_key(table):
        shared = own.select(*table.key, *PLACE, pl.col("household_id").alias("of")).unique()
        rows = rows.join(shared, on=[*table.key, *PLACE])
    else:
        rows = own.with_columns(pl.col("household_id").alias("of"))
    to = added.select(pl.col("household_id").alias("of"), *PLACE)
    return rows.drop(PLACE).join(to, on="of").drop("of")


def copies_of_shared_keys(
    table: Table, new: pl.DataFrame, stored: pl.LazyFrame | None, everywhere: pl.DataFrame
) -> pl.DataFrame:
    """Return every version of the keys that several households have had, in all places of all of these.

    Parameters
    ----------
    table : Table
    new : polars.DataFrame
        All new rows of some keys.
    stored : polars.LazyFrame or None
        Stored rows, among them all of these keys.
    everywhere : polars.DataFrame
        All places of all households: household_id, _county, _bucket.
    """
    key = list(table.key)
    holders = new.select(*key, "household_id")
    if stored is not None:
        keys = new.lazy().select(key).unique()
        holders = pl.concat(
            [holders, stored.join(keys, on=key, how="semi").select(holders.columns).collect()]
        )
    # Keys seldom pass on: their hashes tell where to look closer.
    holders = holders.filter(holders.select(key).hash_rows().is_duplicated()).unique()
    shared = holders.filter(pl.len().over(key) > 1)
    versions = new.join(shared.select(key).unique(), on=key, how="semi")
    if stored is not None and not shared.is_empty():
        earlier = stored.join(shared.lazy().select(key).unique(), on=key, how="semi").collect()
        versions = pl.concat([versions, earlier.drop(PLACE)], how="diagonal")
    targets = shared.join(everywhere, on="household_id").select(*key, *PLACE).unique()
    return versions.join(targets, on=key)


def not_there_yet(
    table: Table, copies: pl.DataFrame, stored: StoredRows, homes: pl.DataFrame
) -> pl.DataFrame:
    """Return the copies without repetitions, those at a row's own home, and those that are stored."""
    version = [*table.key, "recorded_on", *PLACE]
    placed = copies.select("household_id", *PLACE).unique()
    at_home = placed.join(homes, on=list(PLACED), how="semi")
    there = stored_in(table, stored, placed.select(PLACE).unique(), copies=True)
    copies = copies.unique(version, keep="first", maintain_order=True)
    copies = copies.join(at_home, on=list(PLACED), how="anti", maintain_order="left")
    return copies.join(there.select(version), on=version, how="anti", maintain_order="left")


def stored_in(table: Table, stored: StoredRows, places: pl.DataFrame, *, copies: bool) -> pl.DataFrame:
    """Return what lies in some places, or what of it are copies."""
    frames = [pl.DataFrame(schema=stored.scan(table).collect_schema())]
    for (county,), of_county in places.group_by(COUNTY):
        buckets = of_county[BUCKET].unique().sort().implode()
        rows = stored.scan(table, str(county), copies=copies).filter(pl.col(BUCKET).is_in(buckets))
        frames.append(rows.collect())
    return pl.concat(frames)


def numbered(rows: pl.DataFrame, sequence: int) -> pl.DataFrame:
    """Return new rows with the number of their commit."""
    return rows.with_columns(pl.lit(sequence, pl.UInt32).alias(SEQUENCE))
