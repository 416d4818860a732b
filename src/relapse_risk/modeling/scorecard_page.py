"""The scorecard on one sheet of A4: questions, points, and what the sum means; Chinese with English."""

from __future__ import annotations

from html import escape
from itertools import pairwise

import numpy as np

from relapse_risk.features.spec import Feature
from relapse_risk.modeling.intervals import risk_from_margins
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.scorecard import PointsScorecard, ScorecardItem
from relapse_risk.vocabulary import Unit

PAGE_FILE = "scorecard.html"
_MOST_BANDS = 9
_STYLE = """@page { size: A4; margin: 12mm }
body { font: 10pt/1.3 "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; margin: 0 auto; max-width: 186mm }
h1 { font-size: 15pt; margin: 0 0 2mm } p { margin: 1mm 0 } small { color: #444 }
table { border-collapse: collapse; width: 100%; margin: 2mm 0 }
td, th { border: .3mm solid #666; padding: .8mm 1.5mm; text-align: left }
span { white-space: nowrap } .bands td { padding: .8mm; text-align: center; font-size: 9pt }"""


def render_page(model: TrainedModel) -> str:
    """Return the sheet of a model of kind ``scorecard``, as one HTML file that prints on a page of A4.

    The risk beside each band of points is the calibrated one, by the last horizon.
    """
    estimator = model.estimator
    if not isinstance(estimator, PointsScorecard):
        raise TypeError(f"a PointsScorecard is needed, found {type(estimator).__name__}")
    features = list(model.features)
    questions = "\n".join(
        _question(k, item, features[item.position]) for k, item in enumerate(estimator.items_, start=1)
    )
    return f"""<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>积分评分卡 {escape(model.name)}</title>
<style>{_STYLE}</style></head><body>
<h1>返贫风险积分评分卡 <small>Points scorecard</small></h1>
<p>每题选一格，把各题得分相加。不清楚的，按标 * 的一格计分。“a ~ b”含 a 不含 b。
<small>One answer a question; add the points. Where not known, take the answer marked *. “a ~ b” is from a, to
less than b.</small></p>
<table><tr><th>#</th><th>问题 <small>question</small></th><th>答案：得分 <small>answer: points</small></th>
<th>得分 <small>points</small></th></tr>
{questions}
<tr><td></td><td colspan="2"><b>合计 total</b></td><td></td></tr></table>
<table class="bands">
{_bands(model, estimator)}</table>
<p>得分只用于安排走访先后，不能代替规则预警，也不作为认定或取消帮扶的依据。
<small>Points order visits. They replace no rule hit and decide nothing about a household.</small></p>
</body></html>
"""


def _question(number: int, item: ScorecardItem, feature: Feature) -> str:
    is_said = feature.unit in (Unit.FLAG, Unit.SHARE) or feature.zh.endswith("）")
    unit = "" if is_said else f"（{feature.unit.value.zh}）"
    answers = "； ".join(
        f"<span>{escape(text)}{'*' if k == item.missing_bin else ''}：<b>{points}</b></span>"
        for k, (text, points) in enumerate(zip(_answers(item, feature.unit), item.points, strict=True))
    )
    return (
        f"<tr><td>{number}</td><td>{escape(feature.zh)}{unit}<br><small>{escape(feature.en)}</small></td>"
        f"<td>{answers}</td><td></td></tr>"
    )


def _answers(item: ScorecardItem, unit: Unit) -> list[str]:
    """Return what each bin says, the lowest values first."""
    if unit is Unit.FLAG and len(item.cuts) == 1:
        return ["否 no", "是 yes"]
    cuts = [f"{100 * cut:.3g}%" if unit is Unit.SHARE else f"{cut:,.10g}" for cut in item.cuts]
    between = [f"{low} ~ {high}" for low, high in pairwise(cuts)]
    return [f"< {cuts[0]}", *between, f"≥ {cuts[-1]}"]


def _bands(model: TrainedModel, estimator: PointsScorecard) -> str:
    """Return two rows: bands of the sum of points, and the risk of each."""
    most = sum(max(item.points) for item in estimator.items_)
    totals = np.arange(most + 1, dtype=np.float64)
    margins = estimator.slope_ * totals[:, None] + estimator.intercepts_
    risk = risk_from_margins(model.calibration.apply(margins))[:, -1]
    sums, risks = [], []
    for band in np.array_split(np.arange(most + 1), min(_MOST_BANDS, most + 1)):
        first, last = int(band[0]), int(band[-1])
        sums.append(str(first) if first == last else f"{first}–{last}")
        low, high = f"{100 * risk[first]:.1f}", f"{100 * risk[last]:.1f}"
        risks.append(f"{low}%" if low == high else f"{low}–{high}%")
    months = model.horizons_months[-1]
    rows = (("合计得分 <small>total</small>", sums), (f"{months} 个月内风险 <small>risk</small>", risks))
    return "\n".join(
        f"<tr><th>{head}</th>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>" for head, cells in rows
    )
