"""What income is made of.

Shares are of gross income: wages, net business income where positive, property and transfers of 12 months.
"""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import sum_over
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Role, Unit

_WAGE = sum_over("wage_income_yuan", 12)
_BUSINESS = (sum_over("business_income_yuan", 12) - sum_over("business_cost_yuan", 12)).at_least(0)
_PROPERTY = sum_over("property_income_yuan", 12)
_TRANSFER = sum_over("transfer_income_yuan", 12)
_GROSS = feature("gross_income_12m_yuan").when(feature("gross_income_12m_yuan") > 0)

GROSS_INCOME_12M_YUAN = Feature(
    "gross_income_12m_yuan",
    "近12个月各来源收入合计",
    "income of 12 months from all sources, business net of cost",
    Unit.YUAN,
    "composition",
    _WAGE + _BUSINESS + _PROPERTY + _TRANSFER,
    role=Role.RULE,
)
WAGE_SHARE = Feature(
    "wage_share",
    "工资性收入占比",
    "share of wages in income",
    Unit.SHARE,
    "composition",
    _WAGE / _GROSS,
    reason=Bilingual(
        "务工收入占家庭收入{value}%，近12个月务工较上年减少{fewer_work_months}个月",
        "wages are {value}% of income; {fewer_work_months} months of work fewer than the year before",
    ),
    reason_when=(feature("wage_share") >= 0.5) & (feature("fewer_work_months") > 0),
    to_verify=Bilingual("核实务工是否稳定", "Check whether work is stable"),
)
BUSINESS_SHARE = Feature(
    "business_share",
    "经营净收入占比",
    "share of net business income in income",
    Unit.SHARE,
    "composition",
    _BUSINESS / _GROSS,
)
PROPERTY_SHARE = Feature(
    "property_share",
    "财产性收入占比",
    "share of property income in income",
    Unit.SHARE,
    "composition",
    _PROPERTY / _GROSS,
)
TRANSFER_SHARE = Feature(
    "transfer_share",
    "转移性收入占比",
    "share of transfers in income",
    Unit.SHARE,
    "composition",
    _TRANSFER / _GROSS,
    reason=Bilingual(
        "转移性收入占家庭收入{value}%，自主增收能力弱", "transfers are {value}% of income; little is earned"
    ),
    reason_when=feature("transfer_share") >= 0.5,
    to_verify=Bilingual("核实补助是否持续、有无增收条件", "Check that transfers last, and ways to earn"),
)
POLICY_TRANSFER_SHARE = Feature(
    "policy_transfer_share",
    "低保金和政策补贴占比",
    "share of the allowance and subsidies in income",
    Unit.SHARE,
    "composition",
    (sum_over("dibao_amount_yuan", 12) + sum_over("subsidy_amount_yuan", 12)) / _GROSS,
)
DIVIDEND_SHARE = Feature(
    "dividend_share",
    "资产收益分红占比",
    "share of asset dividends in income",
    Unit.SHARE,
    "composition",
    sum_over("asset_dividend_yuan", 12) / _GROSS,
)
LARGEST_SOURCE_SHARE = Feature(
    "largest_source_share",
    "最大收入来源占比",
    "share of the largest source in income",
    Unit.SHARE,
    "composition",
    feature("wage_share")
    .at_least(feature("business_share"))
    .at_least(feature("property_share"))
    .at_least(feature("transfer_share")),
    reason=Bilingual("家庭收入{value}%来自单一来源", "{value}% of income comes from one source"),
    reason_when=feature("largest_source_share") >= 0.9,
    to_verify=Bilingual("核实主要收入来源是否稳定", "Check whether the main source is stable"),
)
SOURCE_DIVERSITY = Feature(
    "source_diversity",
    "收入来源多样性",
    "diversity of income sources (1 less the sum of squared shares)",
    Unit.RATIO,
    "composition",
    1
    - feature("wage_share") * feature("wage_share")
    - feature("business_share") * feature("business_share")
    - feature("property_share") * feature("property_share")
    - feature("transfer_share") * feature("transfer_share"),
    Direction.EITHER,
)

COMPOSITION: tuple[Feature, ...] = (
    GROSS_INCOME_12M_YUAN,
    WAGE_SHARE,
    BUSINESS_SHARE,
    PROPERTY_SHARE,
    TRANSFER_SHARE,
    POLICY_TRANSFER_SHARE,
    DIVIDEND_SHARE,
    LARGEST_SOURCE_SHARE,
    SOURCE_DIVERSITY,
)
