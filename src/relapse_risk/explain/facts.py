"""Which facts of the record are said as reasons: chosen and ordered by the model, one of each family.

Contributions of correlated features share one effect among them in an arbitrary way, so a family speaks with
one voice: its contributions are summed, and its strongest sentence that is true and worth saying is taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from relapse_risk.explain.attribute import Attributions
from relapse_risk.features.expression import Array, Constant, features_in
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature, FeatureSet
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
    speech = _speech_of(attributions.features, matrix.features, tuple(rules))
    spoken = list(speech.spoken)
    if not spoken:
        return [], np.full((len(rows), k), NO_FACT)
    may_speak = _is_worth_saying(speech, matrix, rows) & ~_is_said_by_rules(speech, hits, rows, rules)
    own = attributions.values[:, speech.places]
    voice = np.where(own >= 0, own + attributions.values @ speech.lends, -np.inf)
    voice = np.where(may_speak, voice, -np.inf)
    speakers = np.full((len(rows), speech.n_families), NO_FACT)
    strength = np.full((len(rows), speech.n_families), -np.inf)
    for number in range(speech.n_families):
        members = np.flatnonzero(speech.family_of_spoken == number)
        if not len(members):
            continue
        total = attributions.values[:, speech.family_of_feature == number].sum(axis=1)
        voices = voice[:, members]
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
    columns = np.array([matrix.features.position(feature.name) for feature in features])
    with np.errstate(invalid="ignore"):
        is_safe = (matrix.values[np.ix_(rows, columns)] - _medians(matrix, columns)) * direction < 0
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


@dataclass(frozen=True, eq=False)
class _Speech:
    """What follows from a model's features and the rules alone, worked out once.

    Attributes
    ----------
    spoken : tuple of Feature
        Those with a sentence.
    places : ndarray of int64, shape (n_spoken,)
        Their positions among the model's features.
    family_of_feature, family_of_spoken : ndarray of int64
        Number of the family of each of the model's features, and of each that speaks.
    n_families : int
    lends : ndarray of float64, shape (n_features, n_spoken)
        1 where a feature without a sentence lends its contribution to one that has it.
    said : ndarray of int64, shape (n_rules, n_spoken)
        1 where a hit of the rule says the fact, or another of its family.
    """

    spoken: tuple[Feature, ...]
    places: NDArray[np.int64]
    family_of_feature: NDArray[np.int64]
    family_of_spoken: NDArray[np.int64]
    n_families: int
    lends: Array
    said: NDArray[np.int64]


@lru_cache(maxsize=8)
def _speech_of(features: FeatureSet, known: FeatureSet, rules: tuple[Rule, ...]) -> _Speech:
    spoken = tuple(feature for feature in features if feature.reason is not None)
    families = list(dict.fromkeys(map(family_of, features)))
    about = {feature.name: _tells(feature) for feature in features}
    lends = np.zeros((len(features), len(spoken)))
    for position, lender in enumerate(features):
        for i, feature in enumerate(spoken):
            is_kin = family_of(feature) == family_of(lender)
            if lender.reason is None and is_kin and not about[feature.name].isdisjoint(about[lender.name]):
                lends[position, i] = 1.0
    said = np.zeros((len(rules), len(spoken)), dtype=np.int64)
    for i, rule in enumerate(rules):
        worded = {family_of(known[name]) for name in worded_features(rule) if name in known}
        read = set(rule.all_features)
        said[i] = [family_of(f) in worded or not read.isdisjoint(about[f.name]) for f in spoken]
    return _Speech(
        spoken,
        np.array([features.position(feature.name) for feature in spoken], dtype=np.int64),
        np.array([families.index(family_of(feature)) for feature in features], dtype=np.int64),
        np.array([families.index(family_of(feature)) for feature in spoken], dtype=np.int64),
        len(families),
        lends,
        said,
    )


def _is_worth_saying(speech: _Speech, matrix: FeatureMatrix, rows: NDArray[np.int64]) -> Mask:
    """Return where a value is known, its condition holds, and it is not on the safe side of the median."""
    columns = np.array([matrix.features.position(feature.name) for feature in speech.spoken])
    values = matrix.values[np.ix_(rows, columns)]
    conditions = [Constant(1.0) if f.reason_when is None else f.reason_when for f in speech.spoken]
    holds = np.column_stack(matrix.evaluate(*conditions, rows=rows)) == 1.0
    direction = np.array([int(feature.direction) for feature in speech.spoken], dtype=np.float64)
    with np.errstate(invalid="ignore"):
        is_safe = (values - _medians(matrix, columns)) * direction < 0
    is_worth: Mask = ~np.isnan(values) & holds & ~(is_safe & (direction != Direction.EITHER))
    return is_worth


def _medians(matrix: FeatureMatrix, columns: NDArray[np.int64]) -> Array:
    """Return the median of some columns over evenly spaced rows; NaN where nothing is known."""
    sample = matrix.values[:: max(1, len(matrix) // _REFERENCE_ROWS), columns]
    medians = np.full(sample.shape[1], np.nan)
    is_known = ~np.isnan(sample).all(axis=0)
    if is_known.any():
        medians[is_known] = np.nanmedian(sample[:, is_known], axis=0)
    return medians


def _is_said_by_rules(
    speech: _Speech, hits: RuleHits, rows: NDArray[np.int64], rules: Sequence[Rule]
) -> Mask:
    """Return where a rule hit has said the fact, or another of its family, shape ``(n, n_spoken)``."""
    states = hits.states[rows][:, [hits.codes.index(rule.code) for rule in rules]]
    is_said: Mask = ((states == HIT).astype(np.int64) @ speech.said) > 0
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
