"""Which category of the register a household outside it is a candidate for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import Rule
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import MonitorCategory, RuleCategory


def candidate_category(
    matrix: FeatureMatrix, hits: RuleHits, rules: Sequence[Rule] = RULES
) -> list[MonitorCategory | None]:
    """Return the category of the register each row is a candidate for; a human procedure decides.

    Returns
    -------
    list of MonitorCategory or None
        None for households on the register and for those without a candidate hit. 脱贫不稳定户 (lifted) and
        边缘易致贫户 (ordinary) go before 突发严重困难户, which is left to households whose own income is
        at or above the line, or whose hits can mean nothing else.

    Notes
    -----
    Implementation opinion, article (二).
    """
    by_type = (RuleCategory.UNSTABLE, RuleCategory.MARGINAL)
    always = tuple(r.code for r in rules if r.is_candidate and RuleCategory.SEVERE not in r.categories)
    either = tuple(
        rule.code
        for rule in rules
        if RuleCategory.SEVERE in rule.categories and any(c in rule.categories for c in by_type)
    )
    only_severe = tuple(rule.code for rule in rules if rule.categories == (RuleCategory.SEVERE,))
    is_above = matrix.column("ref_income_to_line") >= 1
    takes_type = hits.is_hit(always) | (hits.is_hit(either) & ~is_above)
    takes_severe = hits.is_hit(either) | hits.is_hit(only_severe)
    is_lifted = matrix.column("is_lifted") >= 1
    is_outside = matrix.column("is_registered") == 0
    own_type = np.where(is_lifted, MonitorCategory.UNSTABLE_LIFTED, MonitorCategory.MARGINAL)
    category = np.where(takes_type, own_type, np.where(takes_severe, MonitorCategory.SEVERE_SUDDEN, ""))
    return [
        MonitorCategory(name) if name and is_open else None
        for name, is_open in zip(category.tolist(), is_outside.tolist(), strict=True)
    ]
