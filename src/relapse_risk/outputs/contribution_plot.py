"""What moves risks most, over many households: the summary of SHAP, with no dot for a single household."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = NDArray[np.float64]
FEWEST_SHOWN = 10
_BINS = 60


def plot_contributions(
    contributions: Array,
    values: Array,
    labels: Sequence[Bilingual],
    language: Language = "zh",
    limit: int = 15,
) -> Figure:
    """Return how much each feature adds to the log-odds, and whether its high or its low values do.

    Parameters
    ----------
    contributions : ndarray, shape (n_rows, n_features)
        As ``attribute`` gives them; higher raises the risk.
    values : ndarray, shape (n_rows, n_features)
        The features themselves; NaN where not known.
    labels : sequence of Bilingual
        Names of the features.
    language : {"zh", "en"}
    limit : int
        The features with the largest mean absolute contribution are shown.

    Returns
    -------
    Figure
        A row a feature. A mark stands for at least ten households with nearly the same contribution: larger
        for more of them, red where their values are high among all, blue where low, grey where not known.

    Raises
    ------
    ContractError
        RR476 where the arrays are not of one shape.
    """
    if contributions.shape != values.shape or contributions.shape[1] != len(labels):
        raise ContractError(
            "RR476",
            "picture of contributions",
            f"contributions of shape {contributions.shape}, values of {values.shape}, {len(labels)} names",
            "one contribution and one value for each household and feature",
            "Take all three from the same matrix and model",
        )
    from relapse_risk.outputs.chart import chart

    size = np.abs(contributions).mean(axis=0)
    shown = np.argsort(-size, kind="stable")[:limit]
    edges = _edges(contributions[:, shown])
    with chart(language, 8.0, 1.5 + 0.34 * len(shown)) as (figure, axes, letters):
        axes.axvline(0.0, color="#8a8a8a", linewidth=0.8)
        drawn = None
        for row, position in enumerate(shown.tolist()):
            at, count, height = _marks(contributions[:, position], values[:, position], edges)
            known = ~np.isnan(height)
            area = 12.0 + 30.0 * np.log10(np.maximum(count, 1.0))
            axes.scatter(at[~known], np.full((~known).sum(), row), s=area[~known], color="#a6acaf")
            drawn = axes.scatter(
                at[known], np.full(known.sum(), row), s=area[known], c=height[known], cmap="coolwarm",
                vmin=0.0, vmax=1.0,
            )  # fmt: skip
        axes.set_yticks(
            np.arange(len(shown)), labels=[letters.text(labels[position]) for position in shown.tolist()]
        )
        axes.invert_yaxis()
        axes.grid(visible=True, axis="x")
        axes.set_xlabel(
            letters.text(Bilingual("对风险的贡献（对数几率）", "contribution to the risk (log-odds)"))
        )
        axes.set_title(letters.text(Bilingual("各指标对风险的贡献", "What moves the risk")))
        if drawn is not None:
            bar = figure.colorbar(drawn, ax=axes, ticks=[0.0, 1.0], shrink=0.6, pad=0.02)
            ends = (Bilingual("指标值低", "low value"), Bilingual("指标值高", "high value"))
            bar.ax.set_yticklabels([letters.text(end) for end in ends], fontfamily=list(letters.families))
    return figure


def _edges(contributions: Array) -> Array:
    """Return the ends of bins of equal width that hold all contributions."""
    low, high = (float(contributions.min()), float(contributions.max())) if contributions.size else (0.0, 0.0)
    pad = max(high - low, 1e-9) * 1e-6
    edges: Array = np.linspace(low - pad, high + pad, _BINS + 1)
    return edges


def _marks(contribution: Array, value: Array, edges: Array) -> tuple[Array, Array, Array]:
    """Return place, number of households and mean rank of their values (0 to 1) of the bins shown."""
    group = np.clip(np.searchsorted(edges, contribution) - 1, 0, _BINS - 1)
    known = ~np.isnan(value)
    rank = np.full(len(value), np.nan)
    _, inverse, counts = np.unique(value[known], return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts + 1) / 2.0
    rank[known] = middle[inverse] / max(int(known.sum()) - 1, 1)
    count = np.bincount(group, minlength=_BINS).astype(np.float64)
    n_known = np.bincount(group[known], minlength=_BINS)
    total = np.bincount(group[known], rank[known], _BINS)
    height = np.where(n_known > 0, total / np.maximum(n_known, 1), np.nan)
    is_shown = count >= FEWEST_SHOWN
    centre = (edges[1:] + edges[:-1]) / 2.0
    return centre[is_shown], count[is_shown], height[is_shown]
