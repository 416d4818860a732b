"""The tables about what was judged, and what was not seen, for the pages of a backtest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

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
    header += [(f"{one.zh}发现" if zh else f"found by {one.en}") for one in _POLICIES.values()]
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
    if value is None:
        return "–"
    return f"{value:.3f}" if low is None else f"{value:.3f} ({low:.3f} … {high:.3f})"
