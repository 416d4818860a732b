"""The county page: one file that a browser opens from anywhere, with the list, its reasons and its rules.

It asks for nothing from outside (a content security policy forbids it), so it works from a USB stick.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import resources
from typing import Any

import polars as pl

from relapse_risk.outputs.issued import COMPUTED_COLUMNS
from relapse_risk.outputs.outlook import fan_script
from relapse_risk.outputs.parameter_words import parameters_said
from relapse_risk.outputs.visit_list import CountyList
from relapse_risk.rules.spec import Rule
from relapse_risk.vocabulary import SCORE_DISCLAIMER, Bilingual, Language

_TEMPLATE = "county_page.html"
_TIERS = ("red", "orange", "yellow", "blue", "routine")
_UNVERIFIED = Bilingual("以下参数尚未核实：", "These parameters are not verified: ")


def page_bytes(
    county: CountyList,
    *,
    as_of_date: date,
    expires_on: date,
    unverified: Sequence[Mapping[str, Any]],
    rules: Sequence[Rule],
    language: Language,
    outlook: Mapping[str, Any] | None = None,
) -> bytes:
    """Return the page of one county as a self-contained HTML file in UTF-8.

    Parameters
    ----------
    county : CountyList
        With ``details``.
    as_of_date, expires_on : date
    unverified : sequence of mapping
        Dated parameters in use that nobody verified, as in ``VisitList``.
    rules : sequence of Rule
    language : {"zh", "en"}
        The one it opens in; a button switches.
    outlook : mapping, optional
        Of :func:`~relapse_risk.outputs.outlook.county_outlook`: what the county may expect. The page does not
        speak of it where there is none.
    """
    if county.details is None:
        raise ValueError("a list made without details has no page")
    told = {
        lang: _UNVERIFIED.text(lang) + parameters_said(unverified, rules, lang) if unverified else ""
        for lang in _LANGUAGES
    }
    data = {
        "language": language,
        "county": county.county_name,
        "list_id": county.list_id,
        "as_of": str(as_of_date),
        "expires": str(expires_on),
        "counts": {
            "listed": county.listed.height,
            "waiting": county.waiting.height,
            "capacity": county.counts["capacity"],
            "tiers": [county.counts[tier] for tier in _TIERS],
        },
        "disclaimer": {lang: SCORE_DISCLAIMER.text(lang) for lang in _LANGUAGES},
        "footer": told,
        "messages": [{"zh": message.zh, "en": message.en} for message in county.messages],
        "columns": list(COMPUTED_COLUMNS),
        "rules": _rules(county, rules),
        "rows": _rows(county),
        "outlook": outlook,
    }
    # A "<" in a cell must not end the script element it stands in.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    template = resources.files("relapse_risk.outputs").joinpath(_TEMPLATE).read_text(encoding="utf-8")
    title = html.escape(f"{county.county_name} {as_of_date}")
    page = template.replace("__TITLE__", title).replace("__FAN__", fan_script())
    return page.replace("__DATA__", text).encode()


_LANGUAGES: tuple[Language, ...] = ("zh", "en")


def _rules(county: CountyList, rules: Sequence[Rule]) -> dict[str, dict[str, str]]:
    """Return names and legal basis of the rules that any row hits."""
    hit = {code for said in county.details.said for code in said} if county.details else set()
    return {
        rule.code: {"zh": rule.zh, "en": rule.en, "zh_basis": rule.basis.zh, "en_basis": rule.basis.en}
        for rule in rules
        if rule.code in hit
    }


def _rows(county: CountyList) -> list[dict[str, object]]:
    details = county.details
    if details is None:
        return []
    plain = {
        lang: frame.select(pl.col(COMPUTED_COLUMNS).exclude(pl.Date), pl.col(pl.Date).cast(pl.String))
        .select(COMPUTED_COLUMNS)
        .rows()
        for lang, frame in (("zh", details.zh), ("en", details.en))
    }
    n_listed = county.listed.height
    return [
        {
            "place": place,
            "waits": place >= n_listed,
            "zh": list(plain["zh"][place]),
            "en": list(plain["en"][place]),
            "said": [[code, text.zh, text.en] for code, text in details.said[place].items()],
            "forces": [
                [c.feature.zh, c.feature.en, c.say_value("zh"), c.say_value("en"), round(c.amount, 4)]
                for c in details.contributions[place]
            ],
        }
        for place in range(len(details.said))
    ]
