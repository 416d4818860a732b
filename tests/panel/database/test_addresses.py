"""Credentials come from the environment only: an address or a mapping that holds any is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.database import is_database
from relapse_risk.panel.mapping import check_mapping
from relapse_risk.panel.read import read_exports


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://clerk:s3cret@db/county",
        "postgresql://clerk@db/county",
        "postgresql://clerk:s3/cret@db/county",
        "postgresql://clerk:s3?cret@db/county",
        "postgresql://db/county?password=s3cret",
        "postgresql://db/county?sslmode=require&user=clerk",
        "postgres://db/county?PassFile=s3cret",
        "postgresql://db/county?service=s3cret",
        "mysql://clerk:s3cret@db/county",
    ],
)
def test_credentials_in_an_address_are_refused_unrepeated(uri: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_exports(uri)
    assert caught.value.code == "RR215"
    assert "PGPASSWORD" in str(caught.value)
    assert [part for part in ("s3", "cret", "clerk", "db/") if part in str(caught.value)] == []


@pytest.mark.parametrize(
    "where",
    [
        {"source": "postgresql://clerk:s3cret@db/county"},
        {
            "tables": {
                "household": {"query": "SELECT * FROM dblink('host=db password=s3cret')", "columns": {}}
            }
        },
    ],
)
def test_credentials_in_a_mapping_are_refused_unrepeated(where: dict) -> None:
    mapping = Mapping.model_validate({"name": "m", "source": "the ledger", "tables": {}} | where)
    with pytest.raises(ConfigurationError) as caught:
        check_mapping(mapping)
    assert caught.value.code == "RR215"
    assert "s3cret" not in str(caught.value)


def test_a_database_of_an_unknown_kind() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_exports("mysql://db/county")
    assert caught.value.code == "RR216"


def test_a_path_is_no_address() -> None:
    assert not any(is_database(path) for path in ("exports", "C:/exports", "//server/share", Path("a/b")))


@pytest.mark.parametrize("given", [{}, {"file": "a", "view": "b"}, {"query": "SELECT 1", "view": "b"}])
def test_a_table_has_one_origin(given: dict) -> None:
    with pytest.raises(ValueError, match="exactly one of file, view and query"):
        Mapping.model_validate({"name": "m", "source": "s", "tables": {"household": {"columns": {}} | given}})
