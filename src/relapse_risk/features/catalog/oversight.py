"""What accidents, clearance, the look back after it, entitlements and checks of the record are judged by.

Only rules and lists read these: most of them follow the register.
"""

from __future__ import annotations

from relapse_risk.features.catalog.alerts import days_feature, rule_feature
from relapse_risk.features.catalog.flows import REFERENCE_INCOME
from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.features.nodes import EARNER
from relapse_risk.features.operators import (
    at_least,
    below,
    days_since,
    event_sum,
    events,
    household,
    household_has,
    household_is,
    is_false,
    is_in,
    is_missing,
    is_true,
    last,
    max_over,
    mean_over,
    members,
    months_since_report,
    rows,
    sum_over,
)
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import Unit

_YEAR_DAYS = 365
_PENSION_AGE = 60

_LOSSES = (
    rule_feature(
        "loss_12m_yuan",
        "近12个月灾害和意外损失",
        "loss by disasters and accidents of 12 months",
        Unit.YUAN,
        event_sum("amount_yuan", "灾害", "意外", within_days=_YEAR_DAYS),
        "shocks",
    ),
    rule_feature(
        "accident_loss_12m_yuan",
        "近12个月意外损失",
        "accident loss of 12 months",
        Unit.YUAN,
        event_sum("amount_yuan", "意外", within_days=_YEAR_DAYS),
        "shocks",
    ),
    rule_feature(
        "accident_unvalued_n",
        "近12个月未填损失的意外次数",
        "accidents of 12 months without an amount",
        Unit.COUNT,
        events("意外", within_days=_YEAR_DAYS, conditions=(is_missing("amount_yuan"),)),
        "shocks",
    ),
    rule_feature(
        "accident_earner_n",
        "近12个月劳动力伤亡次数",
        "accidents of 12 months that killed or injured an earner, light injuries left out",
        Unit.COUNT,
        events(
            "意外",
            within_days=_YEAR_DAYS,
            conditions=(is_in("severity", "中", "重", "死亡"), is_true(EARNER)),
        ),
        "shocks",
    ),
)

_CLEARANCE = (
    rule_feature(
        "is_cleared",
        "风险已消除户",
        "cleared from the register",
        Unit.FLAG,
        (household("risk_cleared") >= 1).or_else(0),
        "procedure",
    ),
    rule_feature(
        "ref_income_pc_12m_3m_ago",
        "3个月前的近12个月人均监测参考收入",
        "reference income per person of 12 months, as of three months before",
        Unit.YUAN_PER_PERSON_YEAR,
        sum_over(REFERENCE_INCOME, 12, ago=3) / last("n_person"),
        "dynamics",
    ),
    days_feature(
        "days_since_clearance",
        "县级确定消除后天数",
        "days since the county cleared the risk",
        days_since("workflow", "county_on", is_in("decision", "消除")),
    ),
)


def _income_to_line_at_clearance() -> Expression:
    """Return reference income of 12 months over the line then, for clearances of the last two quarters.

    Periods may be quarters, so the windows end with the quarter that ends at or before the clearance.
    """
    months = feature("months_since_cleared") - months_since_report()

    def ending(ago: int) -> Expression:
        income = sum_over(REFERENCE_INCOME, 12, ago=ago) / mean_over("n_person", 3, ago=ago)
        return income / max_over(param("line"), 3, ago=ago)

    now = ending(0).when(months <= 0)
    return now.or_else(ending(3).when((months > 0) & (months <= 3))).or_else(
        ending(6).when((months > 3) & (months <= 6))
    )


def _risk(name: str, zh: str, en: str, *risks: str) -> Feature:
    return rule_feature(name, zh, en, Unit.FLAG, household_has("risk_types", *risks), "procedure")


def _measures(name: str, zh: str, en: str, *types: str) -> Feature:
    is_started = ~is_in("status", "拟定", "中止") | is_missing("status")
    counted = rows("measure", is_started, is_in("measure_type", *types))
    return rule_feature(name, zh, en, Unit.COUNT, counted, "procedure")


_RECORD = (
    rule_feature(
        "income_to_line_at_clearance",
        "消除时人均监测参考收入与监测线之比",
        "reference income over the line when the risk was cleared",
        Unit.RATIO,
        _income_to_line_at_clearance(),
        "procedure",
        Missing.NOT_APPLICABLE,
    ),
    _risk("is_risk_ill", "登记风险含因病", "illness is among the recorded risks", "因病"),
    _risk("is_risk_disabled", "登记风险含因残", "disability is among the recorded risks", "因残"),
    _risk("is_risk_school", "登记风险含因学", "schooling is among the recorded risks", "因学"),
    _risk("is_risk_house", "登记风险含因安全住房", "housing is among the recorded risks", "因安全住房"),
    _risk("is_risk_water", "登记风险含因安全饮水", "water is among the recorded risks", "因安全饮水"),
    _risk("is_risk_labour", "登记风险含缺劳动力", "lack of labour is among the recorded risks", "缺劳动力"),
    _measures("health_measure_n", "健康或社会帮扶措施数", "health or social measures", "健康", "社会帮扶"),
    _measures(
        "care_measure_n", "综合保障或社会帮扶措施数", "safety-net or social measures", "综合保障", "社会帮扶"
    ),
    _measures("school_measure_n", "教育或社会帮扶措施数", "schooling or social measures", "教育", "社会帮扶"),
    _measures(
        "house_measure_n", "住房或搬迁后扶措施数", "housing or relocation measures", "住房", "搬迁后扶"
    ),
    _measures("water_measure_n", "饮水保障措施数", "water measures", "饮水"),
)

_HAS_ALLOWANCE = is_true("on_dibao") | is_true("on_tekun")
# The lowest tier of the pension is paid for those of contributing age who are no students.
_CONTRIBUTES = (
    at_least("age", 16),
    below("age", _PENSION_AGE),
    is_in("school_status", "非在校") | is_missing("school_status"),
    is_false("pension_proxy_paid"),
)

_BENEFITS = (
    rule_feature(
        "is_allowance_household",
        "低保户或特困户",
        "household with the allowance or destitute support",
        Unit.FLAG,
        household_is("lowincome_class", "低保", "特困"),
    ),
    rule_feature(
        "premium_unsubsidised_n",
        "未享受参保资助人数",
        "members whose insurance premium is not subsidised",
        Unit.PERSONS,
        members(is_false("premium_subsidised")),
    ),
    rule_feature(
        "premium_unsubsidised_allowance_n",
        "低保或特困成员中未享受参保资助人数",
        "members with an allowance whose insurance premium is not subsidised",
        Unit.PERSONS,
        members(is_false("premium_subsidised"), _HAS_ALLOWANCE),
    ),
    rule_feature(
        "pension_unpaid_n",
        "未代缴养老保险人数",
        "members of contributing age whose pension premium is not paid for them",
        Unit.PERSONS,
        members(*_CONTRIBUTES),
    ),
    rule_feature(
        "pension_unpaid_allowance_n",
        "低保或特困成员中未代缴养老保险人数",
        "members with an allowance whose pension premium is not paid for them",
        Unit.PERSONS,
        members(*_CONTRIBUTES, _HAS_ALLOWANCE),
    ),
)

OVERSIGHT: tuple[Feature, ...] = (*_LOSSES, *_CLEARANCE, *_RECORD, *_BENEFITS)
