"""Runs a function over partitions of the panel, one after another, so that memory stays that of one.

A partition is a county: village and county quantities are then local to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TypeVar

import polars as pl

from relapse_risk.errors import ContractError
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.terminal import Progress
from relapse_risk.thresholds import ThresholdTable

_Result = TypeVar("_Result")


def over_counties(
    store: Path,
    function: Callable[[str, Panel], _Result],
    as_of_date: date,
    on_progress: Progress | None = None,
    thresholds: ThresholdTable | None = None,
) -> Iterator[tuple[str, _Result]]:
    """Yield ``function(county_code, panel)`` for each county of a store, in the order of their codes.

    A household is in the panel of the county it was known to live in on ``as_of_date``: where it moved
    later is of the future. ``thresholds`` are the layers under the store's own rows, the shipped one where
    not given.

    Raises
    ------
    ContractError
        RR303 where the store holds no household, RR302 where none was known on that day.
    """
    opened = Store(store)
    counties = opened.partitions([as_of_date], target_households=None)
    if not counties and not (panel := opened.open()).tables.get("household", pl.DataFrame()).is_empty():
        panel.known_at(as_of_date)  # raises the error that says from which day on there are any
    if not counties:
        raise ContractError(
            "RR303",
            str(store),
            "the store holds no household",
            "an ingested household table",
            "Run relapse-risk ingest first",
            zh=f"数据仓“{store}”中没有家庭数据，请先运行 relapse-risk ingest。",
        )
    for i, county in enumerate(counties):
        if on_progress:
            on_progress(county.county_code, i, len(counties))
        panel = opened.open_partition(county)
        known = panel if thresholds is None else replace(panel, thresholds=thresholds)
        yield county.county_code, function(county.county_code, known)
    if on_progress:
        on_progress("", len(counties), len(counties))
