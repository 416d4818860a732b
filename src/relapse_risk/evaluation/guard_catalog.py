"""The guards by number: what each forbids, why, and what to do; ``docs/guards.md`` is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from relapse_risk.evaluation.notices import Notice
from relapse_risk.vocabulary import Bilingual

HIGHEST_CREDIBLE_AUC = 0.95
LARGEST_CREDIBLE_GAIN = 0.10
HIGHEST_SINGLE_AUC = 0.90
# Declared as the level that the label is made from: how far income stands above the line today may say much.
LABEL_LEVELS = ("ref_income_to_line", "ref_income_pc_12m", "period_income_to_line", "period_income_pc")


@dataclass(frozen=True, slots=True)
class Guard:
    """A numbered guard and what its page says.

    Attributes
    ----------
    name : str
        ``G1`` and so on: what ``--override`` takes.
    code : str
        Of the error and of the notice.
    title, why, remedy : Bilingual
    """

    name: str
    code: str
    title: Bilingual
    why: Bilingual
    remedy: Bilingual

    def notice(self, zh: str, en: str) -> Notice:
        """Return what the guard found, with its code and name."""
        return Notice(self.code, Bilingual(f"{self.name}：{zh}", f"{self.name}: {en}"))


_LOOK = Bilingual(
    "查明是哪项指标带入了结果信息，改正后重新训练。",
    "Find the feature that knows the future, correct it, train again.",
)
GUARDS = (
    Guard(
        "G1",
        "RR501",
        Bilingual("AUC过高", "An AUC too good to be true"),
        Bilingual(
            f"对未来12个月的AUC达到{HIGHEST_CREDIBLE_AUC}或以上。收入波动和突发事件不可能预知到这种程度。",
            f"An AUC of {HIGHEST_CREDIBLE_AUC} or more 12 months forward. Incomes and setbacks can't be "
            "foreseen so well; something of the outcome has leaked.",
        ),
        _LOOK,
    ),
    Guard(
        "G2",
        "RR502",
        Bilingual("比最佳单一指标高出过多", "Too far above the best single indicator"),
        Bilingual(
            f"模型的AUC比最佳单一指标高{LARGEST_CREDIBLE_GAIN:.2f}以上。组合多项指标很少能带来这么大的提高。",
            f"A model's AUC is more than {LARGEST_CREDIBLE_GAIN:.2f} above the best single indicator's. "
            "Putting indicators together seldom gains so much.",
        ),
        _LOOK,
    ),
    Guard(
        "G3",
        "RR503",
        Bilingual("单项指标过强", "One feature alone is too strong"),
        Bilingual(
            f"一项指标单独的AUC达到{HIGHEST_SINGLE_AUC:.2f}或以上，而它不是构成标签的水平值"
            f"（{'、'.join(LABEL_LEVELS)}）。",
            f"One feature alone has an AUC of {HIGHEST_SINGLE_AUC:.2f} or more, and is not declared as the "
            f"level that the label is made from ({', '.join(LABEL_LEVELS)}).",
        ),
        _LOOK,
    ),
    Guard(
        "G4",
        "RR504",
        Bilingual("指标用到了截止日之后的记录", "A feature is recorded after the as-of date"),
        Bilingual(
            "去掉截止日之后录入的各行后，指标值发生了变化；或者有记录的录入日期早于其所述期间结束，"
            "因而在截止日“已知”尚未发生的事。",
            "A feature's value changes when the rows recorded after the as-of date are taken away; or a "
            "report is dated as recorded before its period ended, so that what is still to come is known.",
        ),
        Bilingual(
            "改正该指标或来源数据的录入日期（映射文件中的 after 与 delay_days）。",
            "Correct the feature, or the recording dates of the source (`delay_days` of its mapping).",
        ),
    ),
    Guard(
        "G5",
        "RR505",
        Bilingual("训练与检验日期重叠", "Training and test dates overlap"),
        Bilingual(
            "训练截止日的标签窗口延伸到了检验截止日之后，模型等于看过了要预测的结果。",
            "The label window of a training date reaches beyond the first test date: the model has seen what "
            "it is tested on.",
        ),
        Bilingual(
            "把训练日期提前，至少相隔一个预测期和报送延迟。",
            "Move the training dates back by a whole horizon and the reporting delay.",
        ),
    ),
    Guard(
        "G6",
        "RR506",
        Bilingual("指标中含有标签", "A label is among the features"),
        Bilingual(
            "一项指标与标签同名、读取当前监测状态，或在几乎所有行上与结果一致。",
            "A feature bears a label's name, reads the register's status, or agrees with the outcome on "
            "nearly every row.",
        ),
        Bilingual("从实验的指标中去掉它。", "Leave it out of the experiment's features."),
    ),
    Guard(
        "G7",
        "RR507",
        Bilingual("改动未来的行会改变分数", "A score changes when future rows change"),
        Bilingual(
            "改动截止日之后录入的金额后，同一模型给出的分数不同。",
            "Amounts recorded after the as-of date are altered, and the same model gives another score.",
        ),
        _LOOK,
    ),
    Guard(
        "G8",
        "RR508",
        Bilingual("训练数据属于另一政策版本", "Training data of another scheme version"),
        Bilingual(
            "训练截止日已知的记录与现行记录的政策版本（scheme_version）不同：对象认定和监测口径已变，"
            "旧数据上学到的风险不一定适用。",
            "What was known on the training dates bears another scheme_version than what is known now: who "
            "is monitored, and how, has changed, and what was learnt may no longer hold.",
        ),
        Bilingual(
            "改用新版本的数据训练，或在说明理由后放行。",
            "Train on data of the version in force, or override with a reason.",
        ),
    ),
)
GUARD_BY_NAME: Mapping[str, Guard] = {guard.name: guard for guard in GUARDS}


def guards_page() -> str:
    """Return the page of all guards as Markdown, a section each."""
    lines = [
        "# Guards 护栏",
        "",
        "What must not be true of a model before it is saved. A failed guard stops `relapse-risk train` with",
        "exit code 1; `--override G3` lets it pass by name, and the model card says so. `backtest` shows",
        "what it finds as `!` lines. This page is made by `python docs/make_guards_page.py`.",
        "",
        "护栏不通过时，`relapse-risk train` 停止（退出码1）。",
        "确有理由时可用 `--override G3` 按编号放行，模型卡会写明。",
    ]
    for guard in GUARDS:
        lines += ["", f"## {guard.name} {guard.title.en} {guard.title.zh} ({guard.code})", ""]
        lines += [f"- {guard.why.en}", f"- {guard.why.zh}"]
        lines += [f"- What to do: {guard.remedy.en}", f"- 处理办法：{guard.remedy.zh}"]
    return "\n".join(lines) + "\n"
