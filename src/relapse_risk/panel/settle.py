"""Which of the valid rows of a table are new: repetitions drop out, contradictions go back."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from relapse_risk.panel.check_rows import FILE, ROW
from relapse_risk.panel.schema import Table

_CONTENT, _STORED, _CONTRADICTED = "_content", "_stored", "_contradicted"


def settle_rows(
    table: Table, valid: pl.DataFrame, stored: pl.LazyFrame | None, repeating: Collection[int]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that are new, and those that contradict another of the same key and day.

    Exact repetitions, of each other or of a stored row, are in neither.

    Parameters
    ----------
    table : Table
    valid : polars.DataFrame
        Rows without a failure: all there are of their keys.
    stored : polars.LazyFrame or None
        Stored rows, among them all of these keys.
    repeating : collection of int
        Files of which only the first row of every key counts.
    """
    first = _first_of_each(table, valid, stored, repeating) if repeating else valid
    return _fresh_rows(table, first, stored)


def _first_of_each(
    table: Table, valid: pl.DataFrame, stored: pl.LazyFrame | None, repeating: Collection[int]
) -> pl.DataFrame:
    """Return the rows without those that a file repeats for a key it has given, or the store has."""
    key = list(table.key)
    repeats = pl.col(FILE).is_in(list(repeating))
    first = valid.filter(repeats).sort("recorded_on", ROW, maintain_order=True)
    first = first.unique(subset=key, keep="first", maintain_order=True)
    if stored is not None:
        known = stored.join(first.lazy().select(key), on=key, how="semi").select(key).collect()
        first = first.join(known, on=key, how="anti", maintain_order="left")
    return pl.concat([first, valid.filter(~repeats)]).sort(ROW)


def _fresh_rows(
    table: Table, valid: pl.DataFrame, stored: pl.LazyFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    version = [*table.key, "recorded_on"]
    rows = valid.with_columns(pl.lit(value=False).alias(_CONTRADICTED))
    # Keys seldom repeat: their hashes tell which rows to compare in full.
    may_repeat = valid.select(version).hash_rows().is_duplicated()
    if may_repeat.any():
        repeating = valid.filter(may_repeat).sort(ROW)
        repeating = repeating.unique(subset=list(table.dtypes), keep="first", maintain_order=True)
        repeating = repeating.with_columns((pl.len().over(version) > 1).alias(_CONTRADICTED))
        rows = pl.concat([rows.filter(~may_repeat), repeating])
    if stored is not None:
        rows = _without_stored(table, rows, stored)
    return rows.filter(~pl.col(_CONTRADICTED)), rows.filter(_CONTRADICTED)


def _without_stored(table: Table, rows: pl.DataFrame, stored: pl.LazyFrame) -> pl.DataFrame:
    """Return the rows without those the store has, word for word; others of its versions contradict it."""
    version = [*table.key, "recorded_on"]
    if rows.is_empty():
        return rows
    days = rows["recorded_on"]
    of_these_days = stored.filter(pl.col("recorded_on").is_between(days.min(), days.max()))
    known = of_these_days.join(rows.lazy().select(version), on=version, how="semi").collect()
    if known.is_empty():
        return rows
    known = known.select(*version, _content(known, table).alias(_STORED))
    rows = rows.with_columns(_content(rows, table).alias(_CONTENT))
    rows = rows.join(known, on=version, how="left", maintain_order="left")
    is_stored = pl.col(_STORED).is_not_null()
    rows = rows.filter(~is_stored | (pl.col(_STORED) != pl.col(_CONTENT)))
    return rows.with_columns(pl.col(_CONTRADICTED) | is_stored).drop(_STORED, _CONTENT)


def _content(frame: pl.DataFrame, table: Table) -> pl.Series:
    """Return a hash of everything a row says; a column the frame does not have counts as empty."""
    columns = [
        pl.col(name) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in table.dtypes.items()
    ]
    return frame.select(columns).hash_rows()
