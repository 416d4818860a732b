"""A PostgreSQL server of its own for the tests: a new folder, the loopback interface, a free port."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

OWNER, PASSWORD = "clerk_of_the_county", "s3cret-of-the-county"
_PLACES = ("/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt")
# PostgreSQL refuses to run as root: one of these accounts then runs it.
_ACCOUNTS = ("postgres", "nobody")
_START_SECONDS = 30


@dataclass(frozen=True)
class Server:
    port: int
    owner: str = OWNER
    password: str = PASSWORD

    def uri(self, database: str = "postgres") -> str:
        return f"postgresql://127.0.0.1:{self.port}/{database}"

    def run(self, *statements: str) -> None:
        """Run statements as the administrator, all or none."""
        from adbc_driver_postgresql import dbapi

        address = f"postgresql://{self.owner}:{self.password}@127.0.0.1:{self.port}/postgres"
        with closing(dbapi.connect(address)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            connection.commit()


def find_binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``; None where they are not installed."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += [path.parent for place in _PLACES for path in sorted(Path(place).glob("*/bin/initdb"))]
    return next((folder for folder in folders if (folder / "postgres").exists()), None)


def reason_against() -> str:
    """Return why no server can be started here; empty where one can."""
    if os.name != "posix":
        return "the test starts PostgreSQL on POSIX systems only"
    if find_binaries() is None:
        return "PostgreSQL is not installed: apt-get install postgresql"
    if os.geteuid() == 0 and _account() is None:
        return "PostgreSQL does not run as root, and there is no other account to run it"
    return ""


def _account() -> pwd.struct_passwd | None:
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next((names[name] for name in _ACCOUNTS if name in names), None)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    pytest.importorskip("adbc_driver_postgresql", reason="the extra 'database' is not installed")
    if reason := reason_against():
        pytest.skip(reason)
    with running_server() as running:
        yield running


@contextmanager
def running_server() -> Iterator[Server]:
    """Start a server with one administrator, and end it with its folder."""
    binaries = find_binaries()
    assert binaries is not None
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    account = _account() if os.geteuid() == 0 else None
    as_whom: dict[str, Any] = {}
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_whom = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    options: dict[str, Any] = {"cwd": folder, "env": {**kept, "LC_ALL": "C.UTF-8"}, **as_whom}
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        subprocess.run(
            [
                *(binaries / "initdb", "-D", folder / "data", "-U", OWNER, "-E", "UTF8", "--no-sync"),
                *(f"--pwfile={secret}", "--auth=scram-sha-256"),
            ],
            check=True,
            capture_output=True,
            **options,
        )
        with closing(socket.socket()) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(binaries / "postgres", "-D", folder / "data", "-p", str(port), "-c", "fsync=off"),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                ],
                stdout=log,
                stderr=log,
                **options,
            )
            try:
                server = Server(port)
                _wait_for(server, process, folder / "log")
                yield server
            finally:
                process.terminate()
                process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            server.run("SELECT 1")
        except Exception:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text(errors="replace")) from None
            time.sleep(0.1)
        else:
            return
