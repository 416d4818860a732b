"""The verb under ``experiment``: run files of experiments, and go on where a run was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import Lists, Store, open_project, panel_for
from relapse_risk.terminal import console, errors_shown, progress

app = typer.Typer(help="Experiments from their TOML files.", no_args_is_help=True)


@app.callback()
def experiments() -> None:
    """Experiments from their TOML files."""


@app.command()
def run(
    files: Annotated[list[Path], typer.Argument(help="One TOML file each.")],
    store: Store = None,
    models: Annotated[Path | None, typer.Option("--models", help="Where model directories go.")] = None,
    override: Annotated[
        list[str] | None, typer.Option("--override", help="Guard that may fail, by name: G3.")
    ] = None,
    lists: Lists = None,
) -> None:
    """Search, judge, train and track each experiment; what was finished on the same data is not repeated.

    Example: relapse-risk experiment run experiments/*.toml --store data/store
    """
    from relapse_risk.config import Experiment
    from relapse_risk.experiments import run_experiment
    from relapse_risk.toml_file import load

    with errors_shown():
        project = open_project()
        chosen = [load(path, Experiment) for path in files]
        panel = panel_for(chosen, store, lists)
        is_stopped = False
        for experiment in chosen:
            with progress(f"experiment {experiment.name}") as show:
                done = run_experiment(
                    panel,
                    experiment,
                    models or project.models,
                    project.tracking_uri,
                    overrides=override or (),
                    on_progress=show,
                )
            console().print(done.line, markup=False)
            is_stopped |= done.refusal is not None
        if is_stopped:
            raise typer.Exit(1)
