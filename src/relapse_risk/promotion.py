"""Promotion to champion: judge a model beside the present one and the baselines, decide, and say why."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from relapse_risk.config import Experiment
from relapse_risk.evaluation.backtest import BacktestResult, run_backtest
from relapse_risk.evaluation.gate import (
    Check,
    Comparison,
    best_baseline,
    check_calibration,
    check_comparison,
    check_guards,
    compare_precision,
)
from relapse_risk.files import write_together
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.modeling.registry import (
    DECISION_TAG,
    RegisteredModel,
    champion_folder,
    champion_of,
    record_decision,
    version_of,
)
from relapse_risk.modeling.store import load_model
from relapse_risk.panel.panel import Panel
from relapse_risk.rules.hit_counts import all_features
from relapse_risk.terminal import Progress
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Language

FEWEST_REPLICATES = 400


@dataclass(frozen=True)
class Decision:
    """Whether a model became the champion, and the ground.

    Attributes
    ----------
    model : RegisteredModel
    before : RegisteredModel or None
        The champion until then.
    capacity : float
        Where precision was compared.
    store : str
        sha256 of the data judged on.
    checks : tuple of Check
    comparisons : tuple of Comparison
        With the best baseline and, where there was one, the champion.
    """

    model: RegisteredModel
    before: RegisteredModel | None
    capacity: float
    store: str
    checks: tuple[Check, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def is_promoted(self) -> bool:
        """Whether every check passed."""
        return all(check.is_passed for check in self.checks)

    def tags(self) -> dict[str, str]:
        """Return the decision and its numbers as tags."""
        tags = {
            DECISION_TAG: "promoted" if self.is_promoted else "refused",
            f"{DECISION_TAG}.capacity": f"{self.capacity:g}",
            f"{DECISION_TAG}.champion_before": "" if self.before is None else self.before.model_dir,
            f"{DECISION_TAG}.sha256.store": self.store,
            f"{DECISION_TAG}.failed": "; ".join(c.name.en for c in self.checks if not c.is_passed),
        }
        for name, compared in zip(("baseline", "champion"), self.comparisons, strict=False):
            tags[f"{DECISION_TAG}.{name}"] = compared.against
            for key in ("precision", "other", "difference", "low", "high"):
                tags[f"{DECISION_TAG}.{name}.{key}"] = f"{getattr(compared, key):.6f}"
        return tags

    def lines(self, language: Language) -> list[str]:
        """Return the decision in plain lines, the verdict first."""
        verdict = {
            True: {"zh": "通过，成为正式模型（champion）", "en": "promoted: it is the champion"},
            False: {"zh": "未通过，正式模型不变", "en": "refused: the champion stays"},
        }[self.is_promoted][language]
        marks = {True: "✓", False: "✗"}
        return [
            f"{self.model.model_dir}: {verdict}",
            *(
                f"{marks[c.is_passed]} {c.name.text(language)}: {c.found.text(language)} "
                f"[{c.asked.text(language)}]"
                for c in self.checks
            ),
        ]

    def pages(self) -> dict[str, str]:
        """Return the page of the decision, as Markdown and as HTML, Chinese first."""
        parts = [_part(self, language) for language in ("zh", "en")]
        return {
            "decision.md": "\n\n---\n\n".join(_markdown(*part) for part in parts) + "\n",
            "decision.html": _html(parts),
        }


def promote_model(
    panel: Panel,
    folder: Path,
    models: Path,
    tracking_uri: str,
    *,
    capacity: float = 0.05,
    on_progress: Progress | None = None,
) -> Decision:
    """Decide whether a model becomes the champion, and leave the decision in the registry and beside it.

    The ways in which the challenger and the champion were made (their experiments) are both judged by
    rolling-origin backtest on this panel; nothing is compared on rows a model has learnt from.

    Parameters
    ----------
    panel : Panel
    folder : Path
        The challenger, ``models/NAME/VERSION``.
    models : Path
        Where the champion's directory is.
    tracking_uri : str
        Store of the runs and of the registry.
    capacity : float
        Share of the households of each date, or number of visits, at which precision is compared.

    Returns
    -------
    Decision
        The page is written to ``models/NAME/promotion_VERSION.md`` too: a model directory never changes.

    Raises
    ------
    ConfigurationError
        RR209 where the challenger is not in the registry; RR208 where the champion's directory is not in
        ``models``; RR457 where the two can't be compared.
    ModelError
        RR412, RR413 or RR415 where a directory is not what it was.
    """
    challenger = load_model(folder, all_features(panel))
    registered = version_of(tracking_uri, folder)
    before = champion_of(tracking_uri)
    result = run_backtest(panel, challenger.experiment, on_progress=on_progress)
    replicates = max(FEWEST_REPLICATES, challenger.experiment.evaluation.bootstrap_replicates)
    compared = [best_baseline(result, capacity, replicates)]
    if before is not None:
        champion = load_model(champion_folder(tracking_uri, models), all_features(panel))
        compared.append(
            _with_champion(panel, challenger, champion, result, before, capacity, replicates, on_progress)
        )
    overridden = [str(each["code"]) for each in challenger.metadata.get("overridden_guards", ())]
    checks = (
        check_guards(result, overridden),
        check_calibration(result),
        *(check_comparison(each, capacity) for each in compared),
    )
    store = str(panel.provenance.get("data_sha256", ""))
    decision = Decision(registered, before, capacity, store, checks, tuple(compared))
    pages = decision.pages()
    page = {f"promotion_{folder.name}.md": pages["decision.md"].encode()}
    write_together(page, folder.parent)
    record_decision(tracking_uri, registered, decision.tags(), pages, is_promoted=decision.is_promoted)
    return decision


def _with_champion(
    panel: Panel,
    challenger: TrainedModel,
    champion: TrainedModel,
    result: BacktestResult,
    before: RegisteredModel,
    capacity: float,
    replicates: int,
    on_progress: Progress | None,
) -> Comparison:
    """Return the challenger beside the champion, judged on the challenger's dates."""
    evaluation = challenger.experiment.evaluation
    other = champion.experiment.model_copy(
        update={"evaluation": evaluation, "cohort": challenger.experiment.cohort}
    )
    is_same = _recipe(other) == _recipe(challenger.experiment)
    judged = result if is_same else run_backtest(panel, other, on_progress=on_progress)
    return compare_precision(
        result.scores,
        judged.scores,
        ("score_model", "score_model"),
        capacity,
        against=f"champion {before.model_dir}",
        cluster=evaluation.cluster,
        replicates=replicates,
        seed=evaluation.seed,
    )


def _recipe(experiment: Experiment) -> Mapping[str, object]:
    return experiment.model_dump(mode="json", exclude={"name", "description"})


def _part(decision: Decision, language: Language) -> tuple[str, list[str], list[Sequence[str]], str]:
    """Return title, sentences, rows of the table and footer in one language."""

    def say(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    before = decision.before.model_dir if decision.before else say("无", "none")
    sentences = [
        decision.lines(language)[0],
        say(f"此前的正式模型：{before}", f"Champion before: {before}"),
        say(f"数据 sha256 {decision.store}", f"Data sha256 {decision.store}"),
        say(
            "两种训练方法都在同一份数据上作滚动回测；比较的是同一批家庭、同一日期、同样的走访次数，红色等级除外；"
            "区间按整村重抽样。",
            "Both ways of training are judged by rolling-origin backtest on the same data; compared are the "
            "same households, dates and visits, without tier red; intervals resample whole villages.",
        ),
    ]
    rows: list[Sequence[str]] = [
        (say("条件", "condition"), say("结果", "found"), say("要求", "asked"), say("通过", "passed"))
    ]
    rows += [
        (
            check.name.text(language),
            check.found.text(language),
            check.asked.text(language),
            say("是", "yes") if check.is_passed else say("否", "no"),
        )
        for check in decision.checks
    ]
    title = say("正式模型评审", "Promotion of a model")
    return title, sentences, rows, SCORE_DISCLAIMER.text(language)


def _markdown(title: str, sentences: Sequence[str], rows: Sequence[Sequence[str]], footer: str) -> str:
    table = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return "\n\n".join([f"# {title}", *sentences, "\n".join(lines), f"> {footer}"])


def _html(parts: Sequence[tuple[str, list[str], list[Sequence[str]], str]]) -> str:
    body = []
    for title, sentences, rows, footer in parts:
        body.append(f"<h1>{html.escape(title)}</h1>")
        body += [f"<p>{html.escape(sentence)}</p>" for sentence in sentences]
        cells = [
            "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row)
            for tag, row in zip(("th", *["td"] * (len(rows) - 1)), rows, strict=True)
        ]
        body.append("<table>" + "".join(f"<tr>{row}</tr>" for row in cells) + "</table>")
        body.append(f"<p><small>{html.escape(footer)}</small></p>")
    style = (
        "body{font:15px sans-serif;max-width:60em;margin:2em auto}table{border-collapse:collapse}"
        "th,td{border:1px solid #999;padding:.3em .6em;text-align:left}"
    )
    return (
        f'<!doctype html><html lang="zh"><meta charset="utf-8"><title>champion</title><style>{style}</style>'
        f"<body>{''.join(body)}</body></html>\n"
    )
