"""Counties ranked for key assistance (重点帮扶县) by the opinion's factors."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from relapse_risk.errors import ConfigurationError
from relapse_risk.vocabulary import Bilingual

FACTORS: dict[str, Bilingual] = {
    "lifted_villages": Bilingual("脱贫村数", "lifted villages"),
    "lifted_people": Bilingual("脱贫人口", "lifted people"),
    "low_income_people": Bilingual("低收入人口", "low-income people"),
    "monitored_people": Bilingual("监测人口", "monitored people"),
}
"""The factors of article (十五), by size (规模)."""


def rank_counties(counties: pl.DataFrame, weights: Mapping[str, float] | None = None) -> pl.DataFrame:
    """Return counties ranked by the opinion's factors; it ranks need, and says nothing on anybody's work.

    Parameters
    ----------
    counties : polars.DataFrame
        Of a :class:`~relapse_risk.rules.roll_up.RollUp`.
    weights : mapping of str to float, optional
        Weight of each factor's rank, 0 leaves it out; those not named weigh 1. That all weigh the same is a
        proposed default: the opinion names the factors and not how they are put together.

    Returns
    -------
    polars.DataFrame
        county_code, county_name; each factor and its ``_rank`` (1 is the largest, equal sizes share the
        smaller rank); rank_sum, the weighted sum of ranks, lower means greater need; rank. Null where a
        factor is not known.

    Raises
    ------
    ConfigurationError
        RR246 where a weight names no factor, or is negative.

    Notes
    -----
    Implementation opinion, article (十五).
    """
    given = dict(weights or {})
    wrong = [name for name, weight in given.items() if name not in FACTORS or not 0 <= weight < np.inf]
    if wrong or not any(given.get(name, 1.0) for name in FACTORS):
        raise ConfigurationError(
            "RR246",
            f"--weight {', '.join(wrong) or 'all 0'}",
            "not a weight of a factor",
            f"{', '.join(FACTORS)}, each 0 or more and not all 0",
            "Correct the weights",
        )
    ranks = {name: pl.col(name).rank("min", descending=True).cast(pl.Int64) for name in FACTORS}
    ranked = counties.with_columns(**{f"{name}_rank": rank for name, rank in ranks.items()})
    terms = [given.get(name, 1.0) * pl.col(f"{name}_rank") for name in FACTORS if given.get(name, 1.0)]
    ranked = ranked.with_columns(rank_sum=sum(terms[1:], terms[0]).cast(pl.Float64))
    columns = [column for name in FACTORS for column in (name, f"{name}_rank")]
    return ranked.select(
        "county_code", "county_name", *columns, "rank_sum", rank=pl.col("rank_sum").rank("min").cast(pl.Int64)
    ).sort("rank", "county_code", nulls_last=True)
