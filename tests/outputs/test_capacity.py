"""Capacity by area and team: what a county types is read, and what can't be is said in both languages."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.outputs.capacity import Capacity, areas_in, capacity_of, read_capacity

INDEX = pl.DataFrame(
    {
        "county_code": ["13", "13", "13", "13"],
        "township_code": ["1301", "1301", "1302", None],
        "village_code": ["130101", "130102", "130201", None],
    }
)


def write(folder: Path, text: str, encoding: str = "utf-8-sig") -> Path:
    path = folder / "capacity.csv"
    path.write_text(text, encoding=encoding)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_headers_are_read_in_the_encodings_of_spreadsheets(tmp_path: Path, encoding: str) -> None:
    path = write(tmp_path, "走访组,地区代码,走访容量\n东组,130101,12\n东组,130201,12\n,13,30\n,,\n", encoding)
    capacity = read_capacity(path)
    assert capacity.visits == {"东组": 12, "13": 30}
    assert capacity.unit_of_area == {"130101": "东组", "130201": "东组", "13": "13"}


def test_the_finest_area_that_is_named_holds() -> None:
    units = Capacity({"13": 9, "1301": 5, "东组": 2}, {"13": "13", "1301": "1301", "130102": "东组"})
    found = units.of_county(INDEX)
    assert [found.names[place] for place in found.unit] == ["1301", "东组", "13", "13"]
    assert dict(zip(found.names, found.visits.tolist(), strict=True)) == {"13": 9, "1301": 5, "东组": 2}


def test_one_number_is_every_county_s() -> None:
    found = Capacity.of_counties(7).of_county(INDEX)
    assert (found.names, found.visits.tolist(), found.unit.tolist()) == (("13",), [7], [0, 0, 0, 0])


def test_households_nobody_visits_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"RR484.*1 villages \(130201\)[^\n]*\n.*没有走访容量"):
        Capacity({"1301": 5}, {"1301": "1301"}).of_county(INDEX[:3])


def test_areas_without_a_household_are_refused() -> None:
    capacity = Capacity({"13": 5, "1309": 5}, {"13": "13", "1309": "1309"})
    with pytest.raises(ConfigurationError, match=r"RR486.*1 areas.*\(1309\)[^\n]*\n.*没有农户"):
        capacity.check_areas(areas_in(INDEX))
    Capacity({"13": 5}, {"13": "13"}).check_areas(areas_in(INDEX))


@pytest.mark.parametrize(
    ("text", "found", "zh"),
    [
        ("area_code\n13\n", "no column visits", "缺少列：走访容量"),
        ("area_code,visits\n", "no rows", "没有数据行"),
        ("area_code,visits\n13,5\n\n13,6\n", "row 4: an area for the second time", "第4行地区重复"),
        ("area_code,visits\n13,-1\n14,2.5\n", "row 2: visits is no whole.*row 3: visits", "第3行走访容量"),
        ("area_code,visits\n13\n", "row 2: visits is no whole", "第2行"),
        ("area_code,visits\n,5\n", "row 2: no area_code", "第2行缺地区代码"),
        ("area_code,visits,team\n1,5,a\n2,6,a\n", "row 3: another number", "第3行与同组前一行"),
    ],
)
def test_what_can_not_be_is_said_by_row_in_both_languages(
    tmp_path: Path, text: str, found: str, zh: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"RR485[^\n]*{found}[^\n]*\n.*{zh}"):
        read_capacity(write(tmp_path, text))


def test_a_call_gives_a_number_or_a_file(tmp_path: Path) -> None:
    assert capacity_of("40") == 40
    assert isinstance(capacity_of(str(write(tmp_path, "area_code,visits\n13,5\n"))), Capacity)
    with pytest.raises(ConfigurationError, match=r"RR485.*can't be opened"):
        capacity_of("forty")
    (tmp_path / "capacity.csv").write_bytes(b"\xff\xff\xff")
    with pytest.raises(ConfigurationError, match=r"RR485.*neither UTF-8 nor GB18030"):
        read_capacity(tmp_path / "capacity.csv")
