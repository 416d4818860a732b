"""What the county page says of a row beyond the list: both languages, every rule hit, what moves a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.explain.attribute import Attributions, strongest
from relapse_risk.outputs.rows import County
from relapse_risk.rules.phrases import NOT_KNOWN, hit_phrases
from relapse_risk.rules.spec import Rule
from relapse_risk.vocabulary import Bilingual

STRONGEST = 8


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one feature adds to a row's log-odds of relapse; positive raises the risk."""

    name: Bilingual
    value: Bilingual
    amount: float


@dataclass(frozen=True)
class RowDetails:
    """Details of the rows of one county, the listed ones first, then those that wait.

    Attributes
    ----------
    zh, en : polars.DataFrame
        ``LIST_COLUMNS`` by name, in each language.
    said : tuple of mapping of str to Bilingual
        For each row, the rules hit by code and what each says, also those that move no tier.
    contributions : tuple of tuple of Contribution
        For each row, the features that move its score most, the largest first; empty without a model.
    """

    zh: pl.DataFrame
    en: pl.DataFrame
    said: tuple[Mapping[str, Bilingual], ...]
    contributions: tuple[tuple[Contribution, ...], ...]


def detail_rows(
    county: County,
    rows: NDArray[np.int64],
    zh: pl.DataFrame,
    en: pl.DataFrame,
    rules: Sequence[Rule],
    attributions: Attributions | None,
) -> RowDetails:
    """Return the details of chosen rows.

    Parameters
    ----------
    county : County
    rows : ndarray of int64, shape (n,)
        Positions in the county's matrix.
    zh, en : polars.DataFrame
        The rows laid out in each language.
    rules : sequence of Rule
    attributions : Attributions or None
        Of ``rows``, in their order.
    """
    in_chinese = hit_phrases(county.matrix, county.hits, rows, "zh", rules)
    in_english = hit_phrases(county.matrix, county.hits, rows, "en", rules)
    said = tuple(
        {code: Bilingual(text, translated[code]) for code, text in phrases.items()}
        for phrases, translated in zip(in_chinese, in_english, strict=True)
    )
    return RowDetails(zh, en, said, _contributions(county, rows, attributions))


def _contributions(
    county: County, rows: NDArray[np.int64], attributions: Attributions | None
) -> tuple[tuple[Contribution, ...], ...]:
    if attributions is None:
        return ((),) * len(rows)
    frame = strongest(attributions, county.matrix.rows(rows), STRONGEST)
    slots = range(1, min(STRONGEST, len(attributions.features)) + 1)
    columns = [frame.select(f"feature_{i}", f"value_{i}", f"contribution_{i}").rows() for i in slots]
    return tuple(
        tuple(_contribution(attributions, *cell) for cell in row if cell[2])
        for row in zip(*columns, strict=True)
    )


def _contribution(
    attributions: Attributions, feature_name: str, value: float | None, amount: float
) -> Contribution:
    feature = attributions.features[feature_name]
    if value is None:
        return Contribution(Bilingual(feature.zh, feature.en), NOT_KNOWN, amount)
    said = Bilingual(feature.unit.say(value, "zh"), feature.unit.say(value, "en"))
    return Contribution(Bilingual(feature.zh, feature.en), said, amount)
