"""Arithmetic and three-valued logic over named quantities, as data.

An expression is a tree of frozen nodes, so that what it reads can be listed, equal parts are computed once,
and a rule or a feature can be shown as it is computed. NaN is "not known": arithmetic passes it on, a
comparison with it is not known either, and *and*/*or* follow Kleene (a hit stays a hit whatever else is
missing). Truth values are 1.0, 0.0 and NaN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Expression:
    """Base of all nodes; gives them the operators."""

    def __add__(self, other: Expression | float) -> Expression:
        return Arithmetic("+", self, as_expression(other))

    def __radd__(self, other: float) -> Expression:
        return Arithmetic("+", as_expression(other), self)

    def __sub__(self, other: Expression | float) -> Expression:
        return Arithmetic("-", self, as_expression(other))

    def __rsub__(self, other: float) -> Expression:
        return Arithmetic("-", as_expression(other), self)

    def __mul__(self, other: Expression | float) -> Expression:
        return Arithmetic("*", self, as_expression(other))

    def __rmul__(self, other: float) -> Expression:
        return Arithmetic("*", as_expression(other), self)

    def __truediv__(self, other: Expression | float) -> Expression:
        return Arithmetic("/", self, as_expression(other))

    def __lt__(self, other: Expression | float) -> Expression:
        return Comparison("<", self, as_expression(other))

    def __le__(self, other: Expression | float) -> Expression:
        return Comparison("<=", self, as_expression(other))

    def __gt__(self, other: Expression | float) -> Expression:
        return Comparison(">", self, as_expression(other))

    def __ge__(self, other: Expression | float) -> Expression:
        return Comparison(">=", self, as_expression(other))

    def __and__(self, other: Expression) -> Expression:
        return Both(self, other)

    def __or__(self, other: Expression) -> Expression:
        return Either(self, other)

    def __invert__(self) -> Expression:
        return Not(self)

    def or_else(self, fallback: Expression | float) -> Expression:
        """Take ``fallback`` where this is not known."""
        return IfMissing(self, as_expression(fallback))

    def at_least(self, floor: Expression | float) -> Expression:
        """Take the larger of this and ``floor``."""
        return Arithmetic("max", self, as_expression(floor))

    def at_most(self, ceiling: Expression | float) -> Expression:
        """Take the smaller of this and ``ceiling``."""
        return Arithmetic("min", self, as_expression(ceiling))

    def when(self, condition: Expression) -> Expression:
        """Keep the value where ``condition`` holds; not known elsewhere."""
        return When(condition, self)


@dataclass(frozen=True)
class Constant(Expression):
    """A number."""

    value: float


@dataclass(frozen=True)
class FeatureRef(Expression):
    """The value of a feature in the matrix."""

    name: str


@dataclass(frozen=True)
class ParameterRef(Expression):
    """The value of a dated parameter in force for the household's county on the as-of date."""

    name: str


@dataclass(frozen=True)
class Arithmetic(Expression):
    """``+ - * / min max`` of two expressions; a division by zero is not known."""

    operation: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Comparison(Expression):
    """``< <= > >=``."""

    operation: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Both(Expression):
    """Kleene *and*."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class Either(Expression):
    """Kleene *or*."""

    left: Expression
    right: Expression


@dataclass(frozen=True)
class Not(Expression):
    """Kleene *not*."""

    inner: Expression


@dataclass(frozen=True)
class IfMissing(Expression):
    """``fallback`` where ``inner`` is not known."""

    inner: Expression
    fallback: Expression


@dataclass(frozen=True)
class When(Expression):
    """``inner`` where ``condition`` holds; not known elsewhere."""

    condition: Expression
    inner: Expression


def as_expression(value: Expression | float) -> Expression:
    """Return numbers as constants and expressions as they are."""
    return value if isinstance(value, Expression) else Constant(float(value))


def feature(name: str) -> FeatureRef:
    """Refer to a feature by name."""
    return FeatureRef(name)


def param(name: str) -> ParameterRef:
    """Refer to a dated parameter by name."""
    return ParameterRef(name)


def walk(expression: Expression) -> Iterator[Expression]:
    """Yield the expression and everything in it, outermost first."""
    yield expression
    for item in fields(expression):
        value = getattr(expression, item.name)
        if isinstance(value, Expression):
            yield from walk(value)


def features_in(expression: Expression) -> tuple[str, ...]:
    """Return the names of the features read, in the order of first use."""
    return tuple(dict.fromkeys(node.name for node in walk(expression) if isinstance(node, FeatureRef)))


def parameters_in(expression: Expression) -> tuple[str, ...]:
    """Return the names of the parameters read, in the order of first use."""
    return tuple(dict.fromkeys(node.name for node in walk(expression) if isinstance(node, ParameterRef)))


_ARITHMETIC: dict[str, Callable[[Array, Array], Array]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": lambda a, b: np.divide(a, np.where(b == 0, np.nan, b)),
    "min": np.minimum,
    "max": np.maximum,
}
_COMPARISON: dict[str, Callable[[Array, Array], NDArray[np.bool_]]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


class Evaluator:
    """Computes expressions over rows; equal parts are computed once.

    Parameters
    ----------
    leaf : callable
        Gives the float64 array, shape ``(n_rows,)``, of a node that is not arithmetic or logic.
    n_rows : int
    """

    def __init__(self, leaf: Callable[[Expression], Array], n_rows: int) -> None:
        self._leaf = leaf
        self._n_rows = n_rows
        self._known: dict[Expression, Array] = {}

    def __call__(self, expression: Expression) -> Array:
        """Return the values of ``expression``, shape ``(n_rows,)``, NaN where not known."""
        values = self._known.get(expression)  # a look-up hashes the whole expression
        if values is None:
            with np.errstate(invalid="ignore", over="ignore"):
                operands = [self(part) for part in operands_of(expression)]
                values = (
                    operate(expression, operands, self._n_rows)
                    if is_operation(expression)
                    else self._leaf(expression)
                )
            self._known[expression] = values
        return values


def is_operation(node: Expression) -> bool:
    """Return whether a node is arithmetic or logic; anything else is a leaf, whose values are given."""
    return isinstance(node, Constant | Arithmetic | Comparison | Both | Either | Not | IfMissing | When)


def operands_of(node: Expression) -> tuple[Expression, ...]:
    """Return what an operation is applied to, in order; nothing for a leaf."""
    if not is_operation(node):
        return ()
    parts = (getattr(node, item.name) for item in fields(node))
    return tuple(part for part in parts if isinstance(part, Expression))


def operate(node: Expression, operands: Sequence[Array], n_rows: int) -> Array:
    """Return the values of an operation, shape ``(n_rows,)``, NaN where not known."""
    match node:
        case Constant(value):
            return np.full(n_rows, value)
        case Arithmetic(operation):
            return _ARITHMETIC[operation](*operands)
        case Comparison(operation):
            a, b = operands
            truth = _COMPARISON[operation](a, b).astype(np.float64)
            truth[np.isnan(a) | np.isnan(b)] = np.nan
            return truth
        case Both():
            return _kleene_and(*operands)
        case Either():
            a, b = operands
            return 1.0 - _kleene_and(1.0 - a, 1.0 - b)
        case Not():
            return 1.0 - operands[0]
        case IfMissing():
            values, fallback = operands
            return np.where(np.isnan(values), fallback, values)
        case When():
            condition, values = operands
            return np.where(condition == 1.0, values, np.nan)
    raise TypeError(f"no operation: {node!r}")


def _kleene_and(a: Array, b: Array) -> Array:
    """Return *and* of truth values: false beats not known, not known beats true."""
    known = np.where(np.isnan(a) | np.isnan(b), np.nan, np.minimum(a, b))
    return np.where((a == 0.0) | (b == 0.0), 0.0, known)
