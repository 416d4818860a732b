"""Labels: what counts as the event, when it was seen, and what is censored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.errors import ContractError
from relapse_risk.labels import make_labels, require_line
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import Threshold, ThresholdTable
from relapse_risk.windows import add_months

LINE = 7300.0
START = date(2022, 12, 31)
COHORT = CohortConfig()
MONTHLY = LabelConfig(outcomes=("income",), income_window_months=1)


def line(value: float | None, first: date = date.min, last: date = date.max, area: str = "*") -> Threshold:
    return Threshold("line", area, value, "元", first, last, "test", verified=True)


LINES = ThresholdTable([line(LINE)])


def period(
    household: str,
    end: date,
    net: float | None = None,
    months: int = 1,
    recorded: date | None = None,
    **cells: object,
) -> dict[str, object]:
    """One observation of one person; net income is yuan per year, scaled to the period."""
    return {
        "household_id": household,
        "period_end": end,
        "period_months": months,
        "recorded_on": recorded or end,
        "n_person": 1.0,
        "net_income_yuan": None if net is None else net * months / 12,
        **cells,
    }


def panel_of(*periods: dict[str, object], county: str = "130102") -> Panel:
    ids = sorted({str(row["household_id"]) for row in periods})
    households = [
        {
            "household_id": each,
            "recorded_on": date(2015, 1, 1),
            "county_code": county,
            "township_code": county + "001",
            "village_code": county + "001001",
            "household_type": "脱贫户",
            "monitor_category": "非监测",
        }
        for each in ids
    ]
    return Panel(
        {
            "household": pl.DataFrame(households, schema=TABLE_BY_NAME["household"].dtypes),
            "observation": pl.DataFrame(list(periods), schema=TABLE_BY_NAME["observation"].dtypes),
        }
    )


def months_of(
    household: str, incomes: Sequence[float | None], first_end: date = date(2023, 1, 31)
) -> list[dict[str, object]]:
    """Monthly periods from the one after START on; None leaves the month out."""
    return [
        period(household, add_months(first_end, i), net) for i, net in enumerate(incomes) if net is not None
    ]


def label_one(
    panel: Panel,
    label: LabelConfig = MONTHLY,
    known_on: date = date(2030, 1, 1),
    as_of: date = START,
    thresholds: ThresholdTable = LINES,
) -> tuple[float, float, float]:
    labels = make_labels(panel, [as_of], label, COHORT, known_on, thresholds)
    return labels.event_month[0], labels.observed_months[0], labels.outcome[0]


def same(found: tuple[float, float, float], expected: tuple[float, float, float]) -> bool:
    return bool(np.array_equal(found, expected, equal_nan=True))


def test_event_is_dated_to_the_first_failing_period_in_the_window() -> None:
    panel = panel_of(*months_of("a", [9000] * 4 + [7000, 9000, 6000] + [9000] * 5))
    assert same(label_one(panel), (5, 4, 1))


def test_a_failing_period_that_ends_on_the_as_of_date_is_not_in_the_window() -> None:
    panel = panel_of(period("a", START, 5000), *months_of("a", [9000] * 12))
    assert same(label_one(panel), (np.nan, 12, 0))


def test_a_window_observed_in_part_is_censored_never_negative() -> None:
    assert same(label_one(panel_of(*months_of("a", [9000] * 7))), (np.nan, 7, np.nan))


def test_observation_ends_at_the_first_gap() -> None:
    panel = panel_of(*months_of("a", [9000, 9000, None] + [9000] * 9))
    assert same(label_one(panel), (np.nan, 2, np.nan))


def test_an_event_seen_after_a_gap_is_an_event() -> None:
    panel = panel_of(*months_of("a", [9000, 9000, None, 9000, 6000] + [9000] * 7))
    assert same(label_one(panel), (5, 2, 1))


def test_an_event_lies_in_the_period_that_showed_it_not_on_its_last_day() -> None:
    """A yearly report tells that it happened within the year; no shorter horizon has an outcome."""
    label = LabelConfig(outcomes=("status",))
    quarters = [period("a", add_months(START, 3 * k), 1, 3, below_line=k == 3) for k in (1, 2, 3, 4)]
    assert same(label_one(panel_of(*quarters), label), (9, 6, 1))
    yearly = panel_of(period("a", date(2023, 12, 31), 1, 12, below_line=True))
    labels = make_labels(yearly, [START], label, COHORT, date(2030, 1, 1), LINES)
    assert (labels.event_month[0], labels.observed_months[0]) == (12, 0)
    assert np.isnan([labels.outcome_within(3)[0], labels.outcome_within(6)[0]]).all()
    assert labels.outcome_within(12)[0] == 1


def test_a_row_recorded_after_known_on_is_not_seen() -> None:
    rows = months_of("a", [9000] * 12)
    rows[4] = period("a", add_months(START, 5), 6000, recorded=date(2024, 3, 1))
    panel = panel_of(*rows)
    assert same(label_one(panel, known_on=date(2024, 2, 29)), (np.nan, 4, np.nan))
    assert same(label_one(panel, known_on=date(2024, 3, 1)), (5, 4, 1))


def test_a_correction_stands_from_the_day_it_was_recorded() -> None:
    corrected = period("a", add_months(START, 5), 9000, recorded=date(2024, 3, 1))
    panel = panel_of(*months_of("a", [9000] * 4 + [6000] + [9000] * 7), corrected)
    assert same(label_one(panel, known_on=date(2024, 2, 29)), (5, 4, 1))
    assert same(label_one(panel, known_on=date(2024, 3, 1)), (np.nan, 12, 0))


def test_the_line_is_that_of_the_period_s_own_end() -> None:
    lines = ThresholdTable([line(6600, last=date(2023, 6, 30)), line(7300, first=date(2023, 7, 1))])
    panel = panel_of(*months_of("a", [7000] * 12))
    assert same(label_one(panel, thresholds=lines), (7, 6, 1))


def test_the_line_is_that_of_the_household_s_county() -> None:
    lines = ThresholdTable([line(6600), line(8000, area="1302")])
    rows = months_of("a", [7000] * 12)
    assert same(label_one(panel_of(*rows), thresholds=lines), (np.nan, 12, 0))
    assert same(label_one(panel_of(*rows, county="130202"), thresholds=lines), (1, 0, 1))


def test_without_a_line_nothing_is_known() -> None:
    panel = panel_of(*months_of("a", [7000] * 12))
    assert same(label_one(panel, thresholds=ThresholdTable([line(None)])), (np.nan, 0, np.nan))


@pytest.mark.parametrize("months", [1, 3, 12])
def test_income_at_the_line_is_not_below_it_whatever_the_period(months: int) -> None:
    label = LabelConfig(outcomes=("income",), income_window_months=12)
    ends = [add_months(date(2021, 12, 31), months * (i + 1)) for i in range(24 // months)]
    panel = panel_of(*(period("a", end, LINE, months) for end in ends))
    event, _, outcome = label_one(panel, label)
    assert np.isnan(event)
    assert outcome == 0


def test_income_counts_claims_and_own_pay_and_blank_means_none() -> None:
    fine = period("a", add_months(START, 1), 8000, claim_income_yuan=50.0, oop_compliant_yuan=100.0)
    poor = period("a", add_months(START, 2), 8000, oop_compliant_yuan=60.0)
    assert same(label_one(panel_of(fine, poor)), (2, 1, 1))


def test_income_is_summed_from_its_parts_and_not_known_where_one_is_missing() -> None:
    parts = {
        "wage_income_yuan": 500.0,
        "business_income_yuan": 100.0,
        "business_cost_yuan": 50.0,
        "property_income_yuan": 0.0,
        "transfer_income_yuan": 0.0,
    }
    whole = panel_of(period("a", add_months(START, 1), **parts))
    assert same(label_one(whole), (1, 0, 1))
    lacking = panel_of(period("a", add_months(START, 1), **{**parts, "transfer_income_yuan": None}))
    assert same(label_one(lacking), (np.nan, 0, np.nan))


def test_a_window_runs_over_time_and_must_be_covered_wholly() -> None:
    label = LabelConfig(outcomes=("income",), income_window_months=12)
    year_before = months_of("a", [9000] * 12, date(2022, 1, 31))
    covered = panel_of(*year_before, *months_of("a", [9000] * 12))
    assert same(label_one(covered, label), (np.nan, 12, 0))
    lacking = panel_of(
        *(row for row in year_before if row["period_end"] != date(2022, 6, 30)), *months_of("a", [9000] * 12)
    )
    # The window that ends in May 2023 still holds June 2022; the break lasts to its end.
    assert same(label_one(lacking, label), (np.nan, 0, np.nan))


def test_periods_of_any_length_fill_one_window() -> None:
    label = LabelConfig(outcomes=("income",), income_window_months=12)
    mixed = panel_of(
        period("a", date(2022, 6, 30), 6000, 3),
        period("a", date(2022, 7, 31), 6000),
        period("a", date(2022, 8, 31), 6000),
        period("a", date(2022, 9, 30), 6000),
        period("a", date(2022, 12, 31), 6000, 3),
        period("a", date(2023, 3, 31), 11199, 3),
    )
    # (9 months at 6000 + 3 at 11,199) / 12 lies a quarter of a yuan below 7300.
    assert same(label_one(mixed, label), (3, 0, 1))


def test_a_blank_guarantee_carries_its_last_value_for_a_year() -> None:
    label = LabelConfig(outcomes=("housing",))
    graded = period("a", date(2022, 6, 30), 1, house_grade="A")
    panel = panel_of(graded, *months_of("a", [1.0] * 12))
    assert same(label_one(panel, label), (np.nan, 6, np.nan))
    failing = panel_of(graded, *months_of("a", [1.0] * 2), period("a", date(2023, 3, 31), 1, house_grade="D"))
    assert same(label_one(failing, label), (3, 2, 1))


def test_any_outcome_is_an_event_and_none_needs_all_known() -> None:
    label = LabelConfig(
        outcomes=("income", "water", "schooling", "medical_insurance"), income_window_months=1
    )
    held = {"water_safe": True, "dropout_n": 0, "uninsured_n": 0}
    first = period("a", date(2023, 1, 31), 9000, **held)
    assert same(label_one(panel_of(first), label), (np.nan, 1, np.nan))
    for broken in ({"water_safe": False}, {"dropout_n": 1}, {"uninsured_n": 2}):
        panel = panel_of(first, period("a", date(2023, 2, 28), None, **broken))
        assert label_one(panel, label)[0] == 2
    blank = panel_of(period("a", date(2023, 1, 31), 9000))
    assert same(label_one(blank, label), (np.nan, 0, np.nan))


def test_state_at_the_horizon_looks_at_that_quarter_alone() -> None:
    label = LabelConfig(kind="state_at_horizon", outcomes=("income",), income_window_months=3)

    def quarters(*nets: float | None) -> Panel:
        ends = [add_months(START, 3 * (i + 1)) for i in range(len(nets))]
        return panel_of(*(period("a", end, net, 3) for end, net in zip(ends, nets, strict=True) if net))

    assert same(label_one(quarters(9000, 5000, 9000, 9000), label), (np.nan, 12, 0))
    assert same(label_one(quarters(9000, None, None, 5000), label), (12, 12, 1))
    assert same(label_one(quarters(9000, 5000, 9000), label), (np.nan, 0, np.nan))


def test_yearly_status_needs_neither_income_nor_line() -> None:
    label = LabelConfig(kind="state_at_horizon", outcomes=("status",))
    rows = [
        period("a", date(2022, 12, 31), months=12, below_line=False),
        period("a", date(2023, 12, 31), months=12, below_line=True),
        period("b", date(2022, 12, 31), months=12, below_line=True),
        period("b", date(2023, 12, 31), months=12, below_line=False),
    ]
    labels = make_labels(panel_of(*rows), [START], label, COHORT, date(2030, 1, 1), ThresholdTable([]))
    assert labels.outcome.tolist() == [1.0, 0.0]
    assert labels.is_at_risk.tolist() == [True, False]


def test_an_as_of_date_within_a_month_has_that_month_in_its_window() -> None:
    panel = panel_of(*months_of("a", [6000] + [9000] * 11))
    assert same(label_one(panel, as_of=date(2023, 1, 15)), (1, 0, 1))
    assert label_one(panel, as_of=date(2023, 1, 31))[0] != 1


def test_rows_are_those_known_on_each_date_in_order() -> None:
    panel = panel_of(*months_of("b", [9000] * 12), *months_of("a", [9000] * 12))
    dates = [date(2023, 3, 31), START]
    labels = make_labels(panel, dates, MONTHLY, COHORT, date(2030, 1, 1), LINES)
    keys = labels.index.select("as_of_date", "household_id").rows()
    assert keys == [(day, each) for day in sorted(dates) for each in ("a", "b")]
    only = make_labels(panel, dates, MONTHLY, COHORT, date(2030, 1, 1), LINES, households=["b"])
    assert only.index.equals(labels.index.filter(pl.col("household_id") == "b"))
    assert labels.at(START).index.height == 2
    assert labels.to_pandas().shape == (4, 15)


def test_risk_set_and_outcome_read_nothing_recorded_later() -> None:
    rows = [period("a", START, 9000), *months_of("a", [9000, 6000] + [9000] * 10)]
    later = [{**row, "recorded_on": date(2029, 1, 1), "net_income_yuan": 0.0} for row in rows]
    plain, altered = panel_of(*rows), panel_of(*rows, *later)
    for each in (plain, altered):
        labels = make_labels(each, [START], MONTHLY, COHORT, date(2028, 12, 31), LINES)
        assert labels.is_at_risk.tolist() == [True]
        assert labels.event_month.tolist() == [2.0]


def test_the_summary_counts_events_free_and_censored_rows_at_risk() -> None:
    panel = panel_of(
        *(period(each, START, 9000) for each in "abc"),
        period("d", START, 5000),
        *months_of("a", [6000] + [9000] * 11),
        *months_of("b", [9000] * 12),
        *months_of("c", [9000] * 3),
    )
    labels = make_labels(panel, [START], MONTHLY, COHORT, date(2030, 1, 1), LINES)
    row = labels.censoring.row(0, named=True)
    assert row == {"as_of_date": START, "rows": 4, "at_risk": 3, "events": 1, "event_free": 1, "censored": 1}
    assert labels.outcome_within(3).tolist()[:3] == [1.0, 0.0, 0.0]


def test_a_panel_without_observations_gives_rows_that_are_all_censored() -> None:
    panel = Panel({"household": panel_of(period("a", START, 9000)).tables["household"]})
    labels = make_labels(panel, [START], MONTHLY, COHORT, date(2030, 1, 1), LINES)
    assert np.isnan(labels.outcome).all()
    assert not labels.is_at_risk.any()


def refused(panel: Panel, thresholds: ThresholdTable, label: LabelConfig = MONTHLY) -> None:
    require_line(panel, [START], label, COHORT, date(2030, 1, 1), thresholds)


def test_training_is_refused_where_no_line_is_in_force_and_says_where_and_when() -> None:
    """A gap is no line of zero: who relapsed can't be told."""
    panel = panel_of(period("a", START, 9000), *months_of("a", [9000] * 12))
    refused(panel, LINES)
    until_june = ThresholdTable([line(LINE, last=date(2023, 5, 31))])
    with pytest.raises(ContractError, match=r"RR352.*county 130102 from 2023-06-30 to 2023-12-31"):
        refused(panel, until_june)
    with pytest.raises(ContractError, match=r"RR352.*from 2022-12-31"):
        refused(panel, ThresholdTable([line(None)]))
    with pytest.raises(ContractError, match="RR352"):
        refused(panel, ThresholdTable([line(LINE, area="14")]))


def test_a_gap_outside_what_is_trained_on_is_no_refusal() -> None:
    late = panel_of(period("a", START, 9000), *months_of("a", [9000] * 30))
    refused(late, ThresholdTable([line(LINE, last=date(2023, 12, 31))]))
    yearly = panel_of(period("a", START, None, months=12, below_line=False))
    refused(yearly, ThresholdTable([line(None)]), LabelConfig(outcomes=("status",)))


def test_the_shipped_table_refuses_hebei_in_the_years_nobody_verified() -> None:
    panel = panel_of(period("a", START, 9000), *months_of("a", [9000] * 12))
    with pytest.raises(ContractError, match="RR352"):
        require_line(panel, [START], MONTHLY, COHORT, date(2030, 1, 1))
