"""Groups of households that a list is audited by; none of them is there to be scored by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.panel.panel import KnownPanel
from relapse_risk.vocabulary import Bilingual

Mask = NDArray[np.bool_]

SMALL_VILLAGE_HOUSEHOLDS = 50
REMOTE_KM = 5.0


@dataclass(frozen=True)
class Group:
    """Some of the households judged: ``members`` is True for those in it, shape ``(n_rows,)``."""

    name: str
    text: Bilingual
    members: Mask


def groups_of(matrix: FeatureMatrix, known: KnownPanel) -> tuple[Group, ...]:
    """Return the groups that a list is audited by, on the rows of a matrix.

    Parameters
    ----------
    matrix : FeatureMatrix
        One as-of date, with the catalogue's features; a group whose features are not there, or not known of
        any household, is left out.
    known : KnownPanel
        Of that date; gives the sex of heads, which no feature may read.
    """
    index = matrix.index
    groups = [
        Group(kind, Bilingual(kind, english), (index["household_type"] == kind).fill_null(False).to_numpy())
        for kind, english in (("脱贫户", "lifted"), ("一般农户", "ordinary"))
    ]
    for name, feature, text in (
        ("elderly_alone", "has_elder_alone", Bilingual("有独居老人", "an elder living alone")),
        ("severe_disability", "severe_disabled_n", Bilingual("有重度残疾人", "severe disability")),
        ("children", "child_n", Bilingual("有儿童", "children")),
        ("relocated", "is_relocated", Bilingual("易地搬迁", "relocated")),
    ):
        if feature in matrix.features and not np.isnan(matrix.column(feature)).all():
            groups.append(Group(name, text, matrix.column(feature) > 0))
    households = known.households
    joined = index.select("household_id").join(
        households.select(
            "household_id",
            *(c for c in ("road_km",) if c in households.columns),
            village_size=pl.len().over("village_code"),
        ),
        on="household_id",
        how="left",
        maintain_order="left",
    )
    if "road_km" in joined.columns and joined["road_km"].drop_nulls().len():
        remote = (joined["road_km"] >= REMOTE_KM).fill_null(False).to_numpy()
        text = Bilingual(f"距主干路{REMOTE_KM:g}公里以上", f"{REMOTE_KM:g} km or more from the main road")
        groups.append(Group("remote", text, remote))
    small = (joined["village_size"] < SMALL_VILLAGE_HOUSEHOLDS).fill_null(False).to_numpy()
    small_text = Bilingual(
        f"不足{SMALL_VILLAGE_HOUSEHOLDS}户的村",
        f"village of fewer than {SMALL_VILLAGE_HOUSEHOLDS} households",
    )
    groups.append(Group("small_village", small_text, small))
    return (*groups, *_by_sex_of_head(index, known))


def _by_sex_of_head(index: pl.DataFrame, known: KnownPanel) -> list[Group]:
    members = known.table("member")
    if members.is_empty():
        return []
    heads = members.filter(pl.col("relation") == "户主").unique(
        "household_id", keep="last", maintain_order=True
    )
    sex = index.select("household_id").join(
        heads.select("household_id", "sex"), on="household_id", how="left", maintain_order="left"
    )["sex"]
    return [
        Group(name, Bilingual(f"户主为{value}性", text), (sex == value).fill_null(False).to_numpy())
        for name, value, text in (("female_head", "女", "female head"), ("male_head", "男", "male head"))
    ]
