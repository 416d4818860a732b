"""Income quantiles: they cover what they say, never cross, and give the true risk of falling below a line."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from relapse_risk.errors import ContractError, ModelError
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.quantile import INCOME, IncomeForecast, IncomeModel, fit_income, risk_agreement
from relapse_risk.modeling.quantile_store import load_income, save_income
from relapse_risk.modeling.store import MODEL_FILE, load_model, write_folder
from relapse_risk.windows import OriginSplit

from .conftest import make_feature

FIT, LATER, TEST = date(2020, 12, 31), date(2021, 12, 31), date(2022, 12, 31)
SPLIT = OriginSplit((FIT,), (LATER,), (TEST,), TEST)
FEATURES = FeatureSet([make_feature(INCOME), make_feature("unstable")])
Array = NDArray[np.float64]


def drawn(n: int, seed: int) -> tuple[FeatureMatrix, Array]:
    """Log-income moves by a normal step, twice as wide for the unstable; later years are worse by 5%."""
    rng = np.random.default_rng(seed)
    day = np.repeat([0, 1, 2], n // 3)
    unstable = (rng.random(n) < 0.5).astype(float)
    income = np.exp(rng.normal(9.2, 0.4, n))
    steps = rng.normal(0, 1, (n, 2)) * (0.15 + 0.15 * unstable)[:, None]
    after = income[:, None] * np.exp(steps * [0.7, 1.0] - 0.05 * (day > 0)[:, None])
    income[:5] = np.nan
    frame = pl.DataFrame(
        {"household_id": [f"h{i:05d}" for i in range(n)], "as_of_date": [[FIT, LATER, TEST][i] for i in day]}
    )
    other = [pl.lit("x").alias(name) for name in INDEX_COLUMNS if name not in frame.columns]
    index = frame.with_columns(other).select(INDEX_COLUMNS)
    return FeatureMatrix(index, FEATURES, np.column_stack([income, unstable])), after


@pytest.fixture(scope="module")
def data() -> tuple[FeatureMatrix, Array]:
    return drawn(9_000, 1)


@pytest.fixture(scope="module")
def model(data: tuple[FeatureMatrix, Array]) -> IncomeModel:
    return fit_income(*data, SPLIT, FEATURES, months=(6, 12))


@pytest.fixture(scope="module")
def ahead(model: IncomeModel, data: tuple[FeatureMatrix, Array]) -> IncomeForecast:
    return model.predict(data[0].at(TEST))


def test_each_quantile_covers_its_share_of_a_later_year_at_every_horizon(
    ahead: IncomeForecast, data: tuple[FeatureMatrix, Array]
) -> None:
    came = data[1][6_000:]
    share = (came[..., None] <= ahead.quantiles).mean(axis=0)
    np.testing.assert_allclose(share, np.tile(ahead.levels, (2, 1)), atol=0.03)


def test_quantiles_never_cross_and_are_missing_only_where_todays_income_is(
    model: IncomeModel, data: tuple[FeatureMatrix, Array]
) -> None:
    quantiles = model.predict(data[0]).quantiles
    assert np.isnan(quantiles[:5]).all()
    assert (np.diff(quantiles[5:], axis=2) >= 0).all()


def test_the_risk_of_any_line_is_the_true_one_in_every_tenth(
    ahead: IncomeForecast, data: tuple[FeatureMatrix, Array]
) -> None:
    income, unstable = data[0].at(TEST).values.T
    for line in (6_000.0, 8_000.0):
        gap = (np.log(line / income) + 0.05) / (0.15 + 0.15 * unstable)
        true = np.array([0.5 * (1 + _erf(z / np.sqrt(2))) for z in gap])
        table = risk_agreement(ahead.below(line, 12), true)
        assert table["rows"].sum() == 3_000
        assert table["difference"].abs().max() < 0.06


def _erf(value: float) -> float:
    from math import erf

    return erf(value)


def test_a_higher_line_never_has_a_lower_risk(ahead: IncomeForecast) -> None:
    risks = np.array([ahead.below(line, 12) for line in np.geomspace(500, 90_000, 60)])
    assert (np.diff(risks, axis=0) >= -1e-12).all()
    assert risks.min() >= 0
    assert risks.max() <= 1
    assert (risks[-1] > 0.95).all()


def test_a_horizon_that_was_not_forecast_is_refused(ahead: IncomeForecast) -> None:
    with pytest.raises(ContractError, match="RR375"):
        ahead.below(8_000, 9)


def test_too_few_known_incomes_are_refused(data: tuple[FeatureMatrix, Array]) -> None:
    with pytest.raises(ModelError, match="RR404"):
        fit_income(data[0], np.full((9_000, 2), np.nan), SPLIT, FEATURES, months=(6, 12))


def test_the_table_has_a_column_for_each_level(ahead: IncomeForecast) -> None:
    table = ahead.to_polars()
    assert table.height == 6_000
    assert {"q01.0", "q50.0", "q97.5"} <= set(table.columns)


def test_a_saved_model_comes_back_and_gives_the_same_quantiles(
    model: IncomeModel, data: tuple[FeatureMatrix, Array], tmp_path: Path
) -> None:
    folder = save_income(model, tmp_path / "income", {"known_on": "2022-12-31"})
    again = load_income(folder, FEATURES)
    matrix = data[0].at(TEST)
    np.testing.assert_array_equal(again.predict(matrix).quantiles, model.predict(matrix).quantiles)
    assert {path.suffix for path in folder.iterdir()} == {".json", ".txt"}
    with pytest.raises(ModelError, match="RR411"):
        save_income(model, folder)


def test_a_changed_or_another_kind_of_model_is_refused(model: IncomeModel, tmp_path: Path) -> None:
    folder = save_income(model, tmp_path / "income")
    with pytest.raises(ModelError, match="RR414"):
        load_model(folder)
    other = write_folder({MODEL_FILE: '{"kind": "hazard"}'}, tmp_path / "other")
    with pytest.raises(ModelError, match=r"RR416[\s\S]*relapse-risk income"):
        load_income(other, FEATURES)
    (folder / "quantile_0.5.txt").write_text("tree", encoding="utf-8")
    with pytest.raises(ModelError, match="RR413"):
        load_income(folder, FEATURES)
