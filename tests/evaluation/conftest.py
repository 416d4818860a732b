"""A small panel in which relapse can be foreseen, and by more than one indicator."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from relapse_risk.config import Experiment
from relapse_risk.panel.panel import Panel
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.windows import month_end, month_index

FIRST = month_index(date(2018, 3, 1))
LINE_YUAN = 7000.0
FEATURES = (
    "ref_income_pc_12m",
    "period_income_pc",
    "period_income_to_line",
    "wage_share",
    "worker_n",
    "household_size",
    "is_lifted",
)


def completed(name: str, columns: dict[str, object]) -> pl.DataFrame:
    """Return a frame of a canonical table; columns not given are empty."""
    dtypes = TABLE_BY_NAME[name].dtypes
    frame = pl.DataFrame(columns)
    return frame.select(
        (pl.col(c) if c in frame.columns else pl.lit(None)).cast(dtype).alias(c)
        for c, dtype in dtypes.items()
    )


def _panel(households: int = 400, quarters: int = 18, villages: int = 40, seed: int = 0) -> Panel:
    """Return quarterly reports whose yearly income follows a noisy walk around a household's own level."""
    rng = np.random.default_rng(seed)
    ids = [f"H{i:05d}" for i in range(households)]
    level = rng.normal(np.log(11_000), 0.28, households)
    wage_share = rng.uniform(0.1, 0.9, households)
    drift = np.zeros(households)
    ends = [month_end(FIRST + 3 * q) for q in range(quarters)]
    incomes = []
    for _ in ends:
        drift = 0.85 * drift + rng.normal(0, 0.10 + 0.10 * wage_share)
        incomes.append(np.exp(level + drift))
    yearly = np.array(incomes)
    order = np.tile(np.arange(households), quarters)
    end_of = [day for day in ends for _ in range(households)]
    persons = rng.integers(1, 6, households)[order]
    quarterly = yearly.ravel() * persons / 4.0
    wage = quarterly * wage_share[order]
    observation = completed(
        "observation",
        {
            "household_id": [ids[i] for i in order],
            "period_end": end_of,
            "period_months": np.full(len(order), 3),
            "recorded_on": [day + timedelta(days=20) for day in end_of],
            "n_person": persons,
            "wage_income_yuan": wage,
            "business_income_yuan": np.zeros(len(order)),
            "business_cost_yuan": np.zeros(len(order)),
            "property_income_yuan": np.zeros(len(order)),
            "transfer_income_yuan": quarterly - wage,
            "claim_income_yuan": np.zeros(len(order)),
            "oop_compliant_yuan": np.zeros(len(order)),
            "net_income_yuan": quarterly,
        },
    )
    village = rng.integers(0, villages, households)
    household = completed(
        "household",
        {
            "household_id": ids,
            "recorded_on": [ends[0]] * households,
            "county_code": ["130001"] * households,
            "county_name": ["示例县"] * households,
            "township_code": [f"13000100{v % 4}" for v in village],
            "township_name": [f"乡{v % 4}" for v in village],
            "village_code": [f"13000100{v % 4}{v:03d}" for v in village],
            "village_name": [f"村{v}" for v in village],
            "household_type": ["脱贫户" if i % 3 else "一般农户" for i in range(households)],
            "monitor_category": ["非监测"] * households,
        },
    )
    threshold = completed(
        "threshold",
        {
            "param": ["line"],
            "area_code": ["*"],
            "effective_from": [date(2010, 1, 1)],
            "value": [LINE_YUAN],
            "unit": ["元/人·年"],
            "source": ["example"],
            "verified": [True],
            "recorded_on": [ends[0]],
        },
    )
    return Panel({"household": household, "observation": observation, "threshold": threshold})


def _experiment(kind: str = "logistic", **evaluation: object) -> Experiment:
    """Return a quick experiment on income alone; logistic, as the backtest is tested and not the boosting."""
    return Experiment.model_validate(
        {
            "name": "toy",
            "label": {"outcomes": ["income"], "horizon_months": 12},
            "features": {"include": FEATURES},
            "model": {"kind": kind, "n_estimators": 10, "num_leaves": 7, "min_child_samples": 20},
            "calibration": {"window_months": 0, "method": "none"},
            "training_origins": {"every_months": 3, "history_months": 12},
            "evaluation": {
                "origins": {"every_months": 6, "history_months": 27},
                "capacities": [0.05, 30],
                "bootstrap_replicates": 60,
                **evaluation,
            },
        }
    )


@pytest.fixture(scope="session")
def make_panel() -> Callable[..., Panel]:
    return _panel


@pytest.fixture(scope="session")
def make_experiment() -> Callable[..., Experiment]:
    return _experiment


@pytest.fixture(scope="session")
def panel() -> Panel:
    return _panel()
