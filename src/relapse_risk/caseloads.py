"""What the verb ``forecast`` does: a caseload forecast over a store, county by county, with a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from relapse_risk.cohort import find_at_risk
from relapse_risk.engine import over_counties
from relapse_risk.errors import ConfigurationError, ContractError
from relapse_risk.features.build import build_features
from relapse_risk.forecast.area import CaseloadForecast, gather
from relapse_risk.forecast.bottom_up import RiskSums, level_dates
from relapse_risk.forecast.caseload import CountyForecast, ForecastSettings, forecast_caseload
from relapse_risk.forecast.earlier import EXPECTED_FILE, read_expected
from relapse_risk.forecast.history import NO_HISTORY, PLACE_COLUMNS, CaseHistory, read_history
from relapse_risk.modeling.store import load_model, model_file, model_hash
from relapse_risk.outputs.write_forecast import forecast_files
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.runs import publish_result, store_facts
from relapse_risk.vocabulary import Bilingual

if TYPE_CHECKING:
    from relapse_risk.config import Experiment
    from relapse_risk.modeling.training import TrainedModel
    from relapse_risk.panel.panel import Panel
    from relapse_risk.terminal import Progress
    from relapse_risk.thresholds import ThresholdTable
    from relapse_risk.vocabulary import Language


@dataclass(frozen=True)
class KnownPlaces:
    """What is told of places beside their numbers.

    Attributes
    ----------
    monitors : polars.DataFrame
        township_code, monitors: how many persons are responsible for households there.
    names : mapping of str to str
        By code of a county, township or village that has a name; the code goes with one that another has.
    """

    monitors: pl.DataFrame
    names: Mapping[str, str]

    @classmethod
    def of(cls, households: pl.DataFrame) -> KnownPlaces:
        """Return what the households known on a date say of a county's places."""
        monitors = households.group_by("township_code").agg(monitors=pl.col("monitor_id").n_unique())
        names: dict[str, str] = {}
        for level, within in (("county", "county"), ("township", "county"), ("village", "township")):
            of_place = (
                households.filter(pl.col(f"{level}_name").is_not_null())
                .group_by(f"{level}_code")
                .agg(
                    pl.col(f"{level}_name").last().alias("name"), pl.col(f"{within}_code").last().alias("of")
                )
            )
            own, is_shared = pl.col(f"{level}_code"), pl.len().over("of", "name") > 1
            told = of_place.select(own, pl.when(is_shared).then(pl.col("name") + " " + own).otherwise("name"))
            names |= dict(told.iter_rows())
        return cls(monitors, names)


@dataclass(frozen=True)
class ForecastRequest:
    """What is forecast, from what.

    Attributes
    ----------
    as_of_date : date
    settings : ForecastSettings
    experiment : Experiment
        Says what a relapse is, and who can have one, where no model does.
    model_folder : Path or None
        The time series alone where None.
    line : float or None
        A what-if line; household risks are of the line in force, so they are not used with it.
    costs : mapping of str to float
        Yuan a case by beginning of the county code.
    """

    as_of_date: date
    settings: ForecastSettings
    experiment: Experiment
    model_folder: Path | None = None
    line: float | None = None
    costs: Mapping[str, float] = field(default_factory=dict)

    def of_county(self, county: str, panel: Panel) -> tuple[CountyForecast, KnownPlaces]:
        """Return the forecast of a county, and what is known of its places."""
        known = panel.known_at(self.as_of_date)
        places = KnownPlaces.of(known.households)
        model = risks = None
        before: tuple[RiskSums, ...] = ()
        earlier: tuple[RiskSums, ...] = ()
        if self.model_folder is not None and self.line is None:
            model = load_model(self.model_folder, all_features(panel))
        experiment = model.experiment if model else self.experiment
        history = read_history(known, experiment.label, experiment.cohort, line=self.line)
        if self.model_folder is not None and model is not None:
            *sums, risks = village_risks(panel, history, model)
            before = tuple(sums)
            judged = model_file(self.model_folder, EXPECTED_FILE)
            earlier = read_expected(judged, history.villages, self.as_of_date) if judged else ()
        costs = [self.costs[area] for area in sorted(self.costs, key=len) if county.startswith(area)]
        cost = costs[-1] if costs else None
        return forecast_caseload(history, self.settings, risks, before, earlier, cost), places


def village_risks(panel: Panel, history: CaseHistory, model: TrainedModel) -> list[RiskSums]:
    """Return the risks summed by village, on dates that tell the model's level and, last, the as-of date.

    A household counts in its village of the as-of date. Where on an earlier date less than half as many
    households of a village were at risk as are now, nothing is said of it: they had not been recorded yet.
    """
    first, label = panel.first_recorded_on or date.min, model.experiment.label
    days = [day for day in level_dates(history) if day >= first]
    days.append(history.as_of_date)
    matrix = build_features(panel, days, model.features, library=all_features(panel))
    risk = model.predict_risk(matrix).headline
    homes = panel.known_at(history.as_of_date).table("household").select("household_id", *PLACE_COLUMNS)
    sums, n = [], history.villages.height
    for day, known in zip(days, panel.known_at_each(days), strict=True):
        at_risk = find_at_risk(known, label, model.experiment.cohort)
        rows = (matrix.index["as_of_date"] == day).to_numpy()
        there = matrix.index.filter(rows).select("household_id").with_columns(risk=risk[rows]).filter(at_risk)
        there = there.join(homes, on="household_id", how="inner", maintain_order="left")
        village = history.village_rows(there)
        expected = np.bincount(village, there["risk"], n).astype(np.float64)
        sums.append((np.bincount(village, minlength=n), RiskSums(day, label.horizon_months, expected)))
    now = sums[-1][0]
    return [replace(one, expected=np.where(2 * then >= now, one.expected, np.nan)) for then, one in sums]


def write_forecast(
    store: Path,
    request: ForecastRequest,
    out: Path,
    language: Language,
    thresholds: ThresholdTable | None = None,
    on_progress: Progress | None = None,
) -> CaseloadForecast:
    """Write the caseload forecast of all counties: tables, workbook, pages, charts and manifest.

    Raises
    ------
    ContractError
        RR371 where no county has two reports in a row; one such county among others stands in the notes.
    """
    places: list[KnownPlaces] = []
    refused: dict[str, ContractError] = {}

    def of_county(county: str, panel: Panel) -> tuple[CountyForecast, KnownPlaces] | None:
        try:
            return request.of_county(county, panel)
        except ContractError as error:
            if error.code != NO_HISTORY:
                raise
            refused[county] = error
            return None

    def counties() -> Iterator[CountyForecast]:
        parts = over_counties(store, of_county, request.as_of_date, on_progress, thresholds)
        for _, made in parts:
            if made is not None:
                places.append(made[1])
                yield made[0]
        if not places and refused:
            raise next(iter(refused.values()))

    forecast = gather(counties())
    # A county that is too new stands in the notes, and the others are forecast.
    told = {
        county: (Bilingual(f"[{NO_HISTORY}] {e.zh}", f"[{NO_HISTORY}] {e.found}"),)
        for county, e in refused.items()
    }
    forecast = replace(forecast, notes_of={**forecast.notes_of, **told})
    settings = request.settings
    if on_progress:
        on_progress("tables, charts and pages", 0, 0)
    contents = {
        "inputs": store_facts(store),
        "as_of_date": str(request.as_of_date),
        "months": settings.months,
        "draws": settings.draws,
        "seed": settings.seed,
        "line": request.line,
        "sources": list(forecast.sources),
        "model_sha256": None if request.model_folder is None else model_hash(request.model_folder),
    }
    monitors = pl.concat(part.monitors for part in places)
    names = {code: name for part in places for code, name in part.names.items()}
    publish_result("forecast", contents, forecast_files(forecast, monitors, language, names), out)
    return forecast


def read_costs(path: Path) -> dict[str, float]:
    """Return yuan a case by beginning of the county code, from a CSV; an empty code is for all.

    Raises
    ------
    ConfigurationError
        RR262 where the file can't be read, or a cost is no positive number.
    """
    try:
        frame = pl.read_csv(path, schema_overrides={"area_code": pl.String}, encoding="utf8")
        costs = {row["area_code"] or "": float(row["yuan_per_case"]) for row in frame.iter_rows(named=True)}
        if not costs or not all(0 < cost < float("inf") for cost in costs.values()):
            raise ValueError("no positive cost")
    except (OSError, ValueError, TypeError, KeyError, pl.exceptions.PolarsError) as error:
        raise ConfigurationError(
            "RR262",
            str(path),
            f"not a table of costs ({type(error).__name__})",
            "a UTF-8 CSV with columns area_code and yuan_per_case, and positive numbers",
            "Correct the file; an empty area_code stands for all counties",
            zh=f"无法读取费用表“{path}”：应为 UTF-8 的 CSV，含 area_code 和 yuan_per_case 两列，费用为正数。",
        ) from error
    return costs
