"""Suggested measures by risk and labour capacity: ``measures.toml`` as a table, applied to chosen rows."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.spec import Rule
from relapse_risk.scores import HIT, RuleHits
from relapse_risk.vocabulary import Bilingual, Language

ANY_RISK = "任何"
_SEPARATOR = {"zh": "；", "en": "; "}


class LabourClass(StrEnum):
    """Labour capacity of a household: 有 one able member, else 弱 one weak or half, else 无."""

    ABLE = "有"
    WEAK = "弱"
    NONE = "无"


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure and the articles of the implementation opinion it rests on."""

    name: Bilingual
    articles: tuple[str, ...]

    def text(self, language: Language) -> str:
        """Return the measure with its articles."""
        return self.name.text(language) + "".join(f"（{article}）" for article in self.articles)


@cache
def measures_table() -> dict[tuple[str, str], tuple[Measure, ...]]:
    """Return the measures by risk and labour class, as shipped."""
    text = resources.files("relapse_risk.rules").joinpath("measures.toml").read_text(encoding="utf-8")
    return {
        (row["risk"], row["labour"]): tuple(
            Measure(Bilingual(item["zh"], item["en"]), tuple(item["articles"])) for item in row["items"]
        )
        for row in tomllib.loads(text)["measures"]
    }


def labour_classes(matrix: FeatureMatrix, rows: NDArray[np.int64]) -> list[LabourClass | None]:
    """Return the labour class of each of ``rows``; None where it is not known.

    Able is a member of 技能 or 普通 skill, of 16 years or more and no student; the household's own flag
    整户无劳动能力 stands in where members are not known.
    """
    able = matrix.column("able_labour_n")[rows]
    weak = matrix.column("weak_labour_n")[rows]
    none = matrix.column("all_no_labour")[rows]
    classes: list[LabourClass | None] = []
    for able_n, weak_n, is_none in zip(able, weak, none, strict=True):
        if able_n >= 1:
            classes.append(LabourClass.ABLE)
        elif able_n == 0 and weak_n >= 1:
            classes.append(LabourClass.WEAK)
        elif (able_n == 0 and weak_n == 0) or is_none >= 1:
            classes.append(LabourClass.NONE)
        else:
            classes.append(None)
    return classes


def suggest_measures(
    matrix: FeatureMatrix,
    hits: RuleHits,
    rows: NDArray[np.int64],
    language: Language,
    rules: Sequence[Rule] = RULES,
    limit: int = 6,
) -> list[str]:
    """Return suggested measures for each of ``rows``, joined; empty where labour capacity is not known.

    Parameters
    ----------
    matrix : FeatureMatrix
    hits : RuleHits
        Of ``matrix``; each hit points at a risk (``Rule.risk_type``).
    rows : ndarray of int64, shape (n,)
        Positions in the matrix.
    language : {"zh", "en"}
    rules : sequence of Rule
    limit : int
        Measures at most.

    Returns
    -------
    list of str
        In the order of the rules hit, each measure once with its articles. A household without a hit gets the
        measures of its labour class (implementation opinion, article (二)).
    """
    table = measures_table()
    pointing = [rule for rule in rules if rule.risk_type is not None]
    states = hits.states[rows][:, [hits.codes.index(rule.code) for rule in pointing]] == HIT
    suggested: dict[tuple[LabourClass | None, bytes], str] = {}

    def suggest(labour: LabourClass | None, state: NDArray[np.bool_]) -> str:
        risks = [rule.risk_type for rule, is_hit in zip(pointing, state, strict=True) if is_hit]
        # "Other" says little where another hit names the risk.
        named = [risk for risk in risks if risk != "其他"] or risks or [ANY_RISK]
        measures = dict.fromkeys(
            measure
            for risk in named
            for measure in (table[str(risk), labour.value] if labour is not None else ())
        )
        return _SEPARATOR[language].join(m.text(language) for m in list(measures)[:limit])

    suggestions: list[str] = []
    for labour, state in zip(labour_classes(matrix, rows), states, strict=True):
        alike = (labour, state.tobytes())
        if alike not in suggested:
            suggested[alike] = suggest(labour, state)
        suggestions.append(suggested[alike])
    return suggestions
