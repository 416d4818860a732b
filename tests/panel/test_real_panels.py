"""Two household panels from elsewhere, read by nothing but their mappings; skipped where they are absent."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from relapse_risk.mapping_config import Mapping
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.store import Store
from relapse_risk.thresholds import ThresholdTable
from relapse_risk.toml_file import load

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
EPH = DATA / "eph_argentina" / "panel.parquet"
NLSY = DATA / "us_nlsy" / "panel.csv"


def mapping(name: str) -> Mapping:
    return load(ROOT / "data" / "mappings" / f"{name}.toml", Mapping)


@pytest.mark.skipif(not NLSY.is_file(), reason="the panel us_nlsy does not lie beside the project")
def test_status_only_panel(tmp_path: Path) -> None:
    source = pl.read_csv(NLSY)
    report = ingest(NLSY, tmp_path, mapping("us_nlsy"))
    assert report.counts["household"].as_dict() == {
        "read": 5755,
        "accepted": 1151,
        "rejected": 0,
        "duplicate": 4604,
    }
    assert report.counts["observation"].accepted == 5755
    assert "black" in report.unknown_columns["panel.csv"]
    panel = Store(tmp_path).open()
    observation = panel.tables["observation"]
    assert observation["below_line"].sum() == source["poor"].sum()
    assert observation["net_income_yuan"].null_count() == observation.height
    assert "black" not in observation.columns
    assert panel.known_at(date(1980, 12, 30)).table("observation")["period_end"].max() == date(1979, 12, 31)


@pytest.mark.slow
@pytest.mark.skipif(not EPH.is_file(), reason="the panel eph_argentina does not lie beside the project")
def test_income_panel_with_a_line_by_region_and_quarter(tmp_path: Path) -> None:
    source = pl.read_parquet(EPH)
    report = ingest(EPH, tmp_path, mapping("eph_argentina"))
    households, lines = source["household_id"].n_unique(), source.select("region", "period").n_unique()
    assert report.failures.is_empty()
    assert report.counts["household"].accepted == households
    assert report.counts["observation"].accepted == source.height
    assert report.counts["threshold"].accepted == lines
    assert report.assumed["observation"] == "period_end + 0 days"
    panel = Store(tmp_path).open()
    known = panel.known_at(date(2006, 12, 31))
    table = known.thresholds(ThresholdTable())
    observation = (
        known.table("observation")
        .join(known.households.select("household_id", "county_code"), on="household_id")
        .filter(pl.col("period_end") == date(2006, 12, 31))
    )
    counties = sorted(set(observation["county_code"]))
    values = table.values("line", counties, [date(2006, 12, 31)])[:, 0]
    line = pl.DataFrame({"county_code": counties, "line": values})
    poor = observation.join(line, on="county_code").select(
        (pl.col("net_income_yuan") * 4 < pl.col("line") * pl.col("n_person")) == pl.col("below_line")
    )
    assert poor.to_series().mean() == pytest.approx(1.0, abs=1e-3), "income, persons and line fit together"
    expected = source.filter((pl.col("year") == 2006) & (pl.col("quarter") == 4))
    assert observation.height == expected.height
    assert observation["hh_size"].sum() == expected["hh_size"].sum()
