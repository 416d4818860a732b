"""The compiled loops of ``treeshap.py``; numba infers their types, so they carry none.

They let go of the interpreter's lock, so that blocks of rows run in threads side by side.
"""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def add_leaf(share, mask, wanted, place, value, nodes, weights, table):
    """Add one leaf's Shapley values to the table, for each pattern of the group."""
    n = len(share)
    own = np.zeros((1 << n, n))  # by which of the path's features the row goes along with
    for met in range(1 << n):
        for q in range(len(nodes)):
            product = value * weights[q]
            for i in range(n):
                product *= share[i] * (1.0 - nodes[q]) + (nodes[q] if met >> i & 1 else 0.0)
            for i in range(n):
                z = 1.0 if met >> i & 1 else 0.0
                own[met, i] += product * (z - share[i]) / (share[i] * (1.0 - nodes[q]) + nodes[q] * z)
    for pattern in range(table.shape[1]):
        met = 0
        for i in range(n):
            if pattern & mask[i] == wanted[i]:
                met |= 1 << i
        for i in range(n):
            table[place[i], pattern] += own[met, i]


@njit(nogil=True, cache=True)
def tell_apart(values, marks, starts, is_code, kinds):
    """Fill ``kinds`` (n_columns, n_rows) with the kind of every value."""
    for column in range(kinds.shape[0]):
        first, stop = starts[column], starts[column + 1]
        n_marks = stop - first
        for row in range(kinds.shape[1]):
            value = np.float64(values[row, column])
            if np.isnan(value):
                kinds[column, row] = n_marks + 1
                continue
            if is_code[column]:
                value = np.trunc(value)
            low, high = first, stop
            while low < high:
                middle = (low + high) >> 1
                if marks[middle] < value:
                    low = middle + 1
                else:
                    high = middle
            place = low - first
            if is_code[column] and (place == n_marks or marks[low] != value):
                place = n_marks
            kinds[column, row] = place


@njit(nogil=True, cache=True)
def form_patterns(kinds, first, stop, feature, bit, low, high, extra, met_at, met, pattern):
    """Fill ``pattern`` (n_rows,) with the conditions ``first`` to ``stop`` that each row meets, as bits."""
    pattern[:] = 0
    for c in range(first, stop):
        here = kinds[feature[c]]
        value = np.int32(1) << np.int32(bit[c])
        if met_at[c] < 0:
            a, b, e = low[c], high[c], extra[c]
            for row in range(len(pattern)):
                kind = here[row]
                pattern[row] |= value if ((kind >= a) & (kind <= b)) | (kind == e) else np.int32(0)
        else:
            for row in range(len(pattern)):
                pattern[row] |= value if met[met_at[c] + here[row]] else np.int32(0)


@njit(nogil=True, cache=True)
def add_entries(entries, pattern, fixed, sums):
    """Add the entries of a table at each row's pattern to ``sums`` (n_rows,)."""
    for row in range(len(pattern)):
        sums[row] += entries[pattern[row] | fixed]


@njit(nogil=True, cache=True)
def add_up(
    kinds, starts, feature, bit, low, high, extra, met_at, met, first, of, table_at, table, fixed, out
):
    """Fill ``out`` (n_rows, n_values, n_features + 1), but for its last column, with sums of table entries.

    What all values of the last feature have in common is added up once.
    """
    n_rows, n_values, n_features = out.shape[0], out.shape[1], out.shape[2] - 1
    common = np.zeros((n_features, n_rows))
    own = np.zeros((n_values, n_features, n_rows))
    pattern = np.zeros(n_rows, np.int32)
    for group in range(len(starts) - 1):
        form_patterns(
            kinds, starts[group], starts[group + 1], feature, bit, low, high, extra, met_at, met, pattern
        )
        varies = (fixed[group] != fixed[group, 0]).any()
        for j in range(first[group], first[group + 1]):
            entries = table[table_at[j] :]
            if varies:
                for k in range(n_values):
                    add_entries(entries, pattern, fixed[group, k], own[k, of[j]])
            else:
                add_entries(entries, pattern, fixed[group, 0], common[of[j]])
    for k in range(n_values):
        for f in range(n_features):
            for row in range(n_rows):
                out[row, k, f] = common[f, row] + own[k, f, row]
