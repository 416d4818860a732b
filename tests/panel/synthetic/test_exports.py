"""A synthetic county handed in as files: read back they are the same tables, whatever the format."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.panel.ingest import ingest
from relapse_risk.panel.read import read_exports
from relapse_risk.panel.synthetic import SyntheticCounty, read_truth, simulate, write_exports, write_truth
from relapse_risk.panel.tables import TABLE_BY_NAME
from relapse_risk.panel.validate import validate


@pytest.fixture(scope="module")
def county() -> SyntheticCounty:
    return simulate(250, 24, seed=4, oracle_dates=None, n_paths=3, hazard_paths=2)


def test_one_file_per_table_in_mixed_formats(county: SyntheticCounty, tmp_path: Path) -> None:
    paths = write_exports(county, tmp_path)
    assert sorted(path.stem for path in paths) == sorted(table.zh for table in TABLE_BY_NAME.values())
    assert {path.name for path in paths} >= {"家庭.xlsx", "认定流程.xlsx", "监测记录.csv", "联系方式.csv"}
    member = (tmp_path / "成员.csv").read_bytes().decode("gb18030")
    assert member.startswith("成员编号,户编号")
    assert (tmp_path / "部门事件.csv").read_bytes().startswith(b"\xef\xbb\xbf")


def test_codes_stay_text_in_workbooks(county: SyntheticCounty, tmp_path: Path) -> None:
    write_exports(county, tmp_path)
    codes = pl.read_excel(tmp_path / "家庭.xlsx")["户编号"]
    assert codes.dtype == pl.String
    assert set(codes.str.len_chars()) == {18}


def test_read_back_they_are_the_same_tables(county: SyntheticCounty, tmp_path: Path) -> None:
    """Nothing is rejected, every repeated row is counted, and no cell is lost or changed."""
    write_exports(county, tmp_path)
    panel, rejects = validate(read_exports(tmp_path))
    assert rejects.failures.is_empty()
    for name, frame in county.tables.items():
        key = [*TABLE_BY_NAME[name].key, "recorded_on"]
        assert panel.tables[name].select(frame.columns).sort(key).equals(frame.sort(key)), name
    assert sum(count.duplicate for count in rejects.counts.values()) > 0


def test_bad_rows_come_back_each_of_them(county: SyntheticCounty, tmp_path: Path) -> None:
    write_exports(county, tmp_path, n_bad_rows=12)
    _, rejects = validate(read_exports(tmp_path))
    assert sum(count.rejected for count in rejects.counts.values()) == 12


def test_same_county_same_bytes(county: SyntheticCounty, tmp_path: Path) -> None:
    first = write_exports(county, tmp_path / "a")
    second = write_exports(county, tmp_path / "b")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_truth_is_written_and_read_apart(county: SyntheticCounty, tmp_path: Path) -> None:
    write_truth(county.truth, tmp_path / "truth")
    truth = read_truth(tmp_path / "truth")
    for name in ("oracle", "hazard", "events", "status"):
        assert getattr(truth, name).equals(getattr(county.truth, name)), name


def test_missing_truth_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"RR222.*oracle\.parquet"):
        read_truth(tmp_path)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_clean_export_is_accepted_to_the_last_row(seed: int, tmp_path: Path) -> None:
    """Nothing the simulation writes breaks a check of its own toolkit."""
    county = simulate(1500, 60, seed=seed, oracle_dates=[], hazard_paths=0)
    write_exports(county, tmp_path / "exports")
    report = ingest(tmp_path / "exports", tmp_path / "store", today=date(2025, 12, 31))

    assert {name: counts.rejected for name, counts in report.counts.items() if counts.rejected} == {}
