"""What moved a risk between two dates: only facts whose figure changed, one of each family."""

from __future__ import annotations

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.explain.changes import common_households, moved_facts

from .conftest import MakeAttributions, MakeMatrix


def told(make_matrix: MakeMatrix, make_attributions: MakeAttributions, rows, shares):
    before, after = (make_matrix([row]) for row in rows)
    given = [(m, make_attributions(m, [share])) for m, share in zip((before, after), shares, strict=True)]
    return moved_facts(*given)[0]


def test_the_change_that_moved_the_risk_most_speaks_first_with_both_figures(make_matrix, make_attributions):
    found = told(
        make_matrix,
        make_attributions,
        ({"ref_income_to_line": 1.4, "alerts_90d": 0}, {"ref_income_to_line": 1.1, "alert_90d_n": 2}),
        ({"ref_income_to_line": -0.5}, {"ref_income_to_line": 0.4, "alerts_90d": 0.3}),
    )
    assert [fact.feature.name for fact in found] == ["ref_income_to_line", "alerts_90d"]
    assert found[0].shift == pytest.approx(0.9)
    assert "由1.4" in found[0].say("zh")
    assert found[0].say("zh").endswith("（风险上升）")


def test_a_shift_without_a_changed_figure_is_no_fact(make_matrix, make_attributions):
    """Contributions also move by interaction with other features: the record has nothing to say of it."""
    same = {"ref_income_to_line": 1.4}
    assert not told(make_matrix, make_attributions, (same, same), ({}, {"ref_income_to_line": 0.8}))
    assert not told(make_matrix, make_attributions, ({}, {}), ({}, {"ref_income_to_line": 0.8}))


def test_a_figure_that_is_known_no_more_is_said_to_be_so(make_matrix, make_attributions):
    found = told(
        make_matrix, make_attributions, ({"ref_income_to_line": 1.4}, {}), ({}, {"ref_income_to_line": -0.8})
    )
    assert "为未知" in found[0].say("zh")
    assert found[0].say("en").endswith("to not known (risk down)")


def test_rows_of_other_households_are_refused(make_matrix, make_attributions):
    two = make_matrix([{}, {}])
    pairs = [(m, make_attributions(m, [{}])) for m in (two.rows(np.array([0])), two.rows(np.array([1])))]
    with pytest.raises(ContractError, match="RR475"):
        moved_facts(*pairs)
    rows = common_households(two, two.rows(np.array([1]))).rows()
    assert rows == [("H00001", 1, 0)]
