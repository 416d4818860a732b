"""Why one household stands where it stands, and what changed: the question a clerk is asked on the phone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from relapse_risk.engine import over_counties
from relapse_risk.errors import ConfigurationError
from relapse_risk.explain.attribute import attribute
from relapse_risk.explain.changes import MovedFact, common_households, moved_facts
from relapse_risk.features.build import build_features
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.modeling.store import load_model
from relapse_risk.outputs.capacity import Capacity
from relapse_risk.outputs.household import HouseholdChange, HouseholdExplanation, explain_row
from relapse_risk.outputs.issued import find_issued, issued_rows
from relapse_risk.outputs.list_changes import compare_lists
from relapse_risk.outputs.list_place import RowFacts, lists_of_county, place_on_list
from relapse_risk.outputs.standing import comes_back, dated_rows, pauses
from relapse_risk.outputs.visit_list import ListSettings, make_visit_list
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.apply import apply_rules
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.rules.tiers import is_settled, moving_codes, tier_of
from relapse_risk.runs import in_county_of, unknown_household
from relapse_risk.scores import HIT, RiskScores, RuleHits
from relapse_risk.vocabulary import Language
from relapse_risk.windows import month_end, month_index

if TYPE_CHECKING:
    from relapse_risk.modeling.model import TrainedModel
    from relapse_risk.outputs.tables import ResultTable
    from relapse_risk.thresholds import ThresholdTable


def explain_household(
    panel: Panel,
    household_id: str,
    as_of_date: date,
    model: TrainedModel | None = None,
    *,
    issued: pl.DataFrame | None = None,
    capacity: int | Mapping[str, int] | Capacity | None = None,
    settings: ListSettings | None = None,
    language: Language = "zh",
) -> HouseholdExplanation:
    """Return why one household stands where it stands, as known on a day, and what changed.

    Rules come first with their numbers, then the facts that raise the risk and, apart, those that lower it;
    the sentences are those of lists, pages and ``rules explain``.

    Parameters
    ----------
    panel : Panel
        The whole county, since score and place on a list are among its households.
    household_id : str
    as_of_date : date
    model : TrainedModel, optional
        Rules only where not given.
    issued : polars.DataFrame, optional
        Lists handed out, as :func:`~relapse_risk.outputs.issued.find_issued` gives them: where the
        household stands on the list of the day, and what changed since the one before.
    capacity : int or mapping of str to int, optional
        Makes the list of the day where none was handed out.
    settings : ListSettings, optional
        Of that list.
    language : {"zh", "en"}

    Returns
    -------
    HouseholdExplanation
        ``.lines()`` for a terminal, ``.plot()`` for a waterfall, ``.to_pandas()`` for its sentences. Changes
        are since the list before or, where there is none, since the month end before the day.

    Raises
    ------
    ConfigurationError
        RR233 where no such household was known on that day.
    """
    known = panel.known_at(as_of_date).households
    own = known.filter(pl.col("household_id") == household_id)
    if own.is_empty():
        raise unknown_household(household_id, as_of_date)
    county = str(own["county_code"][0])
    of_county = known.filter(pl.col("county_code") == county)["household_id"].to_list()
    lists = [] if issued is None else lists_of_county(issued, county, as_of_date)
    earlier = [issued for issued in lists if issued["as_of_date"][0] < as_of_date]
    since = earlier[-1]["as_of_date"][0] if earlier else month_end(month_index(as_of_date) - 1)
    first = panel.first_recorded_on
    days = [as_of_date] if first is None or since < first else [since, as_of_date]
    both = build_features(panel, days, all_features(panel), households=of_county)
    now = _County.of(both.at(as_of_date), model)
    row = now.row_of(household_id)
    if row is None:
        raise unknown_household(household_id, as_of_date)
    options = settings or ListSettings()
    facts = now.facts(row, panel, options)
    today = next((issued for issued in lists if issued["as_of_date"][0] == as_of_date), None)
    if today is None and capacity is not None:
        today = issued_rows(
            make_visit_list(
                now.matrix,
                now.hits,
                now.scores,
                capacity,
                panel=panel,
                settings=replace(options, has_page=False),
            )
        )
    change = None
    if len(days) == 2:
        then = _County.of(both.at(since), model)
        change = _change(now, then, household_id, panel, earlier[-1] if earlier else None, options, language)
    return explain_row(
        now.matrix,
        now.hits,
        row,
        scores=now.scores,
        attributions=None if model is None else attribute(model, now.matrix.rows(np.array([row]))),
        model="" if model is None else model.name,
        place=None if today is None else place_on_list(today, household_id, facts),
        change=change,
        language=language,
    )


def explain_from_store(
    store: Path,
    household_id: str,
    as_of_date: date,
    model_folder: Path | None,
    lists: list[Path],
    capacity: int | Capacity | None,
    settings: ListSettings,
    *,
    language: Language = "zh",
    thresholds: ThresholdTable | None = None,
) -> HouseholdExplanation:
    """Return the explanation of a household in whichever county of a store it lives.

    Raises
    ------
    ConfigurationError
        RR233 where no such household was known on that day.
    """

    def tell(panel: Panel) -> HouseholdExplanation:
        model = None
        if model_folder is not None:
            model = load_model(model_folder, all_features(panel))
        return explain_household(
            panel,
            household_id,
            as_of_date,
            model,
            issued=find_issued(lists),
            capacity=capacity,
            settings=settings,
            language=language,
        )

    return in_county_of(store, household_id, as_of_date, tell, thresholds)


def no_picture(found: str, expected: str) -> ConfigurationError:
    """Return the error for a picture that can't be drawn as it was asked for."""
    return ConfigurationError(
        "RR234",
        "--picture",
        found,
        expected,
        "Correct the call",
        zh="图片文件名应以 .svg 或 .png 结尾，且须使用模型。",
    )


@dataclass(frozen=True)
class _County:
    """All households of a county on one date, judged and scored."""

    matrix: FeatureMatrix
    hits: RuleHits
    scores: RiskScores | None
    model: TrainedModel | None

    @classmethod
    def of(cls, matrix: FeatureMatrix, model: TrainedModel | None) -> _County:
        return cls(matrix, apply_rules(matrix), None if model is None else model.predict_risk(matrix), model)

    def row_of(self, household_id: str) -> int | None:
        rows = np.flatnonzero((self.matrix.index["household_id"] == household_id).to_numpy())
        return int(rows[0]) if len(rows) else None

    def facts(self, row: int, panel: Panel, settings: ListSettings) -> RowFacts:
        """Return what decides on the household's place on a list."""
        one = self.matrix.rows(np.array([row]))
        hits = RuleHits(one.index, self.hits.codes, self.hits.states[[row]])
        tier = tier_of(one, hits)
        day: date = one.index["as_of_date"][0]
        dated = dated_rows(one, None, panel, day)
        last_visit, was_met = dated.select("last_visit", "was_met").row(0)
        return RowFacts(
            tier=int(tier[0]),
            is_settled=bool(is_settled(one, tier)[0]),
            has_applied=bool(one.column("self_applied")[0] >= 1),
            score=None if self.scores is None else float(self.scores.score[row]),
            last_met=last_visit if was_met else None,
            rest_days=settings.rest_days,
            comes_back=bool(comes_back(dated, day, settings.not_met_limit)[0]),
            not_met_n=dated["not_met_n"][0] if pauses(dated, day, settings.not_met_limit)[0] else 0,
        )

    def hit_codes(self, row: int) -> set[str]:
        """Return the rules hit that give the household its tier."""
        codes = moving_codes()
        return {code for code in codes if self.hits.state(code)[row] == HIT}


def _change(
    now: _County,
    then: _County,
    household_id: str,
    panel: Panel,
    issued: pl.DataFrame | None,
    settings: ListSettings,
    language: Language,
) -> HouseholdChange:
    """Return what changed for one household since the date of ``then``."""
    since: date = then.matrix.index["as_of_date"][0]
    day: date = now.matrix.index["as_of_date"][0]
    row, earlier = now.row_of(household_id), then.row_of(household_id)
    if row is None or earlier is None:
        return HouseholdChange(since, None, is_new=True)
    name_of = {rule.code: rule.name(language == "zh") for rule in RULES}
    before, after = then.hit_codes(earlier), now.hit_codes(row)
    visits = panel.known_at(day).table("visit").filter(pl.col("household_id") == household_id)["visited_on"]
    days = visits.drop_nulls().unique().sort().to_list()
    has_scores = then.scores is not None
    return HouseholdChange(
        since=since,
        place=None
        if issued is None
        else place_on_list(issued, household_id, then.facts(earlier, panel, settings)),
        rules_begun=tuple(name for code, name in name_of.items() if code in after - before),
        rules_ended=tuple(name for code, name in name_of.items() if code in before - after),
        risk=float(then.scores.headline[earlier]) if then.scores is not None else None,
        score=float(then.scores.score[earlier]) if then.scores is not None else None,
        facts=_moved(then, earlier, now, row) if has_scores else (),
        visited_on=tuple(visited for visited in days if since < visited <= day),
    )


def _moved(then: _County, earlier: int, now: _County, row: int) -> tuple[MovedFact, ...]:
    if now.model is None:
        return ()
    before, after = then.matrix.rows(np.array([earlier])), now.matrix.rows(np.array([row]))
    told = moved_facts((before, attribute(now.model, before)), (after, attribute(now.model, after)))
    return tuple(told[0])


def changes_between(
    store: Path,
    before: pl.DataFrame,
    after: pl.DataFrame,
    model_folder: Path | None = None,
    *,
    language: Language = "zh",
    thresholds: ThresholdTable | None = None,
) -> ResultTable:
    """Return what changed between two lists handed out, with visits and, by a model, the facts that moved.

    Parameters
    ----------
    store : Path
    before, after : polars.DataFrame
        Rows of the lists of one date each, of any number of counties.
    model_folder : Path, optional
        Explains both dates; without it no facts are named.
    language : {"zh", "en"}
    thresholds : ThresholdTable, optional
        The layers under the store's own rows.

    Raises
    ------
    ConfigurationError
        RR490 where one of them holds no rows or several dates, or the later is not later.
    """
    since, day = _date_of(before), _date_of(after)
    if since is None or day is None or since >= day:
        raise ConfigurationError(
            "RR490",
            "lists to compare",
            f"dates {since or 'none or several'} and {day or 'none or several'}",
            "folders with the lists of one date each, the earlier first",
            "Name the folder of the earlier list, then that of the later one",
            zh="应先后给出两个日期的名单文件夹，每个文件夹内只有一个日期的名单，较早的在前。",
        )
    households = pl.concat([before["household_id"], after["household_id"]]).unique().sort().to_list()

    def of_county(_: str, panel: Panel) -> tuple[pl.DataFrame, dict[str, list[MovedFact]]]:
        known = panel.known_at(day)
        visits = known.table("visit").group_by("household_id").agg(last_visit=pl.col("visited_on").max())
        own = known.households["household_id"].filter(known.households["household_id"].is_in(households))
        if model_folder is None or own.is_empty():
            return visits, {}
        both = build_features(panel, [since, day], all_features(panel), households=own.to_list())
        model = load_model(model_folder, both.features)
        then, now = both.at(since), both.at(day)
        rows = common_households(then, now)
        then, now = then.rows(rows["before"].to_numpy()), now.rows(rows["after"].to_numpy())
        moved = moved_facts((then, attribute(model, then)), (now, attribute(model, now)))
        return visits, dict(zip(rows["household_id"].to_list(), moved, strict=True))

    parts = [part for _, part in over_counties(store, of_county, day, thresholds=thresholds)]
    return compare_lists(
        before,
        after,
        language,
        facts={household: told for _, moved in parts for household, told in moved.items()},
        visits=pl.concat([visits for visits, _ in parts]),
    )


def _date_of(issued: pl.DataFrame) -> date | None:
    dates = issued["as_of_date"].unique().to_list()
    return dates[0] if len(dates) == 1 else None
