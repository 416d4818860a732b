"""A caseload forecast as files: tables for the county, and one that may leave it."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from relapse_risk.forecast.area import PROVINCE, CaseloadForecast
from relapse_risk.outputs.files import csv_bytes
from relapse_risk.outputs.forecast_page import county_page, provincial_page
from relapse_risk.outputs.forecast_words import HEADERS, LEVELS, MODELS, QUANTITIES, WITHHELD_NOTE
from relapse_risk.outputs.suppress import Cell, Sum, suppress
from relapse_risk.outputs.tables import WITHHELD_MARK, ResultTable, table_files
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

TITLE = Bilingual("返贫规模预测", "caseload_forecast")
LEAVING = Bilingual("省级汇总", "provincial")
LEAVING_PAGE = "provincial.html"
_LEVEL_ZH = {name: label.zh for name, label in LEVELS.items()}


def forecast_tables(forecast: CaseloadForecast, language: Language) -> list[ResultTable]:
    """Return a table for each level, and which model is used where; a whole period's month reads "total"."""
    whole = Bilingual("合计", "total").text(language)
    shown = forecast.table.with_columns(
        pl.col("month").dt.strftime("%Y-%m").fill_null(whole), pl.col("mean").round(3)
    )
    if language == "zh":
        shown = shown.with_columns(
            pl.col("level").replace(_LEVEL_ZH),
            pl.col("quantity").replace({name: label.zh for name, label in QUANTITIES.items()}),
        )
    tables = []
    for level, label in LEVELS.items():
        name = label.zh if language == "zh" else level
        rows = shown.filter(pl.col("level") == name)
        tables.append(ResultTable(Bilingual(f"{label.zh}预测", f"{label.en}_forecast"), rows, HEADERS))
    choices = forecast.choices.with_columns(pl.col("wape").round(4), pl.col("weight").round(3))
    if language == "zh":
        choices = choices.with_columns(
            pl.col("level").replace(_LEVEL_ZH),
            pl.col("model").replace({name: label.zh for name, label in MODELS.items()}),
        )
    tables.append(ResultTable(Bilingual("模型选择", "models"), choices, HEADERS))
    return tables


def ranking(forecast: CaseloadForecast, monitors: pl.DataFrame) -> pl.DataFrame:
    """Return townships by expected new cases per responsible person, the most pressed first.

    Parameters
    ----------
    forecast : CaseloadForecast
    monitors : polars.DataFrame
        township_code, monitors: how many persons are responsible for households there.

    Returns
    -------
    polars.DataFrame
        rank, county_code, township_code, cases, low80, high80, monitors, cases_per_monitor. Cases are whole
        numbers; where nobody is responsible the last is null, and the township is ranked as with one.
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
        .with_columns(cases_per_monitor=pl.when(pl.col("monitors") > 0).then(pl.col("need").round(2)))
        .select(
            "rank",
            "county_code",
            "township_code",
            "cases",
            "low80",
            "high80",
            "monitors",
            "cases_per_monitor",
        )
    )


def leaving_table(ranked: pl.DataFrame) -> pl.DataFrame:
    """Return the ranking with counts under 5 withheld, and what would give them away.

    Cases of a county are the sum of its townships', those of the whole the sum of the counties', so a
    withheld township takes another with it. What goes with a withheld count (its interval, its ratio, its
    place) is withheld too.
    """
    counts: dict[Cell, int] = {}
    sums: list[Sum] = []
    counties = ranked["county_code"].unique().sort().to_list()
    for county in counties:
        rows = ranked.filter(pl.col("county_code") == county)
        counts |= dict(rows.select("township_code", "cases").iter_rows())
        counts["county", county] = int(rows["cases"].sum())
        sums.append(Sum(("county", county), tuple(rows["township_code"])))
    counts[PROVINCE] = int(ranked["cases"].sum())
    sums.append(Sum(PROVINCE, tuple(("county", county) for county in counties)))
    withheld = suppress(counts, sums).withheld
    # The place of a withheld township between two others would give its count away: it has none.
    is_hidden = ranked["township_code"].is_in([cell for cell in withheld if isinstance(cell, str)])
    shown = ranked.filter(~is_hidden).with_columns(rank=pl.int_range(1, pl.len() + 1))
    hidden_last = ranked.filter(is_hidden).sort("township_code").with_columns(rank=None)
    lines = [
        *shown.iter_rows(),
        *hidden_last.iter_rows(),
        *((None, county, None, counts["county", county], None, None, None, None) for county in counties),
        (None, PROVINCE, None, counts[PROVINCE], None, None, None, None),
    ]
    names = ranked.columns
    told = []
    for row in lines:
        cells = dict(zip(names, row, strict=True))
        cell = cells["township_code"] or (
            PROVINCE if cells["county_code"] == PROVINCE else ("county", cells["county_code"])
        )
        if cell in withheld:
            hidden = ("cases", "low80", "high80", "cases_per_monitor")
            cells |= {name: WITHHELD_MARK for name in hidden if cells[name] is not None}
        told.append({name: None if value is None else str(value) for name, value in cells.items()})
    return pl.DataFrame(told, schema=dict.fromkeys(names, pl.String))


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
        SCORE_DISCLAIMER,
    ]
    return [line.text(language) for line in lines]


def forecast_files(
    forecast: CaseloadForecast, monitors: pl.DataFrame, language: Language
) -> dict[str, bytes]:
    """Return the files of a forecast by name: CSV, workbook, pages, and fan charts in both languages."""
    from relapse_risk.outputs.fan_chart import fan_chart

    ranked = ranking(forecast, monitors)
    leaving = leaving_table(ranked)
    tables = forecast_tables(forecast, language)
    # A province's villages by month are more rows than a sheet has: their tables are CSV only.
    whole = pl.col("month").is_null() | ~pl.col("level").is_in(["township", "village"])
    shown = replace(forecast, table=forecast.table.filter(whole & (pl.col("level") != "village")))
    in_workbook = [
        *forecast_tables(shown, language),
        ResultTable(Bilingual("乡镇排序", "township_ranking"), ranked, HEADERS),
        ResultTable(LEAVING, leaving, HEADERS),
    ]
    files = dict(table_files(TITLE, in_workbook, forecast_note(forecast, language), language))
    for table in tables:
        files[f"{table.name.text(language)}.csv"] = csv_bytes(table.labelled(language))
    files[LEAVING_PAGE] = provincial_page(forecast, leaving, language)
    for county in forecast.places["county_code"].unique().sort().to_list():
        files[f"forecast_{county}.html"] = county_page(forecast, ranked, county, language)
    wanted = (pl.col("quantity") == "relapses") & pl.col("level").is_in(["province", "county"])
    for (code,), rows in forecast.table.filter(wanted).group_by("code", maintain_order=True):
        is_whole = code == PROVINCE
        seen = forecast.observed if is_whole else forecast.observed.filter(pl.col("county_code") == code)
        by_month = seen.group_by("month").agg(pl.col("relapses").sum())
        for lang in ("zh", "en"):
            name = "all" if is_whole else str(code)
            place = LEVELS["province"].text(lang) if is_whole else str(code)
            files[f"fan_{name}.{lang}.svg"] = fan_chart(by_month, rows, place, lang).svg()
    return files


def shown_in_terminal(forecast: CaseloadForecast, language: Language) -> list[ResultTable]:
    """Return what the whole of all counties comes to over the period; the stock at its end."""
    is_end = (pl.col("quantity") == "stock") & (pl.col("month") == forecast.months[-1])
    rows = forecast.table.filter(pl.col("level") == "province", pl.col("month").is_null() | is_end)
    return forecast_tables(replace(forecast, table=rows), language)[:1]
