"""The list holds what it promises: every hit first, nobody lost, every row with a reason, same bytes."""

from __future__ import annotations

import csv
import re
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.features.build import build_features
from relapse_risk.outputs.capacity import Capacity, area_names
from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.visit_list import ListSettings, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.tiers import has_moving_hit
from relapse_risk.scores import RiskScores, RuleHits
from relapse_risk.vocabulary import Tier

CONTRACT = Path(__file__).parents[3] / "shared" / "visit_list.csv"
TIERS = [tier.value for tier in Tier]


def all_rows(visit_list, with_waiting: bool = True) -> pl.DataFrame:
    return pl.concat(
        frame
        for county in visit_list.counties
        for frame in ((county.listed, county.waiting) if with_waiting else (county.listed,))
    )


@pytest.mark.skipif(not CONTRACT.exists(), reason="the data contract is not beside the repository")
def test_columns_are_those_of_the_data_contract():
    with CONTRACT.open(encoding="utf-8-sig", newline="") as stream:
        contract = [(row["name"], row["zh"], row["filled_by"]) for row in csv.DictReader(stream)]
    assert [(column.name, column.zh, column.filled_by) for column in LIST_COLUMNS] == contract


def test_one_list_a_county_with_exactly_the_columns(make_list):
    made = make_list()
    assert [county.county_code for county in made.counties] == ["130127", "130224"]
    assert [county.county_name for county in made.counties] == ["示范县", "130224"]
    for county in made.counties:
        for frame in (county.listed, county.waiting):
            assert frame.columns == [column.name for column in LIST_COLUMNS]
            assert list(frame.dtypes) == [column.dtype for column in LIST_COLUMNS]
        assert county.listed["rank"].to_list() == list(range(1, county.listed.height + 1))
        assert county.listed["list_id"].unique().to_list() == [county.list_id]
    assert list(made.to_pandas("zh").columns) == [column.zh for column in LIST_COLUMNS]
    assert len(made) == len(made.to_pandas())


def test_staff_columns_are_blank_and_every_row_says_why(make_list):
    rows = all_rows(make_list())
    staff = [column.name for column in LIST_COLUMNS if column.filled_by == "staff"]
    assert rows.select(staff).null_count().sum_horizontal().item() == len(staff) * rows.height
    assert rows["reason_1"].null_count() == 0
    assert rows["basis"].null_count() == 0
    assert set(rows["expires_on"]) == {date(2024, 7, 31)}


@pytest.mark.parametrize("capacity", [0, 5, 8, 30, 200])
@pytest.mark.parametrize("has_model", [True, False])
def test_no_hit_is_below_a_row_without_and_nobody_is_lost(make_list, hits, capacity, has_model):
    """Tiers come in order, red and orange are all listed, and every hit is listed or waits."""
    made = make_list(capacity, has_model=has_model)
    for county in made.counties:
        order = [TIERS.index(tier) for tier in county.listed["tier"]]
        assert order == sorted(order)
        named = (county.listed["rule_hits_n"] > 0).to_list()
        assert named == sorted(named, reverse=True)
        assert set(county.waiting["tier"]) <= {Tier.YELLOW.value}
    rows = all_rows(made)
    with_hit = hits.index.filter(pl.Series(has_moving_hit(hits)))["household_id"]
    assert set(with_hit) <= set(rows["household_id"])
    assert rows["household_id"].is_unique().all()


def test_rows_that_use_capacity_number_no_more_than_it(make_list):
    for county in make_list(40).counties:
        assert county.listed.height <= 40
        assert not county.messages


def test_more_urgent_rows_than_capacity_are_all_listed_and_said_loudly(make_list):
    made = make_list(2)
    urgent = made.counties[1]
    red = (urgent.listed["tier"] == Tier.RED.value).sum()
    assert red > 2
    assert "超过" not in urgent.county_name
    assert f"红色、橙色共{red}户，自主申报1户，走访容量2户" in urgent.messages[0].zh
    assert urgent.messages == made.messages[-1:]
    assert urgent.messages[0].en in urgent.summary_lines("en")


def test_no_score_moves_a_tier(matrix, hits, scores, panel):
    """Whatever a model says, the same households are red, orange and yellow."""
    rng = np.random.default_rng(2)
    shuffled = RiskScores(scores.index, (12,), scores.risk, rng.random(len(matrix)))
    tiers = []
    for given in (scores, shuffled, None):
        rows = all_rows(make_visit_list(matrix, hits, given, 1000, panel=panel))
        urgent = rows.filter(pl.col("tier").is_in([Tier.RED, Tier.ORANGE, Tier.YELLOW]))
        tiers.append(dict(urgent.select("household_id", "tier").iter_rows()))
    assert tiers[0] == tiers[1] == tiers[2]


def test_score_is_0_to_100_with_one_decimal_and_empty_without_a_model(make_list, matrix, hits, scores, panel):
    score = all_rows(make_list())["risk_score"]
    assert score.min() >= 0
    assert score.max() == 100
    assert (score == score.round(1)).all()
    assert all_rows(make_list(has_model=False))["risk_score"].null_count() == len(make_list(has_model=False))
    ranking = scores.ranking.copy()
    ranking[::2] = np.nan
    partly = RiskScores(scores.index, (12,), scores.risk, ranking)
    rows = all_rows(make_visit_list(matrix, hits, partly, 30, panel=panel))
    cannot = set(matrix.index["household_id"].to_numpy()[::2])
    for household, shown in rows.select("household_id", "risk_score").iter_rows():
        assert (shown is None) == (household in cannot)


def test_last_visit_is_what_was_known_on_the_date(make_list):
    """A visit of 29 June that was recorded in July is not known on 30 June."""
    rows = all_rows(make_list(200))
    shown = dict(rows.select("household_id", "last_visit").iter_rows())
    for household, last_visit in shown.items():
        i = int(household[-9:])
        expected = None if i % 2 == 0 else date(2024, 6, 5) if i % 4 == 3 else date(2024, 3, 4)
        assert last_visit == expected


def test_hits_and_their_date_belong_together(make_list):
    rows = all_rows(make_list())
    assert (
        rows.filter(pl.col("rule_hits_n") == 0)["hit_since"].null_count()
        == rows.filter(pl.col("rule_hits_n") == 0).height
    )
    hit = rows.filter(pl.col("rule_hits_n") > 0)
    assert hit["hit_since"].null_count() == 0
    assert (hit["rules_hit"].str.split("、").list.len() == hit["rule_hits_n"]).all()


def test_audit_rows_are_told_apart_only_by_the_manifest(make_list):
    """A household that would have waited keeps its tier; the others are routine visits like any other."""
    for county in make_list().counties:
        drawn = county.listed.filter(pl.col("rank").is_in(county.audit["rank"].implode()))
        assert county.audit.height == 3
        assert drawn["household_id"].to_list() == county.audit["household_id"].to_list()
        assert set(drawn["tier"]) <= {Tier.ROUTINE.value, Tier.YELLOW.value}
        assert set(drawn.filter(pl.col("rule_hits_n") == 0)["tier"]) <= {Tier.ROUTINE.value}
        assert county.audit["inclusion_probability"].is_between(0, 1, closed="right").all()


def test_another_seed_draws_other_audit_rows_and_nothing_else(make_list):
    first, second = make_list(seed=0), make_list(seed=1)
    for one, other in zip(first.counties, second.counties, strict=True):
        assert one.audit["household_id"].to_list() != other.audit["household_id"].to_list()
        urgent = [
            c.listed.filter(pl.col("tier").is_in([Tier.RED, Tier.ORANGE])).drop("list_id")
            for c in (one, other)
        ]
        assert urgent[0].equals(urgent[1])
        chosen = [set(c.listed["household_id"]) - set(c.audit["household_id"]) for c in (one, other)]
        assert chosen[0] == chosen[1]


def test_english_lists_say_the_same_in_english(make_list):
    zh, en = make_list(), make_list(language="en")
    for one, other in zip(zh.counties, en.counties, strict=True):
        same = ["rank", "list_id", "household_id", "tier", "basis", "risk_score", "hit_since"]
        assert one.listed.select(same).equals(other.listed.select(same))
        texts = other.listed.select("reason_1", "to_verify", "suggested_measures", "key_groups", "data_gaps")
        # Articles of the opinion keep their numerals.
        joined = re.sub("（.*?）", "", " ".join(str(cell) for row in texts.iter_rows() for cell in row))
        assert not any("\u4e00" <= letter <= "\u9fff" for letter in joined)


def test_capacity_may_differ_by_county(make_list):
    made = make_list({"130127": 10, "130224": 25})  # type: ignore[arg-type]
    assert [county.counts["capacity"] for county in made.counties] == [10, 25]
    with pytest.raises(ConfigurationError, match=r"RR484.*130224"):
        make_list({"130127": 10})


def test_townships_and_teams_have_visits_of_their_own(make_list):
    """A township's own row leaves the rest of its county to the county's."""
    areas = {"130127101": "东组", "130127102": "东组", "130127": "130127", "130224": "130224"}
    made = make_list(Capacity({"东组": 8, "130127": 6, "130224": 9}, areas))
    first, second = made.counties
    assert first.units["unit"].to_list() == ["130127", "东组"]
    assert first.units["capacity"].to_list() == [6, 8]
    assert first.unit.len() == first.listed.height + first.waiting.height
    rows = pl.concat([first.listed, first.waiting]).with_columns(unit=first.unit)
    assert set(rows.filter(pl.col("unit") == "130127")["township"]) == {"第1乡"}
    assert set(rows.filter(pl.col("unit") == "东组")["township"]) == {"第2乡", "第3乡"}
    assert second.counts["capacity"] == 9
    assert set(first.audit["unit"]) == {"130127", "东组"}


def test_units_beyond_their_visits_are_named(make_list, matrix):
    areas = {code: code for code in ("130127", "130224100", "130224101", "130224102")}
    made = make_list(Capacity({"130127": 50, "130224100": 0, "130224101": 0, "130224102": 50}, areas))
    assert made.counties[0].messages == ()
    (said,) = made.counties[1].messages
    over = made.counties[1].units.filter(pl.col("excess") > 0)
    assert over.height > 0
    for unit, excess in over.select("unit", "excess").iter_rows():
        name = area_names(matrix.index)[unit]
        assert name != unit, "staff know an area by its name"
        assert f"{name}超出{excess}户" in said.zh
        assert f"{name} by {excess}" in said.en


def test_who_was_not_met_comes_back(matrix, hits, scores, panel):
    """A visit that met nobody lets no household rest."""
    away = panel.tables["visit"].with_columns(outcome=pl.lit("外出"))
    unmet = Panel({**panel.tables, "visit": away})
    last_met = panel.tables["visit"].filter(pl.col("visited_on") == date(2024, 6, 5))["household_id"]
    chosen = []
    for given in (panel, unmet):
        made = make_visit_list(matrix, hits, scores, 60, panel=given)
        drawn = pl.concat(county.audit["household_id"] for county in made.counties)
        alerts = all_rows(made).filter(pl.col("tier") == Tier.BLUE.value)["household_id"]
        chosen.append((set(alerts) - set(drawn)) & set(last_met))
    assert not chosen[0]
    assert chosen[1]


def test_who_is_never_met_pauses_and_is_named_but_no_rule_hit_is_dropped(
    matrix, hits, scores, panel, tmp_path
):
    """Three visits in a row that met nobody: no place for ever, and not out of sight."""
    visits = [
        {
            "visit_id": f"{home}{day}",
            "list_id": "L",
            "household_id": home,
            "visited_on": day,
            "outcome": "外出",
        }
        for home in matrix.index["household_id"]
        for day in (date(2024, 4, 10), date(2024, 5, 10), date(2024, 6, 10))
    ]
    dtypes = panel.tables["visit"].schema
    table = pl.DataFrame(
        [{c: ({"recorded_on": date(2024, 6, 12)} | row).get(c) for c in dtypes} for row in visits],
        schema=dtypes,
    )
    gone = Panel({**panel.tables, "visit": table})
    settings = ListSettings(not_met_limit=3)
    made = make_visit_list(matrix, hits, scores, 60, panel=gone, settings=settings)
    plain = make_visit_list(matrix, hits, scores, 60, panel=gone, settings=ListSettings(not_met_limit=0))
    audited = {home for county in made.counties for home in county.audit["household_id"]}
    rows = all_rows(made)
    assert set(rows.filter(pl.col("tier").is_in(["蓝", "常"]))["household_id"]) <= audited
    assert set(all_rows(plain).filter(pl.col("tier") == "蓝")["household_id"]) - audited
    named = ["红", "橙", "黄"]
    with_waiting = [pl.concat([c.listed, c.waiting]) for m in (made, plain) for c in m.counties]
    hit = [frame.filter(pl.col("tier").is_in(named))["household_id"].sort() for frame in with_waiting]
    n = len(made.counties)
    assert all(one.equals(other) for one, other in zip(hit[:n], hit[n:], strict=True))
    assert sum(county.not_met.height for county in made.counties) == len(matrix)
    for county in made.counties:
        assert any("连续3次以上走访未见到人" in message.zh for message in county.messages)
        stands = county.not_met.group_by("place").agg("household_id")
        homes = {name: set(there) for name, there in stands.iter_rows()}
        assert homes["列入"] == set(county.listed["household_id"])
        assert homes.get("候补", set()) == set(county.waiting["household_id"])
        n_pausing = len(homes["暂缓"])
        assert any(f"暂缓{n_pausing}户" in message.zh for message in county.messages)
    names = [path.name for path in write_visit_list(made, tmp_path / "list")]
    file = next(name for name in names if name.startswith("未见到户_示范县"))
    text = (tmp_path / "list" / file).read_text(encoding="utf-8-sig")
    assert text.splitlines()[0] == "乡镇,村,户编号,连续未见到次数,上次走访,本期安排"
    assert not any(
        name.startswith("未见到户") for name in (p.name for p in write_visit_list(plain, tmp_path / "p"))
    )


def test_parts_that_do_not_fit_are_refused(matrix, hits, scores, panel):
    with pytest.raises(ContractError, match="RR483"):
        make_visit_list(matrix.rows(np.arange(5)), hits, None, 5)
    other = RiskScores(scores.index[::-1], (12,), scores.risk, scores.ranking)
    with pytest.raises(ContractError, match="RR483"):
        make_visit_list(matrix, hits, other, 5)
    two = build_features(panel, [date(2024, 5, 31), date(2024, 6, 30)], matrix.features)
    with pytest.raises(ContractError, match="RR482"):
        make_visit_list(
            two, RuleHits(two.index, hits.codes, np.zeros((len(two), len(hits.codes)), np.int8)), None, 5
        )
