"""Forecast pages: one for each county, and one for the province that holds only what may leave a county.

Each is one file that asks for nothing from outside, so it works from a USB stick.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import polars as pl

from relapse_risk.forecast.area import PROVINCE, CaseloadForecast
from relapse_risk.outputs.forecast_words import (
    LEVELS,
    MODELS,
    QUANTITIES,
    WITHHELD_NOTE,
    heading,
    months_ahead,
)
from relapse_risk.outputs.outlook import fan_script
from relapse_risk.vocabulary import FORECAST_DISCLAIMER, Bilingual, Language

_TEMPLATE = "forecast_page.html"
_TITLE = Bilingual("返贫规模预测", "Caseload forecast")
_TOWNSHIPS = Bilingual(
    "各乡镇：按人均预计新增户排序", "Townships, by expected new cases per responsible person"
)
_COUNTIES = Bilingual("各县预计新增返贫户", "Expected new relapses by county")
_VILLAGES = Bilingual("各村预计新增返贫户", "Expected new relapses by village")
_TRIED = Bilingual(
    "各层级用什么模型：此前各期的误差与权重", "Models by level: errors at earlier origins, and weights"
)
_WARNED = Bilingual(
    "预警：以下县近期情况与此前预测不符，请核实原因：",
    "Warning: in these counties the last months were unlike what was forecast; find out why: ",
)
_INTERVALS = Bilingual(
    "期望可以相加，区间不能。走访：每个新增户核实一次，在册户每月一次。",
    "Expected numbers add up, intervals do not. Visits: one for each new case, one a month on the register.",
)
_STAYS = Bilingual(
    "本页含未作处理的小数，不得流出本县。", "This page holds small counts: it stays in the county."
)
_AHEAD = Bilingual("各乡镇未来各期预计新增返贫户", "Expected new relapses in the months to come, by township")
_BETWEEN = Bilingual("80%区间", "80% interval")
_ALL = Bilingual("全县", "whole county")


def county_page(
    forecast: CaseloadForecast,
    ranked: pl.DataFrame,
    outlook: Mapping[str, Any],
    language: Language,
    names: Mapping[str, str],
) -> bytes:
    """Return the page of one county as a self-contained HTML file in UTF-8.

    Parameters
    ----------
    forecast : CaseloadForecast
    ranked : polars.DataFrame
        Of :func:`~relapse_risk.outputs.write_forecast.ranking`.
    outlook : mapping
        Of :func:`~relapse_risk.outputs.outlook.county_outlook`.
    language : {"zh", "en"}
        The one it opens in; a button switches.
    names : mapping of str to str
        By code of a place.
    """
    county = outlook["code"]
    own = forecast.table.filter(pl.col("level") == "county", pl.col("code") == county)
    towns = (
        ranked.filter(pl.col("county_code") == county)
        .drop("county_code", "county_name", "township_code")
        .with_columns(rank=pl.int_range(1, pl.len() + 1))
    )
    tables = [
        _table(_TOWNSHIPS, towns, "township_name", ("cases", "low80", "high80")),
        _ahead(outlook),
        _villages(forecast, county, names),
    ]
    tried = forecast.choices.filter(pl.col("county_code") == county).drop("county_code")
    if tried.height:
        tables.append(_models(tried))
    return _page(
        forecast,
        Bilingual(f"{outlook['name']} {_TITLE.zh}", f"{_TITLE.en} {outlook['name']}"),
        language,
        loud=outlook["loud"],
        notes=outlook["notes"],
        tiles=_tiles(own, forecast),
        tables=tables,
        footer=[_INTERVALS, _STAYS],
        fan=outlook["fan"],
    )


def _ahead(outlook: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table of the next 3, 6 and 12 months by township: expected cases and 80% intervals."""
    rows = [[town["name"], *_flat(town["ahead"])] for town in outlook["townships"]]
    rows.append([_both(_ALL), *_flat(outlook["total"])])
    columns = [{**_both(heading("township_name")), "numeric": False, "heads": True}]
    for span in outlook["spans"]:
        columns.append({**_both(months_ahead(span)), "numeric": True})
        columns.append({**_both(_BETWEEN), "numeric": True})
    return {"title": _both(_AHEAD), "columns": columns, "rows": rows, "span": None, "is_fixed": True}


def _flat(ahead: Sequence[Sequence[float]]) -> list[object]:
    return [cell for mean, low, high in ahead for cell in (round(mean, 1), f"{low}–{high}")]


def _villages(forecast: CaseloadForecast, county: str, names: Mapping[str, str]) -> dict[str, Any]:
    places = forecast.places.filter(pl.col("county_code") == county)
    whole = pl.col("month").is_null() & (pl.col("quantity") == "relapses")
    villages = forecast.table.filter(
        pl.col("level") == "village", whole, pl.col("code").is_in(places["village_code"].implode())
    ).join(places, left_on="code", right_on="village_code", how="left", maintain_order="left")
    told = villages.sort("mean", "code", descending=[True, False]).select(
        pl.col("township_code").replace(dict(names)).alias("township_name"),
        pl.col("code").replace(dict(names)).alias("village_name"),
        pl.col("mean").round(2),
        "low80",
        "high80",
    )
    return _table(_VILLAGES, told, "village_name", ("mean", "low80", "high80"))


def provincial_page(forecast: CaseloadForecast, leaving: pl.DataFrame, language: Language) -> bytes:
    """Return the page that ranks townships by expected need per capacity, with small counts withheld.

    Parameters
    ----------
    forecast : CaseloadForecast
    leaving : polars.DataFrame
        Of :func:`~relapse_risk.outputs.write_forecast.leaving_table`; no other number is on the page.
    language : {"zh", "en"}
    """
    bounds = ("cases", "low80", "high80")
    numbers = ("rank", *bounds, "monitors", "cases_per_monitor")
    is_town = pl.col("township_code").is_not_null()
    counties = leaving.filter(~is_town, pl.col("county_code") != PROVINCE)
    whole = leaving.filter(pl.col("county_code") == PROVINCE).row(0, named=True)
    tile = {
        **_both(QUANTITIES["relapses"]),
        "value": _number(whole["cases"]),
        "low": _number(whole["low80"]),
        "high": _number(whole["high80"]),
    }
    called = dict(counties.select("county_code", "county_name").iter_rows())
    warned = [mark.join(called.get(code, code) for code in forecast.warned) for mark in ("、", ", ")]
    return _page(
        forecast,
        _TITLE,
        language,
        loud=[_both(Bilingual(_WARNED.zh + warned[0], _WARNED.en + warned[1]))] if forecast.warned else [],
        notes=[_both(WITHHELD_NOTE)],
        tiles=[tile],
        tables=[
            _table(
                _TOWNSHIPS,
                leaving.filter(is_town).drop("county_code", "township_code"),
                "township_name",
                bounds,
                numbers,
            ),
            _table(_COUNTIES, counties.select("county_name", *bounds), "county_name", bounds, numbers),
        ],
        footer=[_INTERVALS],
        fan=None,
    )


def _page(
    forecast: CaseloadForecast,
    title: Bilingual,
    language: Language,
    *,
    loud: Sequence[Mapping[str, str]],
    notes: Sequence[Mapping[str, str]],
    tiles: Sequence[Mapping[str, Any]],
    tables: Sequence[Mapping[str, Any]],
    footer: Sequence[Bilingual],
    fan: Mapping[str, Any] | None,
) -> bytes:
    data = {
        "language": language,
        "title": _both(title),
        "as_of": str(forecast.as_of_date),
        "from": f"{forecast.months[0]:%Y-%m}",
        "to": f"{forecast.months[-1]:%Y-%m}",
        "disclaimer": _both(FORECAST_DISCLAIMER),
        "loud": loud,
        "notes": notes,
        "tiles": tiles,
        "tables": tables,
        "footer": [_both(each) for each in footer],
        "fan": fan,
    }
    # A "<" in a cell must not end the script element it stands in.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    template = resources.files("relapse_risk.outputs").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    page = template.replace("__TITLE__", html.escape(title.text(language))).replace("__FAN__", fan_script())
    return page.replace("__DATA__", text).encode()


def _both(text: Bilingual) -> dict[str, str]:
    return {"zh": text.zh, "en": text.en}


def _number(value: str | None) -> str | int | float | None:
    """Return a cell of the table that leaves as a number where it is one; a withheld one stays a mark."""
    try:
        found = float(value) if value is not None else None
    except ValueError:
        return value
    return int(found) if found is not None and found == int(found) else found


def _table(
    title: Bilingual,
    frame: pl.DataFrame,
    head: str,
    span: tuple[str, str, str] | None,
    numbers: Sequence[str] = (),
) -> dict[str, Any]:
    """Return a table for the page.

    ``head`` is the column that names the row, ``span`` those of its expected number and interval.
    """
    rows = [
        [_number(cell) if name in numbers else cell for name, cell in zip(frame.columns, row, strict=True)]
        for row in frame.iter_rows()
    ]
    columns = [
        {**_both(heading(name)), "numeric": name in numbers or dtype.is_numeric(), "heads": name == head}
        for name, dtype in frame.schema.items()
    ]
    places = None if span is None else [frame.columns.index(name) for name in span]
    return {"title": _both(title), "columns": columns, "rows": rows, "span": places}


def _models(tried: pl.DataFrame) -> dict[str, Any]:
    """Return the table of what was tried at each level."""
    rounded = tried.with_columns(pl.col("wape").round(3), pl.col("weight").round(2))
    table = _table(_TRIED, rounded, "model", None)
    level, model = (tried.columns.index(name) for name in ("level", "model"))
    for row in table["rows"]:
        row[level], row[model] = _both(LEVELS[row[level]]), _both(MODELS[row[model]])
    return table


def _tiles(own: pl.DataFrame, forecast: CaseloadForecast) -> list[dict[str, Any]]:
    """Return the whole period's numbers with 80% intervals; of the stock that of the last month."""
    is_end = (pl.col("quantity") == "stock") & (pl.col("month") == forecast.months[-1])
    return [
        {
            **_both(QUANTITIES[row["quantity"]]),
            "value": round(row["mean"]),
            "low": row["low80"],
            "high": row["high80"],
        }
        for row in own.filter(pl.col("month").is_null() | is_end).iter_rows(named=True)
    ]
