"""What an experiment says of its search: budget, inner dates, and the range of every setting."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from relapse_risk.toml_file import Strict


class SearchRange(Strict):
    """What a setting may be in a search: between two ends, or one of some choices.

    Attributes
    ----------
    low, high : float
        Both inclusive.
    is_log : bool
        Equal factors are equally likely, instead of equal steps.
    choices : tuple
    """

    low: float | None = None
    high: float | None = None
    is_log: bool = False
    choices: tuple[bool | int | float | str, ...] = ()

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        has_ends = self.low is not None and self.high is not None and self.low < self.high
        if has_ends == bool(self.choices):
            raise ValueError("either low < high, or choices")
        return self

    def holds(self, value: bool | int | float | str) -> bool:
        """Return whether a setting may have this value."""
        if self.low is None or self.high is None:
            return value in self.choices
        return isinstance(value, (int, float)) and self.low <= value <= self.high


class SearchConfig(Strict):
    """Search of the model's settings inside the training origins; none where ``space`` is empty.

    Attributes
    ----------
    trials : int
        How many sets of settings are tried, the experiment's own first.
    minutes : float or None
        No trial is started after so many minutes of trials.
    inner_origins : int
        The newest mature training origins, judged in turn.
    capacity : float
        Share of households or number of visits at which precision is compared.
    random_trials : int
        Trials at random before the search learns from them.
    space : dict of str to SearchRange
        By name of a setting of the model.
    """

    trials: int = Field(default=30, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    inner_origins: int = Field(default=3, ge=1)
    capacity: float = Field(default=0.05, gt=0)
    random_trials: int = Field(default=10, ge=1)
    seed: int = 0
    space: dict[str, SearchRange] = Field(default_factory=dict)
