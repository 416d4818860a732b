"""What a rule is; ``rules/catalog`` declares them with these words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from relapse_risk.features.expression import Expression, features_in, parameters_in, walk
from relapse_risk.vocabulary import Bilingual, RuleCategory, Unit

COUNTY_PARAMETERS = {
    "line": Bilingual("监测线", "monitoring line"),
    "rural_dpi_prev": Bilingual("上年全省农村居民人均可支配收入", "last year's rural income per head"),
    "dibao_standard": Bilingual("低保标准", "allowance standard"),
}
CANDIDATE_CATEGORIES = (RuleCategory.UNSTABLE, RuleCategory.MARGINAL, RuleCategory.SEVERE)

_PLACEHOLDER = re.compile(r"\{(?P<inner>[^{}]*)\}")
_INNER = re.compile(
    r"^(?P<negative>-)?(?P<first>[A-Za-z][\w.]*)(?:(?P<operation>[-/])(?P<second>[A-Za-z][\w.]*))?"
    r"(?::(?P<unit>[a-z_]+))?$"
)
_PARAMETER_UNITS = {
    "share": Unit.SHARE,
    "ratio": Unit.RATIO,
    "days": Unit.DAYS,
    "months": Unit.MONTHS,
    "age": Unit.YEARS,
    "yuan": Unit.YUAN,
}


def is_parameter(name: str) -> bool:
    """Return whether a name in a phrase is a dated parameter rather than a feature."""
    return "." in name or name in COUNTY_PARAMETERS


def parameter_unit(name: str) -> Unit:
    """Return the unit of a parameter, which its name ends in; yuan for those the county gives.

    >>> parameter_unit("R03.fall_share"), parameter_unit("line")
    (<Unit.SHARE: Bilingual(zh='比例', en='share')>, <Unit.YUAN: Bilingual(zh='元', en='yuan')>)
    """
    if name in COUNTY_PARAMETERS:
        return Unit.YUAN
    return _PARAMETER_UNITS.get(re.split(r"[._]", name)[-1], Unit.COUNT)


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One figure of a phrase.

    ``{a}``, ``{-a}``, ``{a-b}`` or ``{a/b}``, with ``:unit`` behind it where the figure is not in the unit of
    ``a``; ``a`` and ``b`` are features or parameters, and ``value`` is the feature the phrase belongs to.
    """

    written: str
    first: str
    second: str | None
    operation: str | None
    is_negative: bool
    unit: Unit | None

    @property
    def names(self) -> tuple[str, ...]:
        """Features and parameters the figure is made of."""
        return (self.first,) if self.second is None else (self.first, self.second)


def placeholders_in(text: str) -> Iterator[Placeholder]:
    """Yield the figures of a phrase in the order of the text.

    Raises
    ------
    ValueError
        Where a pair of braces holds anything else.
    """
    for match in _PLACEHOLDER.finditer(text):
        inner = _INNER.match(match["inner"])
        if inner is None or (inner["unit"] and inner["unit"].upper() not in Unit.__members__):
            raise ValueError(f"{match[0]} in {text!r} is not a figure")
        yield Placeholder(
            written=match[0],
            first=inner["first"],
            second=inner["second"],
            operation=inner["operation"],
            is_negative=inner["negative"] is not None,
            unit=Unit[inner["unit"].upper()] if inner["unit"] else None,
        )


@dataclass(frozen=True)
class RuleState(Expression):
    """Whether another rule is a hit: 1, 0, or NaN where it can't be judged.

    Rules that read the state of others run after them.
    """

    code: str


def states_in(expression: Expression) -> tuple[str, ...]:
    """Return the codes of the rules whose state is read, in the order of first use."""
    return tuple(dict.fromkeys(node.code for node in walk(expression) if isinstance(node, RuleState)))


@dataclass(frozen=True, slots=True)
class Check:
    """One named part of a rule that is told item by item.

    Attributes
    ----------
    key : str
        Stable name.
    zh, en : str
        What people call it.
    condition : Expression
        Three-valued.
    text : Bilingual
        What the record says on it, with its figures.
    """

    key: str
    zh: str
    en: str
    condition: Expression
    text: Bilingual


@dataclass(frozen=True, slots=True)
class Wording:
    """A sentence of a rule, said where ``when`` holds; always where that is None."""

    text: Bilingual
    when: Expression | None = None


@dataclass(frozen=True)
class Rule:
    """One monitoring rule.

    Attributes
    ----------
    code : str
        ``R`` and two digits, stable.
    zh, en : str
        What people call it.
    categories : tuple of RuleCategory
        What a hit means. Where there are several, household type and income decide between them.
    condition : Expression
        Three-valued: 1 hit, 0 no hit, NaN cannot judge.
    wordings : tuple of Wording
        What a hit says, with its figures; those whose ``when`` holds are joined.
    articles : tuple of str
        Articles of the implementation opinion, in Chinese numerals.
    to_verify : Bilingual
        What a visitor should check.
    applies : Expression or None
        The rule is about these households only; elsewhere it is no hit.
    source : Bilingual or None
        Where the rule comes from beyond the opinion.
    risk_type : str or None
        The risk (致贫返贫风险) that a hit points at; measures are suggested by it.
    days_left : Expression or None
        Days until the limit of a process rule; negative is overdue.
    is_urgent : bool
        A hit comes first whatever its category.
    is_optional : bool
        Off where a parameter of its own (``CODE.…``) has no value in force: no hit rather than a gap. A
        county turns it on by giving the values.
    valid_from, valid_until : date
        As-of dates on which the rule is in force, inclusive.
    """

    code: str
    zh: str
    en: str
    categories: tuple[RuleCategory, ...]
    condition: Expression
    wordings: tuple[Wording, ...]
    articles: tuple[str, ...]
    to_verify: Bilingual
    applies: Expression | None = None
    source: Bilingual | None = None
    risk_type: str | None = None
    days_left: Expression | None = None
    is_urgent: bool = False
    is_optional: bool = False
    valid_from: date = date.min
    valid_until: date = date.max

    @cached_property
    def predicate(self) -> Expression:
        """``applies and condition``: a household the rule is not about is no hit, whatever is missing."""
        return self.condition if self.applies is None else self.applies & self.condition

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """Features the predicate reads, in the order of first use."""
        return features_in(self.predicate)

    @cached_property
    def reads_rules(self) -> tuple[str, ...]:
        """Rules whose state the predicate reads, in the order of first use."""
        return states_in(self.predicate)

    @cached_property
    def params(self) -> tuple[str, ...]:
        """Dated parameters that predicate and timer read, in the order of first use."""
        timer = () if self.days_left is None else parameters_in(self.days_left)
        return tuple(dict.fromkeys((*parameters_in(self.predicate), *timer)))

    @property
    def own_params(self) -> tuple[str, ...]:
        """Parameters of the rule itself, ``CODE.…``; an optional rule is off without them."""
        return tuple(name for name in self.params if name.startswith(f"{self.code}."))

    @cached_property
    def all_features(self) -> tuple[str, ...]:
        """Features that the predicate, the timer and the wordings read."""
        parts = [self.predicate, self.days_left, *(wording.when for wording in self.wordings)]
        names = [name for part in parts if part is not None for name in features_in(part)]
        said = [name for name in self._said if not is_parameter(name)]
        return tuple(dict.fromkeys((*names, *said)))

    @cached_property
    def all_parameters(self) -> tuple[str, ...]:
        """Parameters that the predicate, the timer and the wordings read."""
        parts = [self.predicate, self.days_left, *(wording.when for wording in self.wordings)]
        names = [name for part in parts if part is not None for name in parameters_in(part)]
        said = [name for name in self._said if is_parameter(name)]
        return tuple(dict.fromkeys((*names, *said)))

    @property
    def _said(self) -> Iterator[str]:
        for wording in self.wordings:
            for text in (wording.text.zh, wording.text.en):
                for placeholder in placeholders_in(text):
                    yield from placeholder.names

    @property
    def is_candidate(self) -> bool:
        """Whether a hit makes the household a candidate for the register."""
        return any(category in CANDIDATE_CATEGORIES for category in self.categories)

    @property
    def category(self) -> str:
        """Categories joined by a slash, such as ``U/S``."""
        return "/".join(self.categories)

    @property
    def basis(self) -> Bilingual:
        """Articles of the implementation opinion, and the further source where there is one."""
        articles = "".join(f"（{article}）" for article in self.articles)
        zh, en = f"实施意见{articles}", f"implementation opinion {articles}"
        if self.source is None:
            return Bilingual(zh, en)
        return Bilingual(f"{zh}；{self.source.zh}", f"{en}; {self.source.en}")

    def name(self, is_chinese: bool = True) -> str:
        """Return code and name, as a list shows them."""
        return f"{self.code}{self.zh}" if is_chinese else f"{self.code} {self.en}"
