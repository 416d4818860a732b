"""Experiments (``experiments/*.toml``) and projects (``relapse.toml``) as typed models."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from relapse_risk.search_space import SearchConfig
from relapse_risk.toml_file import Strict
from relapse_risk.vocabulary import HouseholdType, Language

_NEVER_SEARCHED = {"intervals_months", "stopping_months", "most_rows", "seed"}
Outcome = Literal["income", "status", "schooling", "medical_insurance", "housing", "water"]


class CohortConfig(Strict):
    """Who may be trained and judged on: households not below the line, with all guarantees held.

    Attributes
    ----------
    household_types : tuple of HouseholdType
    max_report_age_months : int
        A household whose latest report ended longer ago than this has no known state, and is left out.
    """

    max_report_age_months: int = Field(default=6, ge=0)
    household_types: tuple[HouseholdType, ...] = (HouseholdType.LIFTED, HouseholdType.ORDINARY)


class LabelConfig(Strict):
    """What is predicted.

    Attributes
    ----------
    kind : {"first_event", "state_at_horizon"}
        The first event within the window, or the state in the period that ends the window (for panels
        that see a household only now and then).
    horizon_months : int
    outcomes : tuple of Outcome
        Any of them is the event. ``income`` is reference income per head below the line; ``status`` is
        the status handed in by sources that give no income.
    income_window_months : int
        Months over which income is summed, then scaled to a year.
    verified_need : bool
        A visit that found a need (属实, 部分属实) is an event, too, dated to its month. Whom lists sent staff
        to decides where such events are seen, so the card says how many there are and of how many visited.
    lottery_corrected : bool
        Learn the risk without the visits that a lottery gave: a household that was drawn in its label window
        counts for nothing, one that was not by the inverse of the probability of it. Needs the lists.
    """

    kind: Literal["first_event", "state_at_horizon"] = "first_event"
    horizon_months: int = Field(default=12, ge=1, le=60)
    outcomes: tuple[Outcome, ...] = ("income", "schooling", "medical_insurance", "housing", "water")
    income_window_months: int = Field(default=12, ge=1, le=36)
    verified_need: bool = False
    lottery_corrected: bool = False

    @model_validator(mode="after")
    def _check_verified_need(self) -> LabelConfig:
        if self.verified_need and self.kind != "first_event":
            raise ValueError("verified_need dates first events: set kind to first_event, or leave it out")
        if self.verified_need and self.lottery_corrected:
            raise ValueError(
                "a need that only a visit finds has no risk without visits: leave out verified_need or "
                "lottery_corrected"
            )
        return self


class FeatureConfig(Strict):
    """Which features of the catalogue reach the model; all with role ``model`` where nothing is said."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class ModelConfig(Strict):
    """The model and its settings; those of LightGBM keep LightGBM's names.

    Attributes
    ----------
    kind : {"hazard", "logistic", "blend", "best_indicator", "scorecard", "rules"}
        ``blend`` averages the log-odds of ``hazard`` and ``logistic``; ``scorecard`` is a page of whole
        points; ``rules`` ranks as the rules alone do.
    intervals_months : tuple of int
        Ends of the hazard's intervals; the last is the horizon.
    n_estimators : int
        Most trees; fewer where more do not help on a later window inside the training origins.
    stopping_months : int
        Length of that window; 0 always grows ``n_estimators`` trees.
    most_rows : int
        Where more are at risk on the fit origins, all events and a weighted sample of the rest are fitted.
    """

    kind: Literal["hazard", "logistic", "blend", "best_indicator", "scorecard", "rules"] = "hazard"
    intervals_months: tuple[int, ...] = (3, 6, 12)
    n_estimators: int = Field(default=150, ge=1)
    stopping_months: int = Field(default=6, ge=0)
    most_rows: int = Field(default=500_000, ge=1_000)
    learning_rate: float = Field(default=0.05, gt=0)
    num_leaves: int = Field(default=15, ge=2)
    max_depth: int = Field(default=8, ge=1)
    min_child_samples: int = Field(default=60, ge=1)
    subsample: float = Field(default=0.8, gt=0, le=1)
    colsample_bytree: float = Field(default=0.5, gt=0, le=1)
    reg_lambda: float = Field(default=5.0, ge=0)
    is_monotone: bool = True
    logistic_c: float = Field(default=0.05, gt=0)
    blend_weight: float = Field(default=0.5, ge=0, le=1, description="share of the hazard model")
    scorecard_items: int = Field(default=12, ge=1, le=12, description="most questions on the scorecard")
    seed: int = 0

    @field_validator("intervals_months")
    @classmethod
    def _rising(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if not value or list(value) != sorted(set(value)) or value[0] < 1:
            raise ValueError("interval ends must be positive and rising")
        return value


class CalibrationConfig(Strict):
    """How hazards are calibrated on a later window.

    Attributes
    ----------
    method : {"auto", "none", "level", "sigmoid", "beta", "isotonic"}
        ``auto`` takes the one that fits villages held out of the window best, ``sigmoid`` where the window
        has too few events to choose by; ``level`` moves the intercept alone.
    window_months : int
        Origins in the last so many months before the newest mature one are kept for it; 0 for none.
    is_refitted : bool
        Fit the model once more on all mature origins after the calibration was learnt; said on the card.
    """

    method: Literal["auto", "none", "level", "sigmoid", "beta", "isotonic"] = "auto"
    window_months: int = Field(default=3, ge=0)
    is_refitted: bool = True


class OriginConfig(Strict):
    """As-of dates: either listed, or every so many months between two dates (or as far as data go)."""

    dates: tuple[date, ...] = ()
    first: date | None = None
    last: date | None = None
    every_months: int = Field(default=3, ge=1)
    history_months: int = Field(
        default=12, ge=0, description="months of data before the first origin where `first` is not given"
    )


class EvaluationConfig(Strict):
    """How the backtest is run.

    Attributes
    ----------
    origins : OriginConfig
        The dates to judge on.
    capacities : tuple of float
        Shares of the cohort (below 1) or absolute numbers of visits (1 and more).
    gap_months : int
        Reporting delay kept free between training labels and the test origin.
    is_refitted : bool
        Train anew for every test origin; else once, before the first.
    labels_known_on : date or None
        Read training labels on this day instead of on the test origin.
    cluster : str
        Index column whose groups are resampled for intervals.
    """

    origins: OriginConfig = OriginConfig()
    capacities: tuple[float, ...] = (0.01, 0.02, 0.05, 0.1)
    gap_months: int = Field(default=1, ge=0)
    is_refitted: bool = True
    labels_known_on: date | None = None
    cluster: Literal["household_id", "village_code", "township_code", "county_code"] = "village_code"
    bootstrap_replicates: int = Field(default=400, ge=0)
    model_share: float = Field(default=0.2, ge=0, le=1, description="visits kept for model alerts")
    audit_share: float = Field(default=0.05, ge=0, le=1, description="visits of the random audit sample")
    seed: int = 0


class Experiment(Strict):
    """One file under ``experiments/``."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    cohort: CohortConfig = CohortConfig()
    label: LabelConfig = LabelConfig()
    features: FeatureConfig = FeatureConfig()
    model: ModelConfig = ModelConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    training_origins: OriginConfig = OriginConfig()
    search: SearchConfig = SearchConfig()
    evaluation: EvaluationConfig = EvaluationConfig()

    @model_validator(mode="after")
    def _intervals_end_at_horizon(self) -> Self:
        intervals = self.model.intervals_months
        if intervals[-1] != self.label.horizon_months:
            raise ValueError(
                f"model.intervals_months ends at {intervals[-1]}, "
                f"label.horizon_months is {self.label.horizon_months}"
            )
        if self.label.kind == "state_at_horizon" and len(intervals) > 1:
            raise ValueError(
                "a state at the horizon has one interval: set model.intervals_months to the horizon"
            )
        self._check_rules_only()
        unknown = sorted(self.search.space.keys() - (ModelConfig.model_fields.keys() - _NEVER_SEARCHED))
        if unknown:
            raise ValueError(f"the model has no setting to search called {', '.join(unknown)}")
        for name, space in self.search.space.items():
            own = getattr(self.model, name)
            if not space.holds(own):
                raise ValueError(
                    f"search.space.{name} leaves out model.{name} = {own}: a search tries the experiment's "
                    "own settings first"
                )
        return self

    def _check_rules_only(self) -> None:
        """Refuse choices that a model of the rules alone does not have."""
        if self.model.kind == "rules" and (self.features.include or self.features.exclude):
            raise ValueError("a model of the rules reads what rules read: leave out the features section")
        kinds = self.search.space.get("kind")
        if kinds is not None and "rules" in kinds.choices:
            raise ValueError("a model of the rules has nothing to search: leave it out of search.space.kind")


class Project(Strict):
    """``relapse.toml``: where a project keeps its things. Paths are relative to the file.

    Attributes
    ----------
    thresholds : Path or None
        The county's own file of dated parameters, in the form of the shipped ``thresholds.toml`` and laid
        over it.
    features : tuple of str
        Modules beside the file that declare features of the project's own.
    rest_days : int
        Days after a visit during which a household that is not red need not be visited again.
    not_met_limit : int
        Visits in a row that met nobody (未见到户, 外出) after which a household no longer comes back before
        others, and one without a rule hit pauses for a quarter; 0 for no limit.
    """

    store: Path = Path("data/store")
    models: Path = Path("models")
    outputs: Path = Path("outputs")
    experiment: Path = Path("experiments/default.toml")
    thresholds: Path | None = None
    tracking_uri: str = "sqlite:///experiments/mlflow.db"
    language: Language = "zh"
    features: tuple[str, ...] = ()
    model_share: float = Field(default=0.2, ge=0, le=1)
    audit_share: float = Field(default=0.05, ge=0, le=1)
    rest_days: int = Field(default=30, ge=0)
    not_met_limit: int = Field(default=3, ge=0)
