"""What training on a sample loses beside training on every row.

``python benchmarks/sampling.py --households 30000 --most-rows 30000`` trains the default model twice on one
synthetic county, on all rows of its fit origins and on all events with a weighted sample of the rest, and
judges both on the same later date: precision at 5% of the households at risk, and the difference with its 95%
interval (villages resampled).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import Experiment
from relapse_risk.evaluation.gain import visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.origins import split_before
from relapse_risk.evaluation.plans import VisitPlan
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels, make_labels
from relapse_risk.modeling.sampling import sample_rows
from relapse_risk.modeling.training import choose_features, train_model
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import Scenario, simulate

ORIGIN = date(2023, 12, 31)
CAPACITY = 0.05


def rows_of(
    panel: Panel, dates: tuple[date, ...], experiment: Experiment, known_on: date
) -> tuple[FeatureMatrix, Labels]:
    """Return features and labels of the households at risk on these dates."""
    labels = make_labels(panel, dates, experiment.label, experiment.cohort, known_on)
    labels = labels.rows(labels.is_at_risk)
    households = {day: labels.at(day).index["household_id"].to_list() for day in dates}
    features = choose_features(features_for(panel), experiment.features)
    return build_features(panel, dates, features, households=households), labels


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call gives, and its seconds."""
    start = time.monotonic()
    return call(), time.monotonic() - start


def main() -> None:
    """Train twice, judge twice, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--households", type=int, default=30_000)
    parser.add_argument("--most-rows", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=8201)
    options = parser.parse_args()
    experiment = Experiment.model_validate(
        {"name": "sampling", "evaluation": {"origins": {"dates": [ORIGIN]}, "gap_months": 2}}
    )
    made = simulate(
        options.households, 72, Scenario.load("hebei_like"), options.seed, n_paths=1, hazard_paths=0
    )
    panel = made.panel()
    split = split_before(panel, (ORIGIN,), experiment)
    dates = split.fit_origins + split.calibration_origins
    matrix, labels = rows_of(panel, dates, experiment, split.labels_known_on)
    test, truth = rows_of(panel, (ORIGIN,), experiment, panel.last_recorded_on or ORIGIN)
    kept, weight = sample_rows(labels, split.fit_origins, options.most_rows, 0)
    full, full_seconds = timed(lambda: train_model(matrix, labels, split, experiment))
    sampled, sampled_seconds = timed(
        lambda: train_model(matrix.rows(kept), labels.rows(kept), split, experiment, None, weight)
    )
    known = np.flatnonzero(~np.isnan(truth.outcome))
    outcome, visits = truth.outcome[known], visits_at(CAPACITY, len(known))

    def visited(ranking: NDArray[np.float64]) -> NDArray[np.float64]:
        return VisitPlan.by_score("model", ranking[known]).selection(visits)

    chances = [visited(model.predict_risk(test).ranking) for model in (full, sampled)]
    bootstrap = ClusterBootstrap.of(pl.Series(truth.index["village_code"].to_list())[known], 2000, 0)
    weights = np.vstack(list(bootstrap.row_weights()))
    lost = weights @ ((chances[1] - chances[0]) * outcome) / visits
    interval = bootstrap.interval(lost)
    rows = [model.metadata["rows"]["fit"]["rows"] for model in (full, sampled)]
    print(
        json.dumps(
            {
                "households": options.households,
                "fit_rows": dict(zip(("full", "sampled"), rows, strict=True)),
                "events": full.metadata["rows"]["fit"]["events"],
                "seconds": {"full": round(full_seconds, 1), "sampled": round(sampled_seconds, 1)},
                "visits": visits,
                "precision": {
                    name: round(float(chance @ outcome) / visits, 4)
                    for name, chance in zip(("full", "sampled"), chances, strict=True)
                },
                "difference": round(float((chances[1] - chances[0]) @ outcome) / visits, 4),
                "interval": [round(interval.low, 4), round(interval.high, 4)],
                "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
