"""The choice of a calibration, on villages held out, and the figures that the card shows."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from tests.modeling.conftest import FIT

from relapse_risk.config import CalibrationConfig
from relapse_risk.labels import LABEL_INDEX_COLUMNS, Labels
from relapse_risk.modeling.calibration_check import calibration_facts, choose_method, held_out_margins
from relapse_risk.modeling.card import render_card
from relapse_risk.modeling.intervals import sigmoid

METHODS = ["none", "level", "sigmoid", "beta", "isotonic"]


def rows(event: np.ndarray, n_villages: int = 40) -> tuple[Labels, pl.DataFrame]:
    n = len(event)
    index = pl.DataFrame(
        {
            "household_id": [f"h{i:06d}" for i in range(n)],
            "as_of_date": [FIT] * n,
            "county_code": ["130102" if i % 2 else "130103" for i in range(n)],
            "township_code": ["130102001"] * n,
            "village_code": [f"v{i % n_villages:03d}" for i in range(n)],
        }
    )
    kinds = pl.Series("household_type", ["脱贫户"] * (n - 20) + ["一般农户"] * 20)
    labels = Labels(
        index.select(LABEL_INDEX_COLUMNS),
        np.ones(n, bool),
        np.where(event, 12.0, np.nan),
        np.full(n, 12.0),
        12,
    )
    return labels, index.with_columns(kinds)


def drawn(n: int, truth: object, seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margin = rng.normal(-2.0, 1.2, size=n)
    return margin[:, None], rng.random(n) < truth(margin)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("truth", "allowed"),
    [
        (lambda m: sigmoid(m - 1.0), {"level", "sigmoid", "beta"}),
        (lambda m: sigmoid(0.4 * m - 1.0), {"sigmoid", "beta"}),
        (lambda m: np.where(m < -2.0, 0.02, np.where(m < -1.0, 0.4, 0.42)), {"isotonic"}),
    ],
)
def test_the_method_that_fits_villages_held_out_is_chosen(truth: object, allowed: set[str]) -> None:
    margins, event = drawn(20_000, truth)
    method, likelihood = choose_method(margins, rows(event)[0], (12,))
    assert method in allowed
    assert list(likelihood) == METHODS
    assert likelihood[method] == max(likelihood.values()) > likelihood["none"]


def test_a_village_is_judged_by_what_the_others_say() -> None:
    """Its own outcomes don't reach its own margins, or a curve that bends to them would always win."""
    margins, event = drawn(2_000, sigmoid)
    own = np.arange(2_000) % 40 % 5 == 0
    flipped = np.where(own, ~event, event)
    plain = held_out_margins(margins, rows(event)[0], (12,), "isotonic")
    changed = held_out_margins(margins, rows(flipped)[0], (12,), "isotonic")
    assert np.array_equal(plain[own], changed[own])
    assert not np.array_equal(plain[~own], changed[~own])


def test_one_village_leaves_nothing_to_hold_out() -> None:
    margins, event = drawn(500, sigmoid)
    labels, index = rows(event, n_villages=1)
    assert choose_method(margins, labels, (12,)) == ("sigmoid", {})
    assert calibration_facts(margins, labels, (12,), "sigmoid", index)["overall"] is None


def test_level_and_slope_show_what_is_wrong_and_small_groups_are_not_judged() -> None:
    margins, event = drawn(40_000, lambda m: sigmoid(0.5 * m - 0.5))
    labels, index = rows(event)
    raw = calibration_facts(margins, labels, (12,), "none", index)
    assert raw["overall"]["slope"] == pytest.approx(0.5, abs=0.04)
    right = calibration_facts(margins, labels, (12,), "sigmoid", index)
    assert right["overall"]["slope"] == pytest.approx(1.0, abs=0.05)
    assert right["overall"]["in_the_large"] == pytest.approx(0.0, abs=0.01)
    by = {(each["column"], each["value"]): each for each in right["groups"]}
    assert by[("household_type", "一般农户")]["slope"] is None
    assert by[("county_code", "130102")]["rows"] == 20_000
    assert by[("county_code", "130102")]["in_the_large"] == pytest.approx(0.0, abs=0.1)


def test_a_model_chooses_and_says_how_well_it_is_calibrated(train) -> None:
    trained = train("hazard", calibration=CalibrationConfig(method="auto", window_months=12))
    facts = trained.metadata["calibration"]
    assert trained.calibration.method == max(METHODS, key=facts["held_out_likelihood"].get)
    assert facts["overall"]["in_the_large"] == pytest.approx(0.0, abs=0.3)
    json.dumps(facts, allow_nan=False)
    assert "Calibration-in-the-large" in render_card(trained)
    fixed = train("hazard", calibration=CalibrationConfig(method="level", window_months=12))
    assert {each.slope for each in fixed.calibration.maps} == {1.0}
    assert fixed.metadata["calibration"]["held_out_likelihood"] == {}
