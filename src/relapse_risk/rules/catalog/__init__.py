"""The catalogue of rules: the one place to add a rule.

Declare a :class:`~relapse_risk.rules.spec.Rule` in the file of its family, and put it in that file's tuple:
it is applied, listed, worded and given measures from that one object. What a rule reads must be a feature of
the catalogue of features; its limits are rows of ``thresholds.toml``.
"""

from __future__ import annotations

from collections.abc import Sequence

from relapse_risk.rules.catalog.clearance import CLEARANCE_RULES
from relapse_risk.rules.catalog.guarantees import GUARANTEE_RULES
from relapse_risk.rules.catalog.hardship import HARDSHIP_RULES
from relapse_risk.rules.catalog.income import INCOME_RULES
from relapse_risk.rules.catalog.people import PEOPLE_RULES
from relapse_risk.rules.catalog.process import PROCESS_RULES
from relapse_risk.rules.catalog.records import RECORD_RULES
from relapse_risk.rules.spec import Rule

RULES: tuple[Rule, ...] = tuple(
    sorted(
        (
            *INCOME_RULES,
            *HARDSHIP_RULES,
            *GUARANTEE_RULES,
            *PEOPLE_RULES,
            *PROCESS_RULES,
            *CLEARANCE_RULES,
            *RECORD_RULES,
        ),
        key=lambda rule: rule.code,
    )
)


def list_rules(rules: Sequence[Rule] = RULES) -> list[dict[str, object]]:
    """Return ``code, zh, en, category, basis, params`` of every rule, as ``rules list --json`` shows them."""
    return [
        {
            "code": rule.code,
            "zh": rule.zh,
            "en": rule.en,
            "category": rule.category,
            "basis": rule.basis.zh,
            "params": list(rule.params),
        }
        for rule in rules
    ]
