"""The gate a model passes before it becomes the champion: guards, calibration, and not inferior to others.

Two ways of ranking are compared on the same rows: the same households on the same dates, with the same
outcomes and the same visits. Households in 红 are left out, as every policy visits them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError
from relapse_risk.evaluation.gain import ScoreOrder, ratio, visits_at
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.result import BacktestResult
from relapse_risk.vocabulary import Bilingual

Array = NDArray[np.float64]

MARGIN = 0.01
SLOPE_BOUNDS = (0.8, 1.25)
LARGEST_SHIFT = 0.25
BASELINES = ("rules", "best_indicator", "logistic", "scorecard")
_KEYS = ("household_id", "as_of_date")


@dataclass(frozen=True)
class Check:
    """One condition of the gate: what was found, what was asked, and whether it holds."""

    name: Bilingual
    found: Bilingual
    asked: Bilingual
    is_passed: bool


@dataclass(frozen=True)
class Comparison:
    """Precision at capacity of the challenger and of another, on the same rows.

    Attributes
    ----------
    against : str
        ``champion NAME/VERSION`` or the name of a baseline.
    precision, other : float
        Events found by visits spent, over all origins.
    low, high : float
        95% interval of ``precision - other``, whole villages resampled.
    n_rows, n_clusters : int
    """

    against: str
    precision: float
    other: float
    low: float
    high: float
    n_rows: int
    n_clusters: int

    @property
    def difference(self) -> float:
        """Precision of the challenger less that of the other."""
        return self.precision - self.other

    @property
    def is_not_inferior(self) -> bool:
        """Whether the lower bound of the difference is above minus the margin; an unknown one is not."""
        return self.low > -MARGIN


def compare_precision(
    challenger: pl.DataFrame,
    other: pl.DataFrame,
    columns: tuple[str, str],
    capacity: float,
    *,
    against: str,
    cluster: str,
    replicates: int,
    seed: int,
) -> Comparison:
    """Return the paired comparison of two scores on the rows that both judged.

    Parameters
    ----------
    challenger, other : polars.DataFrame
        ``BacktestResult.scores`` of either; may be the same frame.
    columns : tuple of str
        The column of the score in each, such as ``("score_model", "score_rules")``.
    capacity : float
        Share of the households of each date (below 1) or number of visits.
    against : str
        What the other is called.
    cluster : str
        Column whose groups are drawn whole.
    replicates, seed : int
        As in :class:`~relapse_risk.evaluation.intervals.ClusterBootstrap`.

    Raises
    ------
    ConfigurationError
        RR457 where the two have no rows in common, or differ about the outcome of one.
    """
    rows = _shared_rows(challenger, other, columns, cluster)
    bootstrap = ClusterBootstrap.of(rows[cluster], replicates, seed)
    blocks = _blocks(rows)
    once = np.ones((1, rows.height))
    mine, theirs = (_precision(rows, name, blocks, capacity, once) for name in ("mine", "theirs"))
    differences = np.concatenate(
        [
            _precision(rows, "mine", blocks, capacity, weights)
            - _precision(rows, "theirs", blocks, capacity, weights)
            for weights in bootstrap.row_weights()
        ]
        or [np.zeros(0)]
    )
    interval = bootstrap.interval(differences, float(mine[0] - theirs[0]))
    return Comparison(
        against,
        float(mine[0]),
        float(theirs[0]),
        interval.low,
        interval.high,
        rows.height,
        interval.n_clusters,
    )


def best_baseline(result: BacktestResult, capacity: float, replicates: int) -> Comparison:
    """Return the challenger beside the baseline that has the highest precision at this capacity."""
    config = result.experiment.evaluation
    compared = [
        compare_precision(
            result.scores,
            result.scores,
            ("score_model", f"score_{name}"),
            capacity,
            against=name,
            cluster=config.cluster,
            replicates=replicates,
            seed=config.seed,
        )
        for name in BASELINES
        if f"score_{name}" in result.scores.columns
    ]
    return max(compared, key=lambda each: each.other)


def check_guards(result: BacktestResult, overridden: Sequence[str]) -> Check:
    """Return whether no guard fails in the backtest, and none was overridden when the model was trained."""
    found = sorted({notice.code for notice in result.alarm_notices} | set(overridden))
    listed = ", ".join(found)
    return Check(
        Bilingual("护栏", "guards"),
        Bilingual(f"未通过或被放行：{listed}", f"failed or overridden: {listed}")
        if found
        else Bilingual("全部通过", "all passed"),
        Bilingual("全部通过，不得放行", "all passed, none overridden"),
        not found,
    )


def check_calibration(result: BacktestResult) -> Check:
    """Return whether slope and shift of the model's risks in the backtest lie within the bounds."""
    slope, shift = next(
        (
            (each["calibration_slope"], each["calibration_in_the_large"])
            for each in result.calibration
            if each["policy"] == "model"
        ),
        (None, None),
    )
    low, high = SLOPE_BOUNDS
    found, is_passed = Bilingual("未知", "unknown"), False
    if slope is not None and shift is not None:
        found = Bilingual(
            f"斜率 {slope:.3f}，整体偏移 {shift:+.3f}", f"slope {slope:.3f}, shift {shift:+.3f}"
        )
        is_passed = low <= slope <= high and abs(shift) <= LARGEST_SHIFT
    return Check(
        Bilingual("校准", "calibration"),
        found,
        Bilingual(
            f"斜率 {low:g}–{high:g}，整体偏移不超过 ±{LARGEST_SHIFT:g}（对数几率）",
            f"slope {low:g} to {high:g}, shift within ±{LARGEST_SHIFT:g} (log-odds)",
        ),
        is_passed,
    )


def check_comparison(compared: Comparison, capacity: float) -> Check:
    """Return whether the challenger is not inferior in one comparison."""
    figures = (
        f"{compared.precision:.4f} − {compared.other:.4f} = {compared.difference:+.4f} "
        f"(95% {compared.low:+.4f} … {compared.high:+.4f}; n = {compared.n_rows}, "
        f"{compared.n_clusters} clusters)"
    )
    at = f"{capacity:.0%}" if capacity < 1 else f"{capacity:g}"
    return Check(
        Bilingual(f"不劣于 {compared.against}", f"not inferior to {compared.against}"),
        Bilingual(f"容量 {at} 命中率 {figures}", f"precision at {at}: {figures}"),
        Bilingual(f"差值下限高于 −{MARGIN:g}", f"lower bound of the difference above −{MARGIN:g}"),
        compared.is_not_inferior,
    )


def _shared_rows(
    challenger: pl.DataFrame, other: pl.DataFrame, columns: tuple[str, str], cluster: str
) -> pl.DataFrame:
    keep = dict.fromkeys((*_KEYS, cluster))
    mine = challenger.filter(~pl.col("is_red")).select(*keep, "outcome", pl.col(columns[0]).alias("mine"))
    theirs = other.filter(~pl.col("is_red")).select(
        *_KEYS, pl.col("outcome").alias("other_outcome"), pl.col(columns[1]).alias("theirs")
    )
    rows = mine.join(theirs, on=list(_KEYS), how="inner", validate="1:1").sort("as_of_date", "household_id")
    differing = rows.filter(pl.col("outcome") != pl.col("other_outcome")).height
    if not rows.height or differing:
        raise ConfigurationError(
            "RR457",
            "comparison of two models",
            f"{rows.height} rows judged by both, {differing} with another outcome",
            "the same households, dates and outcomes judged by both",
            "Judge both with the same cohort, label and evaluation dates",
            zh="两个模型的评价对象或标签不一致，无法比较。",
        )
    return rows


def _blocks(rows: pl.DataFrame) -> list[slice]:
    """Return where each date's rows are, in a frame sorted by date."""
    sizes = rows.group_by("as_of_date", maintain_order=True).len()["len"].to_list()
    ends = np.cumsum(sizes)
    return [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]


def _precision(
    rows: pl.DataFrame, name: str, blocks: Sequence[slice], capacity: float, weights: Array
) -> Array:
    """Return events found by visits spent over all dates, by replicate."""
    score, outcome = rows[name].to_numpy(), rows["outcome"].to_numpy()
    found, spent = np.zeros(len(weights)), np.zeros(len(weights))
    for block in blocks:
        n = block.stop - block.start
        part = weights[:, block]
        # A replicate has more or fewer rows than the sample: the same share of them is visited.
        visits = visits_at(capacity, n) * part.sum(axis=1) / n
        found += ScoreOrder.of(score[block]).gain(outcome[block], part).found_at(visits)
        spent += visits
    return ratio(found, spent)
