"""Rows that a commit has to lay in further places; :mod:`relapse_risk.panel.place` says why."""

from __future__ import annotations

import polars as pl

from relapse_risk.panel.place import BUCKET, COUNTY, PLACE, PLACED, Places
from relapse_risk.panel.schema import Table
from relapse_risk.panel.stored import SEQUENCE, StoredRows, has_own_key


def copies_of(
    table: Table, new: pl.DataFrame, stored: StoredRows, places: Places, sequence: int
) -> pl.DataFrame:
    """Return the rows of one table that have to lie elsewhere too, with the place of each copy.

    Parameters
    ----------
    table : Table
    new : polars.DataFrame
        Rows about to be stored, with ``_county`` and ``_bucket`` of their homes.
    stored : StoredRows
        What is stored already.
    places : Places
        Where households lie, the new ones among them.
    sequence : int
        Number of the commit.

    Returns
    -------
    polars.DataFrame
        Columns of the table, ``_county``, ``_bucket``, and ``_sequence``, the commit of the original.
    """
    new = new.with_columns(pl.lit(sequence, pl.UInt32).alias(SEQUENCE))
    followed = new.drop(PLACE).join(places.elsewhere, on="household_id", maintain_order="left")
    wanted = [followed, _history(table, stored, places).select(followed.columns)]
    if has_own_key(table):
        wanted.append(_of_shared_keys(table, new, stored, places).select(followed.columns))
    copies = pl.concat(wanted, how="diagonal")
    if copies.is_empty():
        return copies
    version = [*table.key, "recorded_on", *PLACE]
    at_home = copies.select("household_id", *PLACE).unique().join(places.homes, on=list(PLACED), how="semi")
    copies = copies.unique(version, keep="first", maintain_order=True)
    copies = copies.join(at_home, on=list(PLACED), how="anti", maintain_order="left")
    there = _stored_in(table, stored, copies.select(PLACE).unique(), copies=True)
    return copies.join(there.select(version), on=version, how="anti", maintain_order="left")


def _stored_in(table: Table, stored: StoredRows, places: pl.DataFrame, *, copies: bool) -> pl.DataFrame:
    """Return what lies in some places."""
    frames = [pl.DataFrame(schema=stored.scan(table).collect_schema())]
    for (county,), of_county in places.group_by(COUNTY):
        buckets = of_county[BUCKET].unique().sort().implode()
        rows = stored.scan(table, str(county), copies=copies).filter(pl.col(BUCKET).is_in(buckets))
        frames.append(rows.collect())
    return pl.concat(frames)


def _history(table: Table, stored: StoredRows, places: Places) -> pl.DataFrame:
    """Return the stored rows of households that get a further place, at that place.

    With them come the rows of others that have the key of one of theirs; these lie at the same home.
    """
    new_places = places.added.select("household_id", pl.struct(PLACE).alias("to"))
    homes = places.homes.join(places.added, on="household_id", how="semi")
    lying = [
        _stored_in(table, stored, homes.select(PLACE).unique(), copies=copies) for copies in (False, True)
    ]
    rows = pl.concat(lying)
    own = rows.join(homes, on=list(PLACED), how="semi")
    if has_own_key(table):
        shared = own.select(*table.key, *PLACE, pl.col("household_id").alias("of")).unique()
        rows = rows.join(shared, on=[*table.key, *PLACE])
    else:
        rows = own.with_columns(pl.col("household_id").alias("of"))
    moved = rows.drop(PLACE).join(new_places, left_on="of", right_on="household_id")
    return moved.drop("of").unnest("to")


def _of_shared_keys(table: Table, new: pl.DataFrame, stored: StoredRows, places: Places) -> pl.DataFrame:
    """Return every version of the keys that several households have had, in all places of all of these."""
    key = list(table.key)
    own = stored.scan(table)
    earlier = (
        own.join(new.lazy().select(key).unique(), on=key, how="semi").select(*key, "household_id").collect()
    )
    holders = pl.concat([new.select(*key, "household_id"), earlier]).unique()
    shared = holders.filter(pl.len().over(key) > 1)
    if shared.is_empty():
        return new.clear()
    everywhere = pl.concat([places.homes, places.elsewhere])
    targets = shared.join(everywhere, on="household_id").select(*key, pl.struct(PLACE).alias("to")).unique()
    versions = pl.concat(
        [
            own.join(shared.lazy().select(key).unique(), on=key, how="semi").collect(),
            new.join(shared.select(key).unique(), on=key, how="semi"),
        ],
        how="diagonal",
    )
    return versions.drop(PLACE).join(targets, on=key).unnest("to")
