"""The feature matrix: one row per household and as-of date, one column per feature."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

import numpy as np
import pandas as pd
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ContractError
from relapse_risk.features.coverage import Coverage, coverage_of
from relapse_risk.features.expression import Array, Evaluator, Expression, FeatureRef, ParameterRef
from relapse_risk.features.spec import FAMILIES, FeatureSet
from relapse_risk.notebook import html_card, origin_facts

INDEX_COLUMNS = (
    "household_id",
    "as_of_date",
    "county_code",
    "county_name",
    "township_code",
    "township_name",
    "village_code",
    "village_name",
    "household_type",
    "monitor_category",
    "helper_id",
)
PARAMETER_COLUMNS = ("county_code", "as_of_date", "param", "value", "unit", "source", "verified")


@dataclass(frozen=True)
class FeatureMatrix:
    """Values of a feature set for households as of one or more dates.

    Attributes
    ----------
    index : polars.DataFrame
        ``INDEX_COLUMNS``, one row per row of ``values``; sorted by as-of date, then household.
    features : FeatureSet
    values : ndarray of float64, shape (n_rows, n_features)
        NaN where a value is not known or does not apply.
    parameters : polars.DataFrame
        ``PARAMETER_COLUMNS``: the dated parameters in force for each county and as-of date; rules and
        phrases read them from here, so that all pages quote the same numbers.
    absent_tables : frozenset of str
        Tables that nobody handed in.
    provenance : mapping
        Of the panel: commits of the store and the hash of its data.
    """

    index: pl.DataFrame
    features: FeatureSet
    values: NDArray[np.float64]
    parameters: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema=dict.fromkeys(PARAMETER_COLUMNS, pl.String))
    )
    absent_tables: frozenset[str] = frozenset()
    provenance: Mapping[str, object] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.values.shape != (self.index.height, len(self.features)):
            raise ContractError(
                "RR313",
                "feature matrix",
                f"values of shape {self.values.shape} for {self.index.height} rows and "
                f"{len(self.features)} features",
                "one row per index row and one column per feature",
                "Build the matrix with build_features",
            )

    def __len__(self) -> int:
        return self.index.height

    def __repr__(self) -> str:
        dates = self.as_of_dates
        when = str(dates[0]) if len(dates) == 1 else f"{len(dates)} dates {dates[0]} … {dates[-1]}"
        return f"FeatureMatrix({len(self)} rows x {len(self.features)} features, as of {when})"

    def _repr_html_(self) -> str:
        families = list(dict.fromkeys(feature.family for feature in self.features))
        with_share = zip(families, self.coverage.share.T, strict=True)
        rows = [
            (FAMILIES[name].zh if name in FAMILIES else name, name, f"{np.nanmean(share):.0%}")
            for name, share in with_share
            if not np.isnan(share).all()
        ]
        facts = {
            "as of 截至": ", ".join(map(str, self.as_of_dates)),
            "rows 行": len(self),
            "features 指标": len(self.features),
            "absent tables 未提供的表": ", ".join(sorted(self.absent_tables)) or "none 无",
            "features hash 指标指纹": self.features.fingerprint[:12],
            **origin_facts(self.provenance),
        }
        return html_card("FeatureMatrix 指标矩阵", facts, rows, ("family 类别", "", "known 已知"))

    @property
    def as_of_dates(self) -> tuple[date, ...]:
        """The as-of dates, in order."""
        return tuple(self.index["as_of_date"].unique().sort().to_list())

    @cached_property
    def coverage(self) -> Coverage:
        """Share of each family that is known of every row, of what applies and is due."""
        return coverage_of(self)

    def column(self, name: str) -> Array:
        """Return one feature's values, shape ``(n_rows,)``."""
        return self.values[:, self.features.position(name)]

    def parameter(self, name: str, rows: NDArray[np.int64] | None = None) -> Array:
        """Return the parameter in force for every row, or for some positions; NaN where not known."""
        values = self._parameters.of(name)
        n_rows = len(self) if rows is None else len(rows)
        if values is None:
            return np.full(n_rows, np.nan)
        if self._is_one_place:
            return np.full(n_rows, self._parameters.only_value(name))
        index = self.index.select("county_code", "as_of_date")
        joined = (index if rows is None else index[rows]).join(
            values, on=["county_code", "as_of_date"], how="left", maintain_order="left"
        )
        return joined["value"].cast(pl.Float64).fill_null(np.nan).to_numpy()

    @cached_property
    def _parameters(self) -> _Parameters:
        return _Parameters(self.parameters)

    @cached_property
    def _is_one_place(self) -> bool:
        """Whether all rows are of the one county and date that has parameters."""
        place = self._parameters.only_place
        of_rows = self.index.select(
            is_of=pl.struct("county_code", "as_of_date").n_unique() == 1,
            county_code=pl.col("county_code").first(),
            as_of_date=pl.col("as_of_date").first(),
        ).row(0)
        return place is not None and of_rows == (True, *place)

    def evaluate(
        self,
        *expressions: Expression,
        given: Mapping[Expression, Array] | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> list[Array]:
        """Compute expressions over features and parameters; each result has shape ``(n_rows,)``.

        ``given`` holds the values of nodes that are neither, such as what other rules said; ``rows`` are the
        positions to compute them for, all where not given.
        """
        known = given or {}

        def leaf(node: Expression) -> Array:
            return known[node] if node in known else self._leaf(node, rows)

        evaluator = Evaluator(leaf, len(self) if rows is None else len(rows))
        return [evaluator(expression) for expression in expressions]

    def _leaf(self, node: Expression, rows: NDArray[np.int64] | None) -> Array:
        if isinstance(node, FeatureRef):
            values = self.column(node.name)
            return values if rows is None else values[rows]
        if isinstance(node, ParameterRef):
            return self.parameter(node.name, rows)
        raise ContractError(
            "RR314",
            f"expression {node!r}",
            "reads a table",
            "features and parameters only",
            "Declare a feature",
        )

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> FeatureMatrix:
        """Return the rows of a mask or of positions, in that order."""
        positions = np.flatnonzero(keep) if keep.dtype == np.bool_ else keep
        part = replace(self, index=self.index[positions], values=self.values[positions])
        part.__dict__["_parameters"] = self._parameters
        if len(positions) and self._is_one_place:
            part.__dict__["_is_one_place"] = True
        return part

    def at(self, as_of_date: date) -> FeatureMatrix:
        """Return the rows of one as-of date."""
        return self.rows((self.index["as_of_date"] == as_of_date).to_numpy())

    def select(self, names: Sequence[str]) -> FeatureMatrix:
        """Return the matrix with only these features, in this order."""
        positions = [self.features.position(name) for name in names]
        return replace(self, features=self.features.select(names), values=self.values[:, positions])

    def to_pandas(self) -> pd.DataFrame:
        """Return a frame indexed by ``household_id`` and ``as_of_date``, one column per feature."""
        index = pd.MultiIndex.from_arrays(
            [self.index["household_id"].to_list(), self.index["as_of_date"].to_list()],
            names=["household_id", "as_of_date"],
        )
        return pd.DataFrame(self.values, index=index, columns=list(self.features.names))

    def to_polars(self) -> pl.DataFrame:
        """Return index columns and features side by side."""
        columns = {name: self.values[:, place] for place, name in enumerate(self.features.names)}
        return self.index.hstack(pl.DataFrame(columns))


class _Parameters:
    """The parameters of a matrix by name; read once, and shared by its parts."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self._rows = rows

    def of(self, name: str) -> pl.DataFrame | None:
        """Return county, date and value of one parameter; None where it has no row."""
        return self._by_name.get(name)

    def only_value(self, name: str) -> float:
        """Return the value of one parameter where there is one county and date; NaN where not known."""
        if name not in self._values:
            value = self._by_name[name]["value"].cast(pl.Float64)[0]
            self._values[name] = np.nan if value is None else float(value)
        return self._values[name]

    @cached_property
    def only_place(self) -> tuple[str, date] | None:
        """The one county and date that has parameters, with at most one row of each."""
        places = self._rows.select("county_code", "as_of_date").unique()
        if places.height != 1 or self._rows["param"].n_unique() < self._rows.height:
            return None
        county, day = places.row(0)
        return county, day

    @cached_property
    def _by_name(self) -> dict[str, pl.DataFrame]:
        parts = self._rows.select("param", "county_code", "as_of_date", "value").partition_by(
            "param", as_dict=True, include_key=False
        )
        return {str(key[0]): part for key, part in parts.items()}

    @cached_property
    def _values(self) -> dict[str, float]:
        return {}
