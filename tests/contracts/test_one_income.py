"""Labels, cohort, features and rules mean the same by "below the line"."""

from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.config import LabelConfig
from relapse_risk.features.build import build_features
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.synthetic import simulate
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.welfare import FAILING, FINE, WelfareGrid, last_complete_month, welfare_states
from relapse_risk.windows import month_end, month_index


@pytest.mark.parametrize("as_of_date", [date(2020, 6, 30), date(2021, 11, 15), date(2022, 12, 31)])
def test_the_state_a_label_sees_is_the_income_that_rules_and_lists_quote(as_of_date: date) -> None:
    panel = simulate(300, 48, seed=5, oracle_dates=[]).panel()
    known = panel.known_at(as_of_date)
    income_only = LabelConfig(outcomes=("income",))
    grid = welfare_states(known, income_only, known.thresholds(ThresholdTable.shipped()))
    matrix = build_features(panel, [as_of_date])
    age = matrix.column("months_since_report")
    # A household just founded has no report yet.
    latest = last_complete_month(as_of_date) - np.where(np.isnan(age), np.nanmin(age), age)
    rows, column = grid.positions(matrix.index["household_id"]), latest.astype(int) - grid.first_month
    state = grid.state[rows, column]
    income = matrix.column("ref_income_pc_12m")
    # A line that changed since the report is the features' affair; compare with the line of the report.
    year_of_report = (column + grid.first_month) // 12
    same_line = year_of_report == as_of_date.year
    is_known = ~np.isnan(income) & same_line & ~np.isnan(age)
    below = income < matrix.parameter("line")

    assert is_known.sum() > 200
    assert np.array_equal(state[is_known] == FAILING, below[is_known])
    assert (state[is_known] >= FINE).all()


INCOME_ONLY = LabelConfig(outcomes=("income",))
FIRST = month_index(date(2020, 1, 1))


def ragged_panel(households: int, seed: int) -> Panel:
    """Return households whose periods are monthly, quarterly and yearly, overlap, lack and are blank."""
    rng = np.random.default_rng(seed)
    rows = []
    for h in range(households):
        lengths = (1, 3) if h % 3 else (1, 3, 12)
        for month in range(36):
            if rng.random() < (0.5 if h % 2 else 0.95):
                months = int(rng.choice(lengths, p=(0.8, 0.2) if len(lengths) == 2 else (0.7, 0.2, 0.1)))
                net = None if rng.random() < 0.02 else float(np.round(rng.normal(1500, 900) * months, 2))
                rows.append((f"H{h:03d}", month_end(FIRST + month), months, float(rng.integers(1, 5)), net))
    columns = ("household_id", "period_end", "period_months", "n_person", "net_income_yuan")
    frame = pl.DataFrame(rows, schema=columns, orient="row").with_columns(
        recorded_on="period_end", oop_compliant_yuan=pl.col("period_months") * 20.0
    )
    household = pl.DataFrame({"household_id": frame["household_id"].unique().sort()}).with_columns(
        recorded_on=date(2015, 1, 1),
        county_code=pl.lit("130102"),
        township_code=pl.lit("130102001"),
        village_code=pl.lit("130102001001"),
        household_type=pl.lit("一般农户"),
        monitor_category=pl.lit("非监测"),
    )
    tables = {"household": household, "observation": frame}
    return Panel({name: completed(table, TABLE_BY_NAME[name].dtypes) for name, table in tables.items()})


def completed(frame: pl.DataFrame, dtypes: dict) -> pl.DataFrame:
    return frame.select(
        (pl.col(name) if name in frame.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in dtypes.items()
    )


def is_cut(panel: Panel, household: str, end: int) -> bool:
    """Return whether the year that ends in a month begins within a period that stands."""
    own = panel.tables["observation"].filter(pl.col("household_id") == household).sort("period_end")
    frontier = end
    for day, months in reversed(own.select("period_end", "period_months").rows()):
        month = month_index(day)
        if month <= frontier:
            frontier = month - months
            if frontier < end - 12 < month:
                return True
    return False


def income_at(grid: WelfareGrid, rows: np.ndarray, months: np.ndarray) -> np.ndarray:
    place = grid.periods_at(rows, months)
    return np.where(place >= 0, grid.periods.income_yuan[place], np.nan)


def test_income_is_one_however_periods_overlap_lack_or_are_blank() -> None:
    """What a feature knows, the label knows the same; the label alone knows only what cuts a period."""
    panel = ragged_panel(120, 3)
    compared = alone = 0
    for end in (FIRST + 14, FIRST + 23, FIRST + 31):
        as_of_date = month_end(end)
        known = panel.known_at(as_of_date)
        grid = welfare_states(known, INCOME_ONLY, known.thresholds(ThresholdTable.shipped()))
        matrix = build_features(panel, [as_of_date])
        rows = grid.positions(matrix.index["household_id"])
        latest = grid.last_month(rows)
        of_label, of_feature = income_at(grid, rows, latest), matrix.column("ref_income_pc_12m")
        is_known = ~np.isnan(of_feature)
        assert np.allclose(of_label[is_known], of_feature[is_known], rtol=0, atol=1e-5)
        compared += int(is_known.sum())
        only = np.flatnonzero(~np.isnan(of_label) & ~is_known)
        ids = matrix.index["household_id"].to_list()
        assert all(is_cut(panel, ids[row], int(latest[row])) for row in only)
        alone += len(only)
    assert compared > 50
    assert alone > 10
