"""How good an order of households is, and how true a risk.

Ties are judged by their expected value over all random orders of the tied rows (see
:mod:`relapse_risk.evaluation.gain`). All metrics take one optional weight per row.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from relapse_risk.errors import ContractError
from relapse_risk.evaluation.gain import GainCurve, ScoreOrder, ratio, visits_at

Array = NDArray[np.float64]

# Log-odds of 0 and 1 are infinite: probabilities are kept this far from them.
_CLOSEST_TO_CERTAIN = 1e-9


def roc_auc(outcome: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the chance that an event has a higher score than a non-event; a tie counts one half.

    Parameters
    ----------
    outcome : array of float, shape (n_rows,)
        1 event, 0 none.
    score : array of float, shape (n_rows,)
        Higher means more at risk.
    weights : array of float, shape (n_rows,), optional

    Returns
    -------
    float
        0.5 for a score that says nothing; NaN where one of the two outcomes is absent.

    Notes
    -----
    Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> roc_auc([1, 0, 1, 0], [0.9, 0.1, 0.5, 0.5])
    0.875
    """
    return float(_curve(outcome, score, weights).roc_auc()[0])


def pr_auc(outcome: ArrayLike, score: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the average precision: precision at each event, averaged over the events.

    Parameters
    ----------
    outcome, score, weights
        As for :func:`roc_auc`.

    Returns
    -------
    float
        The share of events for a score that says nothing; NaN where there is no event.

    Examples
    --------
    >>> pr_auc([1, 0, 1, 0], [0.9, 0.8, 0.7, 0.1])
    0.8333333333333333
    """
    return float(_curve(outcome, score, weights).pr_auc()[0])


def precision_at_capacity(
    outcome: ArrayLike, score: ArrayLike, capacity: float, weights: ArrayLike | None = None
) -> float:
    """Return the share of visits that meet an event when the highest scores are visited.

    Parameters
    ----------
    outcome, score, weights
        As for :func:`roc_auc`.
    capacity : float
        As for :func:`visits_at`.

    Returns
    -------
    float
        The expected value over all orders of tied rows; NaN where there is no row.

    Examples
    --------
    >>> precision_at_capacity([1, 0, 1, 0], [3.0, 2.0, 2.0, 1.0], 2)
    0.75
    """
    curve = _curve(outcome, score, weights)
    visits = _weighted_visits(capacity, np.size(outcome), curve)
    return float(ratio(curve.found_at(visits), visits)[0])


def recall_at_capacity(
    outcome: ArrayLike, score: ArrayLike, capacity: float, weights: ArrayLike | None = None
) -> float:
    """Return the share of events that are met when the highest scores are visited.

    Parameters
    ----------
    outcome, score, capacity, weights
        As for :func:`precision_at_capacity`.

    Returns
    -------
    float
        The expected value over all orders of tied rows; NaN where there is no event.
    """
    curve = _curve(outcome, score, weights)
    visits = _weighted_visits(capacity, np.size(outcome), curve)
    return float(ratio(curve.found_at(visits), curve.events)[0])


def _weighted_visits(capacity: float, n: int, curve: GainCurve) -> Array:
    """Return the visits, as weight of rows: the same share of the weights as of the rows."""
    return visits_at(capacity, n) * curve.n / max(n, 1)


def _curve(outcome: ArrayLike, score: ArrayLike, weights: ArrayLike | None) -> GainCurve:
    observed = _checked(outcome, score)
    return ScoreOrder.of(score).gain(
        observed, None if weights is None else np.asarray(weights, dtype=np.float64)
    )


def _checked(outcome: ArrayLike, other: ArrayLike) -> Array:
    observed = np.asarray(outcome, dtype=np.float64)
    if observed.shape != np.shape(other) or not np.isin(observed, (0.0, 1.0)).all():
        raise ContractError(
            "RR452",
            "outcomes",
            f"shape {observed.shape} beside {np.shape(other)}, values {np.unique(observed)[:5]}",
            "one 0 or 1 for every row that is judged",
            "Leave censored rows out before judging",
        )
    return observed


def brier(outcome: ArrayLike, risk: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the mean squared distance between risk and outcome; lower is better.

    Parameters
    ----------
    outcome : array of float, shape (n_rows,)
        1 event, 0 none.
    risk : array of float, shape (n_rows,)
        Probability of the event, 0 to 1.
    weights : array of float, shape (n_rows,), optional

    Returns
    -------
    float
        NaN where there is no row.

    Notes
    -----
    Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples
    --------
    >>> brier([1, 0], [0.5, 0.5])
    0.25
    """
    squared = (np.asarray(risk, dtype=np.float64) - _checked(outcome, risk)) ** 2
    share = np.ones(len(squared)) if weights is None else np.asarray(weights, dtype=np.float64)
    return float(ratio(np.array([share @ squared]), np.array([share.sum()]))[0])


def calibration_in_the_large(outcome: ArrayLike, risk: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the shift of the log-odds that makes the mean risk equal the share of events.

    Parameters
    ----------
    outcome, risk, weights
        As for :func:`brier`.

    Returns
    -------
    float
        0 where the level is right; above 0 where the risk is too low; NaN where one of the two outcomes
        is absent.

    Notes
    -----
    Cox (1958), doi:10.1093/biomet/45.3-4.562: the intercept of a logistic regression with the log-odds of
    the risk as its offset.
    """
    observed, odds, share = _for_calibration(outcome, risk, weights)
    if not 0 < share @ observed < share.sum():
        return float("nan")
    ones = np.ones((len(observed), 1))
    return float(_logistic_fit(ones, observed, odds, share)[0])


def calibration_slope(outcome: ArrayLike, risk: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the slope of the outcome's log-odds on the risk's.

    Parameters
    ----------
    outcome, risk, weights
        As for :func:`brier`.

    Returns
    -------
    float
        1 where the spread is right; below 1 where the risks are too extreme; NaN where one of the two
        outcomes is absent or all risks are equal.

    Notes
    -----
    Cox (1958), doi:10.1093/biomet/45.3-4.562.
    """
    observed, odds, share = _for_calibration(outcome, risk, weights)
    if not 0 < share @ observed < share.sum() or np.ptp(odds[share > 0]) == 0:
        return float("nan")
    design = np.column_stack([np.ones(len(odds)), odds])
    return float(_logistic_fit(design, observed, np.zeros(len(odds)), share)[1])


def _for_calibration(
    outcome: ArrayLike, risk: ArrayLike, weights: ArrayLike | None
) -> tuple[Array, Array, Array]:
    observed = _checked(outcome, risk)
    probability = np.clip(np.asarray(risk, dtype=np.float64), _CLOSEST_TO_CERTAIN, 1.0 - _CLOSEST_TO_CERTAIN)
    share = np.ones(len(observed)) if weights is None else np.asarray(weights, dtype=np.float64)
    return observed, np.log(probability / (1.0 - probability)), share


def _logistic_fit(design: Array, outcome: Array, offset: Array, weights: Array) -> Array:
    """Return maximum-likelihood coefficients by Newton's steps, halved where one goes too far."""
    coefficients = np.zeros(design.shape[1])

    def log_likelihood(at: Array) -> float:
        odds = offset + design @ at
        return float(weights @ (outcome * odds - np.logaddexp(0.0, odds)))

    best = log_likelihood(coefficients)
    for _ in range(50):
        fitted = 0.5 * (1.0 + np.tanh((offset + design @ coefficients) / 2.0))
        curvature = (design * (weights * fitted * (1.0 - fitted))[:, None]).T @ design
        step = np.linalg.lstsq(curvature, design.T @ (weights * (outcome - fitted)), rcond=None)[0]
        while (reached := log_likelihood(coefficients + step)) < best and np.abs(step).max() > 1e-12:
            step = step / 2.0
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-10:
            break
        best = reached
    return coefficients


def reliability_table(outcome: ArrayLike, risk: ArrayLike, bins: int = 10) -> pl.DataFrame:
    """Return mean risk beside the share of events, in groups of rising risk.

    Parameters
    ----------
    outcome, risk
        As for :func:`brier`.
    bins : int
        Groups of about equal size; rows with equal risks share a group, so there may be fewer.

    Returns
    -------
    polars.DataFrame
        ``bin`` (1 is the lowest risk), ``n``, ``events``, ``risk_low``, ``risk_high``, ``predicted``,
        ``observed``.

    Examples
    --------
    >>> reliability_table([0, 0, 1, 1], [0.1, 0.2, 0.7, 0.8], bins=2)["observed"].to_list()
    [0.0, 1.0]
    """
    frame = pl.DataFrame(
        {"outcome": _checked(outcome, risk), "risk": np.asarray(risk, dtype=np.float64)}
    ).sort("risk")
    if not frame.height:
        return pl.DataFrame(schema=_RELIABILITY)
    edges = frame["risk"].to_numpy()[[frame.height * b // bins for b in range(1, bins)]]
    groups = np.searchsorted(np.unique(edges), frame["risk"].to_numpy(), side="right")
    return (
        frame.with_columns(group=groups)
        .group_by("group", maintain_order=True)
        .agg(
            n=pl.len().cast(pl.Int64),
            events=pl.col("outcome").sum().cast(pl.Int64),
            risk_low=pl.col("risk").min(),
            risk_high=pl.col("risk").max(),
            predicted=pl.col("risk").mean(),
            observed=pl.col("outcome").mean(),
        )
        .with_columns(bin=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
        .select(list(_RELIABILITY))
    )


_RELIABILITY = {
    "bin": pl.Int64,
    "n": pl.Int64,
    "events": pl.Int64,
    "risk_low": pl.Float64,
    "risk_high": pl.Float64,
    "predicted": pl.Float64,
    "observed": pl.Float64,
}
