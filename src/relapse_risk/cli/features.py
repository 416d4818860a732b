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
    out: Annotated[
        Path | None, typer.Option("--out", help="FILE.parquet, or a folder with --engine spark.")
    ] = None,
    store: Store = None,
    engine: Annotated[str, typer.Option(help="local, or spark: --out is then a folder.")] = "local",
    master: Annotated[str, typer.Option(help="Spark master, by URI.")] = "local[*]",
    partition: Annotated[int, typer.Option(min=1, help="Households a partition, about.")] = 50_000,
) -> None:
    """Compute all indicators as of one or more dates, partition by partition.

    Example: relapse-risk features --store data/store --as-of 2024-12-31 --out outputs/features.parquet
    """
    if context.invoked_subcommand:
        return
    from relapse_risk.runs import write_features, write_features_on_spark

    with errors_shown():
        dates = [day.date() for day in needed(as_of, "--as-of")]
        path = needed(out, "--out")
        where, known = store_of(store), thresholds_of_project()
        if engine == "spark":
            described = write_features_on_spark(
                where, dates, path, master, thresholds=known, partition_households=partition
            )
        else:
            with progress("features") as show:
                described = write_features(
                    where, dates, path, show, thresholds=known, partition_households=partition
                )
        console().print(f"{described} → {path}")


@app.command("list")
def features_list(
    as_json: Annotated[bool, typer.Option("--json")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The dictionary as a page.")] = False,
) -> None:
    """List the indicators with unit, family and direction, the project's own among them."""
    from relapse_risk.features.catalog import CATALOG
    from relapse_risk.features.describe import describe_catalog, dictionary_page
    from relapse_risk.features.own import own_features

    with errors_shown():
        open_project()
        every = CATALOG + own_features()
        rows = describe_catalog(every)
    if as_markdown:
        typer.echo(dictionary_page(every), nl=False)
        return
    if as_json:
        echo_json(rows)
    else:
        header = ("name", "zh", "unit", "family")
        print_table("指标 features", header, [cells(row, "name zh unit family") for row in rows])
