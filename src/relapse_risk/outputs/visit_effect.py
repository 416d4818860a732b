"""What being listed changed, from the lottery at the edge: who was listed there was a matter of chance.

Outside a lottery the listed are those at higher risk, so comparing them with the others says nothing about
visits. Among the households a lottery drew from, the difference is what the list did.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.labels import make_labels
from relapse_risk.panel.panel import Panel
from relapse_risk.vocabulary import NOT_MET

Array = NDArray[np.float64]
_HORIZONS = (3, 6)
_COLUMNS = {
    "horizon_months": pl.Int64,
    "households": pl.Int64,
    "listed": pl.Int64,
    "not_listed": pl.Int64,
    "visited_listed": pl.Float64,
    "visited_not_listed": pl.Float64,
    "relapse_listed": pl.Float64,
    "relapse_not_listed": pl.Float64,
    "difference": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
}


def estimate_visit_effect(
    drawn: pl.DataFrame, horizons_months: Sequence[int], confidence: float = 0.95
) -> pl.DataFrame:
    """Return by how much being listed changed the share of households that relapsed.

    Parameters
    ----------
    drawn : polars.DataFrame
        Of :func:`lottery_outcomes`.
    horizons_months : sequence of int
    confidence : float
        Of the interval.

    Returns
    -------
    polars.DataFrame
        By horizon: ``households`` that took part, ``listed`` and ``not_listed`` whose outcome was observed,
        the share of each that somebody met while the list was valid (``visited_listed``,
        ``visited_not_listed``) and that relapsed (``relapse_listed``, ``relapse_not_listed``), and the
        ``difference`` of the latter two with its interval ``low``, ``high``; below 0 where fewer relapsed
        when listed. Null where either group is empty.

    Notes
    -----
    Shares are weighted by the inverse probability of having been listed, or not (Hájek). The interval is
    Newcombe's hybrid score interval, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I,
    with effective numbers of households (Kish 1965) in place of counts; a household that took part in several
    lotteries counts as one. The difference is that of being
    listed, not of being visited: some of the listed were not met, and some of the others were visited for
    other reasons, which makes it smaller. It speaks for households at the edge alone.
    """
    is_listed = drawn["is_listed"].to_numpy()
    probability = drawn["probability"].to_numpy()
    weight = 1.0 / np.where(is_listed, probability, 1.0 - probability)
    visited = drawn["was_visited"].cast(pl.Float64).to_numpy()
    rows: list[tuple[float | None, ...]] = []
    for months in horizons_months:
        outcome = drawn[f"relapse_{months}m"].to_numpy()
        is_known = ~np.isnan(outcome)
        groups = [np.flatnonzero(is_known & mask) for mask in (is_listed, ~is_listed)]
        sizes = [len(group) for group in groups]
        shares: tuple[float | None, ...] = (None,) * 7
        if all(sizes):
            met = [_mean(visited[group], weight[group]) for group in groups]
            ill = [_mean(outcome[group], weight[group]) for group in groups]
            n = [_effective(drawn["household_id"].gather(group), weight[group]) for group in groups]
            shares = (*met, *ill, ill[0] - ill[1], *_newcombe(ill, n, confidence))
        rows.append((months, drawn.height, *sizes, *shares))
    return pl.DataFrame(rows, schema=_COLUMNS, orient="row")


def _mean(values: Array, weight: Array) -> float:
    return float(np.average(values, weights=weight))


def _effective(households: pl.Series, weight: Array) -> float:
    """Return how many households with equal weights would tell as much; who took part often counts once."""
    return float(weight.sum() ** 2 / (weight**2).sum()) * households.n_unique() / len(households)


def _newcombe(share: Sequence[float], n: Sequence[float], confidence: float) -> tuple[float, float]:
    """Return the interval of ``share[0] - share[1]``."""
    (low, high), (other_low, other_high) = (_wilson(p, m, confidence) for p, m in zip(share, n, strict=True))
    p, q = share
    below = ((p - low) ** 2 + (other_high - q) ** 2) ** 0.5
    above = ((high - p) ** 2 + (q - other_low) ** 2) ** 0.5
    return p - q - below, p - q + above


def _wilson(share: float, n: float, confidence: float) -> tuple[float, float]:
    """Return the score interval of one share (Wilson 1927)."""
    from scipy.stats import norm

    z = float(norm.ppf((1 + confidence) / 2))
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * (share * (1 - share) / n + z**2 / (4 * n**2)) ** 0.5
    return centre - half, centre + half


def lottery_outcomes(
    lotteries: pl.DataFrame,
    panel: Panel,
    label: LabelConfig,
    cohort: CohortConfig,
    known_on: date,
    horizons_months: Sequence[int],
) -> pl.DataFrame:
    """Return what became of the households that a lottery drew from.

    Parameters
    ----------
    lotteries : polars.DataFrame
        Of :func:`~relapse_risk.outputs.issued.find_lotteries`.
    panel : Panel
    label : LabelConfig
        What counts as a relapse; needs that only visits found never do, since the listed are visited more.
    cohort : CohortConfig
        Who is at risk of one; others are left out.
    known_on : date
        Outcomes and visits are read as known on this day.
    horizons_months : sequence of int

    Returns
    -------
    polars.DataFrame
        ``lotteries`` at risk on their date, with ``was_visited`` (somebody met them while the list was valid)
        and ``relapse_<horizon>m``: 1 for a relapse, 0 for none, NaN where the window is not wholly observed.
    """
    keys = ["household_id", "as_of_date"]
    names = {f"relapse_{months}m": months for months in horizons_months}
    empty = dict.fromkeys(names, pl.Float64)
    if lotteries.is_empty():
        schema = dict(lotteries.schema) | {"was_visited": pl.Boolean()} | {n: t() for n, t in empty.items()}
        return pl.DataFrame(schema=schema)
    labels = make_labels(
        panel,
        sorted(lotteries["as_of_date"].unique()),
        label.model_copy(update={"verified_need": False, "lottery_corrected": False}),
        cohort,
        known_on,
        households=lotteries["household_id"].unique().to_list(),
    )
    outcome = labels.index.select(keys).with_columns(
        is_at_risk=pl.Series(labels.is_at_risk),
        **{name: pl.Series(labels.outcome_within(months)) for name, months in names.items()},
    )
    met = (
        panel.known_at(known_on)
        .table("visit")
        .filter(pl.col("visited_on").is_not_null(), ~pl.col("outcome").is_in(NOT_MET).fill_null(False))
    )
    visited = (
        lotteries.join(met.select("household_id", "visited_on"), on="household_id")
        .filter(pl.col("visited_on") > pl.col("as_of_date"), pl.col("visited_on") <= pl.col("expires_on"))
        .select("list_id", "household_id")
        .unique()
        .with_columns(was_visited=True)
    )
    return (
        lotteries.join(outcome, on=keys, how="left", maintain_order="left")
        .join(visited, on=["list_id", "household_id"], how="left", maintain_order="left")
        .filter("is_at_risk")
        .with_columns(pl.col("was_visited").fill_null(value=False))
        .drop("is_at_risk")
    )


def visit_effect(
    lotteries: pl.DataFrame,
    panel: Panel,
    label: LabelConfig,
    cohort: CohortConfig,
    known_on: date | None = None,
    confidence: float = 0.95,
) -> pl.DataFrame:
    """Return :func:`estimate_visit_effect` of lotteries within 3, 6, … months, up to the label's horizon.

    Parameters
    ----------
    lotteries, panel, label, cohort
        As in :func:`lottery_outcomes`.
    known_on : date, optional
        Outcomes are read as known on this day; today where not given.
    confidence : float
        Of the intervals.
    """
    day = known_on or datetime.now().astimezone().date()
    horizons = sorted(
        {months for months in _HORIZONS if months < label.horizon_months} | {label.horizon_months}
    )
    drawn = lottery_outcomes(lotteries, panel, label, cohort, day, horizons)
    return estimate_visit_effect(drawn, horizons, confidence)
