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


def _table(header: Sequence[str], rows: list[list[object]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{escape(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
