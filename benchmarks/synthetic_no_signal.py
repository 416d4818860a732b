"""Count the seeds of ``no_signal`` on which a model looks good, judged by the toolkit's own backtest.

Events are drawn without regard to anything, so the 95% interval of a model's AUC should cover 0.5 on about
19 of 20 seeds. Run ``python benchmarks/synthetic_no_signal.py [--seeds 20] [--households 1500]``; the exit
code is 1 where it covers 0.5 on fewer than nine tenths of the seeds.
"""

from __future__ import annotations

import argparse
import sys
from datetime import date

from relapse_risk.config import EvaluationConfig, Experiment, ModelConfig, OriginConfig
from relapse_risk.evaluation.backtest import run_backtest
from relapse_risk.panel.synthetic import Scenario, simulate

ORIGINS = (date(2022, 9, 30), date(2023, 9, 30))
POLICIES = ("model", "logistic")
LEAST_SHARE = 0.9


def judge(seed: int, households: int) -> dict[str, tuple[float, float, float]]:
    """Return each policy's AUC 12 months forward, with the ends of its 95% interval."""
    county = simulate(households, 72, Scenario.load("no_signal"), seed, oracle_dates=[], hazard_paths=0)
    experiment = Experiment(
        name="no_signal",
        model=ModelConfig(n_estimators=60),
        evaluation=EvaluationConfig(
            origins=OriginConfig(dates=ORIGINS), gap_months=2, capacities=(0.1,), bootstrap_replicates=400
        ),
    )
    pooled = run_backtest(county.panel(), experiment).pooled
    return {
        str(r["policy"]): tuple(float(str(r[f"roc_auc{end}"])) for end in ("", "_low", "_high"))
        for r in pooled
        if r["policy"] in POLICIES
    }


def main() -> int:
    """Judge every seed and print the count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--households", type=int, default=1500)
    options = parser.parse_args()
    covers = dict.fromkeys(POLICIES, 0)
    for seed in range(options.first, options.first + options.seeds):
        for policy, (auc, low, high) in judge(seed, options.households).items():
            covers[policy] += low <= 0.5 <= high
            print(f"seed {seed:3d}  {policy:9s} {auc:.3f} ({low:.3f} to {high:.3f})", flush=True)
    for policy, count in covers.items():
        print(f"{policy}: the interval covers 0.5 on {count} of {options.seeds} seeds")
    return int(min(covers.values()) < LEAST_SHARE * options.seeds)


if __name__ == "__main__":
    sys.exit(main())
