"""重点人群: members whom the opinion asks staff to look after first (article (二)), as a row names them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.vocabulary import Bilingual, Language

# Counts of members; a household is named where at least one is known.
KEY_GROUPS: tuple[tuple[str, Bilingual], ...] = (
    ("major_ill_n", Bilingual("大病重病患者", "major illness")),
    ("severe_disabled_n", Bilingual("重度残疾人", "severe disability")),
    ("adl_dependent_n", Bilingual("失能人员", "can't care for themselves")),
    ("elder_alone_n", Bilingual("独居老人", "elder living alone")),
    ("left_behind_child_n", Bilingual("留守儿童", "left-behind child")),
    ("child_in_difficulty_n", Bilingual("困境儿童", "child in difficulty")),
    ("orphan_n", Bilingual("孤儿或事实无人抚养儿童", "orphan or child nobody raises")),
)
_SEPARATOR = {"zh": "、", "en": ", "}


def key_groups(matrix: FeatureMatrix, rows: NDArray[np.int64], language: Language) -> list[str]:
    """Return the key groups with members in each of ``rows``, joined; empty where none is known."""
    names: list[list[str]] = [[] for _ in rows]
    for feature, group in KEY_GROUPS:
        for position in np.flatnonzero(matrix.column(feature)[rows] >= 1):
            names[position].append(group.text(language))
    return [_SEPARATOR[language].join(group) for group in names]
