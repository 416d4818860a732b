"""Exact path-dependent TreeSHAP by lookup tables, for everybody and not only for those who are listed.

A row meets each condition of a tree or does not. Every tree is cut into groups of few conditions: a subtree,
together with the path that leads to it. A group sees a row as a pattern of bits, and what its leaves
contribute depends on that pattern alone, so it is worked out once for every pattern and kept: one column per
feature. Explaining a row is then to form the pattern of each group and to add up table entries.

The value of a leaf for a set of known features is the product, over its path, of "the row goes this way"
where the feature is known and of the share of training rows that went this way where it is not. Its Shapley
value is the integral of the multilinear extension's derivative (Owen 1972, doi:10.1287/mnsc.18.5.64), a
polynomial that Gauss-Legendre nodes integrate exactly; the game is that of Lundberg et al. 2020
(doi:10.1038/s42256-019-0138-9), as LightGBM's ``pred_contrib`` computes it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ModelError
from relapse_risk.explain.trees import Array, Column, Mask, Tree, columns_of, not_covered, read_trees
from relapse_risk.explain.treeshap_loops import add_leaf, add_up, tell_apart

if TYPE_CHECKING:
    from relapse_risk.modeling.hazard import HazardClassifier

_BITS = 9  # tables of a group then stay in a core's own cache
_MOST_FEATURES_OF_A_PATH = 16
_MOST_BYTES = 512_000_000
_BLOCK_ROWS = 512


@dataclass(frozen=True)
class _Condition:
    """Kinds of values of one feature that meet a condition."""

    feature: int
    is_met_by: Mask


@dataclass
class _Group:
    """A subtree with the path to it: its conditions are the bits of a pattern, the path's first.

    Attributes
    ----------
    features : list of int
        Those the table has a column for.
    table : ndarray of float64, shape (n_features_of_the_group, 2 ** n_conditions)
    """

    conditions: list[_Condition]
    features: list[int] = field(default_factory=list)
    table: Array = field(default_factory=lambda: np.zeros((0, 1)))


@dataclass(frozen=True)
class _Step:
    """What a path asks of one feature: its share of training rows, and the bits that must be set so."""

    share: float
    mask: int
    wanted: int


def _cut(tree: Tree, columns: Sequence[Column], most_bits: int) -> Iterator[_Group]:
    """Yield the groups of a tree, each with its table."""
    n_splits: dict[int, int] = {}

    def count(node: int) -> int:
        n_splits[node] = 0 if node < 0 else 1 + count(int(tree.left[node])) + count(int(tree.right[node]))
        return n_splits[node]

    def descend(node: int, path: dict[int, tuple[Mask, float]]) -> Iterator[_Group]:
        if node < 0 or len(path) + n_splits[node] <= most_bits:
            if len(path) > _MOST_FEATURES_OF_A_PATH:
                raise not_covered(f"a path of {len(path)} different features")
            yield _tabulate(tree, node, path, columns)
            return
        feature = int(tree.feature[node])
        goes_left = columns[feature].left_of(tree, node)
        before, share = path.get(feature, (np.ones_like(goes_left), 1.0))
        for child, goes_here in ((tree.left[node], goes_left), (tree.right[node], ~goes_left)):
            part = tree.rows_of(int(child)) / tree.rows_of(node)
            yield from descend(int(child), {**path, feature: (before & goes_here, share * part)})

    if tree.root >= 0:
        count(tree.root)
        yield from descend(tree.root, {})


def _tabulate(
    tree: Tree, node: int, path: dict[int, tuple[Mask, float]], columns: Sequence[Column]
) -> _Group:
    """Return one group: path and subtree as conditions, and what every pattern of them contributes."""
    conditions = [_Condition(feature, met) for feature, (met, _) in path.items()]
    steps = {
        feature: _Step(share, 1 << place, 1 << place)
        for place, (feature, (_, share)) in enumerate(path.items())
    }
    leaves: list[tuple[dict[int, _Step], float]] = []

    def descend(at: int, taken: dict[int, _Step]) -> None:
        if at < 0:
            leaves.append((taken, float(tree.value[-at - 1])))
            return
        feature, bit = int(tree.feature[at]), 1 << len(conditions)
        conditions.append(_Condition(feature, columns[feature].left_of(tree, at)))
        step = taken.get(feature, _Step(1.0, 0, 0))
        for child, wanted in ((tree.left[at], bit), (tree.right[at], 0)):
            part = tree.rows_of(int(child)) / tree.rows_of(at)
            here = _Step(step.share * part, step.mask | bit, step.wanted | wanted)
            descend(int(child), {**taken, feature: here})

    descend(node, steps)
    group = _Group(conditions)
    group.features = list(dict.fromkeys(condition.feature for condition in conditions))
    place = {feature: row for row, feature in enumerate(group.features)}
    group.table = np.zeros((len(group.features), 1 << len(conditions)))
    for taken, value in leaves:
        nodes, weights = _quadrature(len(taken))
        add_leaf(
            np.array([step.share for step in taken.values()]),
            np.array([step.mask for step in taken.values()]),
            np.array([step.wanted for step in taken.values()]),
            np.array([place[feature] for feature in taken]),
            *(value, nodes, weights, group.table),
        )
    return group


@lru_cache(maxsize=32)
def _quadrature(n_features: int) -> tuple[Array, Array]:
    """Return nodes and weights on (0, 1) that integrate polynomials of degree ``n_features - 1`` exactly."""
    nodes, weights = np.polynomial.legendre.leggauss(n_features // 2 + 1)
    return (nodes + 1.0) / 2.0, weights / 2.0


@dataclass(frozen=True)
class TreeTables:
    """The groups of all trees of a booster, laid out for the loop over rows.

    Attributes
    ----------
    columns : list of Column
        What the trees tell apart in each feature.
    base : float
        Mean log-odds over the training rows, as the trees counted them.
    """

    columns: list[Column]
    base: float
    _groups: list[_Group]

    @classmethod
    def of(cls, text: str, most_bits: int = _BITS) -> TreeTables:
        """Return the tables of a booster written by LightGBM.

        Parameters
        ----------
        text : str
            As ``Booster.model_to_string`` gives it.
        most_bits : int
            Conditions of a group, unless one path alone has more; a table doubles with each.

        Raises
        ------
        ModelError
            RR473 where the booster is not covered.
        """
        trees, n_features = read_trees(text)
        columns = columns_of(trees, n_features)
        groups: list[_Group] = []
        room = _MOST_BYTES
        for group in (group for tree in trees for group in _cut(tree, columns, most_bits)):
            groups.append(group)
            room -= group.table.nbytes
            if room < 0:
                raise not_covered(f"trees that need tables of more than {_MOST_BYTES / 1e6:.0f} MB")
        return cls(columns, sum(tree.expected_value() for tree in trees), groups)

    @property
    def nbytes(self) -> int:
        """Bytes that all tables take."""
        return sum(group.table.nbytes for group in self._groups)

    @cached_property
    def _layout(self) -> _Layout:
        return _lay_out(self._groups, self.columns)

    def contributions(self, X: Array, last: Sequence[float]) -> Array:  # noqa: N803
        """Return what each feature adds to the log-odds, for each value of one further column.

        Parameters
        ----------
        X : ndarray, shape (n_rows, n_features - 1)
            NaN where not known; read as LightGBM reads it, in single precision.
        last : sequence of float
            Values of the booster's last feature, such as the numbers of the intervals.

        Returns
        -------
        ndarray of float64, shape (n_rows, len(last), n_features + 1)
            The last column is the base; along the last axis the sum is the raw prediction. Each row is
            worked out by one thread in one order, so the bits do not depend on the number of threads.
        """
        out = np.empty((len(X), len(last), len(self.columns) + 1))
        out[:, :, -1] = self.base
        layout = self._layout
        fixed = layout.fixed_patterns(np.asarray(last, dtype=np.float32), self.columns[-1])

        def explain(first: int) -> None:
            block = np.ascontiguousarray(X[first : first + _BLOCK_ROWS], dtype=np.float32)
            kinds = np.empty((len(self.columns) - 1, len(block)), dtype=np.int16)
            tell_apart(block, *layout.kinds, kinds)
            add_up(kinds, *layout.bits, *layout.tables, fixed, out[first : first + _BLOCK_ROWS])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(explain, range(0, len(X), _BLOCK_ROWS)))
        return out


@dataclass(frozen=True)
class _Layout:
    """Arrays that the compiled loops read."""

    kinds: tuple[NDArray[np.generic], ...]
    bits: tuple[NDArray[np.generic], ...]
    tables: tuple[NDArray[np.generic], ...]
    of_last: list[list[tuple[int, Mask]]]

    def fixed_patterns(self, values: NDArray[np.float32], column: Column) -> NDArray[np.int32]:
        """Return the bits that the last column alone decides, shape ``(n_groups, n_values)``."""
        kinds = np.empty((1, len(values)), dtype=np.int16)
        tell_apart(values[:, None], *_kinds_of([column]), kinds)
        fixed = np.zeros((len(self.of_last), len(values)), dtype=np.int32)
        for group, conditions in enumerate(self.of_last):
            for bit, is_met_by in conditions:
                fixed[group] |= is_met_by[kinds[0]].astype(np.int32) << bit
        return fixed


def _kinds_of(columns: Sequence[Column]) -> tuple[NDArray[np.generic], ...]:
    """Return edges or codes of all columns, where each one's start, and which are codes."""
    marks = [column.edges if column.codes is None else column.codes.astype(np.float64) for column in columns]
    starts = np.cumsum([0, *map(len, marks)])
    return np.concatenate(marks), starts, np.array([column.codes is not None for column in columns])


def _lay_out(groups: Sequence[_Group], columns: Sequence[Column]) -> _Layout:
    last = len(columns) - 1
    ranges: list[tuple[int, int, int, int, int, int]] = []  # feature, bit, low, high, extra, place in `met`
    met: list[Mask] = []
    n_met, starts, of_last = 0, [0], []
    for group in groups:
        of_last.append([(bit, c.is_met_by) for bit, c in enumerate(group.conditions) if c.feature == last])
        for bit, condition in enumerate(group.conditions):
            if condition.feature == last:
                continue
            low, high, extra, is_range = _as_range(condition.is_met_by)
            ranges.append((condition.feature, bit, low, high, extra, -1 if is_range else n_met))
            if not is_range:
                met.append(condition.is_met_by)
                n_met += len(condition.is_met_by)
        starts.append(len(ranges))
    column = np.array(ranges, dtype=np.int64).reshape(-1, 6)
    bits = (
        np.array(starts),
        *(column[:, i].astype(np.int64) for i in (0, 1)),
        *(column[:, i].astype(np.int16) for i in (2, 3, 4)),
        column[:, 5].copy(),
        np.concatenate([*met, np.zeros(1, dtype=np.bool_)]),
    )
    tables = (
        np.cumsum([0, *(len(group.features) for group in groups)]),
        np.array([feature for group in groups for feature in group.features], dtype=np.int64),
        np.cumsum([0, *(group.table.shape[1] for group in groups for _ in group.features)])[:-1],
        np.concatenate([*(group.table.ravel() for group in groups), np.zeros(1)]),
    )
    return _Layout(_kinds_of(columns[:last]), bits, tables, of_last)


def _as_range(is_met_by: Mask) -> tuple[int, int, int, bool]:
    """Return kinds as ``low..high`` and one more (NaN, or none), and whether that says it all."""
    nan = len(is_met_by) - 1
    places = np.flatnonzero(is_met_by[:nan])
    extra = nan if is_met_by[nan] else -1
    if not len(places):
        return 1, 0, extra, True
    low, high = int(places[0]), int(places[-1])
    return low, high, extra, len(places) == high - low + 1


@lru_cache(maxsize=8)
def _tables_of(text: str) -> TreeTables | None:
    """Return the tables of a booster, made once; None where it is not covered."""
    try:
        return TreeTables.of(text)
    except ModelError:
        return None


def hazard_contributions(hazard: HazardClassifier, X: Array) -> Array:  # noqa: N803
    """Return what each feature adds to the log-odds of every interval's hazard, by tables where they can.

    Parameters
    ----------
    hazard : HazardClassifier
        Fitted. Boosters that :class:`TreeTables` does not cover are handed over to its own
        ``hazard_contributions``, which is LightGBM's ``pred_contrib``: slower, and the same values.
    X : ndarray, shape (n_rows, n_features)

    Returns
    -------
    ndarray, shape (n_rows, n_intervals, n_features + 1)
        The last column is the base, with the interval's own share in it.
    """
    tables = _tables_of(hazard.booster_text_)
    if tables is None:
        return hazard.hazard_contributions(X)
    shares = tables.contributions(X, range(len(hazard.intervals_months)))
    shares[:, :, -2] += shares[:, :, -1]
    return shares[:, :, :-1]
