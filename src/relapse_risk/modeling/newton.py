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
    loss, margins = _loss(design, at_risk, event, weights)
    damping = 0.0
    for _ in range(_MOST_ITERATIONS):
        before = loss + 0.5 * float(ridge @ weights**2)
        gradient, curvature = _derivatives(design, at_risk, event, margins)
        while True:
            step = np.linalg.solve(curvature + np.diag(ridge + damping), gradient + ridge * weights)
            trial = weights - step
            if np.abs(step).max() < _SMALLEST_STEP:
                return trial
            loss, margins = _loss(design, at_risk, event, trial)
            if loss + 0.5 * float(ridge @ trial**2) <= before + 1e-9 * abs(before):
                break
            # A column of few large values flattens out and asks for leaps; damping shortens these alone,
            # where halving would shorten every step (Levenberg 1944, doi:10.1090/qam/10666).
            damping = max(10.0 * damping, 1.0)
        weights = trial
        damping = damping / 10.0 if damping > 1.0 else 0.0
    return weights


def _loss(
    design: NDArray[np.float32] | Array, at_risk: Array, event: Array, weights: Array
) -> tuple[float, Array]:
    """Return the loss without the penalty, and the margins it is of, shape ``(n, n_intervals)``."""
    n_intervals = at_risk.shape[1]
    margins = np.empty(at_risk.shape)
    # Blocks bound the memory that float64 copies of the design take.
    for start in range(0, len(design), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        effect = design[part].astype(np.float64) @ weights[n_intervals:]
        margins[part] = effect[:, None] + weights[:n_intervals]
    return float((at_risk * np.logaddexp(0.0, margins) - event * margins).sum()), margins


def _derivatives(
    design: NDArray[np.float32] | Array, at_risk: Array, event: Array, margins: Array
) -> tuple[Array, Array]:
    """Return gradient and curvature of the loss where the rows have these margins, without the penalty."""
    n_intervals = at_risk.shape[1]
    size = n_intervals + design.shape[1]
    gradient, curvature = np.zeros(size), np.zeros((size, size))
    for start in range(0, len(design), _BLOCK_ROWS):
        part = slice(start, start + _BLOCK_ROWS)
        block = design[part].astype(np.float64)
        hazard = sigmoid(margins[part])
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
        root = np.sqrt(spread.sum(axis=1)).astype(np.float32)[:, None]
        scaled = design[part].astype(np.float32, copy=False) * root
        curvature[n_intervals:, n_intervals:] += scaled.T @ scaled
    return gradient, curvature
