"""A caseload forecast as files: tables for the county, and one that may leave it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import polars as pl

from relapse_risk.forecast.area import PROVINCE, CaseloadForecast
from relapse_risk.forecast.caseload import BOUND_COLUMNS
from relapse_risk.outputs.files import csv_bytes, json_bytes
from relapse_risk.outputs.forecast_page import county_page, provincial_page
from relapse_risk.outputs.forecast_words import HEADERS, LEVELS, MODELS, QUANTITIES, WITHHELD_NOTE
from relapse_risk.outputs.outlook import OUTLOOK_FILE, county_outlook
from relapse_risk.outputs.suppress import Cell, Sum, suppress
from relapse_risk.outputs.tables import WITHHELD_MARK, ResultTable, table_files
from relapse_risk.vocabulary import FORECAST_DISCLAIMER, Bilingual, Language

TITLE = Bilingual("返贫规模预测", "caseload_forecast")
LEAVING = Bilingual("省级汇总", "provincial")
LEAVING_PAGE = "provincial.html"
AHEAD = Bilingual("未来各期", "next_months")
_COUNTS = ("rank", "cases", "low80", "high80", "monitors")
_HIDDEN_WITH_COUNT = ("cases", "low80", "high80", "cases_per_monitor")
_LEVEL_ZH = {name: label.zh for name, label in LEVELS.items()}


def forecast_tables(
    forecast: CaseloadForecast, language: Language, names: Mapping[str, str]
) -> list[ResultTable]:
    """Return a table for each level, the next 3, 6 and 12 months, and which model is used where.

    A whole period's month reads "total".
    """
    called = {PROVINCE: LEVELS["province"].text(language), **names}
    place = [pl.col("level"), _code_shown("code"), pl.col("code").replace(called).alias("name")]
    number = [pl.col("mean").round(3), *map(pl.col, ("median", *BOUND_COLUMNS))]
    words = [] if language == "en" else [pl.col("level").replace(_LEVEL_ZH)]
    ahead = forecast.ahead.select(*place, "months_ahead", *number).with_columns(words)
    tables = [ResultTable(AHEAD, ahead, HEADERS)]
    month = pl.col("month").dt.strftime("%Y-%m").fill_null(Bilingual("合计", "total").text(language))
    quantity = pl.col("quantity").replace(
        {} if language == "en" else {name: label.zh for name, label in QUANTITIES.items()}
    )
    for level, label in LEVELS.items():
        # One level at a time: a province's villages by month are millions of rows.
        own = forecast.table.filter(pl.col("level") == level)
        rows = own.select(*place, quantity, month, *number).with_columns(words)
        tables.append(ResultTable(Bilingual(f"{label.zh}预测", f"{label.en}_forecast"), rows, HEADERS))
    choices = forecast.choices.with_columns(pl.col("wape").round(4), pl.col("weight").round(3))
    if language == "zh":
        choices = choices.with_columns(
            pl.col("level").replace(_LEVEL_ZH),
            pl.col("model").replace({name: label.zh for name, label in MODELS.items()}),
        )
    tables.append(ResultTable(Bilingual("模型选择", "models"), choices, HEADERS))
    return tables


def _code_shown(column: str) -> pl.Expr:
    """Return a code as tables show it: that of the whole would read like a withheld count."""
    return pl.when(pl.col(column) != PROVINCE).then(pl.col(column)).alias(column)


def ranking(forecast: CaseloadForecast, monitors: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Return townships by expected new cases per responsible person, the most pressed first.

    Parameters
    ----------
    forecast : CaseloadForecast
    monitors : polars.DataFrame
        township_code, monitors: how many persons are responsible for households there.
    names : mapping of str to str
        By code of a place; a place without a name goes by its code.

    Returns
    -------
    polars.DataFrame
        rank, county_code, county_name, township_code, township_name, cases, low80, high80, monitors,
        cases_per_monitor. Cases are whole numbers; where nobody is responsible the last is null, and the
        township is ranked as with one.
    """
    whole = (pl.col("level") == "township") & (pl.col("quantity") == "relapses") & pl.col("month").is_null()
    towns = forecast.places.select("county_code", "township_code").unique()
    frame = (
        forecast.table.filter(whole)
        .rename({"code": "township_code"})
        .join(towns, on="township_code")
        .join(monitors, on="township_code", how="left")
        .with_columns(pl.col("monitors").fill_null(0), cases=pl.col("mean").round(0).cast(pl.Int64))
    )
    per = pl.col("mean") / pl.col("monitors").clip(1)
    return (
        frame.with_columns(per.alias("need"))
        .sort("need", "township_code", descending=[True, False])
        .with_row_index("rank", 1)
        .with_columns(
            cases_per_monitor=pl.when(pl.col("monitors") > 0).then(pl.col("need").round(2)),
            county_name=pl.col("county_code").replace(dict(names)),
            township_name=pl.col("township_code").replace(dict(names)),
        )
        .select(
            "rank",
            "county_code",
            "county_name",
            "township_code",
            "township_name",
            "cases",
            "low80",
            "high80",
            "monitors",
            "cases_per_monitor",
        )
    )


def leaving_table(ranked: pl.DataFrame, whole: pl.DataFrame) -> pl.DataFrame:
    """Return the ranking with counts under 5 withheld, and what would give them away.

    Cases of a county are the sum of its townships', those of the whole the sum of the counties', so a
    withheld township takes another with it. What goes with a withheld count (its interval, its ratio, its
    place) is withheld too.

    Parameters
    ----------
    ranked : polars.DataFrame
        Of :func:`ranking`.
    whole : polars.DataFrame
        code, low80, high80: the intervals of counties and of their whole.
    """
    counts: dict[Cell, int] = dict(ranked.select("township_code", "cases").iter_rows())
    sums: list[Sum] = []
    counties = dict(ranked.select("county_code", "county_name").unique().sort("county_code").iter_rows())
    for county in counties:
        rows = ranked.filter(pl.col("county_code") == county)
        counts["county", county] = int(rows["cases"].sum())
        sums.append(Sum(("county", county), tuple(rows["township_code"])))
    counts[PROVINCE] = int(ranked["cases"].sum())
    sums.append(Sum(PROVINCE, tuple(("county", county) for county in counties)))
    withheld = suppress(counts, sums).withheld
    # The place of a withheld township between two others would give its count away: it has none.
    is_hidden = ranked["township_code"].is_in([cell for cell in withheld if isinstance(cell, str)])
    shown = ranked.filter(~is_hidden).with_columns(rank=pl.int_range(1, pl.len() + 1))
    hidden_last = ranked.filter(is_hidden).sort("township_code").with_columns(rank=None)
    bounds = {code: {"low80": low, "high80": high} for code, low, high in whole.iter_rows()}

    def lines() -> Iterator[tuple[Cell, dict[str, object]]]:
        for frame in (shown, hidden_last):
            yield from ((str(row["township_code"]), row) for row in frame.iter_rows(named=True))
        for code, name in {**counties, PROVINCE: None}.items():
            cell = PROVINCE if code == PROVINCE else ("county", code)
            of_place = {"county_code": code, "county_name": name, "cases": counts[cell]}
            yield cell, of_place | bounds.get(code, {})

    told = []
    for cell, cells in lines():
        hidden = _HIDDEN_WITH_COUNT if cell in withheld else ()
        marked = {name: WITHHELD_MARK for name in hidden if cells.get(name) is not None}
        told.append({name: None if value is None else str(value) for name, value in (cells | marked).items()})
    return pl.DataFrame(told, schema=dict.fromkeys(ranked.columns, pl.String))


def _leaving_shown(leaving: pl.DataFrame, language: Language) -> pl.DataFrame:
    """Return the table that leaves the county for a CSV and a workbook: whole columns are numbers again."""
    is_whole = pl.col("county_code") == PROVINCE
    whole = pl.lit(LEVELS["province"].text(language))
    named = leaving.with_columns(
        county_name=pl.when(is_whole).then(whole).otherwise("county_name"),
        county_code=_code_shown("county_code"),
    )
    counts = [name for name in _COUNTS if not (named[name] == WITHHELD_MARK).any()]
    return named.with_columns(pl.col(counts).cast(pl.Int64), *_ratio(named))


def _ratio(named: pl.DataFrame) -> list[pl.Expr]:
    is_withheld = bool((named["cases_per_monitor"] == WITHHELD_MARK).any())
    return [] if is_withheld else [pl.col("cases_per_monitor").cast(pl.Float64)]


def forecast_note(forecast: CaseloadForecast, language: Language) -> list[str]:
    """Return what to read first."""
    sources = {
        "hazards": Bilingual("家庭风险", "household risks"),
        "time_series": Bilingual("时间序列", "time series"),
    }
    made_of = "、" if language == "zh" else ", "
    named = made_of.join(sources[name].text(language) for name in forecast.sources)
    lines = [
        Bilingual(
            f"数据截至 {forecast.as_of_date}；来源：{named}。", f"As of {forecast.as_of_date}; from {named}."
        ),
        Bilingual(
            "各层级的期望相加一致；区间来自样本路径之和，不能相加。",
            "Means add up over all levels; intervals are of summed sample paths, and do not add.",
        ),
        WITHHELD_NOTE,
        *forecast.notes,
        FORECAST_DISCLAIMER,
    ]
    return [line.text(language) for line in lines]


def forecast_files(
    forecast: CaseloadForecast, monitors: pl.DataFrame, language: Language, names: Mapping[str, str]
) -> dict[str, bytes]:
    """Return the files of a forecast by name: CSV, workbook, pages, and fan charts in both languages.

    Parameters
    ----------
    forecast : CaseloadForecast
    monitors, names
        As in :func:`ranking`.
    language : {"zh", "en"}
    """
    ranked = ranking(forecast, monitors, names)
    sums = (pl.col("quantity") == "relapses") & pl.col("level").is_in(["province", "county"])
    own = forecast.table.filter(sums)
    leaving = leaving_table(ranked, own.filter(pl.col("month").is_null()).select("code", "low80", "high80"))
    tables = forecast_tables(forecast, language, names)
    # A province's villages by month are more rows than a sheet has: their tables are CSV only.
    whole = pl.col("month").is_null() | ~pl.col("level").is_in(["township", "village"])
    shown = replace(forecast, table=forecast.table.filter(whole & (pl.col("level") != "village")))
    in_workbook = [
        *forecast_tables(shown, language, names),
        ResultTable(Bilingual("乡镇排序", "township_ranking"), ranked, HEADERS),
        ResultTable(LEAVING, _leaving_shown(leaving, language), HEADERS),
    ]
    files = dict(table_files(TITLE, in_workbook, forecast_note(forecast, language), language))
    for table in tables:
        files[f"{table.name.text(language)}.csv"] = csv_bytes(table.labelled(language))
    files[LEAVING_PAGE] = provincial_page(forecast, leaving, language)
    counties = forecast.places["county_code"].unique().sort().to_list()
    outlooks = {county: county_outlook(forecast, county, names) for county in counties}
    for county, outlook in outlooks.items():
        files[f"forecast_{county}.html"] = county_page(forecast, ranked, outlook, language, names)
    files[OUTLOOK_FILE] = json_bytes(outlooks)
    return files | _charts(forecast, own, names)


def _charts(forecast: CaseloadForecast, own: pl.DataFrame, names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the fan charts of every county and of the whole, in both languages."""
    from relapse_risk.outputs.fan_chart import fan_chart

    files = {}
    for (code,), rows in own.group_by("code", maintain_order=True):
        is_whole = code == PROVINCE
        seen = forecast.observed if is_whole else forecast.observed.filter(pl.col("county_code") == code)
        by_month = seen.group_by("month").agg(pl.col("relapses").sum())
        for lang in ("zh", "en"):
            name = "all" if is_whole else str(code)
            place = LEVELS["province"].text(lang) if is_whole else names.get(str(code), str(code))
            files[f"fan_{name}.{lang}.svg"] = fan_chart(by_month, rows, place, lang).svg()
    return files


def shown_in_terminal(forecast: CaseloadForecast, language: Language) -> list[ResultTable]:
    """Return what the whole of all counties comes to over the period; the stock at its end."""
    is_end = (pl.col("quantity") == "stock") & (pl.col("month") == forecast.months[-1])
    rows = forecast.table.filter(pl.col("level") == "province", pl.col("month").is_null() | is_end)
    of_whole = LEVELS["province"].en
    tables = forecast_tables(replace(forecast, table=rows), language, {})
    return [table for table in tables if table.name.en == f"{of_whole}_forecast"]
