"""How good lists were, by the visits that came back: precision by tier and origin, and who was missed.

What is measured is need at the verified visit (属实, 部分属实), not future relapse: a family that was helped
and did not relapse is no false alarm. Households that were not met say nothing either way.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from relapse_risk.vocabulary import Outcome

FOUND = (Outcome.CONFIRMED, Outcome.PARTLY)
VERIFIED = (*FOUND, Outcome.NOT_CONFIRMED)
NOT_MET = (Outcome.NOT_MET, Outcome.AWAY)
_BANDS = (0.0, 50.0, 80.0, 90.0, 95.0, 100.0)


def precision_of_lists(results: pl.DataFrame, confidence: float = 0.95) -> pl.DataFrame:
    """Return how many visits found a need, by tier, by origin and by score band.

    Parameters
    ----------
    results : polars.DataFrame
        Of :func:`~relapse_risk.outputs.feedback.list_results`; rows on the list count, waiting ones do not.
    confidence : float
        Of the intervals.

    Returns
    -------
    polars.DataFrame
        ``by`` (tier, origin, score_band), ``group``, ``listed``, ``verified``, ``found``, ``not_met``,
        ``precision`` = found / verified, and its exact interval ``low``, ``high``. Origin is why a row was on
        the list; the audit sample is an origin of its own.

    Notes
    -----
    Intervals after Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    origin = pl.when("is_audit").then(pl.lit("audit")).otherwise("basis")
    score = pl.col("risk_score")
    band = pl.coalesce(
        pl.when(score <= high if high == _BANDS[-1] else score < high).then(pl.lit(f"{low:g}-{high:g}"))
        for low, high in pairwise(_BANDS)
    )
    listed = results.filter("is_listed").with_columns(origin=origin, score_band=band)
    parts = [
        listed.filter(pl.col(by).is_not_null())
        .group_by(pl.col(by).alias("group"), maintain_order=True)
        .agg(
            listed=pl.len(),
            verified=pl.col("outcome").is_in(VERIFIED).sum(),
            found=pl.col("outcome").is_in(FOUND).sum(),
            not_met=pl.col("outcome").is_in(NOT_MET).sum(),
        )
        .select(pl.lit(by).alias("by"), pl.all())
        for by in ("tier", "origin", "score_band")
    ]
    counted = pl.concat(parts).with_columns(pl.col("listed", "verified", "found", "not_met").cast(pl.Int64))
    low, high = exact_interval(counted["found"].to_numpy(), counted["verified"].to_numpy(), confidence)
    return counted.with_columns(
        precision=(pl.col("found") / pl.col("verified")).fill_nan(None),
        low=pl.Series(low).fill_nan(None),
        high=pl.Series(high).fill_nan(None),
    )


def exact_interval(
    found: np.ndarray[tuple[int], np.dtype[np.int64]],
    n: np.ndarray[tuple[int], np.dtype[np.int64]],
    confidence: float,
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Return the exact binomial interval of shares ``found / n``; NaN where ``n`` is 0."""
    from scipy.stats import beta

    tail = (1 - confidence) / 2
    with np.errstate(invalid="ignore"):
        low = np.where(found == 0, 0.0, beta.ppf(tail, found, n - found + 1))
        high = np.where(found == n, 1.0, beta.ppf(1 - tail, found + 1, n - found))
    is_empty = n == 0
    return np.where(is_empty, np.nan, low), np.where(is_empty, np.nan, high)


def estimate_missed(results: pl.DataFrame, confidence: float = 0.95) -> pl.DataFrame:
    """Return how many households with a need the list left out, by the audit sample.

    Parameters
    ----------
    results : polars.DataFrame
        Of :func:`~relapse_risk.outputs.feedback.list_results`.
    confidence : float
        Of the interval, and of the bound where the sample found no case.

    Returns
    -------
    polars.DataFrame
        By list: ``list_id``, ``pool`` (households the sample was drawn from: all that would otherwise not be
        listed, 候补 as well), ``drawn``, ``verified``, ``found``, ``missed`` (estimate), ``low``, ``high``.
        Without a case found ``missed`` is 0 and ``high`` the largest number of cases that a sample without
        any would still allow; without a visit verified, all three are null.

    Notes
    -----
    Hájek estimate: the pool times the weighted mean over the verified rows, whose weights are the inverse
    probabilities of having been drawn; rows that were not met are taken to be like the verified ones of their
    list. Variance of simple random sampling without replacement, which the stratified draw does not exceed.
    """
    from scipy.stats import hypergeom, norm

    rows = []
    for (list_id,), part in results.filter("is_audit").group_by("list_id", maintain_order=True):
        verified = part.filter(pl.col("outcome").is_in(VERIFIED))
        pool, n = int(part["audit_pool_n"][0]), verified.height
        is_found = verified["outcome"].is_in(FOUND).to_numpy().astype(float)
        missed = low = high = None
        if n:
            weight = 1.0 / verified["inclusion_probability"].to_numpy()
            share = float((weight * is_found).sum() / weight.sum())
            missed = pool * share
            if is_found.any():
                spread = (1 - n / pool) * share * (1 - share) / max(n - 1, 1)
                half = float(norm.ppf((1 + confidence) / 2)) * pool * spread**0.5
                low, high = max(missed - half, is_found.sum()), min(missed + half, float(pool))
            else:
                cases = np.arange(pool - n + 1)
                allowed = hypergeom.pmf(0, pool, cases, n) >= 1 - confidence
                low, high = 0.0, float(cases[allowed].max())
        rows.append((list_id, pool, part.height, n, int(is_found.sum()), missed, low, high))
    names = ("list_id", "pool", "drawn", "verified", "found", "missed", "low", "high")
    schema = dict.fromkeys(names, pl.Int64) | dict.fromkeys(("missed", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"list_id": pl.String}, orient="row")
