"""History follows households that are recoded, split, merged or moved, from the day that is known."""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pytest

from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.lineage import find_lineage, kin_of, without_cycles
from relapse_risk.panel.panel import KnownPanel, Panel
from relapse_risk.panel.tables import TABLE_BY_NAME

JANUARY, MARCH, JUNE, JULY = date(2024, 1, 31), date(2024, 3, 31), date(2024, 6, 30), date(2024, 7, 31)


def frame(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TABLE_BY_NAME[name].dtypes)


def household(
    name: str, recorded: date = JANUARY, predecessor: str | None = None, village: str = "V1"
) -> dict:
    place = {"county_code": "C", "township_code": "T", "village_code": village}
    return {"household_id": name, "recorded_on": recorded, "predecessor_id": predecessor, **place}


def observation(name: str, month: int, income: float | None, persons: float, **other: Any) -> dict:
    end = date(2024, month, 29 if month == 2 else 31 if month in (1, 3, 5, 7) else 30)
    row = {"household_id": name, "period_end": end, "period_months": 1, "recorded_on": end}
    return {**row, "n_person": persons, "net_income_yuan": income, **other}


def member(name: str, of: str, recorded: date = JANUARY, relation: str = "户主", **other: Any) -> dict:
    return {"member_id": name, "household_id": of, "recorded_on": recorded, "relation": relation, **other}


def event(name: str, of: str, happened: date, who: str | None = None, recorded: date | None = None) -> dict:
    row = {"event_id": name, "household_id": of, "event_date": happened, "member_id": who}
    return {**row, "recorded_on": recorded or happened}


def living(known: KnownPanel) -> list[str]:
    return known.households["household_id"].to_list()


def incomes(known: KnownPanel, name: str) -> list[tuple[int, float | None, float]]:
    rows = known.table("observation").filter(pl.col("household_id") == name).sort("period_end")
    return rows.select(pl.col("period_end").dt.month(), "net_income_yuan", "n_person").rows()


def events(known: KnownPanel, name: str) -> list[str]:
    return known.table("event").filter(pl.col("household_id") == name)["event_id"].sort().to_list()


def members(known: KnownPanel, name: str) -> list[str]:
    return known.table("member").filter(pl.col("household_id") == name)["member_id"].sort().to_list()


@pytest.fixture
def recoded() -> Panel:
    """OLD became NEW in March; a department goes on with the old code."""
    return Panel(
        {
            "household": frame("household", household("OLD"), household("NEW", MARCH, "OLD"), household("Z")),
            "member": frame("member", member("m", "OLD")),
            "observation": frame(
                "observation",
                *(observation("OLD", month, 100.0 * month, 2.0) for month in (1, 2, 3, 4)),
                *(observation("NEW", month, 1000.0 * month, 2.0) for month in (4, 5)),
            ),
            "event": frame("event", event("e", "OLD", JANUARY, "m"), event("late", "OLD", JUNE)),
        }
    )


def test_a_recoded_household_goes_on_under_its_new_code(recoded: Panel) -> None:
    known = recoded.known_at(JULY)
    assert living(known) == ["NEW", "Z"]
    # April was reported under both codes: the report under the new one stands.
    assert incomes(known, "NEW") == [
        (1, 100.0, 2.0), (2, 200.0, 2.0), (3, 300.0, 2.0), (4, 4000.0, 2.0), (5, 5000.0, 2.0)
    ]  # fmt: skip
    assert events(known, "NEW") == ["e", "late"]
    assert members(known, "NEW") == ["m"]
    assert known.table("observation").filter(pl.col("household_id") == "OLD").is_empty()


def test_before_it_is_known_nothing_has_changed(recoded: Panel) -> None:
    """The lineage itself is known from its own day on."""
    known = recoded.known_at(date(2024, 3, 30))
    assert living(known) == ["OLD", "Z"]
    assert incomes(known, "OLD") == [(1, 100.0, 2.0), (2, 200.0, 2.0)]
    assert known.heirs is None


def test_recoded_twice() -> None:
    panel = Panel(
        {
            "household": frame(
                "household", household("A"), household("B", MARCH, "A"), household("C", JUNE, "B")
            ),
            "observation": frame("observation", observation("A", 1, 1.0, 1.0), observation("B", 4, 4.0, 1.0)),
        }
    )
    assert living(panel.known_at(MARCH)) == ["B"]
    assert incomes(panel.known_at(JULY), "C") == [(1, 1.0, 1.0), (4, 4.0, 1.0)]
    assert panel.known_at(JULY).followed(pl.Series(["A", "C"]))["heir_id"].to_list() == ["C", "C"]


@pytest.mark.parametrize("evidence", ["recorded again", "its head stayed"])
def test_a_household_that_a_son_leaves_goes_on(evidence: str) -> None:
    """He brings the history up to the split; each keeps the events of their own people."""
    rows = [household("P"), household("SON", MARCH, "P")]
    people = [member("father", "P"), member("son", "P", relation="子女")]
    if evidence == "recorded again":
        rows.append(household("P", MARCH))
    else:
        people.append(member("son", "SON", MARCH))
    panel = Panel(
        {
            "household": frame("household", *rows),
            "member": frame("member", *people),
            "observation": frame(
                "observation",
                *(observation("P", month, 100.0 * month, 4.0) for month in (1, 2, 3, 4)),
                observation("SON", 4, 50.0, 1.0),
            ),
            "event": frame(
                "event",
                event("flood", "P", JANUARY),
                event("father ill", "P", JANUARY, "father"),
                event("son ill", "P", JANUARY, "son"),
                event("hail", "P", JUNE),
            ),
        }
    )
    known = panel.known_at(JULY)
    assert living(known) == ["P", "SON"]
    assert incomes(known, "P") == [(1, 100.0, 4.0), (2, 200.0, 4.0), (3, 300.0, 4.0), (4, 400.0, 4.0)]
    assert incomes(known, "SON") == [(1, 100.0, 4.0), (2, 200.0, 4.0), (3, 300.0, 4.0), (4, 50.0, 1.0)]
    if evidence == "its head stayed":
        assert members(known, "SON") == ["son"]
        assert events(known, "P") == ["father ill", "flood", "hail"]
        assert events(known, "SON") == ["flood", "son ill"]


def test_a_recoding_of_which_the_member_table_knows_only_a_part() -> None:
    """Only those whose row changed come under the new code; a son had split off before, another one after."""
    panel = Panel(
        {
            "household": frame(
                "household",
                household("P"),
                household("SON", MARCH, "P"),
                household("NEW", date(2024, 4, 30), "P"),
                household("DAUGHTER", JUNE, "P"),
            ),
            "member": frame(
                "member",
                member("father", "P"),
                member("mother", "P", relation="配偶"),
                member("son", "P", relation="子女"),
                member("son", "SON", MARCH),
                member("father", "NEW", JUNE),
                member("daughter", "P", relation="子女"),
                member("daughter", "DAUGHTER", JUNE),
            ),
            "observation": frame("observation", observation("P", 1, 1.0, 4.0), observation("P", 5, 5.0, 2.0)),
        }
    )
    known = panel.known_at(JULY)
    assert living(known) == ["DAUGHTER", "NEW", "SON"]
    assert members(known, "NEW") == ["father", "mother"]
    assert incomes(known, "NEW") == incomes(known, "DAUGHTER") == [(1, 1.0, 4.0), (5, 5.0, 2.0)]
    assert incomes(known, "SON") == [(1, 1.0, 4.0)]
    assert known.followed(pl.Series(["P"]))["heir_id"].to_list() == ["NEW"]


def test_children_divide_a_household_whose_head_died() -> None:
    panel = Panel(
        {
            "household": frame(
                "household", household("P"), household("A", MARCH, "P"), household("B", MARCH, "P")
            ),
            "member": frame(
                "member",
                member("father", "P"),
                member("father", "P", MARCH, is_present=False),
                *(member(name, "P", relation="子女") for name in "ab"),
                *(member(name, name.upper(), MARCH) for name in "ab"),
            ),
        }
    )
    known = panel.known_at(JULY)
    assert living(known) == ["A", "B"]
    assert known.followed(pl.Series(["P"])).height == 2


def test_a_divided_household_that_has_ended() -> None:
    """Both parts have all its history; its outcome is that of both."""
    panel = Panel(
        {
            "household": frame(
                "household", household("P"), household("A", MARCH, "P"), household("B", JUNE, "P")
            ),
            "observation": frame("observation", observation("P", 1, 1.0, 4.0)),
            "event": frame("event", event("late", "P", JUNE)),
        }
    )
    known = panel.known_at(JULY)
    assert living(known) == ["A", "B"]
    assert incomes(known, "A") == incomes(known, "B") == [(1, 1.0, 4.0)]
    assert events(known, "A") == events(known, "B") == ["late"]
    assert known.followed(pl.Series(["P"])).rows() == [("P", "A"), ("P", "B")]


def test_a_merger_adds_up_what_all_of_them_report() -> None:
    """A part is not the whole: where one is silent there is no report; facts stand where they agree."""
    panel = Panel(
        {
            "household": frame(
                "household", household("A"), household("B"), household("C"), household("AB", JUNE, "A、B")
            ),
            "observation": frame(
                "observation",
                observation("A", 1, 100.0, 2.0, house_grade="A", water_safe=True, dropout_n=1),
                observation("B", 1, 60.0, 1.0, house_grade="A", water_safe=False, dropout_n=0),
                observation("A", 2, 100.0, 2.0),
                observation("A", 3, 100.0, 2.0),
                observation("B", 3, None, 1.0),
                observation("AB", 6, 500.0, 3.0),
                observation("C", 1, 7.0, 1.0),
            ),
        }
    )
    known = panel.known_at(JULY)
    assert living(known) == ["AB", "C"]
    assert incomes(known, "AB") == [(1, 160.0, 3.0), (3, None, 3.0), (6, 500.0, 3.0)]
    first = (
        known.table("observation")
        .filter(pl.col("household_id") == "AB")
        .sort("period_end")
        .row(0, named=True)
    )
    assert (first["house_grade"], first["water_safe"], first["dropout_n"]) == ("A", None, 1)
    assert incomes(known, "C") == [(1, 7.0, 1.0)]


def test_parts_that_come_together_again_count_once() -> None:
    """A was divided into B and C, and they merged: of A's time there is A's report, not twice A's."""
    panel = Panel(
        {
            "household": frame(
                "household",
                household("A"),
                household("B", MARCH, "A"),
                household("C", MARCH, "A"),
                household("D", JUNE, "B,C"),
            ),
            "observation": frame(
                "observation",
                observation("A", 1, 100.0, 4.0),
                observation("B", 4, 30.0, 2.0),
                observation("C", 4, 40.0, 2.0),
            ),
        }
    )
    assert incomes(panel.known_at(JULY), "D") == [(1, 100.0, 4.0), (4, 70.0, 4.0)]


def test_a_household_that_moves_and_a_village_that_is_recoded() -> None:
    panel = Panel(
        {
            "household": frame("household", household("M"), household("M", JUNE, village="V2")),
            "observation": frame("observation", observation("M", 1, 1.0, 1.0)),
        }
    )
    before, after = panel.known_at(MARCH), panel.known_at(JULY)
    assert before.households["village_code"].to_list() == ["V1"]
    assert after.households["village_code"].to_list() == ["V2"]
    assert incomes(after, "M") == [(1, 1.0, 1.0)]


def test_cycles_and_unknown_predecessors_change_nothing() -> None:
    rows = [household("A", MARCH, "B"), household("B", MARCH, "A"), household("C", MARCH, "nobody")]
    rows += [
        household("D", MARCH, "D"),
        household("E"),
        household("F", MARCH, "E"),
        household("G", MARCH, "A"),
    ]
    panel = Panel({"household": frame("household", *rows)})
    assert living(panel.known_at(JULY)) == ["A", "B", "C", "D", "F", "G"]


def test_only_links_on_a_cycle_are_left_out() -> None:
    pairs = [("b", "a"), ("c", "b"), ("a", "c"), ("d", "a"), ("f", "e")]
    links = pl.DataFrame(pairs, schema=["household_id", "predecessor_id"], orient="row")
    assert without_cycles(links).rows() == [("d", "a"), ("f", "e")]


def test_a_blank_does_not_undo_a_link_and_another_word_does() -> None:
    rows = [household("A"), household("B"), household("N", MARCH, "A")]
    blank = frame("household", *rows, household("N", JUNE))
    other = frame("household", *rows, household("N", JUNE, "B"))
    assert find_lineage(blank, None).ended.to_list() == ["A"]
    assert find_lineage(other, None).ended.to_list() == ["B"]
    assert kin_of(other).rows() == [("N", "A"), ("N", "B")]


def test_nobody_follows_anybody() -> None:
    """Then the tables are what they were, and nothing is computed."""
    panel = Panel({"household": frame("household", household("A"), household("B"))})
    assert panel._kin.is_empty()
    known = panel.known_at(JULY)
    assert known.heirs is None
    assert known.followed(pl.Series(["B", "A"])).rows() == [("B", "B"), ("A", "A")]


def test_an_ingest_warns_of_unknown_predecessors_and_cycles(tmp_path, export, household_row, today) -> None:
    """The rows are kept; several predecessors are read from one cell."""
    links = {1: "1301010000000002", 2: "1301010000000001", 3: "1301010000000001、1399", 4: "13010100000000"}
    export.tables["家庭"] = [household_row(n, 原户编号=of, 县代码="130101") for n, of in links.items()]
    report = ingest(export.write(tmp_path / "files"), tmp_path / "store", today=today)
    found = dict(report.warnings.select("code", "rows").rows())
    assert (found["RR150"], found["RR151"]) == (2, 2)
    assert report.counts["household"].accepted == 4
