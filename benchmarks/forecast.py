"""How long a province takes: a store of 62 counties x 30 townships x 20 villages, from rows to files.

The first county is simulated, its households dealt out over 600 villages, and committed like any other; a
model is trained on it, judged first, so that its directory holds what it let expect at earlier dates. Further
counties are copies of it under codes of their own, linked into place: the work is that of as many others.

    python benchmarks/forecast.py --folder /tmp/province [--counties 62] [--households 6] [--model none]

Households are those of one village. Store and model are made where they are missing. Processor time is what
other work on the machine disturbs least; on two quiet cores the clock is between half of it and all of it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl

from features import peak_mb
from relapse_risk.caseloads import ForecastRequest, write_forecast
from relapse_risk.config import Experiment
from relapse_risk.forecast.caseload import ForecastSettings
from relapse_risk.forecast.earlier import EXPECTED_FILE
from relapse_risk.modeling.store import load_model, save_model
from relapse_risk.panel.commit import StoredFile
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import simulate
from relapse_risk.pipeline import open_store, train_and_track

DAY, MONTHS, TOWNSHIPS, VILLAGES = date(2024, 12, 31), 72, 30, 20
FIRST, PROVINCE = "130101", "13"
ORIGINS = [date(2022, 9, 30), date(2023, 3, 31), date(2023, 9, 30)]


def dealt_out(households: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of households with those of one identifier in one of the county's 600 villages."""
    place = pl.col("household_id").rank("dense").cast(pl.Int64) % (TOWNSHIPS * VILLAGES)
    town = pl.format("{}{}", pl.lit(FIRST), (place // VILLAGES + 101).cast(pl.String))
    village = pl.format("{}{}", town, (place % VILLAGES + 201).cast(pl.String))
    return households.with_columns(
        county_code=pl.lit(FIRST), township_code=town, village_code=village
    ).with_columns(
        county_name=pl.lit("县") + FIRST,
        township_name=pl.lit("乡") + pl.col("township_code").str.tail(3),
        village_name=pl.lit("村") + pl.col("village_code").str.tail(3),
    )


def make_store(folder: Path, counties: int, households: int) -> None:
    """Lay the store of a province, with a model trained on its first county beside it."""
    path = folder / "store"
    n = households * TOWNSHIPS * VILLAGES
    tables = simulate(n, MONTHS, seed=1, oracle_dates=(), hazard_paths=0).panel().tables
    tables = {
        **tables,
        "household": dealt_out(tables["household"]),
        "threshold": tables["threshold"].with_columns(area_code=pl.lit(PROVINCE)),
    }
    of_county = tables.pop("county_month")
    codes = [f"{int(FIRST) + place}" for place in range(counties)]
    store = Store(path)
    every = pl.concat(of_county.with_columns(county_code=pl.lit(code)) for code in codes)
    store.commit(Panel({**tables, "county_month": every}))
    first = store.log()[0]
    own = [file for file in first.files if file.partition == FIRST]
    train(folder, codes)
    for sequence, code in enumerate(codes[1:], start=2):
        files = tuple(linked(path, file, code) for file in own)
        commit = replace(first, id=f"{sequence:06d}-copy", sequence=sequence, files=files, counts={})
        (path / "commits" / f"{commit.id}.json").write_text(commit.to_json(), encoding="utf-8")


def linked(path: Path, file: StoredFile, code: str) -> StoredFile:
    """Return a file of the first county as one of another; only the household table names places."""
    place = file.path.replace(f"county_code={FIRST}", f"county_code={code}")
    (path / place).parent.mkdir(parents=True, exist_ok=True)
    if file.table == "household":
        frame = pl.read_parquet(path / file.path, hive_partitioning=False)
        names = [name for name in frame.columns if name.endswith(("_code", "county_name"))]
        frame.with_columns(pl.col(names).cast(pl.String).str.replace(FIRST, code)).write_parquet(path / place)
    else:
        (path / place).hardlink_to(path / file.path)
    return replace(file, path=place, partition=code, size_bytes=(path / place).stat().st_size)


def train(folder: Path, codes: list[str]) -> None:
    """Save a model trained on the first county, with what it let expect as if all counties were alike."""
    judged = {"gap_months": 2, "origins": {"dates": ORIGINS}}
    experiment = Experiment.model_validate({"name": "first", "evaluation": judged})
    tracking = f"sqlite:///{folder / 'mlflow.db'}"
    made = train_and_track(open_store(folder / "store"), experiment, folder / "models", tracking)
    expected = pl.read_csv(made.folder / EXPECTED_FILE, infer_schema=False)
    every = [expected.with_columns(pl.col("^.*_code$").str.replace(FIRST, code)) for code in codes]
    files = {EXPECTED_FILE: pl.concat(every).write_csv()}
    save_model(load_model(made.folder), folder / "models" / "province" / "1", files=files)


def measure(folder: Path, model: str) -> None:
    """Print the seconds, the processor time and the peak of memory of the whole verb."""
    request = ForecastRequest(
        DAY,
        ForecastSettings(),
        Experiment(name="default"),
        None if model == "none" else folder / "models" / "province" / "1",
        costs={"": 3000.0},
    )
    out = folder / f"forecast_{model}"
    started, cpu_started = time.perf_counter(), time.process_time()
    made = write_forecast(folder / "store", request, out, "zh")
    told = {
        "villages": made.places.height,
        "rows": made.table.height,
        "files": len(list(out.iterdir())),
        "seconds": round(time.perf_counter() - started),
        "cpu_seconds": round(time.process_time() - cpu_started),
        "peak_mb": round(peak_mb()),
    }
    print(json.dumps(told))


def main() -> None:
    """Make the store where it is missing, and measure in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--counties", type=int, default=62)
    parser.add_argument("--households", type=int, default=6)
    parser.add_argument("--model", choices=("trained", "none"), default="trained")
    parser.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.folder, given.model)
        return
    if not (given.folder / "store").exists():
        make_store(given.folder, given.counties, given.households)
    again = [sys.executable, __file__, "--folder", str(given.folder), "--model", given.model, "--measure"]
    subprocess.run(again, check=True)


if __name__ == "__main__":
    main()
