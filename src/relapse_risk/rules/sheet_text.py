"""The sheet of one household as lines of text."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from relapse_risk.rules.sheet import STATE_NAMES, Quantity, RuleSheet, SheetLine
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT
from relapse_risk.vocabulary import Bilingual, Language

_HEAD = Bilingual(
    "户 {id}（{place}）  {type}  监测类别：{monitor}  数据截至 {day}",
    "Household {id} ({place})  {type}  register: {monitor}  as of {day}",
)
_CANDIDATE = Bilingual("拟核实类别：{category}（依据 {rules}）", "Candidate for {category} (by {rules})")
_NO_CANDIDATE = Bilingual("拟核实类别：无", "Candidate for the register: no")
_HUMAN = Bilingual(
    "是否纳入、消除由民主评议、公开公示、乡级审核、县级确定程序决定。",
    "Review, publicity, township and county decide on inclusion and clearance.",
)
_CLEARANCE = Bilingual("消除核查清单：", "Check list for clearance:")
_MEASURES = Bilingual("建议措施：{measures}", "Suggested measures: {measures}")
_SECTIONS = Bilingual("{state}（{n}条）", "{state} ({n})")
_INPUTS, _PARAMS = Bilingual("读取", "reads"), Bilingual("参数", "parameters")
_BASIS, _TIMER = Bilingual("依据", "basis"), Bilingual("时限", "limit")
_LEFT = Bilingual("剩余{n}天，{day}到期", "{n} days left, due on {day}")
_OVERDUE = Bilingual("超期{n}天，应于{day}前完成", "{n} days overdue, was due on {day}")
_VERIFIED = {
    True: Bilingual("已核实", "verified"),
    False: Bilingual("未核实", "not verified"),
    None: Bilingual("没有数值", "no value"),
}
_MARKS = {HIT: "✓", NO_HIT: "✗", CANNOT_JUDGE: "?"}


def sheet_lines(sheet: RuleSheet) -> list[str]:
    """Return the sheet as lines: who, candidate, check list, measures, then every rule, hits first."""
    language = sheet.language
    return [*_summary(sheet, language), *_rules(sheet, language)]


def household_line(
    household_id: str, place: str, household_type: str, monitor_category: str, day: date, language: Language
) -> str:
    """Return who is spoken of: the first line of a sheet and of an explanation."""
    words = {"id": household_id, "place": place, "type": household_type, "monitor": monitor_category}
    return _HEAD.text(language).format(**words, day=day)


def limit_of(line: SheetLine, language: Language) -> str:
    """Return the days left of a rule's timer, or how long it is overdue; empty where none runs."""
    if line.days_left is None:
        return ""
    text = _OVERDUE if line.days_left < 0 else _LEFT
    return text.text(language).format(n=abs(line.days_left), day=line.due_on)


def _summary(sheet: RuleSheet, language: Language) -> Iterator[str]:
    yield household_line(
        sheet.household_id,
        sheet.place,
        sheet.household_type,
        sheet.monitor_category,
        sheet.as_of_date,
        language,
    )
    for row in sheet.candidate.iter_rows(named=True):
        yield _CANDIDATE.text(language).format(category=row["category"], rules=row["rules"])
        yield f"  {row['facts']}"
    if sheet.candidate.is_empty():
        yield _NO_CANDIDATE.text(language)
    if sheet.clearance.height:
        yield _CLEARANCE.text(language)
    for row in sheet.clearance.iter_rows(named=True):
        yield f"  {_MARKS[row['state']]} {row['name']}  {row['facts']}"
    if sheet.measures:
        yield _MEASURES.text(language).format(measures=sheet.measures)
    yield _HUMAN.text(language)


def _rules(sheet: RuleSheet, language: Language) -> Iterator[str]:
    states = list(dict.fromkeys(line.state for line in sheet.lines))
    for state in states:
        lines = [line for line in sheet.lines if line.state == state]
        yield ""
        name = STATE_NAMES[state].text(language)
        yield "== " + _SECTIONS.text(language).format(state=name, n=len(lines))
        for line in lines:
            yield from _rule(line, language)


def _rule(line: SheetLine, language: Language) -> Iterator[str]:
    says = f"  {line.says}" if line.says else ""
    yield f"{line.code} {line.name} [{line.category}]{says}"
    if line.inputs:
        yield f"    {_INPUTS.text(language)}: " + "; ".join(f"{q.label} = {q.value}" for q in line.inputs)
    if line.parameters:
        yield f"    {_PARAMS.text(language)}: " + "; ".join(_parameter(q, language) for q in line.parameters)
    if line.days_left is not None:
        yield f"    {_TIMER.text(language)}: {limit_of(line, language)}"
    yield f"    {_BASIS.text(language)}: {line.basis}"


def _parameter(quantity: Quantity, language: Language) -> str:
    status = _VERIFIED[quantity.verified].text(language)
    return f"{quantity.label} = {quantity.value} ({quantity.source}; {status})"
