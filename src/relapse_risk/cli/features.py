"""The verb ``features`` and what stands under it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import (
    Store,
    cells,
    echo_json,
    needed,
    open_project,
    store_of,
    thresholds_of_project,
)
from relapse_risk.terminal import console, errors_shown, print_table, progress

app = typer.Typer(help="Compute household indicators, or list them.", invoke_without_command=True)


@app.callback()
def features(
    context: typer.Context,
    as_of: Annotated[list[datetime] | None, typer.Option("--as-of", formats=["%Y-%m-%d"])] = None,
    out: Annotated[Path | None, typer.Option("--out", help="FILE.parquet")] = None,
    store: Store = None,
) -> None:
    """Compute all indicators as of one or more dates.

    Example: relapse-risk features --store data/store --as-of 2024-12-31 --out outputs/features.parquet
    """
    if context.invoked_subcommand:
        return
    from relapse_risk.runs import write_features

    with errors_shown():
        dates = [day.date() for day in needed(as_of, "--as-of")]
        path = needed(out, "--out")
        with progress("features") as show:
            described = write_features(store_of(store), dates, path, show, thresholds=thresholds_of_project())
        console().print(f"{described} → {path}")


@app.command("list")
def features_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the indicators with unit, family and direction, the project's own among them."""
    from relapse_risk.features.catalog import CATALOG
    from relapse_risk.features.describe import describe_catalog
    from relapse_risk.features.own import own_features

    with errors_shown():
        open_project()
        rows = describe_catalog(CATALOG + own_features())
    if as_json:
        echo_json(rows)
    else:
        header = ("name", "zh", "unit", "family")
        print_table("指标 features", header, [cells(row, "name zh unit family") for row in rows])
