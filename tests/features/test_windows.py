"""Windows run over time: examples worked by hand. `test_operators.py` compares every operator at random."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np

from relapse_risk.features.build import build_features
from relapse_risk.features.expression import Expression
from relapse_risk.features.operators import in_period, last, mean_over, months_since_report, sum_over
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Unit
from relapse_risk.windows import month_end, month_index

NAN = math.nan


def values_of(panel: Panel, day: date, thresholds: ThresholdTable, *formulas: Expression) -> np.ndarray:
    features = FeatureSet(Feature(f"f{i}", "", "", Unit.RATIO, "test", f) for i, f in enumerate(formulas))
    return build_features(panel, [day], features, thresholds).values


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
    day = date(2023, 12, 31)
    year, before = sum_over("wage_income_yuan", 12), sum_over("wage_income_yuan", 12, ago=12)
    mean = mean_over("wage_income_yuan", 6, ago=3)
    computed = values_of(panel, day, thresholds, year, before, mean)
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
    day = date(2024, 1, 31)
    computed = values_of(panel, day, thresholds, sum_over("wage_income_yuan", 12), months_since_report())
    np.testing.assert_allclose(computed[:, 0], [1200.0, 1200.0, 1200.0, NAN])
    np.testing.assert_allclose(computed[:, 1], [1.0, 1.0, 1.0, 10.0])


def test_an_empty_cell_is_not_covered_but_or_else_covers_it(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    rows = [_observed("A", date(2023, 6, 30), 3, 10.0), _observed("A", date(2023, 9, 30), 3, 20.0)]
    rows[0]["wage_income_yuan"] = None
    panel, day = panel_of(household=[_household("A")], observation=rows), date(2023, 12, 31)
    filled = in_period("wage_income_yuan").or_else(0)
    computed = values_of(
        panel,
        day,
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
        computed = values_of(panel, day, thresholds, last("wage_income_yuan"))
        assert computed[0, 0] == expected
