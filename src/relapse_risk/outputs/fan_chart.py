"""Pictures of a forecast: what was seen by month with the intervals of what is forecast."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    from relapse_risk.outputs.chart import Chart

SEEN_MONTHS = 36
_COLOR = "#0072b2"
_SHADES = {95: 0.15, 80: 0.25, 50: 0.4}
_PLACE = (0.075, 0.23, 0.91, 0.68)
_SEEN = Bilingual("已发生", "observed")
_MEDIAN = Bilingual("中位数", "median")
_INTERVAL = Bilingual("区间", "interval")
_WAITING = Bilingual("尚未上报", "not reported yet")
TITLES = {
    1: Bilingual("每月新增返贫户数", "New relapses by month (households)"),
    3: Bilingual("每季度新增返贫户数", "New relapses by quarter (households)"),
    12: Bilingual("每年新增返贫户数", "New relapses by year (households)"),
}


def shown_months(observed: pl.DataFrame, forecast: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Return the months that have reports, seen and ahead, and how many months lie between two.

    Where reports come quarterly, the months between them have no cases to show.

    Parameters
    ----------
    observed : polars.DataFrame
        month, relapses.
    forecast : polars.DataFrame
        Of one place and quantity, as ``CaseloadForecast.table``; the row of the whole is left out.
    """
    busy = observed.filter(pl.col("relapses") > 0)["month"].dt.month().unique()
    is_busy = pl.col("month").dt.month().is_in(busy.implode()) if len(busy) else pl.lit(value=True)
    seen = observed.sort("month").tail(SEEN_MONTHS).filter(is_busy)
    ahead = forecast.filter(pl.col("month").is_not_null() & is_busy).sort("month")
    every = min((step for step in TITLES if 12 // step <= max(len(busy), 1)), default=12)
    return seen, ahead, every if len(busy) else 1


def fan_chart(observed: pl.DataFrame, forecast: pl.DataFrame, place: str, language: Language) -> Chart:
    """Return the chart of one place's new relapses: a dot for each report seen, a bar for each one ahead.

    Parameters
    ----------
    observed, forecast
        As in :func:`shown_months`.
    place : str
        Stands in the title.
    language : {"zh", "en"}
    """
    from relapse_risk.outputs.chart import chart

    seen, ahead, every = shown_months(observed, forecast)
    # A period stands over its middle, so that the first quarter is not read as April.
    middle = pl.col("month") - pl.duration(days=15 * every)
    days, past = (frame.select(middle)["month"].to_list() for frame in (ahead, seen))
    width = timedelta(days=round(21 * every))
    with chart(language, 8.0, 3.6) as (figure, axes, letters):
        for share, alpha in _SHADES.items():
            low, high = ahead[f"low{share}"].to_numpy(), ahead[f"high{share}"].to_numpy()
            axes.bar(
                days,
                high - low,
                width.days,
                bottom=low,
                color=_COLOR,
                alpha=alpha,
                linewidth=0,
                label=f"{share}% {letters.text(_INTERVAL)}",
            )
        medians = ahead["median"].to_list()
        left, right = ([day + side * width / 2 for day in days] for side in (-1, 1))
        axes.hlines(medians, left, right, color="#003a63", linewidth=1.5, label=letters.text(_MEDIAN))
        axes.plot(past, seen["relapses"].to_list(), "o-", color="black", markersize=4, linewidth=0.8,
                  label=letters.text(_SEEN))  # fmt: skip
        if past and days and (days[0] - past[-1]).days > 45 * every:
            start, stop = past[-1] + width * 0.7, days[0] - width * 0.7
            axes.axvspan(start, stop, color="#eeeeee", zorder=0)
            style = {"ha": "center", "va": "bottom", "fontsize": 7, "rotation": 90, "color": "#666666"}
            axes.text(start + (stop - start) / 2, 0, f" {letters.text(_WAITING)}", style)
        axes.set_ylim(bottom=0)
        axes.set_title(f"{letters.text(TITLES[every])}  {letters.legible(place, '')}".strip(), loc="left")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, -0.32), ncols=5, fontsize=8)
        # All these charts are alike: looking for a layout would draw each of them twice.
        figure.set_layout_engine("none")
        axes.set_position(_PLACE)
    return figure
