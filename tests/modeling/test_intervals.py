"""Person-intervals: who counts where, and risk from hazards."""

from __future__ import annotations

import numpy as np
import pytest

from relapse_risk.modeling.intervals import log_odds, person_intervals, risk_from_margins, sigmoid

ENDS = (3, 6, 12)


@pytest.mark.parametrize(
    ("event", "observed", "at_risk", "events"),
    [
        (np.nan, 12, [1, 1, 1], [0, 0, 0]),
        (1, 12, [1, 0, 0], [1, 0, 0]),
        (3, 12, [1, 0, 0], [1, 0, 0]),
        (4, 4, [1, 0, 0], [0, 0, 0]),
        (4, 6, [1, 1, 0], [0, 1, 0]),
        (12, 12, [1, 1, 1], [0, 0, 1]),
        (np.nan, 5, [1, 0, 0], [0, 0, 0]),
        (np.nan, 2, [0, 0, 0], [0, 0, 0]),
        (5, 2, [0, 0, 0], [0, 0, 0]),
        (9, 6, [1, 1, 0], [0, 0, 0]),
    ],
)
def test_a_row_leaves_at_its_event_or_at_the_first_interval_not_wholly_observed(
    event: float, observed: float, at_risk: list[int], events: list[int]
) -> None:
    found = person_intervals(np.array([event], dtype=float), np.array([observed], dtype=float), ENDS)
    assert found[0][0].astype(int).tolist() == at_risk
    assert found[1][0].astype(int).tolist() == events


def test_risk_never_falls_with_the_horizon_and_extremes_stay_probabilities() -> None:
    margins = np.random.default_rng(0).normal(scale=300, size=(1000, 4))
    risk = risk_from_margins(margins)
    assert (np.diff(risk, axis=1) >= 0).all()
    assert ((risk >= 0) & (risk <= 1)).all()


def test_sigmoid_undoes_log_odds() -> None:
    probability = np.array([1e-12, 0.2, 0.5, 0.9999])
    assert sigmoid(log_odds(probability)) == pytest.approx(probability, rel=1e-12)
