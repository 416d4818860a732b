"""A need that a visit found is an event where the experiment asks for it, and nowhere else."""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError

from relapse_risk.config import CohortConfig, Experiment, LabelConfig
from relapse_risk.labels import make_labels
from relapse_risk.modeling.card import _selection
from relapse_risk.modeling.facts import _counts
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import Scenario, simulate

AS_OF, KNOWN_ON = date(2020, 12, 31), date(2022, 3, 31)


@pytest.fixture(scope="module")
def panel() -> Panel:
    return simulate(200, 40, Scenario.load("hebei_like"), seed=6).panel()


def labels(panel: Panel, visits: list[tuple[str, date, str, date]], *, counts: bool = True):
    dtypes = panel.tables["visit"].schema
    rows = [
        {
            "visit_id": f"V{n}",
            "household_id": home,
            "visited_on": day,
            "outcome": outcome,
            "recorded_on": known,
        }
        for n, (home, day, outcome, known) in enumerate(visits)
    ]
    table = pl.DataFrame([{name: row.get(name) for name in dtypes} for row in rows], schema=dtypes)
    given = Panel({**panel.tables, "visit": table})
    return make_labels(given, [AS_OF], LabelConfig(verified_need=counts), CohortConfig(), KNOWN_ON)


def test_the_first_visit_that_found_a_need_dates_the_event(panel: Panel) -> None:
    plain = labels(panel, [])
    free = np.flatnonzero(np.isnan(plain.event_month) & (plain.observed_months >= 9))
    ids = plain.index["household_id"]
    known = date(2021, 8, 1)
    told = {
        "found": [(date(2021, 5, 3), "部分属实", known), (date(2021, 7, 3), "属实", known)],
        "none": [(date(2021, 5, 3), "不属实", known)],
        "away": [(date(2021, 5, 3), "外出", known)],
        "before": [(AS_OF, "属实", known)],
        "beyond": [(date(2022, 1, 3), "属实", date(2022, 2, 1))],
        "too late": [(date(2021, 5, 3), "属实", date(2022, 4, 1))],
    }
    row = dict(zip(told, free, strict=False))
    visits = [(ids[int(row[name])], *visit) for name, given in told.items() for visit in given]
    made = labels(panel, visits)
    month = {name: made.event_month[place] for name, place in row.items()}
    assert month.pop("found") == 5
    assert made.observed_months[row["found"]] == 4
    assert all(np.isnan(value) for value in month.values())
    assert {name for name, place in row.items() if made.needs.was_verified[place]} == {"found", "none"}
    others = np.setdiff1d(np.arange(len(made)), [row["found"]])
    assert np.array_equal(made.event_month[others], plain.event_month[others], equal_nan=True)
    assert np.array_equal(made.observed_months[others], plain.observed_months[others])
    assert made.rows(np.array([row["found"]])).needs.month.tolist() == [5]


def test_nothing_changes_where_the_experiment_does_not_ask(panel: Panel) -> None:
    ids = panel.tables["household"]["household_id"].unique()
    visits = [(home, date(2021, 5, 3), "属实", date(2021, 6, 1)) for home in ids]
    quiet, plain = labels(panel, visits, counts=False), labels(panel, [], counts=False)
    assert quiet.needs is None
    assert np.array_equal(quiet.event_month, plain.event_month, equal_nan=True)


def test_an_event_that_records_showed_before_stays_where_it_is(panel: Panel) -> None:
    plain = labels(panel, [])
    early = np.flatnonzero(plain.event_month < 6)
    assert len(early)
    ids = plain.index["household_id"]
    made = labels(panel, [(ids[int(n)], date(2021, 9, 3), "属实", date(2021, 10, 1)) for n in early])
    assert np.array_equal(made.event_month[early], plain.event_month[early])


def test_a_state_at_the_horizon_has_no_place_for_visits() -> None:
    with pytest.raises(ValidationError, match="verified_need"):
        LabelConfig(kind="state_at_horizon", verified_need=True)


def test_the_card_says_how_many_were_visited_and_that_lists_chose_them(panel: Panel) -> None:
    ids = labels(panel, []).index["household_id"]
    made = labels(panel, [(home, date(2021, 5, 3), "属实", date(2021, 6, 1)) for home in ids[:30]])
    counts = _counts(made)
    assert counts["verified"] == 30
    assert 0 < counts["events_by_visit"] <= 30
    assert "verified" not in _counts(labels(panel, [], counts=False))
    experiment = Experiment(name="with_visits", label=LabelConfig(verified_need=True))
    said = _selection(
        SimpleNamespace(experiment=experiment, metadata={"rows": {"fit": counts}}), lambda zh, en: en
    )
    assert "30 were verified" in said[0]
    assert "Lists, not chance" in said[0]
    assert _selection(SimpleNamespace(experiment=Experiment(name="without")), lambda zh, en: en) == []
