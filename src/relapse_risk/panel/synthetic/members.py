"""The people of a synthetic county: who lives with whom, and what they can do.

Here everybody is drawn as the simulation begins; ``kinship`` adds those who may yet come, ``demography``
lets people come and go, and ``people`` writes down what changes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from relapse_risk.panel.tables import LABOUR_SKILLS

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

HEAD, SPOUSE, CHILD, PARENT, GRANDCHILD, IN_LAW = range(6)
RELATIONS = ("户主", "配偶", "子女", "父母", "孙子女", "儿媳女婿")
NOBODY = -1
SKILLED, PLAIN, WEAK, LOST, NO_LABOUR = range(len(LABOUR_SKILLS))
EDUCATIONS = ("文盲或半文盲", "小学", "初中", "高中或中职", "大专及以上")
SCHOOL_ENDS = (16, 19, 22)
SCHOOLS = ("非在校", "学前", "小学", "初中", "高中或中职", "大专及以上")

# Share of households, age of the head from and to, and the others' relation: sizes average 2.7.
_PATTERNS: tuple[tuple[float, int, int, tuple[int, ...]], ...] = (
    (0.14, 45, 94, (HEAD,)),
    (0.20, 57, 90, (HEAD, SPOUSE)),
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
_OLD = 85


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
    ends_school : ndarray of int
        Age at which school is over: 16, 19 or 22.
    is_core : ndarray of bool
        Belongs to the household when it begins; the others may be born or marry in later.
    mother, partner : ndarray of int
        Row of the mother of a child yet unborn, and of whom an incomer may marry; ``NOBODY`` for others.
    identity : ndarray of int
        Row under whose code the person is entered: the own one, or, for somebody who may found a household,
        the row in the parents' household.
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
    ends_school: Ints
    is_core: Bools
    mother: Ints
    partner: Ints
    identity: Ints

    def age(self, month: int) -> Ints:
        """Return ages in whole years in ``month``, shape ``(n_members,)``."""
        return (month - self.birth_month) // 12

    def count(self, condition: Bools, n_households: int) -> Ints:
        """Return how many core members of each household fulfil ``condition``, shape ``(n_households,)``."""
        return np.bincount(self.household[condition & self.is_core], minlength=n_households)


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
    ends_school = _end_of_school(age, education, rng)
    disability = _disability(age, lifted, rng)
    return Members(
        household=household,
        position=position,
        relation=relation,
        is_male=is_male.astype(bool),
        birth_month=month - age_months,
        education=education,
        labour=_labour(age, education, disability, ends_school, rng),
        disability=disability,
        has_chronic=rng.random(len(age)) < np.interp(age, [20, 40, 60, 75], [0.02, 0.06, 0.25, 0.42]),
        ends_school=ends_school,
        is_core=np.ones(len(age), bool),
        mother=np.full(len(age), NOBODY),
        partner=np.full(len(age), NOBODY),
        identity=np.arange(len(age)),
    )


def _draw_pattern(
    pattern: tuple[float, int, int, tuple[int, ...]], rows: Ints, rng: np.random.Generator
) -> Floats:
    """Return household, position, relation, age in months and sex of one pattern's members, stacked."""
    _, youngest, oldest, relations = pattern
    n = len(rows)
    # The very old are few, as they are where deaths have thinned them for long.
    place = rng.beta(1.4, 1.8, n) if oldest > _OLD else rng.random(n)
    head = 12 * (youngest + (oldest - youngest) * place)
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


def _end_of_school(age: Ints, education: Ints, rng: np.random.Generator) -> Ints:
    """Return the age at which school is over; of the young it is drawn, of others read from their level."""
    drawn = rng.choice(np.array(SCHOOL_ENDS), size=len(age), p=[0.2, 0.35, 0.45])
    reached = np.select([education >= 4, education == 3], [SCHOOL_ENDS[2], SCHOOL_ENDS[1]], SCHOOL_ENDS[0])
    return np.where(age < 18, drawn, reached)


def _disability(age: Ints, lifted: Bools, rng: np.random.Generator) -> Ints:
    chance = np.interp(age, [10, 40, 70], [0.015, 0.04, 0.09]) * np.where(lifted, 1.6, 1.0)
    grade = rng.choice(np.arange(1, 5), size=len(age), p=[0.15, 0.3, 0.3, 0.25])
    return np.where(rng.random(len(age)) < chance, grade, 0)


def _labour(
    age: Ints, education: Ints, disability: Ints, ends_school: Ints, rng: np.random.Generator
) -> Ints:
    able = np.where(rng.random(len(age)) < 0.12 + 0.1 * education, SKILLED, PLAIN)
    old = np.where(rng.random(len(age)) < 0.45, PLAIN, WEAK)
    frail = np.where(rng.random(len(age)) < 0.5, WEAK, LOST)
    skill = np.select([age < 16, age < 60, age < 72], [np.full(len(age), NO_LABOUR), able, old], frail)
    skill = np.where((disability > 0) & (skill < WEAK), WEAK, skill)
    skill = np.where(np.isin(disability, (1, 2)) & (skill != NO_LABOUR), LOST, skill)
    return np.where((age >= 16) & (age < ends_school), NO_LABOUR, skill)


def school_of(age: Ints, ends_school: Ints) -> Ints:
    """Return the school (place in ``SCHOOLS``) of people of an age, shape as given; 0 for none.

    Everybody goes to school from 6 to 15; later only those whose school is not over.
    """
    stage = np.select([age < 4, age < 6, age < 12, age < 16, age < 19, age < 22], [0, 1, 2, 3, 4, 5], 0)
    return np.where(age < ends_school, stage, 0)


def education_of(school: Ints, education: Ints) -> Ints:
    """Return the level reached (place in ``EDUCATIONS``) by those who go to, or now leave, a school."""
    return np.maximum(education, np.clip(school - 1, 0, 4))
