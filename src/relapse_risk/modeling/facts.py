"""What a model's card and tracking say about its training: counts, hashes, versions, assumptions."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping
from importlib import metadata as packages
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import Experiment
from relapse_risk.features.expression import parameters_in
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.labels import Labels
from relapse_risk.modeling.hazard import FIT_THREADS
from relapse_risk.modeling.intervals import person_intervals
from relapse_risk.windows import OriginSplit

Positions = NDArray[np.int64]


def training_facts(
    matrix: FeatureMatrix,
    labels: Labels,
    split: OriginSplit,
    experiment: Experiment,
    features: FeatureSet,
    fit_rows: Positions,
    calibration_rows: Positions,
) -> dict[str, Any]:
    """Return data hash, origins, counts, unverified parameters, seed, versions, threads, as plain values."""
    return {
        "data": _data_facts(matrix, labels, np.sort(np.concatenate([fit_rows, calibration_rows]))),
        "origins": _origin_facts(split),
        "rows": {
            "fit": _counts(labels.rows(fit_rows)),
            "calibration": _counts(labels.rows(calibration_rows)),
            "by_interval": _interval_counts(labels.rows(fit_rows), experiment),
        },
        "lottery": _lottery_facts(labels, split),
        "unverified_parameters": _unverified_parameters(matrix, features, experiment),
        "seed": experiment.model.seed,
        "versions": _versions(),
        "threads": FIT_THREADS,
        # Sums are rounded otherwise on another kind of processor.
        "hardware": {"machine": platform.machine(), "system": platform.system()},
    }


def _lottery_facts(labels: Labels, split: OriginSplit) -> dict[str, Any] | None:
    """Return what lotteries left to learn from, in fitting and in calibration; None without a correction."""
    if labels.draws is None:
        return None
    found = {}
    for name, origins in (("fit", split.fit_origins), ("calibration", split.calibration_origins)):
        is_used = labels.index["as_of_date"].is_in(list(origins)).to_numpy() & labels.is_at_risk
        used = labels.rows(is_used)
        found[name] = None if used.draws is None else used.draws.facts(used.outcome)
    return found


def _counts(labels: Labels) -> dict[str, int]:
    outcome = labels.outcome
    by_visit = {}
    if labels.needs is not None:
        by_visit = {
            "verified": int(labels.needs.was_verified.sum()),
            "events_by_visit": int((labels.needs.month == labels.event_month).sum()),
        }
    return {
        "rows": len(labels),
        "events": int((outcome == 1).sum()),
        "event_free": int((outcome == 0).sum()),
        "censored": int(np.isnan(outcome).sum()),
        **by_visit,
    }


def _interval_counts(labels: Labels, experiment: Experiment) -> list[dict[str, Any]]:
    ends = experiment.model.intervals_months
    at_risk, event = person_intervals(labels.event_month, labels.observed_months, ends)
    return [
        {
            "months": f"({start}, {end}]",
            "at_risk": round(float(at_risk[:, k].sum())),
            "events": round(float(event[:, k].sum())),
        }
        for k, (start, end) in enumerate(zip((0, *ends[:-1]), ends, strict=True))
    ]


def _origin_facts(split: OriginSplit) -> dict[str, Any]:
    return {
        "fit": [str(day) for day in split.fit_origins],
        "calibration": [str(day) for day in split.calibration_origins],
        "labels_known_on": str(split.labels_known_on),
    }


def _data_facts(matrix: FeatureMatrix, labels: Labels, rows: Positions) -> dict[str, Any]:
    """Return what identifies the training data: counts, and a hash of identifiers, values and labels."""
    index = matrix.index[rows]
    digest = hashlib.sha256()
    digest.update(matrix.features.fingerprint.encode())
    digest.update("\n".join(index["household_id"].to_list()).encode())
    digest.update("\n".join(map(str, index["as_of_date"].to_list())).encode())
    for block in np.array_split(rows, max(1, len(rows) // 50_000)):
        digest.update(np.ascontiguousarray(matrix.values[block]).tobytes())
    corrected = () if labels.draws is None else (labels.weight,)
    for values in (labels.event_month, labels.observed_months, *corrected):
        digest.update(np.ascontiguousarray(values[rows]).tobytes())
    return {
        "sha256": digest.hexdigest(),
        "households": index["household_id"].n_unique(),
        "villages": index["village_code"].n_unique(),
        "counties": sorted(index["county_code"].unique().to_list()),
    }


def _unverified_parameters(matrix: FeatureMatrix, features: FeatureSet, experiment: Experiment) -> list[str]:
    """Return the parameters that label or features use and that nobody verified."""
    used = {name for feature in features for name in parameters_in(feature.formula)}
    if "income" in experiment.label.outcomes:
        used.add("line")
    rows = matrix.parameters.filter(pl.col("param").is_in(sorted(used)))
    return sorted({row["param"] for row in rows.iter_rows(named=True) if row["verified"] is not True})


def _versions() -> dict[str, str]:
    names = ("relapse-risk", "lightgbm", "numpy", "polars", "scikit-learn")
    return {"python": platform.python_version(), **{name: packages.version(name) for name in names}}


def plain(value: Any) -> Any:
    """Return ``value`` as JSON can hold it."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
