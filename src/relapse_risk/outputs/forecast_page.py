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
from relapse_risk.forecast.caseload import BOUND_COLUMNS
from relapse_risk.outputs.fan_chart import TITLES, shown_months
from relapse_risk.outputs.forecast_words import HEADERS, MODELS, QUANTITIES, WITHHELD_NOTE
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

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
_LEVELS = {
    "county": Bilingual("县", "county"),
    "township": Bilingual("乡镇", "township"),
    "village": Bilingual("村", "village"),
}


def county_page(forecast: CaseloadForecast, ranked: pl.DataFrame, county: str, language: Language) -> bytes:
    """Return the page of one county as a self-contained HTML file in UTF-8.

    Parameters
    ----------
    forecast : CaseloadForecast
    ranked : polars.DataFrame
        Of :func:`~relapse_risk.outputs.write_forecast.ranking`.
    county : str
    language : {"zh", "en"}
        The one it opens in; a button switches.
    """
    places = forecast.places.filter(pl.col("county_code") == county)
    own = forecast.table.filter(pl.col("level") == "county", pl.col("code") == county)
    whole = pl.col("month").is_null() & (pl.col("quantity") == "relapses")
    villages = forecast.table.filter(
        pl.col("level") == "village", whole, pl.col("code").is_in(places["village_code"].implode())
    ).join(places, left_on="code", right_on="village_code", how="left", maintain_order="left")
    told = villages.select("township_code", "code", pl.col("mean").round(2), "low80", "high80")
    towns = (
        ranked.filter(pl.col("county_code") == county)
        .drop("county_code")
        .with_columns(rank=pl.int_range(1, pl.len() + 1))
    )
    tables = [
        _table(_TOWNSHIPS, towns, ("cases", "low80", "high80")),
        _table(_VILLAGES, told.sort("mean", "code", descending=[True, False]), ("mean", "low80", "high80")),
    ]
    tried = forecast.choices.filter(pl.col("county_code") == county).drop("county_code")
    if tried.height:
        tables.append(_models(tried))
    notes = forecast.notes_of.get(county, ())
    is_warned = county in forecast.warned
    return _page(
        forecast,
        Bilingual(f"{county} {_TITLE.zh}", f"{_TITLE.en} {county}"),
        language,
        loud=[note for note in notes if note.zh.startswith("预警")] if is_warned else [],
        notes=[note for note in notes if not note.zh.startswith("预警")],
        tiles=_tiles(own, forecast),
        tables=tables,
        footer=[_INTERVALS, _STAYS],
        fan=_fan(forecast.observed.filter(pl.col("county_code") == county), own),
    )


def provincial_page(forecast: CaseloadForecast, leaving: pl.DataFrame, language: Language) -> bytes:
    """Return the page that ranks townships by expected need per capacity, with small counts withheld.

    Parameters
    ----------
    forecast : CaseloadForecast
    leaving : polars.DataFrame
        Of :func:`~relapse_risk.outputs.write_forecast.leaving_table`; no other number is on the page.
    language : {"zh", "en"}
    """
    numbers = ("rank", "cases", "low80", "high80", "monitors", "cases_per_monitor")
    is_town = pl.col("township_code").is_not_null()
    counties = leaving.filter(~is_town, pl.col("county_code") != PROVINCE)
    whole = leaving.filter(pl.col("county_code") == PROVINCE).row(0, named=True)
    tile = {
        "zh": QUANTITIES["relapses"].zh,
        "en": QUANTITIES["relapses"].en,
        "value": _number(whole["cases"]),
    }
    warned = ("、".join(forecast.warned), ", ".join(forecast.warned))
    return _page(
        forecast,
        _TITLE,
        language,
        loud=[Bilingual(_WARNED.zh + warned[0], _WARNED.en + warned[1])] if forecast.warned else [],
        notes=[WITHHELD_NOTE],
        tiles=[tile],
        tables=[
            _table(_TOWNSHIPS, leaving.filter(is_town), ("cases", "low80", "high80"), numbers),
            _table(_COUNTIES, counties.select("county_code", "cases"), None, numbers),
        ],
        footer=[_INTERVALS],
        fan=None,
    )


def _page(
    forecast: CaseloadForecast,
    title: Bilingual,
    language: Language,
    *,
    loud: Sequence[Bilingual],
    notes: Sequence[Bilingual],
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
        "disclaimer": _both(SCORE_DISCLAIMER),
        "loud": [_both(each) for each in loud],
        "notes": [_both(each) for each in notes],
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
    return template.replace("__TITLE__", html.escape(title.text(language))).replace("__DATA__", text).encode()


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
    title: Bilingual, frame: pl.DataFrame, span: tuple[str, str, str] | None, numbers: Sequence[str] = ()
) -> dict[str, Any]:
    """Return a table for the page; ``span`` names the columns of its expected number and interval."""
    rows = [
        [_number(cell) if name in numbers else cell for name, cell in zip(frame.columns, row, strict=True)]
        for row in frame.iter_rows()
    ]
    columns = [
        {**_both(HEADERS[name]), "numeric": name in numbers or dtype.is_numeric()}
        for name, dtype in frame.schema.items()
    ]
    places = None if span is None else [frame.columns.index(name) for name in span]
    return {"title": _both(title), "columns": columns, "rows": rows, "span": places}


def _models(tried: pl.DataFrame) -> dict[str, Any]:
    """Return the table of what was tried; its words are both languages', since a table has no switch."""
    named = tried.with_columns(
        pl.col("level").replace({name: f"{label.zh} {label.en}" for name, label in _LEVELS.items()}),
        pl.col("model").replace({name: f"{label.zh} {label.en}" for name, label in MODELS.items()}),
        pl.col("wape").round(3),
        pl.col("weight").round(2),
    )
    return _table(_TRIED, named, None)


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


def _fan(observed: pl.DataFrame, own: pl.DataFrame) -> dict[str, Any] | None:
    """Return what the page draws: reports seen, and intervals ahead, by position of their month."""
    seen, ahead, every = shown_months(
        observed.select("month", "relapses"), own.filter(pl.col("quantity") == "relapses")
    )
    if not seen.height or not ahead.height:
        return None
    start = seen["month"][0].year * 12 + seen["month"][0].month - every
    end = ahead["month"][-1].year * 12 + ahead["month"][-1].month

    def place(month: Any) -> float:
        return float(month.year * 12 + month.month - start - (every + 1) / 2)

    return {
        "title": _both(TITLES[every]),
        "months": end - start,
        "every": every,
        "ticks": [
            [i, f"{(start + i) // 12}-{(start + i) % 12 + 1:02}"] for i in range(-start % 6, end - start, 6)
        ],
        "seen": [[place(month), n] for month, n in seen.select("month", "relapses").iter_rows()],
        "ahead": [
            {
                "at": place(row["month"]),
                "median": row["median"],
                "bounds": [row[name] for name in BOUND_COLUMNS],
            }
            for row in ahead.iter_rows(named=True)
        ],
    }
