"""What became of households beyond the first event: why it was one, how deep it went, and whether it lasted.

A label says whether and when a relapse was first seen. This says what it was: a crossing because income fell
is another matter than one because the line rose, and a month just below the line another than half a year far
below it. All of it is outcome; nothing of it may be a feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.welfare import FAILING, FINE, WelfareGrid

Array = NDArray[np.float64]
Codes = NDArray[np.int8]

NONE = -1
INCOME_FELL, LINE_ROSE, GUARANTEE, STATUS = range(4)
CAUSES = ("income_fell", "line_rose", "guarantee", "status")
DIED, DISSOLVED, MOVED, UNSEEN = range(4)
EXITS = ("died", "dissolved", "moved", "unseen")

# A relapse lasts once it was seen so many months without a break; clearance asks as many above the line.
LASTING_MONTHS = 6


@dataclass(frozen=True)
class Course:
    """What became of each row of labels; arrays of shape ``(n_rows,)``.

    Attributes
    ----------
    state_at_end : ndarray of float64
        The state in the period that ends with the window: 1 below the line or a guarantee failing, 0 fine,
        NaN not known.
    cause : ndarray of int8
        Position in ``CAUSES`` of what made the first event one; -1 without an event. ``income_fell``: income
        below the line that was in force before the window. ``guarantee``: not so, but a guarantee failed.
        ``line_rose``: neither; under the old line it would have been no event. ``status``: the status was
        handed in, and nothing says why.
    is_lasting : ndarray of float64
        Of rows with an event: 1 where the household was seen failing for ``LASTING_MONTHS`` months from the
        event on without a break, 0 where it was fine again before, NaN where that is not seen, or no event.
        Months after the window count, as far as they are known.
    shortfall : ndarray of float64
        Mean over the window's known months of ``1 - income / line``, at least 0 and, where income is
        negative, at most 1; NaN where the window is censored or no income in it is known.
    exit : ndarray of int8
        Position in ``EXITS`` of why the household's reports end before its window does; -1 where they do not.
    exit_month : ndarray of float64
        Months from the as-of date to the end of the last reported period; NaN without an exit.

    Notes
    -----
    ``shortfall`` is a household's term of the poverty gap, alpha = 1 in Foster, Greer and Thorbecke (1984),
    doi:10.2307/1913475, averaged over time.
    """

    state_at_end: Array
    cause: Codes
    is_lasting: Array
    shortfall: Array
    exit: Codes
    exit_month: Array

    def rows(self, positions: NDArray[np.int64]) -> Course:
        """Return the rows at ``positions``."""
        return Course(*(getattr(self, each.name)[positions] for each in fields(self)))

    def to_polars(self) -> pl.DataFrame:
        """Return one column an attribute; cause and exit by name, null where there is none."""
        return pl.DataFrame(
            {
                "state_at_end": self.state_at_end,
                "cause": _named(self.cause, CAUSES),
                "is_lasting": self.is_lasting,
                "shortfall": self.shortfall,
                "exit": _named(self.exit, EXITS),
                "exit_month": self.exit_month,
            }
        )

    @classmethod
    def joined(cls, parts: Sequence[Course]) -> Course:
        """Return the rows of all parts, one after the other."""
        names = [each.name for each in fields(cls)]
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def of_all_heirs(self, first: NDArray[np.int64], event: Array) -> Course:
        """Return one row a household from a row for each of its heirs.

        Parameters
        ----------
        first : ndarray of int64
            Where each household's heirs begin.
        event : ndarray of float64
            Month of each heir's first event; NaN without one.

        Returns
        -------
        Course
            The cause is that of the first event; it lasts if it does for any heir, and the shortfall is that
            of the heir who is worst off. The exit is the first one: from then on not all heirs are seen.
        """
        failing = np.maximum.reduceat(self.state_at_end, first)
        ends = np.where(np.fmax.reduceat(self.state_at_end, first) == 1.0, 1.0, failing)
        lasting = np.maximum.reduceat(np.where(np.isnan(event), 0.0, self.is_lasting), first)
        lasting = np.where(np.fmax.reduceat(self.is_lasting, first) == 1.0, 1.0, lasting)
        has_event = ~np.isnan(np.fmin.reduceat(event, first))
        earliest = _first_least(event, first)
        leaves = _first_least(self.exit_month, first)
        return Course(
            ends,
            self.cause[earliest],
            np.where(has_event, lasting, np.nan),
            np.where(
                has_event, np.fmax.reduceat(self.shortfall, first), np.maximum.reduceat(self.shortfall, first)
            ),
            self.exit[leaves],
            self.exit_month[leaves],
        )


def _named(codes: Codes, names: tuple[str, ...]) -> pl.Series:
    return pl.Series(codes).replace_strict(dict(enumerate(names)), default=None, return_dtype=pl.String)


def _first_least(values: Array, first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the position of the least value of each run; NaN counts as greatest."""
    run = np.repeat(np.arange(len(first)), np.diff(np.append(first, len(values))))
    order = np.lexsort((np.where(np.isnan(values), np.inf, values), run))
    return order[first]


def causes_of(
    grid: WelfareGrid, rows: NDArray[np.int64], month: int, event: Array, old_line_yuan: Array
) -> Codes:
    """Return what made each first event one, as in :attr:`Course.cause`.

    Parameters
    ----------
    grid : WelfareGrid
    rows : ndarray of int64, shape (n,)
        Rows of the grid.
    month : int
        Last month before the window.
    event : ndarray of float64, shape (n,)
        Months from ``month`` to the end of the period that first failed; NaN without one.
    old_line_yuan : ndarray of float64, shape (n,)
        The line that was in force at the end of ``month``; NaN where none was, and nothing rose.
    """
    cause = np.full(len(rows), NONE, dtype=np.int8)
    at = np.flatnonzero(~np.isnan(event))
    place = grid.periods_at(rows[at], month + event[at].astype(np.int64))
    periods = grid.periods
    income, line = periods.income_yuan[place], periods.line_yuan[place]
    is_below = income < line
    is_below_old = is_below & ~(income >= old_line_yuan[at])
    cause[at] = np.select(
        [is_below_old, periods.has_failing_guarantee[place], is_below],
        [INCOME_FELL, GUARANTEE, LINE_ROSE],
        STATUS,
    )
    return cause


def lasting(state: Codes, period_months: Codes, event: Array) -> Array:
    """Return whether each event was followed by a lasting spell, as in :attr:`Course.is_lasting`.

    Parameters
    ----------
    state, period_months : ndarray of int8, shape (n, n_months)
        Of the window and ``LASTING_MONTHS`` more, as :meth:`~relapse_risk.welfare.WelfareGrid.after` gives.
    event : ndarray of float64, shape (n,)
        Month of the event; NaN without one.

    Notes
    -----
    A period that fails stands for all of its months.
    """
    result = np.full(len(event), np.nan)
    below = np.zeros(len(event))
    until = event - 1.0
    is_open = ~np.isnan(event)
    for column in range(state.shape[1]):
        month, length = column + 1, period_months[:, column]
        now = is_open & (event <= month) & (length > 0)
        is_first = now & (event == month)
        until[is_first] = month - length[is_first]
        follows = now & (month - length <= until)
        below += np.where(follows & (state[:, column] == FAILING), month - until, 0.0)
        is_back = follows & (state[:, column] == FINE)
        result[now & (below >= LASTING_MONTHS)] = 1.0
        result[is_back] = 0.0
        until[now] = month
        is_open &= ~now | (follows & (state[:, column] == FAILING) & (below < LASTING_MONTHS))
    return result


def shortfalls(
    grid: WelfareGrid,
    rows: NDArray[np.int64],
    month: int,
    state: Codes,
    period_months: Codes,
    is_free: NDArray[np.bool_],
) -> Array:
    """Return the mean gap to the line over the window, a share of the line, as in :attr:`Course.shortfall`.

    Parameters
    ----------
    grid, rows, month
        As for :func:`causes_of`.
    state, period_months : ndarray of int8, shape (n, n_months)
        Of the window.
    is_free : ndarray of bool, shape (n,)
        Whether the household is known to be free of any event in all of the window.
    """
    if np.isnan(grid.periods.income_yuan).all():
        return np.full(len(rows), np.nan)
    result = np.where(is_free, 0.0, np.nan)
    at = np.flatnonzero((state == FAILING).any(axis=1))
    gap, known = np.zeros(len(at)), np.zeros(len(at))
    for column in range(state.shape[1]):
        place = grid.periods_at(rows[at], np.full(len(at), month + 1 + column))
        ratio = grid.periods.income_yuan[place] / grid.periods.line_yuan[place]
        is_known = (place >= 0) & ~np.isnan(ratio)
        weight = np.where(is_known, np.minimum(period_months[at, column], column + 1), 0.0)
        known += weight
        gap += weight * np.where(is_known, np.clip(1.0 - ratio, 0.0, 1.0), 0.0)
    result[at] = np.divide(gap, known, out=np.full(len(at), np.nan), where=known > 0)
    return result
