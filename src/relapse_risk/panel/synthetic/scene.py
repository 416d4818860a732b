"""What every table of a synthetic county is made from: the world, its history, identifiers and days.

Days are whole numbers since 1970-01-01 until a frame is built, as ``polars.Date`` stores them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.panel.synthetic.history import History
from relapse_risk.panel.synthetic.population import Population
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.state import Happening
from relapse_risk.panel.synthetic.villages import Villages
from relapse_risk.panel.synthetic.world import World
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import month_index

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_NONE = np.zeros(0, np.int64)
NO_DAY = np.iinfo(np.int32).min
COUNTY_CODE_FIRST = 139901
SCHEME_VERSION = "2021-2025"


def first_day(month: int) -> int:
    """Return the first day of a month (``windows.month_index``) as days since 1970-01-01.

    >>> first_day(1970 * 12 + 1)
    31
    """
    return date(month // 12, month % 12 + 1, 1).toordinal() - date(1970, 1, 1).toordinal()


def last_day(month: int) -> int:
    """Return the last day of a month as days since 1970-01-01."""
    return first_day(month + 1) - 1


def draw_delays(median_days: float, n: int, rng: np.random.Generator, spread: float = 0.55) -> Ints:
    """Return reporting delays in whole days, from 1 to 90, most of them near the median."""
    days = median_days * np.exp(spread * rng.standard_normal(n))
    return np.clip(days, 1, 90).round().astype(np.int64)


def household_codes(villages: Villages, village: Ints) -> pl.Series:
    """Return 18-digit household codes: the village's and a running number within it."""
    serial = np.arange(len(village)) - np.searchsorted(village, village)
    return village_codes(villages).gather(village) + pl.Series(serial + 1).cast(pl.String).str.zfill(6)


def county_codes(counties: Ints) -> pl.Series:
    """Return 6-digit codes of counties by number; none of them exists."""
    return pl.Series(COUNTY_CODE_FIRST + counties).cast(pl.String)


def township_codes(villages: Villages) -> pl.Series:
    """Return the 9-digit township code of each village."""
    return county_codes(villages.county) + pl.Series(101 + villages.township).cast(pl.String)


def village_codes(villages: Villages) -> pl.Series:
    """Return the 12-digit code of each village."""
    return township_codes(villages) + pl.Series(201 + place_within_township(villages)).cast(pl.String)


def place_within_township(villages: Villages) -> Ints:
    """Return each village's running number within its township, from 0."""
    group = villages.county * 1000 + villages.township
    return np.arange(len(group)) - np.searchsorted(group, group)


@dataclass(frozen=True)
class Scene:
    """A simulated county before it is written down.

    Attributes
    ----------
    household_ids, member_ids : polars.Series
        In the order of the population's arrays.
    """

    world: World
    history: History
    household_ids: pl.Series
    months: int
    seed: int

    @property
    def population(self) -> Population:
        """The traits of households."""
        return self.world.population

    @property
    def scenario(self) -> Scenario:
        """The scenario's parameters."""
        return self.world.scenario

    @property
    def start(self) -> int:
        """First month, as ``windows.month_index``."""
        return month_index(self.scenario.start)

    @cached_property
    def member_ids(self) -> pl.Series:
        """20-digit member codes: the household's and two digits; who founds a household keeps the old one."""
        members = self.population.members
        number = pl.Series(members.position + 1).cast(pl.String).str.zfill(2)
        return (self.household_ids.gather(members.household) + number).gather(members.identity)

    @cached_property
    def by_month(self) -> Mapping[int, Mapping[str, Happening]]:
        """What happened, by month and kind; kinds noted twice in a month are joined."""
        noted: dict[int, dict[str, list[Happening]]] = defaultdict(lambda: defaultdict(list))
        for happening in self.history.happenings:
            noted[happening.month][happening.kind].append(happening)
        return {
            month: {kind: _join(parts) for kind, parts in kinds.items()} for month, kinds in noted.items()
        }

    def happened(self, month: int, kind: str) -> Happening:
        """Return what of a kind happened in a month; without rows where nothing did."""
        return self.by_month.get(month, {}).get(kind) or Happening(
            kind, month, _NONE, _NONE, _NONE, np.zeros(0)
        )

    def rng(self, purpose: int) -> np.random.Generator:
        """Return a generator of its own for each table, so that one does not disturb another."""
        return np.random.Generator(np.random.SFC64([self.seed, 100 + purpose]))


def _join(parts: list[Happening]) -> Happening:
    return Happening(
        parts[0].kind,
        parts[0].month,
        np.concatenate([part.household for part in parts]),
        np.concatenate([part.member for part in parts]),
        np.concatenate([part.code for part in parts]),
        np.concatenate([part.value for part in parts]),
    )


@dataclass
class Ledger:
    """Collects rows of one table in pieces, and makes a canonical frame of them.

    Cells come as arrays, series or one value for all rows; days as whole numbers, ``NO_DAY`` for none.
    """

    table: str
    pieces: list[tuple[int, Mapping[str, object]]] = field(default_factory=list)

    def add(self, n: int, values: Mapping[str, object]) -> None:
        """Add ``n`` rows; columns that are not given stay empty."""
        if n:
            self.pieces.append((n, values))

    def frame(self) -> pl.DataFrame:
        """Return all rows with the table's columns, in its order and types."""
        columns = TABLE_BY_NAME[self.table].dtypes
        return pl.DataFrame([self._column(name, dtype) for name, dtype in columns.items()])

    def _column(self, name: str, dtype: type[pl.DataType]) -> pl.Series:
        parts = [(n, values.get(name)) for n, values in self.pieces]
        if all(part is None for _, part in parts):
            return pl.Series(name, [None], dtype=dtype).new_from_index(0, sum(n for n, _ in parts))
        if dtype is pl.String:
            return pl.concat([_texts(n, part) for n, part in parts]).rename(name)
        gap = NO_DAY if dtype is pl.Date else np.nan
        series = pl.Series(name, np.concatenate([_numbers(n, part, gap) for n, part in parts]))
        if dtype is pl.Date:
            return series.cast(pl.Int32).replace(NO_DAY, None).cast(pl.Date)
        return (series.fill_nan(None) if series.dtype.is_float() else series).cast(dtype)


def _texts(n: int, part: object) -> pl.Series:
    if isinstance(part, pl.Series):
        return part.cast(pl.String).rename("")
    return pl.Series("", [part] * n, dtype=pl.String)


def _numbers(n: int, part: object, gap: float) -> NDArray[np.generic]:
    if isinstance(part, pl.Series):
        return part.cast(pl.Float64).to_numpy()
    if isinstance(part, np.ndarray):
        return part
    return np.full(n, gap if part is None else part)


def canonical(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with exactly the table's columns, in its order and types; absent ones are empty."""
    columns = [
        pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in TABLE_BY_NAME[table].dtypes.items()
    ]
    return frame.select(columns)


def decode(texts: tuple[str | None, ...], codes: Ints) -> pl.Series:
    """Return the text at each place of ``codes``, as a series."""
    return pl.Series(texts, dtype=pl.String).gather(codes)
