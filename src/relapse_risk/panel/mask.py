"""Identity and telephone numbers that somebody typed into free text are taken out on the way in.

Masked are identity numbers of 18 digits with a province and a real birth date, those of 15 digits likewise,
mobile numbers, and land lines with an area code; in full width, or with blanks or hyphens, as well. A number
that could as well be a household's code or an amount is masked only behind a word such as 身份证 or 电话.
Names can't be told from other words: they stay, and a remark is no place for them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import polars as pl

from relapse_risk.panel.schema import Column, ColumnType

IDENTITY_MARK, PHONE_MARK, NAME_MARK = "〔身份证号已隐去〕", "〔电话已隐去〕", "〔姓名已隐去〕"
MARK_END = "已隐去〕"
# Codes of staff; where a name or a number is typed instead, it is not kept either.
STAFF_COLUMNS = frozenset({"helper_id", "monitor_id"})

# Seven digits close together: only such a text is looked at closely (Rust's syntax, without look-around).
_SUSPICION = r"[0-9０-９](?:[\s\-－—–‐‑−.．()（）]{0,2}[0-9０-９]){6}"
# One character for one, so that what is found has the same place in the text as it came.
_PLAIN = str.maketrans("０１２３４５６７８９－—–‐‑−（）　\u00a0ＸｘХ．", "0123456789------()  XxX.")
_PROVINCES = frozenset(
    (*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66))
) | {71, 81, 82, 83}
# Before this year 15 digits look like the codes of townships and villages.
_FIRST_YEAR_OF_15_DIGITS = 1940
_IDENTITY = re.compile(
    r"(?<![\dA-Za-z])[1-9](?:(?:[ \-]?\d){16}[ \-]?[\dXx](?![\dA-Za-z])|(?:[ \-]?\d){14}(?![ \-]?[\dA-Za-z]))"
)
_MOBILE = re.compile(
    r"(?<!\d)(?<!\d[.,])(?:\+?86[ \-]?)?"
    r"(?:1[3-9]\d(?:\d{8}|[ \-]\d{8}|\d{4}[ \-]\d{4}|[ \-.]\d{4}[ \-.]\d{4})|1([ \-])[3-9](?:\1\d){9})"
    r"(?!\d|[.,]\d)"
)
_LAND_LINE = re.compile(
    r"(?<!\d)(?<!\d[ \-])\(?0(?:10|2\d|[3-9]\d\d)(?:\) ?|[ \-])\d{3,4}[ \-]?\d{4}(?:-\d{1,4})?(?!\d)"
)
_BARE_LINE = re.compile(r"(?<![\d.,\-])(?:0\d{9,11}|[2-8]\d{6,7}|[2-8]\d{2,3}[ \-]\d{4})(?!\d|[.,]\d)")

_MEANS_IDENTITY = re.compile(r"(?:身份证|证件|身份号码|\bID\b)[^\d，。；;]{0,8}$", re.IGNORECASE)
_MEANS_PHONE = re.compile(
    r"(?:电话|手机|座机|固话|联系方式|\btel|phone|mobile)[^\d，。；;]{0,6}$", re.IGNORECASE
)
_MEANS_CODE = re.compile(r"(?:编号|编码|代码|户号|案号|单号|批次|[A-Za-z_])[:： ]{0,2}$")
_MEANS_AMOUNT = re.compile(r" ?(?:元|块|万|亿|亩|斤|公斤|kg)", re.IGNORECASE)
_CONTEXT = 20


def mask_numbers(text: str) -> str:
    """Return a text with marks in place of identity and telephone numbers.

    >>> mask_numbers("户主本人，电话138 1234 5678，收入12000元")
    '户主本人，电话〔电话已隐去〕，收入12000元'
    """
    for pattern, is_one, mark in _KINDS:
        text = _replaced(text, pattern, is_one, mark)
    return text


def mask_column(texts: pl.Series, column: Column) -> pl.Series:
    """Return a column without the numbers; only texts that may hold one are looked at, each once.

    Parameters
    ----------
    texts : polars.Series
        Free text, or codes of staff; other columns come back as they are.
    """
    is_staff = column.name in STAFF_COLUMNS
    if column.type is not ColumnType.TEXT and not is_staff:
        return texts
    suspects = texts.filter(texts.str.contains(_SUSPICION)).unique().to_list()
    masked = {text: mask_numbers(text) for text in suspects}
    if is_staff:
        names = texts.filter(texts.str.contains(r"\p{Han}{2,}")).unique().to_list()
        masked |= dict.fromkeys(names, NAME_MARK)
    changed = {text: found for text, found in masked.items() if found != text}
    return texts.replace(changed) if changed else texts


def _replaced(
    text: str, pattern: re.Pattern[str], is_one: Callable[[str, re.Match[str]], bool], mark: str
) -> str:
    plain = text.translate(_PLAIN)
    pieces, end = [], 0
    for found in pattern.finditer(plain):
        if is_one(plain, found):
            pieces += [text[end : found.start()], mark]
            end = found.end()
    return "".join([*pieces, text[end:]])


def _before(plain: str, found: re.Match[str]) -> str:
    return plain[max(0, found.start() - _CONTEXT) : found.start()]


def _is_identity(plain: str, found: re.Match[str]) -> bool:
    digits = re.sub(r"[ \-]", "", found.group())
    before = _before(plain, found)
    if _MEANS_IDENTITY.search(before):
        return True
    if int(digits[:2]) not in _PROVINCES:
        return False
    is_long = len(digits) == 18
    born = _day(digits[6:14] if is_long else f"19{digits[6:12]}")
    if born is None:
        return False
    if is_long:
        return _has_checksum(digits) or not _MEANS_CODE.search(before)
    return born.year >= _FIRST_YEAR_OF_15_DIGITS and not _MEANS_CODE.search(before)


def _day(digits: str) -> date | None:
    try:
        born = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
    return born if 1900 <= born.year <= 2099 else None


def _has_checksum(digits: str) -> bool:
    """Return whether the 18th character is that of GB 11643-1999 (ISO 7064, MOD 11-2)."""
    total = sum(int(digit) * pow(2, 17 - i, 11) for i, digit in enumerate(digits[:17]))
    return "10X98765432"[total % 11] == digits[17].upper()


def _is_mobile(plain: str, found: re.Match[str]) -> bool:
    before = _before(plain, found)
    if _MEANS_PHONE.search(before):
        return True
    return not (_MEANS_CODE.search(before) or _MEANS_AMOUNT.match(plain, found.end()))


def _is_land_line(plain: str, found: re.Match[str]) -> bool:
    return not _MEANS_CODE.search(_before(plain, found))


def _is_bare_line(plain: str, found: re.Match[str]) -> bool:
    return _MEANS_PHONE.search(_before(plain, found)) is not None


_KINDS = (
    (_IDENTITY, _is_identity, IDENTITY_MARK),
    (_MOBILE, _is_mobile, PHONE_MARK),
    (_LAND_LINE, _is_land_line, PHONE_MARK),
    (_BARE_LINE, _is_bare_line, PHONE_MARK),
)
