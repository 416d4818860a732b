"""The summary of contributions: the strongest features, high values apart from low ones, nobody alone."""

from __future__ import annotations

import numpy as np
import pytest

from relapse_risk.errors import ContractError
from relapse_risk.outputs.contribution_plot import FEWEST_SHOWN, _edges, _marks, plot_contributions
from relapse_risk.vocabulary import Bilingual

LABELS = [Bilingual(f"指标{i}", f"feature {i}") for i in range(4)]


def drawn() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(500, 4))
    contributions = values * np.array([0.1, 2.0, -0.5, 0.0])
    values[:50, 3] = np.nan
    return contributions, values


def test_the_strongest_features_stand_first() -> None:
    figure = plot_contributions(*drawn(), LABELS, "en", limit=3)
    named = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert named == ["feature 1", "feature 2", "feature 0"]


def test_no_mark_stands_for_a_few_households_and_high_values_are_told_apart() -> None:
    contributions, values = drawn()
    contributions[0, 1] = 30.0
    at, count, height = _marks(contributions[:, 1], values[:, 1], _edges(contributions))
    assert (count >= FEWEST_SHOWN).all()
    assert at.max() < 29
    assert height[-1] > 0.8 > 0.2 > height[0]


def test_values_that_are_nowhere_known_have_no_height() -> None:
    contributions, values = drawn()
    _, _, height = _marks(contributions[:, 0], np.full(len(values), np.nan), _edges(contributions))
    assert np.isnan(height).all()


def test_arrays_of_different_shape_are_refused() -> None:
    contributions, values = drawn()
    with pytest.raises(ContractError, match="RR476"):
        plot_contributions(contributions, values[:, :3], LABELS)
