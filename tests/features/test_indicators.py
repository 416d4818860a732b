"""The 96 indicators of the field: each is a feature, or says which column it lacks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.catalog.indicators import INDICATORS, Indicator
from relapse_risk.features.expression import features_in, walk
from relapse_risk.features.nodes import RowStatistic
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.vocabulary import Role

DOMAIN = Path(__file__).parents[3] / "shared" / "domain.md"
LISTED = [indicator for family in INDICATORS.values() for indicator in family]
SIZES = [8, 10, 8, 12, 8, 12, 9, 7, 9, 5, 5, 3]
# What follows the register: rules and audits may read it, the model of new entries never.
PROCESS = {"measure_n", "dev_measure_flag", "days_since_measure", "days_since_visit", "prior_monitor_spells"}


def test_there_are_96_indicators_in_12_families() -> None:
    assert [len(family) for family in INDICATORS.values()] == SIZES
    assert len({indicator.name for indicator in LISTED}) == sum(SIZES) == 96


@pytest.mark.skipif(not DOMAIN.is_file(), reason=f"the list of indicators {DOMAIN.name} is not at hand")
def test_the_indicators_are_those_of_the_domain() -> None:
    text = DOMAIN.read_text(encoding="utf-8")
    section = text[text.index("### 3.3") : text.index("### 3.4")]
    listed = re.findall(r"^- \*\*.*?\((\d+)\)\*\*: (.*)$", section, re.MULTILINE)
    assert [int(size) for size, _ in listed] == SIZES
    names = [name.strip() for _, names in listed for name in names.split(",")]
    assert names == [indicator.name for indicator in LISTED]


@pytest.mark.parametrize("indicator", LISTED, ids=lambda indicator: indicator.name)
def test_an_indicator_is_a_feature_or_says_what_it_lacks(indicator: Indicator) -> None:
    if indicator.feature is None:
        table, column = re.findall(r"([a-z_]+)\.([a-z_]+)", indicator.note)[0]
        assert column not in TABLE_BY_NAME[table].by_name, "the column is there: declare the feature"
    else:
        assert indicator.feature in CATALOG


def test_no_feature_stands_for_two_indicators() -> None:
    named = [indicator.feature for indicator in LISTED if indicator.feature]
    assert len(named) == len(set(named))


def test_indicators_that_follow_the_register_never_reach_a_model() -> None:
    of_model = {i.name for i in LISTED if i.feature and CATALOG[i.feature].role is Role.MODEL}
    outside = {indicator.name for indicator in LISTED} - of_model
    assert outside == PROCESS | {"village_monitor_rate"}


def test_the_indicators_read_every_table_of_households() -> None:
    """Members, events, measures, visits and cases, not observations alone."""

    def tables(name: str) -> set[str]:
        formula = CATALOG[name].formula
        own = {node.table for node in walk(formula) if isinstance(node, RowStatistic)}
        return own.union(*(tables(other) for other in features_in(formula)))

    read = set().union(*(tables(indicator.feature) for indicator in LISTED if indicator.feature))
    assert read == {"member", "event", "measure", "visit", "workflow"}
