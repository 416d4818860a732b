"""Assistance and procedure: they follow the register, so rules and audits read them and no model does."""

from __future__ import annotations

from relapse_risk.features.operators import (
    days_since,
    household_is,
    household_months_since,
    is_in,
    is_missing,
    peer_mean,
    rows,
)
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.vocabulary import MonitorCategory, Role, Unit

MEASURE_N = Feature(
    "measure_n", "帮扶措施数", "measures recorded", Unit.COUNT, "procedure", rows("measure"), role=Role.AUDIT
)
DEVELOPMENT_MEASURE_N = Feature(
    "development_measure_n",
    "开发式帮扶措施数",
    "development measures recorded",
    Unit.COUNT,
    "procedure",
    rows("measure", is_in("measure_class", "发展")),
    role=Role.AUDIT,
)
DAYS_SINCE_VISIT = Feature(
    "days_since_visit",
    "距上次走访天数",
    "days since the last visit",
    Unit.DAYS,
    "procedure",
    days_since("visit", "visited_on", ~is_missing("visited_on")),
    role=Role.RULE,
    missing=Missing.NOT_APPLICABLE,
)
MONTHS_SINCE_IDENTIFIED = Feature(
    "months_since_identified",
    "识别为监测对象后月数",
    "months since put on the register",
    Unit.MONTHS,
    "procedure",
    household_months_since("identified_on"),
    role=Role.RULE,
    missing=Missing.NOT_APPLICABLE,
)
MONTHS_SINCE_CLEARED = Feature(
    "months_since_cleared",
    "风险消除后月数",
    "months since the risk was cleared",
    Unit.MONTHS,
    "procedure",
    household_months_since("cleared_on"),
    role=Role.RULE,
    missing=Missing.NOT_APPLICABLE,
)
PRIOR_MONITOR_SPELLS = Feature(
    "prior_monitor_spells",
    "历次纳入监测次数",
    "times put on the register",
    Unit.COUNT,
    "procedure",
    rows("workflow", is_in("decision", "纳入")),
    role=Role.AUDIT,
)
VILLAGE_MONITOR_RATE = Feature(
    "village_monitor_rate",
    "本村监测户比例",
    "share of the village's households on the register",
    Unit.SHARE,
    "procedure",
    peer_mean(
        household_is(
            "monitor_category",
            MonitorCategory.UNSTABLE_LIFTED,
            MonitorCategory.MARGINAL,
            MonitorCategory.SEVERE_SUDDEN,
        ),
        "village_code",
    ),
    role=Role.AUDIT,
)

PROCESS: tuple[Feature, ...] = (
    MEASURE_N,
    DEVELOPMENT_MEASURE_N,
    DAYS_SINCE_VISIT,
    MONTHS_SINCE_IDENTIFIED,
    MONTHS_SINCE_CLEARED,
    PRIOR_MONITOR_SPELLS,
    VILLAGE_MONITOR_RATE,
)
