"""What training on a sample loses beside training on every row.

``python benchmarks/sampling.py --households 8000 --most-rows 8000`` trains the default model on all rows of
its fit origins, and on all events with a weighted sample of the rest, and judges both on the same later date:
precision at 5% of the households at risk, and the difference with its 95% interval (villages resampled).
``--counties 100 --households 10000`` draws a hundred counties one after the other and trains on all of them;
``--fit-origins 2`` fits the last two dates only, where all would not fit into memory. Several ``--most-rows``
are judged in one run.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from tqdm import tqdm

from relapse_risk.config import Experiment
from relapse_risk.evaluation.gain import visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.origins import split_before
from relapse_risk.evaluation.plans import VisitPlan
from relapse_risk.features.build import build_features
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels, make_labels
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.sampling import sample_rows
from relapse_risk.modeling.training import choose_features, train_model
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import Scenario, simulate
from relapse_risk.windows import OriginSplit

ORIGIN = date(2023, 12, 31)
CAPACITY = 0.05
EVERY_ROW = 10**9
Rows = tuple[FeatureMatrix, Labels]


def experiment_with(most_rows: int) -> Experiment:
    """Return the default experiment, judged on one date, with this limit to the rows it fits."""
    return Experiment.model_validate(
        {
            "name": "sampling",
            "model": {"most_rows": most_rows},
            "evaluation": {"origins": {"dates": [ORIGIN]}, "gap_months": 2},
        }
    )


def draw_county(number: int, options: argparse.Namespace) -> tuple[OriginSplit, Rows, Rows]:
    """Return the split of one synthetic county, its rows to train on and those to judge on."""
    experiment = experiment_with(EVERY_ROW)
    panel = simulate(
        options.households,
        72,
        Scenario.load("hebei_like"),
        options.seed + number,
        oracle_dates=(),
        n_paths=1,
        hazard_paths=0,
    ).panel()
    split = split_before(panel, (ORIGIN,), experiment)
    if options.fit_origins:
        split = replace(split, fit_origins=split.fit_origins[-options.fit_origins :])
    dates = split.fit_origins + split.calibration_origins
    training = _rows_of(panel, dates, experiment, split.labels_known_on)
    judged = _rows_of(panel, (ORIGIN,), experiment, panel.last_recorded_on or ORIGIN)
    return split, _numbered(training, number), _numbered(judged, number)


def _rows_of(panel: Panel, dates: tuple[date, ...], experiment: Experiment, known_on: date) -> Rows:
    """Return features and labels of the households at risk on these dates."""
    labels = make_labels(panel, dates, experiment.label, experiment.cohort, known_on)
    labels = labels.rows(labels.is_at_risk)
    households = {day: labels.at(day).index["household_id"].to_list() for day in dates}
    features = choose_features(features_for(panel), experiment)
    return build_features(panel, dates, features, households=households), labels


def _numbered(rows: Rows, number: int) -> Rows:
    """Return the rows with identifiers of their own: every drawn county has the same."""
    matrix, labels = rows
    own = [(pl.lit(f"{number:03d}") + pl.col(name)).alias(name) for name in ("household_id", "village_code")]
    # Single precision is what the trees see, and half the memory.
    values: NDArray[Any] = matrix.values.astype(np.float32)
    return (
        replace(matrix, index=matrix.index.with_columns(own), values=values),
        replace(labels, index=labels.index.with_columns(own), course=None),
    )


def joined(parts: list[Rows]) -> Rows:
    """Return the rows of all counties, sorted by date and household."""
    index = pl.concat([matrix.index for matrix, _ in parts])
    order = index.select(pl.arg_sort_by("as_of_date", "household_id")).to_series().to_numpy()

    def of_labels(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(labels, name) for _, labels in parts])[order]

    values = np.concatenate([matrix.values for matrix, _ in parts])
    matrix, labels = parts[0]
    return (
        replace(matrix, index=index[order], values=values[order]),
        replace(
            labels,
            index=pl.concat([labels.index for _, labels in parts])[order],
            is_at_risk=of_labels("is_at_risk"),
            event_month=of_labels("event_month"),
            observed_months=of_labels("observed_months"),
        ),
    )


def trained(rows: Rows, split: OriginSplit, most_rows: int) -> TrainedModel:
    """Return the default model, fitted on no more rows than this where it takes a sample."""
    matrix, labels = rows
    experiment = experiment_with(most_rows)
    kept, weight = sample_rows(labels, split.fit_origins, most_rows, experiment.model.seed)
    if len(kept) < len(labels):
        matrix, labels = matrix.rows(kept), labels.rows(kept)
    return train_model(matrix, labels, split, experiment, None, weight)


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what a call gives, and its seconds of processor time."""
    start = time.process_time()
    return call(), round(time.process_time() - start, 1)


def main() -> None:
    """Train on every row and on samples, judge all of them, and print what was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--counties", type=int, default=1)
    parser.add_argument("--households", type=int, default=8_000, help="of each county")
    parser.add_argument("--fit-origins", type=int, default=0, help="the last so many; 0 for all")
    parser.add_argument("--most-rows", type=int, nargs="+", default=[8_000])
    parser.add_argument("--seed", type=int, default=8201)
    options = parser.parse_args()
    training, judged = [], []
    for number in tqdm(range(options.counties), desc="counties"):
        split, to_train, to_judge = draw_county(number, options)
        training.append(to_train)
        judged.append(to_judge)
    rows, (test, truth) = joined(training), joined(judged)
    training.clear()
    judged.clear()
    known = np.flatnonzero(~np.isnan(truth.outcome))
    outcome, visits = truth.outcome[known], visits_at(CAPACITY, len(known))
    bootstrap = ClusterBootstrap.of(pl.Series(truth.index["village_code"].to_list())[known], 1000, 0)
    found: dict[int, NDArray[np.float64]] = {}
    for most_rows in (EVERY_ROW, *options.most_rows):
        model, seconds = timed(lambda most_rows=most_rows: trained(rows, split, most_rows))
        ranking = model.predict_risk(test).ranking[known]
        found[most_rows] = VisitPlan.by_score("model", ranking).selection(visits) * outcome
        line = {
            "households": options.counties * options.households,
            "fit_rows": model.metadata["rows"]["fit"]["rows"],
            "fit_events": model.metadata["rows"]["fit"]["events"],
            "cpu_seconds": seconds,
            "visits": visits,
            "precision": round(float(found[most_rows].sum()) / visits, 4),
        }
        if most_rows != EVERY_ROW:
            lost = found[most_rows] - found[EVERY_ROW]
            interval = bootstrap.interval(
                np.concatenate([weights @ lost for weights in bootstrap.row_weights()]) / visits
            )
            line["difference"] = round(float(lost.sum()) / visits, 4)
            line["interval"] = [round(interval.low, 4), round(interval.high, 4)]
        line["peak_memory_gb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
