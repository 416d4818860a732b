"""The dataflow, one function an arrow; training with its evaluation and guards is put together here.

::

    read_exports → validate → Panel → known_at → build_features → apply_rules → predict_risk
                 → explain → make_visit_list
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import Experiment
from relapse_risk.errors import ConfigurationError
from relapse_risk.evaluation.backtest import BacktestResult, run_backtest, training_origins
from relapse_risk.evaluation.guards import check_model, require_guards
from relapse_risk.evaluation.summary import kinds_and_exits
from relapse_risk.explain.attribute import Attributions, attribute
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.forecast.earlier import EXPECTED_FILE, expected_file
from relapse_risk.labels import Labels, make_labels, require_line
from relapse_risk.lottery import no_lottery
from relapse_risk.modeling.quantile import INCOME, INCOME_MONTHS, IncomeModel, fit_income, income_after
from relapse_risk.modeling.sampling import sample_rows
from relapse_risk.modeling.store import next_version, save_model
from relapse_risk.modeling.training import TrainedModel, allowed_features, choose_features, train_model
from relapse_risk.outputs.issued import find_lotteries
from relapse_risk.outputs.manifest import sha256_of
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Truth, read_truth
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.scores import RiskScores
from relapse_risk.stability import measure_stability
from relapse_risk.terminal import Progress
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.toml_file import load
from relapse_risk.tracked import tracked_metrics, tracked_pages
from relapse_risk.windows import OriginSplit, split_origins

CONTRIBUTIONS_OF = 2_000
CARD_CAPACITY = 0.05


@dataclass(frozen=True)
class Trained:
    """A model that was trained, judged, saved and tracked."""

    model: TrainedModel
    folder: Path
    run_id: str
    backtest: BacktestResult


@dataclass(frozen=True)
class Scored:
    """Scores of one as-of date, with the features they were made from and what each feature adds."""

    matrix: FeatureMatrix
    scores: RiskScores
    attributions: Attributions


def open_store(
    path: Path, thresholds: ThresholdTable | None = None, lists: Iterable[Path] | None = None
) -> Panel:
    """Return the panel of a store, all counties.

    Parameters
    ----------
    path : Path
    thresholds : ThresholdTable, optional
        The layers under the panel's own rows.
    lists : iterable of Path, optional
        Folders that lists were written to: the panel then knows their lotteries.
    """
    panel = Store(path).open()
    if thresholds is not None:
        panel = replace(panel, thresholds=thresholds)
    if lists is None:
        return panel
    drawn = find_lotteries(lists).sort("list_id", "household_id")
    told = {"lotteries_sha256": sha256_of([[str(cell) for cell in row] for row in drawn.iter_rows()])}
    return replace(panel, lotteries=drawn, provenance={**panel.provenance, **told})


def load_experiment(path: Path | str) -> Experiment:
    """Return the experiment of a TOML file."""
    return load(Path(path), Experiment)


def find_model(model: str | None, models: Path, tracking_uri: str) -> Path:
    """Return a model directory: that of the champion, or the one named, or the newest version in it.

    Parameters
    ----------
    model : str or None
        ``champion``, which is also meant where none is named, or a directory.
    models : Path
        Where model directories are.
    tracking_uri : str
        Where the registry is.

    Raises
    ------
    ConfigurationError
        RR204 where no model is there; RR207 or RR208 where there is no champion, or not here.
    ModelError
        RR415 where the champion's directory holds another model.
    """
    if model is None or model == "champion":
        from relapse_risk.modeling.registry import champion_folder

        return champion_folder(tracking_uri, models)
    start = Path(model)
    if (start / "model.json").exists():
        return start
    versions = [p for p in start.iterdir() if p.name.isdecimal()] if start.is_dir() else []
    if not versions:
        raise ConfigurationError(
            "RR204",
            str(start),
            "no model is there",
            "models/NAME/VERSION with a model.json",
            "Run relapse-risk train first, name another --model, or use `--model none` for rules only",
            zh=f"“{start}”中没有模型，请先运行 relapse-risk train，或用 --model none 仅按规则出单。",
        )
    return max(versions, key=lambda p: int(p.name))


def backtest(
    panel: Panel,
    experiment: Experiment,
    truth: Path | Truth | None = None,
    on_progress: Progress | None = None,
) -> BacktestResult:
    """Judge all policies forward in time, at equal visits; ``truth`` adds the oracle."""
    known_truth = read_truth(truth) if isinstance(truth, Path) else truth
    return run_backtest(panel, experiment, truth=known_truth, on_progress=on_progress)


def train(panel: Panel, experiment: Experiment, known_on: date | None = None) -> TrainedModel:
    """Train on every as-of date whose label window had ended, and been reported, on ``known_on``.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
    known_on : date, optional
        The day the model is made, on which labels are read; the experiment's ``labels_known_on``, or the
        day the last row was recorded, where not given.

    Returns
    -------
    TrainedModel

    Raises
    ------
    ContractError
        RR352 where a county has no monitoring line in force; RR353 where labels are to be corrected by
        lotteries and none falls into their windows.
    """
    matrix, labels, split, weight = _training_rows(panel, experiment, known_on)
    return train_model(matrix, labels, split, experiment, panel.provenance, weight)


def _training_rows(
    panel: Panel, experiment: Experiment, known_on: date | None
) -> tuple[FeatureMatrix, Labels, OriginSplit, NDArray[np.float64]]:
    """Return what a model is trained on, and how many rows each row stands for; see :func:`train`."""
    day = known_on or experiment.evaluation.labels_known_on or panel.last_recorded_on or date.max
    split = split_origins(
        training_origins(panel, experiment, day),
        (day,),
        experiment.label.horizon_months,
        gap_months=experiment.evaluation.gap_months,
        calibration_months=experiment.calibration.window_months,
        labels_known_on=day,
    )
    origins = split.fit_origins + split.calibration_origins
    features = choose_features(all_features(panel), experiment)
    require_line(panel, origins, experiment.label, experiment.cohort, day)
    labels = make_labels(panel, origins, experiment.label, experiment.cohort, day)
    labels = labels.rows(labels.is_at_risk)
    if labels.draws is not None and not labels.draws.n.any():
        raise no_lottery(f"no lottery falls into the label windows of {origins[0]} … {origins[-1]}")
    kept, weight = sample_rows(labels, split.fit_origins, experiment.model.most_rows, experiment.model.seed)
    labels = labels.rows(kept)
    households = {origin: labels.at(origin).index["household_id"].to_list() for origin in origins}
    matrix = build_features(panel, origins, features, households=households)
    return matrix, labels, split, weight


def train_income(panel: Panel, experiment: Experiment, known_on: date | None = None) -> IncomeModel:
    """Fit the quantiles of household income on every as-of date whose incomes were known on ``known_on``.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
        Says which origins, features and households are learnt from.
    known_on : date, optional
        The day the model is made; the day the last row was recorded where not given.

    Returns
    -------
    IncomeModel
        Of ``ref_income_pc_12m`` in 3, 6 and 12 months; ``model.predict(matrix).below(line, 12)`` is the
        probability of being below a line.
    """
    day = known_on or panel.last_recorded_on or date.max
    split = split_origins(
        training_origins(panel, experiment, day),
        (day,),
        max(INCOME_MONTHS),
        gap_months=0,
        calibration_months=experiment.calibration.window_months,
        labels_known_on=day,
    )
    origins = split.fit_origins + split.calibration_origins
    known = all_features(panel)
    chosen = allowed_features(known, experiment.features)
    wanted = chosen if INCOME in chosen else chosen + known.select([INCOME])
    matrix = build_features(panel, origins, wanted)
    kinds = [str(kind) for kind in experiment.cohort.household_types]
    matrix = matrix.rows(matrix.index["household_type"].is_in(kinds).fill_null(value=False).to_numpy())
    income = np.column_stack([income_after(panel, matrix.index, months) for months in INCOME_MONTHS])
    return fit_income(matrix, income, split, chosen, seed=experiment.model.seed)


def train_and_track(
    panel: Panel,
    experiment: Experiment,
    models: Path,
    tracking_uri: str,
    *,
    known_on: date | None = None,
    judged: BacktestResult | None = None,
    overrides: tuple[str, ...] = (),
    tags: Mapping[str, str] | None = None,
    on_progress: Progress | None = None,
) -> Trained:
    """Judge by backtest, check the guards, train on all mature data, save the model and log the run.

    Parameters
    ----------
    known_on : date, optional
        As in :func:`train`.
    judged : BacktestResult, optional
        A backtest of the same panel and experiment; run here where not given.
    overrides : tuple of str
        Names of guards that may fail, such as ``G3``; the card says so.
    tags : mapping of str to str, optional
        Further tags of the run.

    Raises
    ------
    GuardError
        RR501 to RR508, the number of the guard, where one fails and is not overridden.
    ConfigurationError
        RR456 where an override names no guard.
    """
    where = f"experiment {experiment.name}"
    require_guards((), overrides, where)
    result = judged or run_backtest(panel, experiment, on_progress=on_progress)
    overridden = require_guards(result.alarm_notices, overrides, where)
    if on_progress:
        on_progress("train", 0, 0)
    matrix, labels, split, weight = _training_rows(panel, experiment, known_on)
    model = train_model(matrix, labels, split, experiment, panel.provenance, weight)
    overridden += require_guards(check_model(panel, model, all_features(panel)), overrides, where)
    said = [{"code": notice.code, "zh": notice.text.zh, "en": notice.text.en} for notice in overridden]
    if on_progress:
        on_progress("stability", 0, 0)
    stability = measure_stability(panel, model, matrix, labels, split, weight)
    facts = {"overridden_guards": said, "stability": stability}
    model = replace(model, metadata={**model.metadata, **facts})
    folder = save_model(
        model,
        models / experiment.name / next_version(models, experiment.name),
        results=result.pooled_table(),
        groups=_groups_of_list(result),
        relapses=kinds_and_exits(result),
        files={EXPECTED_FILE: expected_file(result.scores, experiment.label.horizon_months)},
    )
    from relapse_risk.modeling.tracking import log_training

    run_id = log_training(
        model,
        folder,
        tracking_uri=tracking_uri,
        metrics_by_origin=result.metrics_by_origin("model"),
        hashes={
            "store": str(panel.provenance.get("data_sha256", "")),
            "lotteries": str(panel.provenance.get("lotteries_sha256", "")),
            "experiment": sha256_of(experiment.model_dump(mode="json")),
        },
        tags={"overridden_guards": ",".join(notice.code for notice in overridden), **(tags or {})},
        metrics=tracked_metrics(result),
        files=tracked_pages(result, _explained(panel, model, result)),
    )
    return Trained(model, folder, run_id, result)


def _groups_of_list(result: BacktestResult) -> pl.DataFrame:
    """Return errors by group of the list of rules and model, at the capacity nearest to 5%."""
    listed = result.groups.filter(pl.col("policy") == "rules+model")
    capacity = min(listed["capacity"].unique(), key=lambda each: abs(each - CARD_CAPACITY))
    return listed.filter(pl.col("capacity") == capacity)


def _explained(
    panel: Panel, model: TrainedModel, result: BacktestResult
) -> tuple[Attributions, FeatureMatrix]:
    """Return contributions and features of many households of the last date judged."""
    newest = result.scores.filter(pl.col("as_of_date") == pl.col("as_of_date").max())
    households = newest["household_id"].sort().head(CONTRIBUTIONS_OF).to_list()
    matrix = build_features(panel, [newest["as_of_date"][0]], model.features, households=households)
    return attribute(model, matrix), matrix


def score(panel: Panel, model: TrainedModel, as_of_date: date) -> Scored:
    """Score and explain every household known on ``as_of_date``."""
    matrix = build_features(panel, [as_of_date], all_features(panel))
    return Scored(matrix, model.predict_risk(matrix), attribute(model, matrix))
