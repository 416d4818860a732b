"""Figures too good to be true: a sign that the outcome has leaked into the features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relapse_risk.evaluation.metrics import roc_auc
from relapse_risk.evaluation.notices import Notice
from relapse_risk.evaluation.records import Record
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.vocabulary import Bilingual

Array = NDArray[np.float64]

HIGHEST_CREDIBLE_AUC = 0.95
LARGEST_CREDIBLE_GAIN = 0.10
MOST_ROWS = 50_000


def single_indicator_aucs(matrix: FeatureMatrix, features: FeatureSet, outcome: Array) -> Array:
    """Return how well each indicator alone tells events from non-events, in hindsight.

    Parameters
    ----------
    matrix : FeatureMatrix
        The households judged on one date.
    features : FeatureSet
        Those a model may read.
    outcome : ndarray of float64, shape (n_rows,)
        1 event, 0 none.

    Returns
    -------
    ndarray of float64, shape (n_features,)
        ROC-AUC of the values, above 0.5 where higher means more at risk; missing values count as the
        median, codes without an order as 0.5. NaN without both outcomes. Of at most ``MOST_ROWS`` rows,
        evenly spaced.
    """
    rows = np.unique(np.linspace(0, len(outcome) - 1, MOST_ROWS).astype(np.int64))
    observed = outcome[rows]
    aucs = []
    for feature in features:
        values = matrix.column(feature.name)[rows]
        is_missing = np.isnan(values)
        if feature.is_categorical or is_missing.all():
            values, is_missing = np.zeros(len(rows)), np.zeros(len(rows), dtype=bool)
        fill = float(np.median(values[~is_missing]))
        aucs.append(roc_auc(observed, np.where(is_missing, fill, values)))
    return np.array(aucs)


def best_single_auc(judged: Sequence[tuple[Array, Array]]) -> float:
    """Return the ROC-AUC of the indicator that, in hindsight, was the best alone over all origins.

    Parameters
    ----------
    judged : sequence of (ndarray, ndarray)
        Outcome, and :func:`single_indicator_aucs`, of every origin.

    Returns
    -------
    float
        The mean over origins, weighted by pairs of an event and a non-event, of the best indicator; NaN
        where no origin has both outcomes.
    """
    pairs = np.array([outcome.sum() * (1 - outcome).sum() for outcome, _ in judged])
    if not pairs.sum():
        return float("nan")
    mean = pairs @ np.nan_to_num(np.array([aucs for _, aucs in judged])) / pairs.sum()
    return float(np.maximum(mean, 1.0 - mean).max())


def find_alarms(pooled: Sequence[Record], single_auc: float, horizon_months: int) -> tuple[Notice, ...]:
    """Return what is too good to be true in records over all origins.

    Parameters
    ----------
    pooled : sequence of dict
        Records over all origins.
    single_auc : float
        ROC-AUC of the best single indicator; see :func:`best_single_auc`.
    horizon_months : int
        Of the label, for the text.

    Returns
    -------
    tuple of Notice
        RR501 for a model whose ROC-AUC is 0.95 or more, RR502 for one that is more than 0.10 above the best
        single indicator's. Either says that something of the outcome has leaked into the features until
        it is shown that it has not.
    """
    auc = {record["policy"]: record["roc_auc"] for record in pooled if record["roc_auc"] is not None}
    alarms: list[Notice] = []
    for policy in ("model", "logistic"):
        if policy in auc and auc[policy] >= HIGHEST_CREDIBLE_AUC:
            alarms.append(_too_high(policy, auc[policy], horizon_months))
        if policy in auc and auc[policy] - single_auc > LARGEST_CREDIBLE_GAIN:
            alarms.append(_too_far_above(policy, auc[policy], single_auc))
    return tuple(alarms)


def _too_high(policy: str, auc: float, horizon_months: int) -> Notice:
    zh = (
        f"{policy} 对未来{horizon_months}个月的AUC为{auc:.3f}，高得不可信（不低于{HIGHEST_CREDIBLE_AUC}）："
        "很可能有结果信息泄漏到指标中，请先查明再使用。"
    )
    en = (
        f"{policy}: AUC {auc:.3f} {horizon_months} months ahead is too good to be true "
        f"({HIGHEST_CREDIBLE_AUC} or more). Something of the outcome has probably leaked into the features; "
        "find it before the model is used."
    )
    return Notice("RR501", Bilingual(zh, en))


def _too_far_above(policy: str, auc: float, single: float) -> Notice:
    zh = (
        f"{policy} 的AUC为{auc:.3f}，比最佳单一指标的{single:.3f}高出{LARGEST_CREDIBLE_GAIN:.2f}以上："
        "请检查是否有结果信息泄漏到指标中。"
    )
    en = (
        f"{policy}: AUC {auc:.3f} is more than {LARGEST_CREDIBLE_GAIN:.2f} above the best single "
        f"indicator's {single:.3f}. Check the features for a leak of the outcome."
    )
    return Notice("RR502", Bilingual(zh, en))
