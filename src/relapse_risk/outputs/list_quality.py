"""How good lists were, by the visits that came back: precision by tier and origin, and who was missed.

What is measured is need at the verified visit (属实, 部分属实), not future relapse: a family that was helped
and did not relapse is no false alarm. Households that were not met say nothing either way.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import polars as pl

from relapse_risk.vocabulary import NEED_FOUND, NOT_MET, VERIFIED

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
    in_order = {"score_band": listed.sort("risk_score", descending=True, nulls_last=True)}
    parts = [
        in_order.get(by, listed)
        .filter(pl.col(by).is_not_null())
        .group_by(pl.col(by).alias("group"), maintain_order=True)
        .agg(
            listed=pl.len(),
            verified=pl.col("outcome").is_in(VERIFIED).sum(),
            found=pl.col("outcome").is_in(NEED_FOUND).sum(),
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
    """Return how many households with a need were not listed otherwise, by the audit sample.

    Parameters
    ----------
    results : polars.DataFrame
        Of :func:`~relapse_risk.outputs.feedback.list_results`.
    confidence : float
        Of the interval, and of the bound where the sample found no case.

    Returns
    -------
    polars.DataFrame
        By list: ``list_id``, ``pool`` (households the sample was drawn from: waiting and resting ones too),
        ``drawn``, ``verified``, ``found``, ``missed`` (estimate), ``low``, ``high``. Without a case found
        ``missed`` is 0 and ``high`` the largest number of cases that a sample without any would still allow;
        without a visit verified, all three are null. Units of capacity without a visit are spoken for by one
        household drawn from all of them.

    Notes
    -----
    Hájek estimate: the pool times the weighted mean over the verified rows, whose weights are the inverse
    probabilities of having been drawn and met; rows that were not met are taken to be like the verified ones
    of their unit of capacity, and units where nobody was met like the others of their list. Design variance
    after Hájek 1964, doi:10.1214/aoms/1177700375, which the stratified draw does not exceed; in one unit it
    is that of simple random sampling.
    """
    from scipy.stats import norm

    rows = []
    for (list_id,), part in results.filter("is_audit").group_by("list_id", maintain_order=True):
        by_unit = (
            part.with_columns(
                is_verified=pl.col("outcome").is_in(VERIFIED).fill_null(False),
                is_found=pl.col("outcome").is_in(NEED_FOUND).fill_null(False),
            )
            .group_by("unit", maintain_order=True)
            .agg(
                pool=pl.col("audit_pool_n").first(),
                verified=pl.col("is_verified").sum().cast(pl.Int64),
                found=pl.col("is_found").sum().cast(pl.Int64),
            )
        )
        pool, n, found = (int(by_unit[name].sum()) for name in ("pool", "verified", "found"))
        missed = low = high = None
        met = by_unit.filter(pl.col("verified") > 0)
        size, drawn, cases = (met[name].to_numpy() for name in ("pool", "verified", "found"))
        if n and found:
            share = float((size * cases / drawn).sum() / size.sum())
            missed = pool * share
            squares = cases * (1 - share) ** 2 + (drawn - cases) * share**2
            spread = (squares * (size / drawn) ** 2 * (1 - drawn / size)).sum() * n / max(n - 1, 1)
            half = float(norm.ppf((1 + confidence) / 2)) * pool / float(size.sum()) * float(spread) ** 0.5
            low, high = max(missed - half, float(found)), min(missed + half, float(pool))
        elif n:
            missed, low, high = 0.0, 0.0, float(_most_unseen(by_unit, confidence))
        rows.append((list_id, pool, part.height, n, found, missed, low, high))
    names = ("list_id", "pool", "drawn", "verified", "found", "missed", "low", "high")
    schema = dict.fromkeys(names, pl.Int64) | dict.fromkeys(("missed", "low", "high"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"list_id": pl.String}, orient="row")


def _most_unseen(by_unit: pl.DataFrame, confidence: float) -> int:
    """Return the most cases that samples without any would still allow, however they lie among the units.

    One case more in a unit of which ``d`` were cases makes an empty sample of ``n`` from ``N`` rarer by
    ``(N - n - d) / (N - d)``; the cases that are hardest to see are laid first.
    """
    rarer = []
    for pool, n in by_unit.select("pool", "verified").iter_rows():
        unseen = np.arange(pool - n)
        rarer.append(np.log((pool - n - unseen) / (pool - unseen)))
    steps = np.sort(np.concatenate(rarer))[::-1]
    return int((np.cumsum(steps) >= np.log(1 - confidence) - 1e-12).sum())
