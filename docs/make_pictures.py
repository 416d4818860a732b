"""Draw the pictures of the documentation from a demo project: ``python docs/make_pictures.py demo``.

Writes ``visit-list.png``, the top of a county's visit list and the first row of each lower tier, and
``gain-curve.png``, the relapses found at equal visits, and ``county-page.png``, the county page in a browser,
into ``docs/pictures``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle
from PIL import Image

import relapse_risk as rr
from relapse_risk.outputs.chart import Chart, lettering
from relapse_risk.vocabulary import SCORE_DISCLAIMER

PICTURES = Path(__file__).parent / "pictures"
ROWS = 12
DPI = 100
MARGIN, PADDING, LEADING = 16, 7, 1.45
TEXT, SMALL, TITLE = 14, 11.5, 18
INK, FAINT, RULE, HEAD = "#1f1f1f", "#6b6b6b", "#d5d5d5", "#eef1f4"
TIER_COLOURS = {"红": "#c0392b", "橙": "#d9730d", "黄": "#b7950b", "蓝": "#2471a3", "常": "#7f8c8d"}
TIER_GROUNDS = {"红": "#fdf3f2", "橙": "#fef6ec", "黄": "#fefbe8", "蓝": "#eff6fb", "常": "#f6f6f6"}


@dataclass(frozen=True)
class Column:
    """A column of the picture: its header on the list and in English, and its width in pixels."""

    zh: str
    en: str
    width: int
    is_centred: bool = False


COLUMNS = (
    Column("序号", "no.", 52, is_centred=True),
    Column("乡镇", "township", 76, is_centred=True),
    Column("村", "village", 76, is_centred=True),
    Column("户类型", "household", 78, is_centred=True),
    Column("优先级", "tier", 60, is_centred=True),
    Column("触发规则", "rules hit", 322),
    Column("模型风险分", "score", 88, is_centred=True),
    Column("主要原因1", "main reason", 274),
    Column("建议措施", "suggested measures", 316),
    Column("重点人群", "groups to care for", 130),
    Column("剩余时限(天)", "days left", 98, is_centred=True),
)
WIDTH = sum(column.width for column in COLUMNS) + 2 * MARGIN

# What is not torn apart at the end of a line: figures, codes, and marks with what they open or close.
_PIECES = re.compile(
    r"(?:（[^（）]{1,3}）|[（“《]*(?:[A-Za-z0-9.%+\-–]+|[^（“《]))[）”》、，；。：％%元天]*|."
)


class Sheet:
    """A figure measured in pixels from its upper left corner, lettered in the packaged Chinese font."""

    def __init__(self) -> None:
        letters = lettering("zh")
        if not letters.has_chinese:
            raise SystemExit("No font with Chinese characters: install the package zhplot.")
        self._families = list(letters.families)
        self.figure = Chart(figsize=(WIDTH / DPI, 1), dpi=DPI, facecolor="white")
        self._renderer = FigureCanvasAgg(self.figure).get_renderer()
        self._height = 0.0

    def resize(self, height: float) -> None:
        """Set the height; nothing is drawn before."""
        self._height = height
        self.figure.set_size_inches(WIDTH / DPI, height / DPI)

    def font(self, size: float) -> FontProperties:
        """Return the font at a size in pixels."""
        return FontProperties(family=self._families, size=size * 72 / DPI)

    def wrap(self, text: str, width: float, size: float) -> list[str]:
        """Return the lines of a text in a width."""
        lines = [""]
        for piece in _PIECES.findall(text):
            if lines[-1] and self._measure(lines[-1] + piece, size) > width:
                lines.append("")
            lines[-1] += piece
        return lines

    def _measure(self, text: str, size: float) -> float:
        width, _, _ = self._renderer.get_text_width_height_descent(text, self.font(size), ismath=False)
        return float(width)

    def write(
        self, x: float, y: float, text: str, size: float, colour: str = INK, align: str = "left"
    ) -> None:
        """Write one line, its middle at ``y``."""
        self.figure.text(
            x / WIDTH,
            1 - y / self._height,
            text,
            font=self.font(size),
            color=colour,
            ha=align,
            va="center_baseline",
            parse_math=False,
        )

    def fill(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """Fill a box."""
        corner = (x / WIDTH, 1 - (y + height) / self._height)
        box = Rectangle(corner, width / WIDTH, height / self._height, facecolor=colour, linewidth=0)
        box.set_transform(self.figure.transFigure)
        self.figure.add_artist(box)


def chosen_rows(listed: pd.DataFrame) -> pd.DataFrame:
    """Return the top of the list and, below it, the first row of each tier that comes later."""
    for top in range(ROWS, 0, -1):
        rest = listed.iloc[top:]
        later = rest[~rest["优先级"].isin(listed["优先级"].iloc[:top])].drop_duplicates("优先级")
        if top + len(later) <= ROWS:
            return pd.concat([listed.iloc[:top], later])
    return listed.iloc[:ROWS]


def draw_list(path: Path) -> bytes:
    """Return the picture of a visit list as PNG."""
    listed = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = chosen_rows(listed)
    sheet = Sheet()
    cells = [
        [sheet.wrap(str(row[c.zh]), c.width - 2 * PADDING, TEXT) for c in COLUMNS]
        for _, row in rows.iterrows()
    ]
    line = TEXT * LEADING
    heights = [max(len(lines) for lines in row) * line + 2 * PADDING for row in cells]
    is_gap = (rows["序号"].astype(int).diff() > 1).tolist()
    gap, top, head = line, 3.4 * TITLE, 3.4 * TEXT
    sheet.resize(top + head + sum(heights) + gap * sum(is_gap) + 3.2 * TEXT)

    _, county, day = path.stem.rsplit("_", 2)
    sheet.write(MARGIN, 1.3 * TITLE, f"走访清单 · {county} · 数据截至{day}", TITLE)
    told = (
        f"合成数据，共{len(listed)}户；此处为清单前列，及其余各优先级的首户。"
        f"Synthetic data, {len(listed)} households: the top of the list, then the first of each other tier."
    )
    sheet.write(MARGIN, 2.6 * TITLE, told, SMALL, FAINT)
    sheet.fill(MARGIN, top, WIDTH - 2 * MARGIN, head, HEAD)
    x = float(MARGIN)
    for column in COLUMNS:
        at, align = _anchor(x, column)
        sheet.write(at, top + 0.36 * head, column.zh, TEXT, align=align)
        sheet.write(at, top + 0.74 * head, column.en, SMALL, FAINT, align)
        x += column.width
    y = top + head
    for row, height, tier, has_gap in zip(cells, heights, rows["优先级"], is_gap, strict=True):
        if has_gap:
            sheet.write(WIDTH / 2, y + gap / 2, "……", TEXT, FAINT, "center")
            y += gap
        draw_row(sheet, y, row, height, tier)
        y += height
    sheet.fill(MARGIN, y, WIDTH - 2 * MARGIN, 1, RULE)
    sheet.write(MARGIN, y + 1.6 * TEXT, f"{SCORE_DISCLAIMER.zh} {SCORE_DISCLAIMER.en}", TEXT)
    return sheet.figure.png()


def draw_row(sheet: Sheet, y: float, row: list[list[str]], height: float, tier: str) -> None:
    """Draw one row of the list, its tier as a coloured mark."""
    sheet.fill(MARGIN, y, WIDTH - 2 * MARGIN, height, TIER_GROUNDS[tier])
    sheet.fill(MARGIN, y, WIDTH - 2 * MARGIN, 1, RULE)
    sheet.fill(MARGIN, y, 4, height, TIER_COLOURS[tier])
    x, line = float(MARGIN), TEXT * LEADING
    for column, lines in zip(COLUMNS, row, strict=True):
        at, align = _anchor(x, column)
        first = y + height / 2 - (len(lines) - 1) * line / 2
        colour = INK
        if column.zh == "优先级":
            sheet.fill(at - 14, y + height / 2 - 12, 28, 24, TIER_COLOURS[tier])
            colour = "white"
        for number, text in enumerate(lines):
            sheet.write(at, first + number * line, text, TEXT, colour, align)
        x += column.width


def _anchor(x: float, column: Column) -> tuple[float, str]:
    return (x + column.width / 2, "center") if column.is_centred else (x + PADDING, "left")


def draw_gain(records: Path) -> bytes:
    """Return the gain curve of a backtest as PNG."""
    frame = pd.read_json(records)
    figure = rr.plot_gain(frame[frame["origin"] == "all"])
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def save(picture: bytes, name: str) -> None:
    """Write a picture with a palette, which takes a third of the space."""
    PICTURES.mkdir(exist_ok=True)
    whole = Image.open(BytesIO(picture)).convert("RGB")
    image = whole.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    image.save(PICTURES / name, optimize=True)


def main(demo: Path) -> None:
    """Draw every picture of the documentation."""
    outputs = demo / "outputs"
    lists = sorted((outputs / "list").glob("走访清单_*.csv"))
    if not lists:
        raise SystemExit(f"No visit list in {outputs / 'list'}: run `make demo` first.")
    save(draw_list(lists[0]), "visit-list.png")
    save(draw_gain(outputs / "backtest" / "metrics.json"), "gain-curve.png")
    photograph(next((outputs / "list").glob("走访清单_*.html")), PICTURES / "county-page.png")


def photograph(page: Path, picture: Path) -> None:
    """Take a picture of a page as a browser shows it; nothing where there is no Chromium."""
    browser = shutil.which("chromium")
    if browser is None:
        print(f"no chromium: {picture.name} is left as it is", file=sys.stderr)  # noqa: T201
        return
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--hide-scrollbars",
    ]
    with tempfile.TemporaryDirectory() as profile:
        shot = [f"--user-data-dir={profile}", "--window-size=1240,1500", f"--screenshot={picture.resolve()}"]
        subprocess.run([browser, *flags, *shot, page.resolve().as_uri()], check=True, capture_output=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("Usage: python docs/make_pictures.py DEMO_FOLDER")
    main(Path(sys.argv[1]))
