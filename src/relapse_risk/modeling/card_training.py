"""How a model was trained, for its card: the sample, the trees, and how uncertain one risk is; and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from relapse_risk.modeling.model import TrainedModel

_LOTTERY_FIGURES = ("rows", "drawn", "not_drawn", "events", "effective", "largest_weight")


def sample_said(model: TrainedModel, say: Any) -> list[str]:
    """Say that a sample was fitted on; nothing where all rows were."""
    note: Mapping[str, int] | None = model.metadata.get("sampling")
    if not note:
        return []
    return [
        say(
            f"拟合使用全部事件行和部分未发生行的加权随机样本：{note['rows']} 行代表 {note['stand_for']} 行。",
            f"Fitted on all rows with an event and a weighted random sample of the rest: {note['rows']} rows "
            f"stand for {note['stand_for']}.",
        )
    ]


def lottery_said(model: TrainedModel, say: Any) -> list[str]:
    """Say that labels were corrected by lotteries, and on how much that rests; nothing if they were not."""
    facts: Mapping[str, Mapping[str, Any]] | None = model.metadata.get("lottery")
    if not facts:
        return []
    told = [
        say(
            "标签按抽签作了校正，估计的是不因抽签而列入清单时的风险：标签窗口内抽中的户不计，参加抽签而未抽中的户"
            "按未抽中概率的倒数加权；因规则、模型名次等确定列入的户没有这一概率，其标签保持原样。",
            "Labels were corrected by lotteries; the estimand is risk without the list's visit, where a "
            "lottery gave it. Rows drawn in their label window count for nothing, rows that took part and "
            "were not drawn by the inverse of the probability of it. Households listed for certain, for a "
            "rule or their rank, have no such probability, and their labels stay as they are.",
        ),
        table(
            [
                say("用途", "used for"),
                say("参加抽签的行", "rows in a lottery"),
                say("抽中（不计）", "drawn (left out)"),
                say("未抽中", "not drawn"),
                say("其中事件", "events of these"),
                say("有效行数", "effective rows"),
                say("最大权重", "largest weight"),
                say("按10计的行", "rows counted as 10"),
            ],
            [
                [name, *(facts[key][of] for of in _LOTTERY_FIGURES), facts[key]["bounded"]]
                for key, name in (
                    ("fit", say("拟合", "fitting")),
                    ("calibration", say("校准", "calibration")),
                )
            ],
        ),
    ]
    if facts["fit"]["is_too_few"]:
        told.append(
            say(
                "⚠ 参加抽签而未抽中的户太少（有效行数不足100，或事件不足20个），校正不可靠，"
                "容量边缘的户风险误差可能很大。",
                "⚠ Too few took part and were not drawn (below 100 effective rows or 20 events): the "
                "correction is not reliable, and risks around the cut-off may be far off.",
            )
        )
    return told


def trees_said(model: TrainedModel, say: Any) -> list[str]:
    """Say how the number of trees was found; nothing where it was given."""
    note: Mapping[str, Any] | None = model.metadata.get("early_stopping")
    if not note:
        return []
    return [
        say(
            f"树的棵数 {note['trees']}（上限 {note['most']}），由拟合期内较晚的截止日 "
            f"{span(note['judged_on'])} 选定，再用全部拟合数据重新拟合。",
            f"Trees: {note['trees']} of at most {note['most']}, found on the later fit dates "
            f"{span(note['judged_on'])} and grown again on all of them.",
        )
    ]


def uncertainty_said(model: TrainedModel, say: Any) -> list[str]:
    """Show how uncertain a single risk is, at four places of the order; nothing where nothing tells."""
    if model.uncertainty is None:
        return []
    low, high = np.asarray(model.uncertainty.low), np.asarray(model.uncertainty.high)
    places = {"50%": 0.5, "80%": 0.8, "95%": 0.95, "99%": 0.99}
    at = [min(int(share * len(low)), len(low) - 1) for share in places.values()]
    rows = [[name, f"{low[k]:.4f}–{high[k]:.4f}"] for name, k in zip(places, at, strict=True)]
    return [
        say(
            "单个风险值的不确定性（Venn–Abers，校准窗口；两值相距越远，窗口对这类家庭所知越少）：",
            "Uncertainty of a single risk (Venn-Abers, on the calibration window; the farther apart, the "
            "less the window says of such households):",
        ),
        table([say("得分位次", "place of the score"), say("风险下界–上界", "lower to upper risk")], rows),
    ]


def span(days: Sequence[str]) -> str:
    """Return the first and the last of some dates, and how many they are."""
    if len(days) < 2:
        return "".join(days) or "–"
    return f"{days[0]} … {days[-1]} ({len(days)})"


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
