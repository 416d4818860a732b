"""What the reader of a backtest must know beside its figures."""

from __future__ import annotations

from dataclasses import dataclass

from relapse_risk.vocabulary import Bilingual, Language


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence with the code of the guard or error it comes from; empty where there is none."""

    code: str
    text: Bilingual

    def shown(self, language: Language) -> str:
        """Return the sentence with its code before it."""
        return f"[{self.code}] {self.text.text(language)}" if self.code else self.text.text(language)
