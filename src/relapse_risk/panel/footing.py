"""Rows of a sheet that are no records: totals, notes and signatures below the data, headers repeated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import polars as pl

from relapse_risk.panel.raw import ROW_NUMBER, RowKind, normalise_header

# A key that begins like this is somebody's; rows with any other are looked at closely.
_LIKE_A_KEY = r"^\s*[0-9A-Za-z*'=]"
_TOTAL = re.compile(
    r"^(?:.{0,12}(?:合计|总计|小计|共计|累计)(?:[(:：].*)?|共计?\d+(?:户|人|条|行|项).{0,20})$"
)
_NOTE = re.compile(
    r"^(?:(?:制表|制单|填表|填报|审核|复核|核对|统计|打印|报送|经办|审批|单位|分管|主管|负责|联系|领导|签字|盖章)"
    r"[^:：]{0,8}[:：].*|(?:备注|附注|注|说明|填表说明)\d{0,2}[:：、.].*|第\d+页.*|共\d+页.*|以下空白)$",
    re.DOTALL,
)


def kind_of_row(cells: Sequence[str | None], keys: Sequence[int], headers: Sequence[str]) -> RowKind | None:
    """Return what a row is that is no record; None for a record, however broken.

    Parameters
    ----------
    cells : sequence of str or None
        The row, in the order of the headers.
    keys : sequence of int
        Where the key columns stand. A row that fills one of them with anything but a word for a total or a
        note is a record.
    """
    plain = [_plain(cell) for cell in cells]
    filled = [cell for cell in plain if cell]
    if len(filled) > 1 and all(
        normalise_header(cell) == normalise_header(header)
        for cell, header in zip(plain, headers, strict=False)
        if cell
    ):
        return RowKind.HEADER
    if not filled or any(plain[i] and _footing(plain[i]) is None for i in keys):
        return None
    return _footing(filled[0])


def _plain(cell: str | None) -> str:
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", cell or ""))


def _footing(plain: str) -> RowKind | None:
    if _TOTAL.match(plain):
        return RowKind.TOTAL
    return RowKind.NOTE if _NOTE.match(plain) else None


def without_footing(
    frame: pl.DataFrame, keys: Sequence[int], headers: Sequence[str]
) -> tuple[pl.DataFrame, dict[int, RowKind]]:
    """Return the records of a block, and by row number what the other rows are."""
    if not keys or frame.is_empty() or frame.schema[str(keys[0])] != pl.String:
        return frame, {}
    names = [str(i) for i in range(len(headers))]
    is_record = pl.col(str(keys[0])).str.contains(_LIKE_A_KEY).fill_null(value=False)
    passed: dict[int, RowKind] = {}
    for number, *cells in frame.filter(~is_record).select(ROW_NUMBER, *names).iter_rows():
        texts = [None if cell is None else str(cell) for cell in cells]
        kind = kind_of_row(texts, keys, headers)
        if kind is not None:
            passed[number] = kind
    if not passed:
        return frame, {}
    return frame.filter(~pl.col(ROW_NUMBER).is_in(list(passed))), passed
