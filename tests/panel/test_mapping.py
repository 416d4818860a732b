"""A mapping makes canonical tables of another system's columns, and says what it had to assume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relapse_risk.errors import ConfigurationError, DataError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.mapping import check_mapping
from relapse_risk.panel.raw import RawTables
from relapse_risk.panel.read import read_exports
from relapse_risk.toml_file import load

MAPPINGS = Path(__file__).parents[2] / "data" / "mappings"

HOUSEHOLD = {
    "household_id": "hid",
    "recorded_on": {"year_end": ["y"]},
    "county_code": {"parts": [{"column": "reg", "recode": {"north": "01"}}, {"column": "town", "width": 4}]},
    "township_code": {"constant": "010007001"},
    "village_code": {"constant": "010007001001"},
    "household_type": {"constant": "一般农户"},
    "monitor_category": {"column": "watched", "recode": {"1": "边缘易致贫户", "0": "非监测"}},
}
OBSERVATION = {
    "household_id": "hid",
    "period_end": {"quarter_end": ["y", "q"]},
    "period_months": {"constant": 3},
    "recorded_on": {"after": "period_end", "delay_days": 20},
    "n_person": "size",
    "net_income_yuan": {"column": "income", "scale": 3},
}


def mapping(**changes: Any) -> Mapping:
    raw: dict[str, Any] = {
        "name": "test",
        "source": "made up",
        "tables": {
            "household": {"file": "survey", "columns": dict(HOUSEHOLD), "first_of_each": True},
            "observation": {"file": "survey", "columns": dict(OBSERVATION)},
        },
        "extra": [{"column": "rooms", "name": "rooms", "zh": "房间数", "en": "rooms"}],
    }
    return Mapping.model_validate(raw | changes)


@pytest.fixture
def survey(tmp_path, write_table) -> Path:
    common = {"hid": "A1", "reg": "north", "town": "7", "watched": "0", "size": "2.5"}
    rows = [
        common | {"y": "2020", "q": "1", "income": "1,000", "rooms": "3", "other": "x"},
        common | {"y": "2020", "q": "4", "income": "n.a.", "rooms": "", "other": "y"},
        common | {"y": "2020", "q": "5", "income": "", "rooms": "4", "other": "z"},
    ]
    return write_table(tmp_path / "survey.csv", rows)


def rows_of(raw: RawTables, table: str) -> list[dict[str, str | None]]:
    (part,) = raw.of(table)
    return part.frame.to_dicts()


def test_every_kind_of_source(survey: Path) -> None:
    raw = read_exports(survey, mapping())
    assert rows_of(raw, "household")[0] == {
        "household_id": "A1",
        "recorded_on": "2020-12-31",
        "county_code": "010007",
        "township_code": "010007001",
        "village_code": "010007001001",
        "household_type": "一般农户",
        "monitor_category": "非监测",
    }
    first, second, third = rows_of(raw, "observation")
    assert (first["period_end"], first["recorded_on"]) == ("2020-03-31", "2020-04-20")
    assert (first["net_income_yuan"], first["period_months"], first["rooms"]) == ("3000.0", "3", "3")
    assert (second["period_end"], second["recorded_on"]) == ("2020-12-31", "2021-01-20")
    assert second["net_income_yuan"] == "n.a.", "a text that is no number stays, to be refused"
    assert (third["period_end"], third["recorded_on"]) == ("2020-Q5", None), "a fifth quarter is no date"


def test_months_and_quarter_starts(survey: Path) -> None:
    columns = dict(OBSERVATION) | {
        "period_end": {"month_end": ["y", "q"]},
        "recorded_on": {"quarter_start": ["y", "q"]},
    }
    tables = {
        "household": {"file": "survey", "columns": HOUSEHOLD},
        "observation": {"file": "survey", "columns": columns},
    }
    rows = rows_of(read_exports(survey, mapping(tables=tables)), "observation")
    assert [row["period_end"] for row in rows] == ["2020-01-31", "2020-04-30", "2020-05-31"]
    assert [row["recorded_on"] for row in rows][:2] == ["2020-01-01", "2020-10-01"]


def test_what_is_assumed_and_what_is_not_read(survey: Path) -> None:
    raw = read_exports(survey, mapping())
    assert raw.assumed == {"household": "built of y", "observation": "period_end + 20 days"}
    assert raw.unknown_columns == {"survey.csv": ("other",)}
    assert [extra.name for extra in raw.extra_columns] == ["rooms"]
    assert raw.mapping_name == "test"
    assert raw.of("household")[0].is_first_of_each


def test_recorded_on_from_a_column_is_not_assumed(survey: Path) -> None:
    columns = dict(HOUSEHOLD) | {"recorded_on": "y"}
    raw = read_exports(
        survey, mapping(tables={"household": {"file": "survey", "columns": columns}}, extra=[])
    )
    assert raw.assumed == {}


def test_files_the_mapping_does_not_name_are_read_as_usual(survey, write_table, event_row) -> None:
    write_table(survey.parent / "部门事件.csv", [event_row(1)])
    raw = read_exports(survey.parent, mapping())
    assert {table.table.name for table in raw.tables} == {"household", "observation", "event"}


def test_a_column_the_file_lacks(survey: Path) -> None:
    extra = [{"column": "bedrooms", "name": "bedrooms", "zh": "卧室", "en": "bedrooms"}]
    with pytest.raises(DataError) as caught:
        read_exports(survey, mapping(extra=extra))
    assert caught.value.code == "RR108"
    assert "bedrooms" in caught.value.found


@pytest.mark.parametrize(
    ("table", "columns", "problem"),
    [
        ("houshold", HOUSEHOLD, "no table houshold"),
        ("contact", {"household_id": "hid", "recorded_on": "y"}, "no table contact"),
        ("observation", OBSERVATION | {"incom": "income"}, "no column incom"),
        ("observation", {k: v for k, v in OBSERVATION.items() if k != "n_person"}, "n_person is required"),
        ("observation", OBSERVATION | {"recorded_on": {"after": "event_date"}}, "after must name a date"),
        ("observation", OBSERVATION | {"recorded_on": {"after": "n_person"}}, "after must name a date"),
    ],
)
def test_a_mapping_that_does_not_fit(table: str, columns: dict[str, Any], problem: str) -> None:
    tables = {"household": {"file": "survey", "columns": HOUSEHOLD}}
    tables[table] = {"file": "survey", "columns": columns}
    with pytest.raises(ConfigurationError, match=problem) as caught:
        check_mapping(mapping(tables=tables, extra=[]))
    assert caught.value.code == "RR214"


@pytest.mark.parametrize("name", ["n_person", "rooms"])
def test_extra_columns_have_names_of_their_own(name: str) -> None:
    extra = {"column": "x", "name": name, "zh": "甲", "en": "a"}
    with pytest.raises(ConfigurationError, match=f"extra column {name}"):
        check_mapping(mapping(extra=[{**extra, "name": "rooms"}, extra]))


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_mappings_fit_and_read_no_forbidden_input(path: Path) -> None:
    shipped = load(path, Mapping)
    check_mapping(shipped)
    forbidden = {"black", "race", "ethnicity", "sex", "gender", "name", "phone"}
    assert not forbidden & (
        {extra.column for extra in shipped.extra} | {extra.name for extra in shipped.extra}
    )
    assert all(extra.zh and extra.en for extra in shipped.extra)
    assert all(bool(extra.reason_zh) == bool(extra.reason_en) for extra in shipped.extra)
