"""Who comes first among households that no rule names."""

from __future__ import annotations

import numpy as np

from relapse_risk.features.coverage import is_too_thin
from relapse_risk.features.expression import Array, feature
from relapse_risk.features.matrix import FeatureMatrix

_LOW_INCOMES_FIRST = (
    (-1 * feature("ref_income_to_line"))
    .or_else(-1 * feature("period_income_to_line"))
    .or_else(feature("below_line_share") - 1000)
)


def unknown_first(matrix: FeatureMatrix, ranking: Array) -> Array:
    """Return the ranking with households of which too little is known before all others.

    Whatever their record would say, it could not place them higher: absence of data lowers no household's
    rank. Their score stays as it is, and the list names what is missing.
    """
    first: Array = np.where(is_too_thin(matrix) & ~np.isnan(ranking), np.inf, ranking)
    return first


def low_incomes_first(matrix: FeatureMatrix) -> Array:
    """Return a ranking by income; who gives no income goes by the time below the line, after the others."""
    ranking: Array = matrix.evaluate(_LOW_INCOMES_FIRST)[0]
    return ranking
