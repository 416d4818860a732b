"""Names and telephone numbers never enter the store; the source neither unpickles nor talks to a network."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from relapse_risk.panel.schema import Table
from relapse_risk.panel.tables import CONTACT, TABLES

SOURCE = Path(__file__).parents[2] / "src" / "relapse_risk"
MODULES = sorted(SOURCE.rglob("*.py"))
PERSONAL_WORDS = ("姓名", "电话", "手机", "住址", "地址", "身份证", "证件号", "民族", "银行卡")
PICKLES = {"pickle", "_pickle", "cPickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
PICKLING_CALLS = {"read_pickle", "to_pickle", "allow_pickle"}
NETWORK = {
    "socket",
    "ssl",
    "http",
    "urllib.request",
    "urllib3",
    "ftplib",
    "smtplib",
    "poplib",
    "imaplib",
    "telnetlib",
    "xmlrpc",
    "requests",
    "httpx",
    "aiohttp",
    "websockets",
    "paramiko",
    "boto3",
}


def imported(tree: ast.AST) -> set[str]:
    """Every module that a syntax tree imports, at its top or inside a function, with its parents."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names | {
        ".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 1)
    }


def test_imports_are_found_wherever_they_stand() -> None:
    """The two tests below rest on it."""
    tree = ast.parse("import a.b\ndef f():\n    from urllib import request\n    from .c import d\n")
    assert imported(tree) == {"a", "a.b", "urllib", "urllib.request"}


def test_contacts_are_not_stored() -> None:
    assert [table.name for table in TABLES if not table.is_stored] == ["contact"]


@pytest.mark.parametrize(
    "table", [table for table in TABLES if table.is_stored], ids=lambda table: table.name
)
def test_a_stored_table_has_no_personal_column(table: Table) -> None:
    """Neither a column of the contact table nor one whose header names a person, a number or an address."""
    contact = {column.name for column in CONTACT.columns} - {"household_id", "recorded_on"}
    columns = table.columns
    assert [column.name for column in columns if column.name in contact] == []
    assert [column.zh for column in columns if any(word in column.zh for word in PERSONAL_WORDS)] == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_module_neither_pickles_nor_uses_the_network(module: Path) -> None:
    """A model file must not be a program, and household data must not leave the machine."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    assert imported(tree) & (PICKLES | NETWORK) == set()
    called = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    keywords = {node.arg for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg}
    assert (called | keywords) & PICKLING_CALLS == set()
