"""The whole flow on a synthetic county, told step by step, ending with what came out."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from relapse_risk.caseloads import ForecastRequest, write_forecast
from relapse_risk.config import Experiment
from relapse_risk.errors import ConfigurationError
from relapse_risk.evaluation.backtest import BacktestResult
from relapse_risk.evaluation.records import Record
from relapse_risk.forecast.area import CaseloadForecast
from relapse_risk.forecast.caseload import ForecastSettings
from relapse_risk.outputs.backtest_page import write_backtest
from relapse_risk.outputs.visit_list import ListSettings, VisitList
from relapse_risk.panel.ingest import IngestReport, ingest
from relapse_risk.pipeline import Trained, backtest, open_store, train_and_track
from relapse_risk.runs import (
    ListOptions,
    simulate_exports,
    write_features,
    write_rule_hits,
    write_scores,
    write_visit_lists,
)
from relapse_risk.terminal import Progress, console, progress
from relapse_risk.toml_file import load
from relapse_risk.windows import add_months, month_end, month_index

FIRST_MONTH = date(2019, 1, 1)
MONTHS = 72
CAPACITY = 0.1
_PROJECT_FILE = "relapse.toml"
_PROJECT = """\
# A project of relapse-risk: commands run in this folder find their things by it.
store = "store"
models = "models"
outputs = "outputs"
experiment = "experiments/default.toml"
tracking_uri = "sqlite:///experiments/mlflow.db"
language = "zh"
"""
_EXPERIMENT = """\
# What is not said here is as in the package's defaults; see experiments/default.toml of the repository.
name = "default"
description = "First relapse within 12 months, on the synthetic county."

[evaluation]
gap_months = 2

[evaluation.origins]
dates = [{dates}]
"""
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class DemoResult:
    """What the demo made, for its closing summary."""

    out: Path
    as_of_date: date
    report: IngestReport
    judged: BacktestResult
    trained: Trained
    forecast: CaseloadForecast
    lists: VisitList
    households: int


def run_demo(households: int, seed: int, out: Path) -> DemoResult:
    """Simulate, ingest, apply rules, judge, train, score, forecast and list; print each step and a summary.

    Parameters
    ----------
    households : int
    seed : int
    out : Path
        Folder of the project; one that the demo made before is replaced, anything else is refused.

    Raises
    ------
    ConfigurationError
        RR205 where ``out`` holds something else.
    """
    _clear(out)
    experiment = _experiment(out)
    as_of_date = month_end(month_index(FIRST_MONTH) + MONTHS - 1)
    judged_on = experiment.evaluation.origins.dates
    exports, store, models = out / "exports", out / "store", out / "models"
    tracking_uri = f"sqlite:///{(out / 'experiments' / 'mlflow.db').as_posix()}"
    step = _Steps()
    step(
        f"simulate {households:,} households, {MONTHS} months → {exports}",
        lambda show: simulate_exports(households, MONTHS, "hebei_like", seed, exports, show, judged_on),
    )
    report = step(
        f"ingest the exports → {store}", lambda show: ingest(_exported(exports), store, on_progress=show)
    )
    step(
        f"features and rules as of {as_of_date} → {out / 'outputs'}",
        lambda show: (
            write_features(store, [as_of_date], out / "outputs" / "features" / "features.parquet", show),
            write_rule_hits(store, as_of_date, out / "outputs" / "rules", show),
        ),
    )
    panel = open_store(store)
    judged = step(
        f"backtest on {len(judged_on)} dates, 12 months forward → {out / 'outputs' / 'backtest'}",
        lambda show: backtest(panel, experiment, exports / "truth", show),
    )
    write_backtest(judged, out / "outputs" / "backtest")
    trained = step(
        f"train, calibrate, log to MLflow → {models}",
        lambda show: train_and_track(
            panel, experiment, models, tracking_uri, judged=judged, on_progress=show
        ),
    )
    step(
        f"score and explain every household → {out / 'outputs' / 'scores'}",
        lambda show: write_scores(store, trained.folder, as_of_date, out / "outputs" / "scores", show),
    )
    request = ForecastRequest(as_of_date, ForecastSettings(), experiment, trained.folder)
    forecast = step(
        f"forecast of new relapses, 12 months → {out / 'outputs' / 'forecast'}",
        lambda show: write_forecast(store, request, out / "outputs" / "forecast", "zh", on_progress=show),
    )
    options = ListOptions(
        max(1, round(CAPACITY * households)), ListSettings(), forecast=out / "outputs" / "forecast"
    )
    lists = step(
        f"visit list → {out / 'outputs' / 'list'}",
        lambda show: write_visit_lists(
            store, trained.folder, as_of_date, out / "outputs" / "list", options, show
        ),
    )
    result = DemoResult(out, as_of_date, report, judged, trained, forecast, lists, households)
    for line in summary_lines(result):
        console().print(line, markup=False)
    console().print(f"\nAll of it took {step.seconds:.0f} s.")
    return result


def summary_lines(result: DemoResult) -> list[str]:
    """Return the closing summary, line by line, for a reader who sees the toolkit for the first time."""
    counts = result.report.counts.values()
    lines = [
        "",
        "WHAT WAS FOUND",
        f"  Exports: {sum(c.read for c in counts):,} rows read, {sum(c.accepted for c in counts):,} stored, "
        f"{sum(c.rejected for c in counts):,} returned to be corrected, "
        f"{sum(c.duplicate for c in counts):,} exact duplicates.",
    ]
    lines += [f"  {line}" for county in result.lists.counties for line in county.summary_lines("en")]
    lines.append(f"  {_expected(result.forecast)}")
    unjudged = sum(int(str(row["cannot_judge"])) for row in result.lists.rule_counts)
    lines.append(f"  {unjudged:,} times a rule could not judge for want of data; the list says where.")
    lines += ["", "HOW GOOD IS THE LIST", *_quality(result.judged)]
    out = result.out
    lines += [
        "",
        "WHERE THE FILES ARE",
        f"  {out / 'outputs' / 'list'}      the visit list of each county (open the CSV in Excel or WPS)",
        f"  {out / 'outputs' / 'forecast'}  new relapses to expect, with pages for county and province",
        f"  {out / 'outputs' / 'backtest'}  summary.md, in Chinese and English",
        f"  {result.trained.folder}         the model; read its card.md",
        f"  {out / 'experiments' / 'mlflow.db'}   the MLflow run: `make mlflow` shows it",
        f"  {out / 'exports'}               what the synthetic county handed in; truth/ holds the true risks",
        "",
        "  The score only orders visits. It is no ground for inclusion, exit or stopping a benefit.",
    ]
    return lines


def _expected(forecast: CaseloadForecast) -> str:
    """Return what the counties together may expect in the whole span of a forecast."""
    whole = forecast.ahead.filter(level="province").sort("months_ahead").row(-1, named=True)
    return (
        f"{whole['mean']:.0f} new relapses are to be expected in the next {whole['months_ahead']} months "
        f"(80% interval {whole['low80']:.0f} to {whole['high80']:.0f})."
    )


def _quality(judged: BacktestResult) -> list[str]:
    at = {r["policy"]: r for r in judged.pooled if r["capacity"] == CAPACITY}
    rules, both = at["rules"], at["rules+model"]
    share = CAPACITY * 100
    lines = [
        f"  {judged.origins[0]['origin']} to {judged.origins[-1]['origin']}, {len(judged.origins)} dates: "
        f"{rules['n']:,} household-dates at risk (not below the line, all guarantees held), of which "
        f"{rules['events']:,.0f} relapsed within 12 months.",
        f"  {rules['n_red']:,} more in tier red, which every policy visits, are left out "
        f"({rules['events_red']:,} relapsed).",
        f"  With visits for {share:.0f}% of them ({rules['visits']:,}), each policy would have met:",
        "",
        f"    {'policy':<16}{'relapses found':>16}{'95% interval of the difference to rules':>44}",
    ]
    names = ("random", "rules", "best_indicator", "scorecard", "logistic", "model", "rules+model", "oracle")
    lines += [f"    {_quality_row(at[name])}" for name in names if name in at]
    extra = both["found_over_rules"]
    verdict = f"{extra:+.0f} relapses beside the rules alone at the same number of visits"
    low, high = both["found_over_rules_low"], both["found_over_rules_high"]
    if low is not None:
        verdict += f" (95% interval {low:+.0f} to {high:+.0f})"
        if low <= 0 <= high:
            verdict += "; that is not told apart from none"
    auc = at["model"]["roc_auc"]
    smaller = "; ".join(
        f"{record['capacity']:.0%}: {record['found_over_rules']:+.0f} "
        f"({record['found_over_rules_low']:+.0f} to {record['found_over_rules_high']:+.0f})"
        for record in judged.pooled
        if record["policy"] == "rules+model" and record["capacity"] != CAPACITY
    )
    return [
        *lines,
        "",
        f"  So rules and model together find {verdict}.",
        f"  With fewer visits: {smaller}. Orange rule hits come first, whatever the score, so",
        "  where they fill the list the model can only order them.",
        f"  AUC 12 months forward: model {auc:.3f}, logistic {at['logistic']['roc_auc']:.3f}, "
        f"best single indicator {at['best_indicator']['roc_auc']:.3f}.",
        "  `rules` is no straw man: hits by severity, ties and spare visits go by income over line.",
        "  The oracle knows each household's true state, and not the future: nobody can do better for long.",
    ]


def _quality_row(record: Record) -> str:
    low, high = record["found_over_rules_low"], record["found_over_rules_high"]
    interval = "" if low is None or record["policy"] == "rules" else f"{low:+.0f} to {high:+.0f}"
    return f"{record['policy']:<16}{record['found']:>16,.0f}{interval:>44}"


class _Steps:
    """Runs one step after the other and says how long each took."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._number = 0

    def __call__(self, title: str, work: Callable[[Progress], _Result]) -> _Result:
        self._number += 1
        started = time.monotonic()
        with progress(f"{self._number} {title}") as show:
            result = work(show)
        took = time.monotonic() - started
        self.seconds += took
        console().print(f"{self._number}. {title}  [dim]{took:.1f} s[/]")
        return result


def _experiment(out: Path) -> Experiment:
    """Write the project's experiment, judged half-yearly while a whole window follows, and return it."""
    newest = add_months(month_end(month_index(FIRST_MONTH) + MONTHS - 1), -15)
    dates = ", ".join(str(add_months(newest, -6 * back)) for back in reversed(range(3)))
    path = out / "experiments" / "default.toml"
    path.parent.mkdir()
    path.write_text(_EXPERIMENT.format(dates=dates), encoding="utf-8")
    return load(path, Experiment)


def _exported(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _clear(out: Path) -> None:
    if out.exists() and any(out.iterdir()):
        if not (out / _PROJECT_FILE).exists() or not (out / "exports" / "truth").exists():
            raise ConfigurationError(
                "RR205",
                str(out),
                "the folder holds something that the demo did not make",
                "an empty folder, or an earlier demo",
                "Name another --out",
                zh=f"“{out}”不是空文件夹，请另选 --out。",
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _PROJECT_FILE).write_text(_PROJECT, encoding="utf-8")
