"""Rules alone are a model like any other: trained, kept, listed, explained, and ranked as rules do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import rankdata
from tests.contracts.conftest import AS_OF, KNOWN_ON

from relapse_risk.config import Experiment
from relapse_risk.errors import ContractError
from relapse_risk.evaluation.backtest import run_backtest
from relapse_risk.explain.attribute import attribute
from relapse_risk.features.build import build_features
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.rules_hazard import READS
from relapse_risk.modeling.store import load_model, save_model
from relapse_risk.modeling.training import TrainedModel
from relapse_risk.outputs.visit_list import make_visit_list
from relapse_risk.pipeline import score, train
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.hit_counts import HIT_COUNTS, all_features
from relapse_risk.rules.tiers import grave_codes, watch_codes
from relapse_risk.scores import HIT
from relapse_risk.vocabulary import Role, Tier


@pytest.fixture(scope="module")
def rules_model(panel, experiment) -> TrainedModel:
    model = experiment.model.model_copy(update={"kind": "rules"})
    return train(panel, experiment.model_copy(update={"name": "rules", "model": model}))


@pytest.fixture(scope="module")
def matrix(panel):
    return build_features(panel, [KNOWN_ON, AS_OF], all_features(panel))


def test_hit_counts_are_what_applying_the_rules_counts(matrix) -> None:
    hits = apply_rules(matrix)
    for name, codes in (("rule_grave_n", grave_codes()), ("rule_watch_n", watch_codes())):
        counted = sum((hits.state(code) == HIT).astype(int) for code in codes)
        assert counted.max() > 1
        assert np.array_equal(matrix.column(name), counted)


def test_a_formula_of_hits_knows_no_calendar() -> None:
    """Where a rule gets dates between which it is in force, its hits can't be counted by a formula alone."""
    counted = {*grave_codes(), *watch_codes()}
    dated = [
        r.code for r in RULES if r.code in counted and (r.valid_from.year, r.valid_until.year) != (1, 9999)
    ]
    assert dated == []


def test_no_other_model_reads_the_hits_of_rules(model) -> None:
    assert all(feature.role is Role.RULE for feature in HIT_COUNTS)
    assert not {feature.name for feature in HIT_COUNTS} & set(model.features.names)


def test_rules_are_kept_and_loaded_like_any_model(rules_model, panel, matrix, tmp_path: Path) -> None:
    folder = save_model(rules_model, tmp_path / "rules" / "1")
    assert rules_model.features.names == READS
    loaded = load_model(folder, all_features(panel))
    assert np.array_equal(loaded.predict_risk(matrix).risk, rules_model.predict_risk(matrix).risk)
    card = (folder / "card.md").read_text(encoding="utf-8")
    assert "仅按规则排序" in card
    assert "rules only" in card
    with pytest.raises(ContractError, match="RR361"):
        load_model(folder)
    changed = FeatureSet(f for f in all_features(panel) if f.name != "self_applied")
    with pytest.raises(ContractError, match="RR361"):
        load_model(folder, changed)


def test_rules_score_list_and_explain_every_household(rules_model, panel) -> None:
    scored = score(panel, rules_model, AS_OF)
    assert (np.diff(scored.scores.risk, axis=1) >= 0).all()
    hits = apply_rules(scored.matrix)
    (listed,) = make_visit_list(
        scored.matrix,
        hits,
        scored.scores,
        150,
        panel=panel,
        explain=lambda rows: attribute(rules_model, rows),
    ).counties
    alerts = listed.listed.filter(listed.listed["tier"] == Tier.BLUE)
    assert alerts.height > 0
    assert alerts["reason_1"].null_count() == 0
    shares = scored.attributions
    named = hits.is_hit(grave_codes() + watch_codes())
    by_hits = shares.column("rule_grave_n") + shares.column("rule_watch_n")
    assert (by_hits[named] > 0).all()
    assert (by_hits[~named] == 0).all()


def test_the_model_of_the_rules_ranks_as_their_policy_in_the_backtest(panel, experiment) -> None:
    evaluation = {"origins": {"dates": ["2022-09-30"]}, "bootstrap_replicates": 0, "capacities": [0.05, 20]}
    judged = run_backtest(
        panel,
        Experiment.model_validate(
            {
                **experiment.model_dump(mode="json", exclude={"evaluation", "model"}),
                "model": {"kind": "rules"},
                "evaluation": evaluation,
            }
        ),
    )
    of_list = judged.scores.filter(~judged.scores["is_red"])
    by_policy, by_model = (of_list[name].to_numpy() for name in ("score_rules", "score_model"))
    assert len(np.unique(by_policy)) > 50
    assert np.array_equal(rankdata(by_policy), rankdata(by_model))
    found = {(r["policy"], r["capacity"]): r["found"] for r in judged.pooled}
    for capacity in (0.05, 20):
        assert found["model", capacity] == pytest.approx(found["rules", capacity])
