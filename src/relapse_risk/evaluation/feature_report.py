"""What a matrix holds, feature by feature: coverage, distribution, drift, kin, and how well each ranks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.coverage import MEANINGS, missing_codes
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels
from relapse_risk.notebook import html_card
from relapse_risk.vocabulary import Direction

Array = NDArray[np.float64]

KIN = 0.9
_MOST_ROWS = 20_000
_BINS = 10
_QUANTILES = (0.05, 0.5, 0.95)
_NORMAL_975 = 1.959964


@dataclass(frozen=True)
class FeatureReport:
    """A description of a matrix.

    Attributes
    ----------
    features : polars.DataFrame
        One row a feature: name, zh, en, family, unit, direction; ``known`` and, for each meaning of a missing
        value, the share of rows; mean, p5, p50, p95; ``group`` (equal numbers: rank correlation of 0.9 and
        more in size); ``auc, auc_low, auc_high, auc_rows`` where labels were given.
    dates : polars.DataFrame
        One row a feature and as-of date: known, mean, p50, and ``psi`` against the first date.
    n_rows : int
    """

    features: pl.DataFrame
    dates: pl.DataFrame
    n_rows: int

    def __repr__(self) -> str:
        return f"FeatureReport({self.features.height} features of {self.n_rows} rows)"

    def _repr_html_(self) -> str:
        shown = self.features.select("name", "zh", "family", "known", "p50", "group", "auc").head(20)
        rows = [[f"{c:.3g}" if isinstance(c, float) else c for c in row] for row in shown.iter_rows()]
        facts = {"features 指标": self.features.height, "rows 行": self.n_rows}
        return html_card("FeatureReport 指标说明", facts, rows, shown.columns)

    def to_pandas(self) -> pd.DataFrame:
        """Return ``features`` indexed by name."""
        return pd.DataFrame(self.features.to_dict(as_series=False)).set_index("name")


def describe_features(matrix: FeatureMatrix, labels: Labels | None = None) -> FeatureReport:
    """Return coverage, distribution, drift, correlation groups and univariate AUC of every feature.

    Parameters
    ----------
    matrix : FeatureMatrix
    labels : Labels, optional
        Of the rows of ``matrix``; the AUC is over rows at risk with a known outcome and a known value.

    Returns
    -------
    FeatureReport
        The AUC is of the value in the feature's declared direction (as it is where it has none): above 0.5,
        rows with the event lie on the risky side. Its 95% interval counts villages, not rows.

    Notes
    -----
    PSI over deciles of the first date, missing a bin of its own; 0.25 is commonly called a large shift. The
    interval is normal, with the variance of placement values summed by cluster (Obuchowski 1997,
    doi:10.2307/2533958).
    """
    groups = correlation_groups(matrix.values)
    rows, dates = [], []
    by_date = [
        (day, np.flatnonzero((matrix.index["as_of_date"] == day).to_numpy())) for day in matrix.as_of_dates
    ]
    outcome = None if labels is None else np.where(labels.is_at_risk, labels.outcome, np.nan)
    clusters = matrix.index["village_code"].fill_null("").rank("dense").to_numpy().astype(np.int64)
    for place, feature in enumerate(matrix.features):
        values = matrix.column(feature.name)
        sign = -1.0 if feature.direction is Direction.LOWERS_RISK else 1.0
        auc = (np.nan,) * 3 + (0,) if outcome is None else _auc(outcome, sign * values, clusters)
        rows.append(
            {
                "name": feature.name,
                "zh": feature.zh,
                "en": feature.en,
                "family": feature.family,
                "unit": feature.unit.name.lower(),
                "direction": feature.direction.name.lower(),
                **_shares(matrix, feature.name),
                **_distribution(values),
                "group": int(groups[place]),
                **dict(zip(("auc", "auc_low", "auc_high", "auc_rows"), auc, strict=True)),
            }
        )
        first = values[by_date[0][1]] if by_date else values
        for day, positions in by_date:
            then = values[positions]
            known = float((~np.isnan(then)).mean())
            told = {"name": feature.name, "as_of_date": day, "known": known, "psi": psi(first, then)}
            dates.append(told | {key: _distribution(then)[key] for key in ("mean", "p50")})
    return FeatureReport(pl.DataFrame(rows), pl.DataFrame(dates), len(matrix))


def correlation_groups(values: Array) -> NDArray[np.int64]:
    """Return a number a column; columns whose rank correlation is 0.9 or more in size share one.

    Missing values take the middle rank; of many rows every k-th is looked at.
    """
    step = max(1, len(values) // _MOST_ROWS)
    sample = values[::step]
    ranks = np.column_stack([_centred_ranks(column) for column in sample.T]) if sample.size else sample
    size = np.sqrt((ranks**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        kin = np.abs(ranks.T @ ranks / np.outer(size, size)) >= KIN
    group = np.arange(values.shape[1])
    for one, other in np.argwhere(np.triu(kin, 1)):
        group[group == group[other]] = group[one]
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def psi(before: Array, now: Array) -> float:
    """Return the population stability index of ``now`` against ``before``; 0 where nothing moved."""
    known = before[~np.isnan(before)]
    if not len(known) or not len(now):
        return float("nan")
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1]))
    one, other = (_bin_shares(values, edges) for values in (before, now))
    return float(((other - one) * np.log(other / one)).sum())


def auc_interval(outcome: Array, score: Array, clusters: NDArray[np.int64]) -> tuple[float, float, float]:
    """Return the AUC and the ends of its 95% interval by clusters; NaN without both outcomes."""
    event, free = score[outcome == 1], score[outcome == 0]
    if not len(event) or not len(free):
        return (float("nan"),) * 3
    above = _placement(free, event)  # of each event: the share of the others below it
    below = 1.0 - _placement(event, free)  # of each other row: the share of events above it
    auc = float(above.mean())
    influence = np.empty(len(score))
    influence[outcome == 1] = (above - auc) / len(event)
    influence[outcome == 0] = (below - auc) / len(free)
    sums = np.bincount(np.unique(clusters, return_inverse=True)[1], influence)
    if len(sums) < 2:
        return auc, float("nan"), float("nan")
    spread = _NORMAL_975 * float(np.sqrt(len(sums) / (len(sums) - 1) * (sums**2).sum()))
    return auc, max(auc - spread, 0.0), min(auc + spread, 1.0)


def _auc(outcome: Array, score: Array, clusters: NDArray[np.int64]) -> tuple[float, float, float, int]:
    used = ~np.isnan(outcome) & ~np.isnan(score)
    return (*auc_interval(outcome[used], score[used], clusters[used]), int(used.sum()))


def _placement(others: Array, values: Array) -> Array:
    """Return the share of ``others`` below each value; equal ones count half."""
    ordered = np.sort(others)
    share: Array = (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (
        2.0 * len(ordered)
    )
    return share


def _shares(matrix: FeatureMatrix, name: str) -> dict[str, float]:
    counts = np.bincount(missing_codes(matrix, name), minlength=len(MEANINGS)) / max(len(matrix), 1)
    names = ["known", *(str(meaning) for meaning in MEANINGS[1:])]
    return dict(zip(names, counts.tolist(), strict=True))


def _distribution(values: Array) -> dict[str, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return dict.fromkeys(("mean", "p5", "p50", "p95"), float("nan"))
    low, middle, high = np.quantile(known, _QUANTILES).tolist()
    return {"mean": float(known.mean()), "p5": low, "p50": middle, "p95": high}


def _centred_ranks(column: Array) -> Array:
    ranks = pl.Series(column).fill_nan(None).rank("average").cast(pl.Float64)
    middle = ranks.mean()
    filled: Array = ranks.fill_null(0.0 if middle is None else middle).to_numpy() if len(column) else column
    return filled - filled.mean() if len(filled) else filled


def _bin_shares(values: Array, edges: Array) -> Array:
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, "right"), minlength=len(edges) + 1)
    # Half a row in each bin keeps an empty one finite.
    filled = np.append(counts, len(values) - len(known)) + 0.5
    shares: Array = filled / filled.sum()
    return shares
