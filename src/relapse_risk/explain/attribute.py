"""What each feature adds to the uncalibrated log-odds of a household's risk.

An estimator gives exact contributions for every interval of the hazard; they add up, with a base, to the
interval's log-odds before calibration. Calibration is monotone within an interval, so order and sign stand.
For one figure per feature the intervals are averaged, each weighted by the share of the household's risk
that falls into it: where a relapse is expected soon, the first interval decides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.rules.phrases import NOT_KNOWN
from relapse_risk.vocabulary import Language

if TYPE_CHECKING:
    import shap

    from relapse_risk.modeling.model import TrainedModel

Array = NDArray[np.float64]
CHUNK_ROWS = 20_000


@dataclass(frozen=True)
class Attributions:
    """Contributions of every feature to every row's log-odds.

    Attributes
    ----------
    index : polars.DataFrame
        As in the feature matrix.
    features : FeatureSet
        The model's features, in column order.
    values : ndarray of float64, shape (n_rows, n_features)
        Contributions to the uncalibrated log-odds, averaged over the intervals; higher raises the risk.
    base : ndarray of float64, shape (n_rows,)
        What is left where no feature says anything: ``values.sum(axis=1) + base`` is the average log-odds.
    """

    index: pl.DataFrame
    features: FeatureSet
    values: Array
    base: Array

    def __len__(self) -> int:
        return self.index.height

    def __repr__(self) -> str:
        return f"Attributions({len(self)} rows x {len(self.features)} features)"

    def column(self, name: str) -> Array:
        """Return one feature's contributions, shape ``(n_rows,)``."""
        return self.values[:, self.features.position(name)]

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> Attributions:
        """Return the rows of a mask or of positions, in that order."""
        positions = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        return Attributions(
            self.index[positions], self.features, self.values[positions], self.base[positions]
        )

    def to_shap(self, matrix: FeatureMatrix, language: Language = "zh") -> shap.Explanation:
        """Return the contributions as shap's own plots take them, features named in a language.

        Parameters
        ----------
        matrix : FeatureMatrix
            The rows that were explained; gives the values shown beside the contributions.
        language : {"zh", "en"}

        Raises
        ------
        ContractError
            RR471 where the matrix has other rows.
        """
        import shap

        _check_rows(self, matrix)
        return shap.Explanation(
            self.values,
            base_values=self.base,
            data=matrix.select(self.features.names).values,
            feature_names=[f.zh if language == "zh" else f.en for f in self.features],
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame indexed by ``household_id`` and ``as_of_date``, one column per feature."""
        index = pd.MultiIndex.from_arrays(
            [self.index["household_id"].to_list(), self.index["as_of_date"].to_list()],
            names=["household_id", "as_of_date"],
        )
        return pd.DataFrame(self.values, index=index, columns=list(self.features.names))


def attribute(model: TrainedModel, matrix: FeatureMatrix) -> Attributions:
    """Return each feature's contribution to the uncalibrated log-odds of relapse.

    Parameters
    ----------
    model : TrainedModel
    matrix : FeatureMatrix
        Holds at least the model's features.

    Returns
    -------
    Attributions
        Shape ``(n_rows, n_features)``; higher raises the risk.

    Notes
    -----
    With hazards :math:`h_k` and survival :math:`S_k`, interval *k* has the weight
    :math:`S_{k-1} h_k / (1 - S_K)`, taken from the uncalibrated hazards. Trees are explained by exact
    path-dependent TreeSHAP (Lundberg et al. 2020, doi:10.1038/s42256-019-0138-9), linear models by
    coefficient times distance from the training mean.
    """
    values = np.empty((len(matrix), len(model.features)))
    base = np.empty(len(matrix))
    for rows in _chunks(len(matrix)):
        averaged = _average_over_intervals(interval_contributions(model, matrix.rows(rows)))
        values[rows], base[rows] = averaged[:, :-1], averaged[:, -1]
    return Attributions(matrix.index, model.features, values, base)


def interval_contributions(model: TrainedModel, matrix: FeatureMatrix) -> Array:
    """Return what each feature adds to the uncalibrated log-odds of every interval.

    Returns
    -------
    ndarray, shape (n_rows, n_intervals, n_features + 1)
        The last column is the base; along the last axis the sum is ``model.hazard_margins(matrix)``. Higher
        means more at risk.
    """
    from relapse_risk.explain.treeshap import hazard_contributions
    from relapse_risk.modeling.baselines import Blend
    from relapse_risk.modeling.hazard import HazardClassifier

    estimator, values = model.estimator, model.values(matrix)
    if isinstance(estimator, HazardClassifier):
        return hazard_contributions(estimator, values)
    if isinstance(estimator, Blend):
        logistic = estimator.logistic.hazard_contributions(values)
        return estimator.blend(hazard_contributions(estimator.hazard, values), logistic)
    return estimator.hazard_contributions(values)


def interval_weights(log_odds: Array) -> Array:
    """Return the share of every row's risk that falls into each interval, shape ``(n_rows, n_intervals)``.

    >>> interval_weights(np.array([[0.0, 0.0]])).round(3)
    array([[0.667, 0.333]])
    """
    log_survival = -np.logaddexp(0.0, log_odds)
    before = np.cumsum(log_survival, axis=1) - log_survival
    log_share = before + log_odds + log_survival
    share = np.exp(log_share - log_share.max(axis=1, keepdims=True))
    weights: Array = share / share.sum(axis=1, keepdims=True)
    return weights


def strongest(attributions: Attributions, matrix: FeatureMatrix, k: int = 5) -> pl.DataFrame:
    """Return the ``k`` features that move each row's risk most, with their values and contributions.

    Returns
    -------
    polars.DataFrame
        household_id, as_of_date, and for i = 1…k ``feature_i``, ``value_i`` (in the feature's unit, null
        where not known) and ``contribution_i`` (log-odds, either sign, largest magnitude first).

    Raises
    ------
    ContractError
        RR471 where the matrix has other rows than the attributions.
    """
    _check_rows(attributions, matrix)
    k = min(k, len(attributions.features))
    order = np.argsort(-np.abs(attributions.values), axis=1, kind="stable")[:, :k]
    contributions = np.take_along_axis(attributions.values, order, axis=1)
    names = np.array(attributions.features.names, dtype=object)[order]
    known = np.take_along_axis(matrix.select(attributions.features.names).values, order, axis=1)
    columns: dict[str, pl.Series] = {}
    for i in range(k):
        columns[f"feature_{i + 1}"] = pl.Series(names[:, i], dtype=pl.String)
        columns[f"value_{i + 1}"] = pl.Series(known[:, i]).fill_nan(None)
        columns[f"contribution_{i + 1}"] = pl.Series(contributions[:, i])
    return attributions.index.select("household_id", "as_of_date").with_columns(**columns)


def household_contributions(
    attributions: Attributions, matrix: FeatureMatrix, household_id: str, language: Language = "zh"
) -> pd.DataFrame:
    """Return what each feature adds to one household's risk, the largest first.

    Parameters
    ----------
    attributions : Attributions
        With one row of the household: one as-of date.
    matrix : FeatureMatrix
        The matrix that was explained.
    household_id : str
    language : {"zh", "en"}
        Of the values.

    Returns
    -------
    pandas.DataFrame
        ``feature``, ``zh`` and ``en`` (its name), ``value`` (text with its unit) and ``contribution``
        (log-odds, positive raises the risk), one row a feature of the model; as
        :func:`~relapse_risk.outputs.plots.plot_reasons` draws it.

    Raises
    ------
    ContractError
        RR471 where the matrix has other rows than the attributions, RR472 where the household does not have
        exactly one row.
    """
    _check_rows(attributions, matrix)
    rows = np.flatnonzero((attributions.index["household_id"] == household_id).to_numpy())
    if len(rows) != 1:
        raise ContractError(
            "RR472",
            f"household {household_id}",
            f"{len(rows)} rows in the contributions",
            "one row: a household that was scored, on one as-of date",
            "Correct the identifier, or explain one as-of date",
        )
    row, features = rows[0], attributions.features

    def said(feature: Feature) -> str:
        value = float(matrix.column(feature.name)[row])
        return NOT_KNOWN.text(language) if np.isnan(value) else feature.unit.say(value, language)

    frame = pd.DataFrame(
        {
            "feature": features.names,
            "zh": [feature.zh for feature in features],
            "en": [feature.en for feature in features],
            "value": [said(feature) for feature in features],
            "contribution": [attributions.column(name)[row] for name in features.names],
        }
    )
    order = np.argsort(-np.abs(frame["contribution"].to_numpy()), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def _check_rows(attributions: Attributions, matrix: FeatureMatrix) -> None:
    keys = ["household_id", "as_of_date"]
    if not attributions.index.select(keys).equals(matrix.index.select(keys)):
        raise ContractError(
            "RR471",
            "contributions",
            f"{len(attributions)} rows that are not the {len(matrix)} of the matrix",
            "the matrix that was explained",
            "Explain this matrix, or take its rows and those of the contributions alike",
        )


def _average_over_intervals(contributions: Array) -> Array:
    """Return contributions and base averaged over the intervals, shape ``(n_rows, n_features + 1)``."""
    weights = interval_weights(contributions.sum(axis=2))
    averaged: Array = np.einsum("nk,nkf->nf", weights, contributions)
    return averaged


def _chunks(n_rows: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, n_rows, CHUNK_ROWS):
        yield np.arange(start, min(start + CHUNK_ROWS, n_rows))
