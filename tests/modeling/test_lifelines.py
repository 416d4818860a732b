"""Hazards against lifelines, on rows whose truth is a discrete-time logistic hazard (reference/README.md)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.modeling.baselines import LogisticHazard
from relapse_risk.modeling.hazard import HazardClassifier
from relapse_risk.modeling.intervals import person_intervals
from relapse_risk.modeling.newton import fit_logistic_hazard

REFERENCE = Path(__file__).parent / "reference"
ENDS = (3, 6, 12)
TRUTH = np.array([-3.0, -2.8, -2.4, 0.8, -0.5])


@pytest.fixture(scope="module")
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    counted = pl.read_csv(REFERENCE / "rows.csv").cast(pl.Float64).with_columns(pl.all().fill_null(np.nan))
    table = np.repeat(counted.to_numpy(), counted["count"].cast(pl.Int64).to_numpy(), axis=0)
    return table[:, :2], table[:, 2], table[:, 3]


def test_coefficients_are_those_of_lifelines_and_near_the_truth(rows) -> None:
    reference = pl.read_csv(REFERENCE / "coefficients.csv")
    values, event, observed = rows
    found = np.concatenate(fit_logistic_hazard(values, *person_intervals(event, observed, ENDS), 1e-6))
    error = reference["standard_error"].to_numpy()
    assert (np.abs(found - reference["coef"].to_numpy()) < 0.01 * error).all()
    assert (np.abs(found - TRUTH) < 3 * error).all()


@pytest.mark.parametrize(
    "estimator",
    [
        LogisticHazard(ENDS, c=100.0),
        HazardClassifier(ENDS, monotone_constraints=(1, -1), subsample=1.0, colsample_bytree=1.0),
    ],
    ids=["logistic", "hazard"],
)
def test_survival_curves_lie_within_the_intervals_of_lifelines(rows, estimator) -> None:
    curve = pl.read_csv(REFERENCE / "survival.csv").sort("x0", "x1", "month")
    groups = curve.select("x0", "x1").unique(maintain_order=True).to_numpy().astype(float)
    survival = (1.0 - estimator.fit(*rows).predict_risk(groups)).ravel()
    assert (survival > curve["low"].to_numpy()).all()
    assert (survival < curve["high"].to_numpy()).all()
