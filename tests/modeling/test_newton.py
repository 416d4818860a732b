"""The Newton fit against scikit-learn, and on data that tempt it to diverge."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from relapse_risk.modeling import newton
from relapse_risk.modeling.intervals import sigmoid
from relapse_risk.modeling.newton import fit_logistic_hazard


def test_one_interval_equals_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    design = rng.normal(size=(3000, 5))
    event = rng.random(3000) < sigmoid(design @ np.array([1.0, -0.5, 0.2, 0.0, 0.3]) - 1.0)
    reference = LogisticRegression(C=0.1, tol=1e-10, max_iter=1000).fit(design, event)
    everywhere = np.ones((3000, 1), dtype=bool)
    intercepts, slopes = fit_logistic_hazard(design, everywhere, event[:, None], 10.0)
    np.testing.assert_allclose(slopes, reference.coef_[0], atol=1e-6)
    np.testing.assert_allclose(intercepts, reference.intercept_, atol=1e-6)


def test_several_intervals_equal_one_regression_on_the_stacked_rows() -> None:
    rng = np.random.default_rng(2)
    design = rng.normal(size=(1500, 3))
    at_risk = rng.random((1500, 2)) < 0.8
    event = at_risk & (rng.random((1500, 2)) < sigmoid(design[:, :1] + np.array([-1.0, 0.5])))
    intercepts, slopes = fit_logistic_hazard(design, at_risk, event, 4.0)
    interval, row = np.nonzero(at_risk.T)
    # Intercepts as columns blown up a thousandfold are all but free of the penalty.
    stacked = np.column_stack([design[row], 1000.0 * (interval[:, None] == np.arange(2))])
    reference = LogisticRegression(C=0.25, tol=1e-12, max_iter=5000, fit_intercept=False, solver="newton-cg")
    reference.fit(stacked, event[row, interval])
    np.testing.assert_allclose(slopes, reference.coef_[0, :3], atol=1e-4)
    np.testing.assert_allclose(intercepts, 1000.0 * reference.coef_[0, 3:], atol=1e-3)


def test_separable_data_and_an_interval_without_events_stay_finite() -> None:
    design = np.linspace(-1, 1, 200)[:, None]
    event = np.column_stack([design[:, 0] > 0, np.zeros(200, dtype=bool)])
    intercepts, slopes = fit_logistic_hazard(design, np.ones((200, 2), dtype=bool), event, 1e-3)
    assert np.isfinite(intercepts).all()
    assert slopes[0] > 5
    assert sigmoid(intercepts)[1] < 1e-3


def test_a_column_of_few_large_values_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Halving every step for the leap of one column took dozens of them."""
    draw = np.random.default_rng(3)
    design = draw.normal(size=(4_000, 12)).astype(np.float32)
    design[:, 0] = np.where(draw.random(4_000) < 0.005, 60.0, 0.0)
    event = (draw.random(4_000) < sigmoid(design[:, 1] - 3.0)).astype(float)[:, None]
    event[design[:, 0] > 0] = 1.0
    seen: list[int] = []
    derivatives = newton._derivatives

    def counted(*given: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append(1)
        return derivatives(*given)

    monkeypatch.setattr(newton, "_derivatives", counted)
    intercepts, slopes = fit_logistic_hazard(design, np.ones_like(event), event, 20.0)
    fitted = LogisticRegression(C=1 / 20.0, tol=1e-10, max_iter=5_000).fit(design.astype(float), event[:, 0])
    assert np.allclose(slopes, fitted.coef_[0], atol=1e-4)
    assert np.allclose(intercepts, fitted.intercept_, atol=1e-4)
    assert len(seen) <= 15
