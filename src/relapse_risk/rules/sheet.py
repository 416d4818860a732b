"""One household before all rules: what each read, what it said and why, for the clerk on the phone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import polars as pl

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.apply import describe_gaps, is_in_force, missing_fields
from relapse_risk.rules.candidates import candidates
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.items import clearance_list
from relapse_risk.rules.measures import suggest_measures
from relapse_risk.rules.phrases import NOT_KNOWN, hit_phrases
from relapse_risk.rules.spec import COUNTY_PARAMETERS, Rule, parameter_unit
from relapse_risk.rules.timers import timers
from relapse_risk.scores import CANNOT_JUDGE, HIT, NO_HIT, RuleHits
from relapse_risk.vocabulary import Bilingual, Language

NOT_IN_FORCE = 9  # of a line of the sheet only: the rule was not asked
STATE_NAMES = {
    HIT: Bilingual("命中", "hit"),
    CANNOT_JUDGE: Bilingual("无法判断", "cannot judge"),
    NO_HIT: Bilingual("未触发", "no hit"),
    NOT_IN_FORCE: Bilingual("未启用", "not in force"),
}
# Hits first, then what could not be judged: it is never the same as no hit.
_ORDER = (HIT, CANNOT_JUDGE, NO_HIT, NOT_IN_FORCE)
_LACKING = Bilingual("缺少{fields}，请入户核实", "{fields} not known; please check on the visit")
_NOT_ABOUT = Bilingual("本规则不适用于本户", "the rule is not about this household")


@dataclass(frozen=True)
class Quantity:
    """One number a rule reads.

    Attributes
    ----------
    name : str
        Feature, parameter or rule.
    label, value : str
        As people say it, with its unit.
    source : str
        Where a parameter comes from; empty for what the record gives.
    verified : bool or None
        Whether somebody verified a parameter; None for what the record gives.
    """

    name: str
    label: str
    value: str
    source: str = ""
    verified: bool | None = None


@dataclass(frozen=True)
class SheetLine:
    """One rule on the sheet of a household.

    Attributes
    ----------
    code, name, category, basis : str
    state : int
        1 hit, 0 no hit, -1 cannot judge, 9 not in force.
    says : str
        The sentence of a hit, what is lacking, or that the rule is not about the household; else empty.
    inputs, parameters : tuple of Quantity
    days_left : int or None
        Of the rule's timer; negative is overdue.
    due_on : date or None
    """

    code: str
    name: str
    category: str
    basis: str
    state: int
    says: str
    inputs: tuple[Quantity, ...]
    parameters: tuple[Quantity, ...]
    days_left: int | None = None
    due_on: date | None = None


@dataclass(frozen=True)
class RuleSheet:
    """Every rule for one household on one day.

    Attributes
    ----------
    household_id : str
    as_of_date : date
    language : {"zh", "en"}
    place, household_type, monitor_category : str
    lines : tuple of SheetLine
        Hits first, then what cannot be judged, no hits, and rules not in force; by code within each.
    candidate : polars.DataFrame
        As :func:`~relapse_risk.rules.candidates.candidates` gives it; no row where it is none.
    clearance : polars.DataFrame
        As :func:`~relapse_risk.rules.items.clearance_list` gives it; no row outside the register.
    measures : str
        Suggested measures with their articles.
    """

    household_id: str
    as_of_date: date
    language: Language
    place: str
    household_type: str
    monitor_category: str
    lines: tuple[SheetLine, ...]
    candidate: pl.DataFrame
    clearance: pl.DataFrame
    measures: str

    def to_pandas(self) -> pd.DataFrame:
        """Return one row a rule: code, name, category, state, says, days_left, due_on, basis."""
        names = ("code", "name", "category", "state", "says", "days_left", "due_on", "basis")
        return pd.DataFrame([{name: getattr(line, name) for name in names} for line in self.lines])


def explain_rules(
    matrix: FeatureMatrix, hits: RuleHits, row: int, language: Language = "zh", rules: Sequence[Rule] = RULES
) -> RuleSheet:
    """Return every rule for one household, with what it read, its parameters, its result and its timer.

    Parameters
    ----------
    matrix : FeatureMatrix
        With the features of the whole catalogue.
    hits : RuleHits
        Of ``matrix``.
    row : int
        Position of the household in the matrix.
    language : {"zh", "en"}
    rules : sequence of Rule
        Those of ``hits``.

    Returns
    -------
    RuleSheet
    """
    rows = np.array([row])
    one = matrix.rows(rows)
    own = RuleHits(one.index, hits.codes, hits.states[rows])
    phrases = hit_phrases(one, own, np.array([0]), language, rules)[0]
    gaps = missing_fields(one, own, rules=rules)[0]
    running = {
        code: (left, due)
        for code, left, due in timers(one, rules).select("code", "days_left", "due_on").rows()
    }
    in_force = one.parameters.join(one.index, on=["county_code", "as_of_date"], how="semi")
    parameters = {row["param"]: row for row in in_force.iter_rows(named=True)}
    lines = []
    for rule in rules:
        state = int(own.state(rule.code)[0]) if is_in_force(rule, one)[0] else NOT_IN_FORCE
        left, due = running.get(rule.code, (None, None))
        lines.append(
            SheetLine(
                code=rule.code,
                name=rule.zh if language == "zh" else rule.en,
                category=rule.category,
                basis=rule.basis.text(language),
                state=state,
                says=_says(rule, state, one, phrases, gaps, language),
                inputs=_inputs(rule, one, own, language),
                parameters=tuple(_parameter(name, parameters, language) for name in _asked(rule)),
                days_left=left,
                due_on=due,
            )
        )
    lines.sort(key=lambda line: (_ORDER.index(line.state), line.code))
    index = one.index.row(0, named=True)
    names = (index[f"{level}_name"] or index[f"{level}_code"] for level in ("county", "township", "village"))
    return RuleSheet(
        household_id=index["household_id"],
        as_of_date=index["as_of_date"],
        language=language,
        place=" ".join(str(name) for name in names),
        household_type=index["household_type"] or NOT_KNOWN.text(language),
        monitor_category=index["monitor_category"] or NOT_KNOWN.text(language),
        lines=tuple(lines),
        candidate=candidates(one, own, language, rules),
        clearance=clearance_list(one, own, language),
        measures=suggest_measures(one, own, np.array([0]), language, rules)[0],
    )


def _asked(rule: Rule) -> tuple[str, ...]:
    """Return the parameters of the predicate and the timer, then those only a sentence quotes."""
    return tuple(dict.fromkeys((*rule.params, *rule.all_parameters)))


def _says(
    rule: Rule,
    state: int,
    one: FeatureMatrix,
    phrases: dict[str, str],
    gaps: dict[str, tuple[str, ...]],
    language: Language,
) -> str:
    if state == HIT:
        return phrases[rule.code]
    if state == CANNOT_JUDGE:
        fields = describe_gaps(one, {rule.code: gaps[rule.code]}, language)
        return _LACKING.text(language).replace("{fields}", fields)
    if state == NO_HIT and rule.applies is not None and one.evaluate(rule.applies)[0][0] == 0:
        return _NOT_ABOUT.text(language)
    return ""


def _inputs(rule: Rule, one: FeatureMatrix, own: RuleHits, language: Language) -> tuple[Quantity, ...]:
    found = []
    for name in dict.fromkeys((*rule.reads, *rule.all_features)):
        feature = one.features[name]
        value = float(one.column(name)[0])
        shown = NOT_KNOWN.text(language) if np.isnan(value) else feature.unit.say(value, language)
        found.append(Quantity(name, feature.zh if language == "zh" else feature.en, shown))
    states = (
        Quantity(code, code, STATE_NAMES[int(own.state(code)[0])].text(language)) for code in rule.reads_rules
    )
    return (*found, *states)


def _parameter(name: str, parameters: dict[str, dict[str, object]], language: Language) -> Quantity:
    row = parameters.get(name, {})
    value = row.get("value")
    known = isinstance(value, float)
    shown = (
        parameter_unit(name).say(value, language) if isinstance(value, float) else NOT_KNOWN.text(language)
    )
    label = COUNTY_PARAMETERS[name].text(language) if name in COUNTY_PARAMETERS else name
    return Quantity(
        name, label, shown, str(row.get("source", "")), bool(row.get("verified")) if known else None
    )
