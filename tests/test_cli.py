"""The verbs of the main flow on a small county, and what they say to wrong calls."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner, Result

from relapse_risk.cli import app
from relapse_risk.panel.store import Store

EXPERIMENT = """
name = "small"
[model]
n_estimators = 30
num_leaves = 7
[evaluation]
capacities = [0.1]
bootstrap_replicates = 50
[evaluation.origins]
dates = [2022-09-30]
"""
POLICIES = {"random", "rules", "best_indicator", "scorecard", "logistic", "model", "rules+model", "oracle"}
RECORD_KEYS = {
    "policy", "origin", "capacity", "n", "events", "roc_auc", "pr_auc", "brier", "precision_at_capacity",
    "recall_at_capacity",
}  # fmt: skip


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project folder with exports, a store and an experiment."""
    root = tmp_path_factory.mktemp("cli")
    done = run("simulate", "--households", 700, "--months", 60, "--seed", 3, "--out", root / "exports")
    assert done.exit_code == 0, done.output
    done = run("ingest", root / "exports", "--store", root / "store")
    assert done.exit_code == 0, done.output
    (root / "small.toml").write_text(EXPERIMENT, encoding="utf-8")
    return root


@pytest.mark.filterwarnings("ignore")  # MLflow warns of its own dependencies
def test_the_main_flow_verb_by_verb(county: Path) -> None:
    store = ("--store", county / "store")
    day = ("--as-of", "2023-12-31")
    out = county / "out"
    small = ("--experiment", county / "small.toml")
    calls = [
        ("rules", *store, *day, "--out", out / "rules"),
        ("features", *store, *day, "--out", out / "features" / "f.parquet"),
        ("backtest", *store, *small, "--truth", county / "exports" / "truth", "--out", out / "backtest"),
    ]
    for call in calls:
        done = run(*call)
        assert done.exit_code == 0, done.output
    for folder in ("rules", "features", "backtest"):
        assert (out / folder / "manifest.json").exists()
    records = json.loads((out / "backtest" / "metrics.json").read_text(encoding="utf-8"))
    assert {record["policy"] for record in records} >= POLICIES - {"oracle"}
    assert all(record.keys() >= RECORD_KEYS for record in records)
    counts = json.loads((county / "store" / "manifest.json").read_text(encoding="utf-8"))["tables"]
    for table in counts.values():
        assert table["read"] == table["accepted"] + table["rejected"] + table["duplicate"]


def test_one_household_is_explained_to_the_clerk(county: Path, tmp_path: Path, monkeypatch) -> None:
    """With the county's own thresholds over the shipped ones, and their source beside each value."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "relapse.toml").write_text('language = "en"\nthresholds = "own.toml"\n', encoding="utf-8")
    own = '[[threshold]]\nparam = "{}"\nvalue = {}\nsource = "our order"\nverified = true\n'
    rows = (("R05.ratio", 0.7), ("R09.registered_yuan", 6000), ("R09.other_yuan", 10000))
    (tmp_path / "own.toml").write_text("".join(own.format(*row) for row in rows), encoding="utf-8")
    store = ("--store", county / "store", "--as-of", "2023-12-31")
    done = run("rules", *store, "--out", tmp_path / "rules")
    assert done.exit_code == 0, done.output
    manifest = json.loads((tmp_path / "rules" / "manifest.json").read_text(encoding="utf-8"))
    unverified = {row["param"] for row in manifest["unverified_thresholds"]}
    assert "R03.fall_share" in unverified
    assert "R05.ratio" not in unverified
    rule = {row["code"]: row for row in manifest["rules"]}
    assert rule["R09"]["not_in_force"] == 0
    n = len(pl.read_parquet(tmp_path / "rules" / "rule_hits.parquet"))
    assert all(row["hit"] + row["no_hit"] + row["cannot_judge"] == n for row in rule.values())
    household = pl.read_csv(tmp_path / "rules" / "clearance.csv", infer_schema=False)["household_id"][0]
    told = run("rules", "explain", household, *store)
    assert told.exit_code == 0, told.output
    assert "Check list for clearance:" in told.output
    assert "R05.ratio = 0.7 (our order; verified)" in told.output
    assert "消除核查清单" in run("rules", "explain", household, *store, "--lang", "zh").output


def test_a_list_of_rules_only_appears_whole_and_is_never_overwritten(county: Path) -> None:
    out = county / "out" / "list"
    call = (
        "visit-list",
        "--store",
        county / "store",
        "--as-of",
        "2023-12-31",
        "--out",
        out,
        "--model",
        "none",
    )
    assert run(*call, "--capacity", 60).exit_code == 0
    files = {path.name for path in out.iterdir()}
    assert "manifest.json" in files
    assert any(name.startswith("走访清单_") for name in files)

    refused = run(*call, "--capacity", 90)
    assert refused.exit_code == 2
    assert "RR481" in refused.output
    assert run(*call, "--capacity", 90, "--force").exit_code == 0


def test_a_list_that_staff_filled_in_comes_back(county: Path) -> None:
    """The way there and back with the verbs alone; the second time nothing is new."""
    out = county / "out" / "list-and-back"
    contacts, secret = county / "contacts.csv", county / "secret.txt"
    households = Store(county / "store").open().tables["household"]["household_id"].unique().sort()
    contacts.write_text(
        "户编号,户主姓名\n" + "".join(f"{home},张三\n" for home in households), encoding="utf-8"
    )
    secret.write_text("correct horse", encoding="utf-8")
    made = run(
        *("visit-list", "--store", county / "store", "--as-of", "2023-12-31", "--out", out),
        *("--model", "none", "--capacity", 400, "--lottery", 0.1),
        *("--contacts", contacts, "--encrypt", secret),
    )
    assert made.exit_code == 0, made.output
    assert "联系方式：" in made.output
    assert "张三" not in made.output
    listed = next(out.glob("走访清单_*.csv"))
    rows = pl.read_csv(listed, infer_schema=False)
    filled = rows.with_columns(走访日期=pl.lit("2024-01-10"), 核实结果=pl.lit("属实"))
    back = county / "back.csv"
    filled.write_csv(back, include_bom=True)
    call = ("record-visits", back, "--store", county / "store", "--lists", out)
    done = run(*call)
    assert done.exit_code == 0, done.output
    assert f"已录入走访{rows.height}条" in done.output
    assert "属实比例" in done.output
    assert "抽签比较" in done.output
    assert f"此前已录入{rows.height}条" in run(*call).output


@pytest.mark.parametrize(
    ("verb", "keys"),
    [
        ("rules", {"code", "zh", "en", "category", "basis", "params"}),
        ("features", {"name", "zh", "en", "unit", "family", "direction"}),
    ],
)
def test_catalogues_are_listed_as_json(verb: str, keys: set[str]) -> None:
    rows = json.loads(run(verb, "list", "--json").output)
    assert len(rows) >= 14
    assert all(row.keys() >= keys for row in rows)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("ingest", "empty"), "RR"),
        (("ingest", "noise.csv"), "RR"),
        (("rules", "--store", "nowhere", "--as-of", "2023-12-31", "--out", "o"), "RR"),
        (("rules", "--store", "{store}", "--as-of", "1990-01-01", "--out", "o"), "RR302"),
        (
            ("score", "--store", "{store}", "--as-of", "2023-12-31", "--model", "none_here", "--out", "o"),
            "RR204",
        ),
        (("rules", "explain", "nobody", "--store", "{store}", "--as-of", "2023-12-31"), "RR233"),
        (("rules", "explain", "x", "--store", "{store}", "--as-of", "2023-12-31", "--lang", "fr"), "RR206"),
        (("backtest", "--store", "{store}", "--experiment", "bad.toml", "--out", "o"), "RR213"),
        (("backtest", "--store", "{store}", "--experiment", "missing.toml", "--out", "o"), "RR211"),
    ],
)
def test_a_wrong_call_says_what_to_do_and_writes_nothing(
    arguments: tuple[str, ...], code: str, county: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "noise.csv").write_bytes(b"\xff\x00\x81\x90nothing here")
    (tmp_path / "bad.toml").write_text('name = "x"\nmisspelt = 1\n', encoding="utf-8")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    done = run(*(argument.replace("{store}", str(county / "store")) for argument in arguments))

    assert done.exit_code == 2, done.output
    assert f"[{code}" in done.output
    assert "Expected" in done.output
    assert "Traceback" not in done.output
    left = [path for path in tmp_path.rglob("*") if path.name not in before and path.is_file()]
    assert left == []


def test_planning_verbs_show_and_write(county: Path) -> None:
    call = ("--store", county / "store", "--as-of", "2023-12-31")
    out = county / "out" / "planning"
    (county / "rates.csv").write_text(
        "类别,计发单位,年标准(元),依据\n脱贫不稳定户,人,1200,县文件\n", encoding="utf-8"
    )
    tried = ("rules", "what-if", *call, "--set", "line=9000", "--rates", county / "rates.csv")
    done = run(*tried, "--out", out / "what-if")
    assert done.exit_code == 0, done.output
    assert "7770 → 9000" in done.output
    manifest = json.loads((out / "what-if" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["totals"]["then"] >= manifest["totals"]["now"]
    assert manifest["cost"]
    assert not manifest["may_leave_the_county"]
    done = run(
        "rules", "what-if", *call, "--set", "line=7000:9000:1000", "--lang", "en", "--out", out / "curve"
    )
    assert done.exit_code == 0, done.output
    assert (out / "curve" / "caseload_curve.csv").exists()
    for name, options in (("inside", ()), ("outside", ("--leaves-county", "--weight", "lifted_villages=2"))):
        done = run("rules", "roll-up", *call, "--out", out / name, *options)
        assert done.exit_code == 0, done.output
        manifest = json.loads((out / name / "manifest.json").read_text(encoding="utf-8"))
        assert manifest["may_leave_the_county"] == (name == "outside")
    assert "*" in (out / "outside" / "各乡镇人口.csv").read_text(encoding="utf-8-sig")
    assert "*" not in (out / "inside" / "各乡镇人口.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("option", "code"),
    [
        (("--set", "lime=7500"), "RR243"),
        (("--set", "line=0.75"), "RR244"),
        (("--set", "line"), "RR241"),
        (("--set", "line=7500", "--area", "99"), "RR245"),
    ],
)
def test_a_wrong_what_if_is_refused(county: Path, option: tuple[str, ...], code: str) -> None:
    done = run("rules", "what-if", "--store", county / "store", "--as-of", "2023-12-31", *option)
    assert done.exit_code == 2
    assert code in done.output


def test_forecast_writes_whole_tables_charts_and_a_manifest(county: Path, tmp_path: Path) -> None:
    costs = tmp_path / "costs.csv"
    costs.write_text("area_code,yuan_per_case\n,2000\n", encoding="utf-8")
    call = (
        "forecast",
        "--store",
        county / "store",
        "--as-of",
        "2023-12-31",
        "--months",
        "6",
        "--draws",
        "200",
    )
    small = ("--experiment", county / "small.toml", "--lang", "en")
    done = run(*call, *small, "--model", "none", "--cost-per-case", costs, "--out", tmp_path / "plain")
    assert done.exit_code == 0, done.output
    table = pl.read_csv(tmp_path / "plain" / "village_forecast.csv")
    assert table.null_count().sum_horizontal().item() == 0
    assert set(table["quantity"]) >= {"relapses", "visits", "funds_yuan"}
    charts = sorted(path.name for path in (tmp_path / "plain").glob("*.svg"))
    assert "fan_all.en.svg" in charts
    assert "fan_all.zh.svg" in charts
    whole = pl.read_csv(tmp_path / "plain" / "all_forecast.csv").filter(pl.col("month") == "total")
    mean = dict(whole.select("quantity", "mean").iter_rows())
    assert mean["funds_yuan"] == pytest.approx(2000 * mean["relapses"], rel=1e-3)
    done = run(*call, *small, "--line", "9000", "--out", tmp_path / "line")
    assert done.exit_code == 0, done.output
    higher = pl.read_csv(tmp_path / "line" / "all_forecast.csv").filter(pl.col("month") == "total")
    assert dict(higher.select("quantity", "mean").iter_rows())["relapses"] != mean["relapses"]
    assert json.loads((tmp_path / "line" / "manifest.json").read_text(encoding="utf-8"))["line"] == 9000


def test_forecast_says_in_both_languages_what_is_wrong(county: Path, tmp_path: Path) -> None:
    call = ("forecast", "--store", county / "store", "--as-of", "2023-12-31", "--model", "none")
    small = ("--experiment", county / "small.toml")
    done = run(*call, *small, "--months", "13", "--out", tmp_path)
    assert done.exit_code == 2
    assert "RR261" in done.output
    (tmp_path / "costs.csv").write_text("area_code,yuan_per_case\n,-1\n", encoding="utf-8")
    done = run(*call, *small, "--cost-per-case", tmp_path / "costs.csv", "--out", tmp_path)
    assert done.exit_code == 2
    assert "RR262" in done.output


def test_a_household_is_explained_by_the_list_before(county: Path, tmp_path: Path, monkeypatch) -> None:
    """The place on the list handed out, the rules by which it got there, and what changed since the last."""
    monkeypatch.chdir(tmp_path)
    store = ("--store", county / "store", "--model", "none")
    for day in ("2023-11-30", "2023-12-31"):
        done = run("visit-list", *store, "--as-of", day, "--capacity", 30, "--out", tmp_path / "lists" / day)
        assert done.exit_code == 0, done.output
    issued = pl.read_parquet(tmp_path / "lists" / "2023-12-31" / "issued.parquet")
    household = issued.filter(pl.col("rule_hits_n") > 0)["household_id"][0]
    call = ("explain", household, *store, "--as-of", "2023-12-31", "--lang", "en")
    told = run(*call, "--lists", tmp_path / "lists")
    assert told.exit_code == 0, told.output
    assert f"List {issued['list_id'][0]}: listed at rank 1 of" in told.output
    assert "== Since the last list (2023-11-30" in told.output
    assert "none of that day was found" in run(*call).output
    assert "listed at rank 1 of" in run(*call, "--capacity", 30).output
    refused = run(*call, "--picture", tmp_path / "why.svg")
    assert refused.exit_code == 2
    assert "RR234" in refused.output
    assert "RR233" in run("explain", "nobody", *store, "--as-of", "2023-12-31").output
    changes = tmp_path / "changes.csv"
    compare = ("compare-lists", tmp_path / "lists" / "2023-11-30", tmp_path / "lists" / "2023-12-31")
    done = run(*compare, *store, "--out", changes, "--lang", "en")
    assert done.exit_code == 0, done.output
    table = pl.read_csv(changes, infer_schema=False)
    assert set(issued["household_id"]) <= set(table["household_id"])
    assert "same: " in done.output
    assert "RR490" in run(compare[0], compare[2], compare[1], *store, "--out", changes).output
