"""Who a list misses: the list against the rest, relapses nobody found, and errors by group at the cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.evaluation.gain import ratio, visits_at
from relapse_risk.evaluation.groups import Group
from relapse_risk.evaluation.intervals import ClusterBootstrap
from relapse_risk.evaluation.judged import JudgedOrigin
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet

Array = NDArray[np.float64]

# Below so many relapses (recall), or listed households (precision), or households (selection), no judgement.
FEWEST = 20
AUDITED = ("rules", "model", "rules+model")
_FIGURES = ("selection_rate", "precision", "recall")
_COUNTS = {"selection_rate": "n", "precision": "listed", "recall": "events"}


@dataclass(frozen=True)
class AuditedOrigin:
    """What is needed of one date to say who its lists missed.

    Attributes
    ----------
    judged : JudgedOrigin
    has_hit : ndarray of bool, shape (n_rows,)
        Whether a rule names the household.
    groups : tuple of Group
        On the rows of ``judged``.
    matrix : FeatureMatrix
        On the same rows; only the features of the crosstab.
    """

    judged: JudgedOrigin
    has_hit: NDArray[np.bool_]
    groups: tuple[Group, ...]
    matrix: FeatureMatrix

    @property
    def origin(self) -> date:
        """The as-of date."""
        return self.judged.origin

    def chance(self, policy: str, capacity: float) -> Array:
        """Return each household's chance of being listed, shape ``(n_rows,)``."""
        return self.judged.plans[policy].selection(visits_at(capacity, len(self.judged.outcome)))


def errors_by_group(
    origins: Sequence[AuditedOrigin], capacities: Sequence[float], cluster: str, replicates: int, seed: int
) -> pl.DataFrame:
    """Return how the lists do in every group at their cut-off, over all origins, with 95% intervals.

    Returns
    -------
    polars.DataFrame
        ``policy``, ``capacity``, ``group``, ``zh``, ``en``, ``n``, ``events``, ``listed``, and for each of
        ``selection_rate``, ``precision`` and ``recall`` the figure, ``_low``, ``_high`` and ``_is_too_few``:
        fewer than ``FEWEST`` households, listed ones or relapses below it. Listed are expected numbers.
        Everybody together is group ``all``.
    """
    clusters = pl.concat([one.judged.index[cluster] for one in origins])
    bootstrap = ClusterBootstrap.of(clusters, replicates, seed)
    outcome = np.concatenate([one.judged.outcome for one in origins])
    names = {group.name: group for one in origins for group in one.groups}
    members = {"all": np.ones(len(outcome), dtype=bool)} | {
        name: np.concatenate([_members(one, name) for one in origins]) for name in names
    }
    rows = []
    for policy in AUDITED:
        for capacity in capacities:
            chance = np.concatenate([one.chance(policy, capacity) for one in origins])
            for name, is_member in members.items():
                text = names[name].text if name in names else None
                rows.append(
                    {
                        "policy": policy,
                        "capacity": capacity,
                        "group": name,
                        "zh": text.zh if text else "全部",
                        "en": text.en if text else "everybody",
                        **_errors(is_member.astype(np.float64), chance, outcome, bootstrap),
                    }
                )
    return pl.DataFrame(rows, infer_schema_length=None)


def _members(one: AuditedOrigin, name: str) -> NDArray[np.bool_]:
    for group in one.groups:
        if group.name == name:
            return group.members
    return np.zeros(len(one.judged.outcome), dtype=bool)


def _errors(
    member: Array, chance: Array, outcome: Array, bootstrap: ClusterBootstrap
) -> dict[str, float | bool | None]:
    parts = np.stack([member, member * outcome, member * chance, member * chance * outcome])
    sums = np.zeros((4, bootstrap.n_clusters))
    for part, into in zip(parts, sums, strict=True):
        np.add.at(into, bootstrap.cluster_of_row, part)
    n, events, listed, found = sums.sum(axis=1)
    drawn = sums @ bootstrap.draws.T
    values = {
        "selection_rate": ((listed, n), (drawn[2], drawn[0])),
        "precision": ((found, listed), (drawn[3], drawn[2])),
        "recall": ((found, events), (drawn[3], drawn[1])),
    }
    row: dict[str, float | bool | None] = {"n": n, "events": events, "listed": listed}
    for name in _FIGURES:
        (top, bottom), (tops, bottoms) = values[name]
        point = float(top / bottom) if bottom > 0 else None
        interval = bootstrap.interval(ratio(tops, bottoms), point)
        row |= {name: point, f"{name}_low": _known(interval.low), f"{name}_high": _known(interval.high)}
        row[f"{name}_is_too_few"] = bool(row[_COUNTS[name]] < FEWEST or bootstrap.is_too_few)  # type: ignore[operator]  # a count
    return row


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value


def list_against_rest(
    origins: Sequence[AuditedOrigin], capacity: float, features: FeatureSet, policy: str = "rules+model"
) -> pl.DataFrame:
    """Return what sets the list apart from the rest, and relapses missed apart from relapses found.

    A relapse is missed where no rule names the household and neither ``policy`` nor ``model`` lists it.

    Returns
    -------
    polars.DataFrame
        ``feature``, ``zh``, ``en``, means of known values among ``listed``, ``rest``, relapses ``found`` and
        ``missed``; and the standardised differences ``listed_against_rest`` and ``missed_against_found``, in
        standard deviations of the feature; the largest of the first are on top.
    """
    chance = np.concatenate([one.chance(policy, capacity) for one in origins])
    either = np.concatenate(
        [np.maximum(one.chance(policy, capacity), one.chance("model", capacity)) for one in origins]
    )
    outcome = np.concatenate([one.judged.outcome for one in origins])
    has_hit = np.concatenate([one.has_hit for one in origins])
    missed = outcome * ~has_hit * (1.0 - either)
    weights = {"listed": chance, "rest": 1.0 - chance, "found": outcome - missed, "missed": missed}
    rows = []
    for feature in features:
        if feature.is_categorical:
            continue
        values = np.concatenate([one.matrix.column(feature.name) for one in origins])
        known = ~np.isnan(values)
        spread = float(values[known].std()) if known.any() else 0.0
        if spread == 0.0:
            continue
        means = {name: _mean(values[known], weight[known]) for name, weight in weights.items()}
        rows.append(
            {
                "feature": feature.name,
                "zh": feature.zh,
                "en": feature.en,
                **means,
                "listed_against_rest": _distance(means["listed"], means["rest"], spread),
                "missed_against_found": _distance(means["missed"], means["found"], spread),
            }
        )
    frame = pl.DataFrame(rows, infer_schema_length=None)
    return frame.sort(
        pl.col("listed_against_rest").abs(), "feature", descending=[True, False], nulls_last=True
    )


def missed_relapses(origins: Sequence[AuditedOrigin], capacity: float) -> pl.DataFrame:
    """Return the relapses that neither rules nor model found, one row each, and how near they were.

    Returns
    -------
    polars.DataFrame
        ``household_id``, ``as_of_date``, ``village_code``, ``chance`` of being listed by the better of
        ``model`` and ``rules+model``, and ``place``: the part of households that the model ranks higher.
    """
    parts = []
    for one in origins:
        either = np.maximum(one.chance("model", capacity), one.chance("rules+model", capacity))
        score = one.judged.plans["model"].order_score
        place = 1.0 - np.searchsorted(np.sort(score), score, side="right") / max(len(score), 1)
        is_missed = (one.judged.outcome == 1) & ~one.has_hit & (either < 1.0)
        rows = np.flatnonzero(is_missed)
        parts.append(
            one.judged.index[rows]
            .select("household_id", "as_of_date", "village_code")
            .with_columns(chance=pl.Series(either[rows]), place=pl.Series(place[rows]))
        )
    return pl.concat(parts)


def _mean(values: Array, weights: Array) -> float | None:
    total = float(weights.sum())
    return float((values * weights).sum() / total) if total > 0 else None


def _distance(one: float | None, other: float | None, spread: float) -> float | None:
    return None if one is None or other is None else (one - other) / spread
