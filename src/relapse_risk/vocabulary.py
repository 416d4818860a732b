"""The words every floor shares: bilingual text, units, directions and the coded values of the tables.

Coded values are the Chinese words that county systems export; they are stored as they are read, so that
a list, a rejected row and the store all say the same thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum
from typing import Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class Bilingual:
    """One text in Chinese and English."""

    zh: str
    en: str

    def text(self, language: Language) -> str:
        """Return the text in ``language`` (``"zh"`` or ``"en"``)."""
        return self.zh if language == "zh" else self.en


_YES, _NO = Bilingual("是", "yes"), Bilingual("否", "no")


class Unit(Enum):
    """Unit of a quantity, with the way a person reads it."""

    YUAN = Bilingual("元", "yuan")
    YUAN_PER_PERSON_YEAR = Bilingual("元/人·年", "yuan per person and year")
    SHARE = Bilingual("比例", "share")
    RATIO = Bilingual("倍", "ratio")
    PERSONS = Bilingual("人", "persons")
    COUNT = Bilingual("个", "count")
    MONTHS = Bilingual("月", "months")
    DAYS = Bilingual("天", "days")
    YEARS = Bilingual("年", "years")
    MU = Bilingual("亩", "mu")
    KM = Bilingual("公里", "km")
    FLAG = Bilingual("是否", "yes/no")
    LEVEL = Bilingual("等级", "level")

    def format(self, value: float) -> str:
        """Return ``value`` as a reader of a list sees it, without the unit's name.

        >>> Unit.SHARE.format(0.305), Unit.YUAN.format(6543.4), Unit.PERSONS.format(2.0)
        ('30.5', '6543', '2')
        """
        if self is Unit.SHARE:
            return f"{100 * value:.1f}".removesuffix(".0")
        if self in (Unit.YUAN, Unit.YUAN_PER_PERSON_YEAR):
            return f"{value:.0f}"
        return f"{value:.2f}".rstrip("0").rstrip(".")

    def say(self, value: float, language: Language) -> str:
        """Return ``value`` with its unit: a share in per cent, yes or no for a flag, a bare count or level.

        >>> Unit.YUAN.say(6543.4, "en"), Unit.SHARE.say(0.305, "zh"), Unit.FLAG.say(1.0, "zh")
        ('6543 yuan', '30.5%', '是')
        """
        if self is Unit.FLAG:
            return (_YES if value else _NO).text(language)
        shown = self.format(value)
        if self is Unit.SHARE:
            return f"{shown}%"
        if self in (Unit.COUNT, Unit.LEVEL) or (self is Unit.RATIO and language == "en"):
            return shown
        return f"{shown}{self.value.zh}" if language == "zh" else f"{shown} {self.value.en}"


class Direction(IntEnum):
    """Which way the risk moves when the quantity grows; becomes a monotone constraint."""

    LOWERS_RISK = -1
    EITHER = 0
    RAISES_RISK = 1


class Role(StrEnum):
    """What a feature may be used for. Only ``MODEL`` features reach a model."""

    MODEL = "model"
    RULE = "rule"
    AUDIT = "audit"


class HouseholdType(StrEnum):
    """户类型."""

    LIFTED = "脱贫户"
    ORDINARY = "一般农户"


class MonitorCategory(StrEnum):
    """监测对象类别."""

    UNSTABLE_LIFTED = "脱贫不稳定户"
    MARGINAL = "边缘易致贫户"
    SEVERE_SUDDEN = "突发严重困难户"
    NONE = "非监测"


class Tier(StrEnum):
    """优先级 of a row on a visit list, in the order to visit (domain 3.5)."""

    RED = "红"
    ORANGE = "橙"
    YELLOW = "黄"
    BLUE = "蓝"
    ROUTINE = "常"


class Basis(StrEnum):
    """入列依据: why a household is on a visit list."""

    RULE = "规则触发"
    MODEL = "模型预警"
    SELF_APPLICATION = "自主申报"
    ROUTINE = "例行走访"


class Outcome(StrEnum):
    """核实结果 of a visit."""

    CONFIRMED = "属实"
    PARTLY = "部分属实"
    NOT_CONFIRMED = "不属实"
    NOT_MET = "未见到户"
    AWAY = "外出"


NOT_MET = (Outcome.NOT_MET, Outcome.AWAY)
NEED_FOUND = (Outcome.CONFIRMED, Outcome.PARTLY)
VERIFIED = (*NEED_FOUND, Outcome.NOT_CONFIRMED)


class RuleCategory(StrEnum):
    """What a rule hit means (domain 3.2)."""

    UNSTABLE = "U"
    MARGINAL = "E"
    SEVERE = "S"
    GUARANTEE = "G"
    WATCH = "W"
    PROCESS = "P"
    DATA = "Q"


SCORE_DISCLAIMER = Bilingual(
    "本分值仅为走访排序参考，不作为纳入、退出或停发待遇依据。",
    "This score only orders visits; it is no ground for inclusion, exit or stopping a benefit.",
)
FORECAST_DISCLAIMER = Bilingual(
    "本预测仅供安排走访、资金和人员参考，不作为任何一户纳入、退出或停发待遇的依据。",
    "This forecast is for planning visits, funds and staff; it is no ground for a household's inclusion, "
    "exit or stopping a benefit.",
)
MODEL_ONLY_NOTE = Bilingual("未触发规则，模型提示关注", "No rule hit; flagged by the model")
