"""Caseloads: how many households are candidates, now and with other thresholds, as tables.

Every table is added up from one set of cells, so that no two of them disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import pandas as pd
import polars as pl

from relapse_risk.features.operators import last, members
from relapse_risk.features.spec import Feature
from relapse_risk.rules.measures import LabourClass
from relapse_risk.rules.tiers import TIERS
from relapse_risk.vocabulary import Bilingual, Language, MonitorCategory, Role, Unit

REGISTERED = "在册"
UNKNOWN = "无法判断"
NEITHER = "无"
CANDIDATES = tuple(str(kind) for kind in MonitorCategory if kind is not MonitorCategory.NONE)
STANDINGS = (REGISTERED, *CANDIDATES, UNKNOWN, NEITHER)
"""Where a household stands: on the register, a candidate, not to be judged, or none of these."""

ENTERS = Bilingual("进入", "enters")
LEAVES = Bilingual("退出", "leaves")
CHANGES = Bilingual("改类", "changes category")

PEOPLE = Feature(
    "people_n",
    "人数",
    "people",
    Unit.PERSONS,
    "demography",
    members().or_else(last("n_person")),
    role=Role.RULE,
)
"""Present members; the persons last reported where the household has no member rows."""

By = Literal["category", "township", "labour_class", "tier", "county"]

LABOUR_UNKNOWN = "不明"
LABOUR_CLASSES = (*(str(labour) for labour in LabourClass), LABOUR_UNKNOWN)


@dataclass(frozen=True)
class WhatIf:
    """Caseload as it is, and as it were with other thresholds.

    Attributes
    ----------
    as_of_date : date
    settings : polars.DataFrame
        ``county_code, param, unit, now, then, source, verified``: what was changed, and what is in force.
    cells : polars.DataFrame
        Households and people by place, labour class, register category, and by standing and tier now and
        then; every table is added up from these.
    movers : polars.DataFrame
        One row per household that enters, leaves or changes category, with the sentences that say why.
    measures : polars.DataFrame
        ``measure, labour_class, households_now, people_now, households_then, people_then``: to how many
        candidates each measure is suggested.
    parameters : polars.DataFrame
        Those in force that rules which move a tier read, as in the feature matrix.
    language : {"zh", "en"}
        Of the sentences.
    """

    as_of_date: date
    settings: pl.DataFrame
    cells: pl.DataFrame
    movers: pl.DataFrame
    measures: pl.DataFrame
    parameters: pl.DataFrame
    language: Language = "zh"

    def __repr__(self) -> str:
        changed = ", ".join(
            f"{param} {'/'.join(f'{value:g}' for value in now) or 'not known'} to {then:g}"
            for param, now, then in self.changes
        )
        n = self.totals
        return (
            f"WhatIf({changed}; candidates {n['now']} to {n['then']}, {n['entering']} enter, "
            f"{n['leaving']} leave, as of {self.as_of_date})"
        )

    @property
    def changes(self) -> tuple[tuple[str, tuple[float, ...], float], ...]:
        """Each parameter changed, its values now (one for each that some county has), and then."""
        return tuple(
            (str(param), tuple(sorted(set(rows["now"].drop_nulls().to_list()))), float(rows["then"][0]))
            for (param,), rows in self.settings.group_by("param", maintain_order=True)
        )

    @property
    def totals(self) -> dict[str, int]:
        """Candidates over all places: ``now, then, change, entering, leaving``, people, and the register."""
        table = self.table("county")
        return {name: int(table[name].sum()) for name in table.columns if table.schema[name].is_integer()}

    def table(self, by: By = "category") -> pl.DataFrame:
        """Return candidates now and then by category, township, labour class or county; all rows by tier.

        Returns
        -------
        polars.DataFrame
            The key's columns; ``registered`` (households on the register, which no threshold moves; not by
            tier); ``now, then, change, entering, leaving`` in households; ``people_now, people_then,
            people_change``; by place and labour class ``unknown_now, unknown_then`` (households that can't be
            judged). By category a household that changes category leaves one and enters another.
        """
        if by == "tier":
            return self._moved("tier", "tier", [tier.value for tier in TIERS])
        if by == "category":
            frame = self._moved("standing", "category", list(CANDIDATES))
            registered = self.cells.group_by("register_category").agg(registered=pl.col("households").sum())
            return frame.join(
                registered,
                left_on="category",
                right_on="register_category",
                how="left",
                maintain_order="left",
            ).select("category", pl.col("registered").fill_null(0), pl.exclude("category", "registered"))
        keys = {
            "county": ["county_code", "county_name"],
            "township": ["county_code", "township_code", "township_name"],
            "labour_class": ["labour_class"],
        }[by]
        return self._by_place(keys)

    def to_pandas(self, by: By = "category") -> pd.DataFrame:
        """Return :meth:`table` as a pandas frame."""
        return self.table(by).to_pandas()

    def _moved(self, column: str, name: str, order: list[str]) -> pl.DataFrame:
        n, people = pl.col("households"), pl.col("people")
        is_moved = pl.col(f"{column}_now") != pl.col(f"{column}_then")
        before = self.cells.group_by(pl.col(f"{column}_now").alias(name)).agg(
            now=n.sum(), leaving=n.filter(is_moved).sum(), people_now=people.sum()
        )
        after = self.cells.group_by(pl.col(f"{column}_then").alias(name)).agg(
            then=n.sum(), entering=n.filter(is_moved).sum(), people_then=people.sum()
        )
        frame = pl.DataFrame({name: order})
        for part in (before, after):
            frame = frame.join(part, on=name, how="left", maintain_order="left")
        return _with_changes(frame.fill_null(0), [name], [])

    def _by_place(self, keys: list[str]) -> pl.DataFrame:
        n, people = pl.col("households"), pl.col("people")
        was, is_ = (pl.col(f"standing_{when}").is_in(CANDIDATES) for when in ("now", "then"))
        frame = (
            self.cells.group_by(keys)
            .agg(
                registered=n.filter(pl.col("standing_now") == REGISTERED).sum(),
                now=n.filter(was).sum(),
                then=n.filter(is_).sum(),
                entering=n.filter(~was & is_).sum(),
                leaving=n.filter(was & ~is_).sum(),
                people_now=people.filter(was).sum(),
                people_then=people.filter(is_).sum(),
                unknown_now=n.filter(pl.col("standing_now") == UNKNOWN).sum(),
                unknown_then=n.filter(pl.col("standing_then") == UNKNOWN).sum(),
            )
            .sort(_sortable(key) for key in keys)
        )
        return _with_changes(frame, [*keys, "registered"], ["unknown_now", "unknown_then"])


def _sortable(key: str) -> pl.Expr:
    return pl.col(key).cast(pl.Enum(LABOUR_CLASSES)) if key == "labour_class" else pl.col(key)


def _with_changes(frame: pl.DataFrame, first: list[str], last_ones: list[str]) -> pl.DataFrame:
    counted = frame.with_columns(
        change=pl.col("then") - pl.col("now"), people_change=pl.col("people_then") - pl.col("people_now")
    )
    shown = ["now", "then", "change", "entering", "leaving", "people_now", "people_then", "people_change"]
    return counted.select(*first, *shown, *last_ones)


@dataclass(frozen=True)
class CaseloadCurve:
    """Candidates for each of several values of one parameter.

    Attributes
    ----------
    as_of_date : date
    param : str
    in_force : tuple of float
        The values in force, lowest first: one for each that some county has.
    frame : polars.DataFrame
        ``value, category, households, people``; one row per value and category, in their order.
    """

    as_of_date: date
    param: str
    in_force: tuple[float, ...]
    frame: pl.DataFrame

    def __repr__(self) -> str:
        total = self.frame.group_by("value", maintain_order=True).agg(pl.col("households").sum())
        ends = total.row(0), total.row(-1)
        return (
            f"CaseloadCurve({self.param} {ends[0][0]:g} to {ends[1][0]:g}: {ends[0][1]} to {ends[1][1]} "
            f"candidates, as of {self.as_of_date})"
        )

    def to_pandas(self) -> pd.DataFrame:
        """Return ``value, category, households, people``."""
        return self.frame.to_pandas()


def merge_what_ifs(parts: Sequence[WhatIf]) -> WhatIf:
    """Return the what-ifs of several counties as one."""
    measures = pl.concat([part.measures for part in parts])
    return replace(
        parts[0],
        settings=pl.concat([part.settings for part in parts]).sort("param", "county_code"),
        cells=pl.concat([part.cells for part in parts]),
        movers=pl.concat([part.movers for part in parts]),
        measures=measures.group_by("measure", "labour_class")
        .agg(pl.all().sum())
        .sort("measure", "labour_class"),
        parameters=pl.concat([part.parameters for part in parts]),
    )


def merge_curves(parts: Sequence[CaseloadCurve]) -> CaseloadCurve:
    """Return the curves of several counties, at the same values, as one."""
    frame = pl.concat([part.frame for part in parts])
    return replace(
        parts[0],
        in_force=tuple(sorted({value for part in parts for value in part.in_force})),
        frame=frame.group_by("value", "category", maintain_order=True).agg(pl.all().sum()),
    )
