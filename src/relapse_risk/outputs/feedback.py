"""The way back: visits that staff wrote into a list become rows of the panel.

They take the way of every other export, through checks and account, so nothing that was filled in is lost.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import polars as pl

from relapse_risk.errors import DataError
from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.issued import find_issued
from relapse_risk.outputs.returned import STAFF_COLUMNS, ReturnedList, read_returned
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.report import IngestReport
from relapse_risk.panel.schema import Table
from relapse_risk.panel.store import Store
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.vocabulary import NEED_FOUND, NOT_MET, VERIFIED, Bilingual, Language

_HAND = "H"
_COLUMN_ZH = {column.name: column.zh for column in LIST_COLUMNS}
_SELF_APPLICATION, _WAITING = "自主申报", "候补"


@dataclass(frozen=True)
class VisitReport:
    """What became of returned lists.

    Attributes
    ----------
    files : tuple of (str, ReturnedList)
        Each file by name, and what it held.
    recorded, known_already, by_hand : int
        Visits stored now; visits the store had just so; households that staff wrote in, taken as their own
        applications.
    ingested : IngestReport or None
        Rows sent back, with reasons; None where there was nothing new.
    results : polars.DataFrame
        :func:`list_results` of all lists that are known, with all visits in the store.
    beside : polars.DataFrame
        :func:`found_beside`: visits to households that were not on a list, apart from it.
    """

    files: tuple[tuple[str, ReturnedList], ...]
    recorded: int
    known_already: int
    by_hand: int
    ingested: IngestReport | None
    results: pl.DataFrame
    beside: pl.DataFrame

    def __repr__(self) -> str:
        return f"VisitReport({self.recorded} visits recorded, {self.known_already} known already)"

    def to_pandas(self) -> pd.DataFrame:
        """Return ``results``."""
        return self.results.to_pandas()

    def summary_lines(self, language: Language) -> list[str]:
        """Return what was recorded, what could not be, and which cells were altered."""
        lines = [_RECORDED.text(language).format(self.recorded, self.known_already, self.by_hand)]
        for name, one in self.files:
            if one.blank:
                lines.append(_BLANK.text(language).format(name, one.blank))
            if one.repaired:
                lines.append(_REPAIRED.text(language).format(name, one.repaired))
            if one.unknown.height:
                ids = "、".join(one.unknown["list_id"].unique().sort().to_list())
                lines.append(_UNKNOWN.text(language).format(name, one.unknown.height, ids))
            if one.misplaced:
                rows = "、".join(map(str, one.misplaced[:10]))
                lines.append(_MISPLACED.text(language).format(name, len(one.misplaced), rows))
            if one.changed.height:
                cells = [_cell(row, column, language) for row, column in one.changed.head(10).iter_rows()]
                lines.append(_CHANGED.text(language).format(name, one.changed.height, "、".join(cells)))
        if self.ingested is not None:
            rejected = sum(counts.rejected for counts in self.ingested.counts.values())
            if rejected:
                files = "、".join(str(path) for path in self.ingested.reject_files)
                lines.append(_SENT_BACK.text(language).format(rejected, files))
        return lines


def _cell(row: int, column: str, language: Language) -> str:
    return f"第{row}行{_COLUMN_ZH[column]}" if language == "zh" else f"{row}:{column}"


_RECORDED = Bilingual(
    "已录入走访{}条，此前已录入{}条；手工添加{}户，按自主申报处理。",
    "{} visits recorded, {} known already; {} households written in by hand, as their own applications.",
)
_BLANK = Bilingual("{}：{}户尚未填写。", "{}: {} rows are not filled in yet.")
_REPAIRED = Bilingual(
    "{}：{}个户编号被表格软件改写，已按清单编号和序号恢复。",
    "{}: {} identifiers were shortened by a spreadsheet and were restored by list id and rank.",
)
_UNKNOWN = Bilingual(
    "{}：{}行的清单编号未知（{}），未录入。请用 --lists 指明清单所在文件夹。",
    "{}: {} rows are of unknown lists ({}) and were not recorded. Name the folder of the lists with --lists.",
)
_MISPLACED = Bilingual(
    "{}：{}行的户编号与清单编号、序号不符（第{}行），可能只排序了部分列，未录入，请核对。",
    "{}: {} rows (row {}) hold another household than their list id and rank: some columns may have been "
    "sorted alone. They were not recorded; please check.",
)
_CHANGED = Bilingual(
    "{}：{}个系统填写的单元格被改动（{}），以原清单为准。",
    "{}: {} computed cells were changed (row:column {}); the list as handed out holds.",
)
_SENT_BACK = Bilingual("{}行有误，已退回：{}。", "{} rows were sent back to be corrected: {}.")


def record_visits(
    returned: Path | Sequence[Path],
    store: Path,
    lists: Iterable[Path],
    *,
    today: date | None = None,
    password: str | None = None,
) -> VisitReport:
    """Record the visits of returned lists in the store.

    Parameters
    ----------
    returned : path or sequence of paths
        Lists with what staff filled in, CSV or workbook.
    store : Path
    lists : iterable of Path
        Folders that lists were written to, with all below them.
    today : date, optional
        The day the visits became known; the day of the call where not given.
    password : str, optional
        Opens workbooks that were written with one.

    Returns
    -------
    VisitReport
        The same file again records nothing.

    Raises
    ------
    DataError
        RR103 or RR197 where a file is no list, RR198 where no list is to be found in ``lists``.
    MachineError
        RR651 where another process is writing to the store, RR652 where the disk refuses.
    ConfigurationError
        RR488 where a workbook has a password that was not given.
    """
    paths = [returned] if isinstance(returned, Path) else list(returned)
    folders = list(lists)
    issued = find_issued(folders)
    if issued.is_empty():
        raise DataError(
            "RR198",
            ", ".join(str(folder) for folder in folders) or "--lists",
            "no list that was handed out is there",
            "issued.parquet, which stands beside every list",
            "Name the folder that the list was written to with --lists",
            zh="找不到已下发的清单，请用 --lists 指明清单所在文件夹。",
        )
    files = tuple((path.name, read_returned(path, issued, password)) for path in paths)
    rows = pl.concat([one.rows for _, one in files])
    day = today or datetime.now().astimezone().date()
    stored = Store(store).open().tables
    visits = _visits(rows, day)
    cases = _own_applications(rows, day)
    fresh = {
        table.name: _not_stored(frame, table, stored.get(table.name))
        for table, frame in ((TABLE_BY_NAME["visit"], visits), (TABLE_BY_NAME["workflow"], cases))
    }
    report = _ingest(fresh, store, day)
    accepted = {} if report is None else {name: counts.accepted for name, counts in report.counts.items()}
    known = Store(store).open().tables.get("visit", pl.DataFrame(schema=TABLE_BY_NAME["visit"].dtypes))
    return VisitReport(
        files=files,
        recorded=accepted.get("visit", 0),
        known_already=visits.height - fresh["visit"].height,
        by_hand=accepted.get("workflow", 0),
        ingested=report,
        results=list_results(issued, known),
        beside=found_beside(list_results(issued, known), known),
    )


def list_results(issued: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    """Return each household that was listed with the outcome of its latest visit for that list.

    Parameters
    ----------
    issued : polars.DataFrame
        Of :func:`~relapse_risk.outputs.issued.find_issued`.
    visits : polars.DataFrame
        Table ``visit``, with all versions.

    Returns
    -------
    polars.DataFrame
        ``list_id, rank, household_id, as_of_date, county_code, tier, basis, risk_score, is_listed, is_audit,
        unit, inclusion_probability, audit_pool_n, outcome``; no outcome where no visit came back.
    """
    latest = _latest(visits)
    outcome = latest.filter(pl.col("list_id").is_not_null()).select("list_id", "household_id", "outcome")
    return issued.select(
        *("list_id", "rank", "household_id", "as_of_date", "county_code", "tier", "basis", "risk_score"),
        *("is_listed", "is_audit", "unit", "inclusion_probability", "audit_pool_n"),
    ).join(
        outcome.unique(["list_id", "household_id"], keep="last"),
        on=["list_id", "household_id"],
        how="left",
        maintain_order="left",
    )


def found_beside(results: pl.DataFrame, visits: pl.DataFrame) -> pl.DataFrame:
    """Return what visits found at households that no list named.

    Parameters
    ----------
    results : polars.DataFrame
        Of :func:`list_results`.
    visits : polars.DataFrame
        Table ``visit``, with all versions.

    Returns
    -------
    polars.DataFrame
        ``group`` (候补 for the waiting list, 自主申报 for households that staff wrote in), ``verified``,
        ``found``, ``not_met``; only groups with a visit. They are no part of a list's precision: who wrote
        them in, or went there, had a reason that the list did not have.
    """
    waiting = results.filter(~pl.col("is_listed"), pl.col("outcome").is_not_null())
    by_hand = _latest(visits).filter(pl.col("visit_id").str.starts_with(f"{_HAND}-"))
    groups = {_WAITING: waiting["outcome"], _SELF_APPLICATION: by_hand["outcome"].drop_nulls()}
    rows = [
        (group, *(int(outcome.is_in(kind).sum()) for kind in (VERIFIED, NEED_FOUND, NOT_MET)))
        for group, outcome in groups.items()
        if len(outcome)
    ]
    names = ("verified", "found", "not_met")
    return pl.DataFrame(rows, schema={"group": pl.String} | dict.fromkeys(names, pl.Int64), orient="row")


def _latest(visits: pl.DataFrame) -> pl.DataFrame:
    """Return the latest version of each visit."""
    return visits.sort("recorded_on", maintain_order=True).unique(
        "visit_id", keep="last", maintain_order=True
    )


def _visits(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return rows of table ``visit``, as text; a list's row has one visit."""
    by_hand = pl.concat_str(
        [pl.lit(_HAND), "household_id", pl.col("visited_on").fill_null("")], separator="-"
    )
    listed = pl.concat_str(["list_id", pl.col("rank").cast(pl.String)], separator="-")
    return rows.select(
        pl.when("is_by_hand").then(by_hand).otherwise(listed).alias("visit_id"),
        "list_id",
        "household_id",
        pl.lit(str(day)).alias("recorded_on"),
        *STAFF_COLUMNS,
    )


def _own_applications(rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """Return a case for each household that staff wrote in: it is taken as its own application."""
    found = pl.col("visited_on").fill_null(str(day))
    return rows.filter("is_by_hand").select(
        pl.concat_str([pl.lit(_HAND), "household_id", found], separator="-").alias("case_id"),
        "household_id",
        pl.lit(_SELF_APPLICATION).alias("channel"),
        found.alias("discovered_on"),
        pl.lit(str(day)).alias("recorded_on"),
    )


def _not_stored(texts: pl.DataFrame, table: Table, stored: pl.DataFrame | None) -> pl.DataFrame:
    """Return the rows that say something else than the latest stored version of their key."""
    if stored is None or stored.is_empty() or texts.is_empty():
        return texts
    named = [
        column for column in table.columns if column.name != "recorded_on" and column.name in texts.columns
    ]
    names = [column.name for column in named]
    typed = parse_columns(texts, named).frame.select(names)
    latest = stored.sort("recorded_on", maintain_order=True).unique(table.key, keep="last").select(names)
    same = typed.with_row_index("place").join(latest, on=names, how="semi", nulls_equal=True)["place"]
    return texts.with_row_index("place").filter(~pl.col("place").is_in(same.implode())).drop("place")


def _ingest(fresh: dict[str, pl.DataFrame], store: Path, day: date) -> IngestReport | None:
    """Take the way of every other export: checks, account, rows sent back."""
    if all(frame.is_empty() for frame in fresh.values()):
        return None
    with tempfile.TemporaryDirectory() as folder:
        for name, frame in fresh.items():
            if not frame.is_empty():
                frame.write_parquet(Path(folder) / f"{TABLE_BY_NAME[name].zh}.parquet")
        return ingest(folder, store, today=day)
