"""Why a household is on a list, as sentences with figures from its record.

Rules speak first. Then the model's contributions choose and order facts, but do not word them: a sentence
states what the record says, never a cause. What protects a household is no reason, and nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.explain.attribute import Attributions
from relapse_risk.explain.facts import NO_FACT, choose_facts, choose_protections, worded_features
from relapse_risk.explain.groups import key_groups
from relapse_risk.features.coverage import thin_families
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FAMILIES, Feature
from relapse_risk.rules.apply import describe_gaps, missing_fields
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.measures import suggest_measures
from relapse_risk.rules.phrases import NOT_KNOWN, hit_phrases, render_rows
from relapse_risk.rules.priority import has_moving_hit
from relapse_risk.rules.spec import Rule, is_parameter
from relapse_risk.rules.tiers import moving_codes
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import MODEL_ONLY_NOTE, Basis, Bilingual, Language, RuleCategory

SELF_APPLICATION_NOTE = Bilingual("本户自主申报，待核实", "The household applied itself; to be verified")
ROUTINE_NOTE = Bilingual("例行走访", "Routine visit")
THIN_FAMILIES = Bilingual("{families}类指标缺失过半", "more than half unknown of {families}")
_CLAUSE = {"zh": "；", "en": "; "}
_COMMA = {"zh": "、", "en": ", "}
DATA_GAP_REASON = Bilingual(
    "数据缺口：{fields}缺失，请入户核实", "Data gaps: {fields} not known; please check on the visit"
)
_MORE_GAPS = Bilingual("等{n}项", " and others, {n} in all")
_MOST_GAPS_NAMED = 6
# What routine visits go by where there is no model, the first that is known.
INCOME_INDICATORS = ("ref_income_to_line", "period_income_to_line", "below_line_share")
_JOINT = {"zh": "；", "en": "; "}
_COLON = {"zh": "：", "en": ": "}

Fact = tuple[str, Bilingual | None]


@dataclass(frozen=True)
class Reasons:
    """Why each row is on a list, and what a visitor should know.

    Attributes
    ----------
    frame : polars.DataFrame
        household_id, as_of_date, ``reason_1`` … ``reason_k`` (null where nothing more is to be said),
        to_verify, suggested_measures, key_groups, data_gaps; texts in ``language``.
    language : {"zh", "en"}
    """

    frame: pl.DataFrame
    language: Language

    def __len__(self) -> int:
        return self.frame.height

    def to_pandas(self) -> pd.DataFrame:
        """Return the frame."""
        return self.frame.to_pandas()


@dataclass(frozen=True, eq=False)
class ChosenReasons:
    """What is to be said of each row, before it is worded in a language.

    Attributes
    ----------
    spoken : list of Feature
    facts : ndarray of int64, shape (n, k)
        Positions in ``spoken``, strongest first; ``NO_FACT`` where nothing more is to be said.
    missing : list of dict
        As :func:`~relapse_risk.rules.apply.missing_fields` gives it.
    thin : list of tuple of str
        Families of which too little is known.
    """

    spoken: list[Feature]
    facts: NDArray[np.int64]
    missing: list[dict[str, tuple[str, ...]]]
    thin: list[tuple[str, ...]]


def choose_reasons(
    matrix: FeatureMatrix,
    attributions: Attributions | None,
    hits: RuleHits,
    rules: Sequence[Rule],
    k: int,
    rows: NDArray[np.int64],
) -> ChosenReasons:
    """Return what :func:`make_reasons` words, for lists in several languages; its parameters and errors."""
    spoken: list[Feature] = []
    facts = np.full((len(rows), 0), NO_FACT)
    if attributions is not None:
        index = matrix.index[rows].select("household_id", "as_of_date")
        if not attributions.index.select("household_id", "as_of_date").equals(index):
            raise ContractError(
                "RR471",
                "contributions",
                f"{len(attributions)} rows that are not the {len(rows)} to be explained",
                "the contributions of the rows asked for, in their order",
                "Explain these rows of the matrix",
            )
        spoken, facts = choose_facts(matrix, attributions, hits, rows, rules, k)
    listed = matrix.rows(rows)
    return ChosenReasons(
        spoken, facts, missing_fields(matrix, hits, rows, rules), thin_families(listed.coverage)
    )


def make_reasons(
    matrix: FeatureMatrix,
    attributions: Attributions | None,
    hits: RuleHits,
    rules: Sequence[Rule] = RULES,
    language: Language = "zh",
    k: int = 3,
    *,
    rows: NDArray[np.int64] | None = None,
    bases: Sequence[tuple[Basis, ...]] | None = None,
    chosen: ChosenReasons | None = None,
    phrases: Sequence[Mapping[str, str]] | None = None,
) -> Reasons:
    """Return reasons, things to verify, suggested measures, key groups and data gaps for chosen rows.

    Parameters
    ----------
    matrix : FeatureMatrix
        All rows of the population, with the features of the whole catalogue.
    attributions : Attributions or None
        Of ``rows``, in their order; None without a model.
    hits : RuleHits
        Of ``matrix``.
    rules : sequence of Rule
        Those of ``hits``.
    language : {"zh", "en"}
    k : int
        Reasons at most.
    rows : ndarray of int64, shape (n,), optional
        Positions in the matrix; all rows where not given.
    bases : sequence of tuple of Basis, length n, optional
        Why each row is on the list; worked out from hits and self-applications where not given.
    chosen : ChosenReasons, optional
        Of the same rows; worked out where not given.
    phrases : sequence of mapping, optional
        As :func:`~relapse_risk.rules.phrases.hit_phrases` gives them for the same rows and language; worked
        out where not given.

    Returns
    -------
    Reasons
        Shape ``(n,)``. Sentences come in this order: rules that give a row its tier, the weightiest first
        and those that repeat a figure last; the household's own application; facts that raise the model's
        risk; rules on procedure and data; data gaps. A row that only the model names says so first. A
        routine visit has no facts of the model, for it was not chosen for them; without a model it says
        where income is low.

    Raises
    ------
    ContractError
        RR471 where the attributions are of other rows.
    """
    positions = np.arange(len(matrix)) if rows is None else rows
    told = chosen or choose_reasons(matrix, attributions, hits, rules, k, positions)
    has_model = attributions is not None
    why = default_bases(matrix, hits, rules, positions, has_model) if bases is None else bases
    by_rules = hit_phrases(matrix, hits, positions, language, rules) if phrases is None else phrases
    facts = (
        say_facts(told, matrix, positions, language)
        if has_model
        else _say_low_income(matrix, positions, language)
    )
    # A routine visit is chosen by income where there is no model, and at random where there is one.
    said = [
        told if (Basis.ROUTINE in basis) == (attributions is None) else []
        for basis, told in zip(why, facts, strict=True)
    ]
    gaps = _name_gaps(told, matrix, language)
    sentences, to_verify = _assemble(why, by_rules, said, [gap for gap, _ in gaps], rules, language, k)
    frame = (
        matrix.index[positions]
        .select("household_id", "as_of_date")
        .with_columns(
            *(
                pl.Series(
                    f"reason_{i + 1}", [s[i] if i < len(s) else None for s in sentences], dtype=pl.String
                )
                for i in range(k)
            ),
            _column("to_verify", to_verify),
            _column("suggested_measures", suggest_measures(matrix, hits, positions, language, rules)),
            _column("key_groups", key_groups(matrix, positions, language)),
            _column("data_gaps", [gap for _, gap in gaps]),
        )
    )
    return Reasons(frame, language)


def default_bases(
    matrix: FeatureMatrix, hits: RuleHits, rules: Sequence[Rule], rows: NDArray[np.int64], has_model: bool
) -> list[tuple[Basis, ...]]:
    """Return why each of ``rows`` would be on a list: rules, an own application, else model or routine."""
    by_rule = has_moving_hit(hits, rules)[rows]
    applied = matrix.column("self_applied")[rows] >= 1
    rest = Basis.MODEL if has_model else Basis.ROUTINE
    found: list[tuple[Basis, ...]] = []
    for is_hit, has_applied in zip(by_rule, applied, strict=True):
        basis = ((Basis.RULE,) if is_hit else ()) + ((Basis.SELF_APPLICATION,) if has_applied else ())
        found.append(basis or (rest,))
    return found


def _assemble(
    bases: Sequence[tuple[Basis, ...]],
    phrases: Sequence[Mapping[str, str]],
    facts: Sequence[Sequence[Fact]],
    gaps: Sequence[str],
    rules: Sequence[Rule],
    language: Language,
    k: int,
) -> tuple[list[list[str]], list[str]]:
    """Return each row's sentences, at most ``k``, and what to verify of the rules hit and the facts said."""
    order = RuleOrder(rules)
    sentences: list[list[str]] = []
    to_verify: list[str] = []
    joined: dict[tuple[Bilingual, ...], str] = {}  # few combinations, many rows
    for basis, said, told, gap in zip(bases, phrases, facts, gaps, strict=True):
        moving, others = order.of(said)
        notes = [SELF_APPLICATION_NOTE.text(language)] if Basis.SELF_APPLICATION in basis else []
        shown = told[: max(k - len(moving) - len(notes), 0)]
        row = [
            *(said[rule.code] for rule in moving),
            *notes,
            *_lead_in(basis, [text for text, _ in shown], language),
            *(said[rule.code] for rule in others),
            *([DATA_GAP_REASON.text(language).replace("{fields}", gap)] if gap else []),
        ]
        sentences.append(list(dict.fromkeys(row))[:k])
        checks = (*(rule.to_verify for rule in (*moving, *others)), *(check for _, check in shown if check))
        if checks not in joined:
            joined[checks] = _JOINT[language].join(dict.fromkeys(check.text(language) for check in checks))
        to_verify.append(joined[checks])
    return sentences, to_verify


def _lead_in(basis: tuple[Basis, ...], facts: list[str], language: Language) -> list[str]:
    """Return the facts, behind a note where neither a rule nor the household brought the row up."""
    if Basis.MODEL in basis:
        return [_COLON[language].join([MODEL_ONLY_NOTE.text(language), *facts[:1]]), *facts[1:]]
    if Basis.ROUTINE in basis:
        return [ROUTINE_NOTE.text(language), *facts]
    return facts


def say_facts(
    told: ChosenReasons, matrix: FeatureMatrix, rows: NDArray[np.int64], language: Language
) -> list[list[Fact]]:
    """Return each row's facts that raise its risk, strongest first, as sentences with what to verify."""
    said: list[list[Fact | None]] = [[None] * told.facts.shape[1] for _ in rows]
    for number in np.unique(told.facts[told.facts != NO_FACT]):
        feature = told.spoken[number]
        places, slots = np.nonzero(told.facts == number)
        if feature.reason is None:
            continue
        texts = render_rows(feature.reason, matrix, rows[places], language, feature.name)
        for place, slot, text in zip(places.tolist(), slots.tolist(), texts, strict=True):
            said[place][slot] = (text, feature.to_verify)
    return [[fact for fact in facts if fact] for facts in said]


def say_protections(
    matrix: FeatureMatrix, attributions: Attributions, rows: NDArray[np.int64], language: Language, k: int
) -> list[list[str]]:
    """Return the facts that lower each row's risk, strongest first, each with its figure.

    They stand apart from the reasons: they are none, and they take no household off a list.
    """
    features, chosen = choose_protections(matrix, attributions, rows, k)
    return [
        [figure_of(features[i], float(matrix.column(features[i].name)[row]), language) for i in facts]
        for row, facts in zip(rows, (facts[facts != NO_FACT] for facts in chosen), strict=True)
    ]


def figure_of(feature: Feature, value: float, language: Language) -> str:
    """Return what people call a feature, with its value as they say it."""
    name = feature.zh if language == "zh" else feature.en
    said = NOT_KNOWN.text(language) if np.isnan(value) else feature.unit.say(value, language)
    return f"{name}{_COLON[language]}{said}"


def _say_low_income(matrix: FeatureMatrix, rows: NDArray[np.int64], language: Language) -> list[list[Fact]]:
    """Return the first sentence about a low income that holds: without a model, visits go by income."""
    said: list[list[Fact]] = [[] for _ in rows]
    listed = matrix.rows(rows)
    for feature in (matrix.features[name] for name in INCOME_INDICATORS):
        if feature.reason is None or feature.reason_when is None:
            continue
        holds = listed.evaluate(feature.reason_when)[0] == 1.0
        places = np.array([i for i in np.flatnonzero(holds) if not said[i]], dtype=np.int64)
        texts = render_rows(feature.reason, listed, places, language, feature.name)
        for place, text in zip(places, texts, strict=True):
            said[place].append((text, feature.to_verify))
    return said


def _name_gaps(told: ChosenReasons, matrix: FeatureMatrix, language: Language) -> list[tuple[str, str]]:
    """Return what is missing for rules that can't be judged: what a visit can fill, and all of it."""
    missed = {name for missing in told.missing for fields in missing.values() for name in fields}
    # A visit can fill gaps of a record, not a parameter or a table that the county lacks altogether.
    fillable = {n for n in missed if not is_parameter(n) and not np.isnan(matrix.column(n)).all()}

    @cache
    def named(names: tuple[str, ...]) -> str:
        return _first_few(matrix, names, language)

    found: list[tuple[str, str]] = []
    for missing, families in zip(told.missing, told.thin, strict=True):
        names = tuple(dict.fromkeys(name for fields in missing.values() for name in fields))
        every = [named(names), _say_thin(families, language)]
        of_record = tuple(name for name in names if name in fillable)
        found.append((named(of_record), _CLAUSE[language].join(filter(None, every))))
    return found


def _say_thin(families: Sequence[str], language: Language) -> str:
    """Return the families of indicators of which less than half is known, as people call them."""
    if not families:
        return ""
    titles = _COMMA[language].join(FAMILIES[family].text(language) for family in families)
    return THIN_FAMILIES.text(language).replace("{families}", titles)


def _first_few(matrix: FeatureMatrix, names: Sequence[str], language: Language) -> str:
    """Return the first few names as people call them, and how many there are if more."""
    text = describe_gaps(matrix, {"": tuple(names[:_MOST_GAPS_NAMED])}, language)
    if len(names) <= _MOST_GAPS_NAMED:
        return text
    return text + _MORE_GAPS.text(language).replace("{n}", str(len(names)))


class RuleOrder:
    """The order in which the rules hit speak."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = sorted(rules, key=_weight)
        self._moving = frozenset(moving_codes(rules))
        self._about = {rule.code: set(worded_features(rule)) for rule in rules}
        self._known: dict[tuple[str, ...], tuple[list[Rule], list[Rule]]] = {}

    def of(self, codes: Iterable[str]) -> tuple[list[Rule], list[Rule]]:
        """Return the rules hit that give a row its tier, and the others, each the weightiest first.

        A rule about a figure that a weightier one quotes comes after those with something new to say.
        """
        hit_codes = tuple(codes)
        if hit_codes not in self._known:
            self._known[hit_codes] = self._order(hit_codes)
        return self._known[hit_codes]

    def _order(self, codes: tuple[str, ...]) -> tuple[list[Rule], list[Rule]]:
        hit = [rule for rule in self._rules if rule.code in codes]
        new: list[Rule] = []
        repeated: list[Rule] = []
        quoted: set[str] = set()
        for rule in (rule for rule in hit if rule.code in self._moving):
            (new if quoted.isdisjoint(self._about[rule.code]) else repeated).append(rule)
            quoted |= self._about[rule.code]
        return new + repeated, [rule for rule in hit if rule.code not in self._moving]


def _weight(rule: Rule) -> int:
    """Return 0 for a limit that runs out, then rules that make a row 红, watches, procedure and data."""
    if rule.is_urgent:
        return 0
    if rule.is_candidate or RuleCategory.GUARANTEE in rule.categories:
        return 1
    return 2 if RuleCategory.WATCH in rule.categories else 3


def _column(name: str, texts: Sequence[str]) -> pl.Series:
    return pl.Series(name, [text or None for text in texts], dtype=pl.String)
