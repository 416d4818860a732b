"""Pictures for analysts, in Chinese or English: gain, reliability, reasons, tiers, distributions.

Every function takes plain frames (pandas or Polars) or arrays and returns a matplotlib figure, which
``figure.savefig(path)`` writes. Where no font has Chinese characters the labels are English, never boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import ArrayLike, NDArray

from relapse_risk.errors import ContractError
from relapse_risk.vocabulary import Bilingual, Language, Tier

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from relapse_risk.outputs.chart import Chart, Lettering

Rows = pd.DataFrame | pl.DataFrame | Sequence[Mapping[str, Any]]

_RAISES, _LOWERS, _NEUTRAL = "#c0392b", "#2471a3", "#8a8a8a"
_SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")

_BARS_INCH, _LETTER_INCH = 4.4, 0.075  # of a waterfall: room for its bars, and for a letter of its labels

_POLICIES: dict[str, tuple[Bilingual, str, str]] = {
    "oracle": (Bilingual("真实风险（上限）", "true hazard (upper limit)"), "#000000", ":"),
    "rules+model": (Bilingual("规则＋模型", "rules and model"), "#c0392b", "-"),
    "rules": (Bilingual("规则", "rules"), "#e69f00", "-"),
    "rules_random_fill": (Bilingual("规则（余额随机）", "rules, spare visits at random"), "#e69f00", ":"),
    "model": (Bilingual("模型", "model"), "#0072b2", "-"),
    "logistic": (Bilingual("逻辑回归", "logistic regression"), "#56b4e9", "--"),
    "scorecard": (Bilingual("计分卡", "scorecard"), "#009e73", "--"),
    "best_indicator": (Bilingual("最佳单一指标", "best single indicator"), "#cc79a7", "--"),
    "random": (Bilingual("随机", "random"), "#8a8a8a", ":"),
}
_TIERS: dict[Tier, tuple[Bilingual, str]] = {
    Tier.RED: (Bilingual("红", "red"), "#c0392b"),
    Tier.ORANGE: (Bilingual("橙", "orange"), "#e67e22"),
    Tier.YELLOW: (Bilingual("黄", "yellow"), "#f1c40f"),
    Tier.BLUE: (Bilingual("蓝", "blue"), "#2e86c1"),
    Tier.ROUTINE: (Bilingual("常", "routine"), "#a6acaf"),
}


def plot_gain(records: pd.DataFrame | Sequence[Mapping[str, Any]], language: Language = "zh") -> Figure:
    """Return the share of relapses found against the share of households visited, a line per policy.

    Parameters
    ----------
    records : frame or sequence of mappings
        Records of a backtest, one per policy, origin and capacity: ``policy``, ``capacity`` (a share where
        below 1, else visits), ``n`` (households), ``events`` and ``recall_at_capacity``. Origins are
        pooled: all relapses found over all relapses.
    language : {"zh", "en"}

    Returns
    -------
    Figure
        Higher means that more relapses are met with as many visits.
    """
    frame = _with_columns(records, ("policy", "capacity", "n", "events", "recall_at_capacity"), "records")
    from relapse_risk.outputs.chart import chart

    with chart(language, 6.4, 4.2) as (figure, axes, letters):
        ends = []
        for policy in sorted(set(frame["policy"]), key=_policy_order):
            label, colour, style = _POLICIES.get(policy, (Bilingual(policy, policy), _NEUTRAL, "-."))
            visited, found = _gain_of_policy(frame[frame["policy"] == policy])
            name = letters.legible(letters.text(label), policy)
            width = 2.4 if policy == "rules+model" else 1.5
            axes.plot(visited, found, style, color=colour, label=name, linewidth=width, marker="o", ms=3.5)
            ends.append(visited[-1])
        axes.set_xlim(0, 1.03 * max(ends))
        axes.set_ylim(bottom=0)
        _as_percent(axes, x=True, y=True)
        axes.grid(visible=True)
        _name(axes, letters, Bilingual("走访户占比", "households visited"), x=True)
        _name(axes, letters, Bilingual("查找到的返贫户占比", "relapses found"), x=False)
        axes.set_title(letters.text(Bilingual("同等走访量下的发现率", "Relapses found at equal visits")))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_reliability(table: Rows, language: Language = "zh") -> Figure:
    """Return observed against predicted risk by bin, with the number of households in each.

    Parameters
    ----------
    table : frame or sequence of mappings
        One row per bin: ``predicted`` and ``observed`` (shares in [0, 1]), ``n`` (households), and where
        known ``observed_low`` and ``observed_high``, the interval of ``observed``.
    language : {"zh", "en"}

    Returns
    -------
    Figure
        Points above the diagonal mean that the risk was stated too low.
    """
    table = _with_columns(table, ("predicted", "observed", "n"), "table").sort_values("predicted")
    from relapse_risk.outputs.chart import chart

    predicted, observed = _numbers(table["predicted"]), _numbers(table["observed"])
    count = _numbers(table["n"])
    with chart(language, 5.0, 4.6) as (figure, axes, letters):
        top = float(np.nanmax(np.concatenate([predicted, observed])))
        if {"observed_low", "observed_high"} <= set(table.columns):
            lower, upper = _numbers(table["observed_low"]), _numbers(table["observed_high"])
            axes.vlines(predicted, lower, upper, color=_LOWERS, linewidth=1.2, alpha=0.6)
            top = max(top, float(np.nanmax(upper)))
        ideal = letters.text(Bilingual("完全一致", "perfect agreement"))
        axes.plot([0, 1], [0, 1], ":", color=_NEUTRAL, label=ideal)
        actual = letters.text(Bilingual("各组（面积示户数）", "bins (area shows households)"))
        axes.plot(predicted, observed, "-", color=_LOWERS, linewidth=1.2)
        axes.scatter(
            predicted, observed, s=20 + 180 * count / count.max(), color=_LOWERS, alpha=0.75, label=actual
        )
        axes.set_xlim(0, 1.08 * top)
        axes.set_ylim(0, 1.08 * top)
        axes.set_aspect("equal")
        _as_percent(axes, x=True, y=True)
        axes.grid(visible=True)
        _name(axes, letters, Bilingual("预测风险", "predicted risk"), x=True)
        _name(axes, letters, Bilingual("实际发生率", "observed rate"), x=False)
        axes.set_title(letters.text(Bilingual("预测风险与实际发生率", "Predicted risk and observed rate")))
        axes.legend(loc="upper left")
    return figure


def plot_reasons(
    attributions: Rows, language: Language = "zh", base: float | None = None, limit: int = 10, title: str = ""
) -> Chart:
    """Return what moves one household's risk, from the typical household's log-odds to its own.

    Parameters
    ----------
    attributions : frame or sequence of mappings
        One row per feature: ``zh`` and ``en`` (its name), ``contribution`` (log-odds, positive raises the
        risk) and, where wanted, ``value`` (text with its unit).
    language : {"zh", "en"}
    base : float or None
        Log-odds without any contribution; bars then start there and end at the household's own.
    limit : int
        The largest so many are shown one by one, the rest as one bar.
    title : str
        Such as the household's code.

    Returns
    -------
    Figure
        Bars to the right raise the risk. They say what the score rests on, not what causes poverty.
    """
    needed = ("zh", "en", "contribution")
    steps, rest_n = _largest_first(_with_columns(attributions, needed, "attributions"), limit)
    from relapse_risk.outputs.chart import chart

    width = _BARS_INCH + _LETTER_INCH * _longest_label(steps, language)
    with chart(language, width, 1.4 + 0.36 * len(steps)) as (figure, axes, letters):
        size = _numbers(steps["contribution"])
        ends = np.cumsum(size) + (base or 0.0)
        starts = ends - size
        rows = np.arange(len(steps))
        colours = np.where(size >= 0, _RAISES, _LOWERS)
        axes.barh(rows, size, left=starts, color=list(colours), height=0.62)
        axes.vlines(ends[:-1], rows[:-1], rows[1:], color=_NEUTRAL, linewidth=0.7)
        axes.axvline(base or 0.0, color=_NEUTRAL, linewidth=0.8, linestyle=":")
        left, right = float(min(starts.min(), ends.min())), float(max(starts.max(), ends.max()))
        span = right - left or 1.0
        for row, amount in enumerate(size):
            sign = "+" if amount >= 0 else "\N{MINUS SIGN}"
            beside = max(starts[row], ends[row]) + 0.012 * span
            axes.text(beside, row, f"{sign}{abs(amount):.2f}", va="center", fontsize=8.5)
        axes.set_xlim(left - 0.03 * span, right + 0.12 * span)
        axes.set_yticks(rows, labels=_reason_labels(steps, rest_n, letters))
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x")
        unit = Bilingual("对风险的贡献（对数几率）", "contribution to the risk (log-odds)")
        total = Bilingual("风险（对数几率），自平均水平起", "risk (log-odds), from the typical household")
        _name(axes, letters, unit if base is None else total, x=True)
        heading = letters.text(Bilingual("主要原因", "Main reasons"))
        axes.set_title(f"{heading} {letters.legible(title, '')}".strip())
    return figure


def plot_tiers(tiers: Iterable[str], areas: Iterable[str] | None = None, language: Language = "zh") -> Figure:
    """Return the number of households on a visit list by tier, for the whole list or by area.

    Parameters
    ----------
    tiers : iterable of str
        优先级 of every row: 红, 橙, 黄, 蓝, 常.
    areas : iterable of str or None
        Township or village of every row; one bar each, in the order of the codes or names.
    language : {"zh", "en"}

    Returns
    -------
    Figure
        Bars of household counts; a longer bar means more households to visit.

    Examples
    --------
    >>> figure = plot_tiers(["红", "黄", "红"], language="en")
    >>> figure.axes[0].get_title()
    'Households on the list by tier'
    """
    rows = pd.DataFrame({"tier": list(tiers)})
    whole = Bilingual("全部", "all")
    rows["area"] = whole.text(language) if areas is None else pd.Series(list(areas), dtype="object")
    unknown = sorted(set(rows["tier"]) - {tier.value for tier in Tier})
    if unknown:
        raise ContractError(
            "RR304", "tiers", f"unknown values {', '.join(unknown)}", "红, 橙, 黄, 蓝 or 常", "Pass 优先级"
        )
    counts = pd.crosstab(rows["area"], rows["tier"])
    from relapse_risk.outputs.chart import chart

    with chart(language, 6.4, 1.5 + 0.34 * len(counts)) as (figure, axes, letters):
        names = [letters.legible(str(area), f"no. {place}") for place, area in enumerate(counts.index, 1)]
        if areas is None:
            names = [letters.text(whole)]
        left = np.zeros(len(counts))
        for tier, (label, colour) in _TIERS.items():
            count = _numbers(counts[tier.value]) if tier.value in counts else np.zeros(len(counts))
            bars = axes.barh(range(len(counts)), count, left=left, color=colour, label=letters.text(label))
            axes.bar_label(
                bars, labels=[f"{n:.0f}" if n else "" for n in count], label_type="center", fontsize=8
            )
            left += count
        axes.set_yticks(range(len(counts)), labels=names)
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x")
        _name(axes, letters, Bilingual("户数", "households"), x=True)
        axes.set_title(letters.text(Bilingual("走访名单各优先级户数", "Households on the list by tier")))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_distribution(
    values: ArrayLike,
    label: Bilingual,
    groups: Iterable[str] | None = None,
    reference: float | None = None,
    language: Language = "zh",
) -> Figure:
    """Return how a feature is spread over households, for all of them or by group.

    Parameters
    ----------
    values : array_like of float, shape (n_households,)
        Missing values are left out and counted in the title.
    label : Bilingual
        Name of the feature with its unit.
    groups : iterable of str or None
        Group of every household, such as relapsed or not; each group's bars add up to 100%.
    reference : float or None
        A line to mark, such as the monitoring line.
    language : {"zh", "en"}

    Returns
    -------
    Figure
        Histogram between the 1st and the 99th percentile; households beyond count in the outermost bars.
    """
    number = np.asarray(values, dtype=np.float64).ravel()
    known = np.isfinite(number)
    if not known.any():
        raise ContractError(
            "RR305", "values", "no known value", "at least one number", "Pass another feature"
        )
    group = np.asarray([""] * number.size if groups is None else list(groups), dtype=object)[known]
    low, high = (float(end) for end in np.percentile(number[known], [1, 99]))
    high = high if high > low else low + 1.0
    edges, inside = np.linspace(low, high, 31), np.clip(number[known], low, high)
    from relapse_risk.outputs.chart import chart

    with chart(language, 6.4, 3.8) as (figure, axes, letters):
        for place, name in enumerate(sorted(set(group))):
            share, _ = np.histogram(inside[group == name], bins=edges)
            shown = letters.legible(str(name), f"no. {place + 1}")
            heights, colour = share / max(int(share.sum()), 1), _SERIES[place % len(_SERIES)]
            axes.stairs(heights, edges, fill=groups is None, color=colour, label=shown, linewidth=1.8)
        if reference is not None:
            marked = f"{letters.text(Bilingual('参考线', 'reference'))} {reference:g}"
            axes.axvline(reference, color=_RAISES, linestyle="--", linewidth=1.2, label=marked)
        _as_percent(axes, x=False, y=True)
        axes.grid(visible=True, axis="y")
        axes.set_xlabel(letters.legible(letters.text(label), label.en))
        _name(axes, letters, Bilingual("户数占比", "share of households"), x=False)
        known_n, missing_n = int(known.sum()), int(number.size - known.sum())
        title = Bilingual(
            f"{known_n}户（缺失{missing_n}户；首末两柱各含最外1%）",
            f"{known_n} households ({missing_n} missing; outer 1% in the end bars)",
        )
        axes.set_title(letters.text(title))
        if groups is not None or reference is not None:
            axes.legend()
    return figure


def _with_columns(table: Rows, columns: Sequence[str], where: str) -> pd.DataFrame:
    frame = table.to_pandas() if isinstance(table, pl.DataFrame) else pd.DataFrame(table)
    missing = [column for column in columns if column not in frame.columns]
    if missing or frame.empty:
        found = f"no column {', '.join(missing)}" if missing else "no row"
        raise ContractError(
            "RR303", where, found, f"rows with {', '.join(columns)}", "Pass a frame with these columns"
        )
    return frame


def _numbers(column: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(column, dtype=np.float64)


def _policy_order(policy: str) -> tuple[int, str]:
    known = list(_POLICIES)
    return (known.index(policy) if policy in known else len(known), policy)


def _gain_of_policy(frame: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return visited and found shares, rising from (0, 0), pooled over origins."""
    capacity, n = _numbers(frame["capacity"]), _numbers(frame["n"])
    events = _numbers(frame["events"])
    found = np.where(events > 0, _numbers(frame["recall_at_capacity"]) * events, 0.0)
    visits = np.where(capacity < 1, capacity * n, capacity)
    visited, recall = [0.0], [0.0]
    for level in np.unique(capacity):
        rows = capacity == level
        visited.append(float(visits[rows].sum() / n[rows].sum()))
        recall.append(float(found[rows].sum() / max(events[rows].sum(), 1.0)))
    order = np.argsort(visited, kind="stable")
    return np.asarray(visited)[order], np.asarray(recall)[order]


def _largest_first(attributions: pd.DataFrame, limit: int) -> tuple[pd.DataFrame, int]:
    """Return the rows by size, those past ``limit`` added up into a last one, and how many those are."""
    order = np.argsort(-np.abs(_numbers(attributions["contribution"])), kind="stable")
    frame = attributions.iloc[order].reset_index(drop=True)
    rest = frame.iloc[limit:]
    if rest.empty:
        return frame, 0
    last = pd.DataFrame({"zh": [""], "en": [""], "contribution": [float(rest["contribution"].sum())]})
    return pd.concat([frame.iloc[:limit], last], ignore_index=True), len(rest)


def _longest_label(steps: pd.DataFrame, language: Language) -> int:
    """Return the width of the longest label in Latin letters; a Chinese character takes two."""
    values = steps["value"].fillna("").astype(str) if "value" in steps else pd.Series("", index=steps.index)
    labels = steps[language].astype(str) + " " + values
    return max((sum(2 if letter > "\u2e7f" else 1 for letter in label) for label in labels), default=0)


def _reason_labels(steps: pd.DataFrame, rest_n: int, letters: Lettering) -> list[str]:
    labels = []
    for row in steps.to_dict("records"):
        name = letters.legible(str(row[letters.language]), str(row["en"]))
        value = row.get("value")
        shown = letters.legible(value, "") if isinstance(value, str) else ""
        labels.append(f"{name} {shown}".strip())
    if rest_n:
        labels[-1] = letters.text(Bilingual(f"其余{rest_n}项", f"{rest_n} others"))
    return labels


def _name(axes: Axes, letters: Lettering, label: Bilingual, x: bool) -> None:
    (axes.set_xlabel if x else axes.set_ylabel)(letters.text(label))


def _as_percent(axes: Axes, x: bool, y: bool) -> None:
    from matplotlib.ticker import FuncFormatter

    for axis, is_share in ((axes.xaxis, x), (axes.yaxis, y)):
        if is_share:
            axis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.4g}%"))
