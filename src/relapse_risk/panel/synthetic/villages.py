"""The villages of a synthetic county: what sets them apart, and the codes of places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from relapse_risk.panel.synthetic.members import Bools, Floats, Ints
from relapse_risk.panel.synthetic.scenario import Scenario


@dataclass(frozen=True)
class Villages:
    """Villages, each in a township and a county; arrays of shape ``(n_villages,)``.

    Attributes
    ----------
    water_risk, flood_risk : ndarray
        Hazards against the average.
    level : ndarray
        Factor on incomes: how well placed the village is.
    """

    township: Ints
    county: Ints
    is_lifted: Bools
    water_risk: Floats
    flood_risk: Floats
    level: Floats


def draw_villages(n: int, scenario: Scenario, rng: np.random.Generator) -> Villages:
    """Return the villages that ``n`` households live in, spread evenly over townships and counties."""
    config = scenario.population
    count = max(scenario.n_counties, -(-n // config.households_per_village))
    number = np.arange(count)
    county = number * scenario.n_counties // count
    within = number - np.searchsorted(county, county)
    return Villages(
        township=within // config.villages_per_township,
        county=county,
        is_lifted=rng.random(count) < 0.45,
        water_risk=rng.gamma(0.25, 1 / 0.25, count),
        flood_risk=rng.gamma(1.0, 1.0, count),
        level=np.exp(scenario.income.village_sd * rng.standard_normal(count)),
    )
