"""The model card, in Chinese and English: what the model is for, what it learnt from, and its limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from relapse_risk.config import Experiment, Outcome
from relapse_risk.modeling.card_calibration import calibration_said
from relapse_risk.modeling.card_training import (
    lottery_said,
    sample_said,
    span,
    table,
    trees_said,
    uncertainty_said,
)
from relapse_risk.modeling.model import TrainedModel
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

_OUTCOMES: dict[Outcome, Bilingual] = {
    "income": Bilingual("人均监测参考收入低于监测线", "reference income per person below the line"),
    "status": Bilingual("来源数据标明低于监测线", "status below the line, as handed in"),
    "schooling": Bilingual("义务教育阶段失学辍学", "a child out of compulsory schooling"),
    "medical_insurance": Bilingual("有成员未参加基本医保", "a member without medical insurance"),
    "housing": Bilingual("住房安全等级为C级或D级", "housing of grade C or D"),
    "water": Bilingual("饮水不安全", "unsafe drinking water"),
}
_KINDS: dict[str, Bilingual] = {
    "hazard": Bilingual("离散时间风险率模型（LightGBM）", "discrete-time hazard on LightGBM"),
    "logistic": Bilingual("离散时间样条逻辑回归", "discrete-time spline logistic regression"),
    "blend": Bilingual("风险率模型与逻辑回归的加权平均", "blend of boosted and logistic hazards"),
    "best_indicator": Bilingual("最佳单一指标", "best single indicator"),
    "scorecard": Bilingual("积分评分卡", "points scorecard"),
    "rules": Bilingual(
        "仅按规则排序（名次由规则和收入决定，学得的只是各名次的发生率）",
        "rules only (rules and income give the place; learnt is only how often an event follows at each)",
    ),
}
_LABEL_KINDS = {
    "first_event": Bilingual("窗口期内首次发生", "the first event within the window"),
    "state_at_horizon": Bilingual("窗口期末的状态", "the state at the end of the window"),
}


def render_card(
    model: TrainedModel,
    results: pl.DataFrame | None = None,
    groups: pl.DataFrame | None = None,
    relapses: Bilingual | None = None,
) -> str:
    """Return the model card as Markdown, Chinese first.

    Parameters
    ----------
    model : TrainedModel
    results : polars.DataFrame, optional
        Figures of a backtest, shown as they are.
    groups : polars.DataFrame, optional
        Errors of one list by group: ``zh``, ``en``, ``n``, ``events``, and ``precision`` and ``recall`` with
        ``_low``, ``_high`` and ``_is_too_few``.
    relapses : Bilingual, optional
        Sections in Markdown on the kinds of relapse and on who was not wholly seen, shown as they are.
    """
    parts = [_page(model, results, groups, relapses, language) for language in ("zh", "en")]
    return "\n\n---\n\n".join(parts) + "\n"


def _page(
    model: TrainedModel,
    results: pl.DataFrame | None,
    groups: pl.DataFrame | None,
    relapses: Bilingual | None,
    language: Language,
) -> str:
    def say(zh: str, en: str) -> str:
        return zh if language == "zh" else en

    sections = [
        f"# {say('模型卡', 'Model card')}: {model.name}",
        *_use(model, say),
        *_data(model, say),
        *_label(model.experiment, say, language),
        *_selection(model, say),
        *lottery_said(model, say),
        *_fitting(model, say),
        *_results(model, results, say),
        *([] if relapses is None else [relapses.text(language)]),
        *_groups(groups, say),
        *_stability(model, say),
        *_limits(model, say),
        f"> {SCORE_DISCLAIMER.text(language)}",
    ]
    return "\n\n".join(sections)


def _use(model: TrainedModel, say: Any) -> list[str]:
    kind = _KINDS[model.experiment.model.kind]
    return [
        f"## {say('用途', 'Intended use')}",
        say(
            f"类型：{kind.zh}。按未来{model.horizons_months[-1]}个月返贫致贫风险排列入户走访顺序，补充而不替代"
            "监测规则；纳入、退出和待遇由民主评议、公示、乡级审核、县级确定，模型不作任何认定。",
            f"Kind: {kind.en}. It orders household visits by the risk of relapse within "
            f"{model.horizons_months[-1]} months. It supplements the monitoring rules and never "
            "replaces them; inclusion, exit and benefits are decided by people.",
        ),
    ]


def _data(model: TrainedModel, say: Any) -> list[str]:
    facts, rows, origins = model.metadata["data"], model.metadata["rows"], model.metadata["origins"]
    rows_table = table(
        [
            say("用途", "used for"),
            say("截止日", "as-of dates"),
            say("行数", "rows"),
            say("事件", "events"),
            say("未发生", "event-free"),
            say("删失", "censored"),
        ],
        [
            [
                name,
                span(origins[key]),
                rows[key]["rows"],
                rows[key]["events"],
                rows[key]["event_free"],
                rows[key]["censored"],
            ]
            for key, name in (("fit", say("拟合", "fitting")), ("calibration", say("校准", "calibration")))
        ],
    )
    return [
        f"## {say('数据', 'Data')}",
        say(
            f"{facts['households']} 户，{facts['villages']} 个村，{len(facts['counties'])} 个县；"
            f"标签读至 {origins['labels_known_on']}。数据指纹 sha256 `{facts['sha256']}`。",
            f"Households: {facts['households']}, villages: {facts['villages']}, counties: "
            f"{len(facts['counties'])}; labels as known on {origins['labels_known_on']}. "
            f"Data sha256 `{facts['sha256']}`.",
        ),
        *sample_said(model, say),
        rows_table,
    ]


def _label(experiment: Experiment, say: Any, language: Language) -> list[str]:
    label = experiment.label
    outcomes = "; ".join(_OUTCOMES[name].text(language) for name in label.outcomes)
    types = "、".join(experiment.cohort.household_types)
    return [
        f"## {say('标签与训练对象', 'Label and cohort')}",
        say(
            f"事件：{outcomes}（任一）。口径：{_LABEL_KINDS[label.kind].zh}，{label.horizon_months}个月；收入按"
            f"{label.income_window_months}个月合计折年。训练对象：截止日状态正常的{types}。登记纳入不是标签。",
            f"Event: any of {outcomes}; {_LABEL_KINDS[label.kind].en}, {label.horizon_months} months; income "
            f"summed over {label.income_window_months} months and scaled to a year. Trained on households "
            f"({types}) that were fine on the as-of date. Entering the register is not the label.",
        ),
        say(
            "估计的是现行帮扶下的风险：帮扶措施和纳入监测不作为删失。窗口未完整观测且未见事件的按删失处理，"
            "不作为未发生。",
            "The estimand is risk under current practice: assistance and register entry do not censor. A "
            "window not wholly observed, in which no event was seen, is censored and never counts as none.",
        ),
    ]


def _selection(model: TrainedModel, say: Any) -> list[str]:
    """Return whom the events that visits showed are about, where the label counts them."""
    if not model.experiment.label.verified_need:
        return []
    fit = model.metadata["rows"]["fit"]
    rows, visited, by_visit = fit["rows"], fit["verified"], fit["events_by_visit"]
    return [
        say(
            f"走访核实属实、部分属实也算事件。拟合用的{rows}行中，窗口内走访核实过{visited}行；{fit['events']}个事件中"
            f"{by_visit}个在首次出现的当月由走访发现。走访对象由清单选定，不是随机的：清单去过的地方发现得多，没去过的户只能由"
            "记录发现，分值会偏向清单原来看重的户。",
            f"A need that a visit found is an event, too. Of {rows} fitting rows {visited} were verified by "
            f"a visit within the window; visits showed {by_visit} of {fit['events']} events in the month "
            "they were first seen. Lists, not chance, chose whom to visit: need was seen more often where "
            "lists had looked, and elsewhere by records alone, so scores lean towards the households that "
            "lists favoured already.",
        )
    ]


def _fitting(model: TrainedModel, say: Any) -> list[str]:
    dropped = model.metadata["dropped_features"]
    importance = model.estimator.feature_importances()
    order = importance.argsort(kind="stable")[::-1][:10]
    rows = [
        [
            model.features.features[i].name,
            say(model.features.features[i].zh, model.features.features[i].en),
            f"{importance[i]:.1%}",
        ]
        for i in order
    ]
    return [
        f"## {say('指标', 'Features')}",
        say(
            f"使用 {len(model.features)} 项指标；{len(dropped)} 项在训练数据中无变化或全部缺失，未使用。"
            "性别、民族、姓名、证件号和当前监测状态不进入模型。",
            f"{len(model.features)} features; {len(dropped)} more had no values or one value only. "
            "Sex, ethnicity, names, identity numbers and current register status never enter.",
        ),
        *trees_said(model, say),
        table([say("指标", "feature"), say("含义", "meaning"), say("占比", "share")], rows),
    ]


def _results(model: TrainedModel, results: pl.DataFrame | None, say: Any) -> list[str]:
    shown = [f"## {say('校准与结果', 'Calibration and results')}", *calibration_said(model, say)]
    shown += uncertainty_said(model, say)
    if results is not None and results.height:
        body = [[_figure(value) for value in row] for row in results.iter_rows()]
        shown += [say("滚动回测：", "Rolling-origin backtest:"), table(results.columns, body)]
    return shown


def _groups(groups: pl.DataFrame | None, say: Any) -> list[str]:
    """Return precision and recall by group, none where there are too few to judge."""
    if groups is None or not groups.height:
        return []

    def shown(row: Mapping[str, Any], name: str) -> str:
        if row[f"{name}_is_too_few"] or row[name] is None:
            return str(say("样本过少", "too few to judge"))
        return f"{row[name]:.3f} ({row[f'{name}_low']:.3f}–{row[f'{name}_high']:.3f})"

    return [
        f"## {say('分组', 'Groups')}",
        say(
            "回测中规则＋模型清单在各组的命中率和查全率（95%区间，按整村重抽样）：",
            "Precision and recall of the list of rules and model in the backtest, by group (95% intervals, "
            "whole villages resampled):",
        ),
        table(
            [
                say("组", "group"),
                say("户次", "household-dates"),
                say("命中率", "precision"),
                say("查全率", "recall"),
            ],
            [
                [row[say("zh", "en")], f"{row['n']:.0f}", shown(row, "precision"), shown(row, "recall")]
                for row in groups.iter_rows(named=True)
            ],
        ),
    ]


def _stability(model: TrainedModel, say: Any) -> list[str]:
    """Return how ranks, lists and reasons move with the seed and with the clock; nothing if not measured."""
    facts: Mapping[str, Any] | None = model.metadata.get("stability")
    if facts is None:
        return []
    share, seeds, months = f"{facts['capacity']:.0%}", facts["seeds"], facts["months"]
    columns = {
        "rank_correlation": say("名次相关", "rank correlation"),
        "top_stays": say(f"最高{share}保留", f"top {share} that stays"),
        "list_stays": say("清单保留", "list that stays"),
        "reasons_stay": say("三条原因不变", "three reasons that stay"),
    }
    rows = [
        [name, *("–" if each[key] is None else f"{each[key]:.3f}" for key in columns)]
        for name, each in (
            (say("换随机种子重训", "trained again with another seed"), seeds),
            (say("数据不变、过一个月", "a month later, same data"), months),
        )
        if each is not None
    ]
    first, second = months["dates"]
    told = [
        say(
            f"数据没有变化时，名次、清单和原因的变动（{facts['households']}户；清单按容量{share}，不含随机抽样）。"
            f"两个月均只用截至 {first} 已知的数据，分别以 {first} 和 {second} 为截止日。"
            "“三条原因不变”按两份清单都有的户计算。",
            f"How ranks, lists and reasons move where no data did ({facts['households']} households; lists "
            f"at a capacity of {share}, without the random sample). Both months, {first} and {second}, go "
            f"by what was known on {first}. Reasons are those of households on both lists.",
        )
    ]
    if seeds is None:
        told.append(say("此类模型不含随机性。", "This kind of model has no randomness."))
    heading = f"## {say('稳定性', 'Stability')}"
    return [heading, " ".join(told), table([say("比较", "comparison"), *columns.values()], rows)]


def _limits(model: TrainedModel, say: Any) -> list[str]:
    lines = [
        say(
            "预测的是统计风险，不说明原因；部门和走访未覆盖的家庭信息少，需由随机走访弥补。",
            "A risk is no cause. Households that departments and visits do not reach are seen less well; "
            "random visits make up for it.",
        ),
        say(
            "分组表现（性别、年龄、残疾、小村等）见回测报告；样本过少的组不作判断。",
            "How it does by group is in the backtest report; groups too small are not judged.",
        ),
    ]
    unverified: Sequence[str] = model.metadata["unverified_parameters"]
    if unverified:
        lines.append(
            say(
                f"使用了未核实的参数：{'、'.join(unverified)}。",
                f"Parameters used that nobody verified: {', '.join(unverified)}.",
            )
        )
    overridden: Sequence[Mapping[str, str]] = model.metadata.get("overridden_guards", ())
    lines += [
        say(
            f"⚠ 未通过而被放行的护栏 [{notice['code']}] {notice['zh']}",
            f"⚠ Overridden guard [{notice['code']}] {notice['en']}",
        )
        for notice in overridden
    ]
    assumed = model.metadata["provenance"].get("assumed")
    if assumed:
        lines.append(
            say(
                f"部分录入日期系按假定延迟推算：{_flat(assumed)}。",
                f"Some recording dates are assumed, from a stated delay: {_flat(assumed)}.",
            )
        )
    return [f"## {say('局限', 'Limits')}", "\n".join(f"- {line}" for line in lines)]


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_flat(item)}" for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_flat(item) for item in value)
    return str(value)


def _figure(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
