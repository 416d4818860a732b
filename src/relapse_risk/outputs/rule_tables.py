"""What the rules say about a county, as tables: states, counts, limits that run, candidates, check lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.files import parquet_bytes
from relapse_risk.outputs.files import csv_bytes
from relapse_risk.outputs.manifest import unknown_parameters, unverified_thresholds
from relapse_risk.rules.apply import apply_rules, summarise
from relapse_risk.rules.candidates import candidates
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.items import clearance_list, record_checks
from relapse_risk.rules.timers import timers
from relapse_risk.vocabulary import Bilingual, Language

_HEADERS = {
    "household_id": "户编号",
    "as_of_date": "数据截至",
    "county_code": "县代码",
    "village_code": "村代码",
    "household_type": "户类型",
    "category": "拟核实类别",
    "rules": "依据规则",
    "facts": "记录事实",
    "item": "项目代码",
    "name": "核查项目",
    "state": "是否满足",
    "code": "规则",
    "days_left": "剩余天数",
    "due_on": "到期日",
    "is_overdue": "是否超期",
}
_STATES = {1: Bilingual("是", "yes"), 0: Bilingual("否", "no"), -1: Bilingual("无法判断", "cannot judge")}


@dataclass(frozen=True)
class RuleTables:
    """What the rules say about the households of some counties.

    Attributes
    ----------
    states : polars.DataFrame
        household_id, as_of_date, county_code, village_code and one column a rule: 1, 0, -1.
    summary : polars.DataFrame
        Counts by rule. hit, no_hit and cannot_judge add up to the households; not_in_force says how many of
        the no hits are households for which the rule was not in force.
    timers, candidates, clearance, checks : polars.DataFrame
        Of :mod:`relapse_risk.rules`: ``timers``, ``candidates``, ``items``.
    unverified : tuple of dict
        Dated parameters in use that nobody verified.
    unknown : tuple of str
        Dated parameters that are needed and have no value.
    """

    states: pl.DataFrame
    summary: pl.DataFrame
    timers: pl.DataFrame
    candidates: pl.DataFrame
    clearance: pl.DataFrame
    checks: pl.DataFrame
    unverified: tuple[Mapping[str, Any], ...]
    unknown: tuple[str, ...]

    @classmethod
    def of(cls, matrix: FeatureMatrix, language: Language) -> RuleTables:
        """Apply every rule to a matrix, and tell what follows."""
        hits = apply_rules(matrix)
        states = pl.DataFrame(hits.states, schema=list(hits.codes), orient="row")
        index = hits.index.select("household_id", "as_of_date", "county_code", "village_code")
        return cls(
            states=index.hstack(states),
            summary=summarise(hits, matrix=matrix),
            timers=timers(matrix),
            candidates=candidates(matrix, hits, language),
            clearance=clearance_list(matrix, hits, language),
            checks=record_checks(matrix, hits),
            unverified=unverified_thresholds(matrix, RULES),
            unknown=unknown_parameters(matrix, RULES),
        )

    @classmethod
    def joined(cls, parts: Sequence[RuleTables]) -> RuleTables:
        """Return the tables of several counties as one."""
        return cls(
            states=pl.concat([part.states for part in parts]),
            summary=summed([part.summary for part in parts]),
            timers=pl.concat([part.timers for part in parts]),
            candidates=pl.concat([part.candidates for part in parts]),
            clearance=pl.concat([part.clearance for part in parts]),
            checks=summed([part.checks for part in parts]),
            unverified=merged_unverified([part.unverified for part in parts]),
            unknown=tuple(sorted({name for part in parts for name in part.unknown})),
        )

    def summary_lines(self, language: Language) -> list[str]:
        """Return in words: candidates, check lists, limits overdue, parameters not verified."""
        by_category = self.candidates["category"].value_counts().sort("category").rows()
        told = "、".join(f"{name}{n}" for name, n in by_category)
        lists = self.clearance["household_id"].n_unique()
        clearable = int((self.states["R32"] == 1).sum())
        overdue = int(self.timers["is_overdue"].sum())
        lines = [
            Bilingual(
                f"拟核实纳入{self.candidates.height}户（{told or '无'}），"
                f"在册{lists}户，其中可核查消除{clearable}户；"
                "是否纳入、消除由评议公示和审核程序决定。",
                f"{self.candidates.height} candidates for the register ({told or 'none'}); {lists} on it, "
                f"of which {clearable} may be looked at for clearance. The human procedure decides.",
            ),
            Bilingual(f"超期时限{overdue}项。", f"{overdue} limits are overdue."),
        ]
        if self.unverified:
            names = "、".join(dict.fromkeys(f"{row['param']}={row['value']:g}" for row in self.unverified))
            lines.append(Bilingual(f"尚未核实的参数：{names}", f"Parameters not verified: {names}"))
        if self.unknown:
            names = "、".join(self.unknown)
            lines.append(Bilingual(f"没有数值的参数：{names}", f"Parameters without a value: {names}"))
        return [line.text(language) for line in lines]

    def files(self, language: Language) -> dict[str, bytes]:
        """Return the tables as files: what people open as CSV, what programs read as Parquet."""
        state = pl.col("state").replace_strict(
            {state: text.text(language) for state, text in _STATES.items()}, return_dtype=pl.String
        )
        return {
            "rule_hits.parquet": parquet_bytes(self.states),
            "timers.parquet": parquet_bytes(self.timers),
            "summary.csv": csv_bytes(self.summary),
            "record_checks.csv": csv_bytes(self.checks),
            "candidates.csv": csv_bytes(_headed(self.candidates, language)),
            "clearance.csv": csv_bytes(_headed(self.clearance.with_columns(state), language)),
        }


def _headed(frame: pl.DataFrame, language: Language) -> pl.DataFrame:
    return frame.rename(_HEADERS, strict=False) if language == "zh" else frame


def summed(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return counts by name, added up over counties, in their first order."""
    counts = [name for name, dtype in parts[0].schema.items() if dtype.is_integer()]
    names = [name for name in parts[0].columns if name not in counts]
    return pl.concat(parts).group_by(names, maintain_order=True).agg(pl.col(counts).sum())


def merged_unverified(parts: Sequence[Sequence[Mapping[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """Return the unverified parameters of several counties, each value once with all its counties."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in (row for part in parts for row in part):
        key = tuple(row[name] for name in ("param", "value", "unit", "source"))
        known = found.setdefault(key, {**row, "counties": []})
        known["counties"] = sorted({*known["counties"], *row["counties"]})
    return tuple(found[key] for key in sorted(found))
