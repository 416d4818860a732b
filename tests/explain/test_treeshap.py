"""Attributions by tables are LightGBM's own, whatever the trees ask about and however they are run."""

from __future__ import annotations

from typing import Any

import lightgbm
import numpy as np
import pytest
from numpy.typing import NDArray

from relapse_risk.errors import ModelError
from relapse_risk.explain import treeshap
from relapse_risk.explain.treeshap import TreeTables, hazard_contributions
from relapse_risk.modeling.hazard import HazardClassifier

Array = NDArray[np.float64]
INTERVALS = (0.0, 1.0, 2.0)
CODES = [3, 4]  # of the columns, those that hold codes


def draw_rows(seed: int, n: int = 1500, n_columns: int = 9) -> NDArray[np.float32]:
    """Numbers with ties and exact zeros, codes (some beyond 32, some unseen by the trees), missing values."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_columns))  # noqa: N806
    X[:, 1] = np.round(X[:, 1], 1)
    X[rng.random(n) < 0.5, 2] = 0.0
    X[:, 3] = rng.integers(0, 70, n)
    X[:, 4] = rng.integers(0, 3, n)
    X[rng.random(X.shape) < 0.15] = np.nan
    return X.astype(np.float32)


def with_interval(X: NDArray[np.float32], interval: Any) -> NDArray[np.float32]:  # noqa: N803
    return np.column_stack([X, np.broadcast_to(interval, len(X)).astype(np.float32)])


def fit(X: NDArray[np.float32], seed: int, **parameters: Any) -> lightgbm.Booster:  # noqa: N803
    rng = np.random.default_rng(seed + 100)
    interval = rng.integers(0, 3, len(X))
    known = np.nan_to_num(X)
    margin = (
        known[:, 0] * known[:, 1] + np.sin(known[:, 3]) + (known[:, 4] == 2) + 0.4 * interval * known[:, 5]
    )
    outcome = rng.random(len(X)) < 1 / (1 + np.exp(-margin))
    settings = {
        "objective": "binary",
        "verbosity": -1,
        "min_data_in_leaf": 10,
        "num_threads": 1,
        "seed": seed,
    }
    data = lightgbm.Dataset(with_interval(X, interval), outcome.astype(float), categorical_feature=CODES)
    return lightgbm.train({**settings, **parameters}, data, 12)


def largest_gap(booster: lightgbm.Booster, X: NDArray[np.float32], **options: Any) -> float:  # noqa: N803
    found = TreeTables.of(booster.model_to_string(), **options).contributions(X, INTERVALS)
    expected = [booster.predict(with_interval(X, k), pred_contrib=True) for k in INTERVALS]
    return float(np.abs(found - np.stack(expected, axis=1)).max())


@pytest.mark.parametrize("seed", range(12))
def test_values_are_those_of_pred_contrib_on_random_models(seed: int) -> None:
    """Deep and shallow trees, codes one against the rest and in sets, each treatment of what is missing."""
    rng = np.random.default_rng(seed)
    parameters = {
        "num_leaves": int(rng.integers(2, 40)),
        "max_depth": int(rng.integers(1, 13)),
        "max_cat_to_onehot": int(rng.choice([1, 4, 100])),
        "zero_as_missing": bool(rng.random() < 0.3),
        "use_missing": bool(rng.random() < 0.7),
        "feature_fraction": float(rng.uniform(0.4, 1.0)),
        "monotone_constraints": [1, 0, -1, 0, 0, 0, 0, 1, 0, 0] if rng.random() < 0.3 else [0] * 10,
    }
    booster = fit(draw_rows(seed), seed, **parameters)
    assert largest_gap(booster, draw_rows(seed + 50, 300)) < 1e-12, parameters


@pytest.mark.parametrize("bits", [1, 3, 6, 12])
def test_values_do_not_depend_on_how_the_trees_are_cut(bits: int) -> None:
    booster = fit(draw_rows(1), 1, num_leaves=25, max_depth=7)
    assert largest_gap(booster, draw_rows(2, 200), most_bits=bits) < 1e-12


@pytest.mark.filterwarnings("ignore")  # shap's own plots use what matplotlib will drop
def test_values_are_those_of_the_shap_package() -> None:
    """A second opinion: shap's own walk through the trees, on trees without codes, which it does not take."""
    import shap

    X = draw_rows(3)  # noqa: N806
    X[:, CODES] = X[:, :2]
    outcome = (np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 5]) > 0).astype(float)
    settings = {"objective": "binary", "verbosity": -1, "num_leaves": 15, "max_depth": 6, "num_threads": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(with_interval(X, 0.0), outcome), 10)
    rows = with_interval(np.nan_to_num(X[:100]), 0.0)
    explainer = shap.TreeExplainer(booster, feature_perturbation="tree_path_dependent")
    found = TreeTables.of(booster.model_to_string()).contributions(rows[:, :-1], [0.0])
    np.testing.assert_allclose(found[:, 0, :-1], explainer(rows).values, rtol=0, atol=1e-6)


def test_values_outside_of_what_training_saw_are_told_apart_as_the_trees_do() -> None:
    """Infinite numbers, negative, fractional and unseen codes."""
    booster = fit(draw_rows(4), 4, num_leaves=31, max_cat_to_onehot=1)
    X = draw_rows(5, 60)  # noqa: N806
    X[:20, 0], X[20:40, 0] = np.inf, -np.inf
    X[:15, 3], X[15:30, 3], X[30:45, 3], X[45:, 3] = -1.0, 999.0, 3.7, -0.5
    assert largest_gap(booster, X) < 1e-12


def test_bits_do_not_depend_on_threads_or_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = TreeTables.of(fit(draw_rows(6), 6).model_to_string())
    X = draw_rows(7, 700)  # noqa: N806
    whole = tables.contributions(X, INTERVALS)
    monkeypatch.setattr(treeshap, "_BLOCK_ROWS", 64)
    np.testing.assert_array_equal(tables.contributions(X, INTERVALS), whole)
    np.testing.assert_array_equal(tables.contributions(X[13:14], INTERVALS), whole[13:14])
    assert len(tables.contributions(X[:0], INTERVALS)) == 0


def test_trees_that_ask_nothing_say_their_mean() -> None:
    X = draw_rows(8, 100)  # noqa: N806
    settings = {"objective": "binary", "verbosity": -1, "min_data_in_leaf": 1000}
    booster = lightgbm.train(settings, lightgbm.Dataset(with_interval(X, 0.0), np.arange(100) % 2), 3)
    found = TreeTables.of(booster.model_to_string()).contributions(X, INTERVALS)
    assert not found[:, :, :-1].any()
    np.testing.assert_allclose(
        found[:, 0, -1], booster.predict(with_interval(X, 0.0), raw_score=True), atol=1e-12
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {"linear_tree": True, "objective": "regression"},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
        {"num_leaves": 2000, "min_data_in_leaf": 1, "max_depth": -1},
    ],
)
def test_other_boosters_are_refused_by_name(parameters: dict[str, Any]) -> None:
    X = draw_rows(9, 4000, 40)  # noqa: N806
    outcome = np.random.default_rng(0).random(len(X)) < 0.5
    settings = {"objective": "binary", "verbosity": -1, "seed": 1, **parameters}
    booster = lightgbm.train(settings, lightgbm.Dataset(with_interval(X, 0.0), outcome.astype(float)), 3)
    with pytest.raises(ModelError, match=r"RR473.*pred_contrib"):
        TreeTables.of(booster.model_to_string())


@pytest.fixture(scope="module")
def hazard() -> HazardClassifier:
    X = draw_rows(10).astype(np.float64)  # noqa: N806
    rng = np.random.default_rng(10)
    event = np.where(rng.random(len(X)) < 1 / (1 + np.exp(1 - np.nan_to_num(X[:, 0]))), 5.0, np.nan)
    estimator = HazardClassifier(categorical_features=CODES, n_estimators=20, min_child_samples=20)
    return estimator.fit(X, event, np.full(len(X), 12.0))


def test_a_hazard_is_explained_as_it_explains_itself(hazard: HazardClassifier) -> None:
    X = draw_rows(11, 200).astype(np.float64)  # noqa: N806
    found = hazard_contributions(hazard, X)
    np.testing.assert_allclose(found, hazard.hazard_contributions(X), rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=2), hazard.hazard_margins(X), rtol=0, atol=1e-9)


def test_a_hazard_that_tables_do_not_cover_is_handed_over(
    hazard: HazardClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody goes without reasons because a model's trees are deep."""
    monkeypatch.setattr(treeshap, "_MOST_FEATURES_OF_A_PATH", 0)
    monkeypatch.setattr(treeshap, "_BITS", 0)
    treeshap._tables_of.cache_clear()
    with pytest.raises(ModelError, match=r"RR473.*different features"):
        TreeTables.of(hazard.booster_text_, most_bits=0)
    X = draw_rows(12, 20).astype(np.float64)  # noqa: N806
    np.testing.assert_array_equal(hazard_contributions(hazard, X), hazard.hazard_contributions(X))
    treeshap._tables_of.cache_clear()
