"""Spending that can't be put off: medicine, schooling, rehabilitation, housing, losses."""

from __future__ import annotations

from relapse_risk.features.catalog.flows import RIGID_SPENDING
from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.features.operators import event_max, event_sum, sum_over
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Unit

_YEAR_DAYS = 365
_LARGEST_SHARE = 10.0
_BILLED = event_sum("amount_yuan", "住院", "门诊", within_days=_YEAR_DAYS)
_CRITICAL_PAID = event_sum("critical_paid_yuan", "住院", "门诊", within_days=_YEAR_DAYS)
_AID_PAID = event_sum("aid_paid_yuan", "住院", "门诊", within_days=_YEAR_DAYS)
_PAID = event_sum("basic_paid_yuan", "住院", "门诊", within_days=_YEAR_DAYS) + _CRITICAL_PAID + _AID_PAID
_CHECK_BILLS = Bilingual(
    "核实医疗票据、报销比例和后续治疗费用", "Check bills, reimbursement and the cost still to come"
)


def _of_income(spending: Expression) -> Expression:
    """Return the share of net income; bounded, so that no income makes it large and not unknown."""
    return (spending / feature("net_income_12m_yuan").at_least(1)).at_most(_LARGEST_SHARE)


OOP_12M_YUAN = Feature(
    "oop_12m_yuan",
    "近12个月合规自付医疗费",
    "compliant medical own-pay of 12 months",
    Unit.YUAN,
    "spending",
    sum_over("oop_compliant_yuan", 12),
    Direction.RAISES_RISK,
)
OOP_TO_INCOME_SHARE = Feature(
    "oop_to_income_share",
    "合规自付医疗费占收入比例",
    "medical own-pay of 12 months over net income, at most 10",
    Unit.SHARE,
    "spending",
    _of_income(feature("oop_12m_yuan")),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近12个月合规自付医疗费{oop_12m_yuan}元，占家庭收入{value}%",
        "medical own-pay of 12 months is {oop_12m_yuan} yuan, {value}% of income",
    ),
    reason_when=(feature("oop_to_income_share") >= 0.1) & (feature("oop_to_income_share") < _LARGEST_SHARE),
    to_verify=_CHECK_BILLS,
)
OOP_TO_DPI_SHARE = Feature(
    "oop_to_dpi_share",
    "近12个月合规自付医疗费与上年全省农村人均可支配收入之比",
    "medical own-pay of 12 months over last year's provincial rural income per head",
    Unit.SHARE,
    "spending",
    feature("oop_12m_yuan") / param("rural_dpi_prev"),
    Direction.RAISES_RISK,
)
OOP_YTD_TO_DPI_SHARE = Feature(
    "oop_ytd_to_dpi_share",
    "本年自付医疗费与上年全省农村人均可支配收入之比",
    "medical own-pay billed this year over last year's provincial rural income per head",
    Unit.SHARE,
    "spending",
    event_sum("oop_yuan", "住院", "门诊", since_year_start=True) / param("rural_dpi_prev"),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "本年自付医疗费已达上年全省农村人均可支配收入的{value}%",
        "medical own-pay this year has reached {value}% of last year's provincial rural income per head",
    ),
    reason_when=feature("oop_ytd_to_dpi_share") >= 0.25,
    to_verify=_CHECK_BILLS,
)
OOP_RISE_6M_YUAN = Feature(
    "oop_rise_6m_yuan",
    "近6个月合规自付较前6个月增加",
    "rise of medical own-pay, 6 months against the 6 before",
    Unit.YUAN,
    "spending",
    sum_over("oop_compliant_yuan", 6) - sum_over("oop_compliant_yuan", 6, ago=6),
    reason=Bilingual(
        "近6个月合规自付医疗费较前6个月增加{value}元",
        "medical own-pay rose by {value} yuan on the 6 months before",
    ),
    reason_when=feature("oop_rise_6m_yuan") >= 2000,
    to_verify=_CHECK_BILLS,
)
MAX_STAY_OOP_YUAN = Feature(
    "max_stay_oop_yuan",
    "近12个月单次住院最高自付",
    "largest own-pay of one hospital stay in 12 months",
    Unit.YUAN,
    "spending",
    event_max("oop_yuan", "住院", within_days=_YEAR_DAYS),
    Direction.RAISES_RISK,
    reason=Bilingual("近12个月单次住院自付{value}元", "one hospital stay cost {value} yuan of own-pay"),
    reason_when=feature("max_stay_oop_yuan") >= 3000,
    to_verify=_CHECK_BILLS,
)
REIMBURSEMENT_SHARE = Feature(
    "reimbursement_share",
    "近12个月医疗费报销比例",
    "share of medical bills of 12 months paid by insurance and aid",
    Unit.SHARE,
    "spending",
    _PAID / _BILLED.when(_BILLED > 0),
)
HAS_CRITICAL_PAYMENT = Feature(
    "has_critical_payment",
    "近12个月有大病保险支付",
    "critical illness insurance paid within 12 months",
    Unit.FLAG,
    "spending",
    _CRITICAL_PAID > 0,
)
HAS_MEDICAL_AID = Feature(
    "has_medical_aid",
    "近12个月有医疗救助支付",
    "medical aid paid within 12 months",
    Unit.FLAG,
    "spending",
    _AID_PAID > 0,
)
CLAIM_OFFSET_SHARE = Feature(
    "claim_offset_share",
    "理赔收入与合规自付之比",
    "insurance claims of 12 months over medical own-pay, at most 10",
    Unit.SHARE,
    "spending",
    (sum_over("claim_income_yuan", 12) / feature("oop_12m_yuan").when(feature("oop_12m_yuan") > 0)).at_most(
        _LARGEST_SHARE
    ),
)
EDUCATION_BURDEN_SHARE = Feature(
    "education_burden_share",
    "教育自付占收入比例",
    "schooling cost of 12 months over net income, at most 10",
    Unit.SHARE,
    "spending",
    _of_income(sum_over("education_cost_yuan", 12)),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近12个月教育自付支出占家庭收入{value}%", "schooling of 12 months cost {value}% of income"
    ),
    reason_when=(feature("education_burden_share") >= 0.15)
    & (feature("education_burden_share") < _LARGEST_SHARE),
    to_verify=Bilingual("核实学费、住宿费和已享受的资助", "Check fees and student aid received"),
)
REHAB_COST_12M_YUAN = Feature(
    "rehab_cost_12m_yuan",
    "近12个月康复自付",
    "rehabilitation cost of 12 months",
    Unit.YUAN,
    "spending",
    sum_over("rehab_cost_yuan", 12),
    Direction.RAISES_RISK,
)
RIGID_12M_YUAN = Feature(
    "rigid_12m_yuan",
    "近12个月刚性支出",
    "rigid spending of 12 months (medicine, schooling, rehabilitation, housing, losses)",
    Unit.YUAN,
    "spending",
    sum_over(RIGID_SPENDING, 12) + feature("loss_12m_yuan").or_else(0),
    Direction.RAISES_RISK,
)
RIGID_TO_INCOME_SHARE = Feature(
    "rigid_to_income_share",
    "刚性支出占收入比例",
    "rigid spending of 12 months over net income, at most 10",
    Unit.SHARE,
    "spending",
    _of_income(feature("rigid_12m_yuan")),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近12个月刚性支出{rigid_12m_yuan}元，占家庭收入{value}%",
        "rigid spending of 12 months is {rigid_12m_yuan} yuan, {value}% of income",
    ),
    reason_when=(feature("rigid_to_income_share") >= 0.2)
    & (feature("rigid_to_income_share") < _LARGEST_SHARE),
    to_verify=Bilingual(
        "核实医疗、教育、康复、住房支出票据", "Check bills of medicine, schooling, care, housing"
    ),
)

SPENDING: tuple[Feature, ...] = (
    OOP_12M_YUAN,
    OOP_TO_INCOME_SHARE,
    OOP_TO_DPI_SHARE,
    OOP_YTD_TO_DPI_SHARE,
    OOP_RISE_6M_YUAN,
    MAX_STAY_OOP_YUAN,
    REIMBURSEMENT_SHARE,
    HAS_CRITICAL_PAYMENT,
    HAS_MEDICAL_AID,
    CLAIM_OFFSET_SHARE,
    EDUCATION_BURDEN_SHARE,
    REHAB_COST_12M_YUAN,
    RIGID_12M_YUAN,
    RIGID_TO_INCOME_SHARE,
)
