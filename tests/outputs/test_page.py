"""The county page works from a USB stick, in both languages, with the keyboard alone, and on paper."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from relapse_risk.outputs.page import page_bytes
from relapse_risk.outputs.visit_list import CountyList, VisitList

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")


def page_of(made: VisitList, county: CountyList) -> str:
    return page_bytes(
        county,
        as_of_date=made.as_of_date,
        expires_on=made.expires_on,
        unverified=made.unverified,
        rules=made.rules,
        language=made.settings.language,
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
    assert not re.search(r"https?://|src=|@import|url\(", page.replace("default-src=", ""))


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


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None or DRIVER is None:
        pytest.skip("needs Debian's chromium and chromium-driver")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in ("headless", "no-sandbox", "disable-gpu", "disable-background-networking", "disable-sync"):
        options.add_argument(f"--{flag}")
    options.add_argument("--window-size=1300,900")
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


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
