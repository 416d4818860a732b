"""Withholds small counts of tables that are published together, so that no sum gives them away.

A count under the threshold is withheld (primary). Where a row, a column, a total or a table beside it would
let a reader work it out, further counts are withheld until it can't be done (complementary). Tables that
share totals are protected together: a system is any set of counts and the sums that tie them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ContractError

THRESHOLD = 5
WIDTH = THRESHOLD - 1
_REACHES = (2, 4)
_FREE = 1e-3  # per unit: what is withheld already costs next to nothing

Cell = Hashable
_Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Sum:
    """One identity between counts: ``total`` is the sum of ``parts``."""

    total: Cell
    parts: tuple[Cell, ...]


@dataclass(frozen=True)
class Suppressed:
    """Which counts of a system may be printed.

    Attributes
    ----------
    primary : frozenset
        Withheld because they are small, or were named as sensitive.
    withheld : frozenset
        All that is not to be printed: ``primary``, and what has to go with it.
    """

    primary: frozenset[Cell]
    withheld: frozenset[Cell]

    def __repr__(self) -> str:
        return f"Suppressed({len(self.withheld)} withheld, {len(self.primary)} of them primary)"


def sums_of_table(*dimensions: Mapping[str, Sequence[str]]) -> Iterator[Sum]:
    """Yield every sum of a table whose cells are tuples with one member of each dimension.

    Parameters
    ----------
    *dimensions : mapping of str to sequence of str
        Each total and its parts; a part may be the total of further parts, to any depth (village, township,
        county).

    Examples
    --------
    >>> [s.total for s in sums_of_table({"county": ["a", "b"]}, {"all": ["yes", "no"]})][:3]
    [('county', 'yes'), ('county', 'no'), ('county', 'all')]
    """
    members = [
        tuple(dict.fromkeys([*(part for parts in tree.values() for part in parts), *tree]))
        for tree in dimensions
    ]
    for place, tree in enumerate(dimensions):
        for total, parts in tree.items():
            others = [(None,) if i == place else names for i, names in enumerate(members)]
            for cell in product(*others):
                yield Sum(
                    (*cell[:place], total, *cell[place + 1 :]),
                    tuple((*cell[:place], part, *cell[place + 1 :]) for part in parts),
                )


def suppress(
    counts: Mapping[Cell, int],
    sums: Iterable[Sum],
    *,
    sensitive: Collection[Cell] = (),
    unprinted: Collection[Cell] = (),
    threshold: int = THRESHOLD,
    width: int = WIDTH,
) -> Suppressed:
    """Return which counts must not be printed so that small ones stay hidden.

    Parameters
    ----------
    counts : mapping of cell to int
        Every count of the system, 0 or more.
    sums : iterable of Sum
        Every identity a reader may use, those between tables included.
    sensitive : collection of cells, optional
        Counts above 0 to withhold whatever their size, such as the people of fewer than five households.
    unprinted : collection of cells, optional
        Counts that are printed nowhere but follow from printed ones, such as those left over beside a group.
        They are protected where they are small.
    threshold : int
        Counts from 1 to ``threshold - 1`` are withheld.
    width : int
        What a reader may at best work out of a withheld count is a range of ``width + 1`` whole numbers.

    Returns
    -------
    Suppressed
        For every withheld count there are two tables that agree with everything printed and with every sum,
        in which it differs by ``width`` or more.

    Raises
    ------
    ContractError
        RR341 where a sum does not hold or names a count that is not there; RR342 where the counts can't be
        protected, which counts of one set of households or people always can.

    Notes
    -----
    The reader is taken to know that a withheld count is 1 or more, because a count of 0 is always printed;
    and not to know which of the withheld counts are the small ones, which is why both bear one mark.
    Complementary cells are found one target at a time by the least costly change of the table that moves the
    target, as an integer programme; every change found is the proof for all counts it moves. After Fischetti
    and Salazar (Management Science 47, 2001) and chapter 4 of Hundepool et al., Statistical Disclosure
    Control (Wiley, 2012).

    Examples
    --------
    >>> rows = {"county": ["east", "west"]}
    >>> counts = {("east",): 3, ("west",): 40, ("county",): 43}
    >>> sorted(suppress(counts, sums_of_table(rows)).withheld)
    [('east',), ('west',)]
    """
    system = _System(counts, tuple(sums), unprinted)
    named = {cell for cell in sensitive if counts[cell] > 0}
    primary = frozenset(cell for cell, count in counts.items() if 0 < count < threshold) | named
    for cell in primary:
        system.withhold(cell)
    while (target := system.narrowest(width, primary)) is not None:
        system.widen(target, width)
    return Suppressed(primary - set(unprinted), system.withheld_cells() - set(unprinted))


class _System:
    """Counts and sums by position, what is withheld, and the range that known alternative tables span."""

    def __init__(self, counts: Mapping[Cell, int], sums: Sequence[Sum], unprinted: Collection[Cell]) -> None:
        self.cells = tuple(counts)
        self.position = {cell: i for i, cell in enumerate(self.cells)}
        self.value: _Integers = np.array([counts[cell] for cell in self.cells], dtype=np.int64)
        self.is_unprinted = np.array([cell in unprinted for cell in self.cells], dtype=bool)
        self.withheld = self.is_unprinted.copy()
        self.low, self.high = self.value.copy(), self.value.copy()
        self.sums: list[tuple[int, ...]] = []
        self.sums_of: dict[int, list[int]] = defaultdict(list)
        for one in dict.fromkeys(sums):
            self._add(one, counts)

    def _add(self, one: Sum, counts: Mapping[Cell, int]) -> None:
        """Keep a sum as positions, the total first."""
        lacking = [cell for cell in (one.total, *one.parts) if cell not in counts]
        if lacking or counts[one.total] != sum(counts[part] for part in one.parts):
            raise ContractError(
                "RR341",
                f"sum {one.total}",
                f"no count for {lacking[0]}" if lacking else "the parts do not add up to the total",
                "a count of 0 or more for every cell, and sums that hold",
                "Correct the table before it is published",
            )
        places = tuple(self.position[cell] for cell in (one.total, *one.parts))
        for place in places:
            self.sums_of[place].append(len(self.sums))
        self.sums.append(places)

    def withhold(self, cell: Cell) -> None:
        self.withheld[self.position[cell]] = True

    def withheld_cells(self) -> frozenset[Cell]:
        return frozenset(self.cells[i] for i in np.flatnonzero(self.withheld))

    def narrowest(self, width: int, primary: Collection[Cell]) -> int | None:
        """Return the withheld count with the least range, the smallest first; None where all are wide."""
        must = self.withheld & ~self.is_unprinted
        for cell in primary:
            must[self.position[cell]] = True
        spans = self.high - self.low
        places = np.flatnonzero(must & (spans < width))
        if not len(places):
            return None
        return int(places[np.lexsort((places, self.value[places], spans[places]))[0]])

    def widen(self, target: int, width: int) -> None:
        """Withhold what must go so that ``target`` may be ``width`` more; note the table that proves it."""
        for reach in (*_REACHES, len(self.sums)):
            change = self._least_change(target, width, self._region(target, reach))
            if change is not None:
                break
        else:
            raise ContractError(
                "RR342",
                f"count {self.cells[target]}",
                "no other table agrees with what is printed",
                "counts of one set of households or people",
                "Correct the table before it is published",
            )
        places, amounts = change
        self.withheld[places] = True
        moved = self.value[places] + amounts
        self.low[places] = np.minimum(self.low[places], moved)
        self.high[places] = np.maximum(self.high[places], moved)

    def _region(self, target: int, reach: int) -> list[int]:
        """Return the sums within ``reach`` steps of the target; what lies beyond stays as it is."""
        found = dict.fromkeys(self.sums_of[target])
        edge = list(found)
        for _ in range(reach):
            cells = {place for one in edge for place in self.sums[one] if self._may_change(place)}
            edge = [one for place in sorted(cells) for one in self.sums_of[place] if one not in found]
            if not edge:
                break
            found |= dict.fromkeys(edge)
            edge = list(dict.fromkeys(edge))
        return list(found)

    def _may_change(self, place: int) -> bool:
        return bool(self.value[place] > 0 or self.is_unprinted[place])

    def _least_change(
        self, target: int, width: int, region: Sequence[int]
    ) -> tuple[_Integers, _Integers] | None:
        """Return places and amounts of the cheapest change that adds ``width`` to the target, or None."""
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_array

        inside = set(region)
        candidates = dict.fromkeys([target, *(place for one in region for place in self.sums[one])])
        free = [p for p in candidates if self._may_change(p) and inside.issuperset(self.sums_of[p])]
        if target not in free:
            return None
        column = {place: i for i, place in enumerate(free)}
        entries = [
            (row, column[place], 1.0 if i else -1.0)
            for row, one in enumerate(region)
            for i, place in enumerate(self.sums[one])
            if place in column
        ]
        places = np.array(free, dtype=np.int64)
        up, down, room = self._costs(places, width)
        low, high = np.zeros(2 * len(free)), np.concatenate([np.full(len(free), np.inf), room])
        low[column[target]] = high[column[target]] = width
        high[len(free) + column[target]] = 0
        constraints = []
        if region:
            rows, columns, signs = (np.array(part) for part in zip(*entries, strict=True))
            one_way = coo_array((signs, (rows, columns)), shape=(len(region), len(free)))
            both = coo_array(
                (
                    np.concatenate([one_way.data, -one_way.data]),
                    (np.tile(one_way.row, 2), np.concatenate([columns, columns + len(free)])),
                ),
                shape=(len(region), 2 * len(free)),
            )
            constraints = [LinearConstraint(both.tocsr(), 0, 0)]
        solved = milp(
            np.concatenate([up, down]),
            integrality=np.ones(2 * len(free)),
            bounds=Bounds(low, high),
            constraints=constraints,
        )
        if not solved.success:
            return None
        amounts = np.rint(solved.x[: len(free)] - solved.x[len(free) :]).astype(np.int64)
        is_moved = amounts != 0
        return places[is_moved], amounts[is_moved]

    def _costs(
        self, places: _Integers, width: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Return the cost of a unit more and of a unit less, and how much less is possible.

        A printed count costs by the figures of its number, spread over the units it can give; the small
        addition by place makes the choice among equals the same everywhere.
        """
        value = self.value[places].astype(np.float64)
        room = value - np.where(self.is_unprinted[places], 0.0, 1.0)
        loss = np.log2(1.0 + value) + 1e-4 * np.arange(1, len(places) + 1) / len(places)
        up, down = loss / width, loss / np.clip(room, 1.0, width)
        is_free = self.withheld[places]
        return np.where(is_free, _FREE, up), np.where(is_free, _FREE, down), room
