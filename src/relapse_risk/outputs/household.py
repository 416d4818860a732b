"""One household explained: rules with their numbers, facts, what protects it, its risk and its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from html import escape
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from relapse_risk.explain.attribute import Attributions, household_contributions
from relapse_risk.explain.changes import MovedFact
from relapse_risk.explain.reasons import RuleOrder, choose_reasons, make_reasons, say_facts, say_protections
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.outputs.list_place import ListPlace
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.sheet import SheetLine, explain_rules
from relapse_risk.rules.spec import Rule
from relapse_risk.rules.tiers import TIERS, tier_of
from relapse_risk.scores import HIT, RiskScores, RuleHits
from relapse_risk.vocabulary import Language, Tier

if TYPE_CHECKING:
    from relapse_risk.outputs.chart import Chart

FACTS = 3


@dataclass(frozen=True)
class HouseholdRisk:
    """What a model says of a household.

    Attributes
    ----------
    model : str
        Name of the model.
    by_horizon : tuple of (int, float)
        Months, and the calibrated probability of a relapse within them.
    score : float
        0 to 100, the rank within the county; 100 is the highest risk.
    place, n : int
        Counted from the highest risk of the county's ``n`` households.
    """

    model: str
    by_horizon: tuple[tuple[int, float], ...]
    score: float
    place: int
    n: int


@dataclass(frozen=True)
class HouseholdChange:
    """What changed since an earlier date.

    Attributes
    ----------
    since : date
    place : ListPlace or None
        On the list of that date; None where none was found.
    is_new : bool
        The household was not known then; nothing below is.
    rules_begun, rules_ended : tuple of str
        Names of the rules hit now and not then, and the other way round, among those that give a tier.
    risk, score : float or None
        Then, at the last horizon; None without a model.
    facts : tuple of MovedFact
        What moved the risk most.
    visited_on : tuple of date
        Visits since.
    """

    since: date
    place: ListPlace | None
    is_new: bool = False
    rules_begun: tuple[str, ...] = ()
    rules_ended: tuple[str, ...] = ()
    risk: float | None = None
    score: float | None = None
    facts: tuple[MovedFact, ...] = ()
    visited_on: tuple[date, ...] = ()


@dataclass(frozen=True)
class HouseholdExplanation:
    """Why one household stands where it stands, on one as-of date, in one language.

    Attributes
    ----------
    household_id : str
    as_of_date : date
    language : {"zh", "en"}
    area, household_type, monitor_category : str
    tier : Tier
        That rules and self-applications give; 常 where they give none.
    rules : tuple of SheetLine
        Rules hit, in the order a list says them: with their sentence, limit and basis.
    unjudged : tuple of str
        Rules that could not be judged, each with what is missing.
    facts : tuple of str
        What raises the risk most, the strongest first, as on the list; empty without a model.
    protects : tuple of str
        What lowers it; no reason for a visit or against one.
    data_gaps, to_verify, measures, key_groups : str
        As on the list.
    risk : HouseholdRisk or None
    contributions : pandas.DataFrame or None
        As :func:`~relapse_risk.explain.attribute.household_contributions` gives it.
    base : float
        Log-odds without any contribution.
    place : ListPlace or None
        On the list of the day; None where there is none.
    change : HouseholdChange or None
        Since the list before, or the month end before.
    """

    household_id: str
    as_of_date: date
    language: Language
    area: str
    household_type: str
    monitor_category: str
    tier: Tier
    rules: tuple[SheetLine, ...]
    unjudged: tuple[str, ...]
    facts: tuple[str, ...]
    protects: tuple[str, ...]
    data_gaps: str
    to_verify: str
    measures: str
    key_groups: str
    risk: HouseholdRisk | None
    contributions: pd.DataFrame | None
    base: float
    place: ListPlace | None = None
    change: HouseholdChange | None = None

    def lines(self) -> list[str]:
        """Return the explanation as lines of text, as the command line prints it."""
        from relapse_risk.outputs.household_text import explanation_lines

        return explanation_lines(self)

    def plot(self, limit: int = 10) -> Chart:
        """Return what moves the household's risk as a waterfall of the ``limit`` largest contributions.

        Raises
        ------
        ValueError
            Where it was explained without a model: there is nothing to draw.
        """
        from relapse_risk.outputs.plots import plot_reasons

        if self.contributions is None:
            raise ValueError("explained without a model, so nothing moves a score")
        title = f"{self.household_id} {self.as_of_date}"
        return plot_reasons(self.contributions, self.language, base=self.base, limit=limit, title=title)

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a sentence: ``kind`` (rule, unjudged, raises, protects) and ``says``."""
        kinds = {
            "rule": tuple(f"{line.code} {line.says}" for line in self.rules),
            "unjudged": self.unjudged,
            "raises": self.facts,
            "protects": self.protects,
        }
        rows = [(kind, text) for kind, texts in kinds.items() for text in texts]
        return pd.DataFrame(rows, columns=["kind", "says"])

    def _repr_html_(self) -> str:
        shown = "".join(f"<div>{escape(line) or '&nbsp;'}</div>" for line in self.lines())
        return f'<div style="white-space:pre-wrap">{shown}</div>'


def explain_row(
    matrix: FeatureMatrix,
    hits: RuleHits,
    row: int,
    *,
    scores: RiskScores | None = None,
    attributions: Attributions | None = None,
    model: str = "",
    place: ListPlace | None = None,
    change: HouseholdChange | None = None,
    language: Language = "zh",
    rules: Sequence[Rule] = RULES,
) -> HouseholdExplanation:
    """Return the explanation of one household of a county.

    Parameters
    ----------
    matrix : FeatureMatrix
        All households of the county on one as-of date, with the features of the whole catalogue.
    hits : RuleHits
        Of ``matrix``.
    row : int
        Position of the household in the matrix.
    scores : RiskScores, optional
        Of ``matrix``.
    attributions : Attributions, optional
        Of the one row; needed where ``scores`` are given.
    model : str
        Name of the model.
    place, change
        As in :class:`HouseholdExplanation`.
    language : {"zh", "en"}
    rules : sequence of Rule
        Those of ``hits``.
    """
    one = np.array([row])
    sheet = explain_rules(matrix, hits, row, language, rules)
    hit = {line.code: line for line in sheet.lines if line.state == HIT}
    in_order = [rule.code for part in RuleOrder(rules).of(hit) for rule in part]
    chosen = choose_reasons(matrix, attributions, hits, rules, FACTS, one)
    reasons = make_reasons(
        matrix, attributions, hits, rules, language, FACTS, rows=one, chosen=chosen
    ).frame.row(0, named=True)
    facts: tuple[str, ...] = ()
    protects: tuple[str, ...] = ()
    contributions, base = None, 0.0
    if attributions is not None:
        facts = tuple(text for text, _ in say_facts(chosen, matrix, one, language)[0])
        protects = tuple(say_protections(matrix, attributions, one, language, FACTS)[0])
        contributions = household_contributions(attributions, matrix.rows(one), sheet.household_id, language)
        base = float(attributions.base[0])
    return HouseholdExplanation(
        household_id=sheet.household_id,
        as_of_date=sheet.as_of_date,
        language=language,
        area=sheet.place,
        household_type=sheet.household_type,
        monitor_category=sheet.monitor_category,
        tier=TIERS[tier_of(matrix, hits, rules)[row]],
        rules=tuple(hit[code] for code in in_order),
        unjudged=tuple(f"{line.code} {line.name}: {line.says}" for line in sheet.lines if line.state == -1),
        facts=facts,
        protects=protects,
        **{name: reasons[name] or "" for name in ("data_gaps", "to_verify", "key_groups")},
        measures=sheet.measures,
        risk=None if scores is None else _risk(scores, row, model),
        contributions=contributions,
        base=base,
        place=place,
        change=change,
    )


def _risk(scores: RiskScores, row: int, model: str) -> HouseholdRisk:
    ranking = scores.ranking
    return HouseholdRisk(
        model=model,
        by_horizon=tuple(zip(scores.horizons_months, scores.risk[row].tolist(), strict=True)),
        score=float(scores.score[row]),
        place=int((ranking > ranking[row]).sum()) + 1,
        n=len(ranking),
    )
