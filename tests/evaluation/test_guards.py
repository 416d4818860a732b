"""Every guard fires on a planted case and is silent on a sane one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from relapse_risk.errors import ConfigurationError, GuardError
from relapse_risk.evaluation.backtest import run_backtest
from relapse_risk.evaluation.guard_catalog import GUARDS, LABEL_LEVELS, guards_page
from relapse_risk.evaluation.guards import (
    check_model,
    credible_figures,
    label_among_features,
    mean_single_aucs,
    other_scheme_version,
    overlapping_dates,
    require_guards,
    same_as_outcome,
    single_indicator_aucs,
)
from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.pipeline import train, train_and_track

DAY = date(2021, 6, 30)
PAGE = Path(__file__).parents[2] / "docs" / "guards.md"


def names(found):
    return [notice.text.en[:2] for notice in found]


def auc_record(policy, auc):
    return {"policy": policy, "roc_auc": auc}


@pytest.fixture(scope="module")
def model(panel, make_experiment):
    return train(panel, make_experiment())


@pytest.fixture(scope="module")
def features(model):
    return CATALOG.select(model.features.names)


def test_figures_too_good_to_be_true_at_their_limits():
    """0.95 fails, and so does more than 0.10 above the best single indicator; neither does just below."""
    assert credible_figures([auc_record("model", 0.899)], {"a": 0.80}, 12) == ()
    assert names(credible_figures([auc_record("model", 0.91)], {"a": 0.80}, 12)) == ["G2"]
    both = credible_figures([auc_record("model", 0.95), auc_record("logistic", 0.85)], {"a": 0.80}, 12)
    assert [n.code for n in both] == ["RR501", "RR502"]
    assert [n.code for n in credible_figures([auc_record("model", 0.96)], {"x": 0.89}, 12)] == ["RR501"]
    assert "12 months" in both[0].shown("en")
    assert "12个月" in both[0].shown("zh")
    assert credible_figures([auc_record("model", None)], {"a": 0.8}, 12) == ()
    assert credible_figures([auc_record("model", 0.94)], {}, 12) == ()


def test_one_feature_alone_is_too_strong_unless_it_is_the_level_of_the_label():
    assert names(credible_figures([], {"own": 0.90, "other": 0.89}, 12)) == ["G3"]
    assert credible_figures([], dict.fromkeys(LABEL_LEVELS, 0.93), 12) == ()
    assert set(LABEL_LEVELS) <= set(CATALOG.names)


def test_overlapping_training_and_test_dates():
    facts = {"origin": "2021-06-30", "fit_origins": ["2020-03-31"], "calibration_origins": ["2020-06-30"]}
    assert overlapping_dates([facts], 12) == ()
    late = {**facts, "calibration_origins": ["2020-09-30"]}
    assert names(overlapping_dates([facts, late], 12)) == ["G5"]


def test_a_label_among_the_features(panel):
    matrix = build_features(panel, (DAY,))
    features = matrix.features.select(["household_size", "is_lifted", "wage_share"])
    lifted = matrix.column("is_lifted")
    assert not same_as_outcome(matrix, features, np.roll(lifted, 1)).any()
    same = same_as_outcome(matrix, features, lifted)
    assert same.tolist() == [False, True, False]
    assert same_as_outcome(matrix, features, 1.0 - lifted).tolist() == [False, True, False]
    found = label_among_features(features, [same])
    assert names(found) == ["G6"]
    assert "is_lifted" in found[0].text.en
    assert label_among_features(features, [np.zeros(3, dtype=bool)]) == ()
    bad = replace(features.features[0], name="event_month")
    assert names(label_among_features([bad])) == ["G6"]


def test_no_model_feature_of_the_catalogue_is_a_label():
    from relapse_risk.vocabulary import Role

    assert label_among_features(CATALOG.with_role(Role.MODEL)) == ()


def test_a_sane_model_passes(panel, model, features):
    assert check_model(panel, model, features) == ()


def test_a_feature_that_reads_rows_recorded_later(panel, model, features):
    """A matrix that holds next quarter's report: its values, and the scores, follow rows yet to come."""

    def peeking(panel, dates, features, thresholds, households):
        matrix = build_features(panel, dates, features, thresholds, households)
        last = panel.tables["observation"].sort("recorded_on").group_by("household_id").last()
        income = matrix.index.join(last, on="household_id", how="left", maintain_order="left")
        values = matrix.values.copy()
        values[:, matrix.features.position("period_income_pc")] = income["net_income_yuan"].to_numpy()
        return replace(matrix, values=values)

    found = check_model(panel, model, features, peeking)
    assert names(found) == ["G4", "G7"]
    assert "1 features change" in found[0].text.en
    assert "period_income_pc" in found[0].text.en


def test_a_report_recorded_before_its_period_had_ended(panel, model, features):
    day = max(date.fromisoformat(d) for d in model.metadata["origins"]["fit"])
    ahead = pl.col("period_end") > day
    observation = panel.tables["observation"].with_columns(
        recorded_on=pl.when(ahead).then(pl.lit(day)).otherwise("recorded_on")
    )
    early = replace(panel, tables={**panel.tables, "observation": observation})
    assert names(check_model(early, model, features)) == ["G4"]


def test_training_data_of_another_scheme_version(panel):
    days = [date(2019, 6, 30), date(2020, 6, 30)]
    household = panel.tables["household"]
    old = household.with_columns(scheme_version=pl.lit("2021"))
    new = household.with_columns(scheme_version=pl.lit("2026"), recorded_on=pl.lit(date(2021, 1, 1)))
    assert other_scheme_version(panel, days) == ()
    assert other_scheme_version(replace(panel, tables={**panel.tables, "household": old}), days) == ()
    both = replace(panel, tables={**panel.tables, "household": pl.concat([old, new])})
    found = other_scheme_version(both, days)
    assert names(found) == ["G8"]
    assert "2021" in found[0].text.en
    assert other_scheme_version(both, [date(2021, 6, 30)]) == ()


def test_a_failed_guard_stops_unless_overridden_by_name():
    found = credible_figures([], {"own": 0.95}, 12)
    with pytest.raises(GuardError, match="--override G3") as failed:
        require_guards(found, (), "experiment x")
    assert failed.value.code == "RR503"
    with pytest.raises(GuardError):
        require_guards(found, ("G1",), "experiment x")
    assert require_guards(found, ("G3",), "experiment x") == list(found)
    assert require_guards((), ("G3",), "experiment x") == []
    with pytest.raises(ConfigurationError, match="RR456"):
        require_guards((), ("G99",), "experiment x")


def test_every_guard_has_a_number_and_its_section_on_the_page():
    assert [guard.name for guard in GUARDS] == [f"G{i}" for i in range(1, len(GUARDS) + 1)]
    assert [guard.code for guard in GUARDS] == [f"RR50{i}" for i in range(1, len(GUARDS) + 1)]
    assert PAGE.read_text(encoding="utf-8") == guards_page()


def test_the_best_single_indicator_is_found_in_hindsight(panel):
    """A low income foretells relapse: its AUC is below one half as it stands, and counts mirrored."""
    matrix = build_features(panel, (DAY,))
    features = matrix.features.select(["household_size", "period_income_to_line"])
    income = matrix.column("period_income_to_line")
    outcome = (income < np.quantile(income, 0.1)).astype(float)
    outcome[::40] = 1.0
    aucs = single_indicator_aucs(matrix, features, outcome)
    expected = roc_auc_score(outcome, income)
    assert aucs[1] == pytest.approx(expected)
    nobody = np.zeros(len(outcome))
    judged = [(outcome, aucs), (nobody, single_indicator_aucs(matrix, features, nobody))]
    assert mean_single_aucs(judged)[1] == pytest.approx(1 - expected)
    assert len(mean_single_aucs(judged[1:])) == 0


def test_a_guard_stops_training_unless_overridden_and_then_the_card_says_so(
    panel, make_experiment, tmp_path, monkeypatch
):
    """A planted failure on the panel: no model is saved; overridden by name, the card tells of it."""
    old = panel.tables["household"].with_columns(scheme_version=pl.lit("2021"))
    new = old.with_columns(scheme_version=pl.lit("2026"), recorded_on=pl.lit(date(2022, 7, 1)))
    both = replace(panel, tables={**panel.tables, "household": pl.concat([old, new])})
    assert names(other_scheme_version(both, [DAY])) == ["G8"]
    monkeypatch.setattr("relapse_risk.modeling.tracking.log_training", lambda *_, **__: "run")
    experiment = make_experiment(origins={"dates": [str(DAY)]})
    judged = run_backtest(both, experiment)
    with pytest.raises(GuardError, match="RR508") as stopped:
        train_and_track(both, experiment, tmp_path, "", judged=judged)
    assert stopped.value.exit_code == 1
    assert not list(tmp_path.rglob("model.json"))
    trained = train_and_track(both, experiment, tmp_path, "", judged=judged, overrides=("G8",))
    card = (trained.folder / "card.md").read_text(encoding="utf-8")
    assert "RR508" in card
    assert "2021" in card
