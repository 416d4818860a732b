"""Which category of the register a household outside it is a candidate for, by which rules and numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.phrases import hit_phrases
from relapse_risk.rules.spec import Rule
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import Language, MonitorCategory, RuleCategory

_JOINT = {"zh": "；", "en": "; "}


@dataclass(frozen=True)
class _Claims:
    """Codes of the rules that claim a category: by household type, by its income, or 突发 alone."""

    by_type: tuple[str, ...]
    by_income: tuple[str, ...]
    severe: tuple[str, ...]


def candidate_category(
    matrix: FeatureMatrix, hits: RuleHits, rules: Sequence[Rule] = RULES
) -> list[MonitorCategory | None]:
    """Return the category of the register each row is a candidate for; a human procedure decides.

    Returns
    -------
    list of MonitorCategory or None
        None for households on the register and for those without a candidate hit. 脱贫不稳定户 (lifted) and
        边缘易致贫户 (ordinary) go before 突发严重困难户, which is left to households whose reference income
        is at or above the line, or whose hits can mean nothing else.

    Notes
    -----
    Implementation opinion, article (二). A household that is below the line only after own-pay (R06) is below
    the line (R01, R02): its own type goes first.
    """
    claims = _claims(rules)
    is_above = matrix.column("ref_income_to_line") >= 1
    takes_type = hits.is_hit(claims.by_type) | (hits.is_hit(claims.by_income) & ~is_above)
    takes_severe = hits.is_hit(claims.by_income) | hits.is_hit(claims.severe)
    is_lifted = matrix.column("is_lifted") >= 1
    is_outside = matrix.column("is_registered") == 0
    own_type = np.where(is_lifted, MonitorCategory.UNSTABLE_LIFTED, MonitorCategory.MARGINAL)
    category = np.where(takes_type, own_type, np.where(takes_severe, MonitorCategory.SEVERE_SUDDEN, ""))
    return [
        MonitorCategory(name) if name and is_open else None
        for name, is_open in zip(category.tolist(), is_outside.tolist(), strict=True)
    ]


def candidates(
    matrix: FeatureMatrix,
    hits: RuleHits,
    language: Language = "zh",
    rules: Sequence[Rule] = RULES,
    rows: NDArray[np.int64] | None = None,
) -> pl.DataFrame:
    """Return the candidates for the register with the rules and numbers that make them so.

    Parameters
    ----------
    matrix : FeatureMatrix
    hits : RuleHits
        Of ``matrix``.
    language : {"zh", "en"}
        Of the sentences.
    rules : sequence of Rule
        Those of ``hits``.
    rows : ndarray of int64, optional
        Positions in the matrix; all rows where not given.

    Returns
    -------
    polars.DataFrame
        household_id, as_of_date, county_code, village_code, household_type, category, rules, facts; one row
        a candidate, in the order of the matrix. ``rules`` names the hits that give the category first, and
        the household's other candidate hits behind them; ``facts`` are their sentences. Nothing is decided by
        it: review, publicity, township and county decide.
    """
    category = np.array(candidate_category(matrix, hits, rules), dtype=object)
    positions = np.arange(len(matrix)) if rows is None else rows
    chosen = np.array([row for row in positions if category[row] is not None], dtype=np.int64)
    claims = _claims(rules)
    phrases = hit_phrases(matrix, hits, chosen, language, rules)
    named, facts = [], []
    for row, said in zip(chosen, phrases, strict=True):
        is_severe = category[row] is MonitorCategory.SEVERE_SUDDEN
        deciding = (*claims.by_income, *(claims.severe if is_severe else claims.by_type))
        every = {*claims.by_type, *claims.by_income, *claims.severe}
        codes = sorted(
            (code for code in said if code in every), key=lambda code: (code not in deciding, code)
        )
        named.append("、".join(codes))
        facts.append(_JOINT[language].join(said[code] for code in codes))
    index = matrix.index[chosen].select(
        "household_id", "as_of_date", "county_code", "village_code", "household_type"
    )
    return index.with_columns(
        pl.Series("category", [category[row].value for row in chosen], dtype=pl.String),
        pl.Series("rules", named, dtype=pl.String),
        pl.Series("facts", facts, dtype=pl.String),
    )


def _claims(rules: Sequence[Rule]) -> _Claims:
    by_type = (RuleCategory.UNSTABLE, RuleCategory.MARGINAL)
    return _Claims(
        by_type=tuple(r.code for r in rules if r.is_candidate and RuleCategory.SEVERE not in r.categories),
        by_income=tuple(
            rule.code
            for rule in rules
            if RuleCategory.SEVERE in rule.categories and any(c in rule.categories for c in by_type)
        ),
        severe=tuple(rule.code for rule in rules if rule.categories == (RuleCategory.SEVERE,)),
    )
