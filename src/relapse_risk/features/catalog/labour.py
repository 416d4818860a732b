"""Labour capacity, and work that was found or lost."""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import (
    events,
    household,
    is_in,
    last,
    member_sum,
    members,
    period_is,
    sum_over,
)
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import Bilingual, Direction, Unit

_CHECK_WORK = Bilingual("核实务工状态、务工意愿和求职需求", "Check work, willingness and need of a job")
_POST_INCOME = sum_over("public_post_income_yuan", 12)
_WAGE = sum_over("wage_income_yuan", 12)

LABOUR_N = Feature(
    "labour_n",
    "劳动力人数",
    "members with full labour capacity, students left out",
    Unit.PERSONS,
    "work",
    feature("able_labour_n"),
    Direction.LOWERS_RISK,
)
LABOUR_SHARE = Feature(
    "labour_share",
    "劳动力占家庭人口比例",
    "share of members with full labour capacity",
    Unit.SHARE,
    "work",
    feature("able_labour_n") / members(),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "全家劳动力仅{labour_n}人，占家庭人口{value}%，抚养负担重",
        "only {labour_n} of the household can work, {value}% of its members",
    ),
    reason_when=feature("labour_share") < 0.34,
    to_verify=Bilingual("核实家庭成员劳动能力", "Check who can work"),
)
SKILLED_N = Feature(
    "skilled_n",
    "技能劳动力人数",
    "members with a skill",
    Unit.PERSONS,
    "work",
    members(is_in("labour_skill", "技能劳动力")),
    Direction.LOWERS_RISK,
)
WEAK_N = Feature(
    "weak_n",
    "弱劳动力人数（预警用）",
    "members with weak labour capacity, for the model",
    Unit.PERSONS,
    "work",
    feature("weak_labour_n"),
)
ALL_NO_LABOUR = Feature(
    "all_no_labour",
    "整户无劳动能力",
    "nobody in the household can work",
    Unit.FLAG,
    "work",
    household("all_no_labour").or_else(feature("able_labour_n") + feature("weak_labour_n") < 1),
    Direction.RAISES_RISK,
    reason=Bilingual("整户无劳动能力", "nobody in the household can work"),
    reason_when=feature("all_no_labour") >= 1,
    to_verify=Bilingual("核实劳动能力和低保、特困享受情况", "Check labour capacity and allowances"),
)
WORKER_N = Feature(
    "worker_n",
    "务工人数",
    "members at work",
    Unit.PERSONS,
    "work",
    last("workers_n").or_else(members(is_in("work_status", "在岗"))),
    Direction.LOWERS_RISK,
)
IDLE_N = Feature(
    "idle_n",
    "离岗人数",
    "members who have lost work",
    Unit.PERSONS,
    "work",
    members(is_in("work_status", "离岗")),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "{value}名务工人员已离岗{idle_days}天", "{value} of the household lost work {idle_days} days ago"
    ),
    reason_when=(feature("idle_n") >= 1) & (feature("idle_days") >= 0),
    to_verify=_CHECK_WORK,
)
WORK_MONTHS_12M = Feature(
    "work_months_12m",
    "近12个月务工月数",
    "months of work in 12 months, all workers",
    Unit.MONTHS,
    "work",
    sum_over("work_months", 12),
    Direction.LOWERS_RISK,
)
WORK_MONTHS_DROP = Feature(
    "work_months_drop",
    "务工月数较上年减少（预警用）",
    "months of work fewer than the year before, for the model",
    Unit.MONTHS,
    "work",
    feature("fewer_work_months"),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近12个月务工较上年减少{value}个月", "{value} months of work fewer than the year before"
    ),
    reason_when=feature("work_months_drop") >= 1,
    to_verify=_CHECK_WORK,
)
JOB_LOSS_180D = Feature(
    "job_loss_180d",
    "近半年失业次数",
    "jobs lost within 180 days",
    Unit.COUNT,
    "work",
    events("失业", within_days=180),
    Direction.RAISES_RISK,
    reason=Bilingual("近半年失业{value}人次", "{value} job lost within half a year"),
    reason_when=feature("job_loss_180d") >= 1,
    to_verify=_CHECK_WORK,
)
IS_WORKING_AWAY = Feature(
    "is_working_away",
    "在省外或京津务工",
    "work outside the province",
    Unit.FLAG,
    "work",
    last(period_is("work_place", "京津", "省外"), within_months=12),
)
AWAY_WORK_SHARE = Feature(
    "away_work_share",
    "在岗成员中省外或京津务工比例",
    "share of the members at work who work outside the province",
    Unit.SHARE,
    "work",
    members(is_in("work_status", "在岗"), is_in("work_place", "京津", "省外"))
    / members(is_in("work_status", "在岗")),
    missing=Missing.NOT_APPLICABLE,
)
MONTHLY_WAGE_YUAN = Feature(
    "monthly_wage_yuan",
    "在岗成员务工月收入合计",
    "monthly wages of the members at work",
    Unit.YUAN,
    "work",
    member_sum("monthly_wage_yuan", is_in("work_status", "在岗")),
    Direction.LOWERS_RISK,
)
PUBLIC_POST_SHARE = Feature(
    "public_post_share",
    "公益岗位收入占工资性收入比例",
    "share of public posts in wage income",
    Unit.SHARE,
    "work",
    _POST_INCOME / _WAGE.when(_WAGE > 0),
)
POST_END_DAYS = Feature(
    "post_end_days",
    "公益岗位到期剩余天数（预警用）",
    "days until a public post ends, for the model",
    Unit.DAYS,
    "work",
    feature("days_until_post_end"),
    reason=Bilingual("公益岗位{value}天后到期", "a public post ends in {value} days"),
    reason_when=feature("post_end_days") <= 180,
    to_verify=Bilingual("核实是否续聘、退岗后有无其他就业", "Check renewal, and other work after the post"),
    missing=Missing.NOT_APPLICABLE,
)

LABOUR: tuple[Feature, ...] = (
    LABOUR_N,
    LABOUR_SHARE,
    SKILLED_N,
    WEAK_N,
    ALL_NO_LABOUR,
    WORKER_N,
    IDLE_N,
    WORK_MONTHS_12M,
    WORK_MONTHS_DROP,
    JOB_LOSS_180D,
    IS_WORKING_AWAY,
    AWAY_WORK_SHARE,
    MONTHLY_WAGE_YUAN,
    PUBLIC_POST_SHARE,
    POST_END_DAYS,
)
