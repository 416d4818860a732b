"""Dates of the time contract: as-of dates, label windows, and rolling-origin splits with a gap.

Three dates are never mixed: when something happened (``event_date``, ``period_end``), when the system knew
it (``recorded_on``), and the last knowable day of a calculation (``as_of_date``, inclusive).
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from relapse_risk.errors import ConfigurationError


def month_index(day: date) -> int:
    """Return the number of whole months since year 0, so that months can be subtracted."""
    return day.year * 12 + day.month - 1


def month_end(index: int) -> date:
    """Return the last day of the month with this index.

    >>> month_end(month_index(date(2024, 2, 1)))
    datetime.date(2024, 2, 29)
    """
    year, month = divmod(index, 12)
    return date(year, month + 1, calendar.monthrange(year, month + 1)[1])


def add_months(day: date, months: int) -> date:
    """Return the day ``months`` later; the last day of a month stays the last day.

    >>> add_months(date(2024, 6, 30), 2), add_months(date(2024, 1, 31), 1)
    (datetime.date(2024, 8, 31), datetime.date(2024, 2, 29))
    """
    last = month_end(month_index(day) + months)
    if day == month_end(month_index(day)):
        return last
    return last.replace(day=min(day.day, last.day))


@dataclass(frozen=True, slots=True)
class LabelWindow:
    """``(as_of_date, as_of_date + horizon]``: the days in which an event counts."""

    as_of_date: date
    horizon_months: int

    @property
    def end(self) -> date:
        """Last day of the window, inclusive."""
        return add_months(self.as_of_date, self.horizon_months)


@dataclass(frozen=True, slots=True)
class OriginSplit:
    """One step of a rolling-origin backtest.

    Attributes
    ----------
    fit_origins : tuple of date
        As-of dates the model is fitted on.
    calibration_origins : tuple of date
        Later as-of dates the calibration is learnt on; may be empty.
    test_origins : tuple of date
        As-of dates the model is judged on. Every earlier label window has ended, and been reported,
        on or before the first of them.
    labels_known_on : date
        The last day on which a label used for fitting or calibration could have been recorded.
    """

    fit_origins: tuple[date, ...]
    calibration_origins: tuple[date, ...]
    test_origins: tuple[date, ...]
    labels_known_on: date


def origins_between(first: date, last: date, every_months: int) -> tuple[date, ...]:
    """Return as-of dates from ``first`` to ``last``, both inclusive, ``every_months`` apart."""
    if every_months < 1:
        raise ConfigurationError(
            "RR201", "every_months", f"found {every_months}", "1 or more", "Correct the experiment"
        )
    origins: list[date] = []
    while (origin := add_months(first, every_months * len(origins))) <= last:
        origins.append(origin)
    return tuple(origins)


def later_window(
    origins: Sequence[date], horizon_months: int, window_months: int
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """Return the origins whose label windows end before a later window begins, and those of the window.

    Parameters
    ----------
    origins : sequence of date
        Rising, at least one.
    horizon_months : int
    window_months : int
        The window holds the origins of the last so many months, the newest included.
    """
    start = add_months(origins[-1], -window_months)
    window = tuple(o for o in origins if o > start)
    return tuple(o for o in origins if add_months(o, horizon_months) <= window[0]), window


def split_origins(
    candidates: tuple[date, ...],
    test_origins: tuple[date, ...],
    horizon_months: int,
    *,
    gap_months: int,
    calibration_months: int,
    labels_known_on: date | None = None,
) -> OriginSplit:
    """Return which origins may be fitted and calibrated on before the first of ``test_origins``.

    Parameters
    ----------
    candidates : tuple of date
        All as-of dates that have enough history for features.
    test_origins : tuple of date
        The as-of dates to be judged.
    horizon_months : int
        Length of the label window.
    gap_months : int
        Reporting delay to leave between the end of the last label window and ``labels_known_on``.
    calibration_months : int
        Origins in the last ``calibration_months`` before the newest usable one are kept for the
        calibration; fit origins end a whole horizon before the first of them where that leaves any,
        so that no calibration label overlaps a fitting label. 0 keeps none.
    labels_known_on : date, optional
        When the labels are read; the first test origin where not given.

    Returns
    -------
    OriginSplit

    Raises
    ------
    ConfigurationError
        RR202 where no origin is left to fit on, or labels would be read after the first test origin.
    """
    known_on = labels_known_on or min(test_origins)
    if known_on > min(test_origins):
        raise ConfigurationError(
            "RR202",
            "labels_known_on",
            f"found {known_on}, after the first test origin {min(test_origins)}",
            "a day on or before the first test origin",
            "Move it back: a model may not learn from days it is tested on",
        )
    usable = tuple(o for o in sorted(candidates) if add_months(o, horizon_months + gap_months) <= known_on)
    calibration: tuple[date, ...] = ()
    fit = usable
    if calibration_months and usable:
        fit, calibration = later_window(usable, horizon_months, calibration_months)
    if not fit:
        raise ConfigurationError(
            "RR202",
            f"origins before {min(test_origins)}",
            f"none of {len(candidates)} leaves a label window of {horizon_months} months, a gap of "
            f"{gap_months} and a calibration window of {calibration_months}",
            "at least one as-of date to fit on",
            "Give a longer history, a shorter horizon, or a later test origin",
        )
    return OriginSplit(fit, calibration, tuple(sorted(test_origins)), known_on)
