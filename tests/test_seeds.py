"""What the synthetic county must show on average over seeds, at equal visits."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from relapse_risk.config import EvaluationConfig, Experiment, ModelConfig, OriginConfig
from relapse_risk.evaluation.backtest import BacktestResult, run_backtest
from relapse_risk.panel.synthetic import simulate

SEEDS = (11, 12, 13, 14, 15)
ORIGINS = (date(2022, 9, 30), date(2023, 9, 30))
CAPACITY = 0.1


@pytest.fixture(scope="module")
def results() -> list[BacktestResult]:
    experiment = Experiment(
        name="seeds",
        model=ModelConfig(n_estimators=80),
        evaluation=EvaluationConfig(
            origins=OriginConfig(dates=ORIGINS), gap_months=2, capacities=(CAPACITY,), bootstrap_replicates=0
        ),
    )
    judged = []
    for seed in SEEDS:
        county = simulate(2000, 72, seed=seed, oracle_dates=ORIGINS, hazard_paths=0)
        judged.append(run_backtest(county.panel(), experiment, truth=county.truth))
    return judged


def _found(result: BacktestResult, policy: str) -> float:
    return next(float(r["found"]) for r in result.pooled if r["policy"] == policy)


@pytest.mark.slow
def test_rules_and_model_find_at_least_what_rules_find_and_less_than_the_oracle(
    results: list[BacktestResult],
) -> None:
    mean = {
        policy: np.mean([_found(result, policy) for result in results])
        for policy in ("rules", "rules+model", "oracle")
    }
    assert mean["rules"] <= mean["rules+model"] < mean["oracle"]


@pytest.mark.slow
def test_no_forward_auc_is_too_good_to_be_true(results: list[BacktestResult]) -> None:
    for result in results:
        auc = next(r["roc_auc"] for r in result.pooled if r["policy"] == "model")
        assert auc < 0.95
        assert not [n for n in result.alarm_notices if n.code == "RR501"]
