"""Search of model settings inside the training origins; the dates that the backtest judges are never seen.

The search stands on the day before which all training ends: the first judged date, or the experiment's
``labels_known_on``. From there it looks back only. Each of the newest mature training origins is judged in
turn by a model trained on what was known on that origin, with the same horizon and gap as the backtest.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from relapse_risk.config import CalibrationConfig, Experiment, ModelConfig
from relapse_risk.errors import ConfigurationError
from relapse_risk.evaluation.gain import ScoreOrder, visits_at
from relapse_risk.evaluation.origins import judged_origins, training_origins
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels, make_labels
from relapse_risk.modeling.training import FEWEST_EVENTS, choose_features, train_model
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.windows import OriginSplit, add_months, split_origins

if TYPE_CHECKING:
    import optuna

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Trial:
    """One set of settings and the precision at capacity it reached on the inner dates."""

    number: int
    settings: Mapping[str, Any]
    precision: float
    seconds: float


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes
    ----------
    model : ModelConfig
        The experiment's, with the best settings.
    trials : tuple of Trial
        All that were finished, also before an interruption.
    inner_origins : tuple of date
        The dates judged inside.
    known_on : date
        Nothing recorded later was read.
    """

    model: ModelConfig
    trials: tuple[Trial, ...]
    inner_origins: tuple[date, ...]
    known_on: date


def inner_splits(panel: Panel, experiment: Experiment) -> tuple[tuple[OriginSplit, ...], date]:
    """Return the newest inner dates with what may be fitted before each, and the day the search stands on.

    Raises
    ------
    ConfigurationError
        RR458 where no training origin leaves others to fit on before it.
    """
    known_on = experiment.evaluation.labels_known_on or min(judged_origins(panel, experiment))
    horizon, gap = experiment.label.horizon_months, experiment.evaluation.gap_months
    candidates = training_origins(panel, experiment, known_on)
    mature = [day for day in candidates if add_months(day, horizon + gap) <= known_on]
    splits: list[OriginSplit] = []
    for inner in reversed(mature):
        if len(splits) == experiment.search.inner_origins:
            break
        try:
            splits.append(split_origins(candidates, (inner,), horizon, gap_months=gap, calibration_months=0))
        except ConfigurationError:
            break
    if not splits:
        raise _too_short(
            f"none of {len(mature)} training origins mature on {known_on} has another to fit on before it"
        )
    return tuple(reversed(splits)), known_on


def search_settings(
    panel: Panel,
    experiment: Experiment,
    storage: Path,
    on_progress: Progress | None = None,
    on_trial: Callable[[Sequence[Trial]], None] | None = None,
) -> SearchResult:
    """Return the settings with the highest precision at capacity on the inner dates.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
        Its ``search`` holds budget and ranges; its own settings are the first trial.
    storage : Path
        SQLite file that keeps every finished trial: a search that was killed goes on where it stood.
    on_progress : callable, optional
    on_trial : callable, optional
        Told all finished trials, after each and at the start.

    Raises
    ------
    ConfigurationError
        RR458 where the training history is too short, or holds too few events.

    Notes
    -----
    Tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna (Akiba et al. 2019,
    doi:10.1145/3292500.3330701).
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    splits, known_on = inner_splits(panel, experiment)
    bench = _InnerBench(panel, experiment, splits, known_on)
    study = _opened(storage, experiment, panel)
    _give_up_unfinished(study)
    config = experiment.search
    done = _finished(study)
    if on_trial is not None:
        on_trial(done)
    seconds_left = None if config.minutes is None else 60 * config.minutes - sum(t.seconds for t in done)

    def objective(trial: optuna.Trial) -> float:
        settings = {name: _suggest(trial, name, each) for name, each in config.space.items()}
        return bench.precision(experiment.model.model_copy(update=settings))

    started = time.monotonic()
    while len(done) < config.trials:
        if seconds_left is not None and time.monotonic() - started >= seconds_left and done:
            break
        if on_progress is not None:
            on_progress("search", len(done), config.trials)
        study.optimize(objective, n_trials=1)
        done = _finished(study)
        if on_trial is not None:
            on_trial(done)
    best = max(done, key=lambda trial: (trial.precision, -trial.number))
    model = ModelConfig.model_validate({**experiment.model.model_dump(), **best.settings})
    return SearchResult(model, tuple(done), tuple(fold[0].test_origins[0] for fold in bench.folds), known_on)


def search_key(panel: Panel, experiment: Experiment) -> str:
    """Return the sha256 of what a search hangs on: data and experiment, its budget and its texts apart."""
    plain = experiment.model_dump(mode="json", exclude={"description": True, "search": {"trials", "minutes"}})
    data = "".join(str(panel.provenance.get(name, "")) for name in ("data_sha256", "lotteries_sha256"))
    return hashlib.sha256((data + json.dumps(plain, sort_keys=True)).encode()).hexdigest()


def _too_short(found: str) -> ConfigurationError:
    return ConfigurationError(
        "RR458",
        "search",
        found,
        "training origins over more than twice the horizon, with enough events",
        "Give a longer history or a later first judged date, or leave out the search section",
        zh="训练期过短或事件过少，无法在训练期内搜索模型参数。",
    )


class _InnerBench:
    """Trains on what was known on each inner date, and judges by what was known when the search stands."""

    def __init__(
        self, panel: Panel, experiment: Experiment, splits: Sequence[OriginSplit], known_on: date
    ) -> None:
        self.experiment = experiment.model_copy(
            update={"calibration": CalibrationConfig(method="none", window_months=0)}
        )
        self.features = choose_features(all_features(panel), experiment)
        self.folds: list[tuple[OriginSplit, FeatureMatrix, Labels, FeatureMatrix, Labels]] = []
        for split in splits:
            inner = split.test_origins[0]
            learnt = self._rows(panel, split.fit_origins, split.labels_known_on)
            if (learnt[1].outcome == 1).sum() < FEWEST_EVENTS:
                continue  # the earliest dates may have too little behind them
            judged = self._rows(panel, (inner,), known_on)
            self.folds.append((split, *learnt, *judged))
        if not self.folds:
            raise _too_short(
                f"none of {len(splits)} inner dates has {FEWEST_EVENTS} events to fit on before it"
            )

    def precision(self, model: ModelConfig) -> float:
        """Return events found by visits spent, over all inner dates; ties at their expected value."""
        experiment = self.experiment.model_copy(update={"model": model})
        found = spent = 0.0
        for split, matrix, labels, judged, outcome in self.folds:
            trained = train_model(matrix, labels, split, experiment)
            is_known = ~np.isnan(outcome.outcome) & outcome.is_at_risk
            ranking = trained.predict_risk(judged).ranking[is_known]
            visits = visits_at(experiment.search.capacity, int(is_known.sum()))
            found += float(ScoreOrder.of(ranking).gain(outcome.outcome[is_known]).found_at(visits)[0])
            spent += visits
        return found / spent if spent else 0.0

    def _rows(self, panel: Panel, dates: tuple[date, ...], known_on: date) -> tuple[FeatureMatrix, Labels]:
        experiment = self.experiment
        labels = make_labels(panel, dates, experiment.label, experiment.cohort, known_on)
        matrix = build_features(panel, dates, self.features)
        kept = np.flatnonzero(labels.is_at_risk)
        return matrix.rows(kept), labels.rows(kept)


def _opened(storage: Path, experiment: Experiment, panel: Panel) -> optuna.Study:
    import optuna

    storage.parent.mkdir(parents=True, exist_ok=True)
    kept = optuna.storages.RDBStorage(f"sqlite:///{storage.resolve().as_posix()}")
    name = f"{experiment.name} {search_key(panel, experiment)[:16]}"
    study = optuna.create_study(storage=kept, study_name=name, direction="maximize", load_if_exists=True)
    # The sampler starts anew after an interruption: with the trials behind it, another seed.
    seed = experiment.search.seed + len(study.trials)
    study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=experiment.search.random_trials)
    own = {name: getattr(experiment.model, name) for name in experiment.search.space}
    study.enqueue_trial(own, skip_if_exists=True)
    return study


def _give_up_unfinished(study: optuna.Study) -> None:
    """Mark trials as failed that a killed process left running."""
    import optuna

    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)


def _finished(study: optuna.Study) -> list[Trial]:
    import optuna

    return [
        Trial(each.number, dict(each.params), float(each.value), each.duration.total_seconds())
        for each in study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        if each.value is not None and each.duration is not None
    ]


def _suggest(trial: optuna.Trial, name: str, space: Any) -> Any:
    if space.choices:
        return trial.suggest_categorical(name, list(space.choices))
    if isinstance(ModelConfig.model_fields[name].default, int):
        return trial.suggest_int(name, int(space.low), int(space.high), log=space.is_log)
    return trial.suggest_float(name, space.low, space.high, log=space.is_log)
