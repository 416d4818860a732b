"""Phrases with their figures: what a rule hit, or a reason, says about chosen rows.

Every figure is read from the feature matrix and its parameters and formatted by its unit, so that no two
pages quote different numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.expression import Array, Expression
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import (
    Placeholder,
    Rule,
    RuleState,
    is_parameter,
    parameter_unit,
    placeholders_in,
)
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.vocabulary import Bilingual, Language, Unit

NOT_KNOWN = Bilingual("未知", "not known")
_JOINT = {"zh": "；", "en": "; "}


def render(
    template: Bilingual, matrix: FeatureMatrix, row: int, language: Language, value_of: str | None = None
) -> str:
    """Return a phrase with its figures for one row.

    Parameters
    ----------
    template : Bilingual
        ``{feature}`` and ``{param}`` stand for figures; :class:`~relapse_risk.rules.spec.Placeholder` says
        what else braces may hold.
    matrix : FeatureMatrix
    row : int
        Position in the matrix.
    language : {"zh", "en"}
    value_of : str, optional
        The feature that ``{value}`` stands for.

    Returns
    -------
    str
        A figure that is not known reads 未知 / "not known".

    Raises
    ------
    ContractError
        RR332 where the phrase names something that is neither a feature of the matrix nor a parameter.
    """
    return render_rows(template, matrix, np.array([row]), language, value_of)[0]


def render_rows(
    template: Bilingual,
    matrix: FeatureMatrix,
    rows: NDArray[np.int64],
    language: Language,
    value_of: str | None = None,
) -> list[str]:
    """Return a phrase with its figures for several rows, as :func:`render`, in the order of ``rows``."""
    text = template.text(language)
    placeholders = _placeholders(text)
    _check_names(matrix, text, placeholders, value_of)
    if not placeholders:
        return [text] * len(rows)
    sentence = "%s".join(piece.replace("%", "%%") for piece in _cut(text, placeholders))
    shown = [
        _shown(placeholder, matrix, rows, value_of, NOT_KNOWN.text(language)) for placeholder in placeholders
    ]
    return [sentence % figures for figures in zip(*shown, strict=True)]


def _shown(
    placeholder: Placeholder,
    matrix: FeatureMatrix,
    rows: NDArray[np.int64],
    value_of: str | None,
    unknown: str,
) -> list[str]:
    """Return one figure of a phrase for each of ``rows``, as it is read."""
    figures, unit = _figures(placeholder, matrix, rows, value_of)
    return [unknown if figure != figure else unit.format(figure + 0.0) for figure in figures.tolist()]


def _cut(text: str, placeholders: Sequence[Placeholder]) -> list[str]:
    """Return the pieces of a phrase between its figures, one more than there are figures."""
    pieces = []
    for placeholder in placeholders:
        before, _, text = text.partition(placeholder.written)
        pieces.append(before)
    return [*pieces, text]


def hit_phrases(
    matrix: FeatureMatrix,
    hits: RuleHits,
    rows: NDArray[np.int64],
    language: Language,
    rules: Sequence[Rule] = RULES,
) -> list[dict[str, str]]:
    """Return, for each of ``rows``, the codes of the rules hit and what each hit says.

    Parameters
    ----------
    matrix : FeatureMatrix
    hits : RuleHits
        Of ``matrix``.
    rows : ndarray of int64, shape (n,)
        Positions in the matrix.
    language : {"zh", "en"}
    rules : sequence of Rule
        Those of ``hits``.

    Returns
    -------
    list of dict
        Shape ``(n,)``; rules in catalogue order.
    """
    said: list[dict[str, str]] = [{} for _ in rows]
    for rule in rules:
        positions = np.flatnonzero(hits.state(rule.code)[rows] == HIT)
        if not len(positions):
            continue
        chosen = rows[positions]
        given: dict[Expression, Array] = {
            RuleState(code): hits.truth(code)[chosen] for code in rule.reads_rules
        }
        for position, text in zip(positions, _rule_texts(rule, matrix, chosen, given, language), strict=True):
            said[position][rule.code] = text
    return said


def _rule_texts(
    rule: Rule,
    matrix: FeatureMatrix,
    rows: NDArray[np.int64],
    given: Mapping[Expression, Array],
    language: Language,
) -> list[str]:
    parts: list[list[str]] = [[] for _ in rows]
    for wording in rule.wordings:
        holds = (
            np.ones(len(rows), dtype=bool)
            if wording.when is None
            else matrix.evaluate(wording.when, given=given, rows=rows)[0] == 1.0
        )
        positions = np.flatnonzero(holds)
        texts = render_rows(wording.text, matrix, rows[positions], language)
        for position, text in zip(positions, texts, strict=True):
            parts[position].append(text)
    name = rule.zh if language == "zh" else rule.en
    return [_JOINT[language].join(texts) or name for texts in parts]


@cache
def _placeholders(text: str) -> tuple[Placeholder, ...]:
    try:
        return tuple(placeholders_in(text))
    except ValueError as error:
        raise ContractError(
            "RR332",
            f"phrase {text!r}",
            str(error),
            "names of features and parameters in braces",
            "Correct the phrase",
        ) from error


def _check_names(
    matrix: FeatureMatrix, text: str, placeholders: Sequence[Placeholder], value_of: str | None
) -> None:
    names = [_resolved(name, value_of) for placeholder in placeholders for name in placeholder.names]
    unknown = [name for name in names if not is_parameter(name) and name not in matrix.features]
    if unknown:
        raise ContractError(
            "RR332",
            f"phrase {text!r}",
            f"names {', '.join(unknown)}",
            "a feature of the matrix, a parameter, or value",
            "Correct the phrase, or build the matrix with that feature",
        )


def _resolved(name: str, value_of: str | None) -> str:
    return value_of if name == "value" and value_of is not None else name


def _figures(
    placeholder: Placeholder, matrix: FeatureMatrix, rows: NDArray[np.int64], value_of: str | None
) -> tuple[Array, Unit]:
    names = [_resolved(name, value_of) for name in placeholder.names]
    values, unit = _values(names[0], matrix, rows)
    if len(names) == 2:
        other, _ = _values(names[1], matrix, rows)
        values = values - other if placeholder.operation == "-" else _quotient(values, other)
    if placeholder.is_negative:
        values = -values
    return values, placeholder.unit or unit


def _values(name: str, matrix: FeatureMatrix, rows: NDArray[np.int64]) -> tuple[Array, Unit]:
    if is_parameter(name):
        return matrix.parameter(name, rows), parameter_unit(name)
    return matrix.column(name)[rows], matrix.features[name].unit


def _quotient(numerator: Array, denominator: Array) -> Array:
    quotient: Array = np.divide(numerator, np.where(denominator == 0, np.nan, denominator))
    return quotient
