from __future__ import annotations

import pytest

from relapse_risk.evaluation.backtest import run_backtest
from relapse_risk.evaluation.summary import comparison_sentences, summary_markdown


def record(policy, extra, low, high, *, few=False):
    return {
        "policy": policy,
        "origin": "all",
        "capacity": 0.05,
        "is_too_few_clusters": few,
        "found_over_rules": extra,
        "found_over_rules_low": low,
        "found_over_rules_high": high,
        "found_over_logistic": 0.0,
        "found_over_logistic_low": 0.0,
        "found_over_logistic_high": 0.0,
    }


@pytest.mark.parametrize(
    ("extra", "low", "high", "few", "said"),
    [
        (5.0, 1.0, 9.0, False, "Clearly more."),
        (-5.0, -9.0, -1.0, False, "Clearly fewer: it does not win."),
        (-1.0, -4.0, 2.0, False, "It does not win. The two can't be told apart."),
        (2.0, -1.0, 4.0, False, "The two can't be told apart."),
        (5.0, 1.0, 9.0, True, "Too few to judge."),
        (5.0, None, None, False, "Too few to judge."),
    ],
)
def test_a_comparison_claims_no_more_than_its_interval(extra, low, high, few, said):
    pooled = [record("rules", 0.0, 0.0, 0.0), record("model", extra, low, high, few=few)]
    sentences = comparison_sentences(pooled, "en")
    assert len(sentences) == 1
    assert sentences[0].endswith(said)
    assert ("It does not win" in sentences[0]) == ("It does not win" in said)
    assert ("Clearly" in sentences[0]) == said.startswith("Clearly")
    assert f"{abs(extra):.1f} {'fewer' if extra < 0 else 'more'} relapses than rules" in sentences[0]
    assert (
        f"比规则{'少' if extra < 0 else '多'}发现 {abs(extra):.1f}" in comparison_sentences(pooled, "zh")[0]
    )


def test_the_page_says_everything_in_both_languages(panel, make_experiment):
    result = run_backtest(panel, make_experiment(origins={"dates": ["2021-06-30"]}))
    page = summary_markdown(result)
    chinese, english = page.split("# Backtest: toy")
    for name in ("规则＋模型", "逻辑回归", "最佳单一指标", "随机", "容量 5%", "容量 30 户", "直说"):
        assert name in chinese
    for name in ("rules+model", "logistic", "best indicator", "random", "Capacity 5%", "In plain words"):
        assert name in english
    assert "nan" not in page
    assert page.count("| rules+model |") == 2
