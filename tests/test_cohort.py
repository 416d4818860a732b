"""The cohort: who is known to be fine on the as-of date."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from relapse_risk.cohort import find_at_risk
from relapse_risk.config import CohortConfig, LabelConfig
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import Threshold, ThresholdTable
from relapse_risk.vocabulary import HouseholdType

NOW = date(2023, 12, 31)
LINES = ThresholdTable([Threshold("line", "*", 7300.0, "元", date.min, date.max, "test", verified=True)])
COHORT = CohortConfig()
LABEL = LabelConfig(outcomes=("income", "housing"), income_window_months=1)


def at_risk(*rows: dict[str, object], cohort: CohortConfig = COHORT, kind: str = "脱贫户") -> bool:
    household = {
        "household_id": "a",
        "recorded_on": date(2020, 1, 1),
        "county_code": "130102",
        "township_code": "130102001",
        "village_code": "130102001001",
        "household_type": kind,
        "monitor_category": "脱贫不稳定户",
    }
    panel = Panel(
        {
            "household": pl.DataFrame([household], schema=TABLE_BY_NAME["household"].dtypes),
            "observation": pl.DataFrame(list(rows), schema=TABLE_BY_NAME["observation"].dtypes),
        }
    )
    found = find_at_risk(panel.known_at(NOW), LABEL, cohort, LINES)
    assert found.shape == (1,)
    return bool(found[0])


def month(
    end: date, net: float | None = 750.0, grade: str | None = "B", recorded: date | None = None
) -> dict[str, object]:
    return {
        "household_id": "a",
        "period_end": end,
        "period_months": 1,
        "recorded_on": recorded or end,
        "n_person": 1.0,
        "net_income_yuan": net,
        "house_grade": grade,
    }


def test_a_household_known_to_be_fine_is_at_risk_even_if_monitored() -> None:
    assert at_risk(month(NOW))


@pytest.mark.parametrize("failing", [month(NOW, net=500.0), month(NOW, grade="C")])
def test_a_household_already_failing_is_not(failing: dict[str, object]) -> None:
    assert not at_risk(failing)


def test_the_latest_known_state_decides_and_must_be_recent_enough() -> None:
    assert at_risk(month(date(2023, 9, 30), net=500.0), month(date(2023, 10, 31)), month(NOW, net=None))
    assert at_risk(month(date(2023, 6, 30)))
    assert not at_risk(month(date(2023, 5, 31)))
    assert at_risk(month(date(2023, 5, 31)), cohort=CohortConfig(max_report_age_months=7))


def test_a_household_without_a_known_state_is_not_at_risk() -> None:
    assert not at_risk()
    assert not at_risk(month(NOW, net=None))


def test_what_is_recorded_later_does_not_count() -> None:
    assert at_risk(month(date(2023, 11, 30)), month(NOW, net=500.0, recorded=date(2024, 1, 5)))


def test_only_the_cohort_s_household_types() -> None:
    lifted_only = CohortConfig(household_types=(HouseholdType.LIFTED,))
    assert at_risk(month(NOW), cohort=lifted_only)
    assert not at_risk(month(NOW), cohort=lifted_only, kind="一般农户")
