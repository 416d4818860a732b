"""How fast rows come out of PostgreSQL, and that memory does not grow with them.

    PGUSER=… PGPASSWORD=… python benchmarks/database.py postgresql://localhost/postgres

The server makes the rows itself (``generate_series``): 20 columns as an observation has them, of which 12 are
``numeric`` and so travel as text. Each size runs in a process of its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

from relapse_risk.panel.postgres import open_postgres

ROWS = (250_000, 1_000_000, 4_000_000)
_MONEY = ", ".join(f"round((random() * 5000)::numeric, 2) AS amount_{i}" for i in range(12))
_QUERY = f"""
    SELECT '1301010010' || lpad((n % 1000000)::text, 6, '0') AS household_id, date '2024-01-31' AS period_end,
           1::smallint AS period_months, date '2024-02-05' AS recorded_on, 3 AS n_person, {_MONEY},
           'A' AS house_grade, true AS water_safe, 0 AS dropout_n
    FROM generate_series(1, {{}}) AS n
"""


def _measure(uri: str, rows: int) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder, open_postgres(uri) as database:
        path = Path(folder, "rows.parquet")
        database.spool(_QUERY.format(1), "warming up", path)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        database.spool(_QUERY.format(rows), "benchmark", path)
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return seconds, (after - before) / 1024, path.stat().st_size / 2**20


def main() -> None:
    """Print one line a size."""
    context = multiprocessing.get_context("spawn")
    print(f"{'rows':>10} {'seconds':>8} {'rows/s':>9} {'memory over start, MiB':>23} {'file, MiB':>10}")
    for rows in ROWS:
        with context.Pool(1) as pool:
            seconds, memory, size = pool.apply(_measure, (sys.argv[1], rows))
        print(f"{rows:>10,} {seconds:>8.1f} {rows / seconds:>9,.0f} {memory:>23.0f} {size:>10.0f}")


if __name__ == "__main__":
    main()
