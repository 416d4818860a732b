"""How risks were calibrated, for the model card: maps, level and slope by group, reliability."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from relapse_risk.modeling.card_training import table
from relapse_risk.modeling.model import TrainedModel


def calibration_said(model: TrainedModel, say: Any) -> list[str]:
    """Return the maps of the intervals, level and slope by group, and the reliability table."""
    where = model.metadata["reliability_on"]
    maps = model.calibration.maps
    ends = model.horizons_months
    lines = [
        f"({start}, {end}]: {each.kind}, {say('截距', 'intercept')} {each.intercept:.3f}, "
        f"{say('斜率', 'slope')} {each.slope:.3f}, {say('事件', 'events')} {each.n_events}"
        for start, end, each in zip((0, *ends[:-1]), ends, maps, strict=True)
    ]
    note = say("校准窗口上的", "on the calibration window") if where == "calibration" else ""
    if where == "fit":
        note = say("拟合数据上的（偏乐观）", "on the rows fitted on (too optimistic)")
    if model.metadata["is_refitted"]:
        note += say(
            "；之后用全部数据重新拟合，并调回同一水平",
            "; the model was then fitted once more on all rows and brought back to the same level",
        )
    reliability = table(
        [
            say("组", "bin"),
            say("户数", "rows"),
            say("预测均值", "predicted"),
            say("实际比例", "observed"),
            say("95%区间", "95% interval"),
        ],
        [
            [
                row["bin"],
                row["n"],
                f"{row['predicted_mean']:.4f}",
                f"{row['observed_share']:.4f}",
                f"{row['observed_low']:.4f}–{row['observed_high']:.4f}",
            ]
            for row in model.reliability.iter_rows(named=True)
        ],
    )
    return [
        "\n".join(f"- {line}" for line in lines),
        *_level_and_slope(model, say),
        say(f"可靠性表（{note}）：", f"Reliability table ({note}):"),
        reliability,
    ]


def _level_and_slope(model: TrainedModel, say: Any) -> list[str]:
    """Return level and slope on villages held out of the calibration; nothing where none were."""
    note: Mapping[str, Any] = model.metadata.get("calibration") or {}
    if not note.get("overall"):
        return []
    said = [
        [name, each["rows"], each["events"], *(_judged(each[key], say) for key in ("in_the_large", "slope"))]
        for name, each in (
            (say("全部", "all"), note["overall"]),
            *((group["value"], group) for group in note["groups"]),
        )
    ]
    heading = say(
        f"校准方法 {model.calibration.method}；下表按村轮流留出检验：水平偏差（对数优势，0 为正好，大于 0 "
        "为低估）和斜率（1 为正好，小于 1 为过于极端）。",
        f"Method: {model.calibration.method}. Calibration-in-the-large (shift of the log-odds; 0 is right, "
        "above 0 is too low) and slope (1 is right, below 1 is too extreme); each village judged "
        "by the others.",
    )
    columns = [
        say("组", "group"),
        say("户数", "rows"),
        say("事件", "events"),
        say("水平偏差", "in the large"),
        say("斜率", "slope"),
    ]
    return [heading, table(columns, said)]


def _judged(value: float | None, say: Any) -> str:
    return say("样本过少", "too few to judge") if value is None else f"{value:.2f}"
