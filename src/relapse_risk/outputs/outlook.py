"""What a county may expect, for its page: new relapses of the next months by township, and the fan chart.

The forecast writes it as one file for all counties; the forecast's own page of a county and the county page
of a visit list show the same numbers from it. It holds small counts, and stays inside the county like them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from relapse_risk.errors import ConfigurationError
from relapse_risk.forecast.area import CaseloadForecast
from relapse_risk.forecast.caseload import BOUND_COLUMNS
from relapse_risk.outputs.fan_chart import TITLES, shown_months
from relapse_risk.outputs.manifest import MANIFEST_FILE

OUTLOOK_FILE = "outlook.json"
WARNING_ZH = "预警"
_KIND = "forecast"


@dataclass(frozen=True)
class Outlook:
    """The forecast of a folder, as county pages show it.

    Attributes
    ----------
    sha256 : str
        Of the file it was read from, for manifests.
    counties : mapping of str to mapping
        By code of the county, as :func:`county_outlook` made it.
    """

    sha256: str
    counties: Mapping[str, Mapping[str, Any]]


def county_outlook(forecast: CaseloadForecast, county: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return what the pages of one county show of its forecast, ready for JSON.

    Parameters
    ----------
    forecast : CaseloadForecast
    county : str
    names : mapping of str to str
        By code of a place.

    Returns
    -------
    dict
        ``code``, ``name``, ``from``, ``to``, ``spans`` in months, ``total`` and ``townships`` with mean and
        80% interval of each span, ``loud`` and ``notes`` in both languages, and ``fan``.
    """
    towns = forecast.places.filter(pl.col("county_code") == county)["township_code"].unique().sort()
    told = forecast.notes_of.get(county, ())
    spans = forecast.ahead["months_ahead"].unique().sort().to_list()

    def of_place(level: str, code: str) -> list[list[float]]:
        rows = forecast.ahead.filter(pl.col("level") == level, pl.col("code") == code).sort("months_ahead")
        return [
            [round(mean, 2), low, high] for mean, low, high in rows[["mean", "low80", "high80"]].iter_rows()
        ]

    return {
        "code": county,
        "name": names.get(county, county),
        "from": f"{forecast.months[0]:%Y-%m}",
        "to": f"{forecast.months[-1]:%Y-%m}",
        "spans": spans,
        "total": of_place("county", county),
        "townships": [
            {"code": town, "name": names.get(town, town), "ahead": of_place("township", town)}
            for town in towns
        ],
        "loud": [{"zh": note.zh, "en": note.en} for note in told if note.zh.startswith(WARNING_ZH)],
        "notes": [{"zh": note.zh, "en": note.en} for note in told if not note.zh.startswith(WARNING_ZH)],
        "fan": _fan(forecast, county),
    }


def _fan(forecast: CaseloadForecast, county: str) -> dict[str, Any] | None:
    """Return what a page draws: reports seen, and intervals ahead, by position of their month."""
    is_own = (pl.col("level") == "county") & (pl.col("code") == county) & (pl.col("quantity") == "relapses")
    observed = forecast.observed.filter(pl.col("county_code") == county).select("month", "relapses")
    seen, ahead, every = shown_months(observed, forecast.table.filter(is_own))
    if not seen.height or not ahead.height:
        return None
    start = seen["month"][0].year * 12 + seen["month"][0].month - every
    end = ahead["month"][-1].year * 12 + ahead["month"][-1].month

    def place(month: date) -> float:
        return float(month.year * 12 + month.month - start - (every + 1) / 2)

    def label(month: date) -> str:
        return f"{month:%Y-%m}" if every == 1 else f"{month.year}-{month.month - every + 1:02}–{month:%m}"

    return {
        "title": {"zh": TITLES[every].zh, "en": TITLES[every].en},
        "months": end - start,
        "every": every,
        "ticks": [
            [i, f"{(start + i) // 12}-{(start + i) % 12 + 1:02}"] for i in range(-start % 6, end - start, 6)
        ],
        "seen": [[place(month), n, label(month)] for month, n in seen.iter_rows()],
        "ahead": [
            {
                "at": place(row["month"]),
                "label": label(row["month"]),
                "median": row["median"],
                "bounds": [row[name] for name in BOUND_COLUMNS],
            }
            for row in ahead.iter_rows(named=True)
        ],
    }


def fan_script() -> str:
    """Return the script that draws the fan chart, for the pages that hold it."""
    return resources.files("relapse_risk.outputs").joinpath("fan.js").read_text(encoding="utf-8")


def read_outlook(folder: Path, as_of_date: date, store: Mapping[str, object]) -> Outlook:
    """Return the forecast that a folder holds, for the county pages of a list of the same day and data.

    Parameters
    ----------
    folder : Path
        That ``relapse-risk forecast`` wrote.
    as_of_date : date
        Of the list.
    store : mapping
        State of the store that the list is made from, as manifests name it.

    Raises
    ------
    ConfigurationError
        RR263 where the folder holds no forecast, or one of another day, of other data or of a what-if line.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
        content = (folder / OUTLOOK_FILE).read_bytes()
        if manifest["kind"] != _KIND:
            raise ValueError(manifest["kind"])
        made_of = manifest["as_of_date"], manifest["line"], manifest["inputs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _unfit(folder, "no forecast is there", "没有预测结果") from error
    day, line, inputs = made_of
    if day != str(as_of_date):
        raise _unfit(
            folder, f"a forecast as of {day}, not {as_of_date}", f"预测的截至日是 {day}，不是 {as_of_date}"
        )
    if line is not None:
        raise _unfit(folder, "a what-if forecast of another line", "是按假设监测线所作的测算")
    if inputs != store:
        raise _unfit(
            folder, "a forecast made from another state of the store", "预测所用数据与当前数据仓不一致"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest["files"][OUTLOOK_FILE]["sha256"]:
        raise _unfit(folder, f"{OUTLOOK_FILE} was changed since it was written", "预测文件被改动过")
    return Outlook(digest, json.loads(content))


def _unfit(folder: Path, found: str, zh: str) -> ConfigurationError:
    return ConfigurationError(
        "RR263",
        f"--forecast {folder}",
        found,
        "the folder of a forecast of the same store and as-of date",
        "Run relapse-risk forecast for that date, or leave --forecast out",
        zh=f"“{folder}”不能用于本期名单：{zh}；请按同一截至日重新运行 forecast，或去掉 --forecast。",
    )
