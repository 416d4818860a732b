"""Those who were not wholly seen: weights, bounds, and exits."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relapse_risk.course import Course
from relapse_risk.evaluation.backtest import run_backtest
from relapse_risk.evaluation.censoring import (
    GREATEST_WEIGHT,
    SeenOrigin,
    censoring_table,
    censoring_weights,
    exits_table,
)
from relapse_risk.evaluation.estimand_tables import censoring_table_rows, exits_table_rows
from relapse_risk.evaluation.plans import VisitPlan
from relapse_risk.labels import Labels

DAY, NAN = date(2021, 12, 31), np.nan


def labels_of(event, observed, exits=None):
    n = len(event)
    index = pl.DataFrame({"household_id": [f"H{i}" for i in range(n)], "as_of_date": [DAY] * n})
    empty = np.full(n, NAN)
    exits = np.full(n, -1, dtype=np.int8) if exits is None else np.array(exits, dtype=np.int8)
    course = Course(empty, np.full(n, -1, dtype=np.int8), empty, empty, exits, empty)
    numbers = (np.array(values, dtype=float) for values in (event, observed))
    return Labels(index, np.ones(n, dtype=bool), *numbers, 12, DAY, course)


def seen(labels, score=None, cells=None):
    score = np.zeros(len(labels)) if score is None else np.asarray(score, dtype=float)
    plans = {name: VisitPlan.by_score(name, score) for name in ("rules", "model", "rules+model")}
    index = labels.index.with_columns(village_code=pl.col("household_id"))
    return SeenOrigin(index, labels, np.full(len(labels), "all") if cells is None else cells, plans)


def test_who_is_seen_stands_for_those_who_left_after_the_same_months():
    """Of 90 still free 18 are lost after six months: the 72 left stand for them, too."""
    event = [3.0] * 10 + [9.0] * 8 + [NAN] * 82
    observed = [0.0] * 10 + [6.0] * 8 + [6.0] * 18 + [12.0] * 64
    weights = censoring_weights(labels_of(event, observed), np.full(100, "all"))
    assert np.allclose(weights[:10], 1.0)
    assert np.allclose(weights[10:18], 90 / 72)
    assert not weights[18:36].any()
    assert np.allclose(weights[36:], 90 / 72)
    assert weights.sum() == pytest.approx(100)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_the_weighted_share_of_events_is_that_of_kaplan_and_meier(seed):
    """In one cell the weighted events a household are one minus the product of survivals, by hand."""
    rng = np.random.default_rng(seed)
    n = 80
    event, lost = rng.integers(1, 25, n).astype(float), rng.integers(0, 25, n).astype(float)
    has_event = (event <= 12) & (event <= lost)
    labels = labels_of(np.where(has_event, event, NAN), np.where(has_event, event - 1, np.minimum(lost, 12)))
    survival = 1.0
    for month in range(1, 13):
        at_risk = (event >= month) & (lost >= month)
        if not at_risk.any():
            return
        survival *= 1 - (at_risk & (event == month)).sum() / at_risk.sum()
    weights = censoring_weights(labels, np.full(n, "all"))
    assert (weights @ np.nan_to_num(labels.outcome)) / n == pytest.approx(1 - survival)


def test_cells_that_lose_more_weigh_more_and_small_ones_are_taken_together():
    event, observed = np.full(200, NAN), np.full(200, 12.0)
    observed[:60] = 0.0
    cells = np.array(["a"] * 100 + ["b"] * 90 + ["c"] * 5 + ["d"] * 5)
    weights = censoring_weights(labels_of(event, observed), cells)
    assert np.allclose(weights[60:100], 2.5)
    assert np.allclose(weights[100:], 1.0)
    observed[190:] = [0.0, 0.0, 0.0, 0.0, 0.0, 12.0, 12.0, 12.0, 12.0, 12.0]
    assert np.allclose(censoring_weights(labels_of(event, observed), cells)[195:], 2.0)


def test_a_weight_without_bound_does_not_rule_the_figure():
    observed = [0.0] * 99 + [12.0]
    table = censoring_table([seen(labels_of([NAN] * 100, observed))], [0.1], "village_code", 0, 0)
    row = table.row(0, named=True)
    assert row["largest_weight"] == pytest.approx(100)
    assert row["n_bounded"] == 1
    assert GREATEST_WEIGHT < 100


def test_bounds_hold_whatever_became_of_the_unseen():
    """All ways in which three unseen households may have fared, by force."""
    outcome = [1, 0, NAN, 1, NAN, 0, NAN, 0]
    event = [6.0 if y == 1 else NAN for y in outcome]
    labels = labels_of(event, [0.0 if np.isnan(y) else 12.0 - 12 * y for y in outcome])
    score = [8, 7, 6, 5, 4, 3, 2, 1]
    table = censoring_table([seen(labels, score)], [3], "village_code", 0, 0)
    of = {row["figure"]: row for row in table.filter(policy="model").iter_rows(named=True)}
    of["event_share"] = table.row(0, named=True)
    figures = {"event_share": [], "precision": [], "recall": []}
    for draw in range(8):
        y = np.array(outcome, dtype=float)
        y[np.isnan(y)] = [draw & 1, draw >> 1 & 1, draw >> 2 & 1]
        figures["event_share"].append(y.mean())
        figures["precision"].append(y[:3].mean())
        figures["recall"].append(y[:3].sum() / y.sum())
    for name, values in figures.items():
        assert of[name]["bound_low"] == pytest.approx(min(values)), name
        assert of[name]["bound_high"] == pytest.approx(max(values)), name
    assert of["event_share"]["complete"] == pytest.approx(2 / 5)
    assert of["precision"]["complete"] == pytest.approx(1 / 2)
    assert (of["recall"]["n"], of["recall"]["n_censored"]) == (8, 3)


def test_without_anybody_unseen_all_answers_are_the_same():
    labels = labels_of([6, NAN, 12, NAN], [3, 12, 9, 12])
    for row in censoring_table([seen(labels, [4, 3, 2, 1])], [2], "village_code", 0, 0).iter_rows(named=True):
        assert row["complete"] == row["weighted"] == row["bound_low"] == row["bound_high"]


def test_exits_are_counted_by_kind_and_by_what_was_known():
    labels = labels_of([3, NAN, NAN, NAN], [0, 12, 6, 4], exits=[0, -1, 3, 0])
    rows = {name: counts for name, *counts in exits_table([seen(labels)]).iter_rows()}
    assert rows["died"] == [2, 1, 0, 1]
    assert rows["none"] == [1, 0, 1, 0]
    assert rows["unseen"] == [1, 0, 0, 1]
    assert len(exits_table_rows(exits_table([seen(labels)]), "zh")) == 4


def test_the_backtest_lists_everybody_whether_seen_or_not(panel, make_experiment):
    """Every fifth household stops reporting: it takes its place on the list, and is not judged."""
    stopped = pl.col("household_id").is_in([f"H{i:05d}" for i in range(0, 400, 5)])
    kept = ~(stopped & (pl.col("period_end") > date(2021, 9, 30)))
    tables = {**panel.tables, "observation": panel.tables["observation"].filter(kept)}
    result = run_backtest(type(panel)(tables), make_experiment(origins={"dates": ["2021-06-30"]}))
    share = result.censoring.row(0, named=True)
    judged = result.pooled[0]
    assert share["n"] == judged["n"] + share["n_censored"]
    assert share["complete"] == pytest.approx(judged["events"] / judged["n"])
    assert share["bound_low"] < share["weighted"] < share["bound_high"]
    exits = {row["exit"]: row for row in result.exits.iter_rows(named=True)}
    assert exits["unseen"]["censored"] == share["n_censored"] > 40
    assert len(censoring_table_rows(result.censoring, 0.05, "en")) == 1 + 1 + 3 * 2
