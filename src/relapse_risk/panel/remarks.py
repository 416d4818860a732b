"""Remarks on rows that are kept all the same: how many of each kind, and which rows.

A row is named by its file and number; what it says is not repeated.
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from relapse_risk.panel.check_rows import FILE, OWN, ROW
from relapse_risk.panel.checks import Check
from relapse_risk.panel.raw import ROW_NUMBER
from relapse_risk.panel.rejects import FAILURES, WARNINGS

# As many as anybody looks through; all are counted. So memory does not grow with a file.
_NAMED_ROWS = 100_000


class Remarks:
    """What was remarked on, by table, code and column."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str, str, str, str], int] = {}
        self._named: list[pl.DataFrame] = []

    def add(self, table: str, files: Sequence[str], check: Check, rows: pl.DataFrame) -> None:
        """Add rows of one table.

        Parameters
        ----------
        table : str
        files : sequence of str
            Names of the files that the table was read from, in their order.
        check : Check
        rows : polars.DataFrame
            Each row once, with its number in all files, the number of its file, and its number there.
        """
        if rows.is_empty():
            return
        said = check.reason.sentence(check.column, check.expected)
        kind = (table, check.reason.code, check.column.name, said.zh, said.en)
        before = self._counts.get(kind, 0)
        self._counts[kind] = before + rows.height
        named = rows.select(OWN).sort(ROW).head(max(_NAMED_ROWS - before, 0))
        self._named.append(
            named.select(
                pl.lit(table).alias("table"),
                pl.col(FILE).replace_strict(dict(enumerate(files)), return_dtype=pl.String).alias("file"),
                pl.col(ROW_NUMBER).alias("row"),
                pl.lit(check.reason.code).alias("code"),
                pl.lit(check.column.name).alias("column"),
                pl.lit(said.zh).alias("zh"),
                pl.lit(said.en).alias("en"),
                ROW,
            )
        )

    def counts(self) -> pl.DataFrame:
        """Return how many rows each remark is about: table, code, column, rows, zh, en."""
        rows = [(*kind[:3], n, *kind[3:]) for kind, n in self._counts.items()]
        return pl.DataFrame(rows, schema=WARNINGS, orient="row")

    def named(self) -> pl.DataFrame:
        """Return one row per row and remark: table, file, row, code, column, zh, en.

        No more than 100,000 of a kind are named.
        """
        every = pl.concat([pl.DataFrame(schema={**FAILURES, ROW: pl.UInt32}), *self._named])
        return every.sort("table", "code", "column", ROW, maintain_order=True).drop(ROW)
