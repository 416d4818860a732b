"""The compiled loops of the feature engine; numba infers their types, so they carry none.

Rows are sorted by household, and ``begin[h]:begin[h + 1]`` are those of household ``h``. Sums run from the
latest period back, always in the same order, so that equal rows give equal bits. The loops let go of the
interpreter's lock.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SUM, MEAN, MIN, MAX, STD, SLOPE, COUNT = range(7)


@njit(nogil=True, cache=True)
def keep_apart(begin, stands, month, length, kept, kept_begin):
    """Put the rows that stand into ``kept``, latest first; of periods that overlap the later one stands.

    Returns how many were kept.
    """
    n = 0
    for h in range(len(begin) - 1):
        kept_begin[h] = n
        frontier = np.iinfo(np.int64).max
        for i in range(begin[h + 1] - 1, begin[h] - 1, -1):
            if stands[i] and month[i] <= frontier:
                kept[n] = i
                frontier = month[i] - length[i]
                n += 1
    kept_begin[len(begin) - 1] = n
    return n


@njit(nogil=True, cache=True)
def windows(values, offset, kept, begin, month, length, kinds, months, ago, needed, out):
    """Fill ``out`` (n_windows, n_households) with statistics over windows; NaN where too little is known.

    Parameters
    ----------
    values : one value for each row from ``offset`` on
    kept, begin : rows that stand, latest first, by household
    kinds, months, ago : the statistic of each window, its length, and how many months before the latest
    needed : months that known periods have to cover, by window
    """
    for h in range(len(begin) - 1):
        rows = kept[begin[h] : begin[h + 1]]
        for w in range(len(kinds)):
            out[w, h] = _window(
                values, offset, rows, month, length, kinds[w], ago[w], ago[w] + months[w], needed[w]
            )


@njit(nogil=True, cache=True)
def _window(values, offset, rows, month, length, kind, ago, reach, needed):
    """Return one statistic of the periods that lie wholly between ``ago`` and ``reach`` months back."""
    covered, n, total = 0.0, 0, 0.0
    lowest, highest = np.inf, -np.inf
    for i in rows:
        age = month[rows[0]] - month[i]
        if age >= reach:
            break
        v = values[i - offset]
        if age < ago or age + length[i] > reach or np.isnan(v):
            continue
        n += 1
        covered += length[i]
        total += v if kind == SUM else length[i] * v
        lowest, highest = min(lowest, v), max(highest, v)
    if kind == COUNT:
        return float(n)
    if n == 0 or covered < needed:
        return np.nan
    if kind in (STD, SLOPE):
        return _spread(values, offset, rows, month, length, kind, ago, reach, total / covered, covered, n)
    return _level(kind, total, covered, lowest, highest)


@njit(nogil=True, cache=True)
def sums_at_each_end(values, begin, month, length, months, out):
    """Fill ``out`` with the sum over the ``months`` that end with each row; NaN where one is not known.

    Where whole periods fill the window it is what ``windows`` gives on the day the row is the latest, by the
    same steps. A period that the window cuts counts here for its share; there it is not covered.
    """
    for h in range(len(begin) - 1):
        for last in range(begin[h], begin[h + 1]):
            covered, total, frontier = 0, 0.0, month[last]
            for i in range(last, begin[h] - 1, -1):
                age = month[last] - month[i]
                if age >= months:
                    break
                if month[i] > frontier:
                    continue
                frontier = month[i] - length[i]
                if not np.isnan(values[i]):
                    inside = min(length[i], months - age)
                    covered += inside
                    total += values[i] * (inside / length[i])
            out[last] = total if covered == months else np.nan


@njit(nogil=True, cache=True)
def _level(kind, total, covered, lowest, highest):
    if kind == SUM:
        return total
    if kind == MIN:
        return lowest
    return highest if kind == MAX else total / covered


@njit(nogil=True, cache=True)
def _spread(values, offset, rows, month, length, kind, ago, reach, mean, covered, n):
    """Return the standard deviation, or the slope a year, of the known periods of a window."""
    middle, squares = 0.0, 0.0
    for i in rows:
        age, v = month[rows[0]] - month[i], values[i - offset]
        if age >= ago and age + length[i] <= reach and not np.isnan(v):
            squares += length[i] * (v - mean) ** 2
            middle += length[i] * (-(age + length[i] / 2) / 12.0)
    if kind == STD:
        return np.sqrt(squares / covered) if n >= 2 else np.nan
    middle /= covered
    spread, together = 0.0, 0.0
    for i in rows:
        age, v = month[rows[0]] - month[i], values[i - offset]
        if age >= ago and age + length[i] <= reach and not np.isnan(v):
            apart = -(age + length[i] / 2) / 12.0 - middle
            spread += length[i] * apart**2
            together += length[i] * apart * (v - mean)
    return together / spread if n >= 3 and spread != 0 else np.nan


@njit(nogil=True, cache=True)
def latest_values(values, offset, kept, begin, month, back, within, out):
    """Fill ``out`` with the value ``back`` periods before the latest, or the latest known one.

    Where ``within`` is not negative: the latest known value in so many months before the latest period.
    """
    for h in range(len(begin) - 1):
        first, stop = begin[h], begin[h + 1]
        out[h] = np.nan
        if within < 0:
            if first + back < stop:
                out[h] = values[kept[first + back] - offset]
            continue
        for p in range(first, stop):
            i = kept[p]
            if month[kept[first]] - month[i] > within:
                break
            if not np.isnan(values[i - offset]):
                out[h] = values[i - offset]
                break


@njit(nogil=True, cache=True)
def count_rows(begin, lives, truth, hits, unsure):
    """Count the rows that fulfil a condition (2) and those that might (1), by household."""
    for h in range(len(begin) - 1):
        n, m = 0, 0
        for i in range(begin[h], begin[h + 1]):
            if lives[i]:
                if truth[i] == 2:
                    n += 1
                elif truth[i] == 1:
                    m += 1
        hits[h] = n
        unsure[h] = m


@njit(nogil=True, cache=True)
def add_up(begin, lives, truth, values, valued, totals, largest):
    """Count and add up the known values of the rows that fulfil a condition, and find the largest."""
    for h in range(len(begin) - 1):
        n, total, most = 0, 0.0, np.nan
        for i in range(begin[h], begin[h + 1]):
            if lives[i] and truth[i] == 2 and not np.isnan(values[i]):
                n += 1
                total += values[i]
                if not values[i] <= most:
                    most = values[i]
        valued[h] = n
        totals[h] = total
        largest[h] = most


@njit(nogil=True, cache=True)
def add_up_by_code(begin, lives, truth, codes, values, n_codes, largest):
    """Find how many different codes fulfil a condition, and the largest sum of one code's values.

    Empty codes are negative: they are no code, and their values make one sum.
    """
    for h in range(len(begin) - 1):
        n, most = 0, np.nan
        for i in range(begin[h], begin[h + 1]):
            if not lives[i] or truth[i] != 2:
                continue
            is_new, total, is_known = True, 0.0, False
            for k in range(begin[h], begin[h + 1]):
                if not lives[k] or truth[k] != 2 or codes[k] != codes[i]:
                    continue
                if k < i:
                    is_new = False
                    break
                if not np.isnan(values[k]):
                    total += values[k]
                    is_known = True
            if is_new and codes[i] >= 0:
                n += 1
            if is_new and is_known and not total <= most:
                most = total
        n_codes[h] = n
        largest[h] = most
