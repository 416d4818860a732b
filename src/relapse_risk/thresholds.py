"""Dated parameters by area: the income line, provincial income, allowances, the rules' own limits.

The opinion gives no yuan amount, so every number is a row with its area, its dates, its source and whether
somebody verified it. ``thresholds.toml`` beside this module is the shipped layer; a county's own file of the
same form is laid over it, then the rows of its store (table ``threshold``), then ``county_month``.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError, ContractError

EVERYWHERE = "*"


@dataclass(frozen=True, slots=True)
class Threshold:
    """One value of one parameter, for an area and a span of days.

    Attributes
    ----------
    param : str
        ``line``, ``rural_dpi_prev``, ``dibao_standard``, or a rule's own such as ``R05.ratio``.
    area : str
        ``*`` or a prefix of a county code; the longest prefix that fits wins.
    value : float or None
        None where the value is not known: what needs it can't be judged.
    effective_from, effective_to : date
        Inclusive; an open end is ``date.max``.
    origin : str
        Where the row stands, for messages.
    """

    param: str
    area: str
    value: float | None
    unit: str
    effective_from: date
    effective_to: date
    source: str
    verified: bool
    origin: str = ""

    def __str__(self) -> str:
        value = "no value" if self.value is None else f"{self.value:g}"
        first, last = (
            "open" if day in (date.min, date.max) else str(day)
            for day in (self.effective_from, self.effective_to)
        )
        where = f", {self.origin}" if self.origin else ""
        return f"{value} from {first} to {last} ({self.source}{where})"

    def covers(self, day: date) -> bool:
        """Return whether the value is in force on ``day``."""
        return self.effective_from <= day <= self.effective_to


class ThresholdTable:
    """Layers of thresholds; a later layer is laid over the earlier ones.

    Parameters
    ----------
    layers : iterable of sequences of Threshold
        The shipped layer first, then the county's own.

    Raises
    ------
    ContractError
        RR301 where two rows of one layer give the same parameter and area two values on one day.
    """

    def __init__(self, *layers: Iterable[Threshold]) -> None:
        self.layers: tuple[tuple[Threshold, ...], ...] = tuple(tuple(layer) for layer in layers)
        self._by_area: list[dict[tuple[str, str], list[Threshold]]] = []
        for layer in self.layers:
            by_area: dict[tuple[str, str], list[Threshold]] = defaultdict(list)
            for row in sorted(layer, key=lambda row: (row.param, row.area, row.effective_from)):
                earlier = by_area[row.param, row.area]
                previous = earlier[-1] if earlier else None
                if previous and previous.effective_to >= row.effective_from:
                    raise ContractError(
                        "RR301",
                        f"threshold {row.param}, area {row.area}",
                        f"two rows overlap: {previous}; and {row}",
                        "one value in force on a day",
                        "End the earlier row before the later one starts",
                        zh=f"参数 {row.param}（地区 {row.area}）有两行同时生效，请先结束较早的一行。",
                    )
                earlier.append(row)
            self._by_area.append(dict(by_area))

    @classmethod
    def shipped(cls) -> ThresholdTable:
        """Return the table that comes with the toolkit."""
        return _shipped()

    @classmethod
    def with_county_file(cls, path: Path | None) -> ThresholdTable:
        """Return the shipped table with a county's own file over it; the shipped one where there is none.

        Raises
        ------
        ConfigurationError
            RR231 where the file can't be read as TOML, RR232 where a row has wrong keys or values.
        ContractError
            RR301 where two of its rows overlap.
        """
        shipped = cls.shipped()
        if path is None:
            return shipped
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _not_readable(str(path), error) from error
        return shipped.laid_over(rows_of(text, str(path)))

    def laid_over(self, rows: Iterable[Threshold]) -> ThresholdTable:
        """Return a table with ``rows`` as a further layer on top."""
        return ThresholdTable(*self.layers, rows)

    @property
    def params(self) -> tuple[str, ...]:
        """Every parameter any layer knows, sorted."""
        return tuple(sorted({param for by_area in self._by_area for param, _ in by_area}))

    def in_force(self, param: str, county_code: str, day: date) -> Threshold | None:
        """Return the row in force for a county on a day, or None.

        The topmost layer that has a row for the county on that day decides; within it the longest
        area. A row whose value is None counts: it says that the value is not known.
        """
        areas = [county_code[:length] for length in range(len(county_code), -1, -1)] + [EVERYWHERE]
        for by_area in reversed(self._by_area):
            for area in areas:
                rows = by_area.get((param, area), ())
                place = bisect_right(rows, day, key=lambda row: row.effective_from) - 1
                if place >= 0 and rows[place].covers(day):
                    return rows[place]
        return None

    def values(self, param: str, county_codes: Sequence[str], days: Sequence[date]) -> NDArray[np.float64]:
        """Return the values in force, shape ``(len(county_codes), len(days))``; NaN where not known."""
        grid = np.full((len(county_codes), len(days)), np.nan)
        for i, county in enumerate(county_codes):
            for j, day in enumerate(days):
                row = self.in_force(param, county, day)
                if row is not None and row.value is not None:
                    grid[i, j] = row.value
        return grid


def rows_of(text: str, origin: str) -> list[Threshold]:
    """Return the rows of a table of thresholds in TOML, the form of the shipped one.

    Parameters
    ----------
    text : str
        ``[[threshold]]`` tables with ``param``, ``source`` and ``verified``, and as needed ``area``,
        ``value``, ``unit``, ``effective_from`` and ``effective_to``.
    origin : str
        File, for messages.

    Raises
    ------
    ConfigurationError
        RR231 where the text is no TOML, RR232 where a row has wrong keys or values.
    """
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_readable(origin, error) from error
    entries = raw.get("threshold", [])
    if set(raw) - {"threshold"} or not isinstance(entries, list):
        raise _wrong_row(origin, f"top-level keys {', '.join(sorted(raw))}")
    return [_row(entry, f"{origin} row {number}") for number, entry in enumerate(entries, start=1)]


_KEYS: dict[str, tuple[type, ...]] = {
    "param": (str,),
    "area": (str,),
    "value": (int, float),
    "unit": (str,),
    "effective_from": (date,),
    "effective_to": (date,),
    "source": (str,),
    "verified": (bool,),
}
_NEEDED = ("param", "source", "verified")


def _row(entry: Mapping[str, Any], origin: str) -> Threshold:
    problems = [f"unknown key {key}" for key in sorted(set(entry) - set(_KEYS))]
    problems += [f"{key} is missing" for key in _NEEDED if key not in entry]
    problems += [
        f"{key} is of the wrong type"
        for key, kinds in _KEYS.items()
        if key in entry and type(entry[key]) not in kinds
    ]
    if problems:
        raise _wrong_row(origin, "; ".join(problems))
    value = entry.get("value")
    row = Threshold(
        param=entry["param"],
        area=entry.get("area", EVERYWHERE),
        value=None if value is None else float(value),
        unit=entry.get("unit", ""),
        effective_from=entry.get("effective_from", date.min),
        effective_to=entry.get("effective_to", date.max),
        source=entry["source"],
        verified=entry["verified"],
        origin=origin,
    )
    if row.effective_from > row.effective_to:
        raise _wrong_row(origin, f"ends on {row.effective_to}, before it starts on {row.effective_from}")
    return row


@cache
def _shipped() -> ThresholdTable:
    name = "thresholds.toml"
    text = resources.files("relapse_risk").joinpath(name).read_text(encoding="utf-8")
    return ThresholdTable(rows_of(text, name))


def _not_readable(origin: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        "RR231",
        origin,
        f"not readable as TOML ({error})",
        "a UTF-8 TOML file of [[threshold]] rows",
        "Correct the file, or the path `thresholds` in relapse.toml",
        zh=f"阈值文件“{origin}”无法读取，请检查路径和格式。",
    )


def _wrong_row(origin: str, problem: str) -> ConfigurationError:
    return ConfigurationError(
        "RR232",
        origin,
        problem,
        f"[[threshold]] rows with {', '.join(_NEEDED)} and, as needed, the other keys of {', '.join(_KEYS)}",
        "Correct the row",
        zh=f"阈值文件“{origin}”有误：{problem}。",
    )
