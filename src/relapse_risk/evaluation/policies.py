"""The policies a backtest compares, each as a plan of visits for the households judged on one date."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.evaluation.plans import ALERTS, FIRST, MIDDLE, VisitPlan
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.priority import VisitSelection, rank_for_visits
from relapse_risk.rules.tiers import ORANGE, YELLOW, days_left, has_moving_hit, severity, tier_of
from relapse_risk.scores import RiskScores, RuleHits

Array = NDArray[np.float64]

POLICIES = (
    "random",
    "best_indicator",
    "rules",
    "rules_random_fill",
    "logistic",
    "scorecard",
    "model",
    "rules+model",
    "oracle",
)


def plan_policies(
    matrix: FeatureMatrix,
    hits: RuleHits,
    scores: Mapping[str, RiskScores],
    *,
    model_share: float,
    audit_share: float = 0.0,
    oracle: Array | None = None,
) -> dict[str, VisitPlan]:
    """Return the plan of every policy, by name.

    Parameters
    ----------
    matrix : FeatureMatrix
        The households judged on one date, with all that rules and tiers read. Those in tier 红 are left out
        beforehand: every policy visits them.
    hits : RuleHits
        Of ``matrix``.
    scores : mapping of str to RiskScores
        On the rows of ``matrix``: ``model`` and the baselines.
    model_share : float
        Part of the visits that ``rules+model`` keeps for model alerts.
    audit_share : float
        Part of the visits that ``rules+model`` spends on its random audit sample. The other policies have
        none, so they spend all their visits on what they rank highest.
    oracle : ndarray of float64, shape (n_rows,), optional
        True risk at the horizon, where it is known.

    Returns
    -------
    dict of str to VisitPlan
        ``random`` gives all the same chance. ``rules`` visits hits by tier and severity; ties, and spare
        visits to households without a hit, go by income over line, the lowest first and the unknown last;
        with ``rules_random_fill``, at random. ``rules+model`` is the visit list, every hit taken as new and
        none as settled. Process (P) and data (Q) rules have no part in any plan. ``oracle`` is there where
        ``oracle`` is.
    """
    n = len(matrix)
    plans = {"random": VisitPlan.by_score("random", np.zeros(n))}
    for policy, known in scores.items():
        plans[policy] = VisitPlan.by_score(policy, known.ranking, known.headline)
    by_income = -np.nan_to_num(income_over_line(matrix), nan=np.inf, posinf=np.inf)
    for policy, fallback in (("rules", by_income), ("rules_random_fill", np.zeros(n))):
        plans[policy] = VisitPlan.by_score(policy, _place_on_list(matrix, hits, None, fallback)[0])
    listed, tiers = _place_on_list(matrix, hits, scores["model"].ranking, by_income)
    stream = np.select([tiers <= ORANGE, tiers == YELLOW], [FIRST, MIDDLE], ALERTS).astype(np.int8)
    plans["rules+model"] = VisitPlan("rules+model", listed, stream, model_share, audit_share)
    if oracle is not None:
        plans["oracle"] = VisitPlan.by_score("oracle", oracle, oracle)
    return {policy: plans[policy] for policy in POLICIES if policy in plans}


def income_over_line(matrix: FeatureMatrix) -> Array:
    """Return income per head over the line, shape ``(n_rows,)``: of the last twelve months, else period.

    NaN where neither is known.
    """
    of_year = matrix.column("ref_income_to_line")
    return np.where(np.isnan(of_year), matrix.column("period_income_to_line"), of_year)


def _place_on_list(
    matrix: FeatureMatrix, hits: RuleHits, ranking: Array | None, fallback_ranking: Array
) -> tuple[Array, NDArray[np.int8]]:
    """Return each row's place on a list of all rows, 1 first to 0 last, ties shared; and its tier.

    The list is made twice, with ties settled one way and then the other: tied rows change places among
    themselves, and the mean of both places is the same for all of them.
    """
    n = len(matrix)
    tiers = tier_of(matrix, hits)
    # Spare visits go by the score alone, also where a low income adds to a row without a hit.
    grave = np.where(tiers <= YELLOW, severity(matrix, hits), 0.0)

    def ranked(stable_key: NDArray[np.int64]) -> VisitSelection:
        return rank_for_visits(
            tiers=tiers,
            severity=grave,
            days_left=days_left(matrix),
            is_new_hit=np.ones(n, dtype=bool),
            has_rule_hit=has_moving_hit(hits),
            self_applied=matrix.column("self_applied") >= 1,
            ranking=ranking,
            fallback_ranking=fallback_ranking,
            capacity=n,
            stable_key=stable_key,
            audit_share=0.0,
        )

    places = np.zeros(n)
    for stable_key in (np.arange(n), np.arange(n)[::-1]):
        places[ranked(stable_key).order] += np.arange(n) / 2.0
    return 1.0 - places / max(n - 1, 1), tiers


def true_risk(oracle: pl.DataFrame, index: pl.DataFrame, horizon_months: int) -> Array | None:
    """Return the true risk of every row, shape ``(n_rows,)``; None where that of some row is not known.

    Parameters
    ----------
    oracle : polars.DataFrame
        ``household_id``, ``as_of_date``, ``horizon_months``, ``risk``.
    index : polars.DataFrame
        ``household_id`` and ``as_of_date`` of every row.
    horizon_months : int
    """
    known = oracle.filter(pl.col("horizon_months") == horizon_months)
    keys = ["household_id", "as_of_date"]
    joined = index.select(keys).join(known.select(*keys, "risk"), on=keys, how="left", maintain_order="left")
    if joined["risk"].null_count():
        return None
    return joined["risk"].cast(pl.Float64).to_numpy()
