"""Measure what ``docs/results.md`` shows; ``docs/make_results_page.py`` writes the page from it.

``python benchmarks/results.py WORK PART...`` with PART of ``forecast``, ``distance``, ``no_signal``,
``change``, ``kinds`` and ``eph``. Every step leaves a file in the folder WORK and is passed over where that
file is, so that a run that was stopped goes on. ``distance`` needs ``forecast``; ``eph`` needs ``--eph``, the
Parquet file of the panel.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from relapse_risk.config import Experiment
from relapse_risk.evaluation.backtest import Bench, run_backtest, split_before
from relapse_risk.evaluation.gain import visits_at
from relapse_risk.evaluation.metrics import calibration_in_the_large
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels, make_labels
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.store import load_model, save_model
from relapse_risk.modeling.training import choose_features, train_model
from relapse_risk.panel.synthetic import Scenario, SyntheticCounty, simulate
from relapse_risk.pipeline import load_experiment
from relapse_risk.windows import OriginSplit

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = ROOT / "data" / "scenarios"
MONTHS = 72
CAPACITY = 0.05
SEEDS = (7201, 7202, 7203, 7204, 7205)
FORECAST_SEEDS = tuple(range(7301, 7313))
HOUSEHOLDS = 3000
KINDS = ("hazard", "blend")  # of the model that is judged on the way to the oracles
ORIGINS = (date(2022, 12, 31), date(2023, 12, 31))
FORECAST_DATES = tuple(date(year, *day) for year in (2020, 2021, 2022) for day in ((6, 30), (12, 31)))


def experiment_on(origins: tuple[date, ...], **changes: Any) -> Experiment:
    """Return the package's default experiment, judged on these dates at 5% capacity."""
    evaluation = {
        "origins": {"dates": origins},
        "gap_months": 2,
        "capacities": [CAPACITY],
        "bootstrap_replicates": 400,
        **changes.pop("evaluation", {}),
    }
    return Experiment.model_validate({"name": "results", "evaluation": evaluation, **changes})


def scenario_hash(name: str) -> str:
    """Return the SHA-256 of a scenario's file."""
    return hashlib.sha256((SCENARIOS / f"{name}.toml").read_bytes()).hexdigest()


def county(scenario: str, seed: int, households: int, oracle: tuple[date, ...] = ()) -> SyntheticCounty:
    """Return a synthetic county; its truth on the dates of ``oracle``."""
    return simulate(
        households, MONTHS, Scenario.load(scenario), seed, oracle_dates=oracle, n_paths=400, hazard_paths=0
    )


# --- forecast: a model from many counties, that stands for the best forecast the panel allows ----------


def train_forecast(work: Path) -> None:
    """Train one model on ``FORECAST_SEEDS`` counties and save it in ``WORK/forecast``."""
    if (work / "forecast" / "model.json").exists():
        return
    experiment = experiment_on(
        ORIGINS,
        model={"kind": "blend", "n_estimators": 600, "num_leaves": 31, "min_child_samples": 100},
        calibration={"method": "none", "window_months": 0},
    )
    known_on = date(2024, 6, 30)
    parts = [_training_rows(seed, experiment, known_on) for seed in FORECAST_SEEDS]
    matrix = FeatureMatrix(
        pl.concat([m.index for m, _ in parts]),
        parts[0][0].features,
        np.concatenate([m.values for m, _ in parts]),
        pl.concat([m.parameters for m, _ in parts]),
    )
    labels = Labels(
        pl.concat([one.index for _, one in parts]),
        np.concatenate([one.is_at_risk for _, one in parts]),
        np.concatenate([one.event_month for _, one in parts]),
        np.concatenate([one.observed_months for _, one in parts]),
        12,
        known_on,
    )
    del parts
    split = OriginSplit(FORECAST_DATES, (), (known_on,), known_on)
    save_model(train_model(matrix, labels, split, experiment), work / "forecast")


def _training_rows(seed: int, experiment: Experiment, known_on: date) -> tuple[FeatureMatrix, Labels]:
    panel = county("hebei_like", seed, HOUSEHOLDS).panel()
    features = choose_features(features_for(panel), experiment)
    labels = make_labels(panel, FORECAST_DATES, experiment.label, experiment.cohort, known_on)
    labels = labels.rows(labels.is_at_risk)
    parts = [
        build_features(panel, (day,), features, None, labels.at(day).index["household_id"].to_list())
        for day in FORECAST_DATES
    ]
    matrix = FeatureMatrix(
        pl.concat([part.index for part in parts]),
        parts[0].features,
        np.concatenate([part.values for part in parts]),
        pl.concat([part.parameters for part in parts]),
    )
    return matrix, labels


# --- distance: from rules alone to the oracles ---------------------------------------------------------


def measure_distance(work: Path) -> None:
    """Write, for every kind of model and seed, each household's chance of a visit under every policy."""
    forecast = load_model(work / "forecast")
    facts = {"scenario_sha256": scenario_hash("hebei_like"), "seeds": SEEDS, "households": HOUSEHOLDS}
    facts |= {"forecast_households": len(FORECAST_SEEDS) * HOUSEHOLDS, "origins": [str(d) for d in ORIGINS]}
    facts |= {"forecast_rows": forecast.metadata["rows"]["fit"]}
    for kind in KINDS:
        for seed in SEEDS:
            out = work / f"distance-{kind}-{seed}.parquet"
            if not out.exists():
                _write(_chances_of(seed, kind, forecast), out)
    _write_json(facts, work / "distance.json")


def _chances_of(seed: int, kind: str, forecast: TrainedModel) -> pl.DataFrame:
    made = county("hebei_like", seed, HOUSEHOLDS, ORIGINS)
    panel, experiment = made.panel(), experiment_on(ORIGINS, model={"kind": kind})
    bench = Bench(panel, experiment, None, features_for(panel), made.truth)
    frames = []
    for origin in ORIGINS:
        models = bench.train(split_before(panel, (origin,), experiment))
        rows, n_censored = bench.at_risk(origin, models)
        if rows is None or rows.oracle is None:
            continue
        judged = rows.planned(experiment.evaluation, n_censored)
        best = {**rows.scores, "model": forecast.predict_risk(rows.matrix)}
        with_best = replace(rows, scores=best).planned(experiment.evaluation, n_censored)
        visits = visits_at(CAPACITY, len(judged.outcome))
        chances = {name: plan.selection(visits) for name, plan in judged.plans.items()}
        chances["forecast"] = with_best.plans["model"].selection(visits)
        chances["rules+forecast"] = with_best.plans["rules+model"].selection(visits)
        frames.append(
            judged.index.select("as_of_date", "village_code").with_columns(
                pl.lit(seed).alias("seed"),
                pl.Series("outcome", judged.outcome),
                pl.Series("risk", judged.oracle),
                *(pl.Series(name, chance) for name, chance in chances.items()),
            )
        )
    return pl.concat(frames)


# --- no_signal: nothing to be found --------------------------------------------------------------------


def measure_no_signal(work: Path) -> None:
    """Write AUC and found-over-random of the model on ``no_signal``, one file per seed."""
    for seed in SEEDS:
        out = work / f"no_signal-{seed}.json"
        if out.exists():
            continue
        made = county("no_signal", seed, 2000, ORIGINS)
        pooled = run_backtest(made.panel(), experiment_on(ORIGINS), truth=made.truth).pooled
        _write_json([r for r in pooled if r["policy"] in ("random", "rules", "model", "rules+model")], out)


# --- change: shock_year and drift ----------------------------------------------------------------------

QUARTERS = tuple(
    date(year, *day)
    for year in (2022, 2023)
    for day in ((3, 31), (6, 30), (9, 30), (12, 31))
    if (year, day) != (2022, (3, 31))
)


def measure_change(work: Path) -> None:
    """Write, by quarter, how a model trained once ranks, and what it expected beside what came."""
    for scenario in ("hebei_like", "shock_year", "drift"):
        for seed in SEEDS[:3]:
            out = work / f"change-{scenario}-{seed}.json"
            if not out.exists():
                _write_json(_by_quarter(scenario, seed), out)


def _by_quarter(scenario: str, seed: int) -> list[dict[str, Any]]:
    """Train once on what was known on 2022-06-30; judge on every quarter from then on."""
    panel = county(scenario, seed, HOUSEHOLDS).panel()
    quarters = QUARTERS
    experiment = experiment_on(
        quarters,
        evaluation={"is_refitted": False},
        model={"stopping_months": 0},
        calibration={"method": "none", "window_months": 0},
    )
    bench = Bench(panel, experiment, None, features_for(panel), None)
    models = bench.train(split_before(panel, quarters, experiment))
    records = []
    for origin in quarters:
        rows, n_censored = bench.at_risk(origin, models)
        if rows is None:
            continue
        judged = rows.planned(experiment.evaluation, n_censored)
        plan = judged.plans["model"]
        gain = plan.gains(judged.outcome)[0]
        visits = visits_at(CAPACITY, len(judged.outcome))
        soon = rows.labels.outcome_within(3)
        known = ~np.isnan(soon)
        risk = rows.scores["model"]
        records.append(
            {
                "origin": str(origin),
                "n": len(judged.outcome),
                "events": int(judged.outcome.sum()),
                "roc_auc": float(gain.roc_auc()[0]),
                "found": {
                    name: float(one.selection(visits) @ judged.outcome) for name, one in judged.plans.items()
                },
                "visits": visits,
                "shift": calibration_in_the_large(rows.labels.outcome, risk.headline),
                "expected_12m": float(risk.headline.sum()),
                "observed_12m": int(rows.labels.outcome.sum()),
                "expected_3m": float(risk.risk[known, 0].sum()),
                "observed_3m": int(soon[known].sum()),
            }
        )
    return records


# --- kinds: every kind of relapse, and who was not wholly seen -----------------------------------------


def measure_kinds(work: Path) -> None:
    """Write what lists of one county find of every kind of relapse, and bounds of what is not seen."""
    if (work / "kinds-exits.parquet").exists():
        return
    result = run_backtest(county("hebei_like", SEEDS[0], HOUSEHOLDS).panel(), experiment_on(ORIGINS))
    for name, table in {"kinds": result.kinds, "censoring": result.censoring, "exits": result.exits}.items():
        _write(table, work / f"kinds-{name}.parquet")


# --- eph: the real panel beside its reference results --------------------------------------------------


def measure_eph(work: Path, source: Path) -> None:
    """Write the scores of the toolkit's models and of the reference LightGBM on the stated test year."""
    out = work / "eph.parquet"
    if out.exists():
        return
    store = work / "eph-store"
    if not store.exists():
        from relapse_risk.mapping_config import Mapping
        from relapse_risk.panel.ingest import ingest
        from relapse_risk.toml_file import load

        ingest([str(source)], store, load(ROOT / "data" / "mappings" / "eph_argentina.toml", Mapping))
    from relapse_risk.panel.store import Store

    experiment = load_experiment(ROOT / "experiments" / "eph_argentina.toml")
    scores = run_backtest(Store(store).open(), experiment).scores
    reference = _reference_scores(pl.read_parquet(source))
    joined = scores.join(reference, on=["household_id", "as_of_date"], how="left")
    _write(joined, out)


def _reference_scores(panel: pl.DataFrame) -> pl.DataFrame:
    """Return scores of the panel's references made again: LightGBM without and with the quarter before."""
    from lightgbm import LGBMClassifier

    names = [
        c
        for c in panel.columns
        if c not in ("household_id", "year", "period", "poor") and panel[c].dtype.is_numeric()
    ]
    later = panel.select("household_id", pl.col("period") - 4, pl.col("poor").alias("next"))
    before = panel.select(
        "household_id", pl.col("period") + 1, *(pl.col(c).alias(f"{c}_before") for c in names)
    )
    pairs = (
        panel.filter(pl.col("poor") == 0)
        .join(later, on=["household_id", "period"], how="inner")
        .join(before, on=["household_id", "period"], how="left")
        .drop_nulls("next")
    )
    train = pairs.filter(pl.col("period") + 4 <= 2008 * 4 + 3)
    test = pairs.filter(pl.col("year") == 2009)
    columns = {"reference": names, "reference+before": [*names, *(f"{c}_before" for c in names)]}
    scores = {}
    for name, used in columns.items():
        model = LGBMClassifier(
            n_estimators=300, learning_rate=0.03, num_leaves=31, min_child_samples=100, subsample=0.8,
            subsample_freq=1, colsample_bytree=0.5, reg_lambda=5.0, random_state=0, verbosity=-1, n_jobs=2,
        )  # fmt: skip
        model.fit(train.select(used).to_pandas(), train["next"].to_numpy())
        scores[f"score_{name}"] = model.predict_proba(test.select(used).to_pandas())[:, 1]
    return test.select(
        "household_id", pl.date(pl.col("year"), pl.col("quarter") * 3, 1).dt.month_end().alias("as_of_date")
    ).with_columns(pl.Series(name, values) for name, values in scores.items())


# --- files ---------------------------------------------------------------------------------------------


def _write(frame: pl.DataFrame, path: Path) -> None:
    half = path.with_suffix(".part")
    frame.write_parquet(half)
    half.replace(path)


def _write_json(content: object, path: Path) -> None:
    half = path.with_suffix(".part")
    half.write_text(json.dumps(content, indent=1, default=str), encoding="utf-8")
    half.replace(path)


def main() -> None:
    """Measure the parts named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder for what was measured")
    parser.add_argument(
        "parts", nargs="+", choices=("forecast", "distance", "no_signal", "change", "kinds", "eph")
    )
    parser.add_argument("--eph", type=Path, help="panel.parquet of the Argentine panel")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    parts: dict[str, Callable[[], None]] = {
        "forecast": lambda: train_forecast(options.work),
        "distance": lambda: measure_distance(options.work),
        "no_signal": lambda: measure_no_signal(options.work),
        "change": lambda: measure_change(options.work),
        "kinds": lambda: measure_kinds(options.work),
        "eph": lambda: measure_eph(options.work, options.eph),
    }
    for part in options.parts:
        parts[part]()


if __name__ == "__main__":
    main()
