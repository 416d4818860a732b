"""The dictionary and the page of errors are fresh; every code has its entry, and its example gives it."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from relapse_risk.panel.read import read_exports
from relapse_risk.panel.reasons import Reason
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.panel.validate import validate

ROOT = Path(__file__).parents[2]


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_data_pages", ROOT / "docs" / "make_data_pages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


PAGES = script()
ENTRIES = {entry["code"]: entry for entry in PAGES.ERRORS}
TRIED = [entry for entry in PAGES.ERRORS if "cells" in entry]


@pytest.mark.parametrize("path", list(PAGES.pages()), ids=lambda path: path.name)
def test_page_is_fresh(path: Path) -> None:
    """Else run ``python docs/make_data_pages.py``."""
    assert path.read_text(encoding="utf-8") == PAGES.pages()[path]


def test_a_stale_page_is_noticed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    stale = {path: text + "x" for path, text in PAGES.pages().items()}
    monkeypatch.setattr(PAGES, "pages", lambda: stale)
    assert PAGES.main(["--check"]) == 1
    assert "data/dictionary.csv" in capsys.readouterr().out


def test_every_code_of_the_source_has_an_entry_and_no_other() -> None:
    found = {
        code
        for module in (ROOT / "src").rglob("*.py")
        for code in re.findall(r'"(RR1\d\d)"', module.read_text(encoding="utf-8"))
    }
    assert found == set(ENTRIES)
    assert len(ENTRIES) == len(PAGES.ERRORS)


def test_every_reason_is_in_the_group_of_its_kind() -> None:
    for reason in Reason:
        assert ENTRIES[reason.code]["group"] == ("warning" if reason.code >= "RR140" else "row")


@pytest.mark.parametrize("entry", TRIED, ids=lambda entry: entry["code"])
def test_the_example_gives_the_code(tmp_path, export, today, entry) -> None:
    table = TABLE_BY_NAME[entry["table"]]
    cells = {table.by_name[name].zh: text for name, text in entry["cells"].items()}
    household, day = "1301010000000001", "2024-04-30"
    member = {"成员编号": "P1", "户编号": household, "录入日期": day, "出生年月": "1980-05", "性别": "女"}
    export.tables["成员"] = [member | {"与户主关系": "户主", "劳动技能": "普通劳动力"}]
    export.tables["认定流程"] = [
        {
            "案件编号": "C1",
            "户编号": household,
            "发现渠道": "自主申报",
            "发现日期": "2024-03-01",
            "录入日期": day,
        }
    ]
    rows = export.tables[table.zh]
    # The newest row, so that what is compared with other tables sees it.
    at = 2 if entry["table"] == "observation" else 0
    changed = rows[at] | cells
    for other in rows:
        other.update({name: "" for name in cells if name not in other})
    if entry["code"] == "RR126":
        rows.append(changed)
    else:
        rows[at] = changed
    _, rejects = validate(read_exports(export.write(tmp_path)), today=today)
    codes = set(rejects.failures["code"]) | set(rejects.warnings["code"])
    assert entry["code"] in codes
