"""Those who may yet come: children unborn, brides who marry in, and households that grown children may found.

They have rows of their own from the start, so that the simulation only ever has to say who is present. A
household that may be founded stands among its village's households, and is empty until then.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from relapse_risk.panel.synthetic.members import (
    CHILD,
    GRANDCHILD,
    HEAD,
    IN_LAW,
    NO_LABOUR,
    NOBODY,
    PLAIN,
    SCHOOL_ENDS,
    SPOUSE,
    Bools,
    Ints,
    Members,
)
from relapse_risk.panel.synthetic.parameters import DemographyConfig

_HEIR_SHARE, _BRIDE_SHARE, _SECOND_CHILD_SHARE = 0.6, 0.7, 0.45
_FERTILE_FROM, _FERTILE_TO = 16, 42


@dataclass(frozen=True)
class Kin:
    """Everybody who is or may come to be there, by household; households sorted by village.

    Attributes
    ----------
    is_founded : ndarray of bool, shape (n_households,)
        Households that exist from the start.
    heir : ndarray of int, shape (n_households,)
        Row of the member who may found the household, in the parents' one; ``NOBODY`` where it exists.
    """

    members: Members
    village: Ints
    is_lifted: Bools
    is_founded: Bools
    heir: Ints


def foresee(
    natives: Members,
    village: Ints,
    is_lifted: Bools,
    month: int,
    config: DemographyConfig,
    rng: np.random.Generator,
) -> Kin:
    """Return the natives and those who may come.

    Parameters
    ----------
    natives : Members
        Of households sorted by village, as they stand in ``month``.
    village, is_lifted : ndarray, shape (n_households,)
    """
    n = len(village)
    heirs = _choose_heirs(natives, month, config, rng)
    parents = natives.household[heirs]
    founders = _founders(natives, heirs, n, rng)
    known = _stacked(natives, founders)
    brides = _brides(known, heirs, month, config, rng)
    known = _stacked(known, brides)
    known = _stacked(known, _unborn(known, month, config, rng))
    all_villages = np.concatenate([village, village[parents]])
    order = np.argsort(all_villages, kind="stable")
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    members, moved_to = _sorted(known, place)
    heir = np.concatenate([np.full(n, NOBODY), moved_to[heirs]])
    return Kin(
        members=members,
        village=all_villages[order],
        is_lifted=np.concatenate([is_lifted, is_lifted[parents]])[order],
        is_founded=(np.arange(len(order)) < n)[order],
        heir=heir[order],
    )


def _choose_heirs(members: Members, month: int, config: DemographyConfig, rng: np.random.Generator) -> Ints:
    """Return rows of grown or nearly grown sons, at most one a household, who may found their own."""
    if not config.founding_rate:
        return np.zeros(0, np.int64)
    age = members.age(month)
    may = (members.relation == CHILD) & members.is_male & (age >= 16) & (age <= 31)
    may &= (members.disability == 0) & (members.count(age >= 0, members.household[-1] + 1) >= 3)[
        members.household
    ]
    rows = np.flatnonzero(may & (rng.random(len(age)) < _HEIR_SHARE))
    _, first = np.unique(members.household[rows], return_index=True)
    heirs: Ints = rows[first]
    return heirs


def _block(source: Members, rows: Ints, **changed: object) -> Members:
    """Return new members made after those of ``rows``, with what is different."""
    columns = {f.name: getattr(source, f.name)[rows] for f in fields(Members)}
    for name, value in changed.items():
        columns[name] = np.broadcast_to(np.asarray(value, columns[name].dtype), (len(rows),))
    return Members(**columns)


def _stacked(first: Members, second: Members) -> Members:
    """Return both, one after the other; new members are entered under their own rows."""
    count = len(first.household)
    own = np.where(second.identity == NOBODY, count + np.arange(len(second.household)), second.identity)
    columns = {
        f.name: np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(Members)
    }
    columns["identity"] = np.concatenate([first.identity, own])
    return Members(**columns)


def _founders(natives: Members, heirs: Ints, n: int, rng: np.random.Generator) -> Members:
    """Return heads and wives of households that may be founded, numbered from ``n`` on."""
    number = n + np.arange(len(heirs))
    labour = np.minimum(natives.labour[heirs], PLAIN)
    labour = np.where(natives.labour[heirs] == NO_LABOUR, PLAIN, labour)
    heads = _block(
        natives,
        heirs,
        household=number,
        position=0,
        relation=HEAD,
        labour=labour,
        identity=heirs,
        ends_school=SCHOOL_ENDS[0],
    )
    wives = _block(
        natives,
        heirs,
        household=number,
        position=1,
        relation=SPOUSE,
        is_male=False,
        ends_school=SCHOOL_ENDS[0],
        birth_month=natives.birth_month[heirs] + rng.integers(-12, 37, len(heirs)),
        labour=PLAIN,
        identity=NOBODY,
    )
    columns = {
        f.name: np.concatenate([getattr(heads, f.name), getattr(wives, f.name)]) for f in fields(Members)
    }
    return Members(**columns)


def _brides(
    known: Members, heirs: Ints, month: int, config: DemographyConfig, rng: np.random.Generator
) -> Members:
    """Return women who may marry sons that stay at home."""
    age = known.age(month)
    may = (known.relation == CHILD) & known.is_male & (age >= 14) & (age <= 33) & (known.disability == 0)
    may[heirs] = False
    share = _BRIDE_SHARE if config.join_rate else 0.0
    sons = np.flatnonzero(may & (rng.random(len(age)) < share))
    return _block(
        known,
        sons,
        position=8,
        relation=IN_LAW,
        is_male=False,
        ends_school=SCHOOL_ENDS[0],
        birth_month=known.birth_month[sons] + rng.integers(-12, 37, len(sons)),
        labour=PLAIN,
        has_chronic=False,
        is_core=False,
        partner=sons,
        identity=NOBODY,
    )


def _unborn(known: Members, month: int, config: DemographyConfig, rng: np.random.Generator) -> Members:
    """Return the children that women of the county may yet bear, first and second ones."""
    age = known.age(month)
    has_spouse = (
        np.bincount(known.household[known.relation == SPOUSE], minlength=known.household.max() + 1) > 0
    )
    married = np.isin(known.relation, (HEAD, SPOUSE)) & has_spouse[known.household]
    may = ~known.is_male & (married | (known.relation == IN_LAW)) & (age <= _FERTILE_TO)
    may &= bool(config.birth_rate)
    first = np.flatnonzero(may & (age >= _FERTILE_FROM - 2))
    second = first[rng.random(len(first)) < _SECOND_CHILD_SHARE]
    mothers = np.concatenate([first, second])
    return _block(
        known,
        mothers,
        position=9,
        relation=np.where(known.relation[mothers] == IN_LAW, GRANDCHILD, CHILD),
        is_male=rng.random(len(mothers)) < 0.52,
        birth_month=month,
        ends_school=SCHOOL_ENDS[-1],
        education=0,
        labour=NO_LABOUR,
        disability=0,
        has_chronic=False,
        is_core=False,
        mother=mothers,
        partner=NOBODY,
        identity=NOBODY,
    )


def _sorted(members: Members, place: Ints) -> tuple[Members, Ints]:
    """Return members sorted by their household's new place, numbered within it, and where each row went."""
    household = place[members.household]
    order = np.lexsort((np.arange(len(household)), members.position, household))
    moved_to = np.empty_like(order)
    moved_to[order] = np.arange(len(order))
    columns = {f.name: getattr(members, f.name)[order] for f in fields(Members)}
    columns["household"] = household[order]
    first = np.searchsorted(columns["household"], columns["household"])
    columns["position"] = np.arange(len(order)) - first
    for name in ("mother", "partner", "identity"):
        columns[name] = np.where(columns[name] == NOBODY, NOBODY, moved_to[columns[name]])
    return Members(**columns), moved_to
