"""Why a household is on a list, as sentences with figures from its record.

Rules speak first. Then the model's contributions choose and order facts, but do not word them: a sentence
states what the record says, never a cause. What protects a household is no reason, and nothing is said twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.explain.attribute import Attributions
from relapse_risk.explain.facts import NO_FACT, choose_facts
from relapse_risk.explain.groups import key_groups
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature
from relapse_risk.rules.apply import describe_gaps, missing_fields
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.measures import suggest_measures
from relapse_risk.rules.phrases import hit_phrases, render_rows
from relapse_risk.rules.priority import has_moving_hit
from relapse_risk.rules.spec import Rule, is_parameter
from relapse_risk.rules.tiers import moving_codes
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import MODEL_ONLY_NOTE, Basis, Bilingual, Language, RuleCategory

SELF_APPLICATION_NOTE = Bilingual("本户自主申报，待核实", "The household applied itself; to be verified")
ROUTINE_NOTE = Bilingual("例行走访", "Routine visit")
DATA_GAP_REASON = Bilingual(
    "数据缺口：{fields}缺失，请入户核实", "Data gaps: {fields} not known; please check on the visit"
)
_MORE_GAPS = Bilingual("等{n}项", " and others, {n} in all")
_MOST_GAPS_NAMED = 6
_JOINT = {"zh": "；", "en": "; "}
_COLON = {"zh": "：", "en": ": "}


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

    Returns
    -------
    Reasons
        Shape ``(n,)``. Sentences come in this order: rules that give a row its tier, the gravest first; the
        household's own application; facts that raise the model's risk; rules on procedure and data; data
        gaps. A row that only the model names says so first. A routine visit has no facts of the model: it
        was not chosen for them.

    Raises
    ------
    ContractError
        RR471 where the attributions are of other rows.
    """
    chosen = np.arange(len(matrix)) if rows is None else rows
    index = matrix.index[chosen].select("household_id", "as_of_date")
    why = default_bases(matrix, hits, rules, chosen, attributions is not None) if bases is None else bases
    phrases = hit_phrases(matrix, hits, chosen, language, rules)
    facts = _say_facts(matrix, attributions, hits, chosen, rules, language, k, index)
    gaps = _name_gaps(matrix, hits, chosen, rules, language)
    moving = set(moving_codes(rules))
    order = _in_order_of_weight(rules)
    by_code = {rule.code: rule for rule in rules}
    sentences: list[list[str]] = []
    to_verify: list[str] = []
    for basis, said, told, (gap, _) in zip(why, phrases, facts, gaps, strict=True):
        codes = [code for code in order if code in said]
        is_routine = Basis.ROUTINE in basis
        spoken = [] if is_routine else told
        sentences.append(
            _one_row(
                basis,
                [said[code] for code in codes if code in moving],
                [text for text, _ in spoken],
                [said[code] for code in codes if code not in moving],
                gap,
                language,
            )[:k]
        )
        checks = [by_code[code].to_verify for code in codes] + [c for _, c in spoken if c is not None]
        to_verify.append(_JOINT[language].join(dict.fromkeys(check.text(language) for check in checks)))
    frame = index.with_columns(
        *(
            pl.Series(f"reason_{i + 1}", [s[i] if i < len(s) else None for s in sentences], dtype=pl.String)
            for i in range(k)
        ),
        _column("to_verify", to_verify),
        _column("suggested_measures", suggest_measures(matrix, hits, chosen, language, rules)),
        _column("key_groups", key_groups(matrix, chosen, language)),
        _column("data_gaps", [gap for _, gap in gaps]),
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


def _one_row(
    basis: tuple[Basis, ...],
    moving: list[str],
    facts: list[str],
    others: list[str],
    gap: str,
    language: Language,
) -> list[str]:
    """Return all sentences of a row, weightiest first."""
    sentences = list(moving)
    if Basis.SELF_APPLICATION in basis:
        sentences.append(SELF_APPLICATION_NOTE.text(language))
    if Basis.MODEL in basis:
        note = MODEL_ONLY_NOTE.text(language)
        facts = [_COLON[language].join([note, *facts[:1]]), *facts[1:]]
    if Basis.ROUTINE in basis:
        sentences.append(ROUTINE_NOTE.text(language))
    sentences += facts + others
    if gap:
        sentences.append(DATA_GAP_REASON.text(language).replace("{fields}", gap))
    return list(dict.fromkeys(sentences))


def _say_facts(
    matrix: FeatureMatrix,
    attributions: Attributions | None,
    hits: RuleHits,
    rows: NDArray[np.int64],
    rules: Sequence[Rule],
    language: Language,
    k: int,
    index: pl.DataFrame,
) -> list[list[tuple[str, Bilingual | None]]]:
    """Return each row's facts, strongest first, as sentences with what to verify."""
    said: list[list[tuple[str, Bilingual | None]]] = [[] for _ in rows]
    if attributions is None:
        return said
    if not attributions.index.select("household_id", "as_of_date").equals(index):
        raise ContractError(
            "RR471",
            "contributions",
            f"{len(attributions)} rows that are not the {len(rows)} to be explained",
            "the contributions of the rows asked for, in their order",
            "Explain these rows of the matrix",
        )
    spoken, chosen = choose_facts(matrix, attributions, hits, rows, rules, k)
    for slot in range(chosen.shape[1]):
        for number in np.unique(chosen[:, slot][chosen[:, slot] != NO_FACT]):
            feature: Feature = spoken[number]
            places = np.flatnonzero(chosen[:, slot] == number)
            if feature.reason is None:
                continue
            texts = render_rows(feature.reason, matrix, rows[places], language, feature.name)
            for place, text in zip(places, texts, strict=True):
                said[place].append((text, feature.to_verify))
    return said


def _name_gaps(
    matrix: FeatureMatrix, hits: RuleHits, rows: NDArray[np.int64], rules: Sequence[Rule], language: Language
) -> list[tuple[str, str]]:
    """Return what is missing for rules that can't be judged: of the record, and with county parameters."""
    named: list[tuple[str, str]] = []
    for missing in missing_fields(matrix, hits, rows, rules):
        names = list(dict.fromkeys(name for fields in missing.values() for name in fields))
        # A visit can fill gaps of the record, not those of the county's parameters.
        of_record = [name for name in names if not is_parameter(name)]
        named.append((_first_few(matrix, of_record, language), _first_few(matrix, names, language)))
    return named


def _first_few(matrix: FeatureMatrix, names: Sequence[str], language: Language) -> str:
    """Return the first few names as people call them, and how many there are if more."""
    text = describe_gaps(matrix, {"": tuple(names[:_MOST_GAPS_NAMED])}, language)
    if len(names) <= _MOST_GAPS_NAMED:
        return text
    return text + _MORE_GAPS.text(language).replace("{n}", str(len(names)))


def _in_order_of_weight(rules: Sequence[Rule]) -> list[str]:
    """Return codes: rules that make a row 红, then watches, then procedure and data."""

    def weight(rule: Rule) -> int:
        if rule.is_urgent or rule.is_candidate or RuleCategory.GUARANTEE in rule.categories:
            return 0
        return 1 if RuleCategory.WATCH in rule.categories else 2

    return [rule.code for rule in sorted(rules, key=weight)]


def _column(name: str, texts: Sequence[str]) -> pl.Series:
    return pl.Series(name, [text or None for text in texts], dtype=pl.String)
