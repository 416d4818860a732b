"""Samples for training: no event is lost, weights add up exactly, and the model stays near the full one."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from tests.modeling.conftest import CALIBRATION, FIT, TEST, draw_hazard_data, make_matrix

from relapse_risk.modeling import training
from relapse_risk.modeling.card import render_card
from relapse_risk.modeling.sampling import sample_rows
from relapse_risk.modeling.training import train_model
from relapse_risk.windows import OriginSplit

EARLIER = date(2021, 6, 30)


@pytest.fixture(scope="module")
def rows():
    return make_matrix(draw_hazard_data(30_000, 8), (EARLIER, FIT, CALIBRATION))


def test_all_events_stay_and_weights_add_up_on_each_date(rows) -> None:
    _, labels = rows
    kept, weight = sample_rows(labels, (EARLIER, FIT), 8_000, 1)
    assert (np.diff(kept) > 0).all()
    is_event = ~np.isnan(labels.event_month)
    day = labels.index["as_of_date"].to_numpy()
    of_fit = np.isin(day, [np.datetime64(EARLIER), np.datetime64(FIT)])
    assert np.isin(np.flatnonzero(is_event), kept).all()
    assert np.isin(np.flatnonzero(~of_fit), kept).all()
    assert (weight[is_event[kept] | ~of_fit[kept]] == 1.0).all()
    assert of_fit[kept].sum() == pytest.approx(8_000, abs=2)
    for origin in (EARLIER, FIT):
        rest = (day == np.datetime64(origin)) & ~is_event
        assert weight[rest[kept]].sum() == pytest.approx(rest.sum(), rel=1e-12)


def test_few_rows_are_all_kept_and_the_draw_hangs_on_the_seed(rows) -> None:
    _, labels = rows
    every, weight = sample_rows(labels, (EARLIER, FIT), 20_000, 1)
    assert len(every) == len(labels)
    assert (weight == 1.0).all()
    first, again, other = (sample_rows(labels, (EARLIER, FIT), 8_000, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("kind", ["hazard", "logistic", "best_indicator", "scorecard"])
def test_a_weighted_sample_gives_nearly_the_model_of_all_rows(rows, experiment, kind: str) -> None:
    matrix, labels = rows
    split = OriginSplit((EARLIER, FIT), (CALIBRATION,), (TEST,), TEST)
    config = experiment.model.model_copy(update={"kind": kind, "n_estimators": 40})
    given = experiment.model_copy(update={"model": config})
    kept, weight = sample_rows(labels, split.fit_origins, 9_000, 1)
    full = train_model(matrix, labels, split, given)
    sampled = train_model(matrix.rows(kept), labels.rows(kept), split, given, None, weight)
    truth, found = full.predict_risk(matrix), sampled.predict_risk(matrix)
    assert found.headline.mean() == pytest.approx(truth.headline.mean(), rel=0.05)
    assert np.corrcoef(found.headline, truth.headline)[0, 1] > 0.93
    assert full.metadata["sampling"] is None
    note = sampled.metadata["sampling"]
    assert note["stand_for"] == 20_000
    assert f"{note['rows']} rows stand for 20000" in render_card(sampled)


def test_the_refit_samples_its_calibration_rows_too(rows, experiment) -> None:
    matrix, labels = rows
    split = OriginSplit((EARLIER, FIT), (CALIBRATION,), (TEST,), TEST)
    config = experiment.model.model_copy(update={"n_estimators": 20, "most_rows": 8_000})
    calibration = experiment.calibration.model_copy(update={"is_refitted": True})
    given = experiment.model_copy(update={"model": config, "calibration": calibration})
    seen: list[tuple[int, float]] = []

    def counted(*arguments):
        seen.append((len(arguments[2]), float(arguments[5][arguments[2]].sum())))
        return fitted(*arguments)

    fitted = training._fitted
    kept, weight = sample_rows(labels, split.fit_origins, 8_000, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "_fitted", counted)
        train_model(matrix.rows(kept), labels.rows(kept), split, given, None, weight)
    (first, _), (again, stand_for) = seen
    assert again - first == pytest.approx(8_000, abs=2)
    assert stand_for == pytest.approx(30_000)
