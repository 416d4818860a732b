"""Walk an export through ingest as a county's clerk does: ``python docs/make_clerk_walk.py``.

Writes a small county's export, breaks ten rows of it by hand as a spreadsheet lets one, ingests it, corrects
the returned files, ingests these, and puts what was printed into the README between its two marks.
"""

from __future__ import annotations

import csv
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from openpyxl import load_workbook

from relapse_risk.panel.ingest import IngestReport, ingest
from relapse_risk.panel.synthetic import simulate, write_exports

README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- clerk walk: begin -->", "<!-- clerk walk: end -->"
TODAY = date(2025, 6, 30)


@dataclass(frozen=True)
class Slip:
    """A cell somebody spoilt: table, row below the header, column, and what stands there now."""

    table: str
    row: int
    column: str
    typed: str


SLIPS = (
    Slip("家庭", 3, "户类型", "贫困户"),
    Slip("家庭", 7, "耕地面积", "三亩"),
    Slip("家庭", 11, "县代码", "13018"),
    Slip("监测记录", 20, "家庭人口", ""),
    Slip("监测记录", 41, "工资性收入", "-500"),
    Slip("监测记录", 62, "录入日期", "2032-01-05"),
    Slip("监测记录", 83, "户编号", "1.30185E+17"),
    Slip("走访记录", 2, "走访日期", "上周三"),
    Slip("走访记录", 5, "核实结果", "基本属实"),
    Slip("走访记录", 8, "录入日期", ""),
)


@dataclass(frozen=True)
class Walk:
    """What happened: both reports, and what ingest printed."""

    first: IngestReport
    second: IngestReport
    printed: str


def walk(folder: Path) -> Walk:
    """Do all of it in an empty folder."""
    county = simulate(120, 24, seed=3, oracle_dates=(), hazard_paths=0)
    exports, store = folder / "exports", folder / "store"
    write_exports(county, exports)
    sound = [spoil(exports, slip) for slip in SLIPS]
    first = ingest(exports, store, today=TODAY)
    mended = dict(zip(SLIPS, sound, strict=True))
    for path in first.reject_files:
        correct(path, mended)
    second = ingest(first.reject_files, store, today=TODAY)
    names = " ".join(path.name for path in first.reject_files)
    printed = "\n".join(
        [
            "$ relapse-risk ingest exports --store store",
            *shown(first, folder),
            "# the ten cells are put right in the returned files, and these are handed in as they are",
            f"$ relapse-risk ingest {names} --store store",
            *shown(second, folder),
        ]
    )
    return Walk(first, second, printed)


def spoil(exports: Path, slip: Slip) -> str:
    """Type into one cell, in the workbook or the text file, and return what stood there."""
    path = next(path for path in exports.iterdir() if path.stem == slip.table)
    if path.suffix == ".xlsx":
        book = load_workbook(path)
        sheet = book.active
        at = [cell.value for cell in sheet[1]].index(slip.column) + 1
        cell = sheet.cell(slip.row + 1, at)
        was, cell.value = str(cell.value), slip.typed
        book.save(path)
        return was
    encoding = encoding_of(path)
    was = ""

    def change(number: int, row: dict[str, str]) -> None:
        nonlocal was
        if number == slip.row:
            was, row[slip.column] = row[slip.column], slip.typed

    rewrite(path, encoding, change)
    return was


def encoding_of(path: Path) -> str:
    """Return the encoding of one of the export's text files."""
    return "utf-8-sig" if path.read_bytes().startswith(b"\xef\xbb\xbf") else "gb18030"


def rewrite(path: Path, encoding: str, change: Callable[[int, dict[str, str]], None]) -> None:
    """Open a text file, change its rows, and save it as a spreadsheet does."""
    with path.open(encoding=encoding, newline="") as stream:
        reader = csv.DictReader(stream)
        headers, rows = list(reader.fieldnames or ()), list(reader)
    for number, row in enumerate(rows, start=1):
        change(number, row)
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, headers)
        writer.writeheader()
        writer.writerows(rows)


def correct(path: Path, mended: dict[Slip, str]) -> None:
    """Put back what the reasons ask for; rows that only wait for their household stay as they are."""

    def change(number: int, row: dict[str, str]) -> None:
        del number
        table = path.name.split("_")[0]
        for slip, sound in mended.items():
            if slip.table == table and row["行号"] == str(slip.row + 1):
                row[slip.column] = sound

    rewrite(path, "utf-8-sig", change)


def shown(report: IngestReport, folder: Path) -> list[str]:
    """Return what ingest prints about the spoilt tables; a commit's id differs from run to run."""
    number = f"{report.commit.id.split('-')[0]}-…" if report.commit else ""
    told = {slip.table for slip in SLIPS}
    lines = []
    for line in report.summary_lines("zh"):
        is_told = any(line.startswith(f"{table}：") for table in told)
        if is_told or line.startswith(("  退回", "退回的行", "已入库", "没有新")):
            lines.append(line.replace(f"{folder}/", ""))
    return [re.sub(r"\b\d{6}-[0-9a-f]+", number, line) for line in lines]


def block(printed: str) -> str:
    """Return the README's text between the marks."""
    return f"{BEGIN}\n```\n{printed}\n```\n{END}"


def with_block(readme: str, printed: str) -> str:
    """Return the README with the walk's output in its place."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block(printed), readme, flags=re.DOTALL)


def main() -> None:
    """Walk, and write the README."""
    with tempfile.TemporaryDirectory() as folder:
        printed = walk(Path(folder)).printed
    README.write_text(with_block(README.read_text(encoding="utf-8"), printed), encoding="utf-8")
    sys.stdout.write(printed + "\n")


if __name__ == "__main__":
    main()
