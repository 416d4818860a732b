"""What if a threshold were another: caseload now and then, and who enters and leaves.

Thresholds are laid over those in force, the features that depend on them are computed again, the rules are
applied to both, and the two are compared. It decides nothing: candidates are for the human procedure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.build import build_features
from relapse_risk.features.expression import FeatureRef, ParameterRef, walk
from relapse_risk.features.extra import features_for
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.features.spec import FeatureSet
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.candidates import candidate_category
from relapse_risk.rules.caseload import (
    CANDIDATES,
    CHANGES,
    ENTERS,
    LABOUR_UNKNOWN,
    LEAVES,
    NEITHER,
    PEOPLE,
    REGISTERED,
    UNKNOWN,
    CaseloadCurve,
    WhatIf,
)
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.changes import laid_over
from relapse_risk.rules.measures import labour_classes, suggest_measures
from relapse_risk.rules.phrases import hit_phrases
from relapse_risk.rules.spec import Rule
from relapse_risk.rules.tiers import TIERS, moving_codes, tier_of
from relapse_risk.scores import CANNOT_JUDGE, RuleHits
from relapse_risk.thresholds import EVERYWHERE, Threshold, ThresholdTable
from relapse_risk.vocabulary import Bilingual, Language

_PLACES = ("county_code", "county_name", "township_code", "township_name", "village_code", "village_name")
_JOINT = {"zh": "；", "en": "; "}
_EVERY_MEASURE = 99
_ARTICLES = r"(（[一二三四五六七八九十]+）)+$"


@dataclass(frozen=True)
class _Standing:
    """What the rules say with one set of thresholds."""

    matrix: FeatureMatrix
    hits: RuleHits
    standing: pl.Series
    tier: pl.Series


class _Scene:
    """A panel's households as they are on the date, ready to be seen with other thresholds."""

    def __init__(self, panel: Panel, as_of_date: date, area: str, rules: Sequence[Rule]) -> None:
        self._panel, self.as_of_date, self.rules = panel, as_of_date, rules
        self._features = FeatureSet((*features_for(panel), PEOPLE))
        matrix = build_features(panel, [as_of_date], self._features)
        self._is_inside = np.ones(len(matrix), dtype=bool)
        if area != EVERYWHERE:
            self._is_inside = matrix.index["county_code"].str.starts_with(area).to_numpy()
        if not self._is_inside.any():
            raise no_such_area(area, matrix.index["county_code"].unique().sort())
        self._all = matrix
        self.now = self._judge(matrix)
        self.counties = self.now.matrix.index["county_code"].unique().sort().to_list()
        self.in_force = panel.known_at(as_of_date).thresholds()

    def rows_for(self, values: Mapping[str, float]) -> tuple[Threshold, ...]:
        """Return the thresholds of a what-if, checked."""
        return laid_over(values, self.in_force, self.counties, self.as_of_date, self.rules)

    def then(self, what_if: Sequence[Threshold]) -> _Standing:
        """Return what the rules say with ``what_if`` laid over; only what depends on it is computed again."""
        params = {row.param for row in what_if}
        again = depending_on(params, self._features)
        fresh = build_features(self._panel, [self.as_of_date], again, what_if=what_if)
        changed = self._all.values.copy()
        for name in again.names:
            changed[:, self._features.position(name)] = fresh.column(name)
        return self._judge(replace(self._all, values=changed, parameters=fresh.parameters))

    def _judge(self, every: FeatureMatrix) -> _Standing:
        matrix = every.rows(self._is_inside)
        hits = apply_rules(matrix, self.rules)
        tiers = pl.Series("tier", [TIERS[tier].value for tier in tier_of(matrix, hits, self.rules)])
        return _Standing(matrix, hits, _standing_of(matrix, hits, self.rules), tiers)


def what_if(
    panel: Panel,
    as_of_date: date,
    values: Mapping[str, float],
    area: str = EVERYWHERE,
    *,
    rules: Sequence[Rule] = RULES,
    language: Language = "zh",
) -> WhatIf:
    """Return the caseload with other thresholds beside the caseload as it is.

    Only rows with ``recorded_on`` up to the as-of date, that day included, are read.

    Parameters
    ----------
    panel : Panel
    as_of_date : date
    values : mapping of str to float
        Parameter to value in its own unit, such as ``{"line": 7500, "R05.ratio": 0.7}``. Each stands in for
        the row in force on the as-of date, over that row's days.
    area : str
        Beginning of the county codes to look at; ``*`` for all.
    rules : sequence of Rule
    language : {"zh", "en"}
        Of the sentences.

    Returns
    -------
    WhatIf

    Raises
    ------
    ConfigurationError
        RR243 where there is no such parameter, RR244 where a value is out of range or in another unit, RR245
        where no household is known in the area.
    ContractError
        RR302 where no household was known on the date.

    Notes
    -----
    Implementation opinion, article (二): the categories; (十五): caseloads for planning.
    """
    scene = _Scene(panel, as_of_date, area, rules)
    rows = scene.rows_for(values)
    now, then = scene.now, scene.then(rows)
    return WhatIf(
        as_of_date,
        _settings(rows, scene.in_force, as_of_date),
        _cells(now, then),
        _movers(now, then, rules, language),
        _measures(now, then, rules),
        _parameters_read(now.matrix, rules),
        language,
    )


def caseload_curve(
    panel: Panel,
    as_of_date: date,
    param: str,
    values: Iterable[float],
    others: Mapping[str, float] | None = None,
    area: str = EVERYWHERE,
    *,
    rules: Sequence[Rule] = RULES,
) -> CaseloadCurve:
    """Return how many households are candidates at each of several values of one parameter.

    Parameters
    ----------
    panel : Panel
    as_of_date : date
    param : str
    values : iterable of float
    others : mapping of str to float, optional
        Further parameters, the same for all values.
    area : str
        Beginning of the county codes to look at; ``*`` for all.
    rules : sequence of Rule

    Returns
    -------
    CaseloadCurve

    Raises
    ------
    ConfigurationError
        As :func:`what_if`.
    """
    scene = _Scene(panel, as_of_date, area, rules)
    rows = [(value, scene.rows_for({**(others or {}), param: value})) for value in values]
    counted = []
    for value, overlay in rows:
        seen = scene.then(overlay)
        counts = _counted(seen).join(
            pl.DataFrame({"category": CANDIDATES}), on="category", how="right", maintain_order="right"
        )
        counted.append(counts.select(pl.lit(float(value)).alias("value"), "category", pl.exclude("category")))
    in_force = [scene.in_force.in_force(param, county, as_of_date) for county in scene.counties]
    known = sorted({row.value for row in in_force if row is not None and row.value is not None})
    return CaseloadCurve(as_of_date, param, tuple(known), pl.concat(counted).fill_null(0))


def no_such_area(area: str, counties: Iterable[str]) -> ConfigurationError:
    """Return the error for an area without a household."""
    known = ", ".join(list(counties)[:3])
    return ConfigurationError(
        "RR245",
        f"--area {area}",
        "no household is known there",
        f"the beginning of a county code, such as {known}",
        "Correct the code, or leave it out for all areas",
        zh=f"没有代码以“{area}”开头的县。",
    )


def depending_on(params: set[str], features: FeatureSet) -> FeatureSet:
    """Return the features whose value can change with these parameters, through other features too.

    >>> from relapse_risk.features.catalog import CATALOG
    >>> "periods_in_band_24m" in depending_on({"line"}, CATALOG)
    True
    """
    found: dict[str, bool] = {}

    def depends(name: str) -> bool:
        if name not in found:
            found[name] = any(
                node.name in params if isinstance(node, ParameterRef) else depends(node.name)
                for node in walk(features[name].formula)
                if isinstance(node, ParameterRef | FeatureRef)
            )
        return found[name]

    return features.select(name for name in features.names if depends(name))


def _standing_of(matrix: FeatureMatrix, hits: RuleHits, rules: Sequence[Rule]) -> pl.Series:
    categories = [category or "" for category in candidate_category(matrix, hits, rules)]
    codes = [hits.codes.index(rule.code) for rule in rules if rule.is_candidate]
    cannot_judge = (hits.states[:, codes] == CANNOT_JUDGE).any(axis=1)
    standing = np.where(
        np.array(categories, dtype=object) != "", categories, np.where(cannot_judge, UNKNOWN, NEITHER)
    )
    standing = np.where(matrix.column("is_registered") >= 1, REGISTERED, standing)
    return pl.Series("standing", standing.tolist(), dtype=pl.String)


def _cells(now: _Standing, then: _Standing) -> pl.DataFrame:
    frame = _households(now).with_columns(
        standing_now=now.standing, standing_then=then.standing, tier_now=now.tier, tier_then=then.tier
    )
    keys = [name for name in frame.columns if name not in ("household_id", "people", "household_type")]
    keys = [name for name in keys if not name.startswith("village")]
    return (
        frame.group_by(keys)
        .agg(households=pl.len().cast(pl.Int64), people=pl.col("people").sum())
        .sort(keys, nulls_last=True)
    )


def _households(seen: _Standing) -> pl.DataFrame:
    """Return who the households are: place, type, labour class, register category and people."""
    matrix = seen.matrix
    classes = labour_classes(matrix, np.arange(len(matrix)))
    is_registered = seen.standing == REGISTERED
    people = np.round(np.nan_to_num(matrix.column(PEOPLE.name)))
    return matrix.index.select("household_id", *_PLACES, "household_type", "monitor_category").select(
        pl.exclude("monitor_category"),
        labour_class=pl.Series([c or LABOUR_UNKNOWN for c in classes], dtype=pl.String),
        register_category=pl.when(is_registered).then("monitor_category"),
        people=pl.Series(people).cast(pl.Int64),
    )


def _counted(seen: _Standing) -> pl.DataFrame:
    people = pl.Series("people", np.round(np.nan_to_num(seen.matrix.column(PEOPLE.name)))).cast(pl.Int64)
    frame = pl.DataFrame([seen.standing.alias("category"), people])
    return frame.group_by("category").agg(households=pl.len().cast(pl.Int64), people=pl.col("people").sum())


def _movers(now: _Standing, then: _Standing, rules: Sequence[Rule], language: Language) -> pl.DataFrame:
    was, is_ = now.standing.is_in(CANDIDATES), then.standing.is_in(CANDIDATES)
    moved = (was | is_) & (now.standing != then.standing)
    rows = np.flatnonzero(moved.to_numpy())
    change = pl.select(
        pl.when(~was)
        .then(pl.lit(ENTERS.text(language)))
        .when(~is_)
        .then(pl.lit(LEAVES.text(language)))
        .otherwise(pl.lit(CHANGES.text(language)))
    ).to_series()
    codes, why = _reasons(now, then, rows, rules, language)
    return (
        _households(now)[rows]
        .select(
            pl.exclude("register_category"),
            change=change[rows],
            category_now=now.standing[rows],
            category_then=then.standing[rows],
            rules=codes,
            why=why,
        )
        .sort("change", "county_code", "village_code", "household_id")
    )


def _reasons(
    now: _Standing, then: _Standing, rows: NDArray[np.int64], rules: Sequence[Rule], language: Language
) -> tuple[pl.Series, pl.Series]:
    """Return the candidate rules that come or go for each of ``rows``, and what they say."""
    chosen = [rule for rule in rules if rule.is_candidate]
    said_now = hit_phrases(now.matrix, now.hits, rows, language, chosen)
    said_then = hit_phrases(then.matrix, then.hits, rows, language, chosen)
    names = {rule.code: rule.name(language == "zh") for rule in chosen}
    gone = Bilingual("不再触发", "no longer hit")
    codes, texts = [], []
    for before, after in zip(said_now, said_then, strict=True):
        comes = {code: f"{names[code]}：{text}" for code, text in after.items() if code not in before}
        goes = {
            code: f"{gone.text(language)} {names[code]}（{text}）"
            for code, text in before.items()
            if code not in after
        }
        codes.append("、".join([*comes, *goes]))
        texts.append(_JOINT[language].join([*comes.values(), *goes.values()]))
    return pl.Series(codes, dtype=pl.String), pl.Series(texts, dtype=pl.String)


def _parameters_read(matrix: FeatureMatrix, rules: Sequence[Rule]) -> pl.DataFrame:
    moving = moving_codes(rules)
    read = sorted({name for rule in rules if rule.code in moving for name in rule.all_parameters})
    inside = matrix.index["county_code"].unique().implode()
    return matrix.parameters.filter(pl.col("param").is_in(read), pl.col("county_code").is_in(inside))


def _measures(now: _Standing, then: _Standing, rules: Sequence[Rule]) -> pl.DataFrame:
    """Return to how many candidates each measure is suggested, now and then."""
    keys = ["measure", "labour_class"]
    parts = []
    for when, seen in (("now", now), ("then", then)):
        rows = np.flatnonzero(seen.standing.is_in(CANDIDATES).to_numpy())
        suggested = suggest_measures(seen.matrix, seen.hits, rows, "zh", rules, _EVERY_MEASURE)
        frame = _households(seen)[rows].select(
            "labour_class", "people", measure=pl.Series(suggested, dtype=pl.String).str.split("；")
        )
        parts.append(
            frame.explode("measure")
            .with_columns(pl.col("measure").str.replace(_ARTICLES, ""))
            .filter(pl.col("measure") != "")
            .group_by(keys)
            .agg(
                pl.len().cast(pl.Int64).alias(f"households_{when}"),
                pl.col("people").sum().alias(f"people_{when}"),
            )
        )
    return parts[0].join(parts[1], on=keys, how="full", coalesce=True).fill_null(0).sort(keys)


def _settings(rows: Sequence[Threshold], in_force: ThresholdTable, as_of_date: date) -> pl.DataFrame:
    schema = {
        "county_code": pl.String,
        "param": pl.String,
        "unit": pl.String,
        "now": pl.Float64,
        "then": pl.Float64,
        "source": pl.String,
        "verified": pl.Boolean,
    }
    records = []
    for row in rows:
        now = in_force.in_force(row.param, row.area, as_of_date)
        records.append(
            (
                row.area,
                row.param,
                row.unit,
                now and now.value,
                row.value,
                now and now.source,
                now and now.verified,
            )
        )
    return pl.DataFrame(records, schema=schema, orient="row")
