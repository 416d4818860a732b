"""Writes docs/glossary.md and docs/rules.md from the code: python docs/make_rule_pages.py."""

from __future__ import annotations

from pathlib import Path

from relapse_risk.rules.glossary import glossary_page, rules_page

HERE = Path(__file__).parent
PAGES = {"glossary.md": glossary_page, "rules.md": rules_page}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (HERE / name).write_text(page(), encoding="utf-8")
