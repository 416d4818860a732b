"""A scenario: every number a synthetic county is drawn from, read from ``data/scenarios/*.toml``.

The groups of numbers stand in ``parameters``. Their defaults are the scenario ``hebei_like``, so that the
package works without files.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from relapse_risk.errors import ConfigurationError
from relapse_risk.panel.synthetic.parameters import (
    AdministrationConfig,
    AssistanceConfig,
    DemographyConfig,
    DrawnEvents,
    FarmConfig,
    Group,
    GuaranteeConfig,
    HealthConfig,
    IncomeConfig,
    LinePath,
    PopulationConfig,
    Positive,
    ReportingConfig,
    WorkConfig,
)
from relapse_risk.toml_file import load
from relapse_risk.windows import month_index

DEFAULT_SCENARIO = "hebei_like"
_FOLDERS = (Path("data/scenarios"), Path(__file__).parents[4] / "data" / "scenarios")


class Shift(Group):
    """A stretch of months in which rates or levels are others: factors on what the groups above say.

    Attributes
    ----------
    since, until : date
        First and last month; without ``until`` it lasts.
    ramp_months : int
        Months over which the factors grow from 1 to their full size.
    job_loss, rehire, factory, illness, own_pay, disaster, collapse, failure, guarantees : float
        Factors on chances and on what is paid.
    wages, produce : float
        Factors on levels of income.
    """

    since: date
    until: date | None = None
    ramp_months: int = Field(default=0, ge=0)
    job_loss: Positive = 1.0
    rehire: Positive = 1.0
    factory: Positive = 1.0
    illness: Positive = 1.0
    own_pay: Positive = 1.0
    disaster: Positive = 1.0
    collapse: Positive = 1.0
    failure: Positive = 1.0
    guarantees: Positive = 1.0
    wages: Positive = 1.0
    produce: Positive = 1.0

    def weight(self, month: int) -> float:
        """Return how far the shift is in force in ``month`` (``windows.month_index``), from 0 to 1."""
        begun = month - month_index(self.since)
        if begun < 0 or (self.until is not None and month > month_index(self.until)):
            return 0.0
        return min(1.0, (begun + 1) / self.ramp_months) if self.ramp_months else 1.0


FACTORS = tuple(name for name in Shift.model_fields if name not in ("since", "until", "ramp_months"))


class Scenario(Group):
    """A synthetic county's parameters.

    Attributes
    ----------
    start : date
        First simulated month.
    observation_months : {1, 3, 12}
        Length of a monitoring period; outcomes are judged at the end of each.
    burn_in_months : int
        Months simulated before ``start``, so that spells and the register begin in full swing.
    shifts : tuple of Shift
        Where early and late years are to differ; none in ``hebei_like``.
    """

    name: str = Field(default=DEFAULT_SCENARIO, pattern=r"^[a-z][a-z0-9_]*$")
    description: str = "A county like Hebei's lifted ones; rates do not change over the years."
    start: date = date(2019, 1, 1)
    n_counties: int = Field(default=1, ge=1, le=50)
    observation_months: Literal[1, 3, 12] = 3
    burn_in_months: int = Field(default=60, ge=12)
    line: LinePath = LinePath()
    population: PopulationConfig = PopulationConfig()
    demography: DemographyConfig = DemographyConfig()
    administration: AdministrationConfig = AdministrationConfig()
    income: IncomeConfig = IncomeConfig()
    work: WorkConfig = WorkConfig()
    farm: FarmConfig = FarmConfig()
    health: HealthConfig = HealthConfig()
    guarantees: GuaranteeConfig = GuaranteeConfig()
    assistance: AssistanceConfig = AssistanceConfig()
    reporting: ReportingConfig = ReportingConfig()
    drawn: DrawnEvents = DrawnEvents()
    shifts: tuple[Shift, ...] = ()

    @classmethod
    def load(cls, name_or_path: str | Path) -> Scenario:
        """Return the scenario of a TOML file, or of ``data/scenarios/NAME.toml``.

        Raises
        ------
        ConfigurationError
            RR221 where there is no such scenario; RR212 and RR213 where the file is wrong.
        """
        path = Path(name_or_path)
        candidates = [path] if path.suffix == ".toml" else [folder / f"{path}.toml" for folder in _FOLDERS]
        for candidate in candidates:
            if candidate.is_file():
                return load(candidate, cls)
        if str(name_or_path) == DEFAULT_SCENARIO:
            return cls()
        known = sorted({DEFAULT_SCENARIO} | {f.stem for folder in _FOLDERS for f in folder.glob("*.toml")})
        raise ConfigurationError(
            "RR221",
            f"scenario {name_or_path}",
            "there is no such scenario",
            f"a .toml file, or one of {', '.join(known)}",
            "Correct the name",
        )

    def line_yuan(self, year: int) -> float:
        """Return the line in force in ``year``, in yuan per person and year, rounded to ten."""
        grown = self.line.yuan * (1 + self.line.annual_growth) ** (year - self.line.base_year)
        return float(round(grown, -1))

    def price_level(self, month: int) -> float:
        """Return incomes of a month (``windows.month_index``) over those of the middle of the base year."""
        return float((1 + self.line.annual_growth) ** ((month - (self.line.base_year * 12 + 5.5)) / 12))

    def factors(self, month: int) -> dict[str, float]:
        """Return the product of all shifts in force in ``month``, by name of ``FACTORS``."""
        return {
            name: math.prod(1 + (getattr(shift, name) - 1) * shift.weight(month) for shift in self.shifts)
            for name in FACTORS
        }
