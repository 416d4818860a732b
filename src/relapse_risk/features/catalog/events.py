"""What departments reported of late."""

from __future__ import annotations

from relapse_risk.features.expression import feature
from relapse_risk.features.operators import events, events_distinct
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Unit

_LARGEST_SHARE = 10.0

ALERTS_90D = Feature(
    "alerts_90d",
    "近90天部门预警条数",
    "alerts of departments within 90 days",
    Unit.COUNT,
    "shocks",
    events(within_days=90),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "{alert_dept_n_90d}个部门近90天推送预警{value}条",
        "{value} alerts from {alert_dept_n_90d} departments within 90 days",
    ),
    reason_when=feature("alerts_90d") >= 1,
    to_verify=Bilingual("逐条核实部门预警信息", "Check each department's alert"),
)
ALERT_DEPT_N_90D = Feature(
    "alert_dept_n_90d",
    "近90天推送预警的部门数",
    "departments with an alert within 90 days",
    Unit.COUNT,
    "shocks",
    events_distinct("source_dept", within_days=90),
    Direction.RAISES_RISK,
)
DISASTER_LOSS_SHARE = Feature(
    "disaster_loss_share",
    "近12个月灾害损失占年收入比例",
    "disaster loss of 12 months over net income, at most 10",
    Unit.SHARE,
    "shocks",
    (feature("disaster_loss_12m_yuan") / feature("net_income_12m_yuan").at_least(1)).at_most(_LARGEST_SHARE),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近12个月受灾损失约{disaster_loss_12m_yuan}元，占年收入{value}%",
        "disaster losses of 12 months are {disaster_loss_12m_yuan} yuan, {value}% of income",
    ),
    reason_when=(feature("disaster_loss_share") >= 0.05) & (feature("disaster_loss_share") < _LARGEST_SHARE),
    to_verify=Bilingual("核实受灾损失和恢复情况", "Check losses and recovery"),
)
ACCIDENT_12M = Feature(
    "accident_12m",
    "近12个月意外事故次数",
    "accidents within 12 months",
    Unit.COUNT,
    "shocks",
    events("意外", within_days=365),
    Direction.RAISES_RISK,
    reason=Bilingual("近12个月发生意外事故{value}次", "{value} accidents within 12 months"),
    reason_when=feature("accident_12m") >= 1,
    to_verify=Bilingual("核实伤情、赔偿和对收入的影响", "Check injury, compensation and income lost"),
)
NEW_DISABILITY_12M = Feature(
    "new_disability_12m",
    "近12个月新增残疾人次",
    "disabilities recognised within 12 months",
    Unit.COUNT,
    "shocks",
    events("新增残疾", within_days=365),
    Direction.RAISES_RISK,
    reason=Bilingual("近12个月新增残疾{value}人次", "{value} disability recognised within 12 months"),
    reason_when=feature("new_disability_12m") >= 1,
    to_verify=Bilingual("核实照护人和残疾补贴", "Check who cares and the disability allowance"),
)
HOTLINE_180D = Feature(
    "hotline_180d",
    "近半年热线反映次数",
    "hotline calls within 180 days",
    Unit.COUNT,
    "shocks",
    events("热线", within_days=180),
    Direction.RAISES_RISK,
    reason=Bilingual("近半年热线反映{value}次", "{value} hotline calls within half a year"),
    reason_when=feature("hotline_180d") >= 1,
    to_verify=Bilingual("核实热线反映的问题", "Check what was reported to the hotline"),
)
INSURANCE_CLAIM_12M = Feature(
    "insurance_claim_12m",
    "近12个月防贫保理赔次数",
    "claims on anti-poverty insurance within 12 months",
    Unit.COUNT,
    "shocks",
    events("防贫保理赔", within_days=365),
)

EVENTS: tuple[Feature, ...] = (
    ALERTS_90D,
    ALERT_DEPT_N_90D,
    DISASTER_LOSS_SHARE,
    ACCIDENT_12M,
    NEW_DISABILITY_12M,
    HOTLINE_180D,
    INSURANCE_CLAIM_12M,
)
