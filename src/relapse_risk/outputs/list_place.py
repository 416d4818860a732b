"""Where a household stands on the list of a day, and why it is on it, waits, or is left out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

import polars as pl

from relapse_risk.rules.tiers import ORANGE, TIERS, YELLOW
from relapse_risk.vocabulary import Bilingual, Language, Tier

Status = Literal["listed", "waiting", "left_out"]

_HEAD: dict[Status, Bilingual] = {
    "listed": Bilingual("列入清单第{rank}位（共{n}户），{tier}", "listed at rank {rank} of {n}, tier {tier}"),
    "waiting": Bilingual("候补第{rank}位（共{n}户），{tier}", "waiting at place {rank} of {n}, tier {tier}"),
    "left_out": Bilingual("未列入清单", "not listed"),
}
_ALWAYS = Bilingual("红级、橙级全部列入，不受走访容量限制", "red and orange are listed whatever the capacity")
_SETTLED = Bilingual(
    "近期已核实且有措施在实施，排在同级之后，不占走访容量",
    "verified lately with measures under way, so it stands last in its tier and uses no capacity",
)
_APPLIED = Bilingual(
    "本户自主申报，一律列入", "the household applied itself, and who applies is listed in any case"
)
_RESTS_LISTED = Bilingual(
    "{rest}天内已走访见到该户，不占走访容量", "met within {rest} days, it uses no capacity"
)
_YELLOW = Bilingual(
    "黄级按次序列入，直至走访容量用完", "yellow rows are listed in order until capacity is used up"
)
_BLUE = Bilingual(
    "未触发规则，风险分在这类户中居前，列入模型预警",
    "no rule hit; among such households its score is one of the highest, so it is listed as a model alert",
)
_ROUTINE = Bilingual("未触发规则，列为例行走访", "no rule hit; listed as a routine visit")
_BACK = Bilingual("上次走访未见到人，本期再去", "the last visit met nobody, so it comes back")
_FULL = Bilingual(
    "排在前面的户已用完走访容量，容量增加或前面的户减少时列入",
    "rows before it use up the capacity; it is listed once there is more, or fewer are before it",
)
_RESTS = Bilingual(
    "{day}已走访见到该户，{rest}天内不重复安排", "met in a visit on {day}: no other within {rest} days"
)
_PAUSES = Bilingual(
    "连续{n}次走访未见到人，最后一次走访后三个月内暂缓安排",
    "{n} visits in a row met nobody: it pauses for a quarter after the last",
)
_NO_HIT = Bilingual(
    "未触发决定优先级的规则，也未自主申报", "no rule hit that gives a tier, and no own application"
)
_BELOW = Bilingual(
    "风险分{score}，低于列入的模型预警户最低分{least}",
    "its score of {score} is below {least}, the lowest of the model alerts listed",
)
_NO_ROOM = Bilingual("留给模型预警的走访容量已用完", "the visits kept for model alerts are used up")
_NO_MODEL = Bilingual("仅按规则出单，未使用模型", "made by rules only, without a model")
_JOINT = {"zh": "；", "en": "; "}
_COLON = {"zh": "：", "en": ": "}


@dataclass(frozen=True)
class RowFacts:
    """What is known of a household beside the list.

    Attributes
    ----------
    tier : int
        Of :func:`~relapse_risk.rules.tiers.tier_of`.
    is_settled, has_applied : bool
    score : float or None
        0 to 100; None without a model.
    last_met : date or None
        Of the last visit, if it met somebody.
    rest_days : int
        Days after such a visit without another; 0 where nobody rests.
    comes_back : bool
        Whether the last visit, which a list had asked for, met nobody, so that another is due.
    not_met_n : int
        Visits in a row that met nobody, where they are so many that the household pauses; else 0.
    """

    tier: int
    is_settled: bool = False
    has_applied: bool = False
    score: float | None = None
    last_met: date | None = None
    rest_days: int = 0
    comes_back: bool = False
    not_met_n: int = 0

    def rests_on(self, day: date) -> bool:
        """Return whether another visit can wait: red and who applied do not rest."""
        if self.last_met is None or self.has_applied or self.tier < ORANGE:
            return False
        return (day - self.last_met).days < self.rest_days


@dataclass(frozen=True)
class ListPlace:
    """The place of a household on one list.

    Attributes
    ----------
    list_id : str
    as_of_date : date
    status : {"listed", "waiting", "left_out"}
    rank : int or None
        On the list, or on the waiting list, counted from 1.
    n : int
        Rows of the list, or of the waiting list.
    tier : Tier or None
        None where it is left out.
    why : tuple of Bilingual
    """

    list_id: str
    as_of_date: date
    status: Status
    rank: int | None
    n: int
    tier: Tier | None
    why: tuple[Bilingual, ...]

    def say(self, language: Language, *, has_why: bool = True) -> str:
        """Return the place, and why, as one sentence without its full stop."""
        tier = "" if self.tier is None else self.tier.value
        head = _HEAD[self.status].text(language).format(rank=self.rank, n=self.n, tier=tier)
        why = _JOINT[language].join(reason.text(language) for reason in self.why)
        return f"{head}{_COLON[language]}{why}" if why and has_why else head


def lists_of_county(issued: pl.DataFrame, county_code: str, until: date) -> list[pl.DataFrame]:
    """Return the lists of a county up to a day, oldest first; of several on one date the last one found.

    Parameters
    ----------
    issued : polars.DataFrame
        As :func:`~relapse_risk.outputs.issued.find_issued` gives it.
    county_code : str
    until : date
    """
    own = issued.filter(pl.col("county_code") == county_code, pl.col("as_of_date") <= until)
    newest = own.group_by("as_of_date").agg(pl.col("list_id").last()).sort("as_of_date")
    return [own.filter(pl.col("list_id") == list_id) for list_id in newest["list_id"]]


def place_on_list(issued: pl.DataFrame, household_id: str, facts: RowFacts) -> ListPlace:
    """Return where a household stands on a list, and why.

    Parameters
    ----------
    issued : polars.DataFrame
        Rows of one list, listed and waiting.
    household_id : str
    facts : RowFacts
        As known on the list's date.
    """
    day, list_id = issued["as_of_date"][0], str(issued["list_id"][0])
    listed = issued.filter("is_listed")
    own = issued.filter(pl.col("household_id") == household_id)
    if own.is_empty():
        why = _why_left_out(listed, facts, day)
        return ListPlace(list_id, day, "left_out", None, listed.height, None, why)
    row = own.row(0, named=True)
    tier = Tier(row["tier"])
    if not row["is_listed"]:
        is_new = row["rule_hits_n"] > 0 and row["hit_since"] is not None and row["hit_since"] >= day
        why = (_resting(facts) if facts.rests_on(day) and not is_new else _FULL,)
        waiting = issued.height - listed.height
        return ListPlace(list_id, day, "waiting", row["rank"] - listed.height, waiting, tier, why)
    why = _why_listed(tier, facts, day)
    return ListPlace(list_id, day, "listed", row["rank"], listed.height, tier, why)


def _why_listed(tier: Tier, facts: RowFacts, day: date) -> tuple[Bilingual, ...]:
    place = TIERS.index(tier)
    if place > YELLOW:
        own = _BLUE if tier is Tier.BLUE else _ROUTINE
        return (own, _BACK) if facts.comes_back else (own,)
    if place == YELLOW and facts.has_applied:
        return (_APPLIED,)
    rule = _ALWAYS if place <= ORANGE else _YELLOW
    if facts.is_settled:
        return (rule, _SETTLED)
    if place == ORANGE and facts.rests_on(day):
        return (rule, _filled(_RESTS_LISTED, {"rest": str(facts.rest_days)}))
    return (rule, _BACK) if place == YELLOW and facts.comes_back else (rule,)


def _why_left_out(listed: pl.DataFrame, facts: RowFacts, day: date) -> tuple[Bilingual, ...]:
    if facts.rests_on(day):
        return (_NO_HIT, _resting(facts))
    if facts.not_met_n:
        return (_NO_HIT, _filled(_PAUSES, {"n": str(facts.not_met_n)}))
    if facts.score is None or listed["risk_score"].null_count() == listed.height:
        return (_NO_HIT, _NO_MODEL)
    alerts = listed.filter(pl.col("tier") == Tier.BLUE.value)["risk_score"].drop_nulls()
    least = min(alerts.to_list(), default=0.0)
    if facts.score >= least:
        return (_NO_HIT, _NO_ROOM)
    figures = {"score": f"{facts.score:.1f}", "least": f"{least:.1f}"}
    return (_NO_HIT, _filled(_BELOW, figures))


def _resting(facts: RowFacts) -> Bilingual:
    return _filled(_RESTS, {"day": str(facts.last_met), "rest": str(facts.rest_days)})


def _filled(text: Bilingual, words: dict[str, str]) -> Bilingual:
    return Bilingual(text.zh.format(**words), text.en.format(**words))
