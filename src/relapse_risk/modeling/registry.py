"""The registry: every trained model is a version of it, and the alias ``champion`` stands on one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from relapse_risk.errors import ConfigurationError, ModelError
from relapse_risk.modeling.store import model_hash
from relapse_risk.modeling.tracking import REGISTERED_NAME, sqlite_file, tracking_store

CHAMPION = "champion"
DECISION_TAG = "promotion"


@dataclass(frozen=True)
class RegisteredModel:
    """One version in the registry.

    Attributes
    ----------
    version : int
    model_dir : str
        ``NAME/VERSION`` under the project's ``models/``.
    sha256 : str
        Of the model directory; see :func:`~relapse_risk.modeling.store.model_hash`.
    run_id : str
        The MLflow run it was logged by.
    is_champion : bool
    tags : mapping of str to str
        All of its tags; ``promotion`` and ``promotion.*`` hold the last decision about it.
    """

    version: int
    model_dir: str
    sha256: str
    run_id: str
    is_champion: bool
    tags: Mapping[str, str]


def registered_models(tracking_uri: str) -> list[RegisteredModel]:
    """Return all versions in the registry, the newest first; none where there is no registry yet.

    Raises
    ------
    MachineError
        RR621 where the tracking store can't be reached.
    """
    file = sqlite_file(tracking_uri)
    if file is not None and not file.exists():
        return []
    with tracking_store(tracking_uri) as client:
        champion = _champion_version(client)
        found = client.search_model_versions(f"name='{REGISTERED_NAME}'")
        models = [_registered(each, champion) for each in found]
    return sorted(models, key=lambda each: -each.version)


def champion_of(tracking_uri: str) -> RegisteredModel | None:
    """Return the version the alias ``champion`` stands on; None where it stands on none.

    Raises
    ------
    MachineError
        RR621 where the tracking store can't be reached.
    """
    file = sqlite_file(tracking_uri)
    if file is not None and not file.exists():
        return None
    with tracking_store(tracking_uri) as client:
        version = _champion_version(client)
        if version is None:
            return None
        return _registered(client.get_model_version(REGISTERED_NAME, version), version)


def champion_folder(tracking_uri: str, models: Path) -> Path:
    """Return the model directory of the champion, after seeing that it is the one that was promoted.

    Raises
    ------
    ConfigurationError
        RR207 where no model was promoted, RR208 where its directory is not in ``models``.
    ModelError
        RR415 where the directory holds another model; RR412 or RR413 where it was changed.
    MachineError
        RR621 where the tracking store can't be reached.
    """
    champion = champion_of(tracking_uri)
    if champion is None:
        raise ConfigurationError(
            "RR207",
            "champion",
            "no model has been promoted",
            "a model that `relapse-risk model promote` let pass",
            "Promote one, name a directory with --model, or use `--model none` for rules only",
            zh="尚无通过评审的正式模型（champion）：请先运行 relapse-risk model promote，"
            "或用 --model 指定模型目录，或用 --model none 仅按规则出单。",
        )
    folder = models / champion.model_dir
    if not folder.is_dir():
        raise ConfigurationError(
            "RR208",
            str(folder),
            "the champion's directory is not there",
            f"the directory of {champion.model_dir}, sha256 {champion.sha256[:12]}…",
            "Copy it there from where it was trained, or name another with --model",
            zh=f"正式模型 {champion.model_dir} 的目录不在此处，请复制到该位置，或用 --model 指定其他模型。",
        )
    found = model_hash(folder)
    if found != champion.sha256:
        raise ModelError(
            "RR415",
            str(folder),
            f"sha256 {found[:12]}…",
            f"the champion as promoted, sha256 {champion.sha256[:12]}…",
            "Restore the directory that was promoted, or promote this one",
            zh="该目录中的模型与已通过评审的正式模型不同，已拒绝使用。",
        )
    return folder


def version_of(tracking_uri: str, folder: Path) -> RegisteredModel:
    """Return the version of a model directory in the registry, found by its checksum.

    Raises
    ------
    ConfigurationError
        RR209 where the registry has none.
    """
    sha256 = model_hash(folder)
    for each in registered_models(tracking_uri):
        if each.sha256 == sha256:
            return each
    raise ConfigurationError(
        "RR209",
        str(folder),
        "this model is not in the registry",
        f"a version of {REGISTERED_NAME} with sha256 {sha256[:12]}… in {tracking_uri}",
        "Train it with this tracking_uri, or name in relapse.toml the store it was logged to",
    )


def record_decision(
    tracking_uri: str,
    model: RegisteredModel,
    tags: Mapping[str, str],
    files: Mapping[str, str],
    *,
    is_promoted: bool,
) -> None:
    """Leave a decision with its numbers as tags and files, and move the alias where it says yes.

    Parameters
    ----------
    tracking_uri : str
    model : RegisteredModel
    tags : mapping of str to str
        Set on the version and on its run.
    files : mapping of str to str
        Texts that become artefacts of its run, under ``promotion/``.
    is_promoted : bool
    """
    with tracking_store(tracking_uri) as client:
        for key, value in tags.items():
            client.set_model_version_tag(REGISTERED_NAME, str(model.version), key, value)
            client.set_tag(model.run_id, key, value)
        for name, text in files.items():
            client.log_text(model.run_id, text, f"promotion/{name}")
        # Last, so that a champion never stands there without the ground it was promoted on.
        if is_promoted:
            client.set_registered_model_alias(REGISTERED_NAME, CHAMPION, str(model.version))


def _champion_version(client: Any) -> str | None:
    for each in client.search_registered_models(f"name='{REGISTERED_NAME}'"):
        version = each.aliases.get(CHAMPION)
        return None if version is None else str(version)
    return None


def _registered(version: Any, champion: str | None) -> RegisteredModel:
    tags = dict(version.tags)
    return RegisteredModel(
        int(version.version),
        tags.get("model_dir", ""),
        tags.get("sha256", ""),
        str(version.run_id),
        str(version.version) == champion,
        tags,
    )
