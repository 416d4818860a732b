"""The declared tables and the visit list against the binding contracts, while those files are at hand."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from relapse_risk.panel.schema import KEY, OPTIONAL, REQUIRED, Column, ColumnType, Need, Table
from relapse_risk.panel.tables import TABLE_BY_NAME, TABLES

CONTRACT = Path(__file__).parents[3] / "shared" / "schema.csv"
NEEDS = {"key": KEY, "required": REQUIRED, "": OPTIONAL}
TABLE_NAMES_ZH = {
    "household": "家庭",
    "member": "成员",
    "observation": "监测记录",
    "event": "部门事件",
    "measure": "帮扶措施",
    "visit": "走访记录",
    "workflow": "认定流程",
    "threshold": "阈值",
    "county_month": "县月度",
    "contact": "联系方式",
}


def contract_rows() -> list[dict[str, str]]:
    if not CONTRACT.is_file():
        return []
    with CONTRACT.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


ROWS = contract_rows()
needs_contract = pytest.mark.skipif(not ROWS, reason=f"the table contract {CONTRACT.name} is not at hand")


def declared(row: dict[str, str]) -> Column:
    column = TABLE_BY_NAME[row["table"]].by_name.get(row["name"])
    assert column is not None, f"{row['table']}.{row['name']} is not declared"
    return column


def contract_values(row: dict[str, str]) -> set[str]:
    """Coded values of a contract row; ``as NAME`` refers to another column's."""
    text = row["values"]
    if text.startswith("as "):
        name = text.removeprefix("as ")
        text = next(other["values"] for other in ROWS if other["name"] == name)
    return set(filter(None, text.split(";")))


@needs_contract
def test_every_table_of_the_contract_is_declared() -> None:
    assert {row["table"] for row in ROWS} == set(TABLE_BY_NAME)


@needs_contract
@pytest.mark.parametrize("row", ROWS, ids=[f"{row['table']}.{row['name']}" for row in ROWS])
def test_column_is_as_the_contract_says(row: dict[str, str]) -> None:
    column = declared(row)
    found = (column.zh, column.type, column.unit, column.need)
    assert found == (row["zh"], ColumnType(row["type"]), row["unit"], NEEDS[row["required"]])
    assert set(column.values) == contract_values(row)


@needs_contract
def test_columns_beyond_the_contract_are_never_required() -> None:
    """A county that exports what the contract asks for must get in."""
    known = {(row["table"], row["name"]) for row in ROWS}
    beyond = [
        (table.name, column.name, column.need)
        for table in TABLES
        for column in table.columns
        if (table.name, column.name) not in known
    ]
    assert [extra for extra in beyond if extra[2] is not Need.OPTIONAL] == []


def test_tables_have_their_chinese_names() -> None:
    """File and sheet names of exports are recognised by these."""
    assert {table.name: table.zh for table in TABLES} == TABLE_NAMES_ZH


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_names_of_a_table_are_unique(table: Table) -> None:
    """Two columns under one header could not be told apart."""
    columns = table.columns
    assert len({column.name for column in columns}) == len(columns)
    assert len({column.zh for column in columns}) == len(columns)


@pytest.mark.parametrize(
    "table", [table for table in TABLES if table.is_stored], ids=lambda table: table.name
)
def test_a_stored_table_says_when_a_row_was_known(table: Table) -> None:
    """Without recorded_on no as-of date could be honoured; without a key no correction."""
    assert table.by_name["recorded_on"].need is REQUIRED
    assert table.key
    assert table.happened is None or table.happened in table.by_name
