"""The forecasts of several counties together: tables of every level, and the sums of their paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.forecast.caseload import CountyForecast, summarise, summarise_ahead
from relapse_risk.vocabulary import Bilingual
from relapse_risk.windows import month_end

LEVELS = ("province", "county", "township", "village")
PROVINCE = "*"


@dataclass(frozen=True)
class CaseloadForecast:
    """Tables of a caseload forecast.

    Attributes
    ----------
    as_of_date : date
    months : tuple of date
    table : polars.DataFrame
        As :meth:`CountyForecast.table`, all levels; the code of the whole is ``*``.
    ahead : polars.DataFrame
        As :meth:`CountyForecast.ahead`, of townships, counties and the whole.
    places : polars.DataFrame
        county_code, township_code, village_code.
    choices : polars.DataFrame
        county_code, level, model, origins, wape (at earlier origins), weight (its share of the mean; null for
        the combination).
    observed : polars.DataFrame
        county_code, month, relapses: what was seen, for charts.
    sources : tuple of str
    notes_of : mapping of str to tuple of Bilingual
        By county: what a reader should know.
    warned : tuple of str
        Counties where the last months were unlike what was forecast.
    """

    as_of_date: date
    months: tuple[date, ...]
    table: pl.DataFrame
    ahead: pl.DataFrame
    places: pl.DataFrame
    choices: pl.DataFrame
    observed: pl.DataFrame
    sources: tuple[str, ...]
    notes_of: Mapping[str, tuple[Bilingual, ...]]
    warned: tuple[str, ...]

    @property
    def notes(self) -> tuple[Bilingual, ...]:
        """Return the notes of all counties, each with its county's code."""
        return tuple(
            Bilingual(f"{county}：{note.zh}", f"{county}: {note.en}")
            for county, notes in self.notes_of.items()
            for note in notes
        )

    def __repr__(self) -> str:
        return f"CaseloadForecast({self.places.height} villages, {len(self.months)} months)"

    def to_pandas(self) -> object:
        """Return ``table`` as a pandas frame."""
        return self.table.to_pandas()


def gather(forecasts: Iterable[CountyForecast]) -> CaseloadForecast:
    """Return the tables of all counties and of their whole; paths are held for one county at a time."""
    tables: list[pl.DataFrame] = []
    ahead: list[pl.DataFrame] = []
    choices: list[pl.DataFrame] = []
    observed: list[pl.DataFrame] = []
    places: list[pl.DataFrame] = []
    whole: dict[str, NDArray[np.int64]] = {}
    notes_of: dict[str, tuple[Bilingual, ...]] = {}
    warned: tuple[str, ...] = ()
    for one in forecasts:
        tables.extend(one.table(level) for level in ("county", "township", "village"))
        ahead.extend(one.ahead(level) for level in ("county", "township"))
        sums = {name: paths.sum(axis=1, keepdims=True, dtype=np.int64) for name, paths in one.paths.items()}
        # A quantity that one county lacks has no sum over all.
        whole = {name: whole[name] + sums[name] for name in whole if name in sums} if places else sums
        places.append(one.history.villages)
        choices.append(_choices(one))
        observed.append(_observed(one))
        notes_of[one.county_code] = (*(each.text for each in one.surprises), *one.notes)
        warned += (one.county_code,) * bool(one.surprises)
    together = [summarise(paths, [PROVINCE], "province", name, one.months) for name, paths in whole.items()]
    return CaseloadForecast(
        one.history.as_of_date,
        one.months,
        pl.concat([*together, *tables]),
        pl.concat([summarise_ahead(whole["relapses"], [PROVINCE], "province"), *ahead]),
        pl.concat(places),
        pl.concat(choices),
        pl.concat(observed),
        one.sources,
        notes_of,
        warned,
    )


def _choices(one: CountyForecast) -> pl.DataFrame:
    """Return what was tried at each level, how wrong it was, and its share of the mean."""
    shares = dict.fromkeys(one.choice.models.items(), 1.0)
    tried = one.choice.errors
    if one.combination is not None:
        tried = pl.concat([tried, one.combination.errors])
        for level, weight in one.combination.weights.items():
            shares |= {(level, one.choice.models[level]): 1 - weight, (level, "household_risks"): weight}
    keys = list(tried.select("level", "model").iter_rows())
    weights = [None if model == "combined" else shares.get((level, model), 0.0) for level, model in keys]
    return tried.select(
        pl.lit(one.county_code).alias("county_code"), "level", "model", "origins", "wape"
    ).with_columns(pl.Series("weight", weights, dtype=pl.Float64))


def _observed(one: CountyForecast) -> pl.DataFrame:
    counts = one.history.relapses.sum(axis=0)
    return pl.DataFrame(
        {
            "county_code": [one.county_code] * len(counts),
            "month": [month_end(one.history.first_month + i) for i in range(len(counts))],
            "relapses": counts,
        }
    )
