"""Which households are visited, in which order, and why: capacity shared among rules, model and audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from relapse_risk.errors import ConfigurationError
from relapse_risk.features.expression import Array
from relapse_risk.features.matrix import FeatureMatrix
from relapse_risk.rules.audit import audit_strata
from relapse_risk.rules.catalog import RULES
from relapse_risk.rules.share_out import (
    AuditSample,
    Candidates,
    SharedVisits,
    Shares,
    UnitVisits,
    draw_audits,
    share_out,
)
from relapse_risk.rules.spec import Rule
from relapse_risk.rules.tiers import (
    BLUE,
    ORANGE,
    RED,
    ROUTINE,
    TIERS,
    YELLOW,
    days_left,
    has_moving_hit,
    is_settled,
    moving_codes,
    severity,
    tier_of,
)
from relapse_risk.rules.visit_order import OrderedRows, sort_keys
from relapse_risk.scores import RuleHits
from relapse_risk.vocabulary import Basis

__all__ = [
    "BLUE",
    "ORANGE",
    "RED",
    "ROUTINE",
    "TIERS",
    "YELLOW",
    "UnitVisits",
    "VisitSelection",
    "audit_strata",
    "days_left",
    "has_moving_hit",
    "is_settled",
    "moving_codes",
    "plan_visits",
    "rank_for_visits",
    "severity",
    "tier_of",
]

Positions = NDArray[np.int64]
Mask = NDArray[np.bool_]

MODEL_SHARE, AUDIT_SHARE = 0.2, 0.05


@dataclass(frozen=True)
class VisitSelection:
    """The households to visit, in order.

    Attributes
    ----------
    order : ndarray of int64, shape (n_listed,)
        Positions of the rows given, in the order to visit.
    tiers : ndarray of int8, shape (n_listed,)
        0 红, 1 橙, 2 黄, 3 蓝, 4 常, of each listed row.
    basis : tuple of tuple of Basis, length n_listed
        Why each row is listed. An audit row that no rule names is a routine visit like any other.
    is_audit : ndarray of bool, shape (n_listed,)
        Whether the row is of the random audit sample; for the manifest, not for the list.
    inclusion_probability : ndarray of float64, shape (n_listed,)
        Of audit rows: the probability with which a row of the pool was drawn; NaN elsewhere. The pool is all
        rows that would otherwise be left out, 候补 as well.
    audit_pool_n : ndarray of int64, shape (n_listed,)
        Of audit rows: how many rows the pool has; 0 elsewhere.
    waiting : ndarray of int64, shape (n_waiting,)
        Positions of the 黄 rows that did not fit or rest, in order (候补).
    counts : mapping of str to int
        ``capacity``, ``red``, ``orange``, ``yellow``, ``blue``, ``routine``, ``audit`` (of any tier from 黄
        on), ``audit_pool``, ``applied`` (黄 that applied themselves), ``settled`` (rows that use no
        capacity), ``waiting``, ``rested`` (waiting rows that were visited lately), and
        ``excess``: visits beyond capacity, summed over the units.
    units : tuple of UnitVisits
        The same by unit of capacity.
    lottery : ndarray of int64, shape (n_drawn_from,)
        Positions of the rows at the edge among whom the last visits were drawn, in order, listed or not;
        empty without a lottery.
    lottery_probability : ndarray of float64, shape (n_drawn_from,)
        With which each of them came to be listed, by the lottery or the audit sample after it.
    """

    order: Positions
    tiers: NDArray[np.int8]
    basis: tuple[tuple[Basis, ...], ...]
    is_audit: Mask
    inclusion_probability: Array
    audit_pool_n: Positions
    waiting: Positions
    counts: Mapping[str, int]
    units: tuple[UnitVisits, ...]
    lottery: Positions
    lottery_probability: Array

    def __len__(self) -> int:
        return len(self.order)


def plan_visits(
    matrix: FeatureMatrix,
    hits: RuleHits,
    *,
    capacity: ArrayLike,
    ranking: Array | None = None,
    fallback_ranking: Array | None = None,
    is_new_hit: Mask | None = None,
    is_resting: Mask | None = None,
    comes_back: Mask | None = None,
    unit: NDArray[np.int64] | None = None,
    model_share: float = MODEL_SHARE,
    audit_share: float = AUDIT_SHARE,
    lottery_share: float = 0.0,
    rng_seed: int = 0,
    rules: Sequence[Rule] = RULES,
) -> VisitSelection:
    """Return the visits for the rows of a matrix: :func:`rank_for_visits` with all it needs from the rules.

    Parameters
    ----------
    matrix : FeatureMatrix
        One as-of date and one county.
    hits : RuleHits
        Of ``matrix``.
    capacity, ranking, fallback_ranking, is_new_hit, is_resting, comes_back, unit
        As in :func:`rank_for_visits`; every hit counts as new where nothing is said.
    model_share, audit_share, lottery_share, rng_seed
        As in :func:`rank_for_visits`.
    rules : sequence of Rule
        Those of ``hits``.
    """
    tiers = tier_of(matrix, hits, rules)
    townships = matrix.index["township_code"].fill_null("").to_numpy()
    return rank_for_visits(
        tiers=tiers,
        severity=severity(matrix, hits, rules),
        days_left=days_left(matrix, rules),
        is_new_hit=np.ones(len(matrix), dtype=bool) if is_new_hit is None else is_new_hit,
        has_rule_hit=has_moving_hit(hits, rules),
        self_applied=matrix.column("self_applied") >= 1,
        is_settled=is_settled(matrix, tiers),
        is_resting=is_resting,
        comes_back=comes_back,
        unit=unit,
        ranking=ranking,
        fallback_ranking=fallback_ranking,
        capacity=capacity,
        model_share=model_share,
        audit_share=audit_share,
        lottery_share=lottery_share,
        strata=audit_strata(townships, ranking if ranking is not None else fallback_ranking),
        rng_seed=rng_seed,
        stable_key=matrix.index["household_id"].to_numpy(),
    )


def rank_for_visits(
    *,
    tiers: NDArray[np.int8],
    severity: Array,
    days_left: Array,
    is_new_hit: Mask,
    has_rule_hit: Mask,
    self_applied: Mask,
    ranking: Array | None,
    capacity: ArrayLike,
    stable_key: ArrayLike,
    strata: ArrayLike | None = None,
    model_share: float = MODEL_SHARE,
    audit_share: float = AUDIT_SHARE,
    lottery_share: float = 0.0,
    rng_seed: int = 0,
    is_settled: Mask | None = None,
    is_resting: Mask | None = None,
    comes_back: Mask | None = None,
    unit: NDArray[np.int64] | None = None,
    fallback_ranking: Array | None = None,
) -> VisitSelection:
    """Return which rows are visited and in which order.

    Parameters
    ----------
    tiers : ndarray of int8, shape (n,)
        Of :func:`~relapse_risk.rules.tiers.tier_of`: 0 红, 1 橙, 2 黄; more than 2 where neither a rule nor a
        self-application names the row.
    severity : ndarray of float64, shape (n,)
        Higher is graver.
    days_left : ndarray of float64, shape (n,)
        Days until the nearest limit; NaN where none runs.
    is_new_hit, has_rule_hit, self_applied : ndarray of bool, shape (n,)
        Whether the row's hits are new; whether it has a hit that gives it its tier; whether the household
        applied itself.
    ranking : ndarray of float64 or None, shape (n,)
        The model's order; higher means more at risk, NaN where it can't say. None without a model.
    capacity : int or array_like of int, shape (n_units,)
        Visits, of each unit.
    stable_key : array_like, shape (n,)
        Unique; settles ties, such as the household's identifier.
    strata : array_like, shape (n,), optional
        Groups the audit sample is spread over in proportion; see :func:`audit_strata`.
    model_share, audit_share : float
        Parts of capacity set aside before 黄 is filled; an audit share above 0 is at least one visit.
    lottery_share : float
        Part of capacity that is drawn at the edge of the rows no rule names; 0 for no lottery.
    rng_seed : int
        Of the audit sample and the lottery.
    is_settled : ndarray of bool, shape (n,), optional
        Standing hits that were confirmed within the visit interval and have measures in place: listed,
        without using capacity.
    is_resting : ndarray of bool, shape (n,), optional
        Visited so lately that another visit can wait.
    comes_back : ndarray of bool, shape (n,), optional
        The last visit, which a list had asked for, met nobody: chosen before 黄, whatever names the row.
    unit : ndarray of int64, shape (n,), optional
        Position in ``capacity`` of the unit that visits the row, such as its township or team.
    fallback_ranking : ndarray of float64, shape (n,), optional
        Orders rows, and fills spare visits as routine ones, where there is no model's ranking.

    Returns
    -------
    VisitSelection

    Raises
    ------
    ConfigurationError
        RR333 where capacity is negative or a share is not between 0 and 1.

    Notes
    -----
    Each unit's capacity goes, in this order, to: all its 红, 橙 and self-applications, even beyond it; its
    audit sample, which stands even then; the model's share, to the highest ranked rows no rule names; rows
    that come back; 黄, in the order below; further model alerts; and, with a fallback ranking only, further
    routine visits. So the
    rows that use capacity number at most ``max(capacity, red + orange + applications + audit)``. What does
    not fit of 黄 waits. A resting row is passed over: 黄 waits, 橙 stays listed without using capacity; 红
    and who applied do not rest.

    Rows stand in the order 红, 橙, 黄, 蓝, 常. Within 红: hits that are not settled before settled ones, new
    before standing, fewer days left first (none known last), graver first, then higher ranked. Within the
    others: rows with a rule hit before mere self-applications, settled last of these, then higher ranked,
    then graver, then by the fallback ranking. A row without a ranking comes last among its equals and is
    never dropped. Remaining ties are settled by the stable key. No score moves a row between 红, 橙 and 黄.

    The audit sample is drawn from every row of a unit that is not listed otherwise, waiting and resting ones
    too, without replacement, systematically from the pool sorted by stratum in random order within it: each
    row of the pool has the same probability, size over pool, and each stratum its share to within one visit.
    A drawn row keeps its tier. Units without a visit are one pool, from which one row is drawn beyond their
    capacity, so that with an audit share above 0 every row not listed otherwise has a known probability above
    0.

    With a lottery, a unit's last visits that a row no rule names holds by its place alone, as many as the
    share says, are drawn among these rows and as many behind them, each with the same probability. It comes
    after all rule hits, applications and rows that come back have their visits, and takes none of them.
    """
    visits = np.atleast_1d(np.asarray(capacity, dtype=np.int64))
    shares = Shares(model_share, audit_share, lottery_share)
    _check_shares(visits, shares)
    none = np.zeros(len(tiers), dtype=bool)
    is_named = tiers <= YELLOW
    rests = none if is_resting is None else is_resting & ~self_applied & (tiers != RED)
    rows = OrderedRows(
        tiers=np.where(is_named, tiers, ROUTINE).astype(np.int8),
        has_rule_hit=has_rule_hit & is_named,
        self_applied=self_applied & is_named,
        is_settled=(is_named & (none if is_settled is None else is_settled)) | (rests & (tiers == ORANGE)),
        keys=sort_keys(severity, days_left, is_new_hit, ranking, fallback_ranking, stable_key),
    )
    units = np.zeros(len(tiers), dtype=np.int64) if unit is None else unit
    candidates = Candidates(
        tiers=rows.tiers,
        is_certain=(rows.tiers <= ORANGE) | rows.is_settled | rows.self_applied,
        uses_a_visit=~rows.is_settled,
        is_resting=rests,
        comes_back=none if comes_back is None else comes_back,
        is_alert=none if ranking is None else ~np.isnan(ranking),
        is_fill=none if fallback_ranking is None else ~np.isnan(fallback_ranking),
    )
    in_order = rows.sorted(np.arange(len(tiers)))
    shared = share_out(in_order, units, visits, candidates, shares, rows.keys[-1], rng_seed)
    chosen = np.where(shared.is_model_alert, BLUE, rows.tiers).astype(np.int8)
    audit = draw_audits(shared, units, strata, rows.keys[-1], rng_seed)
    final = OrderedRows(chosen, rows.has_rule_hit, rows.self_applied, rows.is_settled, rows.keys)
    return _selection(final, shared, audit, rests, units)


def _selection(
    rows: OrderedRows, shared: SharedVisits, audit: AuditSample, is_resting: Mask, unit: Positions
) -> VisitSelection:
    is_listed = shared.is_listed | audit.is_drawn
    order = rows.sorted(np.flatnonzero(is_listed))
    waiting = rows.sorted(np.flatnonzero(~is_listed & (rows.tiers == YELLOW)))
    tiers = rows.tiers[order]
    names = ("red", "orange", "yellow", "blue", "routine")
    counts = {name: int((tiers == tier).sum()) for tier, name in enumerate(names)}
    counts |= {
        "capacity": sum(each.capacity for each in audit.units),
        "audit": sum(each.audit for each in audit.units),
        "audit_pool": sum(each.audit_pool for each in audit.units),
        "applied": int((rows.self_applied[order] & (tiers == YELLOW)).sum()),
        "settled": int(rows.is_settled[order].sum()),
        "waiting": len(waiting),
        "rested": int(is_resting[waiting].sum()),
        "excess": sum(each.excess for each in audit.units),
    }
    lottery = rows.sorted(np.flatnonzero(~np.isnan(shared.lottery_probability)))
    by_lot = shared.lottery_probability[lottery]
    by_audit = np.array([each.audit_probability for each in audit.units])[unit[lottery]]
    return VisitSelection(
        order=order,
        tiers=tiers,
        basis=tuple(_basis(rows, int(row)) for row in order),
        is_audit=audit.is_drawn[order],
        inclusion_probability=audit.probability[order],
        audit_pool_n=audit.drawn_from[order],
        waiting=waiting,
        counts=counts,
        units=audit.units,
        lottery=lottery,
        lottery_probability=by_lot + (1 - by_lot) * by_audit,
    )


def _basis(rows: OrderedRows, row: int) -> tuple[Basis, ...]:
    if rows.tiers[row] == BLUE:
        return (Basis.MODEL,)
    if rows.tiers[row] == ROUTINE:
        return (Basis.ROUTINE,)
    reasons = ((rows.has_rule_hit[row], Basis.RULE), (rows.self_applied[row], Basis.SELF_APPLICATION))
    return tuple(basis for holds, basis in reasons if holds)


def _check_shares(visits: NDArray[np.int64], shares: Shares) -> None:
    if (visits < 0).any() or not all(0 <= share <= 1 for share in astuple(shares)):
        raise ConfigurationError(
            "RR333",
            "capacity of visits",
            f"capacity from {visits.min()}, {shares}",
            "0 or more visits, and shares between 0 and 1",
            "Correct the call or relapse.toml",
            zh="走访容量不能为负，模型、抽样和抽签份额须在0到1之间。",
        )
