"""Which facts of the record are said as reasons: chosen and ordered by the model, one of each family.

Contributions of correlated features share one effect among them in an arbitrary way, so a family speaks with
one voice: its contributions are summed, and its strongest sentence that is true and worth saying is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from relapse_risk.explain.attribute import Attributions
from relapse_risk.features.expression import Array, Constant, features_in
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature
from relapse_risk.rules.spec import Rule, is_parameter, placeholders_in
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.vocabulary import Direction

NO_FACT = -1
# Being below the line is the same fact as a low income, whichever family declares it.
_VOICE_OF = {"status": "income"}
_REFERENCE_ROWS = 50_000

Mask = NDArray[np.bool_]


def choose_facts(
    matrix: FeatureMatrix,
    attributions: Attributions,
    hits: RuleHits,
    rows: NDArray[np.int64],
    rules: Sequence[Rule],
    k: int,
) -> tuple[list[Feature], NDArray[np.int64]]:
    """Return the facts that raise each row's risk most, at most one of each family.

    Parameters
    ----------
    matrix : FeatureMatrix
        The population; which side of its median a value lies on tells a risk from a protection.
    attributions : Attributions
        Of ``rows``, in their order.
    hits : RuleHits
        Of ``matrix``.
    rows : ndarray of int64, shape (n,)
        Positions in the matrix.
    rules : sequence of Rule
        Those of ``hits``.
    k : int
        Facts at most.

    Returns
    -------
    list of Feature, and ndarray of int64, shape (n, k)
        The features that have a sentence, and positions among them, strongest first; ``NO_FACT`` where
        nothing more is to be said.

    Notes
    -----
    A family may speak where its contributions sum to more than zero; families are ordered by that sum. Its
    speaker has the highest contribution, more than zero and never negative in itself; a feature without a
    sentence lends its contribution to those of its family that are about the same figure. The speaker's value
    is known, its ``reason_when`` holds, it does not lie on the safe side of the median against its declared
    direction, and no rule hit has said it already, in itself or in another figure of its family.
    """
    spoken = [feature for feature in attributions.features if feature.reason is not None]
    if not spoken:
        return [], np.full((len(rows), k), NO_FACT)
    listed = matrix.rows(rows)
    may_speak = _is_worth_saying(spoken, matrix, listed)
    may_speak &= ~_is_said_by_rules(spoken, matrix, hits, rows, rules)
    voice = _voices(spoken, attributions)
    families = list(dict.fromkeys(family_of(feature) for feature in attributions.features))
    of_family = np.array([families.index(family_of(feature)) for feature in attributions.features])
    speakers = np.full((len(rows), len(families)), NO_FACT)
    strength = np.full((len(rows), len(families)), -np.inf)
    for number, family in enumerate(families):
        members = np.array(
            [i for i, feature in enumerate(spoken) if family_of(feature) == family], dtype=np.int64
        )
        total = attributions.values[:, of_family == number].sum(axis=1)
        if not len(members):
            continue
        voices = np.where(may_speak[:, members], voice[:, members], -np.inf)
        has_voice = (voices.max(axis=1) > 0) & (total > 0)
        speakers[has_voice, number] = members[voices.argmax(axis=1)][has_voice]
        strength[has_voice, number] = total[has_voice]
    order = np.argsort(-strength, axis=1, kind="stable")[:, :k]
    chosen = np.full((len(rows), k), NO_FACT)
    chosen[:, : order.shape[1]] = np.take_along_axis(speakers, order, axis=1)
    return spoken, chosen


def choose_protections(
    matrix: FeatureMatrix, attributions: Attributions, rows: NDArray[np.int64], k: int
) -> tuple[list[Feature], NDArray[np.int64]]:
    """Return the facts that lower each row's risk most, at most one of each family.

    Parameters and results are those of :func:`choose_facts`; the features are those of the attributions. A
    family speaks where its contributions sum to less than zero, through the feature that lowers the risk
    most, if its value is known and lies on the safe side of the median, by its declared direction.
    """
    features = list(attributions.features)
    direction = np.array([0 if f.is_categorical else int(f.direction) for f in features], dtype=np.float64)
    names = attributions.features.names
    values = matrix.rows(rows).select(names).values
    with np.errstate(invalid="ignore"):
        is_safe = (values - _medians(matrix.select(names).values)) * direction < 0
    lowering = np.where(is_safe, np.minimum(attributions.values, 0.0), 0.0)
    families = list(dict.fromkeys(map(family_of, features)))
    of_family = np.array([families.index(family_of(feature)) for feature in features])
    speakers = np.full((len(rows), len(families)), NO_FACT)
    strength = np.full((len(rows), len(families)), np.inf)
    for number in range(len(families)):
        members = np.flatnonzero(of_family == number)
        total = attributions.values[:, members].sum(axis=1)
        speaks = (total < 0) & (lowering[:, members].min(axis=1) < 0)
        speakers[speaks, number] = members[lowering[:, members].argmin(axis=1)][speaks]
        strength[speaks, number] = total[speaks]
    return features, np.take_along_axis(speakers, np.argsort(strength, axis=1, kind="stable")[:, :k], axis=1)


def family_of(feature: Feature) -> str:
    """Return the family by which reasons do not repeat themselves."""
    return _VOICE_OF.get(feature.family, feature.family)


def _voices(spoken: Sequence[Feature], attributions: Attributions) -> Array:
    """Return contributions, with what features without a sentence lend; -inf where the risk is lowered."""
    own = attributions.values[:, [attributions.features.position(feature.name) for feature in spoken]]
    silent = [feature for feature in attributions.features if feature.reason is None]
    about = [_tells(feature) for feature in spoken]
    lends = np.zeros((len(attributions.features), len(spoken)))
    for lender in silent:
        position = attributions.features.position(lender.name)
        for i, feature in enumerate(spoken):
            is_kin = family_of(feature) == family_of(lender) and not about[i].isdisjoint(_tells(lender))
            lends[position, i] = float(is_kin)
    voices: Array = np.where(own >= 0, own + attributions.values @ lends, -np.inf)
    return voices


def _is_worth_saying(spoken: Sequence[Feature], population: FeatureMatrix, listed: FeatureMatrix) -> Mask:
    """Return where a value is known, its condition holds, and it is not on the safe side of the median."""
    names = [feature.name for feature in spoken]
    values = listed.select(names).values
    conditions = [Constant(1.0) if f.reason_when is None else f.reason_when for f in spoken]
    holds = np.column_stack(listed.evaluate(*conditions)) == 1.0
    direction = np.array([int(feature.direction) for feature in spoken], dtype=np.float64)
    medians = _medians(population.select(names).values)
    with np.errstate(invalid="ignore"):
        is_safe = (values - medians) * direction < 0
    is_worth: Mask = ~np.isnan(values) & holds & ~(is_safe & (direction != Direction.EITHER))
    return is_worth


def _medians(values: Array) -> Array:
    """Return the median of each column over evenly spaced rows; NaN where nothing is known."""
    sample = values[:: max(1, len(values) // _REFERENCE_ROWS)]
    medians = np.full(sample.shape[1], np.nan)
    is_known = ~np.isnan(sample).all(axis=0)
    if is_known.any():
        medians[is_known] = np.nanmedian(sample[:, is_known], axis=0)
    return medians


def _is_said_by_rules(
    spoken: Sequence[Feature],
    matrix: FeatureMatrix,
    hits: RuleHits,
    rows: NDArray[np.int64],
    rules: Sequence[Rule],
) -> Mask:
    """Return where a rule hit has said the fact, or another of its family, shape ``(n, n_spoken)``."""
    said = np.zeros((len(rules), len(spoken)), dtype=np.int64)
    for i, rule in enumerate(rules):
        families = {
            family_of(matrix.features[name]) for name in worded_features(rule) if name in matrix.features
        }
        read = set(rule.all_features)
        said[i] = [
            family_of(feature) in families or not read.isdisjoint(_tells(feature)) for feature in spoken
        ]
    states = hits.states[rows][:, [hits.codes.index(rule.code) for rule in rules]]
    is_said: Mask = ((states == HIT).astype(np.int64) @ said) > 0
    return is_said


@cache
def worded_features(rule: Rule) -> tuple[str, ...]:
    """Return the features a rule's phrase is about: those it quotes, else those that bring it up."""
    names: list[str] = []
    for wording in rule.wordings:
        quoted = [name for placeholder in placeholders_in(wording.text.zh) for name in placeholder.names]
        brought_up = features_in(rule.condition if wording.when is None else wording.when)
        names += [name for name in quoted if not is_parameter(name)] or brought_up
    return tuple(dict.fromkeys(names))


def _tells(feature: Feature) -> set[str]:
    """Return the features a sentence is about: itself, what it is made of, and what it quotes."""
    quoted = [
        name
        for placeholder in placeholders_in(feature.reason.zh if feature.reason else "")
        for name in placeholder.names
    ]
    return {feature.name, *features_in(feature.formula), *quoted}
