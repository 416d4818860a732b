"""Heavy packages are imported when a function needs them: help, errors and lists of rules come at once."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = {"lightgbm", "matplotlib", "mlflow", "numba", "scipy", "shap", "sklearn"}
SCIENCE = {"scipy", "sklearn"}
FRAMES = {"pandas", "pyarrow"}


def loaded_after(statement: str) -> set[str]:
    """Top-level packages that a fresh Python holds after ``statement``."""
    program = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name.split(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_heavy_packages_are_seen_when_loaded() -> None:
    """The tests below rest on it."""
    assert "scipy" in loaded_after("import scipy.special")


@pytest.mark.parametrize("module", ["relapse_risk", "relapse_risk.cli"])
def test_the_way_in_loads_nothing_heavy(module: str) -> None:
    """`relapse-risk --help` has to answer at once."""
    assert loaded_after(f"import {module}") & (HEAVY | FRAMES) == set()


@pytest.mark.parametrize(
    "module", ["relapse_risk.evaluation", "relapse_risk.explain", "relapse_risk.outputs.plots"]
)
def test_module_loads_nothing_heavy(module: str) -> None:
    """A table needs no model and no plot."""
    assert loaded_after(f"import {module}") & HEAVY == set()


@pytest.mark.parametrize("module", ["relapse_risk.modeling.tracking", "relapse_risk.pipeline"])
def test_engines_are_imported_when_they_run(module: str) -> None:
    """A rules-only list needs no LightGBM, and training without tracking must not touch a server."""
    assert loaded_after(f"import {module}") & (HEAVY - SCIENCE) == set()
