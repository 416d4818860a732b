"""Every entry of the catalogue is complete, may be used as declared, and says its reason with figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.describe import describe_catalog, dictionary_page, features_table
from relapse_risk.features.expression import features_in, parameters_in, walk
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.nodes import ColumnCondition, HouseholdTest, HouseholdValue, RowStatistic
from relapse_risk.features.spec import Feature, Missing
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.phrases import render
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Direction, Role

DAY = date(2023, 12, 31)
FEATURES = list(CATALOG)
REASONED = [entry for entry in FEATURES if entry.reason]
NAMED = pytest.mark.parametrize("entry", FEATURES, ids=lambda entry: entry.name)
RELIED_ON = {
    "ref_income_pc_12m",
    "net_income_pc_12m",
    "ref_income_to_line",
    "ref_income_gap_yuan",
    "period_income_to_line",
    "income_yoy_change_share",
    "oop_12m_yuan",
    "oop_to_income_share",
    "rigid_12m_yuan",
    "rigid_to_income_share",
    "wage_share",
    "house_grade",
    "water_safe",
    "dropout_n",
    "uninsured_n",
    "household_size",
    "labour_n",
    "all_no_labour",
    "is_lifted",
    "days_since_visit",
    "months_since_report",
    "below_line_last",
    "below_line_share",
}


@pytest.fixture(scope="module")
def matrix(make_panel: Callable[..., Panel], thresholds: ThresholdTable) -> FeatureMatrix:
    shipped = ThresholdTable.shipped().laid_over(thresholds.layers[0])
    return build_features(make_panel(7, households=120), [DAY], thresholds=shipped)


@NAMED
def test_an_entry_is_complete(entry: Feature) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", entry.name)
    assert re.search(r"[\u4e00-\u9fff]", entry.zh)
    assert re.search(r"[a-z]", entry.en)
    assert not re.search(r"[\u4e00-\u9fff]", entry.en)
    assert entry.family
    assert set(features_in(entry.formula)) <= set(CATALOG.names)
    assert (entry.reason is None) == (entry.reason_when is None)
    assert entry.reason is None or entry.to_verify is not None


def test_names_and_titles_are_unique() -> None:
    for said in ("zh", "en"):
        twice = [text for text, n in Counter(getattr(entry, said) for entry in FEATURES).items() if n > 1]
        assert twice == []


def test_the_names_other_parts_rely_on_are_there() -> None:
    assert set(CATALOG.names) >= RELIED_ON


def test_there_are_enough_indicators_for_a_model() -> None:
    assert len(CATALOG.with_role(Role.MODEL)) >= 70


def _columns(entry: Feature) -> set[str]:
    """Columns an entry reads, those of the features it names included."""
    found: set[str] = set()
    for node in walk(entry.formula):
        if isinstance(node, RowStatistic):
            found |= {node.table, f"{node.table}.{node.column}"}
            found |= {f"{node.table}.{c.column}" for c in node.conditions if isinstance(c, ColumnCondition)}
        if isinstance(node, HouseholdValue):
            found.add(f"household.{node.column}")
        if isinstance(node, HouseholdTest) and isinstance(node.condition, ColumnCondition):
            found.add(f"household.{node.condition.column}")
    for name in features_in(entry.formula):
        found |= _columns(CATALOG[name])
    return found


def test_no_model_input_reads_sex_the_register_or_assistance() -> None:
    forbidden = {
        "member.sex",
        "household.monitor_category",
        "household.risk_cleared",
        "household.risk_types",
        "household.lowincome_class",
        "measure",
        "visit",
        "workflow",
    }
    guilty = {entry.name: _columns(entry) & forbidden for entry in FEATURES if entry.role is Role.MODEL}
    assert {name: columns for name, columns in guilty.items() if columns} == {}


@pytest.mark.parametrize("entry", REASONED, ids=lambda entry: entry.name)
def test_a_reason_renders_with_its_figures_in_both_languages(entry: Feature, matrix: FeatureMatrix) -> None:
    assert entry.reason is not None
    assert entry.reason_when is not None
    holds = matrix.evaluate(entry.reason_when)[0]
    assert set(np.unique(holds[~np.isnan(holds)])) <= {0.0, 1.0}
    row = int(np.argmax(holds == 1.0)) if (holds == 1.0).any() else 0
    for language in ("zh", "en"):
        text = render(entry.reason, matrix, row, language, value_of=entry.name)
        assert "{" not in text
        assert "}" not in text
        assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (language == "zh" or "未知" in text)


def test_every_feature_takes_values_on_a_full_panel(matrix: FeatureMatrix) -> None:
    """A formula that never gives a number on a panel with every table is a mistake."""
    empty = [
        entry.name
        for entry in FEATURES
        if entry.missing is Missing.NOT_REPORTED and np.isnan(matrix.column(entry.name)).all()
    ]
    assert empty == []


def test_every_parameter_a_formula_names_is_known(matrix: FeatureMatrix) -> None:
    named = {name for entry in FEATURES for name in parameters_in(entry.formula)}
    assert named <= set(matrix.parameters["param"].to_list())


def test_the_dictionary_lists_every_feature_in_order() -> None:
    entries = describe_catalog()
    assert [entry["name"] for entry in entries] == list(CATALOG.names)
    assert set(entries[0]) == {"name", "zh", "en", "unit", "family", "direction", "role"}
    table = features_table()
    assert list(table["name"]) == list(CATALOG.names)
    row = table.set_index("name").loc["ref_income_to_line"]
    assert (row["direction"], row["parameters"]) == ("lowers_risk", "line")
    assert "observation.wage_income_yuan" in table.set_index("name").loc["ref_income_pc_12m", "reads"]


def test_directions_agree_with_the_direction_of_what_they_compare() -> None:
    """Income never raises risk and spending never lowers it."""
    for entry in FEATURES:
        if entry.family == "income" and entry.name != "ref_income_gap_yuan":
            assert entry.direction is not Direction.RAISES_RISK
        if entry.family == "spending":
            assert entry.direction is not Direction.LOWERS_RISK


def test_a_label_names_the_unit_where_that_says_more() -> None:
    """An axis in yuan says so; a yes or no, a level or a count needs no unit."""
    assert CATALOG["oop_12m_yuan"].label.zh == f"{CATALOG['oop_12m_yuan'].zh}（元）"
    assert CATALOG["oop_12m_yuan"].label.en == f"{CATALOG['oop_12m_yuan'].en} (yuan)"
    assert CATALOG["water_safe"].label.zh == CATALOG["water_safe"].zh


def test_the_page_of_the_dictionary_is_the_catalogue() -> None:
    """Written anew with `relapse-risk features list --markdown > docs/features.md`."""
    page = (Path(__file__).parents[2] / "docs" / "features.md").read_text(encoding="utf-8")
    assert page == dictionary_page()
    assert all(f"| `{name}` |" in page for name in CATALOG.names)
