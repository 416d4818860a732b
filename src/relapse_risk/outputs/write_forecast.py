"""A caseload forecast as files: tables for the county, and one that may leave it."""

from __future__ import annotations

from dataclasses import replace

import polars as pl

from relapse_risk.forecast.area import PROVINCE, CaseloadForecast
from relapse_risk.forecast.caseload import BOUND_COLUMNS, INTERVALS
from relapse_risk.outputs.files import csv_bytes
from relapse_risk.outputs.suppress import Cell, Sum, suppress
from relapse_risk.outputs.tables import WITHHELD_MARK, ResultTable, table_files
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

TITLE = Bilingual("返贫规模预测", "caseload_forecast")
LEAVING = Bilingual("省级汇总", "provincial")
_LEVELS = {
    "province": Bilingual("合计", "all"),
    "county": Bilingual("县", "county"),
    "township": Bilingual("乡镇", "township"),
    "village": Bilingual("村", "village"),
}
_QUANTITIES = {
    "relapses": "新增返贫户",
    "entries": "新纳入户",
    "clearances": "消除户",
    "stock": "月末在册户",
    "visits": "走访次数",
    "funds_yuan": "资金(元)",
}
_MODELS = {
    "seasonal_naive": "季节朴素",
    "last_value": "末值",
    "ets": "指数平滑",
    "tsb": "间歇需求(TSB)",
    "poisson": "泊松水平",
    "household_risks": "家庭风险",
    "combined": "组合",
}
_LEVEL_ZH = {name: label.zh for name, label in _LEVELS.items()}
HEADERS: dict[str, Bilingual] = {
    "level": Bilingual("层级", "level"),
    "code": Bilingual("代码", "code"),
    "county_code": Bilingual("县代码", "county_code"),
    "township_code": Bilingual("乡镇代码", "township_code"),
    "quantity": Bilingual("指标", "quantity"),
    "month": Bilingual("月份", "month"),
    "mean": Bilingual("期望", "mean"),
    "median": Bilingual("中位数", "median"),
    "model": Bilingual("模型", "model"),
    "origins": Bilingual("回测次数", "origins"),
    "wape": Bilingual("加权绝对百分比误差", "wape"),
    "weight": Bilingual("权重", "weight"),
    "rank": Bilingual("排序", "rank"),
    "cases": Bilingual("预计新增户", "expected_new_cases"),
    "monitors": Bilingual("监测责任人数", "responsible_persons"),
    "cases_per_monitor": Bilingual("人均预计新增户", "cases_per_person"),
    **{
        name: Bilingual(f"{share}%{'下' if end == 'low' else '上'}限", f"{end}{share}")
        for name, (share, end) in zip(
            BOUND_COLUMNS, [(share, end) for share in INTERVALS for end in ("low", "high")], strict=True
        )
    },
}


def forecast_tables(forecast: CaseloadForecast, language: Language) -> list[ResultTable]:
    """Return a table for each level, and which model is used where; a whole period's month reads "total"."""
    whole = Bilingual("合计", "total").text(language)
    shown = forecast.table.with_columns(
        pl.col("month").dt.strftime("%Y-%m").fill_null(whole), pl.col("mean").round(3)
    )
    if language == "zh":
        shown = shown.with_columns(
            pl.col("level").replace(_LEVEL_ZH), pl.col("quantity").replace(_QUANTITIES)
        )
    tables = []
    for level, label in _LEVELS.items():
        name = label.zh if language == "zh" else level
        rows = shown.filter(pl.col("level") == name)
        tables.append(ResultTable(Bilingual(f"{label.zh}预测", f"{label.en}_forecast"), rows, HEADERS))
    choices = forecast.choices.with_columns(pl.col("wape").round(4), pl.col("weight").round(3))
    if language == "zh":
        choices = choices.with_columns(pl.col("level").replace(_LEVEL_ZH), pl.col("model").replace(_MODELS))
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
    withheld township takes another with it. What goes with a withheld count (its interval, its ratio) is
    withheld too.
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
    lines = [
        *ranked.iter_rows(),
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
        Bilingual(
            f"“{WITHHELD_MARK}”表示少于5户或由此可推知的数，不予公布。",
            f"“{WITHHELD_MARK}” is a count under 5, or one that would give it away.",
        ),
        *forecast.notes,
        SCORE_DISCLAIMER,
    ]
    return [line.text(language) for line in lines]


def forecast_files(
    forecast: CaseloadForecast, monitors: pl.DataFrame, language: Language
) -> dict[str, bytes]:
    """Return the files of a forecast by name: CSV, workbook and fan charts in both languages."""
    from relapse_risk.outputs.fan_chart import fan_chart

    ranked = ranking(forecast, monitors)
    tables = forecast_tables(forecast, language)
    # A province's villages by month are more rows than a sheet has: their tables are CSV only.
    whole = pl.col("month").is_null() | ~pl.col("level").is_in(["township", "village"])
    shown = replace(forecast, table=forecast.table.filter(whole & (pl.col("level") != "village")))
    in_workbook = [
        *forecast_tables(shown, language),
        ResultTable(Bilingual("乡镇排序", "township_ranking"), ranked, HEADERS),
        ResultTable(LEAVING, leaving_table(ranked), HEADERS),
    ]
    files = dict(table_files(TITLE, in_workbook, forecast_note(forecast, language), language))
    for table in tables:
        files[f"{table.name.text(language)}.csv"] = csv_bytes(table.labelled(language))
    wanted = (pl.col("quantity") == "relapses") & pl.col("level").is_in(["province", "county"])
    for (code,), rows in forecast.table.filter(wanted).group_by("code", maintain_order=True):
        is_whole = code == PROVINCE
        seen = forecast.observed if is_whole else forecast.observed.filter(pl.col("county_code") == code)
        by_month = seen.group_by("month").agg(pl.col("relapses").sum())
        for lang in ("zh", "en"):
            name = "all" if is_whole else str(code)
            place = _LEVELS["province"].text(lang) if is_whole else str(code)
            files[f"fan_{name}.{lang}.svg"] = fan_chart(by_month, rows, place, lang).svg()
    return files


def shown_in_terminal(forecast: CaseloadForecast, language: Language) -> list[ResultTable]:
    """Return what the whole of all counties comes to over the period; the stock at its end."""
    is_end = (pl.col("quantity") == "stock") & (pl.col("month") == forecast.months[-1])
    rows = forecast.table.filter(pl.col("level") == "province", pl.col("month").is_null() | is_end)
    return forecast_tables(replace(forecast, table=rows), language)[:1]
