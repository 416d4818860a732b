"""Rules on the three guarantees, drinking water, and food and clothing (三保障、饮水安全、两不愁)."""

from __future__ import annotations

from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.rules.spec import Rule, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

GRADE_C = 3


def _by_either(first: Expression, second: Expression) -> Expression:
    """Hit where one of two departments says so; cannot judge only where neither is known."""
    return first.or_else(second) | second.or_else(first)


_UNINSURED_BY_REPORT = feature("uninsured_n") >= 1
_UNINSURED_BY_MEMBER = feature("uninsured_member_n") >= 1

R11 = Rule(
    code="R11",
    zh="未参加基本医保",
    en="without basic medical insurance",
    categories=(RuleCategory.GUARANTEE,),
    condition=_by_either(_UNINSURED_BY_REPORT, _UNINSURED_BY_MEMBER),
    wordings=(
        Wording(
            Bilingual(
                "{uninsured_member_n}名家庭成员未参加基本医保", "{uninsured_member_n} members are not insured"
            ),
            when=_UNINSURED_BY_MEMBER,
        ),
        Wording(
            Bilingual(
                "监测记录中{uninsured_n}名家庭成员未参加基本医保",
                "the monitoring record has {uninsured_n} members not insured",
            ),
            when=_UNINSURED_BY_REPORT & ~_UNINSURED_BY_MEMBER.or_else(0),
        ),
    ),
    articles=("三",),
    to_verify=Bilingual(
        "核实参保状态、异地参保和参保资助", "Check insurance, insurance elsewhere, and premium aid"
    ),
    risk_type="因病",
)

_ABSENT_BY_MEMBER = feature("school_age_absent_n") >= 1
# The report does not say why a child is absent: children known to be excused are taken off it.
_ABSENT_BY_REPORT = feature("dropout_n") - feature("school_age_excused_n").or_else(0) >= 1

R12 = Rule(
    code="R12",
    zh="失学辍学",
    en="out of compulsory school",
    categories=(RuleCategory.GUARANTEE,),
    condition=_by_either(_ABSENT_BY_MEMBER, _ABSENT_BY_REPORT),
    wordings=(
        Wording(
            Bilingual(
                "{school_age_absent_n}名适龄学生不在校，原因待核",
                "{school_age_absent_n} children of school age are out of school, reason to be checked",
            ),
            when=_ABSENT_BY_MEMBER,
        ),
        Wording(
            Bilingual(
                "监测记录中{dropout_n}名学生失学辍学", "the monitoring record has {dropout_n} dropouts"
            ),
            when=_ABSENT_BY_REPORT & ~_ABSENT_BY_MEMBER.or_else(0),
        ),
    ),
    articles=("三",),
    to_verify=Bilingual("核实在校情况和不在校原因", "Check attendance and the reason for absence"),
    risk_type="因学",
)

R13 = Rule(
    code="R13",
    zh="住房安全",
    en="unsafe house",
    categories=(RuleCategory.GUARANTEE,),
    condition=feature("house_grade") >= GRADE_C,
    wordings=(
        Wording(
            Bilingual(
                "住房鉴定为C级，需核实是否仍居住", "the house is graded C; check whether it is lived in"
            ),
            when=~(feature("house_grade") > GRADE_C),
        ),
        Wording(
            Bilingual(
                "住房鉴定为D级，需核实是否仍居住", "the house is graded D; check whether it is lived in"
            ),
            when=feature("house_grade") > GRADE_C,
        ),
    ),
    articles=("三", "九"),
    to_verify=Bilingual("核实是否仍居住、有无其他安全住房", "Check who lives there and any other safe house"),
    risk_type="因安全住房",
)

_IS_UNSAFE_WATER = ~(feature("water_safe") >= 1)
_IS_LONG_OUTAGE = feature("outage_days") >= param("R14.outage_days")

R14 = Rule(
    code="R14",
    zh="饮水安全",
    en="unsafe drinking water",
    categories=(RuleCategory.GUARANTEE,),
    condition=_IS_UNSAFE_WATER | _IS_LONG_OUTAGE,
    wordings=(
        Wording(
            Bilingual("监测记录显示饮水不安全", "the monitoring record says that water is unsafe"),
            when=_IS_UNSAFE_WATER,
        ),
        Wording(
            Bilingual(
                "近60天上报停水{outage_days}天（预警{R14.outage_days}天）",
                "a water outage of {outage_days} days was reported in 60 days (alert at {R14.outage_days})",
            ),
            when=_IS_LONG_OUTAGE,
        ),
    ),
    articles=("三",),
    to_verify=Bilingual("核实水质、水量和供水是否恢复", "Check water quality, amount and supply"),
    risk_type="因安全饮水",
)

R36 = Rule(
    code="R36",
    zh="不愁吃穿未实现",
    en="food or clothing not assured",
    categories=(RuleCategory.GUARANTEE,),
    condition=~(feature("food_clothing_ok") >= 1),
    wordings=(
        Wording(
            Bilingual("监测记录显示吃穿尚有困难", "the monitoring record says food or clothing is short")
        ),
    ),
    articles=("二",),
    to_verify=Bilingual("核实基本生活，必要时先行临时救助", "Check basic needs; give relief first if needed"),
    risk_type="其他",
)

GUARANTEE_RULES: tuple[Rule, ...] = (R11, R12, R13, R14, R36)
