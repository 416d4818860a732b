"""The champion: promoted through the gate alone, found again by checksum, used unless told otherwise."""

from __future__ import annotations

import json
import pickle
import pickletools
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from relapse_risk.cli import app
from relapse_risk.forecast.earlier import EXPECTED_FILE
from relapse_risk.modeling import registry
from relapse_risk.modeling.store import load_model, save_model
from relapse_risk.modeling.tracking import log_training
from relapse_risk.pipeline import open_store

EXPERIMENT = """
name = "{name}"
[model]
n_estimators = 40
num_leaves = 7
{model}
[evaluation]
capacities = [0.05]
bootstrap_replicates = 50
[evaluation.origins]
dates = [2022-09-30]
"""
DAY = ("--as-of", "2023-12-31")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with a store and one trained model, in which the tests work."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        (root / "relapse.toml").write_text('store = "store"\nlanguage = "en"\n', encoding="utf-8")
        (root / "small.toml").write_text(EXPERIMENT.format(name="small", model=""), encoding="utf-8")
        for call in (
            ("simulate", "--households", 900, "--months", 60, "--seed", 3, "--out", "exports"),
            ("ingest", "exports"),
            ("train", "--experiment", "small.toml"),
        ):
            done = run(*call)
            assert done.exit_code == 0, done.output
        yield root


def test_the_card_says_how_stable_ranks_lists_and_reasons_are(project: Path) -> None:
    """Measured by training again with another seed, and a month later by the same data."""
    model = json.loads((project / "models" / "small" / "1" / "model.json").read_text(encoding="utf-8"))
    stability = model["metadata"]["stability"]
    for comparison in (stability["seeds"], stability["months"]):
        assert comparison["rank_correlation"] > 0.5
        for share in ("top_stays", "list_stays", "reasons_stay"):
            assert 0.0 < comparison[share] <= 1.0
    assert stability["seeds"]["rank_correlation"] < 1.0
    card = (project / "models" / "small" / "1" / "card.md").read_text(encoding="utf-8")
    assert f"| {stability['seeds']['rank_correlation']:.3f} |" in card
    assert "## 稳定性" in card
    assert "trained again with another seed" in card


def test_the_card_tells_kinds_of_relapse_apart_and_bounds_what_was_not_seen(project: Path) -> None:
    card = (project / "models" / "small" / "1" / "card.md").read_text(encoding="utf-8")
    for heading in ("各类返贫，容量 5%", "Kinds of relapse, capacity 5%", "Who was not wholly seen"):
        assert f"## {heading}" in card
    for line in ("because income fell", "only because the line rose", "lasting six months or more"):
        assert f"| {line} |" in card
    assert "| bounds |" in card


@pytest.mark.filterwarnings("ignore")
def test_champion_from_refusal_to_list(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from relapse_risk.evaluation import gate

    call = ("score", *DAY, "--out", "scores")
    refused = run(*call)
    assert refused.exit_code == 2
    assert "RR207" in refused.output
    assert "--model none" in refused.output
    assert not (project / "scores").exists()

    with monkeypatch.context() as strict:
        strict.setattr(gate, "SLOPE_BOUNDS", (98.0, 99.0))
        said_no = run("model", "promote", "small/1")
    assert said_no.exit_code == 1, said_no.output
    assert "✗ calibration" in said_no.output
    assert registry.champion_of("sqlite:///experiments/mlflow.db") is None

    # What the gate asks is not met by every small county: here it asks little, and how it decides is tested.
    monkeypatch.setattr(gate, "SLOPE_BOUNDS", (0.0, 9.0))
    monkeypatch.setattr(gate, "LARGEST_SHIFT", 9.0)
    monkeypatch.setattr(gate, "MARGIN", 1.0)
    promoted = run("model", "promote", "small/1")
    assert promoted.exit_code == 0, promoted.output
    champion = registry.champion_of("sqlite:///experiments/mlflow.db")
    assert champion is not None
    assert champion.model_dir == "small/1"
    assert champion.tags["promotion"] == "promoted"
    assert float(champion.tags["promotion.baseline.low"]) > -1.0
    page = (project / "models" / "small" / "promotion_1.md").read_text(encoding="utf-8")
    assert "正式模型评审" in page
    assert "not inferior to" in page
    load_model(project / "models" / "small" / "1")

    assert "champion" in run("model", "list").output
    assert "small/1: promoted" in run("model", "show", "champion").output
    scored = run(*call)
    assert scored.exit_code == 0, scored.output
    assert "models/small/1" in scored.output

    again = run("model", "promote", "small/1")
    assert "not inferior to champion small/1" in again.output


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_rules_alone_become_champion_and_serve_every_verb(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From training to the question a clerk is asked on the phone, with a model that is the rules."""
    from relapse_risk.evaluation import gate

    (project / "rules.toml").write_text(
        EXPERIMENT.format(name="rules_only", model='kind = "rules"'), encoding="utf-8"
    )
    for name, value in {"SLOPE_BOUNDS": (0.0, 99.0), "LARGEST_SHIFT": 9.0, "MARGIN": 1.0}.items():
        monkeypatch.setattr(gate, name, value)
    for call in (
        ("train", "--experiment", "rules.toml"),
        ("model", "promote", "rules_only/1"),
        ("score", *DAY, "--out", "rules_scores"),
        ("visit-list", *DAY, "--capacity", 60, "--out", "rules_lists"),
        ("forecast", *DAY, "--experiment", "rules.toml", "--out", "rules_forecast"),
    ):
        done = run(*call)
        assert done.exit_code == 0, done.output
    scores = pl.read_parquet(project / "rules_scores" / "scores.parquet")
    assert scores["risk_12m"].n_unique() > 100
    household = scores.sort("score", descending=True)["household_id"][0]
    explained = run("explain", household, *DAY)
    assert explained.exit_code == 0, explained.output
    files = {path.name for path in (project / "models" / "rules_only" / "1").iterdir()}
    assert {"rules.json", "checksums.json", "card.md", "model.json"} <= files


@pytest.mark.filterwarnings("ignore")
def test_a_directory_that_is_not_the_champion_is_refused(project: Path, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    model = load_model(project / "models" / "small" / "1")
    folder = save_model(model, tmp_path / "models" / "small" / "1")
    log_training(model, folder, tracking_uri=uri)
    version = registry.version_of(uri, folder)
    registry.record_decision(uri, version, {}, {"decision.md": "x"}, is_promoted=True)
    assert registry.champion_folder(uri, tmp_path / "models") == folder

    shutil.rmtree(folder)
    with pytest.raises(Exception, match="RR208"):
        registry.champion_folder(uri, tmp_path / "models")
    other = replace(model, metadata={**model.metadata, "seed": 99})
    save_model(other, folder)
    with pytest.raises(Exception, match="RR415"):
        registry.champion_folder(uri, tmp_path / "models")
    with pytest.raises(Exception, match="RR209"):
        registry.version_of(uri, folder)


@pytest.mark.filterwarnings("ignore")
def test_nothing_tracked_is_a_pickle_or_names_a_household(project: Path) -> None:
    """All that training and promotion left in MLflow and in the model directories, byte by byte."""
    panel = open_store(project / "store")
    known = panel.known_at(date(2023, 12, 31)).households
    households, villages = (
        re.compile("|".join(map(re.escape, known[name].unique().to_list())).encode())
        for name in ("household_id", "village_code")
    )
    assert len(known) > 800
    files = [
        path for top in ("experiments", "models") for path in (project / top).rglob("*") if path.is_file()
    ]
    found = {path.name for path in files}
    assert {"mlflow.db", "MLmodel", "booster.txt", "card.md", "gain.png", "reliability.png"} <= found
    assert {"summary.html", "groups.html", "contributions.html", "contributions.png"} <= found
    for path in files:
        content = path.read_bytes()
        assert households.search(content) is None, path
        # Sums by village, of five households and more, by which the forecast weighs risks.
        assert path.name == EXPECTED_FILE or villages.search(content) is None, path
        assert path.suffix not in {".pkl", ".pickle", ".joblib", ".cloudpickle", ".pt", ".npy"}
        assert not is_pickle(content), path


def is_pickle(content: bytes) -> bool:
    try:
        return any(opcode.name == "STOP" for opcode, _, _ in pickletools.genops(content))
    except (ValueError, UnicodeDecodeError, IndexError):
        return False


def test_the_scan_knows_a_pickle() -> None:
    assert all(is_pickle(pickle.dumps({"a": 1}, protocol)) for protocol in range(6))
