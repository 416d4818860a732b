"""The people of a synthetic county: who lives with whom, and what they can do.

Composition is drawn once and stays; what changes over the months (work, illness, school, insurance,
allowances) is kept by ``snapshots``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.tables import LABOUR_SKILLS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HEAD, SPOUSE, CHILD, PARENT, GRANDCHILD = range(5)
RELATIONS = ("户主", "配偶", "子女", "父母", "孙子女")
SKILLED, PLAIN, WEAK, LOST, NO_LABOUR = range(len(LABOUR_SKILLS))
EDUCATIONS = ("文盲或半文盲", "小学", "初中", "高中或中职", "大专及以上")
SCHOOLS = ("非在校", "学前", "小学", "初中", "高中或中职", "大专及以上")

# Share of households, age of the head from and to, and the others' relation: sizes average 2.7.
_PATTERNS: tuple[tuple[float, int, int, tuple[int, ...]], ...] = (
    (0.14, 45, 82, (HEAD,)),
    (0.20, 58, 80, (HEAD, SPOUSE)),
    (0.09, 42, 60, (HEAD, SPOUSE)),
    (0.03, 36, 62, (HEAD, CHILD)),
    (0.03, 40, 60, (HEAD, PARENT)),
    (0.12, 28, 58, (HEAD, SPOUSE, CHILD)),
    (0.04, 38, 58, (HEAD, SPOUSE, PARENT)),
    (0.03, 54, 72, (HEAD, SPOUSE, GRANDCHILD)),
    (0.09, 30, 52, (HEAD, SPOUSE, CHILD, CHILD)),
    (0.05, 32, 55, (HEAD, SPOUSE, CHILD, PARENT)),
    (0.06, 32, 52, (HEAD, SPOUSE, CHILD, CHILD, PARENT)),
    (0.02, 34, 52, (HEAD, SPOUSE, CHILD, CHILD, PARENT, PARENT)),
)


@dataclass(frozen=True)
class Members:
    """People, sorted by household; arrays of shape ``(n_members,)``.

    Attributes
    ----------
    household : ndarray of int
        Row of the household.
    birth_month : ndarray of int
        As ``windows.month_index``.
    labour : ndarray of int
        Place in ``LABOUR_SKILLS`` at the start.
    disability : ndarray of int
        Grade 1 (gravest) to 4; 0 for none.
    """

    household: Ints
    position: Ints
    relation: Ints
    is_male: Bools
    birth_month: Ints
    education: Ints
    labour: Ints
    disability: Ints
    has_chronic: Bools

    def age(self, month: int) -> Ints:
        """Return ages in whole years in ``month``, shape ``(n_members,)``."""
        return (month - self.birth_month) // 12

    def count(self, condition: Bools, n_households: int) -> Ints:
        """Return how many members of each household fulfil ``condition``, shape ``(n_households,)``."""
        return np.bincount(self.household[condition], minlength=n_households)


def draw_members(is_lifted: Bools, month: int, rng: np.random.Generator) -> Members:
    """Return the members of every household as they stand in ``month``.

    Parameters
    ----------
    is_lifted : ndarray of bool, shape (n_households,)
        Lifted households have more disabled and chronically ill members, and less schooling.
    month : int
        First simulated month, as ``windows.month_index``.
    """
    shares = np.array([pattern[0] for pattern in _PATTERNS])
    chosen = rng.choice(len(_PATTERNS), size=len(is_lifted), p=shares / shares.sum())
    parts = [
        _draw_pattern(pattern, np.flatnonzero(chosen == number), rng)
        for number, pattern in enumerate(_PATTERNS)
    ]
    stacked = np.concatenate(parts, axis=1)
    order = np.lexsort((stacked[1], stacked[0]))
    household, position, relation, age_months, is_male = stacked[:, order].astype(np.int64)
    age = age_months // 12
    lifted = is_lifted[household]
    education = _education(age, lifted, rng)
    disability = _disability(age, lifted, rng)
    return Members(
        household=household,
        position=position,
        relation=relation,
        is_male=is_male.astype(bool),
        birth_month=month - age_months,
        education=education,
        labour=_labour(age, education, disability, rng),
        disability=disability,
        has_chronic=rng.random(len(age)) < np.interp(age, [20, 40, 60, 75], [0.02, 0.06, 0.25, 0.42]),
    )


def _draw_pattern(
    pattern: tuple[float, int, int, tuple[int, ...]], rows: Ints, rng: np.random.Generator
) -> Floats:
    """Return household, position, relation, age in months and sex of one pattern's members, stacked."""
    _, youngest, oldest, relations = pattern
    n = len(rows)
    head = rng.uniform(youngest * 12, oldest * 12, n)
    head_male = rng.random(n) < (0.9 if SPOUSE in relations else 0.65)
    parts, children, parents = [], 0, 0
    for position, relation in enumerate(relations):
        male = rng.random(n) < 0.52
        age = head
        if relation == HEAD:
            male = head_male
        elif relation == SPOUSE:
            age, male = head - 12 + rng.normal(0, 30, n), ~head_male
        elif relation == CHILD:
            age = head - 12 * rng.uniform(22, 32, n) - 36 * children
            children += 1
        elif relation == GRANDCHILD:
            age = rng.uniform(12, 15 * 12, n)
        else:
            age = head + 12 * rng.uniform(20, 28, n) - 12 * parents
            male = np.full(n, parents == 1)
            parents += 1
        age = np.clip(age, 1, 97 * 12).round()
        parts.append(np.stack([rows, np.full(n, position), np.full(n, relation), age, male]).astype(float))
    return np.concatenate(parts, axis=1)


def _education(age: Ints, lifted: Bools, rng: np.random.Generator) -> Ints:
    """Return the level reached: older and lifted people less; children what their age allows."""
    level = 2.6 - 0.028 * (np.clip(age, 22, 90) - 22) - 0.25 * lifted + rng.normal(0, 0.75, len(age))
    reachable = np.select([age < 12, age < 15, age < 18, age < 21], [0, 1, 2, 3], 4)
    reached = np.minimum(np.clip(level.round(), 0, 4), reachable)
    return np.where(age < 18, reachable, reached).astype(np.int64)


def _disability(age: Ints, lifted: Bools, rng: np.random.Generator) -> Ints:
    chance = np.interp(age, [10, 40, 70], [0.015, 0.04, 0.09]) * np.where(lifted, 1.6, 1.0)
    grade = rng.choice(np.arange(1, 5), size=len(age), p=[0.15, 0.3, 0.3, 0.25])
    return np.where(rng.random(len(age)) < chance, grade, 0)


def _labour(age: Ints, education: Ints, disability: Ints, rng: np.random.Generator) -> Ints:
    able = np.where(rng.random(len(age)) < 0.12 + 0.1 * education, SKILLED, PLAIN)
    old = np.where(rng.random(len(age)) < 0.45, PLAIN, WEAK)
    frail = np.where(rng.random(len(age)) < 0.5, WEAK, LOST)
    skill = np.select([age < 16, age < 60, age < 72], [np.full(len(age), NO_LABOUR), able, old], frail)
    skill = np.where((disability > 0) & (skill < WEAK), WEAK, skill)
    skill = np.where(np.isin(disability, (1, 2)) & (skill != NO_LABOUR), LOST, skill)
    return np.where((age >= 16) & (age < 19), NO_LABOUR, skill)


def school_of(age: Ints, education: Ints) -> Ints:
    """Return the school (place in ``SCHOOLS``) of people of an age, shape as given.

    Everybody goes to school from 6 to 15; later only those who get as far.
    """
    college = (age >= 19) & (age < 22) & (education >= 4)
    return np.select(
        [(age >= 4) & (age < 6), (age >= 6) & (age < 12), (age >= 12) & (age < 16), (age >= 16) & (age < 19)],
        [1, 2, 3, 4],
        np.where(college, 5, 0),
    )
