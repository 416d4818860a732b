"""The model directory: the same bits back, no pickle, and no byte changed unnoticed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from tests.modeling.conftest import SPLIT

from relapse_risk.errors import ContractError, ModelError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.own import use_feature_modules
from relapse_risk.features.spec import FeatureSet
from relapse_risk.modeling.store import (
    CHECKSUM_FILE,
    _load_pyfunc,
    load_model,
    model_hash,
    next_version,
    save_model,
)
from relapse_risk.modeling.training import train_model


@pytest.fixture
def saved(model, tmp_path: Path) -> Path:
    return save_model(model, tmp_path / "small" / "1", files={"experiment.toml": 'name = "small"\n'})


@pytest.mark.parametrize("kind", ["hazard", "logistic", "blend", "best_indicator"])
def test_a_loaded_model_predicts_the_same_bits(train, training_data, tmp_path: Path, kind: str) -> None:
    matrix = training_data[0]
    model = train(kind)
    loaded = load_model(save_model(model, tmp_path / "1"), matrix.features)
    before, after = model.predict_risk(matrix), loaded.predict_risk(matrix)
    assert np.array_equal(before.risk, after.risk)
    assert np.array_equal(before.ranking, after.ranking)
    assert loaded.experiment == model.experiment
    assert loaded.metadata == json.loads(json.dumps(model.metadata))
    assert loaded.reliability.equals(model.reliability)


def test_the_directory_holds_text_and_a_checksum_of_every_file(saved: Path) -> None:
    names = {path.name for path in saved.iterdir()}
    assert names == {
        "booster.txt",
        "card.md",
        "checksums.json",
        "experiment.toml",
        "model.json",
        "reliability.csv",
    }
    assert set(json.loads((saved / CHECKSUM_FILE).read_text())) == names - {CHECKSUM_FILE}
    for path in saved.iterdir():
        path.read_text(encoding="utf-8")
    assert [path.name for path in saved.parent.iterdir()] == ["1"]


def test_the_same_model_is_written_as_the_same_bytes(train, saved: Path, tmp_path: Path) -> None:
    again = save_model(train(), tmp_path / "other" / "1", files={"experiment.toml": 'name = "small"\n'})
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {
        p.name: p.read_bytes() for p in saved.iterdir()
    }
    assert model_hash(again) == model_hash(saved)


@pytest.mark.parametrize(
    "name", ["booster.txt", "model.json", "reliability.csv", "card.md", "experiment.toml", CHECKSUM_FILE]
)
@pytest.mark.parametrize("place", [0, 0.5, 1])
def test_one_changed_byte_is_refused(saved: Path, training_data, name: str, place: float) -> None:
    content = bytearray((saved / name).read_bytes())
    position = int(place * (len(content) - 1))
    content[position] = content[position] ^ 1
    (saved / name).write_bytes(bytes(content))
    with pytest.raises(ModelError, match="RR413"):
        load_model(saved, training_data[0].features)


def test_a_missing_file_or_a_folder_without_model_is_refused(saved: Path, training_data) -> None:
    (saved / "card.md").unlink()
    with pytest.raises(ModelError, match=r"RR413.*card\.md"):
        load_model(saved, training_data[0].features)
    with pytest.raises(ModelError, match="RR412"):
        load_model(saved.parent)


def test_features_at_hand_must_be_those_of_the_training(saved: Path, training_data) -> None:
    features = training_data[0].features
    with pytest.raises(ContractError, match="RR361"):
        load_model(saved, FeatureSet(f for f in features if f.name != "noise"))


def test_a_version_is_never_overwritten(model, saved: Path) -> None:
    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    with pytest.raises(ModelError, match="RR411"):
        save_model(model, saved)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


def test_versions_count_up(tmp_path: Path) -> None:
    assert next_version(tmp_path, "m") == "1"
    for name in ("2", "10", "notes", ".11-x"):
        (tmp_path / "m" / name).mkdir(parents=True)
    assert next_version(tmp_path, "m") == "11"


def test_a_write_that_fails_leaves_nothing(model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Path, content: bytes) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, tmp_path / "m" / "1")
    assert list((tmp_path / "m").iterdir()) == []


def test_the_pyfunc_scores_a_frame_of_feature_columns(model, saved: Path, training_data) -> None:
    matrix = training_data[0].rows(np.arange(50))
    served = _load_pyfunc(str(saved))
    frame = matrix.to_pandas().reset_index(drop=True)
    risk = served.predict(frame)
    assert list(risk.columns) == ["risk_3m", "risk_6m", "risk_12m"]
    assert np.array_equal(risk.to_numpy(), model.predict_risk(matrix).risk)
    with pytest.raises(ContractError, match="RR361"):
        served.predict(frame.drop(columns="labour"))


def test_the_card_speaks_both_languages_and_names_every_limit(train, training_data, tmp_path: Path) -> None:
    model = train()
    model.metadata["unverified_parameters"].append("line")
    model.metadata["provenance"]["assumed"] = {"observation.recorded_on": "period_end + 20 days"}
    results = pl.DataFrame({"policy": ["rules", "rules+model"], "precision_at_capacity": [0.2, 0.31418]})
    card = (save_model(model, tmp_path / "1", results) / "card.md").read_text()
    for text in (
        "模型卡",
        "Model card",
        "本分值仅为走访排序参考",
        "This score only orders visits",
        "使用了未核实的参数：line",
        "nobody verified: line",
        "period_end + 20 days",
        "0.3142",
        "censored",
        "可靠性表",
    ):
        assert text in card


def test_the_card_gives_groups_and_judges_none_by_too_few(model, tmp_path: Path) -> None:
    ends = {f"{name}{end}": [0.25, 0.5] for name in ("precision", "recall") for end in ("", "_low", "_high")}
    few = {"precision_is_too_few": [False, True], "recall_is_too_few": [False, True]}
    groups = pl.DataFrame(
        {"zh": ["全部", "小村"], "en": ["everybody", "small"], "n": [900.0, 12.0], **ends, **few}
    )
    card = (save_model(model, tmp_path / "1", groups=groups) / "card.md").read_text()
    assert "| everybody | 900 | 0.250 (0.250–0.250) | 0.250 (0.250–0.250) |" in card
    assert "| small | 12 | too few to judge | too few to judge |" in card
    assert "| 小村 | 12 | 样本过少 | 样本过少 |" in card


OWN_MODULE = """
from relapse_risk.features.expression import param
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Unit

OWN = Feature("own_gap", "自定义", "own", Unit.RATIO, "own", param("own_gap"))
FEATURES = (OWN,)
"""


def test_a_model_is_refused_without_the_own_modules_it_was_trained_with(
    training_data, experiment, tmp_path: Path
) -> None:
    (tmp_path / "county_extra.py").write_text(OWN_MODULE, encoding="utf-8")
    matrix, labels = training_data
    try:
        (module,) = use_feature_modules(["county_extra"], tmp_path)
        with_own = FeatureMatrix(
            matrix.index,
            FeatureSet((*matrix.features, *module.features)),
            np.column_stack([matrix.values, -matrix.values[:, 0]]),
        )
        model = train_model(with_own, labels, SPLIT, experiment)
        folder = save_model(model, tmp_path / "models" / "1")
        plain = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        assert plain["feature_modules"] == {"county_extra": module.sha256}
        assert plain["features"][-1]["module"] == "county_extra"
        loaded = load_model(folder, with_own.features)
        np.testing.assert_array_equal(loaded.predict_risk(with_own).risk, model.predict_risk(with_own).risk)
    finally:
        use_feature_modules([])
    with pytest.raises(ContractError, match=r"RR365.*county_extra \(sha256 .*relapse\.toml"):
        load_model(folder, matrix.features)
