"""How high income is, against the line, the province and the neighbours."""

from __future__ import annotations

from relapse_risk.features.catalog.flows import (
    IS_RECENT,
    NET_INCOME,
    REFERENCE_INCOME,
    REFERENCE_INCOME_PER_PERSON,
    REFERENCE_INCOME_TO_LINE,
)
from relapse_risk.features.expression import feature, param
from relapse_risk.features.operators import last, peer_rank, sum_over
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Role, Unit

_CHECK_INCOME = Bilingual(
    "核实近12个月各项收入、理赔和自付支出是否完整",
    "Check that 12 months of income, claims and own-pay are complete",
)
_PERSONS = last("n_person")

REF_INCOME_PC_12M = Feature(
    "ref_income_pc_12m",
    "近12个月人均监测参考收入",
    "reference income per person, 12 months",
    Unit.YUAN_PER_PERSON_YEAR,
    "income",
    sum_over(REFERENCE_INCOME, 12) / _PERSONS,
    Direction.LOWERS_RISK,
)
REF_INCOME_TO_LINE = Feature(
    "ref_income_to_line",
    "人均监测参考收入与监测线之比",
    "reference income over the line",
    Unit.RATIO,
    "income",
    feature("ref_income_pc_12m") / param("line"),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "近12个月人均监测参考收入{ref_income_pc_12m}元，为本县监测线{line}元的{value:share}%",
        "reference income of 12 months is {ref_income_pc_12m} yuan a person, "
        "{value:share}% of the line of {line} yuan",
    ),
    reason_when=feature("ref_income_to_line") < 1.5,
    to_verify=_CHECK_INCOME,
)
REF_INCOME_GAP_YUAN = Feature(
    "ref_income_gap_yuan",
    "人均监测参考收入与监测线的差额",
    "shortfall of reference income below the line (negative: above it)",
    Unit.YUAN_PER_PERSON_YEAR,
    "income",
    param("line") - feature("ref_income_pc_12m"),
    Direction.RAISES_RISK,
)
NET_INCOME_12M_YUAN = Feature(
    "net_income_12m_yuan",
    "近12个月家庭纯收入",
    "household net income of 12 months",
    Unit.YUAN,
    "income",
    sum_over(NET_INCOME, 12),
    role=Role.RULE,
)
NET_INCOME_PRIOR_12M_YUAN = Feature(
    "net_income_prior_12m_yuan",
    "上年同期家庭纯收入",
    "household net income of the 12 months before",
    Unit.YUAN,
    "income",
    sum_over(NET_INCOME, 12, ago=12),
    role=Role.RULE,
)
NET_INCOME_PC_12M = Feature(
    "net_income_pc_12m",
    "近12个月人均纯收入",
    "net income per person, 12 months",
    Unit.YUAN_PER_PERSON_YEAR,
    "income",
    feature("net_income_12m_yuan") / _PERSONS,
    Direction.LOWERS_RISK,
)
REF_INCOME_TO_DPI = Feature(
    "ref_income_to_dpi",
    "人均监测参考收入与上年全省农村人均可支配收入之比",
    "reference income over last year's provincial rural income per head",
    Unit.RATIO,
    "income",
    feature("ref_income_pc_12m") / param("rural_dpi_prev"),
    Direction.LOWERS_RISK,
)
REF_INCOME_TO_DIBAO = Feature(
    "ref_income_to_dibao",
    "人均监测参考收入与低保标准之比",
    "reference income over the allowance standard",
    Unit.RATIO,
    "income",
    feature("ref_income_pc_12m") / param("dibao_standard"),
    Direction.LOWERS_RISK,
)
REF_INCOME_VILLAGE_RANK = Feature(
    "ref_income_village_rank",
    "人均监测参考收入村内位次",
    "rank of reference income in the village (0 lowest, 1 highest)",
    Unit.SHARE,
    "income",
    peer_rank(feature("ref_income_pc_12m").when(IS_RECENT), "village_code"),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "人均监测参考收入仅高于本村{value}%的农户", "reference income is above only {value}% of the village"
    ),
    reason_when=feature("ref_income_village_rank") < 0.25,
    to_verify=_CHECK_INCOME,
)
PERIOD_INCOME_PC = Feature(
    "period_income_pc",
    "最近一期人均监测参考收入（折合全年）",
    "reference income per person in the latest period, scaled to a year",
    Unit.YUAN_PER_PERSON_YEAR,
    "income",
    last(REFERENCE_INCOME_PER_PERSON),
    Direction.LOWERS_RISK,
)
PERIOD_INCOME_TO_LINE = Feature(
    "period_income_to_line",
    "最近一期收入（折合全年）与监测线之比",
    "income of the latest period, scaled to a year, over the line",
    Unit.RATIO,
    "income",
    last(REFERENCE_INCOME_TO_LINE),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "最近一期人均收入折合全年{period_income_pc}元，为监测线的{value:share}%",
        "income of the latest period comes to {period_income_pc} yuan a person and year, "
        "{value:share}% of the line",
    ),
    reason_when=feature("period_income_to_line") < 1.5,
    to_verify=Bilingual("核实最近一期收入偏低是否季节性", "Check whether the low latest income is seasonal"),
)
PERIOD_INCOME_VILLAGE_RANK = Feature(
    "period_income_village_rank",
    "最近一期收入村内位次",
    "rank of the latest period's income over the line in the village (0 lowest, 1 highest)",
    Unit.SHARE,
    "income",
    peer_rank(feature("period_income_to_line").when(IS_RECENT), "village_code"),
    Direction.LOWERS_RISK,
)
PERIOD_INCOME_COUNTY_RANK = Feature(
    "period_income_county_rank",
    "最近一期收入县内位次",
    "rank of the latest period's income over the line in the county (0 lowest, 1 highest)",
    Unit.SHARE,
    "income",
    peer_rank(feature("period_income_to_line").when(IS_RECENT), "county_code"),
    Direction.LOWERS_RISK,
)

INCOME: tuple[Feature, ...] = (
    REF_INCOME_PC_12M,
    REF_INCOME_TO_LINE,
    REF_INCOME_GAP_YUAN,
    NET_INCOME_12M_YUAN,
    NET_INCOME_PRIOR_12M_YUAN,
    NET_INCOME_PC_12M,
    REF_INCOME_TO_DPI,
    REF_INCOME_TO_DIBAO,
    REF_INCOME_VILLAGE_RANK,
    PERIOD_INCOME_PC,
    PERIOD_INCOME_TO_LINE,
    PERIOD_INCOME_VILLAGE_RANK,
    PERIOD_INCOME_COUNTY_RANK,
)
