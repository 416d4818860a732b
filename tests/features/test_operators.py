"""Every operator against its plain reference, on random panels, for one date and for several."""

from __future__ import annotations

import inspect
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.features.reference import Reference
from tests.features.strategies import ANY_DAY, OPERATORS, TABLES_OF, formulas, panels

from relapse_risk.features import operators
from relapse_risk.features.build import build_features
from relapse_risk.features.expression import Expression, feature
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.thresholds import Threshold, ThresholdTable
from relapse_risk.vocabulary import Unit

# The line rises each year, so that a period has the line of its own time; one county has none before 2022.
LINES = ThresholdTable(
    [
        Threshold(
            "line", "1307", 1000.0 * (year - 2019), "元", date(year, 1, 1), date(year, 12, 31), "", False
        )
        for year in range(2022, 2025)
    ]
    + [Threshold("line", "1304", 2000.0, "元", date.min, date.max, "", False)]
)
FEW = settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(FEW, max_examples=40)
MOST = settings(FEW, max_examples=1500)


def named(formula: Expression, position: int) -> Feature:
    return Feature(f"f{position}", "", "", Unit.RATIO, "test", formula)


def computed(panel: Panel, days: list[date], features: FeatureSet) -> FeatureMatrix:
    return build_features(panel, days, features, LINES)


def check(panel: Panel, days: list[date], formulas: list[Expression]) -> None:
    """Compare every value of every household and date."""
    features = FeatureSet(named(formula, i) for i, formula in enumerate(formulas))
    matrix = computed(panel, days, features)
    known = {day: Reference(panel, day, LINES, lambda name: features[name].formula) for day in days}
    keys = list(matrix.index.select("household_id", "as_of_date").iter_rows())
    assert keys == [(name, day) for day in sorted(set(days)) for name in sorted(known[day].households)]
    for i, formula in enumerate(formulas):
        expected = [known[day].value(formula, household_id) for household_id, day in keys]
        np.testing.assert_allclose(
            matrix.values[:, i], expected, rtol=1e-9, atol=1e-6, err_msg=f"{formula!r} for {keys}"
        )


@pytest.mark.parametrize("name", OPERATORS)
def test_operator_equals_its_plain_reference(name: str) -> None:
    @FEW
    @given(
        panels(TABLES_OF.get(name, ("observation",))),
        st.lists(ANY_DAY, min_size=1, max_size=3),
        st.lists(OPERATORS[name], min_size=1, max_size=4),
    )
    def compare(panel: Panel, days: list[date], formulas: list[Expression]) -> None:
        check(panel, days, formulas)

    compare()


def test_every_operator_is_compared() -> None:
    """An operator without a plain reference is one nobody has checked."""
    of_rows = {"is_in", "has_item", "is_true", "is_false", "at_least", "below", "is_missing", "days_ago"}
    of_periods = {"in_period", "annual", "period_is"}
    public = {
        name
        for name, function in inspect.getmembers(operators, inspect.isfunction)
        if function.__module__ == operators.__name__ and not name.startswith("_")
    }
    assert public - of_rows - of_periods - {"is_flow"} == set(OPERATORS)


@MANY
@given(panels(), st.lists(ANY_DAY, min_size=1, max_size=3), st.lists(formulas(), min_size=1, max_size=6))
def test_formulas_equal_their_plain_reference(
    panel: Panel, days: list[date], formulas: list[Expression]
) -> None:
    check(panel, days, formulas)


@pytest.mark.slow
@MOST
@given(panels(), st.lists(ANY_DAY, min_size=1, max_size=4), st.lists(formulas(), min_size=1, max_size=8))
def test_many_formulas_equal_their_plain_reference(
    panel: Panel, days: list[date], formulas: list[Expression]
) -> None:
    check(panel, days, formulas)


@FEW
@given(panels(), ANY_DAY, formulas())
def test_a_feature_that_names_another_has_its_value(panel: Panel, day: date, formula: Expression) -> None:
    check(panel, [day], [formula, feature("f0"), feature("f0") + feature("f1")])
