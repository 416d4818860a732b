"""What is known of the past on a list: since when rule hits have stood, and when somebody was there last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import Rule
from relapse_risk.rules.tiers import moving_codes
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import NOT_MET, Bilingual
from relapse_risk.windows import month_end, month_index

# A quarter: records come late, and an older attempt is history.
COMES_BACK_DAYS = 92
DAYS_OF_YEAR = 366
LISTED, WAITING = Bilingual("列入", "listed"), Bilingual("候补", "waiting")
PAUSING = Bilingual("暂缓", "pausing")

_SCHEMA = {"household_id": pl.String, "hit_since": pl.Date}


def hits_since(
    panel: Panel,
    hits: RuleHits,
    rules: Sequence[Rule] = RULES,
    thresholds: ThresholdTable | None = None,
    months_back: int = 12,
) -> pl.DataFrame:
    """Return since when the oldest rule hit that still stands has stood, for every household with one.

    Parameters
    ----------
    panel : Panel
    hits : RuleHits
        Of one as-of date.
    rules : sequence of Rule
        Those of ``hits``; only rules that give a row its tier are looked at.
    thresholds : ThresholdTable, optional
        The layers under the panel's own rows; as in :func:`~relapse_risk.features.build.build_features`.
    months_back : int
        How far is looked back.

    Returns
    -------
    polars.DataFrame
        household_id and hit_since, sorted by household: the as-of date for a new hit, else the earliest
        of the unbroken run of month ends before it on which one of the present hits stood already, as far
        as ``months_back``. A month in which the rule could not be judged breaks the run.

    Raises
    ------
    ContractError
        RR482 where the hits are of several dates.
    """
    as_of_date = only_date(hits.index)
    codes = moving_codes(rules)
    looked_at = [rule for rule in rules if rule.code in codes]
    standing = hits.states[:, [hits.codes.index(rule.code) for rule in looked_at]] == HIT
    has_hit = standing.any(axis=1)
    since = hits.index.filter(pl.Series(has_hit)).select("household_id").with_columns(hit_since=as_of_date)
    if since.is_empty():
        return pl.DataFrame(schema=_SCHEMA)
    alive, standing = since["household_id"], standing[has_hit]
    month = month_index(as_of_date)
    first = panel.first_recorded_on or as_of_date
    days = [day for back in range(1, months_back + 1) if (day := month_end(month - back)) >= first]
    if not days:
        return since.sort("household_id")
    reads = dict.fromkeys(name for rule in looked_at for name in rule.reads)
    matrix = build_features(panel, days, features_for(panel).select(reads), thresholds, alive.to_list())
    earlier = apply_rules(matrix, looked_at).states == HIT
    index = matrix.index.select("household_id", "as_of_date").with_row_index("row")
    found = [since]
    for day in days:
        rows = pl.DataFrame({"household_id": alive}).join(
            index.filter(as_of_date=day), on="household_id", how="left", maintain_order="left"
        )["row"]
        is_known = rows.is_not_null().to_numpy()
        states = np.zeros_like(standing)
        states[is_known] = earlier[rows.drop_nulls().to_numpy()]
        standing = standing & states
        still = standing.any(axis=1)
        alive, standing = alive.filter(pl.Series(still)), standing[still]
        found.append(pl.DataFrame({"household_id": alive}).with_columns(hit_since=day))
    return pl.concat(found).group_by("household_id").agg(pl.col("hit_since").min()).sort("household_id")


def dated_rows(
    matrix: FeatureMatrix, hit_since: pl.DataFrame | None, panel: Panel | None, day: date
) -> pl.DataFrame:
    """Return hit_since, last_visit, was_met, was_listed and not_met_n for every row of a matrix.

    All as known on ``day``. ``was_met`` is false where everybody who came on the day of the last visit found
    nobody (未见到户, 外出); ``was_listed`` says whether a list had sent any of them; ``not_met_n`` is how
    many visits of lists in a row, within a year and on different days, met nobody.
    """
    since = (
        pl.DataFrame(schema={"household_id": pl.String, "hit_since": pl.Date})
        if hit_since is None
        else hit_since
    )
    flags = dict.fromkeys(("was_met", "was_listed"), pl.Boolean())
    schema = {"household_id": pl.String(), "last_visit": pl.Date(), **flags, "not_met_n": pl.UInt32()}
    visits = pl.DataFrame(schema=schema)
    if panel is not None:
        met = pl.col("outcome").is_in(NOT_MET).not_().fill_null(True)
        on, was_met = pl.col("visited_on"), pl.col("was_met")
        last_met = on.filter("was_met").max().fill_null(pl.lit(date.min))
        is_in_vain = pl.col("was_listed") & was_met.not_() & (on > last_met)
        visits = (
            panel.known_at(day)
            .table("visit")
            .filter(on.is_not_null())
            .group_by("household_id", "visited_on")
            .agg(was_met=met.any(), was_listed=pl.col("list_id").is_not_null().any())
            .sort("visited_on")
            .group_by("household_id")
            .agg(
                last_visit=on.last(),
                was_met=was_met.last(),
                was_listed=pl.col("was_listed").last(),
                not_met_n=(is_in_vain & ((pl.lit(day) - on).dt.total_days() < DAYS_OF_YEAR)).sum(),
            )
        )
    return (
        matrix.index.select("household_id")
        .join(since, on="household_id", how="left", maintain_order="left")
        .join(visits, on="household_id", how="left", maintain_order="left")
        .select("hit_since", "last_visit", *flags, "not_met_n")
    )


def rests(dated: pl.DataFrame, day: date, rest_days: int) -> NDArray[np.bool_]:
    """Return who was met at the last visit, less than ``rest_days`` before ``day``, shape ``(n_rows,)``."""
    return _last_visit_was(dated, day, rest_days, pl.col("was_met"))


def comes_back(dated: pl.DataFrame, day: date, limit: int = 0) -> NDArray[np.bool_]:
    """Return whom a list sent a visit that met nobody, and nobody came since, shape ``(n_rows,)``.

    Such a visit counts for a quarter before ``day``; after ``limit`` of them in a row, if it is above 0, a
    household comes back no more.
    """
    not_met = pl.col("was_listed") & ~pl.col("was_met")
    within = pl.col("not_met_n") < limit if limit else pl.lit(value=True)
    return _last_visit_was(dated, day, COMES_BACK_DAYS, not_met & within)


def pauses(dated: pl.DataFrame, day: date, limit: int) -> NDArray[np.bool_]:
    """Return whom ``limit`` visits in a row did not meet, for a quarter after the last, shape ``(n_rows,)``.

    Nobody pauses where the limit is 0.
    """
    if not limit:
        return np.zeros(dated.height, dtype=bool)
    is_over = ~pl.col("was_met") & (pl.col("not_met_n") >= limit)
    return _last_visit_was(dated, day, COMES_BACK_DAYS, is_over)


def not_met_rows(
    index: pl.DataFrame,
    dated: pl.DataFrame,
    day: date,
    limit: int,
    listed: NDArray[np.int64],
    waiting: NDArray[np.int64],
) -> pl.DataFrame:
    """Return the households that ``limit`` visits in a row did not meet, so that they do not drop from sight.

    Parameters
    ----------
    index : polars.DataFrame
        Of the matrix.
    dated : polars.DataFrame
        Of :func:`dated_rows`, on the same rows.
    day : date
    limit : int
    listed, waiting : ndarray of int64
        Positions of the rows that are listed, or on the waiting list, all the same.

    Returns
    -------
    polars.DataFrame
        township, village, household_id, not_met_n, last_visit and place, sorted by household: 列入 listed,
        候补 waiting, or 暂缓 pausing.
    """
    names = {level: pl.coalesce(f"{level}_name", f"{level}_code") for level in ("township", "village")}
    rows = np.flatnonzero(pauses(dated, day, limit))
    return (
        index[rows]
        .select(**names, household_id="household_id")
        .hstack(dated[rows].select(pl.col("not_met_n").cast(pl.Int64), "last_visit"))
        .with_columns(is_listed=np.isin(rows, listed), is_waiting=np.isin(rows, waiting))
        .with_columns(
            place=pl.when("is_listed")
            .then(pl.lit(LISTED.zh))
            .when("is_waiting")
            .then(pl.lit(WAITING.zh))
            .otherwise(pl.lit(PAUSING.zh))
        )
        .drop("is_listed", "is_waiting")
        .sort("household_id")
    )


def _last_visit_was(dated: pl.DataFrame, day: date, days: int, what: pl.Expr) -> NDArray[np.bool_]:
    ago = (pl.lit(day) - pl.col("last_visit")).dt.total_days()
    return dated.select(((ago < days) & what).fill_null(False)).to_series().to_numpy()


def only_date(index: pl.DataFrame) -> date:
    """Return the one as-of date of an index.

    Raises
    ------
    ContractError
        RR482 where there is none, or several.
    """
    dates = index["as_of_date"].unique().sort().to_list()
    if len(dates) != 1:
        raise ContractError(
            "RR482",
            "visit list",
            f"{len(dates)} as-of dates ({', '.join(str(day) for day in dates[:3])})",
            "households of one as-of date",
            "Take the rows of one date: matrix.at(date)",
        )
    day: date = dates[0]
    return day
