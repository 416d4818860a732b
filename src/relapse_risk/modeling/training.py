"""Training: from features and labels to a calibrated model that scores every household."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import Experiment, FeatureConfig, ModelConfig
from relapse_risk.errors import ContractError, ModelError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.labels import Labels
from relapse_risk.modeling.baselines import Blend
from relapse_risk.modeling.calibrate import IntervalCalibration, reliability_table
from relapse_risk.modeling.calibration_check import GROUPS, calibration_facts, choose_method
from relapse_risk.modeling.estimator import RiskEstimator, make_estimator
from relapse_risk.modeling.facts import plain, training_facts
from relapse_risk.modeling.hazard import HazardClassifier
from relapse_risk.modeling.intervals import Array, person_intervals, risk_from_margins
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.rules_hazard import READS, RulesHazard
from relapse_risk.modeling.sampling import sample_rows
from relapse_risk.modeling.venn_abers import VennAbers
from relapse_risk.vocabulary import Role
from relapse_risk.windows import OriginSplit, later_window

__all__ = ["FEWEST_EVENTS", "TrainedModel", "allowed_features", "choose_features", "train_model"]

FEWEST_EVENTS = 20
Positions = NDArray[np.int64]


def train_model(
    matrix: FeatureMatrix,
    labels: Labels,
    split: OriginSplit,
    experiment: Experiment,
    provenance: Mapping[str, Any] | None = None,
    sample_weight: Array | None = None,
) -> TrainedModel:
    """Fit on the split's fit origins, calibrate on its later ones, and return the model.

    Parameters
    ----------
    matrix : FeatureMatrix
        Holds at least the fit and calibration origins.
    labels : Labels
        On the same rows; read no later than ``split.labels_known_on``.
    split : OriginSplit
    experiment : Experiment
    provenance : mapping, optional
        Where the rows came from (``Panel.provenance``): ``data_sha256``, and ``assumed`` for the card.
    sample_weight : ndarray, shape (n_rows,), optional
        How many rows each stands for, where the rows are a sample
        (:func:`~relapse_risk.modeling.sampling.sample_rows`); read in fitting, not in calibration. The
        weights of ``labels``, where they are corrected by lotteries, are read in both.

    Returns
    -------
    TrainedModel

    Raises
    ------
    ContractError
        RR363 where labels and features are on different rows, RR364 where labels were read too late or
        for another horizon.
    ModelError
        RR401 where fewer than 20 events are left to fit on, RR402 where no feature is, RR403 where an
        interval was wholly observed for no row.
    """
    _check_alignment(matrix, labels, split, experiment)
    fit_rows = _rows_of(labels, split.fit_origins)
    calibration_rows = _rows_of(labels, split.calibration_origins)
    _check_events(labels, fit_rows, experiment)
    candidates = choose_features(matrix.features, experiment)
    features, dropped = (
        (candidates, []) if _reads_by_name(experiment) else _drop_empty(matrix, candidates, fit_rows)
    )
    sampled = np.ones(len(labels)) if sample_weight is None else sample_weight
    weight = sampled * labels.weight
    config, stopping_note = _stopped(matrix, labels, split, features, experiment, weight)
    estimator = _fitted(matrix, labels, fit_rows, features, config, weight)
    has_window = len(calibration_rows) > 0
    rows = calibration_rows if has_window else fit_rows
    margins = estimator.hazard_margins(_values(matrix, rows, features))
    calibration, table, calibration_note = _calibrated(
        margins, labels.rows(rows), experiment, matrix.index[rows].select(GROUPS) if has_window else None
    )
    ranking = risk_from_margins(margins)[:, -1]
    learnt = ranking, labels.outcome[rows], labels.weight[rows]
    uncertainty = VennAbers.learn(*learnt) if has_window else None
    is_refitted = experiment.calibration.is_refitted and has_window
    if is_refitted:
        later, stands_for = sample_rows(
            labels.rows(calibration_rows), split.calibration_origins, config.most_rows, config.seed
        )
        counts = weight.copy()
        counts[calibration_rows[later]] *= stands_for
        every_row = np.sort(np.concatenate([fit_rows, calibration_rows[later]]))
        estimator = _fitted(matrix, labels, every_row, features, config, counts)
        again = estimator.hazard_margins(_values(matrix, rows, features))
        calibration = calibration.carried_over(margins, again, _exposure(labels.rows(rows), experiment))
    metadata = {
        **training_facts(matrix, labels, split, experiment, features, fit_rows, calibration_rows),
        "dropped_features": dropped,
        "is_refitted": is_refitted,
        "early_stopping": stopping_note,
        "sampling": _sampling_note(fit_rows, sampled),
        "calibration": calibration_note,
        "reliability_on": "calibration" if has_window else "fit",
        "provenance": plain({key: (provenance or {}).get(key) for key in ("data_sha256", "assumed")}),
    }
    return TrainedModel(experiment, estimator, calibration, features, table, metadata, uncertainty)


def _calibrated(
    margins: Array, labels: Labels, experiment: Experiment, groups: pl.DataFrame | None
) -> tuple[IntervalCalibration, pl.DataFrame, dict[str, Any]]:
    """Return the calibration learnt on these rows, how predicted and observed risk then compare, and a note.

    Without ``groups`` the rows are those fitted on, and nothing is calibrated.
    """
    ends = experiment.model.intervals_months
    note: dict[str, Any] = {"held_out_likelihood": {}, "overall": None, "groups": []}
    method = "none" if groups is None else experiment.calibration.method
    if method == "auto":
        method, note["held_out_likelihood"] = choose_method(margins, labels, ends)
    calibration = IntervalCalibration.learn(
        margins, labels.event_month, labels.observed_months, ends, method, labels.weight
    )
    if groups is not None:
        note.update(calibration_facts(margins, labels, ends, method, groups))
    risk = risk_from_margins(calibration.apply(margins))[:, -1]
    return calibration, reliability_table(risk, labels.outcome, sample_weight=labels.weight), note


def _exposure(labels: Labels, experiment: Experiment) -> Array:
    """Return how much of each interval each row was at risk in, times its weight."""
    ends = experiment.model.intervals_months
    return person_intervals(labels.event_month, labels.observed_months, ends, labels.weight)[0]


def _values(matrix: FeatureMatrix, rows: Positions, features: FeatureSet) -> Array:
    """Return the values of some rows and features, shape ``(len(rows), len(features))``."""
    columns = np.array([matrix.features.position(name) for name in features.names])
    values: Array = matrix.values[np.ix_(rows, columns)]
    return values


def _stopped(
    matrix: FeatureMatrix,
    labels: Labels,
    split: OriginSplit,
    features: FeatureSet,
    experiment: Experiment,
    weight: Array,
) -> tuple[ModelConfig, dict[str, Any] | None]:
    """Return the settings with as many trees as help on the last fit origins, and a note of it.

    The trees that are counted are fitted on origins whose label windows end before those begin; the model
    then grows that many on all fit origins. Without trees, without such a window, or with too few events
    on either side, the settings stay as they are.
    """
    config = experiment.model
    estimator = _estimator(config, features)
    trees = estimator.hazard if isinstance(estimator, Blend) else estimator
    if not config.stopping_months or not isinstance(trees, HazardClassifier):
        return config, None
    sides = later_window(split.fit_origins, experiment.label.horizon_months, config.stopping_months)
    earlier, later = (_rows_of(labels, origins) for origins in sides)
    if any((labels.outcome[rows] == 1).sum() < FEWEST_EVENTS for rows in (earlier, later)):
        return config, None
    found = trees.trees_that_help(
        *_learnt_from(matrix, labels, earlier, features, weight),
        later=_learnt_from(matrix, labels, later, features, weight),
    )
    note = {"trees": found, "most": config.n_estimators, "judged_on": [str(day) for day in sides[1]]}
    return config.model_copy(update={"n_estimators": found}), note


def _fitted(
    matrix: FeatureMatrix,
    labels: Labels,
    rows: Positions,
    features: FeatureSet,
    config: ModelConfig,
    weight: Array,
) -> RiskEstimator:
    return _estimator(config, features).fit(*_learnt_from(matrix, labels, rows, features, weight))


def _estimator(config: ModelConfig, features: FeatureSet) -> RiskEstimator:
    return make_estimator(
        config,
        [int(feature.direction) for feature in features],
        [feature.is_categorical for feature in features],
    )


def _learnt_from(
    matrix: FeatureMatrix, labels: Labels, rows: Positions, features: FeatureSet, weight: Array
) -> tuple[Array, Array, Array, Array | None]:
    """Return values, event months, observed months and weights of some rows, as estimators take them."""
    counts = weight[rows]
    return (
        _values(matrix, rows, features),
        labels.event_month[rows],
        labels.observed_months[rows],
        None if (counts == 1.0).all() else counts,
    )


def _sampling_note(rows: Positions, weight: Array) -> dict[str, int] | None:
    """Return how many rows were fitted on, and how many they stand for; None where they are all of them."""
    stands_for = round(float(weight[rows].sum()))
    return None if stands_for == len(rows) else {"rows": len(rows), "stand_for": stands_for}


def choose_features(available: FeatureSet, experiment: Experiment) -> FeatureSet:
    """Return the features the experiment's model reads: those allowed, or what a model of the rules names.

    Raises
    ------
    ContractError
        RR312 for a name that is not among the features.
    """
    if _reads_by_name(experiment):
        return available.select(READS)
    return allowed_features(available, experiment.features)


def allowed_features(available: FeatureSet, config: FeatureConfig) -> FeatureSet:
    """Return the features a model may read: role ``model``, included, not excluded.

    Raises
    ------
    ContractError
        RR312 for a name that is not among the features.
    """
    chosen = available.select(config.include) if config.include else available
    excluded = set(available.select(config.exclude).names)
    return FeatureSet(f for f in chosen.with_role(Role.MODEL) if f.name not in excluded)


def _reads_by_name(experiment: Experiment) -> bool:
    return experiment.model.kind == RulesHazard.kind


def _check_alignment(
    matrix: FeatureMatrix, labels: Labels, split: OriginSplit, experiment: Experiment
) -> None:
    keys = ["household_id", "as_of_date"]
    if not matrix.index.select(keys).equals(labels.index.select(keys)):
        raise ContractError(
            "RR363",
            "features and labels",
            f"{len(matrix)} rows of features and {len(labels)} of labels are not the same rows",
            "one household and as-of date a row, in the same order",
            "Make both for the same panel, as-of dates and households",
        )
    if labels.horizon_months != experiment.label.horizon_months:
        raise ContractError(
            "RR364",
            "labels",
            f"they look {labels.horizon_months} months ahead",
            f"the experiment's {experiment.label.horizon_months}",
            "Make the labels with the experiment's label section",
        )
    if labels.known_on is not None and labels.known_on > split.labels_known_on:
        raise ContractError(
            "RR364",
            "labels",
            f"they were read as known on {labels.known_on}",
            f"{split.labels_known_on} or earlier, when the split says training ends",
            "Make the labels with known_on=split.labels_known_on",
        )


def _rows_of(labels: Labels, origins: tuple[date, ...]) -> Positions:
    """Return the positions of rows at risk on these as-of dates that count for something."""
    is_chosen = labels.index["as_of_date"].is_in(list(origins)).to_numpy()
    return np.flatnonzero(is_chosen & labels.is_at_risk & (labels.weight > 0.0))


def _drop_empty(
    matrix: FeatureMatrix, candidates: FeatureSet, rows: Positions
) -> tuple[FeatureSet, list[dict[str, str]]]:
    """Return the features that vary in the training rows, and why the others do not."""
    kept, dropped = [], []
    for feature in candidates:
        values = matrix.column(feature.name)[rows]
        is_known = ~np.isnan(values)
        if not is_known.any():
            dropped.append({"name": feature.name, "reason": "missing in every row"})
        elif is_known.all() and values.min() == values.max():
            dropped.append({"name": feature.name, "reason": "the same in every row"})
        else:
            kept.append(feature)
    if len(rows) and not kept:
        raise ModelError(
            "RR402",
            "training",
            f"none of {len(candidates)} features varies in the training rows",
            "at least one feature with values",
            "Check the tables ingested and the experiment's features section",
        )
    return FeatureSet(kept), dropped


def _check_events(labels: Labels, rows: Positions, experiment: Experiment) -> None:
    chosen = labels.rows(rows)
    ends = experiment.model.intervals_months
    at_risk, event = person_intervals(chosen.event_month, chosen.observed_months, ends)
    n_events = round(float(event.sum()))
    if n_events < FEWEST_EVENTS:
        raise ModelError(
            "RR401",
            "training",
            f"{n_events} events among {len(rows)} rows at risk on "
            f"{chosen.index['as_of_date'].n_unique()} fit origins",
            f"at least {FEWEST_EVENTS}",
            "Give more origins or a longer history, check that an income line is in force, or use rules "
            "only (--model none)",
            zh="训练期内返贫事件过少，无法训练模型；请提供更长的历史数据，或仅使用规则。",
        )
    is_through = at_risk - event == 1.0
    unseen = [f"{end} months" for end, count in zip(ends, is_through.sum(axis=0), strict=True) if not count]
    if unseen:
        raise ModelError(
            "RR403",
            "training",
            f"no row at risk was observed through the interval that ends at {', '.join(unseen)}",
            "label windows that reported periods cover to their end",
            "Choose as-of dates on which a reporting period ends, or shorter horizons",
            zh="没有家庭在整个预测窗口内被完整观测；请将截止日设在统计期末，或缩短预测期。",
        )
