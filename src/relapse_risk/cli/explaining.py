"""The verbs ``explain`` and ``compare-lists``: one household, and two lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import AsOf, Store, language_of, open_project, store_of, thresholds_of_project
from relapse_risk.terminal import console, errors_shown

app = typer.Typer()


@app.command()
def explain(
    household: Annotated[str, typer.Argument(help="household_id (户编号)")],
    as_of: AsOf,
    store: Store = None,
    model: Annotated[
        str | None, typer.Option(help="champion (if absent), a model directory, or none for rules only.")
    ] = None,
    lists: Annotated[
        list[Path] | None, typer.Option("--lists", help="Folders that lists were written to.")
    ] = None,
    capacity: Annotated[
        str | None,
        typer.Option(metavar="K|FILE", help="As of visit-list, where no list of the day was written."),
    ] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="FILE.svg or FILE.png: what moves the score.")
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="zh or en; the project's if absent.")] = None,
) -> None:
    """Say why a household stands where it stands on the list, what raises its risk, and what changed.

    Example: relapse-risk explain 13072700010001 --as-of 2024-12-31 --picture why.svg
    """
    from relapse_risk.explaining import explain_from_store, no_picture
    from relapse_risk.files import write_together
    from relapse_risk.outputs.capacity import capacity_of
    from relapse_risk.outputs.visit_list import ListSettings
    from relapse_risk.pipeline import find_model

    with errors_shown():
        project = open_project()
        folder = None if model == "none" else find_model(model, project.models, project.tracking_uri)
        told = explain_from_store(
            store_of(store),
            household,
            as_of.date(),
            folder,
            lists or [project.outputs],
            None if capacity is None else capacity_of(capacity),
            ListSettings(
                project.model_share,
                project.audit_share,
                project.rest_days,
                not_met_limit=project.not_met_limit,
            ),
            language=language_of(lang),
            thresholds=thresholds_of_project(),
        )
        for line in told.lines():
            console().print(line, markup=False)
        if picture is not None:
            if told.contributions is None:
                raise no_picture("--model none", "a model: without one nothing moves a score")
            if picture.suffix not in (".svg", ".png"):
                raise no_picture(picture.name, "a name that ends in .svg or .png")
            chart = told.plot()
            write_together(
                {picture.name: chart.svg() if picture.suffix == ".svg" else chart.png()}, picture.parent
            )
            console().print(f"→ {picture}")


@app.command("compare-lists")
def compare_two_lists(
    before: Annotated[Path, typer.Argument(help="Folder of the earlier list.")],
    after: Annotated[Path, typer.Argument(help="Folder of the later list.")],
    out: Annotated[Path, typer.Option("--out", help="FILE.csv for the table.")],
    store: Store = None,
    model: Annotated[
        str | None, typer.Option(help="champion (if absent), a model directory, or none: no facts named.")
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="zh or en; the project's if absent.")] = None,
) -> None:
    """Say who is new, gone or moved from one list to the next, and why: rules, score, facts, visits.

    Example: relapse-risk compare-lists outputs/2024-11 outputs/2024-12 --out outputs/changes.csv
    """
    from relapse_risk.explaining import changes_between
    from relapse_risk.files import write_together
    from relapse_risk.outputs.files import csv_bytes
    from relapse_risk.outputs.issued import find_issued
    from relapse_risk.pipeline import find_model

    with errors_shown():
        project, language = open_project(), language_of(lang)
        table = changes_between(
            store_of(store),
            find_issued([before]),
            find_issued([after]),
            None if model == "none" else find_model(model, project.models, project.tracking_uri),
            language=language,
            thresholds=thresholds_of_project(),
        )
        shown = table.labelled(language)
        write_together({out.name: csv_bytes(shown)}, out.parent)
        name = table.headers["change"].text(language)
        for change, count in shown[name].value_counts(sort=True).rows():
            console().print(f"{change}: {count}", markup=False)
        console().print(f"→ {out}")
