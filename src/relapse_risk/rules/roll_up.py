"""County roll-up: population, coverage of the guarantees against their targets, factors of key counties.

Implementation opinion, articles (三), (十) and (十五). Coverage says the same as the rules R11 to R14:
covered is no hit, not covered is a hit, and what a rule can't judge is not known, which is neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.build import build_features
from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.expression import Expression
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.operators import at_least, below, is_missing, members
from relapse_risk.features.spec import Feature, FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.caseload import PEOPLE
from relapse_risk.rules.catalog import RULES
from relapse_risk.scores import HIT, NO_HIT
from relapse_risk.vocabulary import Bilingual, Role, Unit

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Indicator:
    """One guarantee: what is counted, and the target of article (三)."""

    key: str
    name: Bilingual
    unit: Unit
    target: Bilingual


INSURANCE = Indicator(
    "insurance",
    Bilingual("基本医保参保", "basic medical insurance"),
    Unit.PERSONS,
    Bilingual("应保尽保（100%）", "everybody insured (100%)"),
)
SCHOOLING = Indicator(
    "schooling",
    Bilingual("义务教育在校", "compulsory schooling"),
    Unit.PERSONS,
    Bilingual("辍学清零", "no child out of school"),
)
HOUSING = Indicator(
    "housing", Bilingual("住房安全", "safe housing"), Unit.COUNT, Bilingual("100%", "100% of households")
)
WATER = Indicator(
    "water", Bilingual("饮水安全", "safe water"), Unit.COUNT, Bilingual("100%", "100% of households")
)
INDICATORS = (INSURANCE, SCHOOLING, HOUSING, WATER)

LOW_INCOME_CLASSES = ("低保", "特困", "低保边缘", "刚性支出困难")
REGISTER_CATEGORIES = ("脱贫不稳定户", "边缘易致贫户", "突发严重困难户")

GROUPS: dict[str, Bilingual] = {
    "all": Bilingual("全部农户", "all rural households"),
    "lifted": Bilingual("脱贫户", "lifted"),
    "monitored": Bilingual("在册监测户", "on the register"),
    "low_income": Bilingual("低收入户", "low-income"),
}
"""Groups whose coverage is counted; low-income has a class of civil affairs, or is on the register."""

POPULATION: dict[str, Bilingual] = {
    **GROUPS,
    "ordinary": Bilingual("一般农户", "ordinary"),
    **{name: Bilingual(name, name) for name in (*REGISTER_CATEGORIES, *LOW_INCOME_CLASSES)},
    "monitored_only": Bilingual("仅监测对象", "low-income by the register only"),
    "not_low_income": Bilingual("非低收入户", "not low-income"),
    "class_unknown": Bilingual("低收入类别未知", "class not known"),
}

_PLACE = ("county_code", "county_name", "township_code", "township_name")
_SCHOOL_AGE = (at_least("age", 6), below("age", 16))


def _counted(name: str, zh: str, en: str, formula: Expression) -> Feature:
    return Feature(name, zh, en, Unit.PERSONS, "roll_up", formula, role=Role.RULE)


_INSURANCE_UNKNOWN = _counted(
    "insurance_unknown_n",
    "参保状态未知人数",
    "members whose insurance is not known",
    members(is_missing("med_insured")),
)
_SCHOOL_AGE_N = _counted("school_age_n", "义务教育年龄人数", "children of school age", members(*_SCHOOL_AGE))
_SCHOOL_UNKNOWN = _counted(
    "school_unknown_n",
    "在校状态未知人数",
    "children of school age whose schooling is not known",
    members(*_SCHOOL_AGE, is_missing("school_status")),
)
_RULES = tuple(rule for rule in RULES if rule.code in ("R11", "R12", "R13", "R14"))
_READ = (
    "is_lifted",
    "is_registered",
    "uninsured_n",
    "uninsured_member_n",
    "dropout_n",
    "school_age_absent_n",
    "school_age_excused_n",
)


@dataclass(frozen=True)
class RollUp:
    """Counts of one or more counties on a date, whole: small counts are in it.

    Attributes
    ----------
    as_of_date : date
    population : polars.DataFrame
        county_code, county_name, township_code, township_name, group (a key of ``POPULATION``),
        households, people.
    coverage : polars.DataFrame
        The same places, indicator, group (a key of ``GROUPS``), met, unmet, unknown; in people for insurance
        and schooling (children of compulsory school age, those excused left out), in households for the rest.
    counties : polars.DataFrame
        county_code, county_name, villages, villages_unknown and the factors of key counties.
    gaps : polars.DataFrame
        county_code, households_without_members, households_without_people.
    """

    as_of_date: date
    population: pl.DataFrame
    coverage: pl.DataFrame
    counties: pl.DataFrame
    gaps: pl.DataFrame

    def __repr__(self) -> str:
        return f"RollUp({self.counties.height} counties, as of {self.as_of_date})"

    def county_coverage(self) -> pl.DataFrame:
        """Return coverage by county, indicator and group, with shares.

        Returns
        -------
        polars.DataFrame
            county_code, county_name, indicator, group, met (the numerator), known (the denominator), unmet,
            unknown, share: met over known, null where nothing is known.
        """
        keys = ["county_code", "county_name", "indicator", "group"]
        return with_shares(
            self.coverage.group_by(keys, maintain_order=True).agg(pl.col("met", "unmet", "unknown").sum())
        )

    def to_pandas(self, table: Literal["population", "coverage", "counties"] = "coverage") -> pd.DataFrame:
        """Return the population by township, coverage by county, or the factors by county."""
        frames = {
            "population": self.population,
            "coverage": self.county_coverage(),
            "counties": self.counties,
        }
        return frames[table].to_pandas()


def with_shares(frame: pl.DataFrame) -> pl.DataFrame:
    """Return coverage with ``known`` (met and unmet) and ``share`` (met over known)."""
    known = pl.col("met") + pl.col("unmet")
    share = pl.when(known > 0).then(pl.col("met") / known)
    return frame.with_columns(known=known, share=share).select(
        pl.exclude("met", "known", "unmet", "unknown", "share"), "met", "known", "unmet", "unknown", "share"
    )


def roll_up(panel: Panel, as_of_date: date) -> RollUp:
    """Return population, coverage and the factors of key counties as known on a date.

    Only rows with ``recorded_on`` up to the as-of date, that day included, are read.

    Parameters
    ----------
    panel : Panel
    as_of_date : date

    Returns
    -------
    RollUp
        People are present members; the persons last reported where a household has no member rows.

    Raises
    ------
    ContractError
        RR302 where no household was known on the date.

    Notes
    -----
    Where two departments report on one thing the graver report stands, as in R11 and R12: of insurance the
    members' cells and the uninsured that the period reports, of schooling the members and the dropouts.
    """
    names = dict.fromkeys([*(name for rule in _RULES for name in rule.all_features), *_READ])
    own = (PEOPLE, _INSURANCE_UNKNOWN, _SCHOOL_AGE_N, _SCHOOL_UNKNOWN)
    matrix = build_features(panel, [as_of_date], FeatureSet((*CATALOG.select(names), *own)))
    known = panel.known_at(as_of_date)
    households = _households(matrix, known.households)
    return RollUp(
        as_of_date,
        _population(households),
        _coverage(households, _states(matrix)),
        _factors(households),
        _gaps(households, np.isnan(matrix.column(_SCHOOL_AGE_N.name)), np.isnan(matrix.column(PEOPLE.name))),
    )


def merge_roll_ups(parts: Sequence[RollUp]) -> RollUp:
    """Return the roll-ups of several counties as one."""
    return replace(
        parts[0],
        population=pl.concat([part.population for part in parts]),
        coverage=pl.concat([part.coverage for part in parts]),
        counties=pl.concat([part.counties for part in parts]),
        gaps=pl.concat([part.gaps for part in parts]),
    )


def _households(matrix: FeatureMatrix, known: pl.DataFrame) -> pl.DataFrame:
    """Return place, people and groups of every household, in the order of the matrix."""
    columns = {
        name: known[name] if name in known.columns else pl.Series(name, [None] * known.height)
        for name in ("lowincome_class", "village_is_lifted")
    }
    is_registered = pl.Series(matrix.column("is_registered") >= 1)
    has_class = pl.col("lowincome_class").is_in(LOW_INCOME_CLASSES).fill_null(value=False)
    frame = matrix.index.select(*_PLACE, "village_code", "household_type", "monitor_category").with_columns(
        lowincome_class=columns["lowincome_class"].cast(pl.String),
        village_is_lifted=columns["village_is_lifted"].cast(pl.Boolean),
        people=pl.Series(_whole(matrix.column(PEOPLE.name))),
        all=pl.lit(value=True),
        monitored=is_registered,
        lifted=pl.col("household_type") == "脱贫户",
    )
    frame = frame.with_columns(low_income=has_class | pl.col("monitored"), ordinary=~pl.col("lifted"))
    is_unknown = pl.col("lowincome_class").is_null() & ~pl.col("monitored")
    return frame.with_columns(
        **{name: pl.col("monitored") & (pl.col("monitor_category") == name) for name in REGISTER_CATEGORIES},
        **{name: pl.col("lowincome_class").eq_missing(pl.lit(name)) for name in LOW_INCOME_CLASSES},
        monitored_only=pl.col("monitored") & ~has_class,
        class_unknown=is_unknown,
        not_low_income=~pl.col("low_income") & ~is_unknown,
    )


def _population(households: pl.DataFrame) -> pl.DataFrame:
    parts = [
        households.group_by(_PLACE)
        .agg(
            households=pl.col(group).sum().cast(pl.Int64), people=pl.col("people").filter(pl.col(group)).sum()
        )
        .with_columns(group=pl.lit(group))
        for group in POPULATION
    ]
    order = pl.col("group").cast(pl.Enum(list(POPULATION)))
    frame = pl.concat(parts).select(*_PLACE, "group", "households", "people")
    return frame.sort("county_code", "township_code", order)


def _coverage(households: pl.DataFrame, states: Mapping[str, tuple[Counts, Counts, Counts]]) -> pl.DataFrame:
    parts = []
    for indicator, (met, unmet, unknown) in states.items():
        counted = households.with_columns(met=met, unmet=unmet, unknown=unknown)
        for group in GROUPS:
            summed = counted.group_by(_PLACE).agg(
                pl.col(name).filter(pl.col(group)).sum().cast(pl.Int64)
                for name in ("met", "unmet", "unknown")
            )
            parts.append(summed.with_columns(indicator=pl.lit(indicator), group=pl.lit(group)))
    frame = pl.concat(parts).select(*_PLACE, "indicator", "group", "met", "unmet", "unknown")
    keys = [pl.col("indicator").cast(pl.Enum(list(states))), pl.col("group").cast(pl.Enum(list(GROUPS)))]
    return frame.sort("county_code", "township_code", *keys)


def _states(matrix: FeatureMatrix) -> dict[str, tuple[Counts, Counts, Counts]]:
    """Return how many people or households of each row are covered, are not, and are not known."""
    hits = apply_rules(matrix, _RULES)
    people = _whole(matrix.column(PEOPLE.name))
    excused = _whole(matrix.column("school_age_excused_n"))
    by_report = np.maximum(_whole(matrix.column("dropout_n")) - excused, 0)
    absent = np.maximum(_whole(matrix.column("school_age_absent_n")), by_report)
    return {
        INSURANCE.key: _split(
            people,
            np.maximum(_whole(matrix.column("uninsured_member_n")), _whole(matrix.column("uninsured_n"))),
            _not_known(matrix, _INSURANCE_UNKNOWN.name, "uninsured_n", people),
        ),
        SCHOOLING.key: _split(
            np.maximum(_whole(matrix.column(_SCHOOL_AGE_N.name)) - excused, absent),
            absent,
            _not_known(matrix, _SCHOOL_UNKNOWN.name, "dropout_n", np.zeros_like(people)),
        ),
        HOUSING.key: _by_rule(hits.state("R13")),
        WATER.key: _by_rule(hits.state("R14")),
    }


def _whole(values: NDArray[np.float64]) -> Counts:
    """Return whole numbers, 0 where not known."""
    return np.round(np.nan_to_num(values)).astype(np.int64)


def _not_known(matrix: FeatureMatrix, by_member: str, by_report: str, without_members: Counts) -> Counts:
    """Return people on whom neither the members' cells nor the period's report says anything."""
    counted = matrix.column(by_member)
    unknown = np.where(np.isnan(counted), without_members, _whole(counted))
    return np.where(np.isnan(matrix.column(by_report)), unknown, 0).astype(np.int64)


def _split(total: Counts, unmet: Counts, unknown: Counts) -> tuple[Counts, Counts, Counts]:
    """Return met, unmet and unknown that add up to the total; what is known to be unmet goes first."""
    unmet = np.clip(unmet, 0, total)
    unknown = np.clip(unknown, 0, total - unmet)
    return total - unmet - unknown, unmet, unknown


def _by_rule(state: NDArray[np.int8]) -> tuple[Counts, Counts, Counts]:
    met, unmet = (state == NO_HIT).astype(np.int64), (state == HIT).astype(np.int64)
    return met, unmet, 1 - met - unmet


def _factors(households: pl.DataFrame) -> pl.DataFrame:
    keys = ["county_code", "county_name"]
    villages = (
        households.group_by(*keys, "village_code")
        .agg(
            lifted=pl.col("village_is_lifted").any(ignore_nulls=True),
            known=pl.col("village_is_lifted").count() > 0,
        )
        .group_by(keys)
        .agg(
            villages=pl.len().cast(pl.Int64),
            villages_unknown=(~pl.col("known")).sum().cast(pl.Int64),
            lifted_villages=pl.when(pl.col("known").any())
            .then(pl.col("lifted").sum().cast(pl.Int64))
            .first(),
        )
    )
    people = households.group_by(keys).agg(
        pl.col("people").filter(pl.col(group)).sum().alias(f"{group}_people")
        for group in ("lifted", "low_income", "monitored")
    )
    return villages.join(people, on=keys, nulls_equal=True).sort("county_code")


def _gaps(
    households: pl.DataFrame, without_members: NDArray[np.bool_], without_people: NDArray[np.bool_]
) -> pl.DataFrame:
    frame = households.select(
        "county_code",
        households_without_members=pl.Series(without_members),
        households_without_people=pl.Series(without_people),
    )
    return frame.group_by("county_code").agg(pl.all().sum().cast(pl.Int64)).sort("county_code")
