"""From one list to the next: every household once, with what became of it and why."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from relapse_risk.explain.changes import MovedFact
from relapse_risk.features.catalog import CATALOG
from relapse_risk.outputs.issued import issued_rows
from relapse_risk.outputs.list_changes import ListChange, compare_lists
from relapse_risk.rules.catalog import RULES

RULE = RULES[0]


@pytest.fixture(scope="module")
def issued(make_list) -> pl.DataFrame:
    return issued_rows(make_list(6))


def earlier(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(as_of_date=pl.lit(date(2024, 5, 31)))


def test_a_list_compared_with_itself_has_no_change(issued):
    frame = compare_lists(earlier(issued), issued).frame
    assert frame["change"].unique().to_list() == [ListChange.SAME.value]
    assert frame["household_id"].sort().to_list() == issued["household_id"].sort().to_list()
    assert frame["why"].null_count() == frame.height


def test_new_gone_moved_and_waiting_are_told_apart_and_each_household_stands_once(issued):
    listed, waiting = issued.filter("is_listed"), issued.filter(~pl.col("is_listed"))
    new, gone = listed["household_id"][0], listed["household_id"][1]
    up = waiting["household_id"][0]
    before = earlier(issued.filter(pl.col("household_id") != new))
    after = issued.filter(pl.col("household_id") != gone).with_columns(
        is_listed=pl.col("is_listed") | (pl.col("household_id") == up)
    )
    frame = compare_lists(before, after).frame
    assert frame["household_id"].n_unique() == frame.height == issued.height
    change = dict(frame.select("household_id", "change").iter_rows())
    assert (change[new], change[gone], change[up]) == (
        ListChange.NEW.value,
        ListChange.GONE.value,
        ListChange.NOW_LISTED.value,
    )
    assert frame["change"][0] == ListChange.NEW.value
    told = frame.row(by_predicate=pl.col("household_id") == up, named=True)
    assert "走访容量" in told["why"]


def test_rules_are_known_by_name_in_whichever_language_a_list_was_written(issued):
    one = issued.filter("is_listed").head(1)
    before = earlier(one).with_columns(rules_hit=pl.lit(RULE.name(is_chinese=True)))
    same = one.with_columns(rules_hit=pl.lit(RULE.name(is_chinese=False)))
    assert compare_lists(before, same).frame["rules_ended"].to_list() == [None]
    other = one.with_columns(rules_hit=pl.lit(RULES[2].name(is_chinese=False)))
    row = compare_lists(before, other, "en").frame.row(0, named=True)
    assert row["rules_begun"] == RULES[2].name(is_chinese=False)
    assert row["rules_ended"] == RULE.name(is_chinese=False)
    assert f"rules begun: {RULES[2].name(is_chinese=False)}" in row["why"]


def test_moved_facts_scores_and_visits_are_said(issued):
    alerts = issued.filter(pl.col("tier") == "蓝").head(1)
    household = alerts["household_id"][0]
    gone = issued.filter(pl.col("household_id") != household)
    fact = MovedFact(CATALOG["ref_income_to_line"], 1.2, 1.9, -0.7)
    visits = pl.DataFrame({"household_id": [household], "last_visit": [date(2024, 6, 20)]})
    table = compare_lists(earlier(issued), gone, "en", facts={household: [fact]}, visits=visits)
    why = table.frame.row(by_predicate=pl.col("household_id") == household, named=True)["why"]
    assert why.startswith("no model alert any more; ")
    assert "from 1.2 to 1.9 (risk down)" in why
    assert "visited on 2024-06-20" in why
    assert "gone" in table.labelled("en")["change"].to_list()
    lower = alerts.with_columns(risk_score=pl.col("risk_score") - 30.0)
    assert "风险分" in compare_lists(earlier(lower), alerts.with_columns(tier=pl.lit("黄"))).frame["why"][0]
