"""Coverage counts what the rules say: covered, not covered and not known, which is neither."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.build import build_features
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import simulate
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.key_counties import FACTORS, rank_counties
from relapse_risk.rules.roll_up import LOW_INCOME_CLASSES, POPULATION, roll_up

AS_OF = date(2024, 6, 30)
EARLIER = date(2024, 1, 31)


def _table(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    dtypes = TABLE_BY_NAME[name].dtypes
    return pl.DataFrame([{column: row.get(column) for column in dtypes} for row in rows], schema=dtypes)


def _household(number: int, **given: Any) -> dict[str, Any]:
    place = {"county_code": "130127", "township_code": "130127101", "village_code": "130127101201"}
    base = {"household_id": f"H{number}", "household_type": "一般农户", "monitor_category": "非监测"}
    return {**base, **place, "recorded_on": EARLIER, "lowincome_class": "无", **given}


def _member(household: int, number: int, born: int = 1980, **given: Any) -> dict[str, Any]:
    base = {"member_id": f"H{household}-{number}", "household_id": f"H{household}", "recorded_on": EARLIER}
    skill = {"sex": "男", "relation": "户主", "labour_skill": "普通劳动力", "is_present": True}
    return {**base, **skill, "birth_month": date(born, 3, 1), **given}


def _period(household: int, **given: Any) -> dict[str, Any]:
    key = {"household_id": f"H{household}", "period_end": date(2024, 3, 31), "period_months": 3}
    return {**key, "recorded_on": date(2024, 4, 10), "n_person": 3.0, **given}


@pytest.fixture
def panel() -> Panel:
    """Five households, each for one thing that is easily counted wrongly."""
    return Panel(
        {
            "household": _table(
                "household",
                [
                    _household(1, household_type="脱贫户", village_is_lifted=True),
                    _household(2, lowincome_class="低保"),
                    _household(3, monitor_category="边缘易致贫户", village_code="130127101202"),
                    _household(4, lowincome_class=None),
                    _household(5, monitor_category="边缘易致贫户", risk_cleared=True),
                ],
            ),
            "member": _table(
                "member",
                [
                    # One insured, one not, one not known, one moved out: nobody reports for the period.
                    _member(1, 1, med_insured=True),
                    _member(1, 2, med_insured=False),
                    _member(1, 3),
                    _member(1, 4, med_insured=False, is_present=False),
                    # A child out of school, one unfit to study, one of six in preschool, one not known.
                    _member(2, 1, 2014, school_status="非在校", not_school_reason="厌学", med_insured=True),
                    _member(
                        2, 2, 2014, school_status="非在校", not_school_reason="身体原因", med_insured=True
                    ),
                    _member(2, 3, 2018, school_status="学前", med_insured=True),
                    _member(2, 4, 2014, med_insured=True),
                    # The period says that one more is uninsured than the members do.
                    _member(3, 1, med_insured=True),
                    _member(3, 2, med_insured=True),
                    _member(5, 1, med_insured=True),
                ],
            ),
            "observation": _table(
                "observation",
                [
                    _period(1, house_grade="A", water_safe=True),
                    _period(2, house_grade="C", water_safe=False),
                    _period(3, uninsured_n=1, dropout_n=0),
                    _period(4, n_person=4.0, uninsured_n=1, dropout_n=1, house_grade="D"),
                    _period(5, house_grade="B", water_safe=True),
                ],
            ),
            "event": _table("event", []),
        }
    )


def coverage_of(panel: Panel, group: str = "all") -> dict[str, tuple[int, int, int]]:
    table = roll_up(panel, AS_OF).county_coverage().filter(pl.col("group") == group)
    return {row["indicator"]: (row["met"], row["unmet"], row["unknown"]) for row in table.to_dicts()}


def test_people_and_households_are_counted_covered_uncovered_and_unknown(panel: Panel) -> None:
    found = coverage_of(panel)
    assert found["insurance"] == (1 + 4 + 1 + 3 + 1, 1 + 1 + 1, 1)
    assert found["schooling"] == (1, 1 + 1, 1)
    assert found["housing"] == (2, 2, 1)
    assert found["water"] == (2, 1, 2)


def test_what_is_not_known_is_in_neither_numerator_nor_denominator(panel: Panel) -> None:
    rows = roll_up(panel, AS_OF).county_coverage().filter(pl.col("group") == "all")
    water = rows.filter(pl.col("indicator") == "water").to_dicts()[0]
    assert (water["met"], water["known"], water["unknown"]) == (2, 3, 2)
    assert water["share"] == pytest.approx(2 / 3)


def test_groups_are_what_the_opinion_means(panel: Panel) -> None:
    rows = roll_up(panel, AS_OF).population.group_by("group").agg(pl.col("households", "people").sum())
    counted = {row["group"]: (row["households"], row["people"]) for row in rows.to_dicts()}
    assert counted["all"] == (5, 3 + 4 + 2 + 4 + 1)
    assert counted["lifted"] == (1, 3)
    assert counted["monitored"] == (1, 2), "a cleared household is off the register"
    assert counted["low_income"] == (2, 6), "civil affairs' classes and the register"
    assert counted["class_unknown"] == (1, 4)
    assert counted["monitored_only"] == (1, 2)


def test_the_factors_of_key_counties(panel: Panel) -> None:
    row = roll_up(panel, AS_OF).counties.to_dicts()[0]
    assert (row["villages"], row["lifted_villages"], row["villages_unknown"]) == (2, 1, 1)
    assert (row["lifted_people"], row["low_income_people"], row["monitored_people"]) == (3, 6, 2)


def test_it_reads_nothing_recorded_later(panel: Panel) -> None:
    before = roll_up(panel, date(2024, 4, 9))
    assert before.county_coverage().filter(pl.col("indicator") == "housing")["known"].sum() == 0


def test_coverage_of_a_county_says_what_the_rules_say() -> None:
    """A household that is not covered is one the rule hits, and not known is one it can't judge."""
    county = simulate(200, 40, seed=3, oracle_dates=(), hazard_paths=0).panel()
    day = date(2022, 6, 30)
    result, hits = roll_up(county, day), apply_rules(build_features(county, [day]))
    rows = result.county_coverage().filter(pl.col("group") == "all")
    for indicator, code in (("housing", "R13"), ("water", "R14")):
        row = rows.filter(pl.col("indicator") == indicator).to_dicts()[0]
        state = hits.state(code).tolist()
        assert (row["met"], row["unmet"], row["unknown"]) == (state.count(0), state.count(1), state.count(-1))
    for indicator, code in (("insurance", "R11"), ("schooling", "R12")):
        unmet = rows.filter(pl.col("indicator") == indicator)["unmet"][0]
        assert (unmet > 0) == (hits.state(code) == 1).any()
    people = result.population.group_by("group").agg(pl.col("people").sum())
    counted = dict(people.rows())
    assert set(counted) == set(POPULATION)
    assert counted["all"] == counted["lifted"] + counted["ordinary"]
    assert counted["low_income"] == sum(counted[name] for name in (*LOW_INCOME_CLASSES, "monitored_only"))


COUNTIES = pl.DataFrame(
    {
        "county_code": ["1", "2", "3"],
        "county_name": ["a", "b", "c"],
        "lifted_villages": [9, 3, 9],
        "lifted_people": [100, 300, 200],
        "low_income_people": [10, 20, 30],
        "monitored_people": [5, 4, None],
    }
)


def test_counties_are_ranked_by_the_sum_of_ranks() -> None:
    ranked = rank_counties(COUNTIES)
    assert ranked["county_code"].to_list() == ["1", "2", "3"]
    assert ranked["lifted_villages_rank"].to_list() == [1, 3, 1]
    assert ranked["rank_sum"].to_list() == [1 + 3 + 3 + 1, 3 + 1 + 2 + 2, None]
    assert ranked["rank"].to_list() == [1, 1, None], "a factor that is not known ranks nobody"


def test_weights_are_a_choice_and_a_factor_can_be_left_out() -> None:
    ranked = rank_counties(COUNTIES, {"monitored_people": 0, "lifted_villages": 2})
    assert dict(ranked.select("county_code", "rank").rows()) == {"3": 1, "1": 2, "2": 3}
    for wrong in ({"villages": 1.0}, {"lifted_people": -1.0}, dict.fromkeys(FACTORS, 0.0)):
        with pytest.raises(ConfigurationError, match="RR246"):
            rank_counties(COUNTIES, wrong)
