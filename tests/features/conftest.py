"""A small random panel with gaps, empty cells, late rows, corrections and mixed periods."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from relapse_risk.panel.panel import Panel
from relapse_risk.panel.schema import ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME, TABLES
from relapse_risk.thresholds import Threshold, ThresholdTable
from relapse_risk.windows import month_end, month_index

FIRST, LAST = date(2020, 1, 31), date(2023, 12, 31)
Rows = list[dict[str, Any]]


def frame_of(name: str, rows: Rows) -> pl.DataFrame:
    dtypes = TABLE_BY_NAME[name].dtypes
    return pl.DataFrame([{column: row.get(column) for column in dtypes} for row in rows], schema=dtypes)


class _Draw:
    """Random cells of the declared columns; about one optional cell in ten is empty."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def day(self, first: date = FIRST, last: date = LAST) -> date:
        return first + timedelta(days=int(self.rng.integers(0, (last - first).days + 1)))

    def cell(self, table: str, name: str) -> Any:
        column = TABLE_BY_NAME[table].by_name[name]
        if self.rng.random() < 0.1:
            return None
        match column.type:
            case ColumnType.CATEGORY:
                return str(self.rng.choice(list(column.values)))
            case ColumnType.LIST:
                return "、".join(self.rng.choice(list(column.values), 2, replace=False).tolist())
            case ColumnType.BOOL:
                return bool(self.rng.random() < 0.7)
            case ColumnType.INT:
                return int(self.rng.integers(1, 5) if column.values else self.rng.integers(0, 4))
            case ColumnType.NUMBER:
                return float(np.round(self.rng.gamma(2.0, 900.0), 2))
            case ColumnType.YEAR:
                return int(self.rng.integers(1970, 2020))
            case ColumnType.DATE:
                return self.day()
            case ColumnType.MONTH:
                return self.day(date(1940, 1, 1), date(2019, 12, 1)).replace(day=1)
            case _:
                return str(self.rng.integers(0, 3))

    def row(self, table: str, **fixed: Any) -> dict[str, Any]:
        drawn = {name: self.cell(table, name) for name in TABLE_BY_NAME[table].by_name}
        return drawn | fixed


def _households(draw: _Draw, n: int) -> Rows:
    rows: Rows = []
    for i in range(n):
        county = ("130727", "130434")[i % 2]
        place = {
            "county_code": county,
            "township_code": county + "001",
            "village_code": county + f"00100{i % 3}",
            "household_type": str(draw.rng.choice(["脱贫户", "一般农户"])),
            "monitor_category": str(draw.rng.choice(["非监测", "边缘易致贫户"])),
        }
        known = FIRST if draw.rng.random() < 0.8 else draw.day()
        for recorded_on in {known, draw.day(known)} if draw.rng.random() < 0.3 else {known}:
            rows.append(draw.row("household", household_id=f"H{i:03d}", recorded_on=recorded_on, **place))
    return rows


def _observations(draw: _Draw, ids: list[str]) -> Rows:
    rows: Rows = []
    for household_id in ids:
        month = month_index(FIRST) + int(draw.rng.integers(0, 12))
        style = draw.rng.integers(0, 4)
        while month <= month_index(LAST):
            length = int([1, 3, 12, draw.rng.choice([1, 3, 12])][style])
            if draw.rng.random() > 0.15:
                end = month_end(month)
                key = {"household_id": household_id, "period_end": end, "period_months": length}
                late = int(draw.rng.integers(0, 200 if draw.rng.random() < 0.2 else 20))
                fixed = {
                    "n_person": float(draw.rng.integers(1, 6)),
                    "work_months": float(draw.rng.integers(0, 9)),
                }
                rows.append(draw.row("observation", recorded_on=end + timedelta(days=late), **key, **fixed))
                if draw.rng.random() < 0.1:
                    later = end + timedelta(days=late + int(draw.rng.integers(1, 300)))
                    rows.append(draw.row("observation", recorded_on=later, **key, **fixed))
            # Now and then periods overlap, or leave a hole.
            month += int(draw.rng.choice([1, 3, 12])) if style == 3 else length
    return rows


def _children(draw: _Draw, table: str, key: str, ids: list[str], n: int) -> Rows:
    happened = TABLE_BY_NAME[table].happened
    rows: Rows = []
    for i in range(n):
        day = draw.day()
        fixed: dict[str, Any] = {
            key: f"{table[:2]}{i:04d}",
            "household_id": str(draw.rng.choice(ids)),
            "recorded_on": day + timedelta(days=int(draw.rng.integers(0, 60))),
        }
        for name, column in TABLE_BY_NAME[table].by_name.items():
            if column.need.value == "required" and name not in fixed:
                value = None
                while value is None:
                    value = draw.cell(table, name)
                fixed[name] = value
        if happened:
            fixed[happened] = day
        rows.append(draw.row(table, **fixed))
        if draw.rng.random() < 0.1:
            fixed["recorded_on"] += timedelta(days=int(draw.rng.integers(1, 200)))
            rows.append(draw.row(table, **fixed))
    return rows


def random_tables(seed: int, households: int = 24) -> dict[str, pl.DataFrame]:
    draw = _Draw(seed)
    ids = [f"H{i:03d}" for i in range(households)]
    rows = {
        "household": _households(draw, households),
        "observation": _observations(draw, ids[:-1]),  # one household never reports
        "member": _children(draw, "member", "member_id", ids[:-1], 3 * households),
        "event": _children(draw, "event", "event_id", ids, 4 * households),
        "measure": _children(draw, "measure", "measure_id", ids, households),
        "visit": _children(draw, "visit", "visit_id", ids, households),
        "workflow": _children(draw, "workflow", "case_id", ids, households // 2),
        "threshold": [
            {
                "param": "line",
                "area_code": "130727",
                "effective_from": date(year, 1, 1),
                "effective_to": date(year, 12, 31),
                "value": 6000.0 + 500 * (year - 2019),
                "unit": "元/人·年",
                "source": "test",
                "verified": False,
                "recorded_on": FIRST,
            }
            for year in range(2019, 2024)
        ],
        "county_month": [
            draw.row(
                "county_month",
                county_code=county,
                month=date(year, month, 1),
                recorded_on=date(year, month, 20),
            )
            for county in ("130727", "130434")
            for year in range(2020, 2024)
            for month in (1, 7)
        ],
    }
    return {name: frame_of(name, table) for name, table in rows.items()}


@pytest.fixture(scope="session")
def make_panel() -> Callable[..., Panel]:
    """Make the random panel of a seed; ``absent`` names tables nobody handed in."""

    def make(seed: int = 0, absent: tuple[str, ...] = (), **options: int) -> Panel:
        tables = random_tables(seed, **options)
        return Panel({name: frame for name, frame in tables.items() if name not in absent})

    return make


@pytest.fixture(scope="session")
def panel_of() -> Callable[..., Panel]:
    """Make a panel of given rows: ``panel_of(household=[...], observation=[...])``."""

    def make(**tables: Rows) -> Panel:
        return Panel({name: frame_of(name, rows) for name, rows in tables.items()})

    return make


@pytest.fixture(scope="session")
def thresholds() -> ThresholdTable:
    """Every parameter the catalogue names, everywhere and always."""
    values = {"line": 7300.0, "rural_dpi_prev": 18000.0, "dibao_standard": 5700.0, "R27.ratio": 1.2}
    return ThresholdTable(
        Threshold(param, "*", value, "元", date.min, date.max, "test", False)
        for param, value in values.items()
    )


@pytest.fixture(scope="session")
def all_tables() -> tuple[str, ...]:
    return tuple(table.name for table in TABLES if table.is_stored)
