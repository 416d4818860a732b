"""Rules on people: grave illness and disability, no labour, special groups."""

from __future__ import annotations

from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.rules.spec import Rule, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

_is_disabled_uncovered = feature("severe_disabled_uncovered_n") >= 1
_is_ill_uncovered = feature("major_ill_uncovered_n") >= 1

R20 = Rule(
    code="R20",
    zh="重残重病未保",
    en="severe disability or grave illness without allowance",
    categories=(RuleCategory.WATCH,),
    condition=(_is_disabled_uncovered | _is_ill_uncovered)
    & (feature("net_income_pc_12m") / param("dibao_standard") < param("R20.ratio")),
    wordings=(
        Wording(
            Bilingual(
                "{severe_disabled_uncovered_n}名一、二级残疾人未享受低保、特困",
                "{severe_disabled_uncovered_n} severely disabled members have no allowance",
            ),
            when=_is_disabled_uncovered,
        ),
        Wording(
            Bilingual(
                "{major_ill_uncovered_n}名大病患者未享受低保、特困",
                "{major_ill_uncovered_n} gravely ill members have no allowance",
            ),
            when=_is_ill_uncovered,
        ),
        Wording(
            Bilingual(
                "人均纯收入{net_income_pc_12m}元，低于低保标准{dibao_standard}元的{R20.ratio}倍，可核查单人保",
                "net income of {net_income_pc_12m} yuan a person is below {R20.ratio} times the standard of "
                "{dibao_standard} yuan",
            )
        ),
    ),
    articles=("十一",),
    to_verify=Bilingual(
        "核实残疾、病情和单人保条件", "Check disability, illness and the single-person allowance"
    ),
    risk_type="因残",
)

R21 = Rule(
    code="R21",
    zh="无劳动能力未兜底",
    en="no labour capacity and no safety net",
    categories=(RuleCategory.UNSTABLE, RuleCategory.MARGINAL),
    condition=(feature("all_no_labour") >= 1) & ~(feature("has_dibao_or_tekun") >= 1),
    wordings=(
        Wording(
            Bilingual(
                "整户无劳动能力，尚未纳入低保或特困供养",
                "nobody can work, and nobody has the allowance or destitute support",
            )
        ),
    ),
    articles=("十四",),
    to_verify=Bilingual("核实劳动能力和低保、特困条件", "Check labour capacity and eligibility for support"),
    risk_type="缺劳动力",
)

_IS_OLD_AND_ALONE = (feature("elder_alone_n") >= 1) & (
    feature("elder_alone_max_age") >= param("R22.elder_age")
)

R22 = Rule(
    code="R22",
    zh="特殊群体",
    en="special group",
    categories=(RuleCategory.WATCH,),
    condition=(feature("adl_dependent_n") >= 1) | (feature("orphan_n") >= 1) | _IS_OLD_AND_ALONE,
    wordings=(
        Wording(
            Bilingual(
                "{adl_dependent_n}人生活不能自理", "{adl_dependent_n} members can't care for themselves"
            ),
            when=feature("adl_dependent_n") >= 1,
        ),
        Wording(
            Bilingual("{orphan_n}名孤儿或事实无人抚养儿童", "{orphan_n} orphans or children nobody raises"),
            when=feature("orphan_n") >= 1,
        ),
        Wording(
            Bilingual("独居老人{elder_alone_max_age}岁", "an elder of {elder_alone_max_age} lives alone"),
            when=_IS_OLD_AND_ALONE,
        ),
    ),
    articles=("二", "十一", "十三"),
    to_verify=Bilingual("核实照料、监护和访视安排", "Check care, guardianship and home visits"),
    risk_type="缺劳动力",
)

_IS_ENTITLED = (feature("is_registered") >= 1) | (feature("is_allowance_household") >= 1)


def _lacks_benefit(everybody: str, with_allowance: str) -> Expression:
    """Tell whether an entitled household, or a member with an allowance of its own, goes without."""
    return (_IS_ENTITLED & (feature(everybody) >= 1)) | (feature(with_allowance) >= 1)


_LACKS_PREMIUM = _lacks_benefit("premium_unsubsidised_n", "premium_unsubsidised_allowance_n")
_LACKS_PENSION = _lacks_benefit("pension_unpaid_n", "pension_unpaid_allowance_n")

R34 = Rule(
    code="R34",
    zh="应享未享",
    en="benefit not received",
    categories=(RuleCategory.PROCESS,),
    condition=_LACKS_PREMIUM | _LACKS_PENSION,
    wordings=(
        Wording(
            Bilingual(
                "参保资助：{premium_unsubsidised_n}名成员应享未享",
                "premium subsidy: {premium_unsubsidised_n} members entitled to it are without it",
            ),
            when=_LACKS_PREMIUM & _IS_ENTITLED,
        ),
        Wording(
            Bilingual(
                "参保资助：{premium_unsubsidised_allowance_n}名低保、特困成员应享未享",
                "premium subsidy: {premium_unsubsidised_allowance_n} members with an allowance lack it",
            ),
            when=_LACKS_PREMIUM & ~_IS_ENTITLED,
        ),
        Wording(
            Bilingual(
                "养老保险代缴：{pension_unpaid_n}名成员应享未享",
                "pension premium: {pension_unpaid_n} members entitled to have it paid are without it",
            ),
            when=_LACKS_PENSION & _IS_ENTITLED,
        ),
        Wording(
            Bilingual(
                "养老保险代缴：{pension_unpaid_allowance_n}名低保、特困成员应享未享",
                "pension premium: {pension_unpaid_allowance_n} members with an allowance lack it",
            ),
            when=_LACKS_PENSION & ~_IS_ENTITLED,
        ),
    ),
    articles=("三", "十二", "十三"),
    to_verify=Bilingual(
        "核实参保资助、养老保险代缴未到位的原因并办理", "Check why the benefit is missing, and arrange it"
    ),
)

PEOPLE_RULES: tuple[Rule, ...] = (R20, R21, R22, R34)
