"""How income moves: against last year, from period to period, and how often it was low.

Statistics over 24 months take the known periods, however few, so that a panel that sees a household
only now and then has them too.
"""

from __future__ import annotations

from relapse_risk.features.catalog.flows import (
    IS_BELOW_LINE,
    PERIOD_MONTHS,
    REFERENCE_INCOME,
    REFERENCE_INCOME_PER_PERSON,
    REFERENCE_INCOME_TO_LINE,
)
from relapse_risk.features.expression import Expression, feature, param
from relapse_risk.features.operators import (
    count_over,
    last,
    mean_over,
    min_over,
    months_since_report,
    slope_over,
    std_over,
    sum_over,
)
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Bilingual, Direction, Role, Unit

_STATUS_MONTHS = 60
_LARGEST_CHANGE = 5.0
_PREVIOUS = last(REFERENCE_INCOME_TO_LINE, back=1)
_MEAN_24M = mean_over(REFERENCE_INCOME_PER_PERSON, 24)
_SHORTFALL = (1 - REFERENCE_INCOME_TO_LINE).at_least(0)
_BUSINESS_12M = sum_over("business_income_yuan", 12) - sum_over("business_cost_yuan", 12)
_BUSINESS_PRIOR_12M = sum_over("business_income_yuan", 12, ago=12) - sum_over(
    "business_cost_yuan", 12, ago=12
)


def _change_share(now: Expression, before: Expression) -> Expression:
    """Return the relative change; not known where there was nothing to fall from, and bounded above."""
    return ((now - before) / before.when(before > 0)).at_most(_LARGEST_CHANGE)


REF_INCOME_PC_PRIOR_12M = Feature(
    "ref_income_pc_prior_12m",
    "上年同期人均监测参考收入",
    "reference income per person of the 12 months before",
    Unit.YUAN_PER_PERSON_YEAR,
    "dynamics",
    sum_over(REFERENCE_INCOME, 12, ago=12) / mean_over("n_person", 12, ago=12),
    role=Role.RULE,
)
INCOME_YOY_CHANGE_SHARE = Feature(
    "income_yoy_change_share",
    "人均收入较上年同期变化",
    "change of reference income per person on the year before",
    Unit.SHARE,
    "dynamics",
    _change_share(feature("ref_income_pc_12m"), feature("ref_income_pc_prior_12m")),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "近12个月人均收入较上年同期下降{-value}%（{ref_income_pc_prior_12m}元→{ref_income_pc_12m}元）",
        "income per person fell by {-value}% on the year before "
        "({ref_income_pc_prior_12m} to {ref_income_pc_12m} yuan)",
    ),
    reason_when=feature("income_yoy_change_share") <= -0.1,
    to_verify=Bilingual(
        "核实收入减少的来源和是否持续", "Check which income fell and whether it will stay low"
    ),
)
PERIOD_INCOME_CHANGE_SHARE = Feature(
    "period_income_change_share",
    "最近一期收入较上一期变化",
    "change of income per person between the last two known periods",
    Unit.SHARE,
    "dynamics",
    _change_share(feature("period_income_pc"), last(REFERENCE_INCOME_PER_PERSON, back=1)),
    reason=Bilingual(
        "最近一期人均收入较上一期下降{-value}%",
        "income of the latest period is {-value}% below the one before",
    ),
    reason_when=feature("period_income_change_share") <= -0.2,
    to_verify=Bilingual("核实最近一期收入下降的原因", "Check why the latest income fell"),
)
PREVIOUS_INCOME_TO_LINE = Feature(
    "previous_income_to_line",
    "上一期收入（折合全年）与监测线之比",
    "income of the previous known period, scaled to a year, over the line",
    Unit.RATIO,
    "dynamics",
    _PREVIOUS,
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "上一期人均收入（折合全年）为监测线的{value:share}%",
        "income of the period before came to {value:share}% of the line",
    ),
    reason_when=feature("previous_income_to_line") < 1.2,
    to_verify=Bilingual("核实收入是否长期偏低", "Check whether income has been low for long"),
)
PERIOD_INCOME_TO_LINE_CHANGE = Feature(
    "period_income_to_line_change",
    "最近两期收入与监测线之比的差",
    "change of income over the line between the last two known periods",
    Unit.RATIO,
    "dynamics",
    feature("period_income_to_line") - _PREVIOUS,
)
YEAR_AGO_INCOME_TO_LINE = Feature(
    "year_ago_income_to_line",
    "上年同季收入（折合全年）与监测线之比",
    "income of the same three months a year before, scaled to a year, over the line",
    Unit.RATIO,
    "dynamics",
    mean_over(REFERENCE_INCOME_TO_LINE, 3, ago=12),
    Direction.LOWERS_RISK,
)
SAME_SEASON_CHANGE = Feature(
    "same_season_change",
    "收入与监测线之比较上年同季变化",
    "change of income over the line on the same three months a year before",
    Unit.RATIO,
    "dynamics",
    mean_over(REFERENCE_INCOME_TO_LINE, 3) - feature("year_ago_income_to_line"),
)
WAGE_YOY_CHANGE_SHARE = Feature(
    "wage_yoy_change_share",
    "工资性收入较上年同期变化",
    "change of wage income on the year before",
    Unit.SHARE,
    "dynamics",
    _change_share(sum_over("wage_income_yuan", 12), sum_over("wage_income_yuan", 12, ago=12)),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "近12个月工资性收入较上年减少{-value}%", "wage income fell by {-value}% on the year before"
    ),
    reason_when=feature("wage_yoy_change_share") <= -0.2,
    to_verify=Bilingual("核实务工是否中断、工资是否拖欠", "Check for lost work and unpaid wages"),
)
BUSINESS_YOY_CHANGE_SHARE = Feature(
    "business_yoy_change_share",
    "经营净收入较上年同期变化",
    "change of net business income on the year before",
    Unit.SHARE,
    "dynamics",
    _change_share(_BUSINESS_12M, _BUSINESS_PRIOR_12M),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "经营净收入较上年减少{-value}%", "net business income fell by {-value}% on the year before"
    ),
    reason_when=feature("business_yoy_change_share") <= -0.2,
    to_verify=Bilingual("核实种养和经营是否受损、能否恢复", "Check what hit the farm or business"),
)
INCOME_CV_24M = Feature(
    "income_cv_24m",
    "近24个月收入波动系数",
    "coefficient of variation of period income over 24 months, at most 5",
    Unit.RATIO,
    "dynamics",
    (std_over(REFERENCE_INCOME_PER_PERSON, 24) / _MEAN_24M.when(_MEAN_24M > 0)).at_most(_LARGEST_CHANGE),
)
INCOME_MIN_24M_TO_LINE = Feature(
    "income_min_24m_to_line",
    "近24个月最低一期收入与监测线之比",
    "lowest period income of 24 months over the line",
    Unit.RATIO,
    "dynamics",
    min_over(REFERENCE_INCOME_TO_LINE, 24),
    Direction.LOWERS_RISK,
)
INCOME_MEAN_24M_TO_LINE = Feature(
    "income_mean_24m_to_line",
    "近24个月平均收入与监测线之比",
    "mean period income of 24 months over the line",
    Unit.RATIO,
    "dynamics",
    mean_over(REFERENCE_INCOME_TO_LINE, 24),
    Direction.LOWERS_RISK,
    reason=Bilingual(
        "近24个月平均收入（折合全年）为监测线的{value:share}%",
        "mean income of 24 months came to {value:share}% of the line",
    ),
    reason_when=feature("income_mean_24m_to_line") < 1.5,
    to_verify=Bilingual("核实收入是否长期偏低", "Check whether income has been low for long"),
)
PERIODS_IN_BAND_24M = Feature(
    "periods_in_band_24m",
    "近24个月收入处于临界范围以下的期数",
    "periods of 24 months with income below the band above the line",
    Unit.COUNT,
    "dynamics",
    sum_over(param("R27.ratio") > REFERENCE_INCOME_TO_LINE, 24, coverage=0),
    Direction.RAISES_RISK,
)
INCOME_SLOPE_24M = Feature(
    "income_slope_24m",
    "近24个月收入与监测线之比的趋势",
    "change per year of income over the line, least squares over 24 months",
    Unit.RATIO,
    "dynamics",
    slope_over(REFERENCE_INCOME_TO_LINE, 24),
)
INCOME_SHORTFALL_24M = Feature(
    "income_shortfall_24m",
    "近24个月收入低于监测线的半方差",
    "mean squared shortfall of period income below the line over 24 months",
    Unit.RATIO,
    "dynamics",
    mean_over(_SHORTFALL * _SHORTFALL, 24),
    Direction.RAISES_RISK,
)
BELOW_LINE_LAST = Feature(
    "below_line_last",
    "最近一期低于监测线",
    "below the line in the latest period",
    Unit.FLAG,
    "status",
    last(IS_BELOW_LINE),
    Direction.RAISES_RISK,
    reason=Bilingual("最近一期低于监测线", "below the line in the latest period"),
    reason_when=feature("below_line_last") >= 1,
    to_verify=Bilingual("核实当前收入状况", "Check present income"),
)
BELOW_LINE_PREVIOUS = Feature(
    "below_line_previous",
    "上一期低于监测线",
    "below the line in the previous known period",
    Unit.FLAG,
    "status",
    last(IS_BELOW_LINE, back=1),
    Direction.RAISES_RISK,
    reason=Bilingual("上一期低于监测线", "below the line in the period before the latest"),
    reason_when=feature("below_line_previous") >= 1,
    to_verify=Bilingual("核实收入回升是否稳定", "Check that the recovery is stable"),
)
BELOW_LINE_SHARE = Feature(
    "below_line_share",
    "近60个月低于监测线的时间占比",
    "share of known months of 60 below the line",
    Unit.SHARE,
    "status",
    mean_over(IS_BELOW_LINE, _STATUS_MONTHS),
    Direction.RAISES_RISK,
    reason=Bilingual(
        "近60个月按各期收入折算，{value}%的时间低于监测线",
        "by period, below the line in {value}% of the months known of the last 60",
    ),
    reason_when=feature("below_line_share") >= 0.25,
    to_verify=Bilingual("核实收入是否长期偏低", "Check whether income has been low for long"),
)
BELOW_LINE_COUNT = Feature(
    "below_line_count",
    "近60个月低于监测线的期数",
    "periods of 60 months below the line",
    Unit.COUNT,
    "status",
    sum_over(IS_BELOW_LINE, _STATUS_MONTHS, coverage=0),
    Direction.RAISES_RISK,
)
PERIODS_KNOWN = Feature(
    "periods_known",
    "近60个月有记录的期数",
    "periods known of 60 months",
    Unit.COUNT,
    "status",
    count_over("n_person", _STATUS_MONTHS),
)
MONTHS_SINCE_REPORT = Feature(
    "months_since_report",
    "距最近一期记录月数",
    "months since the end of the latest known period",
    Unit.MONTHS,
    "status",
    months_since_report(),
)
REPORT_MONTHS = Feature(
    "report_months",
    "最近一期记录的月数",
    "months of the latest known period",
    Unit.MONTHS,
    "status",
    last(PERIOD_MONTHS),
    role=Role.RULE,
)
REPORTED_MONTHS = Feature(
    "reported_months",
    "近60个月有记录的月数",
    "months of 60 that known periods cover",
    Unit.MONTHS,
    "status",
    sum_over(PERIOD_MONTHS, _STATUS_MONTHS, coverage=0),
    role=Role.RULE,
)

DYNAMICS: tuple[Feature, ...] = (
    REF_INCOME_PC_PRIOR_12M,
    INCOME_YOY_CHANGE_SHARE,
    PERIOD_INCOME_CHANGE_SHARE,
    PREVIOUS_INCOME_TO_LINE,
    PERIOD_INCOME_TO_LINE_CHANGE,
    YEAR_AGO_INCOME_TO_LINE,
    SAME_SEASON_CHANGE,
    WAGE_YOY_CHANGE_SHARE,
    BUSINESS_YOY_CHANGE_SHARE,
    INCOME_CV_24M,
    INCOME_MIN_24M_TO_LINE,
    INCOME_MEAN_24M_TO_LINE,
    PERIODS_IN_BAND_24M,
    INCOME_SLOPE_24M,
    INCOME_SHORTFALL_24M,
    BELOW_LINE_LAST,
    BELOW_LINE_PREVIOUS,
    BELOW_LINE_SHARE,
    BELOW_LINE_COUNT,
    PERIODS_KNOWN,
    MONTHS_SINCE_REPORT,
    REPORT_MONTHS,
    REPORTED_MONTHS,
)
