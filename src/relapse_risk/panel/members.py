"""Who belongs to which household by the latest record, for remarks on rows of other tables."""

from __future__ import annotations

from functools import cached_property

import polars as pl

_LATEST = {"member": pl.UInt64, "household": pl.UInt64, "recorded_on": pl.Date, "is_present": pl.Boolean}


class Members:
    """All members, stored and new, as hashes: some 20 bytes each.

    Parameters
    ----------
    stored : polars.LazyFrame or None
        Rows of the member table that are stored.
    """

    def __init__(self, stored: pl.LazyFrame | None) -> None:
        rows = pl.LazyFrame(schema=_LATEST) if stored is None else stored.select(_hashed())
        self._latest = _latest_of(rows.collect())

    def take(self, rows: pl.DataFrame) -> None:
        """Add new rows of the member table."""
        self._latest = _latest_of(pl.concat([self._latest, rows.select(_hashed())]))
        for name in ("present", "_ids"):
            self.__dict__.pop(name, None)

    @cached_property
    def present(self) -> pl.DataFrame:
        """Number of members present by household: household (a hash), members."""
        present = self._latest.filter(pl.col("is_present").fill_null(value=True))
        return present.group_by("household").agg(pl.len().cast(pl.Float64).alias("members"))

    @cached_property
    def _ids(self) -> pl.Series:
        return self._latest["member"]

    def unknown(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the rows whose ``member_id`` belongs to nobody; an empty one is not given."""
        given = rows.filter(pl.col("member_id").is_not_null())
        return given.filter(~given["member_id"].hash().is_in(self._ids.implode()))


def _hashed() -> list[pl.Expr]:
    hashes = [pl.col("member_id").hash().alias("member"), pl.col("household_id").hash().alias("household")]
    return [*hashes, pl.col("recorded_on"), pl.col("is_present")]


def _latest_of(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.sort("recorded_on", maintain_order=True).unique("member", keep="last")
