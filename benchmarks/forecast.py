"""How long a province takes: 62 counties x 30 townships x 20 villages, from counts to every file.

The counts are drawn, not read from a store: reading and scoring have figures of their own (docs/scale.md).

    python benchmarks/forecast.py [--counties 62]
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl

from relapse_risk.forecast.area import gather
from relapse_risk.forecast.caseload import CountyForecast, ForecastSettings, forecast_caseload
from relapse_risk.forecast.history import CaseHistory
from relapse_risk.outputs.write_forecast import forecast_files
from relapse_risk.windows import month_index

DAY, MONTHS, TOWNSHIPS, VILLAGES = date(2024, 12, 31), 72, 30, 20


def county_history(code: str) -> CaseHistory:
    """Return drawn counts of a county's 600 villages, of which most have a case in a few months only."""
    rng = np.random.default_rng(int(code))
    n = TOWNSHIPS * VILLAGES
    towns = [f"{code}{i:03}" for i in range(TOWNSHIPS) for _ in range(VILLAGES)]
    places = pl.DataFrame(
        {
            "county_code": [code] * n,
            "township_code": towns,
            "village_code": [f"{town}{i % VILLAGES:03}" for i, town in enumerate(towns)],
        }
    )
    rate = rng.gamma(1.0, 0.08, (n, 1))
    counts = rng.poisson(rate, (n, MONTHS))
    return CaseHistory(
        as_of_date=DAY,
        villages=places,
        first_month=month_index(DAY) - MONTHS + 1,
        relapses=counts,
        exposed=np.full((n, MONTHS), 60),
        entries=rng.poisson(rate / 2, (n, MONTHS)),
        clearances=rng.poisson(rate / 2, (n, MONTHS)),
        stock=rng.poisson(3.0, n),
        failing=rng.poisson(1.0, (n, MONTHS)),
        recovery=0.2,
        repeat=0.03,
        period_months=1.0,
        gaps=np.zeros(MONTHS, dtype=bool),
    )


def forecasts(counties: int) -> Iterator[CountyForecast]:
    """Yield the forecast of one county after another."""
    for i in range(counties):
        yield forecast_caseload(county_history(f"{130101 + i}"), ForecastSettings(), yuan_per_case=3000)


def main() -> None:
    """Print seconds and the peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counties", type=int, default=62)
    counties = parser.parse_args().counties
    started = time.perf_counter()
    forecast = gather(forecasts(counties))
    made = time.perf_counter()
    monitors = forecast.places.group_by("township_code").agg(monitors=pl.len())
    files = forecast_files(forecast, monitors, "zh")
    written = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{forecast.places.height} villages, {forecast.table.height} rows: paths and intervals "
        f"{made - started:.0f} s, {len(files)} files {written - made:.0f} s; peak {peak:.1f} GB"
    )


if __name__ == "__main__":
    main()
