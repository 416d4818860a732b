"""Who comes back after a visit that met nobody, and the lottery at the edge: no rule hit is delayed by it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from tests.rules.strategies import Case, cases, rank

from relapse_risk.errors import ConfigurationError
from relapse_risk.rules.priority import BLUE, ORANGE, RED, ROUTINE, YELLOW
from relapse_risk.vocabulary import Basis


def _whole(visits: int, share: float) -> int:
    return int(visits * share + 0.5)


@given(cases())
@settings(max_examples=120, deadline=None)
def test_who_was_not_met_comes_back_unless_no_visit_is_left(case: Case) -> None:
    """And the shares hold: what no rule names takes no more than its own, and those that come back."""
    result = case.rank()
    is_chosen = np.zeros(len(case.rests), dtype=bool)
    is_chosen[result.order[~result.is_audit]] = True
    back = case.arrays["comes_back"] & ~case.rests & ~case.is_certain
    is_free = (case.arrays["tiers"] == ROUTINE) & ~case.rests
    ranked = is_free & ~np.isnan(_values(case, "ranking"))
    for place, found in enumerate(result.units):
        within = case.arrays["unit"] == place
        needed = int((within & case.is_certain & case.uses_capacity).sum())
        audit = min(
            _audit(found.capacity, case.options["audit_share"]), int((within & ~case.is_certain).sum())
        )
        room = max(found.capacity - needed - audit, 0)
        n_chosen = int((within & is_chosen & ~case.is_certain).sum())
        if (within & back & ~is_chosen).any():
            assert n_chosen == room, "a row does not come back while visits are free"
        own = min(_whole(found.capacity, case.options["model_share"]), room)
        assert int((within & ranked & is_chosen).sum()) >= min(own, int((within & ranked).sum()))
        yellow = within & (case.arrays["tiers"] == YELLOW) & ~case.rests & ~case.is_certain
        if (yellow & ~is_chosen).any():
            assert int((within & is_free & ~back & is_chosen).sum()) <= own


def _values(case: Case, name: str) -> np.ndarray:
    values = case.options[name]
    return np.full(len(case.rests), np.nan) if values is None else values


def _audit(visits: int, share: float) -> int:
    return max(_whole(visits, share), 1) if visits and share else 0


def test_a_household_that_was_not_met_goes_before_yellow_but_not_before_the_models_share() -> None:
    back = np.array([False, False, True, False, False, True])
    result = rank(
        [YELLOW] * 3 + [ROUTINE] * 3, comes_back=back, ranking=np.array([3.0, 2, 1, 3, 2, 1]), capacity=3
    )
    assert result.order.tolist() == [2, 3, 5]
    assert result.tiers.tolist() == [YELLOW, BLUE, ROUTINE]
    assert result.basis[-1] == (Basis.ROUTINE,)
    assert result.waiting.tolist() == [0, 1]


def test_who_comes_back_and_is_an_alert_of_its_own_rank_is_listed_as_one() -> None:
    back = np.array([True, False, False, True])
    result = rank([ROUTINE] * 4, comes_back=back, ranking=np.array([4.0, 3, 2, 1]), capacity=3)
    assert result.order.tolist() == [0, 1, 3]
    assert result.tiers.tolist() == [BLUE, BLUE, ROUTINE]


@given(cases())
@settings(max_examples=120, deadline=None)
def test_a_lottery_never_touches_a_rule_hit_an_application_or_who_comes_back(case: Case) -> None:
    """The same rows with a tier of their own, in the same order, and as many visits, with and without it."""
    plain, drawn = (case.rank(audit_share=0.0, lottery_share=share) for share in (0.0, 0.3))
    for one, other in ((plain, drawn), (drawn, plain)):
        named = one.order[one.tiers <= YELLOW]
        assert named.tolist() == other.order[other.tiers <= YELLOW].tolist()
        assert one.waiting.tolist() == other.waiting.tolist()
        assert [unit.used for unit in one.units] == [unit.used for unit in other.units]
    assert len(plain.lottery) == 0
    at_edge = drawn.lottery
    assert (case.arrays["tiers"][at_edge] == ROUTINE).all()
    assert not (case.arrays["comes_back"] | case.rests)[at_edge].any()
    beside = np.setdiff1d(plain.order, at_edge)
    assert np.isin(beside, drawn.order).all(), "a row that took no part lost its visit"
    for place, capacity in enumerate(case.options["capacity"]):
        of_unit = at_edge[case.arrays["unit"][at_edge] == place]
        n_drawn = int(np.isin(of_unit, drawn.order).sum())
        assert n_drawn <= _whole(capacity, 0.3)
        assert n_drawn == np.isin(of_unit, plain.order).sum()
        share = drawn.lottery_probability[case.arrays["unit"][at_edge] == place]
        assert np.allclose(share, n_drawn / max(len(of_unit), 1))
        assert ((share > 0) & (share < 1)).all()


@given(cases())
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_input_does_not_move_the_lottery(case: Case) -> None:
    back = np.arange(len(case.rests))[::-1]
    arrays = {name: values[back] for name, values in case.arrays.items()}
    rankings = {
        name: None if case.options[name] is None else case.options[name][back]
        for name in ("ranking", "fallback_ranking")
    }
    keys = case.arrays["stable_key"]
    one = case.rank(lottery_share=0.3)
    other = case.rank(**arrays, **rankings, lottery_share=0.3)
    assert keys[one.order].tolist() == keys[back][other.order].tolist()
    assert keys[one.lottery].tolist() == keys[back][other.lottery].tolist()


def test_each_row_at_the_edge_is_listed_as_often_as_its_probability_says() -> None:
    """By the lottery, or by the audit sample after it; and only rows around the cut-off take part."""
    seeds, listed = 800, np.zeros(20)
    for seed in range(seeds):
        result = rank(
            [RED] + [ROUTINE] * 19,
            ranking=np.linspace(1, 0, 20),
            capacity=11,
            audit_share=0.1,
            lottery_share=0.3,
            rng_seed=seed,
        )
        assert sorted(result.lottery.tolist()) == list(range(7, 13))
        assert result.counts["audit"] == 1
        listed[result.order] += 1
    both = 0.5 + 0.5 / result.units[0].audit_pool
    assert result.lottery_probability.tolist() == [both] * 6
    assert (listed[:7] == seeds).all()
    spread = np.sqrt(both * (1 - both) / seeds)
    assert np.abs(listed[7:13] / seeds - both).max() < 4 * spread
    assert abs(listed[13:].mean() / seeds - 1 / result.units[0].audit_pool) < 0.02


def test_a_lottery_without_a_model_is_drawn_at_the_edge_of_routine_visits() -> None:
    result = rank([RED] + [ROUTINE] * 8, fallback_ranking=np.arange(9.0), capacity=5, lottery_share=0.4)
    assert sorted(result.lottery.tolist()) == [3, 4, 5, 6]
    assert {0, 8, 7} <= set(result.order.tolist())
    assert len(result) == 5


def test_where_everybody_fits_nothing_is_drawn() -> None:
    result = rank([ORANGE, ROUTINE], ranking=np.array([1.0, 2.0]), capacity=4, lottery_share=1.0)
    assert len(result.lottery) == 0
    assert len(result) == 2


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="RR333"):
        rank([RED], lottery_share=1.1)
