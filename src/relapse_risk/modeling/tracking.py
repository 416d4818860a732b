"""Tracking of training runs in MLflow; the only module that imports it."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from datetime import date
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from relapse_risk.errors import MachineError
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.store import CARD_FILE, RELIABILITY_FILE, model_hash

if TYPE_CHECKING:
    from mlflow import MlflowClient

DEFAULT_URI = "sqlite:///experiments/mlflow.db"
REGISTERED_NAME = "relapse_risk"
_SQLITE = "sqlite:///"
_LOADER = "relapse_risk.modeling.store"


def log_training(
    model: TrainedModel,
    folder: Path,
    *,
    tracking_uri: str = DEFAULT_URI,
    experiment_name: str | None = None,
    metrics_by_origin: Mapping[date, Mapping[str, float]] | None = None,
    hashes: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    metrics: Mapping[str, float] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> str:
    """Log a trained model as an MLflow run, and return the run's identifier.

    Parameters
    ----------
    model : TrainedModel
    folder : Path
        The model's saved directory; logged as a pyfunc that the toolkit loads from text and JSON.
    tracking_uri : str
        Any MLflow tracking address. For a SQLite file, artefacts go to ``mlartifacts`` beside it.
    experiment_name : str, optional
        The experiment's own name where not given.
    metrics_by_origin : mapping, optional
        Figures of each test origin; the step is the origin as ``YYYYMMDD``.
    hashes : mapping of str to str, optional
        Hashes of data, configuration and code, beside those of the training rows and of the model.
    tags : mapping of str to str, optional
    metrics : mapping of str to float, optional
        Figures over all origins.
    files : mapping of str to bytes, optional
        Pages and pictures by name, for a reader in the browser.

    Raises
    ------
    MachineError
        RR621 where the tracking store can't be reached or written.
    """
    with tracking_store(tracking_uri) as client:
        import mlflow

        experiment_id = experiment_of(client, tracking_uri, experiment_name or model.name)
        with mlflow.start_run(experiment_id=experiment_id, run_name=_run_name(model, folder)) as run:
            mlflow.log_params(_parameters(model))
            mlflow.set_tags({**_hash_tags(model, folder, hashes), **(tags or {})})
            _log_metrics(model, metrics_by_origin)
            mlflow.log_metrics(dict(metrics or {}))
            _log_artifacts(model, folder, files or {})
            _log_pyfunc(model, folder)
        return str(run.info.run_id)


@contextmanager
def tracking_store(tracking_uri: str) -> Iterator[MlflowClient]:
    """Give a client of a tracking store and its registry; quiet, and without calls home.

    Raises
    ------
    MachineError
        RR621 where the store can't be reached or written.
    """
    with _quiet():
        import mlflow
        from mlflow.exceptions import MlflowException

        before = mlflow.get_tracking_uri()
        try:
            _make_folder(tracking_uri)
            mlflow.set_tracking_uri(tracking_uri)
            yield mlflow.MlflowClient(tracking_uri, registry_uri=tracking_uri)
        except (MlflowException, OSError) as error:
            raise MachineError(
                "RR621",
                f"tracking store {tracking_uri}",
                f"can't be used ({str(error).splitlines()[0]})",
                "a reachable MLflow tracking store",
                "Check the address, or the folder's rights; what was trained is saved",
            ) from error
        finally:
            mlflow.set_tracking_uri(before)


def sqlite_file(tracking_uri: str) -> Path | None:
    """Return the file of a SQLite tracking store; None for any other."""
    return Path(tracking_uri.removeprefix(_SQLITE)) if tracking_uri.startswith(_SQLITE) else None


def _make_folder(tracking_uri: str) -> None:
    file = sqlite_file(tracking_uri)
    if file is not None:
        file.resolve().parent.mkdir(parents=True, exist_ok=True)


def experiment_of(client: MlflowClient, tracking_uri: str, name: str) -> str:
    """Return the identifier of an MLflow experiment, made where there is none of this name."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return str(found.experiment_id)
    file = sqlite_file(tracking_uri)
    location = None if file is None else (file.resolve().parent / "mlartifacts").as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def _run_name(model: TrainedModel, folder: Path) -> str:
    return f"{model.name} {folder.name}"


def _parameters(model: TrainedModel) -> dict[str, Any]:
    """Return the experiment's settings with dotted names, and counts of what was trained on."""
    plain = model.experiment.model_dump(mode="json", exclude={"name", "description"})
    parameters = {f"{part}.{key}": value for part, items in plain.items() for key, value in items.items()}
    rows = model.metadata["rows"]
    for use in ("fit", "calibration"):
        parameters |= {f"rows.{use}.{key}": value for key, value in rows[use].items()}
    parameters["features.n"] = len(model.features)
    return {name: str(value)[:500] for name, value in parameters.items()}


def _hash_tags(model: TrainedModel, folder: Path, hashes: Mapping[str, str] | None) -> dict[str, str]:
    known = {
        "data": model.metadata["data"]["sha256"],
        "features": model.features.fingerprint,
        "model": model_hash(folder),
        **(hashes or {}),
    }
    return {
        **{f"sha256.{name}": value for name, value in known.items()},
        "model_dir": _model_dir(folder),
        **{f"version.{name}": value for name, value in model.metadata["versions"].items()},
    }


def _log_metrics(model: TrainedModel, metrics_by_origin: Mapping[date, Mapping[str, float]] | None) -> None:
    import mlflow

    for origin, metrics in sorted((metrics_by_origin or {}).items()):
        finite = {name: float(value) for name, value in metrics.items() if value == value}
        mlflow.log_metrics(finite, step=int(origin.strftime("%Y%m%d")))
    table = model.reliability
    if table.height:
        sizes = table["n"].to_numpy()
        predicted = float(np.average(table["predicted_mean"].to_numpy(), weights=sizes))
        observed = float(np.average(table["observed_share"].to_numpy(), weights=sizes))
        mlflow.log_metrics({"calibration_predicted_mean": predicted, "calibration_observed_share": observed})


def _log_artifacts(model: TrainedModel, folder: Path, files: Mapping[str, bytes]) -> None:
    import mlflow

    for name in (CARD_FILE, RELIABILITY_FILE):
        mlflow.log_artifact(str(folder / name))
    importance = model.estimator.feature_importances()
    features = [
        {
            "name": feature.name,
            "zh": feature.zh,
            "en": feature.en,
            "unit": feature.unit.name,
            "family": feature.family,
            "direction": int(feature.direction),
            "importance": float(share),
        }
        for feature, share in zip(model.features, importance, strict=True)
    ]
    mlflow.log_dict({"features": features, "dropped": model.metadata["dropped_features"]}, "features.json")
    mlflow.log_dict(dict(model.metadata), "metadata.json")
    with TemporaryDirectory() as aside:
        for name, content in files.items():
            path = Path(aside) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if files:
            mlflow.log_artifacts(aside)


def _log_pyfunc(model: TrainedModel, folder: Path) -> None:
    """Log the directory as a pyfunc that this package loads: MLflow pickles nothing."""
    import mlflow.pyfunc
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    signature = ModelSignature(
        Schema([ColSpec("double", name) for name in model.features.names]),
        Schema([ColSpec("double", f"risk_{months}m") for months in model.horizons_months]),
    )
    # MLflow tells there what the verbs say themselves.
    with redirect_stderr(StringIO()):
        logged = mlflow.pyfunc.log_model(
            name="model",
            registered_model_name=REGISTERED_NAME,
            loader_module=_LOADER,
            data_path=str(folder),
            signature=signature,
            pip_requirements=["relapse-risk"],
        )
    client = mlflow.MlflowClient()
    for key, value in {"model_dir": _model_dir(folder), "sha256": model_hash(folder)}.items():
        client.set_model_version_tag(REGISTERED_NAME, logged.registered_model_version, key, value)


def _model_dir(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow from calling home, and its libraries' notices off the terminal."""
    for name in ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK"):
        os.environ.setdefault(name, "true")
    noisy = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import mlflow  # noqa: F401  sets its own log levels, so they are lowered after it

            levels = [logger.level for logger in noisy]
            for logger in noisy:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(noisy, levels, strict=True):
                logger.setLevel(level)
