"""How features become columns of a linear model."""

from __future__ import annotations

import json

import numpy as np
import pytest

from relapse_risk.modeling.encoding import ColumnEncoding, spline_columns


def test_a_spline_is_linear_beyond_its_outer_knots_and_smooth_within() -> None:
    knots = (-1.0, 0.0, 0.5, 2.0)
    x = np.linspace(-4, 5, 2001)
    columns = spline_columns(x, knots)
    assert columns.shape == (2001, 3)
    curvature = np.diff(columns, 2, axis=0) / (x[1] - x[0]) ** 2
    middle = x[1:-1]
    outside = (middle < -1.01) | (middle > 2.01)
    assert np.abs(curvature[outside]).max() < 1e-6
    assert np.abs(np.diff(curvature, axis=0)).max() < 0.05


def test_training_columns_have_mean_zero_and_deviation_one() -> None:
    values = np.random.default_rng(0).lognormal(size=5000)
    values[:500] = np.nan
    encoding = ColumnEncoding.learn(values, is_categorical=False)
    columns = encoding.columns(values)
    assert encoding.kind == "spline"
    assert columns.shape[1] == encoding.width == 5
    assert columns.mean(axis=0) == pytest.approx(np.zeros(5), abs=1e-9)
    assert columns.std(axis=0) == pytest.approx(np.ones(5))


def test_values_far_out_and_missing_ones_stay_within_what_was_seen() -> None:
    values = np.arange(1000.0)
    encoding = ColumnEncoding.learn(values, is_categorical=False)
    edge = encoding.columns(np.array([1e9, encoding.high, np.nan, encoding.fill]))
    assert np.array_equal(edge[0], edge[1])
    assert np.array_equal(edge[2], edge[3])


def test_codes_get_a_column_each_and_unseen_ones_none() -> None:
    values = np.repeat([1.0, 2.0, 7.0], [100, 50, 5])
    encoding = ColumnEncoding.learn(values, is_categorical=True)
    assert encoding.levels == (1.0, 2.0)
    assert encoding.raw_columns(np.array([2.0, 7.0, 99.0])).tolist() == [[0, 1], [0, 0], [0, 0]]


@pytest.mark.parametrize("values", [np.full(50, np.nan), np.full(50, 3.0)])
def test_what_never_varies_has_no_column(values: np.ndarray) -> None:
    encoding = ColumnEncoding.learn(values, is_categorical=False)
    assert encoding.width == 0
    assert encoding.columns(np.array([1.0, np.nan])).shape == (2, 0)


@pytest.mark.parametrize("is_categorical", [True, False])
def test_an_encoding_survives_json(is_categorical: bool) -> None:
    values = np.random.default_rng(0).integers(0, 6, 900).astype(float)
    values[:30] = np.nan
    encoding = ColumnEncoding.learn(values, is_categorical=is_categorical)
    restored = ColumnEncoding.from_json(json.loads(json.dumps(encoding.as_json())))
    assert restored == encoding
