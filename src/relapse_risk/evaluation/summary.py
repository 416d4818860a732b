"""The backtest on one page, in Chinese and English, for a reader who must decide on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from relapse_risk.evaluation.estimand_tables import (
    censoring_sentence,
    censoring_table_rows,
    exits_table_rows,
    kinds_sentences,
    kinds_table,
    markdown_lines,
)
from relapse_risk.evaluation.intervals import TOO_FEW_CLUSTERS
from relapse_risk.evaluation.records import COMPARED_WITH, Record
from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    from relapse_risk.evaluation.result import BacktestResult

NAMES = {
    "random": Bilingual("随机", "random"),
    "best_indicator": Bilingual("最佳单一指标", "best indicator"),
    "rules": Bilingual("规则", "rules"),
    "rules_random_fill": Bilingual("规则（余额随机）", "rules, spare visits at random"),
    "logistic": Bilingual("逻辑回归", "logistic"),
    "scorecard": Bilingual("计分卡", "scorecard"),
    "model": Bilingual("模型", "model"),
    "rules+model": Bilingual("规则＋模型", "rules+model"),
    "oracle": Bilingual("真实风险（上限）", "oracle (upper bound)"),
}
_HEADER = Bilingual(
    "策略 | 走访户次 | 发现 | 命中率（95%区间） | 查全率 | AUC | PR-AUC | Brier | 比规则多发现（95%区间）",
    "policy | visits | found | precision (95%) | recall | AUC | PR-AUC | Brier | found over rules (95%)",
)
_COMPARISONS = (("rules+model", "rules"), ("model", "rules"), ("model", "logistic"))


def summary_markdown(result: BacktestResult) -> str:
    """Return the summary as Markdown: Chinese first, then English."""
    return "\n\n".join(_section(result, language) for language in ("zh", "en")) + "\n"


def kinds_and_exits(result: BacktestResult) -> Bilingual:
    """Return what lists find of every kind of relapse, and what was not seen, as Markdown for a card."""
    texts = {}
    for language in ("zh", "en"):
        sentences = kinds_sentences(result.kinds, result.audited_capacity, language)
        lines = [*_kinds_and_exits(result, language), "", *(f"- {sentence}" for sentence in sentences)]
        texts[language] = "\n".join(lines).rstrip()
    return Bilingual(texts["zh"], texts["en"])


def _kinds_and_exits(result: BacktestResult, language: Language) -> list[str]:
    shown_at = result.audited_capacity
    title = _text(language, "各类返贫，容量", "Kinds of relapse, capacity")
    lines = [f"## {title} {_capacity(shown_at, language)}", ""]
    lines += markdown_lines(kinds_table(result.kinds, shown_at, language))
    title = _text(language, "未能完整观察的家庭", "Who was not wholly seen")
    lines += ["", f"## {title}", "", censoring_sentence(result.censoring, language), ""]
    lines += markdown_lines(censoring_table_rows(result.censoring, shown_at, language))
    return [*lines, "", *markdown_lines(exits_table_rows(result.exits, language))]


def comparison_sentences(pooled: list[Record], language: Language) -> list[str]:
    """Return one plain sentence per comparison and capacity: more, fewer, or not told apart.

    Parameters
    ----------
    pooled : list of dict
        Records over all origins.
    language : {"zh", "en"}
    """
    by_key = {(record["policy"], record["capacity"]): record for record in pooled}
    capacities = dict.fromkeys(record["capacity"] for record in pooled)
    return [
        _comparison(by_key[policy, capacity], other, language)
        for policy, other in _COMPARISONS
        for capacity in capacities
        if (policy, capacity) in by_key and (other, capacity) in by_key
    ]


def _comparison(record: Record, other: str, language: Language) -> str:
    name = f"found_over_{other}"
    extra, low, high = record[name], record[f"{name}_low"], record[f"{name}_high"]
    verdict = _verdict(extra, low, high, is_too_few=bool(record["is_too_few_clusters"]))
    interval = "" if low is None else f"{low:+.1f} … {high:+.1f}"
    subject, compared = NAMES[record["policy"]].text(language), NAMES[other].text(language)
    capacity = _capacity(record["capacity"], language)
    if language == "zh":
        shown = f"（差值的95%区间 {interval}）" if interval else ""
        amount = f"{'少' if extra < 0 else '多'}发现 {abs(extra):.1f} 户次"
        return f"容量 {capacity}：{subject}比{compared}{amount}{shown}。{verdict.zh}"
    shown = f" (95% of the difference {interval})" if interval else ""
    amount = f"{abs(extra):.1f} {'fewer' if extra < 0 else 'more'} relapses than"
    return f"Capacity {capacity}: {subject} finds {amount} {compared}{shown}. {verdict.en}"


def _verdict(extra: float, low: float | None, high: float | None, *, is_too_few: bool) -> Bilingual:
    beaten = Bilingual("没有胜出。", "It does not win.") if extra <= 0 else Bilingual("", "")
    if low is None or high is None or is_too_few:
        return Bilingual(f"{beaten.zh}数据太少，不足以判断。", f"{beaten.en} Too few to judge.".strip())
    if low > 0:
        return Bilingual("明确更多。", "Clearly more.")
    if high < 0:
        return Bilingual("明确更少，没有胜出。", "Clearly fewer: it does not win.")
    return Bilingual(f"{beaten.zh}不能区分二者。", f"{beaten.en} The two can't be told apart.".strip())


def _section(result: BacktestResult, language: Language) -> str:
    pooled = result.pooled
    first = pooled[0]
    origins = [entry["origin"] for entry in result.origins]
    horizon = result.experiment.label.horizon_months
    lines = [
        _text(language, f"# 回测结果：{result.experiment.name}", f"# Backtest: {result.experiment.name}"),
        "",
        _text(
            language,
            f"在 {len(origins)} 个日期（{origins[0]} 至 {origins[-1]}）判断其后 {horizon} 个月："
            f"有风险且结果已知的家庭 {first['n']} 户次，其中返贫 {first['events']} 户次；"
            f"另有 {first['n_censored']} 户次结果未完整观察到，不计入。各策略走访次数相同。",
            f"Judged on {len(origins)} dates ({origins[0]} to {origins[-1]}), {horizon} months ahead: "
            f"{first['n']} household-dates at risk with a known outcome, {first['events']} of them relapses; "
            f"{first['n_censored']} more were not wholly observed and are left out. All policies spend the "
            f"same visits.",
        ),
    ]
    for capacity in dict.fromkeys(record["capacity"] for record in pooled):
        rows = [record for record in pooled if record["capacity"] == capacity]
        lines += ["", f"## {_text(language, '容量', 'Capacity')} {_capacity(capacity, language)}", ""]
        lines += _table(rows, language)
    shown_at = result.audited_capacity
    lines += [
        "",
        *_kinds_and_exits(result, language),
        "",
        _text(language, "## 直说", "## In plain words"),
        "",
    ]
    lines += [f"- {sentence}" for sentence in comparison_sentences(pooled, language)]
    lines += [f"- {sentence}" for sentence in kinds_sentences(result.kinds, shown_at, language)]
    lines += [f"- {sentence}" for sentence in _calibration(result, language)]
    lines += [f"- {sentence}" for sentence in _lead_times(pooled, language)]
    if first["is_too_few_clusters"]:
        lines.append(
            _text(
                language,
                f"- 仅有 {first['n_clusters']} 个区域单元（少于 {TOO_FEW_CLUSTERS} 个），区间仅供参考。",
                f"- Only {first['n_clusters']} clusters (fewer than {TOO_FEW_CLUSTERS}): read the intervals "
                f"with care.",
            )
        )
    lines += [f"- ⚠ {notice.shown(language)}" for notice in result.alarm_notices]
    lines += [f"- {notice.shown(language)}" for notice in result.note_notices]
    return "\n".join(lines)


def _table(rows: list[Record], language: Language) -> list[str]:
    header = _HEADER.text(language)
    lines = [f"| {header} |", "|" + "---|" * (header.count("|") + 1)]
    for record in rows:
        cells = [
            NAMES[record["policy"]].text(language),
            str(record["visits"]),
            _number(record["found"], 1),
            _with_interval(record, "precision_at_capacity", 3),
            _number(record["recall_at_capacity"], 3),
            _number(record["roc_auc"], 3),
            _number(record["pr_auc"], 3),
            _number(record["brier"], 4),
            "–" if record["policy"] == COMPARED_WITH[0] else _with_interval(record, "found_over_rules", 1),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _lead_times(pooled: list[Record], language: Language) -> list[str]:
    """Return what rules, and rules and model, know of relapses beforehand, a sentence a capacity."""
    at = {(record["policy"], record["capacity"]): record for record in pooled}
    sentences = []
    for capacity in dict.fromkeys(record["capacity"] for record in pooled):
        rules, both = at["rules", capacity], at["rules+model", capacity]
        figures = [
            _number(one[name], 2)
            for name in ("lead_90_days_share", "lead_days_mean")
            for one in (rules, both)
        ]
        before = _number(both["listed_before_rule_hit_share"], 2)
        shown = _capacity(capacity, language)
        sentences.append(
            _text(
                language,
                f"容量 {shown}：提前90天以上列入名单的返贫占比，规则 {figures[0]}，规则＋模型 {figures[1]}；"
                f"平均提前天数（未列入计为0）{figures[2]} 和 {figures[3]}；"
                f"规则＋模型在任何规则触发之前列入的占 {before}。",
                f"Capacity {shown}: listed 90 days ahead or more: rules {figures[0]}, rules+model "
                f"{figures[1]} of all relapses; days ahead on average, never listed as 0: "
                f"{figures[2]} and {figures[3]}; listed by rules+model before any rule hit: {before}.",
            )
        )
    return sentences


def _calibration(result: BacktestResult, language: Language) -> list[str]:
    for entry in result.calibration:
        if entry["policy"] == "model":
            slope = _number(entry["calibration_slope"], 2)
            shift = _number(entry["calibration_in_the_large"], 2)
            return [
                _text(
                    language,
                    f"模型校准：斜率 {slope}（1 为宜），整体偏移 {shift}（0 为宜；大于 0 表示风险估低了）。",
                    f"Calibration of the model: slope {slope} (1 is right), shift {shift} (0 is right; above "
                    f"0 the risks are too low).",
                )
            ]
    return []


def _capacity(capacity: float, language: Language) -> str:
    return f"{100 * capacity:g}%" if capacity < 1 else _text(language, f"{capacity:g} 户", f"{capacity:g}")


def _with_interval(record: Record, name: str, digits: int) -> str:
    low, high = record[f"{name}_low"], record[f"{name}_high"]
    shown = _number(record[name], digits)
    return shown if low is None else f"{shown} ({_number(low, digits)} … {_number(high, digits)})"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _text(language: Language, zh: str, en: str) -> str:
    return zh if language == "zh" else en
