"""Experiments from their files: search inside, backtest, guards, model, all in MLflow; resumable."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from relapse_risk.config import Experiment
from relapse_risk.errors import GuardError
from relapse_risk.evaluation.search import SearchResult, Trial, search_settings
from relapse_risk.modeling.experiment_runs import PARENT_TAG, finish_parent, log_trials, parent_run
from relapse_risk.modeling.tracking import sqlite_file
from relapse_risk.panel.panel import Panel
from relapse_risk.pipeline import Trained, train_and_track
from relapse_risk.terminal import Progress
from relapse_risk.tracked import tracked_metrics

SEARCH_FILE = "search.db"


@dataclass(frozen=True)
class ExperimentRun:
    """What became of one experiment.

    Attributes
    ----------
    experiment : Experiment
        With the settings its search chose.
    parent_id : str
        The MLflow run that holds the others.
    trained : Trained or None
        None where it had been finished before, or a guard said no.
    search : SearchResult or None
        None where it has no search section, or was finished before.
    refusal : GuardError or None
        The guard that stopped it.
    """

    experiment: Experiment
    parent_id: str
    trained: Trained | None = None
    search: SearchResult | None = None
    refusal: GuardError | None = None

    @property
    def line(self) -> str:
        """Say in a line what became of it."""
        if self.refusal is not None:
            return f"{self.experiment.name}: stopped by a guard. {self.refusal}"
        if self.trained is None:
            return f"{self.experiment.name}: finished before, MLflow run {self.parent_id}"
        found = "" if self.search is None else f" after {len(self.search.trials)} trials"
        return f"{self.experiment.name}: {self.trained.folder}{found}, MLflow run {self.parent_id}"


def run_experiment(
    panel: Panel,
    experiment: Experiment,
    models: Path,
    tracking_uri: str,
    *,
    overrides: Sequence[str] = (),
    on_progress: Progress | None = None,
) -> ExperimentRun:
    """Run one experiment, or what is left of it; one that was finished on the same data is not repeated.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
        Settings are searched for first where its ``search.space`` names any.
    models : Path
        Where the model directory goes.
    tracking_uri : str
        Finished trials are kept in ``search.db`` beside a SQLite store, else in ``experiments/``.
    overrides : sequence of str
        Guards that may fail, by name.
    """
    parent, is_finished = parent_run(
        tracking_uri, experiment.name, _key(panel, experiment), experiment.description
    )
    if is_finished:
        return ExperimentRun(experiment, parent)
    found = None
    if experiment.search.space:
        found = search_settings(
            panel,
            experiment,
            search_file(tracking_uri),
            on_progress,
            lambda trials: log_trials(tracking_uri, parent, [_row(trial) for trial in trials]),
        )
        experiment = experiment.model_copy(update={"model": found.model})
    try:
        trained = train_and_track(
            panel,
            experiment,
            models,
            tracking_uri,
            overrides=tuple(overrides),
            on_progress=on_progress,
            tags={PARENT_TAG: parent},
        )
    except GuardError as refusal:
        finish_parent(tracking_uri, parent, {}, {"stopped_by_guard": refusal.code}, is_done=False)
        return ExperimentRun(experiment, parent, None, found, refusal)
    tags = {"model_dir": f"{trained.folder.parent.name}/{trained.folder.name}", "model_run": trained.run_id}
    if found is not None:
        tags["search.inner_origins"] = ", ".join(map(str, found.inner_origins))
        tags["search.known_on"] = str(found.known_on)
        tags["search.trials"] = str(len(found.trials))
    finish_parent(tracking_uri, parent, tracked_metrics(trained.backtest), tags, is_done=True)
    return ExperimentRun(experiment, parent, trained, found)


def search_file(tracking_uri: str) -> Path:
    """Return the SQLite file of the searches: beside the tracking store, or in ``experiments``."""
    file = sqlite_file(tracking_uri)
    return (Path("experiments") if file is None else file.parent) / SEARCH_FILE


def _key(panel: Panel, experiment: Experiment) -> str:
    """Return the sha256 of the data and of everything the experiment says but its description."""
    plain = experiment.model_dump(mode="json", exclude={"description"})
    data = "".join(str(panel.provenance.get(name, "")) for name in ("data_sha256", "lotteries_sha256"))
    return hashlib.sha256((data + json.dumps(plain, sort_keys=True)).encode()).hexdigest()


def _row(trial: Trial) -> tuple[int, dict[str, object], float]:
    return trial.number, dict(trial.settings), trial.precision
