"""Print how fast exports of many households are ingested, with what memory, beside a bare read.

Run ``python benchmarks/ingest.py [--households 100000 300000 1000000] [--months 24] [--folder DIR]``.

A small synthetic county with monthly reports is laid out again and again under new codes, some 50,000
households a county. Each ingest runs in a process of its own, whose peak memory is measured.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import polars as pl

from relapse_risk.panel.synthetic import Scenario, simulate

TILE = 2_000
TILES_PER_COUNTY = 25
TABLES = ("household", "observation", "event")
CHILD = """
import json, resource, sys, time
from datetime import date
from relapse_risk.panel.ingest import ingest
began = time.perf_counter()
report = ingest(sys.argv[1], sys.argv[2], today=date(2030, 1, 1))
seconds = time.perf_counter() - began
counts = {name: each.as_dict() for name, each in report.counts.items()}
usage = resource.getrusage(resource.RUSAGE_SELF)
cpu, peak = usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024
print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "counts": counts}))
"""
BARE = """
import json, sys, time
import polars as pl
began = time.perf_counter()
rows = pl.scan_csv(sys.argv[1], infer_schema=False).select(pl.all().null_count()).collect(engine="streaming")
print(json.dumps({"seconds": time.perf_counter() - began}))
"""


def small_county(months: int) -> dict[str, pl.DataFrame]:
    """Return the tables of the county that is laid out again and again."""
    scenario = Scenario.load("hebei_like").model_copy(update={"observation_months": 1})
    tables = simulate(TILE, months, scenario, seed=1, oracle_dates=(), hazard_paths=0).tables
    return {name: tables[name] for name in TABLES}


def renamed(frame: pl.DataFrame, tile: int) -> pl.DataFrame:
    """Return the rows under the codes of one tile."""
    county = f"{130000 + tile // TILES_PER_COUNTY:06d}"
    area = f"{county}{tile % TILES_PER_COUNTY:03d}"
    codes = {
        "household_id": pl.format("{}{}", pl.lit(f"{tile:05d}"), pl.col("household_id").str.slice(6)),
        "county_code": pl.lit(county),
        "township_code": pl.lit(area),
        "village_code": pl.format("{}{}", pl.lit(area), pl.col("village_code").str.slice(9)),
    }
    for key in ("member_id", "event_id"):
        codes[key] = pl.format("{}{}", pl.lit(f"{tile:05d}"), pl.col(key))
    return frame.with_columns(value.alias(name) for name, value in codes.items() if name in frame.columns)


def write(tables: dict[str, pl.DataFrame], households: int, folder: Path) -> Iterator[Path]:
    """Write one CSV file per table."""
    for name, frame in tables.items():
        path = folder / f"{name}.csv"
        with path.open("wb") as stream:
            for tile in range(households // TILE):
                renamed(frame, tile).write_csv(stream, include_header=tile == 0)
        yield path


def run(script: str, *arguments: Path) -> dict[str, object]:
    """Return what a script printed as JSON, run in a process of its own."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def main() -> None:
    """Print a line for each number of households."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--households", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--months", type=int, default=24)
    parser.add_argument("--folder", type=Path, help="Where files of several GB may be written for a while.")
    options = parser.parse_args()
    tables = small_county(options.months)
    print(f"{datetime.now().astimezone().date()}, polars {pl.__version__}, {pl.thread_pool_size()} threads")
    print("| households | rows | CSV | seconds | CPU seconds | rows/s | peak memory | times a bare read |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for households in options.households:
        folder = Path(tempfile.mkdtemp(dir=options.folder, prefix="ingest-"))
        try:
            exports = folder / "exports"
            exports.mkdir()
            paths = list(write(tables, households, exports))
            bare = sum(float(str(run(BARE, path)["seconds"])) for path in paths)
            found = run(CHILD, exports, folder / "store")
            report(households, paths, bare, found)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def report(households: int, paths: list[Path], bare: float, found: dict[str, object]) -> None:
    """Print one line, once every row is accounted for."""
    counts = dict(found["counts"])  # type: ignore[call-overload]
    rows = sum(each["read"] for each in counts.values())
    if rows != sum(each["accepted"] for each in counts.values()):
        raise SystemExit(f"not all rows were accepted: {counts}")
    seconds, cpu, peak = (float(str(found[name])) for name in ("seconds", "cpu_seconds", "peak_bytes"))
    size = sum(path.stat().st_size for path in paths) / 1e9
    print(
        f"| {households:,} | {rows:,} | {size:.2f} GB | {seconds:.1f} | {cpu:.1f} | {rows / seconds:,.0f} "
        f"| {peak / 1e9:.2f} GB | {seconds / bare:.1f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
