"""Plots show what they were given, in characters that every machine can draw."""

from __future__ import annotations

import sys
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pandas as pd
import polars as pl
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import get_font
from matplotlib.patches import Rectangle
from matplotlib.text import Text

from relapse_risk.errors import ContractError
from relapse_risk.outputs import chart, plots
from relapse_risk.vocabulary import Bilingual, Language

RECORDS = [
    {
        "policy": policy,
        "origin": origin,
        "capacity": capacity,
        "n": n,
        "events": events,
        "recall_at_capacity": recall,
    }
    for policy, origin, capacity, n, events, recall in (
        ("rules", "2023-06-30", 0.1, 1000, 20, 0.5),
        ("rules", "2023-09-30", 0.1, 3000, 60, 0.25),
        ("rules", "2023-06-30", 200, 1000, 20, 0.8),
        ("rules", "2023-09-30", 200, 3000, 60, 0.4),
        ("rules+model", "2023-06-30", 0.1, 1000, 20, 0.75),
        ("rules+model", "2023-09-30", 0.1, 3000, 0, float("nan")),
    )
]
BINS = pd.DataFrame(
    {
        "predicted": [0.2, 0.01],
        "observed": [0.25, 0.02],
        "n": [10, 90],
        "observed_low": [0.1, 0.0],
        "observed_high": [0.4, 0.05],
    }
)
ATTRIBUTIONS = pd.DataFrame(
    {
        "zh": ["劳动力人数", "参考收入与监测线之比", "慢性病人数", "家庭人口"],
        "en": ["labour force", "reference income to line", "chronically ill", "household size"],
        "contribution": [-0.5, 1.25, 0.125, 0.0625],
        "value": ["1人", "1.08倍", "2人", "4人"],
    }
)
INCOME = Bilingual("人均监测参考收入（元/人·年）", "reference income per head (yuan per person and year)")


def draw_all(language: Language) -> dict[str, Figure]:
    return {
        "gain": plots.plot_gain(RECORDS, language),
        "reliability": plots.plot_reliability(BINS, language),
        "reasons": plots.plot_reasons(ATTRIBUTIONS, language, base=-3.0, title="130123100001"),
        "tiers": plots.plot_tiers(["红", "常", "红"], ["南岗镇", "北沙乡", "南岗镇"], language),
        "distribution": plots.plot_distribution(
            [1.0, 2.0, np.nan], INCOME, ["返贫", "未返贫", "返贫"], 1.5, language
        ),
    }


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture
def no_chinese_font(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chart, "chinese_family", lambda: None)
    chart._warn_of_missing_font.cache_clear()


def test_packaged_font_has_every_character_of_gbk() -> None:
    """Village names of a county's export may use any of them."""
    path = chart.packaged_font()
    assert path is not None
    characters = get_font(path).get_charmap()
    pairs = [bytes([high, low]) for high in range(0x81, 0xFF) for low in range(0x40, 0xFF)]
    chinese = [c for c in (pair.decode("gbk", errors="ignore") for pair in pairs) if "一" <= c <= "鿿"]
    assert len(chinese) > 20_000
    assert [c for c in chinese if ord(c) not in characters] == []


def test_font_is_used_without_importing_its_package() -> None:
    """Importing zhplot would set the font of every other plot in the process."""
    assert chart.chinese_family() == "Noto Sans SC"
    assert "zhplot" not in sys.modules


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_plot_renders_without_a_missing_character(language: Language) -> None:
    """A character the font lacks raises a warning, which is an error here."""
    for figure in draw_all(language).values():
        picture, page = figure._repr_png_()  # type: ignore[attr-defined]
        assert picture.startswith(b"\x89PNG")
        assert 0 < page["width"] < figure.bbox.width


def test_same_input_same_bytes() -> None:
    first, second = draw_all("zh"), draw_all("zh")
    assert [f._repr_png_() for f in first.values()] == [f._repr_png_() for f in second.values()]  # type: ignore[attr-defined]


def test_user_settings_are_left_alone() -> None:
    before = dict(mpl.rcParams)
    draw_all("zh")
    assert dict(mpl.rcParams) == before


@pytest.mark.usefixtures("no_chinese_font")
def test_without_a_font_labels_are_english_and_nothing_is_a_box() -> None:
    with pytest.warns(UserWarning, match="pip install zhplot"):
        figures = draw_all("zh")
    for name, figure in figures.items():
        figure._repr_png_()  # type: ignore[attr-defined]
        chinese = [text for text in texts(figure) if any(c > "\u2e7f" for c in text)]
        assert chinese == [], name


@pytest.mark.usefixtures("no_chinese_font")
def test_missing_font_is_said_once() -> None:
    with pytest.warns(UserWarning, match="no font") as caught:
        draw_all("zh")
    assert len(caught) == 1


def test_gain_pools_relapses_over_origins() -> None:
    """An origin with few relapses must not weigh as much as one with many, nor one without any break it."""
    axes = plots.plot_gain(RECORDS, "en").axes[0]
    lines = {str(line.get_label()): np.column_stack(line.get_data()).tolist() for line in axes.lines}
    assert lines["rules"] == [[0, 0], [0.1, (10 + 15) / 80], [0.1, (16 + 24) / 80]]
    assert lines["rules and model"] == [[0, 0], [0.1, 0.75]]


def test_reliability_points_are_the_bins() -> None:
    axes = plots.plot_reliability(BINS, "en").axes[0]
    points = np.asarray(axes.collections[-1].get_offsets()).tolist()
    assert points == [[0.01, 0.02], [0.2, 0.25]]


def test_polars_frames_are_taken_as_they_are() -> None:
    """Tables of the library are Polars inside."""
    assert plots.plot_reliability(pl.DataFrame(BINS), "en").axes[0].get_xlabel() == "predicted risk"


def test_reasons_add_up_to_the_household() -> None:
    """Bars run from the base to the household's log-odds, largest first, the small ones as one."""
    figure = plots.plot_reasons(ATTRIBUTIONS, "zh", base=-3.0, limit=2)
    bars = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert [bar.get_width() for bar in bars] == [1.25, -0.5, 0.1875]
    assert bars[0].get_x() == -3.0
    assert bars[-1].get_x() + bars[-1].get_width() == -3.0 + ATTRIBUTIONS["contribution"].sum()
    assert {"参考收入与监测线之比 1.08倍", "劳动力人数 1人", "其余2项"} <= set(texts(figure))


def test_tiers_are_counted_by_area() -> None:
    figure = plots.plot_tiers(["红", "常", "红"], ["南岗镇", "北沙乡", "南岗镇"])
    widths = {
        str(container.get_label()): [bar.get_width() for bar in container]
        for container in figure.axes[0].containers
    }
    assert widths == {"红": [0, 2], "橙": [0, 0], "黄": [0, 0], "蓝": [0, 0], "常": [1, 0]}


def test_distribution_counts_missing_and_keeps_the_tails() -> None:
    values = np.append(np.arange(200.0), [np.nan, 1e9])
    figure = plots.plot_distribution(values, INCOME, language="en")
    shown = figure.axes[0].patches[0].get_data()[0]  # type: ignore[attr-defined]
    assert np.isclose(shown.sum(), 1.0)
    assert "201 households (1 missing" in figure.axes[0].get_title()


@pytest.mark.parametrize(
    ("draw", "code"),
    [
        (lambda: plots.plot_gain([]), "RR303"),
        (lambda: plots.plot_gain([{"policy": "rules"}]), "RR303"),
        (lambda: plots.plot_reliability(BINS.drop(columns="observed")), "RR303"),
        (lambda: plots.plot_reasons(ATTRIBUTIONS.drop(columns="en")), "RR303"),
        (lambda: plots.plot_tiers(["紫"]), "RR304"),
        (lambda: plots.plot_distribution([np.nan], INCOME), "RR305"),
    ],
)
def test_unfit_input_is_named(draw: Callable[[], Figure], code: str) -> None:
    with pytest.raises(ContractError, match=code):
        draw()
