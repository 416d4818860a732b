"""Forecast pages: whole, self-contained, in two languages; nothing small leaves the county."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import polars as pl
import pytest

from relapse_risk.forecast.area import CaseloadForecast, gather
from relapse_risk.forecast.caseload import ForecastSettings, forecast_caseload
from relapse_risk.outputs.forecast_page import county_page, provincial_page
from relapse_risk.outputs.write_forecast import leaving_table, ranking

from .test_caseload import history


@pytest.fixture(scope="module")
def forecast() -> CaseloadForecast:
    made = []
    for code, rate in (("13", 0.8), ("14", 0.05)):
        past = history(60, villages=12, rate=rate, county=code)
        risen = past.relapses.copy()
        if code == "13":
            risen[:, -2:] += 5
        made.append(forecast_caseload(replace(past, relapses=risen), ForecastSettings(draws=200)))
    return gather(made)


def data_of(page: bytes) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.decode(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def ranked(forecast: CaseloadForecast) -> pl.DataFrame:
    monitors = forecast.places.group_by("township_code").agg(monitors=pl.len())
    return ranking(forecast, monitors)


def test_a_county_page_tells_its_warning_its_totals_and_its_places_in_two_languages(
    forecast: CaseloadForecast,
) -> None:
    page = county_page(forecast, ranked(forecast), "13", "zh")
    data = data_of(page)
    assert data["loud"][0]["zh"].startswith("预警")
    assert data["loud"][0]["en"].startswith("Warning")
    assert [len(table["rows"]) for table in data["tables"][:2]] == [4, 12]
    total = forecast.table.filter(
        pl.col("code") == "13", pl.col("quantity") == "relapses", pl.col("month").is_null()
    )
    assert data["tiles"][0]["value"] == round(total["mean"].item())
    assert len(data["fan"]["ahead"]) == 12
    assert data["fan"]["ahead"][0]["at"] - data["fan"]["seen"][-1][0] == 1
    assert not re.search(r"https?://(?!www\.w3\.org)", page.decode())
    assert page == county_page(forecast, ranked(forecast), "13", "zh")
    assert data_of(county_page(forecast, ranked(forecast), "14", "en"))["loud"] == []


def test_the_provincial_page_holds_no_count_under_five_and_no_place_of_a_withheld_one(
    forecast: CaseloadForecast,
) -> None:
    leaving = leaving_table(ranked(forecast))
    data = data_of(provincial_page(forecast, leaving, "zh"))
    towns, counties = data["tables"]
    names = [column["en"] for column in towns["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in towns["rows"]]
    hidden = [row for row in rows if row["expected_new_cases"] == "*"]
    shown = [row for row in rows if row["expected_new_cases"] != "*"]
    assert hidden
    assert [row["rank"] for row in shown] == list(range(1, len(shown) + 1))
    assert all(row["expected_new_cases"] == 0 or row["expected_new_cases"] >= 5 for row in shown)
    for row in hidden:
        assert row["rank"] is None
        assert {row["low80"], row["high80"], row["cases_per_person"]} == {"*"}
    assert [row[0] for row in counties["rows"]] == ["13", "14"]
    # What was seen stands in the warning of the county's own page, and not here.
    assert data["loud"][0]["zh"].endswith("：13")
    assert data["fan"] is None
