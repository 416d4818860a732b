"""Where rows lie: the county and the bucket of a village, and who has to lie in more than one place.

A bucket is a 16-bit hash of the village code, the same on every machine and with every version. A household's
rows lie at its home, where it was first seen, and stay there. Whoever reads another place needs them too:

- households that moved, or whose village was recoded, in every place they were in since;
- households that name others as their predecessor, and those others, in every place of any of them: whether
  a household has ended, and how its record goes on, shows in the rows of both;
- rows whose key (a member, a case) was given to several households, in every place of any of them.

There they lie as copies, so that one place holds all that its households need.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from relapse_risk.panel.lineage import ID, PREDECESSOR, kin_of

BUCKETS = 1 << 16
COUNTY, BUCKET = "_county", "_bucket"
PLACE = (COUNTY, BUCKET)
PLACE_NUMBER = "_place"
PLACED = {"household_id": pl.String, COUNTY: pl.String, BUCKET: pl.UInt16}


@lru_cache(maxsize=1 << 17)
def _bucket(village_code: str | None) -> int:
    return int.from_bytes(hashlib.blake2b((village_code or "").encode(), digest_size=2).digest())


def bucket_of(village_codes: pl.Series) -> pl.Series:
    """Return the bucket of each village, from 0 to ``BUCKETS - 1``.

    >>> bucket_of(pl.Series(["130101001001", "130101001002"])).to_list()
    [54713, 62157]
    """
    if village_codes.is_empty():  # replace_strict would leave its type as it is
        return pl.Series(BUCKET, dtype=pl.UInt16)
    distinct = village_codes.unique()
    buckets = pl.Series([_bucket(code) for code in distinct.to_list()], dtype=pl.UInt16)
    return village_codes.replace_strict(distinct, buckets, return_dtype=pl.UInt16).alias(BUCKET)


def with_places(households: pl.DataFrame) -> pl.DataFrame:
    """Return household rows with the place each names, ``_county`` and ``_bucket``."""
    return households.with_columns(
        pl.col("county_code").alias(COUNTY), bucket_of(households["village_code"]).alias(BUCKET)
    )


@dataclass(frozen=True)
class Places:
    """Where the households of a store lie, once a commit's households are among them.

    Attributes
    ----------
    homes : polars.DataFrame
        One row per household: household_id, _county, _bucket.
    elsewhere : polars.DataFrame
        Every other place of a household, in the same columns.
    added : polars.DataFrame
        Those rows of ``elsewhere`` that the commit adds: what is stored has to be copied there.
    """

    homes: pl.DataFrame
    elsewhere: pl.DataFrame
    added: pl.DataFrame


def find_places(
    homes: pl.DataFrame, elsewhere: pl.DataFrame, kin: pl.DataFrame, new: pl.DataFrame | None
) -> Places:
    """Return where every household lies after the household rows ``new``.

    Parameters
    ----------
    homes, elsewhere : polars.DataFrame
        Where the stored ones lie: household_id, _county, _bucket.
    kin : polars.DataFrame
        Stored pairs of household_id and predecessor_id.
    new : polars.DataFrame or None
        Rows of the household table that are about to be stored.
    """
    if new is None or new.is_empty():
        return Places(homes, elsewhere, pl.DataFrame(schema=PLACED))
    named = with_places(new.sort("recorded_on", maintain_order=True)).select(*PLACED)
    all_homes = pl.concat([homes, named]).unique("household_id", keep="first", maintain_order=True)
    known = pl.concat([all_homes, elsewhere])
    added = named.unique(maintain_order=True).join(known, on=list(PLACED), how="anti", nulls_equal=True)
    kin = pl.concat([kin, kin_of(new)]).unique(maintain_order=True)
    added = _with_kin(all_homes, pl.concat([known, added]), kin, added)
    return Places(all_homes, pl.concat([elsewhere, added]), added)


def _with_kin(
    homes: pl.DataFrame, known: pl.DataFrame, kin: pl.DataFrame, added: pl.DataFrame
) -> pl.DataFrame:
    """Return the added places, and those that households get through their predecessors and successors."""
    kin = kin.join(homes.select(ID), left_on=PREDECESSOR, right_on=ID, how="semi")
    kin = pl.concat([kin, kin.select(pl.col(PREDECESSOR).alias(ID), pl.col(ID).alias(PREDECESSOR))])
    while not kin.is_empty():
        inherited = known.join(kin, on=ID).select(pl.col(PREDECESSOR).alias(ID), *PLACE)
        more = inherited.unique(maintain_order=True).join(known, on=list(PLACED), how="anti")
        if more.is_empty():
            break
        known, added = pl.concat([known, more]), pl.concat([added, more])
    return added
