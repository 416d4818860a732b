"""Validation: every failure of every row at once, and which rows are trusted from now on.

Rows flow through in batches: checked one by one, gathered with the others of their key or village, settled
against those and against what is stored, and handed on. So memory does not grow with a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.check_rows import FAILURE_COLUMNS, FILE, OWN, ROW, check_rows, failures_of
from relapse_risk.panel.checks import Check, members_differ, row_checks, row_warnings
from relapse_risk.panel.lineage import ID, PREDECESSOR, each_named, without_cycles
from relapse_risk.panel.members import Members
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.place import PLACE_NUMBER
from relapse_risk.panel.raw import ROW_NUMBER, OnProgress, Progress, RawTable, RawTables
from relapse_risk.panel.reasons import Reason
from relapse_risk.panel.rejects import FAILURES, Rejects, TableCounts, return_rows
from relapse_risk.panel.remarks import Remarks
from relapse_risk.panel.schema import Table
from relapse_risk.panel.settle import settle_rows
from relapse_risk.panel.spill import PART, Spill
from relapse_risk.panel.tables import TABLE_BY_NAME, TABLES
from relapse_risk.vocabulary import Bilingual


class Destination(Protocol):
    """Where accepted rows go, and what is there already."""

    def knows(self, name: str) -> bool:
        """Return whether a table was handed in before."""

    def purged(self, household_ids: pl.Series) -> pl.Series:
        """Return for each household whether it asked to be forgotten."""

    def homes(self) -> pl.DataFrame:
        """Return every household with the number of its place: household_id, _place."""

    def spill(self, table: Table) -> Spill:
        """Return where rows of a table wait until all of a part are there."""

    def part_of(self, table: Table, rows: pl.DataFrame) -> pl.Series:
        """Return a number for every row, the same for all rows of a key."""

    def stored(self, table: Table, rows: pl.DataFrame | None = None) -> pl.LazyFrame | None:
        """Return stored rows, among them all with a key of ``rows``; None where there are none."""

    def take(self, table: Table, rows: pl.DataFrame) -> None:
        """Keep accepted rows."""

    def finish(self, table: Table) -> None:
        """Do what has to wait until all rows of a table were taken."""


def validate(
    raw: RawTables,
    store_panel: Panel | None = None,
    *,
    today: date | None = None,
    on_progress: OnProgress | None = None,
) -> tuple[Panel, Rejects]:
    """Return the rows that can be trusted, and the others with every reason against them.

    Parameters
    ----------
    raw : RawTables
        What :func:`~relapse_risk.panel.read.read_exports` returned.
    store_panel : Panel, optional
        What is stored already: its households may be referred to, its rows are not accepted twice.
    today : date, optional
        Nothing can have been recorded later; the day of the call where not given.
    on_progress : callable, optional
        Called with ``("validate", tables done, tables in all)``.

    Returns
    -------
    Panel
        Accepted rows only, typed; those that the store has already are not among them.
    Rejects
        Counts by table (read = accepted + rejected + exact duplicates), failures, warnings, and the
        rejected rows as they came.

    Raises
    ------
    DataError
        RR109 where rows refer to households and there is no household at all; RR190 where a row was lost.
    """
    accepted = _InMemory(dict(store_panel.tables) if store_panel is not None else {})
    rejects = validate_into(raw, accepted, today=today, on_progress=on_progress)
    provenance = {"files": [file.name for file in raw.files], "assumed": dict(raw.assumed)}
    return Panel(accepted.tables, raw.extra_columns, provenance), rejects


def validate_into(
    raw: RawTables, to: Destination, *, today: date | None = None, on_progress: OnProgress | None = None
) -> Rejects:
    """Hand the rows that can be trusted to a destination, as :func:`validate` says; return the others."""
    names = {part.table.name for part in raw.tables}
    tables = [table for table in TABLES if table.name in names]
    _refuse_without_households(tables, to)
    settling = _Settling(to, today or datetime.now().astimezone().date())
    progress = Progress("validate", len(tables), on_progress)
    for table in tables:
        settling.settle(table, raw.of(table.name))
        progress.step()
    settling.warn_of_kin()
    return Rejects(
        pl.concat([pl.DataFrame(schema=FAILURES), *settling.failures]),
        settling.counts,
        settling.remarks.counts(),
        return_rows(settling.failed_rows),
        settling.remarks.named(),
    )


def _refuse_without_households(tables: Sequence[Table], to: Destination) -> None:
    need = [t for t in tables if t.name != "household" and "household_id" in t.by_name]
    if not need or any(t.name == "household" for t in tables) or to.knows("household"):
        return
    raise DataError(
        "RR109",
        ", ".join(table.name for table in need),
        "there is no household table, neither in the export nor in the store",
        "the table household (家庭), which says where a household lives",
        "Hand in the household table first, or together with the others",
        zh="缺少家庭表：请先导入或一并导入“家庭”。",
    )


class _InMemory:
    """Keeps accepted rows as frames, in the order they were read."""

    def __init__(self, before: Mapping[str, pl.DataFrame]) -> None:
        self.before = before
        self.tables: dict[str, pl.DataFrame] = {}
        self._taken: list[pl.DataFrame] = []

    def knows(self, name: str) -> bool:
        return name in self.before

    def purged(self, household_ids: pl.Series) -> pl.Series:
        return pl.Series([False]).new_from_index(0, len(household_ids))

    def homes(self) -> pl.DataFrame:
        known = [
            tables["household"].select("household_id")
            for tables in (self.before, self.tables)
            if "household" in tables
        ]
        return pl.concat(known).unique().with_columns(pl.lit(0, pl.UInt32).alias(PLACE_NUMBER))

    def spill(self, table: Table) -> Spill:
        return Spill()

    def part_of(self, table: Table, rows: pl.DataFrame) -> pl.Series:
        return pl.Series([0], dtype=pl.UInt32).new_from_index(0, rows.height)

    def stored(self, table: Table, rows: pl.DataFrame | None = None) -> pl.LazyFrame | None:
        return self.before[table.name].lazy() if table.name in self.before else None

    def take(self, table: Table, rows: pl.DataFrame) -> None:
        self._taken.append(rows)

    def finish(self, table: Table) -> None:
        empty = pl.DataFrame(schema={**table.dtypes, ROW: pl.UInt32})
        taken = pl.concat([empty, *(rows.select(empty.columns) for rows in self._taken)]).sort(ROW)
        self.tables[table.name] = taken.drop(ROW)
        self._taken = []


@dataclass
class _Settling:
    """Carries tables from raw to settled, and keeps the account of every row."""

    to: Destination
    today: date
    counts: dict[str, TableCounts] = field(default_factory=dict)
    failures: list[pl.DataFrame] = field(default_factory=list)
    failed_rows: list[tuple[RawTable, pl.DataFrame]] = field(default_factory=list)
    remarks: Remarks = field(default_factory=Remarks)
    files: dict[str, list[str]] = field(default_factory=dict)
    members: Members | None = None
    kin: list[pl.DataFrame] = field(default_factory=list)

    def settle(self, table: Table, files: Sequence[RawTable]) -> None:
        """Decide on every row of one table."""
        table = _widest(table, files)
        self.files[table.name] = [file.sheet.name for file in files]
        failures: list[pl.DataFrame] = []
        read, valid = 0, self.to.spill(table)
        for batch_height, rows in self._checked(table, files, failures):
            read += batch_height
            valid.add(rows.with_columns(self.to.part_of(table, rows).alias(PART)))
        repeating = [number for number, part in enumerate(files) if part.is_first_of_each]
        warnings = row_warnings(table)
        accepted = duplicate = 0
        self._know_members(table)
        for rows in valid.parts():
            new, conflicting = settle_rows(table, rows, self.to.stored(table, rows), repeating)
            accepted += new.height
            duplicate += rows.height - new.height - conflicting.height
            failures.append(_conflicts(table, conflicting))
            for check in warnings:
                self._warn(table.name, check, new.select(*OWN, check.fails.alias("_")).filter("_"))
            self._look_across(table, new)
            self.to.take(table, new)
        self.to.finish(table)
        every = pl.concat([pl.DataFrame(schema=FAILURE_COLUMNS), *failures])
        counts = TableCounts(read, accepted, every[ROW].n_unique(), duplicate)
        self._keep_account(table, files, every, counts)

    def _checked(
        self, table: Table, files: Sequence[RawTable], failures: list[pl.DataFrame]
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Yield for every batch how many rows were read and those without failures; collect the failures."""
        checks = row_checks(table, self.today)
        homes = None
        if "household_id" in table.by_name and table.name != "household":
            homes = self.to.homes()
        first_row = 0
        for number, file in enumerate(files):
            for batch in file.batches():
                checked = check_rows(
                    table, batch, checks, homes, self.to.purged, file=number, first_row=first_row
                )
                first_row += batch.sheet.frame.height
                failures.append(checked.failures)
                yield batch.sheet.frame.height, checked.valid

    def _keep_account(
        self, table: Table, files: Sequence[RawTable], failures: pl.DataFrame, counts: TableCounts
    ) -> None:
        if not counts.is_complete or counts.duplicate < 0:
            raise DataError(
                "RR190",
                table.name,
                f"{counts} does not add up",
                "rows read = accepted + rejected + exact duplicates",
                "Keep the files and report this: nothing was stored",
                zh="行数核对不符，未导入任何数据，请保留文件并报告。",
            )
        self.counts[table.name] = counts
        for number, file in enumerate(files):
            own = failures.filter(pl.col(FILE) == number).sort(ROW, maintain_order=True)
            self.failed_rows.append((file, own))
            self.failures.append(
                own.select(
                    pl.lit(table.name).alias("table"),
                    pl.lit(file.sheet.name).alias("file"),
                    pl.col(ROW_NUMBER).alias("row"),
                    "code",
                    "column",
                    "zh",
                    "en",
                )
            )

    def _know_members(self, table: Table) -> None:
        """Look up the members before the first table that is compared with them."""
        is_compared = table.name in ("member", "observation", "event", "measure")
        if is_compared and self.members is None and (table.name == "member" or self.to.knows("member")):
            self.members = Members(self.to.stored(TABLE_BY_NAME["member"]))

    def _look_across(self, table: Table, rows: pl.DataFrame) -> None:
        """Remark on what only shows when two tables are laid side by side."""
        if table.name == "household" and PREDECESSOR in rows.columns:
            named = rows.filter(pl.col(PREDECESSOR).is_not_null())
            self.kin.append(each_named(named.select(ID, PREDECESSOR, *OWN)))
        if self.members is None:
            return
        if table.name == "member":
            self.members.take(rows)
        elif table.name == "observation":
            household = pl.col("household_id").hash().alias("household")
            rows = rows.select(*OWN, "period_end", "n_person", household)
            found = members_differ(rows, self.members.present)
            self._warn_of(Reason.MEMBERS_DIFFER, table.name, "n_person", found)
        elif table.name in ("event", "measure"):
            self._warn_of(Reason.UNKNOWN_MEMBER, table.name, "member_id", self.members.unknown(rows))

    def warn_of_kin(self) -> None:
        """Remark on predecessors that nobody knows, or that lead back to the household itself."""
        if not self.kin:
            return
        kin = pl.concat(self.kin)
        unknown = kin.join(self.to.homes(), left_on=PREDECESSOR, right_on=ID, how="anti")
        links = kin.select(ID, PREDECESSOR).unique()
        in_cycle = kin.join(without_cycles(links), on=[ID, PREDECESSOR], how="anti")
        for reason, found in ((Reason.UNKNOWN_PREDECESSOR, unknown), (Reason.PREDECESSOR_CYCLE, in_cycle)):
            self._warn_of(reason, "household", PREDECESSOR, found.unique(ROW))

    def _warn_of(self, reason: Reason, table: str, column: str, rows: pl.DataFrame) -> None:
        self._warn(table, Check(reason, TABLE_BY_NAME[table].by_name[column], pl.lit(value=True)), rows)

    def _warn(self, table: str, check: Check, rows: pl.DataFrame) -> None:
        self.remarks.add(table, self.files[table], check, rows)


def _widest(table: Table, files: Sequence[RawTable]) -> Table:
    """Return the table with every extra column that any file brings."""
    extra = {column.name: column for file in files for column in file.table.columns}
    added = tuple(column for name, column in extra.items() if name not in table.by_name)
    return table.with_columns(added) if added else table


def _conflicts(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    """Return the failures of rows that contradict others of their key and day."""
    if rows.is_empty():
        return pl.DataFrame(schema=FAILURE_COLUMNS)
    key = Bilingual("、".join(table.by_name[name].zh for name in table.key), ", ".join(table.key))
    check = Check(Reason.CONFLICT, table.by_name[table.key[0]], pl.lit(value=True), key)
    return failures_of(check, rows.select(OWN).sort(ROW))
