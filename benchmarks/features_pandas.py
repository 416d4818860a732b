"""A careful pandas version of the features that come from reported periods: one group-by for each window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relapse_risk.features.catalog import CATALOG
from relapse_risk.features.evaluate import Plan
from relapse_risk.features.expression import Array, Evaluator, Expression, ParameterRef
from relapse_risk.features.nodes import Latest, PeriodTest, PeriodValue, Window
from relapse_risk.panel.store import Store
from relapse_risk.windows import month_end

_GRADES = {"A": 1.0, "B": 2.0, "C": 3.0, "D": 4.0}


def pandas_version(store: Path, day: date, names: Sequence[str], columns: Sequence[str]) -> list[Array]:
    """Return the values of features, each of shape (n_households,)."""
    periods = _Periods(store, day, columns)
    plan = Plan([CATALOG[name].formula for name in names], lambda name: CATALOG[name].formula)
    return plan.program.run([periods.of_household(leaf) for leaf in plan.program.leaves], periods.n)


class _Periods:
    """The latest known version of every reported period, with its age and length in months."""

    def __init__(self, store: Path, day: date, columns: Sequence[str]) -> None:
        files = sorted((store / "tables" / "observation").rglob("*.parquet"))
        frame = pd.concat([pd.read_parquet(path, columns=list(columns)) for path in files], ignore_index=True)
        frame = frame[frame["recorded_on"] <= day].sort_values(["household_id", "period_end", "recorded_on"])
        keys = ["household_id", "period_end"]
        self.frame = frame.drop_duplicates(keys, keep="last").reset_index(drop=True)
        end = pd.to_datetime(self.frame["period_end"])
        self.month = end.dt.year * 12 + end.dt.month - 1
        self.household = self.frame["household_id"].astype("category").cat.codes
        self.age = self.month.groupby(self.household).transform("max") - self.month
        self.length = self.frame["period_months"].astype("int64")
        self.n = int(self.household.max()) + 1
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
        cells = self.frame[node.column]
        cells = cells.map(_GRADES) if node.column == "house_grade" else cells
        number = cells.astype("float64").to_numpy()
        return number * 12.0 / self.length.to_numpy() if node.is_annual else number

    def of_household(self, node: Expression) -> Array:
        """Return a window or a latest value of every household."""
        if isinstance(node, Latest):
            return self._latest(node)
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
