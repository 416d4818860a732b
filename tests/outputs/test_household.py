"""One household explained: the sentences of the list, its place with the reason, and what changed."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.outputs.household import HouseholdChange, HouseholdExplanation, explain_row
from relapse_risk.outputs.issued import issued_rows
from relapse_risk.outputs.list_place import RowFacts, lists_of_county, place_on_list
from relapse_risk.rules.tiers import RED, ROUTINE, YELLOW
from relapse_risk.vocabulary import Tier

from .conftest import AS_OF, explain_by_income


@pytest.fixture(scope="module")
def issued(make_list) -> pl.DataFrame:
    """The lists of both counties: room for some yellow rows and model alerts, and some wait."""
    return issued_rows(make_list(capacity=6))


@pytest.fixture(scope="module")
def one_list(issued) -> pl.DataFrame:
    county = issued.filter(pl.col("tier") == Tier.BLUE.value)["county_code"][0]
    return lists_of_county(issued, county, AS_OF)[-1]


def explained(matrix, hits, scores, household: str, **given) -> HouseholdExplanation:
    row = matrix.index["household_id"].to_list().index(household)
    one = explain_by_income(matrix.rows(np.array([row])))
    return explain_row(matrix, hits, row, scores=scores, attributions=one, model="by income", **given)


def test_rules_and_facts_read_as_on_the_list(make_list, matrix, hits, scores):
    """The clerk on the phone and the visitor with the list must not read different numbers."""
    listed = make_list(capacity=20, language="en").counties[0].listed
    for row in listed.filter(pl.col("rule_hits_n") > 0).iter_rows(named=True):
        told = explained(matrix, hits, scores, row["household_id"], language="en")
        said = [*(line.says for line in told.rules), *told.facts]
        assert row["reason_1"] in said
        assert told.tier.value == row["tier"]
        assert told.risk is not None
        assert round(told.risk.score, 1) == row["risk_score"]
        assert "\n".join(told.lines()).count(row["reason_1"]) >= 1


def test_what_protects_stands_apart_and_every_fact_has_a_figure(matrix, hits, scores):
    household = matrix.index["household_id"][1]
    one = explain_by_income(matrix)
    lowered = type(one)(one.index, one.features, -one.values, one.base)
    row = np.array([1])
    told = explain_row(matrix, hits, 1, scores=scores, attributions=lowered.rows(row), language="en")
    assert told.household_id == household
    assert not told.facts
    assert told.protects
    assert all(": " in text for text in told.protects)


def test_a_place_on_the_list_comes_with_its_reason(issued):
    def why(status: pl.Expr, facts: RowFacts) -> tuple[str, str]:
        household, list_id = issued.filter(status).select("household_id", "list_id").row(0)
        place = place_on_list(issued.filter(pl.col("list_id") == list_id), household, facts)
        return place.status, place.say("en")

    red = why(pl.col("tier") == Tier.RED.value, RowFacts(RED))
    assert red[0] == "listed"
    assert "whatever the capacity" in red[1]
    assert "uses no capacity" in why(pl.col("tier") == Tier.RED.value, RowFacts(RED, is_settled=True))[1]
    waits = why(~pl.col("is_listed"), RowFacts(YELLOW))
    assert waits[0] == "waiting"
    assert waits[1].startswith("waiting at place 1 of ")
    blue = pl.col("tier") == Tier.BLUE.value
    assert "model alert" in why(blue, RowFacts(ROUTINE, score=99.0))[1]
    assert "met nobody" in why(blue, RowFacts(ROUTINE, score=99.0, comes_back=True))[1]


def test_who_is_left_out_learns_why(one_list):
    out = place_on_list(one_list, "nobody", RowFacts(ROUTINE, score=3.0))
    assert out.status == "left_out"
    assert "its score of 3.0 is below" in out.say("en")
    full = place_on_list(one_list, "nobody", RowFacts(ROUTINE, score=100.0))
    assert "used up" in full.say("en")
    paused = place_on_list(one_list, "nobody", RowFacts(ROUTINE, score=3.0, not_met_n=4))
    assert "4 visits in a row met nobody" in paused.say("en")
    met = RowFacts(ROUTINE, score=3.0, last_met=date(2024, 6, 20), rest_days=30)
    assert met.rests_on(AS_OF)
    assert "met in a visit on 2024-06-20" in place_on_list(one_list, "nobody", met).say("en")
    assert not RowFacts(RED, last_met=date(2024, 6, 20), rest_days=30).rests_on(AS_OF)


def test_changes_say_what_was_and_what_is(matrix, hits, scores, one_list):
    household = one_list["household_id"][0]
    place = place_on_list(one_list, household, RowFacts(RED))
    change = HouseholdChange(
        date(2024, 5, 31), place, rules_begun=("water",), risk=0.1, score=40.0, visited_on=(date(2024, 6, 5),)
    )
    text = "\n".join(explained(matrix, hits, scores, household, language="en", change=change).lines())
    assert "then listed at rank 1 of" in text
    assert "rules begun: water" in text
    assert "from 10.0% to" in text
    assert "visited since: 2024-06-05" in text
    new = HouseholdChange(date(2024, 5, 31), None, is_new=True)
    assert "was not known then" in "\n".join(
        explained(matrix, hits, scores, household, language="en", change=new).lines()
    )


def test_without_a_model_there_are_rules_and_no_picture(matrix, hits):
    told = explain_row(matrix, hits, 0, language="en")
    assert told.risk is None
    assert any("rules only" in line for line in told.lines())
    with pytest.raises(ValueError, match="without a model"):
        told.plot()
