"""What the county page says of a row beyond the list: both languages, every rule hit, what moves a score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.explain.attribute import Attributions, strongest
from relapse_risk.features.spec import Feature
from relapse_risk.outputs.rows import County
from relapse_risk.rules.phrases import NOT_KNOWN
from relapse_risk.vocabulary import Bilingual, Language

STRONGEST = 8


class Contribution(NamedTuple):
    """What one feature adds to a row's log-odds of relapse; positive raises the risk."""

    feature: Feature
    value: float | None
    amount: float

    def say_value(self, language: Language) -> str:
        """Return the value as people say it."""
        if self.value is None:
            return NOT_KNOWN.text(language)
        return self.feature.unit.say(self.value, language)


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
    laid: Mapping[Language, pl.DataFrame],
    phrases: Mapping[Language, Sequence[Mapping[str, str]]],
    attributions: Attributions | None,
) -> RowDetails:
    """Return the details of chosen rows.

    Parameters
    ----------
    county : County
    rows : ndarray of int64, shape (n,)
        Positions in the county's matrix.
    laid : mapping of Language to polars.DataFrame
        The rows laid out in each language.
    phrases : mapping of Language to sequence of mapping
        What the rules hit say of ``rows``.
    attributions : Attributions or None
        Of ``rows``, in their order.
    """
    said = tuple(
        {code: Bilingual(text, translated[code]) for code, text in said.items()}
        for said, translated in zip(phrases["zh"], phrases["en"], strict=True)
    )
    return RowDetails(laid["zh"], laid["en"], said, _contributions(county, rows, attributions))


def _contributions(
    county: County, rows: NDArray[np.int64], attributions: Attributions | None
) -> tuple[tuple[Contribution, ...], ...]:
    if attributions is None:
        return ((),) * len(rows)
    frame = strongest(attributions, county.matrix.rows(rows), STRONGEST)
    features = attributions.features
    slots = range(1, min(STRONGEST, len(features)) + 1)
    columns = [frame.select(f"feature_{i}", f"value_{i}", f"contribution_{i}").rows() for i in slots]
    return tuple(
        tuple(Contribution(features[name], value, amount) for name, value, amount in row if amount)
        for row in zip(*columns, strict=True)
    )
