"""Makes the tables of docs/forecast.md: forecasts judged at rolling origins, each on its own panel.

    python docs/make_forecast_results.py [--households 2000] [--trained 2] [--eph FILE] > results.md

``--trained`` is the number of the last origins at which a model is trained for the household risks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from relapse_risk.cohort import find_at_risk
from relapse_risk.config import Experiment, LabelConfig, ModelConfig
from relapse_risk.features.build import build_features
from relapse_risk.forecast.backtest import naive_paths, pooled, score_paths
from relapse_risk.forecast.caseload import ForecastSettings, HouseholdRisks, forecast_caseload, places
from relapse_risk.forecast.history import CaseHistory, read_history
from relapse_risk.forecast.paths import sum_groups
from relapse_risk.forecast.series import MODELS, season_of
from relapse_risk.modeling.quantile import income_after, risk_agreement
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.panel import Panel
from relapse_risk.pipeline import open_store, train, train_income
from relapse_risk.runs import simulate_exports
from relapse_risk.windows import month_index

ORIGINS = [date(2021, 12, 31), date(2022, 6, 30), date(2022, 12, 31), date(2023, 6, 30), date(2023, 12, 31)]
STEPS, DRAWS = 12, 500
SCENARIOS = ("hebei_like", "shock_year", "drift")
NAIVE = ("seasonal_naive", "last_value")


def household_risks(panel: Panel, history: CaseHistory, experiment: Experiment, day: date) -> HouseholdRisks:
    """Return the risks of a model that was trained with what was known on the day."""
    model = train(panel, experiment, day)
    known = panel.known_at(day)
    at_risk = find_at_risk(known, experiment.label, experiment.cohort)
    scores = model.predict_risk(build_features(panel, [day]))
    village = history.village_rows(known.households)
    return HouseholdRisks(scores.risk[at_risk], scores.horizons_months, village[at_risk])


def judged(
    series: str,
    day: date,
    history: CaseHistory,
    actual: np.ndarray,
    exposed: np.ndarray,
    risks: HouseholdRisks | None,
) -> Iterator[dict[str, object]]:
    """Yield a record for each level and forecast of an origin."""
    counts = history.relapses.astype(float)
    skip = month_index(day) - history.last_month
    season = season_of(counts.sum(axis=0), history.exposed.sum(axis=0).astype(float), history.first_month)
    paths = {"time series": forecast_caseload(history, ForecastSettings(STEPS, DRAWS)).paths["relapses"]}
    if risks is not None:
        for name, weight in (("household risks", 1.0), ("combined", 0.5)):
            settings = ForecastSettings(STEPS, DRAWS, hazard_weight=weight)
            paths[name] = forecast_caseload(history, settings, risks).paths["relapses"]
    for level in ("village", "township", "county"):
        codes, group = places(history.villages, level)
        past = sum_groups(counts[None], group, len(codes))[0]
        came = sum_groups(actual[None], group, len(codes))[0].astype(float)
        reported = sum_groups(exposed[None], group, len(codes))[0] > 0
        scale = np.abs(past[:, 12:] - past[:, :-12]).mean(axis=1)
        summed = {name: sum_groups(one, group, len(codes)) for name, one in paths.items()}
        for name in NAIVE:
            mean = MODELS[name](past.astype(float), season, history.first_month, skip + STEPS)[:, skip:]
            summed[name.replace("_", " ")] = naive_paths(mean, DRAWS, 0)
        for name, drawn in summed.items():
            yield {
                "series": series,
                "level": level,
                "forecast": name,
                **score_paths(drawn, came, scale, reported),
            }


def county_records(scenario: str, households: int, trained: int) -> Iterator[dict[str, object]]:
    """Yield the records of a synthetic county."""
    experiment = Experiment(name="forecast")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        simulate_exports(households, 72, scenario, 1, root / "exports")
        ingest([str(root / "exports")], root / "store")
        panel = open_store(root / "store")
        last = panel.last_recorded_on or date.max
        whole = read_history(panel.known_at(last), experiment.label, experiment.cohort)
        for i, day in enumerate(ORIGINS):
            history = read_history(panel.known_at(day), experiment.label, experiment.cohort)
            start = month_index(day) + 1 - whole.first_month
            now = history.villages.join(
                whole.villages.with_row_index("row"),
                on=history.villages.columns,
                how="left",
                maintain_order="left",
            )["row"]
            rows = now.fill_null(0).to_numpy()
            actual, exposed = (part[rows, start : start + STEPS] for part in (whole.relapses, whole.exposed))
            risks = None
            if i >= len(ORIGINS) - trained:
                risks = household_risks(panel, history, experiment, day)
            yield from judged(scenario, day, history, actual, exposed, risks)


def income_agreement(households: int, day: date) -> pl.DataFrame:
    """Return risks below the line in a year by the income forecast, the hazard, and as it came, by tenth.

    The hazard is trained on the same event: below the line at the end of the year, by income alone.
    """
    label = LabelConfig(kind="state_at_horizon", outcomes=("income",))
    experiment = Experiment(name="income", label=label, model=ModelConfig(intervals_months=(12,)))
    with TemporaryDirectory() as folder:
        root = Path(folder)
        simulate_exports(households, 72, "hebei_like", 1, root / "exports")
        ingest([str(root / "exports")], root / "store")
        panel = open_store(root / "store")
        matrix = build_features(panel, [day])
        at_risk = find_at_risk(panel.known_at(day), label, experiment.cohort)
        line = matrix.parameter("line")[at_risk]
        below = train_income(panel, experiment, day).predict(matrix.rows(at_risk)).below(line, 12)
        risk = train(panel, experiment, day).predict_risk(matrix.rows(at_risk)).risk[:, -1]
        came = income_after(panel, matrix.index.filter(pl.Series(at_risk)), 12)
        happened = np.where(np.isnan(came), np.nan, came < line)
    found = risk_agreement(np.where(np.isnan(came), np.nan, below), risk)
    seen = risk_agreement(happened, np.where(np.isnan(below), np.nan, risk))
    return found.with_columns(seen["below"].alias("came"))


def eph_records(path: Path) -> Iterator[dict[str, object]]:
    """Yield the records of the real panel: households newly poor, by region and quarter."""
    panel = pl.read_parquet(path, columns=["household_id", "region", "period", "poor"]).drop_nulls()
    before = panel.select("household_id", pl.col("period") + 1, was_poor="poor")
    pairs = panel.join(before, on=["household_id", "period"]).filter(pl.col("was_poor") == 0)
    counts = pairs.group_by("region", "period").agg(cases=(pl.col("poor") == 1).sum(), exposed=pl.len())
    first, last = int(counts["period"].min()), int(counts["period"].max())
    regions = sorted(counts["region"].unique().to_list())
    cases, exposed = np.zeros((2, len(regions), last - first + 1))
    for region, period, n, m in counts.iter_rows():
        cases[regions.index(region), period - first] = n
        exposed[regions.index(region), period - first] = m
    for end in range(16, cases.shape[1] - 3, 2):
        until = cases[:, :end]
        came = cases[:, end : end + 4]
        season = season_of(until.sum(axis=0), exposed[:, :end].sum(axis=0), first, 4)
        scale = np.abs(until[:, 4:] - until[:, :-4]).mean(axis=1)
        for name, model in MODELS.items():
            mean = model(until, season, first, 4)
            drawn = naive_paths(mean, DRAWS, 0)
            record = {"series": "eph_argentina", "level": "region", "forecast": name.replace("_", " ")}
            yield record | score_paths(drawn, came, scale)


def show(table: pl.DataFrame) -> None:
    """Print a table as Markdown."""
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN", tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
        tbl_rows=-1, tbl_cols=-1, float_precision=3, tbl_width_chars=200, fmt_str_lengths=40,
    ):  # fmt: skip
        sys.stdout.write(f"{table}\n")


def main() -> None:
    """Print the tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--households", type=int, default=2000)
    parser.add_argument("--trained", type=int, default=2)
    parser.add_argument("--eph", type=Path)
    parser.add_argument("--income", action="store_true", help="only the table of the income forecast")
    asked = parser.parse_args()
    if asked.income:
        show(income_agreement(asked.households, ORIGINS[-1]))
        return
    records = [r for name in SCENARIOS for r in county_records(name, asked.households, asked.trained)]
    if asked.eph:
        records += list(eph_records(asked.eph))
    table = pooled(pl.DataFrame(records)).sort("series", "level", "forecast", maintain_order=True)
    show(table)


if __name__ == "__main__":
    main()
