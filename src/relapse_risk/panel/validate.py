"""Validation: every failure of every row at once, and which rows are trusted from now on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.panel.checks import Check, excess_check, members_differ, row_checks, row_warnings
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.raw import EXCESS_CELLS, ROW_NUMBER, OnProgress, Progress, RawTable, RawTables
from relapse_risk.panel.reasons import Reason, unreadable
from relapse_risk.panel.rejects import FAILURES, POSITION, WARNINGS, Rejects, TableCounts, return_rows
from relapse_risk.panel.schema import Table
from relapse_risk.panel.tables import TABLES
from relapse_risk.vocabulary import Bilingual

_ROW = "_row"
_PART = "_part"
_POSITION = "_position"
_CONTENT = "_content"
_STORED = "_stored"
_CONTRADICTED = "_contradicted"
_OWN = (_ROW, _PART, _POSITION)


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
    names = {part.table.name for part in raw.tables}
    tables = [table for table in TABLES if table.name in names]
    stored = dict(store_panel.tables) if store_panel is not None else {}
    _refuse_without_households(tables, stored)
    settling = _Settling(stored, today or datetime.now().astimezone().date())
    progress = Progress("validate", len(tables), on_progress)
    for table in tables:
        settling.settle(table, raw.of(table.name))
        progress.step()
    settling.warn_across_tables()
    rejects = Rejects(
        pl.concat([pl.DataFrame(schema=FAILURES), *settling.failures]),
        settling.counts,
        pl.DataFrame(settling.warnings, schema=WARNINGS, orient="row"),
        return_rows(settling.failed_positions),
    )
    provenance = {"files": [file.name for file in raw.files], "assumed": dict(raw.assumed)}
    return Panel(settling.accepted, raw.extra_columns, provenance), rejects


def _refuse_without_households(tables: Sequence[Table], stored: Mapping[str, pl.DataFrame]) -> None:
    need = [t for t in tables if t.name != "household" and "household_id" in t.by_name]
    if not need or any(t.name == "household" for t in tables) or "household" in stored:
        return
    raise DataError(
        "RR109",
        ", ".join(table.name for table in need),
        "there is no household table, neither in the export nor in the store",
        "the table household (家庭), which says where a household lives",
        "Hand in the household table first, or together with the others",
        zh="缺少家庭表：请先导入或一并导入“家庭”。",
    )


@dataclass
class _Settling:
    """Carries tables from raw to settled, and keeps the account of every row."""

    stored: Mapping[str, pl.DataFrame]
    today: date
    accepted: dict[str, pl.DataFrame] = field(default_factory=dict)
    counts: dict[str, TableCounts] = field(default_factory=dict)
    failures: list[pl.DataFrame] = field(default_factory=list)
    failed_positions: list[tuple[RawTable, pl.DataFrame]] = field(default_factory=list)
    warnings: list[tuple[str, str, str, int, str, str]] = field(default_factory=list)

    def settle(self, table: Table, parts: Sequence[RawTable]) -> None:
        """Decide on every row of one table."""
        table = _widest(table, parts)
        frame, failures = self._read_and_check(table, parts)
        failed = pl.concat([pl.DataFrame(schema={_ROW: pl.UInt32}), *(f.select(_ROW) for f in failures)])
        valid = frame.join(failed.unique(), on=_ROW, how="anti", maintain_order="left")
        first = _first_of_each(table, valid, parts, self.stored.get(table.name))
        accepted, conflicting = _fresh_rows(table, first, self.stored.get(table.name))
        if not conflicting.is_empty():
            key = Bilingual("、".join(table.by_name[name].zh for name in table.key), ", ".join(table.key))
            check = Check(Reason.CONFLICT, table.by_name[table.key[0]], pl.lit(value=True), key)
            failures.append(_failures_of(check, conflicting))
        self._keep_account(table, parts, frame, failures, accepted)
        for check in row_warnings(table):
            self._warn(table.name, check, accepted.select(check.fails.sum()).item() or 0)

    def _read_and_check(
        self, table: Table, parts: Sequence[RawTable]
    ) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
        """Return all rows of a table, typed and numbered throughout, and their failures."""
        checks = row_checks(table, self.today)
        if "household_id" in table.by_name and table.name != "household":
            checks.append(self._household_is_known(table))
        frames: list[pl.DataFrame] = []
        failures: list[pl.DataFrame] = []
        offset = 0
        for number, part in enumerate(parts):
            parsed = parse_columns(part.frame, table.columns)
            frame = parsed.frame.with_row_index(_POSITION).with_columns(
                (pl.col(_POSITION) + offset).alias(_ROW), pl.lit(number, pl.UInt32).alias(_PART)
            )
            offset += frame.height
            for name, mask in parsed.failed.items():
                reason, expected = unreadable(table.by_name[name])
                check = Check(reason, table.by_name[name], pl.lit(value=True), expected)
                failures.append(_failures_of(check, frame.filter(mask)))
            own = [excess_check(table)] if EXCESS_CELLS in part.frame.columns else []
            context = frame.with_columns(part.frame.select(EXCESS_CELLS)) if own else frame
            failures += _run(checks + own, context, parsed.failed)
            frames.append(frame)
        return pl.concat(frames), failures

    def _household_is_known(self, table: Table) -> Check:
        known = [
            frames["household"]["household_id"]
            for frames in (self.accepted, self.stored)
            if "household" in frames
        ]
        ids = pl.concat(known).unique().implode()
        unknown = ~pl.col("household_id").is_in(ids)
        return Check(Reason.UNKNOWN_HOUSEHOLD, table.by_name["household_id"], unknown)

    def _keep_account(
        self,
        table: Table,
        parts: Sequence[RawTable],
        frame: pl.DataFrame,
        failures: Sequence[pl.DataFrame],
        accepted: pl.DataFrame,
    ) -> None:
        rows = pl.concat(failures) if failures else pl.DataFrame(schema=_FAILURE_SCHEMA)
        rejected = rows[_ROW].n_unique()
        read = sum(part.sheet.frame.height for part in parts)
        counts = TableCounts(read, accepted.height, rejected, frame.height - accepted.height - rejected)
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
        self.accepted[table.name] = accepted.select(list(table.by_name))
        for number, part in enumerate(parts):
            own = rows.filter(pl.col(_PART) == number).sort(_POSITION, maintain_order=True)
            own = own.rename({_POSITION: POSITION})
            self.failed_positions.append((part, own))
            numbers = part.sheet.frame.select(ROW_NUMBER).with_row_index(POSITION)
            self.failures.append(
                own.join(numbers, on=POSITION, how="left", maintain_order="left").select(
                    pl.lit(table.name).alias("table"),
                    pl.lit(part.sheet.name).alias("file"),
                    pl.col(ROW_NUMBER).cast(pl.UInt32).alias("row"),
                    "code",
                    "column",
                    "zh",
                    "en",
                )
            )

    def warn_across_tables(self) -> None:
        """Count what only shows when two tables are laid side by side."""
        members = [frames["member"] for frames in (self.stored, self.accepted) if "member" in frames]
        if not members:
            return
        by_name = {table.name: table for table in TABLES}
        member = pl.concat(members, how="diagonal")
        if "observation" in self.accepted:
            rows = members_differ(self.accepted["observation"], member)
            column = by_name["observation"].by_name["n_person"]
            self._warn("observation", Check(Reason.MEMBERS_DIFFER, column, pl.lit(value=True)), rows)
        ids = member["member_id"].unique().implode()
        for name in ("event", "measure"):
            if name in self.accepted:
                unknown = ~pl.col("member_id").is_in(ids)
                rows = self.accepted[name].select(unknown.sum()).item() or 0
                column = by_name[name].by_name["member_id"]
                self._warn(name, Check(Reason.UNKNOWN_MEMBER, column, unknown), rows)

    def _warn(self, table: str, check: Check, rows: int) -> None:
        if rows:
            said = check.reason.sentence(check.column, check.expected)
            self.warnings.append((table, check.reason.code, check.column.name, rows, said.zh, said.en))


_FAILURE_SCHEMA = pl.Schema(
    {
        **dict.fromkeys((_ROW, _PART, _POSITION), pl.UInt32),
        **dict.fromkeys(("code", "column", "zh", "en"), pl.String),
    }
)


def _widest(table: Table, parts: Sequence[RawTable]) -> Table:
    """Return the table with every extra column that any part brings."""
    extra = {column.name: column for part in parts for column in part.table.columns}
    added = tuple(column for name, column in extra.items() if name not in table.by_name)
    return table.with_columns(added) if added else table


def _failures_of(check: Check, rows: pl.DataFrame) -> pl.DataFrame:
    said = check.reason.sentence(check.column, check.expected)
    return rows.select(
        *_OWN,
        pl.lit(check.reason.code).alias("code"),
        pl.lit(check.column.name).alias("column"),
        pl.lit(said.zh).alias("zh"),
        pl.lit(said.en).alias("en"),
    ).cast(_FAILURE_SCHEMA)


def _run(checks: Sequence[Check], frame: pl.DataFrame, unread: Mapping[str, pl.Series]) -> list[pl.DataFrame]:
    """Return the failures of the checks; a text that could not be read is not missing as well."""
    masks = frame.select(check.fails.fill_null(value=False).alias(str(i)) for i, check in enumerate(checks))
    failures = []
    for i, check in enumerate(checks):
        mask = masks[str(i)]
        if check.reason is Reason.MISSING and check.column.name in unread:
            mask &= ~unread[check.column.name]
        if mask.any():
            failures.append(_failures_of(check, frame.filter(mask)))
    return failures


def _first_of_each(
    table: Table, valid: pl.DataFrame, parts: Sequence[RawTable], stored: pl.DataFrame | None
) -> pl.DataFrame:
    """Return the rows without those that a part repeats for a key it has given, or the store has."""
    numbers = [number for number, part in enumerate(parts) if part.is_first_of_each]
    if not numbers:
        return valid
    key = list(table.key)
    repeating = pl.col(_PART).is_in(numbers)
    first = valid.filter(repeating).sort("recorded_on", maintain_order=True)
    first = first.unique(subset=key, keep="first", maintain_order=True)
    if stored is not None:
        first = first.join(stored.select(key), on=key, how="anti", maintain_order="left")
    return pl.concat([first, valid.filter(~repeating)]).sort(_ROW)


def _fresh_rows(
    table: Table, valid: pl.DataFrame, stored: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows that are new, and those that contradict another of the same key and day.

    Exact repetitions, of each other or of a stored row, are in neither.
    """
    version = [*table.key, "recorded_on"]
    rows = valid.with_columns(pl.lit(value=False).alias(_CONTRADICTED))
    # Keys seldom repeat: their hashes tell which rows to compare in full.
    may_repeat = valid.select(version).hash_rows().is_duplicated()
    if may_repeat.any():
        repeating = valid.filter(may_repeat)
        repeating = repeating.unique(subset=list(table.dtypes), keep="first", maintain_order=True)
        repeating = repeating.with_columns((pl.len().over(version) > 1).alias(_CONTRADICTED))
        rows = pl.concat([rows.filter(~may_repeat), repeating]).sort(_ROW)
    if stored is not None and not stored.is_empty():
        known = stored.select(*version, _content(stored, table).alias(_STORED))
        rows = rows.with_columns(_content(rows, table).alias(_CONTENT))
        rows = rows.join(known, on=version, how="left", maintain_order="left")
        is_stored = pl.col(_STORED).is_not_null()
        rows = rows.filter(~is_stored | (pl.col(_STORED) != pl.col(_CONTENT)))
        rows = rows.with_columns(pl.col(_CONTRADICTED) | is_stored)
    return rows.filter(~pl.col(_CONTRADICTED)), rows.filter(_CONTRADICTED)


def _content(frame: pl.DataFrame, table: Table) -> pl.Series:
    """Return a hash of everything a row says; a column the frame does not have counts as empty."""
    columns = [
        pl.col(name) if name in frame.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in table.dtypes.items()
    ]
    return frame.select(columns).hash_rows()
