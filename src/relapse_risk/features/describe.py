"""The data dictionary of features, derived from their declarations."""

from __future__ import annotations

import pandas as pd

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.catalog.indicators import INDICATORS
from relapse_risk.features.expression import parameters_in, walk
from relapse_risk.features.nodes import PeriodTest, PeriodValue, RowStatistic
from relapse_risk.features.reads import reads_of
from relapse_risk.features.spec import FAMILIES, Feature, FeatureSet
from relapse_risk.vocabulary import Direction


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


def dictionary_page(features: FeatureSet = CATALOG) -> str:
    """Return the dictionary as a Markdown page in Chinese and English, by family."""
    indicators = {i.feature: i.name for family in INDICATORS.values() for i in family}
    lines = [
        "# 指标目录 / Dictionary of features",
        "",
        f"{len(features)} 项指标，由目录生成：`relapse-risk features list --markdown`。 "
        f"{len(features)} features, generated from the catalogue by that command.",
        "",
        "方向：↑ 数值越大风险越高，↓ 越低，– 不定。用途：model 进入模型，rule 供规则和名单，audit 供审计。 "
        "Direction: ↑ raises risk, ↓ lowers it, – either. Months: how far back from the latest report the "
        "formula looks; where reports do not reach that far, a missing value is not due.",
    ]
    for family in dict.fromkeys(feature.family for feature in features):
        title = FAMILIES[family].zh + " / " + FAMILIES[family].en if family in FAMILIES else family
        lines += ["", f"## {title}", "", _HEADER, "|" + "---|" * (_HEADER.count("|") - 1)]
        lines += [_entry(f, features, indicators.get(f.name, "")) for f in features if f.family == family]
    return "\n".join(lines) + "\n"


_HEADER = (
    "| 名称 name | 中文 | English | 单位 unit | 用途 role | 方向 | 表 tables | 月 months "
    "| 缺失 missing | 领域指标 indicator |"
)
_ARROWS = {Direction.RAISES_RISK: "↑", Direction.LOWERS_RISK: "↓", Direction.EITHER: "–"}


def _entry(feature: Feature, features: FeatureSet, indicator: str) -> str:
    reads = reads_of(feature.formula, lambda name: (features if name in features else CATALOG)[name].formula)
    unit = f"{feature.unit.value.zh} {feature.unit.value.en}"
    cells = [
        f"`{feature.name}`",
        feature.zh,
        feature.en,
        unit,
        str(feature.role),
        _ARROWS[feature.direction],
        ", ".join(reads.tables),
        str(reads.months or ""),
        str(feature.missing).replace("_", " "),
        indicator,
    ]
    return "| " + " | ".join(cells) + " |"


def _sources(feature: Feature) -> list[str]:
    """Return the tables' columns that the formula itself names."""
    found: dict[str, None] = {}
    for node in walk(feature.formula):
        if isinstance(node, PeriodValue | PeriodTest):
            found[f"observation.{node.column}"] = None
        elif isinstance(node, RowStatistic):
            found[f"{node.table}.{node.column}" if node.column else node.table] = None
    return list(found)
