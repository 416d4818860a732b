"""Reading SQLite files through Python's own driver, read-only and in one transaction.

SQLite keeps a type with every value and not with the column, so every value becomes text on its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from relapse_risk.errors import DataError
from relapse_risk.panel.database_errors import failed, no_select, no_such_table, not_reached

_BATCH_ROWS = 50_000
_LARGEST_WHOLE = 2.0**53


@contextmanager
def open_sqlite(uri: str) -> Iterator[Sqlite]:
    """Open ``sqlite:///relative/path`` or ``sqlite:////absolute/path`` for reading.

    Raises
    ------
    DataError
        RR160 where there is no such file, or it is no SQLite database.
    """
    path = Path(unquote(urlsplit(uri).path).removeprefix("/"))
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
    except sqlite3.Error:
        raise _no_file() from None
    with closing(connection):
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT name FROM sqlite_master LIMIT 1").fetchall()
        except sqlite3.Error:
            raise _no_file() from None
        yield Sqlite(connection)


def _no_file() -> DataError:
    return not_reached(
        "sqlite",
        "there is no such file, or it is no SQLite database",
        "Check the path: three slashes before a relative one, four before an absolute one",
        "找不到该 SQLite 文件，或其格式不正确，请检查路径。",
    )


class Sqlite:
    """An open database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def names(self) -> list[str]:
        """Return the names of tables and views."""
        rows = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        )
        return [str(name) for (name,) in rows]

    def spool(self, query: str, where: str, path: Path) -> None:
        """Write the rows of a query to a Parquet file, batch by batch.

        Raises
        ------
        DataError
            RR162, RR163, RR164.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            cursor = self._connection.execute(f"SELECT * FROM (\n{query}\n) AS source")
            schema = pa.schema([(column[0], pa.string()) for column in cursor.description])
            with pq.ParquetWriter(path, schema) as writer:
                while rows := cursor.fetchmany(_BATCH_ROWS):
                    columns = [
                        pa.array(map(_text, values), pa.string()) for values in zip(*rows, strict=True)
                    ]
                    writer.write_batch(pa.record_batch(columns, schema=schema))
        except sqlite3.Error as error:
            raise _failure(where, str(error)) from None


def _failure(where: str, said: str) -> DataError:
    """Return what is wrong, by SQLite's sentence, which is English on every machine."""
    if said.startswith(("no such table", "no such view")):
        return no_such_table(where, is_forbidden=False)
    if "readonly database" in said or 'near "(": syntax error' in said:
        return no_select(where)
    if said.startswith("no such column"):
        return failed(where, "42703")
    return failed(where, "42601" if "syntax error" in said else "")


def _text(value: object) -> str | None:
    """Return a value as a person would have typed it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE:
        return str(int(value))
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
