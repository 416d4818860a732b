"""Land, linkage, insurance, debt and resettlement."""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import household, household_is
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import Bilingual, Direction, Unit

_LARGEST_SHARE = 10.0

ARABLE_MU_PC = Feature(
    "arable_mu_pc",
    "人均耕地面积",
    "arable land per person",
    Unit.MU,
    "livelihood",
    household("arable_mu") / feature("household_size"),
)
ORCHARD_MU = Feature("orchard_mu", "林果面积", "orchard land", Unit.MU, "livelihood", household("orchard_mu"))
ROAD_KM = Feature(
    "road_km", "与村主干路距离", "distance to the village road", Unit.KM, "livelihood", household("road_km")
)
IS_COOP_LINKED = Feature(
    "is_coop_linked",
    "有利益联结",
    "linked to a cooperative, firm or workshop",
    Unit.FLAG,
    "livelihood",
    household_is("coop_linkage", "合作社", "龙头企业", "车间", "其他"),
)
IS_AGRI_INSURED = Feature(
    "is_agri_insured", "农业保险", "farm insurance", Unit.FLAG, "livelihood", household("agri_insured")
)
LOAN_TO_INCOME_SHARE = Feature(
    "loan_to_income_share",
    "小额信贷余额占年收入比例",
    "microcredit over net income of 12 months, at most 10",
    Unit.SHARE,
    "livelihood",
    (household("loan_balance_yuan") / feature("net_income_12m_yuan").at_least(1)).at_most(_LARGEST_SHARE),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "小额信贷余额{loan_owed_yuan}元，占年收入{value}%",
        "microcredit of {loan_owed_yuan} yuan is {value}% of income",
    ),
    reason_when=(feature("loan_to_income_share") >= 0.2) & (feature("loan_to_income_share") < _LARGEST_SHARE),
    to_verify=Bilingual("核实还款能力和展期需求", "Check ability to repay and need of an extension"),
)
LOAN_OVERDUE_DAYS = Feature(
    "loan_overdue_days",
    "小额信贷逾期天数（预警用）",
    "days microcredit is overdue, for the model",
    Unit.DAYS,
    "livelihood",
    feature("credit_overdue_days"),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "小额信贷逾期{value}天，余额{loan_owed_yuan}元",
        "microcredit of {loan_owed_yuan} yuan is {value} days overdue",
    ),
    reason_when=feature("loan_overdue_days") >= 1,
    to_verify=Bilingual("核实还款能力和展期需求", "Check ability to repay and need of an extension"),
)
IS_RELOCATED = Feature(
    "is_relocated",
    "易地搬迁或空心村治理",
    "relocated",
    Unit.FLAG,
    "livelihood",
    household_is("relocation_type", "易地搬迁", "空心村"),
)
SITE_SIZE = Feature(
    "site_size",
    "安置区人口",
    "persons at the resettlement site",
    Unit.PERSONS,
    "livelihood",
    household("site_size"),
    missing=Missing.NOT_APPLICABLE,
)
IS_TITLE_REGISTERED = Feature(
    "is_title_registered",
    "住房产权已登记",
    "title of the house registered",
    Unit.FLAG,
    "livelihood",
    household("title_registered"),
    missing=Missing.NOT_APPLICABLE,
)

LIVELIHOOD: tuple[Feature, ...] = (
    ARABLE_MU_PC,
    ORCHARD_MU,
    ROAD_KM,
    IS_COOP_LINKED,
    IS_AGRI_INSURED,
    LOAN_TO_INCOME_SHARE,
    LOAN_OVERDUE_DAYS,
    IS_RELOCATED,
    SITE_SIZE,
    IS_TITLE_REGISTERED,
)
