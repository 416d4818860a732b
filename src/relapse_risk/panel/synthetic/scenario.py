"""Every number a synthetic county is drawn from: ``data/scenarios/*.toml`` as typed models.

The defaults are the scenario ``hebei_like``, so that the package works without files. Rates are per month
unless a name says otherwise, amounts are yuan of the line's base year, and standard deviations of incomes
are those of their logarithm.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from relapse_risk.config import load
from relapse_risk.errors import ConfigurationError

DEFAULT_SCENARIO = "hebei_like"
_FOLDERS = (Path("data/scenarios"), Path(__file__).parents[4] / "data" / "scenarios")

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LinePath(_Group):
    """The income line: ``yuan`` in ``base_year``, raised by ``annual_growth`` every January.

    All incomes grow at the same pace, month by month, so that rates do not drift.

    Attributes
    ----------
    dpi_prev_yuan : float
        Provincial rural disposable income per head of the year before ``base_year``.
    dibao_standard_yuan : float
        Subsistence allowance standard per person and year in ``base_year``.
    """

    yuan: Positive = 7300.0
    base_year: int = 2022
    annual_growth: NotNegative = 0.065
    dpi_prev_yuan: Positive = 18179.0
    dibao_standard_yuan: Positive = 5700.0


class PopulationConfig(_Group):
    """Who lives in the county.

    Attributes
    ----------
    frailty_sd : float
        Standard deviation of the log of a hidden factor on every hazard of a household.
    lifted_hazard_factor : float
        Hazards of lifted households against those of ordinary ones.
    """

    lifted_share: Share = 0.4
    households_per_village: int = Field(default=60, ge=1)
    villages_per_township: int = Field(default=10, ge=1)
    frailty_sd: NotNegative = 1.0
    lifted_hazard_factor: Positive = 3.5


class IncomeConfig(_Group):
    """Permanent, persistent and passing parts of income.

    Attributes
    ----------
    lifted_ratio, ordinary_ratio : float
        Median permanent income per head over the line.
    permanent_sd : float
        Spread between alike households.
    structure_share : float
        How much of the spread that composition explains (workers, land, elders) shows in the level.
    floor_ratio : float
        Standing allowances lift households below this ratio up to it.
    persistent_sd, persistent_memory : float
        Stationary spread and monthly memory of the slow part.
    passing_wage_sd, passing_farm_sd : float
        Noise of a single month.
    """

    lifted_ratio: Positive = 2.3
    ordinary_ratio: Positive = 3.0
    permanent_sd: NotNegative = 0.2
    structure_share: Share = 0.3
    floor_ratio: Positive = 1.4
    persistent_sd: NotNegative = 0.08
    persistent_memory: Share = 0.95
    passing_wage_sd: NotNegative = 0.15
    passing_farm_sd: NotNegative = 0.22


class WorkConfig(_Group):
    """Wage work: losing it, finding it again, and public-welfare posts with an end date.

    Attributes
    ----------
    instability : float
        Extra hazard of a job just found, as a share; fades over two years.
    scar_sd : float
        Spread of the wage in the next job against the last.
    factory_rate : float
        Chance that a village's local employer closes; half of its workers lose their jobs.
    """

    local_loss_rate: Share = 0.0042
    migrant_loss_rate: Share = 0.0034
    rehire_rate: Share = 0.09
    instability: NotNegative = 1.0
    scar_sd: NotNegative = 0.08
    post_share: Share = 0.25
    post_renewal: Share = 0.6
    factory_rate: Share = 0.002


class FarmConfig(_Group):
    """Farming and small business: prices, disasters, failures.

    Attributes
    ----------
    price_sd, price_memory : float
        Stationary spread and monthly memory of the county's price of each kind of produce.
    collapse_rate, collapse_size : float
        Chance of a price collapse, and its size in logs.
    disaster_rate, disaster_loss : float
        Chance that a village is struck in a month of June to September, and the mean share of a year's
        produce that is lost.
    failure_rate : float
        Chance that a household's business fails.
    """

    price_sd: NotNegative = 0.1
    price_memory: Share = 0.95
    collapse_rate: Share = 0.002
    collapse_size: NotNegative = 0.3
    disaster_rate: Share = 0.004
    disaster_loss: Share = 0.4
    failure_rate: Share = 0.0009
    insured_share: Share = 0.35


class HealthConfig(_Group):
    """Major illness, accidents and what insurance leaves to pay.

    Attributes
    ----------
    major_rate : float
        Chance of a major illness of one healthy adult below 60; age and chronic illness multiply it.
    monthly_bill_yuan, bill_sd, care_months : float
        Median bill in a month of treatment, its spread in logs, and mean length of treatment.
    own_pay_share : float
        What remains after basic, critical-illness and aid payments.
    """

    major_rate: Share = 0.00035
    accident_rate: Share = 0.0004
    monthly_bill_yuan: Positive = 3500.0
    bill_sd: NotNegative = 0.8
    care_months: Positive = 8.0
    own_pay_share: Share = 0.36


class GuaranteeConfig(_Group):
    """Chance within a year that a guarantee fails, averaged over the households exposed to it.

    Attributes
    ----------
    repair_rate : float
        Chance that a failure is put right in a month.
    """

    schooling: NotNegative = 0.0048
    medical_insurance: NotNegative = 0.0015
    housing: NotNegative = 0.0012
    water: NotNegative = 0.0014
    repair_rate: Share = 0.16


class AssistanceConfig(_Group):
    """The register, its procedure, and what assistance changes.

    Attributes
    ----------
    discovery_rate : float
        Chance that a household in difficulty is noticed; half as much again for lifted households.
    inclusion_share : float
        Share of noticed households in income difficulty that the procedure includes.
    transfer_share : float
        Cash assistance, as a share of the line per person.
    hazard_factor, own_pay_factor, rehire_factor : float
        What assistance multiplies: the hazards of all setbacks, own-pay, and the chance of new work.
    clear_rate : float
        Chance of clearance from the sixth month on, once the household holds above the line.
    """

    discovery_rate: Share = 0.025
    inclusion_share: Share = 0.6
    transfer_share: NotNegative = 0.15
    hazard_factor: Share = 0.5
    own_pay_factor: Share = 0.75
    rehire_factor: Positive = 1.6
    clear_rate: Share = 0.08


class ReportingConfig(_Group):
    """What the county's systems make of the truth.

    Attributes
    ----------
    income_error_sd, income_error_memory : float
        Log error of self-reported wages and business income in a report, and its memory.
    missing_share, need_factor : float
        Share of missing income cells, and how much likelier they are where need is greatest.
    correction_share : float
        Share of reports that are corrected one to four months later.
    duplicate_share : float
        Share of rows that an export repeats.
    report_delay_days, event_delay_days, register_delay_days : float
        Median days from the end of a period, an event, a change of the register, to its record.
    """

    income_error_sd: NotNegative = 0.06
    income_error_memory: Share = 0.5
    missing_share: Share = 0.003
    need_factor: NotNegative = 2.5
    correction_share: Share = 0.015
    duplicate_share: Share = 0.001
    report_delay_days: Positive = 16.0
    event_delay_days: Positive = 11.0
    register_delay_days: Positive = 5.0


class DrawnEvents(_Group):
    """Events drawn without regard to anything: a one-off business loss that takes income below the line.

    Attributes
    ----------
    annual_rate : float
        Chance within a year, the same for every household; 0 for none.
    """

    annual_rate: Share = 0.0


class Scenario(_Group):
    """A synthetic county's parameters.

    Attributes
    ----------
    start : date
        First simulated month.
    observation_months : {1, 3, 12}
        Length of a monitoring period; outcomes are judged at the end of each.
    burn_in_months : int
        Months simulated before ``start``, so that spells and the register begin in full swing.
    """

    name: str = Field(default=DEFAULT_SCENARIO, pattern=r"^[a-z][a-z0-9_]*$")
    description: str = "A county like Hebei's lifted ones; rates do not change over the years."
    start: date = date(2019, 1, 1)
    n_counties: int = Field(default=1, ge=1, le=50)
    observation_months: Literal[1, 3, 12] = 3
    burn_in_months: int = Field(default=60, ge=12)
    line: LinePath = LinePath()
    population: PopulationConfig = PopulationConfig()
    income: IncomeConfig = IncomeConfig()
    work: WorkConfig = WorkConfig()
    farm: FarmConfig = FarmConfig()
    health: HealthConfig = HealthConfig()
    guarantees: GuaranteeConfig = GuaranteeConfig()
    assistance: AssistanceConfig = AssistanceConfig()
    reporting: ReportingConfig = ReportingConfig()
    drawn: DrawnEvents = DrawnEvents()

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
