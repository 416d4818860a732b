"""Identity and telephone numbers in free text do not get in; codes, dates and amounts stay as they are."""

from __future__ import annotations

import random
from datetime import date, timedelta

import polars as pl
import pytest

from relapse_risk.panel.mask import IDENTITY_MARK, NAME_MARK, PHONE_MARK, mask_column, mask_numbers
from relapse_risk.panel.schema import code, text

# An invented number: county 130101, born on 1980-01-01, with the check digit of GB 11643.
IDENTITY = "130101198001010019"


def with_check_digit(first_17: str) -> str:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(first_17, weights, strict=True))
    return first_17 + "10X98765432"[total % 11]


@pytest.mark.parametrize(
    "written",
    [
        IDENTITY,
        "130101 19800101 001X",
        "130101-19800101-001x",
        "１３０１０１１９８００１０１００１Ｘ",
        "130101 1980 0101 0019",
        "130101800101001",
        "130101 800101 001",
        "身份证：130101200101001",
        "身份证号码 999999999999999999",
    ],
)
def test_identity_numbers(written: str) -> None:
    assert mask_numbers(f"户主{written}，已核实").count(IDENTITY_MARK) == 1
    assert not any(character.isdigit() for character in mask_numbers(f"户主{written}，已核实"))


@pytest.mark.parametrize(
    "written",
    [
        "13812345678",
        "138 1234 5678",
        "138-1234-5678",
        "138.1234.5678",
        "138 12345678",
        "1381234 5678",
        "1 3 8 1 2 3 4 5 6 7 8",
        "１３８１２３４５６７８",
        "１３８－１２３４－５６７８",
        "+86 138 1234 5678",
        "8613812345678",
        "0311-87654321",
        "0311 8765 4321",
        "(0311)87654321",
        "（０３１１）８７６５４３２１",
        "010-87654321",
        "0312-5654321-12",
        "电话03118765432",
        "座机：8765432",
        "tel 8765-4321",
        "tel13812345678",
    ],
)
def test_telephone_numbers(written: str) -> None:
    masked = mask_numbers(f"已外出，{written}，可联系")
    assert masked.count(PHONE_MARK) == 1
    assert not any(character.isdigit() for character in masked)


def test_several_in_one_text() -> None:
    came = f"本人{IDENTITY}，13812345678/13987654321、0311-87654321"
    assert mask_numbers(came) == f"本人{IDENTITY_MARK}，{PHONE_MARK}/{PHONE_MARK}、{PHONE_MARK}"


@pytest.mark.parametrize(
    "ordinary",
    [
        "收入12345678元",
        "补贴13800000000元",
        "收入1380000000.50",
        "2024-03-05 至 2024-04-05",
        "20240305120000",
        "150 2024-03-05 复核",
        "村代码130101001001",
        "130101001001000001",
        "130101200201001",
        "户编号130101100201001000",
        "户编号130101200201001",
        "编号13812345678",
        "E13812345678",
        "面积3.5亩，3口人，1,234,567.89元",
        "2023年1月至2024年12月共12个月",
        "第 1 2 3 4 5 6 7 组",
        "热线12317，12345",
        "1301-2024-0305-0001",
        "0.00012345678",
    ],
)
def test_ordinary_codes_dates_and_amounts_stay(ordinary: str) -> None:
    assert mask_numbers(ordinary) == ordinary


def test_codes_of_villages_and_households_are_not_taken_for_identity_numbers() -> None:
    """Township 100 to 399 and village 001 to 399, with three or six digits for the household."""
    rng = random.Random(5)
    for _ in range(2000):
        county = f"13{rng.randint(1, 11):02d}{rng.randint(1, 40):02d}"
        village = f"{county}{rng.randint(100, 399)}{rng.randint(1, 399):03d}"
        for household in (f"{village}{rng.randint(1, 999):03d}", f"{village}{rng.randint(1, 9999):06d}"):
            assert mask_numbers(household) == household


def test_every_valid_identity_number_is_found() -> None:
    rng = random.Random(6)
    for _ in range(500):
        born = date(1925, 1, 1) + timedelta(days=rng.randint(0, 36_500))
        number = with_check_digit(
            f"13{rng.randint(1, 11):02d}{rng.randint(1, 40):02d}{born:%Y%m%d}{rng.randint(1, 999):03d}"
        )
        assert mask_numbers(f"{number}") == IDENTITY_MARK


def test_only_free_text_and_codes_of_staff_are_looked_at() -> None:
    came = pl.Series(["13812345678", None, "无电话", "13812345678", "W007"])
    masked = [PHONE_MARK, None, "无电话", PHONE_MARK, "W007"]
    assert mask_column(came, text("remark", "备注")).to_list() == masked
    assert mask_column(came, code("household_id", "户编号")).to_list() == came.to_list()
    masked[2] = NAME_MARK
    assert mask_column(came, code("helper_id", "帮扶责任人")).to_list() == masked
