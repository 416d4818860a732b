"""The as-of dates of an experiment: as listed, or as far as the panel's history and label windows go."""

from __future__ import annotations

from datetime import date

import polars as pl

from relapse_risk.config import Experiment, OriginConfig
from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.panel.panel import Panel
from relapse_risk.windows import OriginSplit, add_months, month_end, month_index, split_origins


def training_origins(panel: Panel, experiment: Experiment, known_on: date | None = None) -> tuple[date, ...]:
    """Return the as-of dates a model may be trained on, once their labels are mature.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
        Its ``training_origins``. Where nothing is listed, dates start ``history_months`` after the first
        household was recorded, run on every ``every_months``, and stand at the end of a reporting period:
        a window that starts within one is never wholly observed.
    known_on : date, optional
        Periods are those reported by then; the day the last row was recorded where not given.

    Returns
    -------
    tuple of date
        Rising; those whose label window goes beyond the last reported period are left out.

    Raises
    ------
    ContractError
        RR453 where the panel holds no household or no reported period.
    """
    return _origins(panel, experiment.training_origins, experiment.label.horizon_months, known_on)


def judged_origins(panel: Panel, experiment: Experiment) -> tuple[date, ...]:
    """Return the as-of dates of the backtest, on each of which a model can be trained before it is judged.

    Parameters
    ----------
    panel : Panel
    experiment : Experiment
        Its ``evaluation.origins``; dates listed there are taken as they are.

    Returns
    -------
    tuple of date
        Rising.

    Raises
    ------
    ContractError
        RR453 where the panel holds no household or no reported period.
    ConfigurationError
        RR454 where no date leaves history to train on and a window to judge.
    """
    listed = experiment.evaluation.origins.dates
    if listed:
        return tuple(sorted(set(listed)))
    possible = _origins(panel, experiment.evaluation.origins, experiment.label.horizon_months)
    judged = tuple(origin for origin in possible if _can_train(panel, origin, experiment))
    if not judged:
        first, last = _reported(panel)
        raise ConfigurationError(
            "RR454",
            "backtest origins",
            f"none of {len(possible)} dates in a panel reported from {first} to {last} leaves a training "
            f"history and a whole label window of {experiment.label.horizon_months} months",
            "at least one date",
            "Give a longer history, a shorter horizon, or fewer history_months",
            zh="数据的时间跨度不足以回测，请提供更长的历史数据或缩短预测期。",
        )
    return judged


def split_before(panel: Panel, judged: tuple[date, ...], experiment: Experiment) -> OriginSplit:
    """Return what may be trained on before the first of ``judged``, by what was known on that day.

    Raises
    ------
    ContractError
        RR302 or RR453 where no household, or no reported period, was known then.
    ConfigurationError
        RR202 where nothing may.
    """
    known_on = experiment.evaluation.labels_known_on or min(judged)
    return split_origins(
        training_origins(panel, experiment, known_on),
        judged,
        experiment.label.horizon_months,
        gap_months=experiment.evaluation.gap_months,
        calibration_months=experiment.calibration.window_months,
        labels_known_on=experiment.evaluation.labels_known_on,
    )


def _can_train(panel: Panel, origin: date, experiment: Experiment) -> bool:
    try:
        split_before(panel, (origin,), experiment)
    except (ConfigurationError, ContractError):
        return False
    return True


def _origins(
    panel: Panel, config: OriginConfig, horizon_months: int, known_on: date | None = None
) -> tuple[date, ...]:
    if config.dates:
        return tuple(sorted(set(config.dates)))
    ends = _period_ends(panel, known_on)
    last = config.last or ends[-1]
    first = config.first or _first_with_history(panel, ends, config.history_months)
    months_of_year = {end.month for end in ends}
    origins: list[date] = []
    for step in range(0, max(0, month_index(last) - month_index(first)) + 1, config.every_months):
        origin = add_months(first, step)
        is_mature = add_months(origin, horizon_months) <= ends[-1]
        if origin <= last and is_mature and (config.first or origin.month in months_of_year):
            origins.append(origin)
    return tuple(origins)


def _first_with_history(panel: Panel, ends: list[date], history_months: int) -> date:
    """Return the first period end with ``history_months`` of data before it; the last one where none has."""
    start = panel.first_recorded_on or ends[0]
    enough = month_end(month_index(start) + history_months)
    return next((end for end in ends if end >= enough), ends[-1])


def _reported(panel: Panel) -> tuple[date, date]:
    ends = _period_ends(panel)
    return ends[0], ends[-1]


def _period_ends(panel: Panel, known_on: date | None = None) -> list[date]:
    """Return the last days of the months in which a period reported by ``known_on`` ends, rising."""
    last_day = panel.last_recorded_on
    day = last_day if known_on is None else known_on
    frame = None if last_day is None or day is None else panel.known_at(day).table("observation")
    if frame is None or frame.is_empty():
        raise ContractError(
            "RR453",
            "panel",
            "no reported period (table observation)",
            "monitoring records over some years",
            "Ingest the monitoring records (监测记录) first",
            zh="没有监测记录，无法训练或回测，请先导入监测记录表。",
        )
    ends: list[date] = frame.select(pl.col("period_end").dt.month_end().unique().sort())[
        "period_end"
    ].to_list()
    return ends
