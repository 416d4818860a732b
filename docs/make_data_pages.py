"""Write the data dictionary and the page of data errors: ``python docs/make_data_pages.py``.

``data/dictionary.md`` and ``.csv`` come from the tables' declarations, their English words from
``docs/words.toml``; ``docs/data-errors.md`` comes from ``docs/data-errors.toml`` and the sentences that
ingest writes. With ``--check`` nothing is written, and the exit code says whether the files are fresh.
"""

from __future__ import annotations

import csv
import io
import sys
import tomllib
from pathlib import Path
from typing import Any

from relapse_risk.panel.reasons import Reason, unreadable
from relapse_risk.panel.schema import Column, ColumnType, Need, Table
from relapse_risk.panel.tables import TABLE_BY_NAME, TABLES

DOCS = Path(__file__).parent
ROOT = DOCS.parent
WORDS = tomllib.loads((DOCS / "words.toml").read_text(encoding="utf-8"))
ERRORS: list[dict[str, Any]] = tomllib.loads((DOCS / "data-errors.toml").read_text(encoding="utf-8"))["error"]

CSV_HEADERS = (
    *("table", "table_zh", "name", "zh", "type", "type_zh", "unit", "unit_en", "need", "need_zh"),
    *("minimum", "maximum", "values", "values_en", "source", "source_en", "note_zh", "note_en"),
)
NEEDS = {Need.KEY: ("主键", "key"), Need.REQUIRED: ("必填", "required"), Need.OPTIONAL: ("", "")}
HOW = {
    ColumnType.CODE: ("编码", "code"),
    ColumnType.TEXT: ("文字", "text"),
    ColumnType.DATE: ("日期", "date"),
    ColumnType.MONTH: ("年月", "month"),
    ColumnType.YEAR: ("年份", "year"),
    ColumnType.INT: ("整数", "whole number"),
    ColumnType.NUMBER: ("数字", "number"),
    ColumnType.BOOL: ("是/否", "yes/no"),
    ColumnType.CATEGORY: ("单选", "one value"),
    ColumnType.LIST: ("多选", "any values"),
}
GROUPS = {
    "file": ("整个文件被拒收", "A file is refused", "未入库任何数据。", "Nothing was stored."),
    "row": (
        "行被退回",
        "A row goes back",
        "其余各行照常入库；更正退回文件后再次导入。只有 RR128 的行不退回。",
        "The other rows are stored; correct the returned file and ingest it. Only rows of RR128 do not go "
        "back.",
    ),
    "warning": (
        "提示，行已入库",
        "A warning: the row is kept",
        "计入清单；涉及的行（文件和行号）列在退回文件旁的 `提示.csv` 中，每类至多 100000 行。请核对。",
        "Counted in the manifest; `提示.csv`, beside the returned files, names the rows by file and number, "
        "at most 100,000 of a kind. Worth a look.",
    ),
    "database": ("数据库作为来源", "A database as a source", "未入库任何数据。", "Nothing was stored."),
    "store": ("库与账目", "The store and its accounts", "", ""),
}


def pages() -> dict[Path, str]:
    """Return every generated file with its text."""
    return {
        ROOT / "data" / "dictionary.md": dictionary_page(),
        ROOT / "data" / "dictionary.csv": dictionary_csv(),
        DOCS / "data-errors.md": errors_page(),
    }


def english(word: str) -> str:
    """Return the English of a coded value, unit, department or note; a word without one is a fault."""
    return str(WORDS["en"][word]) if word else ""


def note_of(column: Column) -> tuple[str, str]:
    """Return a column's note in Chinese and English."""
    return (str(WORDS["notes"][column.note]), column.note) if column.note else ("", "")


def range_of(column: Column) -> str:
    """Return the inclusive range of a column."""
    low = "" if column.minimum is None else f"{column.minimum:g}"
    high = "" if column.maximum is None else f"{column.maximum:g}"
    return f"{low}–{high}" if low and high else f"≥ {low}" if low else f"≤ {high}" if high else ""


def dictionary_csv() -> str:
    """Return one line per column, for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(CSV_HEADERS)
    for table in TABLES:
        for column in table.columns:
            zh, en = HOW[column.type]
            need_zh, need = NEEDS[column.need]
            ends = ("" if end is None else f"{end:g}" for end in (column.minimum, column.maximum))
            values = (";".join(column.values), ";".join(map(value_in_english, column.values)))
            head = (table.name, table.zh, column.name, column.zh, en, zh, column.unit, english(column.unit))
            source = (column.source, english(column.source))
            writer.writerow([*head, need, need_zh, *ends, *values, *source, *note_of(column)])
    return text.getvalue()


def value_in_english(value: str) -> str:
    """Return a coded value in English; letters and digits are the same."""
    return value if value.isascii() else english(value)


def dictionary_page() -> str:
    """Return the dictionary in both languages, one section per table."""
    lines = [
        "# 数据字典 · Data dictionary",
        "",
        "由 `panel/tables.py` 的声明生成，请勿手改（`python docs/make_data_pages.py`）。表头可用中文或英文；"
        "金额列的表头可注明万元、千元等单位，读取时自动换算。",
        "Generated from the declarations in `panel/tables.py`; not to be edited by hand. Headers may be "
        "Chinese or English; a unit such as 万元 in a header is converted.",
        "",
    ]
    for table in TABLES:
        lines += [f"## {table.zh} · {table.name}", "", *table_facts(table), ""]
        lines += [
            "| 列 · column | 类型 · type | 单位 · unit | 取值 · values | 来源 · source | 说明 · note |",
            "|" + "---|" * 6,
        ]
        lines += [dictionary_line(column) for column in table.columns]
        lines.append("")
    return "\n".join(lines)


def table_facts(table: Table) -> list[str]:
    """Return what holds for a whole table."""
    if not table.is_stored:
        return ["从不入库，仅在输出名单时使用。Never stored; joined when a list is written."]
    keys = [table.by_name[name] for name in table.key]
    zh, en = "、".join(key.zh for key in keys), ", ".join(key.name for key in keys)
    more = ("快照：后录入的行取代前一行。", "A snapshot: a later row takes the place of the earlier.")
    return [f"主键：{zh}。Key: {en}.", *([more[0] + more[1]] if table.is_snapshot else [])]


def dictionary_line(column: Column) -> str:
    """Return one row of a dictionary table."""
    kind, need = HOW[column.type], NEEDS[column.need]
    values = [f"{value} {english(value)}" if not value.isascii() else value for value in column.values]
    allowed = "<br>".join(values) or range_of(column)
    marked = "<br>".join(filter(None, (both(kind), f"**{both(need)}**" if need[0] else "")))
    source = both((column.source, english(column.source)))
    unit = both((column.unit, english(column.unit)))
    cells = [f"{column.zh}<br>`{column.name}`", marked, unit, allowed, source, both(note_of(column), "<br>")]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def both(words: tuple[str, str], between: str = " ") -> str:
    """Return a Chinese word with its English one, once where they are the same."""
    return words[0] if words[0] == words[1] else between.join(words)


def errors_page() -> str:
    """Return every RR1xx code with sentence, example and remedy."""
    lines = [
        "# 数据问题代码 · Data errors",
        "",
        "由 `docs/data-errors.toml` 生成，请勿手改（`python docs/make_data_pages.py`）。",
        "Generated from `docs/data-errors.toml`; not to be edited by hand.",
        "",
        "退回文件在 `STORE/rejects/`，内容与交来时一致（包括其中的个人信息，因此只留在本机，不进入数据库、"
        "日志和模型），末尾加五列：文件、行号、原因代码、原因、reason。改好后原样再次导入即可。",
        "Returned files lie in `STORE/rejects/`. They hold the rows as they came, personal data included, so "
        "that they can be corrected: they stay on this machine and enter neither the tables of the store nor "
        "a log or a model. Five columns are added: 文件, 行号, 原因代码, 原因, reason. Correct the file and "
        "ingest it as it is.",
        "",
    ]
    for group, (zh, en, then_zh, then_en) in GROUPS.items():
        lines += [f"## {zh} · {en}", "", f"{then_zh}{then_en}", ""] if then_zh else [f"## {zh} · {en}", ""]
        for entry in (entry for entry in ERRORS if entry["group"] == group):
            lines += error_lines(entry)
    return "\n".join(lines)


def error_lines(entry: dict[str, Any]) -> list[str]:
    """Return the section of one code."""
    lines = [f"### {entry['code']}", "", f"**{entry['zh']}** · {entry['en']}", ""]
    said = sentence_of(entry)
    if said:
        lines += [f"- 退回文件中写作 · in the returned file: {said[0]} / {said[1]}"]
    zh, en = example_of(entry)
    lines += [f"- 例 · example: {both((zh, en), ' / ')}"]
    lines += [f"- 处理 · remedy: {entry['remedy_zh']} / {entry['remedy_en']}", ""]
    return lines


def example_of(entry: dict[str, Any]) -> tuple[str, str]:
    """Return the example in Chinese and English, from the cells where there are any."""
    if "cells" not in entry:
        return entry["example_zh"], entry["example_en"]
    table = TABLE_BY_NAME[entry["table"]]
    cells = entry["cells"].items()
    zh = "，".join(f"{table.by_name[name].zh} = {text or '（空）'}" for name, text in cells)
    en = ", ".join(f"`{name}` = {text or '(empty)'}" for name, text in cells)
    return f"{table.zh}：{zh}", f"{table.name}: {en}"


def sentence_of(entry: dict[str, Any]) -> tuple[str, str] | None:
    """Return the reason's own sentence about the example's first column, where it needs nothing else."""
    reason = next((reason for reason in Reason if reason.code == entry["code"]), None)
    if reason is None or entry["group"] != "row" or "cells" not in entry:
        return None
    column = TABLE_BY_NAME[entry["table"]].by_name[next(iter(entry["cells"]))]
    if "{expected}" not in reason.value.zh:
        said = reason.sentence(column)
    elif column.type is not ColumnType.TEXT and unreadable(column)[0] is reason:
        said = reason.sentence(column, unreadable(column)[1])
    else:
        return None
    return said.zh, said.en


def main(arguments: list[str]) -> int:
    """Write the pages, or check them."""
    stale = [
        path
        for path, text in pages().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" not in arguments:
        for path in stale:
            path.write_text(pages()[path], encoding="utf-8")
    for path in stale:
        sys.stdout.write(f"{path.relative_to(ROOT)}\n")
    return int(bool(stale) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
