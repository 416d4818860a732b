"""What a what-if changes: parameters and their values, checked against those in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from difflib import get_close_matches

import numpy as np

from relapse_risk.errors import ConfigurationError
from relapse_risk.rules.spec import COUNTY_PARAMETERS, Rule, parameter_unit
from relapse_risk.thresholds import Threshold, ThresholdTable
from relapse_risk.vocabulary import Unit

MOST_STEPS = 200
SOURCE = "what-if"

# A yuan amount this many times above or below the one in force is taken for another unit (万元, a month).
_YUAN_FACTOR = 4.0
_YUAN_RANGE = (500.0, 100_000.0)
_RANGES = {
    Unit.SHARE: (0.0, 1.0),
    Unit.RATIO: (0.01, 10.0),
    Unit.DAYS: (0.0, 3660.0),
    Unit.MONTHS: (0.0, 120.0),
    Unit.YEARS: (0.0, 120.0),
    Unit.COUNT: (0.0, 1000.0),
}


@dataclass(frozen=True)
class Settings:
    """What ``--set`` asks for: one value a parameter, and at most one parameter with a run of values."""

    values: Mapping[str, float]
    curve: tuple[str, tuple[float, ...]] | None = None


def parse_settings(texts: Sequence[str], option: str = "--set") -> Settings:
    """Return the settings of ``PARAM=VALUE`` or ``PARAM=FROM:TO:STEP`` (both ends included).

    Raises
    ------
    ConfigurationError
        RR241 where a setting can't be read, RR242 where there are two runs of values or too many steps.

    Examples
    --------
    >>> parse_settings(["R05.ratio=0.7", "line=7000:7200:100"])
    Settings(values={'R05.ratio': 0.7}, curve=('line', (7000.0, 7100.0, 7200.0)))
    """
    values: dict[str, float] = {}
    curves: dict[str, tuple[float, ...]] = {}
    for text in texts:
        name, _, given = text.partition("=")
        try:
            numbers = [float(part) for part in given.split(":")]
        except ValueError:
            numbers = []
        if not name or len(numbers) not in (1, 3) or not np.isfinite(numbers).all():
            raise ConfigurationError(
                "RR241",
                f"{option} {text}",
                "not a setting",
                "PARAM=VALUE such as line=7500, or PARAM=FROM:TO:STEP such as line=7000:8000:100",
                "Write plain numbers: a share of 70% is 0.7",
                zh=f"“{text}”无法识别，应写作 line=7500 或 line=7000:8000:100。",
            )
        if len(numbers) == 1:
            values[name] = numbers[0]
        else:
            curves[name] = _steps(text, *numbers)
    if len(curves) > 1:
        raise ConfigurationError(
            "RR242",
            f"--set {', '.join(curves)}",
            f"{len(curves)} parameters with a run of values",
            "one; the others with one value each",
            "Run it once for each",
        )
    return Settings(values, next(iter(curves.items()), None))


def _steps(text: str, first: float, last: float, step: float) -> tuple[float, ...]:
    n = int(np.floor((last - first) / step + 1e-9)) + 1 if step > 0 else 0
    if not 2 <= n <= MOST_STEPS:
        raise ConfigurationError(
            "RR242",
            f"--set {text}",
            f"{max(n, 0)} values",
            f"2 to {MOST_STEPS} values from the smaller to the larger",
            "Choose another step",
        )
    return tuple(round(first + i * step, 10) for i in range(n))


def laid_over(
    values: Mapping[str, float],
    in_force: ThresholdTable,
    counties: Sequence[str],
    as_of_date: date,
    rules: Sequence[Rule],
) -> tuple[Threshold, ...]:
    """Return the rows of a what-if: each stands in for the row in force, over the same span of days.

    A line of 2024 is so replaced for 2024 only, and windows that reach back read the lines of those years.

    Parameters
    ----------
    values : mapping of str to float
        Parameter to value, in the parameter's own unit.
    in_force : ThresholdTable
        As known on the as-of date, the county's own rows included.
    counties : sequence of str
    as_of_date : date
    rules : sequence of Rule

    Raises
    ------
    ConfigurationError
        RR243 where there is no such parameter, RR244 where a value is out of range.
    """
    known = sorted({*in_force.params, *(name for rule in rules for name in rule.all_parameters)})
    rows = []
    for param, value in values.items():
        if param not in known:
            raise _unknown(param, known)
        for county in counties:
            now = in_force.in_force(param, county, as_of_date) or _nothing(param, as_of_date)
            _check_range(param, value, now.value)
            rows.append(replace(now, area=county, value=value, source=SOURCE, verified=False))
    return tuple(rows)


def _nothing(param: str, as_of_date: date) -> Threshold:
    unit = parameter_unit(param).value.zh
    return Threshold(param, "", None, unit, as_of_date, date.max, SOURCE, verified=False)


def _unknown(param: str, known: Sequence[str]) -> ConfigurationError:
    close = get_close_matches(param, known, n=3, cutoff=0.4) or [
        name for name in known if name.split(".")[0].lower() == param.split(".")[0].lower()
    ]
    hint = f", such as {', '.join(close)}" if close else ""
    return ConfigurationError(
        "RR243",
        f"--set {param}",
        "there is no such parameter",
        f"one of {len(known)} parameters{hint}",
        "Correct the name; relapse-risk rules list --json shows the parameters of each rule",
        zh=f"没有参数“{param}”" + (f"，是否指 {'、'.join(close)}？" if close else "。"),
    )


def _check_range(param: str, value: float, now: float | None) -> None:
    unit = parameter_unit(param)
    low, high = _RANGES.get(unit, _YUAN_RANGE)
    if unit in (Unit.YUAN, Unit.YUAN_PER_PERSON_YEAR) and now:
        low, high = now / _YUAN_FACTOR, now * _YUAN_FACTOR
    is_whole = unit not in (Unit.DAYS, Unit.MONTHS, Unit.YEARS, Unit.COUNT) or value == int(value)
    if low <= value <= high and is_whole:
        return
    name = COUNTY_PARAMETERS[param].en if param in COUNTY_PARAMETERS else param
    stands = "" if now is None else f" ({now:g} is in force)"
    unit_zh, unit_en = unit.value.zh, unit.value.en
    remedy = (
        "Give the amount in yuan, a year's where the parameter is a year's: not 万元, not a month's"
        if unit is Unit.YUAN
        else "Write 0.7 for 70%"
        if unit in (Unit.SHARE, Unit.RATIO)
        else "Correct the value"
    )
    raise ConfigurationError(
        "RR244",
        f"--set {param}={value:g}",
        f"not a value for {name}{stands}",
        f"{low:g} to {high:g}, in {unit_en}",
        remedy,
        zh=f"{param}={value:g} 超出合理范围（{low:g}—{high:g}{unit_zh}），请检查单位。",
    )
