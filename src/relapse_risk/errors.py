"""Every error the toolkit raises on purpose, each with a code and the way out.

A message reads ``[code] where: what was found. Expected …. Do ….`` in English; errors that county staff
can meet carry a Chinese sentence too. Messages name row numbers and columns, never a person.

Code ranges: RR1xx data, RR2xx configuration or call, RR3xx contract between parts (time, features),
RR4xx model, RR5xx a guard that says no, RR6xx environment.
"""

from __future__ import annotations

from typing import ClassVar


class RelapseRiskError(Exception):
    """Base of the family.

    Parameters
    ----------
    code : str
        ``"RR"`` and three digits; the first digit is the family.
    where : str
        File, table, column or option.
    found, expected, remedy : str
        What is there, what should be there, and what to do about it.
    zh : str
        The same in one Chinese sentence, where county staff can meet the error.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, code: str, where: str, found: str, expected: str, remedy: str, zh: str = "") -> None:
        self.code, self.where, self.found = code, where, found
        self.expected, self.remedy, self.zh = expected, remedy, zh
        message = f"[{code}] {where}: {found}. Expected {expected}. {remedy}."
        super().__init__(f"{message}\n{zh}" if zh else message)


class DataError(RelapseRiskError):
    """RR1xx: a source can't be read as a table, or holds nothing."""


class ConfigurationError(RelapseRiskError):
    """RR2xx: an option, an experiment, a mapping or a threshold table is wrong."""


class ContractError(RelapseRiskError):
    """RR3xx: two parts do not fit, such as a model and features, or a date and the data."""


class ModelError(RelapseRiskError):
    """RR4xx: a model can't be fitted, or its directory can't be trusted."""


class GuardError(RelapseRiskError):
    """RR5xx: a guard or gate says no; nothing is wrong with the call."""

    exit_code: ClassVar[int] = 1


class MachineError(RelapseRiskError):
    """RR6xx: disk, permission or lock."""

    exit_code: ClassVar[int] = 3
