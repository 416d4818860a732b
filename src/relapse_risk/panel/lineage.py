"""Households that are recoded, split or merged: their history goes on under the identifiers that follow.

A household row says so by ``predecessor_id`` (several, joined by 、, after a merger). That is known from the
row's own ``recorded_on`` on, so :meth:`Panel.known_at` of an earlier date sees households as they were then.

A successor *takes over* from a predecessor that was not recorded again on or after the day it was named,
unless it has a head (户主) of its own who was not the predecessor's: then it only *split off*, as long as
somebody else takes over or the old head is still there. A predecessor from which one took over has ended:

- an ended household is no household any more; all its rows stand under its heirs, also those that come late;
- who split off has the rows of the time before it was named; the predecessor, or its heir, keeps them too;
- observations of several predecessors add up, period by period, where all of them report it; where only some
  do, the merged household has no report of that period, for a part is not the whole;
- a row of a person goes where the person is now; other rows go to all who inherit.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import polars as pl

from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME

ID, PREDECESSOR = "household_id", "predecessor_id"
_SEPARATORS = r"[、,;\s]+"
_SUMMED = (ColumnType.NUMBER, ColumnType.INT)


def kin_of(households: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of household_id and predecessor_id of household rows, each pair once.

    A household that names itself names nobody.
    """
    if PREDECESSOR not in households.columns:
        return pl.DataFrame(schema={ID: pl.String, PREDECESSOR: pl.String})
    named = (
        households.filter(pl.col(PREDECESSOR).is_not_null())
        .select(ID, PREDECESSOR)
        .unique(maintain_order=True)
    )
    return each_named(named)


def each_named(named: pl.DataFrame) -> pl.DataFrame:
    """Return one row for each predecessor that a row names."""
    one = pl.col(PREDECESSOR).str.replace_all(_SEPARATORS, "、").str.strip_chars("、").str.split("、")
    pairs = named.with_columns(one).explode(PREDECESSOR)
    return pairs.filter((pl.col(PREDECESSOR) != "") & (pl.col(PREDECESSOR) != pl.col(ID))).unique(
        maintain_order=True
    )


def split_identifiers(cell: str) -> list[str]:
    """Return the identifiers that one cell names.

    >>> split_identifiers("130101001001000017、130101001001000018 ")
    ['130101001001000017', '130101001001000018']
    """
    return [name for name in re.split(_SEPARATORS, cell) if name]


def without_cycles(links: pl.DataFrame) -> pl.DataFrame:
    """Return the links but for those on a cycle: nobody comes from himself.

    Links between two cycles are left out, too.
    """
    core = links
    while True:
        # What starts or ends a chain is on no cycle; the chain is peeled from both ends.
        is_inside = pl.col(PREDECESSOR).is_in(core[ID].implode()) & pl.col(ID).is_in(
            core[PREDECESSOR].implode()
        )
        inner = core.filter(is_inside)
        if inner.is_empty():
            return links
        if inner.height == core.height:
            return links.join(inner, on=[ID, PREDECESSOR], how="anti", maintain_order="left")
        core = inner


@dataclass(frozen=True)
class Lineage:
    """Who follows whom, as known on one day.

    Attributes
    ----------
    links : polars.DataFrame
        household_id, predecessor_id, and ``until``: the last day whose rows are inherited; null where the
        successor took over and all of them are.
    heirs : polars.DataFrame
        For every ended household the living ones that follow it: household_id, heir_id.
    """

    links: pl.DataFrame
    heirs: pl.DataFrame

    @property
    def ended(self) -> pl.Series:
        """Identifiers of households that have ended."""
        return self.heirs[ID].unique()


def find_lineage(versions: pl.DataFrame, members: pl.DataFrame | None) -> Lineage | None:
    """Return who follows whom; None where nobody follows anybody.

    Parameters
    ----------
    versions : polars.DataFrame
        All rows of the household table recorded up to a day, sorted by ``recorded_on``.
    members : polars.DataFrame or None
        All rows of the member table recorded by then, sorted likewise.
    """
    named = versions.filter(pl.col(PREDECESSOR).is_not_null()).select(ID, PREDECESSOR, "recorded_on")
    if named.is_empty():
        return None
    # The latest word stands; a later row that leaves the cell empty says nothing of it.
    latest = named.unique(ID, keep="last", maintain_order=True).select(ID, PREDECESSOR)
    since = named.join(latest, on=[ID, PREDECESSOR]).group_by(ID, PREDECESSOR, maintain_order=True)
    links = each_named(since.agg(pl.col("recorded_on").min().alias("since")))
    links = links.join(versions.select(ID), left_on=PREDECESSOR, right_on=ID, how="semi")
    links = without_cycles(links)
    if links.is_empty():
        return None
    links = links.with_columns(takes_over=_takes_over(links, versions, members))
    ended = links.filter("takes_over")[PREDECESSOR].unique().sort()
    links = links.select(ID, PREDECESSOR, until=pl.when(~pl.col("takes_over")).then(pl.col("since")))
    return Lineage(links, _heirs(links, ended))


def _takes_over(links: pl.DataFrame, versions: pl.DataFrame, members: pl.DataFrame | None) -> pl.Series:
    """Return for each link whether the successor takes over from the predecessor, or only split off.

    The oldest links are judged first: who was recoded before has the members that still stand under the old
    code, and so the head that tells who splits off later.
    """
    seen = versions.group_by(ID).agg(last_seen=pl.col("recorded_on").max())
    dated = links.join(seen, left_on=PREDECESSOR, right_on=ID, how="left", maintain_order="left")
    dated = dated.with_columns(is_after=pl.col("since") > pl.col("last_seen"))
    if members is None or "relation" not in members.columns:
        return dated["is_after"]
    judged: list[pl.DataFrame] = []
    while not dated.is_empty():
        is_oldest = ~pl.col(PREDECESSOR).is_in(dated[ID].implode())
        now = dated.filter(is_oldest)
        now = now.select(ID, PREDECESSOR, takes_over=_judge(now, members))
        members = _under_new_codes(members, now)
        judged.append(now)
        dated = dated.filter(~is_oldest)
    told = links.join(pl.concat(judged), on=[ID, PREDECESSOR], how="left", maintain_order="left")
    return told["takes_over"]


def _judge(links: pl.DataFrame, members: pl.DataFrame) -> pl.Series:
    """Return which links take over, by the heads of both sides."""
    heads, left = _heads(links, members)
    judged = links.join(heads, on=[ID, PREDECESSOR], how="left", maintain_order="left").with_columns(
        has_head=pl.col(PREDECESSOR).is_in(left.implode())
    )
    is_apart = pl.col("is_apart").fill_null(value=False)
    is_open = pl.col("is_after") & ~is_apart
    # Where all have heads of their own and the old head is gone, too, the household was divided among them.
    is_divided = pl.col("is_after") & ~pl.col("has_head") & ~is_open.any().over(PREDECESSOR)
    return judged.select(is_open | is_divided).to_series()


def _under_new_codes(members: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """Return the members, those of a household that one successor takes over under the successor's code."""
    sole = judged.filter(pl.col("takes_over") & (pl.len().over(PREDECESSOR) == 1))
    new = sole.select(pl.col(PREDECESSOR).alias(ID), pl.col(ID).alias("_new"))
    moved = members.join(new, on=ID, how="left", maintain_order="left")
    return moved.with_columns(pl.coalesce("_new", ID).alias(ID)).select(members.columns)


def _heads(links: pl.DataFrame, members: pl.DataFrame) -> tuple[pl.DataFrame, pl.Series]:
    """Return whether each successor's head is another than its predecessor's, and who still has a head."""
    concerned = pl.concat([links[ID], links[PREDECESSOR]]).unique().implode()
    ones = members.filter(pl.col(ID).is_in(concerned))
    versions = members.filter(pl.col("member_id").is_in(ones["member_id"].unique().implode()))
    is_head = pl.col("relation") == "户主"
    latest = versions.unique("member_id", keep="last", maintain_order=True).filter(is_head)
    if "is_present" in latest.columns:
        latest = latest.filter(pl.col("is_present").ne_missing(other=False))
    former = ones.filter(is_head).select("member_id", pl.col(ID).alias(PREDECESSOR), was_head=True).unique()
    now = links.join(latest.select(ID, "member_id"), on=ID)
    now = now.join(former, on=["member_id", PREDECESSOR], how="left")
    apart = now.group_by(ID, PREDECESSOR).agg(is_apart=~pl.col("was_head").fill_null(value=False).any())
    return apart, latest[ID].unique()


def _heirs(links: pl.DataFrame, ended: pl.Series) -> pl.DataFrame:
    """Return the living households that follow each ended one, through others that have ended."""
    after = links.filter(pl.col("until").is_null()).select(
        pl.col(PREDECESSOR).alias("heir_id"), pl.col(ID).alias("next")
    )
    has_ended = pl.col("heir_id").is_in(ended.implode())
    open_ends = pl.DataFrame({ID: ended, "heir_id": ended})
    found = [open_ends.clear()]
    while not open_ends.is_empty():
        step = open_ends.join(after, on="heir_id").select(ID, heir_id="next").unique(maintain_order=True)
        found.append(step.filter(~has_ended))
        open_ends = step.filter(has_ended)
    return pl.concat(found).unique().sort(ID, "heir_id")


def follow(tables: Mapping[str, pl.DataFrame], lineage: Lineage) -> dict[str, pl.DataFrame]:
    """Return the known tables with every row under the household that has it now.

    Parameters
    ----------
    tables : mapping of str to polars.DataFrame
        One version of every row.
    lineage : Lineage
        As of the same day.
    """
    ended = lineage.ended.implode()
    followed = dict(tables)
    followed["household"] = tables["household"].filter(~pl.col(ID).is_in(ended))
    if "member" in tables:
        followed["member"] = _members(tables["member"], lineage)
    if "observation" in tables:
        followed["observation"] = _observations(tables["observation"], lineage)
    inherited = _inherited(lineage)
    for name, frame in tables.items():
        if name not in followed or ID not in frame.columns or name in ("household", "member", "observation"):
            continue
        followed[name] = _rows(name, frame, inherited, lineage, followed.get("member"))
    return followed


def _members(members: pl.DataFrame, lineage: Lineage) -> pl.DataFrame:
    """Return the members, those of an ended household with its heir where it has only one."""
    only = lineage.heirs.filter(pl.len().over(ID) == 1)
    moved = members.join(only, on=ID, how="left", maintain_order="left")
    return moved.with_columns(pl.coalesce("heir_id", ID).alias(ID)).select(members.columns)


def _inherited(lineage: Lineage) -> pl.DataFrame:
    """Return whose rows every living household has: household_id, ancestor, until; its own among them."""
    direct = lineage.links.rename({PREDECESSOR: "ancestor"})
    older = lineage.links.rename({ID: "ancestor", "until": "_until"})
    found, step = [direct], direct
    while not step.is_empty():
        both = pl.min_horizontal("until", "_until")
        step = step.join(older, on="ancestor").select(ID, ancestor=PREDECESSOR, until=both)
        found.append(step)
    latest = pl.when(pl.col("until").is_not_null().all()).then(pl.col("until").max())
    pairs = pl.concat(found).group_by(ID, "ancestor").agg(latest)
    own = pairs.select(pl.col("ancestor").alias(ID), "ancestor").unique()
    every = pl.concat([pairs, own.with_columns(until=pl.lit(None, pl.Date))])
    return every.filter(~pl.col(ID).is_in(lineage.ended.implode())).sort(ID, "ancestor")


def _rows(
    name: str, frame: pl.DataFrame, inherited: pl.DataFrame, lineage: Lineage, members: pl.DataFrame | None
) -> pl.DataFrame:
    """Return the rows of events, measures, visits or cases under all who have them."""
    is_old = pl.col(ID).is_in(inherited["ancestor"].unique().implode())
    old = frame.filter(is_old)
    if old.is_empty():
        return frame
    happened = TABLE_BY_NAME[name].happened or "recorded_on"
    old = (
        old.with_row_index("_row")
        .rename({ID: "ancestor"})
        .join(inherited, on="ancestor", maintain_order="left")
    )
    day = pl.coalesce(happened, "recorded_on")
    old = old.filter((day <= pl.col("until")).fill_null(value=True))
    if members is not None and "member_id" in frame.columns:
        at = members.select("member_id", pl.col(ID).alias("_home"))
        old = old.join(at, on="member_id", how="left", maintain_order="left")
        is_home = (pl.col("_home") == pl.col(ID)).fill_null(value=False)
        old = old.filter(is_home | ~is_home.any().over("_row"))
    return pl.concat([frame.filter(~is_old), old.select(frame.columns)])


def _observations(frame: pl.DataFrame, lineage: Lineage) -> pl.DataFrame:
    """Return the observations under all who have them, those of a merger added up."""
    concerned = pl.concat([lineage.links[ID], lineage.links[PREDECESSOR]]).unique().implode()
    is_concerned = pl.col(ID).is_in(concerned)
    own = frame.filter(is_concerned)
    sources = own.select(ID, "period_end", pl.col(ID).alias("source"))
    todo = lineage.links.with_columns(pl.len().over(ID).alias("n"))
    while not todo.is_empty():
        # Whose predecessors are all settled is next.
        is_waiting = pl.col(PREDECESSOR).is_in(todo[ID].implode()).any().over(ID)
        now, todo = todo.filter(~is_waiting), todo.filter(is_waiting)
        sources = pl.concat([sources, _sources_of(now, sources)])
    living = sources.filter(~pl.col(ID).is_in(lineage.ended.implode()))
    return pl.concat([frame.filter(~is_concerned), _added_up(living, own)])


def _sources_of(links: pl.DataFrame, sources: pl.DataFrame) -> pl.DataFrame:
    """Return whose reports make up those of each successor, by period: household_id, period_end, source."""
    of_predecessors = sources.rename({ID: PREDECESSOR})
    candidates = links.join(of_predecessors, on=PREDECESSOR).filter(
        (pl.col("period_end") <= pl.col("until")).fill_null(value=True)
    )
    is_complete = pl.col(PREDECESSOR).n_unique().over(ID, "period_end") == pl.col("n")
    found = candidates.filter(is_complete).select(ID, "period_end", "source").unique()
    return found.join(sources, on=[ID, "period_end"], how="anti").sort(ID, "period_end", "source")


def _added_up(sources: pl.DataFrame, own: pl.DataFrame) -> pl.DataFrame:
    """Return the observations that the sources make up, under their new household."""
    own = own.rename({ID: "source"})
    rows = sources.join(own, on=["source", "period_end"], maintain_order="left")
    is_sum = pl.len().over(ID, "period_end") > 1
    single = rows.filter(~is_sum)
    columns = [ID if name == "source" else name for name in own.columns]
    declared = TABLE_BY_NAME["observation"].by_name
    kept = (ID, "period_end", "period_months", "recorded_on")
    values = []
    for name in columns:
        column = pl.col(name)
        if name in kept:
            continue
        if name in declared and declared[name].type in _SUMMED:
            value = pl.when(column.is_not_null().all()).then(column.sum())
        else:
            value = pl.when(column.is_not_null().all() & (column.n_unique() == 1)).then(column.first())
        values.append(value.alias(name))
    groups = rows.filter(is_sum & (pl.col("period_months").n_unique().over(ID, "period_end") == 1))
    added = groups.group_by(ID, "period_end", maintain_order=True).agg(
        pl.col("period_months").first(), pl.col("recorded_on").max(), *values
    )
    return pl.concat([single.select(columns), added.select(columns)])


def ended_on(versions: pl.DataFrame, members: pl.DataFrame | None, day: date) -> pl.Series:
    """Return who has ended by what is known on a day; rows are sorted by ``recorded_on``."""
    is_known = pl.col("recorded_on") <= day
    lineage = find_lineage(versions.filter(is_known), None if members is None else members.filter(is_known))
    return pl.Series(ID, [], pl.String) if lineage is None else lineage.ended
