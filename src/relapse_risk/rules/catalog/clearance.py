"""Clearing the risk and looking again afterwards: candidates for the human procedure, which alone decides."""

from __future__ import annotations

from functools import reduce
from operator import and_, or_

from relapse_risk.features.expression import feature, param
from relapse_risk.rules.catalog.guarantees import GUARANTEE_RULES
from relapse_risk.rules.catalog.hardship import HARDSHIP_RULES
from relapse_risk.rules.catalog.income import INCOME_RULES
from relapse_risk.rules.spec import Check, Rule, RuleState, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

_DAYS_PER_MONTH = 365 / 12
_IS_REGISTERED = feature("is_registered") >= 1
_IS_CLEARED = feature("is_cleared") >= 1
_income = feature("net_income_12m_yuan")
_positive_income = _income.when(_income > 0)
_months_left = param("R32.months") - feature("months_since_identified")

CLEARANCE_CHECKS: tuple[Check, ...] = (
    Check(
        "months",
        "识别监测满期",
        "long enough on the register",
        _months_left <= 0,
        Bilingual(
            "已识别监测{months_since_identified}个月（原则上满{R32.months}个月）",
            "{months_since_identified} months on the register (in principle {R32.months})",
        ),
    ),
    Check(
        "income",
        "收入稳定高于监测线",
        "income stable above the line",
        # Stable: 12 months of income, counted at the ends of the last two quarters, against today's line.
        (feature("ref_income_pc_12m") >= param("line"))
        & (feature("ref_income_pc_12m_3m_ago") >= param("line")),
        Bilingual(
            "最近两个季度末人均监测参考收入{ref_income_pc_12m_3m_ago}元、{ref_income_pc_12m}元，"
            "现行监测线{line}元",
            "reference income a person at the ends of the last two quarters {ref_income_pc_12m_3m_ago} and "
            "{ref_income_pc_12m} yuan, today's line {line} yuan",
        ),
    ),
    Check(
        "rigid",
        "大额刚性支出已化解",
        "large rigid spending resolved",
        # Losses that are not known may make it large.
        (feature("rigid_12m_yuan") / _positive_income < param("R05.ratio")) & (feature("loss_12m_yuan") >= 0),
        Bilingual(
            "近12个月刚性支出{rigid_12m_yuan}元，占家庭收入{rigid_12m_yuan/net_income_12m_yuan:share}%"
            "（预警比例{R05.ratio:share}%）",
            "rigid spending of 12 months is {rigid_12m_yuan} yuan, "
            "{rigid_12m_yuan/net_income_12m_yuan:share}% of income (alert at {R05.ratio:share}%)",
        ),
    ),
    Check(
        "own_pay",
        "自付医疗费平稳",
        "medical own-pay steady",
        feature("oop_rise_6m_yuan") / _positive_income <= param("R32.oop_rise_share"),
        Bilingual(
            "近6个月合规自付医疗费较前6个月增加{oop_rise_6m_yuan}元（允许增幅为年收入的"
            "{R32.oop_rise_share}%）",
            "medical own-pay of 6 months rose by {oop_rise_6m_yuan} yuan on the 6 before "
            "({R32.oop_rise_share}% of income is allowed)",
        ),
    ),
    Check(
        "insurance",
        "基本医保有保障",
        "medical insurance secure",
        ~RuleState("R11"),
        Bilingual("基本医保（R11）", "medical insurance (R11)"),
    ),
    Check(
        "schooling",
        "义务教育有保障",
        "schooling secure",
        ~RuleState("R12"),
        Bilingual("义务教育（R12）", "compulsory schooling (R12)"),
    ),
    Check(
        "housing",
        "住房安全有保障",
        "house safe",
        ~RuleState("R13"),
        Bilingual("住房安全（R13）", "safe house (R13)"),
    ),
    Check(
        "water",
        "饮水安全有保障",
        "water safe",
        ~RuleState("R14"),
        Bilingual("饮水安全（R14）", "safe water (R14)"),
    ),
    Check(
        "food_clothing",
        "不愁吃穿",
        "food and clothing assured",
        ~RuleState("R36"),
        Bilingual("不愁吃、不愁穿（R36）", "food and clothing (R36)"),
    ),
    Check(
        "labour",
        "非整户无劳动能力",
        "not a household without any labour",
        ~(feature("all_no_labour") >= 1),
        Bilingual(
            "整户无劳动能力的，落实兜底保障后暂不标注消除",
            "where nobody can work, safeguards are put in place and the risk is not marked as cleared",
        ),
    ),
)

R32 = Rule(
    code="R32",
    zh="可消除核查",
    en="may be looked at for clearance",
    categories=(RuleCategory.PROCESS,),
    applies=_IS_REGISTERED,
    condition=reduce(and_, (check.condition for check in CLEARANCE_CHECKS)),
    wordings=(
        Wording(
            Bilingual(
                "已识别监测{months_since_identified}个月，最近两个季度末人均监测参考收入"
                "{ref_income_pc_12m_3m_ago}元、{ref_income_pc_12m}元，均不低于监测线{line}元，"
                "“三保障”和饮水安全有保障，可按程序核查是否消除",
                "{months_since_identified} months on the register; reference income at the ends of the last "
                "two quarters {ref_income_pc_12m_3m_ago} and {ref_income_pc_12m} yuan a person, not below "
                "the line of {line} yuan; guarantees and water secure: the procedure may look at clearance",
            )
        ),
    ),
    articles=("二",),
    source=Bilingual("枞阳县政府网风险消除口径", "zongyang.gov.cn on clearance"),
    to_verify=Bilingual(
        "逐项核实收入、刚性支出和保障情况，按评议公示程序办理",
        "Check income, rigid spending and guarantees item by item; review and publicity decide",
    ),
    # Counts down to the day from which clearance may be looked at, and stops there.
    days_left=(_months_left * _DAYS_PER_MONTH).at_least(0).when(_IS_REGISTERED),
)

LOOKED_FOR_AGAIN: tuple[Rule, ...] = tuple(
    sorted(
        (rule for rule in (*INCOME_RULES, *HARDSHIP_RULES, *GUARANTEE_RULES) if rule.code <= "R18"),
        key=lambda rule: rule.code,
    )
)
_days_cleared = feature("days_since_clearance").or_else(feature("months_since_cleared") * _DAYS_PER_MONTH)
_days_unseen = (
    feature("days_since_visit")
    .or_else(_days_cleared)
    .at_most(_days_cleared.or_else(feature("days_since_visit")))
)

R33 = Rule(
    code="R33",
    zh="消除后回头看",
    en="risk again after clearance",
    categories=(RuleCategory.UNSTABLE, RuleCategory.MARGINAL, RuleCategory.SEVERE),
    applies=_IS_CLEARED,
    condition=reduce(or_, (RuleState(rule.code) for rule in LOOKED_FOR_AGAIN)),
    wordings=(
        Wording(
            Bilingual(
                "风险已消除{months_since_cleared}个月",
                "the risk was cleared {months_since_cleared} months ago",
            )
        ),
        *(
            Wording(Bilingual(f"再次出现“{rule.zh}”", f'again "{rule.en}"'), when=RuleState(rule.code))
            for rule in LOOKED_FOR_AGAIN
        ),
    ),
    articles=("二",),
    to_verify=Bilingual(
        "核实是否返贫致贫，需要时重新纳入监测", "Check whether to put it on the register again"
    ),
    days_left=(param("R33.review_days") - _days_unseen).when(_IS_CLEARED),
)

CLEARANCE_RULES: tuple[Rule, ...] = (R32, R33)
