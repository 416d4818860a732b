from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from relapse_risk.errors import ConfigurationError, ContractError, MachineError, ModelError
from relapse_risk.evaluation import backtest as module
from relapse_risk.evaluation.backtest import judged_origins, run_backtest, training_origins
from relapse_risk.evaluation.policies import POLICIES
from relapse_risk.panel.panel import Panel
from relapse_risk.windows import add_months

KEYS = {
    "policy",
    "origin",
    "capacity",
    "visits",
    "n",
    "events",
    "n_censored",
    "found",
    "roc_auc",
    "pr_auc",
    "brier",
    "precision_at_capacity",
    "recall_at_capacity",
    "found_over_rules",
}


def with_observations(panel: Panel, frame: pl.DataFrame) -> Panel:
    return Panel({**panel.tables, "observation": frame})


@pytest.fixture(scope="module")
def result(panel, make_experiment):
    return run_backtest(panel, make_experiment())


def test_one_record_per_origin_policy_and_capacity(result):
    keys = [(r["origin"], r["policy"], r["capacity"]) for r in result.records]
    assert len(set(keys)) == len(keys) == 4 * 8 * 2
    assert {r["origin"] for r in result.records} == {"2020-06-30", "2020-12-31", "2021-06-30", "all"}
    assert {r["policy"] for r in result.records} == set(POLICIES) - {"oracle"}
    assert all(set(r) >= KEYS for r in result.records)
    assert len({frozenset(r) for r in result.records}) == 1


def test_all_policies_spend_the_same_visits_on_the_same_households(result):
    by_cell: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
    for r in result.records:
        spent = by_cell.setdefault((r["origin"], r["capacity"]), set())
        spent.add((r["visits"], r["n"], r["events"], r["n_censored"]))
    assert all(len(spent) == 1 for spent in by_cell.values())
    pooled = next(r for r in result.pooled if r["capacity"] == 30)
    assert pooled["visits"] == 3 * 30


def test_pooled_found_is_the_sum_over_origins(result):
    for pooled in result.pooled:
        parts = [
            r["found"]
            for r in result.records
            if r["origin"] != "all" and (r["policy"], r["capacity"]) == (pooled["policy"], pooled["capacity"])
        ]
        assert pooled["found"] == pytest.approx(sum(parts))
        assert pooled["precision_at_capacity"] == pytest.approx(pooled["found"] / pooled["visits"])
        assert pooled["recall_at_capacity"] == pytest.approx(pooled["found"] / pooled["events"])


def test_pooled_figures_lie_in_their_intervals_and_differences_are_of_found(result):
    found = {(r["policy"], r["capacity"]): r["found"] for r in result.pooled}
    for r in result.pooled:
        assert r["n_clusters"] == 40
        assert r["is_too_few_clusters"] is False
        assert r["found_over_rules"] == pytest.approx(r["found"] - found["rules", r["capacity"]])
        assert r["found_over_logistic"] == pytest.approx(r["found"] - found["logistic", r["capacity"]])
        for name in ("roc_auc", "pr_auc", "brier"):
            if r[name] is not None:
                assert r[f"{name}_low"] <= r[name] <= r[f"{name}_high"]
    same = next(r for r in result.pooled if r["policy"] == "model")
    assert same["found_over_logistic_low"] == same["found_over_logistic_high"] == 0


def test_figures_without_a_meaning_are_none(result):
    for r in result.records:
        has_no_risk = r["policy"] in ("random", "rules", "rules_random_fill", "rules+model")
        assert (r["brier"] is None) == has_no_risk
        assert (r["roc_auc"] is None) == (r["policy"] == "rules+model")
        if r["policy"] == "random":
            assert r["roc_auc"] == 0.5


def test_the_scores_kept_give_the_figures_told(result):
    """Each origin has its own model: scores are compared within an origin only."""
    scores = result.scores.filter(~pl.col("is_red"))
    assert scores.height == result.pooled[0]["n"]
    assert result.scores.height == scores.height + result.pooled[0]["n_red"]
    assert scores.select("household_id", "as_of_date").is_unique().all()
    model = next(r for r in result.pooled if r["policy"] == "model")
    parts = scores.partition_by("as_of_date")
    auc = [roc_auc_score(part["outcome"], part["score_model"]) for part in parts]
    average = [average_precision_score(part["outcome"], part["score_model"]) for part in parts]
    events = [part["outcome"].sum() for part in parts]
    pairs = [e * (part.height - e) for e, part in zip(events, parts, strict=True)]
    assert model["roc_auc"] == pytest.approx(np.average(auc, weights=pairs))
    assert model["pr_auc"] == pytest.approx(np.average(average, weights=events))
    assert model["brier"] == pytest.approx(((scores["risk_model"] - scores["outcome"]) ** 2).mean())
    table = result.reliability.filter(pl.col("policy") == "model")
    assert table["n"].sum() == result.scores.height


def test_only_households_at_risk_with_a_known_outcome_are_judged(panel, result, make_experiment):
    """Reports of every fifth household stop before the last window ends: they are censored and left out."""
    cut = date(2021, 9, 30)
    observation = panel.tables["observation"]
    stopped = pl.col("household_id").is_in([f"H{i:05d}" for i in range(0, 400, 5)])
    shorter = with_observations(panel, observation.filter(~(stopped & (pl.col("period_end") > cut))))
    less = run_backtest(shorter, make_experiment())
    was = {r["origin"]: r for r in result.records if r["policy"] == "model" and r["capacity"] == 30}
    now = {r["origin"]: r for r in less.records if r["policy"] == "model" and r["capacity"] == 30}
    was = {day: {**r, "n": r["n"] + r["n_red"]} for day, r in was.items()}
    now = {day: {**r, "n": r["n"] + r["n_red"]} for day, r in now.items()}
    assert now["2020-06-30"]["n"] == was["2020-06-30"]["n"]
    assert was["2021-06-30"]["n_censored"] == 0
    assert now["2021-06-30"]["n_censored"] > 40
    last = was["2021-06-30"]
    assert now["2021-06-30"]["n"] == last["n"] - now["2021-06-30"]["n_censored"]
    ids = less.scores.filter(pl.col("as_of_date") == date(2021, 6, 30))
    kept = ids.filter(pl.col("household_id").is_in([f"H{i:05d}" for i in range(0, 400, 5)]))
    assert (kept["outcome"] == 1).all()


def test_rows_recorded_after_an_origin_do_not_reach_its_models(panel, result, make_experiment):
    """Every amount recorded after the first origin is altered: its scores stay the same to the bit."""
    origin = date(2020, 6, 30)
    is_later = pl.col("recorded_on") > origin
    amounts = [name for name in panel.tables["observation"].columns if name.endswith("_yuan")]
    altered = with_observations(
        panel,
        panel.tables["observation"].with_columns(
            pl.when(is_later).then(pl.col(name) * 0.31 + 17).otherwise(pl.col(name)).alias(name)
            for name in amounts
        ),
    )
    before, after = result.scores, run_backtest(altered, make_experiment()).scores
    at = pl.col("as_of_date") == origin
    columns = [name for name in before.columns if name != "outcome"]
    assert before.filter(at).select(columns).equals(after.filter(at).select(columns))
    assert not before.filter(at)["outcome"].equals(after.filter(at)["outcome"])
    assert not before.filter(~at)["score_model"].equals(after.filter(~at)["score_model"])


def test_training_reads_mature_labels_of_earlier_origins_only(panel, monkeypatch, make_experiment):
    seen = []
    trained = module.train_model

    def spy(matrix, labels, split, *others):
        seen.append((matrix.as_of_dates, labels, split))
        return trained(matrix, labels, split, *others)

    monkeypatch.setattr(module, "train_model", spy)
    run_backtest(panel, make_experiment(gap_months=2))
    assert len(seen) == 3 * 3
    for dates, labels, split in seen:
        first = min(split.test_origins)
        assert labels.known_on == split.labels_known_on <= first
        assert max(add_months(day, 12 + 2) for day in dates) <= first
        assert labels.is_at_risk.all()


def test_without_refitting_one_model_judges_all_origins(panel, monkeypatch, make_experiment):
    calls = []
    trained = module.train_model

    def spy(*arguments):
        calls.append(arguments[2].labels_known_on)
        return trained(*arguments)

    monkeypatch.setattr(module, "train_model", spy)
    result = run_backtest(panel, make_experiment(is_refitted=False, labels_known_on="2020-05-31"))
    assert calls == [date(2020, 5, 31)] * 3
    assert len(result.origins) == 3
    model = next(r for r in result.pooled if r["policy"] == "model")
    scores = result.scores.filter(~pl.col("is_red"))
    together = roc_auc_score(scores["outcome"], scores["score_model"])
    assert model["roc_auc"] == pytest.approx(together)


def test_a_planted_leak_raises_the_alarm(panel, result, make_experiment):
    """A column that knows next year: the figures are too good, and the backtest says so."""
    observation = panel.tables["observation"].sort("household_id", "period_end")
    income = pl.col("net_income_yuan").rolling_sum(4).over("household_id") / pl.col("n_person")
    coming = pl.min_horizontal(*(income.shift(-q).over("household_id") for q in range(2, 6)))
    leaking = observation.with_columns(workers_n=pl.when(coming < 7000).then(0).otherwise(5))
    leaked = run_backtest(with_observations(panel, leaking), make_experiment())
    assert any("RR501" in alarm for alarm in leaked.alarms)
    assert result.alarms == ()


def test_the_oracle_is_judged_where_the_truth_is_known(panel, make_experiment):
    ids = panel.tables["household"]["household_id"]
    rng = np.random.default_rng(0)

    def truth(days):
        frames = [
            pl.DataFrame({"household_id": ids, "risk": rng.random(len(ids))}).with_columns(
                as_of_date=pl.lit(day), horizon_months=pl.lit(12)
            )
            for day in days
        ]
        empty = pl.DataFrame()
        return module.Truth(oracle=pl.concat(frames), hazard=empty, events=empty, status=empty)

    days = judged_origins(panel, make_experiment())
    whole = run_backtest(panel, make_experiment(), truth=truth(days))
    assert {r["policy"] for r in whole.pooled} == set(POLICIES)
    part = run_backtest(panel, make_experiment(), truth=truth(days[:2]))
    assert "oracle" not in {r["policy"] for r in part.pooled}
    assert [r["origin"] for r in part.records if r["policy"] == "oracle"] == [
        str(d) for d in days[:2] for _ in "12"
    ]
    assert len(part.notes) == 1
    assert str(days[2]) in part.notes[0]


def test_two_runs_write_the_same_bytes_and_nothing_else(panel, result, tmp_path, make_experiment):
    paths = result.write(tmp_path / "one")
    run_backtest(panel, make_experiment()).write(tmp_path / "two")
    assert [p.name for p in paths] == [
        "metrics.json",
        "summary.md",
        "reliability.csv",
        "scores.parquet",
        "groups.csv",
        "kinds.csv",
        "censoring.csv",
        "exits.csv",
        "list_against_rest.csv",
        "missed.parquet",
        "selection.csv",
        "capacity_curve.csv",
        "manifest.json",
    ]
    assert sorted(p.name for p in (tmp_path / "one").iterdir()) == sorted(p.name for p in paths)
    for path in paths:
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()
    assert json.loads((tmp_path / "one" / "metrics.json").read_text("utf-8")) == result.records
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_text("utf-8"))
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "one" / name).read_bytes()).hexdigest() == digest
    assert manifest["origins"][0]["best_indicator"]


def test_a_folder_that_cannot_be_written_is_a_clear_error(result, tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    with pytest.raises(MachineError, match="RR604"):
        result.write(tmp_path / "taken")


def test_frames_and_figures_for_tracking(result):
    assert len(result.to_pandas()) == result.to_polars().height == len(result.records)
    assert result.pooled_table().height == 16
    figures = result.metrics_by_origin("model")
    assert list(figures) == [date(2020, 6, 30), date(2020, 12, 31), date(2021, 6, 30)]
    assert {"roc_auc", "brier", "precision_at_0.05", "found_over_rules_at_30"} <= set(
        figures[date(2020, 6, 30)]
    )
    assert "roc_auc" not in result.metrics_by_origin("rules+model")[date(2020, 6, 30)]


def test_progress_is_told(panel, make_experiment):
    told = []
    run_backtest(panel, make_experiment(is_refitted=False), on_progress=lambda *step: told.append(step))
    assert told[0] == ("judge 2020-06-30", 0, 1)
    assert told[-1][1] == told[-1][2]


def test_origins_stand_at_period_ends_with_history_before_and_a_window_after(panel, make_experiment):
    experiment = make_experiment()
    candidates = training_origins(panel, experiment)
    last = date(2022, 6, 30)
    assert candidates[0] == date(2019, 3, 31)
    assert add_months(candidates[-1], 12) == last
    assert all(day.month in (3, 6, 9, 12) for day in candidates)
    monthly = experiment.model_copy(
        update={"training_origins": experiment.training_origins.model_copy(update={"every_months": 1})}
    )
    assert training_origins(panel, monthly) == candidates
    assert judged_origins(panel, experiment)[-1] <= candidates[-1]


def test_listed_origins_are_taken_as_they_are(panel, make_experiment):
    listed = make_experiment(origins={"dates": ["2021-03-31", "2020-12-31"]})
    assert judged_origins(panel, listed) == (date(2020, 12, 31), date(2021, 3, 31))


def test_an_origin_without_events_to_train_on_is_left_out_and_said(panel, make_experiment, monkeypatch):
    """Where the dates were derived, the origin is left out with a note; a listed date is an error."""
    trained = module.train_model

    def too_few_at_first(matrix, labels, split, *others):
        if split.labels_known_on == date(2020, 6, 30):
            raise ModelError("RR401", "training", "3 events", "at least 20", "Give a longer history")
        return trained(matrix, labels, split, *others)

    monkeypatch.setattr(module, "train_model", too_few_at_first)
    result = run_backtest(panel, make_experiment())
    assert [entry["origin"] for entry in result.origins] == ["2020-12-31", "2021-06-30"]
    assert len(result.notes) == 1
    assert "2020-06-30 is left out" in result.notes[0]
    with pytest.raises(ModelError, match="RR401"):
        run_backtest(panel, make_experiment(origins={"dates": ["2020-06-30", "2020-12-31"]}))


def test_too_short_a_history_is_a_clear_error(panel, make_experiment, make_panel):
    with pytest.raises(ConfigurationError, match="RR454"):
        run_backtest(make_panel(households=30, quarters=6), make_experiment())
    with pytest.raises(ConfigurationError, match="RR202"):
        run_backtest(panel, make_experiment(origins={"dates": ["2018-09-30"]}))
    with pytest.raises(ContractError, match="RR453"):
        run_backtest(replace(panel, tables={"household": panel.tables["household"]}), make_experiment())


def test_nobody_to_judge_is_a_clear_error(panel, make_experiment):
    with pytest.raises(ConfigurationError, match="RR455"):
        run_backtest(panel, make_experiment(origins={"dates": ["2022-06-30"]}))


def test_the_boosted_hazard_is_judged_like_any_other(panel, make_experiment):
    result = run_backtest(panel, make_experiment("hazard", origins={"dates": ["2021-06-30"]}))
    model = next(r for r in result.pooled if r["policy"] == "model")
    assert 0.5 < model["roc_auc"] < 0.95
    assert model["found_over_logistic"] is not None


def test_without_replicates_there_are_figures_and_no_intervals(panel, make_experiment):
    result = run_backtest(panel, make_experiment(bootstrap_replicates=0, origins={"dates": ["2021-06-30"]}))
    assert all(r["precision_at_capacity"] is not None for r in result.pooled)
    assert all(r["precision_at_capacity_low"] is None for r in result.pooled)
