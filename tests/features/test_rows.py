"""Rows of members and events: what is withheld, and what is refused where it is declared."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.build import build_features
from relapse_risk.features.expression import Expression
from relapse_risk.features.operators import events, household, is_in, is_true, members, rows
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
