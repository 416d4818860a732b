"""The ledger of lists handed out: by it a returned row is recognised, and a list compared with the last one.

``issued.parquet`` stands beside each list. It holds what the toolkit filled in, and what staff are not shown:
which rows are of the random audit sample and with which probability they were drawn.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.visit_list import VisitList
from relapse_risk.panel.panel import LOTTERY_SCHEMA

ISSUED_FILE = "issued.parquet"
LOTTERY_FILE = "lottery.parquet"

_COMPUTED = {column.name: column for column in LIST_COLUMNS if column.filled_by == "toolkit"}
COMPUTED_COLUMNS = tuple(_COMPUTED)
_EXTRA: dict[str, type[pl.DataType]] = {
    "as_of_date": pl.Date,
    "county_code": pl.String,
    "is_listed": pl.Boolean,
    "is_audit": pl.Boolean,
    "unit": pl.String,
    "inclusion_probability": pl.Float64,
    "audit_pool_n": pl.Int64,
}
_SCHEMA = pl.Schema({name: column.dtype for name, column in _COMPUTED.items()} | _EXTRA)


def issued_rows(visit_list: VisitList) -> pl.DataFrame:
    """Return every row handed out, listed and waiting, with what staff are not shown.

    Returns
    -------
    polars.DataFrame
        The computed columns of the list, ``as_of_date``, ``county_code``, ``is_listed`` (false on the waiting
        list), ``unit`` (of capacity: the county, an area in it or a team), ``is_audit`` and, of audit rows,
        ``inclusion_probability`` and ``audit_pool_n`` (households of the unit they were drawn from); in the
        order of the lists.
    """
    parts = [pl.DataFrame(schema=_SCHEMA)]
    for county in visit_list.counties:
        rows = pl.concat([county.listed, county.waiting]).select(COMPUTED_COLUMNS)
        drawn = county.audit.select("rank", "inclusion_probability", "audit_pool_n")
        with_draws = rows.join(drawn, on="rank", how="left", maintain_order="left").with_columns(
            as_of_date=visit_list.as_of_date,
            county_code=pl.lit(county.county_code),
            is_listed=pl.col("rank") <= county.listed.height,
            is_audit=pl.col("inclusion_probability").is_not_null(),
            unit=county.unit,
        )
        parts.append(with_draws.select(_SCHEMA.names()).cast(_SCHEMA))
    return pl.concat(parts)


def lottery_ledger(visit_list: VisitList) -> pl.DataFrame:
    """Return every household at the edge among whom visits were drawn, those not listed as well.

    Returns
    -------
    polars.DataFrame
        ``list_id, as_of_date, expires_on, county_code, household_id, unit, is_listed`` and ``probability``,
        with which the household came to be listed; empty without a lottery.
    """
    parts = [pl.DataFrame(schema=LOTTERY_SCHEMA)]
    for county in visit_list.counties:
        told = county.lottery.with_columns(
            list_id=pl.lit(county.list_id),
            as_of_date=visit_list.as_of_date,
            expires_on=visit_list.expires_on,
            county_code=pl.lit(county.county_code),
        )
        parts.append(told.select(LOTTERY_SCHEMA.names()).cast(LOTTERY_SCHEMA))
    return pl.concat(parts)


def find_issued(folders: Iterable[Path]) -> pl.DataFrame:
    """Return the rows of every list below some folders, each list once.

    Parameters
    ----------
    folders : iterable of Path
        Searched with all folders below them; a folder that is not there holds no list.

    Raises
    ------
    DataError
        RR194 where a file is damaged.
    """
    return _found(ISSUED_FILE, folders, _SCHEMA).unique(
        ["list_id", "rank"], keep="first", maintain_order=True
    )


def find_lotteries(folders: Iterable[Path]) -> pl.DataFrame:
    """Return the households of every lottery below some folders, as :func:`lottery_ledger` gives them.

    Parameters
    ----------
    folders : iterable of Path

    Raises
    ------
    DataError
        RR194 where a file is damaged.
    """
    return _found(LOTTERY_FILE, folders, LOTTERY_SCHEMA).unique(
        ["list_id", "household_id"], keep="first", maintain_order=True
    )


def _found(name: str, folders: Iterable[Path], schema: pl.Schema) -> pl.DataFrame:
    """Return what files of a name hold; editions that were kept aside come before the one that followed."""
    frames = [pl.DataFrame(schema=schema)]
    for path in sorted({path for folder in folders for path in folder.rglob(name)}, key=_edition):
        try:
            frames.append(pl.read_parquet(path, columns=schema.names()).cast(schema))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                "RR194",
                path.name,
                "it can't be read, or is not as this version writes it",
                "the file as it was written beside its list",
                "Restore it from a backup, or make the list again",
                zh=f"“{path.name}”无法读取，请从备份恢复或重新生成清单。",
            ) from error
    return pl.concat(frames)


def _edition(path: Path) -> tuple[tuple[str, int], ...]:
    """Return a key by which ``list.old1`` comes before ``list.old2``, and both before ``list``."""
    found = []
    for part in path.parts:
        name, _, n = part.rpartition(".old")
        found.append((name, int(n)) if name and n.isdecimal() else (part, sys.maxsize))
    return tuple(found)
