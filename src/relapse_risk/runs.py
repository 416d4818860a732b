"""What the verbs do: run the dataflow over the counties of a store, and leave results with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from relapse_risk.engine import over_counties
from relapse_risk.explain.attribute import attribute, strongest
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.files import parquet_bytes, write_together
from relapse_risk.modeling.store import load_model, model_hash
from relapse_risk.outputs.files import csv_bytes, json_bytes
from relapse_risk.outputs.manifest import MANIFEST_FILE, manifest_of
from relapse_risk.outputs.visit_list import ListSettings, VisitList, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate, write_exports, write_truth
from relapse_risk.pipeline import Scored, score
from relapse_risk.rules.apply import apply_rules, summarise

if TYPE_CHECKING:
    from relapse_risk.panel.panel import Panel
    from relapse_risk.terminal import Progress

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
    store: Path, as_of_dates: Sequence[date], path: Path, on_progress: Progress | None = None
) -> str:
    """Write the feature matrix of all counties as Parquet, and return its shape in words."""

    def on_day(day: date) -> pl.DataFrame:
        return _all_counties(
            store, lambda _, panel: build_features(panel, [day]).to_polars(), day, on_progress
        )

    days = sorted(set(as_of_dates))
    frame = pl.concat([on_day(day) for day in days])
    contents = {"inputs": _store_facts(store), "as_of_dates": [str(day) for day in days]}
    _publish("features", contents, {path.name: parquet_bytes(frame)}, path.parent)
    return f"{frame.height} rows, {frame.width} columns"


def write_rule_hits(
    store: Path, as_of_date: date, out: Path, on_progress: Progress | None = None
) -> pl.DataFrame:
    """Write the state of every rule for every household, and return the counts by rule."""

    def of_county(_: str, panel: Panel) -> tuple[pl.DataFrame, pl.DataFrame]:
        hits = apply_rules(build_features(panel, [as_of_date]))
        states = pl.DataFrame(hits.states, schema=list(hits.codes), orient="row")
        index = hits.index.select("household_id", "as_of_date", "county_code", "village_code")
        return index.hstack(states), summarise(hits)

    parts = [part for _, part in over_counties(store, of_county, as_of_date, on_progress)]
    summary = _summed([counts for _, counts in parts])
    files = {
        "rule_hits.parquet": parquet_bytes(pl.concat([states for states, _ in parts])),
        "summary.csv": csv_bytes(summary),
    }
    contents = {"inputs": _store_facts(store), "as_of_date": str(as_of_date), "rules": summary.to_dicts()}
    _publish("rules", contents, files, out)
    return summary


def write_scores(
    store: Path, model_folder: Path, as_of_date: date, out: Path, on_progress: Progress | None = None
) -> int:
    """Write risk by horizon, score and strongest contributions of every household; return how many."""

    def of_county(_: str, panel: Panel) -> pl.DataFrame:
        scored = score(panel, load_model(model_folder, features_for(panel)), as_of_date)
        return _scores_frame(scored)

    frame = _all_counties(store, of_county, as_of_date, on_progress)
    contents = {
        "inputs": {**_store_facts(store), "model": _model_facts(model_folder)},
        "as_of_date": str(as_of_date),
        "households": frame.height,
    }
    _publish("score", contents, {"scores.parquet": parquet_bytes(frame)}, out)
    return frame.height


def write_visit_lists(
    store: Path,
    model_folder: Path | None,
    as_of_date: date,
    out: Path,
    options: ListOptions,
    on_progress: Progress | None = None,
) -> VisitList:
    """Write one visit list per county, with or without a model, and return them."""
    inputs: dict[str, object] = {
        "store": _store_facts(store),
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

    parts = [part for _, part in over_counties(store, of_county, as_of_date, on_progress)]
    lists = replace(
        parts[0],
        counties=tuple(county for part in parts for county in part.counties),
        rule_counts=tuple(_summed([pl.DataFrame(part.rule_counts) for part in parts]).to_dicts()),
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


def _all_counties(
    store: Path,
    function: Callable[[str, Panel], pl.DataFrame],
    as_of_date: date,
    on_progress: Progress | None,
) -> pl.DataFrame:
    return pl.concat([part for _, part in over_counties(store, function, as_of_date, on_progress)])


def _summed(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return counts by rule, added up over counties, in the order of the catalogue."""
    counts = [name for name, dtype in parts[0].schema.items() if dtype.is_integer()]
    names = [name for name in parts[0].columns if name not in counts]
    return pl.concat(parts).group_by(names, maintain_order=True).agg(pl.col(counts).sum())


def _store_facts(store: Path) -> dict[str, object]:
    commits = Store(store).log()
    return {"commit": commits[-1].id if commits else None, "commits": len(commits)}


def _model_facts(folder: Path) -> dict[str, object]:
    return {"name": folder.parent.name, "version": folder.name, "sha256": model_hash(folder)}


def _publish(kind: str, contents: Mapping[str, object], files: Mapping[str, bytes], out: Path) -> None:
    manifest = json_bytes(manifest_of(kind, contents, list(files.items())))
    write_together({**files, MANIFEST_FILE: manifest}, out)
