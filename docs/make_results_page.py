"""Write ``docs/results.md`` from what ``benchmarks/results.py`` measured: python docs/make_results_page.py WORK."""
# ruff: noqa: E501 - the sentences of a page are read whole

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import poisson

from relapse_risk.evaluation.estimand_tables import (
    censoring_sentence,
    censoring_table_rows,
    exits_table_rows,
    kinds_sentences,
    kinds_table,
    markdown_lines,
)
from relapse_risk.evaluation.gain import ScoreOrder, ratio
from relapse_risk.evaluation.intervals import ClusterBootstrap

Array = NDArray[np.float64]
HERE = Path(__file__).parent
REPLICATES = 2000
NAMES = {
    "random": "random",
    "rules_random_fill": "rules, spare visits at random",
    "rules": "rules, spare visits by income over line",
    "best_indicator": "best single indicator",
    "logistic": "logistic",
    "model": "model alone",
    "rules+model": "rules+model (the visit list, audit charged)",
    "rules+forecast": "the same list with the best forecast",
    "forecast": "best forecast alone",
    "oracle": "true hazard",
}


KINDS = {"hazard": "The default model (trees)", "blend": "A blend of trees and spline logistic"}


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return ["", *("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines), ""]


def with_interval(bootstrap: ClusterBootstrap, point: float, draws: Array, digits: int = 2) -> str:
    """Return a figure with its 95% interval."""
    interval = bootstrap.interval(draws, point)
    return f"{point:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


# --- (a) ----------------------------------------------------------------------------------------------


def distance_section(work: Path) -> list[str]:
    """Return how far rules and model go from the rules alone to the two oracles."""
    facts = json.loads((work / "distance.json").read_text(encoding="utf-8"))
    lines = [
        "## (a) `hebei_like`: how much of the way from the rules to the oracle",
        "",
        f"{len(facts['seeds'])} counties (seeds {', '.join(map(str, facts['seeds']))}, used for nothing else), "
        f"72 months, judged on {' and '.join(facts['origins'])}, 5% of the households that are at risk and not in "
        f"tier 红. Scenario file sha256 `{facts['scenario_sha256']}`. Lists are compared by the summed true risk of "
        "those visited; intervals resample villages, all counties together.",
        "",
        "Two oracles: the *true hazard*, which knows a household's complete state; and the *best forecast* from what "
        f"the panel shows, approximated by a blend trained on {facts['forecast_households']:,} households of other "
        f"counties ({facts['forecast_rows']['rows']:,} rows, {facts['forecast_rows']['events']:,} events).",
    ]
    for kind, title in KINDS.items():
        rows = pl.concat([pl.read_parquet(file) for file in sorted(work.glob(f"distance-{kind}-*.parquet"))])
        lines += _distance_of(f"{title}, {facts['households']:,} households a county", rows)
    return lines


def _distance_of(title: str, rows: pl.DataFrame) -> list[str]:
    clusters = rows["seed"].cast(pl.String) + "-" + rows["village_code"]
    bootstrap = ClusterBootstrap.of(clusters, REPLICATES, 0)
    risk, outcome = rows["risk"].to_numpy(), rows["outcome"].to_numpy()
    points, draws, found = {}, {}, {}
    for name in NAMES:
        chance = rows[name].to_numpy()
        by_cluster = np.zeros(bootstrap.n_clusters)
        np.add.at(by_cluster, bootstrap.cluster_of_row, chance * risk)
        points[name], draws[name] = float(by_cluster.sum()), bootstrap.draws @ by_cluster
        found[name] = float((chance * outcome).sum())

    def share(reached: str, start: str, goal: str) -> str:
        point = (points[reached] - points[start]) / (points[goal] - points[start])
        return with_interval(
            bootstrap, point, ratio(draws[reached] - draws[start], draws[goal] - draws[start])
        )

    def part(low: str, high: str) -> str:
        whole = points["oracle"] - points["rules"]
        values = ratio(draws[high] - draws[low], draws["oracle"] - draws["rules"])
        return with_interval(bootstrap, (points[high] - points[low]) / whole, values)

    of_forecast = share("rules+model", "rules", "forecast")
    point = (points["rules+model"] - points["rules"]) / (points["forecast"] - points["rules"])
    verdict = "reached" if point >= 0.8 else "**missed**"
    seeds = rows["seed"].n_unique()
    return [
        "",
        f"### {title} ({seeds} counties, {rows.height:,} household-dates, "
        f"{int(outcome.sum()):,} relapses, {bootstrap.n_clusters} villages)",
        *table(
            ("policy", "summed true risk", "relapses found"),
            [(NAMES[name], f"{points[name]:.1f}", f"{found[name]:.1f}") for name in NAMES],
        ),
        *table(
            ("share of the distance from the rules", "to the true hazard", "to the best forecast"),
            [
                (NAMES[name], share(name, "rules", "oracle"), share(name, "rules", "forecast"))
                for name in ("rules+model", "model", "rules+forecast")
            ],
        ),
        f"The aim of 0.8 of the second distance is {verdict} by rules+model: {of_forecast}. Against the best "
        f"forecast in the same form of list it is {share('rules+model', 'rules', 'rules+forecast')}. The list "
        f"visits rule hits first and draws an audit sample, so that with the best forecast itself it covers "
        f"{share('rules+forecast', 'rules', 'forecast')}: that is the most a model can reach in this form. The "
        f"model alone, without that form, covers {share('model', 'rules', 'forecast')}.",
        "",
        "What the whole distance to the true hazard is made of:",
        *table(
            ("part", "share of the distance (95%)"),
            [
                ("covered by rules+model", part("rules", "rules+model")),
                (
                    "our own failing: too little to learn from, or not learnt",
                    part("rules+model", "rules+forecast"),
                ),
                ("form of the list: rule hits first, audit visits", part("rules+forecast", "forecast")),
                (
                    "what the panel does not show: frailty, measurement error, reports to come",
                    part("forecast", "oracle"),
                ),
            ],
        ),
    ]


# --- (b) ----------------------------------------------------------------------------------------------


def no_signal_section(work: Path) -> list[str]:
    """Return what is found where nothing is to be found."""
    lines = ["## (b) `no_signal`: nothing to be found", ""]
    rows, covers, extra, spread = [], 0, [], []
    for file in sorted(work.glob("no_signal-*.json")):
        records = {r["policy"]: r for r in json.loads(file.read_text(encoding="utf-8"))}
        model, random = records["model"], records["random"]
        covers += model["roc_auc_low"] <= 0.5 <= model["roc_auc_high"]
        extra.append(records["rules+model"]["found"] - random["found"])
        spread.append(random["found"] * (1 - 0.05))
        rows.append(
            (
                file.stem.removeprefix("no_signal-"),
                f"{model['roc_auc']:.3f} ({model['roc_auc_low']:.3f} to {model['roc_auc_high']:.3f})",
                f"{random['found']:.1f}",
                f"{model['found']:.1f}",
                f"{records['rules+model']['found']:.1f}",
            )
        )
    half = 1.96 * float(np.sqrt(np.sum(spread)))
    total = float(np.sum(extra))
    verdict = "not told apart from random" if abs(total) < half else "**told apart from random**"
    lines += table(("seed", "AUC of the model (95%)", "found: random", "model", "rules+model"), rows)
    lines.append(
        f"The interval covers 0.5 on {covers} of {len(rows)} seeds. Over all seeds rules+model finds {total:+.1f} "
        f"relapses beside random (95% by chance alone: ±{half:.1f}): {verdict}."
    )
    return [*lines, ""]


# --- (c) ----------------------------------------------------------------------------------------------


def change_section(work: Path) -> list[str]:
    """Return what breaks when a year goes bad or causes change, and when it can be seen."""
    counties = {
        scenario: [
            json.loads(file.read_text(encoding="utf-8"))
            for file in sorted(work.glob(f"change-{scenario}-*.json"))
        ]
        for scenario in ("hebei_like", "shock_year", "drift")
    }
    unchanged = [list(parts) for parts in zip(*counties["hebei_like"], strict=True)]
    lines = [
        "## (c) `shock_year` and `drift`: what breaks, and how soon it is noticed",
        "",
        "A model is trained once, on what was known on 2022-06-30, 150 trees, uncalibrated, and judged on every quarter from "
        "then on (3 counties of 3,000 households each, pooled). Beside its risk by 3 months stands the count of "
        "relapses within 3 months. A change is *noticed* where that count lies outside the 95% range that the "
        "unchanged county of the same seeds leads one to expect (Poisson on both sides), so that seasons, which move "
        "the counts of `hebei_like` too, raise no alarm; a county has its own earlier years for that. The count of a "
        "quarter is known some two months after the quarter's end.",
    ]
    for scenario, known in counties.items():
        if known:
            lines += _change_of(scenario, [list(parts) for parts in zip(*known, strict=True)], unchanged)
    return lines


Quarters = list[list[dict[str, Any]]]


def _change_of(scenario: str, quarters: Quarters, unchanged: Quarters) -> list[str]:
    rows, noticed, level, aucs = [], [], {}, {}
    for parts, usual in zip(quarters, unchanged, strict=True):
        day = parts[0]["origin"]
        observed, expected = _sum([parts], "observed_3m"), _sum([parts], "expected_3m")
        mean = _sum([usual], "observed_3m") / _sum([usual], "expected_3m") * expected
        # The unchanged count is itself one draw.
        spread = np.sqrt(1 + mean / _sum([usual], "observed_3m"))
        low = mean - spread * (mean - poisson.ppf(0.025, mean))
        high = mean + spread * (poisson.ppf(0.975, mean) - mean)
        if not low <= observed <= high:
            noticed.append(day)
        aucs[day] = _mean_auc(parts)
        visits = sum(p["visits"] for p in parts)
        found = {name: sum(p["found"][name] for p in parts) for name in ("rules", "model", "rules+model")}
        level[day] = _sum([parts], "observed_12m") / _sum([parts], "expected_12m")
        rows.append(
            (
                day,
                f"{aucs[day]:.3f}",
                *(f"{found[name] / visits:.3f}" for name in found),
                f"{level[day]:.2f}",
                f"{observed:.0f} / {expected:.0f}",
                f"{low:.0f} to {high:.0f}",
                "noticed" if day in noticed else "",
            )
        )
    header = (
        "origin",
        "AUC",
        "precision at 5%: rules",
        "model",
        "rules+model",
        "observed over expected, 12 months",
        "3 months: observed / expected",
        "range",
        "",
    )
    usual_level = max(_sum([u], "observed_12m") / _sum([u], "expected_12m") for u in unchanged)
    usual_aucs = [_mean_auc(usual) for usual in unchanged]
    worst = max(level, key=lambda day: level[day])
    said = (
        f"Level: relapses within 12 months are up to {level[worst]:.2f} times what the model expects ({worst}); in the "
        f"unchanged counties up to {usual_level:.2f} times. Order: AUC {min(aucs.values()):.3f} to "
        f"{max(aucs.values()):.3f}; unchanged {min(usual_aucs):.3f} to {max(usual_aucs):.3f}. "
    )
    if scenario != "hebei_like":
        said += (
            f"First noticed by the relapses of the quarter after {noticed[0]}."
            if noticed
            else "The counts of single quarters do not give the change away."
        )
    return ["", f"### `{scenario}`", *table(header, rows), said]


def _mean_auc(parts: list[dict[str, Any]]) -> float:
    return float(np.average([p["roc_auc"] for p in parts], weights=[p["events"] for p in parts]))


def _sum(quarters: Quarters, name: str) -> float:
    return float(sum(part[name] for parts in quarters for part in parts))


# --- (d) ----------------------------------------------------------------------------------------------


def eph_section(work: Path) -> list[str]:
    """Return the toolkit's models beside the references of the real panel, as paired differences."""
    scores = pl.read_parquet(work / "eph.parquet").filter(pl.col("score_reference").is_not_null())
    outcome = scores["outcome"].to_numpy()
    bootstrap = ClusterBootstrap.of(scores["county_code"], REPLICATES, 0)
    names = {
        "model": "blend (the experiment's model)",
        "logistic": "spline logistic",
        "reference": "reference LightGBM, made again",
        "reference+before": "reference LightGBM + previous quarter, made again",
        "best_indicator": "best single indicator",
    }
    figures = {
        name: _auc_and_precision(scores[f"score_{name}"].to_numpy(), outcome, bootstrap) for name in names
    }
    mine = figures["model"]
    rows = [
        (
            text,
            with_interval(bootstrap, *figures[name][0], 4),
            with_interval(bootstrap, *figures[name][1], 4),
            "–" if name == "model" else _difference(bootstrap, mine[0], figures[name][0]),
            "–" if name == "model" else _difference(bootstrap, mine[1], figures[name][1]),
        )
        for name, text in names.items()
    ]
    lows = [
        [
            bootstrap.interval(mine[k][1] - figures[name][k][1]).low
            for name in ("logistic", "reference", "reference+before")
        ]
        for k in (0, 1)
    ]
    aims = (
        ("AUC at least .785", mine[0][0] >= 0.785),
        ("precision at 10% at least .440", mine[1][0] >= 0.440),
        ("lower bounds of AUC differences above −.005", min(lows[0]) > -0.005),
        ("lower bounds of precision differences above −.015", min(lows[1]) > -0.015),
    )
    return [
        "## (d) A real panel: Argentina, EPH 2003 to 2010",
        "",
        f"Train on pairs followed up by 2008Q4, test on base quarters of 2009: {len(outcome):,} households above the "
        f"line, {int(outcome.sum()):,} below it a year later. Visits are 10% of all four quarters together, as in "
        f"the reference. Intervals and paired differences resample {bootstrap.n_clusters} agglomerations. The "
        "references are made again from the panel's own columns (published: LightGBM .776 and .427, with the "
        "previous quarter .787 and .443). The kind of model, its weight and settings were chosen on base quarters "
        "of 2008. The test year has been looked at before: its figures stand in the README; the experiment was not "
        "changed for this page.",
        *table(("", "AUC", "precision at 10%", "blend minus this: AUC", "precision"), rows),
        *(f"- {text}: {'yes' if is_met else '**no**'}" for text, is_met in aims),
        "",
    ]


Figure = tuple[float, Array]


def _auc_and_precision(score: Array, outcome: Array, bootstrap: ClusterBootstrap) -> tuple[Figure, Figure]:
    order = ScoreOrder.of(score)
    once = order.gain(outcome)
    auc, precision = [], []
    for weights in bootstrap.row_weights():
        gain = order.gain(outcome, weights)
        auc.append(gain.roc_auc())
        precision.append(_at_tenth(gain))
    return (float(once.roc_auc()[0]), np.concatenate(auc)), (
        float(_at_tenth(once)[0]),
        np.concatenate(precision),
    )


def _at_tenth(gain: Any) -> Array:
    visits = 0.1 * gain.n
    found = np.array([np.interp(v, x, y) for v, x, y in zip(visits, gain.visits, gain.found, strict=True)])
    return ratio(found, visits)


def _difference(bootstrap: ClusterBootstrap, mine: Figure, other: Figure) -> str:
    return with_interval(bootstrap, mine[0] - other[0], mine[1] - other[1], 4)


# --- the page -----------------------------------------------------------------------------------------


# --- (e) ----------------------------------------------------------------------------------------------


def kinds_section(work: Path) -> list[str]:
    """Return what lists find of every kind of relapse, and the bounds of what was not seen."""
    kinds, censoring, exits = (
        pl.read_parquet(work / f"kinds-{name}.parquet") for name in ("kinds", "censoring", "exits")
    )
    capacity = 0.05
    return [
        "## (e) Kinds of relapse, and who was not wholly seen",
        "",
        "One county of (a) (seed 7201, 3,000 households, the same two dates, the default model), 5% capacity. Every "
        "backtest and every model card shows these tables of its own data.",
        "",
        *markdown_lines(kinds_table(kinds, capacity, "en")),
        "",
        *(f"- {sentence}" for sentence in kinds_sentences(kinds, capacity, "en")),
        "",
        censoring_sentence(censoring, "en"),
        "",
        *markdown_lines(censoring_table_rows(censoring, capacity, "en")),
        "",
        *markdown_lines(exits_table_rows(exits, "en")),
    ]


def _warn_of_another_county(work: Path) -> list[str]:
    """Return a warning where the scenario has changed since (a) was measured."""
    facts = work / "distance.json"
    if not facts.exists():
        return []
    measured = json.loads(facts.read_text(encoding="utf-8"))["scenario_sha256"]
    now = hashlib.sha256((HERE.parent / "data" / "scenarios" / "hebei_like.toml").read_bytes()).hexdigest()
    if measured == now:
        return []
    return [
        f"**(a) was measured on an earlier version of the synthetic county** (`hebei_like.toml` of sha256 "
        f"`{measured[:12]}`; the repository now holds `{now[:12]}`): it is to be measured again.",
        "",
    ]


def page(work: Path) -> str:
    """Return the page; a part that was not measured says so."""
    lines = [
        "# Results",
        "",
        "What the toolkit finds where the truth is known, and beside others' figures on a real panel; where an aim is "
        "missed, the page says so. Measured by `python benchmarks/results.py WORK forecast distance no_signal change "
        "kinds eph --eph panel.parquet`, written by `python docs/make_results_page.py WORK`. What equal visits are, and how "
        "ties are treated, stands in `evaluation/policies.py` and `evaluation/gain.py`.",
        "",
    ]
    lines += _warn_of_another_county(work)
    parts: tuple[tuple[str, Callable[[Path], list[str]]], ...] = (
        ("distance.json", distance_section),
        ("no_signal-*.json", no_signal_section),
        ("change-*.json", change_section),
        ("eph.parquet", eph_section),
        ("kinds-exits.parquet", kinds_section),
    )
    for pattern, section in parts:
        lines += section(work) if any(work.glob(pattern)) else [f"({section.__name__}: not measured.)"]
        lines.append("")
    return "\n".join(lines).replace("\n\n\n", "\n\n").rstrip() + "\n"


if __name__ == "__main__":
    (HERE / "results.md").write_text(page(Path(sys.argv[1])), encoding="utf-8")
