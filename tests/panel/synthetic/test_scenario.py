"""Scenario files: complete, known by name, and refused where something is misspelt."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.panel.synthetic import Scenario

FOLDER = Path(__file__).parents[3] / "data" / "scenarios"


def test_the_default_scenario_is_what_its_file_says() -> None:
    assert Scenario.load(FOLDER / "hebei_like.toml") == Scenario()


def test_scenarios_are_found_by_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Scenario.load("hebei_like") == Scenario()
    assert Scenario.load("no_signal").drawn.annual_rate > 0


def test_every_shipped_scenario_is_named_after_its_file() -> None:
    for path in FOLDER.glob("*.toml"):
        assert Scenario.load(path).name == path.stem


def test_an_unknown_scenario_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"RR221.*drift, hebei_like, no_signal, shock_year"):
        Scenario.load("atlantis")


def test_a_misspelt_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[farm]\nflood_rate = 0.1\n', encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"RR213.*flood_rate"):
        Scenario.load(path)


def test_the_line_steps_up_in_january_and_incomes_grow_in_step() -> None:
    scenario = Scenario()
    assert scenario.line_yuan(2022) == 7300.0
    assert scenario.line_yuan(2023) == 7770.0
    july = 2022 * 12 + 6
    assert scenario.price_level(july + 12) / scenario.price_level(july) == pytest.approx(1.065)


def test_scenarios_are_those_that_results_were_measured_on() -> None:
    """Whoever changes a scenario changes this record with it, and measures what was measured on it again."""
    recorded = dict(
        reversed(line.split())
        for line in (FOLDER / "sha256sums.txt").read_text(encoding="utf-8").splitlines()
    )
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in FOLDER.glob("*.toml")}
    assert found == recorded
