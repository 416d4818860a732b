"""Rules on income: the line, sharp falls, work, posts, business, and the band above the line."""

from __future__ import annotations

from relapse_risk.features.expression import feature, param
from relapse_risk.rules.spec import Rule, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

_reference_income = feature("ref_income_pc_12m")
_IS_LIFTED = feature("is_lifted") >= 1
_BELOW_LINE = Wording(
    Bilingual(
        "近12个月人均监测参考收入{ref_income_pc_12m}元，低于监测线{line}元，差{line-ref_income_pc_12m}元",
        "reference income of 12 months is {ref_income_pc_12m} yuan a person, below the line of {line} yuan "
        "by {line-ref_income_pc_12m} yuan",
    )
)
_CHECK_INCOME = Bilingual(
    "核实近12个月各项收入、理赔和合规自付支出，有无漏报或重复",
    "Check income, claims and own-pay spending of the last 12 months for gaps and double entries",
)
_HEBEI = Bilingual("《河北日报》2022-04-24", "Hebei Daily, 2022-04-24")

R01 = Rule(
    code="R01",
    zh="脱贫户收入低于监测线",
    en="lifted household below the line",
    categories=(RuleCategory.UNSTABLE,),
    applies=_IS_LIFTED,
    condition=_reference_income < param("line"),
    wordings=(_BELOW_LINE,),
    articles=("二",),
    source=_HEBEI,
    to_verify=_CHECK_INCOME,
    risk_type="其他",
)

R02 = Rule(
    code="R02",
    zh="一般户收入低于监测线",
    en="ordinary household below the line",
    categories=(RuleCategory.MARGINAL,),
    applies=~_IS_LIFTED,
    condition=_reference_income < param("line"),
    wordings=(_BELOW_LINE,),
    articles=("二",),
    source=_HEBEI,
    to_verify=_CHECK_INCOME,
    risk_type="其他",
)

R03 = Rule(
    code="R03",
    zh="收入大幅缩减",
    en="sharp fall of income",
    categories=(RuleCategory.SEVERE,),
    condition=(_reference_income >= param("line"))
    & (feature("income_yoy_change_share") <= -1 * param("R03.fall_share")),
    wordings=(
        Wording(
            Bilingual(
                "近12个月人均收入较上年同期下降{-income_yoy_change_share}%"
                "（{ref_income_pc_prior_12m}元→{ref_income_pc_12m}元，预警降幅{R03.fall_share}%）",
                "income per person fell by {-income_yoy_change_share}% on the year before "
                "({ref_income_pc_prior_12m} to {ref_income_pc_12m} yuan; alert at {R03.fall_share}%)",
            )
        ),
    ),
    articles=("二", "十"),
    to_verify=Bilingual("核实收入减少的原因和是否持续", "Check why income fell and whether it will stay low"),
    risk_type="其他",
)

R06 = Rule(
    code="R06",
    zh="扣自付后低于监测线",
    en="below the line after own-pay",
    categories=(RuleCategory.SEVERE,),
    condition=(feature("net_income_pc_12m") >= param("line")) & (_reference_income < param("line")),
    wordings=(
        Wording(
            Bilingual(
                "人均纯收入{net_income_pc_12m}元，扣除合规自付支出、计入理赔后为{ref_income_pc_12m}元，"
                "低于监测线{line}元",
                "net income of {net_income_pc_12m} yuan a person comes to {ref_income_pc_12m} yuan after "
                "own-pay and claims, below the line of {line} yuan",
            )
        ),
    ),
    articles=("二",),
    source=Bilingual("大姚县政府网 2024-11-11", "dayao.gov.cn, 2024-11-11"),
    to_verify=Bilingual(
        "核实合规自付支出票据、报销和理赔是否到位", "Check own-pay bills, reimbursements and claims"
    ),
    risk_type="因病",
)

R18 = Rule(
    code="R18",
    zh="务工不稳",
    en="unstable work",
    categories=(RuleCategory.WATCH,),
    condition=((feature("main_earner_is_idle") >= 1) & (feature("idle_days") >= param("R18.idle_days")))
    | (feature("fewer_work_months") >= param("R18.fewer_months")),
    wordings=(
        Wording(
            Bilingual(
                "主要务工人员已离岗{idle_days}天", "the main earner has been out of work for {idle_days} days"
            ),
            when=(feature("main_earner_is_idle") >= 1) & (feature("idle_days") >= param("R18.idle_days")),
        ),
        Wording(
            Bilingual(
                "近12个月务工较上年减少{fewer_work_months}个月",
                "{fewer_work_months} months of work fewer than the year before",
            ),
            when=feature("fewer_work_months") >= param("R18.fewer_months"),
        ),
    ),
    articles=("二", "七"),
    to_verify=Bilingual("核实务工状态、务工意愿和求职需求", "Check work, willingness and need of a job"),
    risk_type="因务工就业不稳",
)

_income = feature("net_income_12m_yuan")
_post_share = feature("public_post_income_12m_yuan") / _income.when(_income > 0)

R19 = Rule(
    code="R19",
    zh="公益岗位将到期",
    en="public post about to end",
    categories=(RuleCategory.WATCH,),
    condition=(feature("post_end_n") >= 1)
    & (feature("days_until_post_end") <= param("R19.notice_days"))
    & (_post_share >= param("R19.income_share")),
    wordings=(
        Wording(
            Bilingual(
                "公益岗位{days_until_post_end}天后到期，占家庭收入"
                "{public_post_income_12m_yuan/net_income_12m_yuan:share}%",
                "the public post ends in {days_until_post_end} days; it gives "
                "{public_post_income_12m_yuan/net_income_12m_yuan:share}% of income",
            )
        ),
    ),
    articles=("七",),
    to_verify=Bilingual("核实是否续聘、退岗后有无其他就业", "Check renewal, and other work after the post"),
    risk_type="因务工就业不稳",
    days_left=feature("days_until_post_end"),
)

R25 = Rule(
    code="R25",
    zh="低保渐退期将满",
    en="allowance about to be phased out",
    categories=(RuleCategory.WATCH,),
    condition=(feature("allowance_end_n") >= 1)
    & (feature("days_until_allowance_end") <= param("R25.notice_days"))
    & (_reference_income / param("line") < param("R25.ratio")),
    wordings=(
        Wording(
            Bilingual(
                "低保渐退期{days_until_allowance_end}天后届满，人均监测参考收入{ref_income_pc_12m}元，"
                "为监测线的{ref_income_pc_12m/line:share}%",
                "the allowance ends in {days_until_allowance_end} days; reference income is "
                "{ref_income_pc_12m} yuan a person, {ref_income_pc_12m/line:share}% of the line",
            )
        ),
    ),
    articles=("十一",),
    to_verify=Bilingual("核实退出低保后的收入来源", "Check what income is left after the allowance"),
    risk_type="其他",
    days_left=feature("days_until_allowance_end"),
)

_business_net = feature("business_net_12m_yuan")
_business_prior = feature("business_net_prior_12m_yuan")
_business_fell = (_business_prior > 0) & (
    (_business_prior - _business_net) / _business_prior >= param("R26.fall_share")
)

R26 = Rule(
    code="R26",
    zh="产业经营失败",
    en="business failing",
    categories=(RuleCategory.WATCH,),
    condition=(_business_net < 0) | _business_fell,
    wordings=(
        Wording(
            Bilingual(
                "近12个月经营净收入{business_net_12m_yuan}元，入不敷出",
                "net business income of 12 months is {business_net_12m_yuan} yuan, a loss",
            ),
            when=_business_net < 0,
        ),
        Wording(
            Bilingual(
                "经营净收入由上年{business_net_prior_12m_yuan}元降至{business_net_12m_yuan}元",
                "net business income fell from {business_net_prior_12m_yuan} to {business_net_12m_yuan} yuan",
            ),
            when=(_business_net >= 0) & _business_fell,
        ),
    ),
    articles=("二", "六"),
    to_verify=Bilingual("核实经营状况、亏损原因和保险理赔", "Check the business, why it lost, and insurance"),
    risk_type="因产业项目失败",
)

R27 = Rule(
    code="R27",
    zh="收入处于临界带",
    en="income just above the line",
    categories=(RuleCategory.WATCH,),
    condition=(_reference_income >= param("line")) & (_reference_income / param("line") < param("R27.ratio")),
    wordings=(
        Wording(
            Bilingual(
                "人均监测参考收入{ref_income_pc_12m}元，仅高于监测线{line}元{ref_income_pc_12m-line}元，"
                "处于临界范围",
                "reference income is {ref_income_pc_12m} yuan a person, only {ref_income_pc_12m-line} yuan "
                "above the line of {line} yuan",
            )
        ),
    ),
    articles=("二",),
    to_verify=_CHECK_INCOME,
    risk_type="其他",
)

INCOME_RULES: tuple[Rule, ...] = (R01, R02, R03, R06, R18, R19, R25, R26, R27)
