"""What every visit list keeps to, whatever the capacity, on a county with a trained model."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.explain.attribute import attribute
from relapse_risk.explain.reasons import make_reasons
from relapse_risk.outputs.standing import hits_since
from relapse_risk.outputs.visit_list import CountyList, ListSettings, make_visit_list
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.priority import has_moving_hit, is_settled, tier_of
from relapse_risk.scores import HIT
from relapse_risk.vocabulary import Basis, Tier

URGENT = (Tier.RED, Tier.ORANGE)
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# What a template leaves behind where it was not filled, and what a formula does.
UNFILLED = re.compile(r"[{}]|\bnan\b|\bNone\b|\binf\b|[a-z]+_[a-z]")

EVERY_WAY = pytest.mark.parametrize("has_model", [True, False], ids=["model", "rules only"])
CAPACITIES = pytest.mark.parametrize("capacity", [1, 20, 90, 250, 5000])


@pytest.fixture(scope="module")
def since(county) -> pl.DataFrame:
    return hits_since(county.panel, county.hits)


@pytest.fixture(scope="module")
def make_list(county, since: pl.DataFrame):
    def make(capacity: int, has_model: bool, **settings: object) -> CountyList:
        made = make_visit_list(
            county.matrix,
            county.hits,
            county.scores if has_model else None,
            capacity,
            panel=county.panel,
            explain=(lambda rows: attribute(county.model, rows)) if has_model else None,
            settings=ListSettings(**settings),  # type: ignore[arg-type]
            hit_since=since,
        )
        (only,) = made.counties
        return only

    return make


@pytest.fixture(scope="module")
def settled(county) -> set[str]:
    """Households whose hits were confirmed, with measures in place: listed, without using a visit."""
    is_one = is_settled(county.matrix, tier_of(county.matrix, county.hits))
    return set(county.matrix.index["household_id"].filter(pl.Series(is_one)))


def test_the_county_has_households_of_every_kind(county) -> None:
    """Else the tests below would hold for want of rows."""
    tiers = tier_of(county.matrix, county.hits)
    assert set(np.unique(tiers)) == {0, 1, 2, 4}
    assert (has_moving_hit(county.hits) & (tiers == 2)).any()


@EVERY_WAY
@CAPACITIES
def test_every_hit_is_listed_or_waits_and_none_is_below_a_row_without(
    county, make_list, capacity: int, has_model: bool
) -> None:
    made = make_list(capacity, has_model)
    both = pl.concat([made.listed, made.waiting])
    assert both["household_id"].is_unique().all()
    has_hit = pl.Series(has_moving_hit(county.hits))
    assert set(county.matrix.index["household_id"].filter(has_hit)) <= set(both["household_id"])
    for frame in (made.listed, made.waiting):
        is_hit = (frame["rule_hits_n"] > 0).to_list()
        assert is_hit == sorted(is_hit, reverse=True)
    assert (made.listed.filter(pl.col("rule_hits_n") == 0)["rules_hit"].is_null()).all()
    assert not set(made.waiting["tier"]) & {*URGENT, Tier.BLUE, Tier.ROUTINE}


@EVERY_WAY
@CAPACITIES
def test_a_list_keeps_to_its_capacity_but_for_red_and_orange_and_the_reserved_visits(
    make_list, settled: set[str], capacity: int, has_model: bool
) -> None:
    made = make_list(capacity, has_model, rest_days=0)
    listed = made.listed.with_columns(is_settled=pl.col("household_id").is_in(settled))
    uses_a_visit = listed.filter(~pl.col("is_settled"))
    has_applied = pl.col("basis").str.contains(Basis.SELF_APPLICATION)
    urgent = uses_a_visit.filter(pl.col("tier").is_in(URGENT) | has_applied).height
    audit = made.audit.height
    assert uses_a_visit.height <= max(capacity, urgent + audit)
    assert audit <= max(0.05 * capacity + 0.5, 1)
    assert bool(made.messages) == (uses_a_visit.height > capacity)
    if made.waiting.height:
        assert uses_a_visit.height >= capacity, "somebody waits while visits are free"


@CAPACITIES
def test_visits_kept_for_model_alerts_and_audit_are_not_taken_by_yellow(make_list, capacity: int) -> None:
    made = make_list(capacity, has_model=True, model_share=0.2, audit_share=0.05)
    counts = made.counts
    room = max(capacity - (made.listed["tier"].is_in(URGENT)).sum() - counts["audit"], 0)
    assert counts["audit"] >= min(int(0.05 * capacity), counts["audit_pool"])
    assert counts["blue"] >= min(int(0.2 * capacity), room) or not made.waiting.height


def test_only_who_was_met_lately_rests_and_red_never_does(county, make_list) -> None:
    """The same capacity, with and without rest: nobody is lost, and no red or orange row leaves the list."""
    of_all, of_awake = make_list(90, True, rest_days=0), make_list(90, True, rest_days=60)
    assert of_awake.counts["rested"] > 0
    for tier in URGENT:
        both = [set(one.listed.filter(pl.col("tier") == tier)["household_id"]) for one in (of_all, of_awake)]
        assert both[0] == both[1]
    every = pl.concat([of_awake.listed, of_awake.waiting])["household_id"]
    has_hit = pl.Series(has_moving_hit(county.hits))
    assert set(county.matrix.index["household_id"].filter(has_hit)) <= set(every)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_household_s_reasons_render_with_figures(county, language) -> None:
    """For all of them, listed or not: nothing unfilled, nothing in the other language."""
    frame = make_reasons(county.matrix, county.attributions, county.hits, language=language).frame
    assert frame["reason_1"].null_count() == 0
    texts = frame.drop("household_id", "as_of_date").unpivot()["value"].drop_nulls().unique().to_list()
    assert len(texts) > 100
    assert [text for text in texts if UNFILLED.search(text)] == []
    if language == "zh":
        assert [text for text in texts if not CHINESE.search(text)] == []
    else:  # articles of the opinion keep their numerals
        assert [text for text in texts if CHINESE.search(re.sub("（.*?）", "", text))] == []


def test_every_rule_hit_is_told_in_its_row(county, make_list) -> None:
    """Codes and number of the hits that give a row its tier."""
    made = make_list(5000, has_model=True)
    position = {household: i for i, household in enumerate(county.matrix.index["household_id"])}
    moving = [rule for rule in RULES if set(rule.categories) - {"P", "Q"} or rule.is_urgent]
    for row in made.listed.iter_rows(named=True):
        states = county.hits.states[position[row["household_id"]]]
        hit = [rule.code for rule in moving if states[county.hits.codes.index(rule.code)] == HIT]
        told = [] if row["rules_hit"] is None else [name[:3] for name in row["rules_hit"].split("、")]
        assert told == hit
        assert row["rule_hits_n"] == len(hit)


def test_lists_expire_and_say_as_of_when(make_list, as_of: date) -> None:
    made = make_list(20, has_model=True)
    assert f"{as_of:%Y%m%d}" in made.list_id
    assert made.listed["expires_on"].unique().to_list() == [date(2024, 1, 31)]
