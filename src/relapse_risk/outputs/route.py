"""The suggested order of driving: each team sees a village once, the most urgent village first."""

from __future__ import annotations

import polars as pl

ROUTE_SCHEMA = pl.Schema({"unit": pl.String, "stop": pl.Int64, "order": pl.Int64, "rank": pl.Int64})


def route_of(ranks: pl.Series, unit: pl.Series, village: pl.Series) -> pl.DataFrame:
    """Return in which order each team drives to its households.

    Parameters
    ----------
    ranks : polars.Series of Int64, shape (n,)
        Place of each listed household on the list, tier by tier.
    unit : polars.Series of String, shape (n,)
        Who visits: the team, or the area that shares a capacity.
    village : polars.Series of String, shape (n,)
        Code of the household's village.

    Returns
    -------
    polars.DataFrame
        ``unit``, ``stop`` (1 for the village the unit drives to first), ``order`` (1 for its first
        household) and ``rank``; sorted by unit and order.

    Notes
    -----
    A unit's villages stand in the order of their most urgent household, so no village with a red household
    comes after one without. Within a village the list's own order holds.

    Examples
    --------
    >>> three = pl.Series(["T", "T", "T"])
    >>> route_of(pl.Series([1, 2, 3]), three, pl.Series(["a", "b", "a"])).rows()
    [('T', 1, 1, 1), ('T', 1, 2, 3), ('T', 2, 3, 2)]
    """
    first = pl.col("rank").min().over("unit", "village")
    return (
        pl.DataFrame({"rank": ranks, "unit": unit, "village": village})
        .sort("unit", first, "rank")
        .with_columns(
            stop=first.rank("dense").over("unit").cast(pl.Int64),
            order=pl.int_range(1, pl.len() + 1).over("unit"),
        )
        .select(ROUTE_SCHEMA.names())
        .cast(ROUTE_SCHEMA)
    )
