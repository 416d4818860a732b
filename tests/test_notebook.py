"""Results in a notebook: as-of date, horizon, rows and where they come from; nothing runs as markup."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from relapse_risk.features.build import build_features
from relapse_risk.notebook import html_card
from relapse_risk.outputs.visit_list import make_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.store import Store
from relapse_risk.panel.synthetic import simulate
from relapse_risk.rules.apply import apply_rules
from relapse_risk.scores import RiskScores

DAY = date(2022, 6, 30)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store of two commits."""
    panel = simulate(200, 36, seed=4, oracle_dates=(), hazard_paths=0).panel()
    made = Store(tmp_path_factory.mktemp("store"))
    made.commit(Panel({name: frame for name, frame in panel.tables.items() if name != "visit"}))
    made.commit(Panel({"visit": panel.tables["visit"]}))
    return made


@pytest.fixture(scope="module")
def shown(store: Store) -> dict[str, str]:
    panel = store.open()
    matrix = build_features(panel, [DAY])
    hits = apply_rules(matrix)
    risk = np.linspace(0.0, 0.3, len(matrix))
    scores = RiskScores(matrix.index, (6, 12), np.column_stack([risk / 2, risk]), risk, matrix.provenance)
    made = make_visit_list(matrix, hits, None, 20, panel=panel)
    results = (panel, panel.known_at(DAY), matrix, hits, scores, made)
    return {type(result).__name__: result._repr_html_() for result in results}


def test_results_say_their_date_and_size(shown: dict[str, str]) -> None:
    for name in ("KnownPanel", "FeatureMatrix", "RuleHits", "RiskScores", "VisitList"):
        assert "2022-06-30" in shown[name], name
    assert "12 个月 months" in shown["RiskScores"]
    assert "features hash" in shown["FeatureMatrix"]
    assert "收入水平" in shown["FeatureMatrix"]
    assert "R01" in shown["RuleHits"]
    assert "household" in shown["Panel"]
    assert all(len(html) < 20_000 for html in shown.values())


def test_results_say_which_state_of_the_store_they_were_made_from(
    store: Store, shown: dict[str, str]
) -> None:
    """Its newest commit, and the hash of its data."""
    newest = store.log()[-1].id
    data = str(store.open().provenance["data_sha256"])[:12]
    for name in ("FeatureMatrix", "RuleHits", "RiskScores"):
        assert newest in shown[name], name
        assert data in shown[name], name


def test_results_of_a_synthetic_county_say_so() -> None:
    panel = simulate(60, 24, seed=4, oracle_dates=(), hazard_paths=0).panel()
    matrix = build_features(panel, [date(2020, 6, 30)])
    assert "hebei_like, seed 4" in matrix._repr_html_()
    assert "hebei_like, seed 4" in matrix.rows(np.arange(3))._repr_html_()


def test_what_is_shown_is_escaped() -> None:
    html = html_card("<b>", {"<i>": "<script>"}, [["<img>"]], ["<td>"])
    for tag in ("<b>", "<i>", "<script>", "<img>"):
        assert tag not in html
