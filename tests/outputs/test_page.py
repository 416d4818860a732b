"""The county page works from a USB stick, in both languages, with the keyboard alone, and on paper."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from relapse_risk.outputs.page import page_bytes
from relapse_risk.outputs.visit_list import CountyList, VisitList

OUTLOOK = {
    "code": "139901",
    "name": "示例1县",
    "from": "2025-01",
    "to": "2025-12",
    "spans": [3, 6, 12],
    "total": [[9.0, 5, 13], [15.5, 10, 21], [30.0, 22, 39]],
    "townships": [
        {"code": "139901101", "name": "东乡", "ahead": [[6.0, 3, 9], [10.5, 6, 15], [20.0, 14, 27]]},
        {"code": "139901102", "name": "西乡", "ahead": [[3.0, 1, 5], [5.0, 2, 8], [10.0, 6, 15]]},
    ],
    "loud": [{"zh": "预警：近两月新增偏多。", "en": "Warning: many new cases in the last two months."}],
    "notes": [],
    "fan": {
        "title": {"zh": "每季度新增返贫户数", "en": "New relapses by quarter (households)"},
        "months": 9,
        "every": 3,
        "ticks": [[0, "2024-07"], [6, "2025-01"]],
        "seen": [[1.0, 7, "2024-07–09"]],
        "ahead": [{"at": 7.0, "label": "2025-01–03", "median": 9, "bounds": [7, 11, 5, 13, 3, 17]}],
    },
}


def page_of(made: VisitList, county: CountyList, outlook: dict[str, Any] | None = None) -> str:
    return page_bytes(
        county,
        as_of_date=made.as_of_date,
        expires_on=made.expires_on,
        unverified=made.unverified,
        rules=made.rules,
        language=made.settings.language,
        outlook=outlook,
    ).decode()


@pytest.fixture(scope="module")
def made(make_list) -> VisitList:
    return make_list(8)


@pytest.fixture(scope="module")
def data(made: VisitList) -> dict[str, Any]:
    page = page_of(made, made.counties[0])
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_nothing_is_asked_for_from_outside(made: VisitList) -> None:
    page = page_of(made, made.counties[0])
    assert "default-src 'none'" in page
    # The name of the SVG language is an address that no browser opens.
    asked = page.replace("default-src=", "").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|src=|@import|url\(", asked)


def test_every_listed_and_waiting_row_is_there_with_the_cells_of_the_list(data, made: VisitList) -> None:
    county = made.counties[0]
    place = {name: i for i, name in enumerate(data["columns"])}
    listed = [row for row in data["rows"] if not row["waits"]]
    assert (len(listed), len(data["rows"])) == (
        county.listed.height,
        county.listed.height + county.waiting.height,
    )
    for row, shown in zip(county.listed.iter_rows(named=True), listed, strict=True):
        for name in ("rank", "household_id", "tier", "rules_hit", "reason_1", "risk_score"):
            assert shown["zh"][place[name]] == row[name]
        assert shown["en"][place["household_id"]] == row["household_id"]
        assert len(shown["said"]) >= (row["rule_hits_n"] or 0)
    assert any(row["en"][place["reason_1"]] != row["zh"][place["reason_1"]] for row in listed)
    assert any(row["forces"] for row in listed)


def test_each_rule_that_is_hit_has_its_legal_basis(data) -> None:
    codes = {code for row in data["rows"] for code, _, _ in row["said"]}
    assert codes == set(data["rules"])
    assert all("实施意见" in rule["zh_basis"] for rule in data["rules"].values())


def test_a_cell_can_not_end_the_script_it_stands_in(made: VisitList) -> None:
    """A remark or a name that holds markup is shown, never run."""
    county = made.counties[0]
    assert county.details is not None
    bad = county.details.zh.with_columns(village=pl.lit("</script><script>alert(1)</script>"))
    page = page_of(made, replace(county, county_name="<b>县", details=replace(county.details, zh=bad)))
    assert page.count("</script>") == 2
    assert "<title>&lt;b&gt;县" in page


def test_a_list_without_details_has_no_page(made: VisitList) -> None:
    with pytest.raises(ValueError, match="details"):
        page_of(made, replace(made.counties[0], details=None))


@pytest.fixture
def page(browser, made: VisitList, tmp_path: Path) -> Any:
    path = tmp_path / "page.html"
    path.write_text(page_of(made, made.counties[0]), encoding="utf-8")
    browser.get(path.as_uri())
    return browser


def cells(page: Any, column: int) -> list[str]:
    rows = "[...document.querySelectorAll('#body tr:not(.detail)')]"
    return page.execute_script(f"return {rows}.map(row => row.cells[{column}].innerText)")


@pytest.mark.slow
def test_staff_can_search_sort_filter_open_switch_and_print(page, made: VisitList) -> None:
    """One walk through the page in a real browser, with the keyboard where a row is opened."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
    from selenium.webdriver.support.select import Select

    county = made.counties[0]
    assert cells(page, 4) == [*county.listed["household_id"], *county.waiting["household_id"]]
    page.find_element(By.CSS_SELECTOR, "[data-sort=household_id]").click()
    assert cells(page, 4) == sorted(cells(page, 4))
    page.find_element(By.CSS_SELECTOR, "[data-sort=risk_score]").click()
    scores = [float(text) for text in cells(page, 7)]
    assert scores == sorted(scores, reverse=True)
    assert page.find_element(By.CSS_SELECTOR, "th[aria-sort=descending]").text.startswith("模型风险分")

    wanted = county.listed["household_id"][3]
    page.find_element(By.ID, "search").send_keys(wanted)
    assert cells(page, 4) == [wanted]
    button = page.find_element(By.CSS_SELECTOR, "#body button")
    button.send_keys(Keys.ENTER)
    detail = page.find_element(By.CSS_SELECTOR, "tr.detail")
    assert button.get_attribute("aria-expanded") == "true"
    assert county.listed["reason_1"][3] in detail.text
    assert detail.find_elements(By.CSS_SELECTOR, ".force [role=img]")

    page.find_element(By.ID, "language").click()
    assert page.execute_script("return document.documentElement.lang") == "en"
    english = page.find_element(By.CSS_SELECTOR, "tr.detail").text
    assert "Rules hit" in english
    assert county.details is not None
    assert county.details.en["reason_1"][3] in english

    page.find_element(By.ID, "search").clear()
    page.find_element(By.ID, "search").send_keys(Keys.SPACE)
    Select(page.find_element(By.ID, "f-which")).select_by_value("waiting")
    assert sorted(cells(page, 4)) == sorted(county.waiting["household_id"])
    Select(page.find_element(By.ID, "f-which")).select_by_value("listed")
    Select(page.find_element(By.ID, "f-tier")).select_by_value(county.listed["tier"][0])
    Select(page.find_element(By.ID, "f-township")).select_by_value(county.listed["township"][0])
    chosen = county.listed.filter(pl.col(name) == county.listed[name][0] for name in ("tier", "township"))
    assert sorted(cells(page, 4)) == sorted(chosen["household_id"])
    assert chosen.height > 0
    pdf = base64.b64decode(page.print_page())
    assert pdf.startswith(b"%PDF")
    assert [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
def test_the_forecast_is_shown_in_both_languages_and_is_absent_without_noise(
    browser, page, made: VisitList, tmp_path: Path
) -> None:
    """Townships with their intervals, the fan chart with its numbers, and on paper all of it."""
    from selenium.webdriver.common.by import By

    assert not page.find_element(By.ID, "outlook").is_displayed()
    path = tmp_path / "outlook.html"
    path.write_text(page_of(made, made.counties[0], OUTLOOK), encoding="utf-8")
    browser.get(path.as_uri())
    shown = browser.find_element(By.ID, "outlook")
    assert "预警：近两月新增偏多。" in shown.text
    rows = [row.text for row in shown.find_elements(By.CSS_SELECTOR, "#ahead tbody tr")]
    assert rows == [
        "全县 9.0 (5–13) 15.5 (10–21) 30.0 (22–39)",
        "东乡 6.0 (3–9) 10.5 (6–15) 20.0 (14–27)",
        "西乡 3.0 (1–5) 5.0 (2–8) 10.0 (6–15)",
    ]
    browser.find_element(By.ID, "language").click()
    assert "Next 12 months" in shown.text
    assert "Warning: many new cases" in shown.text
    picture = shown.find_element(By.CSS_SELECTOR, "svg[role=img]")
    assert picture.get_attribute("aria-label") == "New relapses by quarter (households)"
    shown.find_element(By.CSS_SELECTOR, "summary").click()
    numbers = [row.text for row in shown.find_elements(By.CSS_SELECTOR, "#fan tbody tr")]
    assert numbers == ["2024-07–09 7", "2025-01–03 9 7–11 5–13 3–17"]
    assert base64.b64decode(browser.print_page()).startswith(b"%PDF")
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.mark.slow
def test_on_a_telephone_every_row_is_a_card_that_fits_and_is_still_a_row(page, made: VisitList) -> None:
    size = {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert page.execute_script("return document.documentElement.scrollWidth") <= 390
        cards = "[...document.querySelectorAll('#body tr:not(.detail) > *')]"
        widest = page.execute_script(f"return Math.max(...{cards}.map(e => e.getBoundingClientRect().right))")
        assert widest <= 390
        tree = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        roles = [node.get("role", {}).get("value") for node in tree]
        county = made.counties[0]
        assert roles.count("row") == 1 + county.listed.height + county.waiting.height
        assert roles.count("columnheader") >= 8
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_three_thousand_rows_stay_fluent(browser, made: VisitList, tmp_path: Path) -> None:
    """A search over 3,000 rows is done before a person notices: within half a second."""
    county = made.counties[0]
    assert county.details is not None
    times = 3000 // len(county.details.said) + 1
    details = replace(
        county.details,
        zh=pl.concat([county.details.zh] * times),
        en=pl.concat([county.details.en] * times),
        said=county.details.said * times,
        contributions=county.details.contributions * times,
    )
    large = replace(county, details=details, listed=pl.concat([county.listed] * times))
    path = tmp_path / "large.html"
    path.write_text(page_of(made, large), encoding="utf-8")
    browser.get(path.as_uri())
    assert browser.execute_script("return D.rows.length") >= 3000
    script = """
    const begun = performance.now();
    document.getElementById("search").value = "R01";
    document.getElementById("search").dispatchEvent(new Event("input"));
    return performance.now() - begun;
    """
    assert min(browser.execute_script(script) for _ in range(3)) < 500
