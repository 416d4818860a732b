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
        (4, 4, [1, 1, 0], [0, 1, 0]),
        (4, 6, [1, 1, 0], [0, 1, 0]),
        (12, 11, [1, 1, 1], [0, 0, 1]),
        (12, 12, [1, 1, 1], [0, 0, 1]),
        (9, 6, [1, 1, 1], [0, 0, 1]),
        (np.nan, 5, [1, 2 / 3, 0], [0, 0, 0]),
        (np.nan, 2, [2 / 3, 0, 0], [0, 0, 0]),
        (np.nan, 0, [0, 0, 0], [0, 0, 0]),
        (5, 2, [1, 2 / 3, 0], [1 / 3, 2 / 3, 0]),
        (12, 0, [1, 3 / 4, 1 / 2], [1 / 4, 1 / 4, 1 / 2]),
        (15, 9, [1, 1, 1], [0, 0, 1 / 2]),
    ],
)
def test_an_event_counts_where_it_may_lie_and_a_free_row_as_far_as_it_was_seen(
    event: float, observed: float, at_risk: list[float], events: list[float]
) -> None:
    found = person_intervals(np.array([event], dtype=float), np.array([observed], dtype=float), ENDS)
    assert found[0][0].tolist() == pytest.approx(at_risk)
    assert found[1][0].tolist() == pytest.approx(events)


def level(event: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Hazards by interval that maximise the likelihood of the person-intervals."""
    at_risk, events = person_intervals(event, observed, ENDS)
    return np.asarray(events.sum(axis=0) / at_risk.sum(axis=0))


def test_reports_that_span_all_intervals_give_the_share_that_had_the_event_exactly() -> None:
    event = np.where(np.arange(1000) < 230, 12.0, np.nan)
    hazard = level(event, np.where(np.isnan(event), 12.0, 0.0))
    assert 1 - np.prod(1 - hazard) == pytest.approx(0.23, abs=1e-12)


def test_windows_cut_at_any_month_leave_the_hazards_as_they_are() -> None:
    """Counting the events of cut intervals without the rows that stayed free would raise the last by half."""
    rng = np.random.default_rng(3)
    monthly = np.repeat([0.01, 0.012, 0.015], [3, 3, 6])
    happens = rng.random((200_000, 12)) < monthly
    event = np.where(happens.any(axis=1), happens.argmax(axis=1) + 1.0, np.nan)
    cut = rng.integers(0, 13, len(event)).astype(float)
    seen = np.where(event <= cut, event, np.nan)
    hazard = level(seen, np.where(np.isnan(seen), cut, seen - 1))
    truth = 1 - np.array([0.99**3, 0.988**3, 0.985**6])
    assert hazard == pytest.approx(truth, rel=0.04)


def test_risk_never_falls_with_the_horizon_and_extremes_stay_probabilities() -> None:
    margins = np.random.default_rng(0).normal(scale=300, size=(1000, 4))
    risk = risk_from_margins(margins)
    assert (np.diff(risk, axis=1) >= 0).all()
    assert ((risk >= 0) & (risk <= 1)).all()


def test_sigmoid_undoes_log_odds() -> None:
    probability = np.array([1e-12, 0.2, 0.5, 0.9999])
    assert sigmoid(log_odds(probability)) == pytest.approx(probability, rel=1e-12)
