"""Departmental alerts and sharp changes that rules name: bills, diagnoses, disasters, work, posts, credit.

Models read the same tables through families of their own; what stands here is what a rule's wording needs.
"""

from __future__ import annotations

from relapse_risk.features.expression import Constant, Expression
from relapse_risk.features.operators import (
    days_ago,
    days_since,
    days_since_event,
    days_until_due,
    event_sum,
    events,
    household,
    is_in,
    is_missing,
    is_true,
    member_event_sum_max,
    member_max,
    members,
    sum_over,
)
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import Role, Unit

_YEAR_DAYS = 365


def rule_feature(
    name: str,
    zh: str,
    en: str,
    unit: Unit,
    formula: Expression,
    family: str = "entitlements",
    missing: Missing = Missing.NOT_REPORTED,
) -> Feature:
    """Declare a feature that only rules and lists read."""
    return Feature(name, zh, en, unit, family, formula, role=Role.RULE, missing=missing)


def days_feature(name: str, zh: str, en: str, formula: Expression, family: str = "procedure") -> Feature:
    """Declare days since or until something that need not be there."""
    return rule_feature(name, zh, en, Unit.DAYS, formula, family, Missing.NOT_APPLICABLE)


_SPENDING = (
    rule_feature(
        "member_oop_ytd_max_yuan",
        "本年个人自付医疗费最高额",
        "largest medical own-pay of one member this year",
        Unit.YUAN,
        member_event_sum_max("oop_yuan", "住院", "门诊", since_year_start=True),
        "spending",
    ),
    rule_feature(
        "noncompulsory_education_12m_yuan",
        "近12个月非义务教育支出",
        "non-compulsory schooling cost of 12 months",
        Unit.YUAN,
        sum_over("noncompulsory_education_cost_yuan", 12),
        "spending",
    ),
    rule_feature(
        "major_diagnosis_n",
        "大病确诊次数",
        "diagnoses of a major illness",
        Unit.COUNT,
        events("大病确诊"),
        "spending",
    ),
    days_feature(
        "days_since_major_diagnosis",
        "大病确诊后天数",
        "days since a major illness was diagnosed",
        days_since_event("大病确诊"),
        "spending",
    ),
)

_SHOCKS = (
    rule_feature(
        "disaster_n",
        "近12个月受灾次数",
        "disasters in 12 months",
        Unit.COUNT,
        events("灾害", within_days=_YEAR_DAYS),
        "shocks",
    ),
    rule_feature(
        "disaster_loss_12m_yuan",
        "近12个月灾害损失",
        "disaster loss of 12 months",
        Unit.YUAN,
        event_sum("amount_yuan", "灾害", within_days=_YEAR_DAYS),
        "shocks",
    ),
    rule_feature(
        "disaster_unvalued_n",
        "近12个月未填损失的受灾次数",
        "disasters of 12 months without an amount",
        Unit.COUNT,
        events("灾害", within_days=_YEAR_DAYS, conditions=(is_missing("amount_yuan"),)),
        "shocks",
    ),
    rule_feature(
        "disaster_house_damage_n",
        "近12个月房屋受灾次数",
        "disasters of 12 months that damaged the house",
        Unit.COUNT,
        events("灾害", within_days=_YEAR_DAYS, conditions=(is_true("house_damaged"),)),
        "shocks",
    ),
    rule_feature(
        "epidemic_n",
        "近12个月疫情影响次数",
        "epidemic events in 12 months",
        Unit.COUNT,
        events("疫情", within_days=_YEAR_DAYS),
        "shocks",
    ),
)

_WORK = (
    rule_feature(
        "main_earner_is_idle",
        "主要务工人员离岗",
        "main earner out of work",
        Unit.FLAG,
        (members(is_in("work_status", "离岗")) >= 1)
        & (
            (members(is_in("work_status", "在岗")) < 1)
            | (
                member_max("monthly_wage_yuan", is_in("work_status", "离岗"))
                >= member_max("monthly_wage_yuan", is_in("work_status", "在岗"))
            )
        ),
        "work",
    ),
    days_feature(
        "idle_days",
        "最近一名务工人员离岗天数",
        "days since the last worker left a job",
        days_since("member", "job_end_on", is_in("work_status", "离岗")),
        "work",
    ),
    rule_feature(
        "fewer_work_months",
        "近12个月务工月数较上年减少",
        "months of work fewer than the year before",
        Unit.MONTHS,
        sum_over("work_months", 12, ago=12) - sum_over("work_months", 12),
        "work",
    ),
    rule_feature(
        "public_post_income_12m_yuan",
        "近12个月公益岗位收入",
        "public post income of 12 months",
        Unit.YUAN,
        sum_over("public_post_income_yuan", 12),
        "work",
    ),
    rule_feature(
        "post_end_n",
        "将到期公益岗位数",
        "public posts due to end",
        Unit.COUNT,
        events("公益岗到期", conditions=(days_ago("due_date", at_most=0),)),
        "work",
    ),
    days_feature(
        "days_until_post_end",
        "公益岗位到期剩余天数",
        "days until a public post ends",
        days_until_due("公益岗到期"),
        "work",
    ),
    rule_feature(
        "allowance_end_n",
        "将到期低保渐退数",
        "allowances being phased out",
        Unit.COUNT,
        events("低保渐退", conditions=(days_ago("due_date", at_most=0),)),
    ),
    days_feature(
        "days_until_allowance_end",
        "低保渐退期剩余天数",
        "days until the allowance ends",
        days_until_due("低保渐退"),
        "entitlements",
    ),
    rule_feature(
        "business_net_12m_yuan",
        "近12个月经营净收入",
        "net business income of 12 months",
        Unit.YUAN,
        sum_over("business_income_yuan", 12) - sum_over("business_cost_yuan", 12),
        "livelihood",
    ),
    rule_feature(
        "business_net_prior_12m_yuan",
        "上年同期经营净收入",
        "net business income of the 12 months before",
        Unit.YUAN,
        sum_over("business_income_yuan", 12, ago=12) - sum_over("business_cost_yuan", 12, ago=12),
        "livelihood",
    ),
    rule_feature(
        "loan_owed_yuan",
        "小额信贷余额",
        "microcredit owed",
        Unit.YUAN,
        household("loan_balance_yuan"),
        "livelihood",
    ),
    rule_feature(
        "credit_overdue_days",
        "小额信贷逾期天数",
        "days microcredit is overdue",
        Unit.DAYS,
        household("loan_overdue_days").or_else(Constant(0.0).when(household("loan_balance_yuan") <= 0)),
        "livelihood",
    ),
)

ALERTS: tuple[Feature, ...] = (*_SPENDING, *_SHOCKS, *_WORK)
