"""What a run shows in MLflow of a backtest: figures to compare runs by, and pages to read in the browser."""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from io import BytesIO

import numpy as np
import polars as pl

from relapse_risk.evaluation.result import BacktestResult
from relapse_risk.evaluation.summary import summary_markdown
from relapse_risk.explain.attribute import Attributions
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.vocabulary import Bilingual

FEWEST_SHOWN = 10
_POLICIES = ("model", "rules+model")
_ENDS = ("", "_low", "_high")
_STYLE = (
    "body{font:15px sans-serif;max-width:70em;margin:2em auto}table{border-collapse:collapse}"
    "th,td{border:1px solid #999;padding:.2em .5em;text-align:left}"
)


def tracked_metrics(result: BacktestResult) -> dict[str, float]:
    """Return the figures over all origins by which runs compare, with the ends of their 95% intervals.

    Returns
    -------
    dict of str to float
        ``model.roc_auc``, ``model.pr_auc``, ``model.brier``; by capacity ``model.precision_at_0.05`` and
        ``rules_plus_model.found_over_rules_at_0.05``, each also with ``_low`` and ``_high``; the slope and
        shift of the calibration. What has no value is left out.
    """
    figures: dict[str, float | None] = {}
    for record in result.pooled:
        if record["policy"] not in _POLICIES:
            continue
        policy, at = record["policy"].replace("+", "_plus_"), f"at_{record['capacity']:g}"
        for end in _ENDS:
            for name in ("precision_at_capacity", "recall_at_capacity"):
                short = name.removesuffix("_at_capacity")
                figures[f"{policy}.{short}_{at}{end}"] = record[f"{name}{end}"]
            figures[f"{policy}.found_over_rules_{at}{end}"] = record[f"found_over_rules{end}"]
            if record["policy"] == "model":
                for name in ("roc_auc", "pr_auc", "brier"):
                    figures[f"model.{name}{end}"] = record[f"{name}{end}"]
    for each in result.calibration:
        if each["policy"] == "model":
            figures["model.calibration_slope"] = each["calibration_slope"]
            figures["model.calibration_shift"] = each["calibration_in_the_large"]
    return {name: float(value) for name, value in figures.items() if value is not None and value == value}


def tracked_pages(
    result: BacktestResult, explained: tuple[Attributions, FeatureMatrix] | None = None
) -> dict[str, bytes]:
    """Return pictures and pages by file name; none of them holds a household, or a group of fewer than ten.

    Parameters
    ----------
    result : BacktestResult
    explained : tuple of Attributions and FeatureMatrix, optional
        Contributions of the model to many households, and their features; gives the summary of SHAP.

    Returns
    -------
    dict of str to bytes
        ``backtest/gain.png``, ``backtest/reliability.png``, ``backtest/summary.html``,
        ``backtest/groups.html`` and, where given, ``backtest/contributions.html`` and
        ``backtest/contributions.png``.
    """
    from relapse_risk.outputs.contribution_plot import plot_contributions
    from relapse_risk.outputs.plots import plot_gain, plot_reliability

    of_model = result.reliability.filter(pl.col("policy") == "model")
    pages = {
        "backtest/gain.png": _png(plot_gain(result.pooled, "en").savefig),
        "backtest/summary.html": _page("backtest", f"<pre>{html.escape(summary_markdown(result))}</pre>"),
        "backtest/groups.html": _page("groups", _table(result.groups.filter(pl.col("n") >= FEWEST_SHOWN))),
    }
    if of_model.height:
        pages["backtest/reliability.png"] = _png(plot_reliability(of_model, "en").savefig)
    if explained is not None:
        found, matrix = explained
        size = np.abs(found.values).mean(axis=0).tolist()
        ordered = sorted(zip(found.features.names, size, strict=True), key=lambda item: -item[1])
        labels = [Bilingual(feature.zh, feature.en) for feature in found.features]
        values = matrix.select(found.features.names).values
        picture = plot_contributions(found.values, values, labels, "en")
        pages["backtest/contributions.png"] = _png(picture.savefig)
        table = pl.DataFrame(ordered, schema=["feature", "mean |contribution| (log-odds)"], orient="row")
        pages["backtest/contributions.html"] = _page("contributions", _table(table))
    return pages


def _png(save: Callable[..., None]) -> bytes:
    buffer = BytesIO()
    save(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _page(title: str, body: str) -> bytes:
    return (
        f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style>'
        f"<body>{body}</body></html>\n"
    ).encode()


def _table(frame: pl.DataFrame) -> str:
    rows = ["".join(f"<th>{html.escape(name)}</th>" for name in frame.columns)]
    rows += ["".join(f"<td>{html.escape(_cell(cell))}</td>" for cell in row) for row in frame.iter_rows()]
    return "<table>" + "".join(f"<tr>{row}</tr>" for row in rows) + "</table>"


def _cell(value: object) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value)
