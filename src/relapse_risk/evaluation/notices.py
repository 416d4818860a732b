"""What the reader of a backtest must know beside its figures."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from relapse_risk.vocabulary import Bilingual, Language


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence with the code of the guard or error it comes from; empty where there is none."""

    code: str
    text: Bilingual

    def shown(self, language: Language) -> str:
        """Return the sentence with its code before it."""
        return f"[{self.code}] {self.text.text(language)}" if self.code else self.text.text(language)


def nobody_judged(origin: date, n_censored: int) -> Notice:
    """Return that nobody could be judged on a date."""
    return Notice(
        "",
        Bilingual(
            f"{origin} 没有可判断的家庭（{n_censored} 户结果未完整观察到），该日期不参加回测。",
            f"{origin} is left out: no household at risk has a known outcome ({n_censored} are censored).",
        ),
    )


def judged_as_visited(origin: date, n_drawn: int, n: int) -> Notice:
    """Return that some households judged on a date were drawn for a visit that the model leaves out."""
    return Notice(
        "",
        Bilingual(
            f"{origin} 判断的 {n} 户中有 {n_drawn} 户在窗口内被抽签列入清单：训练标签按抽签作了校正，"
            "回测结果仍按实际（含走访）计算，校正后的风险在此会显得偏高。",
            f"Of {n} households judged on {origin} a lottery drew {n_drawn} for a visit in their window. "
            "Models learn the risk without it; outcomes judged are those with it: risks look too high here.",
        ),
    )


def no_oracle(origin: date) -> Notice:
    """Return that the true risk is not known of every household judged on a date."""
    return Notice(
        "",
        Bilingual(
            f"真实风险中没有 {origin} 的全部家庭，不列出上限策略。",
            f"The truth does not hold every household judged on {origin}: the policy oracle is left out.",
        ),
    )
