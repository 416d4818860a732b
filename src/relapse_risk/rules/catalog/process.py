"""Rules on procedure, each with its limit: cases, measures, visits."""

from __future__ import annotations

from relapse_risk.features.expression import feature, param
from relapse_risk.rules.spec import Rule, Wording
from relapse_risk.vocabulary import Bilingual, RuleCategory

_IS_LIFTED = feature("is_lifted") >= 1
_IS_REGISTERED = feature("is_registered") >= 1

_HAS_OPEN_CASE = feature("open_case_n") >= 1
_case_days_left = param("R28.limit_days") - feature("open_case_days")

R28 = Rule(
    code="R28",
    zh="认定超时或临期",
    en="case overdue or about to be",
    categories=(RuleCategory.PROCESS,),
    # A case is named before its limit, so that it can still be kept.
    condition=_HAS_OPEN_CASE & (_case_days_left <= param("R28.notice_days")),
    wordings=(
        Wording(
            Bilingual(
                "发现后{open_case_days}天尚未完成县级确定，剩余{R28.limit_days-open_case_days}天",
                "{open_case_days} days since discovery without the county's decision, "
                "{R28.limit_days-open_case_days} days left",
            ),
            when=_case_days_left >= 0,
        ),
        Wording(
            Bilingual(
                "发现后{open_case_days}天尚未完成县级确定，超过{R28.limit_days}天时限"
                "{open_case_days-R28.limit_days}天",
                "{open_case_days} days since discovery without the county's decision, "
                "{open_case_days-R28.limit_days} days over the limit of {R28.limit_days}",
            ),
            when=_case_days_left < 0,
        ),
    ),
    articles=("二",),
    source=Bilingual(
        "国新办发布会 2023-02-14；《河北日报》2022-04-24",
        "State Council Information Office, 2023-02-14; Hebei Daily, 2022-04-24",
    ),
    to_verify=Bilingual("核实评议、公示、审核进度", "Check review, publicity and decision"),
    days_left=_case_days_left.when(_HAS_OPEN_CASE),
    is_urgent=True,
)

_included_days = feature("days_since_inclusion")
_HAS_MEASURE = (feature("active_measure_n") >= 1) | (
    (feature("measure_started_n") >= 1) & (feature("days_since_measure_start") <= _included_days)
)

R29 = Rule(
    code="R29",
    zh="措施未落实",
    en="no measure after inclusion",
    categories=(RuleCategory.PROCESS,),
    applies=_IS_REGISTERED,
    condition=~_HAS_MEASURE & (_included_days > param("R29.limit_days")),
    wordings=(
        Wording(
            Bilingual(
                "县级确定后{days_since_inclusion}天尚未落实帮扶措施",
                "{days_since_inclusion} days since inclusion without a measure",
            )
        ),
    ),
    articles=("一", "二"),
    source=Bilingual("系统数据核查口径", "checks of system exports"),
    to_verify=Bilingual("核实帮扶计划和落实情况", "Check the plan and what was done"),
    days_left=(param("R29.limit_days") - _included_days).when(_IS_REGISTERED & ~_HAS_MEASURE),
)

R30 = Rule(
    code="R30",
    zh="有劳动能力无开发式帮扶",
    en="able to work, safety net only",
    categories=(RuleCategory.PROCESS,),
    applies=_IS_REGISTERED,
    condition=(feature("able_labour_n") >= 1)
    & (feature("active_safety_net_measure_n") >= 1)
    & (feature("active_other_measure_n") < 1),
    wordings=(
        Wording(
            Bilingual(
                "有{able_labour_n}名劳动力，仅有综合保障措施",
                "{able_labour_n} members can work, and all measures are safety net",
            )
        ),
    ),
    articles=("二",),
    source=Bilingual("系统数据核查口径", "checks of system exports"),
    to_verify=Bilingual("核实产业、就业帮扶意愿和条件", "Check willingness and means for work or business"),
)

_WAS_VISITED = feature("visit_n") >= 1
_IS_VISIT_OVERDUE = feature("days_since_visit") > param("R31.interval_days")

R31 = Rule(
    code="R31",
    zh="走访超期",
    en="visit overdue",
    categories=(RuleCategory.PROCESS,),
    applies=_IS_LIFTED | _IS_REGISTERED,
    condition=~_WAS_VISITED | _IS_VISIT_OVERDUE,
    wordings=(
        Wording(
            Bilingual(
                "距上次走访{days_since_visit}天，超过{R31.interval_days}天要求",
                "{days_since_visit} days since the last visit, over the interval of {R31.interval_days}",
            ),
            when=_WAS_VISITED,
        ),
        Wording(Bilingual("尚无走访记录", "no visit on record"), when=~_WAS_VISITED),
    ),
    articles=("一",),
    source=Bilingual("《河北日报》2022-04-24", "Hebei Daily, 2022-04-24"),
    to_verify=Bilingual("按期走访并补录", "Visit, and record earlier visits left out"),
    days_left=(param("R31.interval_days") - feature("days_since_visit")).when(_IS_LIFTED | _IS_REGISTERED),
)

PROCESS_RULES: tuple[Rule, ...] = (R28, R29, R30, R31)
