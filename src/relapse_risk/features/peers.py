"""Comparison of a household with the households of its area.

Whatever an area's values were gathered from, one table or many partitions, they are sorted first, so that
the same households give the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.features.decode import codes_of
from relapse_risk.features.expression import Array

PeerKind = Literal["rank", "mean"]
ByArea = Mapping[str, Array]
Areas = Mapping[str, NDArray[np.int64]]


def known_by_area(values: Array, areas: Areas) -> dict[str, Array]:
    """Return the known values of each area, sorted; areas without any are left out."""
    is_known = ~np.isnan(values)
    found = {}
    for code, rows in areas.items():
        if is_known[rows].any():
            found[code] = np.sort(values[rows][is_known[rows]])
    return found


def compare(kind: PeerKind, values: Array, areas: Areas, known: ByArea) -> Array:
    """Return the rank (0 lowest, 1 highest; 0.5 where alone) or the mean among the area's known values.

    Parameters
    ----------
    kind : {"rank", "mean"}
    values : ndarray of float64, shape (n,)
        A value that is not known has no rank; the mean of its area it has.
    areas : mapping of str to ndarray
        The rows of each area.
    known : mapping of str to ndarray
        As :func:`known_by_area` gives it, of the whole area.
    """
    result = np.full(len(values), np.nan)
    for code, rows in areas.items():
        peers = known.get(code)
        if peers is None:
            continue
        if kind == "mean":
            result[rows] = peers.sum() / len(peers)
        else:
            result[rows] = _ranks(values[rows], peers)
    return result


def _ranks(values: Array, peers: Array) -> Array:
    """Return average ranks among sorted ``peers``, scaled to 0 to 1."""
    below, up_to = np.searchsorted(peers, values, "left"), np.searchsorted(peers, values, "right")
    rank = (below + up_to + 1) / 2
    scaled = (rank - 1) / (len(peers) - 1) if len(peers) > 1 else rank * 0.5
    return np.where(np.isnan(values), np.nan, scaled)


def rows_by_area(area: pl.Series) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each area; those without one make an area of their own, the empty code."""
    codes, texts = codes_of(area)
    order = np.argsort(codes, kind="stable")
    first, stop = np.searchsorted(codes[order], [np.arange(-1, len(texts)), np.arange(len(texts) + 1)])
    named = zip(["", *texts], first, stop, strict=True)
    return {text: order[begin:end] for text, begin, end in named if begin < end}
