"""The shipped table of thresholds: it loads, has no overlap, and says nothing nobody has verified."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.spec import COUNTY_PARAMETERS, parameter_unit
from relapse_risk.scores import CANNOT_JUDGE, HIT
from relapse_risk.thresholds import Threshold, ThresholdTable
from relapse_risk.vocabulary import Unit

HEBEI, GUIZHOU = "130727", "520101"


@pytest.mark.parametrize(
    ("county", "day", "value"),
    [
        (HEBEI, date(2022, 3, 31), None),
        (HEBEI, date(2022, 4, 1), 7300),
        (HEBEI, date(2022, 12, 31), 7300),
        (HEBEI, date(2021, 6, 30), None),
        (HEBEI, date(2023, 1, 1), None),
        (HEBEI, date(2025, 6, 30), None),
        (GUIZHOU, date(2022, 6, 30), None),
    ],
)
def test_line_is_known_only_where_it_was_verified(county: str, day: date, value: float | None) -> None:
    row = ThresholdTable.shipped().in_force("line", county, day)
    assert row is not None
    assert row.value == value
    assert row.verified == (value is not None)


@pytest.mark.parametrize("day", [date(2021, 12, 31), date(2023, 6, 30), date(2024, 12, 31)])
def test_gap_years_of_the_line_cannot_be_judged(make_matrix: Callable[..., FeatureMatrix], day: date) -> None:
    """A household is not above the line because nobody knows the line."""
    known = {
        "is_lifted": 1,
        "ref_income_pc_12m": 20000,
        "net_income_pc_12m": 20000,
        "income_yoy_change_share": -0.5,
    }
    row = ThresholdTable.shipped().in_force("line", HEBEI, day)
    assert row is not None
    hits = apply_rules(make_matrix([known], params={"line": row.value}, day=day))
    for code in ("R01", "R03", "R06", "R27"):
        assert hits.state(code)[0] == CANNOT_JUDGE
    own = apply_rules(make_matrix([known], params={"line": 21000}, day=day))
    assert own.state("R01")[0] == HIT


def test_what_the_county_gives_is_left_empty() -> None:
    shipped = ThresholdTable.shipped()
    for name in ("rural_dpi_prev", "dibao_standard"):
        row = shipped.in_force(name, HEBEI, date(2022, 6, 30))
        assert row is not None
        assert row.value is None
    assert {name for name in shipped.params if "." not in name} == set(COUNTY_PARAMETERS)


def test_every_row_says_where_it_comes_from() -> None:
    for row in ThresholdTable.shipped().layers[0]:
        assert row.source
        assert row.unit
        assert row.effective_from <= row.effective_to
        assert row.value is not None or not row.verified


def test_unit_of_a_parameter_is_the_one_its_name_ends_in() -> None:
    """Phrases format by the name, so that a county's row without a unit reads the same."""
    for row in ThresholdTable.shipped().layers[0]:
        unit = parameter_unit(row.param)
        assert row.unit in (unit.value.zh, "元/人·年")
        assert unit is not Unit.COUNT


def test_the_longest_area_wins_and_overlaps_are_refused() -> None:
    row = ThresholdTable.shipped().in_force("R07.ratio", HEBEI, date(2023, 1, 1))
    assert row is not None
    assert row.area == HEBEI
    assert row.verified
    twice = Threshold("R05.ratio", "*", 0.5, "倍", date.min, date.max, "a", verified=False)
    with pytest.raises(ContractError, match="RR301"):
        ThresholdTable([twice, twice])
