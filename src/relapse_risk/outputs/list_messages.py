"""What is said of a county's list: in a few words, and loudly where more is needed than can be done."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from relapse_risk.outputs.standing import LISTED, PAUSING, WAITING
from relapse_risk.rules.priority import TIERS
from relapse_risk.vocabulary import Bilingual

TIER_COUNTS = ("red", "orange", "yellow", "blue", "routine")
_NAMED_UNITS = 5


def summary_lines(county: str, counts: Mapping[str, int], n_listed: int) -> tuple[Bilingual, ...]:
    """Return a county's list in a few words; ``counts`` as in VisitSelection."""
    tiers = "、".join(f"{tier.value} {counts[name]}" for tier, name in zip(TIERS, TIER_COUNTS, strict=True))
    in_english = ", ".join(f"{counts[name]} {name}" for name in TIER_COUNTS)
    said = [
        Bilingual(
            f"{county}：列入{n_listed}户（{tiers}），候补{counts['waiting']}户，走访容量{counts['capacity']}户",
            f"{county}: {n_listed} listed ({in_english}), {counts['waiting']} waiting, "
            f"capacity {counts['capacity']}",
        )
    ]
    if counts["settled"]:
        said.append(
            Bilingual(
                f"其中{counts['settled']}户近期已走访核实，排在同级之后，不占走访容量",
                f"{counts['settled']} of them were verified lately: they stand last in their tier and use no "
                "capacity",
            )
        )
    if counts["rested"]:
        said.append(
            Bilingual(
                f"候补中{counts['rested']}户近期已走访，本期暂不安排",
                f"{counts['rested']} of the waiting were visited lately and rest this time",
            )
        )
    return tuple(said)


def list_messages(
    county: str,
    counts: Mapping[str, int],
    units: pl.DataFrame,
    not_met: pl.DataFrame,
    names: Mapping[str, str],
) -> tuple[Bilingual, ...]:
    """Return what must be said loudly: more to visit than can be, or visits that meet nobody, one by one.

    Parameters
    ----------
    county : str
    counts : mapping of str to int
        As in VisitSelection.
    units : polars.DataFrame
        unit, capacity, used, audit and excess of every unit of capacity.
    not_met : polars.DataFrame
        Of :func:`~relapse_risk.outputs.standing.not_met_rows`.
    names : mapping of str to str
        Of areas, by their codes; a unit that is a team goes by its own.
    """
    units = units.with_columns(pl.col("unit").replace(dict(names)))
    # A draw of the audit sample where nobody has a visit to make is no emergency.
    is_draw = (pl.col("capacity") == 0) & (pl.col("used") == pl.col("audit"))
    drawn = units.filter(is_draw, pl.col("audit") > 0)
    told = [_drawn_without_visits(county, drawn)] if drawn.height else []
    told += [_never_met(county, not_met)] if not_met.height else []
    units = units.filter(~is_draw)
    urgent, capacity, excess = counts["red"] + counts["orange"], counts["capacity"], units["excess"].sum()
    if not excess:
        return tuple(told)
    applied_zh = f"，自主申报{counts['applied']}户" if counts["applied"] else ""
    applied_en = f" and {counts['applied']} own applications" if counts["applied"] else " households"
    zh = en = ""
    if units.height > 1:
        over = units.filter(pl.col("excess") > 0)
        shown = over.sort("excess", "unit", descending=[True, False]).head(_NAMED_UNITS)
        zh = "，".join(f"{unit}超出{n}户" for unit, n in shown.select("unit", "excess").iter_rows())
        en = ", ".join(f"{unit} by {n}" for unit, n in shown.select("unit", "excess").iter_rows())
        zh, en = f"（{over.height}个走访单元：{zh}）", f" ({over.height} units: {en})"
    return (
        Bilingual(
            f"注意：{county}红色、橙色共{urgent}户{applied_zh}，走访容量{capacity}户，超出{excess}户{zh}；"
            "红色、橙色和自主申报已全部列入，请增派走访力量。",
            f"Attention: {county} has {urgent} red and orange{applied_en}, capacity {capacity} visits; "
            f"the list exceeds it by {excess}{en}. All of them, and all who applied, are listed; "
            "more staff are needed.",
        ),
        *told,
    )


def _never_met(county: str, not_met: pl.DataFrame) -> Bilingual:
    least = min(not_met["not_met_n"].to_list())
    n = not_met.height
    listed, waiting, pausing = (
        int((not_met["place"] == place.zh).sum()) for place in (LISTED, WAITING, PAUSING)
    )
    return Bilingual(
        f"{county}有{n}户连续{least}次以上走访未见到人，本期列入{listed}户、候补{waiting}户、暂缓{pausing}户；"
        "请向村里核实是否长期外出或已搬走，名单见“未见到户”文件。",
        f"{county}: {least} or more visits in a row met nobody at {n} households; {listed} are listed now, "
        f"{waiting} wait, {pausing} pause. Please ask the village whether they have moved; the file not_met "
        "names them.",
    )


def _drawn_without_visits(county: str, drawn: pl.DataFrame) -> Bilingual:
    units, n = drawn["unit"].to_list(), drawn["audit"].sum()
    return Bilingual(
        f"{county}有{n}户例行走访在走访容量为0的地区（{'、'.join(units)}），请另行安排人员走访。",
        f"{county}: {n} routine visit where there is no capacity ({', '.join(units)}); please send somebody.",
    )
