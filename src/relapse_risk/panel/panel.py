"""The panel of trusted tables, and the one door to its history.

Nothing but :meth:`Panel.known_at` filters by date: a feature, rule, cohort or label reads a
:class:`KnownPanel`, which holds what the system knew on its as-of date and nothing later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.notebook import html_card
from relapse_risk.panel.history import DatedHistory, History, day_number
from relapse_risk.panel.lineage import ID, PREDECESSOR, Lineage, find_lineage, follow, kin_of
from relapse_risk.panel.partition import Partition
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import EVERYWHERE, Threshold, ThresholdTable

# Columns of county_month that beat the table of thresholds, and the parameters they give.
COUNTY_MONTH_PARAMETERS = {"rural_dpi_prev_yuan": "rural_dpi_prev", "dibao_standard_yuan": "dibao_standard"}

LOTTERY_SCHEMA = pl.Schema(
    {
        "list_id": pl.String,
        "as_of_date": pl.Date,
        "expires_on": pl.Date,
        "county_code": pl.String,
        "household_id": pl.String,
        "unit": pl.String,
        "is_listed": pl.Boolean,
        "probability": pl.Float64,
    }
)
_NO_LOTTERY = pl.DataFrame(schema=LOTTERY_SCHEMA)


@dataclass(frozen=True)
class Panel:
    """Every accepted row of every table, with all its versions.

    Attributes
    ----------
    tables : mapping of str to polars.DataFrame
        Stored tables by canonical name, all versions of every row; a table nobody handed in is absent.
    extra_columns : tuple of ExtraColumn
        Columns that a mapping declared beyond the canonical ones.
    provenance : mapping
        Where the rows came from: commits of the store, hashes, and ``assumed`` flags.
    thresholds : ThresholdTable
        The dated parameters under the panel's own rows: the shipped table, and the county's file over it.
    partition : Partition or None
        What part of a store this is; None where it is whole.
    lotteries : polars.DataFrame or None
        Who took part in the lotteries of lists, as their ledgers say; None where no list was looked at.
    """

    tables: Mapping[str, pl.DataFrame]
    extra_columns: tuple[ExtraColumn, ...] = ()
    provenance: Mapping[str, object] = field(default_factory=dict)
    thresholds: ThresholdTable = field(default_factory=ThresholdTable.shipped, repr=False)
    partition: Partition | None = None
    lotteries: pl.DataFrame | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {frame.height}" for name, frame in self.tables.items())
        return f"Panel(rows: {rows or 'none'}; recorded up to {self.last_recorded_on})"

    def _repr_html_(self) -> str:
        facts = {"recorded 录入": f"{self.first_recorded_on} … {self.last_recorded_on}"}
        facts |= {str(name): str(value) for name, value in self.provenance.items() if isinstance(value, str)}
        rows = [(name, TABLE_BY_NAME[name].zh, frame.height) for name, frame in self.tables.items()]
        return html_card("Panel 面板", facts, rows, ("table 表", "", "rows 行"))

    @cached_property
    def _histories(self) -> dict[str, History]:
        return {name: History(frame, TABLE_BY_NAME[name]) for name, frame in self.tables.items()}

    def known_at(self, as_of_date: date, *, residents_only: bool = True) -> KnownPanel:
        """Return what was known on ``as_of_date``, that day included.

        For every key the version with the latest ``recorded_on <= as_of_date`` stands. Households that were
        recoded, split or merged by then have their history under the identifiers that follow
        (:mod:`relapse_risk.panel.lineage`).

        Parameters
        ----------
        as_of_date : date
        residents_only : bool
            In a partition, only households that live there on that day, which is what a run over all
            partitions needs; False returns those that moved in later or out before, too.

        Raises
        ------
        ContractError
            RR302 where no household was known by then.
        """
        return self.known_at_each((as_of_date,), residents_only=residents_only)[0]

    def known_at_each(self, as_of_dates: Sequence[date], *, residents_only: bool = True) -> list[KnownPanel]:
        """Return what was known on each of several days; all of them share one history, to be decoded once.

        Parameters and errors are those of :meth:`known_at`.
        """
        dates = sorted(set(as_of_dates))
        residence = self.partition if residents_only else None
        lineages = {day: lineage for day in dates if (lineage := self._lineage(day)) is not None}
        histories = self._followed(lineages, dates) if lineages else self._histories
        found = []
        for day in dates:
            heirs = lineages[day].heirs if day in lineages else None
            drawn = _NO_LOTTERY if self.lotteries is None else self.lotteries
            drawn = drawn.filter(pl.col("as_of_date") <= day)
            known = KnownPanel(day, histories, self.extra_columns, self.thresholds, residence, heirs, drawn)
            if not known.has("household") or not known.stands("household").any():
                raise self._nobody_known(day)
            found.append(known)
        return found

    def _nobody_known(self, day: date) -> ContractError:
        first = self.first_recorded_on
        return ContractError(
            "RR302",
            f"as-of date {day}",
            "no household was known on that day",
            f"a date on or after {first}, when the first household was recorded"
            if first
            else "a store with households",
            "Choose a later date, or ingest the household table",
            zh=f"截至 {day} 没有任何家庭记录，请选择更晚的日期或先导入家庭表。",
        )

    @cached_property
    def _kin(self) -> pl.Series:
        """Identifiers of all households that ever followed or were followed by another."""
        households = self.tables.get("household")
        if households is None:
            return pl.Series(ID, [], pl.String)
        pairs = kin_of(households)
        return pl.concat([pairs[ID], pairs[PREDECESSOR]]).unique()

    @cached_property
    def _of_kin(self) -> dict[str, NDArray[np.bool_]]:
        """Which rows of each table concern a household among ``_kin``; only these go on under others."""
        ids = self._kin.implode()
        return {
            name: history.frame[ID].is_in(ids).to_numpy()
            for name, history in self._histories.items()
            if ID in history.frame.columns
        }

    @cached_property
    def _persons_of_kin(self) -> NDArray[np.bool_]:
        """Which rows of the member table are of persons who ever lived in such a household."""
        frame = self._histories["member"].frame
        persons = frame["member_id"].filter(pl.Series(self._of_kin["member"])).unique()
        return frame["member_id"].is_in(persons.implode()).to_numpy()

    def _lineage(self, as_of_date: date) -> Lineage | None:
        if self._kin.is_empty():
            return None
        on = day_number(as_of_date)
        household, member = self._histories["household"], self._histories.get("member")
        versions = household.rows((household.recorded <= on) & self._of_kin["household"])
        persons = None if member is None else member.rows((member.recorded <= on) & self._persons_of_kin)
        return find_lineage(versions, persons)

    def _followed(self, lineages: Mapping[date, Lineage], dates: Sequence[date]) -> dict[str, History]:
        """Return histories in which rows of kin stand, day by day, under the household that has them then."""
        made: dict[str, dict[date, pl.DataFrame]] = {name: {} for name in self._of_kin}
        for day in dates:
            tables = {
                name: self._histories[name].rows(
                    self._histories[name].stands(day)
                    & (self._persons_of_kin if name == "member" else self._of_kin[name])
                )
                for name in self._of_kin
            }
            followed = follow(tables, lineages[day]) if day in lineages else tables
            ids = self._kin.implode()
            for name, frame in followed.items():
                made[name][day] = frame.filter(pl.col(ID).is_in(ids))
        dated: dict[str, History] = dict(self._histories)
        for name, of_kin in self._of_kin.items():
            dated[name] = DatedHistory(self._histories[name], ~of_kin, made[name])
        return dated

    @property
    def first_recorded_on(self) -> date | None:
        """The day the first household was recorded; None for an empty panel."""
        frame = self.tables.get("household")
        if frame is None or frame.is_empty():
            return None
        first = frame["recorded_on"].min()
        return first if isinstance(first, date) else None

    @property
    def last_recorded_on(self) -> date | None:
        """The day the last row of any table was recorded; None for an empty panel."""
        days = [frame["recorded_on"].max() for frame in self.tables.values() if not frame.is_empty()]
        return max((day for day in days if isinstance(day, date)), default=None)


@dataclass(frozen=True)
class KnownPanel:
    """What the system knew on one day: one version of every row, none recorded later.

    Attributes
    ----------
    heirs : polars.DataFrame or None
        The households that follow each one that has ended by then: household_id, heir_id. Ended households
        are not among ``households``; their rows stand under their heirs.
    lotteries : polars.DataFrame
        Who took part in lotteries by then, and whether each was drawn.
    """

    as_of_date: date
    histories: Mapping[str, History]
    extra_columns: tuple[ExtraColumn, ...] = ()
    base_thresholds: ThresholdTable = field(default_factory=ThresholdTable.shipped, repr=False)
    residence: Partition | None = None
    heirs: pl.DataFrame | None = None
    lotteries: pl.DataFrame = field(default_factory=lambda: _NO_LOTTERY, repr=False)

    def __repr__(self) -> str:
        rows = ", ".join(f"{name} {int(self.stands(name).sum())}" for name in self.histories)
        return f"KnownPanel(as of {self.as_of_date}; rows: {rows})"

    def _repr_html_(self) -> str:
        rows = [(name, TABLE_BY_NAME[name].zh, int(self.stands(name).sum())) for name in self.histories]
        return html_card(
            "KnownPanel 已知面板", {"as of 截至": self.as_of_date}, rows, ("table 表", "", "rows 行")
        )

    def has(self, name: str) -> bool:
        """Return whether the table was ever handed in (an empty one was, an absent one was not)."""
        return name in self.histories

    def stands(self, name: str) -> NDArray[np.bool_]:
        """Return which rows of ``histories[name]`` are known, one version a key.

        Of the household table only those of households that live in the partition, where this is one;
        other tables may hold rows of others.
        """
        history = self.histories[name]
        stands = history.stands(self.as_of_date)
        if name == "household" and self.residence is not None:
            stands &= self.residence.is_home_of(history.frame)
        return stands

    def lives(self) -> NDArray[np.bool_]:
        """Return which rows of ``histories["household"]`` are of households that live: known, not dissolved.

        A household is dissolved once the latest record of every member it has says that he moved out or
        died. One of whose members nothing is recorded is not, and one to which somebody comes back lives on.
        """
        history, stands = self.histories["household"], self.stands("household")
        if len(self.dissolved):
            stands &= ~history.frame["household_id"].is_in(self.dissolved.implode()).to_numpy()
        return stands

    @cached_property
    def dissolved(self) -> pl.Series:
        """Identifiers of households that have dissolved by then; see :meth:`lives`."""
        member = self.histories.get("member")
        if member is None or "is_present" not in member.frame.columns:
            return pl.Series("household_id", [], pl.String)
        stands = pl.Series(member.stands(self.as_of_date))
        has_left = stands & ~member.frame["is_present"].fill_null(value=True)
        ids = member.frame["household_id"]
        left = ids.filter(has_left).unique()
        remaining = ids.filter(stands & ~has_left & ids.is_in(left.implode())).unique()
        return left.filter(~left.is_in(remaining.implode()))

    def table(self, name: str) -> pl.DataFrame:
        """Return the known rows of a table; an empty frame with its columns where it is absent."""
        if name not in self._tables:
            self._tables[name] = self._read(name)
        return self._tables[name]

    def _read(self, name: str) -> pl.DataFrame:
        if not self.has(name):
            return pl.DataFrame(schema=TABLE_BY_NAME[name].dtypes)
        frame = self.histories[name].rows(self.stands(name))
        if self.residence is None or name == "household" or "household_id" not in frame.columns:
            return frame
        # A row can be there for its key, which a household of another partition had before.
        ids = self.table("household").select("household_id")
        return frame.join(ids, on="household_id", how="semi", maintain_order="left")

    @cached_property
    def _tables(self) -> dict[str, pl.DataFrame]:
        return {}

    def followed(self, household_ids: pl.Series) -> pl.DataFrame:
        """Return whose record each household has now: columns household_id and heir_id.

        A household that lives has its own; one that has ended has that of each of its heirs, a row for each.
        """
        given = household_ids.alias("household_id").to_frame()
        if self.heirs is None:
            return given.with_columns(heir_id="household_id")
        joined = given.join(self.heirs, on="household_id", how="left", maintain_order="left")
        return joined.with_columns(pl.coalesce("heir_id", "household_id"))

    @cached_property
    def households(self) -> pl.DataFrame:
        """Households that live, sorted by ``household_id``: the row order of every matrix of this panel."""
        if not self.has("household"):
            return self.table("household")
        return self.histories["household"].rows(self.lives()).sort("household_id")

    def thresholds(self, base: ThresholdTable | None = None) -> ThresholdTable:
        """Return the panel's table, or ``base``, under the store's own rows and, on top, ``county_month``."""
        own = [
            Threshold(
                param=row["param"],
                area=row["area_code"] or EVERYWHERE,
                value=row["value"],
                unit=row["unit"] or "",
                effective_from=row["effective_from"],
                effective_to=row["effective_to"] or date.max,
                source=row["source"],
                verified=row["verified"],
            )
            for row in self.table("threshold").iter_rows(named=True)
        ]
        return (base or self.base_thresholds).laid_over(own).laid_over(self._county_month_thresholds())

    def _county_month_thresholds(self) -> list[Threshold]:
        rows: list[Threshold] = []
        frame = self.table("county_month").sort("county_code", "month")
        for column, param in COUNTY_MONTH_PARAMETERS.items():
            known = frame.filter(pl.col(column).is_not_null()).select(
                "county_code",
                "month",
                pl.col(column).alias("value"),
                pl.col("month").shift(-1).over("county_code").alias("next_month"),
            )
            for row in known.iter_rows(named=True):
                following = row["next_month"]
                rows.append(
                    Threshold(
                        param=param,
                        area=row["county_code"],
                        value=row["value"],
                        unit="元",
                        effective_from=row["month"],
                        effective_to=date.fromordinal(following.toordinal() - 1) if following else date.max,
                        source="县月度",
                        verified=True,
                    )
                )
        return rows
