"""How long all rules take on a large feature matrix, beside one pass over the same numbers.

python benchmarks/rules.py [--households 1000000]

A small synthetic county's matrix is repeated until it has the rows wanted; rules look at each row alone, so
that repeated rows cost what other rows cost.
"""

from __future__ import annotations

import argparse
import json
import resource
from datetime import date
from time import perf_counter

import numpy as np
import polars as pl

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.synthetic import simulate
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.scores import CANNOT_JUDGE, HIT

AS_OF = date(2023, 12, 31)


def repeated(matrix: FeatureMatrix, rows: int) -> FeatureMatrix:
    """Return the matrix with its rows repeated up to ``rows``, each under a household_id of its own."""
    times = -(-rows // len(matrix))
    values = np.tile(matrix.values, (times, 1))[:rows]
    index = pl.concat([matrix.index] * times).head(rows)
    numbered = index.with_row_index("row").with_columns(household_id=pl.format("H{}", "row")).drop("row")
    return FeatureMatrix(numbered, matrix.features, values, matrix.parameters)


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--households", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    panel = simulate(1000, 60, seed=5, oracle_dates=(), hazard_paths=0).panel()
    reads = dict.fromkeys(name for rule in RULES for name in rule.all_features)
    small = build_features(panel, [AS_OF], CATALOG.select(reads))
    matrix = repeated(small, options.households)
    passes, applied = [], []
    for _ in range(options.repeats):
        start = perf_counter()
        np.isnan(matrix.values).sum(axis=0)
        passes.append(perf_counter() - start)
        start = perf_counter()
        hits = apply_rules(matrix)
        applied.append(perf_counter() - start)
    found = {
        "households": len(matrix),
        "rules": len(RULES),
        "features": len(matrix.features),
        "hits": int((hits.states == HIT).sum()),
        "cannot_judge": int((hits.states == CANNOT_JUDGE).sum()),
        "apply_seconds": round(min(applied), 2),
        "one_pass_seconds": round(min(passes), 2),
        "ratio": round(min(applied) / min(passes), 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 1),
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
