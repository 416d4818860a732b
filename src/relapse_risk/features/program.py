"""Formulas as a list of steps: equal parts once, in order, each array kept only as long as it is read.

:func:`~relapse_risk.features.expression.operate` says what each operation means. A program runs operations
over one block of rows after another without walking and comparing the trees again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from relapse_risk.errors import ContractError
from relapse_risk.features.expression import Array, Expression, FeatureRef, is_operation, operands_of, operate

Resolve = Callable[[str], Expression]


class Program:
    """Steps that compute some expressions from their leaves.

    Parameters
    ----------
    expressions : sequence of Expression
    formula_of : callable, optional
        Gives the formula of a feature that is referred to by name; where not given, such a node is a leaf.

    Attributes
    ----------
    leaves : tuple of Expression
        Nodes whose values have to be given, each once.

    Raises
    ------
    ContractError
        RR318 where a feature needs itself.
    """

    def __init__(self, expressions: Sequence[Expression], formula_of: Resolve | None = None) -> None:
        self._formula_of = formula_of
        self._place: dict[Expression, int] = {}
        self._steps: list[tuple[Expression, tuple[int, ...]]] = []
        self._results = [self._add(expression, ()) for expression in expressions]
        self.leaves = tuple(node for node, _ in self._steps if not is_operation(node))
        self._done_with = self._last_uses()

    @property
    def n_results(self) -> int:
        """Number of expressions computed."""
        return len(self._results)

    def _add(self, node: Expression, path: tuple[str, ...]) -> int:
        """Return the step that computes ``node``, behind those it needs."""
        place = self._place.get(node)
        if place is not None:
            return place
        if isinstance(node, FeatureRef) and self._formula_of is not None:
            if node.name in path:
                raise ContractError(
                    "RR318",
                    f"feature {node.name}",
                    f"needs itself ({' → '.join((*path, node.name))})",
                    "formulas without a circle",
                    "Break the circle",
                )
            place = self._add(self._formula_of(node.name), (*path, node.name))
        else:
            needed = tuple(self._add(part, path) for part in operands_of(node))
            place = len(self._steps)
            self._steps.append((node, needed))
        self._place[node] = place
        return place

    def _last_uses(self) -> list[list[int]]:
        """Return, for each step, the arrays nobody reads after it."""
        last = {place: step for step, (_, needed) in enumerate(self._steps) for place in needed}
        kept = set(self._results)
        done: list[list[int]] = [[] for _ in self._steps]
        for place, step in last.items():
            if place not in kept:
                done[step].append(place)
        return done

    def run(self, leaves: Sequence[Array], n_rows: int) -> list[Array]:
        """Return the values of the expressions, each of shape ``(n_rows,)``.

        Parameters
        ----------
        leaves : sequence of ndarray of float64, shape (n_rows,)
            In the order of ``self.leaves``.
        n_rows : int
        """
        given = iter(leaves)
        values: list[Array | None] = [None] * len(self._steps)
        with np.errstate(invalid="ignore", over="ignore"):
            for step, (node, needed) in enumerate(self._steps):
                operands = [part for place in needed if (part := values[place]) is not None]
                values[step] = operate(node, operands, n_rows) if is_operation(node) else next(given)
                for place in self._done_with[step]:
                    values[place] = None
        return [result for place in self._results if (result := values[place]) is not None]
