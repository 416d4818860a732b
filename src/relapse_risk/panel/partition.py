"""The unit of work: households of one county whose villages fall into a range of buckets.

Villages are whole within a partition, so that a household meets all its neighbours there. A partition is
small and can be sent to another process; :meth:`Store.open_partition` reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.place import BUCKET, BUCKETS, COUNTY, PLACE, bucket_of

PARTITION_HOUSEHOLDS = 50_000  # a usual county stays whole; docs/scale.md says what it takes
# A county a little larger than asked for stays whole: to cut it takes longer than to hold it.
MOST_OVER_TARGET = 1.25


@dataclass(frozen=True, order=True)
class Partition:
    """Households of a county that live, on a date, in villages of a range of buckets.

    Attributes
    ----------
    county_code : str
    first_bucket, last_bucket : int
        Inclusive.
    as_of_dates : tuple of date
        Dates on which somebody lives here, sorted; only for these is it meant.
    households : int
        Most that live here on one of the dates.
    """

    county_code: str
    first_bucket: int = 0
    last_bucket: int = BUCKETS - 1
    as_of_dates: tuple[date, ...] = ()
    households: int = 0

    def of_residents(self, households: pl.DataFrame) -> pl.DataFrame:
        """Return those rows of the household table that name a village of this partition."""
        return households.filter(pl.Series(self.is_home_of(households), dtype=pl.Boolean))

    def is_home_of(self, households: pl.DataFrame) -> NDArray[np.bool_]:
        """Return whether each row of the household table names a village of this partition."""
        is_home = households["county_code"] == self.county_code
        if (self.first_bucket, self.last_bucket) != (0, BUCKETS - 1):
            is_home &= bucket_of(households["village_code"]).is_between(self.first_bucket, self.last_bucket)
        return is_home.to_numpy()


def cut_partitions(counts: pl.DataFrame, target_households: int | None) -> list[Partition]:
    """Return partitions of about ``target_households``, in the order of counties and buckets.

    A county is cut into parts of about the same size, as few as hold at most a quarter more than asked for.

    Parameters
    ----------
    counts : polars.DataFrame
        Residents by place and date: _county, _bucket, as_of_date, households.
    target_households : int or None
        A village is never split; None keeps every county whole.
    """
    partitions = []
    for (county,), of_county in counts.sort(*PLACE).group_by(COUNTY, maintain_order=True):
        most = of_county.group_by(BUCKET, maintain_order=True).agg(pl.col("households").max())
        for first, last in _ranges(most.rows(), target_households):
            inside = of_county.filter(pl.col(BUCKET).is_between(first, last))
            by_date = inside.group_by("as_of_date").agg(pl.col("households").sum()).sort("as_of_date")
            dates = tuple(by_date["as_of_date"].to_list())
            size = max(by_date["households"].to_list())
            partitions.append(Partition(str(county), first, last, dates, size))
    return partitions


def _ranges(sizes: Sequence[tuple[int, int]], target: int | None) -> Iterator[tuple[int, int]]:
    """Yield inclusive ranges that cover all buckets and hold about as many households each.

    ``sizes`` are (bucket, households), sorted.
    """
    buckets, households = np.array(sizes, dtype=np.int64).T
    total = int(households.sum())
    n_parts = 1 if target is None else math.ceil(total / (target * MOST_OVER_TARGET))
    # A village belongs to the part in which its middle household would be.
    part = (2 * households.cumsum() - households) * n_parts // (2 * total)
    first = [0, *buckets[1:][part[1:] > part[:-1]].tolist(), BUCKETS]
    for begin, following in pairwise(first):
        yield begin, following - 1
