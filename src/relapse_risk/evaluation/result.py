"""What a backtest found, and the files it leaves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from relapse_risk.config import Experiment
from relapse_risk.evaluation.intervals import LEVEL
from relapse_risk.evaluation.notices import Notice
from relapse_risk.evaluation.records import ALL_ORIGINS, Record
from relapse_risk.files import parquet_bytes, write_together

# Who is listed and who is missed is told at the capacity nearest to this.
AUDITED_CAPACITY = 0.05
MANIFEST_FILE = "manifest.json"
_POOLED_COLUMNS = (
    "policy",
    "capacity",
    "visits",
    "found",
    "precision_at_capacity",
    "precision_at_capacity_low",
    "precision_at_capacity_high",
    "recall_at_capacity",
    "roc_auc",
    "pr_auc",
    "brier",
    "found_over_rules",
    "found_over_rules_low",
    "found_over_rules_high",
)


@dataclass(frozen=True)
class BacktestResult:
    """Every policy judged on every origin, and on all of them together.

    Attributes
    ----------
    records : list of dict
        One per origin x policy x capacity, and with ``origin`` ``"all"`` one per policy x capacity. ``None``
        where a figure has no meaning.
    reliability : polars.DataFrame
        ``policy`` and the columns of :func:`~relapse_risk.evaluation.metrics.reliability_table`, over all
        origins.
    calibration : list of dict
        ``policy``, ``calibration_in_the_large``, ``calibration_slope``, over all origins.
    scores : polars.DataFrame
        One row per household at risk and origin, those in 红 included: ``household_id``, ``as_of_date``,
        village, township and county, ``outcome``, ``is_red``, ``has_rule_hit``, and ``score_POLICY`` and
        ``risk_POLICY`` where the policy has them.
    groups : polars.DataFrame
        Errors of the lists by group of households; see
        :func:`~relapse_risk.evaluation.missed.errors_by_group`.
    kinds : polars.DataFrame
        What lists find of each kind of relapse; see :func:`~relapse_risk.evaluation.kinds.found_by_kind`.
    censoring : polars.DataFrame
        What those who were not wholly seen may change; see
        :func:`~relapse_risk.evaluation.censoring.censoring_table`.
    exits : polars.DataFrame
        Who ceased to be seen, and why; see :func:`~relapse_risk.evaluation.censoring.exits_table`.
    crosstab : polars.DataFrame
        The list against the rest, and relapses missed against those found; see
        :func:`~relapse_risk.evaluation.missed.list_against_rest`.
    missed : polars.DataFrame
        Relapses that neither rules nor model found; see
        :func:`~relapse_risk.evaluation.missed.missed_relapses`.
    selection : polars.DataFrame
        Which policy stated rules choose, and their regret; see
        :func:`~relapse_risk.evaluation.selection.choose_policies`.
    capacity_curve : polars.DataFrame
        What each further visit finds; see :func:`~relapse_risk.evaluation.capacity_curve.capacity_curve`.
    cluster_checks : list of dict
        Differences to the rules with intervals by township and by county: ``cluster``, ``n_clusters``,
        ``is_too_few_clusters``, ``policy``, ``capacity``, ``found_over_rules`` and its ends.
    origins : list of dict
        What each origin's model was trained on, and how many households were judged.
    best_single_auc : float or None
        ROC-AUC of the indicator that, in hindsight, was the best alone: what guard G2 compares with.
    alarm_notices, note_notices : tuple of Notice
        What guards found; what was left out, and why. ``alarms`` and ``notes`` are their English
        texts.
    experiment : Experiment
    provenance : mapping
        Of the panel.
    """

    records: list[Record]
    reliability: pl.DataFrame
    calibration: list[Record]
    scores: pl.DataFrame
    groups: pl.DataFrame
    kinds: pl.DataFrame
    censoring: pl.DataFrame
    exits: pl.DataFrame
    crosstab: pl.DataFrame
    missed: pl.DataFrame
    selection: pl.DataFrame
    capacity_curve: pl.DataFrame
    cluster_checks: list[Record]
    origins: list[dict[str, Any]]
    best_single_auc: float | None
    alarm_notices: tuple[Notice, ...]
    note_notices: tuple[Notice, ...]
    experiment: Experiment
    provenance: Mapping[str, object]

    @property
    def alarms(self) -> tuple[str, ...]:
        """What guards found, each with the code of its guard."""
        return tuple(notice.shown("en") for notice in self.alarm_notices)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, and why."""
        return tuple(notice.shown("en") for notice in self.note_notices)

    @property
    def pooled(self) -> list[Record]:
        """Records over all origins."""
        return [record for record in self.records if record["origin"] == ALL_ORIGINS]

    @property
    def audited_capacity(self) -> float:
        """The capacity, of those judged, at which it is told who is listed and who is missed."""
        return min(self.experiment.evaluation.capacities, key=lambda one: abs(one - AUDITED_CAPACITY))

    def to_pandas(self) -> pd.DataFrame:
        """Return the records as a frame, one row each."""
        return pd.DataFrame(self.records)

    def to_polars(self) -> pl.DataFrame:
        """Return the records as a Polars frame, one row each."""
        return pl.DataFrame(self.records, infer_schema_length=None)

    def pooled_table(self) -> pl.DataFrame:
        """Return the main figures over all origins, one row per policy and capacity, to be read by people."""
        return pl.DataFrame(self.pooled, infer_schema_length=None).select(_POOLED_COLUMNS)

    def metrics_by_origin(self, policy: str) -> dict[date, dict[str, float]]:
        """Return the figures of one policy by origin, named for a tracking server.

        Parameters
        ----------
        policy : str

        Returns
        -------
        dict of date to dict
            ``roc_auc``, ``pr_auc``, ``brier``, and for every capacity ``precision_at_0.05``,
            ``recall_at_0.05`` and ``found_over_rules_at_0.05``; figures without a meaning are left out.
        """
        figures: dict[date, dict[str, float]] = {}
        for record in self.records:
            if record["policy"] != policy or record["origin"] == ALL_ORIGINS:
                continue
            at = f"at_{record['capacity']:g}"
            named = {name: record[name] for name in ("roc_auc", "pr_auc", "brier")} | {
                f"precision_{at}": record["precision_at_capacity"],
                f"recall_{at}": record["recall_at_capacity"],
                f"found_over_rules_{at}": record["found_over_rules"],
            }
            known = {name: float(value) for name, value in named.items() if value is not None}
            figures.setdefault(date.fromisoformat(record["origin"]), {}).update(known)
        return figures

    def write(self, out: Path) -> tuple[Path, ...]:
        """Write the result into a folder, replacing an earlier one.

        Parameters
        ----------
        out : Path
            Gets ``metrics.json`` (the records), ``summary.md`` (Chinese and English), ``reliability.csv``,
            ``scores.parquet``, ``groups.csv``, ``kinds.csv``, ``censoring.csv``,
            ``exits.csv``, ``list_against_rest.csv``, ``missed.parquet``, ``selection.csv``,
            ``capacity_curve.csv``, and last
            ``manifest.json``.

        Raises
        ------
        MachineError
            RR604 where the folder can't be written.
        """
        from relapse_risk.evaluation.summary import summary_markdown

        files = {
            "metrics.json": _json(self.records),
            "summary.md": summary_markdown(self).encode(),
            "reliability.csv": self.reliability.write_csv(include_bom=True).encode(),
            "scores.parquet": parquet_bytes(self.scores),
            "groups.csv": self.groups.write_csv(include_bom=True).encode(),
            "kinds.csv": self.kinds.write_csv(include_bom=True).encode(),
            "censoring.csv": self.censoring.write_csv(include_bom=True).encode(),
            "exits.csv": self.exits.write_csv(include_bom=True).encode(),
            "list_against_rest.csv": self.crosstab.write_csv(include_bom=True).encode(),
            "missed.parquet": parquet_bytes(self.missed),
            "selection.csv": self.selection.write_csv(include_bom=True).encode(),
            "capacity_curve.csv": self.capacity_curve.write_csv(include_bom=True).encode(),
        }
        files[MANIFEST_FILE] = _json(self._manifest(files))
        return write_together(files, out)

    def _manifest(self, files: Mapping[str, bytes]) -> dict[str, Any]:
        evaluation = self.experiment.evaluation
        return {
            "kind": "backtest",
            "experiment": self.experiment.model_dump(mode="json"),
            "origins": self.origins,
            "calibration": self.calibration,
            "best_single_auc": self.best_single_auc,
            "cluster_checks": self.cluster_checks,
            "intervals": {
                "cluster": evaluation.cluster,
                "replicates": evaluation.bootstrap_replicates,
                "level": LEVEL,
                "seed": evaluation.seed,
            },
            "alarms": [{"code": n.code, "zh": n.text.zh, "en": n.text.en} for n in self.alarm_notices],
            "notes": [{"code": n.code, "zh": n.text.zh, "en": n.text.en} for n in self.note_notices],
            "provenance": dict(self.provenance),
            "files": {name: hashlib.sha256(data).hexdigest() for name, data in files.items()},
        }


def _json(payload: Sequence[object] | Mapping[str, object]) -> bytes:
    text = json.dumps(payload, ensure_ascii=False, indent=1, allow_nan=False, default=str)
    return f"{text}\n".encode()
