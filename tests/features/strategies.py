"""Random panels and random formulas for hypothesis: gaps, empty cells, late rows, corrections, odd periods.

Amounts are multiples of 250, so that sums are exact in any order and a comparison never hangs on rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from relapse_risk.features import operators as op
from relapse_risk.features.expression import Expression, param
from relapse_risk.features.nodes import AGE, EARNER, Condition, Level
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import month_end, month_index

FIRST, LAST = date(2021, 1, 1), date(2023, 12, 31)
ANY_DAY = st.dates(date(2021, 6, 1), date(2024, 3, 31)) | st.sampled_from(
    [date(2022, 12, 31), date(2023, 6, 30), date(2023, 12, 31)]
)
Rows = list[dict[str, Any]]
Draw = Callable[[st.SearchStrategy[Any]], Any]
COUNTIES = ("130727", "130434")
IDS = tuple(f"H{i}" for i in range(5))
STRANGER = "H9"  # rows of a household that nobody recorded


def maybe(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A cell that is empty now and then."""
    return st.one_of(st.none(), cells, cells, cells)


def _coded(table: str, column: str, n: int = 3) -> st.SearchStrategy[Any]:
    return maybe(st.sampled_from(TABLE_BY_NAME[table].by_name[column].values[:n]))


def _listed(table: str, column: str) -> st.SearchStrategy[str | None]:
    values = TABLE_BY_NAME[table].by_name[column].values[:3]
    return maybe(st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map("、".join))


MONEY = maybe(st.integers(0, 12).map(lambda n: 250.0 * n))
FLAGS = maybe(st.booleans())
DAYS = st.dates(FIRST, LAST)
LATE = st.integers(0, 20) | st.integers(0, 400)  # days until the system knew

CELLS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "household": {
        "household_type": st.sampled_from(["脱贫户", "一般农户"]),
        "lifted_year": maybe(st.integers(2014, 2020)),
        "identified_on": maybe(DAYS.map(lambda day: day.replace(day=1))),
        "risk_types": _listed("household", "risk_types"),
        "all_no_labour": FLAGS,
        "arable_mu": MONEY,
        "coop_linkage": _coded("household", "coop_linkage"),
        "loan_overdue_days": maybe(st.integers(0, 3)),
    },
    "observation": {
        "n_person": st.integers(1, 5).map(float),
        "wage_income_yuan": MONEY,
        "business_income_yuan": MONEY,
        "oop_compliant_yuan": MONEY,
        "work_months": maybe(st.integers(0, 6).map(float)),
        "house_grade": _coded("observation", "house_grade", 4),
        "water_safe": FLAGS,
        "work_place": _coded("observation", "work_place", 4),
    },
    "member": {
        "birth_month": maybe(
            st.dates(date(1940, 1, 1), date(2023, 12, 1)).map(lambda day: day.replace(day=1))
        ),
        "is_present": st.sampled_from([True, True, True, None, False]),
        "labour_skill": _coded("member", "labour_skill"),
        "school_status": _coded("member", "school_status", 2),
        "education": _coded("member", "education", 5),
        "health_status": _listed("member", "health_status"),
        "disability_grade": maybe(st.integers(1, 4)) | st.none(),
        "med_insured": FLAGS,
        "work_status": _coded("member", "work_status"),
        "monthly_wage_yuan": MONEY,
        "job_end_on": maybe(DAYS),
    },
    "event": {
        "member_id": maybe(st.sampled_from(["member0", "member1"])),
        "event_type": st.sampled_from(["住院", "门诊", "灾害", "公益岗到期"]),
        "event_date": DAYS,
        "source_dept": st.sampled_from(["医保", "应急"]),
        "amount_yuan": MONEY,
        "oop_yuan": MONEY,
        "due_date": maybe(st.dates(FIRST, date(2025, 6, 30))),
        "house_damaged": FLAGS,
        "disease_code": maybe(st.sampled_from(["1", "2"])),
    },
    "measure": {
        "measure_type": _coded("measure", "measure_type"),
        "start_on": DAYS,
        "end_on": maybe(st.dates(FIRST, date(2025, 6, 30))),
        "status": _coded("measure", "status", 4),
    },
    "visit": {"visited_on": maybe(DAYS), "outcome": _coded("visit", "outcome")},
    "workflow": {
        "channel": st.sampled_from(["自主申报", "部门比对"]),
        "discovered_on": DAYS,
        "county_on": maybe(DAYS),
        "decision": _coded("workflow", "decision"),
    },
    "county_month": {
        "cpi": MONEY,
        "rural_dpi_prev_yuan": maybe(st.sampled_from([16000.0, 18000.0])),
        "is_key_county": FLAGS,
    },
}
NUMBERS = {
    "household": ("arable_mu", "all_no_labour", "coop_linkage", "loan_overdue_days"),
    "observation": (
        "n_person",
        "wage_income_yuan",
        "oop_compliant_yuan",
        "work_months",
        "house_grade",
        "water_safe",
    ),
    "member": ("monthly_wage_yuan", "education", "med_insured", AGE, "disability_grade"),
    "event": ("oop_yuan", "amount_yuan"),
}
DATES = {
    "measure": ("start_on", "end_on"),
    "visit": ("visited_on",),
    "workflow": ("discovered_on", "county_on"),
}
CHILDREN = ("member", "event", "measure", "visit", "workflow")


def _corrected(draw: Draw, cells: st.SearchStrategy[dict[str, Any]], row: dict[str, Any]) -> Rows:
    """The row and, now and then, a later version of it."""
    versions = [row]
    if draw(st.integers(0, 4)) == 0:
        later = row["recorded_on"] + timedelta(days=draw(st.integers(0, 300)))
        versions.append(row | draw(cells) | {"recorded_on": later})
    return versions


def _households(draw: Draw, ids: tuple[str, ...]) -> Rows:
    places = st.tuples(st.sampled_from(COUNTIES), st.sampled_from("12")).map(
        lambda at: {
            "county_code": at[0],
            "township_code": f"{at[0]}001",
            "village_code": f"{at[0]}00100{at[1]}",
        }
    )
    cells = st.tuples(st.fixed_dictionaries(CELLS["household"]), places).map(lambda two: two[0] | two[1])
    rows: Rows = []
    for i, household_id in enumerate(ids):
        known = FIRST if i == 0 else draw(st.just(FIRST) | DAYS)
        rows += _corrected(draw, cells, {"household_id": household_id, "recorded_on": known} | draw(cells))
    return rows


def _observations(draw: Draw, ids: tuple[str, ...]) -> Rows:
    cells = st.fixed_dictionaries(CELLS["observation"])
    rows: Rows = []
    for household_id in ids:
        month = month_index(FIRST) + draw(st.integers(0, 14))
        seen: set[date] = set()
        for _ in range(draw(st.integers(0, 8))):
            # A step shorter than the period makes periods overlap, a longer one leaves a hole.
            month += draw(st.sampled_from([1, 3, 3, 3, 4, 12]))
            length = draw(st.sampled_from([1, 3, 3, 12]))
            end = month_end(month) - timedelta(days=draw(st.sampled_from([0, 0, 0, 0, 0, 12])))
            if end in seen:
                continue
            seen.add(end)
            fixed = {"household_id": household_id, "period_end": end, "period_months": length}
            recorded_on = end + timedelta(days=draw(LATE))
            rows += _corrected(draw, cells, fixed | {"recorded_on": recorded_on} | draw(cells))
    return rows


def _children(draw: Draw, table: str, ids: tuple[str, ...]) -> Rows:
    declared = TABLE_BY_NAME[table]
    cells = st.fixed_dictionaries(CELLS[table])
    rows: Rows = []
    for i in range(draw(st.integers(0, 10))):
        row = {
            declared.key[0]: f"{table}{i}",
            "household_id": draw(st.sampled_from([*ids, STRANGER])),
        } | draw(cells)
        happened = row.get(declared.happened or "") or draw(DAYS)
        rows += _corrected(draw, cells, row | {"recorded_on": happened + timedelta(days=draw(LATE))})
    return rows


def _county_months(draw: Draw) -> Rows:
    cells = st.fixed_dictionaries(CELLS["county_month"])
    months = draw(st.lists(st.integers(0, 40), max_size=5, unique=True))
    rows: Rows = []
    for county in COUNTIES:
        for ago in months:
            month = month_end(month_index(FIRST) + ago).replace(day=1)
            row = {"county_code": county, "month": month, "recorded_on": month + timedelta(days=draw(LATE))}
            rows += _corrected(draw, cells, row | draw(cells))
    return rows


def frame_of(name: str, rows: Rows) -> pl.DataFrame:
    dtypes = TABLE_BY_NAME[name].dtypes
    return pl.DataFrame([{column: row.get(column) for column in dtypes} for row in rows], schema=dtypes)


@st.composite
def panels(draw: Draw, tables: tuple[str, ...] = ("observation", *CHILDREN, "county_month")) -> Panel:
    """A panel of a few households and of ``tables``, now and then without one of them."""
    ids = IDS[: draw(st.integers(1, len(IDS)))]
    rows: dict[str, Rows] = {"household": _households(draw, ids)}
    for table in tables:
        if draw(st.integers(0, 9)) == 0:
            continue
        if table == "observation":
            rows[table] = _observations(draw, ids)
        elif table == "county_month":
            rows[table] = _county_months(draw)
        else:
            rows[table] = _children(draw, table, ids)
    # Nothing says that rows arrive in any order.
    shuffled = {name: draw(st.permutations(table)) for name, table in rows.items()}
    return Panel({name: frame_of(name, table) for name, table in shuffled.items()})


# --- formulas -------------------------------------------------------------------------------------------

_MONTHS, _AGO = st.sampled_from([1, 3, 6, 12, 13, 24, 48]), st.sampled_from([0, 0, 0, 1, 3, 12, 24])
_COVERAGE = st.sampled_from([0.0, 0.0, 0.5, 1.0])
_WITHIN = st.sampled_from([None, None, 30, 365, 900])
_LEVELS: st.SearchStrategy[Level] = st.sampled_from(["village_code", "township_code", "county_code"])
_TYPES = st.lists(st.sampled_from(["住院", "门诊", "灾害", "公益岗到期"]), max_size=3, unique=True)
_PERIOD_COLUMN = st.sampled_from(NUMBERS["observation"])


def conditions(table: str) -> st.SearchStrategy[Condition]:
    """A test of a row of the table, with ``|`` and ``~`` around it now and then."""
    found: list[st.SearchStrategy[Condition]] = []
    for name in CELLS[table]:
        column = TABLE_BY_NAME[table].by_name[name]
        match column.type.value:
            case "category":
                found.append(st.sampled_from(column.values[:3]).map(lambda v, n=name: op.is_in(n, v)))
            case "list":
                found.append(st.sampled_from(column.values[:3]).map(lambda v, n=name: op.has_item(n, v)))
            case "bool":
                found += [st.just(op.is_true(name)), st.just(op.is_false(name))]
            case "date":
                span = st.tuples(st.none() | st.integers(-60, 90), st.none() | st.integers(0, 400))
                found.append(span.map(lambda s, n=name: op.days_ago(n, at_least=s[0], at_most=s[1])))
            case "number":
                found.append(st.sampled_from([500.0, 1500.0]).map(lambda v, n=name: op.at_least(n, v)))
            case "int":
                found.append(st.integers(1, 3).map(lambda v, n=name: op.is_in(n, v)))
        found.append(st.just(op.is_missing(name)))
    if table == "member":
        found += [st.just(op.at_least(AGE, 16)), st.just(op.below(AGE, 60))]
    if table == "event":
        found += [st.just(op.is_true(EARNER))] * 2
    one = st.one_of(found)
    return st.one_of(one, one, one.map(lambda c: ~c), st.tuples(one, one).map(lambda two: two[0] | two[1]))


def several(table: str) -> st.SearchStrategy[tuple[Condition, ...]]:
    return st.lists(conditions(table), max_size=2).map(tuple)


def _per_period() -> st.SearchStrategy[Expression]:
    """A value of one period: a column, a test, or arithmetic of them that stays exact."""
    value = st.one_of(
        _PERIOD_COLUMN.map(op.in_period),
        st.sampled_from(["wage_income_yuan", "business_income_yuan"]).map(op.annual),
        st.just(op.period_is("work_place", "京津", "省外")),
    )
    return st.one_of(
        value,
        value,
        st.tuples(value, value).map(lambda two: two[0] - two[1]),
        st.tuples(value, value).map(lambda two: two[0].or_else(two[1])),
        st.tuples(value, value).map(lambda two: two[0].when(two[1] > 0)),
        st.tuples(value, value).map(lambda two: (two[0] >= 1000) | ~(two[1] < 500)),
        value.map(lambda one: one.at_least(500).at_most(param("line"))),
        value.map(lambda one: one < param("line")),
    )


def _windows(make: Callable[..., Expression], *, with_coverage: bool = True) -> st.SearchStrategy[Expression]:
    inner = _PERIOD_COLUMN | _per_period()
    return st.builds(make, inner, _MONTHS, _AGO, *([_COVERAGE] if with_coverage else []))


def _typed(make: Callable[..., Expression]) -> st.SearchStrategy[Expression]:
    def built(
        types: list[str], column: str, within: int | None, ytd: bool, more: tuple[Condition, ...]
    ) -> Expression:
        return make(
            column, *types, within_days=within, since_year_start=ytd and within is None, conditions=more
        )

    return st.builds(
        built, _TYPES, st.sampled_from(NUMBERS["event"]), _WITHIN, st.booleans(), several("event")
    )


def _dated(make: Callable[..., Expression]) -> st.SearchStrategy[Expression]:
    return st.sampled_from(tuple(DATES)).flatmap(
        lambda table: st.builds(
            lambda column, more: make(table, column, *more), st.sampled_from(DATES[table]), several(table)
        )
    )


def _members(make: Callable[..., Expression], *columns: str) -> st.SearchStrategy[Expression]:
    if not columns:
        return several("member").map(lambda more: make(*more))
    return st.builds(lambda column, more: make(column, *more), st.sampled_from(columns), several("member"))


_WAGE, _PERSONS = op.latest_annual("wage_income_yuan"), op.last("n_person")
_NEIGHBOUR = st.sampled_from(
    [_WAGE, _PERSONS, _WAGE >= 3000, _PERSONS.when(op.months_since_report() <= 12), op.household("arable_mu")]
)

# Every operator by its name, with random arguments.
OPERATORS: dict[str, st.SearchStrategy[Expression]] = {
    "household": st.sampled_from(NUMBERS["household"]).map(op.household),
    "household_is": st.just(op.household_is("coop_linkage", "合作社")),
    "household_has": st.just(op.household_has("risk_types", "因病", "因残")),
    "household_months_since": st.sampled_from(["identified_on", "lifted_year", "recorded_on"]).map(
        op.household_months_since
    ),
    "sum_over": _windows(op.sum_over),
    "mean_over": _windows(op.mean_over),
    "min_over": _windows(op.min_over),
    "max_over": _windows(op.max_over),
    "std_over": _windows(op.std_over),
    "slope_over": _windows(op.slope_over),
    "count_over": _windows(op.count_over, with_coverage=False),
    "last": st.builds(op.last, _PERIOD_COLUMN | _per_period(), st.integers(0, 3), st.none())
    | st.builds(op.last, _PERIOD_COLUMN | _per_period(), st.just(0), st.sampled_from([0, 3, 12, 24])),
    "latest_annual": st.builds(op.latest_annual, st.just("wage_income_yuan"), st.integers(0, 3)),
    "months_since_report": st.just(op.months_since_report()),
    "members": _members(op.members),
    "member_sum": _members(op.member_sum, "monthly_wage_yuan", "disability_grade"),
    "member_max": _members(op.member_max, *NUMBERS["member"]),
    "member_any_unknown": _members(op.member_any_unknown, "med_insured", "education", "disability_grade"),
    "events": st.builds(
        lambda types, within, more: op.events(*types, within_days=within, conditions=more),
        _TYPES,
        _WITHIN,
        several("event"),
    ),
    "event_sum": _typed(op.event_sum),
    "event_max": _typed(op.event_max),
    "member_event_sum_max": st.builds(
        lambda types, within, ytd: op.member_event_sum_max(
            "oop_yuan", *types, within_days=within, since_year_start=ytd and within is None
        ),
        _TYPES,
        _WITHIN,
        st.booleans(),
    ),
    "events_distinct": st.builds(
        lambda types, within, column: op.events_distinct(column, *types, within_days=within),
        _TYPES,
        _WITHIN,
        st.sampled_from(["source_dept", "disease_code"]),
    ),
    "days_since_event": st.builds(
        lambda types, more: op.days_since_event(*types, conditions=more), _TYPES, several("event")
    ),
    "days_until_due": _TYPES.map(lambda types: op.days_until_due(*types)),
    "rows": st.sampled_from(("measure", "visit", "workflow")).flatmap(
        lambda table: st.builds(
            lambda more, within: op.rows(table, *more, within_days=within), several(table), _WITHIN
        )
    ),
    "days_since": _dated(op.days_since),
    "days_since_first": _dated(op.days_since_first),
    "days_until": _dated(op.days_until),
    "peer_rank": st.builds(op.peer_rank, _NEIGHBOUR, _LEVELS),
    "peer_mean": st.builds(op.peer_mean, _NEIGHBOUR, _LEVELS),
    "county_value": st.builds(
        op.county_value,
        st.sampled_from(["cpi", "rural_dpi_prev_yuan", "is_key_county"]),
        st.sampled_from([0, 1, 12]),
    ),
    "as_of_month": st.just(op.as_of_month()),
}
# The tables an operator needs beside the households; others are left out of its panels.
TABLES_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("household", "household_is", "household_has", "household_months_since", "as_of_month"), ()
    ),
    **dict.fromkeys(("members", "member_sum", "member_max", "member_any_unknown"), ("member",)),
    **{name: ("event", "member") for name in OPERATORS if "event" in name or name == "days_until_due"},
    **dict.fromkeys(
        ("rows", "days_since", "days_since_first", "days_until"), ("measure", "visit", "workflow")
    ),
    "county_value": ("county_month",),
}
# Values that are exact, so that a comparison with a number means the same in any order of summing.
_EXACT = st.one_of(
    [
        strategy
        for name, strategy in OPERATORS.items()
        if name not in ("mean_over", "std_over", "slope_over", "peer_rank", "peer_mean")
    ]
    + [st.just(param("line"))]
)
_TRUTH = st.builds(
    lambda value, limit, is_above: value >= limit if is_above else value < limit,
    _EXACT,
    st.sampled_from([0, 1, 2, 500, 3000]) | st.just(param("line")),
    st.booleans(),
)


def formulas() -> st.SearchStrategy[Expression]:
    """An operator, or operators joined by arithmetic and three-valued logic."""
    one = st.one_of(list(OPERATORS.values()))
    truth = st.one_of(
        _TRUTH,
        _TRUTH.map(lambda t: ~t),
        st.tuples(_TRUTH, _TRUTH).map(lambda two: two[0] & two[1]),
        st.tuples(_TRUTH, _TRUTH).map(lambda two: two[0] | ~two[1]),
    )
    return st.one_of(
        one,
        truth,
        st.tuples(one, one).map(lambda two: two[0] + two[1]),
        st.tuples(one, one).map(lambda two: two[0] - 2 * two[1]),
        st.tuples(one, _EXACT).map(lambda two: two[0] / two[1]),
        st.tuples(one, one).map(lambda two: two[0].or_else(two[1])),
        st.tuples(one, truth).map(lambda two: two[0].when(two[1])),
        st.tuples(one, one).map(lambda two: two[0].at_least(two[1]).at_most(4000)),
    )
