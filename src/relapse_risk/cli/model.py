"""The verbs under ``model``: what is in the registry, and which model the lists use."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import Lists, Store, open_project, panel_for
from relapse_risk.terminal import console, errors_shown, print_table, progress

app = typer.Typer(help="The registry: list, show, promote to champion.", no_args_is_help=True)

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="models/NAME/VERSION, or NAME/VERSION.")]


@app.command("list")
def list_models() -> None:
    """List the models of the registry, the newest first.

    Example: relapse-risk model list
    """
    from relapse_risk.modeling.registry import DECISION_TAG, registered_models

    with errors_shown():
        rows = [
            (
                each.version,
                each.model_dir,
                "champion" if each.is_champion else "",
                each.tags.get(DECISION_TAG, ""),
                each.sha256[:12],
            )
            for each in registered_models(open_project().tracking_uri)
        ]
        print_table("registry", ("version", "model", "alias", "decision", "sha256"), rows)


@app.command()
def show(model: ModelName) -> None:
    """Show a model's card, and the decision about it where there was one. `champion` names the champion.

    Example: relapse-risk model show champion
    """
    from relapse_risk.modeling.store import CARD_FILE, model_hash

    with errors_shown():
        folder = _folder(model)
        console().print(f"{folder}   sha256 {model_hash(folder)}", markup=False)
        console().print((folder / CARD_FILE).read_text(encoding="utf-8"), markup=False)
        page = folder.parent / f"promotion_{folder.name}.md"
        if page.exists():
            console().print(page.read_text(encoding="utf-8"), markup=False)


@app.command()
def promote(
    model: ModelName,
    store: Store = None,
    capacity: Annotated[
        float, typer.Option(min=0, help="Where precision is compared: a share, or a number of visits.")
    ] = 0.05,
    lists: Lists = None,
) -> None:
    """Make a model the champion, if it passes the guards, is calibrated and is not inferior; else exit 1.

    Example: relapse-risk model promote models/default/2 --store data/store
    """
    from relapse_risk.modeling.store import experiment_of_model
    from relapse_risk.promotion import promote_model

    with errors_shown():
        project = open_project()
        folder = _folder(model)
        with progress("promote") as show_progress:
            decision = promote_model(
                panel_for([experiment_of_model(folder)], store, lists),
                folder,
                project.models,
                project.tracking_uri,
                capacity=capacity,
                on_progress=show_progress,
            )
        for line in decision.lines(project.language):
            console().print(line, markup=False)
        console().print(f"→ {folder.parent / f'promotion_{folder.name}.md'}")
        if not decision.is_promoted:
            raise typer.Exit(1)


def _folder(model: str) -> Path:
    from relapse_risk.pipeline import find_model

    project = open_project()
    inside = project.models / model
    return find_model(str(inside) if inside.is_dir() else model, project.models, project.tracking_uri)
