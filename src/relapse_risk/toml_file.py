"""TOML files as typed models. Unknown keys are refused, so that a misspelt option never passes silently."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from relapse_risk.errors import ConfigurationError

_Model = TypeVar("_Model", bound=BaseModel)


class Strict(BaseModel):
    """A part of a TOML file that refuses what it does not know, and never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def load(path: Path, model: type[_Model]) -> _Model:
    """Read a TOML file into a model.

    Raises
    ------
    ConfigurationError
        RR211 where there is no such file, RR212 where it is no TOML, RR213 where keys or values are wrong.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigurationError(
            "RR211",
            str(path),
            "there is no such file",
            f"a TOML file with a {model.__name__}",
            "Check the path",
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            "RR212", str(path), f"not readable as TOML ({error})", "UTF-8 TOML", "Correct the line named"
        ) from error
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'file'}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(
            "RR213", str(path), problems, f"the keys of {model.__name__}", "Correct these keys"
        ) from error
