"""No feature reads the future: checked one by one on random dates, and named where it does."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest
from tests.contracts.test_no_future import all_at_once, dropped

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.panel import Panel

_RNG = np.random.default_rng(20240630)
RANDOM_DAYS = sorted(date(2019, 7, 1) + timedelta(days=int(n)) for n in _RNG.integers(0, 1600, 4))


def leaking(before: FeatureMatrix, after: FeatureMatrix) -> list[str]:
    """Names of the features that differ by a bit."""
    assert before.index.equals(after.index)
    return [
        name
        for name in before.features.names
        if before.column(name).tobytes() != after.column(name).tobytes()
    ]


@pytest.mark.parametrize("day", RANDOM_DAYS, ids=str)
def test_no_feature_changes_with_what_is_recorded_after_a_random_date(panel: Panel, day: date) -> None:
    """Reports and events of before the day that are recorded after it count as the future, too."""
    late = sum(
        panel.tables[name].filter((pl.col(happened) <= day) & (pl.col("recorded_on") > day)).height
        for name, happened in (("observation", "period_end"), ("event", "event_date"))
    )
    assert late > 0, "the reporting delay must hide something"
    before = build_features(panel, [day])
    for alter in (dropped, all_at_once):
        assert leaking(before, build_features(alter(panel, day), [day])) == []


def test_many_dates_at_once_read_no_later_date(panel: Panel) -> None:
    """Dates computed in one pass share work; an earlier one must not see what a later one knows."""
    together = build_features(panel, RANDOM_DAYS)
    for day in RANDOM_DAYS:
        assert leaking(build_features(panel, [day]), together.at(day)) == []


@pytest.mark.parametrize("cheat", ["ref_income_pc_12m", "alerts_90d", "labour_n", "village_below_line_share"])
def test_a_feature_that_reads_the_future_fails_by_name(panel: Panel, as_of: date, cheat: str) -> None:
    """The check above can fail: a feature computed with what is known 90 days later is named."""

    def cheating(given: Panel) -> FeatureMatrix:
        honest = build_features(given, [as_of])
        later = build_features(given, [as_of + timedelta(days=90)], CATALOG.select([cheat]))
        known = dict(zip(later.index["household_id"], later.values[:, 0], strict=True))
        values = honest.values.copy()
        column = [known.get(name, np.nan) for name in honest.index["household_id"]]
        values[:, honest.features.position(cheat)] = column
        return replace(honest, values=values)

    assert leaking(cheating(panel), cheating(dropped(panel, as_of))) == [cheat]
