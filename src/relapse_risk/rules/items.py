"""Rules that are told item by item: the check list for clearance, and the contradictions of the record.

Nothing is decided here: the list goes into 入户核实, 评议公示 and 审核公告.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.expression import Array, Expression
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.catalog.clearance import CLEARANCE_CHECKS
from relapse_risk.rules.catalog.records import RECORD_CHECKS
from relapse_risk.rules.phrases import render_rows
from relapse_risk.rules.spec import Check, RuleState, states_in
from relapse_risk.scores import CANNOT_JUDGE, RuleHits
from relapse_risk.vocabulary import Language


def check_states(
    matrix: FeatureMatrix, hits: RuleHits, checks: Sequence[Check], rows: NDArray[np.int64]
) -> NDArray[np.int8]:
    """Return the state of each check for chosen rows, shape ``(n_rows, n_checks)``: 1, 0, -1 cannot judge."""
    chosen = matrix.rows(rows)
    read = {code for check in checks for code in states_in(check.condition)}
    given: dict[Expression, Array] = {RuleState(code): hits.truth(code)[rows] for code in read}
    truths = chosen.evaluate(*(check.condition for check in checks), given=given)
    columns = [np.where(np.isnan(truth), CANNOT_JUDGE, truth).astype(np.int8) for truth in truths]
    return np.column_stack(columns) if columns else np.zeros((len(rows), 0), dtype=np.int8)


def clearance_list(
    matrix: FeatureMatrix, hits: RuleHits, language: Language = "zh", rows: NDArray[np.int64] | None = None
) -> pl.DataFrame:
    """Return the check list for clearance of every household on the register, item by item.

    Parameters
    ----------
    matrix : FeatureMatrix
    hits : RuleHits
        Of ``matrix``, with all rules of the catalogue.
    language : {"zh", "en"}
        Of names and sentences.
    rows : ndarray of int64, optional
        Positions in the matrix; all rows where not given. Households outside the register have no list.

    Returns
    -------
    polars.DataFrame
        household_id, as_of_date, county_code, village_code, item, name, state, facts; one row an item, in the
        order of the matrix. ``state`` is 1 fulfilled, 0 not, -1 cannot be judged. A household all of whose
        items are fulfilled is a hit of R32: a candidate, and no more.

    Notes
    -----
    Implementation opinion, article (二); zongyang.gov.cn 913795 on the items, jiusongjiankang 5453101 on
    households in which nobody can work.
    """
    positions = np.arange(len(matrix)) if rows is None else rows
    registered = positions[matrix.column("is_registered")[positions] >= 1]
    states = check_states(matrix, hits, CLEARANCE_CHECKS, registered)
    index = matrix.index[registered].select("household_id", "as_of_date", "county_code", "village_code")
    parts = [
        index.with_row_index("row").with_columns(
            pl.lit(place).alias("place"),
            pl.lit(check.key).alias("item"),
            pl.lit(check.zh if language == "zh" else check.en).alias("name"),
            pl.Series("state", states[:, place], dtype=pl.Int8),
            pl.Series("facts", render_rows(check.text, matrix, registered, language), dtype=pl.String),
        )
        for place, check in enumerate(CLEARANCE_CHECKS)
    ]
    return pl.concat(parts).sort("row", "place").drop("row", "place")


def record_checks(matrix: FeatureMatrix, hits: RuleHits) -> pl.DataFrame:
    """Return how often each check of the record (R35) finds a contradiction, finds none, and can't tell.

    Returns
    -------
    polars.DataFrame
        check, zh, en, hit, no_hit, cannot_judge; counts add up to the rows of the matrix.
    """
    states = check_states(matrix, hits, RECORD_CHECKS, np.arange(len(matrix)))
    names = {
        "check": [check.key for check in RECORD_CHECKS],
        "zh": [check.zh for check in RECORD_CHECKS],
        "en": [check.en for check in RECORD_CHECKS],
    }
    counts = {
        name: pl.Series((states == state).sum(axis=0), dtype=pl.Int64)
        for name, state in (("hit", 1), ("no_hit", 0), ("cannot_judge", CANNOT_JUDGE))
    }
    return pl.DataFrame({**names, **counts})
