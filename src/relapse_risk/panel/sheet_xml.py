"""What the XML of a workbook's sheet says and its values alone do not: errors, merged cells, lost digits.

Read as text and in pieces, by patterns: no entity is expanded, and no more than some rows are held.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_PIECE = 4 << 20
_CELL = re.compile(rb"<(?:\w+:)?c\s([^>]*?)(?:/>|>(.*?)</(?:\w+:)?c>)", re.DOTALL)
_VALUE = re.compile(rb"<(?:\w+:)?v[^>]*>([^<]+)<")
_PLACE = re.compile(rb'\br="([A-Z]{1,3})(\d+)"')
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*ref="([A-Z]{1,3})(\d+):([A-Z]{1,3})(\d+)"')
_LONG_NUMBER = re.compile(rb"^\d{16,}(?:\.0*)?$|^\d(?:\.\d+)?[eE]\+?(?:1[5-9]|[2-9]\d)$")


@dataclass
class SheetMarks:
    """Places are (column, row), both from 0.

    Attributes
    ----------
    first_column : int
        The first column with a value.
    errors : dict
        ``#DIV/0!`` and the like, by place.
    long_numbers : set
        Numbers of more digits than a spreadsheet keeps.
    unvalued : list
        Formulas whose value was never computed.
    merged : list of (first column, first row, last column, last row)
    """

    first_column: int = 1 << 14
    errors: dict[tuple[int, int], str] = field(default_factory=dict)
    long_numbers: set[tuple[int, int]] = field(default_factory=set)
    unvalued: list[tuple[int, int]] = field(default_factory=list)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)


def marks_of(path: Path, sheet: str) -> SheetMarks | None:
    """Return the marks of a sheet; None where the file is no such workbook, or has no such sheet."""
    try:
        with zipfile.ZipFile(path) as book:
            part = _part_of(book, sheet)
            if part is None:
                return None
            marks = SheetMarks()
            with book.open(part) as stream:
                for piece in _pieces(iter(lambda: stream.read(_PIECE), b"")):
                    _look_at(piece, marks)
            return marks
    except (zipfile.BadZipFile, OSError, KeyError, EOFError, NotImplementedError, RuntimeError, ValueError):
        return None


def unpacked_bytes(path: Path) -> int:
    """Return how large a workbook says it is once unpacked; 0 where it is no archive."""
    try:
        with zipfile.ZipFile(path) as book:
            return sum(item.file_size for item in book.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return 0


def _part_of(book: zipfile.ZipFile, sheet: str) -> str | None:
    """Return the part that holds a sheet, by the workbook's relations."""
    from html import unescape

    text = book.read("xl/workbook.xml").decode("utf-8", "replace")
    relations = book.read("xl/_rels/workbook.xml.rels").decode("utf-8", "replace")
    for element in re.findall(r"<(?:\w+:)?sheet\s[^>]*>", text):
        name, key = _attribute(element, "name"), _attribute(element, r"\w+:id")
        if unescape(name) != sheet:
            continue
        for relation in re.findall(r"<(?:\w+:)?Relationship\s[^>]*>", relations):
            if _attribute(relation, "Id") == key:
                target = _attribute(relation, "Target")
                return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return None


def _attribute(element: str, name: str) -> str:
    found = re.search(rf'\s{name}="([^"]*)"', element)
    return found.group(1) if found else ""


def _pieces(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield pieces that end behind a row."""
    held = b""
    for chunk in chunks:
        held += chunk
        end = held.rfind(b"row>") + 4
        if end > 4:
            yield held[:end]
            held = held[end:]
    yield held


def _look_at(piece: bytes, marks: SheetMarks) -> None:
    for found in _CELL.finditer(piece):
        attributes, content = found.group(1), found.group(2) or b""
        place = _PLACE.search(attributes)
        if place is None:
            continue
        value = _VALUE.search(content)
        if value is None and b"<is" not in content and b":is" not in content:
            if b"f>" in content or b"<f" in content:
                marks.unvalued.append(_at(place.group(1), place.group(2)))
            continue
        column = _column(place.group(1))
        marks.first_column = min(marks.first_column, column)
        if value is None:
            continue
        if b't="e"' in attributes:
            marks.errors[column, int(place.group(2)) - 1] = value.group(1).decode("utf-8", "replace")
        elif (b't="' not in attributes or b't="n"' in attributes) and _LONG_NUMBER.match(value.group(1)):
            marks.long_numbers.add((column, int(place.group(2)) - 1))
    for left, top, right, bottom in _MERGED.findall(piece):
        marks.merged.append((*_at(left, top), *_at(right, bottom)))


def _at(letters: bytes, row: bytes) -> tuple[int, int]:
    return _column(letters), int(row) - 1


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number - 1
