"""What changed between two lists handed out: who is new, gone or moved, and why, one row a household."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import polars as pl

from relapse_risk.explain.changes import MovedFact
from relapse_risk.outputs.tables import ResultTable
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import Rule
from relapse_risk.vocabulary import Basis, Bilingual, Language, Tier


class ListChange(StrEnum):
    """What became of a household from one list to the next."""

    NEW = "新增"
    GONE = "退出"
    NOW_LISTED = "候补转列入"
    NOW_WAITING = "列入转候补"
    TIER = "优先级变化"
    SAME = "不变"


_ORDER = tuple(ListChange)
_ENGLISH = {
    ListChange.NEW: "new",
    ListChange.GONE: "gone",
    ListChange.NOW_LISTED: "waiting, now listed",
    ListChange.NOW_WAITING: "listed, now waiting",
    ListChange.TIER: "other tier",
    ListChange.SAME: "same",
}
_HEADERS = {
    "household_id": Bilingual("户编号", "household_id"),
    "township": Bilingual("乡镇", "township"),
    "village": Bilingual("村", "village"),
    "change": Bilingual("变化", "change"),
    "tier_before": Bilingual("上次优先级", "tier_before"),
    "tier": Bilingual("本次优先级", "tier"),
    "rank_before": Bilingual("上次序号", "rank_before"),
    "rank": Bilingual("本次序号", "rank"),
    "risk_score_before": Bilingual("上次风险分", "risk_score_before"),
    "risk_score": Bilingual("本次风险分", "risk_score"),
    "rules_begun": Bilingual("新触发规则", "rules_begun"),
    "rules_ended": Bilingual("不再触发规则", "rules_ended"),
    "why": Bilingual("说明", "why"),
}
_BEGUN = Bilingual("新触发{names}", "rules begun: {names}")
_ENDED = Bilingual("不再触发{names}", "rules ended: {names}")
_SCORE = Bilingual("风险分{before:.1f}变为{after:.1f}", "score from {before:.1f} to {after:.1f}")
_MET = Bilingual("{day}已走访", "visited on {day}")
_APPLIED = Bilingual("自主申报", "the household applied itself")
_NO_APPLICATION = Bilingual("自主申报已办结", "its own application is closed")
_NO_ALERT = Bilingual("不再列入模型预警", "no model alert any more")
_NO_ROUTINE = Bilingual("例行走访每期另行安排", "routine visits are drawn anew for each list")
_CAPACITY = Bilingual("黄级次序和走访容量变化", "its place among yellow rows, or capacity, changed")
_ALERT = Bilingual("列入模型预警", "a model alert now")
_GONE = {Tier.BLUE.value: _NO_ALERT, Tier.ROUTINE.value: _NO_ROUTINE}
_NEW = {Tier.BLUE.value: _ALERT, Tier.ROUTINE.value: _NO_ROUTINE}
_LEAST_POINTS = 1.0  # a score that moved less says nothing
_JOINT = {"zh": "；", "en": "; "}
_COMMA = {"zh": "、", "en": ", "}

_Row = Mapping[str, object]


def compare_lists(
    before: pl.DataFrame,
    after: pl.DataFrame,
    language: Language = "zh",
    *,
    facts: Mapping[str, Sequence[MovedFact]] | None = None,
    visits: pl.DataFrame | None = None,
    rules: Sequence[Rule] = RULES,
) -> ResultTable:
    """Return what became of every household on either of two lists, and why.

    Parameters
    ----------
    before, after : polars.DataFrame
        Rows of an earlier and a later edition, listed and waiting, as
        :func:`~relapse_risk.outputs.issued.find_issued` gives them.
    language : {"zh", "en"}
        Of names and sentences, in whichever the lists were written.
    facts : mapping of str to sequence of MovedFact, optional
        What moved the risk of a household, by its identifier.
    visits : polars.DataFrame, optional
        ``household_id`` and ``last_visit``; visits after the earlier list's date are named.
    rules : sequence of Rule

    Returns
    -------
    ResultTable
        One row a household: ``change``, tier, rank and score on both lists (null where it is on one only),
        rules begun and ended by name, and ``why``. New ones first, then gone, moved and unchanged; in the
        order of the later list within each.
    """
    keys = ["tier", "rank", "risk_score", "rules_hit", "basis", "is_listed", "township", "village"]
    joined = (
        after.select("household_id", *keys)
        .join(before.select("household_id", *keys), on="household_id", how="full", suffix="_before")
        .with_columns(
            household_id=pl.coalesce("household_id", "household_id_before"),
            township=pl.coalesce("township", "township_before"),
            village=pl.coalesce("village", "village_before"),
        )
    )
    seen = {} if visits is None else dict(visits.select("household_id", "last_visit").iter_rows())
    since = before["as_of_date"].max()
    words = _Words(language, {rule.name(is_zh): rule for rule in rules for is_zh in (True, False)})
    rows = []
    for row in joined.iter_rows(named=True):
        change = _change_of(row)
        begun, ended = words.rules_moved(row)
        visited = seen.get(row["household_id"])
        told = (facts or {}).get(row["household_id"], ())
        why = words.why(row, change, begun, ended)
        why += [fact.say(language) for fact in told] if change is not ListChange.SAME else []
        why += [_MET.text(language).format(day=visited)] if visited and since and visited > since else []
        rows.append(
            {
                **{name: row.get(name) for name in _HEADERS},
                "change": change.value,
                "rules_begun": _COMMA[language].join(begun) or None,
                "rules_ended": _COMMA[language].join(ended) or None,
                "why": _JOINT[language].join(why) or None,
            }
        )
    frame = pl.DataFrame(rows, schema=_SCHEMA)
    place = pl.col("change").replace_strict({change.value: i for i, change in enumerate(_ORDER)})
    frame = frame.sort(place, "rank", "rank_before", "household_id", nulls_last=True)
    english = {change.value: _ENGLISH[change] for change in _ORDER}
    return ResultTable(Bilingual("清单变化", "list_changes"), frame, _HEADERS, {"change": english})


_SCHEMA = dict.fromkeys(_HEADERS, pl.String) | {
    **dict.fromkeys(("rank_before", "rank"), pl.Int64),
    **dict.fromkeys(("risk_score_before", "risk_score"), pl.Float64),
}


def _change_of(row: _Row) -> ListChange:
    if row["tier_before"] is None:
        return ListChange.NEW
    if row["tier"] is None:
        return ListChange.GONE
    if row["is_listed"] != row["is_listed_before"]:
        return ListChange.NOW_LISTED if row["is_listed"] else ListChange.NOW_WAITING
    return ListChange.SAME if row["tier"] == row["tier_before"] else ListChange.TIER


class _Words:
    """Says why, in one language; rules are told by their names in either."""

    def __init__(self, language: Language, rule_of: Mapping[str, Rule]) -> None:
        self._language, self._rule_of = language, rule_of

    def rules_moved(self, row: _Row) -> tuple[list[str], list[str]]:
        """Return the names of the rules hit on the later list only, and on the earlier only."""
        now, then = (self._codes(row[name]) for name in ("rules_hit", "rules_hit_before"))
        begun = [name for code, name in now.items() if code not in then]
        return begun, [name for code, name in then.items() if code not in now]

    def why(self, row: _Row, change: ListChange, begun: list[str], ended: list[str]) -> list[str]:
        """Return the sentences that follow from both lists alone."""
        said: list[Bilingual] = []
        named = ((_BEGUN, begun), (_ENDED, ended))
        texts = [self._say(text).format(names=_COMMA[self._language].join(n)) for text, n in named if n]
        applied, had = (Basis.SELF_APPLICATION in str(row[name]) for name in ("basis", "basis_before"))
        if applied != had:
            said.append(_APPLIED if applied else _NO_APPLICATION)
        if change is ListChange.GONE and row["tier_before"] in _GONE:
            said.append(_GONE[str(row["tier_before"])])
        if change is ListChange.NEW and not begun and row["tier"] in _NEW:
            said.append(_NEW[str(row["tier"])])
        if change in (ListChange.NOW_LISTED, ListChange.NOW_WAITING) and not begun and not ended:
            said.append(_CAPACITY)
        texts += [self._say(text) for text in said]
        before, after = row["risk_score_before"], row["risk_score"]
        if isinstance(before, float) and isinstance(after, float) and abs(after - before) >= _LEAST_POINTS:
            texts.append(self._say(_SCORE).format(before=before, after=after))
        return texts

    def _codes(self, names: object) -> dict[str, str]:
        rules = [self._rule_of[name] for name in str(names or "").split("、") if name in self._rule_of]
        return {rule.code: rule.name(self._language == "zh") for rule in rules}

    def _say(self, text: Bilingual) -> str:
        return text.text(self._language)
