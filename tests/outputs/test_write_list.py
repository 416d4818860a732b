"""A list on disk: readable in Excel, whole, never overwritten, and the same bytes from the same inputs."""

from __future__ import annotations

import csv
import json
from datetime import date
from pathlib import Path

import openpyxl
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError, MachineError
from relapse_risk.outputs.columns import LIST_COLUMNS
from relapse_risk.outputs.issued import find_issued, find_lotteries, lottery_ledger
from relapse_risk.outputs.manifest import sha256_of
from relapse_risk.outputs.outlook import Outlook
from relapse_risk.outputs.write_list import write_visit_list
from relapse_risk.vocabulary import SCORE_DISCLAIMER

LISTED = "走访清单_示范县_2024-06-30.csv"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_of_a_list(make_list, tmp_path: Path):
    made = make_list(8)
    paths = write_visit_list(made, tmp_path / "list")
    assert [path.name for path in paths] == [
        LISTED,
        "候补_示范县_2024-06-30.csv",
        "走访清单_示范县_2024-06-30.xlsx",
        "走访清单_示范县_2024-06-30.html",
        "走访清单_130224_2024-06-30.csv",
        "走访清单_130224_2024-06-30.xlsx",
        "走访清单_130224_2024-06-30.html",
        "说明.txt",
        "issued.parquet",
        "manifest.json",
    ]
    assert all(path.exists() for path in paths)


def test_a_csv_reads_back_equal_to_the_list(make_list, tmp_path: Path):
    made = make_list()
    path = write_visit_list(made, tmp_path)[0]
    data = path.read_bytes()
    assert data.startswith("\ufeff序号,清单编号".encode())
    assert data.count(b"\n") == data.count(b"\r\n") == made.counties[0].listed.height + 1
    rows = read(path)
    assert list(rows[0]) == [column.zh for column in LIST_COLUMNS]
    for shown, row in zip(rows, made.counties[0].listed.iter_rows(named=True), strict=True):
        for column in LIST_COLUMNS:
            value = row[column.name]
            assert shown[column.zh] == ("" if value is None else str(value))


def test_each_edition_has_the_route_to_its_own_households(make_list, tmp_path: Path):
    """A county that is its own unit goes by its name."""
    write_visit_list(make_list(8, is_per_township=True), tmp_path)
    for path in tmp_path.glob("走访清单_示范县_*.xlsx"):
        book = openpyxl.load_workbook(path)
        units, ids = (
            {row[place] for row in book["路线"].iter_rows(min_row=2, values_only=True)} for place in (0, 7)
        )
        assert units == {"示范县"}
        assert ids == {row[5] for row in book["走访清单"].iter_rows(min_row=2, values_only=True)}


def test_english_files_have_the_names_of_the_contract(make_list, tmp_path: Path):
    paths = write_visit_list(make_list(language="en"), tmp_path)
    assert paths[0].name == "visit_list_示范县_2024-06-30.csv"
    assert list(read(paths[0])[0]) == [column.name for column in LIST_COLUMNS]


def test_the_note_and_the_manifest_say_what_the_score_is_not(make_list, tmp_path: Path):
    write_visit_list(make_list(), tmp_path)
    note = (tmp_path / "说明.txt").read_text(encoding="utf-8-sig")
    assert SCORE_DISCLAIMER.zh in note
    assert "以下参数尚未核实：" in note
    assert "R03收入大幅缩减（30%）" in note
    assert "R18务工不稳（3个月、60天）" in note
    assert "fall_share" not in note, "staff know no parameter by its name"
    assert "line=" not in note
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["disclaimer"]["zh"] == SCORE_DISCLAIMER.zh


def test_the_manifest_tells_what_the_list_was_made_from(make_list, tmp_path: Path):
    inputs = {"store": {"data_sha256": "ab"}, "model": {"name": "default", "version": 1, "sha256": "cd"}}
    made = make_list(8, inputs=inputs)
    write_visit_list(made, tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["as_of_date"] == "2024-06-30"
    assert manifest["expires_on"] == "2024-07-31"
    assert {key: manifest["inputs"][key] for key in inputs} == inputs
    assert len(manifest["inputs"]["rules_sha256"]) == len(manifest["inputs"]["thresholds_sha256"]) == 64
    assert {row["param"] for row in manifest["unverified_thresholds"]} >= {"R27.ratio", "R03.fall_share"}
    assert "line" not in {row["param"] for row in manifest["unverified_thresholds"]}
    assert {row["code"] for row in manifest["rules"]} >= {"R01", "R27"}
    assert all({"hit", "no_hit", "cannot_judge"} <= set(row) for row in manifest["rules"])
    for county, told in zip(made.counties, manifest["lists"], strict=True):
        assert told["list_id"] == county.list_id
        assert told["households"] == county.listed["household_id"].to_list()
        assert told["waiting_households"] == county.waiting["household_id"].to_list()
        assert told["counts"] == county.counts
        assert told["audit"]["rows"] == county.audit.to_dicts()
        assert told["audit"]["rows"][0]["inclusion_probability"] > 0
        assert sum(told["counts_by_basis"].values()) >= county.listed.height
    for name, facts in manifest["files"].items():
        assert sha256_of((tmp_path / name).read_bytes()) == facts["sha256"]


def test_a_lottery_stands_in_manifest_and_ledger_and_nowhere_else(make_list, tmp_path: Path):
    made = make_list(40, lottery_share=0.2)
    names = {path.name for path in write_visit_list(made, tmp_path)}
    assert "lottery.parquet" in names
    manifest = json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["settings"]["lottery_share"] == 0.2
    ledger = find_lotteries([tmp_path])
    assert ledger.equals(lottery_ledger(made))
    for county, told in zip(made.counties, manifest["lists"], strict=True):
        assert told["lottery"] == county.lottery.to_dicts()
        assert county.lottery["probability"].is_between(0, 1, closed="none").all()
        listed = set(county.listed["household_id"])
        rows = county.lottery.select("household_id", "is_listed").iter_rows()
        assert all((household in listed) == is_listed for household, is_listed in rows)
        assert set(county.lottery["is_listed"]) == {True, False}
    plain = write_visit_list(make_list(40), tmp_path / "plain")
    assert "lottery.parquet" not in {path.name for path in plain}


def test_same_inputs_same_bytes(make_list, tmp_path: Path):
    write_visit_list(make_list(), tmp_path / "one")
    write_visit_list(make_list(), tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_earlier_list_is_never_overwritten(make_list, tmp_path: Path):
    write_visit_list(make_list(30), tmp_path)
    before = contents(tmp_path)
    write_visit_list(make_list(30), tmp_path)
    with pytest.raises(ConfigurationError, match="RR481"):
        write_visit_list(make_list(31), tmp_path)
    assert contents(tmp_path) == before


def test_force_keeps_the_whole_earlier_list_aside(make_list, tmp_path: Path):
    """Files of the earlier list that the new one lacks do not stay behind as if they were of it."""
    folder = tmp_path / "list"
    write_visit_list(make_list(8), folder)
    before = contents(folder)
    write_visit_list(make_list(200), folder, is_forced=True)
    assert "候补_示范县_2024-06-30.csv" not in contents(folder)
    assert contents(tmp_path / "list.old1") == before
    of_county = find_issued([tmp_path]).filter(pl.col("county_code") == "130127")
    newest = pl.read_parquet(folder / "issued.parquet").filter(pl.col("county_code") == "130127")
    assert of_county["list_id"].n_unique() == 2
    assert of_county["list_id"][-1] == newest["list_id"][0], "the edition that holds is found last"


def test_a_full_disk_leaves_nothing_behind(make_list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = make_list()

    def no_space(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", no_space)
    with pytest.raises(MachineError, match="RR601"):
        write_visit_list(made, tmp_path / "list")
    assert not (tmp_path / "list").exists()


def test_counties_of_one_name_go_by_their_codes(make_list, tmp_path: Path):
    from dataclasses import replace

    made = make_list()
    twins = replace(made, counties=tuple(replace(c, county_name="一/县") for c in made.counties))
    names = [path.name for path in write_visit_list(twins, tmp_path)]
    lists = [name for name in names if name.startswith("走访清单") and name.endswith(".csv")]
    assert lists == ["走访清单_130127_2024-06-30.csv", "走访清单_130224_2024-06-30.csv"]
    alone = replace(made, counties=twins.counties[:1], as_of_date=date(2024, 6, 30))
    assert write_visit_list(alone, tmp_path / "alone")[0].name == "走访清单_一_县_2024-06-30.csv"


def test_townships_get_files_of_their_own_with_the_ranks_of_the_county(make_list, tmp_path: Path):
    """A returned township file is still known by list id and rank."""
    made = make_list(8, is_per_township=True)
    write_visit_list(made, tmp_path)
    whole = read(tmp_path / LISTED)
    parts = [row for path in tmp_path.glob("走访清单_示范县_第*.csv") for row in read(path)]
    assert sorted(parts, key=lambda row: int(row["序号"])) == whole
    assert {row["乡镇"] for row in read(tmp_path / "走访清单_示范县_第1乡_2024-06-30.csv")} == {"第1乡"}


def test_a_forecast_is_on_the_page_of_its_county_and_changes_nothing_else(make_list, tmp_path: Path):
    made = make_list(8)
    outlook = Outlook("ab12", {made.counties[0].county_code: {"name": "示范县", "fan": None}})
    write_visit_list(made, tmp_path / "plain")
    write_visit_list(made, tmp_path / "with", outlook=outlook)
    plain, told = contents(tmp_path / "plain"), contents(tmp_path / "with")
    assert json.loads(told["manifest.json"])["forecast_sha256"] == "ab12"
    assert "forecast_sha256" not in json.loads(plain["manifest.json"])
    page = "走访清单_示范县_2024-06-30.html"
    assert '"outlook":{"name":"示范县"' in told[page].decode()
    assert {name for name in plain if plain[name] != told[name]} == {page, "manifest.json"}
