"""MLflow as a real server on the loopback: runs, files and the registry come back, and a model answers."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from relapse_risk.modeling import registry
from relapse_risk.modeling.store import save_model
from relapse_risk.modeling.tracking import log_training

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # MLflow's libraries warn

PNG = b"\x89PNG\r\n\x1a\n not a whole picture"


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


@contextmanager
def serving(folder: Path, address: str, path: str, *arguments: str) -> Iterator[str]:
    """Run an MLflow command until the block ends; gives its address once ``path`` answers there."""
    place = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments],
            cwd=folder, env=os.environ | place, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            wait_for(f"{address}{path}", process, folder / "server.log")
            yield address
        finally:
            os.killpg(process.pid, 15)
            process.wait(30)


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text())


def test_runs_files_and_champion_come_back_from_a_server(model, tmp_path: Path) -> None:
    port = free_port()
    folder = save_model(model, tmp_path / "models" / "small" / "1")
    with serving(
        tmp_path, f"http://127.0.0.1:{port}", "/health",
        "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db",
        "--artifacts-destination", str(tmp_path / "files"),
    ) as uri:  # fmt: skip
        run_id = log_training(
            model,
            folder,
            tracking_uri=uri,
            metrics={"model.precision_at_0.05": 0.31, "model.precision_at_0.05_low": 0.27},
            files={"backtest/gain.png": PNG, "backtest/summary.html": "<h1>回测</h1>".encode()},
        )
        with urllib.request.urlopen(f"{uri}/api/2.0/mlflow/runs/get?run_id={run_id}") as answer:
            data = json.load(answer)["run"]["data"]
        metrics = {each["key"]: each["value"] for each in data["metrics"]}
        assert metrics["model.precision_at_0.05"] == 0.31
        assert metrics["model.precision_at_0.05_low"] == 0.27
        assert {"key": "model.kind", "value": "hazard"} in data["params"]
        for name, content in (("gain.png", PNG), ("summary.html", "<h1>回测</h1>".encode())):
            url = f"{uri}/get-artifact?run_uuid={run_id}&path=backtest/{name}"
            with urllib.request.urlopen(url) as answer:
                assert answer.read() == content

        assert registry.champion_of(uri) is None
        version = registry.version_of(uri, folder)
        registry.record_decision(
            uri, version, {"promotion": "promoted"}, {"decision.md": "yes"}, is_promoted=True
        )
        assert registry.champion_folder(uri, tmp_path / "models") == folder
        assert [each.is_champion for each in registry.registered_models(uri)] == [True]


def test_a_logged_model_answers_over_http(model, training_data, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    run_id = log_training(model, save_model(model, tmp_path / "models" / "small" / "1"), tracking_uri=uri)
    client = MlflowClient(uri)
    (logged,) = client.search_logged_models([client.get_run(run_id).info.experiment_id])
    matrix = training_data[0].rows(np.arange(25)).select(model.features.names)
    frame = matrix.to_pandas().reset_index(drop=True)[list(model.features.names)]
    body = {"dataframe_split": json.loads(frame.to_json(orient="split", double_precision=15))}
    port = free_port()
    with serving(
        tmp_path, f"http://127.0.0.1:{port}", "/ping",
        "models", "serve", "-m", logged.artifact_location, "--env-manager", "local",
        "--host", "127.0.0.1", "--port", str(port),
    ) as address:  # fmt: skip
        request = urllib.request.Request(
            f"{address}/invocations", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            rows = json.load(answer)["predictions"]
    risk = np.array([[row[f"risk_{months}m"] for months in model.horizons_months] for row in rows])
    np.testing.assert_allclose(risk, model.predict_risk(matrix).risk, rtol=1e-12)
