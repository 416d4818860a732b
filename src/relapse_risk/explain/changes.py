"""What moved a household's risk between two as-of dates: facts whose figure changed, and what that did."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from relapse_risk.errors import ContractError
from relapse_risk.explain.attribute import Attributions
from relapse_risk.explain.facts import family_of
from relapse_risk.features.expression import Array
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature
from relapse_risk.rules.phrases import NOT_KNOWN
from relapse_risk.vocabulary import Bilingual, Language

LEAST_SHIFT = 0.05  # in log-odds: less moves nobody's place

_MOVED = {
    True: Bilingual("{name}由{before}变为{after}（风险上升）", "{name} from {before} to {after} (risk up)"),
    False: Bilingual(
        "{name}由{before}变为{after}（风险下降）", "{name} from {before} to {after} (risk down)"
    ),
}


@dataclass(frozen=True, slots=True)
class MovedFact:
    """A fact whose figure changed.

    Attributes
    ----------
    feature : Feature
    before, after : float
        NaN where not known.
    shift : float
        By how much the contribution of the fact's family to the log-odds changed; positive raises the risk.
    """

    feature: Feature
    before: float
    after: float
    shift: float

    def say(self, language: Language) -> str:
        """Return the fact with both figures and which way the risk went."""

        def shown(value: float) -> str:
            return NOT_KNOWN.text(language) if np.isnan(value) else self.feature.unit.say(value, language)

        name = self.feature.zh if language == "zh" else self.feature.en
        words = {"name": name, "before": shown(self.before), "after": shown(self.after)}
        return _MOVED[self.shift > 0].text(language).format(**words)


def moved_facts(
    before: tuple[FeatureMatrix, Attributions], after: tuple[FeatureMatrix, Attributions], k: int = 3
) -> list[list[MovedFact]]:
    """Return the facts whose change moved each household's risk most, at most one of each family.

    Parameters
    ----------
    before, after : tuple of FeatureMatrix and Attributions
        The same households in the same order, on an earlier and a later as-of date, explained by one model.
    k : int
        Facts at most.

    Returns
    -------
    list of list of MovedFact
        One list a household, the largest shift first. Shifts of less than ``LEAST_SHIFT`` are left out, and
        so are those of families of which no figure changed: only what the record says is a fact.

    Raises
    ------
    ContractError
        RR475 where the households differ or the models do.
    """
    earlier, later = _values(*before), _values(*after)
    features = after[1].features
    households = [matrix.index["household_id"].to_list() for matrix, _ in (before, after)]
    if households[0] != households[1] or before[1].features.names != features.names:
        raise ContractError(
            "RR475",
            "changes between two dates",
            f"{len(households[0])} and {len(households[1])} rows that are not the same households",
            "the same households in the same order, explained by one model",
            "Take the households known on both dates, and explain both with one model",
        )
    shift = after[1].values - before[1].values
    has_changed = (earlier != later) & ~(np.isnan(earlier) & np.isnan(later))
    families = np.array([family_of(feature) for feature in features])
    speakers, strength = [], []
    for family in dict.fromkeys(families.tolist()):
        members = np.flatnonzero(families == family)
        total = shift[:, members].sum(axis=1)
        along = np.where(has_changed[:, members], shift[:, members] * np.sign(total)[:, None], 0.0)
        speakers.append(members[along.argmax(axis=1)])
        strength.append(np.where((along.max(axis=1) > 0) & (np.abs(total) >= LEAST_SHIFT), total, 0.0))
    of_family, moved = np.column_stack(speakers), np.column_stack(strength)
    order = np.argsort(-np.abs(moved), axis=1, kind="stable")[:, :k]
    return [
        [
            MovedFact(features.features[column], float(earlier[row, column]), float(later[row, column]), size)
            for column, size in zip(of_family[row, places], moved[row, places].tolist(), strict=True)
            if size
        ]
        for row, places in enumerate(order)
    ]


def common_households(before: FeatureMatrix, after: FeatureMatrix) -> pl.DataFrame:
    """Return household_id and the rows ``before`` and ``after`` of the households that both matrices have."""
    earlier = before.index.select("household_id").with_row_index("before")
    later = after.index.select("household_id").with_row_index("after")
    return later.join(earlier, on="household_id", maintain_order="left").select(
        "household_id", pl.col("before", "after").cast(pl.Int64)
    )


def _values(matrix: FeatureMatrix, attributions: Attributions) -> Array:
    return matrix.select(attributions.features.names).values
