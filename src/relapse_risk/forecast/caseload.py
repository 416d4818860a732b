"""The caseload forecast of one county: means from hazards and history, sample paths, and their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.forecast.bottom_up import RiskLevel, RiskSums, expected_cases, risk_level
from relapse_risk.forecast.choose import Cases, Choice, choose_models, reconciled
from relapse_risk.forecast.combine import Combination, Judged, combine
from relapse_risk.forecast.history import CaseHistory
from relapse_risk.forecast.paths import Paths, sample_paths, sum_groups
from relapse_risk.forecast.series import at_present
from relapse_risk.forecast.surprise import Surprise, warnings_of
from relapse_risk.vocabulary import Bilingual
from relapse_risk.welfare import last_complete_month
from relapse_risk.windows import month_end

Array = NDArray[np.float64]
INTERVALS = (50, 80, 95)
LONGEST_MONTHS = 12
# Plans are made for so many months.
SPANS_MONTHS = (3, 6, 12)
SHORT_MONTHS = 24
FAR_BEHIND_MONTHS = 6
QUANTITIES = ("relapses", "entries", "clearances", "stock", "visits", "funds_yuan")
_QUANTILES = tuple(q for share in INTERVALS for q in ((100 - share) / 200, (100 + share) / 200))
BOUND_COLUMNS = tuple(f"{end}{share}" for share in INTERVALS for end in ("low", "high"))


@dataclass(frozen=True)
class ForecastSettings:
    """How a forecast is made.

    Attributes
    ----------
    months : int
        1 to 12.
    draws : int
        Sample paths.
    seed : int
    hazard_weight : float or None
        Share of the household risks in the mean at every level; chosen by earlier origins where None.
    """

    months: int = 12
    draws: int = 500
    seed: int = 0
    hazard_weight: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.months <= LONGEST_MONTHS:
            raise ConfigurationError(
                "RR261",
                "--months",
                f"found {self.months}",
                f"1 to {LONGEST_MONTHS}",
                "Correct the option: risks are not known beyond a year",
                zh=f"--months 只能是 1 到 {LONGEST_MONTHS} 个月。",
            )


@dataclass(frozen=True)
class CountyForecast:
    """Sample paths of a county's counts.

    Attributes
    ----------
    history : CaseHistory
    months : tuple of date
        Last day of each month forecast.
    paths : mapping of str to ndarray, shape (draws, n_villages, months)
        By quantity: ``relapses`` and ``visits``, with a register ``entries``, ``clearances`` and ``stock``,
        with a cost ``funds_yuan``.
    choice : Choice
        Of the time series.
    combination : Combination or None
        Of household risks and time series; None without a model.
    level : RiskLevel
        By which the household risks were corrected.
    sources : tuple of str
        What the mean is made from: ``hazards``, ``time_series``.
    notes : tuple of Bilingual
        What a reader should know: a short history, a gap in it.
    surprises : tuple of Surprise
        Last months unlike what was forecast of them.
    """

    history: CaseHistory
    months: tuple[date, ...]
    paths: dict[str, NDArray[Any]]
    choice: Choice
    combination: Combination | None
    level: RiskLevel
    sources: tuple[str, ...]
    notes: tuple[Bilingual, ...]
    surprises: tuple[Surprise, ...]

    def __repr__(self) -> str:
        return f"CountyForecast({self.history.villages.height} villages, {len(self.months)} months)"

    @property
    def county_code(self) -> str:
        """Code of the county."""
        return str(self.history.villages["county_code"][0])

    def table(self, level: str) -> pl.DataFrame:
        """Return mean, median and intervals by place of a level, quantity and month.

        Parameters
        ----------
        level : {"village", "township", "county"}

        Returns
        -------
        polars.DataFrame
            level, code, quantity, month (the month's last day; null for the whole period), mean, median and
            the bounds of the 50%, 80% and 95% intervals. The stock has no whole: the month counts.
        """
        codes, group = places(self.history.villages, level)
        parts = []
        for quantity, paths in self.paths.items():
            summed = sum_groups(paths, group, len(codes))
            parts.append(summarise(summed, codes, level, quantity, self.months))
        return pl.concat(parts)

    def ahead(self, level: str) -> pl.DataFrame:
        """Return the new relapses of the next 3, 6 and 12 months by place of a level.

        Parameters
        ----------
        level : {"village", "township", "county"}

        Returns
        -------
        polars.DataFrame
            As :func:`summarise_ahead`.
        """
        codes, group = places(self.history.villages, level)
        return summarise_ahead(sum_groups(self.paths["relapses"], group, len(codes)), codes, level)


def places(villages: pl.DataFrame, level: str) -> tuple[list[str], NDArray[np.int64]]:
    """Return the codes of a level, sorted, and the position of each village's place in them."""
    column = villages[f"{level}_code"]
    codes = column.unique().sort()
    position = pl.DataFrame({"code": codes}).with_row_index("place")
    joined = pl.DataFrame({"code": column}).join(position, on="code", how="left", maintain_order="left")
    return codes.to_list(), joined["place"].cast(pl.Int64).to_numpy()


def summarise(
    paths: NDArray[np.int64], codes: list[str], level: str, quantity: str, months: tuple[date, ...]
) -> pl.DataFrame:
    """Return mean, median and intervals of paths, shape ``(draws, n_places, n_months)``, and of their sums.

    Bounds are counts that a path took, so they are whole numbers.
    """
    spans: list[date | None] = list(months)
    values = paths
    if quantity != "stock":
        values = np.concatenate([paths, paths.sum(axis=2, keepdims=True)], axis=2)
        spans.append(None)
    keys = {
        "level": pl.repeat(level, len(codes) * len(spans), eager=True),
        "code": pl.Series([code for code in codes for _ in spans], dtype=pl.String),
        "quantity": pl.repeat(quantity, len(codes) * len(spans), eager=True),
        "month": pl.Series(spans * len(codes), dtype=pl.Date),
    }
    return pl.DataFrame(keys | _mean_and_bounds(values))


def summarise_ahead(paths: NDArray[np.int64], codes: list[str], level: str) -> pl.DataFrame:
    """Return mean, median and intervals of what the next 3, 6 and 12 months bring together.

    Parameters
    ----------
    paths : ndarray, shape (draws, n_places, n_months)

    Returns
    -------
    polars.DataFrame
        level, code, months_ahead, and the columns of :func:`summarise`. Spans that are longer than the paths
        are left out for one of all their months.
    """
    spans = sorted({min(span, paths.shape[2]) for span in SPANS_MONTHS})
    together = np.cumsum(paths, axis=2, dtype=np.int64)[:, :, np.array(spans) - 1]
    keys = {
        "level": pl.repeat(level, len(codes) * len(spans), eager=True),
        "code": pl.Series([code for code in codes for _ in spans], dtype=pl.String),
        "months_ahead": pl.Series(spans * len(codes), dtype=pl.Int64),
    }
    return pl.DataFrame(keys | _mean_and_bounds(together))


def _mean_and_bounds(values: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Return the columns mean, median and bounds over draws, the first axis, of all else in one row."""
    # Sorting each place and month in one piece of memory takes a tenth of the time of np.quantile.
    ordered = np.sort(np.ascontiguousarray(values.reshape(len(values), -1).T), axis=1)
    ranks = [max(int(np.ceil(q * len(values))) - 1, 0) for q in (0.5, *_QUANTILES)]
    bounds = ordered[:, ranks].T.astype(np.int64)
    columns = dict(zip(("median", *BOUND_COLUMNS), bounds, strict=True))
    return {"mean": values.mean(axis=0).ravel(), **columns}


def present_cases(history: CaseHistory) -> Cases:
    """Return the new relapses of a history, as if the households that report now had always reported."""
    counts, exposed = at_present(
        history.relapses.astype(np.float64),
        history.exposed.sum(axis=0, keepdims=True, dtype=np.float64),
        history.gaps,
    )
    return Cases(counts, exposed[0], history.first_month, places(history.villages, "township")[1])


def forecast_caseload(
    history: CaseHistory,
    settings: ForecastSettings,
    risks: RiskSums | None = None,
    before: Sequence[RiskSums] = (),
    earlier: Sequence[RiskSums] = (),
    yuan_per_case: float | None = None,
) -> CountyForecast:
    """Return the sample paths of a county.

    Parameters
    ----------
    history : CaseHistory
        Of one county.
    settings : ForecastSettings
    risks : RiskSums, optional
        Of the model; the time series alone where not given.
    before : sequence of RiskSums
        Of the same model on dates before (:func:`~relapse_risk.forecast.bottom_up.level_dates`), from which
        its level is corrected.
    earlier : sequence of RiskSums
        Of models as they were at earlier dates, from which the weight of the risks is learned.
    yuan_per_case : float, optional
        What a new relapse costs; no funds are forecast where not given.

    Raises
    ------
    ContractError
        RR373 where the history is of more than one county.
    """
    if history.villages["county_code"].n_unique() != 1:
        raise ContractError(
            "RR373",
            "forecast",
            f"{history.villages['county_code'].n_unique()} counties in one history",
            "one county at a time",
            "Read the history of each county by itself",
        )
    origin = last_complete_month(history.as_of_date)
    skip, steps = origin - history.last_month, settings.months
    cases = present_cases(history)
    choice = choose_models(cases, skip, steps)
    level = risk_level(before, history, cases.season)
    mean, combination = _mean(history, cases, choice, settings, risks, level, earlier)
    sources = ("time_series",) if risks is None else ("hazards", "time_series")
    county = str(history.villages["county_code"][0])
    paths: dict[str, NDArray[Any]] = {
        "relapses": sample_paths(mean, choice.spread, county, settings.draws, settings.seed)
    }
    if history.has_register:
        paths |= _register_paths(history, cases.township_of, county, settings)
    # One visit to verify each new relapse, one a month to each household on the register.
    paths["visits"] = paths["relapses"] + paths.get("stock", 0)
    if yuan_per_case is not None:
        paths["funds_yuan"] = np.rint(paths["relapses"] * yuan_per_case).astype(np.int64)
    found = warnings_of(cases, history.setbacks, origin, county)
    months = tuple(month_end(origin + 1 + step) for step in range(steps))
    return CountyForecast(history, months, paths, choice, combination, level, sources, _notes(history), found)


def _mean(
    history: CaseHistory,
    cases: Cases,
    choice: Choice,
    settings: ForecastSettings,
    risks: RiskSums | None,
    level: RiskLevel,
    earlier: Sequence[RiskSums],
) -> tuple[Array, Combination | None]:
    """Return the expected new relapses by village and month, and how much of them is of household risks."""
    steps = settings.months
    skip = last_complete_month(history.as_of_date) - history.last_month
    if risks is None:
        return reconciled(cases, choice, skip, steps), None
    from_risks = level.ratio * expected_cases(risks, history, cases.season, steps)
    judged = []
    for one in earlier:
        origin = last_complete_month(one.as_of_date)
        season = cases.until(origin + 1 - skip - history.first_month).season
        judged.append(Judged(origin, expected_cases(one, history, season, steps)))
    combination = combine(cases, choice, judged, skip, steps)
    if settings.hazard_weight is not None:
        weights = dict.fromkeys(combination.weights, settings.hazard_weight)
        combination = replace(combination, weights=weights)
    return reconciled(cases, choice, skip, steps, (combination.weights, from_risks)), combination


def _register_paths(
    history: CaseHistory, township_of: NDArray[np.int64], county: str, settings: ForecastSettings
) -> dict[str, Paths]:
    """Return entries, clearances and the stock at each month's end; the stock never falls below 0."""
    entries = history.entries.astype(np.float64)
    first = last_complete_month(history.as_of_date) + 1 - entries.shape[1]
    cases = Cases(entries, np.ones(entries.shape[1]), first, township_of)
    choice = choose_models(cases, 0, settings.months)
    mean = reconciled(cases, choice, 0, settings.months)
    entered = sample_paths(mean, choice.spread, f"{county}/entries", settings.draws, settings.seed)
    chance = _clearance_chance(history)
    own = np.random.default_rng([settings.seed, 2, *county.encode()])
    # The chance of clearance is itself known only from so many clearances.
    cleared_so_far = history.clearances[:, -12:].sum()
    chances = np.clip(chance * own.gamma(cleared_so_far + 1, 1 / (cleared_so_far + 1), settings.draws), 0, 1)
    stock = np.broadcast_to(history.stock, (settings.draws, len(history.stock))).copy()
    cleared, stocks = np.zeros_like(entered), np.zeros_like(entered)
    for month in range(settings.months):
        cleared[:, :, month] = own.binomial(stock, chances[:, None])
        stock = stock - cleared[:, :, month] + entered[:, :, month]
        stocks[:, :, month] = stock
    return {"entries": entered, "clearances": cleared, "stock": stocks}


def _clearance_chance(history: CaseHistory) -> float:
    """Return the monthly chance that a household on the register is cleared, over the last year."""
    entered, cleared = (part[:, -12:].sum(axis=0) for part in (history.entries, history.clearances))
    later = np.cumsum((entered - cleared)[::-1])[::-1]
    stock = np.maximum(history.stock.sum() - later, 0)
    exposure = stock.sum()
    return float(min(cleared.sum() / exposure, 1.0)) if exposure > 0 else 0.0


def _notes(history: CaseHistory) -> tuple[Bilingual, ...]:
    n, gaps = history.relapses.shape[1], int(history.gaps.sum())
    notes = []
    if n < SHORT_MONTHS:
        notes.append(
            Bilingual(
                f"可用历史只有 {n} 个月，不足 {SHORT_MONTHS} 个月：季节和模型选择没有依据，区间仅供参考。",
                f"Only {n} months of history, fewer than {SHORT_MONTHS}: season and models could not be "
                "judged; take the intervals with care.",
            )
        )
    behind = last_complete_month(history.as_of_date) - history.last_month
    if behind >= FAR_BEHIND_MONTHS:
        last = month_end(history.last_month)
        notes.append(
            Bilingual(
                f"可判断的上报只到 {last:%Y-%m}，距截至日 {behind} 个月，预测由更早的情况推出。",
                f"What is known ends in {last:%Y-%m}, {behind} months before the date; "
                "the forecast is made from what was before.",
            )
        )
    if gaps:
        notes.append(
            Bilingual(
                f"有 {gaps} 个月上报户数不足平时一半，按其他年份同月平均补齐。",
                f"{gaps} months were reported for less than half as many households as usual; "
                "the mean of the same months of other years stands in.",
            )
        )
    return tuple(notes)
