"""No future: a row recorded after the date changes nothing of that date, not by a bit.

Every row of every table that was recorded later is altered, dropped, or joined by others; corrections of
everything known, and rows of new keys that tell of the past, come to it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from relapse_risk.cohort import find_at_risk
from relapse_risk.config import CohortConfig, Experiment, LabelConfig
from relapse_risk.explain.attribute import attribute
from relapse_risk.explain.reasons import make_reasons
from relapse_risk.features.build import build_features
from relapse_risk.labels import make_labels
from relapse_risk.modeling.store import save_model
from relapse_risk.modeling.training import TrainedModel
from relapse_risk.outputs.standing import hits_since
from relapse_risk.outputs.visit_list import ListSettings, make_visit_list
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.schema import Column, ColumnType
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import Scenario, simulate
from relapse_risk.panel.tables import TABLE_BY_NAME, TABLES
from relapse_risk.pipeline import train
from relapse_risk.rules.apply import apply_rules
from relapse_risk.runs import ListOptions, write_features, write_rule_hits, write_visit_lists

Alter = Callable[[Panel, date], Panel]
NEVER = date(1999, 9, 9)


def is_later(day: date) -> pl.Expr:
    return pl.col("recorded_on") > day


def changed_cell(column: Column) -> pl.Expr:
    """Another value of the column, of its type; an empty cell gets one too."""
    cell = pl.col(column.name)
    match column.type:
        case ColumnType.BOOL:
            other = ~cell.fill_null(value=False)
        case ColumnType.INT | ColumnType.YEAR:
            other = cell.fill_null(40) + 7
        case ColumnType.NUMBER:
            other = cell.fill_null(1000.0) * 1.7 + 13.0
        case ColumnType.DATE | ColumnType.MONTH:
            other = cell.fill_null(NEVER).dt.offset_by("-7mo")
        case ColumnType.CATEGORY | ColumnType.LIST:
            shifted = (*column.values[1:], column.values[0])
            other = cell.fill_null("").replace_strict(column.values, shifted, default=column.values[0])
        case _:
            other = pl.concat_str(pl.lit("9"), cell.fill_null(""))
    return other.alias(column.name)


def changed(frame: pl.DataFrame, name: str, *, with_key: bool = False) -> pl.DataFrame:
    """Every cell changed but the day of recording and, unless asked for, the key."""
    table = TABLE_BY_NAME[name]
    kept = {"recorded_on"} | (set() if with_key else set(table.key))
    return frame.with_columns(changed_cell(c) for c in table.columns if c.name not in kept)


def with_tables(panel: Panel, alter: Callable[[str, pl.DataFrame], pl.DataFrame]) -> Panel:
    tables = {name: alter(name, frame) for name, frame in panel.tables.items()}
    return Panel(tables, panel.extra_columns, panel.provenance)


def altered(panel: Panel, day: date) -> Panel:
    """Every cell of every later row, but for its key and the day it was recorded."""

    def alter(name: str, frame: pl.DataFrame) -> pl.DataFrame:
        return pl.concat([changed(frame.filter(is_later(day)), name), frame.filter(~is_later(day))])

    return with_tables(panel, alter)


def dropped(panel: Panel, day: date) -> Panel:
    """No later row is there."""
    return with_tables(panel, lambda _, frame: frame.filter(~is_later(day)))


def added(panel: Panel, day: date) -> Panel:
    """From the next day on: everything known is corrected, and new keys tell of the same past."""

    def alter(name: str, frame: pl.DataFrame) -> pl.DataFrame:
        known = frame.filter(~is_later(day)).with_columns(recorded_on=pl.lit(day + timedelta(days=1)))
        late = known.with_columns(recorded_on=pl.lit(day + timedelta(days=200)))
        own = [column for column in TABLE_BY_NAME[name].columns if column.name in TABLE_BY_NAME[name].key]
        # The household stays where it is part of the key: a report that comes late, about the past.
        new_key = [column for column in own if column.name != "household_id"] or own
        told_late = known.with_columns(changed_cell(column) for column in new_key)
        strangers = changed(late, name, with_key=True)
        return pl.concat([strangers, changed(known, name), told_late, frame])

    return with_tables(panel, alter)


def all_at_once(panel: Panel, day: date) -> Panel:
    return added(altered(panel, day), day)


WAYS = pytest.mark.parametrize("alter", [dropped, all_at_once], ids=lambda way: way.__name__)


def told_on(panel: Panel, model: TrainedModel, day: date, folder: Path) -> dict[str, bytes]:
    """Everything the toolkit says as of a day, as bytes by what it is."""
    matrix = build_features(panel, [day])
    hits = apply_rules(matrix)
    scores = model.predict_risk(matrix)
    attributions = attribute(model, matrix)
    since = hits_since(panel, hits)
    told = {
        "households": matrix.index.write_csv().encode(),
        "parameters": matrix.parameters.write_csv().encode(),
        "rule hits": hits.states.tobytes(),
        "hits since": since.write_csv().encode(),
        "risk": scores.risk.tobytes(),
        "ranking": scores.ranking.tobytes(),
        "score": scores.score.tobytes(),
        "contributions": attributions.values.tobytes(),
        **{f"feature {name}": matrix.column(name).tobytes() for name in matrix.features.names},
    }
    for language in ("zh", "en"):
        reasons = make_reasons(matrix, attributions, hits, language=language)
        told[f"reasons {language}"] = reasons.frame.write_csv().encode()
        for given in (scores, None):
            made = make_visit_list(
                matrix,
                hits,
                given,
                150,
                panel=panel,
                explain=None if given is None else lambda rows: attribute(model, rows),
                settings=ListSettings(language=language),
                hit_since=since,
            )
            what = f"{language} list with{'' if given else 'out'} a model"
            written = write_visit_list(made, folder / what)
            told |= {f"{what} {path.name}": path.read_bytes() for path in written}
    return told


@pytest.fixture(scope="module")
def before(
    panel: Panel, model: TrainedModel, as_of: date, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    return told_on(panel, model, as_of, tmp_path_factory.mktemp("before"))


def test_every_table_has_rows_before_and_after(panel: Panel, as_of: date) -> None:
    """Else the tests below would say nothing of it."""
    for table in TABLES:
        if table.is_stored:
            recorded = panel.tables[table.name]["recorded_on"]
            assert (recorded <= as_of).any(), table.name
            assert (recorded > as_of).any(), table.name


@pytest.mark.parametrize("table", [t for t in TABLES if t.is_stored], ids=lambda table: table.name)
def test_the_alteration_leaves_no_later_cell_as_it_was(panel: Panel, as_of: date, table) -> None:
    """The tests below rest on it; and what was known stays."""
    key = [*table.key, "recorded_on"]
    frame, other = (
        p.tables[table.name].sort(key, maintain_order=True) for p in (panel, altered(panel, as_of))
    )
    assert other.filter(~is_later(as_of)).equals(frame.filter(~is_later(as_of)))
    for column in table.columns:
        later, instead = (f.filter(is_later(as_of))[column.name] for f in (frame, other))
        if column.name not in key:
            assert later.ne_missing(instead).all(), column.name


def test_what_is_altered_is_seen_once_it_is_known(panel: Panel, as_of: date) -> None:
    """The alteration is one that features, rules and cohort do read, on a later date."""
    late = panel.last_recorded_on
    assert late is not None
    now, then = build_features(panel, [late]), build_features(altered(panel, as_of), [late])
    n_before = len(now)
    # Who follows whom is altered, too, so a few households end or go on.
    shared = set(now.index["household_id"]) & set(then.index["household_id"])
    now, then = (m.rows(m.index["household_id"].is_in(list(shared)).to_numpy()) for m in (now, then))
    same = [
        name
        for name in now.features.names
        if np.array_equal(now.column(name), then.column(name), equal_nan=True)
    ]
    assert len(shared) > 0.95 * n_before
    assert now.index["household_id"].to_list() == then.index["household_id"].to_list()
    assert len(same) < len(now.features) / 4, same
    assert not np.array_equal(apply_rules(now).states, apply_rules(then).states)


@WAYS
def test_what_is_recorded_later_changes_nothing_as_of_the_date(
    panel: Panel, model: TrainedModel, as_of: date, before: dict[str, bytes], alter: Alter, tmp_path: Path
) -> None:
    """Features, parameters, rule hits, risk, score, contributions, reasons and lists, bit by bit."""
    after = told_on(alter(panel, as_of), model, as_of, tmp_path)
    assert after.keys() == before.keys()
    assert [name for name in before if before[name] != after[name]] == []


@WAYS
def test_cohort_and_labels_read_nothing_recorded_later(panel: Panel, as_of: date, alter: Alter) -> None:
    """Who is at risk on the date, and outcomes of earlier dates as known on it."""
    origins = [date(2022, 6, 30), date(2022, 12, 31)]
    told = []
    for given in (panel, alter(panel, as_of)):
        labels = make_labels(given, origins, LabelConfig(), CohortConfig(), as_of)
        at_risk = find_at_risk(given.known_at(as_of), LabelConfig(), CohortConfig())
        assert 0 < at_risk.sum() < len(at_risk)
        told.append((labels.index.write_csv(), labels.to_polars().write_csv(), at_risk.tobytes()))
    assert told[0] == told[1]


@WAYS
def test_rows_recorded_after_the_labels_are_known_change_no_byte_of_a_model(
    panel: Panel, experiment: Experiment, model: TrainedModel, known_on: date, alter: Alter, tmp_path: Path
) -> None:
    """Trees, coefficients, calibration, card and metadata."""
    again = train(alter(panel, known_on), experiment)
    one, other = (
        {path.name: path.read_bytes() for path in save_model(each, tmp_path / str(i)).iterdir()}
        for i, each in enumerate((model, again))
    )
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


def test_where_a_household_moves_later_changes_no_list_of_any_county(tmp_path: Path) -> None:
    """Nor does a county that joins later: each county is judged with the households it had on the date."""
    two = simulate(120, 36, Scenario(n_counties=2), seed=3, oracle_dates=(), hazard_paths=0).panel()
    first, second = two.tables["household"]["county_code"].unique().sort().to_list()
    day, later = date(2021, 6, 30), date(2021, 9, 1)
    at_home = two.tables["household"].filter(pl.col("county_code") == first).unique("household_id")
    moved = at_home.sort("household_id").head(9).with_columns(recorded_on=pl.lit(later))
    newcomers = moved.with_columns(
        household_id=pl.concat_str(pl.lit("9"), "household_id"), county_code=pl.lit("999999")
    )
    rows = [two.tables["household"], moved.with_columns(county_code=pl.lit(second)), newcomers]
    other = Panel({**two.tables, "household": pl.concat(rows)})
    told = []
    for name, given in (("before", two), ("after", other)):
        store, out = tmp_path / name / "store", tmp_path / name
        Store(store).commit(given)
        write_features(store, [day, date(2021, 3, 31)], out / "features.parquet")
        write_rule_hits(store, day, out / "rules")
        lists = write_visit_lists(store, None, day, out / "list", ListOptions(20, ListSettings()))
        told.append(
            {
                "features": (out / "features.parquet").read_bytes(),
                "rules": (out / "rules" / "rule_hits.parquet").read_bytes(),
                "lists": [c.listed.drop("list_id").write_csv() for c in lists.counties],
                "waiting": [c.waiting.drop("list_id").write_csv() for c in lists.counties],
            }
        )
    assert len(told[0]["lists"]) == 2
    assert [name for name in told[0] if told[0][name] != told[1][name]] == []
