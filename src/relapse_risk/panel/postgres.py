"""Reading PostgreSQL through ADBC: record batches, in one read-only transaction."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relapse_risk.errors import DataError
from relapse_risk.panel.database_errors import (
    failed,
    no_driver,
    no_select,
    no_such_table,
    not_let_in,
    not_reached,
)
from relapse_risk.panel.schema import ITEM_SEPARATOR

if TYPE_CHECKING:
    import pyarrow as pa

_TIMEOUT_SECONDS = 15
# Types whose values come as they are; the database writes all others as text, so that none is rounded.
_NATIVE = frozenset(
    {"bool", "date", "int2", "int4", "int8", "float4", "float8", "text", "varchar", "bpchar", "name"}
)
_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_NAMES = """
    SELECT c.relname AS name
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND pg_catalog.pg_table_is_visible(c.oid)
      AND n.nspname NOT IN ('pg_catalog', 'information_schema')
    ORDER BY c.relname
"""
# A connection that fails has no SQLSTATE: the server's sentence is all there is, in English or Chinese.
_NOT_LET_IN = re.compile(
    r"authentication|no password supplied|pg_hba|认证失败|验证失败|role .* does not exist"
)
_NO_DATABASE = re.compile(r'database ".*" does not exist|数据库 .*不存在')


@contextmanager
def open_postgres(uri: str) -> Iterator[Postgres]:
    """Open a PostgreSQL database for reading, as one transaction.

    User and password are ``PGUSER`` and ``PGPASSWORD``, which the driver itself reads; a password file is
    not looked at. ``PGTZ`` sets the time zone in which times become dates; else it is the server's.

    Raises
    ------
    DataError
        RR160, RR161.
    MachineError
        RR661 where the driver is not installed.
    """
    try:
        from adbc_driver_manager import dbapi as manager
        from adbc_driver_postgresql import dbapi
    except ImportError:
        raise no_driver("postgresql") from None
    sign = "&" if "?" in uri else "?"
    given = uri if "connect_timeout=" in uri else f"{uri}{sign}connect_timeout={_TIMEOUT_SECONDS}"
    given += f"&passfile={os.devnull}"
    try:
        connection = dbapi.connect(given)
    except manager.Error as error:
        # The driver's own words name host and user: they are neither shown nor chained.
        raise _refusal(str(error)) from None
    try:
        yield Postgres(connection, manager.Error)
    finally:
        connection.close()


def _refusal(said: str) -> DataError:
    if _NOT_LET_IN.search(said):
        return not_let_in("postgresql")
    if _NO_DATABASE.search(said):
        return not_reached(
            "postgresql",
            "the server has no database of this name",
            "Check the name behind the last / of the URI",
            "服务器上没有该数据库，请检查地址中最后一个 / 之后的名称。",
        )
    return not_reached(
        "postgresql",
        "no server answers there, or not in time",
        "Check host, port and network, and that the server is running",
        "无法连接数据库服务器，请检查地址、端口和网络。",
    )


class Postgres:
    """An open database; ``error`` is what its driver raises."""

    def __init__(self, connection: Any, error: type[Exception]) -> None:
        self._connection, self._error = connection, error
        with self._refusals("postgresql"), connection.cursor() as cursor:
            cursor.execute(_READ_ONLY)
            cursor.execute("SET LOCAL datestyle = ISO")

    def names(self) -> list[str]:
        """Return the names of tables and views that can be read without naming a schema."""
        with self._refusals("postgresql"), self._connection.cursor() as cursor:
            cursor.execute(_NAMES)
            return [str(name) for (name,) in cursor.fetchall()]

    def spool(self, query: str, where: str, path: Path) -> None:
        """Write the rows of a query to a Parquet file, batch by batch.

        Raises
        ------
        DataError
            RR162, RR163, RR164.
        """
        import pyarrow.parquet as pq

        with self._refusals(where), self._connection.cursor() as cursor:
            schema = cursor.adbc_execute_schema(f"SELECT * FROM (\n{query}\n) AS source")
            columns = ", ".join(map(_column, schema))
            cursor.execute(f"SELECT {columns} FROM (\n{query}\n) AS source")
            with cursor.fetch_record_batch() as batches, pq.ParquetWriter(path, batches.schema) as writer:
                for batch in _received(batches, where):
                    writer.write_batch(batch)

    @contextmanager
    def _refusals(self, where: str) -> Iterator[None]:
        try:
            yield
        except self._error as error:
            # The driver's own words may quote a row: they are neither shown nor chained.
            raise _failure(where, getattr(error, "sqlstate", None) or "") from None


def _received(batches: Any, where: str) -> Iterator[pa.RecordBatch]:
    """Yield record batches; while rows come in, the driver fails without an SQLSTATE."""
    import pyarrow as pa

    try:
        yield from batches
    except (pa.ArrowException, OSError):
        raise failed(where, "") from None


def _failure(where: str, sqlstate: str) -> DataError:
    if sqlstate in ("42P01", "3F000", "42501"):
        return no_such_table(where, is_forbidden=sqlstate == "42501")
    if sqlstate in ("25006", "0A000"):
        return no_select(where)
    return failed(where, sqlstate)


def _column(field: pa.Field) -> str:
    """Return how a column is asked for: as it is, or as the text that the database writes for it."""
    name: str = '"' + field.name.replace('"', '""') + '"'
    kind: str = (field.metadata or {}).get(b"POSTGRESQL:type", b"").decode()
    if kind in _NATIVE:
        return name
    if kind.startswith("_"):
        return f"array_to_string({name}, '{ITEM_SEPARATOR}') AS {name}"
    # A day belongs to where people live, not to UTC: the time zone of the session decides.
    return f"{name}::timestamp::text AS {name}" if kind == "timestamptz" else f"{name}::text AS {name}"
