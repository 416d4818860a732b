"""Dated parameters: which row is in force, against a plain search over all rows."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
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


COUNTY_FILE = """
[[threshold]]
param = "line"
area = "130727"
value = 7600
unit = "元/人·年"
effective_from = 2023-01-01
effective_to = 2023-12-31
source = "县文件"
verified = true

[[threshold]]
param = "R05.ratio"
value = 0.7
source = "县文件"
verified = false
"""


def county_file(folder: Path, text: str) -> Path:
    path = folder / "county.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_county_file_is_laid_over_the_shipped_table(tmp_path: Path) -> None:
    table = ThresholdTable.with_county_file(county_file(tmp_path, COUNTY_FILE))
    own = table.in_force("line", "130727", date(2023, 6, 30))
    assert own is not None
    assert (own.value, own.source, own.verified) == (7600.0, "县文件", True)
    assert own.origin.endswith("county.toml row 1")
    shipped = ThresholdTable.shipped()
    for county, day in (("130728", date(2023, 6, 30)), ("130727", date(2024, 1, 1))):
        assert table.in_force("line", county, day) == shipped.in_force("line", county, day)
    assert table.values("R05.ratio", ["520101"], [date(2024, 1, 1)]) == 0.7
    assert ThresholdTable.with_county_file(None) is shipped


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[threshold]\n", "RR231"),
        ("[line]\nvalue = 1\n", "RR232.*top-level keys line"),
        (
            COUNTY_FILE.replace("verified = true", "checked = true"),
            "RR232.*row 1.*checked.*verified is missing",
        ),
        (COUNTY_FILE.replace("value = 0.7", 'value = "0,7"'), "RR232.*row 2.*value is of the wrong type"),
        (COUNTY_FILE.replace("value = 0.7", "value = true"), "RR232.*row 2.*value is of the wrong type"),
        (COUNTY_FILE.replace("2023-12-31", "2023-12-31T00:00:00"), "RR232.*row 1.*effective_to"),
        (COUNTY_FILE.replace("2023-12-31", "2022-12-31"), "RR232.*row 1: ends on 2022-12-31"),
    ],
)
def test_a_county_file_that_is_wrong_is_refused_with_its_row(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ThresholdTable.with_county_file(county_file(tmp_path, text))


def test_a_county_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="RR231"):
        ThresholdTable.with_county_file(tmp_path / "nowhere.toml")


def test_an_overlap_names_both_rows(tmp_path: Path) -> None:
    twice = COUNTY_FILE + COUNTY_FILE.replace("R05.ratio", "R03.fall_share").replace(
        "2023-01-01", "2023-07-01"
    )
    with pytest.raises(ContractError, match=r"RR301.*threshold line, area 130727.*row 1.*row 3") as error:
        ThresholdTable.with_county_file(county_file(tmp_path, twice))
    assert "7600 from 2023-01-01 to 2023-12-31" in str(error.value)
    assert "7600 from 2023-07-01 to 2023-12-31" in str(error.value)


def test_the_store_beats_the_county_file_and_county_month_beats_both() -> None:
    """In the order of nearness: shipped, the county's file, the store's table, county_month."""
    county, day = "130727", date(2023, 6, 30)
    base = ThresholdTable.shipped().laid_over(
        [
            row(param, county, 1.0, date(2023, 1, 1), date.max)
            for param in ("line", "rural_dpi_prev", "R05.ratio")
        ]
    )
    stored = [
        {"param": param, "area_code": county, "value": 2.0}
        | {"effective_from": date(2023, 1, 1), "source": "s", "verified": True, "recorded_on": day}
        for param in ("line", "rural_dpi_prev")
    ]
    month = {"county_code": county, "month": date(2023, 6, 1), "recorded_on": day, "rural_dpi_prev_yuan": 3.0}
    tables = {"threshold": stored, "county_month": [month]}
    panel = Panel(
        {
            name: pl.DataFrame(rows, schema_overrides=TABLE_BY_NAME[name].dtypes).pipe(completed, name)
            for name, rows in (tables | {"household": [{"household_id": "H", "recorded_on": day}]}).items()
        },
        thresholds=base,
    )
    in_force = panel.known_at(day).thresholds()
    found = {
        param: in_force.values(param, [county], [day])[0, 0]
        for param in ("R05.ratio", "line", "rural_dpi_prev")
    }
    assert found == {"R05.ratio": 1.0, "line": 2.0, "rural_dpi_prev": 3.0}
    other = panel.known_at(day).thresholds(ThresholdTable([])).in_force("R05.ratio", county, day)
    assert other is None


def completed(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    dtypes = TABLE_BY_NAME[table].dtypes
    lacking = [pl.lit(None, dtype=dtypes[name]).alias(name) for name in dtypes if name not in frame.columns]
    return frame.with_columns(lacking).select(list(dtypes))
