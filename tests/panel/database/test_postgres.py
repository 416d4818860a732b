"""A PostgreSQL database is read as the files of an export are, by a real server on the loopback interface."""

from __future__ import annotations

import csv
import io
import tempfile
from collections.abc import Iterator
from datetime import date
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from relapse_risk.cli import app
from relapse_risk.errors import DataError, RelapseRiskError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.postgres import open_postgres
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.store import Store

# The types a county's database would have; everything else is text.
_TYPES = {
    "录入日期": "timestamptz",
    "接收日期": "timestamp",
    "期末日期": "date",
    "发生日期": "date",
    "统计月数": "smallint",
    "家庭人口": "integer",
    "脱贫年度": "integer",
    "风险是否已消除": "boolean",
    "饮水安全": "boolean",
    "耕地面积": "double precision",
    "工资性收入": "numeric(14,2)",
    "家庭纯收入": "numeric",
    "户编号": "char(20)",
}


@pytest.fixture(autouse=True)
def _credentials(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGUSER", server.owner)
    monkeypatch.setenv("PGPASSWORD", server.password)
    monkeypatch.setenv("PGTZ", "Asia/Shanghai")


@pytest.fixture
def county(server: Any, export: Any) -> Iterator[Any]:
    """The export's rows in tables of the types a database would have; gone after the test."""
    server.run(*(text for name, rows in export.tables.items() for text in statements(name, rows)))
    yield server
    server.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public")


def statements(name: str, rows: list[dict[str, str]]) -> Iterator[str]:
    """Make and fill a table with the columns of some rows."""
    columns = ", ".join(f'"{header}" {_TYPES.get(header, "text")}' for header in rows[0])
    yield f'CREATE TABLE "{name}" ({columns})'
    for row in rows:
        cells = [
            None if not cell else cell.replace(",", "") if header == "工资性收入" else cell
            for header, cell in row.items()
        ]
        dated = [
            f"{cell}T00:00:00+08" if _TYPES.get(header) == "timestamptz" else cell
            for header, cell in zip(row, cells, strict=True)
        ]
        cells = ["true" if cell == "是" else "false" if cell == "否" else cell for cell in dated]
        values = ", ".join("NULL" if cell is None else f"'{cell}'" for cell in cells)
        yield f'INSERT INTO "{name}" VALUES ({values})'


def refused(uri: str, code: str, mapping: Mapping | None = None) -> RelapseRiskError:
    with pytest.raises(RelapseRiskError) as caught:
        read_exports(uri, mapping)
    error = caught.value
    assert error.code == code
    assert error.zh
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    assert not [secret for secret in ("clerk_of", "cret-of", "127.0.0.1") if secret in str(error)]
    return error


def asking(query: str, table: str = "threshold") -> Mapping:
    columns = {"param": "p", "area_code": {"constant": "*"}, "effective_from": {"constant": "2024-01-01"}}
    columns |= {"value": "v", "source": {"constant": "test"}, "verified": {"constant": False}}
    columns |= {"recorded_on": {"constant": "2024-01-01"}}
    raw = {"name": "m", "source": "made up", "tables": {table: {"query": query, "columns": columns}}}
    return Mapping.model_validate(raw)


def values_of(server: Any, query: str) -> list[Any]:
    """What one column named v, of any type, becomes in the text of a table."""
    raw = read_exports(server.uri(), asking(query))
    return raw.tables[0].frame["value"].to_list()


def test_the_same_rows_give_the_same_panel_as_files(county, export, tmp_path, today) -> None:
    """Dates, moments in the county's time zone, numbers, yes and no, and codes padded with blanks."""
    from_files = ingest(export.write(tmp_path / "files"), tmp_path / "one", today=today)
    from_database = ingest(county.uri(), tmp_path / "other", today=today)
    assert from_database.counts == from_files.counts
    assert from_database.counts["observation"].accepted == 9
    for name, frame in Store(tmp_path / "one").open().tables.items():
        assert_frame_equal(Store(tmp_path / "other").open().tables[name], frame)


def test_rows_are_accounted_for_and_come_back_as_files(county, tmp_path, today) -> None:
    """Corrected, they are ingested as any returned file; a second reading of the database adds nothing."""
    county.run('ALTER TABLE "家庭" ALTER COLUMN "耕地面积" TYPE text')
    county.run("""INSERT INTO "家庭" SELECT * FROM "家庭" LIMIT 1""")
    county.run("""UPDATE "家庭" SET "耕地面积" = '很多' WHERE "户编号" = '1301010000000002'""")
    store = tmp_path / "store"
    report = ingest(county.uri(), store, today=today)
    assert report.counts["household"].as_dict() == {"read": 4, "accepted": 2, "rejected": 1, "duplicate": 1}
    returned = next(path for path in report.reject_files if path.name == "家庭_退回.csv")
    rows = list(csv.DictReader(io.StringIO(returned.read_text("utf-8-sig"))))
    assert [(row["户编号"].strip(), row["耕地面积"], row["文件"]) for row in rows] == [
        ("1301010000000002", "很多", "postgresql[家庭]")
    ]
    corrected = tmp_path / "家庭_退回.csv"
    corrected.write_text(returned.read_text("utf-8-sig").replace("很多", "3.5"), "utf-8")
    assert ingest(corrected, store, today=today).counts["household"].accepted == 1
    again = ingest(county.uri(), store, today=today)
    assert again.counts["household"].as_dict() == {"read": 4, "accepted": 0, "rejected": 1, "duplicate": 3}


def test_a_mapping_asks_views_and_queries(county, tmp_path, today) -> None:
    """Two tables share one query; what comes back is read with the same mapping."""
    county.run(
        "CREATE SCHEMA ledger",
        'CREATE VIEW ledger.v_hh AS SELECT "户编号" AS hid, "县代码" AS c, \'非监测\' AS m FROM "家庭"',
    )
    household = {
        "household_id": "hid",
        "recorded_on": {"constant": "2024-01-31"},
        "county_code": "c",
        "township_code": {"parts": [{"column": "c"}, {"constant": "001"}]},
        "village_code": {"parts": [{"column": "c"}, {"constant": "001001"}]},
        "household_type": {"constant": "一般农户"},
        "monitor_category": "m",
    }
    observation = {
        "household_id": "hid",
        "period_end": "d",
        "period_months": {"constant": 1},
        "recorded_on": {"after": "period_end", "delay_days": 5},
        "n_person": "n",
        "net_income_yuan": "y",
    }
    query = 'SELECT "户编号" hid, "期末日期" d, "家庭人口" n, 1000 / 3.0 AS y FROM "监测记录" -- all of it\n;'
    mapping = Mapping.model_validate(
        {
            "name": "ledger",
            "source": "made up",
            "tables": {
                "household": {"view": "ledger.v_hh", "columns": household},
                "observation": {"query": query, "columns": observation},
            },
        }
    )
    county.run("""UPDATE "监测记录" SET "家庭人口" = NULL WHERE "期末日期" = '2024-02-29'""")
    report = ingest(county.uri(), tmp_path / "store", mapping, today=today)
    assert report.counts["household"].accepted == 3
    assert report.counts["observation"].as_dict() == {"read": 9, "accepted": 6, "rejected": 3, "duplicate": 0}
    incomes = Store(tmp_path / "store").open().tables["observation"]["net_income_yuan"]
    assert incomes.to_list() == pytest.approx([1000 / 3] * 6)
    (returned,) = report.reject_files
    text = returned.read_text("utf-8-sig").replace("2024-02-29,,", "2024-02-29,3,")
    corrected = tmp_path / returned.name
    corrected.write_text(text, "utf-8")
    assert ingest(corrected, tmp_path / "store", mapping, today=today).counts["observation"].accepted == 3
    county.run("DROP SCHEMA ledger CASCADE")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        ("12345678901234567890.123456789::numeric", "12345678901234567890.123456789"),
        ("0.1::float8", "0.1"),
        ("1e6::float8", "1000000"),
        ("9007199254740993::bigint", "9007199254740993"),
        ("true", "true"),
        ("date '2024-03-05'", "2024-03-05"),
        ("timestamp '2024-03-05 13:45:12.5'", "2024-03-05 13:45:12.5"),
        ("timestamptz '2024-03-05 00:00+08'", "2024-03-05 00:00:00"),
        ("array['因病','因残']", "因病、因残"),
        ("array[1,2]::int[]", "1、2"),
        ("'x'::char(3)", "x"),
        ("'1'::json", "1"),
        ("'{\"a\": 1}'::jsonb", '{"a": 1}'),
        ("NULL::int", None),
    ],
)
def test_every_type_becomes_what_one_would_type(server, expression, text) -> None:
    assert values_of(server, f"SELECT 'p' AS p, {expression} AS v") == [text]


def test_a_moment_becomes_a_day_in_the_given_time_zone(server, monkeypatch) -> None:
    """In UTC the evening before: a row would count as known a day early."""
    monkeypatch.setenv("PGTZ", "UTC")
    query = "SELECT 'p' AS p, timestamptz '2024-03-05 00:00+08' AS v"
    assert values_of(server, query) == ["2024-03-04 16:00:00"]


def test_all_tables_are_of_one_moment(county, tmp_path) -> None:
    """Else an event could name a household that came after the households were read."""
    with open_postgres(county.uri()) as database:
        database.spool('SELECT * FROM "家庭"', "postgresql[家庭]", tmp_path / "a.parquet")
        county.run('DELETE FROM "部门事件"')
        database.spool('SELECT * FROM "部门事件"', "postgresql[部门事件]", tmp_path / "b.parquet")
    assert pl.read_parquet(tmp_path / "b.parquet").height == 2


def test_contacts_stay_in_the_database_and_other_tables_are_passed_over(county) -> None:
    for name in ("联系方式", "contact", "payroll"):
        county.run(f'CREATE TABLE "{name}" (household_id text, phone text)')
        county.run(f"INSERT INTO \"{name}\" VALUES ('1', '13900000000')")
    raw = read_exports(county.uri())
    assert sorted(part.table.name for part in raw.tables) == ["event", "household", "observation"]
    assert sorted(file.name for file in raw.files) == [
        "postgresql[家庭]",
        "postgresql[监测记录]",
        "postgresql[部门事件]",
    ]


def test_nothing_is_left_on_the_disk_outside_the_store(county, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    read_exports(county.uri())
    assert list(tmp_path.iterdir()) == []


def test_neither_address_nor_credentials_reach_the_store(county, household_row, tmp_path, today) -> None:
    county.run(*statements("household", [household_row(8) | {"县代码": "x"}]))
    report = ingest(county.uri(), tmp_path / "store", today=today)
    assert report.reject_files
    written = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert any(path.name == "manifest.json" for path in written)
    for path in written:
        content = path.read_bytes()
        for secret in (county.owner, county.password, "127.0.0.1", str(county.port)):
            assert secret.encode() not in content, path.name


def test_a_wrong_or_missing_password(server, monkeypatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "wrong")
    refused(server.uri(), "RR161")
    monkeypatch.delenv("PGPASSWORD")
    refused(server.uri(), "RR161")
    monkeypatch.setenv("PGUSER", "somebody_else")
    refused(server.uri(), "RR161")


def test_a_password_file_is_not_looked_at(server, monkeypatch, tmp_path) -> None:
    """It might lie in the project."""
    monkeypatch.delenv("PGPASSWORD")
    secret = tmp_path / "pgpass"
    secret.write_text(f"*:*:*:{server.owner}:{server.password}\n")
    secret.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(secret))
    refused(server.uri(), "RR161")


def test_no_server_and_no_database(server) -> None:
    refused("postgresql://127.0.0.1:1/county", "RR160")
    assert "no database of this name" in refused(server.uri("nothing_here"), "RR160").found


def test_no_such_view_and_one_that_may_not_be_read(county, monkeypatch) -> None:
    refused(county.uri(), "RR162", asking("SELECT p, v FROM nowhere"))
    county.run("DROP ROLE IF EXISTS visitor", "CREATE ROLE visitor LOGIN PASSWORD 'visitor-secret'")
    county.run("GRANT USAGE ON SCHEMA public TO visitor")
    monkeypatch.setenv("PGUSER", "visitor")
    monkeypatch.setenv("PGPASSWORD", "visitor-secret")
    assert "may not read" in refused(county.uri(), "RR162").found
    county.run("DROP OWNED BY visitor", "DROP ROLE visitor")


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM \"家庭\" RETURNING '1' AS p, 1 AS v",
        '/* SELECT */ -- SELECT\n UPDATE "家庭" SET "县" = \'x\'',
        "WITH gone AS (DELETE FROM \"家庭\" RETURNING *) SELECT 'p' AS p, count(*) AS v FROM gone",
    ],
)
def test_a_query_that_would_write_is_refused(county, query) -> None:
    refused(county.uri(), "RR163", asking(query))
    assert len(read_exports(county.uri()).of("household")[0].frame) == 3


def test_a_function_that_would_write_is_stopped_by_the_database(county) -> None:
    county.run("CREATE FUNCTION emptied() RETURNS int LANGUAGE sql AS 'DELETE FROM \"家庭\"; SELECT 1'")
    refused(county.uri(), "RR164", asking("SELECT 'p' AS p, emptied() AS v"))
    assert len(read_exports(county.uri()).of("household")[0].frame) == 3


def test_two_statements_are_refused(county) -> None:
    refused(county.uri(), "RR164", asking("SELECT 'p' AS p, 1 AS v; DROP TABLE \"家庭\""))
    assert len(read_exports(county.uri()).of("household")[0].frame) == 3


def test_a_failing_query_is_told_by_its_sqlstate_and_no_value(server) -> None:
    """The database's own words may quote a row."""
    error = refused(server.uri(), "RR164", asking("SELECT 'p' AS p, '张三'::int AS v"))
    assert "22P02" in error.found
    assert "张三" not in str(error)
    assert "does not exist" in refused(server.uri(), "RR164", asking("SELECT 1 AS p, w AS v")).found


def test_on_the_command_line(county, tmp_path) -> None:
    done = CliRunner().invoke(app, ["ingest", county.uri(), "--store", str(tmp_path / "store")])
    assert done.exit_code == 0, done.output
    assert Store(tmp_path / "store").open().known_at(date(2024, 6, 30)).households.height == 3
    assert "127.0.0.1" not in done.output
    done = CliRunner().invoke(app, ["ingest", county.uri().replace("//", "//a:b@"), "--store", str(tmp_path)])
    assert done.exit_code == 2


def test_a_database_without_the_panels_tables(server) -> None:
    with pytest.raises(DataError) as caught:
        read_exports(server.uri())
    assert caught.value.code == "RR102"
