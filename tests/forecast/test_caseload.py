"""Caseload forecasts: coherent, whole numbers, repeatable, covering; short histories and plain refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest

from relapse_risk.errors import ConfigurationError
from relapse_risk.forecast.area import gather
from relapse_risk.forecast.bottom_up import RiskSums, expected_cases, level_dates, risk_level
from relapse_risk.forecast.caseload import ForecastSettings, forecast_caseload
from relapse_risk.forecast.choose import measure_spread
from relapse_risk.forecast.earlier import expected_file, read_expected
from relapse_risk.forecast.history import CaseHistory
from relapse_risk.forecast.paths import Spread, sample_paths
from relapse_risk.forecast.reconcile import reconcile_tree
from relapse_risk.outputs.write_forecast import leaving_table
from relapse_risk.windows import month_index

DAY = date(2023, 12, 31)


def history(
    months: int, villages: int = 6, per_township: int = 3, rate: float = 0.8, county: str = "13"
) -> CaseHistory:
    """Monthly reports of 50 households a village; the first village never had a case."""
    counts = np.random.default_rng(5).poisson(rate, (villages, months)).astype(np.int64)
    counts[0] = 0
    places = pl.DataFrame(
        {
            "county_code": [county] * villages,
            "township_code": [f"{county}{i // per_township:02}" for i in range(villages)],
            "village_code": [f"{county}{i // per_township:02}{i:03}" for i in range(villages)],
        }
    )
    return CaseHistory(
        DAY,
        places,
        month_index(DAY) - months + 1,
        counts,
        np.full((villages, months), 50),
        counts // 2,
        counts // 3,
        np.full(villages, 4),
        np.full((villages, months), 2),
        0.2,
        0.03,
        1.0,
        np.zeros(months, dtype=bool),
    )


def test_paths_and_means_add_up_exactly_at_every_level() -> None:
    made = gather(
        [forecast_caseload(history(60, county=code), ForecastSettings(draws=300)) for code in ("13", "14")]
    )
    keys = ["quantity", "month"]
    table = made.table.filter(pl.col("quantity") != "visits")
    sums = {
        level: table.filter(pl.col("level") == level).group_by(keys).agg(pl.col("mean").sum()).sort(keys)
        for level in ("province", "county", "township", "village")
    }
    for level in ("county", "township", "village"):
        np.testing.assert_allclose(sums[level]["mean"], sums["province"]["mean"], rtol=1e-12)


def test_stock_is_what_it_was_plus_entries_less_clearances_and_never_negative() -> None:
    past = history(60)
    paths = forecast_caseload(past, ForecastSettings(draws=300)).paths
    moved = paths["entries"].cumsum(axis=2) - paths["clearances"].cumsum(axis=2)
    np.testing.assert_array_equal(paths["stock"], past.stock[None, :, None] + moved)
    assert min(int(part.min()) for part in paths.values()) >= 0
    assert all(np.issubdtype(part.dtype, np.integer) for part in paths.values())


def test_same_seed_same_paths_whatever_other_counties_are_forecast() -> None:
    one = forecast_caseload(history(60), ForecastSettings(draws=300, seed=3)).paths["relapses"]
    again = forecast_caseload(history(60), ForecastSettings(draws=300, seed=3)).paths["relapses"]
    other = forecast_caseload(history(60), ForecastSettings(draws=300, seed=4)).paths["relapses"]
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_mean_of_paths_is_the_mean_asked_for_and_its_spread_wider_than_chance() -> None:
    mean = np.full((40, 12), 0.5)
    paths = sample_paths(mean, Spread(0.3, 0.2, 2.0, 5.0), "13", 4000, 0)
    totals = paths.sum(axis=(1, 2))
    assert totals.mean() == pytest.approx(240, rel=0.03)
    assert totals.std() > 2 * np.sqrt(240)


@pytest.mark.parametrize(("months", "villages"), [(1, 1), (3, 2), (12, 1), (24, 6)])
def test_short_histories_give_finite_tables_and_say_so(months: int, villages: int) -> None:
    made = forecast_caseload(history(months, villages), ForecastSettings(draws=200))
    for level in ("village", "township", "county"):
        table = made.table(level)
        assert table.drop("month").null_count().sum_horizontal().item() == 0
        assert table["mean"].is_finite().all()
    assert bool(made.notes) == (months < 24)


def test_months_that_nobody_reported_do_not_count_as_months_without_a_case() -> None:
    past = history(60)
    counts, gaps = past.relapses.copy(), past.gaps.copy()
    gaps[40:48] = True
    counts[:, gaps] = 0
    exposed = np.where(gaps, 0, past.exposed)
    with_gap = forecast_caseload(
        replace(past, relapses=counts, exposed=exposed, gaps=gaps), ForecastSettings(draws=400)
    )
    whole = forecast_caseload(past, ForecastSettings(draws=400))
    ratio = with_gap.paths["relapses"].sum() / whole.paths["relapses"].sum()
    assert ratio == pytest.approx(1.0, abs=0.12)
    assert any("8 个月" in note.zh for note in with_gap.notes)


def test_a_sudden_rise_is_warned_of_within_two_months_and_usual_months_are_not() -> None:
    past = history(60)
    assert not forecast_caseload(past, ForecastSettings(draws=300)).surprises
    counts = past.relapses.copy()
    counts[:, -2:] = 4 * counts[:, -2:] + 1
    made = forecast_caseload(replace(past, relapses=counts), ForecastSettings(draws=300))
    assert made.surprises[0].text.zh.startswith("预警：2023-11")
    together = gather([made])
    assert together.warned == ("13",)
    assert together.notes[0].zh.startswith("13：预警")


def test_household_risks_move_the_mean() -> None:
    past = history(60)
    sums = [
        forecast_caseload(past, ForecastSettings(draws=400), RiskSums(DAY, 12, np.full(6, expected)))
        .paths["relapses"]
        .sum()
        for expected in (24.0, 1.0)
    ]
    assert sums[0] > 1.3 * sums[1]


def test_risks_are_spread_by_the_season_whatever_the_date() -> None:
    past = replace(history(60), failing=np.zeros((6, 60), dtype=np.int64))
    season = np.tile([0.0, 0.0, 6.0, 0.0, 0.0, 2.0], 2) * 12 / 16
    found = expected_cases(RiskSums(DAY, 12, np.ones(6)), past, season, 12)
    np.testing.assert_allclose(found.sum(axis=1), 1.0, rtol=0.1)
    assert found[0, 2] == pytest.approx(6 / 16)


def test_risks_that_were_right_before_weigh_more_than_risks_that_were_wrong() -> None:
    past = history(60)
    counts = past.relapses.copy()
    # Cases move to villages that households' risks foresaw and no time series could.
    counts[:3, 36:48] *= 4
    counts[3:, 36:48] //= 2
    past = replace(past, relapses=counts)
    origins = [date(2021, 12, 31), date(2022, 3, 31), date(2022, 6, 30)]
    starts = [month_index(day) + 1 - past.first_month for day in origins]
    came = [counts[:, start : start + 12].sum(axis=1).astype(float) for start in starts]
    now = RiskSums(DAY, 12, came[0])
    found = []
    for order in (1, -1):
        earlier = [RiskSums(day, 12, sums[::order]) for day, sums in zip(origins, came, strict=True)]
        made = forecast_caseload(past, ForecastSettings(draws=200), now, earlier=earlier)
        assert made.combination is not None
        found.append(made.combination.weights)
    for level in ("village", "township"):
        assert found[0][level] > 0.5 > found[1][level]


def test_risks_that_were_twice_too_high_are_brought_down_and_few_cases_bring_down_little() -> None:
    for rate, least, most in ((2.0, 0.45, 0.65), (0.05, 0.75, 1.0)):
        past = replace(history(60, rate=rate), failing=np.zeros((6, 60), dtype=np.int64))
        cases = np.full(6, past.relapses.mean() * 24)
        before = [RiskSums(day, 12, cases) for day in level_dates(past)]
        made = forecast_caseload(past, ForecastSettings(draws=200), RiskSums(DAY, 12, cases), before)
        assert made.level.months == 9
        assert least < made.level.ratio < most


def test_villages_whose_households_were_not_known_then_say_nothing_of_the_level() -> None:
    past = history(60)
    known = np.where(np.arange(6) < 3, past.relapses.mean(axis=1) * 12, np.nan)
    level = risk_level([RiskSums(day, 12, known) for day in level_dates(past)], past, np.ones(12))
    assert level.came == past.relapses[:3, -9:].sum()
    assert risk_level([], past, np.ones(12)).ratio == 1.0


def test_without_earlier_risks_the_weight_is_a_half_and_the_table_says_what_is_used() -> None:
    made = forecast_caseload(history(60), ForecastSettings(draws=200), RiskSums(DAY, 12, np.full(6, 9.0)))
    assert made.combination is not None
    assert set(made.combination.weights.values()) == {0.5}
    used = gather([made]).choices.filter(pl.col("weight") > 0)
    assert used["weight"].to_list() == [0.5] * used.height


def test_expected_cases_come_back_from_their_file_and_small_villages_do_not_stand_in_it() -> None:
    villages = history(24).villages
    scores = pl.concat(
        [
            villages[[row] * households].with_columns(
                as_of_date=pl.lit(date(2022, 12, 31)), risk_model=pl.lit(0.25)
            )
            for row, households in ((0, 8), (2, 4))
        ]
    )
    content = expected_file(scores, 12).encode()
    (found,) = read_expected(content, villages, DAY)
    assert (found.as_of_date, found.horizon_months) == (date(2022, 12, 31), 12)
    np.testing.assert_allclose(found.expected, [2.0, *[np.nan] * 5])
    assert read_expected(content, villages, date(2022, 12, 31)) == ()


def test_a_horizon_beyond_a_year_is_refused_in_both_languages() -> None:
    with pytest.raises(ConfigurationError, match=r"RR261[\s\S]*个月"):
        ForecastSettings(months=13)


def test_reconciliation_is_the_least_squares_solution() -> None:
    rng = np.random.default_rng(2)
    town = np.array([0, 0, 1, 1, 1])
    base = rng.uniform(5, 9, 5), rng.uniform(10, 30, 2), rng.uniform(30, 40, 1)
    variance = rng.uniform(1, 3, 5), rng.uniform(1, 3, 2), rng.uniform(1, 3, 1)
    sums = np.vstack([np.eye(5), np.eye(2)[:, town], np.ones((1, 5))])
    weight = np.diag(1 / np.concatenate(variance))
    wanted = np.linalg.solve(sums.T @ weight @ sums, sums.T @ weight @ np.concatenate(base))
    found = reconcile_tree(base[0][:, None], base[1][:, None], base[2], variance, town)
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-9)


def test_what_leaves_the_county_hides_small_counts_and_what_gives_them_away() -> None:
    ranked = pl.DataFrame(
        {
            "rank": [1, 2, 3],
            "county_code": ["13"] * 3,
            "county_name": ["甲县"] * 3,
            "township_code": ["1301", "1302", "1303"],
            "township_name": ["东乡", "西乡", "南乡"],
            "cases": [30, 20, 2],
            "low80": [20, 10, 0],
            "high80": [40, 30, 4],
            "monitors": [5, 5, 5],
            "cases_per_monitor": [6.0, 4.0, 0.4],
        }
    )
    whole = pl.DataFrame({"code": ["13", "*"], "low80": [40, 40], "high80": [60, 60]})
    leaving = leaving_table(ranked, whole)
    shown = leaving.filter(pl.col("township_code").is_not_null())
    assert leaving.filter(pl.col("township_code").is_null())["low80"].to_list() == ["40", "40"]
    assert shown.filter(pl.col("township_code") == "1303")["cases"].item() == "*"
    assert (shown["cases"] == "*").sum() == 2
    assert (shown["high80"] == "*").sum() == 2


def test_a_spread_is_learned_from_many_cases_and_hardly_from_few() -> None:
    rng = np.random.default_rng(0)
    for cases, least, most in ((2.0, 0.08, 0.25), (400.0, 0.3, 0.5)):
        means = [np.full((10, 4), cases / 10) for _ in range(8)]
        years = np.exp(0.4 * rng.standard_normal(8) - 0.08)
        seen = [rng.poisson(mean * year).astype(float) for mean, year in zip(means, years, strict=True)]
        assert least < measure_spread(means, seen, 1.0).county < most
    assert measure_spread([], [], 1.0).county == pytest.approx(0.15)
