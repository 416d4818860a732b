"""A model of the rules alone: the order is theirs, the risk rises with it, and shares add up."""

from __future__ import annotations

import numpy as np
import pytest

from relapse_risk.config import Experiment
from relapse_risk.modeling.rules_hazard import READS, RulesHazard, place_by_rules

ENDS = (3, 6, 12)


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    rng = np.random.default_rng(4)
    n = 4000
    income = rng.lognormal(0.7, 0.5, n)
    values = np.column_stack(
        [rng.random(n) < 0.03, rng.poisson(0.3, n), rng.random(n) < 0.05, income, income]
    ).astype(float)
    values[rng.random(n) < 0.1, 3] = np.nan
    values[rng.random(n) < 0.02, 3:] = np.nan
    return values


@pytest.fixture(scope="module")
def fitted(rows: np.ndarray) -> RulesHazard:
    rng = np.random.default_rng(5)
    chance = 0.02 + 0.05 * (rows[:, 1] > 0) + 0.1 * (np.nan_to_num(rows[:, 4], nan=2.0) < 1.3)
    event = np.where(rng.random(len(rows)) < chance, rng.choice([2.0, 5.0, 9.0], len(rows)), np.nan)
    return RulesHazard(ENDS).fit(rows, event, np.full(len(rows), 12.0))


def test_risk_rises_with_the_place_and_without_ties(fitted, rows) -> None:
    place, risk = place_by_rules(rows), fitted.predict_risk(rows)
    order = np.argsort(place, kind="stable")
    assert (np.diff(risk[order], axis=0)[np.diff(place[order]) > 0] > 0).all()
    assert (np.diff(risk, axis=1) >= 0).all()


def test_the_order_stands_where_training_contradicts_it(rows) -> None:
    """Nothing of the order is learnt: it is that of the rules, right or wrong."""
    place = place_by_rules(rows)
    event = np.where(place < np.quantile(place, 0.2), 2.0, np.nan)
    risk = RulesHazard(ENDS).fit(rows, event, np.full(len(rows), 12.0)).predict_risk(rows)[:, -1]
    assert (np.diff(risk[np.argsort(place)]) >= 0).all()


def test_shares_add_up_and_are_named_by_what_the_record_shows(fitted, rows) -> None:
    found = fitted.hazard_contributions(rows)
    assert found.shape == (len(rows), 3, len(READS) + 1)
    np.testing.assert_allclose(found.sum(axis=2), fitted.hazard_margins(rows), rtol=0, atol=1e-9)
    unnamed = (np.nan_to_num(rows[:, :3]) == 0).all(axis=1)
    assert (found[unnamed, :, :3] == 0).all()
    of_year, of_period = found[:, :, 3], found[:, :, 4]
    assert (of_period[~np.isnan(rows[:, 3])] == 0).all()
    assert (of_year[np.isnan(rows[:, 3]) & ~np.isnan(rows[:, 4])] == 0).all()
    assert fitted.feature_importances().sum() == pytest.approx(1.0)


def test_files_give_the_same_model(fitted, rows) -> None:
    again = RulesHazard(ENDS).restore(fitted.fitted_files())
    assert np.array_equal(again.hazard_margins(rows), fitted.hazard_margins(rows))
    assert np.array_equal(again.feature_importances(), fitted.feature_importances())


def test_without_any_income_hits_alone_decide(rows) -> None:
    blind = rows.copy()
    blind[:, 3:] = np.nan
    event = np.where(np.arange(len(rows)) % 20 == 0, 5.0, np.nan)
    risk = RulesHazard(ENDS).fit(blind, event, np.full(len(rows), 12.0)).predict_risk(blind)[:, -1]
    assert risk[blind[:, 0] > 0].min() > risk[(blind[:, :3] == 0).all(axis=1)].max()


@pytest.mark.parametrize(
    "section",
    [
        {"features": {"exclude": ["wage_share"]}, "model": {"kind": "rules"}},
        {"search": {"space": {"kind": {"choices": ["hazard", "rules"]}}}},
    ],
)
def test_an_experiment_says_what_rules_have_no_use_for(section: dict) -> None:
    with pytest.raises(ValueError, match="a model of the rules"):
        Experiment.model_validate({"name": "x", **section})
