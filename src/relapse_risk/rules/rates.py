"""What a caseload costs at the yearly subsidy rates a county gives; no amount comes with the toolkit."""

from __future__ import annotations

import csv
import io
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from relapse_risk.errors import ConfigurationError
from relapse_risk.rules.caseload import REGISTERED, WhatIf
from relapse_risk.rules.measures import measures_table
from relapse_risk.toml_file import load

Category = Literal["脱贫不稳定户", "边缘易致贫户", "突发严重困难户"]

_CSV_HEADERS = {
    "类别": "category",
    "措施": "measure",
    "劳动能力": "labour",
    "计发单位": "per",
    "年标准(元)": "yuan_per_year",
    "年标准（元）": "yuan_per_year",
    "依据": "source",
}
_CSV_VALUES = {"户": "household", "人": "person"}


class Rate(BaseModel):
    """One yearly subsidy, for a category of the register or for a measure.

    Attributes
    ----------
    category : str, optional
        Every household of the caseload of this category, on the register or a candidate.
    measure : str, optional
        Every candidate to whom this measure is suggested, as in ``measures.toml``: what it would cost if all
        suggestions were taken up.
    labour : str, optional
        Only households of this labour class: 有, 弱 or 无.
    per : str
        ``household`` or ``person``.
    yuan_per_year : float
    source : str
        The county's document.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Category | None = None
    measure: str | None = None
    labour: Literal["有", "弱", "无"] | None = None
    per: Literal["household", "person"]
    yuan_per_year: float = Field(gt=0, lt=1e7)
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _one_subject(self) -> Self:
        if (self.category is None) == (self.measure is None):
            raise ValueError("a rate is for a category or for a measure, one of the two")
        names = {measure.name.zh for measures in measures_table().values() for measure in measures}
        if self.measure is not None and self.measure not in names:
            close = get_close_matches(self.measure, names, n=3, cutoff=0.3)
            raise ValueError(f"no measure {self.measure}; did you mean {'、'.join(close) or 'another'}?")
        return self


class SubsidyRates(BaseModel):
    """The rates of a file, ``[[rate]]`` in TOML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: tuple[Rate, ...] = Field(min_length=1)


def load_rates(path: Path) -> SubsidyRates:
    """Return the rates of a TOML file, or of a CSV with one rate a row under Chinese or English headers.

    Raises
    ------
    ConfigurationError
        RR211 where there is no such file, RR212 where it can't be read, RR213 where keys or values are wrong.
    """
    if path.suffix.lower() != ".csv":
        return load(path, SubsidyRates)
    try:
        rows = _csv_rows(path.read_bytes())
    except FileNotFoundError as error:
        raise ConfigurationError(
            "RR211", str(path), "there is no such file", "a CSV or TOML file with rates", "Check the path"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            "RR212", str(path), "not readable as text", "CSV in UTF-8 or GB18030", "Save it as CSV again"
        ) from error
    try:
        return SubsidyRates.model_validate({"rate": rows})
    except ValidationError as error:
        problems = "; ".join(
            f"row {int(place[1]) + 2 if len(place := problem['loc']) > 1 else 1}"
            f"{''.join(f', {part}' for part in place[2:])}: {problem['msg']}"
            for problem in error.errors()
        )
        raise ConfigurationError(
            "RR213",
            str(path),
            problems,
            "类别 or 措施, 劳动能力, 计发单位 (户 or 人), 年标准(元), 依据",
            "Correct these cells",
        ) from error


def _csv_rows(data: bytes) -> list[dict[str, Any]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030")
    rows = []
    for record in csv.DictReader(io.StringIO(text, newline="")):
        cells = {str(name).strip(): (cell or "").strip() for name, cell in record.items()}
        named = {_CSV_HEADERS.get(name, name): cell for name, cell in cells.items() if cell}
        if "per" in named:
            named["per"] = _CSV_VALUES.get(named["per"], named["per"])
        if named:
            rows.append({**named, "yuan_per_year": named.get("yuan_per_year", "").replace(",", "")})
    return rows


def cost_of(what_if: WhatIf, rates: SubsidyRates) -> pl.DataFrame:
    """Return what the caseload costs a year at the rates given, now and then.

    Returns
    -------
    polars.DataFrame
        One row a rate: ``category, measure, labour_class, per, yuan_per_year, source``; ``registered, now,
        then`` are what is paid for, in households or people (measures are suggested to candidates, so none on
        the register); ``yuan_now, yuan_then`` are the rate times register and candidates, ``yuan_change``
        their difference.
    """
    return pl.DataFrame([_priced(what_if, rate) for rate in rates.rate], infer_schema_length=None)


def _priced(what_if: WhatIf, rate: Rate) -> dict[str, object]:
    count = pl.col("people" if rate.per == "person" else "households")
    if rate.category is not None:
        cells = what_if.cells
        if rate.labour is not None:
            cells = cells.filter(pl.col("labour_class") == rate.labour)
        on_register = (pl.col("standing_now") == REGISTERED) & (pl.col("register_category") == rate.category)
        registered, now, then = cells.select(
            registered=count.filter(on_register).sum(),
            now=count.filter(pl.col("standing_now") == rate.category).sum(),
            then=count.filter(pl.col("standing_then") == rate.category).sum(),
        ).row(0)
    else:
        rows = what_if.measures.filter(pl.col("measure") == rate.measure)
        if rate.labour is not None:
            rows = rows.filter(pl.col("labour_class") == rate.labour)
        stem = "people" if rate.per == "person" else "households"
        registered, now, then = 0, int(rows[f"{stem}_now"].sum()), int(rows[f"{stem}_then"].sum())
    yuan_now, yuan_then = (rate.yuan_per_year * (registered + n) for n in (now, then))
    return {
        "category": rate.category or "",
        "measure": rate.measure or "",
        "labour_class": rate.labour or "",
        "per": rate.per,
        "yuan_per_year": rate.yuan_per_year,
        "source": rate.source,
        "registered": registered,
        "now": now,
        "then": then,
        "yuan_now": yuan_now,
        "yuan_then": yuan_then,
        "yuan_change": yuan_then - yuan_now,
    }
