"""Applies rules to a feature matrix: hit, no hit, or cannot judge, and what was missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Missing
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import COUNTY_PARAMETERS, Rule, is_parameter
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT, RuleHits
from relapse_risk.vocabulary import Language

_BLOCK_ROWS = 131_072


def apply_rules(matrix: FeatureMatrix, rules: Sequence[Rule] = RULES) -> RuleHits:
    """Return the state of every rule for every row: 1 hit, 0 no hit, -1 cannot judge.

    Parameters
    ----------
    matrix : FeatureMatrix
        With every feature the rules read; the dated parameters in force are its ``parameters``.
    rules : sequence of Rule

    Returns
    -------
    RuleHits
        On the index of ``matrix``. A household a rule is not about, and a day on which it is not in force,
        is no hit; a hit that what is known already makes sure stays a hit whatever else is missing.

    Raises
    ------
    ContractError
        RR331 where the matrix lacks a feature that a rule reads.
    """
    _check_features(matrix, rules)
    states = np.full((len(matrix), len(rules)), NO_HIT, dtype=np.int8)
    for rows, block in _blocks(matrix):
        truths = block.evaluate(*(rule.predicate for rule in rules))
        for column, (rule, truth) in enumerate(zip(rules, truths, strict=True)):
            state = np.where(np.isnan(truth), CANNOT_JUDGE, np.where(truth == 1.0, HIT, NO_HIT))
            states[rows, column] = np.where(_is_in_force(rule, block), state, NO_HIT)
    return RuleHits(matrix.index, tuple(rule.code for rule in rules), states)


def missing_fields(
    matrix: FeatureMatrix,
    hits: RuleHits,
    rows: NDArray[np.int64] | None = None,
    rules: Sequence[Rule] = RULES,
) -> list[dict[str, tuple[str, ...]]]:
    """Return, for each row, the rules that can't be judged and the features and parameters missing for them.

    Parameters
    ----------
    matrix : FeatureMatrix
    hits : RuleHits
        Of ``matrix``.
    rows : ndarray of int64, shape (n,), optional
        Positions in the matrix; all rows where not given.
    rules : sequence of Rule

    Returns
    -------
    list of dict
        Shape ``(n,)``: rule code to names, in the order the rule reads them. A feature that need not have a
        value, such as the days since a diagnosis nobody made, is named only where nothing else is missing.
    """
    positions = np.arange(len(matrix)) if rows is None else rows
    gaps: list[dict[str, tuple[str, ...]]] = [{} for _ in positions]
    for rule in rules:
        places = np.flatnonzero(hits.state(rule.code)[positions] == CANNOT_JUDGE)
        if len(places):
            for place, names in zip(places, _missing_names(matrix, rule, positions[places]), strict=True):
                gaps[place][rule.code] = names
    return gaps


def describe_gaps(matrix: FeatureMatrix, gaps: dict[str, tuple[str, ...]], language: Language) -> str:
    """Return one row's missing fields as people call them, each once, joined; empty without gaps."""
    names = dict.fromkeys(name for missing in gaps.values() for name in missing)
    labels = dict.fromkeys(_label(matrix, name, language) for name in names)
    return ("、" if language == "zh" else ", ").join(labels)


def summarise(hits: RuleHits, rules: Sequence[Rule] = RULES) -> pl.DataFrame:
    """Return how often each rule is a hit, is none, and can't be judged.

    Returns
    -------
    polars.DataFrame
        ``code, zh, en, category, hit, no_hit, cannot_judge``; one row a rule, whose counts add up to the
        number of rows judged.
    """
    states = {rule.code: hits.state(rule.code) for rule in rules}
    return pl.DataFrame(
        {
            "code": [rule.code for rule in rules],
            "zh": [rule.zh for rule in rules],
            "en": [rule.en for rule in rules],
            "category": [rule.category for rule in rules],
            "hit": [int((states[rule.code] == HIT).sum()) for rule in rules],
            "no_hit": [int((states[rule.code] == NO_HIT).sum()) for rule in rules],
            "cannot_judge": [int((states[rule.code] == CANNOT_JUDGE).sum()) for rule in rules],
        },
        schema_overrides={"hit": pl.Int64, "no_hit": pl.Int64, "cannot_judge": pl.Int64},
    )


def _check_features(matrix: FeatureMatrix, rules: Sequence[Rule]) -> None:
    lacking = {
        rule.code: [name for name in rule.reads if name not in matrix.features]
        for rule in rules
        if any(name not in matrix.features for name in rule.reads)
    }
    if lacking:
        found = "; ".join(f"{code} reads {', '.join(names)}" for code, names in lacking.items())
        raise ContractError(
            "RR331",
            "feature matrix",
            f"lacks what rules read ({found})",
            "every feature the rules read",
            "Build the matrix with the whole catalogue of features",
        )


def _blocks(matrix: FeatureMatrix) -> Iterator[tuple[slice, FeatureMatrix]]:
    """Yield the matrix in blocks of rows, so that intermediate results stay small."""
    if len(matrix) <= _BLOCK_ROWS:
        yield slice(0, len(matrix)), matrix
        return
    for start in range(0, len(matrix), _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, len(matrix))
        yield slice(start, stop), matrix.rows(np.arange(start, stop))


def _is_in_force(rule: Rule, block: FeatureMatrix) -> NDArray[np.bool_]:
    in_force: NDArray[np.bool_] = (
        block.index["as_of_date"].is_between(rule.valid_from, rule.valid_until).to_numpy()
    )
    return in_force


def _missing_names(matrix: FeatureMatrix, rule: Rule, rows: NDArray[np.int64]) -> list[tuple[str, ...]]:
    block = matrix.rows(rows).select(rule.reads)
    names = [*rule.reads, *rule.params]
    values = [block.parameter(name) if is_parameter(name) else block.column(name) for name in names]
    is_missing = np.isnan(np.column_stack(values)) if values else np.zeros((len(rows), 0), dtype=bool)
    counts = np.array(
        [is_parameter(name) or matrix.features[name].missing is Missing.NOT_REPORTED for name in names]
    )
    reported = is_missing & counts
    chosen = np.where(reported.any(axis=1, keepdims=True), reported, is_missing)
    return [tuple(name for name, is_named in zip(names, row, strict=True) if is_named) for row in chosen]


def _label(matrix: FeatureMatrix, name: str, language: Language) -> str:
    if name in COUNTY_PARAMETERS:
        return COUNTY_PARAMETERS[name].text(language)
    if is_parameter(name):
        return name
    feature = matrix.features[name]
    return feature.zh if language == "zh" else feature.en
