"""The same inputs give the same bytes: exports, store, model, scores and lists, in another process too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# The flow as the verbs run it, without tracking, which keeps times of its own.
FLOW = """
import sys
from datetime import date
from pathlib import Path

from relapse_risk.config import EvaluationConfig, Experiment, ModelConfig
from relapse_risk.modeling.store import save_model
from relapse_risk.outputs.visit_list import ListSettings
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.synthetic import simulate, write_exports, write_truth
from relapse_risk.pipeline import open_store, train
from relapse_risk.runs import ListOptions, write_features, write_rule_hits, write_scores, write_visit_lists

out, day = Path(sys.argv[1]), date(2023, 12, 31)
county = simulate(500, 66, seed=2, oracle_dates=[date(2023, 6, 30)], n_paths=2, hazard_paths=1)
write_exports(county, out / "exports", n_bad_rows=5)
write_truth(county.truth, out / "truth")
ingest(out / "exports", out / "store", today=date(2025, 1, 1))
model = ModelConfig(kind="blend", n_estimators=25, num_leaves=7, min_child_samples=20)
experiment = Experiment(name="small", model=model, evaluation=EvaluationConfig(gap_months=2))
folder = save_model(train(open_store(out / "store"), experiment), out / "models" / "small" / "1")
write_features(out / "store", [day], out / "features" / "features.parquet")
write_rule_hits(out / "store", day, out / "rules")
write_scores(out / "store", folder, day, out / "scores")
options = ListOptions(60, ListSettings())
write_visit_lists(out / "store", folder, day, out / "list", options)
write_visit_lists(out / "store", None, day, out / "list_of_rules", options)
"""


def run_flow(folder: Path, **environment: str) -> dict[str, bytes]:
    """Bytes of every file a fresh Python writes, by name; the record of a commit holds its time."""
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FLOW, str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    timed = [name for name in named if name.startswith(("store/commits/", "store/manifest"))]
    assert len(timed) == 2
    return {name: data for name, data in named.items() if name not in timed}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Two runs that differ in what must not matter: order of sets, number of threads, time zone."""
    root = tmp_path_factory.mktemp("same_bytes")
    one = run_flow(
        root / "one", PYTHONHASHSEED="1", OMP_NUM_THREADS="1", POLARS_MAX_THREADS="1", TZ="Asia/Shanghai"
    )
    other = run_flow(
        root / "other", PYTHONHASHSEED="2", OMP_NUM_THREADS="2", POLARS_MAX_THREADS="2", TZ="America/New_York"
    )
    return one, other


def test_two_processes_write_the_same_bytes(runs: tuple[dict[str, bytes], dict[str, bytes]]) -> None:
    one, other = runs
    assert one.keys() == other.keys()
    assert [name for name in one if one[name] != other[name]] == []


@pytest.mark.parametrize(
    ("kind", "n_files"),
    [("exports", 10), ("truth", 4), ("store/tables", 9), ("models/small/1", 5), ("scores", 2), ("list", 3)],
)
def test_every_result_was_among_them(
    runs: tuple[dict[str, bytes], dict[str, bytes]], kind: str, n_files: int
) -> None:
    """Else the test above would hold for want of files."""
    written = [data for name, data in runs[0].items() if name.startswith(f"{kind}/")]
    assert len(written) >= n_files
    assert all(len(data) > 0 for data in written)
