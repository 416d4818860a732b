"""What a relapse was: its cause, its depth, whether it lasted; and who ceased to be seen, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.test_labels import COHORT, LINE, LINES, MONTHLY, START, line, months_of, panel_of, period

from relapse_risk.config import LabelConfig
from relapse_risk.labels import Labels, make_labels
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.windows import add_months

LATE = date(2030, 1, 1)
FINE_YUAN, POOR_YUAN = 9000.0, 5840.0  # a fifth below the line
ROSE = ThresholdTable([line(LINE, last=START), line(8000.0, first=date(2023, 1, 1))])


def labels_of(
    panel: Panel, label: LabelConfig = MONTHLY, thresholds: ThresholdTable = LINES, known_on: date = LATE
) -> Labels:
    return make_labels(panel, [START], label, COHORT, known_on, thresholds)


def course_of(panel: Panel, label: LabelConfig = MONTHLY, thresholds: ThresholdTable = LINES) -> dict:
    """Return the first household's columns."""
    return labels_of(panel, label, thresholds).to_polars().row(0, named=True)


def with_members(panel: Panel, *rows: dict[str, object], deaths: Sequence[str] = ()) -> Panel:
    """Add members: of household a, an adult, known from 2015 on where nothing else is said."""
    plain = {"household_id": "a", "birth_month": date(1950, 1, 1), "sex": "女", "relation": "户主"}
    plain |= {"labour_skill": "普通劳动力", "recorded_on": date(2015, 1, 1)}
    events = [
        {
            "event_id": f"E{name}",
            "household_id": "a",
            "member_id": name,
            "event_type": "意外",
            "event_date": date(2023, 5, 1),
            "recorded_on": date(2023, 5, 2),
            "source_dept": "公安",
            "severity": "死亡",
        }
        for name in deaths
    ]
    member, event = TABLE_BY_NAME["member"], TABLE_BY_NAME["event"]
    more = {
        "member": pl.DataFrame([plain | row for row in rows], schema=member.dtypes),
        "event": pl.DataFrame(events, schema=event.dtypes),
    }
    return Panel({**panel.tables, **more})


def test_later_events_are_judged_among_those_free_for_six_months() -> None:
    panel = panel_of(
        *months_of("a", [FINE_YUAN] * 3 + [POOR_YUAN] * 9),  # within six months
        *months_of("b", [FINE_YUAN] * 8 + [POOR_YUAN] * 4),  # later
        *months_of("c", [FINE_YUAN] * 12),
        *months_of("d", [FINE_YUAN] * 8),  # free at six, then not seen
        *months_of("e", [FINE_YUAN] * 4),  # not known to be free at six
        period("f", date(2023, 12, 31), POOR_YUAN, 12),  # some time in the year
    )
    found = labels_of(panel).outcome_after(6)
    assert np.array_equal(found, [np.nan, 1, 0, np.nan, np.nan, np.nan], equal_nan=True)


def test_the_state_at_the_end_is_that_of_the_period_that_ends_there() -> None:
    panel = panel_of(
        *months_of("a", [POOR_YUAN] * 3 + [FINE_YUAN] * 9),
        *months_of("b", [FINE_YUAN] * 11 + [POOR_YUAN]),
        *months_of("c", [POOR_YUAN] * 11),
    )
    labels = labels_of(panel)
    assert labels.outcome.tolist() == [1, 1, 1]
    assert labels.course is not None
    assert np.array_equal(labels.course.state_at_end, [0, 1, np.nan], equal_nan=True)


def test_a_crossing_is_the_line_s_where_the_old_one_would_not_have_been_crossed() -> None:
    at_old_line, below_old = LINE, LINE - 1
    panel = panel_of(
        *months_of("a", [at_old_line] * 12), *months_of("b", [below_old] * 12), *months_of("c", [9000.0] * 12)
    )
    assert labels_of(panel, thresholds=ROSE).to_polars()["cause"].to_list() == [
        "line_rose",
        "income_fell",
        None,
    ]
    assert labels_of(panel).to_polars()["cause"].to_list() == [None, "income_fell", None]


def test_a_line_that_rose_before_the_window_is_no_cause() -> None:
    before = ThresholdTable([line(LINE, last=date(2022, 11, 30)), line(8000.0, first=date(2022, 12, 1))])
    assert course_of(panel_of(*months_of("a", [7500.0] * 12)), thresholds=before)["cause"] == "income_fell"


def test_a_guarantee_is_the_cause_only_where_income_would_have_been_none() -> None:
    label = LabelConfig(outcomes=("income", "water"), income_window_months=1)

    def cause(net: float, thresholds: ThresholdTable = LINES, *, water_safe: bool = False) -> str:
        month = period("a", date(2023, 1, 31), net, water_safe=water_safe)
        return str(course_of(panel_of(month), label, thresholds)["cause"])

    assert cause(FINE_YUAN) == "guarantee"
    assert cause(POOR_YUAN) == "income_fell"
    assert cause(7500.0, ROSE) == "guarantee"
    assert cause(7500.0, ROSE, water_safe=True) == "line_rose"


def test_a_status_handed_in_has_no_cause_and_no_depth() -> None:
    yearly = panel_of(period("a", date(2023, 12, 31), months=12, below_line=True))
    found = course_of(yearly, LabelConfig(outcomes=("status",)), ThresholdTable([]))
    assert found["cause"] == "status"
    assert np.isnan(found["shortfall"])


@pytest.mark.parametrize(
    ("incomes", "lasts"),
    [
        ([FINE_YUAN] * 2 + [POOR_YUAN] * 6 + [FINE_YUAN] * 4, 1.0),
        ([FINE_YUAN] * 2 + [POOR_YUAN] * 5 + [FINE_YUAN] * 5, 0.0),
        ([FINE_YUAN] * 2 + [POOR_YUAN] * 5 + [FINE_YUAN] + [POOR_YUAN] * 6, 0.0),  # the first spell decides
        ([FINE_YUAN] * 11 + [POOR_YUAN] * 6, 1.0),  # months after the window count
        ([FINE_YUAN] * 11 + [POOR_YUAN] * 5, None),  # and where they are not seen it is not told
        ([FINE_YUAN] * 2 + [POOR_YUAN] * 3 + [None] + [POOR_YUAN] * 6, None),
        ([FINE_YUAN] * 12, None),
    ],
)
def test_a_relapse_lasts_after_six_months_without_a_break(
    incomes: list[float | None], lasts: float | None
) -> None:
    found = course_of(panel_of(*months_of("a", incomes)))["is_lasting"]
    assert np.array_equal([found], [np.nan if lasts is None else lasts], equal_nan=True)


@pytest.mark.parametrize(("months", "ends", "lasts"), [(3, 1, 0.0), (3, 2, 1.0), (12, 1, 1.0)])
def test_a_period_stands_for_all_of_its_months(months: int, ends: int, lasts: float) -> None:
    nets = [POOR_YUAN] * ends + [FINE_YUAN] * 4
    rows = [period("a", add_months(START, months * (k + 1)), net, months) for k, net in enumerate(nets)]
    assert course_of(panel_of(*rows))["is_lasting"] == lasts


def test_the_shortfall_is_the_mean_gap_over_the_window_as_a_share_of_the_line() -> None:
    panel = panel_of(
        *months_of("a", [FINE_YUAN] * 9 + [POOR_YUAN] * 3),
        *months_of("b", [FINE_YUAN] * 12),
        *months_of("c", [FINE_YUAN] * 3),
        *months_of("d", [POOR_YUAN] * 2),
        period("e", date(2023, 3, 31), POOR_YUAN, 3),
        period("e", date(2023, 12, 31), LINE / 2, 9),
        *months_of("f", [FINE_YUAN] * 11 + [-50_000.0]),
    )
    labels = labels_of(panel)
    assert labels.course is not None
    expected = [0.2 * 3 / 12, 0.0, np.nan, 0.2, (0.2 * 3 + 0.5 * 9) / 12, 1 / 12]
    assert np.allclose(labels.course.shortfall, expected, equal_nan=True)


def seen_for(months: int) -> Panel:
    """Household a is reported for some months, b for all of them."""
    return panel_of(*months_of("a", [FINE_YUAN] * months), *months_of("b", [FINE_YUAN] * 18))


def gone(name: str, reason: str | None = None, on: date = date(2023, 5, 20)) -> dict[str, object]:
    return {"member_id": name, "is_present": False, "leave_reason": reason, "recorded_on": on}


@pytest.mark.parametrize(
    ("reasons", "code"),
    [
        (("死亡", "死亡"), "died"),
        (("迁出", "迁出"), "moved"),
        (("死亡", "迁出"), "dissolved"),
        ((None,), "dissolved"),
    ],
)
def test_exits_are_coded_by_why_the_last_members_left(reasons: Sequence[str | None], code: str) -> None:
    before = [{"member_id": f"m{k}"} for k in range(len(reasons))]
    after = [gone(f"m{k}", reason) for k, reason in enumerate(reasons)]
    found = course_of(with_members(seen_for(4), *before, *after))
    assert (found["exit"], found["exit_month"]) == (code, 4)
    assert (found["event_month"], found["observed_months"]) == (pytest.approx(np.nan, nan_ok=True), 4)


def test_what_a_household_had_before_it_dissolved_counts() -> None:
    """Its reports do not go with it, whether all households are labelled or only some."""
    panel = with_members(
        panel_of(*months_of("a", [FINE_YUAN] * 2 + [POOR_YUAN] * 2), *months_of("b", [FINE_YUAN] * 18)),
        {"member_id": "m"},
        gone("m", "死亡"),
    )
    for some in (None, ["a"]):
        labels = make_labels(panel, [START], MONTHLY, COHORT, LATE, LINES, households=some)
        found = labels.to_polars().row(0, named=True)
        assert (found["event_month"], found["observed_months"], found["exit"]) == (3, 2, "died")


def test_a_death_that_a_department_reported_is_one_without_a_stated_reason() -> None:
    rows = ({"member_id": "m"}, gone("m"))
    assert course_of(with_members(seen_for(4), *rows, deaths=["m"]))["exit"] == "died"


def test_who_left_before_the_date_does_not_say_why_the_household_ended() -> None:
    """The husband died years ago; the widow moves to her daughter."""
    husband = ({"member_id": "m"}, gone("m", "死亡", date(2019, 1, 1)))
    widow = ({"member_id": "w"}, gone("w", "迁出"))
    assert course_of(with_members(seen_for(4), *husband, *widow))["exit"] == "moved"


def test_reports_that_end_while_members_are_there_are_unseen_and_a_gap_is_no_exit() -> None:
    assert course_of(with_members(seen_for(4), {"member_id": "m"}))["exit"] == "unseen"
    whole = course_of(seen_for(12))
    assert (whole["exit"], whole["outcome"]) == (None, 0)
    gap = panel_of(*months_of("a", [FINE_YUAN] * 4 + [None] + [FINE_YUAN] * 9))
    found = course_of(gap)
    assert found["exit"] is None
    assert found["observed_months"] == 4


def test_a_window_that_has_not_ended_yet_is_no_exit() -> None:
    panel = panel_of(*months_of("a", [FINE_YUAN] * 5), *months_of("b", [FINE_YUAN] * 5))
    found = course_of(panel)
    assert found["exit"] is None
    assert np.isnan(found["outcome"])


def test_a_divided_household_is_followed_through_its_heirs() -> None:
    """P ends in March; its heirs cross one in May for a month, the other in July for good."""
    crosses = [FINE_YUAN] * 4 + [POOR_YUAN] + [FINE_YUAN] * 13
    stays = [FINE_YUAN] * 6 + [POOR_YUAN] * 12
    split = date(2023, 3, 31)
    panel = panel_of(
        period("P", START, FINE_YUAN),
        *months_of("P", [FINE_YUAN] * 3),
        *months_of("S", crosses[3:], date(2023, 4, 30)),
        *months_of("T", stays[3:], date(2023, 4, 30)),
    )
    household = panel.tables["household"].with_columns(
        recorded_on=pl.when(pl.col("household_id") == "P").then(date(2015, 1, 1)).otherwise(split),
        predecessor_id=pl.when(pl.col("household_id") != "P").then(pl.lit("P")),
    )
    found = course_of(Panel({**panel.tables, "household": household}))
    assert found["household_id"] == "P"
    assert (found["event_month"], found["observed_months"], found["cause"]) == (5, 4, "income_fell")
    assert (found["state_at_end"], found["is_lasting"], found["exit"]) == (1, 1, None)
    assert found["shortfall"] == pytest.approx(0.2 * 6 / 12)  # of the heir who is worse off


def test_labels_without_a_course_and_rows_of_it() -> None:
    labels = labels_of(panel_of(*months_of("a", [POOR_YUAN] * 12), *months_of("b", [FINE_YUAN] * 12)))
    second = labels.rows(np.array([False, True]))
    assert second.course is not None
    assert second.to_polars()["household_id"].to_list() == ["b"]
    assert second.course.cause.tolist() == [-1]
    bare = Labels(labels.index, labels.is_at_risk, labels.event_month, labels.observed_months, 12)
    assert "cause" not in bare.to_polars().columns


REPORT = st.tuples(
    st.sampled_from([1, 3]),
    st.sampled_from([None, 5000.0, 7299.0, 7300.0, 7500.0, 8000.0, 9000.0]),
    st.sampled_from([True, True, True, False]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(REPORT, max_size=20), st.integers(12, 20))
def test_the_course_is_that_of_a_plain_reading(reports: list, last_month: int) -> None:
    """Month by month, one household at a time; the line rises in the fourth month of the window."""
    label = LabelConfig(outcomes=("income", "water"), income_window_months=1)
    lines = ThresholdTable([line(LINE, last=date(2023, 3, 31)), line(8000.0, first=date(2023, 4, 1))])
    rows, plain, month = [period("b", add_months(START, last_month), FINE_YUAN, water_safe=True)], [], 0
    for months, net, water in reports:
        if month + months > last_month:
            break
        month += months
        if net is not None:
            rows.append(period("a", add_months(START, month), net, months, water_safe=water))
            plain.append((month, months, net, water))
    household = panel_of(period("a", START), period("b", START)).tables["household"]
    panel = Panel({**panel_of(*rows).tables, "household": household})
    found = course_of(panel, label, lines)
    expected = plain_course(plain, last_month)
    assert {name: found[name] for name in ("cause", "exit")} == {
        name: expected[name] for name in ("cause", "exit")
    }
    for name in ("event_month", "is_lasting", "shortfall", "state_at_end", "exit_month"):
        assert np.allclose([found[name]], [expected[name]], equal_nan=True), name


def plain_course(reports: list[tuple[int, int, float, bool]], last_month: int) -> dict:
    def line_at(month: int) -> float:
        return LINE if month <= 3 else 8000.0

    def fails(report: tuple[int, int, float, bool]) -> bool:
        return report[2] < line_at(report[0]) or not report[3]

    inside = [report for report in reports if report[0] <= 12]
    event = next((report for report in inside if fails(report)), None)
    at_end = [report for report in inside if report[0] == 12]
    free = 0
    for month, months, _, _ in inside if event is None else []:
        free = month if month - months <= free else free
    seen = max((report[0] for report in inside), default=0)
    known = sum(months for _, months, _, _ in inside)
    gaps = sum(months * max(0.0, 1 - net / line_at(month)) for month, months, net, _ in inside)
    nan = float("nan")
    found = {
        "cause": None,
        "event_month": nan if event is None else event[0],
        "is_lasting": nan,
        "state_at_end": float(fails(at_end[0])) if at_end else nan,
        "shortfall": gaps / known if event or free == 12 else nan,
        "exit": "unseen" if max((r[0] for r in reports), default=0) < min(12, last_month) else None,
    }
    found["exit_month"] = seen if found["exit"] else nan
    if event is not None:
        month, months, net, water = event
        found["cause"] = "income_fell" if net < LINE else "line_rose" if water else "guarantee"
        below = 0
        until = month - months
        for report in [r for r in reports if r[0] >= month]:
            if report[0] - report[1] > until:
                break
            if not fails(report):
                found["is_lasting"] = 0.0
                break
            below, until = below + report[1], report[0]
            if below >= 6:
                found["is_lasting"] = 1.0
                break
    return found
