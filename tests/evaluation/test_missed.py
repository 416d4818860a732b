from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.evaluation.backtest import Bench, run_backtest, split_before
from relapse_risk.evaluation.groups import groups_of
from relapse_risk.evaluation.missed import FEWEST, errors_by_group, list_against_rest, missed_relapses
from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG

DAY = date(2021, 6, 30)


@pytest.fixture(scope="module")
def audited(panel, make_experiment):
    experiment = make_experiment(origins={"dates": [str(DAY)]})
    bench = Bench(panel, experiment, None, CATALOG, None)
    rows, n_censored = bench.at_risk(DAY, bench.train(split_before(panel, (DAY,), experiment)))
    judged = rows.planned(experiment.evaluation, n_censored)
    return rows.audited(judged, panel, bench.model_features)


def test_groups_are_counted_and_their_errors_add_up(audited):
    table = errors_by_group([audited], (0.05, 30), "village_code", 50, 0)
    chance, outcome = audited.chance("model", 0.05), audited.judged.outcome
    of = {row["group"]: row for row in table.filter(policy="model", capacity=0.05).iter_rows(named=True)}
    assert of["all"]["n"] == len(outcome)
    assert of["脱贫户"]["n"] + of["一般农户"]["n"] == len(outcome)
    assert of["all"]["listed"] == pytest.approx(chance.sum())
    assert of["all"]["recall"] == pytest.approx((chance * outcome).sum() / outcome.sum())
    lifted = (audited.judged.index.height, audited.groups[0].members)[1]
    assert of["脱贫户"]["precision"] == pytest.approx((chance * outcome)[lifted].sum() / chance[lifted].sum())
    for row in of.values():
        if row["recall_low"] is not None:
            assert row["recall_low"] <= row["recall"] <= row["recall_high"]


def test_small_groups_are_too_few_to_judge(audited):
    few = np.zeros(len(audited.judged.outcome), dtype=bool)
    few[: FEWEST - 1] = True
    small = replace(audited, groups=(replace(audited.groups[0], name="few", members=few),))
    table = errors_by_group([small], (0.05,), "village_code", 50, 0)
    row = table.filter(policy="model", group="few").row(0, named=True)
    assert row["selection_rate_is_too_few"]
    assert row["recall_is_too_few"]
    assert not table.filter(policy="model", group="all")["selection_rate_is_too_few"].item()


def test_the_list_is_told_apart_from_the_rest_by_what_it_was_made_by(audited):
    table = list_against_rest([audited], 0.05, audited.matrix.features)
    income = table.filter(feature="period_income_to_line").row(0, named=True)
    assert income["listed"] < income["rest"]
    assert income["listed_against_rest"] < -0.5
    assert table["listed_against_rest"].abs().is_sorted(descending=True, nulls_last=True)


def test_missed_relapses_are_those_no_rule_names_and_no_list_holds(audited):
    missed = missed_relapses([audited], 0.05)
    ids = audited.judged.index["household_id"].to_list()
    places = [ids.index(name) for name in missed["household_id"]]
    assert (audited.judged.outcome[places] == 1).all()
    assert not audited.has_hit[places].any()
    assert (audited.chance("model", 0.05)[places] < 1).all()
    none_missed = replace(audited, has_hit=np.ones(len(ids), dtype=bool))
    assert missed_relapses([none_missed], 0.05).is_empty()


def test_heads_are_grouped_by_sex_and_villages_by_size(panel):
    matrix = build_features(panel, (DAY,))
    ids = panel.tables["household"]["household_id"]
    member = pl.DataFrame(
        {
            "member_id": ids + "1",
            "household_id": ids,
            "recorded_on": [date(2018, 4, 1)] * len(ids),
            "sex": ["女" if i % 4 == 0 else "男" for i in range(len(ids))],
            "relation": ["户主"] * len(ids),
        }
    )
    with_heads = replace(panel, tables={**panel.tables, "member": member})
    found = {group.name: group.members for group in groups_of(matrix, with_heads.known_at(DAY))}
    assert found["female_head"].sum() == 100
    assert (found["female_head"] ^ found["male_head"]).all()
    assert found["small_village"].all()
    assert "female_head" not in {group.name for group in groups_of(matrix, panel.known_at(DAY))}


def test_a_backtest_says_who_was_missed(panel, make_experiment):
    result = run_backtest(panel, make_experiment(origins={"dates": [str(DAY)]}))
    assert set(result.groups["policy"]) == {"rules", "model", "rules+model"}
    assert {"listed", "rest", "found", "missed"} <= set(result.crosstab.columns)
    assert result.missed.height <= result.pooled[0]["events"]
