"""What a visit list is refused for."""

from __future__ import annotations

from relapse_risk.errors import ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.scores import RiskScores, RuleHits


def check_rows(matrix: FeatureMatrix, hits: RuleHits, scores: RiskScores | None) -> None:
    """Raise where hits or scores are not of the rows of the matrix.

    Raises
    ------
    ContractError
        RR483.
    """
    keys = ["household_id", "as_of_date"]
    others = {"rule hits": hits.index} | ({} if scores is None else {"risk scores": scores.index})
    for name, index in others.items():
        if not index.select(keys).equals(matrix.index.select(keys)):
            raise ContractError(
                "RR483",
                name,
                f"{index.height} rows that are not the {len(matrix)} of the matrix",
                "rules and scores of the same households, in the same order",
                "Apply rules and model to this matrix",
            )
