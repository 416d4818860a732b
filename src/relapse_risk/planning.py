"""What the planning verbs do: what-ifs, curves and roll-ups over a store, each with a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from relapse_risk.engine import over_counties
from relapse_risk.outputs.suppress import THRESHOLD, WIDTH
from relapse_risk.outputs.write_roll_up import roll_up_files, roll_up_note, roll_up_tables
from relapse_risk.outputs.write_what_if import curve_files, unverified_said, what_if_files
from relapse_risk.rules.caseload import CaseloadCurve, WhatIf, merge_curves, merge_what_ifs
from relapse_risk.rules.key_counties import FACTORS
from relapse_risk.rules.roll_up import RollUp, merge_roll_ups, roll_up
from relapse_risk.rules.what_if import caseload_curve, no_such_area, what_if
from relapse_risk.runs import publish_result, store_facts
from relapse_risk.thresholds import EVERYWHERE

if TYPE_CHECKING:
    import polars as pl

    from relapse_risk.outputs.tables import ResultTable
    from relapse_risk.panel.panel import Panel
    from relapse_risk.rules.changes import Settings
    from relapse_risk.terminal import Progress
    from relapse_risk.thresholds import ThresholdTable
    from relapse_risk.vocabulary import Language

_Result = TypeVar("_Result")


def run_what_if(
    store: Path,
    as_of_date: date,
    values: Mapping[str, float],
    area: str = EVERYWHERE,
    *,
    language: Language = "zh",
    thresholds: ThresholdTable | None = None,
    on_progress: Progress | None = None,
) -> WhatIf:
    """Return the caseload with other thresholds beside the one in force, over the counties of an area.

    Parameters
    ----------
    store : Path
    as_of_date : date
    values : mapping of str to float
        As in :func:`~relapse_risk.rules.what_if.what_if`.
    area : str
        Beginning of the county codes; ``*`` for all.
    language : {"zh", "en"}
    thresholds : ThresholdTable, optional
        The layers under the store's own rows.
    on_progress : callable, optional
    """

    def of_county(county: str, panel: Panel) -> WhatIf | None:
        return what_if(panel, as_of_date, values, language=language) if _is_in(area, county) else None

    parts = over_counties(store, of_county, as_of_date, on_progress, thresholds)
    return merge_what_ifs(_of_area(area, parts))


def run_curve(
    store: Path,
    as_of_date: date,
    settings: Settings,
    area: str = EVERYWHERE,
    *,
    thresholds: ThresholdTable | None = None,
    on_progress: Progress | None = None,
) -> CaseloadCurve:
    """Return the caseload at each value of the parameter that ``settings`` runs through."""
    param, values = settings.curve or ("", ())

    def of_county(county: str, panel: Panel) -> CaseloadCurve | None:
        if not _is_in(area, county):
            return None
        return caseload_curve(panel, as_of_date, param, values, settings.values)

    parts = over_counties(store, of_county, as_of_date, on_progress, thresholds)
    return merge_curves(_of_area(area, parts))


def write_what_if(
    store: Path, result: WhatIf, cost: pl.DataFrame | None, note: Sequence[str], language: Language, out: Path
) -> None:
    """Write a what-if: its note, tables, workbook and manifest."""
    contents = {
        "inputs": store_facts(store),
        "as_of_date": str(result.as_of_date),
        "settings": result.settings.to_dicts(),
        "totals": result.totals,
        "unverified_thresholds": unverified_said(result.parameters),
        "cost": None if cost is None else cost.to_dicts(),
        "may_leave_the_county": False,
    }
    publish_result("what_if", contents, dict(what_if_files(result, cost, note, language)), out)


def write_curve(
    store: Path, curve: CaseloadCurve, note: Sequence[str], language: Language, out: Path
) -> None:
    """Write a caseload curve: its note, table, workbook and manifest."""
    contents = {
        "inputs": store_facts(store),
        "as_of_date": str(curve.as_of_date),
        "param": curve.param,
        "in_force": list(curve.in_force),
        "may_leave_the_county": False,
    }
    publish_result("caseload_curve", contents, dict(curve_files(curve, note, language)), out)


def run_roll_up(
    store: Path,
    as_of_date: date,
    *,
    thresholds: ThresholdTable | None = None,
    on_progress: Progress | None = None,
) -> RollUp:
    """Return population, coverage and the factors of key counties, over all counties of a store."""
    parts = over_counties(
        store, lambda _, panel: roll_up(panel, as_of_date), as_of_date, on_progress, thresholds
    )
    return merge_roll_ups([part for _, part in parts])


def write_roll_up(
    store: Path,
    result: RollUp,
    out: Path,
    language: Language,
    weights: Mapping[str, float] | None = None,
    *,
    leaves_county: bool = False,
) -> list[ResultTable]:
    """Write a roll-up, whole or fit to leave the county, with its manifest; return the tables."""
    tables = roll_up_tables(result, language, weights, leaves_county=leaves_county)
    note = roll_up_note(result, language, weights, leaves_county=leaves_county)
    contents = {
        "inputs": store_facts(store),
        "as_of_date": str(result.as_of_date),
        "weights": {name: (weights or {}).get(name, 1.0) for name in FACTORS},
        "may_leave_the_county": leaves_county,
        "suppression": {"threshold": THRESHOLD, "range": WIDTH} if leaves_county else None,
    }
    publish_result("roll_up", contents, dict(roll_up_files(tables, note, language)), out)
    return tables


def _is_in(area: str, county: str) -> bool:
    return area == EVERYWHERE or county.startswith(area)


def _of_area(area: str, parts: Iterator[tuple[str, _Result | None]]) -> list[_Result]:
    found = dict(parts)
    inside = [part for part in found.values() if part is not None]
    if not inside:
        raise no_such_area(area, found)
    return inside
