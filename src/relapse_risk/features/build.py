"""From a panel and as-of dates to the feature matrix."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.areas import WholeAreas
from relapse_risk.features.evaluate import Decoded, Evaluation, Plan
from relapse_risk.features.expression import Expression
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import INDEX_COLUMNS, FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLES
from relapse_risk.thresholds import Threshold, ThresholdTable

_PARAMETER_SCHEMA: dict[str, type[pl.DataType]] = {
    "county_code": pl.String,
    "as_of_date": pl.Date,
    "param": pl.String,
    "value": pl.Float64,
    "unit": pl.String,
    "source": pl.String,
    "verified": pl.Boolean,
}


def build_features(
    panel: Panel,
    as_of_dates: Sequence[date],
    features: FeatureSet | None = None,
    thresholds: ThresholdTable | None = None,
    households: Sequence[str] | Mapping[date, Sequence[str]] | None = None,
    what_if: Sequence[Threshold] = (),
    areas: WholeAreas | None = None,
    library: FeatureSet | None = None,
) -> FeatureMatrix:
    """Return the features of every household known on each as-of date.

    Only rows with ``recorded_on`` up to the as-of date, that day included, are read.

    Parameters
    ----------
    panel : Panel
    as_of_dates : sequence of date
        At least one; repeated dates count once.
    features : FeatureSet, optional
        What to compute; the library where not given. A formula may name features outside the set.
    thresholds : ThresholdTable, optional
        The layers under the panel's own rows; ``panel.thresholds`` where not given.
    households : sequence of str, or mapping of as-of date to one, optional
        Return only these; comparisons with peers still run over all households.
    what_if : sequence of Threshold, optional
        Laid over everything that is in force, the panel's own rows included.
    areas : WholeAreas, optional
        Whole counties and townships, where the panel holds a part of them only.
    library : FeatureSet, optional
        The features that formulas may name; ``features_for(panel)`` where not given.

    Returns
    -------
    FeatureMatrix
        Rows sorted by as-of date, then household; one column per feature, in the order of ``features``.

    Raises
    ------
    ConfigurationError
        RR320 where no as-of date is given.
    ContractError
        RR302 where no household was known on one of the dates; RR312 where a formula names a feature
        that is not to be found.
    """
    if not as_of_dates:
        raise ConfigurationError(
            "RR320", "as_of_dates", "none given", "at least one date", "Name the dates to build features for"
        )
    every = library or features_for(panel)
    wanted = every if features is None else features
    chosen = {day: _chosen(households, day) for day in as_of_dates}
    plan, formula_of = _planned(wanted, every)
    known = panel.known_at_each(as_of_dates)
    decoded = Decoded(known[0].histories)
    dated = [
        Evaluation(each, each.thresholds(thresholds).laid_over(what_if), formula_of, decoded, areas)
        for each in known
    ]
    periods = decoded.periods.compute(plan.period_nodes, [each.moment for each in dated])
    rows = [
        _positions(each, chosen[panel_then.as_of_date]) for each, panel_then in zip(dated, known, strict=True)
    ]
    ends = np.cumsum([len(each) for each in rows])
    values = np.empty((int(ends[-1]), len(wanted)), order="F")
    indexes, parameters = [], []
    for each, panel_then, wanted_rows, of_date, end in zip(dated, known, rows, periods, ends, strict=True):
        each.compute(plan, wanted_rows, values[end - len(wanted_rows) : end], of_date)
        indexes.append(_index(each, panel_then.as_of_date)[wanted_rows])
        parameters.append(_parameters(each, panel_then.as_of_date))
    absent = frozenset(table.name for table in TABLES if table.is_stored).difference(panel.tables)
    return FeatureMatrix(pl.concat(indexes), wanted, values, pl.concat(parameters), absent, panel.provenance)


def first_pass(
    panel: Panel,
    as_of_dates: Sequence[date],
    features: FeatureSet,
    library: FeatureSet,
    number: int = 0,
    areas: WholeAreas | None = None,
) -> pl.DataFrame:
    """Return what other partitions of the same counties have to know of this one; see ``areas.py``.

    Parameters
    ----------
    panel : Panel
        Of the partition.
    as_of_dates : sequence of date
    features, library : FeatureSet
        What will be computed, and the features that formulas may name.
    number : int
        Round of the first pass, from 0.
    areas : WholeAreas, optional
        What the rounds before found; none in the first.
    """
    plan, formula_of = _planned(features, library)
    known = panel.known_at_each(as_of_dates)
    decoded = Decoded(known[0].histories)
    return pl.concat(
        Evaluation(each, each.thresholds(), formula_of, decoded, areas).first_pass(plan, number)
        for each in known
    )


def first_pass_reads(features: FeatureSet, library: FeatureSet) -> list[dict[str, tuple[str, ...]]]:
    """Return the tables and columns that each round of the first pass reads; empty where none is needed."""
    plan, _ = _planned(features, library)
    return [plan.first_pass_reads] * len(plan.first_pass_rounds)


@lru_cache(maxsize=8)
def _planned(wanted: FeatureSet, every: FeatureSet) -> tuple[Plan, Callable[[str], Expression]]:
    """Return the plan of a feature set; formulas may name features outside it."""

    def formula_of(name: str) -> Expression:
        return (wanted if name in wanted else every)[name].formula

    return Plan([feature.formula for feature in wanted], formula_of), formula_of


def _chosen(households: Sequence[str] | Mapping[date, Sequence[str]] | None, day: date) -> pl.Series | None:
    if households is None:
        return None
    of_date = households[day] if isinstance(households, Mapping) else households
    return pl.Series(sorted(set(of_date)), dtype=pl.String)


def _positions(dated: Evaluation, chosen: pl.Series | None) -> NDArray[np.int64]:
    if chosen is None:
        return np.arange(dated.n_rows)
    is_chosen = dated.households(("household_id",))["household_id"].is_in(chosen.implode())
    return np.flatnonzero(is_chosen.to_numpy())


def _index(dated: Evaluation, as_of_date: date) -> pl.DataFrame:
    held = [name for name in INDEX_COLUMNS if name in dated.household_columns]
    frame = dated.households(held).with_columns(pl.lit(as_of_date).alias("as_of_date"))
    missing = [name for name in INDEX_COLUMNS if name not in frame.columns]
    return frame.with_columns(pl.lit(None, dtype=pl.String).alias(name) for name in missing).select(
        INDEX_COLUMNS
    )


def _parameters(dated: Evaluation, as_of_date: date) -> pl.DataFrame:
    """Return the parameters in force for every county that has a household."""
    thresholds = dated.moment.thresholds
    rows = [
        (county, as_of_date, param, row.value, row.unit, row.source, row.verified)
        for county in dated.households(("county_code",))["county_code"].unique().sort().to_list()
        for param in thresholds.params
        if (row := thresholds.in_force(param, county, as_of_date)) is not None
    ]
    return pl.DataFrame(rows, schema=_PARAMETER_SCHEMA, orient="row")
