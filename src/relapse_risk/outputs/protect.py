"""Which counts of a roll-up must not leave the county, over all of its tables together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import polars as pl

from relapse_risk.outputs.suppress import THRESHOLD, Cell, Sum, suppress
from relapse_risk.rules.roll_up import (
    GROUPS,
    HOUSING,
    INDICATORS,
    INSURANCE,
    LOW_INCOME_CLASSES,
    REGISTER_CATEGORIES,
    WATER,
    RollUp,
)

STATUSES = ("met", "known", "unmet", "unknown")

# What a group of people adds up to, printed or not; a reader may use all of these.
_PARTS = {
    "all": (
        ("lifted", "ordinary"),
        ("monitored", "beside_monitored"),
        ("low_income", "not_low_income", "class_unknown"),
        ("low_income", "beside_low_income"),
    ),
    "monitored": (REGISTER_CATEGORIES, ("monitored_only", "monitored_with_class")),
    "low_income": ((*LOW_INCOME_CLASSES, "monitored_only"), ("monitored", "low_income_off_register")),
}
_UNPRINTED = ("beside_monitored", "beside_low_income", "monitored_with_class", "low_income_off_register")
_COVERAGE_PARTS = (
    ("all", ("lifted", "ordinary")),
    ("all", ("monitored", "beside_monitored")),
    ("all", ("low_income", "beside_low_income")),
    ("low_income", ("monitored", "low_income_off_register")),
)
_TOTAL_OF = {INSURANCE.key: "people", HOUSING.key: "households", WATER.key: "households"}


@dataclass
class _Counts:
    """Counts of one county and its townships, with those that follow from them."""

    values: dict[Cell, int] = field(default_factory=dict)
    unprinted: set[Cell] = field(default_factory=set)

    def derive(self, cell: Cell, total: Cell, part: Cell) -> None:
        """Note what is left of a total beside a part; nobody prints it, and anybody can work it out."""
        if cell not in self.values:
            self.values[cell] = self.values[total] - self.values[part]
            self.unprinted.add(cell)


def withheld_counts(result: RollUp) -> frozenset[Cell]:
    """Return the cells that must not be printed where the tables leave the county.

    Cells are ``("households" or "people", place, group)`` and ``(indicator, place, group, status)``, place
    being the code of a county or township and status one of ``STATUSES``. Each county is protected by itself:
    no total over counties is printed. Everything counted in fewer than five households is withheld.
    """
    withheld: set[Cell] = set()
    for code in result.counties["county_code"].to_list():
        counts, places = _counts_of(result, code)
        sums = list(_sums(counts, places, code))
        small = {
            (place, cell[2])
            for cell, count in counts.values.items()
            if isinstance(cell, tuple) and cell[0] == "households" and 0 < count < THRESHOLD
            for place in (cell[1],)
        }
        sensitive = [c for c in counts.values if isinstance(c, tuple) and (c[1], c[2]) in small]
        withheld |= suppress(counts.values, sums, sensitive=sensitive, unprinted=counts.unprinted).withheld
    return frozenset(withheld)


def _counts_of(result: RollUp, code: str) -> tuple[_Counts, list[str]]:
    counts = _Counts()
    population = result.population.filter(pl.col("county_code") == code)
    coverage = result.coverage.filter(pl.col("county_code") == code)
    townships = population["township_code"].unique().sort().to_list()
    for unit in ("households", "people"):
        for place, group, count in population.select("township_code", "group", unit).rows():
            counts.values[unit, place, group] = count
            above = unit, code, group
            counts.values[above] = counts.values.get(above, 0) + count
    known = coverage.with_columns(known=pl.col("met") + pl.col("unmet"))
    for place, indicator, group, *figures in known.select(
        "township_code", "indicator", "group", *STATUSES
    ).rows():
        for status, count in zip(STATUSES, figures, strict=True):
            counts.values[indicator, place, group, status] = count
            above_status = indicator, code, group, status
            counts.values[above_status] = counts.values.get(above_status, 0) + count
    return counts, townships


def _sums(counts: _Counts, townships: list[str], code: str) -> Iterator[Sum]:
    """Yield every identity between the counts, noting those that nobody prints."""
    for place in (*townships, code):
        yield from _population_sums(counts, place)
        yield from _coverage_sums(counts, place)
    for cell in list(counts.values):
        if isinstance(cell, tuple) and cell[1] == code:
            yield Sum(cell, tuple((cell[0], place, *cell[2:]) for place in townships))


def _population_sums(counts: _Counts, place: str) -> Iterator[Sum]:
    for unit in ("households", "people"):
        for total, ways in _PARTS.items():
            for parts in ways:
                if parts[-1] in _UNPRINTED:
                    counts.derive((unit, place, parts[1]), (unit, place, total), (unit, place, parts[0]))
                yield Sum((unit, place, total), tuple((unit, place, part) for part in parts))


def _coverage_sums(counts: _Counts, place: str) -> Iterator[Sum]:
    for indicator in INDICATORS:
        key = indicator.key
        for total, (part, rest) in _COVERAGE_PARTS:
            for status in STATUSES:
                cells = [(key, place, group, status) for group in (total, part, rest)]
                counts.derive(cells[2], cells[0], cells[1])
                yield Sum(cells[0], (cells[1], cells[2]))
        for group in (
            *GROUPS,
            "ordinary",
            "beside_monitored",
            "beside_low_income",
            "low_income_off_register",
        ):
            of = {status: (key, place, group, status) for status in STATUSES}
            yield Sum(of["known"], (of["met"], of["unmet"]))
            if key in _TOTAL_OF:
                yield Sum((_TOTAL_OF[key], place, group), (of["known"], of["unknown"]))
