"""What the choices of the default model are worth, on synthetic counties kept for development.

``python benchmarks/model_choices.py WORK`` compares, forward in time and on the same households, the default
with each choice undone, and with features of permanent income that the catalogue does not have (see
``docs/decisions/0018-default-model.md``). Every county leaves a file in WORK and is passed over where it is.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from results import CAPACITY, HOUSEHOLDS, ORIGINS, county, experiment_on
from scipy.stats import norm

from relapse_risk.config import Experiment
from relapse_risk.evaluation.at_risk import AtRisk
from relapse_risk.evaluation.backtest import Bench, split_before
from relapse_risk.evaluation.gain import visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.policies import true_risk
from relapse_risk.features.build import build_features
from relapse_risk.features.expression import param
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.labels import Labels, make_labels
from relapse_risk.modeling.training import train_model
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.vocabulary import Direction, Unit

Array = NDArray[np.float64]
SEEDS = (8101, 8102, 8103)
# Annual log incomes of a household differ by a variance of 0.09 + 0.0165 a year (seeds 8101 and 8102, lags
# of two to five years): twice the passing part and the yearly step of the permanent one. Their ratio gives
# the steady gain of the filter, 0.45 a year, and that the memory of a report: exp(-months / 20).
MEMORY_MONTHS = 20.0
GAIN = 0.45
PASSING_SD = 0.30
PRIOR_REPORTS = 4.0
PERMANENT = {
    "permanent_income": Direction.LOWERS_RISK,
    "passing_income": Direction.EITHER,
    "passing_spread": Direction.EITHER,
    "below_line_probability": Direction.RAISES_RISK,
}


def variants() -> dict[str, tuple[Experiment, bool]]:
    """Return the experiments compared, and whether they read the features of permanent income."""
    return {
        "default": (experiment_on(ORIGINS), False),
        "no early stopping": (experiment_on(ORIGINS, model={"stopping_months": 0}), False),
        "not refitted": (experiment_on(ORIGINS, calibration={"is_refitted": False}), False),
        "blend": (experiment_on(ORIGINS, model={"kind": "blend"}), False),
        "with permanent income": (experiment_on(ORIGINS), True),
    }


# --- permanent and passing income: a local level behind noisy reports -----------------------------------


def permanent_income(panel: Panel, index: pl.DataFrame) -> Array:
    """Return the columns ``PERMANENT``, shape ``(n_rows, 4)``, from what was known on each as-of date.

    The log of a period's income over the line is a level that walks, plus what passes. The level is the
    steady-state Kalman estimate, exponential smoothing (Muth 1960, doi:10.1080/01621459.1960.10482064);
    what passes has the household's own spread, drawn towards that of all; and a household is below the
    line already, behind its reports, with the probability that the level is.
    """
    found = np.full((index.height, len(PERMANENT)), np.nan)
    for day in index["as_of_date"].unique().to_list():
        rows = np.flatnonzero((index["as_of_date"] == day).to_numpy())
        households, log_income = _reports(panel, day)
        place = {household: i for i, household in enumerate(households)}
        at = np.array([place.get(household, -1) for household in index[rows]["household_id"].to_list()])
        reports = np.where((at >= 0)[:, None], log_income[at], np.nan)[:, ::-1][:, :20]
        weight = np.exp(-(3 * np.arange(reports.shape[1]) + 1.5) / MEMORY_MONTHS) * ~np.isnan(reports)
        total = weight.sum(axis=1)
        total[total == 0.0] = np.nan
        level = (weight * np.nan_to_num(reports)).sum(axis=1) / total
        squares = (weight * np.nan_to_num(reports - level[:, None]) ** 2).sum(axis=1) / total
        n = (~np.isnan(reports)).sum(axis=1)
        spread = np.sqrt((n * squares + PRIOR_REPORTS * PASSING_SD**2) / (n + PRIOR_REPORTS))
        year = np.log(np.clip(np.exp(reports[:, :4]).mean(axis=1), 0.1, 20.0))
        below = norm.cdf(-level / (spread * np.sqrt(GAIN / 2)))
        found[rows] = np.column_stack([np.exp(level), year - level, spread, below])
    return found


def _reports(panel: Panel, day: date) -> tuple[list[str], Array]:
    """Return the households known on a day, and their quarters' log income over the line, oldest first."""
    known = panel.known_at(day)
    reports = (
        known.table("observation").sort("recorded_on").unique(["household_id", "period_end"], keep="last")
    )
    ends = sorted(reports["period_end"].unique().to_list())
    line = known.thresholds().values("line", (known.households["county_code"][0],), ends)[0]
    income = (
        pl.col("net_income_yuan")
        + pl.col("claim_income_yuan").fill_null(0)
        - pl.col("oop_compliant_yuan").fill_null(0)
    )
    wide = (
        reports.join(pl.DataFrame({"period_end": ends, "line": line}), on="period_end")
        .with_columns(over=income * 12 / pl.col("period_months") / pl.col("n_person") / pl.col("line"))
        .pivot(on="period_end", index="household_id", values="over", aggregate_function="last")
    )
    columns = [str(end) for end in ends]
    over = wide.select(columns).to_numpy().astype(np.float64)
    return wide["household_id"].to_list(), np.log(np.clip(over, 0.1, 20.0))


def with_permanent_income(panel: Panel, matrix: FeatureMatrix) -> FeatureMatrix:
    """Return the matrix with the columns ``PERMANENT`` behind it."""
    added = FeatureSet(
        Feature(name, name, name, Unit.RATIO, "income", param(name), direction)
        for name, direction in PERMANENT.items()
    )
    values = np.column_stack([matrix.values, permanent_income(panel, matrix.index)])
    return replace(matrix, features=matrix.features + added, values=values)


# --- the comparison ----------------------------------------------------------------------------------


def compare(seed: int) -> pl.DataFrame:
    """Return each household's true risk and chance of a visit under every variant, as a list and alone."""
    made = county("hebei_like", seed, HOUSEHOLDS, ORIGINS)
    panel, experiment = made.panel(), experiment_on(ORIGINS)
    features = features_for(panel)
    bench = Bench(panel, experiment, None, features, made.truth)
    frames = []
    for origin in ORIGINS:
        split = split_before(panel, (origin,), experiment)
        matrix, labels = _rows(
            panel, split.fit_origins + split.calibration_origins, bench.model_features, origin
        )
        judged = make_labels(
            panel, (origin,), experiment.label, experiment.cohort, panel.last_recorded_on or origin
        )
        judged = judged.rows(judged.is_at_risk & ~np.isnan(judged.outcome))
        households = judged.index["household_id"].to_list()
        test = build_features(panel, (origin,), features, None, households)
        oracle = true_risk(made.truth.oracle, test.index, 12)
        hits, columns = apply_rules(test), {}
        more = with_permanent_income(panel, matrix), with_permanent_income(panel, test)
        for name, (variant, is_extended) in variants().items():
            learnt, read = more if is_extended else (matrix, test)
            scores = {"model": train_model(learnt, labels, split, variant).predict_risk(read)}
            rows = AtRisk(origin, test, hits, scores, judged, np.full(len(judged), np.nan), oracle)
            planned = rows.planned(variant.evaluation, 0)
            visits = visits_at(CAPACITY, len(planned.outcome))
            for policy in ("model", "rules+model"):
                columns[f"{name}: {policy}"] = planned.plans[policy].selection(visits)
        frames.append(
            planned.index.select("as_of_date", "village_code").with_columns(
                pl.lit(seed).alias("seed"),
                pl.Series("risk", planned.oracle),
                *(pl.Series(name, chance) for name, chance in columns.items()),
            )
        )
    return pl.concat(frames)


def _rows(
    panel: Panel, dates: tuple[date, ...], features: FeatureSet, known_on: date
) -> tuple[FeatureMatrix, Labels]:
    experiment = experiment_on(ORIGINS)
    labels = make_labels(panel, dates, experiment.label, experiment.cohort, known_on)
    labels = labels.rows(labels.is_at_risk)
    households = {day: labels.at(day).index["household_id"].to_list() for day in dates}
    return build_features(panel, dates, features, households=households), labels


def show(rows: pl.DataFrame) -> None:
    """Print the summed true risk of those visited, and the difference to the default with its interval."""
    bootstrap = ClusterBootstrap.of(rows["seed"].cast(pl.String) + rows["village_code"], 2000, 0)
    weights = np.vstack(list(bootstrap.row_weights()))
    risk = rows["risk"].to_numpy()
    for policy in ("model", "rules+model"):
        default = rows[f"default: {policy}"].to_numpy() * risk
        for name in variants():
            met = rows[f"{name}: {policy}"].to_numpy() * risk
            interval = bootstrap.interval(weights @ (met - default))
            print(
                f"{policy:12} {name:22} {met.sum():7.1f}  beside the default {(met - default).sum():+6.1f} "
                f"({interval.low:+.1f} to {interval.high:+.1f})"
            )


def main() -> None:
    """Compare on the counties of ``SEEDS`` and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path, help="folder for what was measured")
    work = parser.parse_args().work
    work.mkdir(parents=True, exist_ok=True)
    for seed in SEEDS:
        out = work / f"choices-{seed}.parquet"
        if not out.exists():
            compare(seed).write_parquet(out)
    show(pl.concat([pl.read_parquet(work / f"choices-{seed}.parquet") for seed in SEEDS]))


if __name__ == "__main__":
    main()
