"""Rolling-origin backtest: what every policy would have found, had it been used on each date.

For every origin a model is trained on labels that were known by then, all policies plan visits for the
households at risk on that date, and the outcome is read from all that is known today.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import Experiment
from relapse_risk.errors import ConfigurationError, ModelError
from relapse_risk.evaluation.at_risk import CLUSTERS, AtRisk, event_starts
from relapse_risk.evaluation.capacity_curve import capacity_curve
from relapse_risk.evaluation.censoring import SeenOrigin, censoring_table, exits_table
from relapse_risk.evaluation.guards import (
    credible_figures,
    label_among_features,
    mean_single_aucs,
    overlapping_dates,
    same_as_outcome,
    single_indicator_aucs,
)
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.kinds import found_by_kind
from relapse_risk.evaluation.metrics import calibration_in_the_large, calibration_slope, reliability_table
from relapse_risk.evaluation.missed import AuditedOrigin, errors_by_group, list_against_rest, missed_relapses
from relapse_risk.evaluation.notices import Notice, judged_as_visited, no_oracle, nobody_judged
from relapse_risk.evaluation.origins import judged_origins, split_before, training_origins
from relapse_risk.evaluation.plans import VisitPlan
from relapse_risk.evaluation.policies import true_risk
from relapse_risk.evaluation.records import Record, pooled_records, records_of
from relapse_risk.evaluation.result import AUDITED_CAPACITY, BacktestResult
from relapse_risk.evaluation.selection import choose_policies
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.labels import Labels, make_labels, require_line
from relapse_risk.modeling.sampling import sample_rows
from relapse_risk.modeling.training import TrainedModel, allowed_features, choose_features, train_model
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic.truth import Truth
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Bilingual, Role
from relapse_risk.windows import OriginSplit

__all__ = ["BacktestResult", "Bench", "judged_origins", "run_backtest", "split_before", "training_origins"]

# Kinds of model that are judged beside the experiment's own.
BASELINES = ("best_indicator", "scorecard", "logistic")

Array = NDArray[np.float64]
Progress = Callable[[str, int, int], None]


def run_backtest(
    panel: Panel,
    experiment: Experiment,
    truth: Truth | None = None,
    thresholds: ThresholdTable | None = None,
    features: FeatureSet | None = None,
    on_progress: Progress | None = None,
) -> BacktestResult:
    """Judge every policy on rolling origins, at equal visits.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
    truth : Truth, optional
        Of a synthetic county; gives the policy ``oracle``.
    thresholds : ThresholdTable, optional
        The layers under the panel's own rows; those of the panel where not given.
    features : FeatureSet, optional
        What models and rules read; the catalogue and the panel's own columns where not given.
    on_progress : callable, optional
        Told the stage, the number of dates done and the number to do.

    Returns
    -------
    BacktestResult

    Raises
    ------
    ContractError
        RR352 where a county has no monitoring line in force; RR453 where the panel holds nothing to judge by.
    ConfigurationError
        RR454 where its history is too short; RR455 where no household could be judged on any date.
    ModelError
        RR401 where there are too few events to train on, on every date or on a date that was listed.
    """
    judged = judged_origins(panel, experiment)
    bench = Bench(panel, experiment, thresholds, features or all_features(panel), truth)
    groups = [(origin,) for origin in judged] if experiment.evaluation.is_refitted else [judged]
    for done, group in enumerate(groups):
        if on_progress is not None:
            on_progress(f"judge {group[0]}", done, len(groups))
        split = split_before(panel, group, experiment)
        try:
            models = bench.train(split)
        except ModelError as error:
            if experiment.evaluation.origins.dates:
                raise
            bench.leave_out(group[0], error)
            continue
        for origin in group:
            bench.judge(origin, split, models)
    if on_progress is not None:
        on_progress("intervals", len(groups), len(groups))
    return bench.result()


class Bench:
    """Trains and judges one origin after the other; keeps the features of a date once they are computed."""

    def __init__(
        self,
        panel: Panel,
        experiment: Experiment,
        thresholds: ThresholdTable | None,
        features: FeatureSet,
        truth: Truth | None,
    ) -> None:
        self.panel = panel
        self.experiment = experiment
        self.thresholds = thresholds
        self.features = FeatureSet(f for f in features if f.role is not Role.AUDIT)
        self.model_features = allowed_features(features, experiment.features)
        self.kinds = {"model": experiment.model.kind, **{kind: kind for kind in BASELINES}}
        # What all kinds read, each once.
        self.learnt_from = FeatureSet(
            dict.fromkeys((*self.model_features, *choose_features(features, experiment)))
        )
        self.truth = truth
        self.judged: list[JudgedOrigin] = []
        self.seen: list[SeenOrigin] = []
        self.audited: list[AuditedOrigin] = []
        self.risks: list[pl.DataFrame] = []
        self.facts: list[dict[str, Any]] = []
        self.notes: list[Notice] = []
        self._single: list[tuple[Array, Array]] = []
        self._same: list[NDArray[np.bool_]] = []
        self._at_risk: dict[date, FeatureMatrix] = {}

    def train(self, split: OriginSplit) -> dict[str, TrainedModel]:
        """Return the models of all policies, trained on what was known on ``split.labels_known_on``."""
        dates = (*split.fit_origins, *split.calibration_origins)
        label, cohort = self.experiment.label, self.experiment.cohort
        require_line(self.panel, dates, label, cohort, split.labels_known_on, self.thresholds)
        labels = self._labels(dates, split.labels_known_on)
        labels = labels.rows(labels.is_at_risk)
        for day in dates:
            if day not in self._at_risk:
                self._at_risk[day] = self._features(day, self.learnt_from, labels.at(day))
        config = self.experiment.model
        kept, weight = sample_rows(labels, split.fit_origins, config.most_rows, config.seed)
        matrix = _joined([self._at_risk[day] for day in sorted(dates)])
        matrix, labels = (
            (matrix, labels) if len(kept) == len(labels) else (matrix.rows(kept), labels.rows(kept))
        )
        trained: dict[str, TrainedModel] = {}
        for kind in dict.fromkeys(self.kinds.values()):
            model = self.experiment.model.model_copy(update={"kind": kind})
            trained[kind] = train_model(
                matrix,
                labels,
                split,
                self.experiment.model_copy(update={"model": model}),
                self.panel.provenance,
                weight,
            )
        return {policy: trained[kind] for policy, kind in self.kinds.items()}

    def judge(self, origin: date, split: OriginSplit, models: Mapping[str, TrainedModel]) -> None:
        """Plan every policy's visits on one date, and read the outcome from all that is known today."""
        everyone = self._everyone(origin, models)
        rows, n_censored = self._judged(everyone)
        if everyone is None or rows is None:
            self.notes.append(nobody_judged(origin, n_censored))
            return
        self.seen.append(everyone.seen(self.experiment.evaluation))
        self.judged.append(rows.planned(self.experiment.evaluation, n_censored))
        self.audited.append(rows.audited(self.judged[-1], self.panel, self.model_features))
        self.risks.append(rows.risks(self.judged[-1]))
        outcome = rows.labels.outcome
        self._single.append((outcome, single_indicator_aucs(rows.matrix, self.model_features, outcome)))
        self._same.append(same_as_outcome(rows.matrix, self.model_features, outcome))
        self.facts.append(_origin_facts(self.judged[-1], split, models))
        if rows.labels.draws is not None and rows.labels.draws.is_drawn.any():
            n_drawn = int(rows.labels.draws.is_drawn.sum())
            self.notes.append(judged_as_visited(origin, n_drawn, len(outcome)))

    def at_risk(self, origin: date, models: Mapping[str, TrainedModel]) -> tuple[AtRisk | None, int]:
        """Return the households judged on one date with all that is said of them; and how many are censored.

        None where no household at risk has a known outcome.
        """
        return self._judged(self._everyone(origin, models))

    def _everyone(self, origin: date, models: Mapping[str, TrainedModel]) -> AtRisk | None:
        """Return the households at risk on one date, those whose outcome is not known among them."""
        labels = self._labels((origin,), self.panel.last_recorded_on or origin)
        labels = labels.rows(labels.is_at_risk)
        if not len(labels):
            return None
        matrix = self._features(origin, self.features, labels)
        scores = {policy: model.predict_risk(matrix) for policy, model in models.items()}
        starts = event_starts(self.panel, labels)
        return AtRisk(origin, matrix, apply_rules(matrix), scores, labels, starts)

    def _judged(self, everyone: AtRisk | None) -> tuple[AtRisk | None, int]:
        """Return those whose outcome is known, with their true risk; and how many others there are."""
        if everyone is None:
            return None, 0
        is_known = ~np.isnan(everyone.labels.outcome)
        if not is_known.any():
            return None, len(is_known)
        rows = everyone.rows(np.flatnonzero(is_known))
        if self.truth is not None:
            months = self.experiment.label.horizon_months
            rows = replace(rows, oracle=true_risk(self.truth.oracle, rows.matrix.index, months))
            if rows.oracle is None:
                self.notes.append(no_oracle(rows.origin))
        return rows, int((~is_known).sum())

    def leave_out(self, origin: date, error: ModelError) -> None:
        """Note that no model could be trained before this date."""
        self.notes.append(
            Notice(
                error.code,
                Bilingual(
                    f"{origin} 之前的数据不足以训练模型，该日期不参加回测（{error.zh or error.found}）。",
                    f"{origin} is left out: no model could be trained before it ({error.found}).",
                ),
            )
        )

    def result(self) -> BacktestResult:
        """Return the records, tables and alarms of all origins judged."""
        if not self.judged:
            raise ConfigurationError(
                "RR455",
                "backtest",
                "; ".join(notice.shown("en") for notice in self.notes),
                "households at risk with a known outcome on at least one date",
                "Check the cohort, the label and the dates of the experiment against the panel",
                zh="没有可供判断的家庭：请核对实验设定的人群、标签和日期是否与数据相符。",
            )
        config = self.experiment.evaluation
        drawn = (config.capacities, config.cluster, config.bootstrap_replicates, config.seed)
        is_one_model = not config.is_refitted or len(self.judged) == 1
        pooled = pooled_records(self.judged, *drawn, is_one_model=is_one_model)
        horizon = self.experiment.label.horizon_months
        aucs = mean_single_aucs(self._single)
        single = dict(zip(self.model_features.names, aucs.tolist(), strict=False))
        by_origin = [record for origin in self.judged for record in records_of(origin, config.capacities)]
        scores = pl.concat(self.risks, how="diagonal")
        audited_at = min(config.capacities, key=lambda capacity: abs(capacity - AUDITED_CAPACITY))
        reliability, calibration = _calibration_of(scores)
        return BacktestResult(
            records=[*by_origin, *pooled],
            reliability=reliability,
            calibration=calibration,
            scores=scores,
            groups=errors_by_group(self.audited, *drawn),
            kinds=found_by_kind(self.judged, *drawn, is_one_model=is_one_model),
            censoring=censoring_table(self.seen, *drawn),
            exits=exits_table(self.seen),
            crosstab=list_against_rest(self.audited, audited_at, self.model_features),
            missed=missed_relapses(self.audited, audited_at),
            selection=choose_policies(by_origin),
            capacity_curve=capacity_curve(self.judged, *drawn[1:]),
            cluster_checks=self._cluster_checks(),
            origins=self.facts,
            best_single_auc=max(single.values(), default=None),
            alarm_notices=(
                *credible_figures(pooled, single, horizon),
                *overlapping_dates(self.facts, horizon),
                *label_among_features(self.model_features, self._same),
            ),
            note_notices=tuple(self.notes),
            experiment=self.experiment,
            provenance=self.panel.provenance,
        )

    def _cluster_checks(self) -> list[Record]:
        """Return the differences to the rules with intervals by larger areas than the experiment's."""
        config = self.experiment.evaluation
        larger = CLUSTERS[CLUSTERS.index(config.cluster) + 1 :]
        checks = []
        for cluster in (name for name in larger if name in ("township_code", "county_code")):
            judged = [replace(one, plans=_compared(one.plans)) for one in self.judged]
            records = pooled_records(
                judged,
                config.capacities,
                cluster,
                config.bootstrap_replicates,
                config.seed,
                is_one_model=True,
            )
            checks += [
                {"cluster": cluster, **{name: record[name] for name in _CHECKED}}
                for record in records
                if record["policy"] != "rules"
            ]
        return checks

    def _labels(self, dates: Sequence[date], known_on: date) -> Labels:
        return make_labels(
            self.panel, dates, self.experiment.label, self.experiment.cohort, known_on, self.thresholds
        )

    def _features(self, day: date, features: FeatureSet, labels: Labels) -> FeatureMatrix:
        households = labels.index["household_id"].to_list()
        return build_features(self.panel, (day,), features, self.thresholds, households)


_CHECKED = (
    "n_clusters",
    "is_too_few_clusters",
    "policy",
    "capacity",
    "found_over_rules",
    "found_over_rules_low",
    "found_over_rules_high",
)


def _compared(plans: Mapping[str, VisitPlan]) -> dict[str, VisitPlan]:
    """Return the plans that are compared with the rules, and the rules', without their full orders."""
    return {name: replace(plans[name], score=None, risk=None) for name in ("rules", "model", "rules+model")}


def _joined(parts: Sequence[FeatureMatrix]) -> FeatureMatrix:
    return FeatureMatrix(
        pl.concat([part.index for part in parts]),
        parts[0].features,
        np.concatenate([part.values for part in parts]),
        pl.concat([part.parameters for part in parts]),
        parts[0].absent_tables,
        parts[0].provenance,
    )


def _origin_facts(
    origin: JudgedOrigin, split: OriginSplit, models: Mapping[str, TrainedModel]
) -> dict[str, Any]:
    weights = models["best_indicator"].estimator.feature_importances()
    return {
        "origin": str(origin.origin),
        "fit_origins": [str(day) for day in split.fit_origins],
        "calibration_origins": [str(day) for day in split.calibration_origins],
        "labels_known_on": str(split.labels_known_on),
        "training_rows": models["model"].metadata["rows"],
        "unverified_parameters": models["model"].metadata["unverified_parameters"],
        "best_indicator": models["best_indicator"].features.names[int(np.argmax(weights))],
        "n": len(origin.outcome),
        "events": int(origin.outcome.sum()),
        "n_censored": origin.n_censored,
        **origin.red_counts,
    }


def _calibration_of(scores: pl.DataFrame) -> tuple[pl.DataFrame, list[Record]]:
    """Return the reliability table and the calibration figures of every policy that gives a risk.

    Of all households at risk, those in 红 included: a risk is right or wrong for each of them.
    """
    tables, figures = [], []
    for column in (name for name in scores.columns if name.startswith("risk_")):
        if scores[column].null_count():
            continue
        policy = column.removeprefix("risk_")
        risk, outcome = scores[column].to_numpy(), scores["outcome"].to_numpy()
        tables.append(reliability_table(outcome, risk).select(pl.lit(policy).alias("policy"), pl.all()))
        if policy == "oracle":  # shares of simulated futures: 0 and 1 among them, whose log-odds say nothing
            continue
        shift, slope = calibration_in_the_large(outcome, risk), calibration_slope(outcome, risk)
        figures.append(
            {
                "policy": policy,
                "calibration_in_the_large": None if np.isnan(shift) else shift,
                "calibration_slope": None if np.isnan(slope) else slope,
            }
        )
    return pl.concat(tables), figures
