"""Cost is the county's rates times the caseload, and nothing without them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.rules.caseload import WhatIf
from relapse_risk.rules.rates import SubsidyRates, cost_of, load_rates

TOML = """
[[rate]]
category = "边缘易致贫户"
labour = "无"
per = "person"
yuan_per_year = 3000
source = "县文件"
[[rate]]
measure = "临时救助"
per = "household"
yuan_per_year = 1500.5
source = "县文件"
"""
CSV = """类别,措施,劳动能力,计发单位,年标准(元),依据
边缘易致贫户,,无,人,"3,000",县文件
,临时救助,,户,1500.5,县文件
"""


@pytest.fixture
def caseload() -> WhatIf:
    cells = pl.DataFrame(
        [
            ("无", "边缘易致贫户", "在册", "在册", 2, 5),
            ("无", None, "边缘易致贫户", "边缘易致贫户", 3, 7),
            ("无", None, "无", "边缘易致贫户", 1, 4),
            ("有", None, "边缘易致贫户", "边缘易致贫户", 9, 30),
        ],
        schema=["labour_class", "register_category", "standing_now", "standing_then", "households", "people"],
        orient="row",
    )
    measures = pl.DataFrame(
        [("临时救助", "无", 3, 7, 4, 11), ("临时救助", "有", 1, 2, 1, 2), ("低保", "无", 5, 9, 5, 9)],
        schema=["measure", "labour_class", "households_now", "people_now", "households_then", "people_then"],
        orient="row",
    )
    return WhatIf(date(2024, 6, 30), pl.DataFrame(), cells, pl.DataFrame(), measures, pl.DataFrame())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_toml_and_the_csv_of_a_spreadsheet_say_the_same(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "rates.toml").write_text(TOML, encoding="utf-8")
    (tmp_path / "rates.csv").write_text(CSV, encoding=encoding)
    assert load_rates(tmp_path / "rates.csv") == load_rates(tmp_path / "rates.toml")


def test_the_register_and_candidates_are_paid_for_each_once(tmp_path: Path, caseload: WhatIf) -> None:
    (tmp_path / "rates.toml").write_text(TOML, encoding="utf-8")
    by_category, by_measure = cost_of(caseload, load_rates(tmp_path / "rates.toml")).to_dicts()
    assert (by_category["registered"], by_category["now"], by_category["then"]) == (5, 7, 11)
    assert by_category["yuan_now"] == 3000 * (5 + 7)
    assert by_category["yuan_change"] == 3000 * 4
    assert (by_measure["registered"], by_measure["now"], by_measure["then"]) == (0, 4, 5)
    assert by_measure["yuan_then"] == 1500.5 * 5


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        ({"category": "边缘易致贫户", "measure": "临时救助"}, "one of the two"),
        ({}, "one of the two"),
        ({"measure": "临时求助"}, "临时救助"),
        ({"category": "边缘户"}, "边缘易致贫户"),
        ({"category": "边缘易致贫户", "yuan_per_year": -1}, "greater than 0"),
        ({"category": "边缘易致贫户", "per": "month"}, "household"),
        ({"category": "边缘易致贫户", "source": ""}, "at least 1"),
    ],
)
def test_a_rate_that_says_too_little_or_too_much_is_refused(row: dict[str, object], hint: str) -> None:
    whole = {"per": "person", "yuan_per_year": 1, "source": "x", **row}
    with pytest.raises(ValueError, match=hint):
        SubsidyRates.model_validate({"rate": [whole]})


def test_a_wrong_cell_is_named_by_its_row(tmp_path: Path) -> None:
    (tmp_path / "rates.csv").write_text(CSV.replace("临时救助", "临时求助"), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="RR213") as caught:
        load_rates(tmp_path / "rates.csv")
    assert "row 3" in str(caught.value)
    assert "临时救助" in str(caught.value)
    with pytest.raises(ConfigurationError, match="RR211"):
        load_rates(tmp_path / "none.csv")
