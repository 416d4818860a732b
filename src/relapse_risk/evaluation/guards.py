"""Guards: what must not be true of a model before it is saved, each with a number and a page.

A failed guard stops ``train`` unless it is overridden by name; the override is written on the card. Functions
return a notice for every guard that failed, and nothing where all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError, GuardError
from relapse_risk.evaluation.guard_catalog import (
    GUARD_BY_NAME,
    HIGHEST_CREDIBLE_AUC,
    HIGHEST_SINGLE_AUC,
    LABEL_LEVELS,
    LARGEST_CREDIBLE_GAIN,
)
from relapse_risk.evaluation.metrics import roc_auc
from relapse_risk.evaluation.notices import Notice
from relapse_risk.evaluation.records import Record
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.panel.panel import Panel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import add_months

Array = NDArray[np.float64]

SAME_AS_LABEL_SHARE = 0.999
MOST_ROWS = 50_000
MOST_HOUSEHOLDS = 2_000
LABEL_COLUMNS = ("outcome", "event_month", "observed_months", "is_at_risk")
_REGISTER_COLUMNS = ("monitor_category", "identified_on", "risk_cleared")

Builder = Callable[[Panel, Sequence[date], FeatureSet, ThresholdTable | None, Sequence[str]], FeatureMatrix]


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


def mean_single_aucs(judged: Sequence[tuple[Array, Array]]) -> Array:
    """Return each indicator's ROC-AUC in hindsight over all origins, either way round.

    Parameters
    ----------
    judged : sequence of (ndarray, ndarray)
        Outcome, and :func:`single_indicator_aucs`, of every origin.

    Returns
    -------
    ndarray of float64, shape (n_features,)
        Means over origins, weighted by pairs of an event and a non-event, and not below 0.5; empty where no
        origin has both outcomes.
    """
    pairs = np.array([outcome.sum() * (1 - outcome).sum() for outcome, _ in judged])
    if not pairs.sum():
        return np.zeros(0)
    mean = pairs @ np.nan_to_num(np.array([aucs for _, aucs in judged])) / pairs.sum()
    either_way: Array = np.maximum(mean, 1.0 - mean)
    return either_way


# --- G1 to G3: figures of the backtest ----------------------------------------------------------------


def credible_figures(
    pooled: Sequence[Record], single: Mapping[str, float], horizon_months: int
) -> tuple[Notice, ...]:
    """Return what is too good to be true in a backtest: guards G1, G2 and G3.

    Parameters
    ----------
    pooled : sequence of dict
        Records over all origins.
    single : mapping of str to float
        ROC-AUC of every indicator alone, as :func:`mean_single_aucs` gives it.
    horizon_months : int
        Of the label, for the text.
    """
    auc = {record["policy"]: record["roc_auc"] for record in pooled if record["roc_auc"] is not None}
    best = max(single.values(), default=float("nan"))
    found: list[Notice] = []
    for policy in ("model", "logistic"):
        if policy in auc and auc[policy] >= HIGHEST_CREDIBLE_AUC:
            found.append(_too_high(policy, auc[policy], horizon_months))
        if policy in auc and auc[policy] - best > LARGEST_CREDIBLE_GAIN:
            found.append(_too_far_above(policy, auc[policy], best))
    strong = {n: a for n, a in single.items() if a >= HIGHEST_SINGLE_AUC and n not in LABEL_LEVELS}
    if strong:
        said = ", ".join(f"{name} {value:.3f}" for name, value in sorted(strong.items()))
        found.append(GUARD_BY_NAME["G3"].notice(f"单项指标过强：{said}。", f"too strong alone: {said}."))
    return tuple(found)


def _too_high(policy: str, auc: float, horizon_months: int) -> Notice:
    return GUARD_BY_NAME["G1"].notice(
        f"{policy} 对未来{horizon_months}个月的AUC为{auc:.3f}，高得不可信（不低于{HIGHEST_CREDIBLE_AUC}）："
        "很可能有结果信息泄漏到指标中，请先查明再使用。",
        f"{policy}: AUC {auc:.3f} {horizon_months} months ahead is too good to be true "
        f"({HIGHEST_CREDIBLE_AUC} or more). Something of the outcome has probably leaked into the features; "
        "find it before the model is used.",
    )


def _too_far_above(policy: str, auc: float, single: float) -> Notice:
    return GUARD_BY_NAME["G2"].notice(
        f"{policy} 的AUC为{auc:.3f}，比最佳单一指标的{single:.3f}高出{LARGEST_CREDIBLE_GAIN:.2f}以上："
        "请检查是否有结果信息泄漏到指标中。",
        f"{policy}: AUC {auc:.3f} is more than {LARGEST_CREDIBLE_GAIN:.2f} above the best single "
        f"indicator's {single:.3f}. Check the features for a leak of the outcome.",
    )


# --- G5 and G6: the split, and the features -----------------------------------------------------------


def overlapping_dates(origins: Sequence[Record], horizon_months: int) -> tuple[Notice, ...]:
    """Return the judged dates that a training date's label window reaches beyond: guard G5.

    Parameters
    ----------
    origins : sequence of dict
        ``origin``, ``fit_origins`` and ``calibration_origins`` of every date judged, as ISO dates.
    horizon_months : int
    """
    found = {
        str(facts["origin"])
        for facts in origins
        for day in (*facts["fit_origins"], *facts["calibration_origins"])
        if add_months(date.fromisoformat(day), horizon_months) > date.fromisoformat(str(facts["origin"]))
    }
    if not found:
        return ()
    dates = ", ".join(sorted(found))
    return (
        GUARD_BY_NAME["G5"].notice(
            f"以下检验日期与训练的标签窗口重叠：{dates}。", f"training label windows reach beyond {dates}."
        ),
    )


def same_as_outcome(matrix: FeatureMatrix, features: FeatureSet, outcome: Array) -> NDArray[np.bool_]:
    """Return whether each feature agrees with the outcome on nearly every row, shape ``(n_features,)``."""
    found = np.zeros(len(features), dtype=bool)
    if not 0 < outcome.sum() < len(outcome):
        return found
    for i, feature in enumerate(features):
        values = matrix.column(feature.name)
        for said in (values, 1.0 - values):
            agrees = said == outcome
            found[i] |= agrees.mean() >= SAME_AS_LABEL_SHARE and agrees[outcome == 1].mean() >= 0.5
    return found


def label_among_features(features: FeatureSet, same: Sequence[NDArray[np.bool_]] = ()) -> tuple[Notice, ...]:
    """Return the features that are a label in disguise: guard G6.

    Parameters
    ----------
    features : FeatureSet
        Those a model may read.
    same : sequence of ndarray of bool, shape (n_features,)
        :func:`same_as_outcome` of every date judged; one is enough.
    """
    agrees = np.any(same, axis=0) if len(same) else np.zeros(len(features), dtype=bool)
    found = [
        feature.name
        for feature, is_same in zip(features, agrees, strict=True)
        if is_same
        or feature.name in LABEL_COLUMNS
        or any(f"'{column}'" in repr(feature.formula) for column in _REGISTER_COLUMNS)
    ]
    if not found:
        return ()
    names = ", ".join(found)
    return (
        GUARD_BY_NAME["G6"].notice(f"指标中含有标签：{names}。", f"a label among the features: {names}."),
    )


# --- G4, G7 and G8: the model on its panel ------------------------------------------------------------


def check_model(
    panel: Panel, model: TrainedModel, features: FeatureSet, build: Builder = build_features
) -> tuple[Notice, ...]:
    """Return what guards G4, G7 and G8 find on the last training date, on some of the households.

    Parameters
    ----------
    panel : Panel
    model : TrainedModel
    features : FeatureSet
        Those the model's were chosen from.
    build : callable
        How a matrix is built.
    """
    origins = model.metadata["origins"]
    dates = [date.fromisoformat(str(d)) for d in (*origins["fit"], *origins["calibration"])]
    day, chosen = max(dates), features.select(model.features.names)
    ids = panel.known_at(day).households["household_id"]
    ids = ids.gather_every(max(1, -(-len(ids) // MOST_HOUSEHOLDS)))
    households = ids.to_list()
    matrix = build(panel, (day,), chosen, None, households)
    early = build(_changed(panel, day, is_dropped=True), (day,), chosen, None, households)
    altered = build(_changed(panel, day, is_dropped=False), (day,), chosen, None, households)
    return (
        *_recorded_later(panel, day, matrix, early),
        *_changed_scores(model, day, matrix, altered),
        *other_scheme_version(panel, dates),
    )


def _recorded_later(
    panel: Panel, day: date, matrix: FeatureMatrix, early: FeatureMatrix
) -> tuple[Notice, ...]:
    is_same = ((matrix.values == early.values) | (np.isnan(matrix.values) & np.isnan(early.values))).all(
        axis=0
    )
    names = [name for name, same in zip(matrix.features.names, is_same, strict=True) if not same]
    reports = panel.known_at(day).table("observation")
    n_ahead = reports.filter(pl.col("period_end") > day).height
    if not names and not n_ahead:
        return ()
    listed = ", ".join(names) or "–"
    return (
        GUARD_BY_NAME["G4"].notice(
            f"截至{day}，{len(names)} 项指标随之后录入的行而变（{listed}）；"
            f"{n_ahead} 行监测记录在期末之前就已录入。",
            f"as of {day}, {len(names)} features change with rows recorded later ({listed}), and {n_ahead} "
            "reports were recorded before their period had ended.",
        ),
    )


def _changed_scores(
    model: TrainedModel, day: date, matrix: FeatureMatrix, altered: FeatureMatrix
) -> tuple[Notice, ...]:
    before, after = model.predict_risk(matrix).ranking, model.predict_risk(altered).ranking
    n = int((before != after).sum())
    if not n:
        return ()
    return (
        GUARD_BY_NAME["G7"].notice(
            f"改动{day}之后录入的金额后，{len(before)} 户中有 {n} 户的分数改变。",
            f"with amounts recorded after {day} altered, {n} of {len(before)} households get another score.",
        ),
    )


def other_scheme_version(panel: Panel, training_dates: Sequence[date]) -> tuple[Notice, ...]:
    """Return the scheme versions of training dates that are not in force now: guard G8.

    In force is what most households bear in the newest rows; households without one say nothing.
    """
    last = panel.last_recorded_on
    if last is None:
        return ()
    now = _scheme_version(panel, last)
    then = {_scheme_version(panel, day) for day in training_dates} - {None, now}
    if now is None or not then:
        return ()
    others = ", ".join(sorted(str(version) for version in then))
    return (
        GUARD_BY_NAME["G8"].notice(
            f"训练数据的政策版本为 {others}，现行为 {now}。",
            f"training data bears scheme version {others}; {now} is in force.",
        ),
    )


def _scheme_version(panel: Panel, day: date) -> str | None:
    households = panel.known_at(day).households
    if "scheme_version" not in households.columns:
        return None
    versions = households["scheme_version"].drop_nulls().value_counts(sort=True)
    return None if versions.is_empty() else str(versions["scheme_version"][0])


def _changed(panel: Panel, day: date, *, is_dropped: bool) -> Panel:
    """Return the panel without the rows recorded after ``day``, or with other amounts in them."""
    tables = {}
    for name, frame in panel.tables.items():
        is_later = pl.col("recorded_on") > day
        amounts = [column for column in frame.columns if column.endswith("_yuan")]
        tables[name] = (
            frame.filter(~is_later)
            if is_dropped
            else frame.with_columns(
                pl.when(is_later)
                .then(pl.col(c) * 0.31 + 17)
                .otherwise(pl.col(c))
                .cast(frame[c].dtype)
                .alias(c)
                for c in amounts
            )
        )
    return replace(panel, tables=tables)


# --- passing or stopping ------------------------------------------------------------------------------


def require_guards(found: Sequence[Notice], overrides: Sequence[str], where: str) -> list[Notice]:
    """Return the notices that were overridden; stop where one was not.

    Parameters
    ----------
    found : sequence of Notice
        What guards found.
    overrides : sequence of str
        Names of guards that may fail, such as ``G3``.
    where : str
        For the message.

    Raises
    ------
    ConfigurationError
        RR456 for a name that no guard has.
    GuardError
        With the code of the first guard that failed and was not overridden.
    """
    unknown = sorted(set(overrides) - GUARD_BY_NAME.keys())
    if unknown:
        raise ConfigurationError(
            "RR456",
            "overrides",
            f"no guard is called {', '.join(unknown)}",
            f"names among {', '.join(GUARD_BY_NAME)}",
            "Name the guard as docs/guards.md does",
            zh=f"没有编号为 {'、'.join(unknown)} 的护栏。",
        )
    passed = {GUARD_BY_NAME[name].code for name in overrides}
    failed = [notice for notice in found if notice.code not in passed]
    if failed:
        guard = next(guard for guard in GUARD_BY_NAME.values() if guard.code == failed[0].code)
        raise GuardError(
            failed[0].code,
            where,
            "; ".join(notice.text.en for notice in failed),
            "every guard of docs/guards.md passed",
            f"{guard.remedy.en} To override with a reason: --override {guard.name}",
            zh="；".join(notice.text.zh for notice in failed),
        )
    return [notice for notice in found if notice.code in passed]
