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
