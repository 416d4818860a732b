"""Dated parameters: which row is in force, against a plain search over all rows."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.thresholds import Threshold, ThresholdTable

PARAMS, AREAS = ("a", "b"), ("*", "13", "1307", "130727", "14")


def row(param: str, area: str, value: float | None, first: date, last: date) -> Threshold:
    return Threshold(param, area, value, "元", first, last, "test", True)


def random_layer(rng: np.random.Generator) -> list[Threshold]:
    rows = []
    for param in PARAMS:
        for area in AREAS:
            end = date(2020, 1, 1)
            for _ in range(int(rng.integers(0, 4))):
                start = end + timedelta(days=int(rng.integers(1, 300)))
                end = start + timedelta(days=int(rng.integers(0, 200)))
                rows.append(row(param, area, float(rng.random()), start, end))
    return rows


def searched(layers: list[list[Threshold]], param: str, county: str, day: date) -> Threshold | None:
    for layer in reversed(layers):
        fitting = [
            known
            for known in layer
            if known.param == param
            and (known.area == "*" or county.startswith(known.area))
            and known.covers(day)
        ]
        if fitting:
            return max(fitting, key=lambda known: 0 if known.area == "*" else len(known.area))
    return None


@pytest.mark.parametrize("seed", range(5))
def test_the_topmost_layer_and_in_it_the_longest_area_decides(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layers = [random_layer(rng) for _ in range(3)]
    table = ThresholdTable(*layers)
    days = [date(2020, 1, 1) + timedelta(days=int(d)) for d in rng.integers(0, 1200, 60)]
    for county in ("130727", "130828", "140000"):
        values = table.values("a", [county], days)[0]
        for day, value in zip(days, values, strict=True):
            expected = searched(layers, "a", county, day)
            assert table.in_force("a", county, day) == expected
            assert np.isnan(value) if expected is None else value == expected.value


def test_two_values_on_one_day_are_refused_and_an_unknown_value_hides_those_below() -> None:
    shipped = row("a", "*", 1.0, date(2020, 1, 1), date(2020, 12, 31))
    with pytest.raises(ContractError, match="RR301"):
        ThresholdTable([shipped, row("a", "*", 2.0, date(2020, 12, 31), date.max)])
    unknown = row("a", "13", None, date(2020, 6, 1), date(2020, 6, 30))
    table = ThresholdTable([shipped]).laid_over([unknown])
    assert np.isnan(table.values("a", ["130727"], [date(2020, 6, 15)])).all()
    assert table.values("a", ["130727"], [date(2020, 7, 1)]) == 1.0
    assert table.params == ("a",)
