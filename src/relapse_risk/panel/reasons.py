"""Why a row is refused or remarked on: every code once, with its sentence in Chinese and English.

Errors (RR110 to RR139) send a row back to where it came from; warnings (RR140 to RR159) are counted, and
the row is kept and named. A sentence names the column and what is expected, never the value that was found.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from relapse_risk.panel.schema import Column, ColumnType
from relapse_risk.vocabulary import Bilingual


@dataclass(frozen=True, slots=True)
class _Entry:
    code: str
    zh: str
    en: str


class Reason(Enum):
    """A reason; ``{column}`` is the column's name in the reader's language, ``{expected}`` what it wants."""

    MISSING = _Entry("RR110", "必填项「{column}」为空", "{column} is required and empty")
    DATE = _Entry(
        "RR111",
        "「{column}」不是可识别的日期，请按 2024-03-05 或 2024-03 填写",
        "{column} is no date: write 2024-03-05 or 2024-03",
    )
    NUMBER = _Entry("RR112", "「{column}」不是{expected}", "{column} is not {expected}")
    YES_NO = _Entry("RR113", "「{column}」应填是或否", "{column} is neither yes nor no")
    CODED_VALUE = _Entry(
        "RR114", "「{column}」不在规定取值内（{expected}）", "{column} is none of its values ({expected})"
    )
    CODE_TURNED_NUMBER = _Entry(
        "RR115",
        "「{column}」的编码已被表格软件改成数字（如 1.30123E+11），请将该列设为文本后重新填写完整编码",
        "{column} was turned into a number by a spreadsheet (as 1.30123E+11): make the column text and "
        "type the whole code again",
    )
    RANGE = _Entry("RR116", "「{column}」超出范围（{expected}）", "{column} is out of range ({expected})")
    NEGATIVE = _Entry("RR117", "「{column}」不能为负数", "{column} is negative")
    CODE_FORM = _Entry("RR118", "「{column}」应为{expected}", "{column} is not {expected}")
    FUTURE = _Entry(
        "RR121", "「{column}」晚于导入当日", "{column} is later than the day of the ingest: check the year"
    )
    HAPPENED_LATER = _Entry(
        "RR122", "「{column}」晚于录入日期", "{column} is later than the day the row was recorded"
    )
    DATES_OUT_OF_ORDER = _Entry(
        "RR123", "「{column}」早于「{expected}」", "{column} is earlier than {expected}"
    )
    ARITHMETIC = _Entry(
        "RR124",
        "「{column}」与各项收支之和相差超过1元（{expected}）",
        "{column} differs from its parts by more than 1 yuan ({expected})",
    )
    UNKNOWN_HOUSEHOLD = _Entry(
        "RR125",
        "「{column}」在家庭表中不存在，或其家庭记录已被退回",
        "{column} is not in the household table, or its household was sent back",
    )
    CONFLICT = _Entry(
        "RR126",
        "同一主键（{expected}）在同一录入日期有两种不同内容，请保留正确的一条",
        "one key ({expected}) has two different contents recorded on one day: keep the right one",
    )
    EXCESS_CELLS = _Entry(
        "RR127",
        "本行单元格多于表头，可能有串列，请核对后删除多余内容",
        "the row has more cells than the header: check for shifted cells and clear what is left over",
    )
    PURGED = _Entry(
        "RR128",
        "「{column}」的农户已申请删除数据，不再入库，该行也不退回",
        "the household of {column} was purged: it is not stored again, and the row is not returned",
    )
    AGE = _Entry(
        "RR129", "按「{column}」推算的年龄超过120岁", "the age that follows from {column} is above 120 years"
    )
    MEMBERS_DIFFER = _Entry(
        "RR140",
        "最近一期「{column}」与在户成员数相差2人及以上",
        "the latest {column} differs from the members present by 2 or more",
    )
    PART_ABOVE_WHOLE = _Entry("RR141", "「{column}」大于「{expected}」", "{column} is more than {expected}")
    LIFTED_YEAR = _Entry("RR142", "「{column}」与户类型不符", "{column} does not fit the household's type")
    AREA_NOT_NESTED = _Entry(
        "RR143", "「{column}」不以「{expected}」开头", "{column} does not begin with {expected}"
    )
    PERIOD_END = _Entry("RR144", "「{column}」不是月末", "{column} is not the last day of a month")
    UNKNOWN_MEMBER = _Entry("RR145", "「{column}」在成员表中不存在", "{column} is not in the member table")
    UNKNOWN_PREDECESSOR = _Entry(
        "RR150",
        "「{column}」在家庭表中不存在，该户历史不作接续",
        "{column} is not in the household table: no history is joined",
    )
    PREDECESSOR_CYCLE = _Entry(
        "RR151",
        "「{column}」互为前身，形成循环，历史不作接续",
        "{column} leads back to the household itself: no history is joined",
    )
    MASKED = _Entry(
        "RR146",
        "「{column}」中的身份证号、电话或姓名已隐去，未入库",
        "an identity number, a telephone number or a name in {column} was masked and not stored",
    )

    UNLIKE_AGE = _Entry(
        "RR147", "「{column}」与年龄不符（{expected}）", "{column} does not fit the age ({expected})"
    )
    STAGE_ORDER = _Entry("RR148", "「{column}」早于「{expected}」", "{column} is earlier than {expected}")
    IDENTITY_AS_CODE = _Entry(
        "RR149",
        "「{column}」像身份证号，请改用系统内编号",
        "{column} looks like an identity number: use the system's own code",
    )

    @property
    def code(self) -> str:
        """``RR`` and three digits."""
        return self.value.code

    def sentence(self, column: Column | None = None, expected: Bilingual | None = None) -> Bilingual:
        """Return the reason as a sentence about ``column``."""
        zh, en = (column.zh, column.name) if column else ("", "")
        wants = expected or Bilingual("", "")
        return Bilingual(
            self.value.zh.format(column=zh, expected=wants.zh),
            self.value.en.format(column=en, expected=wants.en),
        )


_UNREADABLE = {
    ColumnType.DATE: Reason.DATE,
    ColumnType.MONTH: Reason.DATE,
    ColumnType.YEAR: Reason.NUMBER,
    ColumnType.INT: Reason.NUMBER,
    ColumnType.NUMBER: Reason.NUMBER,
    ColumnType.BOOL: Reason.YES_NO,
    ColumnType.CATEGORY: Reason.CODED_VALUE,
    ColumnType.LIST: Reason.CODED_VALUE,
    ColumnType.CODE: Reason.CODE_TURNED_NUMBER,
}


def unreadable(column: Column) -> tuple[Reason, Bilingual]:
    """Return why a text that is there could not be read as a value of ``column``, and what is expected."""
    reason = _UNREADABLE[column.type]
    if reason is Reason.CODED_VALUE:
        return reason, coded_values(column)
    if column.type is ColumnType.NUMBER:
        return reason, Bilingual("数字", "a number")
    if column.type is ColumnType.YEAR:
        return reason, Bilingual("四位年份", "a year of four digits")
    return reason, Bilingual("整数", "a whole number")


def coded_values(column: Column) -> Bilingual:
    """Return the values a column may take, as text."""
    text = "、".join(column.values)
    return Bilingual(text, text)


def allowed_range(column: Column) -> Bilingual:
    """Return the inclusive range of a column, as text."""
    low = "" if column.minimum is None else f"{column.minimum:g}"
    high = "" if column.maximum is None else f"{column.maximum:g}"
    if low and high:
        return Bilingual(f"{low} 至 {high}", f"{low} to {high}")
    return (
        Bilingual(f"不小于 {low}", f"{low} or more")
        if low
        else Bilingual(f"不大于 {high}", f"at most {high}")
    )
