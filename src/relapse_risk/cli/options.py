"""Options that several verbs share, and what they stand for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from relapse_risk.config import Experiment, Project
    from relapse_risk.mapping_config import Mapping
    from relapse_risk.panel.panel import Panel
    from relapse_risk.thresholds import ThresholdTable
    from relapse_risk.vocabulary import Language

Store = Annotated[
    Path | None, typer.Option("--store", help="Store of the panel; from relapse.toml if absent.")
]
Out = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
AsOf = Annotated[
    datetime, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last knowable day, inclusive: 2024-12-31.")
]
ModelDir = Annotated[str | None, typer.Option("--model", help="champion (if absent), or a model directory.")]
Lists = Annotated[
    list[Path] | None,
    typer.Option("--lists", help="Folders that lists were written to; the project's outputs if absent."),
]
ExperimentFile = Annotated[Path | None, typer.Option("--experiment", help="experiments/NAME.toml")]


def open_project() -> Project:
    """Return the project of the working folder, or the defaults where it has no relapse.toml.

    Its own modules of features are in use from then on.
    """
    from relapse_risk.config import Project
    from relapse_risk.toml_file import load

    path = Path("relapse.toml")
    project = load(path, Project) if path.exists() else Project()
    if project.features:
        from relapse_risk.features.own import use_feature_modules

        use_feature_modules(project.features, path.parent)
    return project


def store_of(path: Path | None) -> Path:
    """Return the store named, or the project's; the project's features are in use from then on."""
    project = open_project()
    return path or project.store


def language_of(name: str | None) -> Language:
    """Return a language by its name, or the project's where none is given.

    Raises
    ------
    ConfigurationError
        RR206 where it is neither zh nor en.
    """
    from relapse_risk.errors import ConfigurationError

    if name is None:
        return open_project().language
    if name == "zh":
        return "zh"
    if name == "en":
        return "en"
    raise ConfigurationError(
        "RR206", "--lang", f"{name!r}", "zh or en", "Correct the option", zh="--lang 只能是 zh 或 en。"
    )


def thresholds_of_project() -> ThresholdTable:
    """Return the shipped thresholds with the county's own file over them, if relapse.toml names one."""
    from relapse_risk.thresholds import ThresholdTable

    return ThresholdTable.with_county_file(open_project().thresholds)


def experiment_of(path: Path | None) -> Experiment:
    """Return the experiment of a file, or the project's."""
    from relapse_risk.config import Experiment
    from relapse_risk.toml_file import load

    return load(path or open_project().experiment, Experiment)


def panel_for(experiments: Sequence[Experiment], store: Path | None, lists: list[Path] | None) -> Panel:
    """Return the panel of a store; it knows the lotteries of lists where an experiment asks for them."""
    from relapse_risk.pipeline import open_store

    needs_lists = any(experiment.label.lottery_corrected for experiment in experiments)
    folders = (lists or [open_project().outputs]) if needs_lists else None
    return open_store(store_of(store), thresholds_of_project(), folders)


def mapping_of(path: Path | None) -> Mapping | None:
    """Return the mapping of a file, if one is named."""
    from relapse_risk.mapping_config import Mapping
    from relapse_risk.toml_file import load

    return load(path, Mapping) if path else None


def echo_json(payload: Any) -> None:
    """Print a value as JSON."""
    typer.echo(json.dumps(payload, ensure_ascii=False, indent=2))


def cells(row: dict[str, Any], names: str) -> tuple[Any, ...]:
    """Return the cells of a row by their names, separated by blanks."""
    return tuple(row[name] for name in names.split())


def needed(value: Any, option: str) -> Any:
    """Return an option's value, or say that it is missing."""
    if value:
        return value
    from relapse_risk.errors import ConfigurationError

    raise ConfigurationError(
        "RR203", option, "not given", "a value", "Add it; --help shows an example", zh=f"缺少参数 {option}。"
    )
