"""The data dictionary of features, derived from their declarations."""

from __future__ import annotations

import pandas as pd

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import parameters_in, walk
from relapse_risk.features.nodes import PeriodTest, PeriodValue, RowStatistic
from relapse_risk.features.spec import Feature, FeatureSet


def describe_catalog(features: FeatureSet = CATALOG) -> list[dict[str, str]]:
    """Return one entry per feature: name, zh, en, unit, family, direction and role, in column order."""
    return [
        {
            "name": feature.name,
            "zh": feature.zh,
            "en": feature.en,
            "unit": feature.unit.name.lower(),
            "family": feature.family,
            "direction": feature.direction.name.lower(),
            "role": str(feature.role),
        }
        for feature in features
    ]


def features_table(features: FeatureSet = CATALOG) -> pd.DataFrame:
    """Return the data dictionary: :func:`describe_catalog` with sources, parameters, missing and reasons."""
    entries = [
        {
            **entry,
            "reads": "、".join(_sources(feature)),
            "parameters": "、".join(parameters_in(feature.formula)),
            "missing": str(feature.missing),
            "reason_zh": feature.reason.zh if feature.reason else "",
            "reason_en": feature.reason.en if feature.reason else "",
        }
        for entry, feature in zip(describe_catalog(features), features, strict=True)
    ]
    return pd.DataFrame(entries)


def _sources(feature: Feature) -> list[str]:
    """Return the tables' columns that the formula itself names."""
    found: dict[str, None] = {}
    for node in walk(feature.formula):
        if isinstance(node, PeriodValue | PeriodTest):
            found[f"observation.{node.column}"] = None
        elif isinstance(node, RowStatistic):
            found[f"{node.table}.{node.column}" if node.column else node.table] = None
    return list(found)
