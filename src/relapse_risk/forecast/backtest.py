"""Judges forecasts against what came: CRPS, errors of the mean, and how often intervals hold the count."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.forecast.caseload import INTERVALS
from relapse_risk.forecast.paths import Spread, sample_paths

Array = NDArray[np.float64]
HORIZONS = {"1-3": (0, 3), "4-6": (3, 6), "7-12": (6, 12), "1-12": (0, 12)}


def crps(paths: NDArray[np.int64], actual: Array) -> Array:
    """Return the continuous ranked probability score of sample paths; lower is better.

    Parameters
    ----------
    paths : ndarray, shape (draws, ...)
    actual : ndarray, shape (...)

    Notes
    -----
    Mean absolute error of the draws, less half their mean difference from each other, computed from the
    sorted draws (Gneiting and Raftery 2007, doi:10.1198/016214506000001437).

    Examples
    --------
    >>> crps(np.array([[1], [3]]), np.array([3.0])).tolist()
    [0.5]
    """
    draws = len(paths)
    ordered = np.sort(paths, axis=0).astype(np.float64)
    weight = (2 * np.arange(1, draws + 1) - draws - 1).reshape(-1, *[1] * actual.ndim)
    apart = (weight * ordered).sum(axis=0) / draws**2
    score: Array = np.abs(ordered - actual).mean(axis=0) - apart
    return score


def randomised_pit(paths: NDArray[np.int64], actual: Array, rng: np.random.Generator) -> Array:
    """Return the randomised probability integral transform; uniform where the forecast is right.

    Notes
    -----
    For counts the value is drawn between the share of draws below the count and that up to it (Czado,
    Gneiting and Held 2009, doi:10.1111/j.1541-0420.2009.01191.x).
    """
    below, up_to = (paths < actual).mean(axis=0), (paths <= actual).mean(axis=0)
    pit: Array = below + rng.random(actual.shape) * (up_to - below)
    return pit


def interval_coverage(paths: NDArray[np.int64], actual: Array, share: int) -> Array:
    """Return the chance that the randomised PIT lies in the central ``share`` percent, shape of ``actual``.

    Notes
    -----
    The mean of :func:`randomised_pit` over its own randomness, so that no draw of it decides the coverage:
    with few places and months, one draw moves it by tenths.

    Examples
    --------
    >>> float(interval_coverage(np.zeros((5, 1)), np.zeros(1), 80).round(3)[0])
    0.8
    """
    low, high = (100 - share) / 200, (100 + share) / 200
    below, up_to = (paths < actual).mean(axis=0), (paths <= actual).mean(axis=0)
    width = up_to - below
    inside = np.clip(np.minimum(up_to, high) - np.maximum(below, low), 0, None)
    is_seen = (below >= low) & (below <= high)
    chance: Array = np.where(width > 0, inside / np.where(width > 0, width, 1), is_seen)
    return chance


def naive_paths(mean: Array, draws: int, seed: int) -> NDArray[np.int32]:
    """Return Poisson draws around a naive forecast, so that it can be scored as one with intervals.

    The level has the spread that forecasts have before anything is known of their errors (15%).
    """
    return sample_paths(mean, Spread(0.15, 0.0, 50.0, 50.0), "naive", draws, seed)


def score_paths(
    paths: NDArray[np.int64], actual: Array, scale: Array, reported: NDArray[np.bool_] | None = None
) -> dict[str, float]:
    """Return the scores of one origin and level, over its places and months.

    Parameters
    ----------
    paths : ndarray, shape (draws, n_places, months)
    actual : ndarray, shape (n_places, months)
    scale : ndarray, shape (n_places,)
        Mean absolute error of the seasonal naive forecast in each place's own history, for MASE.
    reported : ndarray of bool, shape (n_places, months), optional
        Where somebody had to report; coverage is of these alone, since a certain 0 tells nothing.

    Returns
    -------
    dict
        crps, pinball (mean over the bounds of all intervals), wape, mase, and ``coverage{50,80,95}`` by
        :func:`interval_coverage`.
    """
    mean = paths.mean(axis=0)
    judged = np.ones(actual.shape, dtype=bool) if reported is None else reported
    levels = [q for share in INTERVALS for q in ((100 - share) / 200, (100 + share) / 200)]
    bounds = np.quantile(paths, levels, axis=0)
    miss = actual - bounds
    weights = np.array(levels).reshape(-1, 1, 1)
    has_scale = scale > 0
    errors = np.abs(mean - actual)
    found = {
        "crps": float(crps(paths, actual).mean()),
        "pinball": float(np.maximum(weights * miss, (weights - 1) * miss).mean()),
        "absolute_error": float(errors.sum()),
        "expected": float(mean.sum()),
        "cases": float(actual.sum()),
        "mase": float((errors[has_scale].mean(axis=1) / scale[has_scale]).mean()) if has_scale.any() else 0.0,
    }
    for share in INTERVALS:
        found[f"coverage{share}"] = float(interval_coverage(paths, actual, share)[judged].mean())
    return found


def score_horizons(
    paths: NDArray[np.int64], actual: Array, scale: Array, reported: NDArray[np.bool_]
) -> Iterator[dict[str, float | str]]:
    """Yield the scores of months 1-3, 4-6, 7-12 and 1-12 ahead, and of the sum of all months.

    Parameters are those of :func:`score_paths`.
    """
    months = actual.shape[1]
    for name, (start, stop) in HORIZONS.items():
        if start < months:
            part = slice(start, min(stop, months))
            yield {
                "horizon": name,
                **score_paths(paths[:, :, part], actual[:, part], scale, reported[:, part]),
            }
    whole = paths.sum(axis=2, keepdims=True, dtype=np.int64)
    came = actual.sum(axis=1, keepdims=True)
    yield {"horizon": "sum", **score_paths(whole, came, scale * months)}


def pooled(records: pl.DataFrame) -> pl.DataFrame:
    """Return scores by series, level, forecast and horizon over all origins and counties.

    WAPE is of the summed errors; ``mean_to_came`` is all that was expected over all that came.
    """
    keys = ["series", "level", "forecast", "horizon"]
    means = [name for name in records.columns if name.startswith(("crps", "pinball", "mase", "coverage"))]
    return records.group_by(keys, maintain_order=True).agg(
        pl.len().alias("origins"),
        *(pl.col(name).mean() for name in means),
        (pl.col("absolute_error").sum() / pl.col("cases").sum()).alias("wape"),
        (pl.col("expected").sum() / pl.col("cases").sum()).alias("mean_to_came"),
    )


def paired(records: pl.DataFrame, forecast: str, against: str) -> pl.DataFrame:
    """Return how much lower the CRPS of a forecast is than another's on the same counties and origins.

    Parameters
    ----------
    records : polars.DataFrame
        series, county, origin, level, forecast, horizon, crps.
    forecast, against : str
        Values of ``forecast``.

    Returns
    -------
    polars.DataFrame
        series, level, horizon, against, counties, difference (negative is better), low95, high95, is_worse
        (the interval lies above 0).

    Notes
    -----
    Origins of a county overlap, so a county's mean difference is one observation: the interval is that of
    Student's t over counties. With one county there is none.
    """
    from scipy.stats import t

    keys = ["series", "level", "horizon"]
    both = records.filter(pl.col("forecast").is_in([forecast, against])).pivot(
        "forecast", index=[*keys, "county", "origin"], values="crps"
    )
    by_county = (
        both.with_columns(difference=pl.col(forecast) - pl.col(against))
        .group_by(*keys, "county", maintain_order=True)
        .agg(pl.col("difference").mean())
    )
    rows = []
    for (series, level, horizon), part in by_county.group_by(keys, maintain_order=True):
        values = part["difference"].to_numpy()
        n, mean = len(values), float(values.mean())
        half = float(t.ppf(0.975, n - 1)) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.inf
        rows.append((series, level, horizon, against, n, mean, mean - half, mean + half, bool(mean > half)))
    names = [*keys, "against", "counties", "difference", "low95", "high95", "is_worse"]
    return pl.DataFrame(rows, schema=names, orient="row")
