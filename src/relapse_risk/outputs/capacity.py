"""How many visits can be made, and by whom: per county, township, village or team."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError
from relapse_risk.rules.priority import UnitVisits

_HEADERS = {"地区代码": "area_code", "走访容量": "visits", "走访组": "team"}
_NEEDED = ("area_code", "visits")
_LEVELS = ("village_code", "township_code", "county_code")  # the finest one that is named holds
_SHOWN = 5


@dataclass(frozen=True)
class UnitsOfCounty:
    """The units of capacity of one county.

    Attributes
    ----------
    names : tuple of str
        Team, or code of the area, sorted.
    visits : ndarray of int64, shape (n_units,)
    unit : ndarray of int64, shape (n,)
        Position of each household's unit.
    """

    names: tuple[str, ...]
    visits: NDArray[np.int64]
    unit: NDArray[np.int64]

    def name_of(self, rows: NDArray[np.int64]) -> pl.Series:
        """Return the unit of some households, by name."""
        return pl.Series("unit", self.names, dtype=pl.String)[self.unit[rows]]

    def table(self, found: Sequence[UnitVisits]) -> pl.DataFrame:
        """Return unit, capacity, used, audit, audit_pool, excess and audit_probability of every unit."""
        names = ("capacity", "used", "audit", "audit_pool", "excess")
        cells = {name: [getattr(unit, name) for unit in found] for name in names}
        schema = {"unit": pl.String} | dict.fromkeys(names, pl.Int64)
        table = pl.DataFrame({"unit": list(self.names), **cells}, schema=schema)
        shares = [unit.audit_probability for unit in found]
        return table.with_columns(audit_probability=pl.Series(shares, dtype=pl.Float64))


@dataclass(frozen=True)
class Capacity:
    """Visits by area or team.

    Attributes
    ----------
    visits : mapping of str to int
        By unit: a team, or the code of an area.
    unit_of_area : mapping of str to str
        The unit that visits an area, by the area's code; an area within another is visited by its own.
    for_others : int or None
        Visits of every county that is not named; None where each must be.
    """

    visits: Mapping[str, int]
    unit_of_area: Mapping[str, str]
    for_others: int | None = None

    @classmethod
    def of_counties(cls, visits: int | Mapping[str, int]) -> Capacity:
        """Return the same number for every county, or a number by county code."""
        if isinstance(visits, int):
            return cls({}, {}, visits)
        return cls(dict(visits), {code: code for code in visits})

    def of_county(self, index: pl.DataFrame) -> UnitsOfCounty:
        """Return the units that visit the households of one county.

        Parameters
        ----------
        index : polars.DataFrame
            county_code, township_code and village_code of every household.

        Raises
        ------
        ConfigurationError
            RR484 where nobody visits some of the households.
        """
        area_unit = pl.DataFrame(
            {"code": list(self.unit_of_area), "unit": list(self.unit_of_area.values())},
            schema={"code": pl.String, "unit": pl.String},
        )
        own = [
            index.select(code=level).join(area_unit, on="code", how="left", maintain_order="left")["unit"]
            for level in _LEVELS
        ]
        others = index["county_code"] if self.for_others is not None else pl.Series([None] * index.height)
        named = pl.select(pl.coalesce(*own, others.cast(pl.String)).alias("unit"))["unit"]
        if named.null_count():
            lacking = index.filter(named.is_null())["village_code"].unique().sort().to_list()
            county = index["county_code"][0]
            shown = ", ".join(str(code) for code in lacking[:_SHOWN])
            raise ConfigurationError(
                "RR484",
                f"capacity of county {county}",
                f"not given for {len(lacking)} villages ({shown})",
                "a number of visits for every county, or for all its townships, villages or teams",
                "Add the areas, or a row for their county",
                zh=f"{county}有{len(lacking)}个村没有走访容量（{shown}），请补充，或为全县填写一行。",
            )
        names = tuple(named.unique().sort().to_list())
        visits = np.array([self.visits.get(name, self.for_others or 0) for name in names], dtype=np.int64)
        return UnitsOfCounty(names, visits, np.searchsorted(np.array(names), named.to_numpy()))

    def check_areas(self, seen: set[str]) -> None:
        """Refuse areas that no household lives in: a misspelt code would leave its own one to others.

        Raises
        ------
        ConfigurationError
            RR486.
        """
        unseen = sorted(set(self.unit_of_area) - seen)
        if unseen:
            shown = ", ".join(unseen[:_SHOWN])
            raise ConfigurationError(
                "RR486",
                "capacity",
                f"{len(unseen)} areas without a household in the store ({shown})",
                "codes of counties, townships or villages as the households have them",
                "Correct or remove these rows",
                zh=f"走访容量表中{len(unseen)}个地区代码没有农户（{shown}），请更正或删除。",
            )


def areas_in(index: pl.DataFrame) -> set[str]:
    """Return the codes of all counties, townships and villages of some households."""
    return {str(code) for level in _LEVELS for code in index[level].unique().drop_nulls()}


def area_names(index: pl.DataFrame) -> dict[str, str]:
    """Return the names of counties, townships and villages by code, a village's behind its township's."""
    found: dict[str, str] = {}
    for level in reversed(_LEVELS):
        kind = level.removesuffix("_code")
        areas = index.select(code=level, township="township_code", name=f"{kind}_name").unique("code")
        for code, township, name in areas.drop_nulls().iter_rows():
            found[code] = f"{found.get(township, '')}{name}" if level == "village_code" else name
    return found


def capacity_of(text: str) -> int | Capacity:
    """Return capacity as it is given in a call: a number of visits per county, or a file.

    Raises
    ------
    ConfigurationError
        RR485 where the file is not to be read or is wrong.
    """
    whole = _whole(text)
    return read_capacity(Path(text)) if whole is None else whole


def read_capacity(path: Path) -> Capacity:
    """Read ``capacity.csv``.

    Parameters
    ----------
    path : Path
        ``area_code`` 地区代码 (a county, township or village), ``visits`` 走访容量 and, where teams share
        areas, ``team`` 走访组; UTF-8 or GB18030. A village named by itself does not count for its township's
        row, nor a township for its county's. A team's visits are for all its areas together, and each of its
        rows says the same number. Its name stands in manifests: let it not be a person's.

    Raises
    ------
    ConfigurationError
        RR485 where the file is not to be read, or says something that can't be; all such rows at once.
    """
    rows = _read(path)
    visits: dict[str, int] = {}
    unit_of_area: dict[str, str] = {}
    wrong: list[tuple[str, str, str]] = []
    for row in rows:
        number, area, unit = row["row"], row["area_code"], row.get("team") or row["area_code"]
        given = _whole(row["visits"])
        if not area:
            wrong.append((number, "no area_code", "缺地区代码"))
        elif area in unit_of_area:
            wrong.append((number, "an area for the second time", "地区重复"))
        elif given is None:
            wrong.append((number, "visits is no whole number of 0 or more", "走访容量不是非负整数"))
        elif visits.get(unit, given) != given:
            wrong.append((number, "another number than the team's first row", "与同组前一行的容量不同"))
        else:
            visits[unit], unit_of_area[area] = given, unit
    if wrong:
        raise _not_readable(
            path,
            "; ".join(f"row {number}: {what}" for number, what, _ in wrong[:_SHOWN]),
            "；".join(f"第{number}行{what}" for number, _, what in wrong[:_SHOWN]),
        )
    if not rows:
        raise _not_readable(path, "no rows", "没有数据行")
    return Capacity(visits, unit_of_area)


def _read(path: Path) -> list[dict[str, str]]:
    """Return the rows under English names, with their number in the file; blank ones left out."""
    try:
        contents = path.read_bytes()
    except OSError as error:
        raise _not_readable(path, f"it can't be opened ({error.strerror})", "无法打开") from error
    try:
        text = contents.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = contents.decode("gb18030")
        except UnicodeDecodeError as error:
            raise _not_readable(path, "neither UTF-8 nor GB18030", "编码不是UTF-8或GB18030") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    header = [_HEADERS.get(name.strip(), name.strip()) for name in next(reader, [])]
    missing = [name for name in _NEEDED if name not in header]
    if missing:
        zh = "、".join(zh for zh, name in _HEADERS.items() if name in missing)
        raise _not_readable(path, f"no column {', '.join(missing)}", f"缺少列：{zh}")
    rows = []
    for cells in reader:
        filled = [cell.strip() for cell in cells] + [""] * (len(header) - len(cells))
        if any(filled):
            rows.append({**dict(zip(header, filled, strict=False)), "row": str(reader.line_num)})
    return rows


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _not_readable(path: Path, found: str, zh: str) -> ConfigurationError:
    return ConfigurationError(
        "RR485",
        path.name,
        found,
        "area_code, visits and, where there are teams, team: one row for each area",
        "Correct the file",
        zh=f"走访容量表“{path.name}”有误：{zh}。",
    )
