"""The tables about what was judged, and what was not seen, for the pages of a backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from relapse_risk.evaluation.censoring import GREATEST_WEIGHT
from relapse_risk.evaluation.missed import FEWEST
from relapse_risk.vocabulary import Bilingual, Language

Table = list[list[str]]
_POLICIES = {
    "rules": Bilingual("规则", "rules"),
    "model": Bilingual("模型", "model"),
    "rules+model": Bilingual("规则＋模型", "rules+model"),
}
_FEW = Bilingual("太少", "too few")


def kinds_table(kinds: pl.DataFrame, capacity: float, language: Language) -> Table:
    """Return what lists find of every kind of relapse at one capacity: a header, and a line a kind.

    Parameters
    ----------
    kinds : polars.DataFrame
        Of :func:`~relapse_risk.evaluation.kinds.found_by_kind`.
    capacity : float
    language : {"zh", "en"}
    """
    zh = language == "zh"
    header = ["种类" if zh else "kind", "户次" if zh else "households", "返贫" if zh else "relapses"]
    header += [
        (f"{one.zh}发现：查全率" if zh else f"found by {one.en}: recall") for one in _POLICIES.values()
    ]
    header += (
        ["模型命中率", "模型 AUC", "模型 PR-AUC"]
        if zh
        else ["precision of model", "AUC of model", "PR-AUC of model"]
    )
    table = [header]
    at = kinds.filter((pl.col("capacity") == capacity) & pl.col("policy").is_in(list(_POLICIES)))
    for (_,), rows in at.group_by("kind", maintain_order=True):
        by_policy = {row["policy"]: row for row in rows.iter_rows(named=True)}
        model = by_policy["model"]
        digits = 1 if model["kind"] == "shortfall" else 0
        line = [model["zh" if zh else "en"], f"{model['n']:.0f}", f"{model['events']:.{digits}f}"]
        # A sum of gaps is no count; whether there are enough of them is seen from the lasting relapses.
        is_few = model["events"] < FEWEST and model["kind"] != "shortfall"
        line += [_FEW.text(language) if is_few else _share(by_policy[name], "recall") for name in _POLICIES]
        figures = ("precision", "roc_auc", "pr_auc")
        line += ["–" if is_few else _figure(model, name) for name in figures]
        table.append(line)
    return table


def kinds_sentences(kinds: pl.DataFrame, capacity: float, language: Language) -> list[str]:
    """Return what sets lasting relapses and falls of income apart from the others, in plain words."""
    at = kinds.filter(capacity=capacity, policy="rules+model")
    rows = {row["kind"]: row for row in at.iter_rows(named=True)}
    by_model = kinds.filter(capacity=capacity, policy="model", kind="later_event")
    later = next(by_model.iter_rows(named=True), None)
    sentences = []
    if "lasting" in rows:
        every, lasting = rows["first_event"], rows["lasting"]
        told = lasting["events"] + (rows["passing"]["events"] if "passing" in rows else 0)
        sentences.append(
            Bilingual(
                f"{every['events']:.0f} 户次返贫中，{told:.0f} 户次可判断是否持续，其中 "
                f"{lasting['events']:.0f} 户次持续6个月以上；规则＋模型发现全部返贫的 {_percent(every)}，"
                f"持续返贫的 {_percent(lasting)}。",
                f"Of {every['events']:.0f} relapses it is seen of {told:.0f} whether they lasted: "
                f"{lasting['events']:.0f} did for six months or more. rules+model finds {_percent(every)} of "
                f"all and {_percent(lasting)} of the lasting ones.",
            )
        )
    if "income_fell" in rows or "line_rose" in rows:
        n = rows["line_rose"]["events"] if "line_rose" in rows else 0
        sentences.append(
            Bilingual(
                f"仅因监测线提高的有 {n:.0f} 户次：按窗口前的监测线不算返贫。",
                f"{n:.0f} relapses came only from a line that rose: under the line before the window they "
                f"are none.",
            )
        )
    if later is not None and later["predicted"] is not None:
        sentences.append(
            Bilingual(
                f"前半段未返贫的 {later['n']:.0f} 户次中，模型预计后半段返贫 {later['predicted']:.1f} 户次，"
                f"实际 {later['events']:.0f} 户次。",
                f"Of {later['n']:.0f} household-dates free in the first half of the window the model "
                f"expected {later['predicted']:.1f} relapses in the second; {later['events']:.0f} came.",
            )
        )
    return [sentence.text(language) for sentence in sentences]


_FIGURES = {
    "event_share": Bilingual("返贫比例", "share of relapses"),
    "precision": Bilingual("命中率", "precision"),
    "recall": Bilingual("查全率", "recall"),
}
_EXITS = {
    "none": Bilingual("未退出（含个别期次缺报）", "none (single reports may lack)"),
    "died": Bilingual("全户去世", "all died"),
    "moved": Bilingual("全户迁出", "all moved away"),
    "dissolved": Bilingual("户已解散（去世与迁出或原因不详）", "dissolved, by either or not told"),
    "unseen": Bilingual("仍有人在户而不再上报", "no more reports, members still there"),
}


def censoring_table_rows(censoring: pl.DataFrame, capacity: float, language: Language) -> Table:
    """Return the figures of complete cases, weighted, and bounds at one capacity: a header and lines.

    Parameters
    ----------
    censoring : polars.DataFrame
        Of :func:`~relapse_risk.evaluation.censoring.censoring_table`.
    capacity : float
    language : {"zh", "en"}
    """
    header = Bilingual(
        "指标|已知结果|加权（95%区间）|下界…上界", "figure|complete cases|weighted (95%)|bounds"
    )
    table = [header.text(language).split("|")]
    at = censoring.filter(pl.col("capacity").is_null() | (pl.col("capacity") == capacity))
    for row in at.iter_rows(named=True):
        name = _FIGURES[row["figure"]].text(language)
        if row["policy"] is not None:
            name = f"{name} · {_POLICIES[row['policy']].text(language)}"
        bounds = f"{_number(row['bound_low'])} … {_number(row['bound_high'])}"
        table.append([name, _number(row["complete"]), _figure(row, "weighted"), bounds])
    return table


def exits_table_rows(exits: pl.DataFrame, language: Language) -> Table:
    """Return who ceased to be seen, and why: a header and lines; kinds of exit that nobody took are left out.

    Parameters
    ----------
    exits : polars.DataFrame
        Of :func:`~relapse_risk.evaluation.censoring.exits_table`.
    language : {"zh", "en"}
    """
    header = Bilingual(
        "上报中止原因|户次|其中返贫|未返贫|结果未知",
        "why reports ended|households|relapsed|did not|not known",
    )
    rows = exits.filter((pl.col("n") > 0) | (pl.col("exit") == "none")).iter_rows()
    return [
        header.text(language).split("|"),
        *([_EXITS[name].text(language), *(str(count) for count in counts)] for name, *counts in rows),
    ]


def censoring_sentence(censoring: pl.DataFrame, language: Language) -> str:
    """Return what the weights rest on, and how large they are."""
    row = censoring.row(0, named=True)
    return Bilingual(
        f"{row['n']} 户次中 {row['n_censored']} 户次结果未知。加权：按户类型、人口和是否全为老人分组，"
        f"以仍可观察的概率的倒数加权（最大 {row['largest_weight']:.2f}，超过 {GREATEST_WEIGHT:g} 的"
        f" {row['n_bounded']} 个按 {GREATEST_WEIGHT:g} 计）；上下界不作任何假设。",
        f"The outcome of {row['n_censored']} of {row['n']} is not known. Weighted: by the inverse "
        f"probability of being seen, by household type, size and whether all are elders (largest "
        f"{row['largest_weight']:.2f}; {row['n_bounded']} above {GREATEST_WEIGHT:g} count as "
        f"{GREATEST_WEIGHT:g}). The bounds assume nothing.",
    ).text(language)


def markdown_lines(table: Table) -> list[str]:
    """Return a table, its header first, as lines of Markdown."""
    lines = [f"| {' | '.join(row)} |" for row in table]
    return [lines[0], "|" + "---|" * len(table[0]), *lines[1:]]


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['recall']:.0f}%"


def _share(row: Mapping[str, Any], name: str) -> str:
    return f"{row['found']:.1f}: {_figure(row, name)}"


def _figure(row: Mapping[str, Any], name: str) -> str:
    value, low, high = (row[name + suffix] for suffix in ("", "_low", "_high"))
    return _number(value) if value is None or low is None else f"{value:.3f} ({low:.3f} … {high:.3f})"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
