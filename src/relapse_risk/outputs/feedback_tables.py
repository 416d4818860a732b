"""What visits said of the lists, as tables that county staff can read."""

from __future__ import annotations

import polars as pl

from relapse_risk.outputs.feedback import VisitReport
from relapse_risk.outputs.list_quality import estimate_missed, precision_of_lists
from relapse_risk.outputs.tables import ResultTable
from relapse_risk.vocabulary import Bilingual

_HEADERS = {
    "by": Bilingual("按", "by"),
    "group": Bilingual("组", "group"),
    "listed": Bilingual("列入", "listed"),
    "verified": Bilingual("已核实", "verified"),
    "found": Bilingual("属实", "found"),
    "not_met": Bilingual("未见到", "not met"),
    "precision": Bilingual("属实比例", "precision"),
    "low": Bilingual("区间下限", "low"),
    "high": Bilingual("区间上限", "high"),
    "list_id": Bilingual("清单编号", "list_id"),
    "pool": Bilingual("可抽户数", "pool"),
    "drawn": Bilingual("抽中", "drawn"),
    "missed": Bilingual("估计漏列", "missed"),
    "horizon_months": Bilingual("月数", "months"),
    "households": Bilingual("参加抽签", "households"),
    "not_listed": Bilingual("未列入", "not listed"),
    "visited_listed": Bilingual("列入户见到比例", "met, listed"),
    "visited_not_listed": Bilingual("未列入户见到比例", "met, not listed"),
    "relapse_listed": Bilingual("列入户返贫比例", "relapse, listed"),
    "relapse_not_listed": Bilingual("未列入户返贫比例", "relapse, not listed"),
    "difference": Bilingual("相差", "difference"),
}
_BY = {"tier": "优先级", "origin": "入列依据", "score_band": "风险分段"}
_AUDIT = {"audit": "随机走访"}


def feedback_tables(report: VisitReport, effect: pl.DataFrame | None = None) -> tuple[ResultTable, ...]:
    """Return precision by tier, origin and score, what was found beside the list, and what lists missed.

    Parameters
    ----------
    report : VisitReport
    effect : polars.DataFrame, optional
        Of :func:`~relapse_risk.outputs.visit_effect.visit_effect`.
    """
    precision = precision_of_lists(report.results).filter(pl.col("verified") > 0)
    told = precision.with_columns(pl.col("by").replace(_BY), pl.col("group").replace(_AUDIT))
    back = {"by": {zh: name for name, zh in _BY.items()}, "group": {zh: name for name, zh in _AUDIT.items()}}
    missed = estimate_missed(report.results).with_columns(pl.col("missed", "low", "high").round(0))
    tables = [
        ResultTable(Bilingual("核实结果", "what visits found"), told, _HEADERS, back),
        ResultTable(Bilingual("清单以外的户", "beside the list"), report.beside, _HEADERS),
        ResultTable(
            Bilingual("随机走访估计的漏列户数", "missed by the lists, by the audit sample"), missed, _HEADERS
        ),
    ]
    if effect is not None:
        name = Bilingual("抽签比较：列入清单带来的变化", "what being listed changed, by lot")
        tables.append(ResultTable(name, effect, _HEADERS))
    return tuple(tables)
