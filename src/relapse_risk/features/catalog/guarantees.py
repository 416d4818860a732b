"""Housing, water, schooling and medical insurance.

A guarantee that a period leaves blank keeps its last known value for at most 12 months.
"""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import (
    event_sum,
    household_months_since,
    in_period,
    last,
    max_over,
    sum_over,
)
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Unit

_CARRY_MONTHS = 12
_UNSAFE_GRADE = 3  # C
_ANY_FAILS = (
    (in_period("house_grade") >= _UNSAFE_GRADE)
    | (in_period("water_safe") < 1)
    | (in_period("dropout_n") >= 1)
    | (in_period("uninsured_n") >= 1)
)

HOUSE_GRADE = Feature(
    "house_grade",
    "住房安全等级（A=1…D=4）",
    "housing safety grade (A=1 to D=4)",
    Unit.LEVEL,
    "guarantees",
    last("house_grade", within_months=_CARRY_MONTHS),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "住房鉴定为C级或D级，需核实是否仍居住", "the house is graded C or D; is it still lived in?"
    ),
    reason_when=feature("house_grade") >= _UNSAFE_GRADE,
    to_verify=Bilingual("核实住房安全和是否仍居住", "Check the house and whether it is lived in"),
)
HOUSE_AGE_YEARS = Feature(
    "house_age_years",
    "房屋年限",
    "age of the house",
    Unit.YEARS,
    "guarantees",
    household_months_since("house_built_year") / 12,
    reason=Bilingual("住房已建成约{value}年", "the house is about {value} years old"),
    reason_when=feature("house_age_years") >= 40,
    to_verify=Bilingual("核实住房安全", "Check that the house is safe"),
)
WATER_SAFE = Feature(
    "water_safe",
    "饮水安全",
    "safe drinking water",
    Unit.FLAG,
    "guarantees",
    last("water_safe", within_months=_CARRY_MONTHS),
    Direction.LOWERS_RISK,
    reason=Bilingual("饮水安全未达标", "drinking water is not safe"),
    reason_when=feature("water_safe") < 1,
    to_verify=Bilingual("核实供水情况", "Check the water supply"),
)
OUTAGE_DAYS_12M = Feature(
    "outage_days_12m",
    "近12个月停水天数",
    "days of water outage within 12 months",
    Unit.DAYS,
    "guarantees",
    event_sum("days", "停水", within_days=365),
    Direction.RAISES_RISK,
    reason=Bilingual("近12个月停水{value}天", "{value} days without water within 12 months"),
    reason_when=feature("outage_days_12m") >= 3,
    to_verify=Bilingual("核实供水情况", "Check the water supply"),
)
DROPOUT_N = Feature(
    "dropout_n",
    "辍学人数",
    "children out of school, as reported",
    Unit.PERSONS,
    "guarantees",
    last("dropout_n", within_months=_CARRY_MONTHS),
    Direction.RAISES_RISK,
    reason=Bilingual("{value}名适龄学生不在校，原因待核", "{value} children of school age are out of school"),
    reason_when=feature("dropout_n") >= 1,
    to_verify=Bilingual("核实不在校原因和返校安排", "Check why, and the return to school"),
)
DROPOUT_MAX_24M = Feature(
    "dropout_max_24m",
    "近24个月最多辍学人数",
    "most children out of school in a period of 24 months",
    Unit.PERSONS,
    "guarantees",
    max_over("dropout_n", 24),
    Direction.RAISES_RISK,
)
UNINSURED_N = Feature(
    "uninsured_n",
    "未参保人数",
    "members without basic medical insurance, as reported",
    Unit.PERSONS,
    "guarantees",
    last("uninsured_n", within_months=_CARRY_MONTHS),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "{value}名家庭成员未参加基本医保", "{value} of the household lack basic medical insurance"
    ),
    reason_when=feature("uninsured_n") >= 1,
    to_verify=Bilingual("核实参保状态和未参保原因", "Check insurance and why it is missing"),
)
GUARANTEE_FAILURES_12M = Feature(
    "guarantee_failures_12m",
    "近12个月“三保障”或饮水未达标的期数",
    "periods of 12 months in which a guarantee failed",
    Unit.COUNT,
    "guarantees",
    sum_over(_ANY_FAILS, 12, coverage=0),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近12个月有{value}期“三保障”或饮水未达标",
        "a guarantee failed in {value} periods of the last 12 months",
    ),
    reason_when=feature("guarantee_failures_12m") >= 1,
    to_verify=Bilingual("核实住房、饮水、就学、参保现状", "Check housing, water, schooling and insurance"),
)

GUARANTEES: tuple[Feature, ...] = (
    HOUSE_GRADE,
    HOUSE_AGE_YEARS,
    WATER_SAFE,
    OUTAGE_DAYS_12M,
    DROPOUT_N,
    DROPOUT_MAX_24M,
    UNINSURED_N,
    GUARANTEE_FAILURES_12M,
)
