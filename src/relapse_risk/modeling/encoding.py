"""Columns of a linear model: imputed, winsorised, bent by splines, one-hot; as numbers that fit in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from relapse_risk.modeling.intervals import Array

_TAIL = 0.01
_KNOT_SHARES = (0.05, 0.275, 0.5, 0.725, 0.95)
_FEWEST_ROWS_OF_A_LEVEL = 20
_MOST_LEVELS = 40


@dataclass(frozen=True)
class ColumnEncoding:
    """How one feature becomes columns of the design.

    Attributes
    ----------
    kind : {"constant", "linear", "spline", "levels"}
        ``constant`` gives no column.
    fill : float
        Stands for a missing value: the training median.
    low, high : float
        Values beyond these are drawn in.
    knots : tuple of float
        Of the restricted cubic spline, linear beyond the outer ones.
    levels : tuple of float
        Codes with a column each; any other code has none.
    has_missing : bool
        A further column says that the value is missing.
    centre, scale : tuple of float
        One a column: subtracted, and divided by.
    """

    kind: Literal["constant", "linear", "spline", "levels"]
    fill: float = 0.0
    low: float = 0.0
    high: float = 0.0
    knots: tuple[float, ...] = ()
    levels: tuple[float, ...] = ()
    has_missing: bool = False
    centre: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()

    @classmethod
    def learn(cls, values: Array, *, is_categorical: bool, marks_missing: bool = True) -> ColumnEncoding:
        """Return the encoding for the values of one feature in the training rows.

        Parameters
        ----------
        values : ndarray, shape (n,)
        is_categorical : bool
        marks_missing : bool
            Whether missing values get a column, where there are any.
        """
        known = values[~np.isnan(values)]
        if not len(known) or (known.min() == known.max() and len(known) == len(values)):
            return cls("constant")
        has_missing = marks_missing and len(known) < len(values)
        if is_categorical:
            codes, counts = np.unique(known, return_counts=True)
            order = np.argsort(-counts, kind="stable")[:_MOST_LEVELS]
            kept = np.sort(codes[order][counts[order] >= _FEWEST_ROWS_OF_A_LEVEL])
            plain = cls("levels", levels=tuple(kept.tolist()), has_missing=has_missing)
        else:
            low, fill, high = np.quantile(known, [_TAIL, 0.5, 1 - _TAIL]).tolist()
            if low == high:
                low, high = float(known.min()), float(known.max())
            knots = np.unique(np.quantile(np.clip(known, low, high), _KNOT_SHARES))
            kind: Literal["linear", "spline"] = "spline" if len(knots) >= 3 else "linear"
            chosen = tuple(knots.tolist()) if kind == "spline" else ()
            plain = cls(kind, fill, low, high, chosen, (), has_missing)
        columns = plain.raw_columns(values)
        spread = columns.std(axis=0)
        return replace(
            plain,
            centre=tuple(columns.mean(axis=0).tolist()),
            scale=tuple(np.where(spread > 0, spread, 1.0).tolist()),
        )

    @property
    def width(self) -> int:
        """Number of columns."""
        own = {"constant": 0, "linear": 1, "spline": max(len(self.knots) - 1, 0), "levels": len(self.levels)}[
            self.kind
        ]
        return own + (self.has_missing if self.kind != "constant" else 0)

    def raw_columns(self, values: Array) -> Array:
        """Return the columns before they are centred and scaled, shape ``(n, width)``."""
        if self.kind == "constant":
            return np.empty((len(values), 0))
        is_missing = np.isnan(values)
        if self.kind == "levels":
            columns = (values[:, None] == np.asarray(self.levels)).astype(np.float64)
        else:
            filled = np.clip(np.where(is_missing, self.fill, values), self.low, self.high)
            columns = filled[:, None] if self.kind == "linear" else spline_columns(filled, self.knots)
        return np.column_stack([columns, is_missing]) if self.has_missing else columns

    def columns(self, values: Array) -> Array:
        """Return the columns of the design, shape ``(n, width)``; training rows have mean 0, deviation 1."""
        if self.kind == "constant":
            return np.empty((len(values), 0))
        centre, scale = np.array(self.centre), np.array(self.scale)
        columns: Array = (self.raw_columns(values) - centre) / scale
        return columns

    def as_json(self) -> dict[str, Any]:
        """Return the encoding as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> ColumnEncoding:
        """Take over what ``as_json`` gave."""
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items()}
        return cls(**values)


def spline_columns(values: Array, knots: Sequence[float]) -> Array:
    """Return the basis of a restricted cubic spline, linear beyond the outer knots.

    Returns
    -------
    ndarray, shape (n, len(knots) - 1)
        The value itself, then one bend for each knot but the last two.

    Notes
    -----
    Harrell, Regression Modeling Strategies, 2nd ed., section 2.4.5 (doi:10.1007/978-3-319-19425-7).
    """
    t = np.asarray(knots)
    span = t[-1] - t[0]

    def cubed(position: float) -> Array:
        cube: Array = np.maximum((values - position) / span, 0.0) ** 3
        return cube

    last, before = cubed(t[-1]), cubed(t[-2])
    gap = t[-1] - t[-2]
    bends = [
        cubed(knot) - before * (t[-1] - knot) / gap + last * (t[-2] - knot) / gap for knot in t[:-2].tolist()
    ]
    return np.column_stack([values, *bends])


def encode(encodings: Sequence[ColumnEncoding], values: Array) -> Array:
    """Return the design of all features side by side, shape ``(n, sum of widths)``."""
    return np.hstack(
        [encoding.columns(values[:, i]) for i, encoding in enumerate(encodings)]
        or [np.empty((len(values), 0))]
    )
