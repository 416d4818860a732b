"""Print how hard a synthetic county is: event rates, what one indicator and the oracle reach, and seconds.

Run ``python benchmarks/synthetic_check.py [--households 5000] [--seeds 3] [--scenario hebei_like]``.
"""

from __future__ import annotations

import argparse
import time
from datetime import date

import numpy as np
import polars as pl

from relapse_risk.panel.synthetic import Scenario, SyntheticCounty, simulate
from relapse_risk.windows import add_months

CAPACITIES = (0.05, 0.10)


def roc_auc(is_event: np.ndarray, score: np.ndarray) -> float:
    """Return the area under the ROC curve, ties counted as half."""
    order = np.argsort(score, kind="stable")
    _, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    events = is_event[order].astype(bool)
    n1, n0 = events.sum(), (~events).sum()
    return float((rank[events].sum() - n1 * (n1 + 1) / 2) / (n1 * n0)) if n1 and n0 else float("nan")


def precision_at(is_event: np.ndarray, score: np.ndarray, share: float) -> float:
    """Return the share of events among the highest ``share`` of scores."""
    best = np.argsort(-score, kind="stable")[: int(share * len(score))]
    return float(is_event[best].mean())


def observed_status(county: SyntheticCounty) -> pl.DataFrame:
    """Return what reports in their latest version say: trailing income over the line, and failures."""
    latest = (
        county.tables["observation"].sort("recorded_on").unique(["household_id", "period_end"], keep="last")
    )
    line = county.tables["threshold"].select("effective_from", line="value").sort("effective_from")
    flow = pl.col("net_income_yuan") + pl.col("claim_income_yuan") - pl.col("oop_compliant_yuan")
    lacks = (
        pl.col("house_grade").is_in(["C", "D"])
        | ~pl.col("water_safe")
        | (pl.col("dropout_n") > 0)
        | (pl.col("uninsured_n") > 0)
    )
    frame = latest.sort("household_id", "period_end").with_columns(
        trailing=flow.rolling_sum(4).over("household_id"), lacks=lacks.fill_null(value=False)
    )
    return (
        frame.sort("period_end")
        .join_asof(line, left_on="period_end", right_on="effective_from")
        .with_columns(ratio=pl.col("trailing") / pl.col("n_person") / pl.col("line"))
        .with_columns(failing=(pl.col("ratio") < 1) | pl.col("lacks"))
        .select("household_id", "period_end", "recorded_on", "ratio", "failing")
    )


def known_ratio(county: SyntheticCounty, day: date) -> pl.DataFrame:
    """Return each household's latest reported ratio and failure as known on ``day``."""
    known = {name: frame.filter(pl.col("recorded_on") <= day) for name, frame in county.tables.items()}
    then = SyntheticCounty(county.scenario, county.seed, known, county.contacts, county.truth)
    status = observed_status(then).sort("period_end").unique("household_id", keep="last")
    return status.select("household_id", known="ratio", known_failing="failing")


def judge(county: SyntheticCounty, day: date) -> dict[str, float]:
    """Return rates and figures of merit for one as-of date, 12 months ahead."""
    end = add_months(day, 12)
    truth = county.truth
    month = day.replace(day=1)
    at_risk = truth.status.filter((pl.col("month") == month) & ~pl.col("is_failing"))
    events = truth.events.filter((pl.col("month") > month) & (pl.col("month") <= end))
    struck = events.group_by("household_id").agg(by_income=(pl.col("outcome") == "income").any())
    oracle = truth.oracle.filter((pl.col("as_of_date") == day) & (pl.col("horizon_months") == 12))
    observed = observed_status(county)
    later = observed.filter((pl.col("period_end") > day) & (pl.col("period_end") <= end))
    label = later.group_by("household_id").agg(label=pl.col("failing").any())
    kind = (
        county.tables["household"]
        .unique("household_id", keep="first")
        .select("household_id", "household_type")
    )
    frame = (
        known_ratio(county, day)
        .join(kind, on="household_id")
        .join(oracle.select("household_id", "risk"), on="household_id")
        .join(label, on="household_id", how="left")
        .join(struck, on="household_id", how="left")
        .join(at_risk.select("household_id", "ref_income_to_line"), on="household_id", how="left")
    )
    true = frame.filter(pl.col("ref_income_to_line").is_not_null() & pl.col("known").is_not_null())
    event = true["by_income"].is_not_null().to_numpy()
    lifted = (true["household_type"] == "脱贫户").to_numpy()
    seen = frame.filter((pl.col("known") >= 1) & ~pl.col("known_failing") & pl.col("label").is_not_null())
    figures = {
        "lifted_rate": event[lifted].mean(),
        "ordinary_rate": event[~lifted].mean(),
        "income_share": float(true["by_income"].sum()) / max(event.sum(), 1),
        "oracle_mean": true["risk"].mean(),
        "event_mean": event.mean(),
        "auc_true_ratio": roc_auc(event, -true["ref_income_to_line"].to_numpy()),
        "auc_known_ratio": roc_auc(event, -true["known"].to_numpy()),
        "auc_oracle": roc_auc(event, true["risk"].to_numpy()),
        "label_rate": seen["label"].mean(),
        "label_auc_known": roc_auc(seen["label"].to_numpy(), -seen["known"].to_numpy()),
        "label_auc_oracle": roc_auc(seen["label"].to_numpy(), seen["risk"].to_numpy()),
    }
    for share in CAPACITIES:
        label_array = seen["label"].to_numpy()
        figures[f"label_p{share:.0%}_known"] = precision_at(label_array, -seen["known"].to_numpy(), share)
        figures[f"label_p{share:.0%}_oracle"] = precision_at(label_array, seen["risk"].to_numpy(), share)
    return {name: float(value) for name, value in figures.items()}


def main() -> None:
    """Simulate, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--households", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--paths", type=int, default=200)
    parser.add_argument("--scenario", default="hebei_like")
    options = parser.parse_args()
    scenario = Scenario.load(options.scenario)
    days = [date(2020, 12, 31), date(2021, 12, 31), date(2022, 6, 30), date(2023, 9, 30)]
    records = []
    for seed in range(options.seeds):
        begun = time.process_time()
        county = simulate(
            options.households, 72, scenario, seed, oracle_dates=days, n_paths=options.paths, hazard_paths=0
        )
        seconds = time.process_time() - begun
        records += [{"seconds": seconds, **judge(county, day)} for day in days]
    frame = pl.DataFrame(records)
    for name in frame.columns:
        column = frame[name]
        print(f"{name:18s} mean {column.mean():.3f}   from {column.min():.3f} to {column.max():.3f}")


if __name__ == "__main__":
    main()
