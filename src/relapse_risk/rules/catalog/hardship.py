"""Rules on rigid spending, illness, debt and sudden events."""

from __future__ import annotations

from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.rules.spec import Rule, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

_income = feature("net_income_12m_yuan")
_prior_income = feature("net_income_prior_12m_yuan")
_rigid = feature("rigid_12m_yuan")
# Never true, and not known where losses are not: what is too little without them may not be with them.
_MAY_HAVE_LOSSES = feature("loss_12m_yuan") < 0
_member_oop = feature("member_oop_ytd_max_yuan")
_CHECK_BILLS = Bilingual(
    "核实支出票据、报销比例和后续治疗费用", "Check bills, reimbursement and the cost still to come"
)
_YANGYUAN = Bilingual("阳原县做法，《河北日报》2022-09-26", "as in Yangyuan county, Hebei Daily, 2022-09-26")
_IS_ALERTED_EARLY = (feature("is_lifted") >= 1) | (feature("is_registered") >= 1)

R04 = Rule(
    code="R04",
    zh="刚性支出超上年收入",
    en="rigid spending above last year's income",
    categories=(RuleCategory.SEVERE,),
    # A ratio to an income that is not positive says nothing.
    condition=(_rigid / _prior_income.when(_prior_income > 0) >= param("R04.ratio")) | _MAY_HAVE_LOSSES,
    wordings=(
        Wording(
            Bilingual(
                "近12个月刚性支出{rigid_12m_yuan}元，达到上年收入{net_income_prior_12m_yuan}元的"
                "{rigid_12m_yuan/net_income_prior_12m_yuan:share}%",
                "rigid spending of 12 months is {rigid_12m_yuan} yuan, "
                "{rigid_12m_yuan/net_income_prior_12m_yuan:share}% of last year's income of "
                "{net_income_prior_12m_yuan} yuan",
            )
        ),
    ),
    articles=("二",),
    source=Bilingual("国开发〔2020〕6号", "national guidance 2020 No. 6"),
    to_verify=_CHECK_BILLS,
    risk_type="因病",
)

R05 = Rule(
    code="R05",
    zh="刚性支出占比高",
    en="rigid spending a large share of income",
    categories=(RuleCategory.SEVERE,),
    condition=(_rigid / _income.when(_income > 0) >= param("R05.ratio")) | _MAY_HAVE_LOSSES,
    wordings=(
        Wording(
            Bilingual(
                "近12个月刚性支出{rigid_12m_yuan}元，占家庭收入{rigid_12m_yuan/net_income_12m_yuan:share}%"
                "（预警比例{R05.ratio:share}%）",
                "rigid spending of 12 months is {rigid_12m_yuan} yuan, "
                "{rigid_12m_yuan/net_income_12m_yuan:share}% of income (alert at {R05.ratio:share}%)",
            )
        ),
    ),
    articles=("十一",),
    source=Bilingual("民发〔2024〕57号各地预警比例", "local alert ratios under civil affairs 2024 No. 57"),
    to_verify=_CHECK_BILLS,
    risk_type="因病",
)

R07 = Rule(
    code="R07",
    zh="因病预警（脱贫户或监测户）",
    en="medical alert (lifted or registered)",
    categories=(RuleCategory.UNSTABLE, RuleCategory.SEVERE),
    applies=_IS_ALERTED_EARLY,
    condition=_member_oop / param("rural_dpi_prev") > param("R07.ratio"),
    wordings=(
        Wording(
            Bilingual(
                "一名成员本年自付医疗费{member_oop_ytd_max_yuan}元，达上年全省农村人均可支配收入的"
                "{member_oop_ytd_max_yuan/rural_dpi_prev:share}%（预警比例{R07.ratio:share}%）",
                "one member's medical own-pay this year is {member_oop_ytd_max_yuan} yuan, "
                "{member_oop_ytd_max_yuan/rural_dpi_prev:share}% of last year's rural income per head "
                "(alert at {R07.ratio:share}%)",
            )
        ),
    ),
    articles=("二", "十二"),
    source=_YANGYUAN,
    to_verify=_CHECK_BILLS,
    risk_type="因病",
)

R08 = Rule(
    code="R08",
    zh="因病预警（一般户）",
    en="medical alert (ordinary household)",
    categories=(RuleCategory.MARGINAL, RuleCategory.SEVERE),
    applies=~_IS_ALERTED_EARLY,
    condition=_member_oop / param("rural_dpi_prev") > param("R08.ratio"),
    wordings=(
        Wording(
            Bilingual(
                "一名成员本年自付医疗费{member_oop_ytd_max_yuan}元，达上年全省农村人均可支配收入的"
                "{member_oop_ytd_max_yuan/rural_dpi_prev:share}%（预警比例{R08.ratio:share}%）",
                "one member's medical own-pay this year is {member_oop_ytd_max_yuan} yuan, "
                "{member_oop_ytd_max_yuan/rural_dpi_prev:share}% of last year's rural income per head "
                "(alert at {R08.ratio:share}%)",
            )
        ),
    ),
    articles=("二", "十二"),
    source=_YANGYUAN,
    to_verify=_CHECK_BILLS,
    risk_type="因病",
)

_stay = feature("max_stay_oop_yuan")
_IS_REGISTERED = feature("is_registered") >= 1

R09 = Rule(
    code="R09",
    zh="单次住院高自付",
    en="high own-pay of one hospital stay",
    categories=(RuleCategory.WATCH,),
    condition=(_IS_REGISTERED & (_stay > param("R09.registered_yuan")))
    | (~_IS_REGISTERED & (_stay > param("R09.other_yuan"))),
    wordings=(
        Wording(
            Bilingual(
                "近12个月单次住院自付{max_stay_oop_yuan}元（监测户预警{R09.registered_yuan}元）",
                "one hospital stay of 12 months cost {max_stay_oop_yuan} yuan of own-pay "
                "(alert for registered households at {R09.registered_yuan} yuan)",
            ),
            when=_IS_REGISTERED,
        ),
        Wording(
            Bilingual(
                "近12个月单次住院自付{max_stay_oop_yuan}元（预警{R09.other_yuan}元）",
                "one hospital stay of 12 months cost {max_stay_oop_yuan} yuan of own-pay "
                "(alert at {R09.other_yuan} yuan)",
            ),
            when=~_IS_REGISTERED,
        ),
    ),
    articles=("九", "十二"),
    source=Bilingual("某县部门预警口径", "an unnamed county's alert"),
    to_verify=_CHECK_BILLS,
    risk_type="因病",
    is_optional=True,
)

R10 = Rule(
    code="R10",
    zh="大病新确诊",
    en="major illness newly diagnosed",
    categories=(RuleCategory.WATCH,),
    condition=(feature("major_diagnosis_n") >= 1)
    & (feature("days_since_major_diagnosis") <= param("R10.recent_days")),
    wordings=(
        Wording(
            Bilingual(
                "{days_since_major_diagnosis}天前有成员确诊大病",
                "a member was diagnosed with a major illness {days_since_major_diagnosis} days ago",
            )
        ),
    ),
    articles=("九",),
    to_verify=Bilingual(
        "核实治疗方案、专项救治和预计费用", "Check treatment, the special scheme and its cost"
    ),
    risk_type="因病",
)

_positive_income = _income.when(_income > 0)


def _is_great_loss(loss: Expression, unvalued: Expression, limit: Expression) -> Expression:
    """Tell whether losses reach a share of income; empty amounts leave it open unless the others do."""
    is_great = (loss > 0) & (loss / _positive_income >= limit)
    is_no_loss = (loss <= 0) & (unvalued < 1)
    return is_great | (~is_no_loss & (loss.when(unvalued < 1) / _positive_income >= limit))


_disaster_loss = feature("disaster_loss_12m_yuan")
_IS_GREAT_DISASTER = _is_great_loss(_disaster_loss, feature("disaster_unvalued_n"), param("R15.loss_share"))

R15 = Rule(
    code="R15",
    zh="因灾受损",
    en="loss by disaster",
    categories=(RuleCategory.SEVERE,),
    condition=(feature("disaster_n") >= 1) & (_IS_GREAT_DISASTER | (feature("disaster_house_damage_n") >= 1)),
    wordings=(
        Wording(
            Bilingual(
                "近12个月受灾损失{disaster_loss_12m_yuan}元，占年收入"
                "{disaster_loss_12m_yuan/net_income_12m_yuan:share}%",
                "disaster losses of 12 months are {disaster_loss_12m_yuan} yuan, "
                "{disaster_loss_12m_yuan/net_income_12m_yuan:share}% of income",
            ),
            when=_IS_GREAT_DISASTER,
        ),
        Wording(
            Bilingual("近12个月因灾房屋受损", "the house was damaged by a disaster within 12 months"),
            when=feature("disaster_house_damage_n") >= 1,
        ),
    ),
    articles=("二",),
    to_verify=Bilingual("核实受灾损失、住房安全和恢复情况", "Check losses, the house and recovery"),
    risk_type="因自然灾害",
)

_accident_loss = feature("accident_loss_12m_yuan")
_IS_GREAT_ACCIDENT = _is_great_loss(_accident_loss, feature("accident_unvalued_n"), param("R16.loss_share"))
_IS_EARNER_HURT = feature("accident_earner_n") >= 1

R16 = Rule(
    code="R16",
    zh="因意外受损",
    en="loss by accident",
    categories=(RuleCategory.SEVERE,),
    condition=(feature("accident_12m") >= 1) & (_IS_EARNER_HURT | _IS_GREAT_ACCIDENT),
    wordings=(
        Wording(
            Bilingual(
                "近12个月意外事故致劳动力伤亡{accident_earner_n}人次",
                "accidents of 12 months killed or injured an earner, {accident_earner_n} in all",
            ),
            when=_IS_EARNER_HURT,
        ),
        Wording(
            Bilingual(
                "近12个月意外损失{accident_loss_12m_yuan}元，占年收入"
                "{accident_loss_12m_yuan/net_income_12m_yuan:share}%",
                "accident losses of 12 months are {accident_loss_12m_yuan} yuan, "
                "{accident_loss_12m_yuan/net_income_12m_yuan:share}% of income",
            ),
            when=_IS_GREAT_ACCIDENT,
        ),
    ),
    articles=("二",),
    to_verify=Bilingual(
        "核实伤情、赔偿、后续治疗和对收入的影响", "Check injury, compensation, treatment and income lost"
    ),
    risk_type="因意外事故",
)

R17 = Rule(
    code="R17",
    zh="因疫减收",
    en="income lost to an epidemic",
    categories=(RuleCategory.SEVERE,),
    condition=(feature("epidemic_n") >= 1)
    & (feature("income_yoy_change_share") <= -1 * param("R17.fall_share")),
    wordings=(
        Wording(
            Bilingual(
                "近12个月受疫情影响，收入较上年同期下降{-income_yoy_change_share}%",
                "hit by an epidemic within 12 months; income fell by {-income_yoy_change_share}%",
            )
        ),
    ),
    articles=("二",),
    to_verify=Bilingual("核实疫情影响和收入恢复情况", "Check the epidemic's effect and recovery"),
    risk_type="因疫",
)

_IS_OVERDUE = feature("credit_overdue_days") > param("R23.overdue_days")
_IS_INDEBTED = (feature("loan_owed_yuan") > 0) & (
    feature("loan_owed_yuan") / _positive_income > param("R23.debt_share")
)

R23 = Rule(
    code="R23",
    zh="信贷逾期或负债高",
    en="credit overdue or debt high",
    categories=(RuleCategory.WATCH,),
    condition=_IS_OVERDUE | _IS_INDEBTED,
    wordings=(
        Wording(
            Bilingual(
                "小额信贷逾期{credit_overdue_days}天，余额{loan_owed_yuan}元",
                "microcredit is overdue by {credit_overdue_days} days, {loan_owed_yuan} yuan owed",
            ),
            when=_IS_OVERDUE,
        ),
        Wording(
            Bilingual(
                "小额信贷余额{loan_owed_yuan}元，占年收入{loan_owed_yuan/net_income_12m_yuan:share}%",
                "microcredit of {loan_owed_yuan} yuan is owed, "
                "{loan_owed_yuan/net_income_12m_yuan:share}% of income",
            ),
            when=_IS_INDEBTED,
        ),
    ),
    articles=("十八",),
    to_verify=Bilingual("核实还款能力和展期需求", "Check ability to repay and need of an extension"),
    risk_type="因产业项目失败",
)

R24 = Rule(
    code="R24",
    zh="因学支出大",
    en="high schooling cost",
    categories=(RuleCategory.WATCH,),
    condition=feature("noncompulsory_education_12m_yuan") >= param("R24.cost_yuan"),
    wordings=(
        Wording(
            Bilingual(
                "近12个月非义务教育自付{noncompulsory_education_12m_yuan}元（预警{R24.cost_yuan}元）",
                "schooling beyond compulsory cost {noncompulsory_education_12m_yuan} yuan in 12 months "
                "(alert at {R24.cost_yuan} yuan)",
            )
        ),
    ),
    articles=("九",),
    to_verify=Bilingual("核实学费、住宿费和已享受的资助", "Check fees and student aid received"),
    risk_type="因学",
)

HARDSHIP_RULES: tuple[Rule, ...] = (R04, R05, R07, R08, R09, R10, R15, R16, R17, R23, R24)
