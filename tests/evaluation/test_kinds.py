"""What lists find of each kind of relapse."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from relapse_risk.course import Course
from relapse_risk.evaluation.backtest import run_backtest
from relapse_risk.evaluation.estimand_tables import kinds_sentences, kinds_table
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.kinds import found_by_kind, outcomes_by_kind
from relapse_risk.evaluation.plans import VisitPlan
from relapse_risk.labels import Labels
from relapse_risk.scores import RiskScores

DAY = date(2021, 12, 31)
NAN = np.nan


def labels_of(event, observed, cause, lasting, shortfall, state=None):
    """Make labels of a year by hand; -1 is no cause."""
    n = len(event)
    index = pl.DataFrame({"household_id": [f"H{i}" for i in range(n)], "as_of_date": [DAY] * n})
    course = Course(
        np.array(state or [NAN] * n),
        np.array(cause, dtype=np.int8),
        np.array(lasting, dtype=float),
        np.array(shortfall, dtype=float),
        np.full(n, -1, dtype=np.int8),
        np.full(n, NAN),
    )
    events, seen = np.array(event, dtype=float), np.array(observed, dtype=float)
    return Labels(index, np.ones(n, dtype=bool), events, seen, 12, DAY, course)


HAND_MADE = labels_of(
    event=[3, 9, 12, 12, NAN, NAN],
    observed=[0, 6, 9, 9, 12, 12],
    cause=[0, 1, 2, 0, -1, -1],
    lasting=[1, 0, NAN, 1, NAN, NAN],
    shortfall=[0.3, 0.05, 0.0, 0.1, 0.0, 0.0],
    state=[1, 0, 1, 1, 0, NAN],
)


def test_every_kind_is_an_outcome_on_the_same_rows():
    kinds = outcomes_by_kind(HAND_MADE)
    expected = {
        "first_event": [1, 1, 1, 1, 0, 0],
        "later_event": [NAN, 1, 1, 1, 0, 0],
        "state_at_end": [1, 0, 1, 1, 0, NAN],
        "lasting": [1, 0, NAN, 1, 0, 0],
        "passing": [0, 1, NAN, 0, 0, 0],
        "income_fell": [1, 0, 0, 1, 0, 0],
        "line_rose": [0, 1, 0, 0, 0, 0],
        "guarantee": [0, 0, 1, 0, 0, 0],
        "status": [0, 0, 0, 0, 0, 0],
        "shortfall": [0.3, 0.05, 0.0, 0.1, 0.0, 0.0],
    }
    assert kinds.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(kinds[name], values, equal_nan=True), name


def origin_of(labels, score):
    kinds = outcomes_by_kind(labels)
    plans = {name: VisitPlan.by_score(name, np.asarray(score)) for name in ("rules", "model")}
    index = labels.index.with_columns(village_code=pl.col("household_id"))
    starts = np.full(len(labels), NAN)
    return JudgedOrigin(DAY, index, labels.outcome, starts, 0, plans, kinds=kinds)


def test_a_list_finds_of_a_kind_what_it_visits_of_it():
    origin = origin_of(HAND_MADE, [5, 4, 3, 2, 1, 0])
    frame = found_by_kind([origin], [2], "village_code", 0, 0, is_one_model=True)
    found = {row["kind"]: row for row in frame.filter(policy="model").iter_rows(named=True)}
    assert (found["income_fell"]["found"], found["income_fell"]["recall"]) == (1, 0.5)
    assert (found["line_rose"]["found"], found["line_rose"]["precision"]) == (1, 0.5)
    assert found["guarantee"]["found"] == 0
    assert "status" not in found  # nothing of it happened
    assert found["later_event"]["n"] == 5
    assert found["later_event"]["precision"] == 1.0  # of the visits to those judged, one
    assert found["shortfall"]["recall"] == pytest.approx(0.35 / 0.45)
    of_causes = [found[kind]["found"] for kind in ("income_fell", "line_rose", "guarantee")]
    assert sum(of_causes) == found["first_event"]["found"] == 2


def test_a_state_at_the_horizon_is_its_own_end_and_is_told_once():
    seen = [12, 12, 12]
    labels = labels_of([12, NAN, NAN], seen, [0, -1, -1], [NAN] * 3, [0.2, 0, 0], state=[1, 0, 0])
    frame = found_by_kind([origin_of(labels, [3, 2, 1])], [1], "village_code", 0, 0, is_one_model=True)
    assert {"later_event", "state_at_end"} & set(frame["kind"]) == set()
    assert {"first_event", "shortfall"} <= set(frame["kind"])


def test_ranking_is_judged_among_those_the_kind_judges():
    rng = np.random.default_rng(3)
    n = 300
    event = np.where(rng.random(n) < 0.3, rng.choice([3.0, 9.0, 12.0], n), NAN)
    lasting = np.where(np.isnan(event), NAN, rng.random(n) < 0.5)
    cause = np.where(np.isnan(event), -1, 0)
    labels = labels_of(event, np.where(np.isnan(event), 12, event - 3), cause, lasting, np.zeros(n))
    score = rng.random(n) + 0.3 * (event > 6)
    frame = found_by_kind([origin_of(labels, score)], [0.1], "village_code", 40, 1, is_one_model=True)
    row = frame.filter(policy="model", kind="later_event").row(0, named=True)
    y = labels.outcome_after(6)
    judged = ~np.isnan(y)
    assert row["n"] == judged.sum() < n
    assert row["roc_auc"] == pytest.approx(roc_auc_score(y[judged], score[judged]))
    assert row["pr_auc"] == pytest.approx(average_precision_score(y[judged], score[judged]))
    for name in ("precision", "recall", "roc_auc", "pr_auc"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]


def test_the_risk_after_six_months_is_that_of_those_free_until_then():
    risk = np.array([[0.1, 0.2, 0.6], [0.0, 0.0, 0.0], [0.5, 1.0, 1.0]])
    scores = RiskScores(pl.DataFrame(), (3, 6, 12), risk, risk[:, -1])
    assert np.allclose(scores.risk_after(6), [0.5, 0.0, NAN], equal_nan=True)
    hazard = np.array([0.1, 0.2, 0.3])
    risks = 1 - np.cumprod(1 - hazard)[None, :]
    assert RiskScores(pl.DataFrame(), (3, 6, 12), risks, risks[:, -1]).risk_after(6) == pytest.approx(0.3)


@pytest.fixture(scope="module")
def result(panel, make_experiment):
    return run_backtest(panel, make_experiment())


def test_the_backtest_tells_of_every_kind_and_the_headline_is_the_same(result):
    for record in result.pooled:
        if record["policy"] not in ("rules", "model", "rules+model"):
            continue
        at = {"policy": record["policy"], "capacity": record["capacity"], "kind": "first_event"}
        row = result.kinds.filter(**at).row(0, named=True)
        names = {"found": "found", "precision": "precision_at_capacity", "recall": "recall_at_capacity"}
        for mine, theirs in (names | {"roc_auc": "roc_auc", "pr_auc": "pr_auc"}).items():
            assert row[mine] == (None if record[theirs] is None else pytest.approx(record[theirs])), mine
    lasting = result.kinds.filter(kind="lasting", policy="model", capacity=30).row(0, named=True)
    passing = result.kinds.filter(kind="passing", policy="model", capacity=30).row(0, named=True)
    assert 0 < lasting["events"] + passing["events"] <= result.pooled[0]["events"]


def test_an_experiment_on_the_state_is_judged_by_it(panel, make_experiment, result):
    experiment = make_experiment()
    label = experiment.label.model_copy(update={"kind": "state_at_horizon"})
    model = experiment.model.model_copy(update={"intervals_months": (12,)})
    states = run_backtest(panel, experiment.model_copy(update={"label": label, "model": model}))
    rows = {
        row["kind"]: row for row in states.kinds.filter(policy="model", capacity=30).iter_rows(named=True)
    }
    of_first = result.kinds.filter(policy="model", capacity=30, kind="state_at_end").row(0, named=True)
    assert rows["first_event"]["events"] == of_first["events"] > 20
    assert {"later_event", "state_at_end"} & rows.keys() == set()


@pytest.mark.parametrize(
    ("language", "words"), [("zh", ("持续", "监测线提高")), ("en", ("lasted", "line that rose"))]
)
def test_pages_have_a_line_for_every_kind(result, language, words):
    table = kinds_table(result.kinds, 0.05, language)
    assert len(table) == result.kinds["kind"].n_unique() + 1
    assert len({len(row) for row in table}) == 1
    text = " ".join(kinds_sentences(result.kinds, 0.05, language))
    assert all(word in text for word in words)
    assert "nan" not in text + str(table)
