"""The features of a panel: the catalogue, the project's own, and those of a mapping's extra columns."""

from __future__ import annotations

from functools import lru_cache

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import Expression
from relapse_risk.features.nodes import HouseholdValue, Latest, PeriodValue, Window
from relapse_risk.features.own import own_features
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.vocabulary import Bilingual

EXTRA_FAMILY = "extra"


def extra_feature(column: ExtraColumn) -> Feature:
    """Return the feature of an extra column, named ``x_`` and the column's name."""
    reason = Bilingual(column.reason_zh, column.reason_en) if column.reason_zh and column.reason_en else None
    return Feature(
        name=f"x_{column.name}",
        zh=column.zh,
        en=column.en,
        unit=column.unit,
        family=EXTRA_FAMILY,
        formula=_formula(column),
        direction=column.direction,
        reason=reason,
        is_categorical=column.is_categorical,
    )


def features_for(panel: Panel | KnownPanel) -> FeatureSet:
    """Return the catalogue and, behind it, the project's own features and those of the extra columns.

    Raises
    ------
    ContractError
        RR311 where an extra column and a feature of the project have one name.
    """
    return _set_of(own_features(), tuple(panel.extra_columns))


@lru_cache(maxsize=8)
def _set_of(own: tuple[Feature, ...], extra: tuple[ExtraColumn, ...]) -> FeatureSet:
    """Return the set, the same object for the same features, so that it is planned once for many panels."""
    return FeatureSet((*CATALOG, *own, *map(extra_feature, extra)))


def _formula(column: ExtraColumn) -> Expression:
    if column.table == "household":
        return HouseholdValue(column.name)
    value = PeriodValue(column.name)
    if column.statistic == "last":
        return Latest(value)
    return Window(column.statistic, value, column.lookback_months, 0, 0.0)
