"""From texts as people type them to typed values, column by column and without a loop over values.

A quick expression reads what is written in the usual form; what it can't read is reduced to its distinct
texts, read by a tolerant one, and put back. A text that neither reads is a failure, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from relapse_risk.panel.mask import mask_column
from relapse_risk.panel.schema import ITEM_SEPARATOR, Column, ColumnType
from relapse_risk.panel.units import scales_of

BLANKS = (
    *("", "无", "/", "\\", "-", "--", "—", "——", "－", "／", "NULL", "null", "Null", "None", "none"),
    *("N/A", "n/a", "NA", "#N/A", "NaN", "nan", "NaT", "空", "暂无", "无数据"),
)
# The last day of a month written for one of these, so that nothing is known or over too early.
MONTH_MEANS_LAST_DAY = frozenset(
    {"recorded_on", "period_end", "end_on", "due_date", "effective_to", "publicity_end"}
)

_TRUE = ("是", "1", "true", "y", "yes", "t", "√", "✓", "✔", "☑", "有", "对", "1.0")
_FALSE = ("否", "0", "false", "n", "no", "f", "×", "x", "✗", "✘", "无", "没有", "错", "0.0", "☐")
_INVISIBLE = r"[\p{Cf}\p{Cc}]"
_TIME_OF_DAY = r"(\d)[ T]+\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?$"
_NO_CODE = r"^(?:\d+(?:\.\d+)?[eE]\+?\d+|\d+\.0*|\d{1,3}(?:,\d{3})+(?:\.\d+)?|#[A-Z0/]+[!?])$"
_EARLIEST, _LATEST = pl.date(1900, 1, 1), pl.date(2100, 12, 31)
_EXCEL_EPOCH = pl.date(1899, 12, 30)
_LARGEST_COUNT = 2.0**53
_WRITTEN, _PLAIN, _VALUE, _IS_BLANK = "_written", "_plain", "_value", "_is_blank"


@dataclass(frozen=True)
class Parsed:
    """Typed columns and, for those with any, where a text could not be read."""

    frame: pl.DataFrame
    failed: Mapping[str, pl.Series]


def parse_columns(texts: pl.DataFrame, columns: Sequence[Column]) -> Parsed:
    """Return typed values for columns of text; a blank becomes null, an unreadable text a failure.

    Parameters
    ----------
    texts : polars.DataFrame
        Text columns by canonical name; a column that is absent becomes null throughout.
    columns : sequence of Column
        What is read, in the order of the result.

    Returns
    -------
    Parsed
        Frame with the stored type of every column, and a mask for each column with failures.
    """
    present = [column for column in columns if column.name in texts.columns]
    trimmed = texts.select(_trimmed(column) for column in present)
    quick = trimmed.select(_read_quickly(column) for column in present)
    failed: dict[str, pl.Series] = {}
    values: list[pl.Series] = []
    for column in columns:
        if column.name not in texts.columns:
            values.append(pl.Series(column.name, [None], column.type.dtype).new_from_index(0, texts.height))
            continue
        value, text = quick[column.name], trimmed[column.name]
        unread = value.is_null() & text.is_not_null()
        if unread.any():
            value, unread = _read_tolerantly(column, text, value, unread)
        if unread.any():
            failed[column.name] = unread
        values.append(mask_column(value, column))
    return Parsed(pl.DataFrame(values), failed)


def _trimmed(column: Column) -> pl.Expr:
    """Return the trimmed text, null where it is empty.

    Words for "nothing" are sorted out here only where the quick reading would take them for a value.
    """
    text = pl.col(column.name).str.strip_chars()
    is_free = column.type in (ColumnType.CODE, ColumnType.TEXT)
    empty = text.is_in(BLANKS) if is_free else text == ""
    return pl.when(~empty).then(text).alias(column.name)


def _read_quickly(column: Column) -> pl.Expr:
    text = pl.col(column.name)
    value: pl.Expr
    match column.type:
        case ColumnType.NUMBER:
            number = text.cast(pl.Float64, strict=False)
            value = pl.when(number.is_finite()).then(number)
        case ColumnType.INT | ColumnType.YEAR:
            value = text.cast(pl.Int64, strict=False)
        case ColumnType.BOOL:
            value = pl.when(text.is_in(_TRUE)).then(True).when(text.is_in(_FALSE)).then(False)
        case ColumnType.DATE:
            value = _plausible(text.str.to_date("%Y-%m-%d", strict=False))
        case ColumnType.CATEGORY | ColumnType.LIST:
            value = pl.when(text.is_in(column.values)).then(text)
        case ColumnType.CODE:
            value = pl.when(text.str.contains(r"^[0-9A-Za-z_*/\-]+$")).then(text)
        case ColumnType.TEXT:
            value = pl.when(~text.str.contains(_INVISIBLE)).then(text)
        case _:
            value = pl.lit(None)
    return value.cast(column.type.dtype).alias(column.name)


def _read_tolerantly(
    column: Column, text: pl.Series, value: pl.Series, unread: pl.Series
) -> tuple[pl.Series, pl.Series]:
    """Return the values with the distinct unread texts read by the slow way, and what is still unread."""
    written = pl.Series(_WRITTEN, text)
    plain = pl.col(_WRITTEN).str.normalize("NFKC").str.replace_all(_INVISIBLE, "").str.strip_chars()
    distinct = written.filter(unread).unique().to_frame().with_columns(plain.alias(_PLAIN))
    blank = [blank for blank in BLANKS if blank not in column.values]
    distinct = distinct.select(
        _WRITTEN,
        _tolerant(column).cast(column.type.dtype).alias(_VALUE),
        pl.col(_PLAIN).is_in(blank).alias(_IS_BLANK),
    )
    found = written.to_frame().join(distinct, on=_WRITTEN, how="left", maintain_order="left")
    read = found.select(pl.coalesce(value, pl.col(_VALUE)).alias(column.name)).to_series()
    return read, read.is_null() & unread & ~found[_IS_BLANK].fill_null(False)


def _tolerant(column: Column) -> pl.Expr:
    plain = pl.col(_PLAIN)
    match column.type:
        case ColumnType.NUMBER:
            return _tolerant_number(column)
        case ColumnType.INT | ColumnType.YEAR:
            number = _tolerant_number(column)
            return pl.when((number == number.round()) & (number.abs() < _LARGEST_COUNT)).then(number)
        case ColumnType.BOOL:
            lower = plain.str.to_lowercase()
            return pl.when(lower.is_in(_TRUE)).then(True).when(lower.is_in(_FALSE)).then(False)
        case ColumnType.DATE:
            return _tolerant_date(month_means_last_day=column.name in MONTH_MEANS_LAST_DAY)
        case ColumnType.MONTH:
            return _tolerant_date(month_means_last_day=False).dt.month_start()
        case ColumnType.CATEGORY:
            return pl.when(plain.str.to_uppercase().is_in(column.values)).then(plain.str.to_uppercase())
        case ColumnType.LIST:
            return _tolerant_list(column)
        case ColumnType.TEXT:
            return _tolerant_text()
        case _:
            return _tolerant_code()


def _tolerant_number(column: Column) -> pl.Expr:
    """Read 1,234.50, １２３, ¥5, 1.2万元 and 30%; the column's own unit, or another, may stand behind.

    A percentage is read only where the column has no unit: 30% of what, in yuan, nobody can know.
    """
    units = "|".join(sorted(map(re.escape, scales_of(column)), key=len, reverse=True))
    plain = _unquoted(pl.col(_PLAIN).str.replace_all(r"\s", "")).str.replace(r"^[¥$]", "")
    parts = plain.str.extract_groups(
        rf"^([+-]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d*)?(?:[eE][+-]?\d{{1,3}})?)({units})$"
    ).struct
    number = parts.field("1").str.replace_all(",", "").cast(pl.Float64, strict=False)
    value = number * parts.field("2").replace_strict(scales_of(column), default=None, return_dtype=pl.Float64)
    return pl.when(value.is_finite()).then(value)


def _tolerant_date(*, month_means_last_day: bool) -> pl.Expr:
    """Read 2024/3/5, 20240305, 2024年3月5日, 2024.3.5, 202403, 2024年3月, and a spreadsheet's serial day.

    ``2024.1`` stays unread: a spreadsheet writes October as 2024.1 too.
    """
    plain = _unquoted(pl.col(_PLAIN)).str.replace(_TIME_OF_DAY, "$1").str.replace_all(r"\s", "")
    day = _assembled(plain, r"^(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})[日号]?$", r"^(\d{4})(\d{2})(\d{2})$")
    month = _assembled(
        plain, r"^(\d{4})[-/年](\d{1,2})月?份?$", r"^(\d{4})(\d{2})$", r"^(\d{4})\.(0[1-9]|1[0-2]|[2-9])$"
    )
    if month_means_last_day:
        month = month.dt.month_end()
    serial = plain.str.extract(r"^(\d{5})(?:\.\d+)?$").cast(pl.Int64, strict=False)
    return _plausible(pl.coalesce(day, month, _EXCEL_EPOCH + pl.duration(days=serial)))


def _assembled(plain: pl.Expr, *patterns: str) -> pl.Expr:
    """Return the date that the first fitting pattern's groups (year, month, and maybe day) give."""
    dates = []
    for pattern in patterns:
        groups = plain.str.extract_groups(pattern).struct
        day = groups.field("3") if pattern.count("(") > 2 else pl.lit("01")
        parts = [groups.field("1"), groups.field("2").str.zfill(2), day.str.zfill(2)]
        dates.append(pl.concat_str(parts, separator="-").str.to_date("%Y-%m-%d", strict=False))
    return pl.coalesce(dates)


def _plausible(date: pl.Expr) -> pl.Expr:
    return pl.when(date.is_between(_EARLIEST, _LATEST)).then(date)


def _tolerant_list(column: Column) -> pl.Expr:
    """Read items in any order between 、 , ; / or blanks; every one must be a coded value."""
    parts = (
        pl.col(_PLAIN)
        .str.replace_all(r"[,;/|\s、]+", ITEM_SEPARATOR)
        .str.strip_chars(ITEM_SEPARATOR)
        .str.split(ITEM_SEPARATOR)
        .list.unique(maintain_order=True)
    )
    are_known = parts.list.eval(pl.element().is_in(column.values)).list.all()
    return pl.when(are_known).then(parts.list.join(ITEM_SEPARATOR))


def _tolerant_code() -> pl.Expr:
    """Read a code written as ``="0130"`` or ``'0130`` to keep it text; refuse what was a number once.

    These are 1.30123E+11, 130101.0 and 130,101; #REF! and the like are what a broken formula left.
    """
    plain = _unquoted(pl.col(_PLAIN))
    return pl.when((plain != "") & ~plain.str.contains(_NO_CODE)).then(plain)


def _tolerant_text() -> pl.Expr:
    """Read a text without what nobody sees; a line break between digits keeps the two numbers apart."""
    seen = pl.col(_WRITTEN).str.replace_all(r"(\d)[\t\r\n]+(\d)", "$1 $2").str.replace_all(_INVISIBLE, "")
    return pl.when(seen.str.strip_chars() != "").then(seen.str.strip_chars())


def _unquoted(plain: pl.Expr) -> pl.Expr:
    """Return a text without the marks that make a spreadsheet take it for text."""
    return plain.str.replace(r'^="(.*)"$', "$1").str.strip_prefix("'").str.strip_chars()
