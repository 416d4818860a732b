"""Values as people type them become typed values; what can't be read is a failure, never a guess."""

from __future__ import annotations

from datetime import date

import polars as pl
import pytest

from relapse_risk.panel.parse import parse_columns
from relapse_risk.panel.schema import (
    Column,
    category,
    code,
    day,
    flag,
    integer,
    items,
    month,
    number,
    text,
    year,
)

FAILS = object()


def parsed(column: Column, written: str | None) -> object:
    """Return what one text becomes, in a column that also holds a usual value and a blank."""
    frame = pl.DataFrame({column.name: pl.Series([written, "", written], dtype=pl.String)})
    result = parse_columns(frame, [column])
    values = result.frame[column.name]
    assert values.dtype == column.type.dtype
    assert values[1] is None
    assert values[0] == values[2]
    failed = result.failed.get(column.name)
    if failed is not None:
        assert failed.to_list() == [True, False, True]
        assert values[0] is None
        return FAILS
    return values[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2024-03-05", date(2024, 3, 5)),
        (" 2024-3-5 ", date(2024, 3, 5)),
        ("2024/3/5", date(2024, 3, 5)),
        ("20240305", date(2024, 3, 5)),
        ("2024年3月5日", date(2024, 3, 5)),
        ("2024 年 3 月 5 日", date(2024, 3, 5)),
        ("2024.3.5", date(2024, 3, 5)),
        ("２０２４－０３－０５", date(2024, 3, 5)),
        ("2024-03-05 00:00:00", date(2024, 3, 5)),
        ("2024-03-05T08:30:00", date(2024, 3, 5)),
        ("2024-03-05 08:30:00.123+08:00", date(2024, 3, 5)),
        ("2024年3月5号", date(2024, 3, 5)),
        ("'2024-03-05", date(2024, 3, 5)),
        ("2024-03-05\u200b", date(2024, 3, 5)),
        ("2024-03-05\x00", date(2024, 3, 5)),
        ("\u30002024-03-05\u00a0", date(2024, 3, 5)),
        ("45356", date(2024, 3, 5)),
        ("45356.0", date(2024, 3, 5)),
        ("—", None),
        ("NULL", None),
        ("无", None),
        ("2024-02-30", FAILS),
        ("2024-13-01", FAILS),
        ("2024.1", FAILS),
        ("#REF!", FAILS),
        ("24/3/5", FAILS),
        ("5/3/2024", FAILS),
        ("去年三月", FAILS),
        ("0024-03-05", FAILS),
    ],
)
def test_dates(written: str, expected: object) -> None:
    assert parsed(day("event_date", "发生日期"), written) == expected


@pytest.mark.parametrize(
    "written", ["202403", "2024年3月", "2024-3", "2024/03", "2024.03", "2024.3", "2024年3月份"]
)
def test_a_month_written_for_a_day_is_its_last_day_where_knowing_or_ending_is_meant(written: str) -> None:
    assert parsed(day("recorded_on", "录入日期"), written) == date(2024, 3, 31)
    assert parsed(day("period_end", "期末日期"), written) == date(2024, 3, 31)
    assert parsed(day("event_date", "发生日期"), written) == date(2024, 3, 1)


@pytest.mark.parametrize("written", ["2024-03", "202403", "2024年3月", "2024/3/5", "2024-03-31"])
def test_months_are_kept_as_their_first_day(written: str) -> None:
    assert parsed(month("birth_month", "出生年月"), written) == date(2024, 3, 1)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1234.5", 1234.5),
        ("1,234.50", 1234.5),
        ("１２３", 123.0),
        ("１，２３４．５", 1234.5),
        ("1.2万元", 12000.0),
        ("1.2万", 12000.0),
        ("-30", -30.0),
        ("3千元", 3000.0),
        ("0.5 亿元", 50_000_000.0),
        ("1.5E3", 1500.0),
        ("1.5E+3元", 1500.0),
        ("'1,234", 1234.0),
        ('="1234"', 1234.0),
        ("12\u200b3", 123.0),
        ("500元", 500.0),
        ("¥1,000", 1000.0),
        ("0", 0.0),
        ("-", None),
        ("/", None),
        ("无", None),
        ("1,23", FAILS),
        ("12,34,567", FAILS),
        ("约500", FAILS),
        ("30%", FAILS),
        ("500元/月", FAILS),
        ("#DIV/0!", FAILS),
        ("1e999", FAILS),
        ("5年", FAILS),
        ("(500)", FAILS),
        ("500公斤", FAILS),
        ("inf", FAILS),
        ("1.2.3", FAILS),
    ],
)
def test_numbers(written: str, expected: object) -> None:
    assert parsed(number("amount_yuan", "金额", unit="元"), written) == expected


@pytest.mark.parametrize(
    ("column", "written", "expected"),
    [
        (number("value", "数值"), "60%", 0.6),
        (number("value", "数值"), "６０％", 0.6),
        (number("value", "数值"), "7300元", 7300.0),
        (number("cpi", "居民消费价格指数"), "102.3%", 102.3),
        (number("arable_mu", "耕地面积", unit="亩"), "2公顷", 30.0),
        (number("road_km", "与村主干路距离", unit="km"), "800米", 0.8),
        (number("road_km", "与村主干路距离", unit="km"), "1.5公里", 1.5),
        (number("dibao_standard_yuan", "低保标准", unit="元/年"), "500元/月", 6000.0),
        (number("work_months", "务工月数", unit="月"), "8个月", 8.0),
        (integer("lifted_n", "脱贫人口", unit="人"), "1.2万人", 12000),
        (integer("lifted_n", "脱贫人口", unit="人"), "30%", FAILS),
        (number("road_km", "与村主干路距离", unit="km"), "800元", FAILS),
    ],
)
def test_units_behind_a_number(column: Column, written: str, expected: object) -> None:
    """A percentage is one only where the column has no unit of its own."""
    assert parsed(column, written) == (FAILS if expected is FAILS else pytest.approx(expected))


@pytest.mark.parametrize(
    ("written", "expected"),
    [("3", 3), ("3.0", 3), ("３人", 3), ("1,200", 1200), ("3.5", FAILS), ("三", FAILS)],
)
def test_whole_numbers(written: str, expected: object) -> None:
    assert parsed(integer("workers_n", "务工人数", unit="人"), written) == expected


def test_years() -> None:
    assert parsed(year("lifted_year", "脱贫年度"), "2018年") == 2018
    assert parsed(year("lifted_year", "脱贫年度"), "2018.0") == 2018
    assert parsed(year("lifted_year", "脱贫年度"), "一八年") is FAILS


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("是", "1", "√", "true", "TRUE", "Y", "yes", "有", "１", "☑"), True),
        (("否", "0", "×", "false", "False", "N", "no", "无", "没有"), False),
        (("", "/", "-", "—", "NULL"), None),
        (("2", "也许", "是否"), FAILS),
    ],
)
def test_yes_and_no(texts: tuple[str, ...], expected: object) -> None:
    assert {parsed(flag("water_safe", "饮水安全"), text) for text in texts} == {expected}


def test_a_blank_word_that_is_a_coded_value_stays_one() -> None:
    place = category("work_place", "务工地点", ("县内", "无"))
    assert parsed(place, "无") == "无"
    assert parsed(place, "/") is None
    assert parsed(category("severity", "严重程度", ("轻", "重")), "无") is None


def test_categories_in_another_width_or_case_are_the_same() -> None:
    grade = category("house_grade", "住房安全等级", ("A", "B"))
    assert [parsed(grade, text) for text in ("A", "ａ", "b ", "E")] == ["A", "A", "B", FAILS]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("因病", "因病"),
        ("因病、因残", "因病、因残"),
        ("因残,因病", "因残、因病"),
        ("因病；因残；", "因病、因残"),
        ("因病 因病", "因病"),
        ("无", None),
        ("因病、因懒", FAILS),
    ],
)
def test_lists(written: str, expected: object) -> None:
    assert parsed(items("risk_types", "致贫返贫风险", ("因病", "因残")), written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0130", "0130"),
        ("\t130101000000000199 ", "130101000000000199"),
        ("１３０１", "1301"),
        ('="0130"', "0130"),
        ("'0130", "0130"),
        ("0130\u200b", "0130"),
        ("*", "*"),
        ("R05.ratio", "R05.ratio"),
        ("-", None),
        ("1.30123E+11", FAILS),
        ("1.30123e+17", FAILS),
        ("130101.0", FAILS),
        ("130,101", FAILS),
        ("#REF!", FAILS),
    ],
)
def test_codes_stay_text_and_are_never_guessed(written: str, expected: object) -> None:
    assert parsed(code("household_id", "户编号"), written) == expected


def test_texts_lose_what_nobody_sees() -> None:
    assert parsed(text("county_name", "县"), " 甲\u200b县\x07 ") == "甲县"


def test_free_text_comes_without_identity_and_telephone_numbers() -> None:
    remark = text("remark", "备注")
    assert parsed(remark, "已外出，电话13812345678") == "已外出，电话〔电话已隐去〕"
    assert parsed(remark, "3组\n13812345678") == "3组〔电话已隐去〕"
    assert parsed(remark, "12\n13812345678") == "12 〔电话已隐去〕"
    assert parsed(remark, "138\u200b12345678") == "〔电话已隐去〕"
    assert parsed(code("household_id", "户编号"), "13812345678") == "13812345678"


def test_a_text_of_nothing_one_can_see_is_blank() -> None:
    assert parsed(text("remark", "备注"), "\u200b\x00") is None
    assert parsed(code("member_id", "成员编号"), "\ufeff\u200b") is None


def test_columns_that_are_absent_are_empty_and_typed() -> None:
    frame = parse_columns(pl.DataFrame({"a": ["1", "2"]}), [number("a", "甲"), day("b", "乙")]).frame
    assert frame.schema == {"a": pl.Float64, "b": pl.Date}
    assert frame["b"].null_count() == 2
    assert (
        parse_columns(pl.DataFrame({"a": []}, schema={"a": pl.String}), [number("a", "甲")]).frame.height == 0
    )
