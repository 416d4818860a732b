"""How each unit's visits are shared: what must be visited, the audit sample, the model's share, then 黄."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relapse_risk.features.expression import Array
from relapse_risk.rules.audit import draw_audit
from relapse_risk.rules.tiers import YELLOW

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Shares:
    """Parts of a unit's visits that are set aside, each between 0 and 1.

    Attributes
    ----------
    model, audit : float
        For rows no rule names, and for the random audit sample.
    lottery : float
        Visits at the edge of those without a rule hit whose holders are drawn; 0 for no lottery.
    """

    model: float
    audit: float
    lottery: float = 0.0


@dataclass(frozen=True)
class Candidates:
    """What sharing out looks at, of every row; arrays of shape ``(n,)``.

    Attributes
    ----------
    tiers : ndarray of int8
    is_certain, uses_a_visit : ndarray of bool
        Listed whatever the capacity; takes a visit from it where listed.
    is_resting : ndarray of bool
        Passed over unless certain.
    comes_back : ndarray of bool
        Nobody was met at its last visit: chosen before 黄.
    is_alert, is_fill : ndarray of bool
        May be listed for the model; may fill spare visits as a routine one.
    """

    tiers: NDArray[np.int8]
    is_certain: Mask
    uses_a_visit: Mask
    is_resting: Mask
    comes_back: Mask
    is_alert: Mask
    is_fill: Mask


@dataclass(frozen=True)
class UnitVisits:
    """The visits of one unit of capacity, such as a county, a township, a village or a team.

    Attributes
    ----------
    capacity, used : int
        Visits it has, and rows that use one, the audit sample among them.
    audit, audit_pool : int
        Rows drawn, and rows they might have been drawn from; only those of the unit.
    audit_probability : float
        With which each row of the pool was drawn.
    """

    capacity: int
    used: int
    audit: int
    audit_pool: int
    audit_probability: float

    @property
    def excess(self) -> int:
        """Visits beyond capacity."""
        return max(self.used - self.capacity, 0)


@dataclass(frozen=True)
class SharedVisits:
    """What is listed before the audit sample is drawn.

    Attributes
    ----------
    is_listed, is_model_alert : ndarray of bool, shape (n,)
    lottery_probability : ndarray of float64, shape (n,)
        With which a row at the edge was drawn; NaN for rows that took no part.
    used, audit, capacity : ndarray of int64, shape (n_units,)
        Visits used so far, kept for the audit sample, and there in all.
    without_visits : int
        Rows the audit sample takes from all units without a visit together.
    """

    is_listed: Mask
    is_model_alert: Mask
    lottery_probability: Array
    used: Positions
    audit: Positions
    capacity: Positions
    without_visits: int


@dataclass(frozen=True)
class AuditSample:
    """The rows drawn.

    Attributes
    ----------
    is_drawn : ndarray of bool, shape (n,)
    probability : ndarray of float64, shape (n,)
        With which a drawn row was drawn; NaN elsewhere.
    drawn_from : ndarray of int64, shape (n,)
        How many rows a drawn row was drawn from: those of its unit, or of all units without a visit; 0
        elsewhere.
    units : tuple of UnitVisits
    """

    is_drawn: Mask
    probability: Array
    drawn_from: Positions
    units: tuple[UnitVisits, ...]


def share_out(
    in_order: Positions,
    unit: Positions,
    capacity: Positions,
    rows: Candidates,
    shares: Shares,
    stable_key: Array,
    seed: int,
) -> SharedVisits:
    """Return which rows are listed, unit by unit.

    Parameters
    ----------
    in_order : ndarray of int64, shape (n,)
        All rows in the order to visit.
    unit : ndarray of int64, shape (n,)
        Position of each row's unit in ``capacity``.
    capacity : ndarray of int64, shape (n_units,)
    rows : Candidates
    shares : Shares
    stable_key : ndarray of float64, shape (n,)
        Unique; the lottery does not depend on the order of the rows.
    seed : int
        Of the lottery; each unit draws from a seed of its own made from it.
    """
    is_listed, is_model_alert = rows.is_certain.copy(), np.zeros(len(unit), dtype=bool)
    lottery = np.full(len(unit), np.nan)
    n_units = len(capacity)
    used = np.bincount(unit[rows.is_certain & rows.uses_a_visit], minlength=n_units)
    audit = np.zeros(n_units, dtype=np.int64)
    for place, of_unit in enumerate(_by_unit(in_order[~rows.is_certain[in_order]], unit, n_units)):
        visits = int(capacity[place])
        audit[place] = min(_audit_visits(visits, shares.audit), len(of_unit))
        room = max(visits - int(used[place] + audit[place]), 0)
        found = _fill(of_unit[~rows.is_resting[of_unit]], room, _share_of(visits, shares.model), rows)
        edge = _edge(found, _share_of(visits, shares.lottery))
        drawn = _draw(edge, stable_key, (seed, place, 1))
        lottery[edge.rows] = edge.probability
        is_listed[found.certain] = True
        is_listed[edge.rows] = False
        is_listed[drawn] = True
        is_model_alert[found.alerts] = True
        used[place] += len(found.certain)
    without = 1 if shares.audit else 0
    return SharedVisits(is_listed, is_model_alert & is_listed, lottery, used, audit, capacity, without)


def draw_audits(
    shared: SharedVisits, unit: Positions, strata: ArrayLike | None, stable_key: Array, seed: int
) -> AuditSample:
    """Return the audit sample of every unit, drawn from all its rows that are not listed.

    Units without a visit have no sample of their own: one row is drawn from all of them together, and the
    visit to it stands beyond their capacity. So every row that is not listed could have been drawn.

    Parameters
    ----------
    shared : SharedVisits
    unit : ndarray of int64, shape (n,)
    strata : array_like or None, shape (n,)
        As in :func:`~relapse_risk.rules.audit.draw_audit`.
    stable_key : ndarray of float64, shape (n,)
    seed : int
        Each unit draws from a seed of its own made from it.
    """
    probability, drawn_from = np.full(len(unit), np.nan), np.zeros(len(unit), dtype=np.int64)
    n_units = len(shared.capacity)
    # A unit draws for itself, or as a part of all that have no visit.
    drawer = np.where(shared.capacity > 0, np.arange(n_units), n_units)
    sizes = [*shared.audit.tolist(), shared.without_visits]
    rows = np.flatnonzero(~shared.is_listed)
    share = np.zeros(n_units + 1)
    for place, pool in enumerate(_by_unit(rows, drawer[unit], n_units + 1)):
        size = min(sizes[place], len(pool))
        drawn = draw_audit(pool, strata, stable_key, size, (seed, place))
        share[place] = size / max(len(pool), 1)
        probability[drawn], drawn_from[drawn] = share[place], len(pool)
    is_drawn = ~np.isnan(probability)
    n_drawn = np.bincount(unit[is_drawn], minlength=n_units)
    n_pool = np.bincount(unit[rows], minlength=n_units)
    units = tuple(
        UnitVisits(
            capacity=int(shared.capacity[place]),
            used=int(shared.used[place] + n_drawn[place]),
            audit=int(n_drawn[place]),
            audit_pool=int(n_pool[place]),
            audit_probability=float(share[drawer[place]]),
        )
        for place in range(n_units)
    )
    return AuditSample(is_drawn, probability, drawn_from, units)


@dataclass(frozen=True)
class _Filled:
    """The rows of one unit that are chosen without a lottery, and who stands behind the last of them.

    Attributes
    ----------
    certain : ndarray of int64
        All that are chosen.
    alerts : ndarray of int64
        Those of them, and of the ones behind, that are listed for the model.
    last, next_in_line : ndarray of int64
        Rows no rule names: the chosen ones that hold a visit by their place alone, and those not chosen.
    """

    certain: Positions
    alerts: Positions
    last: Positions
    next_in_line: Positions


def _fill(awake: Positions, room: int, reserved: int, rows: Candidates) -> _Filled:
    """Choose among the rows of one unit, which stand in the order to visit."""
    free = awake[rows.tiers[awake] != YELLOW]
    ranked = free[rows.is_alert[free]]
    kept = ranked[: min(reserved, room)]
    back = _without(awake[rows.comes_back[awake]], kept)[: room - len(kept)]
    yellow = _without(awake[rows.tiers[awake] == YELLOW], back)[: room - len(kept) - len(back)]
    left = room - len(kept) - len(back) - len(yellow)
    alerts = _without(ranked, np.concatenate([kept, back]))[:left]
    spare = free[rows.is_fill[free] & ~rows.is_alert[free]]
    spare = _without(spare, back)[: left - len(alerts)]
    certain = np.concatenate([kept, back, yellow, alerts, spare])
    # The edge lies where rows are chosen by their place alone; who comes back has no part in it.
    line = ranked if len(ranked) else free[rows.is_fill[free]]
    line = line[~rows.comes_back[line]]
    n = int(np.isin(line, certain).sum())
    # A row that comes back is listed for the model where the model would have listed it anyway.
    n_ranked = int(np.isin(ranked, certain).sum())
    return _Filled(
        certain, np.union1d(ranked[:n_ranked], line if len(ranked) else line[:0]), line[:n], line[n:]
    )


def _without(rows: Positions, others: Positions) -> Positions:
    return rows[~np.isin(rows, others)]


@dataclass(frozen=True)
class _Edge:
    """The rows of one unit around the cut-off, in any order, and how many of them are drawn."""

    rows: Positions
    n_drawn: int

    @property
    def probability(self) -> float:
        """With which each of the rows is drawn."""
        return self.n_drawn / max(len(self.rows), 1)


def _edge(found: _Filled, visits: int) -> _Edge:
    """Return the last ``visits`` that are held by place alone, and as many rows behind them."""
    n = min(visits, len(found.last))
    behind = found.next_in_line[:n]
    if n == 0 or len(behind) == 0:
        return _Edge(found.last[:0], 0)
    return _Edge(np.concatenate([found.last[-n:], behind]), n)


def _draw(edge: _Edge, stable_key: Array, seed: tuple[int, ...]) -> Positions:
    """Draw rows of an edge, each with the same probability, without repetition."""
    if edge.n_drawn == 0:
        return edge.rows
    in_order = edge.rows[np.argsort(stable_key[edge.rows], kind="stable")]
    drawn: Positions = np.random.default_rng(seed).choice(in_order, edge.n_drawn, replace=False)
    return drawn


def _by_unit(rows: Positions, unit: Positions, n_units: int) -> list[Positions]:
    """Return the rows of each unit, in the order they came."""
    together = rows[np.argsort(unit[rows], kind="stable")]
    ends = np.cumsum(np.bincount(unit[rows], minlength=n_units))
    return np.split(together, ends[:-1])


def _share_of(visits: int, share: float) -> int:
    """Return a share of visits in whole ones, halves rounded up."""
    return min(int(np.floor(visits * share + 0.5)), visits)


def _audit_visits(visits: int, share: float) -> int:
    """Return the size of an audit sample: at least one, or households of small units could never be drawn."""
    return max(_share_of(visits, share), 1) if visits and share else 0
