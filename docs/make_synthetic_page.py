"""Make the figures of ``docs/synthetic-county.md``: simulated beside published, as tables and a picture.

Run ``python docs/make_synthetic_page.py`` from the repository; it rewrites what stands between the markers of
the page, and ``docs/pictures/synthetic-county.png``. Published figures are those of the page's sources.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import polars as pl

from relapse_risk.evaluation.metrics import roc_auc
from relapse_risk.panel.synthetic import SyntheticCounty, simulate
from relapse_risk.windows import add_months

HERE = Path(__file__).parent
SEEDS = (0, 1, 2)
DAYS = tuple(date(year, 12, 31) for year in (2020, 2021, 2022, 2023))
BEGIN, END = "<!-- figures: made by docs/make_synthetic_page.py -->", "<!-- end of figures -->"
HEBEI_DPI = {2020: 16467, 2021: 18179, 2022: 19364, 2023: 20688, 2024: 22022}
CAUSES = {
    "因病": 35,
    "因残": 15,
    "缺劳动力": 15,
    "因务工就业不稳": 12,
    "因学": 5,
    "因意外事故": 5,
    "因产业项目失败": 4,
    "因自然灾害": 3,
}


def incomes(county: SyntheticCounty) -> dict[str, float]:
    """Return levels and shares of reported income in 2022."""
    observation = county.tables["observation"].unique(["household_id", "period_end"], keep="last")
    year = observation.filter(pl.col("period_end").dt.year() == 2022).drop_nulls("net_income_yuan")
    kinds = (
        county.tables["household"]
        .unique("household_id", keep="first")
        .select("household_id", "household_type")
    )
    total = {
        name: float(year[f"{name}_yuan"].sum())
        for name in (
            "net_income",
            "wage_income",
            "business_income",
            "business_cost",
            "property_income",
            "transfer_income",
        )
    }
    homes = (
        year.group_by("household_id")
        .agg(pl.col("net_income_yuan").sum(), pl.col("n_person").mean(), n=pl.len())
        .filter(pl.col("n") == 4)
        .join(kinds, on="household_id")
        .with_columns(head=pl.col("net_income_yuan") / pl.col("n_person"))
    )
    lifted = homes.filter(pl.col("household_type") == "脱贫户")
    per_head = np.repeat(homes["head"].to_numpy(), homes["n_person"].round(0).cast(pl.Int64).to_numpy())
    first = year.filter(pl.col("period_end").dt.month() == 3)["net_income_yuan"].sum()
    return {
        "persons": observation["n_person"].mean(),
        "mean": homes["net_income_yuan"].sum() / homes["n_person"].sum(),
        "lifted_mean": lifted["net_income_yuan"].sum() / lifted["n_person"].sum(),
        "median_to_mean": float(np.median(per_head) / per_head.mean()),
        "log_sd": float(np.log(np.maximum(per_head, 100)).std()),
        "first_quarter": first / total["net_income"],
        "wage": total["wage_income"] / total["net_income"],
        "business": (total["business_income"] - total["business_cost"]) / total["net_income"],
        "property": total["property_income"] / total["net_income"],
        "transfer": total["transfer_income"] / total["net_income"],
    }


def register(county: SyntheticCounty) -> dict[str, float]:
    """Return yearly rates of entering and leaving the register, and the mix of causes in percent."""
    household = county.tables["household"]
    kinds = dict(
        household.unique("household_id", keep="first").select("household_id", "household_type").iter_rows()
    )
    n = {kind: sum(k == kind for k in kinds.values()) for kind in set(kinds.values())}
    spells = household.filter(pl.col("identified_on") >= county.scenario.start).unique(
        ["household_id", "identified_on"]
    )
    entered = {kind: sum(kinds.get(h) == kind for h in spells["household_id"]) / 6 / n[kind] for kind in n}
    cleared = household.filter(pl.col("risk_cleared"))["household_id"].n_unique()
    ever = household.filter(pl.col("identified_on").is_not_null())["household_id"].n_unique()
    causes = spells["risk_types"].str.split("、").explode().drop_nulls()
    mix = {cause: 100 * float((causes == cause).sum()) / len(causes) for cause in CAUSES}
    return {
        "entry_lifted": entered["脱贫户"],
        "entry_ordinary": entered["一般农户"],
        "cleared": cleared / ever,
        **mix,
    }


def outcomes(county: SyntheticCounty, day: date) -> dict[str, float]:
    """Return event rates and figures of merit over the twelve months after a day."""
    month, truth = day.replace(day=1), county.truth
    struck = truth.events.filter((pl.col("month") > month) & (pl.col("month") <= add_months(day, 12)))
    kinds = (
        county.tables["household"]
        .unique("household_id", keep="first")
        .select("household_id", "household_type")
    )
    frame = (
        truth.status.filter((pl.col("month") == month) & ~pl.col("is_failing"))
        .join(
            truth.oracle.filter((pl.col("as_of_date") == day) & (pl.col("horizon_months") == 12)),
            on="household_id",
        )
        .join(kinds, on="household_id")
        .join(known_ratio(county, day), on="household_id")
        .with_columns(
            event=pl.col("household_id").is_in(struck["household_id"].unique().implode()).cast(pl.Float64)
        )
    )
    event, lifted = frame["event"].to_numpy(), (frame["household_type"] == "脱贫户").to_numpy()
    return {
        "rate_lifted": event[lifted].mean(),
        "rate_ordinary": event[~lifted].mean(),
        "auc_income": roc_auc(event, -frame["known"].to_numpy()),
        "auc_oracle": roc_auc(event, frame["risk"].to_numpy()),
        "expected": frame["risk"].mean(),
        "rate": event.mean(),
    }


def known_ratio(county: SyntheticCounty, day: date) -> pl.DataFrame:
    """Return reference income of the last four reported quarters over the line, as known on a day."""
    observation = county.tables["observation"].filter(pl.col("recorded_on") <= day)
    latest = (
        observation.sort("recorded_on").unique(["household_id", "period_end"], keep="last").sort("period_end")
    )
    flow = pl.col("net_income_yuan") + pl.col("claim_income_yuan") - pl.col("oop_compliant_yuan")
    year = latest.with_columns(flow=flow).drop_nulls("flow").group_by("household_id").tail(4)
    line = county.scenario.line_yuan(day.year)
    ratio = pl.col("flow").sum() / pl.col("n_person").last() / line
    return year.group_by("household_id").agg(known=ratio, n=pl.len()).filter(pl.col("n") == 4).drop("n")


def table(rows: list[tuple[str, str, str]], head: tuple[str, str, str]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|---|---|---|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def page(level: dict[str, float], kept: dict[str, float], forward: pl.DataFrame) -> str:
    """Return the page's figures as Markdown."""
    low, mean, high = forward.min(), forward.mean(), forward.max()

    def spread(name: str, percent: bool = True) -> str:
        a, b, c = (frame[name].item() for frame in (mean, low, high))
        return f"{a:.1%} ({b:.1%} to {c:.1%})" if percent else f"{a:.3f} ({b:.3f} to {c:.3f})"

    households = [
        ("persons per household", f"{level['persons']:.2f}", "2.75 (Hebei, census); 2.37 on the register"),
        (
            "net income per head 2022, yuan",
            f"{level['mean']:,.0f}",
            "19,364 (Hebei, rural disposable income)",
        ),
        ("the same, lifted households, yuan", f"{level['lifted_mean']:,.0f}", "14,342 (脱贫人口, national)"),
        ("median over mean", f"{level['median_to_mean']:.1%}", "89.3% (national rural, 2021)"),
        ("spread of log income per head", f"{level['log_sd']:.2f}", "0.48 (from the ratio above)"),
        ("share of wages 工资性", f"{level['wage']:.1%}", "about 42%"),
        ("share of business 生产经营性", f"{level['business']:.1%}", "about 35%"),
        ("share of property 财产性", f"{level['property']:.1%}", "about 2.5%"),
        ("share of transfers 转移性", f"{level['transfer']:.1%}", "about 21%"),
        ("first quarter's share of the year", f"{level['first_quarter']:.1%}", "about 28% (national, 2023)"),
    ]
    registered = [
        ("lifted households entering a year", f"{kept['entry_lifted']:.2%}", "0.5 to 1.2% (suggested)"),
        ("ordinary households entering a year", f"{kept['entry_ordinary']:.2%}", "about 0.1% (suggested)"),
        ("ever cleared among ever entered", f"{kept['cleared']:.0%}", "over 60% (national, September 2023)"),
        *(
            (f"cause {cause}", f"{kept[cause]:.0f}%", f"{share}% (assumed order)")
            for cause, share in CAUSES.items()
        ),
    ]
    judged = [
        ("lifted households at risk that relapse in 12 months", spread("rate_lifted"), "3 to 6% (aimed at)"),
        ("ordinary households", spread("rate_ordinary"), "about 1% (aimed at)"),
        (
            "AUC of known income over the line",
            spread("auc_income", False),
            "0.74 to 0.80 (household panel, Argentina)",
        ),
        ("AUC of the oracle", spread("auc_oracle", False), "no such figure exists in life"),
        ("mean oracle risk", spread("expected"), f"event rate {spread('rate')}"),
    ]
    head = ("", "simulated", "published")
    return "\n\n".join(
        (
            f"Means over {len(SEEDS)} counties of 5,000 households and 72 months (`hebei_like`).",
            "**Households and income**",
            table(households, head),
            "**The register**",
            table(registered, head),
            "**What happens to households at risk**, over four years (in brackets the range)",
            table(judged, head),
        )
    )


def draw(level: dict[str, float], counties: list[SyntheticCounty], forward: pl.DataFrame) -> None:
    """Draw income by source, income by year, and the event rates and AUC of each county and year."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    names, published = ("wage", "business", "property", "transfer"), (42, 35, 2.5, 21)
    place = np.arange(4)
    axes[0].bar(place - 0.2, [100 * level[name] for name in names], 0.4, label="simulated", color="#2a6f97")
    axes[0].bar(place + 0.2, published, 0.4, label="published", color="#c9b79c")
    axes[0].set_xticks(place, ["wages", "business", "property", "transfers"])
    axes[0].set(ylabel="% of net income", title="Income by source")
    axes[0].legend(frameon=False)
    for county in counties:
        observation = county.tables["observation"].unique(["household_id", "period_end"], keep="last")
        yearly = (
            observation.drop_nulls("net_income_yuan")
            .group_by(pl.col("period_end").dt.year().alias("year"))
            .agg(head=4 * pl.col("net_income_yuan").sum() / pl.col("n_person").sum())
            .sort("year")
        )
        axes[1].plot(yearly["year"], yearly["head"], color="#2a6f97", alpha=0.6, label="simulated")
    axes[1].plot(list(HEBEI_DPI), list(HEBEI_DPI.values()), "o-", color="#8a6d3b", label="Hebei, published")
    handles, labels = axes[1].get_legend_handles_labels()
    axes[1].legend([handles[0], handles[-1]], [labels[0], labels[-1]], frameon=False)
    axes[1].set(ylabel="yuan per head", title="Net income per head by year", ylim=(0, None))
    axes[2].axhspan(3, 6, color="#c9b79c", alpha=0.4, label="aimed at")
    axes[2].plot(forward["year"], 100 * forward["rate_lifted"], "o", color="#2a6f97", label="lifted")
    axes[2].plot(forward["year"], 100 * forward["rate_ordinary"], "o", color="#8a6d3b", label="ordinary")
    axes[2].set(ylabel="% within 12 months", title="Relapse of households at risk", ylim=(0, None))
    axes[2].set_xticks(sorted(set(forward["year"].to_list())))
    axes[2].legend(frameon=False)
    figure.savefig(HERE / "pictures" / "synthetic-county.png", dpi=110)


def main() -> None:
    """Simulate, and rewrite the page and its picture."""
    counties = [
        simulate(5000, 72, seed=seed, oracle_dates=DAYS, n_paths=200, hazard_paths=0) for seed in SEEDS
    ]
    level = pl.DataFrame([incomes(county) for county in counties]).mean().row(0, named=True)
    kept = pl.DataFrame([register(county) for county in counties]).mean().row(0, named=True)
    forward = pl.DataFrame(
        [{"year": day.year + 1, **outcomes(county, day)} for county in counties for day in DAYS]
    )
    draw(level, counties, forward)
    path = HERE / "synthetic-county.md"
    text = path.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n\n{page(level, kept, forward)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
