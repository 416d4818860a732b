from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl

from relapse_risk.config import Experiment
from relapse_risk.evaluation.notices import Notice
from relapse_risk.outputs.backtest_page import backtest_html, backtest_pictures
from relapse_risk.vocabulary import Bilingual


def a_result():
    experiment = Experiment.model_validate({"name": "toy", "evaluation": {"capacities": [0.05, 0.1]}})
    pooled = [
        {
            "policy": policy,
            "origin": "all",
            "capacity": capacity,
            "n": 100,
            "events": 9,
            "recall_at_capacity": capacity * 4,
            "is_too_few_clusters": False,
            "found_over_rules": 1.0,
            "found_over_rules_low": -1.0,
            "found_over_rules_high": 2.0,
            "found_over_logistic": 0.5,
            "found_over_logistic_low": None,
            "found_over_logistic_high": None,
        }
        for policy in ("rules", "logistic", "model", "rules+model")
        for capacity in (0.05, 0.1)
    ]
    groups = pl.DataFrame(
        [
            {
                "policy": policy,
                "capacity": 0.05,
                "group": group,
                "zh": zh,
                "en": group,
                "n": 50.0,
                "events": 9.0,
            }
            | {
                f"{name}{end}": value
                for name in ("selection_rate", "precision", "recall")
                for end, value in (("", 0.4), ("_low", 0.2), ("_high", 0.6), ("_is_too_few", group == "few"))
            }
            for policy in ("rules", "model", "rules+model")
            for group, zh in (("all", "全部"), ("few", "少数<b>"))
        ]
    )
    bins = np.linspace(0.05, 0.5, 5)
    crosstab = {"feature": ["a"], "zh": ["收入"], "en": ["income"], "listed": [1.0], "rest": [2.0]}
    kinds = [
        {"kind": kind, "zh": zh, "en": kind, "policy": policy, "capacity": 0.05, "n": 100.0, "events": n}
        | {"predicted": None, "found": 4.0}
        | {
            f"{name}{end}": value
            for name in ("precision", "recall", "roc_auc", "pr_auc")
            for end, value in (("", 0.4), ("_low", None), ("_high", None))
        }
        for kind, zh, n in (("first_event", "返贫", 30.0), ("lasting", "持续", 9.0))
        for policy in ("rules", "model", "rules+model")
    ]
    return SimpleNamespace(
        experiment=experiment,
        audited_capacity=0.05,
        kinds=pl.DataFrame(kinds),
        censoring=pl.DataFrame(
            {"figure": ["event_share"], "policy": [None], "capacity": [None], "n": 100, "n_censored": 7}
            | {"complete": 0.09, "weighted": 0.1, "weighted_low": 0.05, "weighted_high": 0.15}
            | {"bound_low": 0.08, "bound_high": 0.16, "largest_weight": 1.2, "n_bounded": 0}
        ),
        exits=pl.DataFrame({"exit": ["none", "died"], "n": [93, 7], "events": 9, "free": 8, "censored": 7}),
        pooled=pooled,
        reliability=pl.DataFrame({"policy": "model", "predicted": bins, "observed": bins, "n": 20}),
        groups=groups,
        crosstab=pl.DataFrame(
            {**crosstab, "found": [1.0], "missed": [None], "listed_against_rest": [-1.0]},
            schema_overrides={"missed": pl.Float64},
        ),
        selection=pl.DataFrame({"capacity": [0.05], "rule": ["best_average"], "policy": ["model"]}),
        missed=pl.DataFrame({"household_id": ["H1", "H2"]}),
        capacity_curve=pl.DataFrame(
            {"policy": ["rules+model", "rules"], "capacity": 0.05, "visits": 5, "found": 2.0}
            | {"recall": 0.22, "further_visits": 5, "per_100_further": 40.0}
            | {"per_100_further_low": [12.0, None], "per_100_further_high": [66.0, None]}
        ),
        alarm_notices=(Notice("RR503", Bilingual("过强", "too strong")),),
        note_notices=(),
    )


def test_the_page_holds_pictures_groups_and_what_guards_found_and_no_household():
    result = a_result()
    pictures = backtest_pictures(result, "en")
    assert list(pictures) == ["gain.svg", "capacity.svg", "reliability.svg", "groups.svg"]
    for language, few in (("en", "too few to judge"), ("zh", "不足以判断")):
        page = backtest_html(result, pictures, language)
        assert page.count("<svg") == 4
        assert "40.0 (12.0–66.0)" in page
        assert few in page
        assert "RR503" in page
        assert "H1" not in page
        assert "少数<b>" not in page


def test_the_same_result_gives_the_same_pictures():
    assert backtest_pictures(a_result(), "en") == backtest_pictures(a_result(), "en")
