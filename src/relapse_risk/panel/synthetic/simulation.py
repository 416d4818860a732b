"""From a scenario to a county: lives lived once, seen table by table, with the truth apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from relapse_risk.errors import ConfigurationError
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic.administration import administer
from relapse_risk.panel.synthetic.assistance import record_measures, record_visits
from relapse_risk.panel.synthetic.county import count_by_month, list_contacts, list_thresholds
from relapse_risk.panel.synthetic.events import Events
from relapse_risk.panel.synthetic.history import Progress, live_through
from relapse_risk.panel.synthetic.observe import observe
from relapse_risk.panel.synthetic.people import People
from relapse_risk.panel.synthetic.population import draw_population
from relapse_risk.panel.synthetic.register import POOR, keep_register
from relapse_risk.panel.synthetic.scenario import Scenario
from relapse_risk.panel.synthetic.scene import Scene, household_codes
from relapse_risk.panel.synthetic.snapshots import overdue_loans, snapshot_households
from relapse_risk.panel.synthetic.truth import Truth
from relapse_risk.panel.synthetic.world import World
from relapse_risk.panel.tables import TABLES
from relapse_risk.windows import month_end, month_index


@dataclass(frozen=True)
class SyntheticCounty:
    """What a synthetic county's systems hold, and apart from it the truth.

    Attributes
    ----------
    tables : dict of str to polars.DataFrame
        Canonical tables with all their versions; no row is there twice.
    contacts : polars.DataFrame
        Table ``contact``, with placeholders for names and numbers.
    truth : Truth
    """

    scenario: Scenario
    seed: int
    tables: dict[str, pl.DataFrame]
    contacts: pl.DataFrame
    truth: Truth

    def panel(self) -> Panel:
        """Return the tables as a trusted panel, without the way through files."""
        return Panel(dict(self.tables), provenance={"synthetic": self.scenario.name, "seed": self.seed})


def default_oracle_dates(scenario: Scenario, months: int) -> tuple[date, ...]:
    """Return the quarter ends of the last third of the simulated months.

    >>> default_oracle_dates(Scenario(), 72)[0]
    datetime.date(2023, 3, 31)
    """
    start = month_index(scenario.start)
    last_third = range(start + months - months // 3, start + months)
    return tuple(month_end(month) for month in last_third if (month + 1) % 3 == 0)


def simulate(
    households: int = 5000,
    months: int = 72,
    scenario: Scenario | None = None,
    seed: int = 0,
    *,
    oracle_dates: Sequence[date] | None = None,
    n_paths: int = 200,
    hazard_paths: int = 40,
    on_progress: Progress | None = None,
) -> SyntheticCounty:
    """Return a synthetic county of ``households`` households over ``months`` months, with its truth.

    Parameters
    ----------
    households : int
        At least 1.
    months : int
        From ``scenario.start`` on; at least one monitoring period.
    scenario : Scenario, optional
        ``hebei_like`` where not given.
    seed : int
        The same seed gives the same bytes.
    oracle_dates : sequence of date, optional
        As-of dates of ``truth.oracle``; by default the quarter ends of the last third of the months.
    n_paths : int
        Simulated futures per household and as-of date.
    hazard_paths : int
        Simulated futures per household and period for ``truth.hazard``; 0 leaves it empty.
    on_progress : callable, optional
        Called with a stage's name, what is done and what there is to do.

    Raises
    ------
    ConfigurationError
        RR223 where nothing is left to simulate.

    Examples
    --------
    >>> county = simulate(households=60, months=15, n_paths=4, hazard_paths=0)
    >>> county.tables["observation"]["period_end"].n_unique()
    5
    """
    scenario = scenario or Scenario()
    _check_size(households, months, scenario)
    population = draw_population(households, scenario, np.random.Generator(np.random.SFC64([seed, 99])))
    household_ids = household_codes(population.villages, population.village)
    dates = default_oracle_dates(scenario, months) if oracle_dates is None else oracle_dates
    history, truth = live_through(
        World(population, scenario),
        months,
        seed,
        household_ids,
        oracle_dates=dates,
        n_paths=n_paths,
        hazard_paths=hazard_paths,
        on_progress=on_progress,
    )
    scene = Scene(World(population, scenario), history, household_ids, months, seed)
    tables, contacts, truth = administer(scene, _write_down(scene), list_contacts(scene), truth)
    return SyntheticCounty(scenario, seed, tables, contacts, truth)


def _check_size(households: int, months: int, scenario: Scenario) -> None:
    if households < scenario.n_counties or months < scenario.observation_months:
        raise ConfigurationError(
            "RR223",
            "simulate",
            f"{households} households over {months} months",
            f"{scenario.n_counties} or more, over {scenario.observation_months} months or more",
            "Give larger numbers",
        )


def _write_down(scene: Scene) -> dict[str, pl.DataFrame]:
    """Return every table of the panel, in the order they are declared in."""
    register = keep_register(scene)
    overdue = overdue_loans(scene)
    people = People(scene, register)
    events = Events(scene, people)
    for month in range(scene.start, scene.start + scene.months):
        people.live(month)
        events.record(month)
    frames = {
        "household": snapshot_households(scene, register, overdue),
        "member": people.frame(),
        "observation": observe(scene, register.on_register(scene, (POOR,))),
        "event": events.frame(overdue),
        "measure": record_measures(scene, register),
        "visit": record_visits(scene),
        "workflow": register.workflow,
        "threshold": list_thresholds(scene),
        "county_month": count_by_month(scene, register),
    }
    return {table.name: frames[table.name] for table in TABLES if table.is_stored}
