"""Chooses a time-series model for each level by its errors at earlier origins, and measures their spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.forecast.paths import Spread
from relapse_risk.forecast.reconcile import reconcile_tree
from relapse_risk.forecast.series import MODELS, season_of

Array = NDArray[np.float64]
LEVELS = ("village", "township", "county")
_ORIGINS, _EVERY_MONTHS, _LEAST_MONTHS = 8, 3, 18
_PRIOR_SPREAD = 0.15
_SHAPES = (0.5, 1000.0)
_FALLBACK = "poisson"
# A village's own smoothing weight would be fitted to a handful of cases.
_MODELS_AT = {
    "village": ("seasonal_naive", "last_value", "tsb", "poisson"),
    "township": tuple(MODELS),
    "county": tuple(MODELS),
}


@dataclass(frozen=True)
class Cases:
    """Counts of one county's villages by month, and who of them belongs to which township.

    Attributes
    ----------
    counts : ndarray, shape (n_villages, n_months)
    exposed : ndarray, shape (n_months,)
        Households of the county that reported.
    first_month : int
    township_of : ndarray of int64, shape (n_villages,)
        Position of the township.
    """

    counts: Array
    exposed: Array
    first_month: int
    township_of: NDArray[np.int64]

    def until(self, months: int) -> Cases:
        """Return the first ``months`` columns."""
        return Cases(self.counts[:, :months], self.exposed[:months], self.first_month, self.township_of)

    def only(self, villages: NDArray[np.bool_]) -> Cases:
        """Return the same with no case elsewhere than in these villages."""
        return Cases(self.counts * villages[:, None], self.exposed, self.first_month, self.township_of)

    @property
    def season(self) -> Array:
        """Season of the county's cases, shape (12,)."""
        return season_of(self.counts.sum(axis=0), self.exposed, self.first_month)

    def at_level(self, level: str) -> Array:
        """Return counts by village, township or county, shape ``(n_series, n_months)``."""
        return sum_level(self.counts, self.township_of, level)


@dataclass(frozen=True)
class Choice:
    """Which model is used at which level, and how wrong all of them were.

    Attributes
    ----------
    models : mapping of str to str
        Name of the model by level.
    errors : polars.DataFrame
        level, model, origins, wape; lower is better. Empty where the history is too short to judge.
    variances : tuple of ndarray
        Mean squared errors of the chosen models by village, township and county.
    spread : Spread
    """

    models: dict[str, str]
    errors: pl.DataFrame
    variances: tuple[Array, Array, Array]
    spread: Spread


def sum_level(counts: Array, township_of: NDArray[np.int64], level: str) -> Array:
    """Return rows of villages summed to a level."""
    if level == "village":
        return counts
    if level == "county":
        total: Array = counts.sum(axis=0, keepdims=True)
        return total
    found = np.zeros((int(township_of.max()) + 1, counts.shape[1]))
    np.add.at(found, township_of, counts)
    return found


def forecast_levels(cases: Cases, models: dict[str, str], skip: int, steps: int) -> dict[str, Array]:
    """Return the forecast of each level by its model, for ``steps`` months after ``skip`` months."""
    season = cases.season
    return {
        level: MODELS[name](cases.at_level(level), season, cases.first_month, skip + steps)[:, skip:]
        for level, name in models.items()
    }


def reconciled(
    cases: Cases, choice: Choice, skip: int, steps: int, risks: tuple[dict[str, float], Array] | None = None
) -> Array:
    """Return the forecast of every village that agrees with those of the levels above.

    Parameters
    ----------
    cases, choice, skip, steps
        As in :func:`choose_models`.
    risks : tuple, optional
        The weight of household risks by level, and the cases by village and month they let expect.
    """
    base = forecast_levels(cases, choice.models, skip, steps)
    if risks is not None:
        weights, expected = risks
        for level, series in base.items():
            summed = sum_level(expected, cases.township_of, level)
            base[level] = weights[level] * summed + (1 - weights[level]) * series
    return reconcile_tree(
        base["village"], base["township"], base["county"][0], choice.variances, cases.township_of
    )


def choose_models(cases: Cases, skip: int, steps: int) -> Choice:
    """Return the model with the least absolute error at each level over earlier origins.

    Parameters
    ----------
    cases : Cases
    skip : int
        Months between the last one reported and the first one forecast.
    steps : int

    Notes
    -----
    The origins are every third month back from the last one whose forecast can be judged, eight at most,
    each with 18 months of history or more. Counts are as known now, so a late correction of the past is
    seen; the backtest proper (:mod:`relapse_risk.forecast.backtest`) reads each origin's own panel.
    """
    n_months = cases.counts.shape[1]
    ends = list(range(n_months - skip - steps, _LEAST_MONTHS - 1, -_EVERY_MONTHS))[:_ORIGINS]
    tried = [
        {
            (level, name): forecast_levels(cases.until(end), {level: name}, skip, steps)[level]
            for level in LEVELS
            for name in _MODELS_AT[level]
        }
        for end in ends
    ]
    actual = {level: cases.at_level(level) for level in LEVELS}
    rows, models = [], {}
    for level in LEVELS:
        seen = [actual[level][:, end + skip : end + skip + steps] for end in ends]
        total = max(sum(float(part.sum()) for part in seen), 1.0)
        for name in _MODELS_AT[level]:
            misses = [np.abs(one[level, name] - part).sum() for one, part in zip(tried, seen, strict=True)]
            rows.append((level, name, len(ends), float(sum(misses)) / total))
        own = [row for row in rows if row[0] == level]
        # Sparse counts have a median of 0: the absolute error would choose a forecast of none at all.
        is_judged = bool(ends) and level != "village"
        models[level] = min(own, key=lambda row: row[3])[1] if is_judged else _FALLBACK
    variances = tuple(_variances(level, models[level], tried, actual[level], ends, skip) for level in LEVELS)
    schema = {"level": pl.String, "model": pl.String, "origins": pl.Int64, "wape": pl.Float64}
    errors = pl.DataFrame(rows if ends else [], schema=schema, orient="row")
    before = Choice(
        models, errors, (variances[0], variances[1], variances[2]), Spread(_PRIOR_SPREAD, 0.0, 5.0, 5.0)
    )
    means = [reconciled(cases.until(end), before, skip, steps) for end in ends]
    seen = [cases.counts[:, end + skip : end + skip + steps] for end in ends]
    return Choice(
        models, errors, before.variances, measure_spread(means, seen, min(_EVERY_MONTHS / steps, 1.0))
    )


def _variances(
    level: str,
    model: str,
    tried: list[dict[tuple[str, str], Array]],
    actual: Array,
    ends: list[int],
    skip: int,
) -> Array:
    """Return mean squared errors, drawn half way to a Poisson count's own variance."""
    rate: Array = actual.mean(axis=1) + 1.0 / actual.shape[1]
    if not ends:
        return rate
    steps = tried[0][level, model].shape[1]
    squares = [
        ((one[level, model] - actual[:, end + skip : end + skip + steps]) ** 2).mean(axis=1)
        for one, end in zip(tried, ends, strict=True)
    ]
    found: Array = (np.mean(squares, axis=0) + rate) / 2
    return found


def measure_spread(means: list[Array], seen: list[Array], fresh: float) -> Spread:
    """Return how far counts were from forecasts beyond what chance alone gives, by the method of moments.

    Parameters
    ----------
    means, seen : list of ndarray, shape (n_villages, steps)
        Forecasts and counts, a pair for each origin.
    fresh : float
        Share of an origin's months that the origin next to it does not have.

    Notes
    -----
    The squared error of a county's sum, less the sum itself (the Poisson variance), over the squared
    forecast is the variance of the level; what the county's single months have beyond that is the variance
    of a month. Of a few dozen cases a year such moments tell little: each is drawn to a prior of 15%, by
    the variance of the moment itself. Villages and their months likewise, once the county's own departure
    is taken out.
    """
    pairs = [(mean, count) for mean, count in zip(means, seen, strict=True) if mean.sum() > 0]
    county = [(mean.sum(axis=0), count.sum(axis=0)) for mean, count in pairs]
    years = 1.0 + fresh * (len(county) - 1)
    level = _drawn(
        [(count.sum() - mean.sum()) ** 2 - mean.sum() for mean, count in county],
        [mean.sum() for mean, _ in county],
        years,
    )
    by_month = _drawn(
        [float(((count - mean) ** 2 - mean).sum()) for mean, count in county],
        [float(np.sqrt((mean**2).sum())) for mean, _ in county],
        years * float(np.mean([mean.sum() ** 2 / (mean**2).sum() for mean, _ in county] or [1.0])),
    )
    village, month = _Moments(), _Moments()
    for mean, count in pairs:
        village.add(mean.sum(axis=1) * (count.sum() / mean.sum()), count.sum(axis=1))
        usual = mean.sum(axis=0)
        month.add(
            mean * np.divide(count.sum(axis=0), usual, out=np.zeros_like(usual), where=usual > 0), count
        )
    return Spread(
        float(np.sqrt(np.log1p(level))),
        float(np.sqrt(np.log1p(max(by_month - level, 0.0)))),
        village.shape(),
        _Moments.apart(month, village),
    )


def _drawn(excess: list[float], cases: list[float], independent: float) -> float:
    """Return the variance of a relative error, drawn to its prior as far as chance could have made it.

    Parameters
    ----------
    excess : list of float
        Squared errors less the Poisson variance, by origin.
    cases : list of float
        Root of what they are over: expected cases.
    independent : float
        Errors that do not overlap.

    Notes
    -----
    A relative squared error of ``m`` cases has a variance of about ``2 (1 / m + v)**2`` (that of a squared
    normal); the variance ``v`` itself is thought to be as uncertain as it is large (an exponential prior).
    """
    prior = float(np.expm1(_PRIOR_SPREAD**2))
    weight = sum(m**2 for m in cases)
    if not weight:
        return prior
    mean_cases = weight / sum(cases)
    noise = 2 * (1 / mean_cases + prior) ** 2 / independent
    trust = prior**2 / (prior**2 + noise)
    return max(prior + trust * (sum(excess) / weight - prior), prior / 4)


class _Moments:
    """Sums from which the shape of a gamma effect on Poisson counts is estimated."""

    def __init__(self) -> None:
        self.excess, self.weight = 0.0, 0.0

    def add(self, mean: Array, count: Array) -> None:
        self.excess += float(((count - mean) ** 2 - mean).sum())
        self.weight += float((mean**2).sum())

    @property
    def variance(self) -> float:
        return self.excess / self.weight if self.weight > 0 else 1 / 5.0

    def shape(self) -> float:
        return float(np.clip(1 / max(self.variance, 1 / _SHAPES[1]), *_SHAPES))

    @staticmethod
    def apart(month: _Moments, village: _Moments) -> float:
        """Return the shape of the month's own effect, beyond that of the village."""
        rest = max(month.variance - max(village.variance, 0.0), 1 / _SHAPES[1])
        return float(np.clip(1 / rest, *_SHAPES))
