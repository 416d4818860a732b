"""How results look in a notebook: a title, a few facts, and a small table where that says more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape


def html_card(
    title: str, facts: Mapping[str, object], rows: Iterable[Sequence[object]] = (), header: Sequence[str] = ()
) -> str:
    """Return a result as HTML; everything shown is escaped.

    >>> html_card("Panel", {"rows": 3})
    '<div><strong>Panel</strong><br><small>rows: 3</small></div>'
    """
    said = " · ".join(f"{escape(name)}: {escape(str(value))}" for name, value in facts.items())
    cells = [list(row) for row in rows]
    return f"<div><strong>{escape(title)}</strong><br><small>{said}</small>{_table(header, cells)}</div>"


def origin_facts(provenance: Mapping[str, object]) -> dict[str, object]:
    """Return where rows came from as a card says it: the store's newest commit and the hash of its data.

    Parameters
    ----------
    provenance : mapping
        Of a :class:`~relapse_risk.panel.panel.Panel`.

    >>> origin_facts({"synthetic": "hebei_like", "seed": 1})
    {'synthetic 合成数据': 'hebei_like, seed 1'}
    """
    facts: dict[str, object] = {}
    commits = provenance.get("commits")
    if isinstance(commits, Sequence) and commits:
        facts["store commit 数据仓版本"] = commits[-1]
    if "data_sha256" in provenance:
        facts["data hash 数据指纹"] = str(provenance["data_sha256"])[:12]
    if "synthetic" in provenance:
        facts["synthetic 合成数据"] = f"{provenance['synthetic']}, seed {provenance.get('seed')}"
    return facts


def _table(header: Sequence[str], rows: list[list[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
