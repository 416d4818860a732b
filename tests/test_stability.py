"""Stability compares like with like: other seeds on one matrix, another month by the same data."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic import simulate
from relapse_risk.stability import _as_it_stood, _Listing, _two_months


def listing(ids: str, ranking: list[float], listed: str, **reasons: set[str]) -> _Listing:
    top = frozenset(sorted(ids, key=lambda one: -ranking[ids.index(one)])[:2])
    told = {one: frozenset(reasons.get(one, {"R01"})) for one in listed}
    return _Listing(np.array(list(ids)), np.array(ranking), top, frozenset(listed), told)


def test_the_same_listing_twice_moves_nothing_and_a_reversed_one_everything():
    first = listing("abcd", [4, 3, 2, 1], "ab")
    assert first.compared_with(first) == {
        "rank_correlation": 1.0,
        "top_stays": 1.0,
        "list_stays": 1.0,
        "reasons_stay": 1.0,
    }
    found = first.compared_with(listing("abcd", [1, 2, 3, 4], "cd"))
    assert found == {"rank_correlation": -1.0, "top_stays": 0.0, "list_stays": 0.0, "reasons_stay": None}


def test_reasons_are_compared_of_households_on_both_lists_in_whatever_order():
    first = listing("abcd", [4, 3, 2, 1], "abc", a={"R01", "x"}, b={"R02"})
    second = listing("dcba", [1, 2, 3, 4], "abd", a={"x", "R01"}, b={"R03"})
    found = first.compared_with(second)
    assert found["rank_correlation"] == 1.0
    assert found["list_stays"] == 2 / 3
    assert found["reasons_stay"] == 0.5


def test_the_later_month_reads_nothing_recorded_after_the_first():
    panel = simulate(400, 36, seed=2, oracle_dates=(), hazard_paths=0).panel()
    first, second = _two_months(panel)
    assert first < second <= (panel.last_recorded_on or date.max)
    assert first.year == second.year
    frozen = _as_it_stood(panel, first)
    assert frozen.last_recorded_on is not None
    assert frozen.last_recorded_on <= first
    assert frozen.known_at(second).table("visit").equals(frozen.known_at(first).table("visit"))
    known = panel.known_at(first).households.select("household_id")
    assert frozen.known_at(first).households.select("household_id").equals(known)
    assert pl.concat([frozen.tables["observation"]["recorded_on"]]).max() <= first
