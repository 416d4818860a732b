"""Databases as sources: each table, view or query becomes a file that is read as any other.

All of a database is read in one read-only transaction, so that its tables belong together whoever writes
meanwhile, and batch by batch into Parquet files, so that memory does not grow with it. User name and password
come from the environment (``PGUSER`` and ``PGPASSWORD``) and from nowhere else; neither they nor the address
reach a message, a log or a manifest, where the source is called by its kind and table:
``postgresql[household]``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl

from relapse_risk.errors import ConfigurationError
from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.database_errors import credentials_given, no_room, no_select
from relapse_risk.panel.mapping import origin_of
from relapse_risk.panel.postgres import open_postgres
from relapse_risk.panel.raw import OnProgress, Progress
from relapse_risk.panel.sqlite import open_sqlite

# Parameters of a PostgreSQL URI that hold, or point to, a secret.
_SECRET_PARAMETERS = frozenset(
    {"user", "password", "passfile", "service", "sslpassword", "oauth_client_secret"}
)
_SELECTING = frozenset({"select", "with", "values", "table"})
_COMMENT = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/)", re.DOTALL)


class Database(Protocol):
    """An open database, read only."""

    def names(self) -> list[str]:
        """Return the names of its tables and views."""
        ...

    def spool(self, query: str, where: str, path: Path) -> None:
        """Write the rows of a query to a Parquet file."""
        ...


_KINDS: dict[str, tuple[str, Callable[[str], AbstractContextManager[Database]]]] = {
    "postgresql": ("postgresql", open_postgres),
    "postgres": ("postgresql", open_postgres),
    "sqlite": ("sqlite", open_sqlite),
}


@dataclass(frozen=True, slots=True)
class Spooled:
    """A table, view or query of a database, as a file.

    Attributes
    ----------
    path : Path
        A Parquet file.
    name : str
        How it is called in reports and manifests.
    stem : str
        What a file of these rows would be called: the name of a table, or an origin of the mapping.
    """

    path: Path
    name: str
    stem: str


def is_database(source: str | Path) -> bool:
    """Return whether a source is a URI and no path.

    >>> is_database("postgresql://db.example/county"), is_database("C:/exports"), is_database("exports")
    (True, False, False)
    """
    return isinstance(source, str) and re.match(r"^[A-Za-z][A-Za-z0-9+.\-]+://", source) is not None


def spool_database(
    uri: str,
    mapping: Mapping | None,
    is_table: Callable[[str], bool],
    folder: Path,
    on_progress: OnProgress | None = None,
) -> list[Spooled]:
    """Write what a database holds for the panel to files in ``folder``.

    Parameters
    ----------
    uri : str
        ``postgresql://HOST:PORT/DATABASE`` without credentials, or ``sqlite:///PATH``.
    mapping : Mapping, optional
        Its views and queries are read, and nothing else; without one, every table or view that is named
        as a table of the panel.
    is_table : callable
        Whether a name is that of a table of the panel that may be stored.
    folder : Path
        Where the files go; they hold household data, so it must be private, and removed afterwards.
    on_progress : callable, optional
        Called with ``("query", tables done, tables in all)``.

    Raises
    ------
    ConfigurationError
        RR215 where the URI holds credentials, RR216 where it is of no known kind.
    DataError
        RR160 where the database can't be reached, RR161 where it does not accept the credentials, RR162
        where a table or view is not to be found or read, RR163 where a query is no SELECT, RR164 where the
        database fails on one.
    MachineError
        RR661 where the driver is not installed, RR662 where the files can't be written.
    """
    kind, opened = _kind_of(uri)
    wanted = None if mapping is None else _origins(kind, mapping)
    with opened(uri) as database:
        if wanted is None:
            wanted = {name: selection(name) for name in database.names() if is_table(name)}
        progress = Progress("query", len(wanted), on_progress)
        spooled = []
        for number, (stem, query) in enumerate(wanted.items()):
            item = Spooled(folder / f"{number}.parquet", f"{kind}[{stem}]", stem)
            try:
                database.spool(query, item.name, item.path)
            except OSError as error:
                raise no_room(error) from None
            spooled.append(item)
            progress.step()
    return spooled


def selection(view: str) -> str:
    """Return the query of a whole table or view, spelt as the database spells it.

    >>> selection("county.v_household")
    'SELECT * FROM "county"."v_household"'
    """
    parts = (part.strip().strip('"').replace('"', '""') for part in view.split("."))
    return "SELECT * FROM " + ".".join(f'"{part}"' for part in parts)


def _origins(kind: str, mapping: Mapping) -> dict[str, str]:
    """Return the queries of a mapping by what their rows are called."""
    origins: dict[str, str] = {}
    for table, mapped in mapping.tables.items():
        stem = origin_of(mapping, table)
        if mapped.view is not None:
            origins[stem] = selection(mapped.view)
        elif mapped.query is not None:
            origins[stem] = _checked(mapped.query, f"{kind}[{stem}]")
    return origins


def _checked(query: str, where: str) -> str:
    """Return a query without its final semicolon, or refuse what is no SELECT."""
    bare = query
    while comment := _COMMENT.match(bare):
        bare = bare[comment.end() :]
    first = re.match(r"[\s(]*(\w+)", bare)
    if first is None or first[1].lower() not in _SELECTING:
        raise no_select(where)
    return query.strip().rstrip(";").rstrip()


def _kind_of(uri: str) -> tuple[str, Callable[[str], AbstractContextManager[Database]]]:
    scheme = uri.partition("://")[0].lower()
    if _holds_credentials(uri):
        raise credentials_given(f"{scheme}://…")
    if scheme not in _KINDS:
        raise ConfigurationError(
            "RR216",
            f"{scheme}://…",
            "no database of this kind can be read",
            "postgresql://HOST:PORT/DATABASE or sqlite:///PATH",
            "Export the tables as files, or copy them into one of these",
            zh="不支持该类数据库，请使用 postgresql:// 或 sqlite://，或导出为文件。",
        )
    return _KINDS[scheme]


def _holds_credentials(uri: str) -> bool:
    scheme, _, rest = uri.partition("://")
    if scheme.lower() == "sqlite":
        return False
    parameters = parse_qsl(rest.partition("?")[2], keep_blank_values=True)
    return "@" in rest or not _SECRET_PARAMETERS.isdisjoint(name.lower() for name, _ in parameters)
