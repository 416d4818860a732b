"""Labels, cohort, features and rules mean the same by "below the line"."""

from datetime import date

import numpy as np
import pytest

from relapse_risk.config import LabelConfig
from relapse_risk.features.build import build_features
from relapse_risk.panel.synthetic import simulate
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.welfare import FAILING, FINE, last_complete_month, welfare_states


@pytest.mark.parametrize("as_of_date", [date(2020, 6, 30), date(2021, 11, 15), date(2022, 12, 31)])
def test_the_state_a_label_sees_is_the_income_that_rules_and_lists_quote(as_of_date: date) -> None:
    panel = simulate(300, 48, seed=5, oracle_dates=[]).panel()
    known = panel.known_at(as_of_date)
    income_only = LabelConfig(outcomes=("income",))
    grid = welfare_states(known, income_only, known.thresholds(ThresholdTable.shipped()))
    matrix = build_features(panel, [as_of_date])
    age = matrix.column("months_since_report")
    # A household just founded has no report yet.
    latest = last_complete_month(as_of_date) - np.where(np.isnan(age), np.nanmin(age), age)
    rows, column = grid.positions(matrix.index["household_id"]), latest.astype(int) - grid.first_month
    state = grid.state[rows, column]
    income = matrix.column("ref_income_pc_12m")
    # A line that changed since the report is the features' affair; compare with the line of the report.
    year_of_report = (column + grid.first_month) // 12
    same_line = year_of_report == as_of_date.year
    is_known = ~np.isnan(income) & same_line & ~np.isnan(age)
    below = income < matrix.parameter("line")

    assert is_known.sum() > 200
    assert np.array_equal(state[is_known] == FAILING, below[is_known])
    assert (state[is_known] >= FINE).all()
