"""A backtest to be looked at in a browser: gain, reliability and groups as pictures, and one page of all."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from relapse_risk.evaluation.estimand_tables import (
    Table,
    censoring_sentence,
    censoring_table_rows,
    exits_table_rows,
    kinds_sentences,
    kinds_table,
)
from relapse_risk.evaluation.result import BacktestResult
from relapse_risk.evaluation.summary import NAMES, comparison_sentences
from relapse_risk.files import write_together
from relapse_risk.outputs.chart import chart, svg_bytes
from relapse_risk.outputs.plots import plot_gain, plot_reliability
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

if TYPE_CHECKING:
    from relapse_risk.outputs.chart import Chart

PAGE_FILE = "report.html"
_COLOURS = {"rules": "#e69f00", "model": "#0072b2", "rules+model": "#c0392b"}
_ROWS_SHOWN = 15
_CAPACITY = Bilingual(
    "各级容量之间新增走访的发现（红级户全部走访，不在其内）。新增走访发现的返贫户降到不值得再走一户时，容量即已足够；"
    "区间按整村重抽样，区间重叠的两级不能区分。",
    "What the visits between one capacity and the next find, households in red apart, since all of those are "
    "visited. Capacity is enough where a further visit finds too little to be worth it. Intervals are over "
    "whole villages; steps whose intervals overlap can't be told apart.",
)
_STYLE = """body{font-family:"Noto Sans CJK SC","Microsoft YaHei",sans-serif;margin:2rem auto;max-width:70rem;
padding:0 1rem;color:#222}table{border-collapse:collapse;margin:.5rem 0}td,th{border-bottom:1px solid #ddd;
padding:.2rem .7rem;text-align:right}td:first-child,th:first-child{text-align:left}.few{color:#999}
svg{max-width:100%;height:auto}.pictures{display:flex;flex-wrap:wrap;gap:1rem}"""


def plot_groups(groups: pl.DataFrame, capacity: float, language: Language = "zh") -> Chart:
    """Return the share of relapses that lists find in every group, with 95% intervals.

    Parameters
    ----------
    groups : polars.DataFrame
        Of :func:`~relapse_risk.evaluation.missed.errors_by_group`.
    capacity : float
        Which of its capacities.
    language : {"zh", "en"}

    Returns
    -------
    Chart
        One row a group; pale marks are too few to judge.
    """
    known = groups.filter((pl.col("capacity") == capacity) & pl.col("recall").is_not_null())
    names = known.select("group", "zh", "en", "events").unique("group", maintain_order=True)
    with chart(language, 7.0, 1.2 + 0.42 * names.height) as (figure, axes, letters):
        place = {name: names.height - 1 - i for i, name in enumerate(names["group"])}
        for k, (policy, colour) in enumerate(_COLOURS.items()):
            label = letters.text(NAMES[policy])
            for row in known.filter(policy=policy).iter_rows(named=True):
                y = place[row["group"]] + 0.22 * (1 - k)
                alpha = 0.3 if row["recall_is_too_few"] else 1.0
                if row["recall_low"] is not None:
                    axes.plot([row["recall_low"], row["recall_high"]], [y, y], color=colour, alpha=alpha)
                axes.plot([row["recall"]], [y], "o", color=colour, alpha=alpha, markersize=4, label=label)
                label = "_"
        texts = [
            f"{letters.text(Bilingual(zh, en))} ({events:.0f})" for _, zh, en, events in names.iter_rows()
        ]
        axes.set_yticks(list(place.values()), texts)
        axes.set_xlim(0, 1)
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(
            letters.text(Bilingual("查全率（括号内为返贫户次）", "recall (relapses in brackets)"))
        )
        axes.set_title(letters.text(Bilingual("各类家庭中名单发现的比例", "What lists find, by group")))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_capacity(curve: pl.DataFrame, language: Language = "zh") -> Chart:
    """Return the relapses found per 100 further visits at each step of capacity, with 95% intervals.

    Parameters
    ----------
    curve : polars.DataFrame
        Of :func:`~relapse_risk.evaluation.capacity_curve.capacity_curve`.
    language : {"zh", "en"}

    Returns
    -------
    Chart
        A line a policy. Where it falls to what a visit at random would find, further visits find no more.
    """
    with chart(language, 6.8, 4.0) as (figure, axes, letters):
        policies = curve["policy"].unique(maintain_order=True).to_list()
        for policy in policies:
            rows = curve.filter(policy=policy)
            at, found = rows["capacity"].to_numpy(), rows["per_100_further"].to_numpy()
            label, colour = letters.text(NAMES[policy]), _COLOURS[policy]
            axes.plot(at, found, "o-", color=colour, label=label, markersize=3.5)
            low, high = (
                rows[f"per_100_further_{end}"].fill_null(np.nan).to_numpy() for end in ("low", "high")
            )
            axes.fill_between(at, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xlim(0, 1.03 * float(max(curve["capacity"].to_list(), default=1.0)))
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:.0%}")
        axes.grid(visible=True)
        axes.set_xlabel(
            letters.text(Bilingual("走访容量（占不含红级的户数）", "visits, of households not red"))
        )
        axes.set_ylabel(
            letters.text(Bilingual("每多走访100户发现的返贫户", "relapses found per 100 further visits"))
        )
        axes.set_title(letters.text(Bilingual("多走访能多发现多少", "What further visits find")))
        axes.legend(loc="upper right")
    return figure


def backtest_pictures(result: BacktestResult, language: Language = "zh") -> dict[str, bytes]:
    """Return the pictures by file name, the same bytes for the same result."""
    reliability = result.reliability.filter(policy="model")
    return {
        "gain.svg": svg_bytes(plot_gain(result.pooled, language)),
        "capacity.svg": svg_bytes(plot_capacity(result.capacity_curve, language)),
        "reliability.svg": svg_bytes(plot_reliability(reliability, language)),
        "groups.svg": svg_bytes(plot_groups(result.groups, _shown_capacity(result), language)),
    }


def backtest_html(result: BacktestResult, pictures: dict[str, bytes], language: Language = "zh") -> str:
    """Return one page with the pictures, plain sentences, groups, crosstab, selection and guards."""
    say = _in(language)
    capacity = _shown_capacity(result)
    title = f"{say('回测', 'Backtest')}: {result.experiment.name}"
    figures = "".join(picture.decode()[picture.decode().index("<svg") :] for picture in pictures.values())
    sentences = [*comparison_sentences(result.pooled, language), *_missed(result, language)]
    sentences += kinds_sentences(result.kinds, capacity, language)
    sentences += [f"⚠ {notice.shown(language)}" for notice in result.alarm_notices]
    sentences += [notice.shown(language) for notice in result.note_notices]
    groups = result.groups.filter((pl.col("capacity") == capacity) & (pl.col("policy") == "rules+model"))
    crosstab = result.crosstab.head(_ROWS_SHOWN)
    listed = NAMES["rules+model"].text(language)
    name = "zh" if language == "zh" else "en"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<div class="pictures">{figures}</div>',
        f"<h2>{say('直说', 'In plain words')}</h2><ul>",
        *(f"<li>{escape(sentence)}</li>" for sentence in sentences),
        f"</ul><h2>{say('走访容量', 'Capacity')}: {escape(listed)}</h2>",
        f"<p>{escape(_CAPACITY.text(language))}</p>",
        _text_table(_capacity_rows(result.capacity_curve, language)),
        f"<h2>{say('各类家庭', 'By group')}: {escape(listed)}, {capacity:g}</h2>",
        _group_table(groups, language),
        f"<h2>{say('各类返贫', 'Kinds of relapse')}: {capacity:g}</h2>",
        _text_table(kinds_table(result.kinds, capacity, language)),
        f"<h2>{say('未能完整观察的家庭', 'Who was not wholly seen')}: {capacity:g}</h2>",
        f"<p>{escape(censoring_sentence(result.censoring, language))}</p>",
        _text_table(censoring_table_rows(result.censoring, capacity, language)),
        _text_table(exits_table_rows(result.exits, language)),
        f"<h2>{say('名单与其余家庭', 'The list against the rest')}</h2>",
        _html_table(crosstab.select(name, "listed", "rest", "found", "missed", "listed_against_rest")),
        f"<h2>{say('按规定办法选择策略', 'Policies chosen by stated rules')}</h2>",
        _html_table(result.selection),
        f"<p>{escape(SCORE_DISCLAIMER.text(language))}</p>",
    ]
    head = f'<meta charset="utf-8"><title>{escape(title)}</title><style>{_STYLE}</style>'
    return f'<!doctype html><html lang="{language}"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def write_backtest(result: BacktestResult, out: Path, language: Language = "zh") -> tuple[Path, ...]:
    """Write the result as :meth:`BacktestResult.write` does, and pictures and ``report.html`` beside it."""
    pictures = backtest_pictures(result, language)
    page = backtest_html(result, pictures, language).encode()
    return (*write_together({**pictures, PAGE_FILE: page}, out), *result.write(out))


def _shown_capacity(result: BacktestResult) -> float:
    return result.audited_capacity


def _capacity_rows(curve: pl.DataFrame, language: Language) -> Table:
    """Return the capacity curve of the list, as it is read."""
    say = _in(language)
    header = [
        say("容量", "capacity"),
        say("走访户次", "visits"),
        say("发现", "found"),
        say("查全率", "recall"),
        say("新增走访", "further visits"),
        say("每新增100户发现（95%区间）", "found per 100 further (95%)"),
    ]
    rows = []
    for row in curve.filter(policy="rules+model").iter_rows(named=True):
        low, high = row["per_100_further_low"], row["per_100_further_high"]
        interval = "" if low is None else f" ({low:.1f}–{high:.1f})"
        recall = "–" if row["recall"] is None else f"{row['recall']:.1%}"
        counts = [f"{row['capacity']:.1%}", str(row["visits"]), f"{row['found']:.1f}", recall]
        rows.append([*counts, str(row["further_visits"]), f"{row['per_100_further']:.1f}{interval}"])
    return [header, *rows]


def _missed(result: BacktestResult, language: Language) -> list[str]:
    at = next(r for r in result.pooled if r["capacity"] == _shown_capacity(result))
    n, events = result.missed.height, at["events"]
    zh = f"{events} 户次返贫中，有 {n} 户次既无规则触发，也未（必定）列入模型名单。"
    en = f"Of {events} relapses, {n} were named by no rule and not surely listed by the model."
    return [zh if language == "zh" else en]


def _group_table(groups: pl.DataFrame, language: Language) -> str:
    say = _in(language)
    few = say("样本太少，不足以判断", "too few to judge")
    header = (
        say("组", "group"),
        say("户次", "households"),
        say("返贫", "relapses"),
        say("入选率", "selected"),
        say("命中率", "precision"),
        say("查全率", "recall"),
    )
    lines = []
    for row in groups.iter_rows(named=True):
        cells = [escape(row["zh" if language == "zh" else "en"]), f"{row['n']:.0f}", f"{row['events']:.0f}"]
        for name in ("selection_rate", "precision", "recall"):
            if row[f"{name}_is_too_few"]:
                cells.append(f'<span class="few">{few}</span>')
            else:
                low, high = row[f"{name}_low"], row[f"{name}_high"]
                shown = "" if low is None else f" ({low:.3f}–{high:.3f})"
                cells.append(f"{row[name]:.3f}{shown}")
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _text_table(table: Table) -> str:
    cells = [[escape(cell) for cell in row] for row in table]
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in cells[1:]]
    return f"<table><tr>{''.join(f'<th>{cell}</th>' for cell in cells[0])}</tr>{''.join(lines)}</table>"


def _html_table(frame: pl.DataFrame) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in frame.columns)
    lines = [
        "<tr>" + "".join(f"<td>{escape(_cell(value))}</td>" for value in row) + "</tr>"
        for row in frame.iter_rows()
    ]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return "–"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _in(language: Language) -> Callable[[str, str], str]:
    return lambda zh, en: zh if language == "zh" else en
