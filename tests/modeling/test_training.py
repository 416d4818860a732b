"""Training end to end on small matrices: what is fitted, dropped, refused and said."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from tests.modeling.conftest import draw_hazard_data, make_matrix

from relapse_risk.config import CalibrationConfig, FeatureConfig
from relapse_risk.errors import ContractError, ModelError
from relapse_risk.features.expression import param
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.intervals import person_intervals, sigmoid
from relapse_risk.modeling.training import train_model
from relapse_risk.windows import OriginSplit

FIT, CALIBRATION, TEST = date(2021, 12, 31), date(2022, 12, 31), date(2024, 1, 31)
SPLIT = OriginSplit((FIT,), (CALIBRATION,), (TEST,), TEST)


@pytest.mark.parametrize("kind", ["hazard", "logistic", "blend", "best_indicator"])
def test_every_kind_scores_every_row_with_rising_risk(train, training_data, kind: str) -> None:
    matrix, labels = training_data
    scores = train(kind).predict_risk(matrix)
    assert scores.horizons_months == (3, 6, 12)
    assert scores.risk.shape == (len(matrix), 3)
    assert (np.diff(scores.risk, axis=1) >= 0).all()
    test_rows = (matrix.index["as_of_date"] > TEST).to_numpy()
    outcome, ranking = labels.outcome[test_rows], scores.ranking[test_rows]
    assert ranking[outcome == 1].mean() > ranking[outcome == 0].mean()
    assert scores.headline[test_rows].mean() == pytest.approx(np.nanmean(outcome), abs=0.06)


def test_only_model_features_that_vary_are_read(model) -> None:
    assert model.features.names == ("income_gap", "labour", "noise", "place")
    assert model.metadata["dropped_features"] == [
        {"name": "constant", "reason": "the same in every row"},
        {"name": "empty", "reason": "missing in every row"},
    ]


def test_include_and_exclude_choose_features(train) -> None:
    only = train("logistic", features=FeatureConfig(include=("labour", "income_gap", "sex")))
    assert only.features.names == ("labour", "income_gap")
    without = train("logistic", features=FeatureConfig(exclude=("noise",)))
    assert without.features.names == ("income_gap", "labour", "place")
    with pytest.raises(ContractError, match="RR312"):
        train("logistic", features=FeatureConfig(exclude=("nosie",)))


def test_rows_outside_the_fit_and_calibration_origins_change_nothing(
    training_data, experiment, model
) -> None:
    matrix, labels = training_data
    later = (matrix.index["as_of_date"] > TEST).to_numpy()
    values, event = matrix.values.copy(), labels.event_month.copy()
    values[later], event[later] = 99.0, 1.0
    altered = FeatureMatrix(matrix.index, matrix.features, values)
    again = train_model(altered, replace(labels, event_month=event), SPLIT, experiment)
    assert again.estimator.fitted_files() == model.estimator.fitted_files()
    assert again.calibration == model.calibration
    assert again.metadata == model.metadata


def test_rows_not_at_risk_are_scored_but_not_trained_on(training_data, experiment) -> None:
    matrix, labels = training_data
    at_risk = np.arange(len(labels)) % 2 == 0
    trained = train_model(matrix, replace(labels, is_at_risk=at_risk), SPLIT, experiment)
    counts = trained.metadata["rows"]["fit"]
    assert counts["rows"] == int((at_risk & (matrix.index["as_of_date"] == FIT).to_numpy()).sum())
    assert counts["events"] + counts["event_free"] + counts["censored"] == counts["rows"]
    assert len(trained.predict_risk(matrix).ranking) == len(matrix)


def test_ranking_is_uncalibrated_and_risk_calibrated(train, training_data) -> None:
    matrix, _ = training_data
    plain = train("hazard", calibration=CalibrationConfig(method="none", window_months=12))
    isotonic = train("hazard", calibration=CalibrationConfig(method="isotonic", window_months=12))
    assert np.array_equal(plain.predict_risk(matrix).ranking, isotonic.predict_risk(matrix).ranking)
    assert not np.array_equal(plain.predict_risk(matrix).risk, isotonic.predict_risk(matrix).risk)
    ranks = isotonic.predict_risk(matrix)
    order = np.argsort(ranks.ranking, kind="stable")
    assert len(np.unique(ranks.ranking)) > len(np.unique(ranks.headline))
    assert np.corrcoef(ranks.headline[order], np.arange(len(order)))[0, 1] > 0.5


def test_calibration_comes_from_the_later_window(model, training_data) -> None:
    matrix, labels = training_data
    rows = (matrix.index["as_of_date"] == CALIBRATION).to_numpy()
    _, is_event = person_intervals(labels.event_month[rows], labels.observed_months[rows], (3, 6, 12))
    assert [each.n_events for each in model.calibration.maps] == is_event.sum(axis=0).tolist()
    assert model.reliability["n"].sum() == np.isfinite(labels.outcome[rows]).sum()
    assert model.metadata["reliability_on"] == "calibration"


def test_without_a_later_window_nothing_is_calibrated_and_it_says_so(training_data, experiment) -> None:
    split = OriginSplit((FIT,), (), (TEST,), TEST)
    trained = train_model(*training_data, split, experiment)
    assert trained.calibration.method == "none"
    assert trained.metadata["reliability_on"] == "fit"


def test_refitting_uses_both_windows_and_keeps_the_calibration(train, model) -> None:
    refitted = train("hazard", calibration=CalibrationConfig(window_months=12, is_refitted=True))
    assert refitted.calibration.maps == model.calibration.maps
    assert not model.calibration.shifts
    assert len(refitted.calibration.shifts) == 3
    assert refitted.estimator.fitted_files() != model.estimator.fitted_files()
    assert refitted.metadata["is_refitted"]


@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_refitting_does_not_move_a_changed_level_twice(training_data, experiment, method: str) -> None:
    matrix, labels = training_data
    is_later = (labels.index["as_of_date"] == CALIBRATION).to_numpy()
    # In the later window two of three events do not come.
    spared = is_later & ~np.isnan(labels.event_month) & (np.arange(len(labels)) % 3 > 0)
    fewer = replace(
        labels,
        event_month=np.where(spared, np.nan, labels.event_month),
        observed_months=np.where(spared, 12.0, labels.observed_months),
    )
    calibration = CalibrationConfig(method=method, window_months=12, is_refitted=True)
    model = train_model(matrix, fewer, SPLIT, experiment.model_copy(update={"calibration": calibration}))
    later, ends = matrix.rows(is_later), (3, 6, 12)
    at_risk, event = person_intervals(fewer.event_month[is_later], fewer.observed_months[is_later], ends)
    calibrated = model.calibration.apply(model.hazard_margins(later))
    assert (at_risk * sigmoid(calibrated)).sum() == pytest.approx(event.sum(), rel=0.05)
    as_if_not_refitted = replace(model.calibration, shifts=()).apply(model.hazard_margins(later))
    assert (at_risk * sigmoid(as_if_not_refitted)).sum() < 0.8 * event.sum()


def test_the_same_inputs_train_the_same_model(train, model) -> None:
    again = train()
    assert again.estimator.fitted_files() == model.estimator.fitted_files()
    assert again.metadata == model.metadata


def test_what_bytes_hang_on_is_recorded(model) -> None:
    facts = model.metadata
    assert facts["threads"] == model.estimator.num_threads == 2
    assert facts["seed"] == 5
    assert {"python", "lightgbm", "numpy", "polars", "relapse-risk"} <= facts["versions"].keys()
    assert facts["hardware"].keys() == {"machine", "system"}


def test_a_matrix_with_more_or_reordered_columns_scores_the_same(model, training_data) -> None:
    matrix = training_data[0]
    shuffled = matrix.select(["place", "noise", "labour", "income_gap"])
    assert np.array_equal(model.predict_risk(shuffled).risk, model.predict_risk(matrix).risk)


def test_other_features_are_refused(model, training_data) -> None:
    matrix = training_data[0]
    with pytest.raises(ContractError, match=r"RR361.*income_gap"):
        model.predict_risk(matrix.select(["labour", "noise", "place"]))
    changed = FeatureSet(
        replace(f, formula=param("other")) if f.name == "labour" else f for f in matrix.features
    )
    with pytest.raises(ContractError, match=r"RR362.*labour"):
        model.predict_risk(FeatureMatrix(matrix.index, changed, matrix.values))


def test_labels_of_other_rows_horizons_or_days_are_refused(training_data, experiment) -> None:
    matrix, labels = training_data
    with pytest.raises(ContractError, match="RR363"):
        train_model(matrix, labels.rows(np.arange(10)), SPLIT, experiment)
    with pytest.raises(ContractError, match="RR364"):
        train_model(matrix, replace(labels, horizon_months=6), SPLIT, experiment)
    with pytest.raises(ContractError, match="RR364"):
        train_model(matrix, replace(labels, known_on=date(2024, 2, 1)), SPLIT, experiment)


def test_too_few_events_are_refused_with_a_way_out(training_data, experiment) -> None:
    matrix, labels = training_data
    few = np.where(np.arange(len(labels)) < 100, labels.event_month, np.nan)
    with pytest.raises(ModelError, match=r"RR401.*rules only"):
        train_model(matrix, replace(labels, event_month=few), SPLIT, experiment)


def test_an_interval_that_nobody_was_observed_through_is_refused(training_data, experiment) -> None:
    matrix, labels = training_data
    short = np.minimum(labels.observed_months, 10.0)
    with pytest.raises(ModelError, match=r"RR403.*12 months"):
        train_model(matrix, replace(labels, observed_months=short), SPLIT, experiment)


def test_unverified_parameters_and_assumed_dates_are_kept_for_the_card(training_data, experiment) -> None:
    matrix, labels = training_data
    rows = [
        ("130102", FIT, "line", 7300.0, "元", "default", False),
        ("130102", FIT, "labour", 1.0, "", "law", True),
        ("130102", FIT, "R05.ratio", 0.6, "", "default", False),
    ]
    columns = ["county_code", "as_of_date", "param", "value", "unit", "source", "verified"]
    with_parameters = replace(matrix, parameters=pl.DataFrame(rows, schema=columns, orient="row"))
    trained = train_model(
        with_parameters,
        labels,
        SPLIT,
        experiment,
        provenance={"assumed": {"observation": 12}, "commits": ["not for the model"]},
    )
    assert trained.metadata["unverified_parameters"] == ["line"]
    assert trained.metadata["provenance"] == {"assumed": {"observation": 12}, "data_sha256": None}


def test_trees_are_counted_on_the_last_fit_origins_and_grown_on_all(experiment) -> None:
    origins = (date(2019, 6, 30), date(2019, 12, 31), date(2021, 6, 30))
    matrix, labels = make_matrix(draw_hazard_data(9_000, 4), (*origins, CALIBRATION))
    split = OriginSplit(origins, (CALIBRATION,), (TEST,), TEST)
    model = experiment.model.model_copy(update={"n_estimators": 150, "learning_rate": 0.2})
    given = experiment.model_copy(update={"model": model})
    trained = train_model(matrix, labels, split, given)
    note = trained.metadata["early_stopping"]
    assert note["judged_on"] == ["2021-06-30"]
    assert 1 <= note["trees"] < note["most"] == 150
    assert trained.estimator.n_estimators == note["trees"]
    assert trained.metadata["rows"]["fit"]["rows"] == int((matrix.index["as_of_date"] < CALIBRATION).sum())
    fixed = given.model_copy(update={"model": model.model_copy(update={"stopping_months": 0})})
    assert train_model(matrix, labels, split, fixed).metadata["early_stopping"] is None


def test_without_an_earlier_origin_all_trees_are_grown(model, experiment) -> None:
    assert model.metadata["early_stopping"] is None
    assert model.estimator.n_estimators == experiment.model.n_estimators
