"""How long a hit has stood is read from what was known at each earlier month end."""

from __future__ import annotations

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.features.build import build_features
from relapse_risk.outputs.standing import comes_back, dated_rows, hits_since, not_met_rows, pauses, rests
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.tiers import moving_codes
from relapse_risk.scores import HIT


def brute_force(panel: Panel, household: str, as_of: date, months: int) -> date:
    """Apply the rules to everybody at each month end and follow each rule's unbroken run."""
    days = pl.date_range(date(2023, 1, 31), as_of, "1mo", eager=True).dt.month_end().to_list()[::-1]
    standing, since = set(moving_codes()), as_of
    for day in days[: months + 1]:
        matrix = build_features(panel, [day], households=[household])
        hits = apply_rules(matrix)
        standing &= {c for c, s in zip(hits.codes, hits.states[0], strict=True) if s == HIT}
        if not standing:
            break
        since = day
    return since


def test_dates_are_those_of_applying_the_rules_month_by_month(panel, hits):
    found = dict(hits_since(panel, hits, months_back=4).iter_rows())
    assert found
    assert len(set(found.values())) > 2
    for household in list(found)[::8]:
        assert found[household] == brute_force(panel, household, date(2024, 6, 30), 4)


def test_only_households_with_a_hit_have_a_date(panel, hits):
    found = hits_since(panel, hits, months_back=1)
    assert set(found["household_id"]) == set(
        hits.index.filter(pl.Series(hits.is_hit(moving_codes())))["household_id"]
    )
    assert set(found["hit_since"]) <= {date(2024, 6, 30), date(2024, 5, 31)}


def test_a_panel_without_history_gives_new_hits(panel, matrix, hits):
    """Nothing is known before the first household was recorded."""
    late = Panel(
        {
            name: frame.with_columns(recorded_on=pl.lit(date(2024, 6, 20))) if name == "household" else frame
            for name, frame in panel.tables.items()
        }
    )
    assert set(hits_since(late, hits)["hit_since"]) == {date(2024, 6, 30)}


def test_no_hits_give_no_rows(panel, hits):
    none = type(hits)(hits.index, hits.codes, np.zeros_like(hits.states))
    assert hits_since(panel, none).is_empty()


def test_several_dates_are_refused(panel, matrix):
    two = build_features(panel, [date(2024, 5, 31), date(2024, 6, 30)])
    with pytest.raises(ContractError, match="RR482"):
        hits_since(panel, apply_rules(two))


def test_who_was_met_rests_and_who_was_not_comes_back(panel, matrix):
    """The last visit decides; of several on one day, one that met somebody."""
    recent, before = date(2024, 6, 5), date(2024, 6, 1)
    told = {
        "met": [(before, "未见到户"), (recent, "不属实")],
        "away": [(before, "属实"), (recent, "外出")],
        "both": [(recent, "外出"), (recent, "属实")],
        "long ago": [(date(2024, 3, 1), "未见到户")],
        "thrice": [
            (date(2024, 4, 5), "属实"),
            (date(2024, 4, 9), "外出"),
            (before, "外出"),
            (recent, "未见到户"),
        ],
        "a year": [(date(2023, 6, 1), "外出"), (before, "外出"), (recent, "外出")],
        "broken": [
            (date(2024, 4, 9), "外出"),
            (date(2024, 5, 2), "属实"),
            (before, "外出"),
            (recent, "外出"),
        ],
        "same day": [(recent, "外出"), (recent, "未见到户"), (before, "外出")],
        "no list": [(recent, "外出")],
        "blank": [(recent, None)],
        "planned": [(None, None)],
        "never": [],
    }
    ids = dict(zip(told, matrix.index["household_id"], strict=False))
    rows = [
        {
            "visit_id": f"{name}{n}",
            "list_id": None if name == "no list" else "L",
            "household_id": ids[name],
            "visited_on": day,
            "outcome": outcome,
        }
        for name, visits in told.items()
        for n, (day, outcome) in enumerate(visits)
    ]
    dtypes = panel.tables["visit"].schema
    visits = pl.DataFrame(
        [{c: ({"recorded_on": date(2024, 6, 10)} | row).get(c) for c in dtypes} for row in rows],
        schema=dtypes,
    )
    day = date(2024, 6, 30)
    dated = dated_rows(matrix, None, Panel({**panel.tables, "visit": visits}), day)
    place = {name: matrix.index["household_id"].to_list().index(of) for name, of in ids.items()}

    def which(mask):
        return {name for name, row in place.items() if mask[row]}

    assert which(rests(dated, day, 30)) == {"met", "both", "blank"}
    assert which(rests(dated, day, 25)) == which(rests(dated, day, 0)) == set()
    two = {"a year", "broken", "same day"}
    assert which(comes_back(dated, day)) == {"away", "thrice", *two}
    assert which(comes_back(dated, day, 3)) == {"away", *two}
    assert which(comes_back(dated, day, 2)) == {"away"}
    assert which(pauses(dated, day, 3)) == {"thrice"}
    assert which(pauses(dated, day, 2)) == {"thrice", *two}
    assert which(pauses(dated, date(2024, 9, 5), 2)) == set(), "a quarter after the last visit"
    assert which(pauses(dated, day, 0)) == set()
    placed = np.array([place["thrice"]]), np.array([place["broken"]])
    told = not_met_rows(matrix.index, dated, day, 2, *placed)
    assert dict(told.select("household_id", "not_met_n").iter_rows()) == {
        ids["thrice"]: 3,
        **dict.fromkeys((ids[name] for name in two), 2),
    }
    stands = dict(told.select("household_id", "place").iter_rows())
    assert stands == {
        ids["thrice"]: "列入",
        ids["broken"]: "候补",
        ids["a year"]: "暂缓",
        ids["same day"]: "暂缓",
    }
    assert dated["last_visit"][place["met"]] == recent
    assert not comes_back(dated_rows(matrix, None, None, day), day).any()
