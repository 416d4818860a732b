"""What a result was made from, by hash: the file beside it that lets somebody check and repeat it.

A manifest holds no time of day and no path, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import metadata
from typing import Any

import polars as pl

from relapse_risk.features.expression import parameters_in
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.rules.spec import Rule
from relapse_risk.vocabulary import SCORE_DISCLAIMER

MANIFEST_FILE = "manifest.json"


def sha256_of(contents: bytes | str | Mapping[str, object] | Sequence[object]) -> str:
    """Return the SHA-256 of bytes, of a text, or of plain values as sorted JSON."""
    if isinstance(contents, str):
        contents = contents.encode()
    if not isinstance(contents, bytes):
        contents = json.dumps(contents, ensure_ascii=False, sort_keys=True, default=str).encode()
    return hashlib.sha256(contents).hexdigest()


def toolkit_facts() -> dict[str, str]:
    """Return the toolkit's name and version."""
    return {"name": "relapse-risk", "version": metadata.version("relapse-risk")}


def manifest_of(
    kind: str, contents: Mapping[str, object], files: Sequence[tuple[str, bytes]]
) -> dict[str, object]:
    """Return the manifest of a result: its kind, the toolkit, ``contents``, and its files by hash."""
    return {
        "kind": kind,
        "toolkit": toolkit_facts(),
        **contents,
        "files": {name: {"sha256": sha256_of(data), "bytes": len(data)} for name, data in files},
    }


def rules_hash(rules: Sequence[Rule]) -> str:
    """Return the hash over what the rules ask, say and mean."""
    return _hash_of(tuple(rules))


@lru_cache(maxsize=16)
def _hash_of(rules: tuple[Rule, ...]) -> str:
    return sha256_of(
        [
            [
                rule.code,
                rule.zh,
                rule.en,
                rule.category,
                repr(rule.predicate),
                repr(rule.days_left),
                repr(rule.wordings),
                rule.is_urgent,
                rule.valid_from,
                rule.valid_until,
            ]
            for rule in rules
        ]
    )


def thresholds_hash(matrix: FeatureMatrix) -> str:
    """Return the hash over the dated parameters in force for the matrix's counties and dates."""
    return sha256_of(_in_force(matrix).write_csv())


def unverified_thresholds(matrix: FeatureMatrix, rules: Sequence[Rule]) -> tuple[dict[str, Any], ...]:
    """Return the parameters that rules and features use and that nobody verified.

    Returns
    -------
    tuple of dict
        param, value, unit, source and counties; one for each value in force.
    """
    unverified = (
        _in_force(matrix)
        .filter(
            pl.col("param").is_in(_used_parameters(matrix, rules)),
            pl.col("value").is_not_null(),
            ~pl.col("verified").cast(pl.Boolean).fill_null(False),
        )
        .group_by("param", "value", "unit", "source", maintain_order=True)
        .agg(pl.col("county_code").unique(maintain_order=True).alias("counties"))
        .sort("param", "value")
    )
    return tuple(unverified.to_dicts())


def unknown_parameters(matrix: FeatureMatrix, rules: Sequence[Rule]) -> tuple[str, ...]:
    """Return the parameters that rules and features use and that no county has a value for, sorted.

    What turns an optional rule on is not among them: without it the rule is off, and nothing waits for it.
    """
    optional = {name for rule in rules if rule.is_optional for name in rule.own_params}
    known = _in_force(matrix).filter(pl.col("value").is_not_null())["param"].unique().to_list()
    return tuple(sorted(set(_used_parameters(matrix, rules)) - set(known) - optional))


def disclaimer() -> dict[str, str]:
    """Return the sentence that stands under every list, in both languages."""
    return {"zh": SCORE_DISCLAIMER.zh, "en": SCORE_DISCLAIMER.en}


def _used_parameters(matrix: FeatureMatrix, rules: Sequence[Rule]) -> list[str]:
    used = {name for rule in rules for name in rule.all_parameters}
    return sorted(used | _parameters_of(matrix.features))


@lru_cache(maxsize=16)
def _parameters_of(features: FeatureSet) -> frozenset[str]:
    return frozenset(name for feature in features for name in parameters_in(feature.formula))


def _in_force(matrix: FeatureMatrix) -> pl.DataFrame:
    return matrix.parameters.sort("county_code", "as_of_date", "param")
