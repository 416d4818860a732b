"""The verbs of the main flow."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from relapse_risk.cli.options import (
    AsOf,
    ExperimentFile,
    Lists,
    ModelDir,
    Out,
    Store,
    experiment_of,
    mapping_of,
    open_project,
    panel_for,
    store_of,
    thresholds_of_project,
)
from relapse_risk.terminal import console, errors_shown, print_backtest, print_result, progress

if TYPE_CHECKING:
    from relapse_risk.vocabulary import Language

app = typer.Typer()


@app.command()
def demo(
    households: Annotated[int, typer.Option(min=400, help="Households of the synthetic county.")] = 5000,
    seed: Annotated[int, typer.Option(help="Same seed, same county.")] = 1,
    out: Annotated[Path, typer.Option("--out", help="Project folder to make.")] = Path("demo"),
) -> None:
    """Run the whole flow on a synthetic county, and say what came out.

    Example: relapse-risk demo --households 2000 --out demo
    """
    from relapse_risk.demo import run_demo

    with errors_shown():
        run_demo(households, seed, out)


@app.command()
def simulate(
    households: Annotated[int, typer.Option(min=1)],
    months: Annotated[int, typer.Option(min=15)],
    out: Out,
    scenario: Annotated[str, typer.Option(help="NAME under data/scenarios/, or a path.")] = "hebei_like",
    seed: int = 0,
) -> None:
    """Write raw exports of a synthetic county, and the truth apart in OUT/truth/.

    Example: relapse-risk simulate --households 5000 --months 72 --out county
    """
    from relapse_risk.runs import simulate_exports

    with errors_shown(), progress("simulate") as show:
        files = simulate_exports(households, months, scenario, seed, out, show)
    console().print(f"{len(files)} exports → {out}, the truth apart → {out / 'truth'}")


@app.command()
def ingest(
    sources: Annotated[
        list[str], typer.Argument(help="Folders, files (csv, xlsx, parquet), or a database's URI.")
    ],
    store: Store = None,
    mapping: Annotated[Path | None, typer.Option(help="data/mappings/NAME.toml for other systems.")] = None,
) -> None:
    """Read, validate and store exports; rejected rows come back as files.

    A database is read with the user and password of PGUSER and PGPASSWORD, never of the URI.

    Example: relapse-risk ingest county --store data/store

    Example: relapse-risk ingest postgresql://localhost/county --mapping M.toml --store data/store
    """
    from relapse_risk.panel.ingest import ingest as ingest_exports

    with errors_shown():
        with progress("ingest") as show:
            report = ingest_exports(sources, store_of(store), mapping_of(mapping), on_progress=show)
        for line in report.summary_lines(open_project().language):
            console().print(line, markup=False)


@app.command()
def train(
    store: Store = None,
    experiment: ExperimentFile = None,
    models: Annotated[Path | None, typer.Option("--models", help="Where model directories go.")] = None,
    known_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Read labels as known on this day; today's data if absent."),
    ] = None,
    override: Annotated[
        list[str] | None, typer.Option(help="Guard that may fail, such as G3; said on the card.")
    ] = None,
    lists: Lists = None,
) -> None:
    """Train a model with its backtest and guards; write MODELS/NAME/VERSION/ and an MLflow run.

    Example: relapse-risk train --store data/store --experiment experiments/default.toml
    """
    from relapse_risk.pipeline import train_and_track

    with errors_shown():
        project, chosen = open_project(), experiment_of(experiment)
        with progress("train") as show:
            trained = train_and_track(
                panel_for([chosen], store, lists),
                chosen,
                models or project.models,
                project.tracking_uri,
                known_on=known_on.date() if known_on else None,
                overrides=tuple(override or ()),
                on_progress=show,
            )
        console().print(f"model → {trained.folder}   MLflow run {trained.run_id}")


@app.command()
def backtest(
    out: Out,
    store: Store = None,
    experiment: ExperimentFile = None,
    truth: Annotated[Path | None, typer.Option(help="truth/ of a synthetic county, for the oracle.")] = None,
    lists: Lists = None,
) -> None:
    """Judge rules, baselines and model forward in time, at equal visits.

    Example: relapse-risk backtest --store data/store --out outputs/backtest
    """
    from relapse_risk.outputs.backtest_page import write_backtest
    from relapse_risk.pipeline import backtest as run

    with errors_shown():
        chosen = experiment_of(experiment)
        with progress("backtest") as show:
            result = run(panel_for([chosen], store, lists), chosen, truth, show)
        write_backtest(result, out, open_project().language)
        print_backtest(result.pooled)
        for note in (*result.alarms, *result.notes):
            console().print(f"! {note}", markup=False)
        console().print(f"→ {out}")


@app.command()
def score(as_of: AsOf, out: Out, store: Store = None, model: ModelDir = None) -> None:
    """Score every household: risk by horizon, score, strongest contributions (Parquet).

    Example: relapse-risk score --store data/store --as-of 2024-12-31 --out outputs/scores
    """
    from relapse_risk.pipeline import find_model
    from relapse_risk.runs import write_scores

    with errors_shown():
        project = open_project()
        folder = find_model(model, project.models, project.tracking_uri)
        with progress("score") as show:
            n = write_scores(
                store_of(store), folder, as_of.date(), out, show, thresholds=thresholds_of_project()
            )
        console().print(f"{n} households scored by {folder} → {out}")


@app.command("visit-list")
def visit_list(
    as_of: AsOf,
    capacity: Annotated[
        str,
        typer.Option(
            metavar="K|FILE",
            help="Visits per county; or a CSV with area_code, visits and, where there are teams, team.",
        ),
    ],
    out: Out,
    store: Store = None,
    model: Annotated[
        str | None, typer.Option(help="champion (if absent), a model directory, or none for rules only.")
    ] = None,
    lang: Annotated[str, typer.Option(help="zh or en")] = "zh",
    per_township: Annotated[
        bool, typer.Option("--per-township", help="Write each township's rows as files of their own, too.")
    ] = False,
    lottery: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of capacity drawn by lot at the edge; see the county guide."),
    ] = 0.0,
    contacts: Annotated[
        Path | None, typer.Option(help="Names and phones (联系方式), for the workbook alone.")
    ] = None,
    encrypt: Annotated[
        Path | None, typer.Option(metavar="PASSFILE", help="Lock the workbook with the password in a file.")
    ] = None,
    forecast: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="A forecast of the same day, to be shown on the county page."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Keep an earlier list aside, as OUT.old1.")] = False,
) -> None:
    """Write one prioritised visit list per county as CSV and workbook, with a manifest.

    Example: relapse-risk visit-list --store data/store --as-of 2024-12-31 --capacity 200 --out outputs/list

    Example: relapse-risk visit-list --as-of 2024-12-31 --capacity capacity.csv --out outputs/list

    Example: relapse-risk visit-list --as-of 2024-12-31 --capacity 9 --contacts c.csv --encrypt p.txt --out l
    """
    from relapse_risk.outputs.capacity import capacity_of
    from relapse_risk.outputs.contacts import joined_message, read_contacts, read_password
    from relapse_risk.outputs.visit_list import ListSettings
    from relapse_risk.pipeline import find_model
    from relapse_risk.runs import ListOptions, write_visit_lists

    with errors_shown():
        project = open_project()
        folder = None if model == "none" else find_model(model, project.models, project.tracking_uri)
        language: Language = "en" if lang == "en" else "zh"
        settings = ListSettings(
            project.model_share,
            project.audit_share,
            project.rest_days,
            language=language,
            is_per_township=per_township,
            lottery_share=lottery,
            not_met_limit=project.not_met_limit,
        )
        options = ListOptions(
            capacity_of(capacity),
            settings,
            is_forced=force,
            contacts=None if contacts is None else read_contacts(contacts),
            password=None if encrypt is None else read_password(encrypt),
            forecast=forecast,
        )
        with progress("visit-list") as show:
            lists = write_visit_lists(
                store_of(store), folder, as_of.date(), out, options, show, thresholds=thresholds_of_project()
            )
        for county in lists.counties:
            for line in county.summary_lines(language):
                console().print(line, markup=False)
        if options.contacts is not None:
            console().print(joined_message(lists, options.contacts).text(language), markup=False)
        console().print(f"→ {out}")


@app.command("record-visits")
def record_visits(
    returned: Annotated[list[Path], typer.Argument(help="Returned lists, filled in: csv or xlsx.")],
    store: Store = None,
    lists: Annotated[
        list[Path] | None, typer.Option("--lists", help="Folders that lists were written to.")
    ] = None,
    password: Annotated[
        Path | None, typer.Option(metavar="PASSFILE", help="Password of locked workbooks, in a file.")
    ] = None,
) -> None:
    """Record the visits of returned lists, and say how good the lists were.

    Example: relapse-risk record-visits returned.xlsx --store data/store --lists outputs
    """
    from relapse_risk.config import Experiment
    from relapse_risk.outputs.contacts import read_password
    from relapse_risk.outputs.feedback import record_visits as record
    from relapse_risk.outputs.feedback_tables import feedback_tables
    from relapse_risk.outputs.issued import find_lotteries
    from relapse_risk.outputs.visit_effect import visit_effect
    from relapse_risk.pipeline import open_store

    project = open_project()
    with errors_shown():
        secret = None if password is None else read_password(password)
        folders = lists or [project.outputs]
        report = record(returned, store_of(store), folders, password=secret)
        for line in report.summary_lines(project.language):
            console().print(line, markup=False)
        drawn, effect = find_lotteries(folders), None
        if drawn.height:
            is_there = project.experiment.exists()
            experiment = experiment_of(None) if is_there else Experiment(name="default")
            panel = open_store(store_of(store), thresholds_of_project())
            effect = visit_effect(drawn, panel, experiment.label, experiment.cohort)
        print_result(feedback_tables(report, effect), (), project.language)
