"""What is checked on every row of a table: expressions that are true where something is wrong.

A check never guesses: where a value it needs is missing, it is silent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import polars as pl

from relapse_risk.panel.mask import MARK_END, STAFF_COLUMNS
from relapse_risk.panel.raw import EXCESS_CELLS
from relapse_risk.panel.reasons import Reason, allowed_range, coded_values
from relapse_risk.panel.schema import Column, ColumnType, Need, Table
from relapse_risk.vocabulary import Bilingual

ARITHMETIC_TOLERANCE_YUAN = 1.0

_AREA_DIGITS = {"county_code": 6, "township_code": 9, "village_code": 12}
_IN_ORDER = {
    "measure": (("start_on", "end_on"),),
    "workflow": (("publicity_start", "publicity_end"),),
    "threshold": (("effective_from", "effective_to"),),
    "member": (("birth_month", "recorded_on"),),
    "household": (("identified_on", "recorded_on"), ("cleared_on", "recorded_on")),
}
_STAGES = (
    *("discovered_on", "verified_on", "review_on", "publicity_start", "publicity_end"),
    *("township_on", "county_on"),
)
_OLDEST_YEARS = 120
# Flags of members that an age rules out: the ages they fit, in years.
_AGES = {
    "left_behind_child": (0, 18),
    "child_difficulty": (0, 18),
    "orphan_defacto": (0, 18),
    "elder_alone": (55, _OLDEST_YEARS),
}
_LIKE_IDENTITY = r"^[1-8]\d{5}(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dXx]$"
_PARTS_OF = {
    "property_income_yuan": ("asset_dividend_yuan",),
    "transfer_income_yuan": ("dibao_amount_yuan", "pension_amount_yuan", "subsidy_amount_yuan"),
    "wage_income_yuan": ("public_post_income_yuan",),
    "education_cost_yuan": ("noncompulsory_education_cost_yuan",),
}


@dataclass(frozen=True)
class Check:
    """One thing that can be wrong with a row.

    Attributes
    ----------
    fails : polars.Expr
        True where it is wrong; null counts as right.
    expected : Bilingual or None
        Fills the reason's sentence.
    """

    reason: Reason
    column: Column
    fails: pl.Expr
    expected: Bilingual | None = None


def row_checks(table: Table, today: date) -> list[Check]:
    """Return the checks whose failure sends a row back."""
    checks = [check for column in table.columns for check in _column_checks(column)]
    checks += _date_checks(table, today)
    if table.name == "observation":
        checks.append(_net_income(table))
    if table.name == "member":
        checks.append(Check(Reason.AGE, table.by_name["birth_month"], _age_years() > _OLDEST_YEARS))
    return checks


def _age_years() -> pl.Expr:
    return (pl.col("recorded_on") - pl.col("birth_month")).dt.total_days() / 365.25


def excess_check(table: Table) -> Check:
    """Return the check of rows with more cells than the header."""
    return Check(Reason.EXCESS_CELLS, table.columns[0], pl.col(EXCESS_CELLS).is_not_null())


def _column_checks(column: Column) -> Iterator[Check]:
    value = pl.col(column.name)
    if column.need is not Need.OPTIONAL:
        yield Check(Reason.MISSING, column, value.is_null())
    if column.type is ColumnType.INT and column.values:
        codes = [int(text) for text in column.values]
        yield Check(Reason.CODED_VALUE, column, ~value.is_in(codes), coded_values(column))
    elif column.minimum == 0 and column.maximum is None:
        yield Check(Reason.NEGATIVE, column, value < 0)
    elif column.minimum is not None or column.maximum is not None:
        if column.minimum == 0:
            yield Check(Reason.NEGATIVE, column, value < 0)
            yield Check(Reason.RANGE, column, value > column.maximum, allowed_range(column))
        else:
            low = value < column.minimum if column.minimum is not None else pl.lit(value=False)
            high = value > column.maximum if column.maximum is not None else pl.lit(value=False)
            yield Check(Reason.RANGE, column, low | high, allowed_range(column))
    if digits := _AREA_DIGITS.get(column.name):
        form = Bilingual(f"{digits}位数字", f"a code of {digits} digits")
        yield Check(Reason.CODE_FORM, column, ~value.str.contains(rf"^\d{{{digits}}}$"), form)
    if column.name == "area_code":
        form = Bilingual("* 或地区代码（前缀）", "* or the beginning of a county code")
        yield Check(Reason.CODE_FORM, column, ~value.str.contains(r"^(\*|\d{1,12})$"), form)


def _date_checks(table: Table, today: date) -> Iterator[Check]:
    recorded = table.by_name["recorded_on"]
    yield Check(Reason.FUTURE, recorded, pl.col("recorded_on") > today)
    if table.happened is not None and table.name != "threshold":  # a threshold is announced beforehand
        later = pl.col(table.happened) > pl.col("recorded_on")
        if table.name == "measure":
            # A planned measure is entered before it starts.
            later &= ~(pl.col("status") == "拟定").fill_null(value=False)
        yield Check(Reason.HAPPENED_LATER, table.by_name[table.happened], later)
    for first, second in _IN_ORDER.get(table.name, ()):
        earlier = table.by_name[first]
        expected = Bilingual(earlier.zh, earlier.name)
        out_of_order = pl.col(second) < pl.col(first)
        yield Check(Reason.DATES_OUT_OF_ORDER, table.by_name[second], out_of_order, expected)


def _net_income(table: Table) -> Check:
    parts = (
        pl.col("wage_income_yuan")
        + pl.col("business_income_yuan")
        - pl.col("business_cost_yuan")
        + pl.col("property_income_yuan")
        + pl.col("transfer_income_yuan")
    )
    formula = Bilingual(
        "工资性+生产经营性收入−支出+财产性+转移性", "wage + business − cost + property + transfer"
    )
    differs = (pl.col("net_income_yuan") - parts).abs() > ARITHMETIC_TOLERANCE_YUAN
    return Check(Reason.ARITHMETIC, table.by_name["net_income_yuan"], differs, formula)


def row_warnings(table: Table) -> list[Check]:
    """Return the checks whose failure is counted while the row is kept."""
    return [*_table_warnings(table), *_masked(table), *_identities(table)]


def _identities(table: Table) -> Iterator[Check]:
    """Remark on identity numbers that serve as keys: they can't be masked, for rows refer to them."""
    if table.name in ("household", "member"):
        column = table.by_name[table.key[0]]
        yield Check(Reason.IDENTITY_AS_CODE, column, pl.col(column.name).str.contains(_LIKE_IDENTITY))


def _masked(table: Table) -> Iterator[Check]:
    """Count the marks that reading has put in place of numbers and names."""
    for column in table.columns:
        if column.type is ColumnType.TEXT or column.name in STAFF_COLUMNS:
            yield Check(Reason.MASKED, column, pl.col(column.name).str.contains(MARK_END, literal=True))


def _table_warnings(table: Table) -> list[Check]:
    column = table.by_name
    if table.name == "household":
        is_lifted = pl.col("household_type") == "脱贫户"
        return [
            Check(
                Reason.LIFTED_YEAR, column["lifted_year"], is_lifted != pl.col("lifted_year").is_not_null()
            ),
            _nested(table, "township_code", "county_code"),
            _nested(table, "village_code", "township_code"),
        ]
    if table.name == "observation":
        is_month_end = pl.col("period_end") == pl.col("period_end").dt.month_end()
        return [Check(Reason.PERIOD_END, column["period_end"], ~is_month_end), *_parts_and_wholes(table)]
    if table.name == "member":
        return list(_unlike_age(table))
    if table.name == "workflow":
        return list(_stages(table))
    return []


def _unlike_age(table: Table) -> Iterator[Check]:
    for name, (youngest, oldest) in _AGES.items():
        expected = Bilingual(f"{youngest} 至 {oldest} 岁", f"{youngest} to {oldest} years")
        outside = ~_age_years().is_between(youngest, oldest + 1)
        yield Check(Reason.UNLIKE_AGE, table.by_name[name], pl.col(name) & outside, expected)


def _stages(table: Table) -> Iterator[Check]:
    """Compare each stage of a case with the one before; publicity's end is checked as an error."""
    for earlier, later in pairwise(_STAGES):
        if (earlier, later) != ("publicity_start", "publicity_end"):
            before = table.by_name[earlier]
            expected = Bilingual(before.zh, before.name)
            yield Check(Reason.STAGE_ORDER, table.by_name[later], pl.col(later) < pl.col(earlier), expected)


def _nested(table: Table, inner: str, outer: str) -> Check:
    outside = ~pl.col(inner).str.starts_with(pl.col(outer))
    expected = Bilingual(table.by_name[outer].zh, outer)
    return Check(Reason.AREA_NOT_NESTED, table.by_name[inner], outside, expected)


def _parts_and_wholes(table: Table) -> Iterator[Check]:
    for whole, parts in _PARTS_OF.items():
        known = pl.sum_horizontal(parts) > pl.col(whole) + ARITHMETIC_TOLERANCE_YUAN
        names = Bilingual(table.by_name[whole].zh, whole)
        yield Check(Reason.PART_ABOVE_WHOLE, table.by_name[parts[0]], known, names)


def members_differ(observations: pl.DataFrame, present: pl.DataFrame) -> pl.DataFrame:
    """Return the latest rows of households that report 2 persons more or fewer than their members present.

    Parameters
    ----------
    observations : polars.DataFrame
        All rows of some households, with their hash ``household``; the latest period counts.
    present : polars.DataFrame
        Hash of each household and its number of members.
    """
    latest = observations.sort("period_end", maintain_order=True).unique("household", keep="last")
    both = latest.join(present, on="household")
    return both.filter((pl.col("n_person") - pl.col("members")).abs() >= 2)
