"""The prioritised visit list of each county: every rule hit first, the model's early warnings after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl

from relapse_risk.explain.reasons import choose_reasons, default_bases
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.notebook import html_card
from relapse_risk.outputs.capacity import Capacity, area_names
from relapse_risk.outputs.columns import REASONS, with_headers
from relapse_risk.outputs.details import RowDetails, detail_rows
from relapse_risk.outputs.draws import audit_rows, lottery_rows
from relapse_risk.outputs.list_checks import check_rows
from relapse_risk.outputs.list_messages import TIER_COUNTS, list_messages, summary_lines
from relapse_risk.outputs.list_order import low_incomes_first, unknown_first
from relapse_risk.outputs.manifest import (
    rules_hash,
    sha256_of,
    thresholds_hash,
    unknown_parameters,
    unverified_thresholds,
)
from relapse_risk.outputs.route import route_of
from relapse_risk.outputs.rows import County, Explain, lay_out
from relapse_risk.outputs.standing import (
    comes_back,
    dated_rows,
    hits_since,
    not_met_rows,
    only_date,
    pauses,
    rests,
)
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import summarise
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.phrases import hit_phrases
from relapse_risk.rules.priority import TIERS, YELLOW, plan_visits
from relapse_risk.rules.spec import Rule
from relapse_risk.rules.tiers import has_moving_hit
from relapse_risk.scores import RiskScores, RuleHits
from relapse_risk.vocabulary import Bilingual, Language
from relapse_risk.windows import add_months


@dataclass(frozen=True)
class ListSettings:
    """How lists are made.

    Attributes
    ----------
    model_share, audit_share : float
        Parts of capacity set aside for model alerts and for the random audit sample.
    rest_days : int
        A household that was met in a visit less than this many days ago rests, unless it is red, applied
        itself or has a new rule hit; 0 lets nobody rest. One that was not met comes back.
    not_met_limit : int
        Visits in a row that met nobody after which a household no longer comes back before others, and one
        without a rule hit or an application pauses for a quarter; 0 for no limit.
    seed : int
        Of the audit sample and the lottery; each county and date draws from a seed of its own made from it.
    language : {"zh", "en"}
    valid_months : int
        Months after the as-of date until the list expires.
    is_per_township : bool
        Write each township's rows as files of their own, too.
    has_page : bool
        Write a page for the browser, too.
    lottery_share : float
        Part of capacity that is drawn by lot among households without a rule hit around the cut-off; 0 for
        no lottery.
    """

    model_share: float = 0.2
    audit_share: float = 0.05
    rest_days: int = 30
    seed: int = 0
    language: Language = "zh"
    valid_months: int = 1
    is_per_township: bool = False
    has_page: bool = True
    lottery_share: float = 0.0
    not_met_limit: int = 3


@dataclass(frozen=True)
class CountyList:
    """The list of one county.

    Attributes
    ----------
    listed, waiting : polars.DataFrame
        ``LIST_COLUMNS`` by name, in the order to visit; ``waiting`` (候补) is what did not fit, and goes on
        counting where ``listed`` ends.
    counts : mapping of str to int
        As in :class:`~relapse_risk.rules.priority.VisitSelection`.
    unit : polars.Series
        Name of the unit of capacity that visits each row, listed ones first.
    units : polars.DataFrame
        unit, capacity, used, audit, audit_pool, excess and audit_probability (with which each household of
        the unit that is not listed otherwise was drawn) of every unit.
    audit : polars.DataFrame
        rank, household_id, unit, inclusion_probability and audit_pool_n (households it was drawn from) of the
        random audit sample; for the manifest only.
    audit_seed : int
        Of the lottery, too.
    lottery : polars.DataFrame
        household_id, unit, is_listed and probability (of being listed) of the households at the edge among
        whom the last visits were drawn; empty without a lottery. For manifest and ledger only.
    not_met : polars.DataFrame
        Households that as many visits in a row as the limit says met nobody; see
        :func:`~relapse_risk.outputs.standing.not_met_rows`.
    route : polars.DataFrame
        As :func:`~relapse_risk.outputs.route.route_of` gives it: the suggested order of driving.
    messages : tuple of Bilingual
        What must be said loudly.
    details : RowDetails or None
        What the county page says of the rows, listed ones first; None where there is no page.
    """

    county_code: str
    county_name: str
    list_id: str
    listed: pl.DataFrame
    waiting: pl.DataFrame
    counts: Mapping[str, int]
    unit: pl.Series
    units: pl.DataFrame
    audit: pl.DataFrame
    audit_seed: int
    lottery: pl.DataFrame
    not_met: pl.DataFrame
    route: pl.DataFrame
    messages: tuple[Bilingual, ...] = ()
    details: RowDetails | None = None

    def summary_lines(self, language: Language) -> list[str]:
        """Return the list in a few words, and every message."""
        said = (*summary_lines(self.county_name, self.counts, self.listed.height), *self.messages)
        return [text.text(language) for text in said]


@dataclass(frozen=True)
class VisitList:
    """The lists of all counties on one as-of date.

    Attributes
    ----------
    as_of_date, expires_on : date
    settings : ListSettings
    counties : tuple of CountyList
        Sorted by county code.
    inputs : mapping
        What the lists were made from, by hash.
    rule_counts : tuple of dict
        Hits, no hits and rows that can't be judged, of every rule.
    unverified : tuple of dict
        Dated parameters in use that nobody verified.
    unknown_parameters : tuple of str
        Dated parameters that are needed and have no value.
    rules : tuple of Rule
        Those that were applied.
    """

    as_of_date: date
    expires_on: date
    settings: ListSettings
    counties: tuple[CountyList, ...]
    inputs: Mapping[str, object]
    rule_counts: tuple[Mapping[str, object], ...]
    unverified: tuple[Mapping[str, Any], ...]
    unknown_parameters: tuple[str, ...]
    rules: tuple[Rule, ...] = RULES

    def __len__(self) -> int:
        return sum(county.listed.height for county in self.counties)

    def __repr__(self) -> str:
        waiting = sum(county.waiting.height for county in self.counties)
        return (
            f"VisitList({len(self)} households in {len(self.counties)} counties, {waiting} waiting, "
            f"as of {self.as_of_date})"
        )

    def _repr_html_(self) -> str:
        facts = {
            "as of 截至": self.as_of_date,
            "valid until 有效期至": self.expires_on,
            "model share 模型份额": f"{self.settings.model_share:.0%}",
            "made from 依据": ", ".join(sorted(str(name) for name, given in self.inputs.items() if given)),
        }
        rows = [
            (county.county_name, *(county.counts[name] for name in TIER_COUNTS), county.waiting.height)
            for county in self.counties
        ]
        header = ("county 县", *(tier.value for tier in TIERS), "waiting 候补")
        return html_card("VisitList 走访名单", facts, rows, header)

    @property
    def messages(self) -> tuple[Bilingual, ...]:
        """What must be said loudly, of all counties."""
        return tuple(message for county in self.counties for message in county.messages)

    def to_pandas(self, language: Language | None = None) -> pd.DataFrame:
        """Return all rows, county after county; headers in a language, or column names where not given."""
        frame = pl.concat([county.listed for county in self.counties])
        return (frame if language is None else with_headers(frame, language)).to_pandas()


def make_visit_list(
    matrix: FeatureMatrix,
    hits: RuleHits,
    scores: RiskScores | None,
    capacity: int | Mapping[str, int] | Capacity,
    *,
    panel: Panel | None = None,
    explain: Explain | None = None,
    settings: ListSettings | None = None,
    rules: Sequence[Rule] = RULES,
    hit_since: pl.DataFrame | None = None,
    inputs: Mapping[str, object] | None = None,
) -> VisitList:
    """Return one prioritised list per county, with a reason for every row.

    Parameters
    ----------
    matrix : FeatureMatrix
        One as-of date, with the features of the whole catalogue.
    hits : RuleHits
        Of ``matrix``.
    scores : RiskScores or None
        Of ``matrix``; None for rules only: spare visits then go to the lowest incomes, as routine ones.
    capacity : int, mapping of str to int, or Capacity
        Visits per county, by county code, or by county, township, village or team.
    panel : Panel, optional
        Gives the last visit, and since when hits have stood; both stay empty, and nobody rests, without it.
    explain : callable, optional
        From the rows of a matrix to their attributions; asked for listed and waiting rows only.
    settings : ListSettings, optional
    rules : sequence of Rule
        Those of ``hits``.
    hit_since : polars.DataFrame, optional
        As :func:`~relapse_risk.outputs.standing.hits_since` gives it; worked out from ``panel`` where not
        given.
    inputs : mapping, optional
        Plain values for the manifest: ``store`` and ``model``, by version and hash.

    Returns
    -------
    VisitList

    Raises
    ------
    ContractError
        RR482 where the matrix has several dates, RR483 where hits or scores are of other rows.
    ConfigurationError
        RR484 where an area has no capacity; RR333 where it is negative or a share is out of range.
    """
    day = only_date(matrix.index)
    options = settings or ListSettings()
    check_rows(matrix, hits, scores)
    visits = capacity if isinstance(capacity, Capacity) else Capacity.of_counties(capacity)
    if hit_since is None and panel is not None:
        hit_since = hits_since(panel, hits, rules)
    dated = dated_rows(matrix, hit_since, panel, day)
    facts = {
        "store": None,
        "model": None,
        **(inputs or {}),
        "rules_sha256": rules_hash(rules),
        "thresholds_sha256": thresholds_hash(matrix),
    }
    plan = _Plan(day, add_months(day, options.valid_months), options, rules, explain, facts)
    counties = []
    places = matrix.index.select("county_code", row=pl.int_range(pl.len()))
    for of_county in places.group_by("county_code").agg("row").sort("county_code")["row"]:
        rows = of_county.to_numpy()
        part = County(
            matrix.rows(rows),
            RuleHits(matrix.index[rows], hits.codes, hits.states[rows]),
            None if scores is None else scores.score[rows],
            None if scores is None else unknown_first(matrix.rows(rows), scores.ranking[rows]),
            dated[rows],
        )
        counties.append(_county_list(part, visits, plan))
    return VisitList(
        as_of_date=day,
        expires_on=plan.expires_on,
        settings=options,
        counties=tuple(counties),
        inputs=facts,
        rule_counts=tuple(summarise(hits, rules, matrix).to_dicts()),
        unverified=unverified_thresholds(matrix, rules),
        unknown_parameters=unknown_parameters(matrix, rules),
        rules=tuple(rules),
    )


@dataclass(frozen=True)
class _Plan:
    """What all counties share."""

    as_of_date: date
    expires_on: date
    settings: ListSettings
    rules: Sequence[Rule]
    explain: Explain | None
    inputs: Mapping[str, object]


def _county_list(county: County, visits: Capacity, plan: _Plan) -> CountyList:
    """Select, explain and lay out the rows of one county."""
    seed = int(sha256_of(f"{plan.settings.seed}|{county.code}|{plan.as_of_date}")[:12], 16)
    is_new = (county.dated["hit_since"] >= plan.as_of_date).fill_null(True).to_numpy()
    of_unit = visits.of_county(county.matrix.index)
    day, limit = plan.as_of_date, plan.settings.not_met_limit
    has_hit = has_moving_hit(county.hits, plan.rules)
    selection = plan_visits(
        county.matrix,
        county.hits,
        capacity=of_unit.visits,
        unit=of_unit.unit,
        is_resting=(rests(county.dated, day, plan.settings.rest_days) & ~(is_new & has_hit))
        | (pauses(county.dated, day, limit) & ~has_hit),
        comes_back=comes_back(county.dated, day, limit),
        ranking=county.ranking,
        fallback_ranking=low_incomes_first(county.matrix) if county.ranking is None else None,
        is_new_hit=is_new,
        model_share=plan.settings.model_share,
        audit_share=plan.settings.audit_share,
        lottery_share=plan.settings.lottery_share,
        rng_seed=seed,
        rules=plan.rules,
    )
    households, waiting = county.matrix.index["household_id"], selection.waiting
    ordered = [households[rows].to_list() for rows in (selection.order, waiting)]
    identity = sha256_of([plan.inputs, selection.counts, ordered])
    list_id = f"{county.code}-{day:%Y%m%d}-{identity[:8]}"
    bases = default_bases(county.matrix, county.hits, plan.rules, waiting, county.ranking is not None)

    shown = np.concatenate([selection.order, waiting])
    tiers = np.concatenate([selection.tiers, np.full(len(waiting), YELLOW, dtype=np.int8)])
    why = [*selection.basis, *bases]
    attributions = None if plan.explain is None or not len(shown) else plan.explain(county.matrix.rows(shown))
    chosen = choose_reasons(county.matrix, attributions, county.hits, plan.rules, REASONS, shown)

    def lay(language: Language) -> pl.DataFrame:
        return lay_out(
            county,
            shown,
            tiers,
            why,
            list_id=list_id,
            expires_on=plan.expires_on,
            rules=plan.rules,
            attributions=attributions,
            chosen=chosen,
            phrases=phrases[language],
            language=language,
        )

    not_met = not_met_rows(county.matrix.index, county.dated, day, limit, selection.order, waiting)
    unit, units = of_unit.name_of(shown), of_unit.table(selection.units)
    n_listed, language = len(selection.order), plan.settings.language
    has_page, names = plan.settings.has_page, area_names(county.matrix.index)
    languages: tuple[Language, ...] = ("zh", "en") if has_page else (language,)
    phrases = {
        spoken: hit_phrases(county.matrix, county.hits, shown, spoken, plan.rules) for spoken in languages
    }
    laid = {spoken: lay(spoken) for spoken in languages}
    rows = laid[language]
    details = detail_rows(county, shown, laid, phrases, attributions) if has_page else None
    return CountyList(
        county_code=county.code,
        county_name=county.name,
        list_id=list_id,
        listed=rows[:n_listed],
        waiting=rows[n_listed:],
        counts=selection.counts,
        unit=unit,
        units=units,
        audit=audit_rows(households, selection, of_unit),
        lottery=lottery_rows(households, selection, of_unit),
        route=route_of(
            rows["rank"][:n_listed], unit[:n_listed], county.matrix.index["village_code"][shown][:n_listed]
        ),
        audit_seed=seed,
        not_met=not_met,
        messages=list_messages(county.name, selection.counts, units, not_met, names),
        details=details,
    )
