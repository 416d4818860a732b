"""A panel says what it holds in a line, not in frames."""

from __future__ import annotations

from datetime import date

import polars as pl

from relapse_risk.panel.panel import Panel


def test_a_panel_is_shown_by_its_row_counts() -> None:
    """An analyst types its name in a notebook and sees what came in, on one line."""
    households = pl.DataFrame(
        {"household_id": ["A", "B"], "recorded_on": [date(2024, 1, 31), date(2024, 2, 29)]}
    )
    panel = Panel({"household": households})
    assert repr(panel) == "Panel(rows: household 2; recorded up to 2024-02-29)"
    assert repr(panel.known_at(date(2024, 1, 31))) == "KnownPanel(as of 2024-01-31; rows: household 1)"
    assert repr(Panel({})) == "Panel(rows: none; recorded up to None)"


def _member(member_id: str, recorded_on: date, *, is_present: bool | None) -> dict[str, object]:
    values = {"member_id": member_id, "household_id": member_id[0], "recorded_on": recorded_on}
    return values | {"is_present": is_present}


def test_a_household_whose_members_have_all_left_is_no_household_until_one_comes_back() -> None:
    """Nobody is sent to a house where nobody lives; whoever is there, or of whom nothing is known, stays."""
    early, later, last = date(2024, 1, 31), date(2024, 5, 31), date(2024, 9, 30)
    households = pl.DataFrame({"household_id": ["A", "B", "C", "D"], "recorded_on": [early] * 4})
    rows = [
        _member("A1", early, is_present=True),
        _member("A2", early, is_present=False),
        _member("A1", later, is_present=False),  # died or moved out: nobody is left
        _member("A2", last, is_present=True),  # and one comes back
        _member("B1", early, is_present=True),
        _member("B2", later, is_present=False),
        _member("C1", later, is_present=None),  # not said: taken as there
    ]
    panel = Panel({"household": households, "member": pl.DataFrame(rows)})

    def living(day: date) -> list[str]:
        return panel.known_at(day).households["household_id"].to_list()

    assert living(early) == ["A", "B", "C", "D"]
    assert living(later) == ["B", "C", "D"]
    assert living(last) == ["A", "B", "C", "D"]
    assert panel.known_at(later).table("household")["household_id"].to_list() == ["A", "B", "C", "D"]
