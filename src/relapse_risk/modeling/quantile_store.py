"""The directory of an income model: text boosters, JSON and checksums, as that of a hazard model; no pickle.

::

    models/NAME/
        model.json            features with their fingerprints, horizons, levels, shifts
        quantile_0.05.txt     the trees of one level, as LightGBM writes them
        checksums.json        sha256 of every other file
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from relapse_risk.errors import ModelError
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.own import own_features
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.hazard import lightgbm_module
from relapse_risk.modeling.model import fingerprints, match_features
from relapse_risk.modeling.quantile import IncomeModel
from relapse_risk.modeling.store import MODEL_FILE, verified_files, write_folder

KIND = "income_quantiles"


def save_income(model: IncomeModel, folder: Path, facts: Mapping[str, object] | None = None) -> Path:
    """Write the model's directory, all of it or none, and return it.

    Parameters
    ----------
    model : IncomeModel
    folder : Path
        Must not exist.
    facts : mapping of str to object, optional
        What it was trained on, as plain JSON.

    Raises
    ------
    ModelError
        RR411 where the directory exists.
    MachineError
        RR611 where it can't be written.
    """
    plain = {
        "kind": KIND,
        "facts": dict(facts or {}),
        "features": [
            {"name": feature.name, "sha256": sha256}
            for feature, sha256 in zip(model.features, fingerprints(model.features), strict=True)
        ],
        "months": list(model.months),
        "levels": list(model.levels),
        "shifts": model.shifts.tolist(),
        "calibration_rows": model.calibration_rows,
    }
    texts = {
        _file(level): booster.model_to_string()
        for level, booster in zip(model.levels, model.boosters, strict=True)
    }
    texts[MODEL_FILE] = json.dumps(plain, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
    return write_folder(texts, folder)


def load_income(folder: Path, features: FeatureSet | None = None) -> IncomeModel:
    """Return the income model of a directory, after checking every file's checksum.

    Parameters
    ----------
    folder : Path
    features : FeatureSet, optional
        The features at hand; the catalogue and the project's own where not given.

    Raises
    ------
    ModelError
        RR412 where this is no model directory, RR413 where a file was changed or is missing, RR416 where it
        holds a model of another kind.
    ContractError
        RR361 or RR362 where the features at hand are not those of the training.
    """
    contents = verified_files(folder)
    plain: dict[str, Any] = json.loads(contents[MODEL_FILE])
    if plain.get("kind") != KIND:
        raise ModelError(
            "RR416",
            str(folder),
            f"a model of kind {plain.get('kind')}",
            f"one of kind {KIND}",
            "Name the directory that `relapse-risk income` made",
            zh=f"“{folder}”不是收入预测模型，请指定由 relapse-risk income 生成的目录。",
        )
    names = tuple(each["name"] for each in plain["features"])
    at_hand = CATALOG + own_features() if features is None else features
    chosen = match_features(names, tuple(each["sha256"] for each in plain["features"]), at_hand)
    levels = tuple(plain["levels"])
    booster = lightgbm_module().Booster
    return IncomeModel(
        chosen,
        tuple(plain["months"]),
        levels,
        tuple(booster(model_str=contents[_file(level)].decode()) for level in levels),
        np.array(plain["shifts"]),
        plain["calibration_rows"],
    )


def _file(level: float) -> str:
    return f"quantile_{level:g}.txt"
