"""What a visit list is refused for, and what it says loudly."""

from __future__ import annotations

from collections.abc import Mapping

from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.priority import VisitSelection
from relapse_risk.scores import RiskScores, RuleHits
from relapse_risk.vocabulary import Bilingual


def excess_messages(county: str, selection: VisitSelection) -> tuple[Bilingual, ...]:
    """Return a message where red and orange are more than the county can visit."""
    counts = selection.counts
    urgent, capacity, excess = counts["red"] + counts["orange"], counts["capacity"], counts["excess"]
    if not excess:
        return ()
    return (
        Bilingual(
            f"注意：{county}红色、橙色共{urgent}户，走访容量{capacity}户，超出{excess}户；"
            "红色、橙色已全部列入，请增派走访力量。",
            f"Attention: {county} has {urgent} red and orange households, capacity {capacity} visits; "
            f"the list exceeds it by {excess}. All of them are listed; more staff are needed.",
        ),
    )


def capacity_of(capacity: int | Mapping[str, int], county: str) -> int:
    """Return the visits of one county.

    Raises
    ------
    ConfigurationError
        RR484 where the county has none.
    """
    if isinstance(capacity, int):
        return capacity
    if county not in capacity:
        raise ConfigurationError(
            "RR484",
            f"capacity of county {county}",
            "not given",
            "a number of visits for every county of the list",
            "Add the county, or give one number for all",
            zh=f"缺少{county}的走访容量。",
        )
    return capacity[county]


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
