"""A missing value has a meaning: table absent, not applicable, not due, not reported."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pytest

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.coverage import (
    KNOWN,
    NOT_APPLICABLE,
    NOT_DUE,
    NOT_REPORTED,
    TABLE_ABSENT,
    missing_codes,
    thin_families,
)
from relapse_risk.features.spec import FAMILIES
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules, describe_gaps, missing_fields
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import month_end, month_index

DAY = date(2023, 12, 31)
Make = Callable[..., Panel]


def home(name: str) -> dict[str, Any]:
    return {
        "household_id": name,
        "recorded_on": date(2020, 1, 1),
        "county_code": "130727",
        "village_code": "130727001001",
        "household_type": "一般农户",
    }


def quarters(name: str, n: int, last: date = DAY, **cells: Any) -> list[dict[str, Any]]:
    ends = [month_end(month_index(last) - 3 * k) for k in range(n)]
    fixed = {"household_id": name, "period_months": 3, "n_person": 3.0, "net_income_yuan": 9000.0}
    return [fixed | {"period_end": end, "recorded_on": end} | cells for end in ends]


def code(panel: Panel, name: str, thresholds: ThresholdTable) -> list[int]:
    return missing_codes(build_features(panel, [DAY], thresholds=thresholds), name).tolist()


def test_history_that_is_short_is_not_due_and_a_hole_is_not_reported(
    panel_of: Make, thresholds: ThresholdTable
) -> None:
    """A whole; B began a year ago; C the same, and stopped; D has an empty income; E never reported."""
    emptied = quarters("D", 8)
    emptied[2]["net_income_yuan"] = None
    panel = panel_of(
        household=[home(name) for name in "ABCDE"],
        observation=[
            *quarters("A", 8),
            *quarters("B", 4),
            *quarters("C", 4, last=date(2023, 3, 31)),
            *emptied,
        ],
    )
    yoy = code(panel, "income_yoy_change_share", thresholds)
    assert yoy == [KNOWN, NOT_DUE, NOT_REPORTED, NOT_REPORTED, NOT_REPORTED]
    assert code(panel, "ref_income_pc_12m", thresholds) == [KNOWN, KNOWN, KNOWN, NOT_REPORTED, NOT_REPORTED]
    assert code(panel, "previous_income_to_line", thresholds)[:2] == [KNOWN, KNOWN]


def test_a_table_nobody_handed_in_is_told_from_one_without_rows(
    panel_of: Make, thresholds: ThresholdTable
) -> None:
    tables = {"household": [home("A")], "observation": quarters("A", 8)}
    with_events = panel_of(**tables, event=[])
    assert code(with_events, "alerts_90d", thresholds) == [KNOWN]
    assert code(panel_of(**tables), "alerts_90d", thresholds) == [TABLE_ABSENT]
    assert code(panel_of(**tables), "disaster_loss_share", thresholds) == [TABLE_ABSENT]
    assert code(with_events, "days_since_major_diagnosis", thresholds) == [NOT_APPLICABLE]
    assert code(panel_of(**tables), "household_size", thresholds) == [KNOWN]


def test_coverage_counts_what_applies_and_is_due(make_panel: Make, thresholds: ThresholdTable) -> None:
    matrix = build_features(make_panel(5, absent=("visit",)), [DAY], thresholds=thresholds)
    assert matrix.absent_tables == {"visit"}
    coverage = matrix.coverage
    assert coverage.share.dtype == np.float32
    assert coverage.share.shape == (len(matrix), len(coverage.families))
    assert set(coverage.families) == set(FAMILIES) == {feature.family for feature in CATALOG}
    for place, family in enumerate(coverage.families):
        names = [feature.name for feature in CATALOG if feature.family == family]
        codes = np.column_stack([missing_codes(matrix, name) for name in names])
        expected = (
            (codes == KNOWN).sum(axis=1),
            np.isin(codes, [KNOWN, NOT_REPORTED, TABLE_ABSENT]).sum(axis=1),
        )
        known = expected[1] > 0
        np.testing.assert_allclose(
            coverage.share[known, place], (expected[0] / np.maximum(expected[1], 1))[known], rtol=1e-6
        )
        assert np.isnan(coverage.share[~known, place]).all()
    assert coverage.share.nbytes < matrix.values.nbytes / 20
    few = matrix.rows(np.array([3, 1]))
    np.testing.assert_array_equal(few.coverage.share, coverage.share[[3, 1]])


def test_a_gap_on_the_list_names_an_absent_table_once_and_what_is_not_due_last(
    panel_of: Make, thresholds: ThresholdTable
) -> None:
    panel = panel_of(
        household=[home("A"), home("B")],
        observation=[*quarters("A", 4), *quarters("B", 4, wage_income_yuan=1.0)],
    )
    every = ThresholdTable.shipped().laid_over(thresholds.layers[0])
    matrix = build_features(panel, [DAY], thresholds=every)
    hits = apply_rules(matrix)
    gaps = missing_fields(matrix, hits)
    said = describe_gaps(matrix, gaps[0], "zh")
    assert said.count("部门事件（未提供）") == 1
    assert "大病确诊次数" not in said
    assert "table event (absent)" in describe_gaps(matrix, gaps[0], "en")
    assert gaps[0]["R03"] == ("income_yoy_change_share",), "nothing else is missing for it"


@pytest.mark.parametrize("family", ["health", "work"])
def test_a_family_that_is_mostly_unknown_is_thin(
    make_panel: Make, thresholds: ThresholdTable, family: str
) -> None:
    full = build_features(make_panel(5), [DAY], thresholds=thresholds)
    bare = build_features(make_panel(5, absent=("member", "event")), [DAY], thresholds=thresholds)
    assert sum(family in row for row in thin_families(full.coverage)) < len(full) / 2
    assert all(family in row for row in thin_families(bare.coverage))
