"""A SQLite file is read as the files of an export are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from relapse_risk.errors import RelapseRiskError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.store import Store


@pytest.fixture
def county(export, tmp_path) -> str:
    """The export's rows in a file, numbers as numbers; and contacts."""
    path = tmp_path / "台账 1.sqlite"
    with closing(sqlite3.connect(path)) as connection, connection:
        for name, rows in export.tables.items():
            connection.execute(f'CREATE TABLE "{name}" ({", ".join(f"{header!r}" for header in rows[0])})')
            for row in rows:
                cells = [float(cell) if cell.replace(".", "", 1).isdigit() and len(cell) < 6 else cell
                         for cell in row.values()]  # fmt: skip
                connection.execute(f'INSERT INTO "{name}" VALUES ({", ".join("?" * len(cells))})', cells)
        connection.execute("CREATE TABLE 联系方式 AS SELECT '1' AS 户编号, '13900000000' AS 联系电话")
    return f"sqlite:///{path}"


def asking(query: str) -> Mapping:
    columns = {"param": "p", "area_code": {"constant": "*"}, "effective_from": {"constant": "2024-01-01"}}
    columns |= {"value": "v", "source": {"constant": "test"}, "verified": {"constant": False}}
    columns |= {"recorded_on": {"constant": "2024-01-01"}}
    raw = {"name": "m", "source": "made up", "tables": {"threshold": {"query": query, "columns": columns}}}
    return Mapping.model_validate(raw)


def code_of(uri: str, mapping: Mapping | None = None) -> str:
    with pytest.raises(RelapseRiskError) as caught:
        read_exports(uri, mapping)
    assert caught.value.zh
    return caught.value.code


def test_the_same_rows_give_the_same_panel_as_files(county, export, tmp_path, today) -> None:
    from_files = ingest(export.write(tmp_path / "files"), tmp_path / "one", today=today)
    from_database = ingest(county, tmp_path / "other", today=today)
    assert from_database.counts == from_files.counts
    assert {file.name for file in from_database.sources} == {
        "sqlite[家庭]",
        "sqlite[监测记录]",
        "sqlite[部门事件]",
    }
    for name, frame in Store(tmp_path / "one").open().tables.items():
        assert_frame_equal(Store(tmp_path / "other").open().tables[name], frame)


def test_every_value_becomes_text_on_its_own(county) -> None:
    """One column may hold all types: a code as text and a code as a number."""
    query = "SELECT column1 AS p, column2 AS v FROM (VALUES ('a', 1), ('b', 1.5), ('c', '007'), ('d', NULL))"
    frame = read_exports(county, asking(query)).tables[0].frame
    assert frame["value"].to_list() == ["1", "1.5", "007", None]


def test_a_relative_path_has_three_slashes(county, monkeypatch) -> None:
    path = Path(county.removeprefix("sqlite:///"))
    monkeypatch.chdir(path.parent)
    assert len(read_exports(f"sqlite:///{path.name}").tables) == 3


def test_what_is_wrong_is_said_and_nothing_is_made(county, tmp_path) -> None:
    assert code_of(f"sqlite:///{tmp_path}/none.sqlite") == "RR160"
    assert not (tmp_path / "none.sqlite").exists()
    (tmp_path / "text.sqlite").write_text("no database, but a text that is long enough to be one " * 9)
    assert code_of(f"sqlite:///{tmp_path}/text.sqlite") == "RR160"
    assert code_of(county, asking("SELECT p, v FROM nowhere")) == "RR162"
    assert code_of(county, asking('DELETE FROM "家庭" RETURNING 1 AS p, 2 AS v')) == "RR163"
    assert code_of(county, asking("SELECT 1 AS p, nothing AS v")) == "RR164"
    assert code_of(county, asking("SELECT 1 AS p, 2 AS v; SELECT 3")) == "RR164"
    assert len(read_exports(county).of("household")[0].frame) == 3
