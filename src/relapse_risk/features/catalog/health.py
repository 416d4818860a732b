"""Illness, disability and care."""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import event_sum, events, has_item, is_false, is_in, is_true, members
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Unit

_CHECK_PATIENT = Bilingual("核实病情、治疗费用和照护人", "Check the illness, its cost and who cares")

MAJOR_ILL_N = Feature(
    "major_ill_n",
    "患大病人数",
    "members with a major illness",
    Unit.PERSONS,
    "health",
    members(has_item("health_status", "患有大病")),
    Direction.RAISES_RISK,
    reason=Bilingual("家中{value}人患大病", "{value} of the household have a major illness"),
    reason_when=feature("major_ill_n") >= 1,
    to_verify=_CHECK_PATIENT,
)
CHRONIC_N = Feature(
    "chronic_n",
    "长期慢性病人数",
    "members with a chronic illness",
    Unit.PERSONS,
    "health",
    members(has_item("health_status", "长期慢性病")),
    Direction.RAISES_RISK,
    reason=Bilingual("家中{value}人患长期慢性病", "{value} of the household have a chronic illness"),
    reason_when=feature("chronic_n") >= 1,
    to_verify=_CHECK_PATIENT,
)
CHRONIC_UNMANAGED_N = Feature(
    "chronic_unmanaged_n",
    "4种慢病未规范管理人数",
    "members with one of the four chronic diseases that nobody manages",
    Unit.PERSONS,
    "health",
    members(has_item("chronic4", "高血压", "糖尿病", "肺结核", "严重精神障碍"), is_false("chronic_managed")),
    Direction.RAISES_RISK,
    reason=Bilingual("{value}名慢病患者未纳入规范管理", "{value} chronically ill members are not managed"),
    reason_when=feature("chronic_unmanaged_n") >= 1,
    to_verify=Bilingual("核实家庭医生签约和服药情况", "Check the family doctor and medication"),
)
SEVERE_DISABLED_N = Feature(
    "severe_disabled_n",
    "一、二级残疾人数",
    "members with disability grade 1 or 2",
    Unit.PERSONS,
    "health",
    members(is_in("disability_grade", 1, 2)),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "{value}名一、二级残疾人，照护负担重", "{value} members with disability grade 1 or 2 need care"
    ),
    reason_when=feature("severe_disabled_n") >= 1,
    to_verify=Bilingual("核实照护人和残疾补贴", "Check who cares and the disability allowance"),
)
DISABLED_N = Feature(
    "disabled_n",
    "残疾人数",
    "members with a disability",
    Unit.PERSONS,
    "health",
    members(has_item("health_status", "残疾") | is_in("disability_grade", 1, 2, 3, 4)),
    Direction.RAISES_RISK,
)
NEW_DIAGNOSIS_180D = Feature(
    "new_diagnosis_180d",
    "近半年大病新确诊次数",
    "major illnesses diagnosed within 180 days",
    Unit.COUNT,
    "health",
    events("大病确诊", within_days=180),
    Direction.RAISES_RISK,
    reason=Bilingual("近半年大病新确诊{value}人次", "{value} major illness diagnosed within half a year"),
    reason_when=feature("new_diagnosis_180d") >= 1,
    to_verify=_CHECK_PATIENT,
)
INPATIENT_DAYS_12M = Feature(
    "inpatient_days_12m",
    "近12个月住院天数",
    "days in hospital within 12 months",
    Unit.DAYS,
    "health",
    event_sum("days", "住院", within_days=365),
    Direction.RAISES_RISK,
    reason=Bilingual("近12个月住院{value}天", "{value} days in hospital within 12 months"),
    reason_when=feature("inpatient_days_12m") >= 7,
    to_verify=_CHECK_PATIENT,
)
FAMILY_DOCTOR_SHARE = Feature(
    "family_doctor_share",
    "家庭医生签约比例",
    "share of members with a family doctor",
    Unit.SHARE,
    "health",
    members(is_true("family_doctor")) / members(),
)
ADL_N = Feature(
    "adl_n",
    "生活不能自理人数（预警用）",
    "members who can't care for themselves, for the model",
    Unit.PERSONS,
    "health",
    feature("adl_dependent_n"),
    Direction.RAISES_RISK,
    reason=Bilingual("{value}人生活不能自理", "{value} of the household can't care for themselves"),
    reason_when=feature("adl_n") >= 1,
    to_verify=Bilingual("核实照护安排", "Check who cares"),
)

HEALTH: tuple[Feature, ...] = (
    MAJOR_ILL_N,
    CHRONIC_N,
    CHRONIC_UNMANAGED_N,
    SEVERE_DISABLED_N,
    DISABLED_N,
    NEW_DIAGNOSIS_180D,
    INPATIENT_DAYS_12M,
    FAMILY_DOCTOR_SHARE,
    ADL_N,
)
