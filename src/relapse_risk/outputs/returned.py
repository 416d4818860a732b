"""Reading a list that comes back: which household each row is, what staff wrote, and what was altered.

A returned row is known by list id and rank, since a spreadsheet may have shortened its long identifier. Where
the identifier is whole and another one, the columns were sorted apart and the row can't be trusted.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.contacts import is_locked, unlocked
from relapse_risk.outputs.issued import COMPUTED_COLUMNS
from relapse_risk.outputs.workbook import LISTED_SHEET, WAITING_SHEET
from relapse_risk.panel.csv_source import read_csv
from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.raw import ROW_NUMBER, normalise_header
from relapse_risk.panel.schema import Column, ColumnType
from relapse_risk.panel.workbook import read_sheet, sheet_names

STAFF_COLUMNS = tuple(column.name for column in LIST_COLUMNS if column.filled_by == "staff")
_KNOWN_BY = ("list_id", "rank", "household_id")
_COMPARED = tuple(name for name in COMPUTED_COLUMNS if name not in _KNOWN_BY)
_SHORTENED = r"^\d+(\.\d+)?[eE]\+?\d+$"
_KEPT_DIGITS = 15  # of a long number, by a spreadsheet


@dataclass(frozen=True)
class ReturnedList:
    """What one returned file holds.

    Attributes
    ----------
    rows : polars.DataFrame
        ``row`` (number in the file), ``list_id``, ``rank``, ``household_id``, the staff columns as text,
        ``is_by_hand`` (a household that staff wrote in); rows with nothing filled in are left out.
    blank : int
        Rows not filled in: not visited yet.
    unknown : polars.DataFrame
        ``row``, ``list_id``: rows of lists that are not known.
    misplaced : tuple of int
        Rows whose household is not the one that list id and rank stand for.
    repaired : int
        Identifiers that a spreadsheet had shortened, taken from the list that was handed out.
    changed : polars.DataFrame
        ``row``, ``column``: computed cells that are not as they were handed out.
    """

    rows: pl.DataFrame
    blank: int
    unknown: pl.DataFrame
    misplaced: tuple[int, ...]
    repaired: int
    changed: pl.DataFrame


def read_returned(path: Path, issued: pl.DataFrame, password: str | None = None) -> ReturnedList:
    """Return what staff wrote into a list, and what of the rest was altered.

    Parameters
    ----------
    path : Path
        CSV in any encoding and with columns in any order, or a workbook; headers in either language.
    issued : polars.DataFrame
        Of :func:`~relapse_risk.outputs.issued.find_issued`.
    password : str, optional
        Opens a workbook that has one.

    Raises
    ------
    DataError
        RR103 where the file is no table, RR197 where it is not a list.
    ConfigurationError
        RR488 where the workbook does not open.
    """
    if is_locked(path):
        with tempfile.TemporaryDirectory() as folder:
            texts = _read(unlocked(path, password, Path(folder)))
    else:
        texts = _read(path)
    ids = pl.col("household_id").str.strip_prefix("'")
    texts = texts.with_columns(ids.alias("household_id"), pl.col("rank").cast(pl.Int64, strict=False))
    is_filled = pl.any_horizontal(pl.col(STAFF_COLUMNS).is_not_null())
    filled = texts.filter(is_filled)
    is_by_hand = pl.col("list_id").is_null()
    by_hand = filled.filter(is_by_hand & pl.col("household_id").is_not_null())
    known = issued.select(*_KNOWN_BY, *_COMPARED).rename({"household_id": "issued_id"})
    joined = filled.filter(~is_by_hand).join(
        known, on=["list_id", "rank"], how="left", suffix="_issued", maintain_order="left"
    )
    unknown = joined.filter(pl.col("issued_id").is_null()).select("row", "list_id")
    matched = joined.filter(pl.col("issued_id").is_not_null())
    shown, true = pl.col("household_id"), pl.col("issued_id")
    is_shortened = shown.str.contains(_SHORTENED) | (
        (shown != true)
        & (shown.str.len_chars() == true.str.len_chars())
        & (shown.str.slice(0, _KEPT_DIGITS) == true.str.slice(0, _KEPT_DIGITS))
        & shown.str.slice(_KEPT_DIGITS).str.contains("^0+$")
    )
    is_misplaced = (shown != true) & ~is_shortened
    trusted = matched.filter(~is_misplaced.fill_null(value=False))
    repaired = trusted.select((shown.is_null() | (shown != true)).sum()).item()
    columns = ["row", "list_id", "rank", "household_id", *STAFF_COLUMNS]
    rows = pl.concat(
        [
            trusted.with_columns(household_id=true).select(columns).with_columns(is_by_hand=False),
            by_hand.select(columns).with_columns(is_by_hand=True),
        ]
    ).sort("row")
    return ReturnedList(
        rows=rows,
        blank=texts.height - filled.height,
        unknown=unknown,
        misplaced=tuple(matched.filter(is_misplaced.fill_null(value=False))["row"].to_list()),
        repaired=int(repaired or 0),
        changed=_changed_cells(trusted),
    )


def _read(path: Path) -> pl.DataFrame:
    """Return the list's columns as text, null where empty, with the number of each row in the file."""
    names = {
        normalise_header(text): column.name for column in LIST_COLUMNS for text in (column.zh, column.name)
    }
    is_workbook = path.suffix.lower() == ".xlsx"
    read = read_sheet(path, _list_sheet(path), names) if is_workbook else read_csv(path, names)
    frame = pl.concat(list(read.blocks()), how="diagonal")
    places = {
        names[key]: i for i, header in enumerate(read.headers) if (key := normalise_header(header)) in names
    }
    missing = [name for name in ("list_id", "rank", "household_id", "outcome") if name not in places]
    if missing:
        raise DataError(
            "RR197",
            path.name,
            f"it has no column {', '.join(missing)}",
            "a visit list as it was handed out, with what staff filled in",
            "Return the list itself; columns may stand in any order, but must be there",
            zh=f"“{path.name}”缺少列：{'、'.join(missing)}，请交回原清单（列的顺序可以改变，但不能删除）。",
        )
    text = {name: pl.col(str(place)).cast(pl.String).str.strip_chars() for name, place in places.items()}
    return frame.select(
        pl.col(ROW_NUMBER).cast(pl.Int64).alias("row"),
        *(
            text[c.name].replace("", None).alias(c.name)
            if c.name in text
            else pl.lit(None, dtype=pl.String).alias(c.name)
            for c in LIST_COLUMNS
        ),
    )


def _list_sheet(path: Path) -> str:
    """Return the sheet that is the list: by its name, else the first."""
    names = sheet_names(path)
    wanted = [text for name in (LISTED_SHEET, WAITING_SHEET) for text in (name.zh, name.en)]
    return next((name for name in wanted if name in names), names[0])


def _changed_cells(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the computed cells whose text says something else than what was handed out."""
    found = [pl.DataFrame(schema={"row": pl.Int64, "column": pl.String})]
    kinds = {column.name: column.dtype for column in LIST_COLUMNS}
    for name in _COMPARED:
        issued, shown = rows[f"{name}_issued"], rows[name]
        if kinds[name] == pl.String:
            differs = _plain(issued) != _plain(shown)
        else:
            differs = _typed(shown, kinds[name]).ne_missing(issued)
        places = rows.filter(differs.fill_null(value=False))["row"]
        found.append(
            pl.DataFrame({"row": places, "column": pl.Series([name] * len(places), dtype=pl.String)})
        )
    return pl.concat(found).sort("row", "column")


def _plain(texts: pl.Series) -> pl.Series:
    """Return texts without what saving a file may change: breaks, edges, a guarding apostrophe."""
    return texts.fill_null("").str.replace_all(r"\s+", " ").str.strip_prefix("'").str.strip_chars()


def _typed(shown: pl.Series, dtype: type[pl.DataType]) -> pl.Series:
    """Return texts as the numbers or days that a spreadsheet made of them."""
    kind = ColumnType.DATE if dtype == pl.Date else ColumnType.NUMBER
    column = Column(shown.name, shown.name, kind)
    return parse_columns(shown.to_frame(), [column]).frame.to_series().cast(dtype)
