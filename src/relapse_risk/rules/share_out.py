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
class UnitVisits:
    """The visits of one unit of capacity, such as a county, a township, a village or a team.

    Attributes
    ----------
    capacity, used : int
        Visits it has, and rows that use one, the audit sample among them.
    audit, audit_pool : int
        Rows drawn, and rows they were drawn from; without a visit nothing is drawn.
    """

    capacity: int
    used: int
    audit: int
    audit_pool: int

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
    used, audit, capacity : ndarray of int64, shape (n_units,)
        Visits used so far, kept for the audit sample, and there in all.
    """

    is_listed: Mask
    is_model_alert: Mask
    used: Positions
    audit: Positions
    capacity: Positions


@dataclass(frozen=True)
class AuditSample:
    """The rows drawn.

    Attributes
    ----------
    is_drawn : ndarray of bool, shape (n,)
    probability : ndarray of float64, shape (n,)
        With which a drawn row was drawn; NaN elsewhere.
    units : tuple of UnitVisits
    """

    is_drawn: Mask
    probability: Array
    units: tuple[UnitVisits, ...]


def share_out(
    in_order: Positions,
    unit: Positions,
    capacity: Positions,
    *,
    tiers: NDArray[np.int8],
    is_certain: Mask,
    uses_a_visit: Mask,
    is_resting: Mask,
    is_alert: Mask,
    is_fill: Mask,
    model_share: float,
    audit_share: float,
) -> SharedVisits:
    """Return which rows are listed, unit by unit.

    Parameters
    ----------
    in_order : ndarray of int64, shape (n,)
        All rows in the order to visit.
    unit : ndarray of int64, shape (n,)
        Position of each row's unit in ``capacity``.
    capacity : ndarray of int64, shape (n_units,)
    tiers : ndarray of int8, shape (n,)
    is_certain, uses_a_visit : ndarray of bool, shape (n,)
        Listed whatever the capacity; takes a visit from it where listed.
    is_resting : ndarray of bool, shape (n,)
        Passed over unless certain.
    is_alert, is_fill : ndarray of bool, shape (n,)
        May be listed for the model; may fill spare visits as a routine one.
    model_share, audit_share : float
    """
    is_listed, is_model_alert = is_certain.copy(), np.zeros(len(unit), dtype=bool)
    n_units = len(capacity)
    used = np.bincount(unit[is_certain & uses_a_visit], minlength=n_units)
    audit = np.zeros(n_units, dtype=np.int64)
    for place, of_unit in enumerate(_by_unit(in_order[~is_certain[in_order]], unit, n_units)):
        visits = int(capacity[place])
        audit[place] = min(_audit_visits(visits, audit_share), len(of_unit))
        room = max(visits - int(used[place] + audit[place]), 0)
        awake = of_unit[~is_resting[of_unit]]
        is_yellow = tiers[awake] == YELLOW
        yellow, free = awake[is_yellow], awake[~is_yellow]
        alerts = free[is_alert[free]]
        n_reserved = min(_share_of(visits, model_share), room, len(alerts))
        yellow = yellow[: room - n_reserved]
        alerts = alerts[: room - len(yellow)]
        is_model_alert[alerts] = True
        spare = free[is_fill[free] & ~is_model_alert[free]][: room - len(yellow) - len(alerts)]
        for rows in (yellow, alerts, spare):
            is_listed[rows] = True
            used[place] += len(rows)
    return SharedVisits(is_listed, is_model_alert, used, audit, capacity)


def draw_audits(
    shared: SharedVisits, unit: Positions, strata: ArrayLike | None, stable_key: Array, seed: int
) -> AuditSample:
    """Return the audit sample of every unit, drawn from all its rows that are not listed.

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
    probability = np.full(len(unit), np.nan)
    units = []
    pools = _by_unit(np.flatnonzero(~shared.is_listed), unit, len(shared.capacity))
    for place, pool in enumerate(pools):
        size = min(int(shared.audit[place]), len(pool))
        drawn = draw_audit(pool, strata, stable_key, size, (seed, place))
        probability[drawn] = size / max(len(pool), 1)
        used = int(shared.used[place]) + size
        units.append(UnitVisits(int(shared.capacity[place]), used, size, len(pool)))
    return AuditSample(~np.isnan(probability), probability, tuple(units))


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
