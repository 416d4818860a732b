"""Windows and latest values of observations against a plain reference, household by household."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from relapse_risk.features.evaluate import Evaluation
from relapse_risk.features.expression import Expression, param
from relapse_risk.features.operators import (
    annual,
    count_over,
    in_period,
    last,
    latest_annual,
    max_over,
    mean_over,
    min_over,
    months_since_report,
    period_is,
    slope_over,
    std_over,
    sum_over,
)
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

NAN = math.nan
DAYS = (date(2021, 6, 30), date(2022, 11, 17), date(2023, 12, 31))
Period = dict[str, Any]


def evaluate(known: KnownPanel, thresholds: ThresholdTable, *formulas: Expression) -> np.ndarray:
    def no_feature(name: str) -> Expression:
        raise KeyError(name)

    return Evaluation(known, known.thresholds(thresholds), no_feature).compute(formulas)


def last_month(day: date) -> int:
    return month_index(day) if day == month_end(month_index(day)) else month_index(day) - 1


def known_periods(panel: Panel, day: date) -> dict[str, list[Period]]:
    """Latest version of every period known on the day, latest first, without overlaps."""
    versions: dict[tuple[str, date], Period] = {}
    for row in panel.tables["observation"].sort("recorded_on", maintain_order=True).iter_rows(named=True):
        if row["recorded_on"] <= day:
            versions[row["household_id"], row["period_end"]] = row
    periods: dict[str, list[Period]] = {}
    for row in sorted(versions.values(), key=lambda row: row["period_end"], reverse=True):
        mine = periods.setdefault(row["household_id"], [])
        row["month"] = last_month(row["period_end"])
        if not mine or row["month"] <= mine[-1]["month"] - mine[-1]["period_months"]:
            mine.append(row)
    return periods


def reference_window(
    periods: list[Period], value: Callable[[Period], float], months: int, ago: int
) -> list[tuple[float, int, float]]:
    """(value, months, middle in years) of the known periods wholly inside the window, latest first."""
    if not periods:
        return []
    end = periods[0]["month"] - ago
    inside = []
    for row in periods:
        start = row["month"] - row["period_months"]
        if row["month"] <= end and start >= end - months and not math.isnan(value(row)):
            middle = (row["month"] - row["period_months"] / 2) / 12
            inside.append((value(row), row["period_months"], middle))
    return inside


def flow(column: str) -> Callable[[Period], float]:
    return lambda row: NAN if row[column] is None else row[column]


def yearly(column: str) -> Callable[[Period], float]:
    return lambda row: NAN if row[column] is None else row[column] * 12 / row["period_months"]


def reference_statistic(statistic: str, inside: list[tuple[float, int, float]]) -> float:
    if statistic == "count":
        return len(inside)
    if not inside:
        return NAN
    values, weights, middles = (np.array(column, dtype=float) for column in zip(*inside, strict=True))
    share = weights / weights.sum()
    mean = float(share @ values)
    match statistic:
        case "sum":
            return float(values.sum())
        case "mean":
            return mean
        case "min":
            return float(values.min())
        case "max":
            return float(values.max())
        case "std":
            return math.sqrt(share @ (values - mean) ** 2) if len(values) > 1 else NAN
        case _:
            if len(values) < 3:
                return NAN
            return float(np.polyfit(middles, values, 1, w=np.sqrt(weights))[0])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("day", DAYS)
def test_window_statistics_equal_the_plain_reference(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, seed: int, day: date
) -> None:
    panel = make_panel(seed)
    known, periods = panel.known_at(day), known_periods(panel, day)
    windows = [(12, 0), (12, 12), (24, 0), (3, 0), (7, 2), (60, 0)]
    built: dict[str, Callable[..., Expression]] = {
        "mean": mean_over,
        "min": min_over,
        "max": max_over,
        "std": std_over,
        "slope": slope_over,
        "count": count_over,
    }
    for months, ago in windows:
        formulas = [make("wage_income_yuan", months, ago) for make in built.values()]
        computed = evaluate(known, thresholds, *formulas)
        for row, household_id in enumerate(known.households["household_id"]):
            inside = reference_window(periods.get(household_id, []), yearly("wage_income_yuan"), months, ago)
            expected = [reference_statistic(name, inside) for name in built]
            np.testing.assert_allclose(computed[row], expected, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("coverage", [0.0, 0.5, 1.0])
def test_sums_need_their_coverage(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, seed: int, coverage: float
) -> None:
    panel, day = make_panel(seed), DAYS[2]
    known, periods = panel.known_at(day), known_periods(panel, day)
    computed = evaluate(known, thresholds, sum_over("oop_compliant_yuan", 12, 0, coverage))[:, 0]
    for row, household_id in enumerate(known.households["household_id"]):
        inside = reference_window(periods.get(household_id, []), flow("oop_compliant_yuan"), 12, 0)
        covered = sum(months for _, months, _ in inside)
        expected = sum(value for value, _, _ in inside) if covered and covered >= 12 * coverage else NAN
        np.testing.assert_allclose(computed[row], expected, rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("day", DAYS)
def test_latest_values_equal_the_plain_reference(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable, seed: int, day: date
) -> None:
    panel = make_panel(seed)
    known, periods = panel.known_at(day), known_periods(panel, day)
    computed = evaluate(
        known,
        thresholds,
        last("house_grade"),
        last("water_safe", back=1),
        last("house_grade", within_months=12),
        latest_annual("wage_income_yuan", back=2),
        last(period_is("work_place", "京津", "省外")),
        months_since_report(),
    )
    grades = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0, None: NAN}
    for row, household_id in enumerate(known.households["household_id"]):
        mine = periods.get(household_id, [])
        fresh = [
            grades[p["house_grade"]]
            for p in mine
            if p["house_grade"] is not None and mine[0]["month"] - p["month"] <= 12
        ]
        place = mine[0]["work_place"] if mine else None
        expected = [
            grades[mine[0]["house_grade"]] if mine else NAN,
            flow("water_safe")(mine[1]) if len(mine) > 1 else NAN,
            fresh[0] if fresh else NAN,
            yearly("wage_income_yuan")(mine[2]) if len(mine) > 2 else NAN,
            NAN if place is None else float(place in ("京津", "省外")),
            last_month(day) - mine[0]["month"] if mine else NAN,
        ]
        np.testing.assert_allclose(computed[row], expected, rtol=1e-12)


def test_a_parameter_inside_a_window_is_the_one_in_force_at_the_period_end(
    make_panel: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    panel = make_panel(1)
    known, periods = panel.known_at(DAYS[2]), known_periods(panel, DAYS[2])
    in_force = known.thresholds(thresholds)
    ratio = mean_over(annual("wage_income_yuan") / param("line"), 24)
    computed = evaluate(known, thresholds, ratio)[:, 0]
    counties = dict(known.households.select("household_id", "county_code").iter_rows())
    lines = set()
    for row, household_id in enumerate(known.households["household_id"]):

        def value(period: Period, county: str = counties[household_id]) -> float:
            line = in_force.in_force("line", county, period["period_end"])
            assert line is not None
            lines.add(line.value)
            return yearly("wage_income_yuan")(period) / (line.value or NAN)

        inside = reference_window(periods.get(household_id, []), value, 24, 0)
        np.testing.assert_allclose(computed[row], reference_statistic("mean", inside), rtol=1e-9)
    assert len(lines) > 2


def _observed(household_id: str, end: date, months: int, wage: float) -> dict[str, Any]:
    return {
        "household_id": household_id,
        "period_end": end,
        "period_months": months,
        "recorded_on": end,
        "n_person": 2.0,
        "wage_income_yuan": wage,
    }


def _household(household_id: str) -> dict[str, Any]:
    return {"household_id": household_id, "recorded_on": date(2020, 1, 1), "county_code": "130727"}


def test_windows_run_over_time_and_not_over_rows(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    """Row-wise rolling would give the household that lacks a month a value made of 13 months."""
    months = [month_end(month_index(date(2022, 1, 1)) + k) for k in range(24)]
    whole = [_observed("A", end, 1, 100.0 + k) for k, end in enumerate(months)]
    gap = [_observed("B", end, 1, 100.0 + k) for k, end in enumerate(months) if k != 17]
    panel = panel_of(household=[_household("A"), _household("B")], observation=whole + gap)
    known = panel.known_at(date(2023, 12, 31))
    year, before = sum_over("wage_income_yuan", 12), sum_over("wage_income_yuan", 12, ago=12)
    mean = mean_over("wage_income_yuan", 6, ago=3)
    computed = evaluate(known, thresholds, year, before, mean)
    np.testing.assert_allclose(computed[0], [sum(range(112, 124)), sum(range(100, 112)), 117.5 * 12])
    np.testing.assert_allclose(computed[1], [NAN, sum(range(100, 112)), 117.6 * 12])


def test_the_year_is_exact_for_any_mix_of_periods_that_fill_it(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    ends = {length: [] for length in (1, 3, 12)}
    quarters = [date(2023, 3, 31), date(2023, 6, 30), date(2023, 9, 30), date(2023, 12, 31)]
    months = [month_end(month_index(date(2023, 10, 1)) + k) for k in range(3)]
    ends[3] = [_observed("Q", end, 3, 300.0) for end in quarters]
    ends[12] = [_observed("Y", date(2023, 12, 31), 12, 1200.0)]
    mixed = [_observed("M", end, 3, 300.0) for end in quarters[:3]] + [
        _observed("M", end, 1, 100.0) for end in months
    ]
    too_long = [_observed("Z", quarters[0], 3, 1.0), _observed("Z", date(2022, 12, 31), 12, 1.0)]
    panel = panel_of(
        household=[_household(name) for name in "MQYZ"], observation=ends[3] + ends[12] + mixed + too_long
    )
    known = panel.known_at(date(2024, 1, 31))
    computed = evaluate(known, thresholds, sum_over("wage_income_yuan", 12), months_since_report())
    np.testing.assert_allclose(computed[:, 0], [1200.0, 1200.0, 1200.0, NAN])
    np.testing.assert_allclose(computed[:, 1], [1.0, 1.0, 1.0, 10.0])


def test_an_empty_cell_is_not_covered_but_or_else_covers_it(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    rows = [_observed("A", date(2023, 6, 30), 3, 10.0), _observed("A", date(2023, 9, 30), 3, 20.0)]
    rows[0]["wage_income_yuan"] = None
    known = panel_of(household=[_household("A")], observation=rows).known_at(date(2023, 12, 31))
    filled = in_period("wage_income_yuan").or_else(0)
    computed = evaluate(
        known,
        thresholds,
        sum_over("wage_income_yuan", 6),
        sum_over("wage_income_yuan", 6, coverage=0.5),
        sum_over(filled, 6),
        sum_over(filled, 12),
    )
    np.testing.assert_allclose(computed[0], [NAN, 20.0, 20.0, NAN])


def test_a_correction_counts_from_the_day_it_was_recorded(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    first = _observed("A", date(2023, 6, 30), 3, 10.0)
    corrected = first | {"recorded_on": date(2023, 9, 1), "wage_income_yuan": 99.0}
    panel = panel_of(household=[_household("A")], observation=[corrected, first])
    for day, expected in ((date(2023, 8, 31), 10.0), (date(2023, 9, 1), 99.0)):
        computed = evaluate(panel.known_at(day), thresholds, last("wage_income_yuan"))
        assert computed[0, 0] == expected
