"""How long the lists of a province take from a finished feature matrix: score, rank, explain, write.

python benchmarks/lists.py DEMO [--households 1000000] [--counties 200] [--listed 50000] [--processes 2]
                                [--profile]

The households of a demo project (`relapse-risk demo --out DEMO`) are drawn with replacement into counties of
ten townships and a hundred villages, each under an identifier of its own, and written as Parquet beforehand.
Those with a rule hit are drawn less often than the demo has them, or no capacity could hold a list at 5%: it
keeps all red and orange. Then, against the clock, each county is read, judged by the rules, scored, listed
and explained in both languages, and all files are written: CSV, workbook and page, waiting lists too. Each
process does that for its share of the counties, into a folder of its own, with its share of the cores, as a
province would for its prefectures; the clock runs from before they start until the last one has ended.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import multiprocessing
import os
import pstats
import resource
import tempfile
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import perf_counter

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from relapse_risk.explain.attribute import attribute
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.modeling.store import load_model
from relapse_risk.outputs.visit_list import ListSettings, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.store import Store
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.tiers import tier_of

AS_OF = date(2024, 12, 31)
TOWNSHIPS, VILLAGES = 10, 100
SHARES = {0: 0.02, 1: 0.008, 2: 0.05}  # of households in red, orange and yellow
MATRIX, PARAMETERS = "matrix.parquet", "parameters.parquet"


def draw_county(index: pl.DataFrame, rows: np.ndarray, number: int) -> pl.DataFrame:
    """Return the index of one drawn county."""
    code = f"13{number + 100:04d}"
    place = np.arange(len(rows))
    village = place * VILLAGES // len(rows)
    township = village * TOWNSHIPS // VILLAGES
    return index[rows].with_columns(
        household_id=pl.Series([f"{code}{i:08d}" for i in place]),
        county_code=pl.lit(code),
        county_name=pl.lit(f"示例{number + 1}县"),
        township_code=pl.Series([f"{code}{t + 100}" for t in township]),
        township_name=pl.Series([f"第{t + 1}乡" for t in township]),
        village_code=pl.Series([f"{code}{v // VILLAGES + 100}{v + 200}" for v in village]),
        village_name=pl.Series([f"第{v + 1}村" for v in village]),
    )


def prepare(demo: Path, folder: Path, households: int, counties: int) -> None:
    """Write the matrix of all counties, a row group each, and their parameters."""
    matrix = build_features(Store(demo / "store").open(), [AS_OF])
    tiers = tier_of(matrix, apply_rules(matrix))
    shares = {**SHARES, 4: 1.0 - sum(SHARES.values())}
    weight = np.zeros(len(matrix))
    for tier, share in shares.items():
        weight[tiers == tier] = share / max((tiers == tier).sum(), 1)
    weight /= weight.sum()
    rng = np.random.default_rng(7)
    writer, parameters = None, []
    for number in range(counties):
        rows = rng.choice(len(matrix), households // counties, p=weight)
        index = draw_county(matrix.index, rows, number)
        values = {name: matrix.values[rows, i] for i, name in enumerate(matrix.features.names)}
        table = index.hstack(pl.DataFrame(values)).to_arrow(compat_level=pl.CompatLevel.oldest())
        writer = writer or pq.ParquetWriter(folder / MATRIX, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=len(rows))
        parameters.append(matrix.parameters.with_columns(county_code=pl.lit(index["county_code"][0])))
    writer.close()
    pl.concat(parameters).write_parquet(folder / PARAMETERS)


def run(demo: Path, folder: Path, listed: int, part: int, parts: int, has_profile: bool) -> dict[str, float]:
    """Read, judge, score, list, explain and write every county of a part, and return what it took."""
    begun = perf_counter()
    profile = cProfile.Profile()
    if has_profile:
        profile.enable()
    features = build_features(Store(demo / "store").open(), [AS_OF], households=[]).features
    model = load_model(demo / "models" / "default" / "1", features)
    parameters = pl.read_parquet(folder / PARAMETERS)
    made, households = [], 0
    with pq.ParquetFile(folder / MATRIX) as stored:
        capacity = listed // stored.num_row_groups
        for group in range(part, stored.num_row_groups, parts):
            frame = pl.DataFrame(pl.from_arrow(stored.read_row_group(group)))
            index = frame.select(INDEX_COLUMNS)
            matrix = FeatureMatrix(
                index,
                features,
                frame.select(features.names).to_numpy(),
                parameters.filter(pl.col("county_code") == index["county_code"][0]),
            )
            households += len(matrix)
            made.append(
                make_visit_list(
                    matrix,
                    apply_rules(matrix),
                    model.predict_risk(matrix),
                    capacity,
                    explain=lambda rows: attribute(model, rows),
                    settings=ListSettings(),
                )
            )
    lists = replace(made[0], counties=tuple(county for each in made for county in each.counties))
    seconds = perf_counter() - begun
    files = write_visit_list(lists, folder / f"lists{part}")
    now = os.times()
    if has_profile:
        profile.disable()
        pstats.Stats(profile).sort_stats("cumulative").print_stats(70)
        pstats.Stats(profile).sort_stats("tottime").print_stats(45)
    return {
        "households scored": households,
        "listed": len(lists),
        "waiting": sum(county.waiting.height for county in lists.counties),
        "files": len(files),
        "megabytes written": sum(file.stat().st_size for file in files) / 1e6,
        "seconds to make the lists, all processes": seconds,
        "cpu seconds": now.user + now.system,
        "peak memory GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def main() -> None:
    """Prepare, measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("demo", type=Path)
    for name, default in (("households", 1_000_000), ("counties", 200), ("listed", 50_000), ("processes", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    alone = multiprocessing.get_context("spawn")
    n = options.processes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with alone.Pool(1) as pool:
            pool.apply(prepare, (options.demo, folder, options.households, options.counties))
        for threads in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
            os.environ[threads] = str(max((os.cpu_count() or 1) // n, 1))
        begun = perf_counter()
        with alone.Pool(n) as pool:
            work = [(options.demo, folder, options.listed, part, n, options.profile) for part in range(n)]
            found = pool.starmap(run, work, chunksize=1)
        took = perf_counter() - begun
    totals = {name: round(sum(each[name] for each in found), 2) for name in found[0]}
    facts = {
        "processes": n,
        "seconds": round(took, 1),
        **totals,
        "load average": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(facts, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
