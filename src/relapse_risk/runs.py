"""What the verbs do: run the dataflow over the counties of a store, and leave results with a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from relapse_risk.engine import over_counties
from relapse_risk.errors import ConfigurationError
from relapse_risk.explain.attribute import attribute, strongest
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.files import parquet_bytes, write_together
from relapse_risk.modeling.store import load_model, model_hash
from relapse_risk.outputs.files import json_bytes
from relapse_risk.outputs.manifest import MANIFEST_FILE, manifest_of, rules_hash, unverified_thresholds
from relapse_risk.outputs.rule_tables import RuleTables, merged_unverified, summed
from relapse_risk.outputs.visit_list import ListSettings, VisitList, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate, write_exports, write_truth
from relapse_risk.pipeline import Scored, score
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.sheet import RuleSheet, explain_rules

if TYPE_CHECKING:
    from relapse_risk.panel.panel import Panel
    from relapse_risk.terminal import Progress
    from relapse_risk.thresholds import ThresholdTable
    from relapse_risk.vocabulary import Language

STRONGEST = 8


@dataclass(frozen=True)
class ListOptions:
    """How the lists of one run are made and written."""

    capacity: int
    settings: ListSettings
    is_forced: bool = False


def simulate_exports(
    households: int,
    months: int,
    scenario: str,
    seed: int,
    out: Path,
    on_progress: Progress | None = None,
    oracle_dates: Sequence[date] | None = None,
) -> list[Path]:
    """Write the raw exports of a synthetic county into ``out``, and the truth into ``out/truth``."""
    county = simulate(
        households,
        months,
        Scenario.load(scenario),
        seed=seed,
        oracle_dates=oracle_dates,
        on_progress=on_progress,
    )
    files = write_exports(county, out)
    truth = write_truth(county.truth, out / "truth")
    inputs = {"households": households, "months": months, "scenario": scenario, "seed": seed}
    written = [(path.relative_to(out).as_posix(), path.read_bytes()) for path in (*files, *truth)]
    manifest = manifest_of("simulate", {"inputs": inputs}, written)
    write_together({MANIFEST_FILE: json_bytes(manifest)}, out)
    return files


def write_features(
    store: Path,
    as_of_dates: Sequence[date],
    path: Path,
    on_progress: Progress | None = None,
    *,
    thresholds: ThresholdTable | None = None,
) -> str:
    """Write the feature matrix of all counties as Parquet, and return its shape in words."""
    days = sorted(set(as_of_dates))
    frames: list[pl.DataFrame] = []
    unverified: list[tuple[dict[str, Any], ...]] = []
    for day in days:

        def of_county(_: str, panel: Panel, day: date = day) -> FeatureMatrix:
            return build_features(panel, [day])

        for _, matrix in over_counties(store, of_county, day, on_progress, thresholds):
            frames.append(matrix.to_polars())
            unverified.append(unverified_thresholds(matrix, ()))
    frame = pl.concat(frames)
    contents = {
        "inputs": store_facts(store),
        "as_of_dates": [str(day) for day in days],
        "unverified_thresholds": list(merged_unverified(unverified)),
    }
    publish_result("features", contents, {path.name: parquet_bytes(frame)}, path.parent)
    return f"{frame.height} rows, {frame.width} columns"


def write_rule_hits(
    store: Path,
    as_of_date: date,
    out: Path,
    on_progress: Progress | None = None,
    *,
    language: Language = "zh",
    thresholds: ThresholdTable | None = None,
) -> RuleTables:
    """Write what every rule says about every household, the limits that run, candidates and check lists."""

    def of_county(_: str, panel: Panel) -> RuleTables:
        return RuleTables.of(build_features(panel, [as_of_date]), language)

    parts = over_counties(store, of_county, as_of_date, on_progress, thresholds)
    tables = RuleTables.joined([part for _, part in parts])
    contents = {
        "inputs": store_facts(store),
        "as_of_date": str(as_of_date),
        "rules_sha256": rules_hash(RULES),
        "rules": tables.summary.to_dicts(),
        "unverified_thresholds": list(tables.unverified),
        "unknown_parameters": list(tables.unknown),
    }
    publish_result("rules", contents, tables.files(language), out)
    return tables


def explain_household(
    store: Path,
    household_id: str,
    as_of_date: date,
    *,
    language: Language = "zh",
    thresholds: ThresholdTable | None = None,
) -> RuleSheet:
    """Return every rule for one household, as known on a day.

    Raises
    ------
    ConfigurationError
        RR233 where no such household was known on that day.
    """

    def of_county(_: str, panel: Panel) -> RuleSheet | None:
        known = panel.known_at(as_of_date).households["household_id"]
        if household_id not in known:
            return None
        matrix = build_features(panel, [as_of_date], households=[household_id])
        return explain_rules(matrix, apply_rules(matrix), 0, language)

    for _, sheet in over_counties(store, of_county, as_of_date, thresholds=thresholds):
        if sheet is not None:
            return sheet
    raise ConfigurationError(
        "RR233",
        f"household {household_id}",
        f"not known on {as_of_date}",
        "the household_id (户编号) of a household recorded by that day",
        "Check the identifier and the date",
        zh=f"截至 {as_of_date} 没有户编号“{household_id}”的记录，请核对户编号和日期。",
    )


def write_scores(
    store: Path,
    model_folder: Path,
    as_of_date: date,
    out: Path,
    on_progress: Progress | None = None,
    *,
    thresholds: ThresholdTable | None = None,
) -> int:
    """Write risk by horizon, score and strongest contributions of every household; return how many."""

    def of_county(_: str, panel: Panel) -> tuple[pl.DataFrame, tuple[dict[str, Any], ...]]:
        scored = score(panel, load_model(model_folder, features_for(panel)), as_of_date)
        return _scores_frame(scored), unverified_thresholds(scored.matrix, ())

    parts = [part for _, part in over_counties(store, of_county, as_of_date, on_progress, thresholds)]
    frame = pl.concat([part for part, _ in parts])
    contents = {
        "inputs": {**store_facts(store), "model": _model_facts(model_folder)},
        "as_of_date": str(as_of_date),
        "households": frame.height,
        "unverified_thresholds": list(merged_unverified([part for _, part in parts])),
    }
    publish_result("score", contents, {"scores.parquet": parquet_bytes(frame)}, out)
    return frame.height


def write_visit_lists(
    store: Path,
    model_folder: Path | None,
    as_of_date: date,
    out: Path,
    options: ListOptions,
    on_progress: Progress | None = None,
    *,
    thresholds: ThresholdTable | None = None,
) -> VisitList:
    """Write one visit list per county, with or without a model, and return them."""
    inputs: dict[str, object] = {
        "store": store_facts(store),
        "model": None if model_folder is None else _model_facts(model_folder),
    }

    def of_county(_: str, panel: Panel) -> VisitList:
        matrix = build_features(panel, [as_of_date])
        model = None if model_folder is None else load_model(model_folder, matrix.features)
        return make_visit_list(
            matrix,
            apply_rules(matrix),
            None if model is None else model.predict_risk(matrix),
            options.capacity,
            panel=panel,
            explain=None if model is None else lambda rows: attribute(model, rows),
            settings=options.settings,
            inputs=inputs,
        )

    parts = [part for _, part in over_counties(store, of_county, as_of_date, on_progress, thresholds)]
    lists = replace(
        parts[0],
        counties=tuple(county for part in parts for county in part.counties),
        rule_counts=tuple(summed([pl.DataFrame(part.rule_counts) for part in parts]).to_dicts()),
        unverified=merged_unverified([part.unverified for part in parts]),
        unknown_parameters=tuple(sorted({name for part in parts for name in part.unknown_parameters})),
    )
    write_visit_list(lists, out, is_forced=options.is_forced)
    return lists


def _scores_frame(scored: Scored) -> pl.DataFrame:
    scores = scored.scores
    risks = {f"risk_{h}m": scores.risk[:, i] for i, h in enumerate(scores.horizons_months)}
    contributions = strongest(scored.attributions, scored.matrix, STRONGEST).drop(
        "household_id", "as_of_date"
    )
    index = scores.index.select("household_id", "as_of_date", "county_code", "township_code", "village_code")
    return index.with_columns(**risks, score=scores.score).hstack(contributions)


def store_facts(store: Path) -> dict[str, object]:
    """Return which state of a store a result was made from."""
    commits = Store(store).log()
    return {"commit": commits[-1].id if commits else None, "commits": len(commits)}


def _model_facts(folder: Path) -> dict[str, object]:
    return {"name": folder.parent.name, "version": folder.name, "sha256": model_hash(folder)}


def publish_result(kind: str, contents: Mapping[str, object], files: Mapping[str, bytes], out: Path) -> None:
    """Write the files of a result and, last, their manifest."""
    manifest = json_bytes(manifest_of(kind, contents, list(files.items())))
    write_together({**files, MANIFEST_FILE: manifest}, out)
