"""Tracking: a run holds parameters, metrics by origin, files, hashes and a pyfunc without pickle."""

from __future__ import annotations

import pickletools
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from relapse_risk.errors import MachineError
from relapse_risk.modeling.experiment_runs import PARENT_TAG, TRIAL_TAG, log_trials, parent_run
from relapse_risk.modeling.store import model_hash, save_model
from relapse_risk.modeling.tracking import log_training

ORIGIN = date(2023, 6, 30)


@pytest.fixture(scope="module")
def logged(model, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    root = tmp_path_factory.mktemp("project")
    folder = save_model(model, root / "models" / "small" / "1")
    run_id = log_training(
        model,
        folder,
        tracking_uri=f"sqlite:///{root}/experiments/mlflow.db",
        metrics_by_origin={ORIGIN: {"roc_auc": 0.7, "pr_auc": float("nan")}},
        hashes={"configuration": "abc"},
        tags={"purpose": "test"},
    )
    return root, folder, run_id


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """MLflow's own libraries warn; these tests read with its client."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_the_run_says_what_was_trained_on_what_and_how_well(logged, model) -> None:
    from mlflow import MlflowClient

    root, folder, run_id = logged
    client = MlflowClient(f"sqlite:///{root}/experiments/mlflow.db")
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["model.n_estimators"] == "20"
    assert run.data.params["rows.fit.events"] == str(model.metadata["rows"]["fit"]["events"])
    assert run.data.tags["sha256.data"] == model.metadata["data"]["sha256"]
    assert run.data.tags["sha256.model"] == model_hash(folder)
    assert run.data.tags["sha256.configuration"] == "abc"
    assert run.data.tags["purpose"] == "test"
    history = client.get_metric_history(run_id, "roc_auc")
    assert [(each.step, each.value) for each in history] == [(20230630, 0.7)]
    assert "pr_auc" not in run.data.metrics
    names = {item.path for item in client.list_artifacts(run_id)}
    assert {"card.md", "reliability.csv", "features.json", "metadata.json"} <= names


def test_nothing_logged_is_a_pickle(logged) -> None:
    root, _, _ = logged
    files = [path for path in (root / "experiments" / "mlartifacts").rglob("*") if path.is_file()]
    assert {"MLmodel", "booster.txt", "checksums.json"} <= {path.name for path in files}
    for path in files:
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".cloudpickle"}
        content = path.read_bytes()
        assert content[:1] != b"\x80"
        with pytest.raises((ValueError, UnicodeDecodeError, IndexError)):
            list(pickletools.genops(content))
        content.decode("utf-8")


def test_the_logged_model_loads_and_scores_the_same(logged, model, training_data) -> None:
    import mlflow
    from mlflow import MlflowClient

    root, _, run_id = logged
    uri = f"sqlite:///{root}/experiments/mlflow.db"
    experiment_id = MlflowClient(uri).get_run(run_id).info.experiment_id
    (found,) = MlflowClient(uri).search_logged_models([experiment_id])
    served = mlflow.pyfunc.load_model(found.artifact_location)
    assert [each.name for each in served.metadata.signature.inputs] == list(model.features.names)
    matrix = training_data[0].rows(np.arange(40)).select(model.features.names)
    risk = served.predict(matrix.to_pandas().reset_index(drop=True))
    assert np.array_equal(risk.to_numpy(), model.predict_risk(matrix).risk)


def test_a_second_run_joins_the_same_experiment(logged, model) -> None:
    from mlflow import MlflowClient

    root, folder, first = logged
    uri = f"sqlite:///{root}/experiments/mlflow.db"
    second = log_training(model, folder, tracking_uri=uri)
    client = MlflowClient(uri)
    assert client.get_run(second).info.experiment_id == client.get_run(first).info.experiment_id


def test_a_store_that_cannot_be_used_is_named(logged, model, tmp_path: Path) -> None:
    _, folder, _ = logged
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="RR621"):
        log_training(model, folder, tracking_uri=f"sqlite:///{tmp_path}/file/mlflow.db")


def test_a_trial_that_a_kill_left_half_logged_is_logged_once(logged) -> None:
    from mlflow import MlflowClient

    root, _, _ = logged
    uri = f"sqlite:///{root}/experiments/mlflow.db"
    parent, _ = parent_run(uri, "searched", "key", "what for")
    client = MlflowClient(uri)
    experiment_id = client.get_run(parent).info.experiment_id
    client.create_run(experiment_id, tags={PARENT_TAG: parent, TRIAL_TAG: "0"})
    for _ in range(2):
        log_trials(uri, parent, [(0, {"num_leaves": 7}, 0.25), (1, {"num_leaves": 15}, 0.5)])
    children = client.search_runs([experiment_id], f"tags.`{PARENT_TAG}` = '{parent}'")
    found = {run.data.tags[TRIAL_TAG]: run.data.metrics["inner_precision_at_capacity"] for run in children}
    assert found == {"0": 0.25, "1": 0.5}
    assert len(children) == 2
    assert parent_run(uri, "searched", "key", "what for") == (parent, False)
