"""How much ranks, lists and reasons move where nothing real has changed: with the seed, and with the clock.

A household's place should follow from its record. What another seed of the same training, or another month of
the same data, does to it is noise, and whoever reads a list should know how much of that there is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from relapse_risk.explain.attribute import attribute
from relapse_risk.explain.facts import NO_FACT, choose_facts
from relapse_risk.explain.reasons import RuleOrder
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.labels import Labels
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.training import train_model
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.rules.phrases import hit_phrases
from relapse_risk.rules.priority import plan_visits
from relapse_risk.scores import RuleHits
from relapse_risk.windows import OriginSplit, month_end, month_index

CAPACITY = 0.05
REASONS = 3
MOST_HOUSEHOLDS = 20_000  # looked at: figures of shares need no more
_WITH_A_SEED = ("hazard", "blend")
_JANUARY = 1


def measure_stability(
    panel: Panel,
    model: TrainedModel,
    matrix: FeatureMatrix,
    labels: Labels,
    split: OriginSplit,
    sample_weight: NDArray[np.float64] | None = None,
) -> dict[str, Any]:
    """Return how ranks, lists and reasons move between two trainings, and between two months.

    Parameters
    ----------
    panel : Panel
    model : TrainedModel
        Trained on ``matrix``, ``labels`` and ``split``, on which it is trained again with another seed.
    matrix, labels, split, sample_weight
        As in :func:`~relapse_risk.modeling.training.train_model`.

    Returns
    -------
    dict
        ``capacity``, ``households``, ``seeds`` and ``months``. Each of the last two has ``rank_correlation``
        (Spearman, over all households looked at), ``top_stays`` (share of the highest ranked ``capacity``
        that is among them again), ``list_stays`` (the same of the visit list, without its audit sample) and
        ``reasons_stay`` (share of the households on both lists whose first three reasons are the same, in
        whatever order). ``seeds`` is None for a kind of model without a seed; ``months`` names its ``dates``.

    Notes
    -----
    Both months read what was known at the end of the first, so that all that moves is the clock. Training
    again costs about as much as the last step of the training itself.
    """
    dates = _two_months(panel)
    frozen = _as_it_stood(panel, dates[0])
    households = frozen.known_at(dates[0]).households["household_id"]
    every = max(1, -(-len(households) // MOST_HOUSEHOLDS))
    both = build_features(
        frozen, dates, all_features(panel), households=households.gather_every(every).to_list()
    )
    now, later = (both.at(day) for day in dates)
    here = _Listing.of(model, now)
    other = _retrained(model, matrix, labels, split, sample_weight)
    seeds = None if other is None else here.compared_with(_Listing.of(other, now))
    months = here.compared_with(_Listing.of(model, later))
    return {
        "capacity": CAPACITY,
        "households": len(now),
        "seeds": seeds,
        "months": {"dates": [str(day) for day in dates], **months},
    }


def _two_months(panel: Panel) -> list[date]:
    """Return the last month end that reports reach, and the one before; two of one year.

    At New Year lines and limits change, and amounts of the year so far begin again.
    """
    known = panel.known_at(panel.last_recorded_on or date.max)
    last = max(known.table("observation")["period_end"].drop_nulls().to_list(), default=known.as_of_date)
    latest = month_index(last)
    latest -= 1 if month_end(latest).month == _JANUARY else 0
    return [month_end(latest - 1), month_end(latest)]


def _as_it_stood(panel: Panel, day: date) -> Panel:
    """Return the panel as it was known on a day, so that nothing new comes to be known after it."""
    known = panel.known_at(day)
    return replace(panel, tables={name: known.table(name) for name in panel.tables})


def _retrained(
    model: TrainedModel,
    matrix: FeatureMatrix,
    labels: Labels,
    split: OriginSplit,
    sample_weight: NDArray[np.float64] | None,
) -> TrainedModel | None:
    """Return the same training with another seed, without its calibration, which moves no rank."""
    experiment = model.experiment
    if experiment.model.kind not in _WITH_A_SEED:
        return None
    other = {
        "model": experiment.model.model_copy(update={"seed": experiment.model.seed + 1}),
        "calibration": experiment.calibration.model_copy(update={"method": "none"}),
    }
    return train_model(matrix, labels, split, experiment.model_copy(update=other), None, sample_weight)


@dataclass(frozen=True)
class _Listing:
    """What a model makes of the households of one date.

    Attributes
    ----------
    ids : ndarray of str
    ranking : ndarray of float64
    top, listed : frozenset of str
    reasons : dict of str to frozenset of str
        Of listed households: rules by code and facts by feature, the first three.
    """

    ids: NDArray[np.str_]
    ranking: NDArray[np.float64]
    top: frozenset[str]
    listed: frozenset[str]
    reasons: dict[str, frozenset[str]]

    @classmethod
    def of(cls, model: TrainedModel, matrix: FeatureMatrix) -> _Listing:
        ids = matrix.index["household_id"].to_numpy()
        hits, ranking = apply_rules(matrix), model.predict_risk(matrix).ranking
        visits = max(1, round(CAPACITY * len(matrix)))
        order = plan_visits(matrix, hits, capacity=visits, ranking=ranking, audit_share=0.0).order
        top = np.argsort(-ranking, kind="stable")[:visits]
        reasons = dict(zip(ids[order].tolist(), _reasons(model, matrix, hits, order), strict=True))
        return cls(ids, ranking, frozenset(ids[top].tolist()), frozenset(reasons), reasons)

    def compared_with(self, other: _Listing) -> dict[str, float | None]:
        _, here, there = np.intersect1d(self.ids, other.ids, return_indices=True)
        both = self.listed & other.listed
        same = [self.reasons[one] == other.reasons[one] for one in both]
        correlation = float(spearmanr(self.ranking[here], other.ranking[there]).statistic)
        return {
            "rank_correlation": None if np.isnan(correlation) else correlation,
            "top_stays": len(self.top & other.top) / len(self.top),
            "list_stays": len(both) / len(self.listed) if self.listed else None,
            "reasons_stay": float(np.mean(same)) if same else None,
        }


def _reasons(
    model: TrainedModel, matrix: FeatureMatrix, hits: RuleHits, rows: NDArray[np.int64]
) -> list[frozenset[str]]:
    """Return the rules and facts that a list's first three reasons are about, for each of ``rows``."""
    order = RuleOrder(RULES)
    spoken, chosen = choose_facts(matrix, attribute(model, matrix.rows(rows)), hits, rows, RULES, REASONS)
    found = []
    for said, facts in zip(hit_phrases(matrix, hits, rows, "en"), chosen, strict=True):
        moving, others = order.of(said)
        names = [spoken[fact].name for fact in facts if fact != NO_FACT]
        in_order = [*(rule.code for rule in moving), *names, *(rule.code for rule in others)]
        found.append(frozenset(in_order[:REASONS]))
    return found
