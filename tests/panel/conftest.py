"""A small county's export, as a clerk would hand it in, for the tests of reading, checking and storing."""

from __future__ import annotations

import csv
from calendar import monthrange
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import pytest

Rows = list[dict[str, str]]
WriteTable = Callable[..., Path]

TODAY = date(2024, 6, 30)


def household(number: int, **changes: str) -> dict[str, str]:
    row = {
        "户编号": f"13010100000000{number:02d}",
        "录入日期": "2024-01-31",
        "县代码": "130101",
        "县": "甲县",
        "乡镇代码": "130101001",
        "村代码": "130101001001",
        "户类型": "脱贫户",
        "脱贫年度": "2018",
        "监测对象类别": "非监测",
        "致贫返贫风险": "无",
        "风险是否已消除": "否",
        "耕地面积": "3.5",
        "利益联结": "无",
    }
    return row | changes


def observation(number: int, month: int, **changes: str) -> dict[str, str]:
    row = {
        "户编号": f"13010100000000{number:02d}",
        "期末日期": f"2024-{month:02d}-{monthrange(2024, month)[1]}",
        "统计月数": "1",
        "录入日期": f"2024-{month + 1:02d}-05",
        "家庭人口": "3",
        "工资性收入": "1,500.00",
        "生产经营性收入": "200",
        "生产经营性支出": "100",
        "财产性收入": "0",
        "转移性收入": "400",
        "家庭纯收入": "2000",
        "住房安全等级": "A",
        "饮水安全": "是",
    }
    return row | changes


def event(number: int, **changes: str) -> dict[str, str]:
    row = {
        "事件编号": f"E{number:03d}",
        "户编号": "1301010000000001",
        "事件类型": "住院",
        "发生日期": "2024-02-10",
        "接收日期": "2024-02-20",
        "推送部门": "医保",
        "金额": "12000",
    }
    return row | changes


class Export:
    """Rows of a sound export, to be changed by a test and written to a folder."""

    def __init__(self) -> None:
        self.tables: dict[str, Rows] = {
            "家庭": [
                household(1),
                household(2),
                household(3, 县代码="130102", 乡镇代码="130102001", 村代码="130102001001"),
            ],
            "监测记录": [observation(n, m) for n in (1, 2, 3) for m in (1, 2, 3)],
            "部门事件": [event(1), event(2, 户编号="1301010000000003")],
        }

    def write(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, rows in self.tables.items():
            write_csv(folder / f"{name}.csv", rows)
        return folder


def write_csv(
    path: Path,
    rows: Sequence[Mapping[str, str]],
    *,
    encoding: str = "utf-8-sig",
    delimiter: str = ",",
    before: str = "",
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as stream:
        stream.write(before)
        writer = csv.DictWriter(stream, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def export() -> Export:
    return Export()


@pytest.fixture
def today() -> date:
    return TODAY


@pytest.fixture
def write_table() -> WriteTable:
    return write_csv


@pytest.fixture
def household_row() -> Callable[..., dict[str, str]]:
    return household


@pytest.fixture
def observation_row() -> Callable[..., dict[str, str]]:
    return observation


@pytest.fixture
def event_row() -> Callable[..., dict[str, str]]:
    return event
