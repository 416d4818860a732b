"""Print how fast everybody is explained: tables beside LightGBM's own way, shap and mere prediction.

Run ``python benchmarks/treeshap.py [--trees 500] [--leaves 31] [--depth 8] [--features 80] [--rows 60000]``.

All ways run in turn in one process, each several times; the medians and their ratios are printed. A row
is explained, and predicted, for every interval of the hazard, and counts once.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import lightgbm
import numpy as np

from relapse_risk.explain.treeshap import TreeTables

INTERVALS = (0.0, 1.0, 2.0)


def draw_rows(n: int, n_features: int, seed: int) -> np.ndarray:
    """Return normal numbers, two columns of codes, and a tenth of it missing."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, n_features)).astype(np.float32)
    rows[:, 1], rows[:, 2] = rng.integers(0, 30, n), rng.integers(0, 4, n)
    rows[rng.random(rows.shape) < 0.1] = np.nan
    return rows


def with_interval(rows: np.ndarray, interval: float) -> np.ndarray:
    """Return the rows with the number of the interval as a last column."""
    return np.column_stack([rows, np.full(len(rows), interval, np.float32)])


def fit(options: argparse.Namespace) -> lightgbm.Booster:
    """Return a booster on data with interactions, so that trees grow as deep as they may."""
    rows = draw_rows(40_000, options.features, 1)
    rng = np.random.default_rng(2)
    interval = rng.integers(0, 3, len(rows)).astype(np.float32)
    known = np.nan_to_num(rows)
    margin = known[:, 0] * known[:, 3] + np.sin(known[:, 1]) + known[:, 4:20].sum(axis=1) / 4 + 0.3 * interval
    outcome = rng.random(len(rows)) < 1 / (1 + np.exp(1 - margin))
    settings = {
        "objective": "binary",
        "num_leaves": options.leaves,
        "max_depth": options.depth,
        "learning_rate": 0.05,
        "verbosity": -1,
        "num_threads": 2,
    }
    data = lightgbm.Dataset(np.column_stack([rows, interval]), outcome, categorical_feature=[1, 2])
    return lightgbm.train(settings, data, options.trees)


def rows_per_second(function: Callable[[np.ndarray], object], rows: np.ndarray, times: int = 3) -> float:
    """Return the median speed of several calls."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        function(rows)
        seconds.append(time.perf_counter() - begun)
    return len(rows) / float(np.median(seconds))


def main() -> None:
    """Fit, explain every way, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("trees", 500), ("leaves", 31), ("depth", 8), ("features", 80), ("rows", 60_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    booster = fit(options)
    rows = draw_rows(options.rows, options.features, 3)
    begun = time.perf_counter()
    tables = TreeTables.of(booster.model_to_string())
    tables.contributions(rows[:1], INTERVALS)
    prepared = time.perf_counter() - begun

    def contribute(part: np.ndarray) -> np.ndarray:
        return np.stack([booster.predict(with_interval(part, k), pred_contrib=True) for k in INTERVALS], 1)

    def predict(part: np.ndarray) -> list[object]:
        return [booster.predict(with_interval(part, k), raw_score=True) for k in INTERVALS]

    few = rows[:300]
    gap = np.abs(tables.contributions(few, INTERVALS) - contribute(few)).max()
    speed = {
        "tables": rows_per_second(lambda part: tables.contributions(part, INTERVALS), rows),
        "Booster.predict": rows_per_second(predict, rows),
        "pred_contrib": rows_per_second(contribute, few),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import shap

        explainer = shap.TreeExplainer(booster)
        speed["shap.TreeExplainer"] = rows_per_second(
            lambda part: [explainer.shap_values(with_interval(part, k)) for k in INTERVALS], few
        )
    print(
        f"{options.trees} trees x {options.leaves} leaves, depth {options.depth}, {options.features} features"
    )
    print(f"tables of {tables.nbytes / 1e6:.0f} MB made in {prepared:.1f} s; largest difference {gap:.1e}")
    for name, rate in speed.items():
        print(f"{name:20s} {rate:10,.0f} rows/s   tables are {speed['tables'] / rate:8.2f} times as fast")


if __name__ == "__main__":
    main()
