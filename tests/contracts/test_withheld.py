"""Absence of data lowers no household's rank: the same household, with its record withheld."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from relapse_risk.explain.attribute import attribute
from relapse_risk.features.build import build_features
from relapse_risk.features.coverage import is_too_thin
from relapse_risk.outputs.visit_list import ListSettings, make_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.vocabulary import Basis

SETTINGS = ListSettings(model_share=0.5, audit_share=0.0)


def withheld(panel: Panel, household_id: str, what: str) -> Panel:
    """The panel without the reports or members of a household, or with its figures emptied, too."""
    mine = pl.col("household_id") == household_id
    tables = dict(panel.tables)
    observed = tables["observation"]
    if what == "blank cells":
        kept = {"household_id", "period_end", "period_months", "recorded_on", "n_person"}
        tables["observation"] = observed.with_columns(
            pl.when(~mine).then(pl.col(name)).alias(name) for name in observed.columns if name not in kept
        )
    elif what != "no members":
        tables["observation"] = observed.filter(~mine)
    if what != "no reports":
        tables["member"] = tables["member"].filter(~mine)
    return Panel(tables, panel.extra_columns, panel.provenance)


def alerts(panel: Panel, model, day: date) -> tuple[list[str], pl.DataFrame]:
    """Model alerts of the list in their order, and the list: features, rules, scores, list."""
    matrix = build_features(panel, [day])
    hits = apply_rules(matrix)
    made = make_visit_list(
        matrix,
        hits,
        model.predict_risk(matrix),
        400,
        explain=lambda rows: attribute(model, rows),
        settings=SETTINGS,
    )
    listed = made.counties[0].listed
    chosen = listed.filter(pl.col("basis") == Basis.MODEL.value)
    return chosen["household_id"].to_list(), listed


@pytest.mark.parametrize("what", ["no rows", "blank cells", "no members", "no reports"])
@pytest.mark.parametrize("place", [0, 0.5, -1], ids=["first alert", "middle alert", "last alert"])
def test_a_household_whose_record_is_withheld_is_not_ranked_lower(
    panel: Panel, model, as_of: date, place: float, what: str
) -> None:
    before, _ = alerts(panel, model, as_of)
    assert len(before) >= 10
    position = int(place * len(before)) if place >= 0 else len(before) - 1
    household_id = before[position]
    after, listed = alerts(withheld(panel, household_id, what), model, as_of)
    assert household_id in after
    assert after.index(household_id) <= position
    row = listed.filter(household_id=household_id).row(0, named=True)
    assert row["data_gaps"], "the list says what is missing"
    assert row["risk_score"] is not None


def test_a_household_the_model_passed_over_is_listed_once_it_is_unknown(
    panel: Panel, model, as_of: date
) -> None:
    before, listed = alerts(panel, model, as_of)
    passed_over = sorted(
        set(build_features(panel, [as_of]).index["household_id"]) - set(listed["household_id"])
    )
    after, _ = alerts(withheld(panel, passed_over[0], "no rows"), model, as_of)
    assert passed_over[0] not in before
    assert passed_over[0] in after


def test_what_nobody_handed_in_moves_nobody(panel: Panel, as_of: date) -> None:
    """A county without a table is ranked by the rest; few households of a full one are too thin."""
    full = build_features(panel, [as_of])
    assert is_too_thin(full).mean() < 0.03
    tables = {name: frame for name, frame in panel.tables.items() if name not in ("member", "event")}
    bare = build_features(Panel(tables), [as_of])
    # Without members some households are the ones they were recoded from.
    known = {
        name for name, thin in zip(full.index["household_id"], is_too_thin(full), strict=True) if not thin
    }
    thin = set(bare.index["household_id"].filter(pl.Series(is_too_thin(bare))))
    assert len(known & set(bare.index["household_id"])) > 0.95 * len(full)
    assert thin & known == set()
