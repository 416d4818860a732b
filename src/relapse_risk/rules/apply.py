"""Applies rules to a feature matrix: hit, no hit, or cannot judge, and what was missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.coverage import KNOWN, NOT_REPORTED, Codes, missing_codes, reads_in
from relapse_risk.features.expression import Array, Expression
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import COUNTY_PARAMETERS, Rule, RuleState, is_parameter
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
        On the index of ``matrix``. A household a rule is not about, and a day or county in which it is not in
        force, is no hit; a hit that what is known already makes sure stays a hit whatever else is missing.
        Rules that read the state of others are applied after them.

    Raises
    ------
    ContractError
        RR331 where the matrix lacks a feature that a rule reads; RR334 where a rule reads the state of one
        that is not among ``rules``, or that reads states itself.
    """
    _check_features(matrix, rules)
    _check_order(rules)
    states = np.full((len(matrix), len(rules)), NO_HIT, dtype=np.int8)
    codes = tuple(rule.code for rule in rules)
    first = [rule for rule in rules if not rule.reads_rules]
    after = [rule for rule in rules if rule.reads_rules]
    read = {code for rule in after for code in rule.reads_rules}
    for rows, block in _blocks(matrix):
        given: dict[Expression, Array] = {}
        for batch in (first, after):
            truths = block.evaluate(*(rule.predicate for rule in batch), given=given)
            for rule, truth in zip(batch, truths, strict=True):
                state = np.where(np.isnan(truth), CANNOT_JUDGE, np.where(truth == 1.0, HIT, NO_HIT))
                states[rows, codes.index(rule.code)] = np.where(is_in_force(rule, block), state, NO_HIT)
            said = RuleHits(block.index, codes, states[rows])
            given = {RuleState(code): said.truth(code) for code in read}
    return RuleHits(matrix.index, codes, states, matrix.provenance)


def is_in_force(rule: Rule, matrix: FeatureMatrix) -> NDArray[np.bool_]:
    """Return where a rule is in force, shape ``(n_rows,)``.

    By its dates, and for an optional rule where all parameters of its own have a value.
    """
    in_force: NDArray[np.bool_] = (
        matrix.index["as_of_date"].is_between(rule.valid_from, rule.valid_until).to_numpy().copy()
    )
    if rule.is_optional:
        for name in rule.own_params:
            in_force &= ~np.isnan(matrix.parameter(name))
    return in_force


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
    block = matrix.rows(positions)
    codes_of = cache(partial(_codes_of, block))
    for rule in sorted(rules, key=lambda rule: bool(rule.reads_rules)):
        places = np.flatnonzero(hits.state(rule.code)[positions] == CANNOT_JUDGE)
        if len(places):
            for place, names in zip(places, _missing_names(rule, places, codes_of), strict=True):
                others = (name for code in rule.reads_rules for name in gaps[place].get(code, ()))
                gaps[place][rule.code] = tuple(dict.fromkeys((*names, *others)))
    return gaps


def describe_gaps(matrix: FeatureMatrix, gaps: dict[str, tuple[str, ...]], language: Language) -> str:
    """Return one row's missing fields as people call them, each once, joined; empty without gaps."""
    names = dict.fromkeys(name for missing in gaps.values() for name in missing)
    labels = dict.fromkeys(_label(matrix, name, language) for name in names)
    return ("、" if language == "zh" else ", ").join(labels)


def summarise(
    hits: RuleHits, rules: Sequence[Rule] = RULES, matrix: FeatureMatrix | None = None
) -> pl.DataFrame:
    """Return how often each rule is a hit, is none, and can't be judged.

    Returns
    -------
    polars.DataFrame
        ``code, zh, en, category, hit, no_hit, cannot_judge``, one row a rule; these counts add up to the rows
        judged. Where the matrix is given, ``not_in_force`` says on how many of the no hits the rule was not
        asked.
    """
    states = {rule.code: hits.state(rule.code) for rule in rules}
    counts = pl.DataFrame(
        {
            "code": [rule.code for rule in rules],
            "zh": [rule.zh for rule in rules],
            "en": [rule.en for rule in rules],
            "category": [rule.category for rule in rules],
            "hit": [int((states[rule.code] == HIT).sum()) for rule in rules],
            "no_hit": [int((states[rule.code] == NO_HIT).sum()) for rule in rules],
            "cannot_judge": [int((states[rule.code] == CANNOT_JUDGE).sum()) for rule in rules],
        },
        schema_overrides=dict.fromkeys(("hit", "no_hit", "cannot_judge"), pl.Int64),
    )
    if matrix is None:
        return counts
    off = [int((~is_in_force(rule, matrix)).sum()) for rule in rules]
    return counts.with_columns(pl.Series("not_in_force", off, dtype=pl.Int64))


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


def _check_order(rules: Sequence[Rule]) -> None:
    plain = {rule.code for rule in rules if not rule.reads_rules}
    for rule in rules:
        lacking = [code for code in rule.reads_rules if code not in plain]
        if lacking:
            raise ContractError(
                "RR334",
                f"rule {rule.code}",
                f"reads the state of {', '.join(lacking)}",
                "rules that are applied in the same call and read features only",
                "Apply them together, or correct the rule",
            )


def _blocks(matrix: FeatureMatrix) -> Iterator[tuple[slice, FeatureMatrix]]:
    """Yield the matrix in blocks of rows, so that intermediate results stay small."""
    if len(matrix) <= _BLOCK_ROWS:
        yield slice(0, len(matrix)), matrix
        return
    for start in range(0, len(matrix), _BLOCK_ROWS):
        stop = min(start + _BLOCK_ROWS, len(matrix))
        yield slice(start, stop), matrix.rows(np.arange(start, stop))


def _missing_names(
    rule: Rule, rows: NDArray[np.int64], codes_of: Callable[[str], Codes]
) -> list[tuple[str, ...]]:
    """Return what is missing for a rule; what does not apply or is not due only where nothing else is."""
    names = [*rule.reads, *rule.params]
    codes = [codes_of(name)[rows] for name in names]
    missing = np.column_stack(codes) if codes else np.zeros((len(rows), 0), dtype=np.uint8)
    reported = missing >= NOT_REPORTED
    chosen = np.where(reported.any(axis=1, keepdims=True), reported, missing != KNOWN)
    return [tuple(name for name, is_named in zip(names, row, strict=True) if is_named) for row in chosen]


def _codes_of(matrix: FeatureMatrix, name: str) -> Codes:
    """Return why each cell of a feature or parameter is missing."""
    if not is_parameter(name):
        return missing_codes(matrix, name)
    codes: Codes = np.where(np.isnan(matrix.parameter(name)), NOT_REPORTED, KNOWN).astype(np.uint8)
    return codes


def _label(matrix: FeatureMatrix, name: str, language: Language) -> str:
    if name in COUNTY_PARAMETERS:
        return COUNTY_PARAMETERS[name].text(language)
    if is_parameter(name):
        return name
    absent = [table for table in reads_in(matrix, name).tables if table in matrix.absent_tables]
    if absent:
        # One table explains all that reads it.
        return (
            f"{TABLE_BY_NAME[absent[0]].zh}（未提供）" if language == "zh" else f"table {absent[0]} (absent)"
        )
    feature = matrix.features[name]
    return feature.zh if language == "zh" else feature.en
