"""The command line: thin, one verb an arrow of the dataflow; each calls one function of the library.

Imports of the library stand inside the verbs, so that ``relapse-risk --help`` is instant.
"""

from __future__ import annotations

import typer

from relapse_risk.cli import (
    experiment,
    explaining,
    features,
    flow,
    forecasting,
    model,
    planning,
    rules,
    store,
)

app = typer.Typer(
    name="relapse-risk",
    help="Risk scoring and visit lists for the prevention of relapse into poverty (防止返贫动态监测). "
    "Scores supplement the monitoring rules and never replace them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(flow.app)
app.add_typer(explaining.app)
app.add_typer(forecasting.app)
rules.app.add_typer(planning.app)
app.add_typer(rules.app, name="rules")
app.add_typer(features.app, name="features")
app.add_typer(experiment.app, name="experiment")
app.add_typer(model.app, name="model")
app.add_typer(store.app, name="store")


def main() -> None:
    """Entry point of ``relapse-risk``."""
    app()
