"""One batch of rows from text to types, with every failure of every row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from relapse_risk.panel.checks import Check, excess_check
from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.place import PLACE_NUMBER
from relapse_risk.panel.raw import EXCESS_CELLS, ROW_NUMBER, RawTable
from relapse_risk.panel.reasons import Reason, unreadable
from relapse_risk.panel.schema import Table

ROW, FILE = "_row", "_file"
OWN = (ROW, FILE, ROW_NUMBER)
FAILURE_COLUMNS = pl.Schema(
    {**dict.fromkeys(OWN, pl.UInt32), **dict.fromkeys(("code", "column", "zh", "en"), pl.String)}
)


@dataclass(frozen=True)
class CheckedRows:
    """The rows of a batch that have no failure, typed, and the failures of the others.

    Attributes
    ----------
    valid : polars.DataFrame
        Columns of the table, the row's number in all files, the number of its file, its number there, and
        the place of its household where places are known.
    failures : polars.DataFrame
        One row per row and reason.
    """

    valid: pl.DataFrame
    failures: pl.DataFrame


def check_rows(
    table: Table,
    batch: RawTable,
    checks: Sequence[Check],
    homes: pl.DataFrame | None,
    purged: Callable[[pl.Series], pl.Series],
    *,
    file: int,
    first_row: int,
) -> CheckedRows:
    """Return what a batch of one file comes to.

    Parameters
    ----------
    table : Table
    batch : RawTable
    checks : sequence of Check
        From :func:`~relapse_risk.panel.checks.row_checks`.
    homes : polars.DataFrame or None
        Every household that may be referred to, with its place; None where none has to be known.
    purged : callable
        Says of household identifiers which of them asked to be forgotten.
    file, first_row : int
        Number of the file among those of the table, and of the first row among all their rows.
    """
    parsed = parse_columns(batch.frame, table.columns)
    frame = parsed.frame.with_columns(batch.sheet.frame[ROW_NUMBER].cast(pl.UInt32))
    frame = frame.with_row_index(ROW, first_row).with_columns(pl.lit(file, pl.UInt32).alias(FILE))
    if "predecessor_id" in table.by_name and (forgotten := purged(frame["predecessor_id"])).any():
        frame = frame.with_columns(pl.when(~pl.lit(forgotten)).then(pl.col("predecessor_id")))
    own = list(checks)
    if homes is not None:
        frame = frame.join(homes, on="household_id", how="left", maintain_order="left")
        unknown = pl.col(PLACE_NUMBER).is_null() & pl.col("household_id").is_not_null()
        own.append(Check(Reason.UNKNOWN_HOUSEHOLD, table.by_name["household_id"], unknown))
    if "household_id" in table.by_name and (forgotten := purged(frame["household_id"])).any():
        own.append(Check(Reason.PURGED, table.by_name["household_id"], pl.lit(forgotten)))
    context = frame
    if EXCESS_CELLS in batch.frame.columns:
        own.append(excess_check(table))
        context = frame.with_columns(batch.frame[EXCESS_CELLS])
    failures = [pl.DataFrame(schema=FAILURE_COLUMNS)]
    for name, mask in parsed.failed.items():
        reason, expected = unreadable(table.by_name[name])
        check = Check(reason, table.by_name[name], pl.lit(value=True), expected)
        failures.append(failures_of(check, frame.filter(mask)))
    failures += _run(own, context, parsed.failed)
    every = pl.concat(failures)
    valid = frame
    if not every.is_empty():
        valid = frame.join(every.select(ROW).unique(), on=ROW, how="anti", maintain_order="left")
    return CheckedRows(valid, every)


def failures_of(check: Check, rows: pl.DataFrame) -> pl.DataFrame:
    """Return a failure of one check for every row."""
    said = check.reason.sentence(check.column, check.expected)
    return rows.select(
        *OWN,
        pl.lit(check.reason.code).alias("code"),
        pl.lit(check.column.name).alias("column"),
        pl.lit(said.zh).alias("zh"),
        pl.lit(said.en).alias("en"),
    ).cast(FAILURE_COLUMNS)


def _run(checks: Sequence[Check], frame: pl.DataFrame, unread: Mapping[str, pl.Series]) -> list[pl.DataFrame]:
    """Return the failures of the checks; a text that could not be read is not missing as well."""
    masks = frame.select(check.fails.fill_null(value=False).alias(str(i)) for i, check in enumerate(checks))
    failures = []
    for i, check in enumerate(checks):
        mask = masks[str(i)]
        if check.reason is Reason.MISSING and check.column.name in unread:
            mask &= ~unread[check.column.name]
        if mask.any():
            failures.append(failures_of(check, frame.filter(mask)))
    return failures
