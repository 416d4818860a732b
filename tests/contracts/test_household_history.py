"""A household that is recoded is the same household: nothing said of it changes but its identifier."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.features.build import build_features
from relapse_risk.labels import make_labels
from relapse_risk.panel.panel import Panel

RECODED_ON, AFTER, BEFORE = date(2022, 3, 15), date(2023, 6, 30), date(2021, 12, 31)
PREFIX = "9"


def recode(panel: Panel, *, departments_follow: bool) -> Panel:
    """Give every third household another identifier on a day; later rows come under it, or under the old."""
    known = panel.tables["household"].filter(pl.col("recorded_on") < RECODED_ON)
    # One that the county itself has recoded before is no household any more.
    alive = panel.known_at(RECODED_ON - timedelta(days=1)).table("household")["household_id"]
    ids = alive.sort().gather_every(3)
    is_one = pl.col("household_id").is_in(ids.implode())
    later = is_one & (pl.col("recorded_on") >= RECODED_ON)
    renamed = pl.concat_str(pl.lit(PREFIX), "household_id")
    tables = {}
    for name, frame in panel.tables.items():
        if name == "household":  # a row under the new code does not go on naming whom the old one followed
            kept = pl.when(~later).then("predecessor_id")
            frame = frame.with_columns(kept.alias("predecessor_id"))
        if "household_id" in frame.columns and (departments_follow or name == "household"):
            frame = frame.with_columns(
                pl.when(later).then(renamed).otherwise("household_id").alias("household_id")
            )
        if name == "household":  # the county recodes and splits households of its own: it names the new code
            names_one = pl.col("predecessor_id").is_in(ids.implode()) & (pl.col("recorded_on") >= RECODED_ON)
            renamed_kin = pl.concat_str(pl.lit(PREFIX), "predecessor_id")
            frame = frame.with_columns(
                pl.when(names_one).then(renamed_kin).otherwise("predecessor_id").alias("predecessor_id")
            )
        tables[name] = frame
    latest = known.filter(is_one).sort("recorded_on", maintain_order=True).unique("household_id", keep="last")
    first = latest.with_columns(
        household_id=renamed, predecessor_id="household_id", recorded_on=pl.lit(RECODED_ON)
    )
    return Panel({**tables, "household": pl.concat([tables["household"], first])})


def old_id(column: str = "household_id") -> pl.Expr:
    return pl.col(column).str.strip_prefix(PREFIX).alias(column)


@pytest.fixture(scope="module", params=[True, False], ids=["all follow", "departments keep the old code"])
def recoded(panel: Panel, request: pytest.FixtureRequest) -> Panel:
    assert not panel.tables["household"]["household_id"].str.starts_with(PREFIX).any()
    return recode(panel, departments_follow=request.param)


@pytest.mark.parametrize("day", [BEFORE, AFTER], ids=["before", "after"])
def test_features_are_those_of_the_same_household(panel: Panel, recoded: Panel, day: date) -> None:
    one, other = build_features(panel, [day]), build_features(recoded, [day])
    order = other.index.with_columns(old_id()).with_row_index("at").sort("household_id")
    assert order["household_id"].to_list() == one.index["household_id"].to_list()
    changed = (order["at"].to_numpy() != np.arange(len(order))).any()
    assert changed == (day == AFTER)
    values = other.values[order["at"].to_numpy()]
    differing = [
        name
        for i, name in enumerate(one.features.names)
        if not np.allclose(values[:, i], one.values[:, i], rtol=1e-9, atol=1e-9, equal_nan=True)
    ]
    assert differing == []


def test_labels_follow_to_the_new_code(panel: Panel, recoded: Panel) -> None:
    """Households known by the old code on the date have their outcome under the new one."""
    told = []
    for given in (panel, recoded):
        labels = make_labels(given, [BEFORE, AFTER], LabelConfig(), CohortConfig(), date(2024, 12, 31))
        told.append(labels.to_polars().with_columns(old_id()).sort("as_of_date", "household_id"))
    assert told[0].equals(told[1], null_equal=True)
    assert (told[0]["outcome"] == 1).sum() > 20


def test_labels_of_chosen_households_follow_too(panel: Panel, recoded: Panel) -> None:
    known = recoded.known_at(date(2024, 12, 31))
    assert known.heirs is not None
    some = known.heirs["household_id"].head(40).to_list()
    arguments = ([BEFORE], LabelConfig(), CohortConfig(), date(2024, 12, 31))
    one, other = (make_labels(given, *arguments, households=some) for given in (panel, recoded))
    assert len(one) == len(other) > 20
    assert np.array_equal(one.outcome, other.outcome, equal_nan=True)
    assert not np.isnan(other.outcome).all()


def test_a_recoding_that_comes_later_changes_nothing_as_of_the_date(panel: Panel, recoded: Panel) -> None:
    """Bit by bit: who follows whom is itself known from its own day on."""
    one, other = build_features(panel, [BEFORE]), build_features(recoded, [BEFORE])
    assert one.index.equals(other.index)
    assert one.values.tobytes() == other.values.tobytes()
