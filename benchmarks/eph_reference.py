"""Show a backtest of the Argentine panel beside the reference results that come with that panel.

The references are the figures of the panel's own README: rows of all four test quarters together,
unweighted. The share visited is therefore taken over all quarters together here too, out of
``scores.parquet``; the backtest itself spends 10% in every quarter.

    python benchmarks/eph_reference.py outputs/eph_backtest
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl

from relapse_risk.evaluation.metrics import brier, pr_auc, precision_at_capacity, roc_auc

CAPACITY = 0.1
REFERENCE = (
    ("rank by income over line", 0.744, 0.299, None, 0.368),
    ("logit", 0.776, 0.358, 0.1038, 0.417),
    ("LightGBM", 0.776, 0.366, 0.1031, 0.427),
    ("LightGBM + previous quarter", 0.787, 0.383, 0.1016, 0.443),
)
HEADER = ("", "ROC-AUC", "PR-AUC", "Brier", "precision at 10%", "of 10% a quarter (95%)")


def rows_of(folder: Path) -> list[tuple[str, ...]]:
    """Return the table's rows: references first, then every policy with a full order."""
    scores = pl.read_parquet(folder / "scores.parquet")
    records = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    pooled = {r["policy"]: r for r in records if r["origin"] == "all" and r["capacity"] == CAPACITY}
    rows = [(f"reference: {name}", *map(_figure, figures), "–") for name, *figures in REFERENCE]
    for policy, record in pooled.items():
        low, high = record["precision_at_capacity_low"], record["precision_at_capacity_high"]
        spent = _figure(record["precision_at_capacity"])
        each = spent if low is None else f"{spent} ({_figure(low)}–{_figure(high)})"
        if f"score_{policy}" not in scores.columns:
            rows.append((policy, "–", "–", "–", "–", each))
            continue
        outcome, score = scores["outcome"], scores[f"score_{policy}"]
        risk = scores[f"risk_{policy}"] if f"risk_{policy}" in scores.columns else None
        figures = (
            roc_auc(outcome, score),
            pr_auc(outcome, score),
            None if risk is None else brier(outcome, risk),
            precision_at_capacity(outcome, score, CAPACITY),
        )
        rows.append((policy, *map(_figure, figures), each))
    return rows


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def main() -> None:
    """Write the table of the folder named on the command line."""
    table = [HEADER, *rows_of(Path(sys.argv[1]))]
    widths = [max(len(row[i]) for row in table) for i in range(len(HEADER))]
    for row in table:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(f"{line.rstrip()}\n")


if __name__ == "__main__":
    main()
