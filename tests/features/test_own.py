"""A project's own features: found beside relapse.toml, checked, and part of every set from then on."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from relapse_risk.cli import app
from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.extra import features_for
from relapse_risk.features.own import feature_modules, own_features, use_feature_modules
from relapse_risk.mapping_config import ExtraColumn
from relapse_risk.panel.panel import Panel
from relapse_risk.thresholds import ThresholdTable

GUIDE = Path(__file__).parents[2] / "docs" / "add-a-feature.md"
DAY = date(2023, 12, 31)
HEADER = """
from relapse_risk.features.operators import events, members, is_in, rows
from relapse_risk.features.expression import feature
from relapse_risk.features.spec import Feature
from relapse_risk.vocabulary import Role, Unit
"""


def declared(name: str, formula: str, more: str = "") -> str:
    return f'{HEADER}\nFEATURES = (Feature("{name}", "某", "some", Unit.COUNT, "own", {formula}{more}),)\n'


@pytest.fixture(autouse=True)
def no_modules_afterwards() -> Iterator[None]:
    yield
    use_feature_modules([])


def guide_project(folder: Path) -> None:
    """Do what the guide says, word by word."""
    text = GUIDE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    line = re.search(r"`(features = \[.*?\])`", text)
    assert code
    assert line
    (folder / "county_extra.py").write_text(re.sub(r"(?m)^   ", "", code[1]), encoding="utf-8")
    (folder / "relapse.toml").write_text(line[1] + "\n", encoding="utf-8")


def test_the_guide_works_as_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_panel: Callable[..., Panel],
    thresholds: ThresholdTable,
) -> None:
    guide_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["features", "list", "--json"])
    assert shown.exit_code == 0, shown.output
    last = json.loads(shown.stdout)[-1]
    assert (last["name"], last["direction"]) == ("disasters_24m", "raises_risk")
    panel = make_panel(3)
    matrix = build_features(panel, [DAY], thresholds=thresholds)
    assert matrix.features.names == (*CATALOG.names, "disasters_24m")
    known = panel.known_at(DAY).table("event").filter(event_type="灾害")
    assert np.nansum(matrix.column("disasters_24m")) > 0
    assert np.nanmax(matrix.column("disasters_24m")) <= known.height


def test_the_guide_is_short() -> None:
    lines = GUIDE.read_text(encoding="utf-8")
    assert len(re.findall(r"(?m)^\d+\. ", lines)) == 10


def test_own_features_stand_behind_the_catalogue_and_before_extra_columns(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(declared("own_a", "events()"), encoding="utf-8")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "two.py").write_text(declared("own_b", 'feature("own_a") + 1'), encoding="utf-8")
    modules = use_feature_modules(["one", "more.two"], tmp_path)
    assert [module.name for module in modules] == ["one", "more.two"] == [m.name for m in feature_modules()]
    assert [feature.module for feature in own_features()] == ["one", "more.two"]
    assert all(re.fullmatch("[0-9a-f]{64}", module.sha256) for module in modules)
    rooms = ExtraColumn(column="R", name="rooms", zh="房间数", en="rooms")
    assert features_for(Panel({}, (rooms,))).names[-3:] == ("own_a", "own_b", "x_rooms")
    clash = Panel({}, (ExtraColumn(column="R", name="r", zh="房", en="r"),))
    (tmp_path / "three.py").write_text(declared("x_r", "events()"), encoding="utf-8")
    use_feature_modules(["three"], tmp_path)
    with pytest.raises(ContractError, match="RR311"):
        features_for(clash)


def test_a_module_may_import_its_neighbour_and_is_read_anew(tmp_path: Path) -> None:
    (tmp_path / "own_parts_of_formulas.py").write_text("WITHIN = 90\n", encoding="utf-8")
    text = "from own_parts_of_formulas import WITHIN\n" + declared("own_a", "events(within_days=WITHIN)")
    (tmp_path / "one.py").write_text(text, encoding="utf-8")
    first = use_feature_modules(["one"], tmp_path)[0]
    (tmp_path / "one.py").write_text(declared("own_c", "events()"), encoding="utf-8")
    second = use_feature_modules(["one"], tmp_path)[0]
    assert [m.features[0].name for m in (first, second)] == ["own_a", "own_c"]
    assert first.sha256 != second.sha256


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (None, "RR251"),
        ("import no_such_package_anywhere\n", "RR251"),
        ("def broken(:\n", "RR251"),
        (declared("own_a", 'events("没有这种事件")'), "RR251"),
        ("X = 1\n", "RR252"),
        ("FEATURES = [1]\n", "RR252"),
        (declared("ref_income_pc_12m", "events()"), "RR253"),
        (declared("own_a", 'members(is_in("sex", "女"))'), "RR254"),
        (declared("own_a", 'rows("visit") + events()'), "RR254"),
        (declared("own_a", 'feature("is_registered")'), "RR254"),
    ],
)
def test_a_module_that_cannot_serve_is_refused_by_name(tmp_path: Path, source: str | None, code: str) -> None:
    if source is not None:
        (tmp_path / "county_extra.py").write_text(source, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=rf"{code}\] features module county_extra") as refused:
        use_feature_modules(["county_extra"], tmp_path)
    assert refused.value.zh
    assert own_features() == ()


def test_two_modules_must_not_share_a_name(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text(declared("own_a", "events()"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"RR253.*taken by one"):
        use_feature_modules(["one", "two"], tmp_path)


def test_audits_may_read_what_models_must_not(tmp_path: Path) -> None:
    audit = declared("own_a", 'members(is_in("sex", "女"))', ", role=Role.AUDIT")
    (tmp_path / "one.py").write_text(audit, encoding="utf-8")
    assert own_features() == ()
    assert use_feature_modules(["one"], tmp_path)[0].features[0].module == "one"


def test_a_broken_module_is_said_without_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "relapse.toml").write_text('features = ["county_extra"]\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for verb in (
        ["features", "list"],
        ["train"],
        ["score", "--as-of", "2023-12-31", "--out", "o", "--store", "s"],
        ["visit-list", "--as-of", "2023-12-31", "--capacity", "9", "--out", "o", "--store", "s"],
    ):
        shown = CliRunner().invoke(app, verb)
        assert shown.exit_code == 2, verb
        assert "RR251" in shown.output, verb
