"""Experiments: the search never sees what is judged, goes on after a kill, and repeats nothing finished."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from relapse_risk.cli import app
from relapse_risk.config import Experiment
from relapse_risk.evaluation import search
from relapse_risk.pipeline import open_store
from relapse_risk.toml_file import load
from relapse_risk.windows import add_months

EXPERIMENT = """
name = "searched"
[model]
kind = "hazard"
n_estimators = 30
num_leaves = 7
[search]
trials = 6
inner_origins = 2
random_trials = 2
capacity = 0.1
[search.space]
num_leaves = { low = 3, high = 15 }
learning_rate = { low = 0.02, high = 0.2, is_log = true }
kind = { choices = ["hazard", "logistic"] }
[evaluation]
capacities = [0.1]
bootstrap_replicates = 20
[evaluation.origins]
dates = [2022-09-30]
"""
JUDGED = date(2022, 9, 30)
URI = "sqlite:///experiments/mlflow.db"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("experiments")
    (root / "relapse.toml").write_text(f'store = "{root / "store"}"\n', encoding="utf-8")
    (root / "searched.toml").write_text(EXPERIMENT, encoding="utf-8")
    for call in (
        ("simulate", "--households", 1000, "--months", 60, "--seed", 3, "--out", root / "exports"),
        ("ingest", root / "exports", "--store", root / "store"),
    ):
        done = CliRunner().invoke(app, [str(each) for each in call])
        assert done.exit_code == 0, done.output
    return root


@pytest.mark.filterwarnings("ignore")  # SQLAlchemy and Optuna warn of each other
def test_the_search_reads_nothing_from_after_the_first_judged_date(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = open_store(project / "store")
    experiment = load(project / "searched.toml", Experiment)
    reads: list[tuple[date, date]] = []
    make_labels, build_features = search.make_labels, search.build_features

    def labels_read(panel, dates, label, cohort, known_on):
        reads.extend((add_months(day, label.horizon_months), known_on) for day in dates)
        return make_labels(panel, dates, label, cohort, known_on)

    def features_read(panel, dates, features):
        reads.extend((day, day) for day in dates)
        return build_features(panel, dates, features)

    monkeypatch.setattr(search, "make_labels", labels_read)
    monkeypatch.setattr(search, "build_features", features_read)
    found = search.search_settings(panel, experiment, tmp_path / "search.db")

    assert len(found.trials) == 6
    assert found.known_on == JUDGED
    assert reads
    assert all(end < JUDGED and known_on <= JUDGED for end, known_on in reads)
    assert found.trials[0].settings == {"num_leaves": 7, "learning_rate": 0.05, "kind": "hazard"}
    best = max(trial.precision for trial in found.trials)
    assert best >= found.trials[0].precision
    chosen = next(trial for trial in found.trials if trial.precision == best)
    assert {name: getattr(found.model, name) for name in chosen.settings} == chosen.settings

    splits, known_on = search.inner_splits(panel, experiment)
    assert {split.test_origins[0] for split in splits} >= set(found.inner_origins) > set()
    for split in splits:
        inner = split.test_origins[0]
        assert add_months(inner, 13) <= known_on
        assert all(add_months(day, 13) <= inner for day in split.fit_origins)
        assert split.labels_known_on == inner


def test_a_search_of_what_is_no_setting_is_refused() -> None:
    plain = {"name": "x", "search": {"space": {"seed": {"choices": [1, 2]}}}}
    with pytest.raises(ValidationError, match="no setting to search called seed"):
        Experiment.model_validate(plain)
    aside = {"name": "x", "search": {"space": {"kind": {"choices": ["logistic", "scorecard"]}}}}
    with pytest.raises(ValidationError, match=r"leaves out model\.kind = hazard"):
        Experiment.model_validate(aside)
    for wrong in ({"low": 2, "high": 1}, {}, {"low": 1, "high": 2, "choices": [1]}):
        with pytest.raises(ValidationError, match="low < high, or choices"):
            Experiment.model_validate({"name": "x", "search": {"space": {"num_leaves": wrong}}})


def finished(database: Path) -> list[tuple[int, float]]:
    if not database.exists():
        return []
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as kept:
        try:
            return kept.execute(
                "select t.number, v.value from trials t join trial_values v on v.trial_id = t.trial_id "
                "where t.state = 'COMPLETE' order by t.number"
            ).fetchall()
        except sqlite3.OperationalError:  # the tables are not made yet
            return []


@pytest.mark.filterwarnings("ignore")
def test_no_trial_is_started_after_the_minutes_of_the_budget(project: Path, tmp_path: Path) -> None:
    panel = open_store(project / "store")
    experiment = load(project / "searched.toml", Experiment)

    def searched(minutes: float) -> search.SearchResult:
        budget = experiment.search.model_copy(update={"minutes": minutes, "trials": 3})
        given = experiment.model_copy(update={"search": budget})
        return search.search_settings(panel, given, tmp_path / "search.db")

    assert len(searched(1e-6).trials) == 1
    # What an earlier run has spent counts, and a larger budget goes on.
    assert len(searched(1e-6).trials) == 1
    assert len(searched(10).trials) == 3


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_killed_search_goes_on_and_finished_work_is_not_repeated(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    command = [
        sys.executable,
        "-c",
        "from relapse_risk.cli import main; main()",
        "experiment",
        "run",
        "searched.toml",
    ]
    database = project / "experiments" / "search.db"
    process = subprocess.Popen(command, cwd=project, env=dict(os.environ))
    deadline = time.monotonic() + 300
    while len(finished(database)) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = finished(database)
    assert 2 <= len(before) < 6

    said = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stdout + said.stderr
    after = finished(database)
    assert len(after) == 6
    assert after[: len(before)] == before

    monkeypatch.chdir(project)
    # By its whole path: MLflow keeps a connection for each name of a store, whatever the folder.
    client = MlflowClient(f"sqlite:///{project}/experiments/mlflow.db")
    experiment_id = client.get_experiment_by_name("searched").experiment_id
    runs = client.search_runs([experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.status for run in parents] == ["FINISHED"]
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parents[0].info.run_id]
    trials = [run for run in children if "trial" in run.data.tags]
    assert sorted(run.data.metrics["inner_precision_at_capacity"] for run in trials) == sorted(
        value for _, value in after
    )
    assert len(children) == 7
    assert parents[0].data.tags["model_dir"] == "searched/1"
    assert {"model.precision_at_0.1", "model.precision_at_0.1_low"} <= parents[0].data.metrics.keys()

    again = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert "finished before" in again.stdout
    assert len(client.search_runs([experiment_id])) == len(runs)
    assert [path.name for path in (project / "models" / "searched").iterdir() if path.is_dir()] == ["1"]
