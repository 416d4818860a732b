"""The village, the county and the season; neighbours count with reports of the last 12 months."""

from __future__ import annotations

from relapse_risk.features.catalog.flows import IS_RECENT
from relapse_risk.features.expression import feature
from relapse_risk.features.operators import as_of_month, county_value, peer_mean
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Unit

_DPI_NOW = county_value("rural_dpi_prev_yuan")
_DPI_BEFORE = county_value("rural_dpi_prev_yuan", ago=12)

VILLAGE_BELOW_LINE_SHARE = Feature(
    "village_below_line_share",
    "本村低于监测线的户数占比",
    "share of the village's households below the line in their latest period",
    Unit.SHARE,
    "context",
    peer_mean(feature("below_line_last").when(IS_RECENT), "village_code"),
)
COUNTY_BELOW_LINE_SHARE = Feature(
    "county_below_line_share",
    "本县低于监测线的户数占比",
    "share of the county's households below the line in their latest period",
    Unit.SHARE,
    "context",
    peer_mean(feature("below_line_last").when(IS_RECENT), "county_code"),
)
VILLAGE_INCOME_TO_LINE = Feature(
    "village_income_to_line",
    "本村平均收入与监测线之比",
    "mean of the village's incomes over the line in the latest period",
    Unit.RATIO,
    "context",
    peer_mean(feature("period_income_to_line").when(IS_RECENT), "village_code"),
)
COUNTY_DPI_GROWTH_SHARE = Feature(
    "county_dpi_growth_share",
    "农村居民人均可支配收入增长",
    "growth of rural income per head on the year before",
    Unit.SHARE,
    "context",
    _DPI_NOW / _DPI_BEFORE - 1,
)
COUNTY_DISASTER_INDEX = Feature(
    "county_disaster_index",
    "本县灾害指数",
    "disaster index of the county",
    Unit.RATIO,
    "context",
    county_value("disaster_index"),
)
IS_KEY_COUNTY = Feature(
    "is_key_county",
    "重点帮扶县",
    "key county of assistance",
    Unit.FLAG,
    "context",
    county_value("is_key_county"),
)
CALENDAR_MONTH = Feature(
    "calendar_month", "月份", "calendar month of the as-of date", Unit.MONTHS, "context", as_of_month()
)

CONTEXT: tuple[Feature, ...] = (
    VILLAGE_BELOW_LINE_SHARE,
    COUNTY_BELOW_LINE_SHARE,
    VILLAGE_INCOME_TO_LINE,
    COUNTY_DPI_GROWTH_SHARE,
    COUNTY_DISASTER_INDEX,
    IS_KEY_COUNTY,
    CALENDAR_MONTH,
)
