"""The verbs ``rules what-if`` and ``rules roll-up``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse_risk.cli.options import AsOf, Out, Store, language_of, store_of, thresholds_of_project
from relapse_risk.terminal import console, errors_shown, print_result, progress

if TYPE_CHECKING:
    from relapse_risk.rules.changes import Settings
    from relapse_risk.vocabulary import Language

Lang = Annotated[str | None, typer.Option("--lang", help="zh or en; the project's if absent.")]

app = typer.Typer()


@app.command("what-if")
def rules_what_if(
    as_of: AsOf,
    settings: Annotated[
        list[str],
        typer.Option("--set", help="PARAM=VALUE, or PARAM=FROM:TO:STEP for a curve; may be repeated."),
    ],
    area: Annotated[str, typer.Option("--area", help="Beginning of the county codes; * for all.")] = "*",
    rates: Annotated[
        Path | None, typer.Option("--rates", help="Yearly subsidy rates of the county, TOML or CSV.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for CSV, XLSX and manifest.")] = None,
    store: Store = None,
    lang: Lang = None,
) -> None:
    """Show the caseload with other thresholds: now and then, who enters and leaves, and the cost.

    Example: relapse-risk rules what-if --set line=7500 --set R05.ratio=0.7 --as-of 2024-12-31
    """
    from relapse_risk.rules.changes import parse_settings

    with errors_shown():
        asked, language = parse_settings(settings), language_of(lang)
        if asked.curve:
            _show_curve(store_of(store), as_of, asked, area, out, language)
        else:
            _show_what_if(store_of(store), as_of, asked, area, rates, out, language)


def _show_what_if(
    store: Path,
    as_of: datetime,
    asked: Settings,
    area: str,
    rates: Path | None,
    out: Path | None,
    language: Language,
) -> None:
    from relapse_risk.outputs.write_what_if import note_of, what_if_tables
    from relapse_risk.planning import run_what_if, write_what_if
    from relapse_risk.rules.rates import cost_of, load_rates

    given = None if rates is None else load_rates(rates)
    with progress("what-if") as show:
        result = run_what_if(
            store,
            as_of.date(),
            asked.values,
            area,
            language=language,
            thresholds=thresholds_of_project(),
            on_progress=show,
        )
    cost = None if given is None else cost_of(result, given)
    note = note_of(result, cost is not None, language)
    print_result(what_if_tables(result, cost, language)[: 4 if cost is None else 5], note, language)
    if out is not None:
        write_what_if(store, result, cost, note, language, out)
        console().print(f"→ {out}")


def _show_curve(
    store: Path, as_of: datetime, asked: Settings, area: str, out: Path | None, language: Language
) -> None:
    from relapse_risk.outputs.write_what_if import curve_note, curve_tables
    from relapse_risk.planning import run_curve, write_curve

    with progress("what-if") as show:
        curve = run_curve(
            store, as_of.date(), asked, area, thresholds=thresholds_of_project(), on_progress=show
        )
    note = curve_note(curve, language)
    print_result(curve_tables(curve, language), note, language)
    if out is not None:
        write_curve(store, curve, note, language, out)
        console().print(f"→ {out}")


@app.command("roll-up")
def rules_roll_up(
    as_of: AsOf,
    out: Out,
    store: Store = None,
    leaves_county: Annotated[
        bool, typer.Option("--leaves-county", help="Withhold counts under 5 and what would give them away.")
    ] = False,
    weights: Annotated[
        list[str] | None,
        typer.Option("--weight", help="FACTOR=WEIGHT of its rank, such as lifted_villages=2."),
    ] = None,
    lang: Lang = None,
) -> None:
    """Add up a county: coverage against the targets, population by township, ranking of key counties.

    Example: relapse-risk rules roll-up --as-of 2024-12-31 --out outputs/roll-up --leaves-county
    """
    from relapse_risk.outputs.write_roll_up import roll_up_note, shown_in_terminal
    from relapse_risk.planning import run_roll_up, write_roll_up
    from relapse_risk.rules.changes import parse_settings

    with errors_shown():
        language, given = language_of(lang), dict(parse_settings(weights or [], "--weight").values)
        with progress("roll-up") as show:
            result = run_roll_up(
                store_of(store), as_of.date(), thresholds=thresholds_of_project(), on_progress=show
            )
        tables = write_roll_up(store_of(store), result, out, language, given, leaves_county=leaves_county)
        note = roll_up_note(result, language, given, leaves_county=leaves_county)
        print_result(shown_in_terminal(tables), note, language)
        console().print(f"→ {out}")
