"""Risk never falls with the horizon, contributions add up to the margins, and everyone is scored."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from relapse_risk.explain.attribute import interval_contributions, interval_weights
from relapse_risk.features.build import build_features
from relapse_risk.labels import make_labels
from relapse_risk.modeling.store import save_model
from relapse_risk.panel.store import Store
from relapse_risk.runs import write_scores


def test_risk_is_a_probability_that_never_falls_with_the_horizon(county) -> None:
    """For every household, at risk or not, and for rows of other dates."""
    for matrix in (county.matrix, build_features(county.panel, [date(2021, 6, 30), date(2024, 12, 31)])):
        risk = county.model.predict_risk(matrix).risk
        assert risk.shape == (len(matrix), 3)
        assert ((risk >= 0) & (risk <= 1)).all()
        assert (np.diff(risk, axis=1) >= 0).all()
        assert len(np.unique(risk[:, -1])) > len(risk) / 10


def test_contributions_and_base_add_up_to_the_margin_of_every_interval(county) -> None:
    parts = interval_contributions(county.model, county.matrix)
    margins = county.model.hazard_margins(county.matrix)
    assert parts.shape == (*margins.shape, len(county.model.features) + 1)
    np.testing.assert_allclose(parts.sum(axis=2), margins, rtol=0, atol=1e-9)
    averaged = (interval_weights(margins) * margins).sum(axis=1)
    told = county.attributions
    np.testing.assert_allclose(told.values.sum(axis=1) + told.base, averaged, rtol=0, atol=1e-9)
    assert (np.abs(parts[:, :, :-1]).max(axis=(0, 1)) > 0).sum() > 20


def test_everyone_known_on_the_date_is_scored_and_nobody_else(county, as_of: date, tmp_path: Path) -> None:
    """The cohort limits training and evaluation only: who is not at risk has a score too."""
    Store(tmp_path / "store").commit(county.panel)
    folder = save_model(county.model, tmp_path / "models" / "small" / "1")
    n = write_scores(tmp_path / "store", folder, as_of, tmp_path / "scores")
    frame = pl.read_parquet(tmp_path / "scores" / "scores.parquet").sort("household_id")
    known = county.panel.known_at(as_of)
    experiment = county.model.experiment
    labels = make_labels(county.panel, [as_of], experiment.label, experiment.cohort, as_of)
    assert not labels.is_at_risk.all()
    assert frame["household_id"].to_list() == known.households["household_id"].to_list()
    assert n == frame.height == known.households.height
    figures = frame.select("risk_3m", "risk_6m", "risk_12m", "score")
    assert figures.null_count().sum_horizontal().item() == 0
    assert not figures.select(pl.any_horizontal(pl.all().is_nan())).to_series().any()
    np.testing.assert_array_equal(frame["risk_12m"], county.scores.headline)
    assert (frame["score"].min(), frame["score"].max()) == (0.0, 100.0)
