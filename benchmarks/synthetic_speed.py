"""Print the seconds of processor time that a synthetic county takes, tables included.

Run on one core: ``POLARS_MAX_THREADS=1 taskset -c 0 python benchmarks/synthetic_speed.py``. Figures are given
with the truth's hazards and oracle off and on (40 and 200 futures per household).
"""

from __future__ import annotations

import argparse
import resource
import time

from relapse_risk.panel.synthetic import simulate


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--households", type=int, default=100_000)
    parser.add_argument("--months", type=int, default=60)
    parser.add_argument("--oracle-dates", type=int, default=0, help="as-of dates of the oracle")
    parser.add_argument("--hazard-paths", type=int, default=0)
    options = parser.parse_args()
    probe = simulate(60, options.months, oracle_dates=None, n_paths=1, hazard_paths=0)
    days = sorted(probe.truth.oracle["as_of_date"].unique())[: options.oracle_dates]
    begun = time.process_time()
    county = simulate(
        options.households,
        options.months,
        seed=1,
        oracle_dates=days,
        n_paths=200,
        hazard_paths=options.hazard_paths,
    )
    seconds = time.process_time() - begun
    rows = sum(frame.height for frame in county.tables.values())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{options.households:,} households x {options.months} months, {len(days)} oracle dates, "
        f"{options.hazard_paths} hazard paths: {seconds:.1f} s of one core, {rows:,} rows, {memory:.1f} GB"
    )


if __name__ == "__main__":
    main()
