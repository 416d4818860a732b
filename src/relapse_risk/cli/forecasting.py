"""The verbs ``forecast`` and ``income``."""

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


@app.command()
def income(
    as_of: AsOf,
    out: Out,
    model: Annotated[
        Path, typer.Option(help="Directory of the income model; trained and saved there where it is absent.")
    ],
    store: Store = None,
    experiment: ExperimentFile = None,
    line: Annotated[
        list[float] | None, typer.Option(min=1, help="A what-if line, yuan per person and year; repeatable.")
    ] = None,
    lang: Annotated[str | None, typer.Option("--lang", help="zh or en; the project's if absent.")] = None,
) -> None:
    """Forecast household incomes in 3, 6 and 12 months as quantiles, and who may fall below any line.

    Example: relapse-risk income --as-of 2024-12-31 --model models/income/1 --line 8500 --out outputs/income
    """
    from relapse_risk.incomes import IncomeRequest, income_note, write_incomes

    with errors_shown():
        language = language_of(lang)
        request = IncomeRequest(as_of.date(), experiment_of(experiment), model, tuple(line or ()))
        with progress("income") as show:
            write_incomes(store_of(store), request, out, language, thresholds_of_project(), show)
        print_result([], income_note(request, language), language)
        console().print(f"→ {out}")
