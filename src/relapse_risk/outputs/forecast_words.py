"""Words of the forecast's tables and pages, in both languages."""

from __future__ import annotations

from relapse_risk.forecast.caseload import BOUND_COLUMNS, INTERVALS
from relapse_risk.outputs.tables import WITHHELD_MARK
from relapse_risk.vocabulary import Bilingual

LEVELS = {
    "province": Bilingual("合计", "all"),
    "county": Bilingual("县", "county"),
    "township": Bilingual("乡镇", "township"),
    "village": Bilingual("村", "village"),
}
QUANTITIES = {
    "relapses": Bilingual("新增返贫户", "new relapses"),
    "entries": Bilingual("新纳入户", "entries"),
    "clearances": Bilingual("消除户", "clearances"),
    "stock": Bilingual("月末在册户", "on the register at the end"),
    "visits": Bilingual("走访次数", "visits"),
    "funds_yuan": Bilingual("资金(元)", "funds (yuan)"),
}
MODELS = {
    "seasonal_naive": Bilingual("季节朴素", "seasonal naive"),
    "last_value": Bilingual("末值", "last value"),
    "ets": Bilingual("指数平滑", "ets"),
    "tsb": Bilingual("间歇需求(TSB)", "tsb"),
    "poisson": Bilingual("泊松水平", "poisson"),
    "household_risks": Bilingual("家庭风险", "household risks"),
    "combined": Bilingual("组合", "combined"),
}
WITHHELD_NOTE = Bilingual(
    f"“{WITHHELD_MARK}”表示少于5户或由此可推知的数，不予公布。",
    f"“{WITHHELD_MARK}” is a count under 5, or one that would give it away.",
)
HEADERS: dict[str, Bilingual] = {
    "level": Bilingual("层级", "level"),
    "code": Bilingual("代码", "code"),
    "name": Bilingual("名称", "name"),
    "county_code": Bilingual("县代码", "county_code"),
    "county_name": Bilingual("县", "county"),
    "township_code": Bilingual("乡镇代码", "township_code"),
    "township_name": Bilingual("乡镇", "township"),
    "village_name": Bilingual("村", "village"),
    "months_ahead": Bilingual("未来月数", "months_ahead"),
    "quantity": Bilingual("指标", "quantity"),
    "month": Bilingual("月份", "month"),
    "mean": Bilingual("期望", "mean"),
    "median": Bilingual("中位数", "median"),
    "model": Bilingual("模型", "model"),
    "origins": Bilingual("回测次数", "origins"),
    "wape": Bilingual("加权绝对百分比误差", "wape"),
    "weight": Bilingual("权重", "weight"),
    "rank": Bilingual("排序", "rank"),
    "cases": Bilingual("预计新增户", "expected_new_cases"),
    "monitors": Bilingual("监测责任人数", "responsible_persons"),
    "cases_per_monitor": Bilingual("人均预计新增户", "cases_per_person"),
    **{
        name: Bilingual(f"{share}%{'下' if end == 'low' else '上'}限", f"{end}{share}")
        for name, (share, end) in zip(
            BOUND_COLUMNS, [(share, end) for share in INTERVALS for end in ("low", "high")], strict=True
        )
    },
}
_ON_PAGES = {
    "low80": Bilingual("80%下限", "80% from"),
    "high80": Bilingual("80%上限", "80% to"),
    "wape": Bilingual("加权绝对百分比误差", "Weighted absolute error"),
    "mean": Bilingual("期望", "Expected"),
}


def heading(name: str) -> Bilingual:
    """Return how a column is called on a page, where its English name need not be one word."""
    header = HEADERS[name]
    return _ON_PAGES.get(name, Bilingual(header.zh, header.en.replace("_", " ").capitalize()))


def months_ahead(months: int) -> Bilingual:
    """Return the words for a span that begins now."""
    return Bilingual(f"未来{months}个月", f"Next {months} months")
