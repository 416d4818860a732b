"""Statistics of members, events, measures, visits and cases, and of peers, against a plain reference."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.evaluate import Evaluation
from relapse_risk.features.expression import Expression
from relapse_risk.features.operators import (
    as_of_month,
    at_least,
    below,
    county_value,
    days_ago,
    days_since,
    days_since_event,
    days_until,
    days_until_due,
    event_max,
    event_sum,
    events,
    events_distinct,
    has_item,
    household,
    household_has,
    household_is,
    household_months_since,
    is_false,
    is_in,
    is_missing,
    is_true,
    last,
    latest_annual,
    member_any_unknown,
    member_event_sum_max,
    member_max,
    member_sum,
    members,
    peer_mean,
    peer_rank,
    rows,
)
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable

NAN = math.nan
DAYS = (date(2021, 6, 30), date(2022, 11, 17), date(2023, 12, 31))
Row = dict[str, Any]
Truth = bool | None


def evaluate(known: KnownPanel, thresholds: ThresholdTable, *formulas: Expression) -> np.ndarray:
    def no_feature(name: str) -> Expression:
        raise KeyError(name)

    return Evaluation(known, thresholds, no_feature).compute(formulas)


def known_rows(panel: Panel, table: str, day: date) -> dict[str, list[Row]]:
    """Latest version of every row known on the day, by household."""
    key = TABLE_BY_NAME[table].key
    versions: dict[tuple[Any, ...], Row] = {}
    for row in panel.tables[table].sort("recorded_on", maintain_order=True).iter_rows(named=True):
        if row["recorded_on"] <= day:
            versions[tuple(row[name] for name in key)] = row
    by_household: dict[str, list[Row]] = {}
    for row in versions.values():
        by_household.setdefault(row.get("household_id", ""), []).append(row)
    return by_household


def both(truths: Iterable[Truth]) -> Truth:
    listed = list(truths)
    return False if False in listed else None if None in listed else True


def equal(cell: Any, *values: Any) -> Truth:
    return None if cell is None else cell in values


def counted(truths: list[Truth]) -> float:
    """Kleene: a count of what is known, not known where nothing is and something might be."""
    return NAN if True not in truths and None in truths else float(truths.count(True))


def age(row: Row, day: date) -> int | None:
    born = row["birth_month"]
    return None if born is None else (12 * (day.year - born.year) + day.month - born.month) // 12


def compare(known: KnownPanel, computed: np.ndarray, expected: Callable[[str], list[float]]) -> None:
    for position, household_id in enumerate(known.households["household_id"]):
        np.testing.assert_allclose(computed[position], expected(household_id), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("day", DAYS)
def test_member_statistics_equal_the_plain_reference(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, seed: int, day: date
) -> None:
    panel = make_panel(seed)
    known, by_household = panel.known_at(day), known_rows(panel, "member", day)
    computed = evaluate(
        known,
        thresholds,
        members(),
        members(is_in("labour_skill", "技能劳动力", "普通劳动力"), at_least("age", 16), below("age", 60)),
        members(has_item("health_status", "残疾") | is_true("adl_dependent")),
        members(is_in("disability_grade", 1, 2)),
        members(~is_false("med_insured"), is_missing("work_place")),
        member_sum("monthly_wage_yuan", is_in("work_status", "在岗")),
        member_max("education"),
        member_any_unknown("med_insured", at_least("age", 18)),
        members(days_ago("job_end_on", at_least=60, at_most=400)),
    )
    levels = TABLE_BY_NAME["member"].by_name["education"].values

    def expected(household_id: str) -> list[float]:
        mine = [row for row in by_household.get(household_id, []) if row["is_present"] is not False]
        if not mine:
            return [NAN] * 9
        able = [
            both(
                [
                    equal(row["labour_skill"], "技能劳动力", "普通劳动力"),
                    None if age(row, day) is None else age(row, day) >= 16,
                    None if age(row, day) is None else age(row, day) < 60,
                ]
            )
            for row in mine
        ]
        ill = []
        for row in mine:
            listed = None if row["health_status"] is None else "残疾" in row["health_status"].split("、")
            either = (listed, row["adl_dependent"])
            ill.append(True if True in either else None if None in either else False)
        insured = [both([row["med_insured"], row["work_place"] is None]) for row in mine]
        at_work = [equal(row["work_status"], "在岗") for row in mine]
        wages = [row["monthly_wage_yuan"] for row, t in zip(mine, at_work, strict=True) if t]
        known_wages = [wage for wage in wages if wage is not None]
        wage_sum = sum(known_wages) if known_wages or (True not in at_work and None not in at_work) else NAN
        schooling = [levels.index(row["education"]) + 1 for row in mine if row["education"]]
        adult = [None if age(row, day) is None else age(row, day) >= 18 for row in mine]
        unknown = [t is True and row["med_insured"] is None for row, t in zip(mine, adult, strict=True)]
        any_unknown = 1.0 if any(unknown) else NAN if None in adult else 0.0
        left = [row["job_end_on"] is not None and 60 <= (day - row["job_end_on"]).days <= 400 for row in mine]
        return [
            float(len(mine)),
            counted(able),
            counted(ill),
            float(sum(row["disability_grade"] in (1, 2) for row in mine)),
            counted(insured),
            wage_sum,
            max(schooling, default=NAN),
            any_unknown,
            float(sum(left)),
        ]

    compare(known, computed, expected)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("day", DAYS)
def test_event_statistics_equal_the_plain_reference(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, seed: int, day: date
) -> None:
    panel = make_panel(seed)
    known, by_household = panel.known_at(day), known_rows(panel, "event", day)
    types = ("住院", "门诊", "灾害", "意外", "失业")
    computed = evaluate(
        known,
        thresholds,
        events(within_days=90),
        events(*types, conditions=(is_true("house_damaged"),)),
        event_sum("oop_yuan", *types, within_days=365),
        event_max("oop_yuan", *types, since_year_start=True),
        member_event_sum_max("oop_yuan", *types),
        events_distinct("source_dept", within_days=400),
        days_since_event(*types),
        days_until_due(*types),
    )

    def valued(found: list[Row], merge: Callable[[list[float]], float]) -> float:
        values = [row["oop_yuan"] for row in found if row["oop_yuan"] is not None]
        return merge(values) if values else NAN if found else 0.0

    def expected(household_id: str) -> list[float]:
        mine = by_household.get(household_id, [])
        since = {row["event_id"]: (day - row["event_date"]).days for row in mine}
        of_types = [row for row in mine if row["event_type"] in types]
        year = [row for row in of_types if since[row["event_id"]] < 365]
        this_year = [row for row in of_types if row["event_date"] >= date(day.year, 1, 1)]
        sums: dict[Any, float] = {}
        for row in of_types:
            if row["oop_yuan"] is not None:
                sums[row["member_id"]] = sums.get(row["member_id"], 0.0) + row["oop_yuan"]
        due = [(row["due_date"] - day).days for row in of_types if row["due_date"] and row["due_date"] >= day]
        return [
            sum(since[row["event_id"]] < 90 for row in mine),
            counted([row["house_damaged"] for row in of_types]),
            valued(year, sum),
            valued(this_year, max),
            max(sums.values()) if sums else NAN if of_types else 0.0,
            len({row["source_dept"] for row in mine if since[row["event_id"]] < 400}),
            min((since[row["event_id"]] for row in of_types), default=NAN),
            min(due, default=NAN),
        ]

    compare(known, computed, expected)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("day", DAYS)
def test_measures_visits_and_cases_equal_the_plain_reference(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, seed: int, day: date
) -> None:
    panel = make_panel(seed)
    known = panel.known_at(day)
    found = {table: known_rows(panel, table, day) for table in ("measure", "visit", "workflow")}
    computed = evaluate(
        known,
        thresholds,
        rows("measure", is_missing("end_on") | days_ago("end_on", at_most=0)),
        days_since("visit", "visited_on", is_in("outcome", "属实", "部分属实")),
        days_until("measure", "end_on"),
        rows("workflow", ~is_in("decision", "纳入"), within_days=365),
    )

    def expected(household_id: str) -> list[float]:
        measures, visits, cases = (found[table].get(household_id, []) for table in found)
        running = [row for row in measures if row["end_on"] is None or row["end_on"] >= day]
        visited = [
            (day - row["visited_on"]).days
            for row in visits
            if row["outcome"] in ("属实", "部分属实") and row["visited_on"] and row["visited_on"] <= day
        ]
        ends = [(row["end_on"] - day).days for row in measures if row["end_on"] and row["end_on"] >= day]
        recent = [row for row in cases if 0 <= (day - row["discovered_on"]).days < 365]
        others = [None if row["decision"] is None else row["decision"] != "纳入" for row in recent]
        return [len(running), min(visited, default=NAN), min(ends, default=NAN), counted(others)]

    compare(known, computed, expected)


@pytest.mark.parametrize("day", DAYS)
def test_household_county_and_peers_equal_the_plain_reference(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, day: date
) -> None:
    panel = make_panel(2)
    known = panel.known_at(day)
    wage, persons = latest_annual("wage_income_yuan"), last("n_person")
    computed = evaluate(
        known,
        thresholds,
        household("arable_mu"),
        household("all_no_labour"),
        household_is("coop_linkage", "合作社", "车间"),
        household_has("risk_types", "因病", "因残"),
        household_months_since("identified_on"),
        household_months_since("recorded_on"),
        county_value("cpi"),
        county_value("cpi", ago=12),
        as_of_month(),
        wage,
        persons,
        peer_rank(persons, "village_code"),
        peer_mean(wage < 8000, "county_code"),
    )
    mine = {rows[0]["household_id"]: rows[0] for rows in known_rows(panel, "household", day).values()}
    months = [row for row in known_rows(panel, "county_month", day)[""] if row["cpi"] is not None]
    wages = dict(zip(known.households["household_id"], computed[:, 9], strict=True))
    sizes = dict(zip(known.households["household_id"], computed[:, 10], strict=True))
    assert len(set(sizes.values())) < len(sizes) / 2, "ranks need ties"

    def neighbours(values: dict[str, float], household_id: str, level: str) -> list[float]:
        area = mine[household_id][level]
        return [
            values[other] for other in mine if mine[other][level] == area and not math.isnan(values[other])
        ]

    def latest_cpi(county: str, before: int) -> float:
        rows = [
            row
            for row in months
            if row["county_code"] == county and 12 * row["month"].year + row["month"].month <= before
        ]
        return max(rows, key=lambda row: row["month"])["cpi"] if rows else NAN

    def expected(household_id: str) -> list[float]:
        row, own = mine[household_id], sizes[household_id]
        village = neighbours(sizes, household_id, "village_code")
        county = neighbours(wages, household_id, "county_code")
        below_own = sum(size < own for size in village) + (sum(size == own for size in village) - 1) / 2
        rank = NAN if math.isnan(own) else below_own / (len(village) - 1) if len(village) > 1 else 0.5
        since = row["identified_on"]
        recorded = row["recorded_on"]
        whole = 12 * (day.year - recorded.year) + day.month - recorded.month
        ends_month = (day.month, day.day) in {(6, 30), (12, 31)}
        linkage, risks = row["coop_linkage"], row["risk_types"]
        return [
            NAN if row["arable_mu"] is None else row["arable_mu"],
            NAN if row["all_no_labour"] is None else row["all_no_labour"],
            NAN if linkage is None else linkage in ("合作社", "车间"),
            NAN if risks is None else bool({"因病", "因残"} & set(risks.split("、"))),
            NAN if since is None else 12 * (day.year - since.year) + day.month - since.month,
            whole - (recorded.day > day.day and not ends_month),
            latest_cpi(row["county_code"], 12 * day.year + day.month),
            latest_cpi(row["county_code"], 12 * day.year + day.month - 12),
            day.month,
            wages[household_id],
            own,
            rank,
            float(np.mean([wage < 8000 for wage in county])) if county else NAN,
        ]

    compare(known, computed, expected)


def test_a_column_a_county_left_out_is_not_known_though_its_empty_cells_mean_none(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    """Decided by county, so that a county computed alone gives the same numbers."""
    home = [
        {"household_id": name, "recorded_on": date(2020, 1, 1), "county_code": county}
        for name, county in (("A", "1"), ("B", "1"), ("C", "2"))
    ]
    person = {"recorded_on": date(2020, 1, 1), "labour_skill": "普通劳动力"}
    people = [person | {"member_id": name, "household_id": name} for name in "ABC"]
    severe = members(is_in("disability_grade", 1, 2))
    none = panel_of(household=home, member=people).known_at(date(2021, 1, 1))
    assert np.isnan(evaluate(none, thresholds, severe)).all()
    people[0]["disability_grade"] = 1
    some = panel_of(household=home, member=people).known_at(date(2021, 1, 1))
    np.testing.assert_array_equal(evaluate(some, thresholds, severe)[:, 0], [1.0, 0.0, NAN])


@pytest.mark.parametrize(
    "declare",
    [
        lambda: household("no_such_column"),
        lambda: members(is_true("no_such_column")),
        lambda: rows("no_such_table"),
        lambda: events("没有这种事件"),
        lambda: members(~is_in("labour_skill", "超级劳动力")),
    ],
)
def test_a_misspelt_column_or_code_is_refused_where_it_is_declared(declare: Callable[[], Expression]) -> None:
    with pytest.raises(ContractError, match="RR31"):
        declare()
