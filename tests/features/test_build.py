"""The feature matrix: its rows, its columns, the dates it may read, and what it makes of absent tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import Constant, feature, walk
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import INDEX_COLUMNS
from relapse_risk.features.nodes import RowStatistic
from relapse_risk.features.operators import in_period, mean_over
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.schema import KEY, OPTIONAL
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.vocabulary import Unit

DAYS = (date(2022, 6, 30), date(2023, 12, 31))
Make = Callable[..., Panel]


def same_bits(left: np.ndarray, right: np.ndarray) -> bool:
    return np.array_equal(left.view(np.int64), right.view(np.int64))


def altered_after(panel: Panel, day: date, rng: np.random.Generator) -> Panel:
    """Change every cell of every row recorded after the day, drop some such rows and add others."""
    tables = {}
    for name, frame in panel.tables.items():
        later = frame.filter(pl.col("recorded_on") > day)
        shuffled = later.select(
            pl.Series(column, later[column].to_numpy(allow_copy=True)[rng.permutation(later.height)])
            .cast(later.schema[column])
            .rename(column)
            if TABLE_BY_NAME[name].by_name[column].need is not KEY and later.schema[column] == pl.Float64
            else later[column]
            if TABLE_BY_NAME[name].by_name[column].need is KEY or column == "recorded_on"
            else later[column].gather(rng.permutation(later.height))
            for column in later.columns
        )
        past = frame.filter(pl.col("recorded_on") <= day)
        corrections = past.sample(fraction=0.5, seed=int(rng.integers(1000))).with_columns(
            (pl.lit(day) + timedelta(days=1 + int(rng.integers(90)))).alias("recorded_on"),
            *(
                pl.lit(None, dtype=dtype).alias(column)
                for column, dtype in past.schema.items()
                if dtype in (pl.Float64, pl.Boolean, pl.Int64)
                and TABLE_BY_NAME[name].by_name[column].need is OPTIONAL
            ),
        )
        tables[name] = pl.concat([corrections, past, shuffled.sample(fraction=0.7, seed=1)])
    return Panel(tables, panel.extra_columns)


@pytest.mark.parametrize("seed", range(4))
def test_nothing_recorded_after_the_date_changes_a_bit(
    make_panel: Make, thresholds: ThresholdTable, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    panel = make_panel(seed)
    day = date(2021, 1, 1) + timedelta(days=int(rng.integers(0, 1000)))
    before = build_features(panel, [day], thresholds=thresholds)
    altered = altered_after(panel, day, rng)
    after = build_features(altered, [day], thresholds=thresholds)
    leaking = [
        name for name in CATALOG.names if not same_bits(before.column(name).copy(), after.column(name).copy())
    ]
    assert leaking == []
    assert before.index.equals(after.index)
    assert before.parameters.equals(after.parameters)
    late = date(2024, 12, 31)
    now = build_features(panel, [late], thresholds=thresholds)
    then = build_features(altered, [late], thresholds=thresholds)
    assert not same_bits(now.values, then.values), "the alteration must be one that a later date sees"


def test_rows_are_the_known_households_by_date_and_identifier(
    make_panel: Make, thresholds: ThresholdTable
) -> None:
    panel = make_panel(3)
    matrix = build_features(panel, [DAYS[1], DAYS[0], DAYS[1]], thresholds=thresholds)
    assert tuple(matrix.index.columns) == INDEX_COLUMNS
    assert matrix.as_of_dates == DAYS
    expected = [
        (household_id, day) for day in DAYS for household_id in panel.known_at(day).households["household_id"]
    ]
    assert list(matrix.index.select("household_id", "as_of_date").iter_rows()) == expected
    assert matrix.features.names == features_for(panel).names
    for day in DAYS:
        alone = build_features(panel, [day], thresholds=thresholds)
        assert same_bits(alone.values, matrix.at(day).values)


def test_asking_for_less_gives_the_same_numbers(make_panel: Make, thresholds: ThresholdTable) -> None:
    panel = make_panel(4)
    full = build_features(panel, DAYS, thresholds=thresholds)
    for names in (
        ["income_yoy_change_share", "ref_income_village_rank"],
        ["labour_share", "days_since_visit", "below_line_share"],
        ["village_below_line_share"],
    ):
        part = build_features(panel, DAYS, CATALOG.select(names), thresholds)
        assert same_bits(part.values, np.ascontiguousarray(full.select(names).values))
    chosen = ["H007", "H003"]
    few = build_features(panel, DAYS, thresholds=thresholds, households=chosen)
    kept = full.rows(full.index["household_id"].is_in(chosen).to_numpy())
    assert few.index.equals(kept.index)
    assert same_bits(few.values, kept.values)


@pytest.mark.parametrize("absent", ["member", "event", "measure", "visit", "workflow"])
def test_a_table_nobody_handed_in_is_not_known_and_never_zero(
    make_panel: Make, thresholds: ThresholdTable, absent: str
) -> None:
    matrix = build_features(make_panel(5, absent=(absent,)), [DAYS[1]], thresholds=thresholds)
    reads_only_it = [
        entry.name
        for entry in CATALOG
        if isinstance(entry.formula, RowStatistic) and entry.formula.table == absent
    ]
    assert reads_only_it
    for name in reads_only_it:
        assert np.isnan(matrix.column(name)).all(), name


def test_without_observations_income_is_not_known(make_panel: Make, thresholds: ThresholdTable) -> None:
    matrix = build_features(make_panel(5, absent=("observation",)), [DAYS[1]], thresholds=thresholds)
    for name in ("ref_income_pc_12m", "period_income_to_line", "below_line_last", "months_since_report"):
        assert np.isnan(matrix.column(name)).all()


def test_the_parameters_are_those_in_force(make_panel: Make, thresholds: ThresholdTable) -> None:
    matrix = build_features(make_panel(0), DAYS, thresholds=thresholds)
    lines = matrix.parameters.filter(param="line").select("county_code", "as_of_date", "value", "source")
    assert sorted(lines.iter_rows()) == [
        ("130434", DAYS[0], 7300.0, "test"),
        ("130434", DAYS[1], 7300.0, "test"),
        ("130727", DAYS[0], 7500.0, "test"),
        ("130727", DAYS[1], 8000.0, "test"),
    ]
    in_row = matrix.column("ref_income_pc_12m") / matrix.parameter("line")
    np.testing.assert_array_equal(in_row, matrix.column("ref_income_to_line"))


def _plain(name: str, formula: object) -> Feature:
    return Feature(name, name, name, Unit.RATIO, "test", formula)  # type: ignore[arg-type]


def test_calls_and_declarations_that_cannot_work_are_refused(
    make_panel: Make, thresholds: ThresholdTable
) -> None:
    panel = make_panel(0)
    with pytest.raises(ConfigurationError, match="RR320"):
        build_features(panel, [])
    circle = FeatureSet([_plain("a", feature("b") + 1), _plain("b", feature("a"))])
    with pytest.raises(ContractError, match=r"RR318.*b → a → b"):
        build_features(panel, [DAYS[1]], circle, thresholds)
    outside = FeatureSet([_plain("a", in_period("n_person"))])
    with pytest.raises(ContractError, match="RR319"):
        build_features(panel, [DAYS[1]], outside, thresholds)
    inside = FeatureSet([_plain("a", mean_over(feature("household_size") * 1, 12))])
    with pytest.raises(ContractError, match="RR317"):
        build_features(panel, [DAYS[1]], inside, thresholds)
    with pytest.raises(ContractError, match="RR312"):
        build_features(panel, [DAYS[1]], FeatureSet([_plain("a", feature("nowhere"))]), thresholds)


def test_a_constant_formula_fills_its_column(make_panel: Make, thresholds: ThresholdTable) -> None:
    matrix = build_features(make_panel(0), DAYS, FeatureSet([_plain("one", Constant(1.0))]), thresholds)
    assert (matrix.values == 1.0).all()


def test_extra_columns_of_a_mapping_become_features(make_panel: Make, thresholds: ThresholdTable) -> None:
    extras = (
        ExtraColumn(column="A", name="rooms", zh="房间数", en="rooms", unit=Unit.COUNT, statistic="last"),
        ExtraColumn(column="B", name="rooms_mean", zh="平均房间数", en="mean rooms", statistic="mean"),
        ExtraColumn(
            table="household",
            column="C",
            name="region",
            zh="地区",
            en="region",
            is_categorical=True,
            reason_zh="地区{value}",
            reason_en="region {value}",
        ),
    )
    tables = dict(make_panel(6).tables)
    rng = np.random.default_rng(0)
    observed = tables["observation"]
    rooms = pl.Series("rooms", rng.integers(1, 9, observed.height).astype(float))
    tables["observation"] = observed.with_columns(rooms, rooms.alias("rooms_mean"))
    homes = tables["household"]
    tables["household"] = homes.with_columns(region=pl.Series(rng.integers(0, 3, homes.height).astype(str)))
    panel = Panel(tables, extras)
    features = features_for(panel)
    assert features.names[-3:] == ("x_rooms", "x_rooms_mean", "x_region")
    assert features["x_region"].is_categorical
    assert features["x_region"].reason is not None
    assert features["x_rooms"].reason is None
    matrix = build_features(panel, [DAYS[1]], thresholds=thresholds)
    assert set(np.unique(matrix.column("x_region"))) <= {0.0, 1.0, 2.0}
    values = matrix.column("x_rooms")
    assert set(np.unique(values[~np.isnan(values)])) <= set(range(1, 9))
    known = panel.known_at(DAYS[1]).table("observation").filter(household_id="H000")
    latest = known.sort("period_end")["rooms"][-1]
    assert values[matrix.index["household_id"].to_list().index("H000")] == latest


def test_every_leaf_a_formula_may_hold_is_read_once(make_panel: Make, thresholds: ThresholdTable) -> None:
    """Two features that share a window give equal columns, whatever else is asked for."""
    shared = mean_over("wage_income_yuan", 12)
    twice = FeatureSet([_plain("a", shared), _plain("b", shared * 2)])
    matrix = build_features(make_panel(0), DAYS, twice, thresholds)
    assert len(set(walk(twice["a"].formula)) & set(walk(twice["b"].formula))) >= 1
    np.testing.assert_array_equal(matrix.column("a") * 2, matrix.column("b"))
