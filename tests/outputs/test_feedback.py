"""The way back: every filled row is recorded once, told to the right household, or named with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from relapse_risk.errors import DataError
from relapse_risk.features.build import build_features
from relapse_risk.outputs.columns import LIST_COLUMNS, with_headers
from relapse_risk.outputs.feedback import record_visits
from relapse_risk.outputs.files import csv_bytes
from relapse_risk.outputs.visit_list import VisitList, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.rules.apply import apply_rules

TODAY = date(2024, 7, 20)


@dataclass
class Office:
    """A county's folder: the store, the list that was handed out, and where it comes back to."""

    folder: Path
    made: VisitList

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def lists(self) -> list[Path]:
        return [self.folder / "lists"]

    @property
    def listed(self) -> pl.DataFrame:
        return self.made.counties[0].listed

    def filled(self, outcomes: dict[int, str], frame: pl.DataFrame | None = None) -> pl.DataFrame:
        """The list with some rows filled in, by rank."""
        rank = pl.col("rank")
        rows = self.listed if frame is None else frame
        is_done = rank.is_in(list(outcomes))
        return rows.with_columns(
            outcome=rank.replace_strict(outcomes, default=None, return_dtype=pl.String),
            visited_on=pl.when(is_done).then(pl.lit("2024/7/15")),
            visitor_role=pl.when(is_done).then(pl.lit("村干部")),
            need_inclusion=pl.when(is_done).then(pl.lit("是")),
        )

    def returned(self, frame: pl.DataFrame, encoding: str = "utf-8-sig", name: str = "back.csv") -> Path:
        path = self.folder / name
        path.write_bytes(csv_bytes(with_headers(frame, "zh")).decode("utf-8-sig").encode(encoding))
        return path

    @property
    def households(self) -> pl.DataFrame:
        """Households of the first county, as stored."""
        households = Store(self.store).open().tables["household"]
        return households.filter(pl.col("county_code") == self.made.counties[0].county_code)

    def visits(self) -> pl.DataFrame:
        return Store(self.store).open().tables["visit"].filter(pl.col("list_id").is_not_null())


@pytest.fixture
def office(tmp_path: Path, panel: Panel, make_list) -> Office:
    made = make_list(8)
    Store(tmp_path / "store").commit(panel)
    write_visit_list(made, tmp_path / "lists" / "june")
    return Office(tmp_path, made)


def test_filled_rows_are_recorded_and_blank_ones_wait(office: Office) -> None:
    path = office.returned(office.filled({1: "属实", 2: "不属实", 3: "外出"}))
    report = record_visits(path, office.store, office.lists, today=TODAY)
    assert (report.recorded, report.known_already, report.by_hand) == (3, 0, 0)
    assert report.files[0][1].blank == office.listed.height - 3
    assert report.files[0][1].changed.is_empty()
    found = office.visits().sort("visit_id")
    assert found["outcome"].to_list() == ["属实", "不属实", "外出"]
    assert found["household_id"].to_list() == office.listed["household_id"][:3].to_list()
    assert found["visited_on"].unique().to_list() == [date(2024, 7, 15)]
    assert found["recorded_on"].unique().to_list() == [TODAY]
    assert found["need_inclusion"].all()
    outcomes = report.results.filter(pl.col("outcome").is_not_null()).sort("rank")["outcome"]
    assert outcomes.to_list() == ["属实", "不属实", "外出"]


def test_the_same_file_twice_changes_nothing_and_a_correction_a_day_later_counts(office: Office) -> None:
    path = office.returned(office.filled({1: "属实", 2: "外出"}))
    record_visits(path, office.store, office.lists, today=TODAY)
    commits = len(Store(office.store).log())
    again = record_visits(path, office.store, office.lists, today=date(2024, 7, 22))
    assert (again.recorded, again.known_already) == (0, 2)
    assert len(Store(office.store).log()) == commits
    corrected = office.returned(office.filled({1: "属实", 2: "部分属实"}))
    report = record_visits(corrected, office.store, office.lists, today=date(2024, 7, 23))
    assert (report.recorded, report.known_already) == (1, 1)
    assert report.results.filter(pl.col("rank") == 2)["outcome"].to_list()[0] == "部分属实"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030", "utf-16"])
def test_a_file_that_a_spreadsheet_saved_anew_is_understood(office: Office, encoding: str) -> None:
    """Other encoding, columns in another order, identifiers as 1.3E+17, days and numbers in other forms."""
    frame = office.filled({1: "属实", 4: "属实"}).select(reversed([column.name for column in LIST_COLUMNS]))
    mangled = frame.with_columns(
        household_id=pl.lit("1.30127E+17"),
        list_id="list_id",
        expires_on=pl.col("expires_on").dt.strftime("%Y/%-m/%-d"),
        last_visit=pl.col("last_visit").cast(pl.String),
        hit_since=pl.col("hit_since").dt.strftime("%Y/%-m/%-d"),
    )
    report = record_visits(office.returned(mangled, encoding), office.store, office.lists, today=TODAY)
    assert report.recorded == 2
    assert report.files[0][1].repaired == 2
    assert report.files[0][1].changed.is_empty()
    assert set(office.visits()["household_id"]) == {office.listed["household_id"][i] for i in (0, 3)}


def test_a_workbook_that_was_filled_in_is_read(office: Office) -> None:
    path = next(office.lists[0].rglob("走访清单_示范县*.xlsx"))
    book = openpyxl.load_workbook(path)
    names = [column.name for column in LIST_COLUMNS]
    for row, outcome in ((2, "属实"), (5, "未见到户")):
        book["走访清单"].cell(row, names.index("outcome") + 1, outcome)
        book["走访清单"].cell(row, names.index("visited_on") + 1, date(2024, 7, 16))
    book.save(office.folder / "filled.xlsx")
    report = record_visits(office.folder / "filled.xlsx", office.store, office.lists, today=TODAY)
    assert report.recorded == 2
    assert report.files[0][1].changed.is_empty()
    assert office.visits()["visited_on"].unique().to_list() == [date(2024, 7, 16)]


def test_a_changed_computed_cell_is_named_and_the_list_as_handed_out_holds(office: Office) -> None:
    frame = office.filled({1: "属实", 2: "属实"})
    tampered = frame.with_columns(
        risk_score=pl.when(pl.col("rank") == 1).then(1.5).otherwise("risk_score"),
        reason_1=pl.when(pl.col("rank") == 2).then(pl.lit("别的原因")).otherwise("reason_1"),
    )
    report = record_visits(office.returned(tampered), office.store, office.lists, today=TODAY)
    assert report.recorded == 2
    assert report.files[0][1].changed.rows() == [(2, "risk_score"), (3, "reason_1")]
    assert any("第2行模型风险分" in line for line in report.summary_lines("zh"))


def test_columns_that_were_sorted_alone_are_not_believed(office: Office) -> None:
    """A household must not get the visit of another."""
    frame = office.filled({1: "属实", 2: "属实", 3: "属实"})
    ids = frame["household_id"].to_list()
    ids[0], ids[1] = ids[1], ids[0]
    apart = frame.with_columns(pl.Series("household_id", ids))
    report = record_visits(office.returned(apart), office.store, office.lists, today=TODAY)
    assert report.recorded == 1
    assert report.files[0][1].misplaced == (2, 3)


def test_rows_of_unknown_lists_are_named_and_not_recorded(office: Office) -> None:
    frame = office.filled({1: "属实", 2: "属实"})
    strange = frame.with_columns(
        list_id=pl.when(pl.col("rank") == 1).then(pl.lit("130127-20240101-00000000")).otherwise("list_id")
    )
    report = record_visits(office.returned(strange), office.store, office.lists, today=TODAY)
    assert report.recorded == 1
    assert report.files[0][1].unknown["list_id"].to_list() == ["130127-20240101-00000000"]


def test_a_household_written_in_by_hand_is_its_own_application(office: Office) -> None:
    known = set(office.listed["household_id"])
    other = next(h for h in Store(office.store).open().tables["household"]["household_id"] if h not in known)
    row = office.listed[:1].with_columns(*(pl.lit(None, dtype=c.dtype).alias(c.name) for c in LIST_COLUMNS))
    by_hand = row.with_columns(
        household_id=pl.lit(other), outcome=pl.lit("属实"), visited_on=pl.lit("2024-07-15")
    )
    frame = pl.concat([office.filled({1: "属实"}), by_hand])
    report = record_visits(office.returned(frame), office.store, office.lists, today=TODAY)
    assert (report.recorded, report.by_hand) == (2, 1)
    assert report.beside.rows() == [("自主申报", 1, 1, 0)]
    assert report.results["outcome"].count() == 1
    case = Store(office.store).open().tables["workflow"].filter(pl.col("household_id") == other)
    assert case["channel"].to_list() == ["自主申报"]


def test_what_can_not_be_read_comes_back_with_its_reason(office: Office) -> None:
    """An outcome that is none of the values, and a visit after the day it is handed in."""
    frame = office.filled({1: "属实", 2: "有点属实", 3: "属实"}).with_columns(
        visited_on=pl.when(pl.col("rank") == 3).then(pl.lit("2025-01-01")).otherwise("visited_on")
    )
    report = record_visits(office.returned(frame), office.store, office.lists, today=TODAY)
    assert report.recorded == 1
    assert report.ingested is not None
    assert report.ingested.counts["visit"].rejected == 2
    assert len(report.ingested.reject_files) == 1


def test_no_list_and_no_such_columns_are_said(office: Office, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="RR198"):
        record_visits(office.returned(office.filled({1: "属实"})), office.store, [tmp_path / "elsewhere"])
    (tmp_path / "other.csv").write_text("户编号,备注\n1,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="RR197"):
        record_visits(tmp_path / "other.csv", office.store, office.lists)


def test_who_was_not_met_and_who_was_written_in_are_on_the_next_list(office: Office) -> None:
    """One that no rule names any more as well; and a written-in household as its own application."""
    known = office.made.counties[0]
    listed = known.listed.filter(pl.col("tier") == "蓝")
    other = next(h for h in office.households["household_id"] if h not in set(known.listed["household_id"]))
    by_hand = known.listed[:1].with_columns(
        *(pl.lit(None, dtype=c.dtype).alias(c.name) for c in LIST_COLUMNS)
    )
    by_hand = by_hand.with_columns(
        household_id=pl.lit(other), outcome=pl.lit("部分属实"), visited_on=pl.lit("2024-07-15")
    )
    frame = pl.concat([office.filled(dict.fromkeys(listed["rank"], "外出")), by_hand])
    record_visits(office.returned(frame), office.store, office.lists, today=TODAY)
    panel = Store(office.store).open()
    matrix = build_features(panel, [date(2024, 7, 31)])
    made = make_visit_list(matrix, apply_rules(matrix), None, 40, panel=panel)
    rows = pl.concat([county.listed for county in made.counties])
    away = rows.filter(pl.col("household_id").is_in(listed["household_id"].implode()))
    assert away.height == listed.height > 0
    assert set(away["last_visit"]) == {date(2024, 7, 15)}
    assert "自主申报" in rows.filter(pl.col("household_id") == other)["basis"].item()
