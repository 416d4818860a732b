"""How many rules name a household, as features: what a model of the rules alone reads.

They stand above the catalogue of features, because they are made of rules, and are computed with it in one
go: a formula is the rules' own predicates. No other model reads them (role ``rule``), or it would learn the
rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from functools import lru_cache, reduce
from operator import add

from relapse_risk.features.expression import Expression, as_expression, param
from relapse_risk.features.extra import features_for
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import Rule, RuleState
from relapse_risk.rules.tiers import grave_codes, watch_codes
from relapse_risk.vocabulary import Direction, Role, Unit


def hits_among(codes: Sequence[str], rules: Sequence[Rule] = RULES) -> Expression:
    """Return the number of rules hit among ``codes``, as a formula over features and parameters.

    A rule that can't be judged is no hit, as everywhere. The dates between which a rule is in force are not
    read: a formula knows no calendar.
    """
    by_code = {rule.code: rule for rule in rules}
    return reduce(add, (_judged(by_code[code], by_code).or_else(0.0) for code in codes), as_expression(0.0))


def _judged(rule: Rule, by_code: dict[str, Rule]) -> Expression:
    """Return a rule's predicate with those of the rules it reads put in."""
    truth = _without_states(rule.predicate, by_code)
    if rule.is_optional:
        for name in rule.own_params:
            truth &= param(name) > float("-inf")  # off where the parameter has no value
    return truth


def _without_states(node: Expression, by_code: dict[str, Rule]) -> Expression:
    if isinstance(node, RuleState):
        return _judged(by_code[node.code], by_code)
    parts = {each.name: getattr(node, each.name) for each in fields(node)}
    inner = {
        name: _without_states(part, by_code) for name, part in parts.items() if isinstance(part, Expression)
    }
    return replace(node, **inner) if inner else node


HIT_COUNTS = (
    Feature(
        name="rule_grave_n",
        zh="触发的纳入类、保障类和紧急规则数",
        en="candidate, guarantee and urgent rules hit",
        unit=Unit.COUNT,
        family="procedure",
        formula=hits_among(grave_codes()),
        direction=Direction.RAISES_RISK,
        role=Role.RULE,
    ),
    Feature(
        name="rule_watch_n",
        zh="触发的预警规则数",
        en="watch rules hit",
        unit=Unit.COUNT,
        family="procedure",
        formula=hits_among(watch_codes()),
        direction=Direction.RAISES_RISK,
        role=Role.RULE,
    ),
)


def all_features(panel: Panel | KnownPanel) -> FeatureSet:
    """Return all that models, rules and lists may read of a panel: ``features_for``, then the hit counts."""
    return with_hit_counts(features_for(panel))


@lru_cache(maxsize=8)
def with_hit_counts(features: FeatureSet) -> FeatureSet:
    """Return features and, behind them, the hit counts.

    The same object for the same features, so that it is planned once for many panels.
    """
    return features + HIT_COUNTS
