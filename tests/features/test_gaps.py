"""Windows run over time and never over rows: a month that is missing moves nothing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np

from relapse_risk.features.evaluate import Evaluation
from relapse_risk.features.expression import Expression
from relapse_risk.features.operators import last, mean_over, sum_over
from relapse_risk.panel.panel import Panel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

FIRST, MONTHS, LACKED = month_index(date(2022, 1, 1)), 24, 18


def no_feature(name: str) -> Expression:
    raise KeyError(name)


def test_a_month_that_a_tenth_of_the_households_lack_shifts_no_window(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    """Counted in rows, the window of those that lack a month would reach one month further back."""
    ids = [f"H{i:03d}" for i in range(100)]
    place = {"county_code": "130727", "township_code": "130727001", "village_code": "130727001001"}
    start = month_end(FIRST)
    households = [{"household_id": each, "recorded_on": start, **place} for each in ids]
    lacks = np.arange(100) % 10 == 0
    reports = [
        {
            "household_id": each,
            "period_end": month_end(FIRST + month),
            "period_months": 1,
            "recorded_on": month_end(FIRST + month),
            "n_person": 2.0,
            "wage_income_yuan": 100.0 + month,
        }
        for each, is_lacking in zip(ids, lacks, strict=True)
        for month in range(MONTHS)
        if not (is_lacking and month == LACKED)
    ]
    known = panel_of(household=households, observation=reports).known_at(month_end(FIRST + MONTHS - 1))
    wage = "wage_income_yuan"
    asked = [
        sum_over(wage, 12, coverage=0.5),
        sum_over(wage, 12),
        mean_over(wage, 12),
        sum_over(wage, 12, ago=12),
        last(wage, within_months=12),
    ]
    found = Evaluation(known, known.thresholds(thresholds), no_feature).compute(asked)
    year = np.array([100.0 + month for month in range(12, 24)])
    held = year[np.arange(12, 24) != LACKED]
    assert np.array_equal(found[:, 0], np.where(lacks, held.sum(), year.sum()))
    assert np.array_equal(found[:, 1], np.where(lacks, np.nan, year.sum()), equal_nan=True)
    np.testing.assert_allclose(found[:, 2], np.where(lacks, held.mean(), year.mean()) * 12)
    assert (found[:, 3] == sum(100.0 + month for month in range(12))).all()
    assert (found[:, 4] == 123.0).all()
