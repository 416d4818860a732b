"""A what-if says what the rules would say had the threshold been another, and changes nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.spec import FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import simulate
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.candidates import candidate_category
from relapse_risk.rules.caseload import CANDIDATES, PEOPLE, WhatIf, merge_curves, merge_what_ifs
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.changes import parse_settings
from relapse_risk.rules.tiers import TIERS, tier_of
from relapse_risk.rules.what_if import _Scene, caseload_curve, depending_on, what_if

AS_OF = date(2023, 6, 30)
LINE = 7770.0


@pytest.fixture(scope="module")
def panel() -> Panel:
    county = simulate(400, 60, seed=5, oracle_dates=(), hazard_paths=0).panel()
    # A second county of the same households, so that areas can be told apart.
    tables = {name: frame for name, frame in county.tables.items() if "household_id" in frame.columns}
    twins = {name: _moved(frame) for name, frame in tables.items()}
    return replace(
        county, tables={**county.tables, **{name: pl.concat([tables[name], twins[name]]) for name in tables}}
    )


def _moved(frame: pl.DataFrame) -> pl.DataFrame:
    codes = [name for name in ("county_code", "township_code", "village_code") if name in frame.columns]
    keys = [
        name
        for name in ("member_id", "event_id", "measure_id", "visit_id", "case_id")
        if name in frame.columns
    ]
    return frame.with_columns(
        pl.lit("X").add(pl.col("household_id")).alias("household_id"),
        *(pl.lit("X").add(pl.col(name)).alias(name) for name in keys),
        *(pl.lit("14").add(pl.col(name).str.slice(2)).alias(name) for name in codes),
    )


def with_line(panel: Panel, line: float) -> Panel:
    """Return the panel of a county that had enacted this line on the first day of the year."""
    is_this_year = pl.col("effective_from") == date(2023, 1, 1)
    rows = panel.tables["threshold"].with_columns(
        value=pl.when((pl.col("param") == "line") & is_this_year).then(line).otherwise("value")
    )
    return replace(panel, tables={**panel.tables, "threshold": rows})


@pytest.fixture(scope="module")
def enacted(panel: Panel) -> Panel:
    """The panel with the line given to both counties, as the table of thresholds has it."""
    rows = panel.tables["threshold"]
    twin = rows.with_columns(pl.lit("14").add(pl.col("area_code").str.slice(2)).alias("area_code"))
    return replace(panel, tables={**panel.tables, "threshold": pl.concat([rows, twin])})


@pytest.fixture(scope="module")
def raised(enacted: Panel) -> WhatIf:
    return what_if(enacted, AS_OF, {"line": 9000.0, "R04.ratio": 3.0, "R05.ratio": 3.0})


def test_it_equals_a_county_that_had_enacted_the_line(enacted: Panel) -> None:
    """Every feature and every rule, windows that reach back included, though few are computed again."""
    scene = _Scene(enacted, AS_OF, "*", RULES)
    seen = scene.then(scene.rows_for({"line": 9000.0}))
    matrix = build_features(with_line(enacted, 9000.0), [AS_OF])
    np.testing.assert_array_equal(seen.matrix.select(CATALOG.names).values, matrix.values)
    np.testing.assert_array_equal(seen.hits.states, apply_rules(matrix).states)
    now = build_features(enacted, [AS_OF])
    for name in ("ref_income_to_line", "periods_in_band_24m"):
        assert not np.array_equal(now.column(name), matrix.column(name), equal_nan=True), name


def test_only_what_depends_on_the_parameter_is_computed_again() -> None:
    again = depending_on({"line"}, CATALOG)
    assert {"ref_income_to_line", "periods_in_band_24m", "period_income_county_rank"} <= set(again.names)
    assert len(again) < len(CATALOG) / 4
    assert not len(depending_on({"R05.ratio"}, CATALOG))


def test_the_value_in_force_moves_nobody(enacted: Panel) -> None:
    same = what_if(enacted, AS_OF, {"line": LINE})
    assert same.movers.is_empty()
    assert same.totals["change"] == same.totals["entering"] == same.totals["leaving"] == 0


def test_every_table_adds_up_to_the_same_households(raised: WhatIf, enacted: Panel) -> None:
    totals = raised.totals
    assert totals["entering"] > 0
    assert totals["leaving"] > 0
    for by in ("category", "township", "labour_class", "county"):
        table = raised.table(by)
        for name in ("now", "then", "registered", "people_now", "people_then"):
            assert table[name].sum() == totals[name], (by, name)
        assert table.select(
            (pl.col("then") - pl.col("now") == pl.col("entering") - pl.col("leaving")).all()
        ).item()
    tiers = raised.table("tier")
    assert tiers["now"].sum() == tiers["then"].sum() == raised.cells["households"].sum()
    matrix = build_features(enacted, [AS_OF])
    hits = apply_rules(matrix)
    found = [c for c in candidate_category(matrix, hits) if c is not None]
    assert {c: found.count(c) for c in CANDIDATES} == dict(
        raised.table("category").select("category", "now").rows()
    )
    counted = np.bincount(tier_of(matrix, hits), minlength=len(TIERS))
    assert counted.tolist() == tiers["now"].to_list()


def test_people_are_members_where_members_are_known(enacted: Panel) -> None:
    features = FeatureSet((*CATALOG.select(["household_size"]), PEOPLE))
    members = enacted.known_at(AS_OF).table("member").filter(pl.col("is_present").ne_missing(other=False))
    counted = dict(members.group_by("household_id").len().rows())
    matrix = build_features(enacted, [AS_OF], features)
    people = dict(zip(matrix.index["household_id"], matrix.column(PEOPLE.name).tolist(), strict=True))
    # Where no member is present any more, the persons last reported stand.
    assert {h: n for h, n in people.items() if h in counted} == {
        h: counted[h] for h in people if h in counted
    }
    without = replace(enacted, tables={n: f for n, f in enacted.tables.items() if n != "member"})
    matrix = build_features(without, [AS_OF], features)
    np.testing.assert_array_equal(matrix.column(PEOPLE.name), matrix.column("household_size"))


def test_who_enters_and_leaves_is_told_with_the_new_number(raised: WhatIf) -> None:
    movers = raised.movers
    entering, leaving = (movers.filter(pl.col("change") == kind) for kind in ("进入", "退出"))
    assert entering.height == raised.totals["entering"]
    assert leaving.height == raised.totals["leaving"]
    below = entering.filter(pl.col("rules").str.contains("R01|R02"))
    assert below.height
    assert below["why"].str.contains("9000元").all()
    assert leaving["why"].str.contains("不再触发").all()
    assert entering["category_then"].is_in(CANDIDATES).all()
    assert not entering["category_now"].is_in(CANDIDATES).any()


def test_sentences_come_in_english_too(enacted: Panel) -> None:
    movers = what_if(enacted, AS_OF, {"line": 9000.0}, language="en").movers
    assert set(movers["change"]) <= {"enters", "leaves", "changes category"}
    assert movers["why"].str.contains("yuan").any()


def test_an_area_keeps_to_its_counties(enacted: Panel) -> None:
    one, both = (what_if(enacted, AS_OF, {"line": 9000.0}, area) for area in ("14", "*"))
    assert set(one.cells["county_code"]) == {"149901"}
    assert set(both.cells["county_code"]) == {"139901", "149901"}
    assert both.totals["entering"] == 2 * one.totals["entering"]
    with pytest.raises(ConfigurationError, match="RR245"):
        what_if(enacted, AS_OF, {"line": 9000.0}, "99")


def test_parts_by_county_make_the_whole(enacted: Panel) -> None:
    parts = merge_what_ifs([what_if(enacted, AS_OF, {"line": 9000.0}, area) for area in ("13", "14")])
    whole = what_if(enacted, AS_OF, {"line": 9000.0})
    assert parts.totals == whole.totals
    assert parts.table("category").equals(whole.table("category"))
    assert parts.measures.equals(whole.measures)
    assert set(parts.movers["household_id"]) == set(whole.movers["household_id"])
    curves = [caseload_curve(enacted, AS_OF, "line", [8000, 9000], area=area) for area in ("13", "14")]
    assert merge_curves(curves).frame.equals(caseload_curve(enacted, AS_OF, "line", [8000, 9000]).frame)


def test_a_county_without_a_line_has_nothing_in_force_and_may_try_one(panel: Panel) -> None:
    """Hebei has no verified line since 2023: the what-if gives the caseload of a planned one."""
    tried = what_if(panel, AS_OF, {"line": 7500.0}, "14")
    assert tried.settings["now"].to_list() == [None]
    assert tried.totals["unknown_now"] > tried.totals["unknown_then"]
    assert tried.totals["entering"] > 0


def test_it_stands_above_what_the_month_of_the_county_says(enacted: Panel) -> None:
    scene = _Scene(enacted, AS_OF, "13", RULES)
    seen = scene.then(scene.rows_for({"rural_dpi_prev": 10_000.0}))
    assert set(seen.matrix.parameter("rural_dpi_prev")) == {10_000.0}
    assert set(scene.now.matrix.parameter("rural_dpi_prev")) != {10_000.0}


def test_the_curve_goes_through_the_what_ifs(enacted: Panel) -> None:
    curve = caseload_curve(enacted, AS_OF, "line", [LINE, 9000.0], {"R05.ratio": 0.7}, "13")
    assert curve.in_force == (LINE,)
    for value in (LINE, 9000.0):
        tried = what_if(enacted, AS_OF, {"line": value, "R05.ratio": 0.7}, "13")
        rows = curve.frame.filter(pl.col("value") == value)
        assert rows["households"].to_list() == tried.table("category")["then"].to_list()
        assert rows["people"].to_list() == tried.table("category")["people_then"].to_list()


@pytest.mark.parametrize(
    ("values", "code", "hint"),
    [
        ({"lien": 7500.0}, "RR243", "line"),
        ({"R5.ratio": 0.7}, "RR243", "R05.ratio"),
        ({"line": 0.75}, "RR244", "not 万元"),
        ({"line": 625.0}, "RR244", "not a month's"),
        ({"line": -7500.0}, "RR244", "1942.5 to 31080"),
        ({"R03.fall_share": 30.0}, "RR244", "0.7 for 70%"),
        ({"R05.ratio": 70.0}, "RR244", "0.7 for 70%"),
        ({"R31.interval_days": 30.5}, "RR244", "days"),
    ],
)
def test_a_wrong_name_or_unit_is_refused_with_the_way_out(
    enacted: Panel, values: dict[str, float], code: str, hint: str
) -> None:
    with pytest.raises(ConfigurationError, match=code) as caught:
        what_if(enacted, AS_OF, values)
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    "text", ["line", "line=", "=7500", "line=7,500", "line=1:2", "line=nan", "line=7:8:9:1"]
)
def test_a_setting_that_can_not_be_read_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="RR241"):
        parse_settings([text])


@pytest.mark.parametrize(
    "texts", [["line=8000:7000:100"], ["line=7000:8000:1"], ["line=1:2:0"], ["a=1:3:1", "b=1:3:1"]]
)
def test_a_run_of_values_has_an_end_and_there_is_one(texts: list[str]) -> None:
    with pytest.raises(ConfigurationError, match="RR242"):
        parse_settings(texts)


def test_a_run_of_values_includes_both_ends() -> None:
    assert parse_settings(["R05.ratio=0.5:0.8:0.1"]).curve == ("R05.ratio", (0.5, 0.6, 0.7, 0.8))
