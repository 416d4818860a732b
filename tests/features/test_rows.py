"""Rows of members and events: what is withheld, and what is refused where it is declared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.build import build_features
from relapse_risk.features.expression import Expression
from relapse_risk.features.operators import (
    days_ago,
    event_sum,
    events,
    household,
    is_in,
    is_true,
    members,
    rows,
)
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Unit


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
    features, day = FeatureSet([Feature("severe_n", "", "", Unit.PERSONS, "test", severe)]), date(2021, 1, 1)
    none = panel_of(household=home, member=people)
    assert np.isnan(build_features(none, [day], features, thresholds).values).all()
    people[0]["disability_grade"] = 1
    some = panel_of(household=home, member=people)
    computed = build_features(some, [day], features, thresholds).column("severe_n")
    np.testing.assert_array_equal(computed, [1.0, 0.0, np.nan])


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


def test_the_last_days_of_a_lookback_are_counted_to_the_day(
    panel_of: Callable[..., Panel], thresholds: ThresholdTable
) -> None:
    """``within_days=90`` is the as-of date and the 89 days before it; a year starts on its first day."""
    day = date(2023, 12, 31)
    ago = (0, 89, 90, 364, 365)
    fell = [
        {"event_id": str(n), "event_type": "住院", "event_date": day - timedelta(days=n), "oop_yuan": 10.0**i}
        for i, n in enumerate(ago)
    ]
    shared = {"household_id": "A", "source_dept": "医保", "recorded_on": day}
    home = {"household_id": "A", "recorded_on": date(2020, 1, 1), "county_code": "1"}
    panel = panel_of(household=[home], event=[event | shared for event in fell])
    formulas = [
        events(within_days=90),
        event_sum("oop_yuan", within_days=365),
        event_sum("oop_yuan", since_year_start=True),
        events(conditions=(days_ago("event_date", at_least=90, at_most=364),)),
    ]
    features = FeatureSet(Feature(f"f{i}", "", "", Unit.COUNT, "test", f) for i, f in enumerate(formulas))
    computed = build_features(panel, [day], features, thresholds).values[0]
    np.testing.assert_array_equal(computed, [2, 1111, 1111, 2])
