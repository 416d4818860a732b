"""Entitlements and procedure: what only rules and lists read, never a model.

These features follow the household's treatment (register, measures, visits, allowances), which the rules
themselves cause, or they count what a rule names and a model has in another form.
"""

from __future__ import annotations

from relapse_risk.features.catalog.alerts import ALERTS, days_feature, rule_feature
from relapse_risk.features.expression import Constant, Expression
from relapse_risk.features.operators import (
    at_least,
    below,
    days_ago,
    days_since,
    days_since_first,
    event_max,
    has_item,
    household,
    household_is,
    is_false,
    is_in,
    is_missing,
    is_true,
    last,
    member_max,
    members,
    rows,
)
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import MonitorCategory, Unit

_OUTAGE_LOOKBACK_DAYS = 60

_IS_OUT_OF_SCHOOL = is_in("school_status", "非在校")
_IS_EXCUSED = is_in("not_school_reason", "身体原因", "已毕业")
_IS_NO_STUDENT = _IS_OUT_OF_SCHOOL | is_missing("school_status")
_IS_STARTED = ~is_in("status", "拟定", "中止") | is_missing("status")
_IS_ACTIVE = (
    ~is_in("status", "拟定", "中止", "完成") | is_missing("status"),
    is_missing("end_on") | days_ago("end_on", at_most=0),
)
_IS_UNCOVERED = (is_false("on_dibao"), is_false("on_tekun"))
_IS_OPEN = (is_missing("county_on"), is_missing("decision"))
_SAFETY_NET = is_in("measure_type", "综合保障")


def _either(first: Expression, second: Expression) -> Expression:
    """Join two reports of one fact: yes where one says so, not known only where neither is known."""
    return first.or_else(second) | second.or_else(first)


_REGISTER = (
    rule_feature(
        "is_registered",
        "在册监测户（风险未消除）",
        "on the register, risk not cleared",
        Unit.FLAG,
        household_is(
            "monitor_category",
            MonitorCategory.UNSTABLE_LIFTED,
            MonitorCategory.MARGINAL,
            MonitorCategory.SEVERE_SUDDEN,
        )
        & ~(household("risk_cleared") >= 1).or_else(0),
        "procedure",
    ),
    rule_feature(
        "self_applied",
        "自主申报待办",
        "self-application open",
        Unit.FLAG,
        _either(rows("workflow", is_in("channel", "自主申报"), *_IS_OPEN) >= 1, last("self_reported") >= 1),
        "procedure",
    ),
    rule_feature(
        "open_case_n", "未办结案件数", "open cases", Unit.COUNT, rows("workflow", *_IS_OPEN), "procedure"
    ),
    days_feature(
        "open_case_days",
        "未办结案件自发现起天数",
        "days since discovery of the oldest open case",
        days_since_first("workflow", "discovered_on", *_IS_OPEN),
    ),
    days_feature(
        "days_since_inclusion",
        "县级确定纳入后天数",
        "days since inclusion by the county",
        days_since("workflow", "county_on", is_in("decision", "纳入")),
    ),
)

_MEASURES = (
    rule_feature(
        "measure_started_n",
        "已落实帮扶措施数",
        "measures started",
        Unit.COUNT,
        rows("measure", _IS_STARTED),
        "procedure",
    ),
    rule_feature(
        "active_measure_n",
        "实施中帮扶措施数",
        "measures under way",
        Unit.COUNT,
        rows("measure", *_IS_ACTIVE),
        "procedure",
    ),
    rule_feature(
        "active_safety_net_measure_n",
        "实施中综合保障措施数",
        "safety-net measures under way",
        Unit.COUNT,
        rows("measure", *_IS_ACTIVE, _SAFETY_NET),
        "procedure",
    ),
    rule_feature(
        "active_other_measure_n",
        "实施中其他帮扶措施数",
        "other measures under way",
        Unit.COUNT,
        rows("measure", *_IS_ACTIVE, ~_SAFETY_NET),
        "procedure",
    ),
    days_feature(
        "days_since_measure_start",
        "最近一项帮扶措施落实后天数",
        "days since the latest measure started",
        days_since("measure", "start_on", _IS_STARTED),
    ),
    rule_feature(
        "visit_n",
        "走访次数",
        "visits made",
        Unit.COUNT,
        rows("visit", ~is_missing("visited_on")),
        "procedure",
    ),
    days_feature(
        "days_since_confirming_visit",
        "最近一次核实属实后天数",
        "days since a visit confirmed a risk",
        days_since("visit", "visited_on", is_in("outcome", "属实", "部分属实")),
    ),
)

_GUARANTEES = (
    rule_feature(
        "school_age_absent_n",
        "义务教育阶段不在校人数",
        "children of compulsory school age out of school",
        Unit.PERSONS,
        # Where nobody gave a reason, nobody is excused. A child of six may still be in preschool; from seven
        # on that is out of school.
        members(at_least("age", 6), below("age", 16), _IS_OUT_OF_SCHOOL)
        - members(at_least("age", 6), below("age", 16), _IS_OUT_OF_SCHOOL, _IS_EXCUSED).or_else(0)
        + members(at_least("age", 7), below("age", 16), is_in("school_status", "学前")).or_else(0),
        "guarantees",
    ),
    rule_feature(
        "school_age_excused_n",
        "因身体原因或已毕业不在校人数",
        "children of school age unfit to study or graduated",
        Unit.PERSONS,
        members(at_least("age", 6), below("age", 16), _IS_OUT_OF_SCHOOL, _IS_EXCUSED),
        "guarantees",
    ),
    rule_feature(
        "uninsured_member_n",
        "未参加基本医保成员数",
        "members without basic medical insurance",
        Unit.PERSONS,
        members(is_false("med_insured")),
        "guarantees",
    ),
    rule_feature(
        "outage_days",
        "近60天停水天数",
        "days of water outage reported in 60 days",
        Unit.DAYS,
        event_max("days", "停水", within_days=_OUTAGE_LOOKBACK_DAYS),
        "guarantees",
    ),
    rule_feature(
        "food_clothing_ok",
        "不愁吃穿",
        "food and clothing assured",
        Unit.FLAG,
        last("food_clothing_ok", within_months=12),
        "guarantees",
    ),
)

_ENTITLEMENTS = (
    rule_feature(
        "has_dibao_or_tekun",
        "享受低保或特困供养",
        "has the allowance or destitute support",
        Unit.FLAG,
        _either(
            household_is("lowincome_class", "低保", "特困"),
            (members(is_true("on_dibao")) >= 1) | (members(is_true("on_tekun")) >= 1),
        ),
    ),
    rule_feature(
        "severe_disabled_uncovered_n",
        "一、二级残疾且未享受低保、特困人数",
        "severely disabled members without allowance",
        Unit.PERSONS,
        # No grade is known where nobody is disabled.
        members(is_in("disability_grade", 1, 2), *_IS_UNCOVERED).or_else(
            Constant(0.0).when(members(has_item("health_status", "残疾")) < 1)
        ),
    ),
    rule_feature(
        "major_ill_uncovered_n",
        "患大病且未享受低保、特困人数",
        "gravely ill members without allowance",
        Unit.PERSONS,
        members(has_item("health_status", "患有大病"), *_IS_UNCOVERED),
    ),
    rule_feature(
        "adl_dependent_n",
        "生活不能自理人数",
        "members who can't care for themselves",
        Unit.PERSONS,
        members(is_true("adl_dependent")),
    ),
    rule_feature(
        "left_behind_child_n",
        "留守儿童数",
        "left-behind children",
        Unit.PERSONS,
        members(is_true("left_behind_child")),
    ),
    rule_feature(
        "child_in_difficulty_n",
        "困境儿童数",
        "children in difficulty",
        Unit.PERSONS,
        members(is_true("child_difficulty")),
    ),
    rule_feature(
        "orphan_n",
        "孤儿或事实无人抚养儿童数",
        "orphans or children nobody raises",
        Unit.PERSONS,
        members(is_true("orphan_defacto")),
    ),
    rule_feature(
        "elder_alone_n", "独居老人数", "elders living alone", Unit.PERSONS, members(is_true("elder_alone"))
    ),
    rule_feature(
        "elder_alone_max_age",
        "独居老人最大年龄",
        "age of the oldest elder living alone",
        Unit.YEARS,
        member_max("age", is_true("elder_alone")),
        missing=Missing.NOT_APPLICABLE,
    ),
    rule_feature(
        "able_labour_n",
        "有劳动能力人数（技能、普通）",
        "members with full labour capacity",
        Unit.PERSONS,
        members(is_in("labour_skill", "技能劳动力", "普通劳动力"), at_least("age", 16), _IS_NO_STUDENT),
    ),
    rule_feature(
        "weak_labour_n",
        "弱劳动力或半劳动力人数",
        "members with weak or half labour capacity",
        Unit.PERSONS,
        members(is_in("labour_skill", "弱劳动力或半劳动力"), at_least("age", 16), _IS_NO_STUDENT),
    ),
)

ENTITLEMENTS: tuple[Feature, ...] = (*_REGISTER, *_MEASURES, *_GUARANTEES, *_ENTITLEMENTS, *ALERTS)
