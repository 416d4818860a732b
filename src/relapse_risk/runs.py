"""What the verbs do: run the dataflow over the counties of a store, and leave results with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from relapse_risk.engine import FeatureWork, over_counties, over_partitions
from relapse_risk.errors import ConfigurationError
from relapse_risk.explain.attribute import attribute, strongest
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import INDEX_COLUMNS
from relapse_risk.files import ParquetStream, write_together
from relapse_risk.modeling.store import load_model, model_hash
from relapse_risk.outputs.capacity import Capacity, areas_in
from relapse_risk.outputs.files import json_bytes
from relapse_risk.outputs.manifest import MANIFEST_FILE, manifest_of, rules_hash, unverified_thresholds
from relapse_risk.outputs.outlook import read_outlook
from relapse_risk.outputs.rule_tables import RuleTables, merged_unverified, summed
from relapse_risk.outputs.visit_list import ListSettings, VisitList, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.partition import PARTITION_HOUSEHOLDS
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate, write_exports, write_truth
from relapse_risk.pipeline import Scored
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.hit_counts import all_features, with_hit_counts
from relapse_risk.rules.sheet import RuleSheet, explain_rules
from relapse_risk.scores import RiskScores

if TYPE_CHECKING:
    from relapse_risk.panel.panel import Panel
    from relapse_risk.terminal import Progress
    from relapse_risk.thresholds import ThresholdTable
    from relapse_risk.vocabulary import Language

STRONGEST = 8

Told = TypeVar("Told")


@dataclass(frozen=True)
class ListOptions:
    """How the lists of one run are made and written; contacts and password are never shown."""

    capacity: int | Capacity
    settings: ListSettings
    is_forced: bool = False
    contacts: pl.DataFrame | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    forecast: Path | None = None


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
    partition_households: int | None = PARTITION_HOUSEHOLDS,
) -> str:
    """Write the feature matrix of all counties as Parquet, partition by partition; return its shape in words.

    Rows are sorted by county, bucket of the village, household and date, however the store is cut.
    """
    work = FeatureWork.of(store, as_of_dates, thresholds)
    unverified: list[tuple[dict[str, Any], ...]] = []
    with ParquetStream(path) as stream:
        for matrix in over_partitions(work, partition_households, on_progress):
            stream.write(matrix.to_polars())
            unverified.append(unverified_thresholds(matrix, ()))
            del matrix  # or it would be kept while the next one is computed
    _publish_streamed("features", features_contents(work, unverified), stream)
    return f"{stream.rows} rows, {len(INDEX_COLUMNS) + len(work.features)} columns"


def write_features_on_spark(
    store: Path,
    as_of_dates: Sequence[date],
    out: Path,
    master: str,
    *,
    thresholds: ThresholdTable | None = None,
    partition_households: int | None = PARTITION_HOUSEHOLDS,
) -> str:
    """Write the same matrix on Spark, as the folder ``out/features``; return its shape in words."""
    from relapse_risk.spark import spark_features

    work = FeatureWork.of(store, as_of_dates, thresholds)
    rows = spark_features(work, out / "features", master, partition_households)
    contents = features_contents(work, [unverified_thresholds(work.nothing(), ())])
    write_together({MANIFEST_FILE: json_bytes(manifest_of("features", contents, []))}, out)
    return f"{rows} rows, {len(INDEX_COLUMNS) + len(work.features)} columns"


def features_contents(
    work: FeatureWork, unverified: Sequence[tuple[dict[str, Any], ...]]
) -> dict[str, object]:
    """Return what the manifest of a feature matrix says."""
    return {
        "inputs": store_facts(work.store),
        "as_of_dates": [str(day) for day in work.as_of_dates],
        "features_sha256": work.features.fingerprint,
        "absent_tables": sorted(work.absent_tables),
        "unverified_thresholds": list(merged_unverified(unverified)),
    }


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


def explain_rules_of(
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

    def tell(panel: Panel) -> RuleSheet:
        matrix = build_features(panel, [as_of_date], households=[household_id])
        return explain_rules(matrix, apply_rules(matrix), 0, language)

    return in_county_of(store, household_id, as_of_date, tell, thresholds)


def in_county_of(
    store: Path,
    household_id: str,
    as_of_date: date,
    tell: Callable[[Panel], Told],
    thresholds: ThresholdTable | None,
) -> Told:
    """Return what ``tell`` says of the county in which a household lives on a day.

    Raises
    ------
    ConfigurationError
        RR233 where no such household was known on that day.
    """

    def of_county(_: str, panel: Panel) -> Told | None:
        is_here = household_id in panel.known_at(as_of_date).households["household_id"]
        return tell(panel) if is_here else None

    for _, told in over_counties(store, of_county, as_of_date, thresholds=thresholds):
        if told is not None:
            return told
    raise unknown_household(household_id, as_of_date)


def unknown_household(household_id: str, as_of_date: date) -> ConfigurationError:
    """Return the error for a household that was not known on a day."""
    return ConfigurationError(
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
    partition_households: int | None = PARTITION_HOUSEHOLDS,
) -> int:
    """Write risk by horizon, score and strongest contributions of every household; return how many.

    The score is a rank within the county: partitions are written aside first, and put in their place with
    the scores once all of them are known.
    """
    work = FeatureWork.of(store, [as_of_date], thresholds)
    work = replace(work, features=with_hit_counts(work.library))
    model = load_model(model_folder, work.features)
    unverified: list[tuple[dict[str, Any], ...]] = []
    rankings: list[pl.DataFrame] = []
    with TemporaryDirectory() as aside:
        with ParquetStream(Path(aside) / "unranked.parquet") as unranked:
            for matrix in over_partitions(work, partition_households, on_progress):
                scores = model.predict_risk(matrix)
                unranked.write(_unranked(Scored(matrix, scores, attribute(model, matrix))))
                of_row = scores.index.select(pl.col("county_code").cast(pl.Categorical), "as_of_date")
                rankings.append(of_row.with_columns(ranking=scores.ranking))
                unverified.append(unverified_thresholds(matrix, ()))
                del matrix, scores  # or they would be kept while the next ones are computed
        ranking = pl.concat(rankings)
        score = RiskScores(ranking, (), np.empty((ranking.height, 0)), ranking["ranking"].to_numpy()).score
        with ParquetStream(out / "scores.parquet") as stream:
            for part in _read_back(unranked.path):
                column = pl.Series("score", score[stream.rows : stream.rows + part.height])
                place = part.columns.index(f"risk_{model.horizons_months[-1]}m") + 1
                stream.write(part.insert_column(place, column))
    contents = {
        "inputs": {**store_facts(store), "model": _model_facts(model_folder)},
        "as_of_date": str(as_of_date),
        "households": stream.rows,
        "unverified_thresholds": list(merged_unverified(unverified)),
    }
    _publish_streamed("score", contents, stream)
    return stream.rows


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
    """Write one visit list per county, with or without a model, and return them.

    Raises
    ------
    ConfigurationError
        RR486 where capacity names an area without a household, RR263 where the forecast is of another day or
        of other data; nothing is written then.
    """
    seen: set[str] = set()
    of_store = store_facts(store)
    outlook = None if options.forecast is None else read_outlook(options.forecast, as_of_date, of_store)
    inputs: dict[str, object] = {
        "store": of_store,
        "model": None if model_folder is None else _model_facts(model_folder),
    }

    def of_county(_: str, panel: Panel) -> VisitList:
        matrix = build_features(panel, [as_of_date], all_features(panel))
        seen.update(areas_in(matrix.index))
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
    if isinstance(options.capacity, Capacity):
        options.capacity.check_areas(seen)
    lists = replace(
        parts[0],
        counties=tuple(county for part in parts for county in part.counties),
        rule_counts=tuple(summed([pl.DataFrame(part.rule_counts) for part in parts]).to_dicts()),
        unverified=merged_unverified([part.unverified for part in parts]),
        unknown_parameters=tuple(sorted({name for part in parts for name in part.unknown_parameters})),
    )
    write_visit_list(
        lists,
        out,
        is_forced=options.is_forced,
        contacts=options.contacts,
        password=options.password,
        outlook=outlook,
    )
    return lists


def _unranked(scored: Scored) -> pl.DataFrame:
    """Return risk and strongest contributions of a partition; scores need the whole county."""
    scores = scored.scores
    risks = {f"risk_{h}m": scores.risk[:, i] for i, h in enumerate(scores.horizons_months)}
    contributions = strongest(scored.attributions, scored.matrix, STRONGEST).drop(
        "household_id", "as_of_date"
    )
    index = scores.index.select("household_id", "as_of_date", "county_code", "township_code", "village_code")
    return index.with_columns(**risks).hstack(contributions)


def _read_back(path: Path) -> Iterator[pl.DataFrame]:
    """Yield the row groups of a Parquet file, one at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as stored:
        for group in range(stored.num_row_groups):
            yield pl.DataFrame(pl.from_arrow(stored.read_row_group(group)))


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


def _publish_streamed(kind: str, contents: Mapping[str, object], stream: ParquetStream) -> None:
    """Write the manifest of a result that was streamed to its place."""
    manifest = manifest_of(kind, contents, []) | {"files": {stream.path.name: stream.facts()}}
    write_together({MANIFEST_FILE: json_bytes(manifest)}, stream.path.parent)
