"""Every entry of the catalogues is complete in both languages, and no model reads what it must not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import Expression, features_in, walk
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.nodes import (
    VIRTUAL_COLUMNS,
    AnyCondition,
    ColumnCondition,
    Condition,
    CountyValue,
    HouseholdMonthsSince,
    HouseholdTest,
    HouseholdValue,
    NotCondition,
    PeriodTest,
    PeriodValue,
    RowStatistic,
)
from relapse_risk.features.spec import Feature
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.schema import Column, ColumnType
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import is_parameter, placeholders_in
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Bilingual, Role

CHINESE = re.compile(r"[\u4e00-\u9fff]")
MODEL = [entry for entry in CATALOG if entry.role is Role.MODEL]

# The register, and the help and the procedure that follow it, are what the rules did; sex serves audits only.
FORBIDDEN_TABLES = {"measure", "visit", "workflow", "contact", "threshold"}
FORBIDDEN_COLUMNS = {
    ("member", "sex"),
    ("household", "monitor_category"),
    ("household", "identified_on"),
    ("household", "risk_types"),
    ("household", "risk_cleared"),
    ("household", "cleared_on"),
    ("household", "clear_mode"),
    ("household", "lowincome_class"),
    ("county_month", "monitored_n"),
    ("county_month", "new_n"),
    ("county_month", "cleared_n"),
}
# Names, numbers and free text say who somebody is.
IDENTIFYING = (ColumnType.CODE, ColumnType.TEXT)


def said_in(entry: Feature) -> list[Bilingual]:
    return [text for text in (entry.reason, entry.to_verify) if text is not None]


@pytest.mark.parametrize("text", [t for e in CATALOG for t in said_in(e)], ids=lambda text: text.en[:40])
def test_what_a_feature_says_is_there_in_both_languages_with_the_same_figures(text: Bilingual) -> None:
    assert CHINESE.search(text.zh)
    assert re.search("[A-Za-z]", text.en)
    assert not CHINESE.search(text.en)
    one, other = (sorted(p.written for p in placeholders_in(words)) for words in (text.zh, text.en))
    assert one == other


def test_every_figure_a_feature_quotes_can_be_looked_up() -> None:
    """``value`` is the feature itself; all else is a feature or a parameter."""
    known = {*CATALOG.names, *ThresholdTable.shipped().params, "value"}
    quoted = {n for e in CATALOG for t in said_in(e) for p in placeholders_in(t.zh) for n in p.names}
    assert quoted - known == set()
    assert any(is_parameter(name) for name in quoted)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_is_complete_in_both_languages(rule) -> None:
    assert re.fullmatch(r"R\d\d", rule.code)
    assert rule.wordings
    for text in (Bilingual(rule.zh, rule.en), rule.to_verify, *(w.text for w in rule.wordings)):
        assert CHINESE.search(text.zh)
        assert re.search("[A-Za-z]", text.en)
        assert not CHINESE.search(text.en)
    assert CHINESE.search(rule.basis.zh)
    assert re.search("[A-Za-z]", rule.basis.en)
    assert rule.valid_from < rule.valid_until
    assert "、" not in rule.name() + rule.name(is_chinese=False), "it joins names on a list"


def columns_of(condition: Condition) -> Iterator[str]:
    match condition:
        case ColumnCondition(column=column):
            yield column
        case NotCondition(inner=inner):
            yield from columns_of(inner)
        case AnyCondition(options=options):
            for option in options:
                yield from columns_of(option)
        case _:
            raise AssertionError(f"{condition!r} is of a kind this test does not know")


def read_by(expression: Expression) -> Iterator[tuple[str, str]]:
    """Every (table, column) that a formula reads as a value or a condition, itself or through others."""
    for node in walk(expression):
        match node:
            case HouseholdValue(column=column) | HouseholdMonthsSince(column=column):
                yield "household", column
            case HouseholdTest(condition=condition):
                yield from (("household", column) for column in columns_of(condition))
            case PeriodValue(column=column) | PeriodTest(column=column):
                yield "observation", column
            case CountyValue(column=column):
                yield "county_month", column
            case RowStatistic():
                yield node.table, node.column or ""
                for condition in node.conditions:
                    yield from ((node.table, column) for column in columns_of(condition))
    for name in features_in(expression):
        yield from read_by(CATALOG[name].formula)


def is_forbidden(table: str, column: str) -> bool:
    if table in FORBIDDEN_TABLES or (table, column) in FORBIDDEN_COLUMNS:
        return True
    declared: Column | None = TABLE_BY_NAME[table].by_name.get(column)
    return declared is not None and declared.type in IDENTIFYING


def test_what_formulas_read_is_seen() -> None:
    """The test below rests on it: columns inside conditions, windows and other features are found."""
    assert {("household", "monitor_category")} <= set(read_by(CATALOG["village_monitor_rate"].formula))
    assert {("measure", "measure_class")} <= set(read_by(CATALOG["development_measure_n"].formula))
    assert {("observation", "wage_income_yuan")} <= set(read_by(CATALOG["ref_income_to_line"].formula))
    assert {("event", "event_type")} <= set(read_by(CATALOG["accident_12m"].formula))
    assert is_forbidden("member", "sex")
    assert is_forbidden("household", "helper_id")
    declared = {(table.name, name) for table in TABLE_BY_NAME.values() for name in table.by_name}
    read = {pair for entry in CATALOG for pair in read_by(entry.formula) if pair[1]}
    found = read - VIRTUAL_COLUMNS
    assert found <= declared
    assert declared >= FORBIDDEN_COLUMNS


@pytest.mark.parametrize("entry", MODEL, ids=lambda entry: entry.name)
def test_a_model_input_reads_nothing_forbidden(entry: Feature) -> None:
    """Neither in its formula nor in that of a feature it names."""
    assert sorted({pair for pair in read_by(entry.formula) if is_forbidden(*pair)}) == []
    assert [name for name in features_in(entry.formula) if CATALOG[name].role is Role.AUDIT] == []


def masked(panel: Panel) -> Panel:
    """The panel with everything forbidden wiped out or replaced; areas and keys of joins stay consistent."""
    tables = {
        name: frame.clear() if name in FORBIDDEN_TABLES - {"threshold"} else frame
        for name, frame in panel.tables.items()
    }
    areas = {"household_id", "county_code", "township_code", "village_code"}
    for name, frame in tables.items():
        if name in ("threshold", "county_month"):
            continue
        for column in TABLE_BY_NAME[name].columns:
            if column.type in IDENTIFYING and column.name not in areas | {"grade", "hazard_type"}:
                cell = pl.col(column.name)
                frame = frame.with_columns(pl.concat_str(pl.lit("x"), cell))
            elif (name, column.name) in FORBIDDEN_COLUMNS:
                frame = frame.with_columns(
                    pl.lit(column.values[-1] if column.values else None, frame.schema[column.name]).alias(
                        column.name
                    )
                )
        tables[name] = frame
    return Panel(tables, panel.extra_columns)


def test_wiping_out_what_is_forbidden_changes_no_model_input(county, as_of: date) -> None:
    """Whatever formulas are made of: sex, names, numbers, the register and the help given do not reach it."""
    other: FeatureMatrix = build_features(masked(county.panel), [as_of])
    changed = {
        name
        for name in CATALOG.names
        if not np.array_equal(county.matrix.column(name), other.column(name), equal_nan=True)
    }
    assert {entry.name for entry in MODEL} & changed == set()
    assert {"village_monitor_rate", "is_registered", "visit_n"} <= changed
    np.testing.assert_array_equal(county.model.predict_risk(other).risk, county.scores.risk)
