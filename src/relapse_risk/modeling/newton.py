"""Ridge-penalised logistic hazards by Newton's method, with one intercept an interval."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from relapse_risk.modeling.intervals import Array, log_odds, sigmoid

_BLOCK_ROWS = 20_000
_INTERCEPT_PENALTY = 1e-6
_MOST_ITERATIONS = 50
_SMALLEST_STEP = 1e-7


def fit_logistic_hazard(
    design: NDArray[np.float32] | Array, at_risk: Array, event: Array, penalty: float
) -> tuple[Array, Array]:
    """Return intercepts by interval and slopes common to all of them.

    Minimises the negative log-likelihood of the person-intervals plus ``penalty / 2`` times the squared
    length of the slopes: what scikit-learn's ``LogisticRegression(C=1 / penalty)`` minimises, with
    intercepts that are not penalised.

    Parameters
    ----------
    design : ndarray, shape (n, n_columns)
    at_risk, event : ndarray, shape (n, n_intervals)
        Weights, as ``person_intervals`` gives them.
    penalty : float

    Returns
    -------
    intercepts : ndarray, shape (n_intervals,)
    slopes : ndarray, shape (n_columns,)
    """
    counts, events = at_risk.sum(axis=0), event.sum(axis=0)
    n_intervals = len(counts)
    start = log_odds((events + 0.5) / (counts + 1.0))
    weights = np.concatenate([start, np.zeros(design.shape[1])])
    ridge = np.concatenate([np.full(n_intervals, _INTERCEPT_PENALTY), np.full(design.shape[1], penalty)])
    with single_threaded():
        weights = _minimised(design, at_risk, event, weights, ridge)
    return weights[:n_intervals], weights[n_intervals:]


def single_threaded() -> AbstractContextManager[object]:
    """Return a context in which matrix products use one thread.

    Sums then run in one order, so that coefficients are the same bits whatever the number of cores, and
    threads that spin do not slow down a machine that is shared.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def _minimised(
    design: NDArray[np.float32] | Array, at_risk: Array, event: Array, weights: Array, ridge: Array
) -> Array:
    n_intervals = at_risk.shape[1]
    loss, gradient, curvature = _derivatives(design, at_risk, event, weights, n_intervals)
    for _ in range(_MOST_ITERATIONS):
        before = loss + 0.5 * float(ridge @ weights**2)
        step = np.linalg.solve(curvature + np.diag(ridge), gradient + ridge * weights)
        if np.abs(step).max() < _SMALLEST_STEP:
            return weights - step
        scale = 1.0
        # Nearly every whole step is taken, so its derivatives are worked out along with its loss.
        while True:
            trial = weights - scale * step
            loss, gradient, curvature = _derivatives(design, at_risk, event, trial, n_intervals)
            if loss + 0.5 * float(ridge @ trial**2) <= before + 1e-9 * abs(before) or scale < 1e-4:
                break
            scale /= 2.0
        weights = trial
    return weights


def _margins(design: Array, weights: Array, n_intervals: int) -> Array:
    return (design @ weights[n_intervals:])[:, None] + weights[:n_intervals]


def _derivatives(
    design: NDArray[np.float32] | Array, at_risk: Array, event: Array, weights: Array, n_intervals: int
) -> tuple[float, Array, Array]:
    """Return the loss, its gradient and its curvature at ``weights``, without the penalty."""
    size = len(weights)
    total, gradient, curvature = 0.0, np.zeros(size), np.zeros((size, size))
    # Blocks bound the memory that float64 copies of the design take.
    for start in range(0, len(design), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = design[part].astype(np.float64)
        margin = _margins(block, weights, n_intervals)
        total += float((at_risk[part] * np.logaddexp(0.0, margin) - event[part] * margin).sum())
        hazard = sigmoid(margin)
        residual = at_risk[part] * hazard - event[part]
        spread = at_risk[part] * hazard * (1.0 - hazard)
        gradient[:n_intervals] += residual.sum(axis=0)
        gradient[n_intervals:] += block.T @ residual.sum(axis=1)
        cross = spread.T @ block
        curvature[np.arange(n_intervals), np.arange(n_intervals)] += spread.sum(axis=0)
        curvature[:n_intervals, n_intervals:] += cross
        curvature[n_intervals:, :n_intervals] += cross.T
        # Single precision costs half: the curvature only steers the steps, the gradient says where they end.
        # The root of the weights makes it a matrix times its own transpose, which costs half again.
        scaled = (
            design[part].astype(np.float32, copy=False)
            * np.sqrt(spread.sum(axis=1)).astype(np.float32)[:, None]
        )
        curvature[n_intervals:, n_intervals:] += scaled.T @ scaled
    return total, gradient, curvature
