"""The rows of a visit list: who, why, and what a visitor should know, under the list's columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import compress
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.explain.attribute import Attributions
from relapse_risk.explain.reasons import ChosenReasons, make_reasons
from relapse_risk.features.expression import Array
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.outputs.columns import LIST_COLUMNS, REASONS
from relapse_risk.rules.priority import TIERS, days_left
from relapse_risk.rules.spec import Rule
from relapse_risk.rules.tiers import moving_codes
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.vocabulary import Basis, Language

SCORE_DECIMALS = 1
_JOINT = "、"

Positions = NDArray[np.int64]
Explain = Callable[[FeatureMatrix], Attributions]


@dataclass(frozen=True)
class County:
    """What is known of the households of one county.

    Attributes
    ----------
    matrix : FeatureMatrix
        One as-of date.
    hits : RuleHits
        Of ``matrix``.
    score, ranking : ndarray of float64 or None, shape (n_rows,)
        0 to 100, and the model's order; higher means more at risk. None without a model.
    dated : polars.DataFrame
        hit_since and last_visit of every row.
    """

    matrix: FeatureMatrix
    hits: RuleHits
    score: Array | None
    ranking: Array | None
    dated: pl.DataFrame

    @property
    def code(self) -> str:
        """County code."""
        return str(self.matrix.index["county_code"][0])

    @property
    def name(self) -> str:
        """Name of the county, or its code where it has none."""
        return str(_named(self.matrix.index, "county")[0])


def lay_out(
    county: County,
    rows: Positions,
    tiers: NDArray[np.int8],
    bases: Sequence[tuple[Basis, ...]],
    *,
    list_id: str,
    expires_on: date,
    rules: Sequence[Rule],
    attributions: Attributions | None,
    chosen: ChosenReasons,
    phrases: Sequence[Mapping[str, str]],
    language: Language,
) -> pl.DataFrame:
    """Return ``LIST_COLUMNS`` for chosen rows, in their order, staff columns blank.

    Parameters
    ----------
    county : County
    rows : ndarray of int64, shape (n,)
        Positions in the county's matrix, in the order to visit.
    tiers : ndarray of int8, shape (n,)
        Positions in ``TIERS``.
    bases : sequence of tuple of Basis, length n
    list_id : str
    expires_on : date
    rules : sequence of Rule
    attributions : Attributions or None
        Of ``rows``, in their order; None without a model.
    chosen : ChosenReasons
        Of ``rows``.
    phrases : sequence of mapping
        What the rules hit say of ``rows``, in the language.
    language : {"zh", "en"}
    """
    matrix = county.matrix
    reasons = make_reasons(
        matrix,
        attributions,
        county.hits,
        rules,
        language,
        REASONS,
        rows=rows,
        bases=bases,
        chosen=chosen,
        phrases=phrases,
    ).frame
    index = matrix.index[rows]
    cells: dict[str, Any] = {
        "rank": np.arange(1, len(rows) + 1),
        "list_id": list_id,
        "county": _named(index, "county"),
        "township": _named(index, "township"),
        "village": _named(index, "village"),
        "tier": [TIERS[tier].value for tier in tiers],
        "basis": [_JOINT.join(basis) for basis in bases],
        **_hit_cells(county.hits, rows, rules, language),
        "risk_score": _score_cells(county, rows),
        "days_left": np.floor(days_left(matrix.rows(rows), rules)),
        "responsible": index["helper_id"],
        "expires_on": expires_on,
    }
    frames = {name: frame[name] for frame in (index, county.dated[rows], reasons) for name in frame.columns}
    return pl.DataFrame(
        [_filled(c.name, (frames | cells).get(c.name), len(rows), c.dtype) for c in LIST_COLUMNS]
    )


def _filled(name: str, value: Any, n_rows: int, dtype: type[pl.DataType]) -> pl.Series:
    """Return a column of the list; one value stands for all rows, NaN is empty."""
    if value is None or isinstance(value, (str, date)):
        return pl.Series(name, [value] * n_rows, dtype=dtype)
    series = pl.Series(name, value)
    return (series.fill_nan(None) if series.dtype.is_float() else series).cast(dtype)


def _score_cells(county: County, rows: Positions) -> Array | None:
    if county.score is None or county.ranking is None:
        return None
    scores: Array = np.where(np.isnan(county.ranking), np.nan, county.score.round(SCORE_DECIMALS))[rows]
    return scores


def _hit_cells(
    hits: RuleHits, rows: Positions, rules: Sequence[Rule], language: Language
) -> Mapping[str, Any]:
    """Return number and names of the rules hit that give a row its tier; the others only annotate it."""
    codes = moving_codes(rules)
    named = [rule for rule in rules if rule.code in codes]
    states = hits.states[rows][:, [hits.codes.index(rule.code) for rule in named]] == HIT
    names = [rule.name(language == "zh") for rule in named]
    every, of_row = np.unique(states, axis=0, return_inverse=True)  # few combinations, many rows
    said = pl.Series([_JOINT.join(compress(names, row)) or None for row in every], dtype=pl.String)
    return {"rule_hits_n": states.sum(axis=1), "rules_hit": said[of_row]}


def _named(index: pl.DataFrame, level: str) -> pl.Series:
    """Return the name of each row's area, or its code where it has none."""
    name = pl.col(f"{level}_name").replace("", None)
    return index.select(pl.coalesce(name, f"{level}_code").alias(level))[level]
