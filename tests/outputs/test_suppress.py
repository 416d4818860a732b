"""No reader of a published table, however patient, can work out a count that was withheld."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from relapse_risk.errors import ContractError
from relapse_risk.outputs.suppress import Cell, Sum, Suppressed, sums_of_table, suppress

STATES = ("met", "unmet", "unknown")


def attack(
    counts: Mapping[Cell, int],
    sums: Sequence[Sum],
    withheld: frozenset[Cell],
    unprinted: frozenset[Cell] = frozenset(),
) -> dict[Cell, tuple[float, float]]:
    """Return the range that everything printed and every sum leave open, of each count that is not printed.

    Only whole numbers count. A count that was withheld is 1 or more, for a 0 would have been printed.
    """
    cells = list(counts)
    place = {cell: i for i, cell in enumerate(cells)}
    matrix = np.zeros((len(sums), len(cells)))
    for row, one in enumerate(sums):
        matrix[row, place[one.total]] = -1
        for part in one.parts:
            matrix[row, place[part]] += 1
    open_ends = {**dict.fromkeys(unprinted, (0, None)), **dict.fromkeys(withheld, (1, None))}
    bounds = [open_ends.get(cell, (counts[cell], counts[cell])) for cell in cells]
    found = {}
    for cell in open_ends:
        ends = []
        for sign in (1, -1):
            aim = np.zeros(len(cells))
            aim[place[cell]] = sign
            solved = linprog(
                aim, A_eq=matrix, b_eq=np.zeros(len(sums)), bounds=bounds, integrality=np.ones(len(cells))
            )
            ends.append(sign * round(solved.fun) if solved.status == 0 else math.inf)
        found[cell] = (ends[0], ends[1])
    return found


def narrowest(counts: Mapping[Cell, int], sums: Sequence[Sum], done: Suppressed) -> float:
    ranges = attack(counts, sums, done.withheld)
    return min((high - low for low, high in ranges.values()), default=math.inf)


def nested_table(rows: Sequence[tuple[int, int]]) -> tuple[dict[Cell, int], list[Sum]]:
    """Count villages in townships in a county by state, from one (village, state) per household."""
    villages = [f"v{i}" for i in range(6)]
    tree = {"county": ["t0", "t1"], "t0": villages[:3], "t1": villages[3:]}
    sums = list(sums_of_table(tree, {"all": list(STATES)}))
    above = {village: (village, "t0" if i < 3 else "t1", "county") for i, village in enumerate(villages)}
    counted = Counter(
        (area, column)
        for village, state in rows
        for area in above[f"v{village}"]
        for column in (STATES[state], "all")
    )
    cells = dict.fromkeys(cell for one in sums for cell in (one.total, *one.parts))
    return {cell: counted[cell] for cell in cells}, sums


households = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=120)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=households)
def test_no_withheld_count_of_a_nested_table_can_be_narrowed(rows: list[tuple[int, int]]) -> None:
    counts, sums = nested_table(rows)
    done = suppress(counts, sums)
    assert done.primary == {cell for cell, n in counts.items() if 0 < n < 5}
    assert done.primary <= done.withheld
    assert all(counts[cell] > 0 for cell in done.withheld), "a count of 0 is always printed"
    assert narrowest(counts, sums, done) >= 4


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 2)), max_size=90))
def test_tables_that_share_their_totals_are_protected_together(rows: list[tuple[int, int, int]]) -> None:
    """Housing and water of the same households: either table alone may be safe while the two are not."""
    areas = ["a", "b", "c"]
    sums = [
        Sum((area, "all"), tuple((area, table, state) for state in range(n)))
        for area in (*areas, "county")
        for table, n in (("housing", 2), ("water", 3))
    ]
    keys = [("all",), *(("housing", s) for s in range(2)), *(("water", s) for s in range(3))]
    sums += [Sum(("county", *key), tuple((area, *key) for area in areas)) for key in keys]
    counted = Counter(
        (where, *key)
        for area, housing, water in rows
        for where in (areas[area], "county")
        for key in (("all",), ("housing", housing), ("water", water))
    )
    cells = {cell for one in sums for cell in (one.total, *one.parts)}
    counts = {cell: counted[cell] for cell in sorted(cells, key=str)}
    assert narrowest(counts, sums, suppress(counts, sums)) >= 4


@settings(max_examples=15, deadline=None)
@given(n=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=2, max_size=5))
def test_what_is_left_over_beside_a_group_is_protected_though_nobody_prints_it(
    n: list[tuple[int, int]],
) -> None:
    """All households and the lifted ones, printed side by side, give away the two that are not lifted."""
    counts: dict[Cell, int] = {}
    sums = []
    names = [f"t{i}" for i in range(len(n))]
    for name, (lifted, others) in zip(names, n, strict=True):
        counts |= {(name, "lifted"): lifted, (name, "rest"): others, (name, "all"): lifted + others}
    for group in ("lifted", "rest", "all"):
        counts["county", group] = sum(counts[name, group] for name in names)
        sums.append(Sum(("county", group), tuple((name, group) for name in names)))
    sums += [Sum((a, "all"), ((a, "lifted"), (a, "rest"))) for a in (*names, "county")]
    hidden = frozenset((name, "rest") for name in (*names, "county"))
    done = suppress(counts, sums, unprinted=hidden)
    ranges = attack(counts, sums, done.withheld, hidden)
    for cell in (*done.withheld, *(cell for cell in hidden if 0 < counts[cell] < 5)):
        low, high = ranges[cell]
        assert high - low >= 4, cell


def test_the_attack_finds_what_is_hidden_badly() -> None:
    """The audit is no formality: with the small count alone withheld it reads it off the total."""
    counts, sums = {("a",): 3, ("b",): 40, ("all",): 43}, [Sum(("all",), (("a",), ("b",)))]
    assert narrowest(counts, sums, Suppressed(frozenset(), frozenset({("a",)}))) == 0
    assert narrowest(counts, sums, suppress(counts, sums)) == 41


def test_a_small_count_of_large_ones_takes_one_neighbour_in_its_row_and_column_with_it() -> None:
    counts, sums = nested_table([(v, s) for v in range(6) for s in range(3) for _ in range(20)])
    assert not suppress(counts, sums).withheld
    counts, sums = nested_table([(v, s) for v in range(6) for s in range(3) for _ in range(20)])
    for cell in (("v0", "met"), ("v0", "all"), ("t0", "met"), ("t0", "all"), ("county", "met")):
        counts[cell] -= 18
    counts["county", "all"] -= 18
    done = suppress(counts, sums)
    assert done.primary == {("v0", "met")}
    assert len(done.withheld) == 4
    assert not any(area in ("t1", "county") for area, _ in done.withheld)


def test_named_counts_are_withheld_whatever_their_size() -> None:
    counts, sums = {("a",): 9, ("b",): 40, ("all",): 49}, [Sum(("all",), (("a",), ("b",)))]
    assert ("a",) in suppress(counts, sums, sensitive=[("a",)]).withheld
    assert not suppress(counts, sums).withheld


def test_sums_that_do_not_hold_are_refused() -> None:
    with pytest.raises(ContractError, match="RR341"):
        suppress({("a",): 1, ("all",): 2}, [Sum(("all",), (("a",),))])
    with pytest.raises(ContractError, match="RR341"):
        suppress({("all",): 2}, [Sum(("all",), (("a",),))])


def test_the_same_table_is_suppressed_the_same_way() -> None:
    rows = [(v, s) for v in range(6) for s in range(3) for _ in range((7 * v + 3 * s) % 11)]
    counts, sums = nested_table(rows)
    assert suppress(counts, sums) == suppress(counts, list(sums))
