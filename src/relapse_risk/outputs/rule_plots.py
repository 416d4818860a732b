"""Pictures of the rules: who hits what, what a threshold does to the caseload, what coverage lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from relapse_risk.errors import ContractError
from relapse_risk.rules.apply import summarise
from relapse_risk.rules.caseload import CANDIDATES, By, CaseloadCurve, WhatIf
from relapse_risk.rules.roll_up import INDICATORS, RollUp
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    from relapse_risk.outputs.chart import Chart

_NOW, _THEN, _UNKNOWN, _BAD = "#8a8a8a", "#0072b2", "#d9d9d9", "#c0392b"
_CATEGORY_COLOURS = dict(zip(CANDIDATES, ("#c0392b", "#e69f00", "#0072b2"), strict=True))
_CATEGORY_NAMES = {
    "脱贫不稳定户": Bilingual("脱贫不稳定户", "unstable lifted"),
    "边缘易致贫户": Bilingual("边缘易致贫户", "marginal"),
    "突发严重困难户": Bilingual("突发严重困难户", "severe sudden hardship"),
}
_KEYS: dict[str, tuple[str, Bilingual]] = {
    "category": ("category", Bilingual("类别", "category")),
    "township": ("township_name", Bilingual("乡镇", "township")),
    "labour_class": ("labour_class", Bilingual("劳动能力", "labour class")),
    "county": ("county_name", Bilingual("县", "county")),
}
_LABOUR = {
    "有": Bilingual("有", "able"),
    "弱": Bilingual("弱", "weak"),
    "无": Bilingual("无", "none"),
    "不明": Bilingual("不明", "not known"),
}


def plot_rule_hits(hits: RuleHits, language: Language = "zh") -> Chart:
    """Return how many households each rule hits, and for how many it can't judge.

    Parameters
    ----------
    hits : RuleHits
        Of one as-of date and all rules of the catalogue.
    language : {"zh", "en"}

    Returns
    -------
    Chart
        A bar a rule; the grey end, and the number with ?, is "cannot judge", which is not "no hit".
    """
    counts = summarise(hits)
    from relapse_risk.outputs.chart import chart

    with chart(language, 7.2, 1.2 + 0.24 * counts.height) as (figure, axes, letters):
        rows = np.arange(counts.height)
        hit, unknown = counts["hit"].to_numpy(), counts["cannot_judge"].to_numpy()
        axes.barh(rows, hit, color=_THEN, height=0.7, label=letters.text(Bilingual("命中", "hit")))
        label = letters.text(Bilingual("无法判断", "cannot judge"))
        bars = axes.barh(rows, unknown, left=hit, color=_UNKNOWN, height=0.7, label=label)
        texts = [
            f"{n}" + (f" ({u}?)" if u else "") if n or u else "" for n, u in zip(hit, unknown, strict=True)
        ]
        axes.bar_label(bars, labels=texts, padding=3, fontsize=8)
        axes.margins(x=0.08)
        names = counts.select(pl.concat_str("code", letters.language, separator=" "))["code"].to_list()
        axes.set_yticks(rows, labels=names)
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.set_ylim(counts.height - 0.4, -0.6)
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(letters.text(Bilingual("户数", "households")))
        axes.set_title(letters.text(Bilingual("各规则命中户数", "Households hit by each rule")))
        axes.legend(loc="lower right")
    return figure


def plot_caseload_curve(curve: CaseloadCurve, language: Language = "zh") -> Chart:
    """Return the number of candidates of each category, stacked, at each value of the parameter.

    Parameters
    ----------
    curve : CaseloadCurve
    language : {"zh", "en"}

    Returns
    -------
    Chart
        Higher means more households to verify; dashed lines mark the values in force.
    """
    wide = curve.frame.pivot("category", index="value", values="households")
    from relapse_risk.outputs.chart import chart

    with chart(language, 6.4, 3.8) as (figure, axes, letters):
        values = wide["value"].to_numpy()
        axes.stackplot(
            values,
            [wide[name].to_numpy() for name in CANDIDATES],
            labels=[letters.text(_CATEGORY_NAMES[name]) for name in CANDIDATES],
            colors=[_CATEGORY_COLOURS[name] for name in CANDIDATES],
            alpha=0.85,
        )
        for value in curve.in_force:
            if values[0] <= value <= values[-1]:
                marked = letters.text(Bilingual("现行", "in force"))
                axes.axvline(value, color="black", linestyle="--", linewidth=1, label=f"{marked} {value:g}")
        axes.set_xlim(values[0], values[-1])
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, axis="y")
        axes.set_xlabel(curve.param)
        axes.set_ylabel(letters.text(Bilingual("候选户数", "candidate households")))
        axes.set_title(letters.text(Bilingual("阈值与候选户数", "The threshold and the caseload")))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_what_if(what_if: WhatIf, by: By = "category", language: Language = "zh") -> Chart:
    """Return candidates now and then, side by side, by category, township, labour class or county.

    Parameters
    ----------
    what_if : WhatIf
    by : {"category", "township", "labour_class", "county"}
    language : {"zh", "en"}

    Returns
    -------
    Chart
        Beside each pair stands how many enter and leave.

    Raises
    ------
    ContractError
        RR306 where ``by`` is something else.
    """
    if by not in _KEYS:
        raise ContractError("RR306", "by", f"{by!r}", ", ".join(_KEYS), "Choose one of these")
    column, label = _KEYS[by]
    table = what_if.table(by)
    from relapse_risk.outputs.chart import chart

    with chart(language, 6.4, 1.4 + 0.46 * table.height) as (figure, axes, letters):
        rows = np.arange(table.height)
        shown = {**_CATEGORY_NAMES, **_LABOUR}
        names = [
            letters.text(shown[key]) if key in shown else letters.legible(key, f"no. {place}")
            for place, key in enumerate(table[column].fill_null("").to_list(), 1)
        ]
        for offset, name, colour, text in (
            (-0.2, "now", _NOW, Bilingual("现行", "now")),
            (0.2, "then", _THEN, Bilingual("测算", "then")),
        ):
            bars = axes.barh(
                rows + offset, table[name].to_numpy(), height=0.38, color=colour, label=letters.text(text)
            )
            moved = [f"{n}" for n in table[name]]
            if name == "then":
                moves = table.select("then", "entering", "leaving").rows()
                moved = [f"{n}  (+{e} \N{MINUS SIGN}{out})" if e or out else f"{n}" for n, e, out in moves]
            axes.bar_label(bars, labels=moved, padding=3, fontsize=8.5)
        axes.margins(x=0.16)
        axes.set_yticks(rows, labels=names)
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(letters.text(Bilingual("候选户数", "candidate households")))
        title = Bilingual("按{by}：{what}", "By {by}: {what}")
        changed = "; ".join(f"{param} → {then:g}" for param, _, then in what_if.changes)
        axes.set_title(letters.text(title).format(by=letters.text(label), what=changed))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_coverage(result: RollUp, group: str = "all", language: Language = "zh") -> Chart:
    """Return, for each guarantee, the shares of a group that are not covered and not known.

    Parameters
    ----------
    result : RollUp
        All its counties together.
    group : str
        all, lifted, monitored or low_income.
    language : {"zh", "en"}

    Returns
    -------
    Chart
        Only what falls short of the target is drawn: covered is what is left up to 100%. The counts stand
        beside the bars.
    """
    table = (
        result.coverage.filter(pl.col("group") == group)
        .group_by("indicator")
        .agg(pl.col("met", "unmet", "unknown").sum())
    )
    counts = {row["indicator"]: row for row in table.to_dicts()}
    from relapse_risk.outputs.chart import chart

    with chart(language, 6.8, 2.9) as (figure, axes, letters):
        rows = np.arange(len(INDICATORS))
        found = [counts[one.key] for one in INDICATORS]
        total = np.array([max(row["met"] + row["unmet"] + row["unknown"], 1) for row in found])
        unmet, unknown = (np.array([row[name] for row in found]) for name in ("unmet", "unknown"))
        label = letters.text(Bilingual("未落实", "not covered"))
        axes.barh(rows, 100 * unmet / total, color=_BAD, height=0.55, label=label)
        bars = axes.barh(
            rows,
            100 * unknown / total,
            left=100 * unmet / total,
            color=_UNKNOWN,
            height=0.55,
            label=letters.text(Bilingual("未知", "not known")),
        )
        said = Bilingual("未落实{a}，未知{b}，共{n}", "{a} not covered, {b} not known, of {n}")
        texts = [
            letters.text(said).format(a=a, b=b, n=n) for a, b, n in zip(unmet, unknown, total, strict=True)
        ]
        axes.bar_label(bars, labels=texts, padding=4, fontsize=8.5)
        axes.set_yticks(rows, labels=[letters.text(one.name) for one in INDICATORS])
        axes.tick_params(axis="y", length=0)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.6 * max(float((100 * (unmet + unknown) / total).max()), 0.5))
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(letters.text(Bilingual("占比（%）", "share (%)")))
        axes.set_title(letters.text(Bilingual("距目标（100%）的差距", "What is short of the target of 100%")))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure
