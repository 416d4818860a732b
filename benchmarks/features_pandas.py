"""A careful pandas version of the features: tables read once, conditions kept, one group-by a statistic.

It has every feature but those that compare areas or read the county's own table, for a store of one county in
which no household follows another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.conditions import EMPTY_MEANS_NONE, columns_in
from relapse_risk.features.evaluate import Plan
from relapse_risk.features.expression import Array, Evaluator, Expression, ParameterRef
from relapse_risk.features.nodes import (
    AGE,
    EARNER,
    AnyCondition,
    ColumnCondition,
    Condition,
    HouseholdMonthsSince,
    HouseholdTest,
    HouseholdValue,
    Latest,
    MonthsSinceReport,
    NotCondition,
    PeriodTest,
    PeriodValue,
    RowStatistic,
    Window,
)
from relapse_risk.panel.schema import ITEM_SEPARATOR, ColumnType
from relapse_risk.panel.store import Store
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import month_end

FALSE, UNKNOWN, TRUE = 0, 1, 2


def pandas_version(
    store: Path, day: date, names: Sequence[str], columns: Mapping[str, Sequence[str]]
) -> list[Array]:
    """Return the values of features, each of shape (n_households,)."""
    known = _Known(store, day, columns)
    plan = Plan([CATALOG[name].formula for name in names], lambda name: CATALOG[name].formula)
    return plan.program.run([known.leaf(leaf) for leaf in plan.program.leaves], len(known.ids))


def _numbers(table: str, cells: pd.Series) -> Array:
    """Return cells as numbers: yes/no as 1/0, coded values in their declared order."""
    declared = TABLE_BY_NAME[table].by_name[str(cells.name)]
    if declared.type is ColumnType.CATEGORY:
        cells = cells.map({value: place for place, value in enumerate(declared.values, start=1)})
    return cells.astype("float64").to_numpy()


class _Known:
    """What was known on a day: the latest version of every row, of households that live."""

    def __init__(self, store: Path, day: date, columns: Mapping[str, Sequence[str]]) -> None:
        self.day, self._store, self._columns = day, store, columns
        households, members = self._latest("household"), self._latest("member")
        left = members["is_present"].eq(False).groupby(members["household_id"]).all()
        self.households = households[~households["household_id"].isin(left[left].index)].sort_values(
            "household_id"
        )
        self.ids = pd.Index(self.households["household_id"])
        self._all_members = members
        self.tables = {
            name: _Rows(name, self._of_living(self._latest(name) if name != "member" else members), self)
            for name in columns
            if name in ("member", "event", "measure", "visit", "workflow")
        }
        self.rows = _Rows("household", self.households, self)
        self.periods = _Periods(store, self._of_living(self._latest("observation")), self)

    def _latest(self, name: str) -> pd.DataFrame:
        files = sorted((self._store / "tables" / name).rglob("*.parquet"))
        files = [path for path in files if "copies" not in path.name]
        columns = list(self._columns[name])
        frame = pd.concat([pd.read_parquet(path, columns=columns) for path in files], ignore_index=True)
        frame = frame[frame["recorded_on"] <= self.day].sort_values("recorded_on", kind="stable")
        return frame.drop_duplicates(list(TABLE_BY_NAME[name].key), keep="last")

    def _of_living(self, frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["household_id"].isin(self.ids)]

    def leaf(self, node: Expression) -> Array:
        """Return what a formula reads, by household."""
        match node:
            case RowStatistic(table=table):
                return self.tables[table].statistic(node)
            case HouseholdValue(column):
                return _numbers("household", self.households[column])
            case HouseholdTest(condition):
                truth = self.rows.truth(condition)
                return np.where(truth == UNKNOWN, np.nan, truth == TRUE)
            case HouseholdMonthsSince(column):
                return self._months_since(column)
            case ParameterRef(name):
                return self.periods.thresholds.values(name, [self.periods.county], [self.day])[0].repeat(
                    len(self.ids)
                )
            case _:
                return self.periods.of_household(node)

    def _months_since(self, column: str) -> Array:
        cells = self.households[column]
        if TABLE_BY_NAME["household"].by_name[column].type is ColumnType.YEAR:
            return 12.0 * (self.day.year - cells.astype("float64").to_numpy())
        then = pd.to_datetime(cells)
        return (12.0 * self.day.year + self.day.month - 12 * then.dt.year - then.dt.month).to_numpy()

    def earners(self) -> pd.Series:
        """Return by member whether it works, has left a job, or is able to work; NaN where not known."""
        rows = _Rows("member", self._all_members, self)
        works = rows.truth(ColumnCondition("in", "work_status", ("在岗", "离岗")))
        able = rows.truth(ColumnCondition("in", "labour_skill", ("技能劳动力", "普通劳动力")))
        pupil = rows.truth(ColumnCondition("in", "school_status", ("非在校",))) == FALSE
        truth = np.maximum(works, np.minimum(able, np.where(pupil, FALSE, TRUE)))
        return pd.Series(np.array([0.0, np.nan, 1.0])[truth], index=self._all_members["member_id"])


class _Rows:
    """Known rows of a table, with the place of each one's household, and what conditions make of them."""

    def __init__(self, name: str, frame: pd.DataFrame, known: _Known) -> None:
        if name == "member" and frame is not known._all_members:
            frame = frame[frame["is_present"].ne(False)]
        self.name, self.frame, self.known = name, frame.reset_index(drop=True), known
        self.household = known.ids.get_indexer(self.frame["household_id"]) if hasattr(known, "ids") else None
        self._truths: dict[Condition, Any] = {}
        self._days: dict[str, Any] = {}

    def numbers(self, column: str) -> Array:
        """Return a column, or what it stands for, as numbers."""
        if column == AGE:
            birth = pd.to_datetime(self.frame["birth_month"])
            months = 12 * (self.known.day.year - birth.dt.year) + self.known.day.month - birth.dt.month
            return np.floor(months.to_numpy(dtype="float64") / 12)
        if column == EARNER:
            return self.frame["member_id"].map(self.known.earners()).to_numpy(dtype="float64")
        return _numbers(self.name, self.frame[column])

    def days_ago(self, column: str) -> Any:
        """Return the days from a date to the as-of date."""
        if column not in self._days:
            then = pd.to_datetime(self.frame[column])
            self._days[column] = (pd.Timestamp(self.known.day) - then).dt.days.to_numpy(dtype="float64")
        return self._days[column]

    def truth(self, condition: Condition) -> Any:
        """Return whether each row fulfils a condition: 2 yes, 1 not known, 0 no."""
        if condition not in self._truths:
            self._truths[condition] = self._truth(condition)
        return self._truths[condition]

    def _truth(self, condition: Condition) -> Any:
        match condition:
            case NotCondition(inner):
                return TRUE - self.truth(inner)
            case AnyCondition(options):
                return np.maximum.reduce([self.truth(option) for option in options])
            case ColumnCondition("missing", column):
                return np.where(self.frame[column].isna(), TRUE, FALSE)
            case ColumnCondition("days_ago", column, (fewest, most)):
                days = self.days_ago(column)
                least = -np.inf if fewest is None else fewest
                return np.where((days >= least) & (days <= (np.inf if most is None else most)), TRUE, FALSE)
            case ColumnCondition(test, column, values):
                is_true, is_known = self._tested(test, column, values)
                unknown = FALSE if (self.name, column) in EMPTY_MEANS_NONE else UNKNOWN
                return np.where(is_known, np.where(is_true, TRUE, FALSE), unknown)
        raise TypeError(condition)

    def _tested(self, test: str, column: str, values: Sequence[Any]) -> tuple[Any, Any]:
        is_virtual = column in (AGE, EARNER)
        if test in ("in", "has") and not is_virtual and not pd.api.types.is_numeric_dtype(self.frame[column]):
            cells, wanted = self.frame[column], {str(value) for value in values}
            if test == "in":
                return cells.isin(wanted).to_numpy(), cells.notna().to_numpy()
            texts = [text for text in cells.dropna().unique() if wanted & set(text.split(ITEM_SEPARATOR))]
            return cells.isin(texts).to_numpy(), cells.notna().to_numpy()
        numbers = self.numbers(column)
        if test == "in":
            is_true = np.isin(numbers, [float(str(value)) for value in values])
        elif test in ("at_least", "below"):
            is_true = numbers >= float(values[0]) if test == "at_least" else numbers < float(values[0])
        else:
            is_true = numbers == (1.0 if test == "true" else 0.0)
        return is_true, ~np.isnan(numbers)

    def statistic(self, node: RowStatistic) -> Array:
        """Return a statistic of the rows that fulfil the conditions, by household."""
        truth = np.full(len(self.frame), TRUE)
        for condition in node.conditions:
            truth = np.minimum(truth, self.truth(condition))
        lives = np.ones(len(self.frame), dtype=bool)
        if node.within_days is not None or node.is_year_to_date:
            days = self.days_ago(TABLE_BY_NAME[self.name].happened or "recorded_on")
            first = self.known.day - timedelta(days=(node.within_days or 10**5) - 1)
            first = max(first, date(self.known.day.year, 1, 1)) if node.is_year_to_date else first
            lives = (days >= 0) & (days <= (self.known.day - first).days)
        result = self._computed(node, lives & (truth == TRUE), lives & (truth == UNKNOWN))
        read = columns_in(node.conditions) | {node.column}
        for table, column in EMPTY_MEANS_NONE:
            if table == self.name and column in read and self.frame[column].isna().all() and len(self.frame):
                result[:] = np.nan
        if self.name == "member":
            result[self._reduced(np.ones(len(self.frame)), slice(None), "sum") == 0] = np.nan
        return result

    def _computed(self, node: RowStatistic, hit: Any, unsure: Any) -> Array:
        column, kind = node.column or "", node.statistic
        if kind == "count":
            hits = self._reduced(hit, slice(None), "sum")
            hits[(hits == 0) & (self._reduced(unsure, slice(None), "sum") > 0)] = np.nan
            return hits
        if kind.startswith("days"):
            days = self.days_ago(column) * (-1.0 if kind == "days_until" else 1.0)
            inside = hit & (days >= 0)
            return self._reduced(days, inside, "max" if kind == "days_since_first" else "min", np.nan)
        if kind == "distinct":
            cells = pd.Series(self.frame[column][hit])
            return self._filled(cells.groupby(self.household[hit]).nunique(), 0.0)
        numbers = self.numbers(column)
        inside = hit & ~np.isnan(numbers)
        if kind == "max" and self.name == "member":
            return self._reduced(numbers, inside, "max", np.nan)
        if kind == "sum_max_by_member":
            keys = [self.household[inside], self.frame["member_id"][inside].fillna("")]
            sums = pd.Series(numbers[inside]).groupby([np.asarray(key) for key in keys]).sum()
            found = self._filled(sums.groupby(level=0).max(), 0.0).round(6)
        else:
            found = self._reduced(numbers, inside, kind)
            found = found.round(6) if kind == "sum" else found
        matched = self._reduced(hit | unsure, slice(None), "sum")
        return np.where((matched > 0) & (self._reduced(inside, slice(None), "sum") == 0), np.nan, found)

    def _reduced(self, values: Any, rows: Any, how: str, empty: float = 0.0) -> Array:
        chosen = pd.Series(np.asarray(values, dtype="float64")[rows])
        return self._filled(getattr(chosen.groupby(self.household[rows]), how)(), empty)

    def _filled(self, by_household: pd.Series, empty: float) -> Array:
        places = pd.RangeIndex(len(self.known.ids))
        return by_household.reindex(places, fill_value=empty).to_numpy(dtype="float64", copy=True)


class _Periods:
    """The latest known version of every reported period, with its age and length in months."""

    def __init__(self, store: Path, frame: pd.DataFrame, of: _Known) -> None:
        day = of.day
        self.frame = frame.sort_values(["household_id", "period_end"]).reset_index(drop=True)
        end = pd.to_datetime(self.frame["period_end"])
        self.month = end.dt.year * 12 + end.dt.month - 1
        self.household = pd.Series(of.ids.get_indexer(self.frame["household_id"]))
        self.age = self.month.groupby(self.household).transform("max") - self.month
        self.length = self.frame["period_months"].astype("int64")
        self.n, self.day = len(of.ids), day
        known = Store(store).open_partition(Store(store).partitions([day], 1)[0]).known_at(day)
        self.thresholds, self.county = known.thresholds(), str(known.households["county_code"][0])
        self.inside = Evaluator(self.of_period, len(self.frame))

    def of_period(self, node: Expression) -> Array:
        """Return what a formula reads of every period."""
        if isinstance(node, ParameterRef):
            months = np.sort(self.month.unique())
            days = [month_end(int(month)) for month in months]
            in_force = self.thresholds.values(node.name, [self.county], days)[0]
            return in_force[np.searchsorted(months, self.month)]
        if isinstance(node, PeriodTest):
            told, wanted = self.frame[node.column], list(map(str, node.values))
            return np.where(told.isna(), np.nan, told.isin(wanted))
        if not isinstance(node, PeriodValue):
            raise TypeError(node)
        number = _numbers("observation", self.frame[node.column])
        return number * 12.0 / self.length.to_numpy() if node.is_annual else number

    def of_household(self, node: Expression) -> Array:
        """Return a window or a latest value of every household."""
        if isinstance(node, Latest):
            return self._latest(node)
        if isinstance(node, MonthsSinceReport):
            latest = self.month.groupby(self.household).max().reindex(pd.RangeIndex(self.n))
            return 12.0 * self.day.year + self.day.month - 1 - latest.to_numpy()
        if not isinstance(node, Window):
            raise TypeError(node)
        values = pd.Series(self.inside(node.inner))
        is_inside = (self.age >= node.ago) & (self.age + self.length <= node.ago + node.months)
        within = is_inside & values.notna()
        v, h, w = values[within], self.household[within], self.length[within]
        every = pd.RangeIndex(self.n)
        if node.statistic == "count":
            return v.groupby(h).size().reindex(every, fill_value=0).to_numpy().astype(float)
        covered = w.groupby(h).sum().reindex(every, fill_value=0).to_numpy()
        found = _statistic(node.statistic, v, h, w, self.age[within]).reindex(every).to_numpy()
        return np.where((covered > 0) & (covered >= node.coverage * node.months), found, np.nan)

    def _latest(self, node: Latest) -> Array:
        values = pd.Series(self.inside(node.inner))
        if node.within_months is None:
            chosen = self.frame.groupby(self.household).cumcount(ascending=False) == node.back
        else:
            chosen = (self.age <= node.within_months) & values.notna()
        latest = values[chosen].groupby(self.household[chosen]).last()
        return latest.reindex(pd.RangeIndex(self.n)).to_numpy()


def _statistic(name: str, v: Any, h: Any, w: Any, age: Any) -> Any:
    if name in ("sum", "min", "max"):
        found = getattr(v.groupby(h), name)()
        return found.round(6) if name == "sum" else found
    weight = w.groupby(h).sum()
    mean = (v * w).groupby(h).sum() / weight
    if name == "mean":
        return mean
    away, periods = v - h.map(mean), v.groupby(h).size()
    if name == "std":
        return (((away**2 * w).groupby(h).sum() / weight) ** 0.5).where(periods >= 2)
    middle = -(age + w / 2) / 12.0
    apart = middle - h.map((middle * w).groupby(h).sum() / weight)
    spread = (apart**2 * w).groupby(h).sum()
    return ((apart * away * w).groupby(h).sum() / spread.where(spread != 0)).where(periods >= 3)
