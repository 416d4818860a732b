"""What a missing value means, cell by cell, and how much of each family is known of a household.

A value is missing for one of four reasons. *Table absent*: nobody handed in a table the formula reads. *Not
applicable*: the feature says that there need not be a value, such as the days since a diagnosis nobody made.
*Not due*: the household's reports do not reach back as far as the formula looks, and none is overdue, so that
there is nothing to ask for yet. *Not reported*: all else; somebody could fill it in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.expression import Expression
from relapse_risk.features.reads import Reads, reads_of
from relapse_risk.features.spec import FAMILIES, FeatureSet, Missing
from relapse_risk.vocabulary import Role

if TYPE_CHECKING:
    from relapse_risk.features.matrix import FeatureMatrix

# Codes of a cell, in the order of `MEANINGS`; 0 is a known value.
MEANINGS = (None, Missing.NOT_APPLICABLE, Missing.NOT_DUE, Missing.NOT_REPORTED, Missing.TABLE_ABSENT)
KNOWN, NOT_APPLICABLE, NOT_DUE, NOT_REPORTED, TABLE_ABSENT = range(5)
# A report this much later than its period's length after the one before is overdue: for quarters that is six
# months without news, when a household's state counts as unknown in the cohort, too.
USUAL_DELAY_MONTHS = 3

# Where more households than this share have nothing in a table, it was handed in for some only, and to have
# nothing is no exception.
_MOST_WITHOUT = 0.05

Codes = NDArray[np.uint8]


@dataclass(frozen=True)
class Coverage:
    """Share of what could be known that is known.

    Attributes
    ----------
    families : tuple of str
        In the order of the features.
    share : ndarray of float32, shape (n_rows, n_families)
        Known over known, not reported and table absent; NaN where nothing applies or is due.
    """

    families: tuple[str, ...]
    share: NDArray[np.float32]

    def to_polars(self) -> pl.DataFrame:
        """Return one column a family."""
        return pl.DataFrame(self.share, schema=list(self.families), orient="row")


def missing_codes(matrix: FeatureMatrix, name: str) -> Codes:
    """Return why each cell of a feature is missing, shape ``(n_rows,)``; positions in ``MEANINGS``."""
    is_missing = np.isnan(matrix.column(name))
    codes = np.zeros(len(matrix), dtype=np.uint8)
    if not is_missing.any():
        return codes
    feature, reads = matrix.features[name], reads_in(matrix, name)
    if matrix.absent_tables.intersection(reads.tables):
        codes[is_missing] = TABLE_ABSENT
    elif feature.missing is Missing.NOT_APPLICABLE:
        codes[is_missing] = NOT_APPLICABLE
    else:
        codes[is_missing] = np.where(_is_not_due(matrix, reads)[is_missing], NOT_DUE, NOT_REPORTED)
    return codes


def coverage_of(matrix: FeatureMatrix) -> Coverage:
    """Return the coverage of every row and family; a column at a time, so that no second matrix is made."""
    families = tuple(dict.fromkeys(feature.family for feature in matrix.features))
    known, expected = (np.zeros((len(matrix), len(families)), dtype=np.uint16) for _ in range(2))
    for feature in matrix.features:
        codes, place = missing_codes(matrix, feature.name), families.index(feature.family)
        known[:, place] += codes == KNOWN
        expected[:, place] += (codes != NOT_APPLICABLE) & (codes != NOT_DUE)
    share = np.full(known.shape, np.nan, dtype=np.float32)
    np.divide(known, expected, out=share, where=expected > 0)
    return Coverage(families, share)


def thin_families(coverage: Coverage, below: float = 0.5) -> list[tuple[str, ...]]:
    """Return, for each row, the families of the catalogue of which less than a share is known."""
    places = [(i, family) for i, family in enumerate(coverage.families) if family in FAMILIES]
    is_thin = coverage.share < below
    return [tuple(family for i, family in places if row[i]) for row in is_thin]


def is_too_thin(matrix: FeatureMatrix, below: float = 0.5) -> NDArray[np.bool_]:
    """Return the rows of which too little is known for a model to place them, shape ``(n_rows,)``.

    Of the features a model may read that apply, are due and whose tables were handed in, less than ``below``
    is known; or of those that read one table alone none is, while nearly all others have some. A table that
    nobody handed in is missing for everybody and thins nobody in particular.
    """
    n = len(matrix)
    known, expected = np.zeros(n), np.zeros(n)
    by_table: dict[str, NDArray[np.bool_]] = {}
    for feature in matrix.features.with_role(Role.MODEL):
        codes, tables = missing_codes(matrix, feature.name), reads_in(matrix, feature.name).tables
        is_known, is_lacking = codes == KNOWN, codes == NOT_REPORTED
        known += is_known
        expected += is_known | is_lacking
        if len(tables) == 1:
            by_table.setdefault(tables[0], np.zeros((2, n), dtype=np.bool_))
            by_table[tables[0]] |= np.stack([is_known, is_lacking])
    thin: NDArray[np.bool_] = known < below * expected
    for has_some, lacks_some in by_table.values():
        is_without = lacks_some & ~has_some
        if is_without.sum() <= _MOST_WITHOUT * n:
            thin |= is_without
    return thin


def reads_in(matrix: FeatureMatrix, name: str) -> Reads:
    """Return what a feature of the matrix reads."""
    return _reads_of(matrix.features, name)


@lru_cache(maxsize=4096)
def _reads_of(features: FeatureSet, name: str) -> Reads:
    from relapse_risk.features.catalog import CATALOG

    def formula_of(other: str) -> Expression:
        return (features if other in features else CATALOG)[other].formula

    return reads_of(features[name].formula, formula_of)


def _is_not_due(matrix: FeatureMatrix, reads: Reads) -> NDArray[np.bool_]:
    """Return where reports are up to date, but do not reach back as far as the formula looks."""
    wanted = ("months_since_report", "report_months", "reported_months")
    if "observation" not in reads.tables or any(name not in matrix.features for name in wanted):
        return np.zeros(len(matrix), dtype=np.bool_)
    age, length, reported = (matrix.column(name) for name in wanted)
    is_overdue = age > length + USUAL_DELAY_MONTHS
    reach = np.maximum(reads.months, reads.periods * length)
    is_short: NDArray[np.bool_] = ~is_overdue & (reported + 1e-6 < reach)
    return is_short
