"""Contradictions of the record: the checks that county offices run over their exports, each by its name.

A check that lacks data is not passed. Two of them, no measure and nothing but a safety net, are limits of
procedure too (R29, R30), which count from the county's decision; here they are counted from the register.
"""

from __future__ import annotations

from functools import reduce
from operator import or_

from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.rules.spec import Check, Rule, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

_IS_REGISTERED = feature("is_registered") >= 1
_IS_CLEARED = feature("is_cleared") >= 1
_months_on_register = feature("months_since_identified") - feature("months_since_cleared")
_CHECKED_MONTHS = 6  # clearances of the last two quarters; older ones are not looked at again
_HAS_MEASURE = feature("measure_started_n") >= 1


def _of_registered(key: str, zh: str, en: str, condition: Expression, text: Bilingual) -> Check:
    return Check(key, zh, en, _IS_REGISTERED & condition, text)


def _does_not_fit(key: str, zh: str, en: str, risk: str, measures: str, wanted: Bilingual) -> Check:
    """Measures are under way, and none of them is of the kind the recorded risk asks for."""
    is_unanswered = (feature(risk) >= 1) & _HAS_MEASURE & (feature(measures) < 1)
    text = Bilingual(
        f"已落实{{measure_started_n}}项措施，无{wanted.zh}", f"{{measure_started_n}} measures, no {wanted.en}"
    )
    return _of_registered(key, zh, en, is_unanswered, text)


RECORD_CHECKS: tuple[Check, ...] = (
    Check(
        "cleared_early",
        "消除早于规定时间",
        "cleared too early",
        _IS_CLEARED & (_months_on_register < param("R32.months")),
        Bilingual(
            "识别后{months_since_identified-months_since_cleared}个月即消除（原则上满{R32.months}个月）",
            "cleared {months_since_identified-months_since_cleared} months after identification "
            "(in principle {R32.months})",
        ),
    ),
    Check(
        "cleared_below_line",
        "消除时收入低于监测线",
        "below the line when cleared",
        _IS_CLEARED
        & (feature("months_since_cleared") <= _CHECKED_MONTHS)
        & (feature("income_to_line_at_clearance") < 1),
        Bilingual(
            "消除时近12个月人均监测参考收入为监测线的{income_to_line_at_clearance:share}%",
            "reference income of 12 months was {income_to_line_at_clearance:share}% of the line when cleared",
        ),
    ),
    _of_registered(
        "no_measure",
        "识别后无帮扶措施",
        "no measure since identification",
        ~_HAS_MEASURE & (feature("months_since_identified") > param("R35.measure_months")),
        Bilingual(
            "识别{months_since_identified}个月无帮扶措施", "no measure in {months_since_identified} months"
        ),
    ),
    _of_registered(
        "safety_net_only",
        "有劳动力仅有综合保障",
        "able to work, safety net only",
        (feature("able_labour_n") >= 1)
        & (feature("active_safety_net_measure_n") >= 1)
        & (feature("active_other_measure_n") < 1),
        Bilingual(
            "有{able_labour_n}名劳动力，在实施的仅有综合保障",
            "{able_labour_n} members can work, and all measures are safety net",
        ),
    ),
    _of_registered(
        "ill_without_cost",
        "因病无自付",
        "illness without own-pay",
        (feature("is_risk_ill") >= 1) & (feature("oop_12m_yuan") <= 0),
        Bilingual("风险含因病，近12个月合规自付为0", "illness is a recorded risk, own-pay of 12 months is 0"),
    ),
    _of_registered(
        "ill_without_patient",
        "因病无患者",
        "illness without a patient",
        (feature("is_risk_ill") >= 1) & (feature("major_ill_n") + feature("chronic_n") < 1),
        Bilingual("风险含因病，成员中无大病、慢性病患者", "illness is a recorded risk, and no member is ill"),
    ),
    _of_registered(
        "labour_not_lacking",
        "缺劳动力不符",
        "labour is not lacking",
        (feature("is_risk_labour") >= 1) & (feature("labour_share") >= param("R35.able_share")),
        Bilingual(
            "风险为缺劳动力，劳动力占{labour_share}%（核查比例{R35.able_share}%）",
            "lack of labour is a recorded risk, and {labour_share}% of the members can work "
            "(check at {R35.able_share}%)",
        ),
    ),
    _does_not_fit(
        "ill_measures",
        "因病措施不符",
        "measures do not fit illness",
        "is_risk_ill",
        "health_measure_n",
        Bilingual("健康或社会帮扶", "health or social measure"),
    ),
    _does_not_fit(
        "disabled_measures",
        "因残措施不符",
        "measures do not fit disability",
        "is_risk_disabled",
        "care_measure_n",
        Bilingual("综合保障或社会帮扶", "safety-net or social measure"),
    ),
    _does_not_fit(
        "school_measures",
        "因学措施不符",
        "measures do not fit schooling",
        "is_risk_school",
        "school_measure_n",
        Bilingual("教育或社会帮扶", "schooling or social measure"),
    ),
    _does_not_fit(
        "house_measures",
        "住房措施不符",
        "measures do not fit housing",
        "is_risk_house",
        "house_measure_n",
        Bilingual("住房保障或搬迁后扶", "housing or relocation measure"),
    ),
    _does_not_fit(
        "water_measures",
        "饮水措施不符",
        "measures do not fit water",
        "is_risk_water",
        "water_measure_n",
        Bilingual("饮水保障", "water measure"),
    ),
)


def _said(check: Check) -> Wording:
    text = Bilingual(f"{check.zh}：{check.text.zh}", f"{check.en}: {check.text.en}")
    return Wording(text, when=check.condition)


R35 = Rule(
    code="R35",
    zh="数据矛盾",
    en="record contradicts itself",
    categories=(RuleCategory.DATA,),
    condition=reduce(or_, (check.condition for check in RECORD_CHECKS)),
    wordings=tuple(_said(check) for check in RECORD_CHECKS),
    articles=("十",),
    source=Bilingual("系统数据核查口径", "checks of system exports"),
    to_verify=Bilingual("核对系统记录并更正", "Compare with the system's record and correct it"),
)

RECORD_RULES: tuple[Rule, ...] = (R35,)
