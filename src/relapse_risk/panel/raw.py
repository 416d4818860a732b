"""What was read before anything is trusted: files, sheets as they came, and tables still as text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import polars as pl

from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.schema import Table
from relapse_risk.vocabulary import Bilingual

ROW_NUMBER = "row_number"
EXCESS_CELLS = "多余单元格"
# Added to returned rows, and passed over when such a file is read again.
REASON_COLUMNS = ("文件", "行号", "原因代码", "原因", "reason")

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of an export, by name and content; never its place on a disk."""

    name: str
    sha256: str
    size_bytes: int


class RowKind(Enum):
    """What a row of a sheet is that is no record: it is passed over, and counted."""

    TITLE = Bilingual("标题", "title")
    TOTAL = Bilingual("合计", "total")
    NOTE = Bilingual("附注", "note")
    HEADER = Bilingual("重复表头", "repeated header")


@dataclass(frozen=True)
class Rows:
    """What a reader found in one file or sheet.

    Attributes
    ----------
    headers : tuple of str
        The header row; of two, the lower where it says something.
    blocks : callable
        Reads the rows below, from the first on and block by block.
    above : tuple of tuple of str or None
        The rows above the data that are no records, header rows left out.
    """

    headers: tuple[str, ...]
    blocks: Callable[[], Iterator[pl.DataFrame]]
    above: tuple[tuple[str | None, ...], ...] = ()


@dataclass(frozen=True)
class Sheet:
    """One file or sheet in the form of a table, as it came.

    Attributes
    ----------
    name : str
        ``家庭.csv``, or ``台账.xlsx[家庭]``.
    headers : tuple of str
        The header row.
    frame : polars.DataFrame
        Columns ``"0"``, ``"1"``, … in the order of the headers, ``row_number`` (1-based, as a spreadsheet
        shows it) and, where rows are longer than the header, ``多余单元格``. Blank rows are left out.
    passed_over : dict of int to RowKind
        By row number, the rows that are no records. All batches of a sheet share it, and it is whole when
        the last of them has been read.
    """

    name: str
    file: SourceFile
    headers: tuple[str, ...]
    frame: pl.DataFrame
    passed_over: dict[int, RowKind] = field(default_factory=dict, compare=False)

    def text(self, position: int) -> pl.Expr:
        """Return a column as text: whole floats without ``.0``, lists joined by 、."""
        return as_text(pl.col(str(position)), self.frame.schema[str(position)])

    def position(self, header: str) -> int | None:
        """Return where a column stands, by its exact header or else by its normalised one."""
        if header in self.headers:
            return self.headers.index(header)
        wanted = normalise_header(header)
        return next((i for i, found in enumerate(self.headers) if normalise_header(found) == wanted), None)


@dataclass(frozen=True)
class RawTable:
    """The part of a sheet that fills one canonical table, still as text.

    A large file is not held: its table has columns and no rows, and ``batches`` reads them.

    Attributes
    ----------
    frame : polars.DataFrame
        Text columns by canonical name, row by row with ``sheet.frame``.
    unknown_columns : tuple of str
        Headers of the sheet that nothing reads.
    is_first_of_each : bool
        Only the first row of every key counts.
    assumed : str
        How ``recorded_on`` was derived where the source does not say it; else empty.
    reread : callable, optional
        Reads a large file anew, a batch of rows at a time; each is such a table.
    """

    table: Table
    sheet: Sheet
    frame: pl.DataFrame
    returned_as: str
    unknown_columns: tuple[str, ...] = ()
    is_first_of_each: bool = False
    assumed: str = ""
    reread: Callable[[], Iterator[RawTable]] | None = field(default=None, compare=False)

    def batches(self) -> Iterator[RawTable]:
        """Yield the rows in order, at least one batch, each of bounded size."""
        if self.reread is None:
            yield self
        else:
            yield from self.reread()


@dataclass(frozen=True, slots=True)
class Ignored:
    """A file or sheet that was passed over, and why."""

    name: str
    reason: Bilingual


@dataclass(frozen=True)
class RawTables:
    """Everything an export holds, before validation."""

    tables: tuple[RawTable, ...]
    ignored: tuple[Ignored, ...] = ()
    extra_columns: tuple[ExtraColumn, ...] = ()
    mapping_name: str = ""

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Files that gave a table, each once, sorted by name and content."""
        return tuple(
            sorted({raw.sheet.file for raw in self.tables}, key=lambda file: (file.name, file.sha256))
        )

    @property
    def unknown_columns(self) -> Mapping[str, tuple[str, ...]]:
        """Headers that nothing reads, by sheet."""
        return {raw.sheet.name: raw.unknown_columns for raw in self.tables if raw.unknown_columns}

    @property
    def passed_over(self) -> Mapping[str, Mapping[int, RowKind]]:
        """Rows that are no records, by sheet and row number; whole once every batch has been read."""
        sheets = {raw.sheet.name: raw.sheet.passed_over for raw in self.tables}
        return {name: dict(sorted(rows.items())) for name, rows in sheets.items() if rows}

    @property
    def assumed(self) -> Mapping[str, str]:
        """By table, how ``recorded_on`` was derived where the source does not say it."""
        return {raw.table.name: raw.assumed for raw in self.tables if raw.assumed}

    def of(self, name: str) -> tuple[RawTable, ...]:
        """Return what was read for one canonical table."""
        return tuple(raw for raw in self.tables if raw.table.name == name)


@dataclass
class Progress:
    """Tells a caller how far a stage is; does nothing where nobody listens."""

    stage: str
    total: int
    listener: OnProgress | None = None
    done: int = field(default=0, init=False)

    def step(self) -> None:
        """Count one unit of the stage as done."""
        self.done += 1
        if self.listener is not None:
            self.listener(self.stage, self.done, self.total)


def normalise_header(header: str) -> str:
    """Return a header without what people vary: width, case, blanks, underscores, a unit in brackets.

    >>> normalise_header(" 工资性收入（元） "), normalise_header("Household ID")
    ('工资性收入', 'householdid')
    """
    plain = unicodedata.normalize("NFKC", header).lower()
    plain = "".join(c for c in plain if unicodedata.category(c) not in ("Cf", "Cc"))
    plain = re.sub(r"[\s_\-]", "", plain)
    return re.sub(r"(?<=.)\([^()]*\)$", "", plain)


def as_text(column: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """Return a column of any type as the text a person would have typed."""
    if dtype == pl.String:
        return column
    if dtype.is_float():
        whole = column.cast(pl.Int64, strict=False)
        is_whole = (column == whole.cast(pl.Float64)) & (column.abs() < 2.0**53)
        text = pl.when(is_whole).then(whole.cast(pl.String)).otherwise(column.cast(pl.String))
        return pl.when(column.is_not_nan()).then(text)
    if isinstance(dtype, pl.List):
        return column.cast(pl.List(pl.String)).list.join("、")
    return column.cast(pl.String, strict=False)
