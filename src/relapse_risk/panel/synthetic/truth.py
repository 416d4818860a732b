"""The truth of a synthetic county, kept apart from its panel: events, hazards and the best possible score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from relapse_risk.errors import ConfigurationError
from relapse_risk.panel.synthetic.state import State, is_failing
from relapse_risk.panel.synthetic.step import step
from relapse_risk.panel.synthetic.world import World
from relapse_risk.windows import month_end, month_index

HORIZONS_MONTHS = (3, 6, 12)
_ROWS_AT_ONCE = 24_000
_FILES = ("oracle", "hazard", "events", "status")


@dataclass(frozen=True)
class Truth:
    """What only the simulation knows. Nothing of it may reach a panel.

    An event is judged where labels judge it: at the end of each monitoring period, on true income. A
    household fails there if its true reference income of the last twelve months (net income plus claims
    minus own-pay, per head) is below the line in force, or if a guarantee does not hold. Households are named
    by the code they began with, in ``oracle`` by that in force on the as-of date.

    Attributes
    ----------
    oracle : polars.DataFrame
        ``household_id``, ``as_of_date``, ``horizon_months`` (3, 6, 12), ``risk``: share of simulated
        futures, given the household's complete state at the end of the last month that ended on or before
        the as-of date, in which it fails at some period end within the horizon. For a household that
        already fails it is the chance of being found failing (again or still). Futures hold births, deaths,
        marriages and moves as history does. Shifts of the scenario are known up to the as-of date, and
        thought to stay as they were then. Every household that was ever founded by then has a row.
    hazard : polars.DataFrame
        ``household_id``, ``month`` (first day of the last month of a period), ``hazard``: share of
        simulated futures in which the household fails at the end of the next period, given its complete
        state at the end of ``month``. Empty where no paths were asked for.
    events : polars.DataFrame
        ``household_id``, ``month`` (as above), ``outcome`` (income, schooling, medical_insurance, housing,
        water): one row per outcome that fails at this period end, for households that did not fail at the
        one before.
    status : polars.DataFrame
        ``household_id``, ``month``, ``ref_income_to_line`` (true, ratio), ``is_failing``: every household
        at every period end that has twelve simulated months behind it, all of which it lived through.
    """

    oracle: pl.DataFrame
    hazard: pl.DataFrame
    events: pl.DataFrame
    status: pl.DataFrame


def simulate_risk(
    state: State, world: World, month: int, horizons: Sequence[int], n_paths: int, seed: Sequence[int]
) -> NDArray[np.float64]:
    """Return the share of futures with a failure at a period end, by horizon.

    Parameters
    ----------
    state : State
        Of one path, at the end of ``month``; left as it is.
    horizons : sequence of int
        Months ahead, rising.
    n_paths : int
        Futures per household. Shocks of a village strike all its households on the same path.
    seed : sequence of int
        Futures depend on it alone, never on the realised history's later draws.

    Returns
    -------
    ndarray, shape (len(horizons), n_households)
        Higher means riskier; never falls with the horizon.
    """
    n, world = world.population.n, world.as_known_at(month)
    chunk = max(1, min(n_paths, _ROWS_AT_ONCE // n))
    counts = np.zeros((len(horizons), n))
    every = world.scenario.observation_months
    done = 0
    while done < n_paths:
        paths = min(chunk, n_paths - done)
        rng = np.random.Generator(np.random.SFC64([*seed, done]))
        future = state.repeat(paths)
        failed = np.zeros((paths, n), bool)
        for ahead in range(1, max(horizons) + 1):
            step(future, world, month + ahead, rng)
            if (month + ahead + 1) % every == 0:
                failed |= is_failing(future, world, month + ahead)
            if ahead in horizons:
                counts[horizons.index(ahead)] += failed.sum(axis=0)
        done += paths
    return counts / n_paths


def risk_frame(
    household_ids: pl.Series, as_of_date: date, risks: NDArray[np.float64], begun: NDArray[np.bool_]
) -> pl.DataFrame:
    """Return one as-of date's part of ``Truth.oracle``, for the households begun by then."""
    household_ids, risks = household_ids.filter(pl.Series(begun)), risks[:, begun]
    n, k = len(household_ids), len(HORIZONS_MONTHS)
    return pl.DataFrame(
        {
            "household_id": household_ids.gather(np.repeat(np.arange(n), k)),
            "as_of_date": pl.Series([as_of_date], dtype=pl.Date).new_from_index(0, n * k),
            "horizon_months": np.tile(np.array(HORIZONS_MONTHS), n),
            "risk": risks.T.ravel(),
        }
    )


def last_month_ended(day: date) -> int:
    """Return the index of the last month that ended on or before ``day``.

    >>> last_month_ended(date(2024, 3, 31)) - last_month_ended(date(2024, 3, 30))
    1
    """
    index = month_index(day)
    return index if day == month_end(index) else index - 1


def write_truth(truth: Truth, folder: Path) -> list[Path]:
    """Write the truth as Parquet files into ``folder`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.parquet" for name in _FILES]
    for name, path in zip(_FILES, paths, strict=True):
        frame: pl.DataFrame = getattr(truth, name)
        frame.write_parquet(path)
    return paths


def read_truth(folder: Path) -> Truth:
    """Read what :func:`write_truth` wrote.

    Raises
    ------
    ConfigurationError
        RR222 where a file is missing.
    """
    missing = [f"{name}.parquet" for name in _FILES if not (folder / f"{name}.parquet").is_file()]
    if missing:
        raise ConfigurationError(
            "RR222",
            str(folder),
            f"no {', '.join(missing)}",
            "the truth/ folder that `simulate` writes",
            "Give the folder truth/ beside the raw exports",
        )
    return Truth(**{name: pl.read_parquet(folder / f"{name}.parquet") for name in _FILES})
