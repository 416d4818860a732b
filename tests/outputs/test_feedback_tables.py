"""What visits said reads in Chinese for county staff, and in English on request."""

from __future__ import annotations

import polars as pl

from relapse_risk.outputs.feedback import VisitReport
from relapse_risk.outputs.feedback_tables import feedback_tables


def _results() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "list_id": ["L"] * 4,
            "household_id": list("abcd"),
            "tier": ["红", "红", "常", "常"],
            "basis": ["规则触发", "规则触发", "例行走访", "例行走访"],
            "risk_score": [99.0, 96.0, 20.0, 10.0],
            "is_listed": [True] * 4,
            "is_audit": [False, False, True, True],
            "unit": ["U"] * 4,
            "inclusion_probability": [None, None, 0.1, 0.1],
            "audit_pool_n": [None, None, 20, 20],
            "outcome": ["属实", "外出", "不属实", "属实"],
        }
    )


def test_every_word_is_chinese_in_chinese_and_english_in_english() -> None:
    beside = pl.DataFrame({"group": ["候补"], "verified": [1], "found": [1], "not_met": [0]})
    report = VisitReport((), 4, 0, 0, None, _results(), beside)
    found, _, missed = feedback_tables(report)
    chinese = found.labelled("zh")
    assert chinese.columns[:4] == ["按", "组", "列入", "已核实"]
    assert set(chinese["按"]) == {"优先级", "入列依据", "风险分段"}
    assert "随机走访" in chinese["组"].to_list()
    assert not any(name.isascii() for name in missed.labelled("zh").columns)
    english = found.labelled("en")
    assert set(english["by"]) == {"tier", "origin", "score_band"}
    assert "audit" in english["group"].to_list()
    assert missed.frame["missed"].to_list() == [10.0]
