"""Dated parameters in the words of the rules that read them, for people who know no parameter by its name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from relapse_risk.rules.spec import COUNTY_PARAMETERS, Rule, parameter_unit
from relapse_risk.vocabulary import Language, Unit

_SHAPES = {
    Unit.SHARE: ("{0:g}%", "{0:g}%"),
    Unit.RATIO: ("{0:g}倍", "{0:g} times"),
    Unit.DAYS: ("{0:g}天", "{0:g} days"),
    Unit.MONTHS: ("{0:g}个月", "{0:g} months"),
    Unit.YEARS: ("{0:g}岁", "{0:g} years"),
    Unit.YUAN: ("{0:g}元", "{0:g} yuan"),
}


def parameters_said(values: Iterable[Mapping[str, object]], rules: Sequence[Rule], language: Language) -> str:
    """Return parameters with their values, those of one rule together.

    Parameters
    ----------
    values : iterable of mapping
        ``param`` and ``value``; a value that is None is left out.
    rules : sequence of Rule
    language : {"zh", "en"}

    Examples
    --------
    >>> parameters_said([{"param": "line", "value": 8280.0}], (), "zh")
    '监测线（8280元）'
    """
    said: dict[str, list[str]] = {}
    for row in values:
        name = str(row["param"])
        said.setdefault(_owner(name, rules, language), []).extend(_value(name, row["value"], language))
    marks = ("（", "、", "）") if language == "zh" else (" (", ", ", ")")
    parts = [
        f"{owner}{marks[0]}{marks[1].join(dict.fromkeys(found))}{marks[2]}" if found else owner
        for owner, found in said.items()
    ]
    return ("、" if language == "zh" else ", ").join(parts)


def _owner(name: str, rules: Sequence[Rule], language: Language) -> str:
    """Return what a parameter is of: a figure of the county, or a rule."""
    if name in COUNTY_PARAMETERS:
        return COUNTY_PARAMETERS[name].text(language)
    code = name.partition(".")[0]
    return next((rule.name(language == "zh") for rule in rules if rule.code == code), name)


def _value(name: str, value: object, language: Language) -> list[str]:
    if not isinstance(value, float | int):
        return []
    unit = parameter_unit(name)
    shape = _SHAPES.get(unit, ("{0:g}", "{0:g}"))[language != "zh"]
    return [shape.format(value * 100 if unit is Unit.SHARE else value)]
