"""Pictures of the rules show the numbers of the tables, in either language and without a Chinese font."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from tests.outputs.conftest import AS_OF, LINE

from relapse_risk.errors import ContractError
from relapse_risk.outputs import chart
from relapse_risk.outputs.rule_plots import plot_caseload_curve, plot_coverage, plot_rule_hits, plot_what_if
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.caseload import CaseloadCurve, WhatIf
from relapse_risk.rules.roll_up import RollUp, roll_up
from relapse_risk.rules.what_if import caseload_curve, what_if
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import Language


@pytest.fixture(scope="module")
def tried(panel: Panel) -> WhatIf:
    return what_if(panel, AS_OF, {"line": 1.5 * LINE})


@pytest.fixture(scope="module")
def curve(panel: Panel) -> CaseloadCurve:
    return caseload_curve(panel, AS_OF, "line", [LINE, 1.25 * LINE, 1.5 * LINE])


@pytest.fixture(scope="module")
def result(panel: Panel) -> RollUp:
    return roll_up(panel, AS_OF)


@pytest.fixture
def draw_all(
    hits: RuleHits, tried: WhatIf, curve: CaseloadCurve, result: RollUp
) -> Callable[[Language], list[Figure]]:
    def draw(language: Language) -> list[Figure]:
        return [
            plot_rule_hits(hits, language),
            plot_caseload_curve(curve, language),
            *(plot_what_if(tried, by, language) for by in ("category", "township", "labour_class", "county")),
            plot_coverage(result, language=language),
        ]

    return draw


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_a_what_if_shows_its_counts_and_who_moves(tried: WhatIf) -> None:
    shown = texts(plot_what_if(tried, "county", "en"))
    for row in tried.table("county").to_dicts():
        assert str(row["now"]) in shown
        moved = f"{row['then']}  (+{row['entering']} \N{MINUS SIGN}{row['leaving']})"
        assert (moved if row["entering"] or row["leaving"] else str(row["then"])) in shown
    assert tried.totals["entering"] > 0


def test_the_curve_marks_the_value_in_force(curve: CaseloadCurve) -> None:
    assert f"in force {LINE:g}" in texts(plot_caseload_curve(curve, "en"))


def test_coverage_says_its_counts(result: RollUp) -> None:
    houses = result.county_coverage().to_pandas().query("indicator == 'housing' and group == 'all'")
    unmet, unknown, known = (int(houses[name].sum()) for name in ("unmet", "unknown", "known"))
    said = f"{unmet} not covered, {unknown} not known, of {known + unknown}"
    assert said in texts(plot_coverage(result, language="en"))


def test_without_a_chinese_font_there_are_no_boxes(
    draw_all: Callable[[Language], list[Figure]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chart, "chinese_family", lambda: None)
    for figure in draw_all("en"):
        assert all(letter <= "\u2e7f" for text in texts(figure) for letter in text)
        figure.canvas.draw()


def test_all_draw_in_chinese_without_a_missing_character(
    draw_all: Callable[[Language], list[Figure]],
) -> None:
    for figure in draw_all("zh"):
        figure.canvas.draw()  # a missing character is a warning, and a warning is an error


def test_an_unknown_grouping_is_refused(tried: WhatIf) -> None:
    with pytest.raises(ContractError, match="RR306"):
        plot_what_if(tried, "tier")
