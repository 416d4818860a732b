"""Runs the same work over the partitions of a store, one after another, so that memory stays that of one.

A partition is a county, or some villages of one: what compares a household with its village is then local.
What compares it with its county needs a small first pass over the county's partitions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
import polars as pl

from relapse_risk.errors import ContractError
from relapse_risk.features.areas import WholeAreas
from relapse_risk.features.build import build_features, first_pass, first_pass_reads
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.partition import PARTITION_HOUSEHOLDS, Partition
from relapse_risk.panel.place import bucket_of
from relapse_risk.panel.store import Store
from relapse_risk.panel.tables import TABLES
from relapse_risk.terminal import Progress
from relapse_risk.thresholds import ThresholdTable

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class FeatureWork:
    """The features of a store on some dates, partition by partition; small enough to be sent to workers.

    Attributes
    ----------
    store : Path
    as_of_dates : tuple of date
        Sorted.
    features : FeatureSet
    library : FeatureSet
        The features that formulas may name: a worker has no modules of the project in use.
    thresholds : ThresholdTable or None
        The layers under the store's own rows; the shipped one where not given.
    """

    store: Path
    as_of_dates: tuple[date, ...]
    features: FeatureSet
    library: FeatureSet
    thresholds: ThresholdTable | None = None

    @classmethod
    def of(
        cls,
        store: Path,
        as_of_dates: Sequence[date],
        thresholds: ThresholdTable | None = None,
        features: FeatureSet | None = None,
    ) -> FeatureWork:
        """Return the work of some features; of all that the store's panel has where not given."""
        days = tuple(sorted(set(as_of_dates)))
        library = features_for(Panel({}, Store(store).extra_columns))
        return cls(store, days, library if features is None else features, library, thresholds)

    def partitions(self, households: int | None = PARTITION_HOUSEHOLDS) -> list[list[Partition]]:
        """Return the partitions of about so many households, county by county; None keeps counties whole."""
        found = partitions_of(self.store, self.as_of_dates, households)
        return [list(of_county) for _, of_county in groupby(found, key=lambda part: part.county_code)]

    def whole_areas(self, of_county: Sequence[Partition]) -> WholeAreas | None:
        """Return what a county's partitions have to know of each other; None where they need not."""
        areas, parts = None, []
        for number in self.rounds(of_county):
            parts += [self.first_pass(partition, number, areas) for partition in of_county]
            areas = WholeAreas(parts)
        return areas

    def rounds(self, of_county: Sequence[Partition]) -> range:
        """Return the rounds of the first pass over a county's partitions; none where it has one only."""
        return range(len(self._reads) if len(of_county) > 1 else 0)

    @cached_property
    def _reads(self) -> list[dict[str, tuple[str, ...]]]:
        return first_pass_reads(self.features, self.library)

    def open(self, partition: Partition, only: Mapping[str, Collection[str]] | None = None) -> Panel:
        """Return the panel of a partition."""
        panel = Store(self.store).open_partition(partition, only)
        return panel if self.thresholds is None else replace(panel, thresholds=self.thresholds)

    def first_pass(
        self, partition: Partition, number: int = 0, areas: WholeAreas | None = None
    ) -> pl.DataFrame:
        """Return what the county's other partitions have to know of this one, a round at a time."""
        panel = self.open(partition, self._reads[number])
        return first_pass(panel, partition.as_of_dates, self.features, self.library, number, areas)

    def matrix(self, partition: Partition, areas: WholeAreas | None = None) -> FeatureMatrix:
        """Return the features of a partition's households, sorted by village bucket, household and date.

        So the order of rows does not depend on how the store is cut.
        """
        matrix = build_features(
            self.open(partition), partition.as_of_dates, self.features, areas=areas, library=self.library
        )
        places = matrix.index.select("household_id", "as_of_date", bucket_of(matrix.index["village_code"]))
        order = places.select(pl.arg_sort_by(places.columns[2], "household_id", "as_of_date")).to_series()
        rows = order.cast(pl.Int64).to_numpy()
        for column in matrix.values.T:  # one by one, so that the matrix is never there twice
            column[:] = column[rows]
        return replace(matrix, index=matrix.index[rows])

    def nothing(self) -> FeatureMatrix:
        """Return a matrix without rows, with the parameters in force in every county."""
        parts = []
        for of_county in self.partitions(None):
            panel = self.open(of_county[0], only={"household": ()})
            days = of_county[0].as_of_dates
            parts.append(build_features(panel, days, self.features.select(())).parameters)
        index = build_features(panel, days, self.features.select(())).index.clear()
        values = np.empty((0, len(self.features)))
        return FeatureMatrix(index, self.features, values, pl.concat(parts), self.absent_tables)

    @cached_property
    def absent_tables(self) -> frozenset[str]:
        """Tables that nobody handed in."""
        return frozenset(table.name for table in TABLES if table.is_stored) - Store(self.store).table_names


def partitions_of(store: Path, as_of_dates: Sequence[date], households: int | None = None) -> list[Partition]:
    """Return the partitions of a store, in the order of counties and buckets.

    Raises
    ------
    ContractError
        RR303 where the store holds no household, RR302 where none was known on one of the days.
    """
    opened = Store(store)
    found = opened.partitions(as_of_dates, households)
    known = {day for part in found for day in part.as_of_dates}
    missing = [day for day in as_of_dates if day not in known]
    if missing and not (panel := opened.open()).tables.get("household", pl.DataFrame()).is_empty():
        panel.known_at(missing[0])  # raises the error that says from which day on there are any
    if not found:
        raise ContractError(
            "RR303",
            str(store),
            "the store holds no household",
            "an ingested household table",
            "Run relapse-risk ingest first",
            zh=f"数据仓“{store}”中没有家庭数据，请先运行 relapse-risk ingest。",
        )
    return found


def over_partitions(
    work: FeatureWork, households: int | None = PARTITION_HOUSEHOLDS, on_progress: Progress | None = None
) -> Iterator[FeatureMatrix]:
    """Yield the matrix of every partition, in the order of counties and buckets."""
    counties = work.partitions(households)
    done, every = 0, sum(map(len, counties))
    for of_county in counties:
        if on_progress:
            on_progress(of_county[0].county_code, done, every)
        areas = work.whole_areas(of_county)
        for partition in of_county:
            if on_progress:
                on_progress(partition.county_code, done, every)
            yield work.matrix(partition, areas)
            done += 1
    if on_progress:
        on_progress("", every, every)


def over_counties(
    store: Path,
    function: Callable[[str, Panel], _Result],
    as_of_date: date,
    on_progress: Progress | None = None,
    thresholds: ThresholdTable | None = None,
) -> Iterator[tuple[str, _Result]]:
    """Yield ``function(county_code, panel)`` for each county of a store, in the order of their codes.

    A household is in the panel of the county it was known to live in on ``as_of_date``: where it moved
    later is of the future. ``thresholds`` are the layers under the store's own rows, the shipped one where
    not given.

    Raises
    ------
    ContractError
        RR303 where the store holds no household, RR302 where none was known on that day.
    """
    counties = partitions_of(store, [as_of_date])
    opened = Store(store)
    for i, county in enumerate(counties):
        if on_progress:
            on_progress(county.county_code, i, len(counties))
        panel = opened.open_partition(county)
        known = panel if thresholds is None else replace(panel, thresholds=thresholds)
        yield county.county_code, function(county.county_code, known)
    if on_progress:
        on_progress("", len(counties), len(counties))
