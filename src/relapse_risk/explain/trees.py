"""The trees of a booster, read from its text: who goes left, and how many training rows went each way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from relapse_risk.errors import ModelError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_IS_CATEGORICAL, _GOES_LEFT_BY_DEFAULT = 1, 2
_MISSING_NONE, _MISSING_ZERO, _MISSING_NAN = 0, 1, 2
_NOUGHT = float(np.float32(1e-35))  # LightGBM takes what lies within it for zero
_WORD_BITS = 32


@dataclass(frozen=True)
class Tree:
    """One tree; node 0 is the root, and a child below zero is the leaf ``-child - 1``.

    Attributes
    ----------
    feature, missing : ndarray of int64, shape (n_nodes,)
        Column a node asks about; what counts as missing there (0 nothing, 1 zero and NaN, 2 NaN).
    threshold : ndarray of float64, shape (n_nodes,)
        Values up to it go left.
    is_default_left : ndarray of bool, shape (n_nodes,)
    categories : mapping of int to frozenset of int
        For nodes that ask for a code: the codes that go left.
    left, right : ndarray of int64, shape (n_nodes,)
    value : ndarray of float64, shape (n_leaves,)
        Log-odds.
    node_rows, leaf_rows : ndarray of float64
        Training rows that came by.
    """

    feature: NDArray[np.int64]
    missing: NDArray[np.int64]
    threshold: Array
    is_default_left: Mask
    categories: Mapping[int, frozenset[int]]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    value: Array
    node_rows: Array
    leaf_rows: Array

    @property
    def root(self) -> int:
        """Node 0, or leaf 0 of a tree that asks nothing."""
        return 0 if len(self.feature) else -1

    def rows_of(self, node: int) -> float:
        """Return how many training rows came by a node or leaf."""
        return float(self.node_rows[node] if node >= 0 else self.leaf_rows[-node - 1])

    def expected_value(self, node: int | None = None) -> float:
        """Return the mean log-odds below a node over the training rows that came by it."""
        at = self.root if node is None else node
        if at < 0:
            return float(self.value[-at - 1])
        sides = [int(self.left[at]), int(self.right[at])]
        return sum(self.rows_of(side) * self.expected_value(side) for side in sides) / self.rows_of(at)


@dataclass(frozen=True)
class Column:
    """The kinds of values of one feature that the trees tell apart.

    A value's kind is its place among ``edges`` (up to the first edge 0, up to the second 1, …) or, for codes,
    among ``codes``, where others share the last; NaN is a kind of its own behind all of them.
    """

    edges: Array
    codes: NDArray[np.int64] | None

    @property
    def n_kinds(self) -> int:
        """Number of kinds, NaN included."""
        return (len(self.edges) if self.codes is None else len(self.codes)) + 2

    def left_of(self, tree: Tree, node: int) -> Mask:
        """Return which kinds a node sends left, shape ``(n_kinds,)``."""
        goes_left = np.zeros(self.n_kinds, dtype=np.bool_)
        if self.codes is not None:
            goes_left[:-2] = np.isin(self.codes, list(tree.categories[node]))
            return goes_left
        threshold, missing = tree.threshold[node], tree.missing[node]
        goes_left[: int(np.searchsorted(self.edges, threshold)) + 1] = True
        goes_left[-1] = tree.is_default_left[node] if missing != _MISSING_NONE else threshold >= 0.0
        if missing == _MISSING_ZERO:
            goes_left[int(np.searchsorted(self.edges, 0.0))] = tree.is_default_left[node]
        return goes_left


def read_trees(text: str) -> tuple[list[Tree], int]:
    """Return the trees of a booster written by LightGBM, and its number of features.

    Raises
    ------
    ModelError
        RR473 where the booster is of a kind whose trees do not simply add up: several classes, averaged
        trees, or linear ones.
    """
    head, *parts = text.split("\nTree=")
    facts = _facts(head)
    if facts.get("num_tree_per_iteration") != "1" or "average_output" in head:
        raise not_covered("several classes, or trees that are averaged")
    trees = [_tree(_facts(part.partition("\nend of trees")[0])) for part in parts]
    return trees, int(facts["max_feature_idx"]) + 1


def not_covered(found: str) -> ModelError:
    """Return the error that says which trees the tables can't hold."""
    return ModelError(
        "RR473",
        "explanation by tables",
        found,
        "boosted trees of one output, with paths of few different features",
        "Explain with LightGBM's pred_contrib, which covers them",
    )


def _facts(part: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in part.splitlines() if "=" in line)


def _tree(facts: Mapping[str, str]) -> Tree:
    if facts.get("is_linear", "0") != "0":
        raise not_covered("linear trees")

    def numbers(name: str) -> Array:
        return np.array(facts.get(name, "").split(), dtype=np.float64)

    kind = numbers("decision_type").astype(np.int64)
    rows, leaf_rows = numbers("internal_count"), numbers("leaf_count")
    value = numbers("leaf_value")
    threshold = numbers("threshold")
    if (rows <= 0).any() or (len(kind) > 0 and (leaf_rows <= 0).any()):
        raise not_covered("nodes that no training row came by")
    return Tree(
        feature=numbers("split_feature").astype(np.int64),
        missing=kind >> 2,
        threshold=threshold,
        is_default_left=(kind & _GOES_LEFT_BY_DEFAULT) > 0,
        categories=dict(_categories(facts, kind, threshold)),
        left=numbers("left_child").astype(np.int64),
        right=numbers("right_child").astype(np.int64),
        value=value,
        node_rows=rows,
        leaf_rows=leaf_rows if len(leaf_rows) else np.ones(len(value)),
    )


def _categories(
    facts: Mapping[str, str], kind: NDArray[np.int64], threshold: Array
) -> Iterator[tuple[int, frozenset[int]]]:
    """Yield the codes that go left at each node that asks for codes, from the bits they are written as."""
    places = np.flatnonzero(kind & _IS_CATEGORICAL)
    if not len(places):
        return
    words = [int(word) for word in facts["cat_threshold"].split()]
    spans = list(pairwise(int(bound) for bound in facts["cat_boundaries"].split()))
    for node in places.tolist():
        first, stop = spans[int(threshold[node])]
        bits = [
            _WORD_BITS * (place - first) + bit
            for place in range(first, stop)
            for bit in range(_WORD_BITS)
            if words[place] >> bit & 1
        ]
        yield node, frozenset(bits)


def columns_of(trees: Sequence[Tree], n_features: int) -> list[Column]:
    """Return what the trees tell apart in each feature.

    Raises
    ------
    ModelError
        RR473 where one feature is split as a number here and as a code there.
    """
    edges: list[set[float]] = [set() for _ in range(n_features)]
    codes: list[set[int]] = [set() for _ in range(n_features)]
    for tree in trees:
        for node, feature in enumerate(tree.feature.tolist()):
            if node in tree.categories:
                codes[feature] |= tree.categories[node]
                continue
            edges[feature].add(float(tree.threshold[node]))
            if tree.missing[node] == _MISSING_ZERO:
                edges[feature] |= {float(np.nextafter(-_NOUGHT, -1.0)), _NOUGHT}
    if any(edge and code for edge, code in zip(edges, codes, strict=True)):
        raise not_covered("a feature that is split as a number and as a code")
    return [
        Column(np.array(sorted(edge)), np.array(sorted(code), dtype=np.int64) if code else None)
        for edge, code in zip(edges, codes, strict=True)
    ]
