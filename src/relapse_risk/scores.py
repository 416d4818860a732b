"""What rules and models say about the same rows: rule states and risk scores, on one index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.notebook import html_card, origin_facts

HIT, NO_HIT, CANNOT_JUDGE = 1, 0, -1


def _facts(index: pl.DataFrame, provenance: Mapping[str, object]) -> dict[str, object]:
    days = ", ".join(map(str, index["as_of_date"].unique().sort().to_list()))
    counts = {"rows 行": index.height, "counties 县": index["county_code"].n_unique()}
    return {"as of 截至": days, **counts, **origin_facts(provenance)}


@dataclass(frozen=True)
class RuleHits:
    """The state of every rule for every row.

    Attributes
    ----------
    index : polars.DataFrame
        As in the feature matrix.
    codes : tuple of str
        Rule codes, in catalogue order.
    states : ndarray of int8, shape (n_rows, n_rules)
        1 hit, 0 no hit, -1 cannot judge.
    provenance : mapping
        As in the feature matrix.
    """

    index: pl.DataFrame
    codes: tuple[str, ...]
    states: NDArray[np.int8]
    provenance: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        hit = int((self.states == HIT).any(axis=1).sum())
        return f"RuleHits({self.index.height} rows x {len(self.codes)} rules, {hit} rows with a hit)"

    def _repr_html_(self) -> str:
        counts = [
            (code, *((self.states[:, i] == s).sum() for s in (HIT, NO_HIT, CANNOT_JUDGE)))
            for i, code in enumerate(self.codes)
        ]
        header = ("rule 规则", "hit 触发", "no hit 未触发", "cannot judge 无法判断")
        return html_card("RuleHits 规则触发", _facts(self.index, self.provenance), counts, header)

    def state(self, code: str) -> NDArray[np.int8]:
        """Return the states of one rule, shape ``(n_rows,)``."""
        return self.states[:, self.codes.index(code)]

    def truth(self, code: str) -> NDArray[np.float64]:
        """Return the states of one rule as truth values, shape ``(n_rows,)``: 1, 0, NaN cannot judge."""
        state = self.state(code)
        return np.where(state == CANNOT_JUDGE, np.nan, state.astype(np.float64))

    def is_hit(self, codes: tuple[str, ...] | None = None) -> NDArray[np.bool_]:
        """Return whether any of ``codes`` (all where not given) is hit, shape ``(n_rows,)``."""
        columns = range(len(self.codes)) if codes is None else [self.codes.index(c) for c in codes]
        hit: NDArray[np.bool_] = (self.states[:, list(columns)] == HIT).any(axis=1)
        return hit

    def to_pandas(self) -> pd.DataFrame:
        """Return household_id, as_of_date and one column per rule (1, 0, -1)."""
        frame = pd.DataFrame(self.states, columns=list(self.codes))
        frame.insert(0, "household_id", self.index["household_id"].to_list())
        frame.insert(1, "as_of_date", self.index["as_of_date"].to_list())
        return frame


@dataclass(frozen=True)
class RiskScores:
    """Risk of relapse by horizon for every row.

    Attributes
    ----------
    index : polars.DataFrame
        As in the feature matrix.
    horizons_months : tuple of int
        Rising; the last is the headline horizon.
    risk : ndarray of float64, shape (n_rows, n_horizons)
        Calibrated probability of an event within the horizon; non-decreasing from left to right.
    ranking : ndarray of float64, shape (n_rows,)
        Uncalibrated risk at the last horizon: orders rows without the ties a calibration may make.
        Higher means more at risk.
    provenance : mapping
        As in the feature matrix.
    """

    index: pl.DataFrame
    horizons_months: tuple[int, ...]
    risk: NDArray[np.float64]
    ranking: NDArray[np.float64]
    provenance: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __repr__(self) -> str:
        horizons = ", ".join(str(months) for months in self.horizons_months)
        return f"RiskScores({self.index.height} rows, risk within {horizons} months)"

    def _repr_html_(self) -> str:
        rows = [
            (f"{months} 个月 months", f"{risk.mean():.2%}", f"{np.quantile(risk, 0.99):.2%}")
            for months, risk in zip(self.horizons_months, self.risk.T, strict=True)
            if len(risk)
        ]
        header = ("horizon 预测期", "mean risk 平均风险", "99th percentile 99分位")
        return html_card("RiskScores 风险分", _facts(self.index, self.provenance), rows, header)

    @property
    def headline(self) -> NDArray[np.float64]:
        """Calibrated risk at the last horizon, shape ``(n_rows,)``."""
        return self.risk[:, -1]

    def risk_after(self, months: int) -> NDArray[np.float64]:
        """Return the risk of an event after ``months`` among those free of it until then.

        Parameters
        ----------
        months : int
            One of ``horizons_months``, not the last.

        Returns
        -------
        ndarray of float64
            Probability of the event between then and the last horizon, given none before:
            ``(risk_last - risk_months) / (1 - risk_months)``, between 0 and 1 as risks never fall with the
            horizon; NaN where the event is certain before.

        Raises
        ------
        ValueError
            Where no risk within ``months`` was given.
        """
        before = self.risk[:, self.horizons_months.index(months)]
        rest = np.full(len(before), np.nan)
        np.divide(self.headline - before, 1.0 - before, out=rest, where=before < 1.0)
        return rest

    @cached_property
    def score(self) -> NDArray[np.float64]:
        """Rank within county and as-of date, 0 to 100; 100 is the highest risk, ties share their mean."""
        frame = self.index.select("county_code", "as_of_date").with_columns(ranking=self.ranking)
        groups = ["county_code", "as_of_date"]
        rank = pl.col("ranking").rank("average").over(groups)
        size = pl.len().over(groups)
        score = pl.when(size > 1).then(100.0 * (rank - 1) / (size - 1)).otherwise(50.0)
        return frame.select(score.alias("score"))["score"].to_numpy()

    def to_pandas(self) -> pd.DataFrame:
        """Return household_id, as_of_date, ``risk_{h}m`` per horizon, and score."""
        frame = pd.DataFrame(self.risk, columns=[f"risk_{h}m" for h in self.horizons_months])
        frame.insert(0, "household_id", self.index["household_id"].to_list())
        frame.insert(1, "as_of_date", self.index["as_of_date"].to_list())
        frame["score"] = self.score
        return frame
