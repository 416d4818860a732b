"""Time-series models of counts, many series at once: naive ones, exponential smoothing, TSB, Poisson level.

All but the naive ones work on counts freed of a season that the series of a county share, because a village
has too few cases to show one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
YEAR = 12
_SEASON_PRIOR_CASES = 10.0
_ACTIVE = 0.02
_MOST_SCALED = 4.0
_SMOOTHING = (0.05, 0.1, 0.2, 0.3, 0.5)
_TSB_SIZE, _TSB_CHANCE = 0.1, 0.1
_POISSON_MEMORY = 0.96  # a month: half of what is known is forgotten after 17 months


def season_of(cases: Array, exposed: Array, first_month: int, year: int = YEAR) -> Array:
    """Return the share of a year's cases by calendar month, times ``year``; mean 1 over the year.

    Parameters
    ----------
    cases, exposed : ndarray, shape (n_months,)
        Cases, and households that reported, of all series together.
    first_month : int
        Index of the first column, so that ``index % year`` is the season.
    year : int
        Seasons a year: 12 for months, 4 for quarters.

    Notes
    -----
    Where reports come quarterly, cases can only be seen in some months: the season is that of the reports,
    times a ratio of observed to expected cases that is drawn towards 1 by the weight of ten cases a season.
    Less than a year gives a flat season.
    """
    n = len(cases)
    if n < year or exposed.sum() == 0:
        return np.ones(year)
    month = (first_month + np.arange(n)) % year
    recent = np.arange(n) >= n - (n // year) * year
    expected = exposed * cases.sum() / exposed.sum()
    totals = [np.bincount(month[recent], values[recent], year) for values in (cases, expected, exposed)]
    ratio = (totals[0] + _SEASON_PRIOR_CASES) / (totals[1] + _SEASON_PRIOR_CASES)
    season = totals[2] * ratio
    found: Array = season * year / season.sum() if season.sum() > 0 else np.ones(year)
    return found


def at_present(
    counts: Array, exposed: Array, gaps: NDArray[np.bool_], year: int = YEAR
) -> tuple[Array, Array]:
    """Return counts as if as many households had reported as in the last year, and these households.

    Parameters
    ----------
    counts : ndarray, shape (n_series, n_months)
    exposed : ndarray, shape (n_series, n_months) or (1, n_months)
        Households that reported, of each series or of all.
    gaps : ndarray of bool, shape (n_months,)
        Months that were hardly reported: they had cases all the same, and get the mean of the same months of
        other years, or of all months.
    year : int
        Columns a year.

    Notes
    -----
    Each month is scaled by the households of the latest same month over its own, four times at most: a panel
    that doubles has twice the cases at the same risk.
    """
    found, present = counts.copy(), exposed.copy()
    n, is_known = counts.shape[1], ~gaps
    for phase in range(min(year, n)):
        columns = np.arange(phase, n, year)
        known = columns[is_known[columns]]
        if len(known):
            before, now = exposed[:, known], exposed[:, known[-1:]]
            ratio = np.divide(now, before, out=np.ones_like(before), where=before > 0)
            found[:, known] *= np.clip(ratio, 1 / _MOST_SCALED, _MOST_SCALED)
            found[:, columns[gaps[columns]]] = found[:, known].mean(axis=1, keepdims=True)
            present[:, columns] = now
    for phase in range(min(year, n)):
        columns = np.arange(phase, n, year)
        if gaps[columns].all() and is_known.any():
            found[:, columns] = found[:, is_known].mean(axis=1, keepdims=True)
    return found, present


def last_value(counts: Array, season: Array, first_month: int, steps: int) -> Array:
    """Return the last quarter's mean repeated: a single month of quarterly reports would be 0."""
    del first_month
    quarter = max(len(season) // 4, 1)
    return np.repeat(counts[:, -quarter:].mean(axis=1, keepdims=True), steps, axis=1)


def seasonal_naive(counts: Array, season: Array, first_month: int, steps: int) -> Array:
    """Return the counts of the same months a year before; the mean of all where there is no year."""
    del first_month
    year = len(season)
    if counts.shape[1] < year:
        return np.repeat(counts.mean(axis=1, keepdims=True), steps, axis=1)
    return counts[:, -year:][:, np.arange(steps) % year]


def exponential_smoothing(counts: Array, season: Array, first_month: int, steps: int) -> Array:
    """Return the level of exponential smoothing (ETS A,N,N on counts freed of the season) times the season.

    The weight is the one of five that had the least squared one-step errors, for each series.
    """
    free = _without_season(counts, season, first_month)
    best, least = np.zeros(len(counts)), np.full(len(counts), np.inf)
    for weight in _SMOOTHING:
        level, error = smoothed_level(free, weight)
        is_better = error < least
        best, least = np.where(is_better, level, best), np.minimum(error, least)
    return best[:, None] * _ahead(season, first_month + counts.shape[1], steps)


def smoothed_level(counts: Array, weight: float) -> tuple[Array, Array]:
    """Return the last level of simple exponential smoothing, and the squared one-step errors."""
    level, error = counts[:, 0].copy(), np.zeros(len(counts))
    for column in range(1, counts.shape[1]):
        miss = counts[:, column] - level
        error += miss**2
        level += weight * miss
    return level, error


def tsb(counts: Array, season: Array, first_month: int, steps: int) -> Array:
    """Return the intermittent-demand forecast of Teunter, Syntetos and Babai, times the season."""
    level = tsb_level(_without_season(counts, season, first_month), _TSB_SIZE, _TSB_CHANCE)
    return level[:, None] * _ahead(season, first_month + counts.shape[1], steps)


def tsb_level(counts: Array, size_weight: float, chance_weight: float) -> Array:
    """Return chance times size of a case, shape ``(n_series,)``.

    Notes
    -----
    The chance of any case is smoothed over all months, the size over months with a case only
    (doi:10.1016/j.ejor.2011.05.018), so a village that has had no case for long comes down.
    """
    has = counts > 0
    chance = has[:, 0].astype(np.float64)
    size = counts[np.arange(len(counts)), has.argmax(axis=1)]
    first = has.argmax(axis=1)
    for column in range(1, counts.shape[1]):
        now = has[:, column]
        chance += chance_weight * (now - chance)
        size = np.where(now & (column > first), size + size_weight * (counts[:, column] - size), size)
    level: Array = chance * size
    return level


def poisson_level(counts: Array, season: Array, first_month: int, steps: int) -> Array:
    """Return the discounted Poisson level times the season; sparse series are drawn to their mean.

    Notes
    -----
    A gamma prior whose weight is discounted every month (the power steady model; West and Harrison,
    Bayesian Forecasting and Dynamic Models, 1997, section 10.8). Its mean is that of the series together,
    its weight one year, so a village that never had a case is not given a risk of zero.
    """
    ahead = _ahead(season, first_month, counts.shape[1])
    weight = _POISSON_MEMORY ** np.arange(counts.shape[1])[::-1]
    time = float((weight * ahead).sum())
    seen = counts @ weight
    together = seen.mean() / time if time > 0 else 0.0
    level = (seen + len(season) * together) / (time + len(season))
    return level[:, None] * _ahead(season, first_month + counts.shape[1], steps)


Model = Callable[[Array, Array, int, int], Array]
MODELS: Mapping[str, Model] = {
    "seasonal_naive": seasonal_naive,
    "last_value": last_value,
    "ets": exponential_smoothing,
    "tsb": tsb,
    "poisson": poisson_level,
}


def _ahead(season: Array, month: int, steps: int) -> Array:
    return season[(month + np.arange(steps)) % len(season)]


def _without_season(counts: Array, season: Array, first_month: int) -> Array:
    """Return counts over the season, of the months that can have cases."""
    ahead = _ahead(season, first_month, counts.shape[1])
    active = ahead > _ACTIVE
    return counts[:, active] / ahead[active] if active.any() else counts
