"""The columns of a visit list, in order: what the toolkit fills and what staff fill in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import polars as pl

from relapse_risk.vocabulary import Language

REASONS = 3


@dataclass(frozen=True, slots=True)
class ListColumn:
    """One column; staff columns are handed out blank."""

    name: str
    zh: str
    filled_by: Literal["toolkit", "staff"] = "toolkit"
    dtype: type[pl.DataType] = pl.String

    def header(self, language: Language) -> str:
        """Return the Chinese header, or the name on English lists."""
        return self.zh if language == "zh" else self.name


LIST_COLUMNS: tuple[ListColumn, ...] = (
    ListColumn("rank", "序号", dtype=pl.Int64),
    ListColumn("list_id", "清单编号"),
    ListColumn("county", "县"),
    ListColumn("township", "乡镇"),
    ListColumn("village", "村"),
    ListColumn("household_id", "户编号"),
    ListColumn("household_type", "户类型"),
    ListColumn("monitor_category", "监测对象类别"),
    ListColumn("tier", "优先级"),
    ListColumn("basis", "入列依据"),
    ListColumn("rule_hits_n", "规则触发数", dtype=pl.Int64),
    ListColumn("rules_hit", "触发规则"),
    ListColumn("hit_since", "首次触发日期", dtype=pl.Date),
    ListColumn("risk_score", "模型风险分", dtype=pl.Float64),
    ListColumn("reason_1", "主要原因1"),
    ListColumn("reason_2", "主要原因2"),
    ListColumn("reason_3", "主要原因3"),
    ListColumn("to_verify", "建议核实事项"),
    ListColumn("suggested_measures", "建议措施"),
    ListColumn("key_groups", "重点人群"),
    ListColumn("days_left", "剩余时限(天)", dtype=pl.Int64),
    ListColumn("last_visit", "上次走访", dtype=pl.Date),
    ListColumn("responsible", "责任人"),
    ListColumn("data_gaps", "数据缺口"),
    ListColumn("expires_on", "名单有效期至", dtype=pl.Date),
    ListColumn("visited_on", "走访日期", "staff"),
    ListColumn("visitor_role", "走访人员", "staff"),
    ListColumn("outcome", "核实结果", "staff"),
    ListColumn("verified_risk_types", "核实风险", "staff"),
    ListColumn("need_inclusion", "建议纳入", "staff"),
    ListColumn("emergency_aid", "紧急救助", "staff"),
    ListColumn("remark", "备注", "staff"),
)


def with_headers(frame: pl.DataFrame, language: Language) -> pl.DataFrame:
    """Return a list under the headers of a language."""
    return frame.rename({column.name: column.header(language) for column in LIST_COLUMNS})
