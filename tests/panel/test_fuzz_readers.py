"""Mangled files are refused whole with a reason, or every row of them is accounted for."""

from __future__ import annotations

import importlib.util
import sys
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.raw import ROW_NUMBER
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.schema import day, number
from relapse_risk.panel.tables import COUNTY_MONTH, TABLES

COLUMNS = [pytest.param(table, id=table.name) for table in TABLES]
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cf", "Z")), min_size=1, max_size=8)


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fuzz_readers", Path(__file__).parent / "fuzz_readers.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_mangled_files() -> None:
    fates, faults = script().fuzz(60, seed=7)
    assert faults == []
    assert fates["read whole"] > 3
    assert sum(count for fate, count in fates.items() if fate.startswith("refused")) > 3


@pytest.mark.slow
def test_many_mangled_files() -> None:
    assert script().fuzz(1000, seed=8)[1] == []


@pytest.mark.parametrize("table", COLUMNS)
@settings(max_examples=4, deadline=None)
@given(written=st.lists(TEXTS, min_size=1, max_size=4))
def test_any_text_in_any_column_is_a_value_a_blank_or_a_failure(table, written) -> None:
    """Never an exception, and never a failure without a text."""
    texts = pl.DataFrame({column.name: pl.Series(written, dtype=pl.String) for column in table.columns})
    parsed = parse_columns(texts, table.columns)
    assert parsed.frame.schema == pl.Schema(table.dtypes)
    for name, failed in parsed.failed.items():
        assert parsed.frame.filter(failed)[name].null_count() == failed.sum()
        assert texts.filter(failed)[name].str.strip_chars().str.len_chars().min() > 0


@settings(max_examples=30, deadline=None)
@given(
    value=st.integers(-(10**12), 10**12).map(lambda whole: whole / 100),
    form=st.sampled_from(["{:.2f}", "{:,.2f}", " {:.2f}元", "¥{:,.2f}", "'{:.2f}", "\u200b{:.2f}"]),
)
def test_an_amount_reads_back_however_it_is_written(value, form) -> None:
    frame = pl.DataFrame({"a": [form.format(value).replace("¥-", "-")]})
    parsed = parse_columns(frame, [number("a", "金额", unit="元")])
    assert not parsed.failed
    assert parsed.frame["a"][0] == pytest.approx(value, abs=0.005)


@settings(max_examples=30, deadline=None)
@given(
    value=st.integers(0, 60_000).map(lambda days: date(1930, 1, 1) + timedelta(days=days)),
    form=st.sampled_from(
        ["%Y-%m-%d", "%Y/%-m/%-d", "%Y.%m.%d", "%Y%m%d", "%Y年%-m月%-d日", "%Y-%m-%d 08:30:00"]
    ),
)
def test_a_date_reads_back_however_it_is_written(value, form) -> None:
    parsed = parse_columns(pl.DataFrame({"a": [value.strftime(form)]}), [day("a", "日期")])
    assert not parsed.failed
    assert parsed.frame["a"][0] == value


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"]),
    delimiter=st.sampled_from([",", ";", "\t"]),
    n_titles=st.integers(0, 3),
    is_quoted=st.booleans(),
)
def test_every_row_of_a_text_file_is_read_or_passed_over(
    tmp_path_factory, rows, encoding, delimiter, n_titles, is_quoted
) -> None:
    def line(cells: tuple[str, ...]) -> str:
        return delimiter.join('"' + c.replace('"', '""') + '"' if is_quoted or '"' in c else c for c in cells)

    # Without quotes a delimiter would shift the cells: nobody could tell them apart.
    rows = [tuple(c if is_quoted else c.replace(delimiter, "_") for c in row) for row in rows]
    titles = ["全县情况汇总"] * n_titles
    lines = [*titles, line(("县代码", "年月", "录入日期")), *(line(row) for row in rows)]
    path = tmp_path_factory.mktemp("read") / "县月度.csv"
    path.write_bytes(("\r\n".join(lines) + "\r\n").encode(encoding))
    raw = read_exports(path)
    (table,) = raw.tables
    passed = raw.passed_over.get("县月度.csv", {})
    found = dict(
        zip(
            table.sheet.frame[ROW_NUMBER],
            table.frame.select("county_code", "month", "recorded_on").rows(),
            strict=True,
        )
    )
    assert table.table is COUNTY_MONTH
    assert sorted([*found, *passed]) == list(range(1, n_titles + 1)) + [
        n_titles + 2 + i for i in range(len(rows))
    ]
    for at, row in found.items():
        assert row == rows[at - n_titles - 2]
