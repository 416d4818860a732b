"""Mangle exports at random and read them: ``python tests/panel/fuzz_readers.py --files 20000 --seed 1``.

A mangled file may be refused whole with a reason, or read; read rows are accepted, returned or exact
duplicates. Anything else (another exception, a row that is in none of these) is a fault, and the run ends
with 1.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import traceback
import zipfile
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import openpyxl
import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.validate import validate

TODAY = date(2024, 6, 30)
HEADERS = [
    "户编号",
    "录入日期",
    "县代码",
    "乡镇代码",
    "村代码",
    "户类型",
    "脱贫年度",
    "监测对象类别",
    "耕地面积",
    "利益联结",
    "县",
]
OBSERVED = ["户编号", "期末日期", "统计月数", "录入日期", "家庭人口", "工资性收入", "饮水安全", "务工地点"]
ENCODINGS = ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]
ODD_CELLS = [
    *(
        "",
        "无",
        "/",
        "=1+1",
        "#REF!",
        "1.30123E+15",
        "2024-13-45",
        "45356",
        "１２３",
        "1.2万元",
        "30%",
        "-",
        "合计",
    ),
    *(
        '"',
        '""',
        'a"b',
        "a\nb",
        "a,b;c\td",
        "\x00",
        "\u200b",
        "制表人：某",
        "\ufeff",
        "x" * 5000,
        "🙂",
        "1e999",
    ),
    *("NaN", "-0", "١٢٣", "13812345678", "130101198001010019", "9" * 400, "\u202e", "'0130", "2024年3月"),
]


def sound_rows(rng: random.Random) -> dict[str, list[list[str]]]:
    """Return the rows of a small sound export."""
    places = ("2024-01-31", "130101", "130101001", "130101001001")
    households = [
        [f"13010100000000{n:02d}", *places, "脱贫户", "2018", "非监测", "3.5", "无", "甲县"]
        for n in range(1, rng.randint(2, 8))
    ]
    observed = [
        [row[0], f"2024-0{month}-28", "1", f"2024-0{month + 1}-05", "3", "1500", "是", "县内"]
        for row in households
        for month in range(1, rng.randint(2, 4))
    ]
    return {"家庭": [list(HEADERS), *households], "监测记录": [list(OBSERVED), *observed]}


def mangle_rows(rows: list[list[str]], rng: random.Random) -> None:
    """Change cells, rows and headers as a hand on a spreadsheet might."""
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(rows))
        what = rng.randrange(9)
        if what < 4 and rows[at]:
            rows[at][rng.randrange(len(rows[at]))] = rng.choice(ODD_CELLS)
        elif what == 4:
            rows[at] = rows[at][: rng.randint(0, len(rows[at]))]
        elif what == 5:
            rows[at] = rows[at] + [rng.choice(ODD_CELLS)] * rng.randint(1, 3)
        elif what == 6:
            rows.insert(at, [rng.choice(ODD_CELLS)] * rng.randint(0, 12))
        elif what == 7:
            rows.insert(at, list(rng.choice(rows)))
        elif rows[0]:
            rows[0].append(rng.choice(rows[0]))


def write_text(path: Path, rows: list[list[str]], rng: random.Random) -> None:
    """Write delimited text in any encoding, quoted well, badly or not at all."""
    delimiter, quote = rng.choice([",", ";", "\t", "|"]), rng.choice(["always", "needed", "never"])
    end = rng.choice(["\n", "\r\n", "\r"])

    def cell(text: str) -> str:
        needs = any(c in text for c in ('"', delimiter, "\n"))
        is_quoted = quote == "always" or (quote == "needed" and needs)
        return '"' + text.replace('"', '""') + '"' if is_quoted else text

    text = end.join(delimiter.join(map(cell, row)) for row in rows) + end
    path.write_bytes(text.encode(rng.choice(ENCODINGS), "replace"))


def write_book(path: Path, rows: list[list[str]], rng: random.Random) -> None:
    """Write a workbook with typed cells, merged cells and a second sheet now and then."""
    book = openpyxl.Workbook(write_only=False)
    sheet = book.active
    sheet.title = rng.choice([path.stem, path.stem, "Sheet1"])
    for row in rows:
        clean = [openpyxl.cell.cell.ILLEGAL_CHARACTERS_RE.sub("", cell)[:32000] for cell in row]
        sheet.append([typed(cell, rng) for cell in clean])
    if rng.random() < 0.2:
        first = rng.randint(1, len(rows) + 1)
        sheet.merge_cells(
            start_row=first, end_row=first + rng.randint(0, 3), start_column=1, end_column=rng.randint(1, 4)
        )
    if rng.random() < 0.2:
        book.create_sheet("说明").append(["任意"])
    book.save(path)


def typed(cell: str, rng: random.Random) -> object:
    """Return a cell as a spreadsheet may have typed it."""
    if rng.random() < 0.3:
        if cell.isascii() and cell.isdigit() and len(cell) < 20:
            return int(cell)
        if len(cell) == 10 and cell[4:5] == "-" and cell[5:7] in ("01", "02", "03"):
            return date.fromisoformat(cell) if cell[8:].isdigit() and 0 < int(cell[8:]) < 29 else cell
    return cell


def write_parquet(path: Path, rows: list[list[str]], rng: random.Random) -> None:
    """Write Parquet with the columns that have a name of their own."""
    names = list(dict.fromkeys(rows[0])) or ["x"]
    padded = [[*row[: len(names)], *[""] * (len(names) - len(row))] for row in rows[1:]]
    frame = pl.DataFrame(
        {name: [row[i] for row in padded] for i, name in enumerate(names)},
        schema=dict.fromkeys(names, pl.String),
    )
    if rng.random() < 0.3 and frame.width:
        name = rng.choice(names)
        cast = rng.choice([pl.Categorical, pl.Binary, pl.Float64, pl.Int64, pl.List(pl.String)])
        made = (
            pl.col(name).cast(cast, strict=False) if not isinstance(cast, pl.List) else pl.concat_list(name)
        )
        frame = frame.with_columns(made)
    frame.write_parquet(path)


WRITERS: dict[str, Callable[[Path, list[list[str]], random.Random], None]] = {
    ".csv": write_text,
    ".xlsx": write_book,
    ".parquet": write_parquet,
}


def mangle_bytes(path: Path, rng: random.Random) -> str:
    """Damage a written file and return what was done."""
    data = bytearray(path.read_bytes())
    what = rng.choice(
        ["none", "none", "cut", "flip", "insert", "swap", "suffix", "empty", "xml", "twice", "nulls"]
    )
    if what == "cut":
        data = data[: rng.randint(0, len(data))]
    elif what in ("flip", "insert", "nulls"):
        for _ in range(rng.randint(1, 8)):
            at = rng.randint(0, max(len(data) - 1, 0))
            new = bytes(rng.randint(1, 6)) if what == "nulls" else rng.randbytes(rng.randint(1, 3))
            data[at : at + (len(new) if what == "flip" else 0)] = new
    elif what == "swap":
        data = bytearray(bytes(data).decode("utf-8", "ignore").encode(rng.choice(ENCODINGS)))
    elif what == "empty":
        data = bytearray(rng.choice([b"", b"\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x03\x04", b"PAR1"]))
    elif what == "twice":
        data = bytearray(bytes(data) * 2)
    path.write_bytes(data)
    if what == "xml" and path.suffix == ".xlsx":
        mangle_xml(path, rng)
    if what == "suffix":
        path.rename(path.with_suffix(rng.choice([".csv", ".xlsx", ".parquet", ".xls", ".txt", ".docx"])))
    return what


def mangle_xml(path: Path, rng: random.Random) -> None:
    """Damage one part of a workbook and pack it again."""
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    name = rng.choice(sorted(parts))
    data = bytearray(parts[name])
    if rng.random() < 0.3:
        del parts[name]
    else:
        at = rng.randint(0, len(data))
        data[at : at + rng.randint(0, 40)] = rng.choice(
            [b"", b"<", b"&bomb;", b'r="A0"', b"\xff", b"x" * 100_000]
        )
        parts[name] = bytes(data)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for part, content in parts.items():
            book.writestr(part, content)


def try_one(folder: Path, rng: random.Random) -> str:
    """Write, mangle and read one export; return what became of it, raise where it is a fault."""
    tables = sound_rows(rng)
    chosen = rng.choice(list(tables))
    for name, rows in tables.items():
        is_chosen = name == chosen
        suffix = rng.choice([".csv", ".csv", ".csv", ".xlsx", ".parquet"]) if is_chosen else ".csv"
        if is_chosen:
            mangle_rows(rows, rng)
        path = folder / f"{name}{suffix}"
        (WRITERS[suffix] if is_chosen else write_plain)(path, rows, rng)
        if is_chosen:
            mangle_bytes(path, rng)
    try:
        raw = read_exports(folder)
        panel, rejects = validate(raw, today=TODAY)
    except DataError as refusal:
        if refusal.code == "RR190" or not str(refusal):
            raise
        return f"refused {refusal.code}"
    for name, counts in rejects.counts.items():
        read = sum(batch.sheet.frame.height for part in raw.of(name) for batch in part.batches())
        returned = rejects.failures.filter(table=name).select("file", "row").n_unique()
        if counts.read != read or not counts.is_complete or returned != counts.rejected:
            raise AssertionError(f"{name}: {counts}, {read} rows in the sheets, {returned} returned")
        if panel.tables[name].height != counts.accepted:
            raise AssertionError(
                f"{name}: {counts.accepted} accepted, {panel.tables[name].height} in the panel"
            )
    rejects.write(folder / "returned")
    return "read, some rows returned" if rejects.returned else "read whole"


def write_plain(path: Path, rows: list[list[str]], rng: random.Random) -> None:
    """Write the table that stays sound."""
    del rng
    path.write_text("\n".join(",".join(row) for row in rows) + "\n", encoding="utf-8")


def fuzz(files: int, seed: int) -> tuple[Counter[str], list[tuple[int, str]]]:
    """Return what became of the files, and the faults: number of the file and traceback."""
    fates: Counter[str] = Counter()
    faults: list[tuple[int, str]] = []
    for number in range(files):
        folder = Path(tempfile.mkdtemp(prefix="fuzz-readers-"))
        try:
            fates[try_one(folder, random.Random(f"{seed}/{number}"))] += 1
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # a panic of a reader's Rust is no Exception
            faults.append((number, traceback.format_exc()))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return fates, faults


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    fates, faults = fuzz(wanted.files, wanted.seed)
    for fate, count in fates.most_common():
        sys.stdout.write(f"{count:7,}  {fate}\n")
    for number, trace in faults[:20]:
        sys.stdout.write(f"FAULT in file {number} of seed {wanted.seed}\n{trace}\n")
    sys.stdout.write(f"{wanted.files:,} files, {len(faults)} faults\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
