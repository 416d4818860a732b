"""Files for county staff open as they are meant, and appear whole or not at all."""

from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError, MachineError
from relapse_risk.outputs.files import csv_bytes, json_bytes, publish


def read_back(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def test_csv_has_bom_and_crlf_and_nothing_else_ends_a_line():
    data = csv_bytes(
        pl.DataFrame({"村": ["东一村", '含,逗号和"引号"'], "备注": ["一\r\n二", "三\u2028四\n"]})
    )
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.count(b"\n") == data.count(b"\r\n") == 3
    assert read_back(data) == [["村", "备注"], ["东一村", "一 二"], ['含,逗号和"引号"', "三 四 "]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", " =", "＝", "\u3000＋", "\r="])
def test_no_text_cell_runs_as_a_formula(start: str):
    (_, (cell,)) = read_back(csv_bytes(pl.DataFrame({"a": [f"{start}cmd|' /C calc'!A0"]})))
    assert cell.startswith("'")


def test_headers_are_safe_too():
    assert read_back(csv_bytes(pl.DataFrame({"=1+1": ["x"]})))[0] == ["'=1+1"]


def test_negative_numbers_and_dates_stay_numbers_and_dates():
    frame = pl.DataFrame({"days_left": [-3, None], "score": [99.5, None], "on": [date(2024, 6, 30), None]})
    assert read_back(csv_bytes(frame))[1:] == [["-3", "99.5", "2024-06-30"], ["", "", ""]]


def test_long_identifiers_keep_every_digit():
    identifier = "130127100204000117"
    assert read_back(csv_bytes(pl.DataFrame({"id": [identifier]})))[1] == [identifier]


def test_json_is_sorted_and_readable():
    assert json_bytes({"b": "县", "a": 1}).decode() == '{\n  "a": 1,\n  "b": "县"\n}\n'


def test_publish_writes_everything_and_leaves_no_staging(tmp_path: Path):
    paths = publish([("a.csv", b"1"), ("manifest.json", b"2")], tmp_path / "new" / "list")
    assert [path.read_bytes() for path in paths] == [b"1", b"2"]
    assert sorted(p.name for p in (tmp_path / "new" / "list").iterdir()) == ["a.csv", "manifest.json"]


def test_a_new_folder_appears_at_once_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where the process is stopped between two files."""
    folder, seen = tmp_path / "new" / "list", []

    def stopped(descriptor: int) -> None:
        seen.append(folder.exists())
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", stopped)
    with pytest.raises(KeyboardInterrupt):
        publish([("a.csv", b"1"), ("manifest.json", b"2")], folder)
    assert seen == [False, False]
    assert list(tmp_path.iterdir()) == []


def test_a_new_folder_is_as_open_as_any_other(tmp_path: Path):
    """Where everybody may write, such as /tmp, a list is not everybody's."""
    tmp_path.chmod(0o777)
    (tmp_path / "other").mkdir()
    publish([("a.csv", b"1")], tmp_path / "list")
    assert (tmp_path / "list").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_private_files_are_their_owners_alone(tmp_path: Path):
    (tmp_path / "there").mkdir()
    for folder in (tmp_path / "new", tmp_path / "there"):
        publish([("a.csv", b"1"), ("b.xlsx", b"2")], folder, private=["b.xlsx"])
        assert [(folder / name).stat().st_mode & 0o077 for name in ("a.csv", "b.xlsx")] != [0, 0]
        assert (folder / "b.xlsx").stat().st_mode & 0o777 == 0o600


def test_same_bytes_again_change_nothing(tmp_path: Path):
    files = [("a.csv", b"1")]
    publish(files, tmp_path)
    before = (tmp_path / "a.csv").stat().st_mtime_ns
    publish(files, tmp_path)
    assert (tmp_path / "a.csv").stat().st_mtime_ns == before


def test_other_contents_are_never_overwritten_without_force(tmp_path: Path):
    publish([("a.csv", b"1"), ("b.csv", b"1")], tmp_path)
    with pytest.raises(ConfigurationError, match="RR481"):
        publish([("a.csv", b"2")], tmp_path)
    assert (tmp_path / "a.csv").read_bytes() == b"1"


def test_force_keeps_the_earlier_edition_aside_whole(tmp_path: Path):
    folder = tmp_path / "list"
    for content in (b"1", b"2", b"3"):
        publish([("a.csv", content), ("m.json", content)], folder, is_forced=True)
        (folder / "filled in.csv").write_bytes(content)
    kept = {
        str(path.relative_to(tmp_path)): path.read_bytes() for path in tmp_path.rglob("*.*") if path.is_file()
    }
    names = {"list": b"3", "list.old1": b"1", "list.old2": b"2"}
    assert kept == {
        f"{name}/{file}": data
        for name, data in names.items()
        for file in ("a.csv", "m.json", "filled in.csv")
    }


def test_what_is_no_edition_alone_is_neither_overwritten_nor_moved(tmp_path: Path):
    """A project's folder, or one of several results, is not renamed for a list."""
    (tmp_path / "store").mkdir()
    for mark in ("notes.txt", "manifest.json"):
        (tmp_path / mark).write_bytes(b"mine")
        with pytest.raises(ConfigurationError, match="RR491"):
            publish([("a.csv", b"1"), ("manifest.json", b"2")], tmp_path, is_forced=True)
    (tmp_path / "store").rmdir()
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ConfigurationError, match=r"RR491.*no manifest\.json"):
        publish([("a.csv", b"1"), ("manifest.json", b"2")], tmp_path, is_forced=True)
    assert {path.name for path in tmp_path.iterdir()} == {"notes.txt"}


def test_an_edition_that_a_program_has_open_stays_and_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Windows does not rename a folder while Excel or WPS has a file of it open."""
    folder = tmp_path / "list"
    publish([("a.csv", b"old")], folder)

    def is_open(self: Path, target: Path) -> Path:
        raise PermissionError(13, "The process cannot access the file")

    monkeypatch.setattr(Path, "rename", is_open)
    with pytest.raises(MachineError, match=r"RR605.*WPS") as told:
        publish([("a.csv", b"new")], folder, is_forced=True)
    assert "WPS" in (told.value.zh or "")
    assert [path.name for path in tmp_path.iterdir()] == ["list"]
    assert (folder / "a.csv").read_bytes() == b"old"


def test_a_failure_half_way_puts_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "list"
    publish([("a.csv", b"old")], folder)

    def full_disk(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full_disk)
    with pytest.raises(MachineError, match="RR601"):
        publish([("b.csv", b"new"), ("a.csv", b"new")], folder, is_forced=True)
    assert [path.name for path in tmp_path.iterdir()] == ["list"]
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"a.csv": b"old"}


_KILLED = """
import os, sys
from pathlib import Path
from relapse_risk.outputs.files import publish

step, calls = int(sys.argv[2]), [0]

def counted(real):
    def call(*given, **named):
        if calls[0] == step:
            os._exit(9)
        calls[0] += 1
        return real(*given, **named)
    return call

os.fsync, Path.rename, Path.replace = counted(os.fsync), counted(Path.rename), counted(Path.replace)
publish([("a.csv", b"new"), ("m.json", b"new")], Path(sys.argv[1]), is_forced=True)
os._exit(0 if step > 3 else 1)
"""


@pytest.mark.parametrize("step", range(5))
def test_a_kill_at_any_step_loses_nothing_and_the_next_run_sets_it_right(tmp_path: Path, step: int):
    """Killed in writing (0, 1), before the old is put aside (2), between the two (3), or afterwards (4)."""
    folder, new = tmp_path / "list", [("a.csv", b"new"), ("m.json", b"new")]
    publish([("a.csv", b"old"), ("m.json", b"old")], folder)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(folder), str(step)], check=False)
    assert killed.returncode == (9 if step < 4 else 0)

    def editions() -> dict[str, set[bytes]]:
        found = (path for path in tmp_path.iterdir() if not path.name.startswith("."))
        return {path.name: {file.read_bytes() for file in path.iterdir()} for path in found}

    old, both = {b"old"}, {"list": {b"new"}, "list.old1": {b"old"}}
    assert editions() == {3: {"list.old1": old}, 4: both}.get(step, {"list": old})
    for left in tmp_path.glob(".list.writing-*"):
        os.utime(left, (0, 0))
    publish(new, folder, is_forced=True)
    assert editions() == both
    assert {path.name for path in tmp_path.iterdir()} == set(both), "what was cut off is cleared away"


def test_a_failure_in_a_new_folder_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def no_space(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(MachineError, match="nothing was left behind"):
        publish([("a.csv", b"1")], tmp_path / "list")
    assert not (tmp_path / "list").exists()
