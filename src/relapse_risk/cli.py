"""The command line: thin, one verb an arrow of the dataflow; each calls one function of the library.

Imports of the library stand inside the verbs, so that ``relapse-risk --help`` is instant.
"""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from relapse_risk.terminal import console, errors_shown, print_backtest, print_table, progress

if TYPE_CHECKING:
    from relapse_risk.config import Experiment, Mapping, Project
    from relapse_risk.vocabulary import Language

app = typer.Typer(
    name="relapse-risk",
    help="Risk scoring and visit lists for the prevention of relapse into poverty (防止返贫动态监测). "
    "Scores supplement the monitoring rules and never replace them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
rules_app = typer.Typer(help="Apply the monitoring rules, or list them.", invoke_without_command=True)
features_app = typer.Typer(help="Compute household indicators, or list them.", invoke_without_command=True)
app.add_typer(rules_app, name="rules")
app.add_typer(features_app, name="features")

Store = Annotated[
    Path | None, typer.Option("--store", help="Store of the panel; from relapse.toml if absent.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
AsOf = Annotated[
    datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last knowable day, inclusive: 2024-12-31.")
]
ModelDir = Annotated[
    str | None, typer.Option("--model", help="Model directory; the newest in models/ if absent.")
]
ExperimentFile = Annotated[Path | None, typer.Option("--experiment", help="experiments/NAME.toml")]


def _project() -> Project:
    from relapse_risk.config import Project, load

    path = Path("relapse.toml")
    return load(path, Project) if path.exists() else Project()


def _store(path: Path | None) -> Path:
    return path or _project().store


def _experiment(path: Path | None) -> Experiment:
    from relapse_risk.config import Experiment, load

    return load(path or _project().experiment, Experiment)


def _mapping(path: Path | None) -> Mapping | None:
    from relapse_risk.config import Mapping, load

    return load(path, Mapping) if path else None


def _echo_json(payload: Any) -> None:
    typer.echo(json.dumps(payload, ensure_ascii=False, indent=2))


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
    sources: Annotated[list[Path], typer.Argument(help="Folders or files: csv, xlsx, parquet.")],
    store: Store = None,
    mapping: Annotated[Path | None, typer.Option(help="data/mappings/NAME.toml for other systems.")] = None,
) -> None:
    """Read, validate and store exports; rejected rows come back as files.

    Example: relapse-risk ingest county --store data/store
    """
    from relapse_risk.panel.ingest import ingest as ingest_exports

    with errors_shown():
        with progress("ingest") as show:
            report = ingest_exports(sources, _store(store), _mapping(mapping), on_progress=show)
        for line in report.summary_lines(_project().language):
            console().print(line, markup=False)


@rules_app.callback()
def rules(
    context: typer.Context,
    as_of: Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"])] = None,
    out: Annotated[Path | None, typer.Option("--out")] = None,
    store: Store = None,
) -> None:
    """Apply every rule to every household: hit, no hit, or cannot judge.

    Example: relapse-risk rules --store data/store --as-of 2024-12-31 --out outputs/rules
    """
    if context.invoked_subcommand:
        return
    from relapse_risk.runs import write_rule_hits

    with errors_shown():
        as_of_date, folder = _needed(as_of, "--as-of").date(), _needed(out, "--out")
        with progress("rules") as show:
            summary = write_rule_hits(_store(store), as_of_date, folder, show)
        rows = summary.select("code", "zh", "category", "hit", "no_hit", "cannot_judge").rows()
        print_table(f"规则 {as_of_date}", ("代码", "规则", "类别", "命中", "未命中", "无法判断"), rows)
        console().print(f"→ {folder}")


@rules_app.command("list")
def rules_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the rules with their category, legal basis and parameters."""
    from relapse_risk.rules.catalog import list_rules

    rows = list_rules()
    if as_json:
        _echo_json(rows)
    else:
        print_table(
            "规则 rules", ("code", "zh", "en", "cat."), [_cells(r, "code zh en category") for r in rows]
        )


@features_app.callback()
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
        dates = [day.date() for day in _needed(as_of, "--as-of")]
        path = _needed(out, "--out")
        with progress("features") as show:
            described = write_features(_store(store), dates, path, show)
        console().print(f"{described} → {path}")


@features_app.command("list")
def features_list(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """List the indicators with unit, family and direction."""
    from relapse_risk.features.describe import describe_catalog

    rows = describe_catalog()
    if as_json:
        _echo_json(rows)
    else:
        header = ("name", "zh", "unit", "family")
        print_table("指标 features", header, [_cells(row, "name zh unit family") for row in rows])


@app.command()
def train(
    store: Store = None,
    experiment: ExperimentFile = None,
    models: Annotated[Path | None, typer.Option("--models", help="Where model directories go.")] = None,
    known_on: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Read labels as known on this day; today's data if absent."),
    ] = None,
    accept: Annotated[
        list[str] | None, typer.Option(help="Guard to override, by code; said on the card.")
    ] = None,
) -> None:
    """Train a model with its backtest and guards; write MODELS/NAME/VERSION/ and an MLflow run.

    Example: relapse-risk train --store data/store --experiment experiments/default.toml
    """
    from relapse_risk.pipeline import open_store, train_and_track

    project = _project()
    with errors_shown():
        with progress("train") as show:
            trained = train_and_track(
                open_store(_store(store)),
                _experiment(experiment),
                models or project.models,
                project.tracking_uri,
                known_on=known_on.date() if known_on else None,
                accepted_guards=tuple(accept or ()),
                on_progress=show,
            )
        console().print(f"model → {trained.folder}   MLflow run {trained.run_id}")


@app.command()
def backtest(
    out: Out,
    store: Store = None,
    experiment: ExperimentFile = None,
    truth: Annotated[Path | None, typer.Option(help="truth/ of a synthetic county, for the oracle.")] = None,
) -> None:
    """Judge rules, baselines and model forward in time, at equal visits.

    Example: relapse-risk backtest --store data/store --out outputs/backtest
    """
    from relapse_risk.pipeline import backtest as run
    from relapse_risk.pipeline import open_store

    with errors_shown():
        with progress("backtest") as show:
            result = run(open_store(_store(store)), _experiment(experiment), truth, show)
        result.write(out)
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
        folder = find_model(model, _project().models)
        with progress("score") as show:
            n = write_scores(_store(store), folder, as_of.date(), out, show)
        console().print(f"{n} households scored by {folder} → {out}")


@app.command("visit-list")
def visit_list(
    as_of: AsOf,
    capacity: Annotated[int, typer.Option(min=1, help="Visits per county.")],
    out: Out,
    store: Store = None,
    model: Annotated[
        str | None, typer.Option(help="Model directory, `none` for rules only; the newest if absent.")
    ] = None,
    lang: Annotated[str, typer.Option(help="zh or en")] = "zh",
    force: Annotated[bool, typer.Option("--force", help="Keep an earlier list aside.")] = False,
) -> None:
    """Write one prioritised visit list per county, with a manifest.

    Example: relapse-risk visit-list --store data/store --as-of 2024-12-31 --capacity 200 --out outputs/list
    """
    from relapse_risk.outputs.visit_list import ListSettings
    from relapse_risk.pipeline import find_model
    from relapse_risk.runs import ListOptions, write_visit_lists

    project = _project()
    with errors_shown():
        folder = None if model == "none" else find_model(model, project.models)
        language: Language = "en" if lang == "en" else "zh"
        settings = ListSettings(project.model_share, project.audit_share, language=language)
        options = ListOptions(capacity, settings, is_forced=force)
        with progress("visit-list") as show:
            lists = write_visit_lists(_store(store), folder, as_of.date(), out, options, show)
        for county in lists.counties:
            for line in county.summary_lines(language):
                console().print(line, markup=False)
        console().print(f"→ {out}")


def _cells(row: dict[str, Any], names: str) -> tuple[Any, ...]:
    return tuple(row[name] for name in names.split())


def _needed(value: Any, option: str) -> Any:
    if value:
        return value
    from relapse_risk.errors import ConfigurationError

    raise ConfigurationError(
        "RR203", option, "not given", "a value", "Add it; --help shows an example", zh=f"缺少参数 {option}。"
    )


def main() -> None:
    """Entry point of ``relapse-risk``."""
    app()
