"""The groups of numbers that make a scenario, with what each of them means.

The defaults are those of ``hebei_like``. Rates are per month unless a name or a group says otherwise, amounts
are yuan of the line's base year, and standard deviations of incomes are those of their logarithm.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class Group(BaseModel):
    """A group of numbers; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LinePath(Group):
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


class PopulationConfig(Group):
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
    lifted_hazard_factor: Positive = 4.0


class IncomeConfig(Group):
    """Permanent, persistent and passing parts of income.

    Attributes
    ----------
    lifted_ratio, ordinary_ratio : float
        Median permanent income per head over the line.
    permanent_sd, village_sd : float
        Spread between alike households of a village, and between villages.
    structure_share : float
        How much of the spread that composition explains (workers, land, elders) shows in the level.
    floor_ratio : float
        Standing allowances lift households below this ratio up to it.
    persistent_sd, persistent_memory : float
        Stationary spread and monthly memory of the slow part.
    passing_wage_sd, passing_farm_sd : float
        Noise of a single month.
    """

    lifted_ratio: Positive = 2.35
    ordinary_ratio: Positive = 3.1
    permanent_sd: NotNegative = 0.16
    village_sd: NotNegative = 0.08
    structure_share: Share = 0.3
    floor_ratio: Positive = 1.45
    persistent_sd: NotNegative = 0.07
    persistent_memory: Share = 0.95
    passing_wage_sd: NotNegative = 0.15
    passing_farm_sd: NotNegative = 0.22


class DemographyConfig(Group):
    """Births, deaths, marriages and moves: chances within a year.

    Attributes
    ----------
    mortality, retirement : float
        Factors on a rural life table, and on the chances by age of giving up paid work.
    birth_rate : float
        Chance of a woman at the best age whose next child is still to come; age lowers it.
    leave_rate : float
        Chance that a grown daughter marries out; a third of it for other grown children.
    join_rate : float
        Chance that a grown son who may brings his bride in.
    founding_rate : float
        Chance that a grown child who may founds a household of its own.
    disability_rate : float
        Chance that an adult of 40 becomes disabled; age multiplies it.
    return_rate : float
        Chance that the next job of somebody who works away is near home.
    """

    mortality: NotNegative = 0.68
    birth_rate: Share = 0.16
    leave_rate: Share = 0.09
    join_rate: Share = 0.1
    founding_rate: Share = 0.06
    disability_rate: Share = 0.0025
    retirement: NotNegative = 1.0
    return_rate: Share = 0.3


class AdministrationConfig(Group):
    """What offices do to codes, as chances within a year; villages are renumbered every January.

    Attributes
    ----------
    recode_rate : float
        A household gets a new code.
    move_rate : float
        A household's registration moves to another village of its township; its fields do not.
    village_recode_rate : float
        A village gets a new code.
    """

    recode_rate: Share = 0.001
    move_rate: Share = 0.001
    village_recode_rate: Share = 0.01


class WorkConfig(Group):
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

    local_loss_rate: Share = 0.0028
    migrant_loss_rate: Share = 0.0023
    rehire_rate: Share = 0.09
    instability: NotNegative = 1.0
    scar_sd: NotNegative = 0.08
    post_share: Share = 0.25
    post_renewal: Share = 0.6
    factory_rate: Share = 0.002


class FarmConfig(Group):
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

    price_sd: NotNegative = 0.08
    price_memory: Share = 0.95
    collapse_rate: Share = 0.002
    collapse_size: NotNegative = 0.22
    disaster_rate: Share = 0.004
    disaster_loss: Share = 0.4
    failure_rate: Share = 0.0009
    insured_share: Share = 0.35


class HealthConfig(Group):
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

    major_rate: Share = 0.0003
    accident_rate: Share = 0.0004
    monthly_bill_yuan: Positive = 3200.0
    bill_sd: NotNegative = 0.8
    care_months: Positive = 8.0
    own_pay_share: Share = 0.36


class GuaranteeConfig(Group):
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


class AssistanceConfig(Group):
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


class ReportingConfig(Group):
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


class DrawnEvents(Group):
    """Events drawn without regard to anything: a one-off business loss that takes income below the line.

    Attributes
    ----------
    annual_rate : float
        Chance within a year, the same for every household; 0 for none.
    """

    annual_rate: Share = 0.0
