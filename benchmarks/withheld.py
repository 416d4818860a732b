"""What it would cost to rank by the worst case where a part of a household's record is missing.

docs/decisions/0010 asks why smaller gaps than a whole table are not ranked by the worst they may hide. Here a
model is trained on what was known on one day, and households are ranked by it on three later dates

- as they are;
- with ``worst``: where less than half is known of a family of features, or of the features that read one
  table alone, what is missing there takes the worst value of the training rows (of a feature without a
  direction, the end that the model likes less), and the higher of both scores ranks the household;
- with ``95%`` (and 5%): the same with that quantile for the worst.

Told are, as means over the dates, how many of the first visits meet a household that fails within 12 months,
the share of households that have such a gap although nobody took anything away, and of the 200 with the
highest scores how many rank lower once all features of income are taken from them. Once among households at
risk, which are known to be fine, and once among everyone, whose state may be unknown or failing already.

    python benchmarks/withheld.py [--households 5000] [--visits 80]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from relapse_risk.config import Experiment
from relapse_risk.features.build import build_features
from relapse_risk.features.coverage import KNOWN, NOT_REPORTED, missing_codes, reads_in
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import make_labels
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import simulate
from relapse_risk.pipeline import train
from relapse_risk.vocabulary import Direction

TRAINED_ON, END = date(2022, 12, 31), date(2024, 12, 31)
DATES = (date(2023, 3, 31), date(2023, 6, 30), date(2023, 9, 30))
INCOME, TAKEN = "income", 200
WAYS = {"as it is": None, "worst": 1.0, "95%": 0.95}

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def gaps(matrix: FeatureMatrix, model: TrainedModel) -> Mask:
    """Return the cells that are missing in a gap, shape ``(n_rows, n_features of the model)``."""
    names = model.features.names
    codes = np.column_stack([missing_codes(matrix, name) for name in names])
    is_gap = np.zeros(codes.shape, dtype=bool)
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        groups.setdefault(f"family {model.features[name].family}", []).append(place)
        if len(tables := reads_in(matrix, name).tables) == 1:
            groups.setdefault(f"table {tables[0]}", []).append(place)
    for places in groups.values():
        known, lacking = ((codes[:, places] == code).sum(axis=1) for code in (KNOWN, NOT_REPORTED))
        is_thin = (lacking > 0) & (known < lacking)
        is_gap[:, places] |= is_thin[:, None] & (codes[:, places] == NOT_REPORTED)
    return is_gap


def ends_of(rows: FeatureMatrix, model: TrainedModel, quantile: float) -> tuple[Array, Array]:
    """Return the low and the high end of every feature of the model among training rows."""
    values = model.values(rows)
    return np.nanquantile(values, 1 - quantile, axis=0), np.nanquantile(values, quantile, axis=0)


def ranked_by(
    matrix: FeatureMatrix, model: TrainedModel, ends: tuple[Array, Array] | None, is_gap: Mask
) -> Array:
    """Return what a matrix's rows are ranked by, the worst case where ``ends`` are given."""
    own = model.predict_risk(matrix).ranking
    if ends is None or not is_gap.any():
        return own
    places = [matrix.features.position(name) for name in model.features.names]
    directions = [model.features[name].direction for name in model.features.names]
    worst = own
    # What has no direction is tried at both ends.
    for tried in ends:
        filled = [
            high
            if direction is Direction.RAISES_RISK
            else low
            if direction is Direction.LOWERS_RISK
            else free
            for direction, low, high, free in zip(directions, *ends, tried, strict=True)
        ]
        values = matrix.values.copy()
        values[:, places] = np.where(is_gap, filled, values[:, places])
        worst = np.maximum(worst, model.predict_risk(replace(matrix, values=values)).ranking)
    return worst


def without_income(matrix: FeatureMatrix) -> FeatureMatrix:
    """Return the matrix with all features of income taken away."""
    places = [i for i, feature in enumerate(matrix.features) if feature.family == INCOME]
    values = matrix.values.copy()
    values[:, places] = np.nan
    return replace(matrix, values=values)


def lost_places(
    matrix: FeatureMatrix, model: TrainedModel, ends: tuple[Array, Array] | None, taken: NDArray[np.int64]
) -> float:
    """Return the share of the rows ``taken`` that rank lower without their income than with it."""
    before = ranked_by(matrix, model, ends, gaps(matrix, model))
    bare = without_income(matrix.rows(taken))
    after = ranked_by(bare, model, ends, gaps(bare, model))
    # One household at a time loses its income: all others keep their scores.
    behind = [(np.delete(before, row) > now).sum() for row, now in zip(taken, after, strict=True)]
    ahead = [(before > before[row]).sum() for row in taken]
    return float(np.mean(np.array(behind) > np.array(ahead)))


def rows_of(panel: Panel, experiment: Experiment, day: date, *, everyone: bool) -> tuple[FeatureMatrix, Mask]:
    """Return the features of households, and who was seen failing within the year.

    ``everyone`` counts households that fail already, or whose state nobody knows; else those at risk only,
    which are known to be fine.
    """
    labels = make_labels(panel, [day], experiment.label, experiment.cohort, END)
    event = labels.outcome
    keep = np.ones(len(event), dtype=bool) if everyone else labels.is_at_risk & ~np.isnan(event)
    households = labels.index["household_id"].filter(keep).to_list()
    return build_features(panel, [day], households={day: households}), event[keep] == 1


def judge(
    matrix: FeatureMatrix, failing: Mask, model: TrainedModel, ends: tuple[Array, Array] | None, visits: int
) -> tuple[float, float]:
    """Return how many of the first visits find one who fails, and the share that loses places."""
    ranking = ranked_by(matrix, model, ends, gaps(matrix, model))
    first = np.argsort(-ranking, kind="stable")[:visits]
    high = np.argsort(-model.predict_risk(matrix).ranking, kind="stable")[:TAKEN]
    return float(failing[first].sum()), lost_places(matrix, model, ends, high)


def main() -> None:
    """Train, rank each way, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--households", type=int, default=5000)
    parser.add_argument("--visits", type=int, default=80)
    options = parser.parse_args()
    panel = simulate(options.households, 72, seed=1, oracle_dates=(), hazard_paths=0).panel()
    experiment = Experiment(name="default")
    model = train(panel, experiment, TRAINED_ON)
    fitted = build_features(panel, [TRAINED_ON.replace(year=TRAINED_ON.year - 1)])
    ends = {way: None if q is None else ends_of(fitted, model, q) for way, q in WAYS.items()}
    head = ("pool", "rows", "failing", "with a gap", "ranked", "failing of the visited", "rank lower")
    print("{:<10}{:>7}{:>9}{:>12}{:>10}{:>24}{:>12}".format(*head))
    for pool in ("at risk", "everyone"):
        parts = [rows_of(panel, experiment, day, everyone=pool == "everyone") for day in DATES]
        rows, failing = (
            sum(counts) / len(DATES) for counts in zip(*((len(f), f.sum()) for _, f in parts), strict=True)
        )
        with_gap = np.mean([gaps(matrix, model).any(axis=1).mean() for matrix, _ in parts])
        for way in WAYS:
            found, lost = np.mean([judge(*part, model, ends[way], options.visits) for part in parts], axis=0)
            line = f"{pool:<10}{rows:>7.0f}{failing:>9.0f}{with_gap:>12.1%}{way:>10}"
            print(f"{line}{found:>24.1f}{lost:>12.1%}")


if __name__ == "__main__":
    main()
