"""The sheet a plot is drawn on: a figure that notebooks show, lettered in a font that has the characters.

Importing this module imports matplotlib; ``outputs/plots.py`` does so only when a plot is drawn.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font

from relapse_risk.vocabulary import Bilingual, Language

LATIN_FAMILY = "DejaVu Sans"
FONT_PACKAGE, FONT_FILE = "zhplot", Path("fonts/NotoSansSC-Regular.ttf")
INSTALLED_FAMILIES = (
    "Noto Sans SC",
    "Noto Sans CJK SC",
    "Source Han Sans SC",
    "Source Han Sans CN",
    "Microsoft YaHei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Noto Sans CJK JP",
    "Droid Sans Fallback",
    "Arial Unicode MS",
)
_LAST_LATIN = "\u2e7f"
_GRID = "#d9d9d9"
_PAGE_PIXELS_PER_INCH = 110


class Chart(Figure):
    """A figure without global state: a notebook shows it, and it is freed when nothing holds it."""

    def png(self) -> bytes:
        """Return the picture as PNG bytes; the same chart gives the same bytes."""
        buffer = BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def svg(self) -> bytes:
        """Return the picture as SVG bytes with its letters as outlines; the same chart, the same bytes."""
        buffer = BytesIO()
        with rc_context({"svg.hashsalt": "relapse-risk", "svg.fonttype": "path"}):
            self.savefig(buffer, format="svg", metadata={"Date": None})
        return buffer.getvalue()

    def draw(self, renderer: RendererBase) -> None:
        """Draw without hinting, which makes the lowest stroke of dense characters such as 监 a thick bar."""
        with rc_context({"text.hinting": "no_autohint"}):
            super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture and its width on a page, smaller than its own, so that it is sharp."""
        return self.png(), {"width": round(self.get_figwidth() * _PAGE_PIXELS_PER_INCH)}


@dataclass(frozen=True, slots=True)
class Lettering:
    """How a chart is lettered.

    Attributes
    ----------
    language : {"zh", "en"}
        The language of titles and axes; English where no font has Chinese characters.
    families : tuple of str
        Font families, tried in order for every character.
    has_chinese : bool
        Whether names that come with the data can be shown in Chinese.
    """

    language: Language
    families: tuple[str, ...]
    has_chinese: bool

    def text(self, label: Bilingual) -> str:
        """Return ``label`` in the chart's language."""
        return label.text(self.language)

    def legible(self, text: str, otherwise: str) -> str:
        """Return ``text`` where the font has its characters, else ``otherwise``."""
        return text if self.has_chinese or all(letter <= _LAST_LATIN for letter in text) else otherwise


def packaged_font() -> Path | None:
    """Return the font file that comes with the package ``zhplot``, or None where it is not installed.

    The package is looked up and not imported: importing it would change matplotlib's settings for
    everything else that runs in the process.
    """
    package = find_spec(FONT_PACKAGE)
    if package is None or package.origin is None:
        return None
    path = Path(package.origin).parent / FONT_FILE
    return path if path.is_file() else None


@cache
def chinese_family() -> str | None:
    """Return the name of a font family with Chinese characters, or None where there is none.

    The packaged font comes first, so that pictures look alike on every machine.
    """
    path = packaged_font()
    if path is not None:
        fontManager.addfont(path)
        return str(get_font(path).family_name)
    installed = set(fontManager.get_font_names())
    return next((family for family in INSTALLED_FAMILIES if family in installed), None)


@cache
def _warn_of_missing_font() -> None:
    warnings.warn(
        "no font with Chinese characters was found, so plots are labelled in English. "
        f"Install the package {FONT_PACKAGE} (pip install {FONT_PACKAGE}) and start Python again.",
        UserWarning,
        stacklevel=2,
    )


def lettering(language: Language) -> Lettering:
    """Return how charts are lettered here; warns once where Chinese was asked for and can't be drawn."""
    family = chinese_family()
    if family is None:
        if language == "zh":
            _warn_of_missing_font()
        return Lettering("en", (LATIN_FAMILY,), has_chinese=False)
    return Lettering(language, (family, LATIN_FAMILY), has_chinese=True)


@contextmanager
def chart(
    language: Language, width_inch: float, height_inch: float
) -> Iterator[tuple[Chart, Axes, Lettering]]:
    """Open a chart with one pair of axes; matplotlib's settings hold inside the ``with`` block only."""
    letters = lettering(language)
    with rc_context(
        {
            "font.family": list(letters.families),
            "font.size": 10,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.axisbelow": True,
            "grid.color": _GRID,
            "grid.linewidth": 0.6,
            "legend.frameon": False,
        }
    ):
        figure = Chart(figsize=(width_inch, height_inch), dpi=150, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        # Ticks are made when a chart is drawn, when these settings no longer hold.
        axes.tick_params(labelfontfamily=list(letters.families))
        yield figure, axes, letters


def svg_bytes(figure: Figure) -> bytes:
    """Return a figure as SVG: the same bytes for the same figure, without the day it was drawn."""
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "relapse-risk"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
