"""Dated parameters by area: the income line, provincial income, allowances, the rules' own limits.

The opinion gives no yuan amount, so every number is a row with its area, its dates, its source and whether
somebody verified it. ``thresholds.toml`` beside this module is the shipped layer; a county's own rows
(table ``threshold``, or ``county_month``) are laid over it.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ContractError

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
    """

    param: str
    area: str
    value: float | None
    unit: str
    effective_from: date
    effective_to: date
    source: str
    verified: bool

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
                        f"two values from {previous.effective_from} ({previous.value}, {previous.source}) "
                        f"and from {row.effective_from} ({row.value}, {row.source}) overlap",
                        "one value in force on a day",
                        "End the earlier row before the later one starts",
                    )
                earlier.append(row)
            self._by_area.append(dict(by_area))

    @classmethod
    def shipped(cls) -> ThresholdTable:
        """Return the table that comes with the toolkit."""
        text = resources.files("relapse_risk").joinpath("thresholds.toml").read_text(encoding="utf-8")
        rows = tomllib.loads(text)["threshold"]
        return cls(
            Threshold(
                param=row["param"],
                area=row.get("area", EVERYWHERE),
                value=row.get("value"),
                unit=row.get("unit", ""),
                effective_from=row.get("effective_from", date.min),
                effective_to=row.get("effective_to", date.max),
                source=row["source"],
                verified=row["verified"],
            )
            for row in rows
        )

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
