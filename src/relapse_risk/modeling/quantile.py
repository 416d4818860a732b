"""Household income ahead: quantiles of the reference income a person, and the risk of any line read off them.

A hazard answers for one line only. Quantiles answer for every line, what-if lines among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError, ModelError
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.hazard import lightgbm_module
from relapse_risk.modeling.intervals import Array
from relapse_risk.modeling.model import fingerprints, match_features
from relapse_risk.modeling.training import FEWEST_EVENTS
from relapse_risk.windows import OriginSplit, add_months

if TYPE_CHECKING:
    from lightgbm import Booster

    from relapse_risk.panel.panel import Panel

INCOME = "ref_income_pc_12m"
INCOME_MONTHS = (3, 6, 12)
# Dense below, where lines are.
LEVELS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.975)
_SCALE_YUAN = 1000.0
_LEAST_SPREAD = 1e-3
_TREES: dict[str, Any] = {
    "objective": "quantile",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "min_data_in_leaf": 60,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.5,
    "lambda_l2": 1.0,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 2,
    "verbosity": -1,
}
_N_TREES = 80


@dataclass(frozen=True)
class IncomeForecast:
    """Quantiles of each household's income some months ahead.

    Attributes
    ----------
    index : polars.DataFrame
        As in the feature matrix.
    months : tuple of int
    levels : tuple of float
        Probabilities, rising.
    quantiles : ndarray, shape (n, n_months, n_levels)
        Yuan a person and year, never falling along the last axis; NaN where today's income is not known.
    """

    index: pl.DataFrame
    months: tuple[int, ...]
    levels: tuple[float, ...]
    quantiles: Array

    def __repr__(self) -> str:
        return f"IncomeForecast({self.index.height} rows, {', '.join(map(str, self.months))} months ahead)"

    def below(self, line: float | Array, months: int) -> Array:
        """Return the probability that income is below a line then, shape ``(n,)``; higher is worse.

        Parameters
        ----------
        line : float or ndarray, shape (n,)
            Yuan a person and year, such as ``matrix.parameter("line")``, or a what-if.
        months : int
            One of ``months``.

        Raises
        ------
        ContractError
            RR375 where nothing was forecast so many months ahead.

        Notes
        -----
        Linear between quantiles; beyond the first and the last an exponential tail whose scale is that
        between the two outermost quantiles. It rises with the line, by construction.
        """
        if months not in self.months:
            raise ContractError(
                "RR375",
                "income forecast",
                f"{months} months ahead was asked",
                f"one of {', '.join(map(str, self.months))}",
                "Ask for one of these, or fit the model for other months",
            )
        found = self.quantiles[:, self.months.index(months)]
        lines = np.broadcast_to(np.asarray(line, dtype=np.float64), len(found))
        return _distribution(
            np.arcsinh(found / _SCALE_YUAN), np.asarray(self.levels), np.arcsinh(lines / _SCALE_YUAN)
        )

    def to_polars(self) -> pl.DataFrame:
        """Return household_id, as_of_date, months, and a column in yuan for each level, such as ``q05``."""
        keys = self.index.select("household_id", "as_of_date")
        parts = [
            keys.with_columns(
                pl.lit(months).alias("months"),
                *(
                    pl.Series(f"q{100 * level:04.1f}", self.quantiles[:, i, j]).fill_nan(None)
                    for j, level in enumerate(self.levels)
                ),
            )
            for i, months in enumerate(self.months)
        ]
        return pl.concat(parts)


@dataclass(frozen=True)
class IncomeModel:
    """Fitted and conformalised quantiles of income.

    Attributes
    ----------
    features : FeatureSet
        What the trees read, in order.
    months : tuple of int
    levels : tuple of float
    boosters : tuple of lightgbm.Booster
        One a level; the number of the horizon is the last column they read.
    shifts : ndarray, shape (n_months, n_levels)
        What is added to each quantile, in units of the household's own spread.
    calibration_rows : int
        Households and dates the shifts were learnt on; 0 means that they are none.
    """

    features: FeatureSet
    months: tuple[int, ...]
    levels: tuple[float, ...]
    boosters: tuple[Booster, ...]
    shifts: Array
    calibration_rows: int

    def __repr__(self) -> str:
        return (
            f"IncomeModel({len(self.features)} features, {len(self.levels)} quantiles, {self.months} months)"
        )

    def predict(self, matrix: FeatureMatrix) -> IncomeForecast:
        """Return the quantiles of every row's income.

        Raises
        ------
        ContractError
            RR361 or RR362 where the matrix was built from other features.
        """
        match_features(self.features.names, fingerprints(self.features), matrix.features)
        now = np.arcsinh(matrix.column(INCOME) / _SCALE_YUAN)
        raw = _raw_quantiles(self.boosters, _columns(matrix, self.features), len(self.months))
        moved = np.sort(raw + self.shifts * _spread(raw, self.levels), axis=2)
        yuan = np.sinh(now[:, None, None] + moved) * _SCALE_YUAN
        return IncomeForecast(matrix.index, self.months, self.levels, yuan)


def income_after(panel: Panel, index: pl.DataFrame, months: int) -> Array:
    """Return each row's reference income ``months`` after its as-of date, as known then.

    Returns
    -------
    ndarray, shape (index.height,)
        Yuan a person and year; NaN where it was not known then.
    """
    days = index["as_of_date"].unique().sort().to_list()
    income = features_for(panel).select([INCOME])
    later = build_features(panel, [add_months(day, months) for day in days], income)
    seen = later.index.select("household_id", later_day="as_of_date").with_columns(
        income=pl.Series(later.column(INCOME))
    )
    dates = pl.DataFrame({"as_of_date": days, "later_day": [add_months(day, months) for day in days]})
    found = (
        index.select("household_id", "as_of_date")
        .join(dates, on="as_of_date", how="left", maintain_order="left")
        .join(seen, on=["household_id", "later_day"], how="left", maintain_order="left")
    )
    values: Array = found["income"].fill_null(np.nan).to_numpy()
    return values


def fit_income(
    matrix: FeatureMatrix,
    income: Array,
    split: OriginSplit,
    features: FeatureSet,
    months: tuple[int, ...] = INCOME_MONTHS,
    levels: Sequence[float] = LEVELS,
    seed: int = 0,
) -> IncomeModel:
    """Fit quantiles on the split's fit origins, and conformalise them on its later ones.

    Parameters
    ----------
    matrix : FeatureMatrix
        Of the rows to learn from; holds ``ref_income_pc_12m``.
    income : ndarray, shape (n, n_months)
        Of each row as many months later, from :func:`income_after`; NaN rows are left out.
    split : OriginSplit
    features : FeatureSet
        What the trees read.
    months, levels
    seed : int

    Raises
    ------
    ModelError
        RR404 where too few incomes are known to fit on.

    Notes
    -----
    The trees learn the change of asinh(income / 1,000 yuan), which is a relative change for usual incomes
    and sound at or below 0. Quantiles are sorted, which never makes them worse (Chernozhukov et al. 2010,
    doi:10.3982/ECTA7880). The shift of a level is the quantile of its errors on the later origins
    (Romano et al. 2019, doi:10.48550/arXiv.1905.03222), in units of the row's own spread.
    """
    change = np.arcsinh(income / _SCALE_YUAN) - np.arcsinh(matrix.column(INCOME) / _SCALE_YUAN)[:, None]
    day = matrix.index["as_of_date"]
    is_fit = day.is_in(list(split.fit_origins)).to_numpy()
    values = _columns(matrix, features)
    boosters = _fitted(values[is_fit], change[is_fit], features, tuple(levels), seed)
    is_later = day.is_in(list(split.calibration_origins)).to_numpy()
    shifts = np.zeros((len(months), len(levels)))
    known = is_later & np.isfinite(change).any(axis=1)
    if known.any():
        raw = _raw_quantiles(boosters, values[known], len(months))
        shifts = _conformal_shifts(raw, change[known], tuple(levels))
    return IncomeModel(features, months, tuple(levels), boosters, shifts, int(known.sum()))


def risk_agreement(below: Array, risk: Array) -> pl.DataFrame:
    """Return how far two probabilities of the same event are apart, by tenth of the second.

    Parameters
    ----------
    below, risk : ndarray, shape (n,)
        Of the income forecast, and of a hazard whose label is the state at the horizon, by income alone.
        Rows where either is NaN are left out.

    Returns
    -------
    polars.DataFrame
        decile (10 is the highest risk), rows, risk, below, difference: means, and below less risk.
    """
    is_known = np.isfinite(below) & np.isfinite(risk)
    below, risk = below[is_known], risk[is_known]
    parts = np.array_split(np.argsort(risk, kind="stable"), 10)
    rows = [
        (i + 1, len(part), float(risk[part].mean()), float(below[part].mean()))
        for i, part in enumerate(parts)
        if len(part)
    ]
    schema = {"decile": pl.Int64, "rows": pl.Int64, "risk": pl.Float64, "below": pl.Float64}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    return frame.with_columns(difference=pl.col("below") - pl.col("risk"))


def _columns(matrix: FeatureMatrix, features: FeatureSet) -> Array:
    values: Array = matrix.values[:, [matrix.features.position(name) for name in features.names]]
    return values


def _fitted(
    values: Array, change: Array, features: FeatureSet, levels: tuple[float, ...], seed: int
) -> tuple[Booster, ...]:
    """Return a booster a level, fitted to all horizons at once."""
    lightgbm = lightgbm_module()
    horizon, row = np.nonzero(np.isfinite(change).T)
    if len(row) < FEWEST_EVENTS * len(levels):
        raise ModelError(
            "RR404",
            "income quantiles",
            f"{len(row)} households and dates have an income now and later",
            f"{FEWEST_EVENTS * len(levels)} or more",
            "Take earlier origins, or check that income is reported",
        )
    expanded = np.column_stack([values[row], horizon]).astype(np.float32)
    coded = [i for i, feature in enumerate(features) if feature.is_categorical]
    data = lightgbm.Dataset(
        expanded, change[row, horizon], categorical_feature=coded, params=_TREES, free_raw_data=False
    )
    return tuple(lightgbm.train({**_TREES, "alpha": level, "seed": seed}, data, _N_TREES) for level in levels)


def _raw_quantiles(boosters: tuple[Booster, ...], values: Array, n_months: int) -> Array:
    """Return sorted quantiles of the change, shape ``(n, n_months, n_levels)``."""
    found = np.empty((len(values), n_months, len(boosters)))
    expanded = np.column_stack([values, np.zeros(len(values))]).astype(np.float32)
    for horizon in range(n_months):
        expanded[:, -1] = horizon
        for column, booster in enumerate(boosters):
            found[:, horizon, column] = booster.predict(expanded, num_threads=0)
    return np.sort(found, axis=2)


def _spread(raw: Array, levels: tuple[float, ...]) -> Array:
    """Return the width between the quantiles next to 10% and 90%, shape ``(n, n_months, 1)``."""
    low, high = (int(np.abs(np.asarray(levels) - level).argmin()) for level in (0.1, 0.9))
    width: Array = np.maximum(raw[..., high] - raw[..., low], _LEAST_SPREAD)[..., None]
    return width


def _conformal_shifts(raw: Array, change: Array, levels: tuple[float, ...]) -> Array:
    """Return the shifts that make the share below each quantile its level, shape ``(n_months, n_levels)``."""
    errors = (change[..., None] - raw) / _spread(raw, levels)
    shifts = np.zeros(raw.shape[1:])
    for horizon in range(raw.shape[1]):
        known = np.sort(errors[np.isfinite(change[:, horizon]), horizon], axis=0)
        for column, level in enumerate(levels):
            if len(known):
                rank = min(int(np.ceil((len(known) + 1) * level)), len(known)) - 1
                shifts[horizon, column] = known[rank, column]
    return shifts


def _distribution(quantiles: Array, levels: Array, lines: Array) -> Array:
    """Return the probability below each row's line, from its rising quantiles."""
    right = (quantiles <= lines[:, None]).sum(axis=1)
    last = len(levels) - 1
    rows = np.arange(len(lines))
    upper, lower = np.clip(right, 1, last), np.clip(right, 1, last) - 1
    left_end, right_end = quantiles[rows, lower], quantiles[rows, upper]
    width = np.maximum(right_end - left_end, 1e-9)
    inside = levels[lower] + (levels[upper] - levels[lower]) * (lines - left_end) / width
    # The gap between two outermost quantiles of an exponential tail is its scale times their log ratio.
    low_scale = np.maximum(quantiles[:, 1] - quantiles[:, 0], 1e-9) / np.log(levels[1] / levels[0])
    high_scale = np.maximum(quantiles[:, -1] - quantiles[:, -2], 1e-9)
    high_scale /= np.log((1 - levels[-2]) / (1 - levels[-1]))
    under = levels[0] * np.exp(np.minimum(lines - quantiles[:, 0], 0) / low_scale)
    over = 1 - (1 - levels[-1]) * np.exp(np.minimum(quantiles[:, -1] - lines, 0) / high_scale)
    found = np.where(right == 0, under, np.where(right == len(levels), over, inside))
    is_known: NDArray[np.bool_] = np.isfinite(quantiles[:, 0]) & np.isfinite(lines)
    probability: Array = np.where(is_known, found, np.nan)
    return probability
