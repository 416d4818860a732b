"""The model directory: text boosters, JSON and checksums; one changed byte and it is refused.

::

    models/NAME/VERSION/
        model.json        features with their fingerprints, calibration, experiment, metadata
        booster.txt       the trees, as LightGBM writes them
        coefficients.json, indicator.json, scorecard.json, rules.json     what other kinds learnt
        reliability.csv, card.md
        checksums.json    sha256 of every other file
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from relapse_risk.config import Experiment
from relapse_risk.errors import ContractError, MachineError, ModelError
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.own import feature_modules, own_features
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.calibrate import IntervalCalibration
from relapse_risk.modeling.card import render_card
from relapse_risk.modeling.estimator import RiskEstimator, make_estimator
from relapse_risk.modeling.intervals import risk_from_margins
from relapse_risk.modeling.model import TrainedModel, fingerprints, match_features
from relapse_risk.modeling.scorecard import PointsScorecard
from relapse_risk.modeling.scorecard_page import PAGE_FILE, render_page
from relapse_risk.modeling.venn_abers import VennAbers
from relapse_risk.vocabulary import Bilingual

MODEL_FILE, CARD_FILE, RELIABILITY_FILE = "model.json", "card.md", "reliability.csv"
CHECKSUM_FILE = "checksums.json"
FORMAT_VERSION = 1


def next_version(models_dir: Path, name: str) -> str:
    """Return the version after the newest of a model: ``"1"``, ``"2"`` and so on."""
    folder = models_dir / name
    taken = (
        [int(p.name) for p in folder.iterdir() if p.is_dir() and p.name.isdecimal()]
        if folder.is_dir()
        else []
    )
    return str(max(taken, default=0) + 1)


def save_model(
    model: TrainedModel,
    folder: Path,
    results: pl.DataFrame | None = None,
    files: Mapping[str, str] | None = None,
    groups: pl.DataFrame | None = None,
    relapses: Bilingual | None = None,
) -> Path:
    """Write a model's directory, all of it or none, and return it.

    Parameters
    ----------
    model : TrainedModel
    folder : Path
        ``models/NAME/VERSION``; must not exist.
    results : polars.DataFrame, optional
        Figures of a backtest, for the card.
    files : mapping of str to str, optional
        Further texts by file name, such as the experiment's TOML.
    groups : polars.DataFrame, optional
        Errors by group, for the card.
    relapses : Bilingual, optional
        Kinds of relapse and bounds of what was not seen, as Markdown, for the card.

    Raises
    ------
    ModelError
        RR411 where the directory exists: a version is never overwritten.
    MachineError
        RR611 where it can't be written.
    """
    texts = {
        **(files or {}),
        **model.estimator.fitted_files(),
        MODEL_FILE: _as_text(_plain_model(model)),
        RELIABILITY_FILE: model.reliability.write_csv(),
        CARD_FILE: render_card(model, results, groups, relapses),
        **({PAGE_FILE: render_page(model)} if isinstance(model.estimator, PointsScorecard) else {}),
    }
    return write_folder(texts, folder)


def write_folder(texts: Mapping[str, str], folder: Path) -> Path:
    """Write texts by file name and their checksums into a new directory, all of it or none, and return it.

    Raises
    ------
    ModelError
        RR411 where the directory exists: a version is never overwritten.
    MachineError
        RR611 where it can't be written.
    """
    if folder.exists():
        raise ModelError(
            "RR411",
            str(folder),
            "this version exists",
            "a new directory",
            "Take the next version: a model is never overwritten",
        )
    contents = {name: text.encode() for name, text in texts.items()}
    contents[CHECKSUM_FILE] = _as_text(
        {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    ).encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            for name, content in contents.items():
                (unfinished / name).write_bytes(content)
            unfinished.chmod(0o755)
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    except OSError as error:
        raise MachineError(
            "RR611", str(folder), f"can't be written ({error})", "a writable folder", "Check disk and rights"
        ) from error
    return folder


def load_model(folder: Path, features: FeatureSet | None = None) -> TrainedModel:
    """Return the model of a directory, after checking every file's checksum.

    Parameters
    ----------
    folder : Path
        ``models/NAME/VERSION``.
    features : FeatureSet, optional
        The features at hand (``all_features(panel)``); the catalogue and the project's own where not given,
        which is not enough for a model of the rules alone.

    Raises
    ------
    ModelError
        RR412 where this is no model directory, RR413 where a file was changed or is missing.
    ContractError
        RR361 or RR362 where the features at hand are not those of the training; RR365 where a module of the
        project that declares some of them is not in use.
    """
    contents = verified_files(folder)
    plain = _parse(contents, folder)
    if features is None:
        features = CATALOG + own_features()
    _check_modules(plain, features, folder)
    names = tuple(each["name"] for each in plain["features"])
    chosen = match_features(names, tuple(each["sha256"] for each in plain["features"]), features)
    return TrainedModel(
        Experiment.model_validate(plain["experiment"]),
        _restored_estimator(plain, contents),
        IntervalCalibration.from_json(plain["calibration"]),
        chosen,
        pl.read_csv(contents[RELIABILITY_FILE]),
        plain["metadata"],
        VennAbers.from_json(plain["venn_abers"]) if plain.get("venn_abers") else None,
    )


def _check_modules(plain: Mapping[str, Any], features: FeatureSet, folder: Path) -> None:
    missing = {
        each["module"]: plain["feature_modules"].get(each["module"], "")
        for each in plain["features"]
        if each["module"] and each["name"] not in features
    }
    if missing:
        named = ", ".join(f"{name} (sha256 {sha256[:12]}…)" for name, sha256 in missing.items())
        raise ContractError(
            "RR365",
            str(folder),
            f"it was trained with features of {named}, which is not in use",
            "the project's own modules as in training",
            f"Name {', '.join(missing)} under `features` in relapse.toml and keep the file beside it",
            zh=f"该模型使用了自定义指标模块 {'、'.join(missing)}，请放回该文件并在 relapse.toml 中列出。",
        )


def experiment_of_model(folder: Path) -> Experiment:
    """Return the experiment that a model directory was trained by, after checking every file's checksum.

    Needs no features, so that the panel they come from can be opened as the experiment asks for.

    Raises
    ------
    ModelError
        As :func:`load_model`.
    """
    return Experiment.model_validate(_parse(verified_files(folder), folder)["experiment"])


def model_file(folder: Path, name: str) -> bytes | None:
    """Return a further file of a model directory after checking its checksum; None where it has none."""
    return verified_files(folder).get(name)


def model_hash(folder: Path) -> str:
    """Return the sha256 that stands for a model directory: that of its checksums, after verifying them."""
    verified_files(folder)
    return hashlib.sha256((folder / CHECKSUM_FILE).read_bytes()).hexdigest()


class PyfuncModel:
    """What MLflow serves: risk by horizon from a frame of feature columns.

    Parameters
    ----------
    names : tuple of str
        Feature columns.
    estimator : RiskEstimator
    calibration : IntervalCalibration
    """

    def __init__(
        self, names: tuple[str, ...], estimator: RiskEstimator, calibration: IntervalCalibration
    ) -> None:
        self.names, self.estimator, self.calibration = names, estimator, calibration

    def predict(self, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        """Return columns ``risk_{h}m``, one row per row of the input; higher means more at risk.

        Raises
        ------
        ContractError
            RR361 where a feature column is missing.
        """
        missing = [name for name in self.names if name not in model_input.columns]
        if missing:
            raise ContractError(
                "RR361",
                "model input",
                f"{len(missing)} of {len(self.names)} feature columns are missing ({', '.join(missing[:5])})",
                "one column per feature of the signature",
                "Add them; empty cells are allowed",
            )
        values = model_input[list(self.names)].to_numpy(dtype=np.float64, na_value=np.nan)
        risk = risk_from_margins(self.calibration.apply(self.estimator.hazard_margins(values)))
        columns = [f"risk_{months}m" for months in self.estimator.intervals_months]
        return pd.DataFrame(risk, index=model_input.index, columns=columns)


def _load_pyfunc(path: str) -> PyfuncModel:
    """Return the model MLflow asks for; the name and the argument are MLflow's contract."""
    folder = Path(path)
    contents = verified_files(folder)
    plain = _parse(contents, folder)
    return PyfuncModel(
        tuple(each["name"] for each in plain["features"]),
        _restored_estimator(plain, contents),
        IntervalCalibration.from_json(plain["calibration"]),
    )


def _plain_model(model: TrainedModel) -> dict[str, Any]:
    return {
        "format": FORMAT_VERSION,
        "name": model.name,
        "kind": model.estimator.kind,
        "horizons_months": list(model.horizons_months),
        "features": [
            {
                "name": feature.name,
                "zh": feature.zh,
                "en": feature.en,
                "unit": feature.unit.name,
                "family": feature.family,
                "direction": int(feature.direction),
                "is_categorical": feature.is_categorical,
                "module": feature.module,
                "sha256": sha256,
            }
            for feature, sha256 in zip(model.features, fingerprints(model.features), strict=True)
        ],
        "features_sha256": model.features.fingerprint,
        "feature_modules": {
            module.name: module.sha256
            for module in feature_modules()
            if any(feature.module == module.name for feature in model.features)
        },
        "calibration": model.calibration.as_json(),
        "venn_abers": None if model.uncertainty is None else model.uncertainty.as_json(),
        "experiment": model.experiment.model_dump(mode="json"),
        "metadata": dict(model.metadata),
    }


def _restored_estimator(plain: Mapping[str, Any], contents: Mapping[str, bytes]) -> RiskEstimator:
    estimator = make_estimator(
        Experiment.model_validate(plain["experiment"]).model,
        [each["direction"] for each in plain["features"]],
        [each["is_categorical"] for each in plain["features"]],
    )
    return estimator.restore({name: content.decode() for name, content in contents.items()})


def verified_files(folder: Path) -> dict[str, bytes]:
    """Return the content of every file the checksums name, each checked.

    Raises
    ------
    ModelError
        RR412 where there are no checksums, RR413 where a file was changed or is missing.
    """
    path = folder / CHECKSUM_FILE
    if not path.is_file():
        raise ModelError(
            "RR412",
            str(folder),
            f"there is no {CHECKSUM_FILE}",
            "a model directory models/NAME/VERSION",
            "Check the path, or train a model",
            zh="该路径不是模型目录，请检查路径或先训练模型。",
        )
    listed = path.read_bytes()
    try:
        expected = json.loads(listed)
        # A list of checksums that is not written as it was left is a changed file, too.
        changed = [] if _as_text(expected).encode() == listed else [CHECKSUM_FILE]
        contents = {name: (folder / name).read_bytes() for name in expected if (folder / name).is_file()}
        changed += [
            name
            for name, sha256 in expected.items()
            if name not in contents or hashlib.sha256(contents[name]).hexdigest() != sha256
        ]
    except (ValueError, AttributeError, TypeError):
        changed, contents = [CHECKSUM_FILE], {}
    if changed or MODEL_FILE not in contents:
        raise ModelError(
            "RR413",
            str(folder),
            f"changed or missing since training: {', '.join(changed) or MODEL_FILE}",
            f"the files that {CHECKSUM_FILE} was written for",
            "Restore the directory from a copy, or train the model anew",
            zh="模型文件被改动或缺失，已拒绝使用；请恢复原文件或重新训练。",
        )
    return contents


def _parse(contents: Mapping[str, bytes], folder: Path) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(contents[MODEL_FILE])
    if plain.get("format") != FORMAT_VERSION:
        raise ModelError(
            "RR414",
            str(folder),
            f"format {plain.get('format')}",
            f"format {FORMAT_VERSION}",
            "Train the model anew with this version of the toolkit",
        )
    return plain


def _as_text(plain: object) -> str:
    return json.dumps(plain, ensure_ascii=False, indent=1, sort_keys=True, allow_nan=False) + "\n"
