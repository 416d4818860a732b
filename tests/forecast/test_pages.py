"""Forecast pages: whole, self-contained, in two languages; nothing small leaves the county."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from openpyxl import load_workbook

from relapse_risk.errors import ConfigurationError
from relapse_risk.forecast.area import CaseloadForecast, gather
from relapse_risk.forecast.caseload import ForecastSettings, forecast_caseload
from relapse_risk.outputs.files import json_bytes
from relapse_risk.outputs.forecast_page import county_page, provincial_page
from relapse_risk.outputs.manifest import manifest_of
from relapse_risk.outputs.outlook import OUTLOOK_FILE, county_outlook, read_outlook
from relapse_risk.outputs.write_forecast import forecast_files, leaving_table, ranking
from relapse_risk.vocabulary import Language

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


NAMES = {"13": "甲县", "14": "乙县"}


def data_of(page: bytes) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.decode(), re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def ranked(forecast: CaseloadForecast) -> pl.DataFrame:
    monitors = forecast.places.group_by("township_code").agg(monitors=pl.len())
    return ranking(forecast, monitors, NAMES)


def whole(forecast: CaseloadForecast) -> pl.DataFrame:
    is_sum = pl.col("level").is_in(["province", "county"]) & (pl.col("quantity") == "relapses")
    return forecast.table.filter(is_sum, pl.col("month").is_null()).select("code", "low80", "high80")


def page_of(forecast: CaseloadForecast, county: str, language: Language) -> bytes:
    outlook = county_outlook(forecast, county, NAMES)
    return county_page(forecast, ranked(forecast), outlook, language, NAMES)


def test_a_county_page_tells_its_warning_its_totals_and_its_places_in_two_languages(
    forecast: CaseloadForecast,
) -> None:
    page = page_of(forecast, "13", "zh")
    data = data_of(page)
    assert data["loud"][0]["zh"].startswith("预警")
    assert data["loud"][0]["en"].startswith("Warning")
    assert data["title"] == {"zh": "甲县 返贫规模预测", "en": "Caseload forecast 甲县"}
    assert [len(table["rows"]) for table in data["tables"][:3]] == [4, 5, 12]
    models = data["tables"][3]
    assert models["rows"][0][0] == {"zh": "村", "en": "village"}
    headings = [column["en"] for table in data["tables"] for column in table["columns"]]
    assert not [heading for heading in headings if "_" in heading]
    total = forecast.table.filter(
        pl.col("code") == "13", pl.col("quantity") == "relapses", pl.col("month").is_null()
    )
    assert data["tiles"][0]["value"] == round(total["mean"].item())
    assert len(data["fan"]["ahead"]) == 12
    assert data["fan"]["ahead"][0]["at"] - data["fan"]["seen"][-1][0] == 1
    assert not re.search(r"https?://(?!www\.w3\.org)", page.decode())
    assert page == page_of(forecast, "13", "zh")
    assert data_of(page_of(forecast, "14", "en"))["loud"] == []


def test_the_provincial_page_holds_no_count_under_five_and_no_place_of_a_withheld_one(
    forecast: CaseloadForecast,
) -> None:
    leaving = leaving_table(ranked(forecast), whole(forecast))
    data = data_of(provincial_page(forecast, leaving, "zh"))
    towns, counties = data["tables"]
    names = [column["en"] for column in towns["columns"]]
    rows = [dict(zip(names, row, strict=True)) for row in towns["rows"]]
    hidden = [row for row in rows if row["Expected new cases"] == "*"]
    shown = [row for row in rows if row["Expected new cases"] != "*"]
    assert hidden
    assert [row["Rank"] for row in shown] == list(range(1, len(shown) + 1))
    assert all(row["Expected new cases"] == 0 or row["Expected new cases"] >= 5 for row in shown)
    for row in hidden:
        assert row["Rank"] is None
        assert {row["80% from"], row["80% to"], row["Cases per person"]} == {"*"}
    assert [row[0] for row in counties["rows"]] == ["甲县", "乙县"]
    for name, cases, low, high in counties["rows"]:
        of_county = whole(forecast).filter(pl.col("code") == {"甲县": "13", "乙县": "14"}[name])
        assert (low, high) == (("*", "*") if cases == "*" else of_county.select("low80", "high80").row(0))
    # What was seen stands in the warning of the county's own page, and not here.
    assert data["loud"][0]["zh"].endswith("：甲县")
    assert data["fan"] is None


def test_the_months_to_come_are_sums_of_paths_and_the_townships_add_up_to_the_county(
    forecast: CaseloadForecast,
) -> None:
    outlook = county_outlook(forecast, "13", NAMES)
    assert outlook["spans"] == [3, 6, 12]
    table = forecast.table.filter(pl.col("quantity") == "relapses", pl.col("code") == "13").sort("month")
    by_month = table.filter(pl.col("month").is_not_null())
    year = table.filter(pl.col("month").is_null()).row(0, named=True)
    for (mean, _, _), span in zip(outlook["total"], outlook["spans"], strict=True):
        assert mean == pytest.approx(by_month["mean"][:span].sum(), abs=0.01)
    assert outlook["total"][2][1:] == [year["low80"], year["high80"]]
    # Intervals do not add: that of three months is narrower than the sum of theirs.
    low, high = outlook["total"][0][1:]
    assert high - low < (by_month["high80"] - by_month["low80"])[:3].sum()
    for place in range(3):
        towns = sum(town["ahead"][place][0] for town in outlook["townships"])
        assert towns == pytest.approx(outlook["total"][place][0], abs=0.05)


def folder_of(forecast: CaseloadForecast, folder: Path, **contents: object) -> Path:
    """Return a folder with what ``read_outlook`` looks at, as the verb ``forecast`` writes it."""
    file = json_bytes({county: county_outlook(forecast, county, NAMES) for county in NAMES})
    said = {"inputs": {"commit": "a", "commits": 1}, "as_of_date": str(forecast.as_of_date), "line": None}
    folder.mkdir()
    (folder / OUTLOOK_FILE).write_bytes(file)
    manifest = manifest_of("forecast", said | contents, [(OUTLOOK_FILE, file)])
    (folder / "manifest.json").write_bytes(json_bytes(manifest))
    return folder


def test_a_list_shows_no_forecast_of_another_day_of_other_data_or_of_a_what_if_line(
    forecast: CaseloadForecast, tmp_path: Path
) -> None:
    day, store = forecast.as_of_date, {"commit": "a", "commits": 1}
    good = folder_of(forecast, tmp_path / "good")
    assert read_outlook(good, day, store).counties["13"]["name"] == "甲县"
    with pytest.raises(ConfigurationError, match=r"RR263[\s\S]*截至日"):
        read_outlook(good, day.replace(year=day.year - 1), store)
    with pytest.raises(ConfigurationError, match=r"RR263.*another state"):
        read_outlook(good, day, {"commit": "b", "commits": 2})
    with pytest.raises(ConfigurationError, match=r"RR263.*what-if"):
        read_outlook(folder_of(forecast, tmp_path / "line", line=7500), day, store)
    with pytest.raises(ConfigurationError, match=r"RR263.*no forecast"):
        read_outlook(tmp_path, day, store)
    (good / OUTLOOK_FILE).write_text("{}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"RR263.*changed"):
        read_outlook(good, day, store)


def test_no_code_in_a_workbook_reads_like_a_withheld_count_or_a_number(forecast: CaseloadForecast) -> None:
    files = forecast_files(forecast, ranked(forecast).select("township_code", "monitors"), "zh", NAMES)
    for name in ("合计预测.csv", "未来各期.csv", "县预测.csv", "省级汇总.csv"):
        table = pl.read_csv(files[name], infer_schema=False)
        codes = [column for column in table.columns if column.endswith("代码")]
        assert not table.filter(pl.any_horizontal(pl.col(codes) == "*")).height, name
    with BytesIO(files["返贫规模预测.xlsx"]) as book:
        sheet = load_workbook(book)["省级汇总"]
    rows = list(sheet.iter_rows(min_row=2, values_only=True))
    assert {type(row[1]) for row in rows} == {str, type(None)}
    assert {type(row[0]) for row in rows} <= {int, type(None)}
    assert {type(row[8]) for row in rows} <= {int, type(None)}
    assert rows[-1][2] == "合计"


@pytest.mark.slow
def test_planners_can_sort_switch_unfold_and_print(
    browser, forecast: CaseloadForecast, tmp_path: Path
) -> None:
    """One walk through the county's page in a real browser; tables have names and rows have headers."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    path = tmp_path / "forecast.html"
    path.write_bytes(page_of(forecast, "13", "zh"))
    browser.get(path.as_uri())
    rows = "[...document.querySelectorAll('#tables table')[0].tBodies[0].rows]"
    cases = f"return {rows}.map(row => +row.cells[2].innerText)"
    browser.find_element(By.CSS_SELECTOR, "[data-c='0-2']").send_keys(Keys.ENTER)
    found = browser.execute_script(cases)
    assert found == sorted(found, reverse=True)
    assert browser.switch_to.active_element.get_attribute("data-c") == "0-2"
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.execute_script(cases) == sorted(found)
    browser.find_element(By.ID, "language").click()
    assert browser.title == "Caseload forecast 甲县"
    tables = browser.find_elements(By.CSS_SELECTOR, "#tables table")
    assert [table.accessible_name for table in tables[:2]] == [
        "Townships, by expected new cases per responsible person",
        "Expected new relapses in the months to come, by township",
    ]
    assert all(table.find_elements(By.CSS_SELECTOR, "tbody th[scope=row]") for table in tables)
    assert "whole county" in tables[1].text
    browser.find_element(By.CSS_SELECTOR, "#fan summary").click()
    assert len(browser.find_elements(By.CSS_SELECTOR, "#fan tbody tr")) == 36 + 12
    assert base64.b64decode(browser.print_page()).startswith(b"%PDF")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []
