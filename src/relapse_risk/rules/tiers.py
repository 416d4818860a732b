"""Tiers and the order to visit: every rule hit first, then self-applications, then what a model adds.

Rules alone set the tier of a row (红, 橙, 黄); a score only orders rows within a tier and chooses among the
households that no rule names.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from relapse_risk.features.expression import Array
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import CANDIDATE_CATEGORIES, Rule
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.vocabulary import RuleCategory, Tier

TIERS = tuple(Tier)
RED, ORANGE, YELLOW, BLUE, ROUTINE = range(len(TIERS))
DEADLINE_RULES = ("R28", "R29")

_GRAVE_CATEGORIES = (*CANDIDATE_CATEGORIES, RuleCategory.GUARANTEE)
_GRAVE_WEIGHT, _WATCH_WEIGHT, _GAP_WEIGHT = 3.0, 1.0, 3.0


def tier_of(matrix: FeatureMatrix, hits: RuleHits, rules: Sequence[Rule] = RULES) -> NDArray[np.int8]:
    """Return the tier that rules and self-applications give each row; no score has a part in it.

    Parameters
    ----------
    matrix : FeatureMatrix
        Its ``self_applied`` is read.
    hits : RuleHits
        Of ``matrix``.
    rules : sequence of Rule

    Returns
    -------
    ndarray of int8, shape (n_rows,)
        Position in ``TIERS``: 0 红 for any guarantee (G) or candidate (U, E, S) hit, or an urgent one (a case
        at its limit); 1 橙 for two or more watch hits (W); 2 黄 for one, or a self-application; 4 常 for the
        rest, of which :func:`~relapse_risk.rules.priority.rank_for_visits` makes some 3 蓝. Lower is visited
        earlier. Other process (P) and data (Q) hits move nothing.
    """
    watches = _count(hits, watch_codes(rules))
    has_applied = matrix.column("self_applied") >= 1
    tiers = np.full(len(matrix), ROUTINE, dtype=np.int8)
    tiers[(watches == 1) | has_applied] = YELLOW
    tiers[watches >= 2] = ORANGE
    tiers[_count(hits, grave_codes(rules)) > 0] = RED
    return tiers


def grave_codes(rules: Sequence[Rule] = RULES) -> tuple[str, ...]:
    """Return the codes of the rules that put a row in 红: candidates, guarantees and urgent ones."""
    return _codes(rules, _GRAVE_CATEGORIES) + tuple(rule.code for rule in rules if rule.is_urgent)


def watch_codes(rules: Sequence[Rule] = RULES) -> tuple[str, ...]:
    """Return the codes of the watch rules (W)."""
    return _codes(rules, (RuleCategory.WATCH,))


def has_moving_hit(hits: RuleHits, rules: Sequence[Rule] = RULES) -> NDArray[np.bool_]:
    """Return whether a row has a hit that gives it a tier, shape ``(n_rows,)``; P and Q hits do not."""
    return hits.is_hit(moving_codes(rules))


def moving_codes(rules: Sequence[Rule] = RULES) -> tuple[str, ...]:
    """Return the codes of the rules whose hits give a row its tier."""
    moving = _codes(rules, (*_GRAVE_CATEGORIES, RuleCategory.WATCH))
    return moving + tuple(rule.code for rule in rules if rule.is_urgent)


def severity(matrix: FeatureMatrix, hits: RuleHits, rules: Sequence[Rule] = RULES) -> Array:
    """Return how grave a row's hits are, a number without unit; higher means graver.

    Parameters
    ----------
    matrix : FeatureMatrix
        Its ``ref_income_to_line`` is read.
    hits : RuleHits
        Of ``matrix``.
    rules : sequence of Rule

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Never NaN: an income that is not known adds nothing.

    Notes
    -----
    ``3 x (hits of U, E, S, G and urgent rules) + 1 x (hits of W) + 3 x gap``, where the gap is the part of
    the line by which reference income falls short, between 0 and 1. A proposed default; it orders rows within
    a tier and moves none between tiers.
    """
    gap = np.clip(1.0 - np.nan_to_num(matrix.column("ref_income_to_line"), nan=1.0), 0.0, 1.0)
    grave, watches = _count(hits, grave_codes(rules)), _count(hits, watch_codes(rules))
    weighted: Array = _GRAVE_WEIGHT * grave + _WATCH_WEIGHT * watches + _GAP_WEIGHT * gap
    return weighted


def days_left(
    matrix: FeatureMatrix, rules: Sequence[Rule] = RULES, codes: tuple[str, ...] = DEADLINE_RULES
) -> Array:
    """Return the days until the nearest limit of the process rules, shape ``(n_rows,)``.

    Negative is overdue; NaN where no limit runs. Limits of cases and measures are counted; the interval of
    routine visits, which runs for every lifted household, only where ``codes`` names its rule.
    """
    timers = [rule.days_left for rule in rules if rule.code in codes and rule.days_left is not None]
    nearest = np.full(len(matrix), np.nan)
    for days in matrix.evaluate(*timers):
        nearest = np.fmin(nearest, days)
    return nearest


def is_settled(matrix: FeatureMatrix, tiers: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return whether a visit confirmed a row's hits within the visit interval, and measures are in place.

    Such rows are listed after the new ones of their tier and use no capacity.
    """
    was_confirmed = matrix.column("days_since_confirming_visit") <= matrix.parameter("R31.interval_days")
    has_measures = matrix.column("active_measure_n") >= 1
    settled: NDArray[np.bool_] = (tiers <= YELLOW) & was_confirmed & has_measures
    return settled


def _codes(rules: Sequence[Rule], categories: tuple[RuleCategory, ...]) -> tuple[str, ...]:
    return tuple(rule.code for rule in rules if any(c in categories for c in rule.categories))


def _count(hits: RuleHits, codes: tuple[str, ...]) -> NDArray[np.int64]:
    columns = [hits.codes.index(code) for code in codes]
    counted: NDArray[np.int64] = (hits.states[:, columns] == HIT).sum(axis=1)
    return counted
