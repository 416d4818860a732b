"""Runs the engine's work on Spark: each task reads its own partition of the store and returns Arrow batches.

The functions are those of ``engine.py``; Spark only hands out partitions and gathers results. Workers need
the package, and the store under the same path.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from relapse_risk.engine import FeatureWork
from relapse_risk.errors import ConfigurationError
from relapse_risk.features.areas import WholeAreas
from relapse_risk.features.matrix import INDEX_COLUMNS
from relapse_risk.panel.partition import PARTITION_HOUSEHOLDS, Partition

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

_PARTITION_SCHEMA = (
    "county_code string, first_bucket int, last_bucket int, as_of_dates array<date>, households int"
)
_AREA_SCHEMA = "what string, as_of_date date, area string, values array<double>"


def spark_features(
    work: FeatureWork, out: Path, master: str, households: int | None = PARTITION_HOUSEHOLDS
) -> int:
    """Write the feature matrix as a folder of Parquet files, one a partition; return its rows.

    Parameters
    ----------
    work : FeatureWork
    out : Path
        Folder that Spark writes; it must not be there yet.
    master : str
        Of the Spark cluster, such as ``local[2]`` or ``spark://host:7077``.
    households : int or None
        About how many households a task has.

    Raises
    ------
    ConfigurationError
        RR206 where pyspark is not installed.
    """
    work = replace(work, store=work.store.absolute())  # workers run in a folder of their own
    session = _session(master)
    try:
        counties = work.partitions(households)
        cut = [of_county for of_county in counties if work.rounds(of_county)]
        areas = _first_pass(session, work, cut)
        every = [part for of_county in counties for part in of_county]
        split = frozenset(of_county[0].county_code for of_county in cut)

        def features(partition: Partition) -> pl.DataFrame:
            return work.matrix(partition, areas if partition.county_code in split else None).to_polars()

        schema = ", ".join(f"`{name}` {_type_of(name)}" for name in (*INDEX_COLUMNS, *work.features.names))
        _mapped(session, every, features, schema).write.parquet(str(out.absolute()))
        return int(session.read.parquet(str(out.absolute())).count())
    finally:
        session.stop()


def _session(master: str) -> SparkSession:
    try:
        from pyspark.sql import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            "RR206",
            "engine spark",
            "pyspark is not installed",
            "the extra `spark`, and Java 17 or newer",
            "pip install 'relapse-risk[spark]', or leave out --engine",
            zh="未安装 pyspark，请先安装 relapse-risk[spark] 和 Java 17，或不使用 --engine。",
        ) from error
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(master).appName("relapse-risk")
    options = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        # A partition is one batch of many columns: do not cut it into pieces of ten thousand rows.
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    }
    for name, value in options.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _first_pass(
    session: SparkSession, work: FeatureWork, counties: list[list[Partition]]
) -> WholeAreas | None:
    """Return what the partitions of all counties that are cut have to know of each other."""
    partitions = [part for of_county in counties for part in of_county]
    areas, found = None, []
    for number in work.rounds(partitions):
        share = partial(work.first_pass, number=number, areas=areas)
        found.append(pl.DataFrame(pl.from_arrow(_mapped(session, partitions, share, _AREA_SCHEMA).toArrow())))
        areas = WholeAreas(found)
    return areas


def _mapped(
    session: SparkSession,
    partitions: list[Partition],
    function: Callable[[Partition], pl.DataFrame],
    schema: str,
) -> DataFrame:
    """Return the rows that a function gives for each partition, one task a partition, in their order."""
    rows = [
        (part.county_code, part.first_bucket, part.last_bucket, list(part.as_of_dates), part.households)
        for part in partitions
    ]
    spread = session.sparkContext.parallelize(rows, len(rows))

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for row in batch.to_pylist():
                yield from _as_spark_takes_it(function(_partition_of(row))).to_batches()

    return session.createDataFrame(spread, _PARTITION_SCHEMA).mapInArrow(run, schema)


def _partition_of(row: dict[str, Any]) -> Partition:
    days: list[date] = row.pop("as_of_dates")
    return Partition(**row, as_of_dates=tuple(days))


def _as_spark_takes_it(frame: pl.DataFrame) -> pa.Table:
    """Return Arrow columns of the types Spark asks for: short strings and lists."""
    import pyarrow as pa

    short = {pa.large_string(): pa.string(), pa.large_list(pa.float64()): pa.list_(pa.float64())}
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    fields = [pa.field(field.name, short.get(field.type, field.type)) for field in table.schema]
    return table.cast(pa.schema(fields))


def _type_of(column: str) -> str:
    if column == "as_of_date":
        return "date"
    return "string" if column in INDEX_COLUMNS else "double"
