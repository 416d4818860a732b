"""The explanation of one household as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from relapse_risk.outputs.household import HouseholdChange, HouseholdExplanation, HouseholdRisk
from relapse_risk.rules.sheet_text import household_line, limit_of
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language, Tier

_TIER = Bilingual("规则给出的优先级：{tier}", "Tier by the rules: {tier}")
_NO_TIER = Bilingual("规则给出的优先级：无（未触发）", "Tier by the rules: none (no hit)")
_PLACE = Bilingual("名单（{list_id}）：{place}。", "List {list_id}: {place}.")
_NO_LIST = Bilingual(
    "名单：没有找到该日的名单；用 --lists 指明名单所在文件夹，或用 --capacity 查看按此容量会怎样。",
    "List: none of that day was found; name its folder by --lists, or see by --capacity what it would be.",
)
_RISK = Bilingual(
    "模型（{model}）：风险分{score:.1f}，全县{n}户中第{place}位；返贫致贫风险 {risks}",
    "Model ({model}): score {score:.1f}, place {place} of the county's {n}; risk of relapse {risks}",
)
_WITHIN = Bilingual("{months}个月内{risk:.1%}", "{risk:.1%} within {months} months")
_NO_MODEL = Bilingual("模型：未使用，仅按规则说明。", "Model: none; explained by rules only.")
_RULES = Bilingual("触发的规则（{n}条）", "Rules hit ({n})")
_NO_RULES = Bilingual("未触发规则", "No rule hit")
_RAISES = Bilingual("提高风险的事实（不代表原因）", "Facts that raise the risk (no causes)")
_PROTECTS = Bilingual("降低风险的事实（不影响优先级）", "Facts that lower the risk (they change no tier)")
_UNJUDGED = Bilingual("因数据缺失无法判断（{n}条）", "Not to be judged for want of data ({n})")
_GAPS = Bilingual("数据缺口：{text}", "Data gaps: {text}")
_NO_GAPS = Bilingual("数据缺口：无", "Data gaps: none")
_KEY_GROUPS = Bilingual("重点人群：{text}", "Key groups: {text}")
_VERIFY = Bilingual("建议核实：{text}", "To verify: {text}")
_MEASURES = Bilingual("建议措施：{text}", "Suggested measures: {text}")
_SINCE_LIST = Bilingual("与上次名单（{day}，{list_id}）相比", "Since the last list ({day}, {list_id})")
_SINCE = Bilingual("与{day}相比", "Since {day}")
_NOT_KNOWN_THEN = Bilingual("当时没有该户记录", "the household was not known then")
_THEN = Bilingual("当时{place}", "then {place}")
_BEGUN = Bilingual("新触发：{names}", "rules begun: {names}")
_ENDED = Bilingual("不再触发：{names}", "rules ended: {names}")
_SAME_RULES = Bilingual("触发的规则没有变化", "the same rules are hit")
_MOVED = Bilingual(
    "{months}个月风险由{before:.1%}变为{after:.1%}，风险分由{low:.1f}变为{high:.1f}",
    "risk within {months} months from {before:.1%} to {after:.1%}, score from {low:.1f} to {high:.1f}",
)
_VISITED = Bilingual("期间走访：{days}", "visited since: {days}")
_COMMA = {"zh": "、", "en": ", "}
_TIER_NAMES = {
    Tier.RED: "red",
    Tier.ORANGE: "orange",
    Tier.YELLOW: "yellow",
    Tier.BLUE: "blue",
    Tier.ROUTINE: "routine",
}


def explanation_lines(told: HouseholdExplanation) -> list[str]:
    """Return who, place and risk, then rules, facts, protections, gaps, what changed, and what to do."""
    language = told.language
    lines = [
        household_line(
            told.household_id,
            told.area,
            told.household_type,
            told.monitor_category,
            told.as_of_date,
            language,
        ),
        _tier(told.tier, language),
        _place(told, language),
        _NO_MODEL.text(language) if told.risk is None else _risk(told.risk, language),
        "",
        *_rules(told, language),
        *_section(_RAISES.text(language), told.facts),
        *_section(_PROTECTS.text(language), told.protects),
        *_section(_UNJUDGED.text(language).format(n=len(told.unjudged)), told.unjudged),
        _GAPS.text(language).format(text=told.data_gaps) if told.data_gaps else _NO_GAPS.text(language),
        "",
    ]
    if told.change is not None:
        lines += [*_change(told.change, told.risk, language), ""]
    rest = ((_KEY_GROUPS, told.key_groups), (_VERIFY, told.to_verify), (_MEASURES, told.measures))
    lines += [label.text(language).format(text=text) for label, text in rest if text]
    return [*lines, SCORE_DISCLAIMER.text(language)]


def _tier(tier: Tier, language: Language) -> str:
    if tier is Tier.ROUTINE:
        return _NO_TIER.text(language)
    shown = tier.value if language == "zh" else f"{tier.value} ({_TIER_NAMES[tier]})"
    return _TIER.text(language).format(tier=shown)


def _place(told: HouseholdExplanation, language: Language) -> str:
    if told.place is None:
        return _NO_LIST.text(language)
    return _PLACE.text(language).format(list_id=told.place.list_id, place=told.place.say(language))


def _risk(risk: HouseholdRisk, language: Language) -> str:
    within = _COMMA[language].join(
        _WITHIN.text(language).format(months=months, risk=chance) for months, chance in risk.by_horizon
    )
    return _RISK.text(language).format(
        model=risk.model, score=risk.score, n=risk.n, place=risk.place, risks=within
    )


def _rules(told: HouseholdExplanation, language: Language) -> Iterator[str]:
    if not told.rules:
        yield from _section(_NO_RULES.text(language), (), is_kept=True)
        return
    yield f"== {_RULES.text(language).format(n=len(told.rules))}"
    for line in told.rules:
        limit = "" if line.days_left is None else f"  [{limit_of(line, language)}]"
        yield f"  {line.code} {line.name} [{line.category}]  {line.says}{limit}"
    yield ""


def _section(title: str, texts: Sequence[str], *, is_kept: bool = False) -> Iterator[str]:
    if not texts and not is_kept:
        return
    yield f"== {title}"
    yield from (f"  {text}" for text in texts)
    yield ""


def _change(change: HouseholdChange, risk: HouseholdRisk | None, language: Language) -> Iterator[str]:
    since = _SINCE if change.place is None else _SINCE_LIST
    list_id = "" if change.place is None else change.place.list_id
    yield f"== {since.text(language).format(day=change.since, list_id=list_id)}"
    if change.is_new:
        yield f"  {_NOT_KNOWN_THEN.text(language)}"
        return
    if change.place is not None:
        yield f"  {_THEN.text(language).format(place=change.place.say(language, has_why=False))}"
    for label, names in ((_BEGUN, change.rules_begun), (_ENDED, change.rules_ended)):
        if names:
            yield f"  {label.text(language).format(names=_COMMA[language].join(names))}"
    if not change.rules_begun and not change.rules_ended:
        yield f"  {_SAME_RULES.text(language)}"
    if risk is not None and change.risk is not None and change.score is not None:
        months, now = risk.by_horizon[-1]
        figures = {"months": months, "before": change.risk, "after": now}
        yield f"  {_MOVED.text(language).format(**figures, low=change.score, high=risk.score)}"
    yield from (f"    {fact.say(language)}" for fact in change.facts)
    if change.visited_on:
        yield f"  {_VISITED.text(language).format(days=_COMMA[language].join(map(str, change.visited_on)))}"
