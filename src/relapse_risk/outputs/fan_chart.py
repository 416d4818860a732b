"""A fan chart: what was seen by month, and the intervals of what is forecast."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from relapse_risk.vocabulary import Bilingual, Language

if TYPE_CHECKING:
    from relapse_risk.outputs.chart import Chart

_SEEN_MONTHS = 36
_COLOR = "#0072b2"
_SHADES = {95: 0.15, 80: 0.25, 50: 0.4}
_SEEN = Bilingual("已发生", "observed")
_MEDIAN = Bilingual("中位数", "median")
_INTERVAL = Bilingual("区间", "interval")
_TITLE = Bilingual("每月新增返贫户数", "New relapses by month (households)")


def fan_chart(observed: pl.DataFrame, forecast: pl.DataFrame, place: str, language: Language) -> Chart:
    """Return the chart of one place's new relapses.

    Parameters
    ----------
    observed : polars.DataFrame
        month, relapses.
    forecast : polars.DataFrame
        Of one place and quantity, as ``CaseloadForecast.table``; the row of the whole is left out.
    place : str
        Stands in the title.
    language : {"zh", "en"}
    """
    from relapse_risk.outputs.chart import chart

    # Where reports come quarterly, the months between them have no cases to show.
    busy = observed.filter(pl.col("relapses") > 0)["month"].dt.month().unique()
    is_busy = pl.col("month").dt.month().is_in(busy.implode()) if len(busy) else pl.lit(value=True)
    seen = observed.sort("month").tail(_SEEN_MONTHS).filter(is_busy)
    ahead = forecast.filter(pl.col("month").is_not_null() & is_busy).sort("month")
    with chart(language, 8.0, 3.6) as (figure, axes, letters):
        days = ahead["month"].to_list()
        for share, alpha in _SHADES.items():
            axes.fill_between(
                days,
                ahead[f"low{share}"].to_list(),
                ahead[f"high{share}"].to_list(),
                color=_COLOR,
                alpha=alpha,
                linewidth=0,
                label=f"{share}% {letters.text(_INTERVAL)}",
            )
        axes.plot(days, ahead["median"].to_list(), color=_COLOR, label=letters.text(_MEDIAN))
        axes.plot(
            seen["month"].to_list(), seen["relapses"].to_list(), color="black", label=letters.text(_SEEN)
        )
        axes.set_ylim(bottom=0)
        axes.set_title(f"{letters.text(_TITLE)}  {place}".strip(), loc="left")
        axes.grid(axis="y")
        axes.legend(loc="upper left", ncols=5, fontsize=8)
    return figure
