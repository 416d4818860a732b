"""Makes the tables and the picture of docs/forecast.md: forecasts judged at rolling origins.

    python docs/make_forecast_results.py --scenarios hebei_like --seeds 11 12 13 --records hebei_like.csv
    python docs/make_forecast_results.py --eph FILE --records eph.csv
    python docs/make_forecast_results.py --show hebei_like.csv ... > results.md
    python docs/make_forecast_results.py --income > income.md
    python docs/make_forecast_results.py --warnings --seeds 11 12 13 > warnings.md

A county is a seed of the scenario. For every origin a model is trained with what was known on its day. Its
risks on dates before tell its level; from the models of earlier origins the weight of risks is learned.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from relapse_risk.caseloads import village_risks
from relapse_risk.cohort import find_at_risk
from relapse_risk.config import Experiment, LabelConfig, ModelConfig
from relapse_risk.features.build import build_features
from relapse_risk.forecast.backtest import naive_paths, paired, pooled, score_horizons
from relapse_risk.forecast.bottom_up import RiskSums
from relapse_risk.forecast.caseload import ForecastSettings, forecast_caseload, places, present_cases
from relapse_risk.forecast.choose import measure_spread
from relapse_risk.forecast.history import PLACE_COLUMNS, CaseHistory, read_history
from relapse_risk.forecast.paths import sample_paths, sum_groups
from relapse_risk.forecast.series import MODELS, at_present, season_of
from relapse_risk.forecast.surprise import warnings_of
from relapse_risk.modeling.quantile import income_after, risk_agreement
from relapse_risk.outputs.chart import chart
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.simulation import simulate
from relapse_risk.pipeline import open_store, train, train_income
from relapse_risk.runs import simulate_exports
from relapse_risk.windows import month_end, month_index

ORIGINS = [month_end(month_index(date(2022, 12, 31)) + 3 * i) for i in range(5)]
STEPS, DRAWS = 12, 500
SCENARIOS = ("hebei_like", "shock_year", "drift")
NAIVE = ("seasonal naive", "last value")
FORECASTS = ("combined", "household risks", "time series", *NAIVE)
LEVELS = ("county", "township", "village")
PICTURE = Path(__file__).parent / "pictures" / "forecast-crps.svg"


def forecasts_of(
    history: CaseHistory, risks: list[RiskSums], earlier: tuple[RiskSums, ...]
) -> dict[str, np.ndarray]:
    """Return the sample paths of the combination and of its parts."""
    *before, own = risks
    only = ForecastSettings(STEPS, DRAWS, hazard_weight=1.0)
    settings = ForecastSettings(STEPS, DRAWS)
    return {
        "time series": forecast_caseload(history, settings).paths["relapses"],
        "household risks": forecast_caseload(history, only, own, before).paths["relapses"],
        "combined": forecast_caseload(history, settings, own, before, earlier).paths["relapses"],
    }


def judged(
    paths: dict[str, np.ndarray], day: date, history: CaseHistory, actual: np.ndarray, exposed: np.ndarray
) -> Iterator[dict[str, object]]:
    """Yield a record for each level, forecast and horizon of an origin."""
    counts = history.relapses.astype(float)
    skip = month_index(day) - history.last_month
    season = season_of(counts.sum(axis=0), history.exposed.sum(axis=0).astype(float), history.first_month)
    for level in LEVELS:
        codes, group = places(history.villages, level)
        past = sum_groups(counts[None], group, len(codes))[0]
        came = sum_groups(actual[None], group, len(codes))[0].astype(float)
        reported = sum_groups(exposed[None], group, len(codes))[0] > 0
        scale = np.abs(past[:, 12:] - past[:, :-12]).mean(axis=1)
        summed = {name: sum_groups(one, group, len(codes)) for name, one in paths.items()}
        for name in NAIVE:
            model = MODELS[name.replace(" ", "_")]
            mean = model(past.astype(float), season, history.first_month, skip + STEPS)[:, skip:]
            summed[name] = naive_paths(mean, DRAWS, 0)
        for name, drawn in summed.items():
            for record in score_horizons(drawn, came, scale, reported):
                yield {"level": level, "forecast": name, **record}


def county_records(scenario: str, households: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield the records of a synthetic county."""
    experiment = Experiment(name="forecast")
    with TemporaryDirectory() as folder:
        root = Path(folder)
        simulate_exports(households, 72, scenario, seed, root / "exports")
        ingest([str(root / "exports")], root / "store")
        panel = open_store(root / "store")
        last = panel.last_recorded_on or date.max
        whole = read_history(panel.known_at(last), experiment.label, experiment.cohort)
        past: list[tuple[RiskSums, pl.DataFrame]] = []
        for day in ORIGINS:
            history = read_history(panel.known_at(day), experiment.label, experiment.cohort)
            start = month_index(day) + 1 - whole.first_month
            now = history.villages.join(
                whole.villages.with_row_index("row"),
                on=history.villages.columns,
                how="left",
                maintain_order="left",
            )["row"]
            # A village whose code changed since has no count under the old one.
            rows, is_there = now.fill_null(0).to_numpy(), now.is_not_null().to_numpy()[:, None]
            actual, exposed = (
                part[rows, start : start + STEPS] * is_there for part in (whole.relapses, whole.exposed)
            )
            risks = village_risks(panel, history, train(panel, experiment, day))
            earlier = tuple(_in_places(one, then, history.villages) for one, then in past)
            past.append((risks[-1], history.villages))
            for record in judged(forecasts_of(history, risks, earlier), day, history, actual, exposed):
                yield {"series": scenario, "county": seed, "origin": str(day), **record}


def _in_places(sums: RiskSums, then: pl.DataFrame, now: pl.DataFrame) -> RiskSums:
    """Return sums by the villages of a later date; NaN for one that had no such code."""
    known = then.with_columns(expected=pl.Series(sums.expected))
    expected = now.join(known, on=PLACE_COLUMNS, how="left", maintain_order="left")["expected"]
    return replace(sums, expected=expected.fill_null(float("nan")).to_numpy())


def warnings(households: int, seeds: list[int]) -> pl.DataFrame:
    """Return when counties were first warned of, by month from 2022-12 to 2024-06, and how often.

    The bad year of ``shock_year`` runs from January to December 2023; its first quarter is reported in April.
    """
    experiment = Experiment(name="forecast")
    months = [month_end(month_index(date(2022, 12, 31)) + i) for i in range(19)]
    rows = []
    for scenario in ("shock_year", "hebei_like"):
        for seed in seeds:
            panel = simulate(households, 72, Scenario.load(scenario), seed=seed).panel()
            said = []
            for day in months:
                history = read_history(panel.known_at(day), experiment.label, experiment.cohort)
                found = warnings_of(present_cases(history), history.setbacks, month_index(day), str(seed))
                said += [(day, one.what.en, one.observed, one.low, one.high) for one in found]
            days = sorted({day for day, *_ in said})
            first = "; ".join(f"{n} {what}, not {a} to {b}" for day, what, n, a, b in said if day == days[0])
            rows.append((scenario, seed, str(days[0]) if days else "none", first, len(days)))
    names = ["series", "county", "first_warning", "because", f"months_of_{len(months)}"]
    return pl.DataFrame(rows, schema=names, orient="row")


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
    hidden, every = exposed.sum(axis=0) == 0, np.ones((len(cases), 4), dtype=bool)
    for end in range(19, cases.shape[1] - 3):
        until, gaps = cases[:, :end], hidden[:end]
        season = season_of(until.sum(axis=0), exposed[:, :end].sum(axis=0), first, 4)
        counts, present = at_present(until, exposed[:, :end], gaps, 4)
        drawn = {
            f"{name}{scaled}": naive_paths(MODELS[name.replace(" ", "_")](part, season, first, 4), DRAWS, 0)
            for name in NAIVE
            for scaled, part in (("", until), (", scaled", counts))
        }
        drawn["time series"] = _chosen_quarters(counts, present, gaps, first)
        scale = np.abs(until[:, 4:] - until[:, :-4]).mean(axis=1)
        for name, paths in drawn.items():
            for record in score_horizons(paths, cases[:, end : end + 4], scale, every):
                kind = {"level": "region", "forecast": name}
                yield {"series": "eph_argentina", "county": 0, "origin": str(end), **kind, **record}


def _chosen_quarters(counts: np.ndarray, exposed: np.ndarray, gaps: np.ndarray, first: int) -> np.ndarray:
    """Return paths of the model with the least absolute error at earlier origins, spread as it was there."""
    total = exposed.sum(axis=0)

    def ahead(name: str, end: int) -> np.ndarray:
        season = season_of(counts[:, :end].sum(axis=0), total[:end], first, 4)
        return MODELS[name](counts[:, :end], season, first, 4)

    n = counts.shape[1]
    ends = [end for end in range(8, n - 3) if not gaps[end : end + 4].any()]
    came = [counts[:, end : end + 4] for end in ends]
    means = {name: [ahead(name, end) for end in ends] for name in MODELS}
    errors = {
        name: sum(np.abs(m - c).sum() for m, c in zip(means[name], came, strict=True)) for name in means
    }
    best = min(errors, key=lambda name: errors[name])
    return sample_paths(ahead(best, n), measure_spread(means[best], came, 0.25), "regions", DRAWS, 0)


def show(table: pl.DataFrame) -> None:
    """Print a table as Markdown."""
    with pl.Config(
        tbl_formatting="ASCII_MARKDOWN", tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True,
        tbl_rows=-1, tbl_cols=-1, float_precision=3, tbl_width_chars=200, fmt_str_lengths=120,
    ):  # fmt: skip
        sys.stdout.write(f"{table}\n\n")


def show_records(records: pl.DataFrame) -> None:
    """Print CRPS, errors, coverage by horizon and paired differences; draw CRPS by horizon."""
    scores = pooled(records)
    monthly = scores.filter(horizon="1-12")
    show(monthly.pivot("series", index=["level", "forecast"], values="crps"))
    ours = scores.filter(forecast="combined")
    totals = ours.filter(horizon="sum").select("series", "level", sum80="coverage80")
    names = ["coverage50", "coverage80", "coverage95", "mean_to_came", "wape", "mase", "pinball"]
    at = ours.filter(horizon="1-12").join(totals, on=["series", "level"], maintain_order="left")
    show(at.select("series", "level", "origins", *names[:3], "sum80", *names[3:]))
    shares = pl.format("{} / {} / {}", *(pl.col(name).round(2) for name in names[:3])).alias("coverage")
    show(ours.with_columns(shares).pivot("horizon", index=["series", "level"], values="coverage"))
    compared = pl.concat([paired(records, "combined", name) for name in NAIVE])
    told = pl.format("{} ({} to {})", *(pl.col(c).round(3) for c in ("difference", "low95", "high95")))
    wanted = compared.filter(pl.col("level") != "region").with_columns(told.alias("told"))
    show(wanted.pivot("horizon", index=["against", "series", "level"], values="told"))
    worse = wanted.filter("is_worse").select("against", "series", "level", "horizon").rows()
    sys.stdout.write(f"Significantly worse at: {worse or 'none'} of {wanted.height} comparisons.\n\n")
    show(
        scores.filter(series="eph_argentina", horizon="1-12").drop(
            "series", "level", "horizon", "mean_to_came"
        )
    )
    PICTURE.write_bytes(picture(scores))


def picture(scores: pl.DataFrame) -> bytes:
    """Return CRPS against that of the seasonal naive forecast, by horizon and level, as SVG."""
    colours = dict(zip(FORECASTS, ("#d55e00", "#009e73", "#0072b2", "#999999", "#cccccc"), strict=True))
    bands = ["1-3", "4-6", "7-12"]
    naive = scores.filter(forecast="seasonal naive").select("series", "level", "horizon", naive="crps")
    shown = scores.join(naive, on=["series", "level", "horizon"]).with_columns(
        ratio=pl.col("crps") / pl.col("naive")
    )
    ticks: list[float] = []
    labels: list[str] = []
    with chart("en", 9.0, 3.8) as (figure, axes, _):
        for i, (series, level) in enumerate((s, lv) for s in SCENARIOS for lv in LEVELS):
            for name in FORECASTS[:4]:
                rows = shown.filter(series=series, level=level, forecast=name)
                values = [rows.filter(horizon=band)["ratio"].item() for band in bands]
                label = name if i == 0 else "_"
                axes.plot(
                    [4 * i, 4 * i + 1, 4 * i + 2],
                    values,
                    "o-",
                    markersize=4,
                    color=colours[name],
                    label=label,
                )
            ticks.append(4 * i + 1.0)
            labels.append(f"{level}\n{series}" if level == "township" else level)
        axes.set_xticks(ticks, labels)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_title("CRPS over that of seasonal naive; points: 1-3, 4-6, 7-12 months ahead", loc="left")
        axes.legend(loc="lower left", ncols=4, fontsize=8)
    return figure.svg()


def main() -> None:
    """Write records, or print tables of them as Markdown."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--households", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="one county each")
    parser.add_argument("--scenarios", nargs="*", default=[])
    parser.add_argument("--eph", type=Path)
    parser.add_argument("--records", type=Path, help="CSV that the records are written to")
    parser.add_argument("--show", type=Path, nargs="+", help="CSVs of records")
    parser.add_argument("--warnings", action="store_true", help="only the table of warnings")
    parser.add_argument("--income", action="store_true", help="only the table of the income forecast")
    asked = parser.parse_args()
    if asked.income:
        show(income_agreement(asked.households, ORIGINS[-1]))
    elif asked.warnings:
        show(warnings(asked.households, asked.seeds))
    elif asked.show:
        text = {"origin": pl.String}
        show_records(pl.concat([pl.read_csv(path, schema_overrides=text) for path in asked.show]))
    else:
        counties = [(name, seed) for name in asked.scenarios for seed in asked.seeds]
        records = [r for name, seed in counties for r in county_records(name, asked.households, seed)]
        if asked.eph:
            records += list(eph_records(asked.eph))
        pl.DataFrame(records).write_csv(asked.records)


if __name__ == "__main__":
    main()
