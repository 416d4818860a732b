"""What the verb ``income`` does: quantiles of household incomes ahead, and how many may fall below a line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from relapse_risk.engine import over_counties
from relapse_risk.features.build import build_features
from relapse_risk.files import parquet_bytes
from relapse_risk.modeling.quantile_store import load_income, save_income
from relapse_risk.modeling.store import model_hash
from relapse_risk.outputs.tables import ResultTable, table_files
from relapse_risk.pipeline import open_store, train_income
from relapse_risk.runs import publish_result, store_facts
from relapse_risk.vocabulary import FORECAST_DISCLAIMER, Bilingual

if TYPE_CHECKING:
    from relapse_risk.config import Experiment
    from relapse_risk.modeling.quantile import IncomeModel
    from relapse_risk.panel.panel import Panel
    from relapse_risk.terminal import Progress
    from relapse_risk.thresholds import ThresholdTable
    from relapse_risk.vocabulary import Language

INCOME_FILE = "income.parquet"
TITLE = Bilingual("收入预测", "income_forecast")
IN_FORCE = "line_in_force"
HEADERS = {
    "county_code": Bilingual("县代码", "county_code"),
    "township_code": Bilingual("乡镇代码", "township_code"),
    "months": Bilingual("月数", "months_ahead"),
    "line": Bilingual("线(元)", "line_yuan"),
    "households": Bilingual("户数", "households"),
    "expected_below": Bilingual("预计低于线户数", "expected_below"),
    "share_below": Bilingual("占比", "share_below"),
}
_IN_FORCE = Bilingual("现行线", "in force")


@dataclass(frozen=True)
class IncomeRequest:
    """What is forecast, and by which model.

    Attributes
    ----------
    as_of_date : date
    experiment : Experiment
        Says which households and features are learnt from where the model is trained here.
    model_folder : Path
        Loaded where it exists; else trained with what was known on the date, and saved there.
    lines : tuple of float
        What-if lines in yuan per person and year, beside the one in force.
    """

    as_of_date: date
    experiment: Experiment
    model_folder: Path
    lines: tuple[float, ...] = ()

    def model(self, store: Path, thresholds: ThresholdTable | None) -> IncomeModel:
        """Return the model of the directory, trained and saved first where there is none."""
        if not self.model_folder.exists():
            trained = train_income(open_store(store, thresholds), self.experiment, self.as_of_date)
            facts = {
                "known_on": str(self.as_of_date),
                "experiment": self.experiment.name,
                **store_facts(store),
            }
            save_income(trained, self.model_folder, facts)
        return load_income(self.model_folder)

    def of_county(self, panel: Panel, model: IncomeModel) -> pl.DataFrame:
        """Return a row for each household and horizon: quantiles, and the probability below each line."""
        matrix = build_features(panel, [self.as_of_date])
        ahead = model.predict(matrix)
        in_force = matrix.parameter("line")
        lines = {IN_FORCE: in_force, **{f"{line:g}": np.full(len(in_force), line) for line in self.lines}}
        below = pl.concat(
            pl.DataFrame(
                {f"below_{name}": ahead.below(line, months) for name, line in lines.items()},
                schema=dict.fromkeys((f"below_{name}" for name in lines), pl.Float64),
            )
            for months in ahead.months
        ).fill_nan(None)
        places = matrix.index.select("county_code", "township_code", "village_code")
        where = pl.concat([places] * len(ahead.months))
        return ahead.to_polars().hstack(where).hstack(below)


def by_township(incomes: pl.DataFrame) -> pl.DataFrame:
    """Return how many households are expected below each line, by township and horizon.

    Households whose income is not known are not counted.
    """
    names = [name for name in incomes.columns if name.startswith("below_")]
    keys = ["county_code", "township_code", "months"]
    long = incomes.unpivot(on=names, index=keys, variable_name="line", value_name="chance").drop_nulls(
        "chance"
    )
    return (
        long.with_columns(pl.col("line").str.strip_prefix("below_"))
        .group_by(*keys, "line")
        .agg(
            households=pl.len(),
            expected_below=pl.col("chance").sum().round(2),
            share_below=pl.col("chance").mean().round(4),
        )
        .sort("county_code", "township_code", "months", "line")
    )


def write_incomes(
    store: Path,
    request: IncomeRequest,
    out: Path,
    language: Language,
    thresholds: ThresholdTable | None = None,
    on_progress: Progress | None = None,
) -> pl.DataFrame:
    """Write quantiles by household (Parquet), expected numbers below lines by township, and a manifest.

    Returns
    -------
    polars.DataFrame
        As :func:`by_township`.
    """
    if on_progress:
        on_progress("model", 0, 0)
    model = request.model(store, thresholds)
    parts = over_counties(
        store, lambda _, panel: request.of_county(panel, model), request.as_of_date, on_progress, thresholds
    )
    incomes = pl.concat([part for _, part in parts])
    towns = by_township(incomes)
    shown = towns.with_columns(pl.col("line").replace(IN_FORCE, _IN_FORCE.text(language)))
    table = ResultTable(Bilingual("乡镇低于线户数", "below_by_township"), shown, HEADERS)
    contents = {
        "inputs": store_facts(store),
        "as_of_date": str(request.as_of_date),
        "lines": list(request.lines),
        "model_sha256": model_hash(request.model_folder),
    }
    files = dict(table_files(TITLE, [table], income_note(request, language), language))
    publish_result("income", contents, {INCOME_FILE: parquet_bytes(incomes), **files}, out)
    return towns


def income_note(request: IncomeRequest, language: Language) -> Sequence[str]:
    """Return what to read first."""
    lines = [
        Bilingual(
            f"数据截至 {request.as_of_date}；人均监测参考收入在 3、6、12 个月后的分位数及低于各线的概率。",
            f"As of {request.as_of_date}; quantiles of the reference income a person in 3, 6 and 12 months, "
            "and the probability of being below each line.",
        ),
        Bilingual("本结果含小数，不得流出本县。", "Small counts stand here: the result stays in the county."),
        FORECAST_DISCLAIMER,
    ]
    return [line.text(language) for line in lines]
