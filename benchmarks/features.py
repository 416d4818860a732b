"""Measure the feature engine beside the alternatives, in one run: time, ratios and peak memory.

A synthetic county of monthly reports is laid into a store, as often as needed. What is compared:

- ``read``: PyArrow reads the columns that the features read, of all rows, and nothing else;
- ``features``: all features of all households as of one date, from the store, partition by partition;
- ``12 dates``: the same as of twelve month ends;
- ``pandas``: a careful pandas version of all features but those that compare areas or read the county's own
  table, and ``same``: the engine's run of these features. They want a store of one county (at most 50,000
  households) made with ``--no-kin``, in which no household follows another, for pandas does not follow any;
- ``bucket``: the largest partition opened and not computed; its result is the bytes of its decoded tables.

Every figure comes from a process of its own, so that peak memory is that of the work; ``imports`` is the
peak of a process that only imports what the work imports. Ratios are of processor time, which other work on
the machine disturbs less than the clock.

    python benchmarks/features.py --households 100000 --store /tmp/store
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

DAY = date(2020, 12, 31)
BASE, COUNTY, MONTHS = 5_000, 50_000, 24
_IDS = ("household_id", "member_id", "event_id", "measure_id", "visit_id", "case_id", "predecessor_id")


def make_store(path: Path, households: int, months: int, *, with_kin: bool = True) -> None:
    """Lay a store of so many households, in counties of at most 50,000; some follow others if ``with_kin``.

    The first county is ingested like any other. Further counties are copies of it under codes of their own,
    linked into place: their households have the same identifiers, which no partition ever sees together.
    """
    from relapse_risk.panel.panel import Panel
    from relapse_risk.panel.store import Store
    from relapse_risk.panel.synthetic import Scenario, simulate

    scenario = Scenario(observation_months=1)
    base = simulate(BASE, months, scenario, seed=1, oracle_dates=(), hazard_paths=0).panel().tables
    if not with_kin:
        base = {**base, "household": base["household"].with_columns(predecessor_id=pl.lit(None, pl.String))}
    size = min(COUNTY, households)
    codes = [f"13{place:04d}" for place in range(households // size)]
    tables = {name: _copied(frame, codes[0], size // BASE) for name, frame in base.items()}
    every = [base["county_month"].with_columns(county_code=pl.lit(code)) for code in codes]
    store = Store(path)
    store.commit(Panel({**tables, "county_month": pl.concat(every)}))
    first = store.log()[0]
    for sequence, code in enumerate(codes[1:], start=2):
        files = tuple(
            _linked(path, file, codes[0], code) for file in first.files if file.partition == codes[0]
        )
        commit = replace(first, id=f"{sequence:06d}-copy", sequence=sequence, files=files, counts={})
        (path / "commits" / f"{commit.id}.json").write_text(commit.to_json(), encoding="utf-8")


def _linked(path: Path, file: Any, own: str, code: str) -> Any:
    """Return a county's file as one of another county; only the household table names the county."""
    place = file.path.replace(f"county_code={own}", f"county_code={code}")
    (path / place).parent.mkdir(parents=True, exist_ok=True)
    if file.table == "household":
        frame = pl.read_parquet(path / file.path, hive_partitioning=False)
        frame.with_columns(county_code=pl.lit(code)).write_parquet(path / place, compression="zstd")
    else:
        (path / place).hardlink_to(path / file.path)
    return replace(file, path=place, partition=code, size_bytes=(path / place).stat().st_size)


def _copied(frame: pl.DataFrame, county: str, copies: int) -> pl.DataFrame:
    if "county_code" in frame.columns:
        frame = frame.with_columns(county_code=pl.lit(county))
    if "household_id" not in frame.columns:
        return frame
    parts = []
    for copy in range(copies):
        own = pl.lit(f"{county}{copy:02d}")
        names = [name for name in (*_IDS, "village_code") if name in frame.columns]
        parts.append(frame.with_columns((own + pl.col(name)).alias(name) for name in names))
    return pl.concat(parts)


def columns_read() -> dict[str, list[str]]:
    """Return the columns of the store that all features together read, with keys and dates."""
    from relapse_risk.features.catalog import CATALOG
    from relapse_risk.features.matrix import INDEX_COLUMNS
    from relapse_risk.features.reads import reads_of
    from relapse_risk.panel.tables import TABLE_BY_NAME

    found: dict[str, set[str]] = {}
    for feature in CATALOG:
        for table, column in reads_of(feature.formula, lambda name: CATALOG[name].formula).columns:
            found.setdefault(table, set()).add(column)
    for name, columns in found.items():
        table = TABLE_BY_NAME[name]
        columns |= {*table.key, "recorded_on", table.happened or "recorded_on", "household_id"}
        columns &= set(table.dtypes)
    found["household"] |= set(INDEX_COLUMNS) & set(TABLE_BY_NAME["household"].dtypes)
    found["observation"] |= {"period_months"}
    found["member"] |= {"is_present", "birth_month", "work_status", "labour_skill", "school_status"}
    found["household"] |= {"predecessor_id"}
    found["event"] |= {"member_id"}
    return {name: sorted(columns) for name, columns in found.items()}


def read(store: Path) -> float:
    """Read the columns with PyArrow, file by file; return the bytes they take, decoded."""
    import pyarrow.parquet as pq

    size = 0
    for table, columns in columns_read().items():
        for path in sorted((store / "tables" / table).rglob("*.parquet")):
            held = [name for name in columns if name in pq.read_schema(path).names]
            size += pq.read_table(path, columns=held).nbytes
    return float(size)


def features(store: Path, days: tuple[date, ...], partition: int) -> float:
    """Compute the features of every partition; return the number of rows."""
    from relapse_risk.engine import FeatureWork, over_partitions

    # A name for each matrix would keep it while the next one is computed.
    return float(sum(map(len, over_partitions(FeatureWork.of(store, days), partition))))


def bucket(store: Path, partition: int) -> float:
    """Open the largest partition; return the bytes of its tables, decoded."""
    from relapse_risk.engine import FeatureWork

    work = FeatureWork.of(store, (DAY,))
    every = (part for of_county in work.partitions(partition) for part in of_county)
    largest = max(every, key=lambda part: part.households)
    return float(sum(frame.estimated_size() for frame in work.open(largest).tables.values()))


def imports(store: Path) -> float:
    """Import what the engine imports."""
    import pyarrow.parquet

    import relapse_risk.engine
    import relapse_risk.features.loops

    return float(bool(relapse_risk.engine and relapse_risk.features.loops and pyarrow.parquet))


def _plain_features() -> tuple[str, ...]:
    from relapse_risk.features.catalog import CATALOG
    from relapse_risk.features.evaluate import Plan
    from relapse_risk.features.nodes import AsOfMonth, CountyValue

    def is_plain(name: str) -> bool:
        plan = Plan([CATALOG[name].formula], lambda other: CATALOG[other].formula)
        return not plan.peers and not any(isinstance(leaf, CountyValue | AsOfMonth) for leaf in plan.leaves)

    return tuple(name for name in CATALOG.names if is_plain(name))


def plain_features(store: Path, partition: int) -> float:
    """Compute with the engine the features that the pandas version has; return a sum to compare."""
    from relapse_risk.engine import FeatureWork, over_partitions
    from relapse_risk.features.catalog import CATALOG

    work = FeatureWork.of(store, (DAY,), features=CATALOG.select(_plain_features()))
    return float(sum(np.nansum(np.abs(matrix.values)) for matrix in over_partitions(work, partition)))


def pandas_features(store: Path) -> float:
    """Compute the same features with pandas; return a sum to compare."""
    from features_pandas import pandas_version

    results = pandas_version(store, DAY, _plain_features(), columns_read())
    return float(sum(np.nansum(np.abs(result)) for result in results))


def twelve_days() -> tuple[date, ...]:
    """Return the twelve month ends up to ``DAY``."""
    from relapse_risk.windows import month_end, month_index

    return tuple(month_end(month_index(DAY) - back) for back in range(11, -1, -1))


WAYS: dict[str, Callable[[Path, int], float]] = {
    "imports": lambda store, partition: imports(store),
    "bucket": bucket,
    "read": lambda store, partition: read(store),
    "features": lambda store, partition: features(store, (DAY,), partition),
    "12 dates": lambda store, partition: features(store, twelve_days(), partition),
    "same": plain_features,
    "pandas": lambda store, partition: pandas_features(store),
}


def peak_mb() -> float:
    """Return the largest memory this process ever held; of this program alone, not of its parent."""
    status = Path("/proc/self/status").read_text(encoding="ascii").split()
    return int(status[status.index("VmHWM:") + 1]) / 1024


def measured(way: str, store: Path, partition: int) -> dict[str, Any]:
    """Return seconds, peak memory and result of one way, in a process of its own."""
    call = [sys.executable, __file__, "--way", way, "--store", str(store), "--partition", str(partition)]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Measure what the command line asks for."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--store", type=Path, required=True, help="made where it is missing")
    options.add_argument("--households", type=int, default=100_000)
    options.add_argument("--months", type=int, default=MONTHS)
    options.add_argument("--partition", type=int, default=50_000)
    options.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    options.add_argument("--no-kin", action="store_true", help="no household of a new store follows another")
    options.add_argument("--way", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.way:
        WAYS["imports"](given.store, 1)
        started, cpu_started = time.perf_counter(), time.process_time()
        result = WAYS[given.way](given.store, given.partition)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
        told = {"seconds": seconds, "cpu": cpu, "peak_mb": peak_mb(), "result": result}
        print(json.dumps(told))
        return
    if not given.store.exists():
        make_store(given.store, given.households, given.months, with_kin=not given.no_kin)
    found = {way: measured(way, given.store, given.partition) for way in given.ways}
    base = found.get("read")
    print(f"{'way':<10}{'seconds':>9}{'CPU s':>8}{'times read (CPU)':>18}{'peak MB':>9}{'result':>16}")
    for way, told in found.items():
        ratio = f"{told['cpu'] / base['cpu']:.1f}" if base else ""
        print(
            f"{way:<10}{told['seconds']:>9.2f}{told['cpu']:>8.2f}{ratio:>18}{told['peak_mb']:>9.0f}"
            f"{told['result']:>16,.6g}"
        )
    if {"imports", "bucket", "features"} <= found.keys():
        allowed = found["imports"]["peak_mb"] + 3 * found["bucket"]["result"] / 2**20
        print(f"imports + 3 × bucket: {allowed:.0f} MB; features: {found['features']['peak_mb']:.0f} MB")


if __name__ == "__main__":
    main()
