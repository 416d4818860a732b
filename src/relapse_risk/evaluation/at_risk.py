"""The households at risk on one date, with all that is said of them, before plans are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.config import EvaluationConfig
from relapse_risk.evaluation.censoring import SeenOrigin, cells_of
from relapse_risk.evaluation.groups import groups_of
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.evaluation.kinds import outcomes_by_kind
from relapse_risk.evaluation.missed import AuditedOrigin
from relapse_risk.evaluation.policies import plan_policies
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.labels import Labels
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.tiers import RED, has_moving_hit, tier_of
from relapse_risk.scores import RiskScores, RuleHits
from relapse_risk.windows import add_months, month_end, month_index

Array = NDArray[np.float64]

CLUSTERS = ("household_id", "village_code", "township_code", "county_code")


@dataclass(frozen=True)
class AtRisk:
    """Households at risk on one date.

    Attributes
    ----------
    origin : date
    matrix : FeatureMatrix
    hits : RuleHits
    scores : mapping of str to RiskScores
        By policy; all on the rows of ``matrix``.
    labels : Labels
        On the same rows; those that are judged are not censored.
    event_starts : ndarray of float64, shape (n_rows,)
        As in :class:`~relapse_risk.evaluation.judged.JudgedOrigin`.
    oracle : ndarray of float64, shape (n_rows,), or None
    """

    origin: date
    matrix: FeatureMatrix
    hits: RuleHits
    scores: Mapping[str, RiskScores]
    labels: Labels
    event_starts: Array
    oracle: Array | None = None

    def rows(self, positions: NDArray[np.int64]) -> AtRisk:
        """Return the households at ``positions``."""
        matrix = self.matrix.rows(positions)
        scores = {
            policy: RiskScores(matrix.index, s.horizons_months, s.risk[positions], s.ranking[positions])
            for policy, s in self.scores.items()
        }
        return AtRisk(
            self.origin,
            matrix,
            RuleHits(matrix.index, self.hits.codes, self.hits.states[positions]),
            scores,
            self.labels.rows(positions),
            self.event_starts[positions],
            None if self.oracle is None else self.oracle[positions],
        )

    @property
    def is_red(self) -> NDArray[np.bool_]:
        """Whether a household is in tier 红, which every policy visits whatever its score."""
        red: NDArray[np.bool_] = tier_of(self.matrix, self.hits) == RED
        return red

    def planned(self, config: EvaluationConfig, n_censored: int) -> JudgedOrigin:
        """Return the households that policies compete for, with every policy's plan."""
        kept = np.flatnonzero(~self.is_red)
        of_list = self.rows(kept)
        matrix, scores, oracle = of_list.matrix, of_list.scores, of_list.oracle
        plans = plan_policies(
            matrix,
            of_list.hits,
            scores,
            model_share=config.model_share,
            audit_share=config.audit_share,
            oracle=oracle,
        )
        half = self.labels.horizon_months // 2
        ids = self.matrix.index["household_id"]
        outcome = self.labels.outcome
        return JudgedOrigin(
            self.origin,
            matrix.index.select("as_of_date", *CLUSTERS),
            of_list.labels.outcome,
            of_list.event_starts,
            n_censored,
            plans,
            oracle,
            rule_hits=frozenset(ids.filter(pl.Series(has_moving_hit(self.hits))).to_list()),
            red_counts={
                "n_red": len(outcome) - len(kept),
                "events_red": int(outcome.sum() - outcome[kept].sum()),
            },
            kinds=outcomes_by_kind(of_list.labels),
            later_risk={
                policy: known.risk_after(half)
                for policy, known in scores.items()
                if half in known.horizons_months
            },
        )

    def seen(self, config: EvaluationConfig) -> SeenOrigin:
        """Return everybody who is not in 红, censored or not, with the lists made of all of them."""
        of_list = self.rows(np.flatnonzero(~self.is_red))
        plans = plan_policies(
            of_list.matrix,
            of_list.hits,
            {"model": of_list.scores["model"]},
            model_share=config.model_share,
            audit_share=config.audit_share,
        )
        index = of_list.matrix.index.select("as_of_date", *CLUSTERS)
        return SeenOrigin(index, of_list.labels, cells_of(of_list.matrix), plans)

    def audited(self, judged: JudgedOrigin, panel: Panel, features: FeatureSet) -> AuditedOrigin:
        """Return what is needed to say whom the lists of ``judged`` missed."""
        kept = np.flatnonzero(~self.is_red)
        matrix = self.matrix.rows(kept)
        return AuditedOrigin(
            judged,
            has_moving_hit(self.hits)[kept],
            groups_of(matrix, panel.known_at(self.origin)),
            matrix.select(features.names),
        )

    def risks(self, judged: JudgedOrigin) -> pl.DataFrame:
        """Return outcome, ``is_red``, and every policy's score and risk, one row per household at risk.

        ``score_rules`` is the place the rules give, from the plans of ``judged``; NaN in 红.
        """
        by_rules = np.full(len(self.is_red), np.nan)
        by_rules[~self.is_red] = judged.plans["rules"].order_score
        columns: dict[str, NDArray[np.generic]] = {
            "outcome": self.labels.outcome,
            "is_red": self.is_red,
            "has_rule_hit": has_moving_hit(self.hits),
            "score_rules": by_rules,
        }
        for policy, known in self.scores.items():
            columns |= {f"score_{policy}": known.ranking, f"risk_{policy}": known.headline}
        if self.oracle is not None:
            columns |= {"score_oracle": self.oracle, "risk_oracle": self.oracle}
        index = self.matrix.index.select("household_id", "as_of_date", *CLUSTERS[1:])
        return index.with_columns(pl.Series(name, values) for name, values in columns.items())


def event_starts(panel: Panel, labels: Labels) -> Array:
    """Return the ordinal of the first day of the period that first shows each row's event; NaN without one.

    A period's length is read from the household's own report; where its record goes on under another code,
    the panel's usual length stands in.
    """
    starts = np.full(len(labels), np.nan)
    rows = np.flatnonzero(labels.event_month <= labels.horizon_months)
    if not len(rows) or labels.known_on is None:
        return starts
    index = labels.index[rows]
    ends = [
        month_end(month_index(add_months(day, int(month))))
        for day, month in zip(index["as_of_date"].to_list(), labels.event_month[rows], strict=True)
    ]
    reports = panel.known_at(labels.known_on).table("observation")
    usual = int(reports["period_months"].mode().min() or 1)  # type: ignore[arg-type]  # a whole number
    lengths = (
        reports.select("household_id", pl.col("period_end").dt.month_end(), "period_months")
        .unique(["household_id", "period_end"], keep="last")
        .sort("household_id", "period_end")
    )
    wanted = pl.DataFrame({"household_id": index["household_id"], "period_end": ends})
    found = wanted.join(lengths, on=["household_id", "period_end"], how="left", maintain_order="left")
    months = found["period_months"].fill_null(usual).to_list()
    for row, end, length in zip(rows, ends, months, strict=True):
        starts[row] = month_end(month_index(end) - int(length)).toordinal() + 1
    return starts
