"""The verb ``forecast``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from relapse_risk.cli.options import (
    AsOf,
    ExperimentFile,
    Out,
    Store,
    experiment_of,
    language_of,
    open_project,
    store_of,
    thresholds_of_project,
)
from relapse_risk.terminal import console, errors_shown, print_result, progress

app = typer.Typer()


@app.command()
def forecast(
    as_of: AsOf,
    out: Out,
    months: Annotated[int, typer.Option(help="How far ahead, 1 to 12.")] = 12,
    store: Store = None,
    model: Annotated[
        str | None,
        typer.Option(help="champion (if absent), a model directory, or none for the time series only."),
    ] = None,
    experiment: ExperimentFile = None,
    cost_per_case: Annotated[
        Path | None, typer.Option("--cost-per-case", help="CSV with area_code and yuan_per_case.")
    ] = None,
    line: Annotated[
        float | None, typer.Option(min=1, help="A what-if line, yuan per person and year.")
    ] = None,
    draws: Annotated[int, typer.Option(min=200, help="Sample paths.")] = 500,
    seed: Annotated[int, typer.Option(help="Same seed, same forecast.")] = 0,
    lang: Annotated[str | None, typer.Option("--lang", help="zh or en; the project's if absent.")] = None,
) -> None:
    """Forecast new relapses, the register, visits and funds by month, from village to province.

    Example: relapse-risk forecast --as-of 2024-12-31 --months 12 --out outputs/forecast
    """
    from relapse_risk.caseloads import ForecastRequest, read_costs, write_forecast
    from relapse_risk.forecast.caseload import ForecastSettings
    from relapse_risk.outputs.write_forecast import forecast_note, shown_in_terminal
    from relapse_risk.pipeline import find_model

    with errors_shown():
        project, language = open_project(), language_of(lang)
        settings = ForecastSettings(months, draws, seed)
        needs_model = model != "none" and line is None
        request = ForecastRequest(
            as_of.date(),
            settings,
            experiment_of(experiment),
            find_model(model, project.models, project.tracking_uri) if needs_model else None,
            line,
            read_costs(cost_per_case) if cost_per_case else {},
        )
        with progress("forecast") as show:
            made = write_forecast(store_of(store), request, out, language, thresholds_of_project(), show)
        print_result(shown_in_terminal(made, language), forecast_note(made, language), language)
        console().print(f"→ {out}")
