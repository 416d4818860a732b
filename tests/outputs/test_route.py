"""A team sees a village once, and the most urgent village first."""

from __future__ import annotations

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from relapse_risk.outputs.route import route_of


@given(st.lists(st.tuples(st.sampled_from("TU"), st.sampled_from("abcd"), st.integers(0, 4)), max_size=30))
@settings(max_examples=60, deadline=None)
def test_villages_are_visited_once_and_no_urgent_one_after_a_lesser(rows: list[tuple[str, str, int]]) -> None:
    rows = sorted(rows, key=lambda row: row[2])
    unit, village = (pl.Series([row[i] for row in rows], dtype=pl.String) for i in (0, 1))
    tier = {rank: row[2] for rank, row in enumerate(rows, start=1)}
    place = dict(enumerate(village, start=1))
    route = route_of(pl.Series(range(1, len(rows) + 1), dtype=pl.Int64), unit, village)
    assert sorted(route["rank"]) == list(tier)
    for (team,), part in route.group_by("unit", maintain_order=True):
        assert {team} == {unit[rank - 1] for rank in part["rank"]}
        assert part["order"].to_list() == list(range(1, part.height + 1))
        stops: dict[int, list[int]] = {}
        for stop, rank in part.select("stop", "rank").iter_rows():
            stops.setdefault(stop, []).append(rank)
        assert list(stops) == list(range(1, len(stops) + 1)), "a village is driven to twice"
        villages = [{place[rank] for rank in ranks} for ranks in stops.values()]
        assert all(len(names) == 1 for names in villages)
        assert len(set.union(*villages)) == len(villages)
        assert all(ranks == sorted(ranks) for ranks in stops.values())
        most_urgent = [min(tier[rank] for rank in ranks) for ranks in stops.values()]
        assert most_urgent == sorted(most_urgent), "a village with a graver tier comes later"


def test_a_village_is_told_by_its_code_and_each_unit_has_its_own_route(make_list) -> None:
    county = make_list(8).counties[0]
    assert set(county.route["unit"]) == {county.county_code}
    joined = county.route.join(county.listed, on="rank", maintain_order="left")
    places = joined.group_by("stop", maintain_order=True).agg(pl.struct("township", "village").n_unique())
    assert set(places["township"]) == {1}
    assert places.height == county.listed.select(pl.struct("township", "village").n_unique()).item()
