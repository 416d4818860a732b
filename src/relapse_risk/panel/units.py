"""Units as people write them behind a number, in a header or above a table, and what they come to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from relapse_risk.panel.schema import Column, ColumnType

_MONEY = {"元": 1.0, "圆": 1.0, "块": 1.0, "百元": 1e2, "千": 1e3, "千元": 1e3, "万": 1e4, "万元": 1e4} | {
    "百万元": 1e6,
    "千万元": 1e7,
    "亿": 1e8,
    "亿元": 1e8,
}
_PERSONS = {"人": 1.0, "口": 1.0, "名": 1.0, "个": 1.0, "万人": 1e4}
# What each unit of a column may be written as, and the factor that leads to it.
_SCALES: dict[str, dict[str, float]] = {
    "元": _MONEY,
    "元/年": {
        "元/年": 1.0,
        "元/人·年": 1.0,
        "元/人年": 1.0,
        "元/月": 12.0,
        "元/人·月": 12.0,
        "万元/年": 1e4,
        **_MONEY,
    },
    "人": _PERSONS,
    "户": {"户": 1.0, "万户": 1e4},
    "天": {"天": 1.0, "日": 1.0},
    "月": {"月": 1.0, "个月": 1.0},
    "亩": {"亩": 1.0, "公顷": 15.0, "平方米": 0.0015, "m2": 0.0015},
    "km": {"km": 1.0, "公里": 1.0, "千米": 1.0, "里": 0.5, "米": 1e-3, "m": 1e-3},
    "": {"%": 0.01, "‰": 1e-3, **_MONEY},
}
_OF_YEARS = {"年": 1.0, "年度": 1.0}
# An index with base 100 is a percentage already.
_INDICES = frozenset({"cpi"})
# Units of no column: a header that has one can't be read as it is.
_FOREIGN = ("美元", "港元", "元/人", "斤", "公斤", "小时", "%")
KNOWN_UNITS = frozenset((*(unit for scales in _SCALES.values() for unit in scales), *_FOREIGN, "年"))
_BRACKETED = re.compile(r"[(\[【〔]([^()\[\]【】〔〕]*)[)\]】〕]$")


def scales_of(column: Column) -> Mapping[str, float]:
    """Return the factor to the column's unit for every unit that may be written; ``""`` stands for none."""
    scales = _OF_YEARS if column.type is ColumnType.YEAR else _SCALES[column.unit]
    if column.name in _INDICES:
        scales = {**scales, "%": 1.0}
    return MappingProxyType({"": 1.0, **scales})


def unit_of_header(header: str) -> str:
    """Return the unit in brackets behind a header, or an empty text.

    >>> unit_of_header("工资性收入（万元）"), unit_of_header("耕地面积[单位：亩]")
    ('万元', '亩')
    """
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", header))
    found = _BRACKETED.search(plain)
    unit = re.sub(r"^单位:?", "", found.group(1)) if found else ""
    unit = unit.lower() if unit.isascii() else unit
    return unit if unit in KNOWN_UNITS else ""


def unit_above(cells: Iterable[str | None]) -> str:
    """Return the unit of money that cells above a header state for the whole table, or an empty text.

    >>> unit_above(["甲县监测记录", None, "单位：万元、人"]), unit_above(["单位：甲县乡村振兴局"])
    ('万元', '')
    """
    for cell in cells:
        plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", cell or ""))
        for stated in re.findall(r"单位[:为]?([^()]+)", plain):
            for unit in re.split(r"[、,;/和]", stated):
                if unit in _MONEY and _MONEY[unit] != 1.0:
                    return unit
    return ""
